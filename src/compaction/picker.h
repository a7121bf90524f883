// The picker: a pure function from a keyspace's version to the next compaction, or none.
//
// Shape: leveled with dynamic level sizes. The deepest level that holds files is the bottom, with
// bytes D; the levels above aim at D/10, D/100, ... down to base_bytes, and those whose aim would
// be less stay empty, so that level 0 is merged straight into the base level. Level 0 is
// size-tiered: small files of like size are merged with one another where merging into a much
// larger base level would rewrite too much. Below its trigger level 0 is merged where the seeks
// that went through more than one of its files would have paid for that. Threads: any.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "version/version.h"

namespace kist {

struct PickOptions {
  uint64_t base_bytes = uint64_t{64} << 20;  // the least a level that is not empty aims at
  uint64_t target_file_bytes = uint64_t{32} << 20;
  int l0_trigger = 4;
  int64_t now_ms = 0;  // tables of which enough has expired by now are worth a compaction
  Sequence oldest_snapshot = kMaxSequence;  // tombstones newer than it cannot go yet
  uint64_t level0_seeks = 0;                // KeyspaceVersion's
  // A manual compaction rewrites no table in place that it has written itself: numbers from here
  // on.
  uint64_t own_tables_from = UINT64_MAX;
};

enum class CompactionReason {
  kLevel0,
  kLevel0Tiered,
  kLevelSize,
  kTombstones,
  kExpired,
  kSeeks,
  kManual
};

// So many level0_seeks at least are worth a compaction; the owner asks again each time there are as
// many more.
constexpr uint64_t kLevel0SeeksMin = 16384;

struct CompactionPlan {
  CompactionReason reason = CompactionReason::kLevelSize;
  int input_level = 0;
  int output_level = 1;
  std::vector<RefPtr<LiveTable>> inputs;        // of input_level
  std::vector<RefPtr<LiveTable>> overlapping;   // of output_level, where it is another level
  std::vector<RefPtr<LiveTable>> grandparents;  // of the level after the output's, overlapping it
  // One or more files that overlap nothing below: they move without being read.
  bool trivial_move = false;
  uint64_t input_bytes() const;
  uint64_t input_entries() const;
};

// What each level aims at; 0 for levels above the base level (they should be empty).
struct LevelTargets {
  int base_level = kLevels - 1;
  uint64_t bytes[kLevels] = {};
};
LevelTargets ComputeTargets(const KeyspaceVersion& version, const PickOptions& options);

std::optional<CompactionPlan> PickCompaction(const KeyspaceVersion& version,
                                             const PickOptions& options);

// When, as things are, enough of some table will have expired for a compaction; INT64_MAX: never.
int64_t NextExpiryMs(const KeyspaceVersion& version);

// The next step of a manual compaction of [begin, end) (to_last: to the last key): level by level
// downwards, the last step rewriting the bottom where it holds what could be dropped. nullopt:
// done. `level` is the state: start with 0; advanced by the caller to plan.output_level where
// reason steps on.
std::optional<CompactionPlan> PickManual(const KeyspaceVersion& version, const PickOptions& options,
                                         Slice begin, Slice end, bool to_last, int* level);

// Bytes that have to be moved until every level is within its aim; what writers are slowed down by.
uint64_t CompactionDebt(const KeyspaceVersion& version, const PickOptions& options);

}  // namespace kist
