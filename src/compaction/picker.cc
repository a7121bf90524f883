// Choosing the next compaction. Level 0 comes first, because every read pays for its files; then
// the level that is most above its aim; then tables that are mostly garbage; then what seeks have
// paid for. Ties, sizes and that count alone decide, so that the same version always gives the same
// plan. Threads: any; no state.
#include "compaction/picker.h"

#include <algorithm>

#include "util/planted.h"

namespace kist {
namespace {

constexpr uint64_t kFanout = 10;
constexpr double kTombstoneShare = 0.5;
// Bytes whose compaction takes about as long as a seek loses in one more file: 1 us where all is
// cached, 100 us where a block is read from a disk.
constexpr uint64_t kBytesASeek = 1024;

using Files = std::vector<RefPtr<LiveTable>>;

// What a set of files spans. end_inclusive false where a tombstone's end is the last bound.
struct Span {
  Slice begin;
  Slice end;
  bool end_inclusive = true;
  bool to_last = false;
};

void Widen(const LiveTable& f, bool first, Span* s) {
  const TableProperties& p = f.properties();
  if (first || Slice(p.smallest_key) < s->begin) s->begin = p.smallest_key;
  if (first) {
    s->end = Slice();
    s->end_inclusive = false;
  }
  if (p.entries > 0 && Slice(p.largest_key) >= s->end) {
    s->end = p.largest_key;
    s->end_inclusive = true;
  }
  if (p.range_tombstones > 0) {
    if (p.tombstone_unbounded) s->to_last = true;
    if (Slice(p.tombstone_end) > s->end) {
      s->end = p.tombstone_end;
      s->end_inclusive = false;
    }
  }
}

Span SpanOf(const Files& a, const Files& b = {}) {
  Span s;
  bool first = true;
  for (const Files* files : {&a, &b}) {
    for (const auto& f : *files) {
      Widen(*f, first, &s);
      first = false;
    }
  }
  return s;
}

Files Overlapping(const Level& level, const Span& s) {
  Files out;
  for (const auto& f : level.files()) {
    if (f->Overlaps(s.begin, s.end, s.end_inclusive, s.to_last)) out.push_back(f);
  }
  return out;
}

uint64_t Bytes(const Files& files) {
  uint64_t n = 0;
  for (const auto& f : files) n += f->bytes();
  return n;
}

void AddGrandparents(const KeyspaceVersion& v, CompactionPlan* plan) {
  if (plan->output_level + 1 >= kLevels) return;
  plan->grandparents =
      Overlapping(v.levels[plan->output_level + 1], SpanOf(plan->inputs, plan->overlapping));
}

// A move is right where nothing below is touched and the file is not so wide that its next
// compaction would be huge, and where rewriting it would drop nothing that matters.
bool CanMove(const CompactionPlan& plan, const PickOptions& o) {
  if (!plan.overlapping.empty() || plan.input_level == plan.output_level) return false;
  if (plan.input_level == 0) {
    for (size_t i = 0; i < plan.inputs.size(); ++i) {
      Files others = plan.inputs;
      others.erase(others.begin() + static_cast<ptrdiff_t>(i));
      const Span s = SpanOf({plan.inputs[i]});
      for (const auto& f : others) {
        if (f->Overlaps(s.begin, s.end, s.end_inclusive, s.to_last)) return false;
      }
    }
  }
  for (const auto& f : plan.inputs) {
    const TableProperties& p = f->properties();
    if (p.deletes * 4 > p.entries || p.range_tombstones > 0) return false;
  }
  return Bytes(plan.grandparents) <= kFanout * 2 * o.target_file_bytes;
}

CompactionPlan PlanFor(const KeyspaceVersion& v, const PickOptions& o, CompactionReason reason,
                       int input, int output, Files inputs) {
  CompactionPlan plan;
  plan.reason = reason;
  plan.input_level = input;
  plan.output_level = output;
  plan.inputs = std::move(inputs);
  if (output != input) plan.overlapping = Overlapping(v.levels[output], SpanOf(plan.inputs));
  if (Planted(Bug::kOverlappingTableMissed) && !plan.overlapping.empty())
    plan.overlapping.pop_back();
  AddGrandparents(v, &plan);
  plan.trivial_move = CanMove(plan, o);
  return plan;
}

CompactionPlan NotMoved(CompactionPlan plan) {
  plan.trivial_move = false;
  return plan;
}

// Neighbouring newest-first L0 files of like size whose merge is cheap; at least l0_trigger of
// them.
std::optional<CompactionPlan> PickTiered(const KeyspaceVersion& v, const PickOptions& o) {
  const auto& files = v.levels[0].files();
  Files run;
  uint64_t bytes = 0;
  for (const auto& f : files) {
    if (!run.empty() && f->bytes() > std::max(bytes, o.target_file_bytes / 8)) break;
    run.push_back(f);
    bytes += f->bytes();
  }
  if (run.size() < static_cast<size_t>(o.l0_trigger)) return std::nullopt;
  return PlanFor(v, o, CompactionReason::kLevel0Tiered, 0, 0, std::move(run));
}

// All of L0 into the base level, unless the base level is so much larger that merging L0 with
// itself first is cheaper.
std::optional<CompactionPlan> PickLevel0(const KeyspaceVersion& v, const PickOptions& o,
                                         const LevelTargets& t) {
  const Level& l0 = v.levels[0];
  if (l0.size() < static_cast<size_t>(o.l0_trigger)) return std::nullopt;
  CompactionPlan plan = PlanFor(v, o, CompactionReason::kLevel0, 0, t.base_level, l0.files());
  if (l0.bytes() < o.base_bytes && Bytes(plan.overlapping) > 4 * l0.bytes() && l0.size() < 12) {
    if (auto tiered = PickTiered(v, o)) return tiered;
  }
  return plan;
}

// The file of the level whose merge rewrites least below it per byte moved.
std::optional<CompactionPlan> PickFromLevel(const KeyspaceVersion& v, const PickOptions& o,
                                            int level) {
  const Level& next = v.levels[level + 1];
  double best = 0;
  RefPtr<LiveTable> file;
  for (const auto& f : v.levels[level].files()) {
    const double below = static_cast<double>(Bytes(Overlapping(next, SpanOf({f}))));
    const double cost = below / static_cast<double>(std::max<uint64_t>(f->bytes(), 1));
    if (!file || cost < best) {
      best = cost;
      file = f;
    }
  }
  if (!file) return std::nullopt;
  return PlanFor(v, o, CompactionReason::kLevelSize, level, level + 1, {file});
}

// When a table is more than kTombstoneShare deletes and expired entries, if expiries are spread
// evenly over what they span; INT64_MAX: never. Where they are not, the rewrite drops less, and
// what it writes tells anew.
int64_t ExpiredEnoughMs(const TableProperties& p) {
  const double needed =
      kTombstoneShare * static_cast<double>(p.entries) - static_cast<double>(p.deletes);
  if (p.ttl_entries == 0 || needed > static_cast<double>(p.ttl_entries)) return INT64_MAX;
  const double share = std::max(0.0, needed / static_cast<double>(p.ttl_entries));
  const double span =
      static_cast<double>(p.latest_expiry_ms) - static_cast<double>(p.earliest_expiry_ms);
  const double at = static_cast<double>(p.earliest_expiry_ms) + share * span;
  return at >= static_cast<double>(p.latest_expiry_ms) ? p.latest_expiry_ms
                                                       : static_cast<int64_t>(at);
}

// A file full of tombstones, or of which most has expired. At the bottom it is rewritten in place.
// Of level 0 all goes down, as files there overlap.
std::optional<CompactionPlan> PickGarbage(const KeyspaceVersion& v, const PickOptions& o,
                                          const LevelTargets& t) {
  const int last = v.last_level();
  for (int level = 0; level <= last; ++level) {
    for (const auto& f : v.levels[level].files()) {
      const TableProperties& p = f->properties();
      const bool droppable = p.largest_seq <= o.oldest_snapshot;
      const bool expired = ExpiredEnoughMs(p) <= o.now_ms;
      const bool dense = p.entries > 0 && static_cast<double>(p.deletes) >
                                              kTombstoneShare * static_cast<double>(p.entries);
      if (!droppable || !(expired || (level > 0 && (dense || p.range_tombstones > 0)))) continue;
      const auto reason = expired ? CompactionReason::kExpired : CompactionReason::kTombstones;
      if (level == 0) return NotMoved(PlanFor(v, o, reason, 0, t.base_level, v.levels[0].files()));
      const int output = level == last ? level : level + 1;
      CompactionPlan plan = PlanFor(v, o, reason, level, output, {f});
      return expired ? NotMoved(std::move(plan)) : plan;
    }
  }
  return std::nullopt;
}

std::optional<CompactionPlan> PickSought(const KeyspaceVersion& v, const PickOptions& o,
                                         const LevelTargets& t) {
  const Level& l0 = v.levels[0];
  if (l0.size() < 2 || o.level0_seeks < kLevel0SeeksMin) return std::nullopt;
  CompactionPlan plan = PlanFor(v, o, CompactionReason::kSeeks, 0, t.base_level, l0.files());
  if (!plan.trivial_move && plan.input_bytes() > o.level0_seeks * kBytesASeek) return std::nullopt;
  return plan;
}

}  // namespace

uint64_t CompactionPlan::input_bytes() const { return Bytes(inputs) + Bytes(overlapping); }

uint64_t CompactionPlan::input_entries() const {
  uint64_t entries = 0;
  for (const auto* files : {&inputs, &overlapping}) {
    for (const auto& f : *files) entries += f->properties().entries;
  }
  return entries;
}

LevelTargets ComputeTargets(const KeyspaceVersion& v, const PickOptions& o) {
  LevelTargets t;
  int bottom = v.last_level();
  if (bottom == 0) bottom = kLevels - 1;
  uint64_t aim = std::max(v.levels[bottom].bytes(), o.base_bytes);
  t.bytes[bottom] = aim;
  t.base_level = bottom;
  for (int level = bottom - 1; level >= 1; --level) {
    aim /= kFanout;
    if (aim < o.base_bytes / 2 && v.levels[level].empty()) break;
    t.bytes[level] = std::max(aim, o.base_bytes / 4);
    t.base_level = level;
  }
  // Files above the base level (after a shrink, or a database of another version) pull it up.
  for (int level = 1; level < t.base_level; ++level) {
    if (!v.levels[level].empty()) {
      t.base_level = level;
      t.bytes[level] = o.base_bytes / 4;
    }
  }
  return t;
}

std::optional<CompactionPlan> PickCompaction(const KeyspaceVersion& v, const PickOptions& o) {
  const LevelTargets t = ComputeTargets(v, o);
  if (auto plan = PickLevel0(v, o, t)) return plan;
  double worst = 1.0;
  int level = -1;
  const int last = v.last_level();
  for (int l = t.base_level; l < last; ++l) {
    if (t.bytes[l] == 0 || v.levels[l].empty()) continue;
    const double score = static_cast<double>(v.levels[l].bytes()) / static_cast<double>(t.bytes[l]);
    if (score > worst) {
      worst = score;
      level = l;
    }
  }
  if (level > 0) return PickFromLevel(v, o, level);
  if (auto plan = PickGarbage(v, o, t)) return plan;
  return PickSought(v, o, t);
}

int64_t NextExpiryMs(const KeyspaceVersion& v) {
  int64_t next = INT64_MAX;
  for (const Level& level : v.levels) {
    for (const auto& f : level.files()) next = std::min(next, ExpiredEnoughMs(f->properties()));
  }
  return next;
}

std::optional<CompactionPlan> PickManual(const KeyspaceVersion& v, const PickOptions& o,
                                         Slice begin, Slice end, bool to_last, int* level) {
  Span range{begin, end, false, to_last};
  const LevelTargets t = ComputeTargets(v, o);
  const int last = std::max(v.last_level(), t.base_level);
  if (*level == 0) {
    Files l0 = Overlapping(v.levels[0], range);
    if (!l0.empty()) {
      // Versions of a key stand in several L0 files: all of level 0 goes, so that none older stays
      // above.
      CompactionPlan plan =
          PlanFor(v, o, CompactionReason::kManual, 0, t.base_level, v.levels[0].files());
      plan.trivial_move =
          false;  // whoever asks for a compaction wants what is small merged and what is dead gone
      return plan;
    }
    *level = 1;
  }
  for (; *level < last; ++*level) {
    Files files = Overlapping(v.levels[*level], range);
    if (files.empty()) continue;
    // About eight files a step bound the space that a step needs and let it be stopped.
    if (files.size() > 8) files.resize(8);
    return PlanFor(v, o, CompactionReason::kManual, *level, *level + 1, std::move(files));
  }
  // The bottom in place: neighbours that hold what can go now, a few at a time.
  Files run;
  for (const auto& f : Overlapping(v.levels[last], range)) {
    const TableProperties& p = f->properties();
    const bool garbage = p.deletes > 0 || p.range_tombstones > 0 ||
                         (p.ttl_entries > 0 && p.earliest_expiry_ms <= o.now_ms) ||
                         p.largest_seq > 0;
    const bool take = garbage && p.largest_seq <= o.oldest_snapshot &&
                      f->number() < o.own_tables_from && run.size() < 8;
    if (take) run.push_back(f);
    if (!take && !run.empty()) break;
  }
  if (!run.empty() && last > 0)
    return PlanFor(v, o, CompactionReason::kManual, last, last, std::move(run));
  return std::nullopt;
}

uint64_t CompactionDebt(const KeyspaceVersion& v, const PickOptions& o) {
  const LevelTargets t = ComputeTargets(v, o);
  uint64_t debt = 0;
  if (v.levels[0].size() >= static_cast<size_t>(o.l0_trigger)) {
    debt += v.levels[0].bytes() + std::min(v.levels[t.base_level].bytes(), t.bytes[t.base_level]);
  }
  for (int l = t.base_level; l < v.last_level(); ++l) {
    if (v.levels[l].bytes() > t.bytes[l]) debt += (v.levels[l].bytes() - t.bytes[l]) * 2;
  }
  return debt;
}

}  // namespace kist
