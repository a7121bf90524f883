// What a target holds, generation by generation, for lists. Listings and the last ranges' headers
// are read, nothing else.
// Threads: any.
#pragma once

#include <vector>

#include "backup/target.h"
#include "key/internal_key.h"

namespace kist {

struct GenerationSummary {
  uint64_t number = 0;
  bool finished = false;  // it has a base
  Sequence first_seq = 0;
  Sequence last_seq = 0;
  int64_t first_time_ms = 0;  // of its oldest base
  int64_t last_time_ms = 0;   // of its newest object
  uint64_t bases = 0;
  uint64_t ranges = 0;
  uint64_t bytes = 0;        // of its own objects, without tables
  uint64_t table_bytes = 0;  // that its bases name, each table once
};

// Oldest first.
Result<std::vector<GenerationSummary>> SummarizeTarget(Target* target);

}  // namespace kist
