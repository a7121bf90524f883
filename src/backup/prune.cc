// Deciding what stays, then removing the rest, listings first. Nothing is removed before every
// listing was read.
// Threads: any.
#include "backup/prune.h"

#include <algorithm>
#include <set>

#include "backup/catalog.h"

namespace kist {
namespace {

constexpr int64_t kStaleMs = int64_t{24} * 3600 * 1000;

class Pruning {
 public:
  Pruning(Target* target, const Catalog& catalog, const PruneRule& rule, int64_t now_ms,
          const JobControl& job, PruneReport* report)
      : target_(target),
        catalog_(catalog),
        rule_(rule),
        now_ms_(now_ms),
        job_(job),
        report_(report) {}

  Status Run() {
    KIST_TRY(Decide());
    KIST_TRY(FindWork());
    for (const auto* list : {&listings_, &others_, &tables_}) {
      for (const auto& [name, bytes] : *list) {
        ++done_;
        if (job_.progress && !job_.progress(done_, total())) return Status::Bare(Code::kCancelled);
        Status s = target_->Delete(name);
        if (!s.ok() && !s.Is(Code::kMissing)) return s;
        ++report_->objects;
        report_->bytes += bytes;
        if (list == &listings_) ++report_->bases;
      }
    }
    return Status();
  }

 private:
  struct Base {
    ObjectName name;
    BaseListing listing;
    bool kept = false;
  };
  using Doomed = std::vector<std::pair<std::string, uint64_t>>;

  Status Decide();
  Status FindWork();
  void FindRanges(const CatalogGeneration& g);
  bool Fresh(const ObjectName& mark) const {
    const Result<Mark> m = ReadMark(target_, mark);
    return !m.ok() ? !m.status().Is(Code::kMissing) : m->time_ms + kStaleMs > now_ms_;
  }
  uint64_t total() const { return listings_.size() + others_.size() + tables_.size(); }

  Target* const target_;
  const Catalog& catalog_;
  const PruneRule rule_;
  const int64_t now_ms_;
  const JobControl& job_;
  PruneReport* const report_;
  std::vector<Base> bases_;  // newest first
  Doomed listings_, others_, tables_;
  uint64_t done_ = 0;
};

Status Pruning::Decide() {
  for (const auto& [number, g] : catalog_.generations) {
    for (const auto& [lsn, name] : g.bases) {
      Base base;
      base.name = name;
      KIST_TRY_ASSIGN(base.listing, ReadBase(target_, catalog_, name));
      bases_.push_back(std::move(base));
    }
  }
  std::stable_sort(bases_.begin(), bases_.end(), [](const Base& a, const Base& b) {
    if (a.listing.time_ms != b.listing.time_ms) return a.listing.time_ms > b.listing.time_ms;
    return std::make_pair(a.name.generation, a.name.lsn) >
           std::make_pair(b.name.generation, b.name.lsn);
  });
  bool older = false;  // one before the span of keep_ms was met
  for (size_t i = 0; i < bases_.size(); ++i) {
    Base& b = bases_[i];
    const bool young = rule_.keep_ms > 0 && b.listing.time_ms >= now_ms_ - rule_.keep_ms;
    const bool edge = rule_.keep_ms > 0 && !young && !older;
    if (!young) older = true;
    b.kept = i == 0 || i < rule_.keep_count || young || edge;
  }
  return Status();
}

// Ranges before the first kept base's are nobody's.
void Pruning::FindRanges(const CatalogGeneration& g) {
  uint64_t first = UINT64_MAX;
  for (const Base& b : bases_) {
    if (b.kept && b.name.generation == g.number) first = std::min(first, b.listing.first_range);
  }
  for (const auto& [index, range] : g.ranges) {
    if (index < first) others_.emplace_back(FormatObjectName(range.name), range.bytes);
  }
}

Status Pruning::FindWork() {
  std::set<std::string> needed;
  uint64_t newest_finished = 0;
  for (const Base& b : bases_) {
    newest_finished = std::max(newest_finished, b.name.generation);
    if (!b.kept) {
      listings_.emplace_back(FormatObjectName(b.name), 0);
      continue;
    }
    for (const BaseTable& t : b.listing.tables) {
      ObjectName name;
      name.kind = ObjectKind::kTable;
      name.number = t.number;
      name.bytes = t.bytes;
      name.crc = t.crc;
      needed.insert(FormatObjectName(name));
    }
  }
  for (const auto& entry : catalog_.generations) {
    const uint64_t number = entry.first;
    const CatalogGeneration& g = entry.second;
    for (const ObjectName& pending : g.pending) {
      if (Fresh(pending)) {
        report_->tables_spared = true;
      } else {
        others_.emplace_back(FormatObjectName(pending), 0);
      }
    }
    ObjectName start;
    start.kind = ObjectKind::kStart;
    start.generation = number;
    if (g.bases.empty()) {
      const bool fresh = g.started && Fresh(start);
      if (fresh) report_->tables_spared = true;
      if (fresh || number > newest_finished) continue;
    }
    FindRanges(g);
    const bool kept = std::any_of(bases_.begin(), bases_.end(), [&](const Base& b) {
      return b.kept && b.name.generation == number;
    });
    if (!kept && g.started) others_.emplace_back(FormatObjectName(start), kMarkBytes);
  }
  for (const ObjectName& prune : catalog_.prunes) {
    const Result<Mark> m = ReadMark(target_, prune);
    if (m.ok() && m->time_ms + kStaleMs <= now_ms_)
      others_.emplace_back(FormatObjectName(prune), kMarkBytes);
  }
  if (report_->tables_spared) return Status();
  for (const auto& [name, bytes] : catalog_.tables) {
    if (needed.count(name) == 0) tables_.emplace_back(name, bytes);
  }
  return Status();
}

}  // namespace

Status PruneTarget(Vfs* vfs, Target* target, const PruneRule& rule, const JobControl& job,
                   PruneReport* report) {
  *report = PruneReport();
  if (rule.keep_count == 0 && rule.keep_ms <= 0)
    return Status::Invalid("nothing says what to keep: a count or an age");
  KIST_TRY_ASSIGN(const Catalog before, Catalog::Load(target));
  if (before.database_id == 0)
    return Status::Error(Code::kMissing, target->url() + ": holds no backup");
  for (const auto& [number, generation] : before.generations) {
    if (generation.bases.size() < 2) continue;
    return Status::Error(Code::kUnsupported, target->url() + ": generation " +
                                                 std::to_string(number) +
                                                 " is a stream's; backups alone can be pruned yet");
  }
  Mark mark;
  mark.kind = ObjectKind::kPrune;
  mark.database_id = before.database_id;
  vfs->Random(&mark.writer, sizeof mark.writer);
  mark.time_ms = vfs->WallMs();
  ObjectName name;
  name.kind = ObjectKind::kPrune;
  name.number = mark.writer;
  KIST_TRY(PutOnce(target, FormatObjectName(name), EncodeMark(mark)));
  Result<Catalog> catalog = Catalog::Load(target);
  Status s = catalog.status();
  if (s.ok()) s = Pruning(target, *catalog, rule, mark.time_ms, job, report).Run();
  Status gone = target->Delete(FormatObjectName(name));
  return s.ok() ? gone : s;
}

}  // namespace kist
