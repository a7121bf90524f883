// BlockCache: bounds the memory of cached blocks of all tables. A table finds its cached block
// through its own array of atomic pointers (slot: index position -> Block), not through a hash
// table; the cache knows which slots are filled and evicts by CLOCK over them.
//
// Invariants
//  1. A slot is filled and emptied under the mutex of its shard, so it holds a block exactly while
//     a ring of the shard has it, and the cache owns one reference of it.
//  2. A block is unlinked from its slot first and its reference is dropped through Epoch::Retire,
//     so that a reader inside an Epoch::Guard may use what it loaded from a slot without one.
//  3. used_bytes() is the sum of memory_bytes() of the cached blocks plus kEntryBytes for each; it
//     is above the capacity only between an insertion and the end of the same call.
// Threads: any. One shard mutex is held at a time, and nothing is called under it.
#pragma once

#include <atomic>
#include <cstdint>

#include "table/block.h"
#include "table/grow_buffer.h"
#include "util/epoch.h"
#include "util/mutex.h"

namespace kist {

class BlockCache {
 public:
  using Slot = std::atomic<Block*>;
  static constexpr size_t kEntryBytes = 16;

  // The epoch outlives the cache; all tables are gone before it.
  BlockCache(size_t capacity_bytes, Epoch* epoch);
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  void SetCapacity(size_t bytes);  // evicts down to it
  size_t capacity() const { return capacity_.load(std::memory_order_relaxed); }
  size_t used_bytes() const { return used_.load(std::memory_order_relaxed); }
  // Block reads answered by the cache. Counted without locked instructions: threads that share a
  // counter may lose some.
  uint64_t hits() const;
  uint64_t misses() const { return misses_.load(std::memory_order_relaxed); }
  uint64_t evictions() const { return evictions_.load(std::memory_order_relaxed); }
  Epoch* epoch() const { return epoch_; }

  // ---- for tables; callers of Insert are inside a guard of epoch()

  // Fills the empty slot with `block`, of which the cache takes a reference of its own. Returns
  // what the slot then holds (another thread's block, where that came first), or nullptr where
  // the cache does not take it: capacity too small, no memory.
  Block* Insert(Slot* slot, Block* block, bool cold) noexcept;
  // Empties the slots of a table that nobody reads any more.
  void Remove(Slot* slots, size_t count) noexcept;
  void CountHit() noexcept;
  void CountMiss() noexcept { misses_.fetch_add(1, std::memory_order_relaxed); }

 private:
  static constexpr unsigned kShards = 16;
  static constexpr unsigned kEvictedAtOnce = 2;
  static constexpr unsigned kHitCounters = 32;
  struct Entry {
    Slot* slot;
    Block* block;
  };
  static_assert(sizeof(Entry) == kEntryBytes, "what used_bytes() charges");
  struct Ring {
    GrowBuffer entries;
    size_t hand = 0;
    size_t bytes = 0;
    size_t count() const { return entries.size() / sizeof(Entry); }
    Entry* at(size_t i) { return reinterpret_cast<Entry*>(entries.data()) + i; }
  };
  // Blocks that a lookup or a seek asked for enter the warm ring with a second chance. Blocks that
  // a scan runs over enter the cold ring, which gives way first once it is more than a sixteenth of
  // the warm one: a scan of any length cannot push out the hot set. A cold block that a lookup
  // touched moves to the warm ring instead.
  struct alignas(64) Shard {
    Mutex mutex;
    Ring warm KIST_GUARDED_BY(mutex);
    Ring cold KIST_GUARDED_BY(mutex);
  };
  struct alignas(64) HitCounter {
    std::atomic<uint64_t> hits{0};
  };

  static size_t Charge(const Block& block) { return block.memory_bytes() + kEntryBytes; }
  static unsigned ShardOf(const Slot* slot);
  static bool Push(Ring* ring, Slot* slot, Block* block, bool cold) noexcept;
  static void Take(Ring* ring, size_t position) noexcept;
  Block* Unlink(Ring* ring, size_t position) noexcept;
  Block* EvictOne(Shard* shard) KIST_REQUIRES(shard->mutex);
  Block* EvictFromCold(Shard* shard) KIST_REQUIRES(shard->mutex);
  Block* EvictFromWarm(Shard* shard) KIST_REQUIRES(shard->mutex);
  void Evict(size_t target) noexcept;
  void Retire(Block* chain) noexcept;

  // Constant after construction.
  Epoch* const epoch_;
  // Self-synchronised.
  std::atomic<size_t> capacity_;
  std::atomic<size_t> used_{0};
  std::atomic<uint64_t> misses_{0};
  std::atomic<uint64_t> evictions_{0};
  std::atomic<unsigned> next_shard_{0};
  Shard shards_[kShards];
  HitCounter hit_counters_[kHitCounters];
};

}  // namespace kist
