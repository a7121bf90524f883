// Prune: removes the oldest base copies of a target, with the log and the tables that no kept state
// needs.
//
// Invariants
//  1. A kept base keeps its tables and every range of its generation after it. Kept are the newest
//     one, those that the rule names, and the newest of each generation that a claim names: a
//     stream writes there.
//  2. What goes is written down first (the prune mark), then the target is listed anew, and only
//     what both looks condemn is removed. A writer claims first, then lists (generation.h). So
//     either it sees the mark and shares nothing of what goes, or it is seen and spared.
//  3. Listings are removed, durably, before anything that they name: a pruning that is cut short
//     leaves objects that nobody needs, never a state that cannot be restored.
//  4. A mark stays until all that it names is gone; the next pruning finishes the work of one that
//     died.
// Threads: any.
#pragma once

#include "backup/target.h"
#include "db/db.h"

namespace kist {

// What to keep: bases that either rule names; for an age, those that a moment of the span needs.
// Both 0: kInvalid.
struct PruneRule {
  uint64_t keep_count = 0;
  int64_t keep_ms = 0;
};

struct PruneReport {
  uint64_t bases = 0;
  uint64_t objects = 0;
  uint64_t bytes = 0;
  bool tables_spared = false;  // a claim asks for some that no base names
};

Status PruneTarget(Vfs* vfs, Target* target, const PruneRule& rule, const JobControl& job,
                   PruneReport* report);

}  // namespace kist
