// BlockCache: bounds the memory of cached blocks of all tables. A table finds its cached block through its own array of atomic
// pointers (index position -> Block), not through a hash table; the cache knows the slots that are filled and evicts by CLOCK over
// them. Blocks read with fill_cache = false enter nothing. A scan's blocks enter cold (no second chance), so that scans do not push
// out the hot set.
// Invariant: a block is unlinked from its slot first and its cache reference is dropped through Epoch::Retire, so that a reader inside
// an Epoch::Guard may use what it loaded from a slot without a reference.
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>

#include "table/block.h"
#include "util/epoch.h"

namespace kist {

class BlockCache {
 public:
  BlockCache(size_t capacity_bytes, Epoch* epoch);
  ~BlockCache();
  void SetCapacity(size_t bytes);  // evicts down to it
  size_t capacity() const;
  size_t used_bytes() const;
  uint64_t hits() const;
  uint64_t misses() const;
  uint64_t evictions() const;
  // (the rest is the table room's own)
};

}  // namespace kist
