// Judging what stays, twice, then removing the rest, listings first. Nothing is removed before
// every listing was read.
// Threads: any.
#include "backup/prune.h"

#include <algorithm>
#include <set>

#include "backup/catalog.h"
#include "backup/generation.h"

namespace kist {
namespace {

// What goes, by name and bytes.
struct Verdict {
  std::map<std::string, uint64_t> listings, others, tables;
  std::map<uint64_t, uint64_t> cuts;  // of PruneMark
  std::vector<BaseTable> doomed;      // the tables once more
  bool tables_spared = false;
};

struct KnownBase {
  ObjectName name;
  BaseListing listing;
  bool kept = false;
};

class Judge {
 public:
  Judge(Target* target, const Catalog& catalog, const PruneRule& rule, int64_t now_ms)
      : target_(target), catalog_(catalog), rule_(rule), now_ms_(now_ms) {}

  Result<Verdict> Run() {
    KIST_TRY(ReadBases());
    KIST_TRY(Keep());
    for (const auto& [name, claim] : catalog_.claims) {
      if (!Fresh(claim.time_ms)) verdict_.others[name] = 0;
    }
    for (const auto& entry : catalog_.generations) KIST_TRY(JudgeGeneration(entry.second));
    JudgeTables();
    return std::move(verdict_);
  }

 private:
  Status ReadBases();
  Status Keep();
  Status JudgeGeneration(const CatalogGeneration& g);
  void JudgeTables();
  // One of a clock that is ahead counts too.
  bool Fresh(int64_t time_ms) const { return now_ms_ - time_ms < kClaimMs; }
  bool Claimed(uint64_t generation) const {
    return std::any_of(catalog_.claims.begin(), catalog_.claims.end(), [&](const auto& c) {
      return c.second.generation == generation && Fresh(c.second.time_ms);
    });
  }

  Target* const target_;
  const Catalog& catalog_;
  const PruneRule rule_;
  const int64_t now_ms_;
  std::vector<KnownBase> bases_;  // newest first
  Verdict verdict_;
};

Status Judge::ReadBases() {
  for (const auto& [number, g] : catalog_.generations) {
    for (const auto& [lsn, name] : g.bases) {
      Result<BaseListing> listing = ReadBase(target_, catalog_, name);
      if (listing.status().Is(Code::kMissing)) continue;  // another pruning
      KIST_TRY(listing.status());
      bases_.push_back({name, listing.Take(), false});
    }
  }
  std::stable_sort(bases_.begin(), bases_.end(), [](const KnownBase& a, const KnownBase& b) {
    if (a.listing.time_ms != b.listing.time_ms) return a.listing.time_ms > b.listing.time_ms;
    return std::make_pair(a.name.generation, a.name.lsn) >
           std::make_pair(b.name.generation, b.name.lsn);
  });
  return Status();
}

Status Judge::Keep() {
  const int64_t begin_ms = now_ms_ - rule_.keep_ms;  // of the span
  std::set<uint64_t> met;  // generations of which a base before the span was met
  for (size_t i = 0; i < bases_.size(); ++i) {
    KnownBase& b = bases_[i];
    const uint64_t g = b.name.generation;
    const bool newest_of_it = std::none_of(bases_.begin(), bases_.begin() + i,
                                           [&](const auto& o) { return o.name.generation == g; });
    b.kept = i == 0 || i < rule_.keep_count || (newest_of_it && Claimed(g));
    if (rule_.keep_ms <= 0) continue;
    if (b.listing.time_ms >= begin_ms) {
      b.kept = true;
      continue;
    }
    // The newest before the span, and in each generation whose log reaches into it.
    bool edge = met.empty();
    if (!edge && met.count(g) == 0 && !catalog_.generations.at(g).ranges.empty()) {
      const CatalogRange& last = catalog_.generations.at(g).ranges.rbegin()->second;
      KIST_TRY_ASSIGN(const RangeHeader h, ReadRangeHeader(target_, catalog_, last));
      edge = h.captured_ms >= begin_ms;
    }
    met.insert(g);
    b.kept |= edge;
  }
  return Status();
}

// Ranges before the first kept base's are nobody's. The start of the highest generation stays, so
// that numbers are never given out again.
Status Judge::JudgeGeneration(const CatalogGeneration& g) {
  uint64_t cut = UINT64_MAX;
  bool any = false;
  for (const KnownBase& b : bases_) {
    if (b.name.generation != g.number) continue;
    any = true;
    if (b.kept) cut = std::min(cut, b.listing.first_range);
    if (!b.kept) verdict_.listings[FormatObjectName(b.name)] = 0;
  }
  ObjectName start;
  start.kind = ObjectKind::kStart;
  start.generation = g.number;
  if (!any) {  // unfinished: is it being written?
    if (Claimed(g.number)) return Status();
    // Where an earlier pruning gave it up its writer knows.
    const bool given_up = catalog_.CutOf(g.number) == UINT64_MAX;
    const Result<Mark> mark = g.started ? ReadMark(target_, start) : Mark();
    if (!mark.ok() && !mark.status().Is(Code::kMissing)) return mark.status();
    if (mark.ok() && Fresh(mark->time_ms) && !given_up) return Status();
  }
  for (const auto& [index, range] : g.ranges) {
    if (index >= cut) break;
    verdict_.others[FormatObjectName(range.name)] = range.bytes;
    verdict_.cuts[g.number] = cut;
  }
  const bool highest = g.number == catalog_.generations.rbegin()->first;
  if (cut == UINT64_MAX && g.started && !highest) {
    verdict_.others[FormatObjectName(start)] = kMarkBytes;
    verdict_.cuts[g.number] = cut;
  }
  return Status();
}

void Judge::JudgeTables() {
  std::set<std::string> needed;
  for (const KnownBase& b : bases_) {
    if (!b.kept) continue;
    for (const BaseTable& t : b.listing.tables) needed.insert(FormatObjectName(NameOf(t)));
  }
  std::set<uint64_t> claimed;
  for (const auto& [name, claim] : catalog_.claims) {
    if (Fresh(claim.time_ms)) claimed.insert(claim.tables.begin(), claim.tables.end());
  }
  for (const auto& [name, t] : catalog_.tables) {
    if (needed.count(name) != 0) continue;
    if (claimed.count(t.number) != 0) {
      verdict_.tables_spared = true;
      continue;
    }
    verdict_.tables[name] = t.bytes;
    verdict_.doomed.push_back(t);
  }
}

class Removal {
 public:
  Removal(Target* target, const JobControl& job, PruneReport* report)
      : target_(target), job_(job), report_(report) {}
  // Of `all` what `condemned` names too.
  Status Remove(const std::map<std::string, uint64_t>& all,
                const std::map<std::string, uint64_t>& condemned) {
    for (const auto& [name, bytes] : all) {
      if (condemned.count(name) == 0) continue;
      if (job_.progress && !job_.progress(std::min(done_++, total_), total_))
        return Status::Bare(Code::kCancelled);
      Status s = target_->Delete(name);
      if (!s.ok() && !s.Is(Code::kMissing)) return s;
      ++report_->objects;
      report_->bytes += bytes;
    }
    return Status();
  }
  void SetTotal(uint64_t total) { total_ = total; }

 private:
  Target* const target_;
  const JobControl& job_;
  PruneReport* const report_;
  uint64_t done_ = 0, total_ = 0;
};

// Nothing that the mark names is there any more.
bool Done(const PruneMark& mark, const Catalog& before, const Verdict& removed) {
  for (const BaseTable& t : mark.tables) {
    const std::string name = FormatObjectName(NameOf(t));
    if (before.tables.count(name) != 0 && removed.tables.count(name) == 0) return false;
  }
  for (const auto& [generation, cut] : mark.cuts) {
    const auto g = before.generations.find(generation);
    if (g == before.generations.end()) continue;
    ObjectName start;
    start.kind = ObjectKind::kStart;
    start.generation = generation;
    if (cut == UINT64_MAX && g->second.started &&
        removed.others.count(FormatObjectName(start)) == 0)
      return false;
    for (const auto& [index, range] : g->second.ranges) {
      if (index < cut && removed.others.count(FormatObjectName(range.name)) == 0) return false;
    }
  }
  return true;
}

}  // namespace

Status PruneTarget(Vfs* vfs, Target* target, const PruneRule& rule, const JobControl& job,
                   PruneReport* report) {
  *report = PruneReport();
  if (rule.keep_count == 0 && rule.keep_ms <= 0)
    return Status::Invalid("nothing says what to keep: a count or an age");
  PruneMark mark;
  mark.time_ms = vfs->WallMs();
  vfs->Random(&mark.writer, sizeof mark.writer);
  KIST_TRY_ASSIGN(const Catalog first, Catalog::Load(target, Catalog::Part::kWhole));
  if (first.database_id == 0)
    return Status::Error(Code::kMissing, target->url() + ": holds no backup");
  KIST_TRY_ASSIGN(Verdict condemned, Judge(target, first, rule, mark.time_ms).Run());
  if (condemned.listings.empty() && condemned.others.empty() && condemned.tables.empty() &&
      first.prunes.empty()) {
    report->tables_spared = condemned.tables_spared;
    return Status();
  }
  mark.database_id = first.database_id;
  mark.cuts = condemned.cuts;
  mark.tables = condemned.doomed;
  ObjectName name;
  name.kind = ObjectKind::kPrune;
  name.number = mark.writer;
  KIST_TRY(PutOnce(target, FormatObjectName(name), EncodePrune(mark)));

  KIST_TRY_ASSIGN(const Catalog catalog, Catalog::Load(target, Catalog::Part::kWhole));
  KIST_TRY_ASSIGN(const Verdict verdict, Judge(target, catalog, rule, mark.time_ms).Run());
  report->tables_spared = verdict.tables_spared;
  // Tables that an earlier pruning was to remove and nobody needs are condemned already.
  for (const std::string& table : catalog.doomed) condemned.tables[table] = 0;
  Removal removal(target, job, report);
  removal.SetTotal(condemned.listings.size() + condemned.others.size() + condemned.tables.size());
  KIST_TRY(removal.Remove(verdict.listings, condemned.listings));
  report->bases = report->objects;
  KIST_TRY(removal.Remove(verdict.others, condemned.others));
  KIST_TRY(removal.Remove(verdict.tables, condemned.tables));
  for (const auto& [other, there] : catalog.prunes) {
    if (other != FormatObjectName(name) && !Done(there, catalog, verdict)) continue;
    Status s = target->Delete(other);
    if (!s.ok() && !s.Is(Code::kMissing)) return s;
  }
  return Status();
}

}  // namespace kist
