// The search for a restore point: generations newest first, bases by name, ranges by bisection of
// their headers, records inside one range.
// Threads: one.
#include "backup/plan.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <tuple>

#include "backup/range_reader.h"

namespace kist {
namespace {

using Headers = std::map<uint64_t, RangeHeader>;  // by index

// "2026-11-20 14:05:00.123Z"; the number where a calendar has no such day.
std::string TimeText(int64_t unix_ms) {
  const int64_t ms = (unix_ms % 1000 + 1000) % 1000;
  const auto seconds = static_cast<time_t>((unix_ms - ms) / 1000);
  tm parts;
  char day[32], text[48];
  if (gmtime_r(&seconds, &parts) == nullptr ||
      std::strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &parts) == 0)
    return std::to_string(unix_ms) + " ms";
  std::snprintf(text, sizeof text, "%s.%03dZ", day, static_cast<int>(ms));
  return text;
}

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

  // When its end was captured; INT64_MAX where that cannot be read, so that it is not passed over
  // silently. Bases say nothing of it: their states are older than the log.
  int64_t CapturedMs() {
    if (!has_ranges()) return INT64_MAX;  // they were dropped
    const Result<RangeHeader> h = Header(last_index());
    return h.ok() ? h->captured_ms : INT64_MAX;
  }

  // Its log holds the place at which `end`, another generation's last range, ends; or begins there.
  Result<bool> Holds(const RangeHeader& end) {
    if (!has_ranges()) return false;
    const uint64_t position = end.position + end.payload_bytes;
    const uint64_t first = g_.ranges.begin()->first;
    KIST_TRY_ASSIGN(const uint64_t beyond, Find(first, [&](const RangeHeader& h) {
                      return h.segment.id > end.segment.id;
                    }));
    if (beyond > first) {
      KIST_TRY_ASSIGN(const RangeHeader h, Header(beyond - 1));
      return h.segment.id == end.segment.id && h.segment.nonce == end.segment.nonce &&
             h.position + h.payload_bytes >= position;
    }
    KIST_TRY_ASSIGN(const RangeHeader h, Header(first));
    RangeReader reader(target_, g_.ranges.at(first), h);
    RangeReader::Record record;
    bool got = false;
    KIST_TRY(reader.Next(&record, &got));
    return got && record.is_chain && record.link.previous_id == end.segment.id &&
           record.link.previous_nonce == end.segment.nonce &&
           record.link.previous_bytes == position;
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
  const uint64_t first = plan.base.first_range;
  for (uint64_t i = first; i < plan.base.ranges; ++i) {
    if (g_.ranges.count(i) == 0) return Dropped(i);
  }
  *nearest = plan.base.state.flushed_lsn;
  plan.seq = seq;
  if (seq == *nearest) return plan;
  uint64_t end = plan.base.ranges;
  while (g_.ranges.count(end) != 0) ++end;  // the run without a gap
  uint64_t low = first, high = end;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    KIST_TRY_ASSIGN(const RangeHeader h, Header(middle));
    if (h.last_lsn >= seq) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  if (low == end && end <= last_index()) return Dropped(end);
  const Status none = Status::Bare(Code::kMissing);
  if (low > first) {
    KIST_TRY_ASSIGN(const RangeHeader h, Header(low - 1));
    *nearest = std::max(*nearest, h.last_lsn);
  }
  if (low == end) return none;
  for (uint64_t i = first; i <= low; ++i) plan.ranges.push_back(g_.ranges.at(i));
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
    for (size_t i = 0; i < stretches_.size(); ++i)
      order.emplace_back(stretches_[i].CapturedMs(), i);
    std::sort(order.rbegin(), order.rend());
    for (const auto& [captured, i] : order) newest_first_.push_back(&stretches_[i]);
  }

  Result<RestorePlan> Plan(const RestorePoint& point) {
    if (newest_first_.empty())
      return Status::Error(Code::kMissing, target_->url() + ": holds no finished backup");
    if (point.time_ms != 0) return PlanTime(point.time_ms);
    // The newest history's first: others may hold the same number.
    std::vector<Stretch*> order = newest_first_;
    const Result<Stretch*> newest = Newest();
    Sequence seq = point.seq;
    if (seq == 0) {
      KIST_TRY(newest.status());
      KIST_TRY_ASSIGN(seq, (*newest)->Last());
      order = {*newest};
    } else if (newest.ok()) {
      order.insert(order.begin(), *newest);
    }
    Sequence nearest = 0;
    for (Stretch* s : order) {
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

  Result<Stretch*> Newest() { return FurtherThan(newest_first_.front()); }

  // Of those that go on from where `s` ends the one that goes furthest, the newer of equals; else
  // s. One that cannot be read proves nothing.
  Result<Stretch*> FurtherThan(Stretch* s) {
    Stretch* best = s;
    KIST_TRY_ASSIGN(Sequence last, s->Last());
    if (!s->has_ranges()) return best;
    KIST_TRY_ASSIGN(const RangeHeader end, s->Header(s->last_index()));
    bool newer = true;
    for (Stretch* other : newest_first_) {
      if (other == s) newer = false;
      const Result<Sequence> reach = other->Last();
      if (other == s || !reach.ok() || *reach < last) continue;
      if (*reach == last && !(newer && best == s)) continue;
      const Result<bool> holds = other->Holds(end);
      if (!holds.ok() || !*holds) continue;
      best = other;
      last = *reach;
    }
    return best;
  }

  // The newest generation that begins before the time tells which history counts then.
  Result<RestorePlan> PlanTime(int64_t time_ms) {
    const std::string what = "the state at " + TimeText(time_ms);
    for (Stretch* s : newest_first_) {
      KIST_TRY_ASSIGN(const BaseListing base,
                      ReadBase(target_, catalog_, s->generation().bases.begin()->second));
      if (base.state.time_floor_ms > time_ms) continue;
      Sequence seq = base.state.flushed_lsn;
      Stretch* further = s;
      bool exact = false;
      KIST_TRY(LastAt(s, base.first_range, time_ms, &seq, &exact));
      if (!exact) {  // what came after its end may be known elsewhere
        KIST_TRY_ASSIGN(further, FurtherThan(s));
        if (further != s) KIST_TRY(LastAt(further, 0, time_ms, &seq, &exact));
      }
      if (!exact) {
        KIST_TRY_ASSIGN(const Stretch* const newest, Newest());
        if (further != newest) return Missing(what, seq);  // nothing came after the newest
      }
      Sequence nearest = 0;
      for (Stretch* from : {further, s}) {
        if (from->first() > seq) continue;
        Result<RestorePlan> plan = from->PlanSeq(seq, &nearest);
        if (plan.ok() || !plan.status().Is(Code::kMissing)) return plan;
      }
      return Missing(what, nearest);
    }
    return Missing(what, 0);
  }

  // Raises *seq to the last commit at or before the time in ranges from `from` on; exact where a
  // later one is there too.
  Status LastAt(Stretch* s, uint64_t from, int64_t time_ms, Sequence* seq, bool* exact) {
    *exact = false;
    if (!s->has_ranges()) return Status();
    from = std::max(from, s->generation().ranges.begin()->first);
    Status untimed;
    KIST_TRY_ASSIGN(const uint64_t beyond, s->Find(from, [&](const RangeHeader& h) {
      if (h.commits != 0 && h.first_time_ms == 0) {
        untimed = Status::Error(Code::kMissing, target_->url() +
                                                    ": the log was written without times "
                                                    "(option wal_timestamps)");
      }
      return h.last_time_ms > time_ms;
    }));
    KIST_TRY(std::move(untimed));
    *exact = beyond <= s->last_index();
    if (beyond > from) {
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

}  // namespace kist
