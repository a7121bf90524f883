// The search for a restore point: generations newest first, bases by name, ranges by bisection of
// their headers, records inside one range.
// Threads: one.
#include "backup/plan.h"

#include <algorithm>
#include <set>

#include "backup/range_reader.h"

namespace kist {
namespace {

using Headers = std::map<uint64_t, RangeHeader>;  // by index

// One generation that has a base.
class Stretch {
 public:
  Stretch(Target* target, const Catalog& catalog, const CatalogGeneration& g)
      : target_(target), catalog_(catalog), g_(g) {}

  const CatalogGeneration& generation() const { return g_; }
  Sequence first() const { return g_.bases.begin()->first; }
  bool has_ranges() const { return !g_.ranges.empty(); }
  uint64_t last_index() const { return g_.ranges.rbegin()->first; }

  Result<RangeHeader> Header(uint64_t index) {
    const auto known = headers_.find(index);
    if (known != headers_.end()) return known->second;
    const auto there = g_.ranges.find(index);
    if (there == g_.ranges.end()) return Dropped(index);
    KIST_TRY_ASSIGN(const RangeHeader h, ReadRangeHeader(target_, catalog_, there->second));
    headers_[index] = h;
    return h;
  }

  Status Dropped(uint64_t index) const {
    ObjectName name;
    name.kind = ObjectKind::kRange;
    name.generation = g_.number;
    name.index = index;
    return Status::Corrupt(target_->NameOf(FormatObjectName(name)), 0,
                           "missing, though the generation has later ones or names it");
  }

  Result<Sequence> Last() {
    Sequence last = g_.bases.rbegin()->first;
    if (has_ranges()) {
      KIST_TRY_ASSIGN(const RangeHeader h, Header(last_index()));
      last = std::max(last, h.last_lsn);
    }
    return last;
  }

  // When its newest object was made; INT64_MAX where that cannot be read, so that it is not passed
  // over silently.
  int64_t MadeMs() {
    int64_t made = 0;
    const Result<BaseListing> base = ReadBase(target_, catalog_, g_.bases.rbegin()->second);
    if (!base.ok()) return INT64_MAX;
    made = base->time_ms;
    if (has_ranges()) {
      const Result<RangeHeader> h = Header(last_index());
      if (!h.ok()) return INT64_MAX;
      made = std::max(made, h->shipped_ms);
    }
    return made;
  }

  // The index of the first range for which `beyond` holds, or last_index() + 1. Ranges before
  // `from` are not looked at.
  template <typename Beyond>
  Result<uint64_t> Find(uint64_t from, Beyond beyond) {
    uint64_t low = from, high = last_index() + 1;
    while (low < high) {
      const uint64_t middle = low + (high - low) / 2;
      KIST_TRY_ASSIGN(const RangeHeader h, Header(middle));
      if (beyond(h)) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  Result<RestorePlan> PlanSeq(Sequence seq, Sequence* nearest);

 private:
  Target* const target_;
  const Catalog& catalog_;
  const CatalogGeneration& g_;
  Headers headers_;
};

// The last base at or before seq, and ranges up to the record with this number.
Result<RestorePlan> Stretch::PlanSeq(Sequence seq, Sequence* nearest) {
  RestorePlan plan;
  KIST_TRY_ASSIGN(plan.base,
                  ReadBase(target_, catalog_, std::prev(g_.bases.upper_bound(seq))->second));
  for (uint64_t i = plan.base.first_range; i < plan.base.ranges; ++i) {
    if (g_.ranges.count(i) == 0) return Dropped(i);
  }
  *nearest = plan.base.state.flushed_lsn;
  plan.seq = seq;
  if (seq == *nearest) return plan;
  const Status none = Status::Bare(Code::kMissing);
  if (!has_ranges() || last_index() < plan.base.first_range) return none;
  for (uint64_t i = plan.base.first_range; i <= last_index(); ++i) {
    // The search below wants them all.
    if (g_.ranges.count(i) != 0) continue;
    const auto before = g_.ranges.find(i - 1);
    if (before != g_.ranges.end() && i > plan.base.first_range) {
      KIST_TRY_ASSIGN(const RangeHeader h, Header(i - 1));
      if (h.last_lsn >= seq) break;
    }
    return Dropped(i);
  }
  uint64_t end = plan.base.first_range;
  while (g_.ranges.count(end) != 0) ++end;  // the run without a gap
  uint64_t low = plan.base.first_range, high = end;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    KIST_TRY_ASSIGN(const RangeHeader h, Header(middle));
    if (h.last_lsn >= seq) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  if (low > plan.base.first_range) {
    KIST_TRY_ASSIGN(const RangeHeader h, Header(low - 1));
    *nearest = std::max(*nearest, h.last_lsn);
  }
  if (low == end) return none;
  for (uint64_t i = plan.base.first_range; i <= low; ++i) plan.ranges.push_back(g_.ranges.at(i));
  KIST_TRY_ASSIGN(const RangeHeader h, Header(low));
  RangeReader reader(target_, plan.ranges.back(), h);
  for (;;) {
    RangeReader::Record record;
    bool got = false;
    KIST_TRY(reader.Next(&record, &got));
    if (!got || record.lsn > seq) return none;
    *nearest = std::max(*nearest, record.lsn);
    plan.last_end = record.end;
    if (record.lsn == seq) return plan;
  }
}

class Planner {
 public:
  Planner(Target* target, const Catalog& catalog) : target_(target), catalog_(catalog) {
    for (const auto& [number, g] : catalog.generations) {
      if (!g.bases.empty()) stretches_.emplace_back(target, catalog, g);
    }
    std::vector<std::pair<int64_t, size_t>> order;
    for (size_t i = 0; i < stretches_.size(); ++i) order.emplace_back(stretches_[i].MadeMs(), i);
    std::sort(order.rbegin(), order.rend());
    for (const auto& [made, i] : order) newest_first_.push_back(&stretches_[i]);
  }

  Result<RestorePlan> Plan(const RestorePoint& point) {
    if (newest_first_.empty())
      return Status::Error(Code::kMissing, target_->url() + ": holds no finished backup");
    if (point.time_ms != 0) return PlanTime(point.time_ms);
    Sequence seq = point.seq;
    if (seq == 0) {
      KIST_TRY_ASSIGN(seq, newest_first_.front()->Last());
    }
    Sequence nearest = 0;
    for (Stretch* s : newest_first_) {
      if (s->first() > seq) continue;
      Sequence near = 0;
      Result<RestorePlan> plan = s->PlanSeq(seq, &near);
      if (plan.ok() || !plan.status().Is(Code::kMissing)) return plan;
      nearest = std::max(nearest, near);
    }
    return Missing("commit " + std::to_string(seq), nearest);
  }

 private:
  Status Missing(const std::string& what, Sequence nearest) const {
    std::string text = target_->url() + ": cannot give " + what + " exactly";
    text += nearest != 0 ? "; the nearest before it is commit " + std::to_string(nearest)
                         : "; it begins later";
    return Status::Error(Code::kMissing, text, nearest);
  }

  Result<RestorePlan> PlanTime(int64_t time_ms) {
    const std::string what = "the state at " + std::to_string(time_ms) + " ms";
    for (Stretch* s : newest_first_) {
      KIST_TRY_ASSIGN(const BaseListing base,
                      ReadBase(target_, catalog_, s->generation().bases.begin()->second));
      if (base.state.time_floor_ms > time_ms) continue;
      bool exact = false;
      Sequence seq = 0;
      KIST_TRY(LastAt(s, base, time_ms, &seq, &exact));
      // What came after its last commit is known only of the newest one: nothing did.
      if (!exact && s != newest_first_.front()) return Missing(what, seq);
      Sequence nearest = 0;
      return s->PlanSeq(seq, &nearest);
    }
    return Missing(what, 0);
  }

  // The last commit at or before the time; exact where a later one is there too.
  Status LastAt(Stretch* s, const BaseListing& oldest, int64_t time_ms, Sequence* seq,
                bool* exact) {
    *seq = oldest.state.flushed_lsn;
    *exact = false;
    if (!s->has_ranges() || s->last_index() < oldest.first_range) return Status();
    Status untimed;
    KIST_TRY_ASSIGN(const uint64_t beyond, s->Find(oldest.first_range, [&](const RangeHeader& h) {
      if (h.commits != 0 && h.first_time_ms == 0) {
        untimed = Status::Error(Code::kMissing, target_->url() +
                                                    ": the log was written without times "
                                                    "(option wal_timestamps)");
      }
      return h.last_time_ms > time_ms;
    }));
    KIST_TRY(std::move(untimed));
    *exact = beyond <= s->last_index();
    if (beyond > oldest.first_range) {
      KIST_TRY_ASSIGN(const RangeHeader h, s->Header(beyond - 1));
      *seq = std::max(*seq, h.last_lsn);
    }
    if (!*exact) return Status();
    KIST_TRY_ASSIGN(const RangeHeader h, s->Header(beyond));
    RangeReader reader(target_, s->generation().ranges.at(beyond), h);
    for (;;) {
      RangeReader::Record record;
      bool got = false;
      KIST_TRY(reader.Next(&record, &got));
      if (!got || record.time_ms > time_ms) return Status();
      *seq = std::max(*seq, record.lsn);
    }
  }

  Target* const target_;
  const Catalog& catalog_;
  std::vector<Stretch> stretches_;
  std::vector<Stretch*> newest_first_;
};

}  // namespace

Result<RestorePlan> PlanRestore(Target* target, const Catalog& catalog, const RestorePoint& point) {
  if (point.seq != 0 && point.time_ms != 0)
    return Status::Invalid("a sequence and a time exclude each other");
  if (catalog.database_id == 0)
    return Status::Error(Code::kMissing, target->url() + ": holds no backup");
  return Planner(target, catalog).Plan(point);
}

Result<GenerationSummary> SummarizeGeneration(Target* target, const Catalog& catalog,
                                              const CatalogGeneration& g) {
  GenerationSummary s;
  s.number = g.number;
  s.finished = !g.bases.empty();
  s.bases = g.bases.size();
  s.ranges = g.ranges.size();
  s.bytes = g.bytes;
  std::set<uint64_t> tables;
  for (const auto& [lsn, name] : g.bases) {
    KIST_TRY_ASSIGN(const BaseListing base, ReadBase(target, catalog, name));
    if (s.first_time_ms == 0) s.first_time_ms = base.time_ms;
    s.last_time_ms = std::max(s.last_time_ms, base.time_ms);
    for (const BaseTable& t : base.tables) {
      if (tables.insert(t.number).second) s.table_bytes += t.bytes;
    }
  }
  if (s.finished) {
    s.first_seq = g.bases.begin()->first;
    s.last_seq = g.bases.rbegin()->first;
  }
  if (!g.ranges.empty()) {
    KIST_TRY_ASSIGN(const RangeHeader h,
                    ReadRangeHeader(target, catalog, g.ranges.rbegin()->second));
    s.last_seq = std::max(s.last_seq, h.last_lsn);
    s.last_time_ms = std::max(s.last_time_ms, h.shipped_ms);
  }
  return s;
}

}  // namespace kist
