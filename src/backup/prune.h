// Prune: removes the oldest base copies of a target, with the log and the tables that no kept state
// needs.
//
// Invariants
//  1. A kept base keeps its tables and every range of its generation after it; the newest is always
//     kept.
//  2. A base's listing is removed, durably, before anything that it names: a pruning that is cut
//     short leaves objects that nobody needs, never a state that cannot be restored.
//  3. While a base is being made somewhere (a pending mark, an unfinished generation, younger than
//     a day) no table is removed; and who makes one waits while this one's mark stands
//     (GenerationWriter::UploadTables). Each sets its mark before it looks for the other's.
// Threads: any.
#pragma once

#include "backup/target.h"
#include "db/db.h"

namespace kist {

// What to keep: bases that either rule names, and for an age the newest one before it too, so that
// every moment of the span can be restored. Both 0: kInvalid.
struct PruneRule {
  uint64_t keep_count = 0;
  int64_t keep_ms = 0;
};

struct PruneReport {
  uint64_t bases = 0;
  uint64_t objects = 0;
  uint64_t bytes = 0;
  bool tables_spared = false;  // by invariant 3
};

Status PruneTarget(Vfs* vfs, Target* target, const PruneRule& rule, const JobControl& job,
                   PruneReport* report);

}  // namespace kist
