// Planning a restore: which base, which ranges, and where the last one is cut, for the newest
// commit, a given one, or the last one at or before a time.
//
// Newest is the generation whose end was captured last (LogCapture). A stream that was interrupted
// may lag behind its last capture, so of the same history the one that reaches furthest counts: it
// holds the place in the log at which the first one ends, which the segment's random nonce proves.
// A commit can be given exactly where a base lies at or before it and the ranges reach it without a
// gap; a time, where the commit after it is known too, or where nothing newer is in the target. Of
// several generations that hold a sequence number the newest counts: after a restore the numbers
// are given out again. Invariant: what a plan names was there; that it is whole and fits together
// is found by who reads it. Threads: one.
#pragma once

#include <vector>

#include "backup/catalog.h"

namespace kist {

struct RestorePoint {
  Sequence seq = 0;     // 0: not asked for
  int64_t time_ms = 0;  // 0: not asked for
};

struct RestorePlan {
  BaseListing base;
  std::vector<CatalogRange> ranges;  // by index, without a gap
  uint64_t last_end = UINT64_MAX;    // position in its segment where the last one is cut
  Sequence seq = 0;                  // what the restored database is the state after
};

// kMissing, with the nearest restorable sequence below as aux, where the point cannot be given
// exactly; kCorrupt by name where what it needs is damaged or was dropped.
Result<RestorePlan> PlanRestore(Target* target, const Catalog& catalog, const RestorePoint& point);

}  // namespace kist
