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
//     is above Room(), hence above the capacity, only until the insertion that made it so ends.
//  4. Blocks that were evicted and wait for a reader that stands still stay near an eighth of the
//     cache: beyond, nothing is inserted. Otherwise they would take the cache's room, so that each
//     insertion evicts more of it, until nothing is left, and nobody to collect them.
// Threads: any. One shard mutex is held at a time, and nothing is called under it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "table/block.h"
#include "table/block_pool.h"
#include "table/grow_buffer.h"
#include "util/epoch.h"
#include "util/memory_budget.h"
#include "util/mutex.h"

namespace kist {

class BlockCache {
 public:
  using Slot = std::atomic<Block*>;
  static constexpr size_t kEntryBytes = 16;

  // The epoch outlives the cache; all tables are gone before it. With a budget the cache takes no
  // more than that leaves, whatever its capacity.
  BlockCache(size_t capacity_bytes, Epoch* epoch, MemoryBudget* budget = nullptr);
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  void SetCapacity(size_t bytes);  // evicts down to it
  size_t capacity() const {
    const size_t capacity = capacity_.load(std::memory_order_seq_cst);
    return budget_ ? std::min(capacity, budget_->CacheRoom(loose_bytes())) : capacity;
  }
  // The budget's other parts have grown: gives way, with the memory that evictions before have left
  // in chunks that are still in use, too.
  void Trim() noexcept {
    const size_t capacity = this->capacity();
    const size_t room = capacity - std::min(pool_->idle_bytes(), capacity / 2);
    if (used_bytes() > room) Evict(room);
  }
  // Blocks and read buffers outside the cache: of pins, iterators and running reads.
  size_t loose_bytes() const {
    const size_t all = pool_->live_bytes() + pool_->loose_bytes();
    return all - std::min(all, used_bytes());
  }
  // Of these, what flushes and compactions are reading.
  size_t job_bytes() const {
    const size_t ended = pool_->job_ended();
    return pool_->job_begun() - ended;
  }
  // Of these, without that, and without what was evicted and goes as soon as running reads are
  // over: a compaction retires all that was cached of its inputs at once, and no handle is to blame
  // for that. Never too much, whatever other threads do meanwhile; hence the order.
  size_t held_bytes() const {
    const size_t used = used_.load(std::memory_order_acquire);
    const size_t retired = pool_->retired_bytes();
    const size_t job_ended = pool_->job_ended();
    const size_t all = pool_->live_bytes() + pool_->loose_bytes();
    const size_t jobs = pool_->job_begun() - job_ended;
    return all - std::min(all, used + retired + jobs);
  }
  size_t used_bytes() const { return used_.load(std::memory_order_relaxed); }
  // Block reads answered by the cache. Counted without locked instructions: threads that share a
  // counter may lose some.
  uint64_t hits() const;
  uint64_t misses() const { return misses_.load(std::memory_order_relaxed); }
  uint64_t evictions() const { return evictions_.load(std::memory_order_relaxed); }
  // Of cached blocks and of what their memory takes beyond them.
  size_t memory_bytes() const { return used_bytes() + pool_->idle_bytes(); }
  Epoch* epoch() const { return epoch_; }

  // ---- for tables; callers of Insert are inside a guard of epoch()

  // Fills the empty slot with `block`, of which the cache takes a reference of its own. Returns
  // what the slot then holds (another thread's block, where that came first), or nullptr where
  // the cache does not take it: capacity too small, too much waits for readers, no memory.
  Block* Insert(Slot* slot, Block* block, bool cold) noexcept;
  // Empties the slots of a table that nobody reads any more.
  void Remove(Slot* slots, size_t count) noexcept;
  // Memory for blocks that are to be inserted.
  BlockPool* pool() const { return pool_; }
  void CountHit() noexcept;
  void CountMiss() noexcept { misses_.fetch_add(1, std::memory_order_relaxed); }

 private:
  static constexpr unsigned kShards = 16;
  static constexpr unsigned kEvictedAtOnce = 2;
  static constexpr unsigned kHitCounters = 32;
  static constexpr size_t kRetiredShare = 8;
  static constexpr size_t kRetiredLeast = size_t{64} << 10;
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

  // What blocks may take: the capacity less what the pool holds idle, as far as an eighth. More is
  // idle after a compaction, whose inputs' blocks go at once, until others take their cells. Where
  // none do, because the sizes of blocks have changed or the capacity has, few blocks are spread
  // over many large chunks: when these and what is idle take an eighth more than all, the cache
  // begins again.
  size_t Room() const {
    const size_t capacity = this->capacity();
    return capacity - std::min(pool_->idle_bytes(), capacity / 8);
  }
  bool TooIdle(size_t capacity) const {
    return !pool_->small() && pool_->idle_bytes() > capacity / 4 &&
           memory_bytes() > capacity + capacity / 8;
  }
  bool TooManyRetired(size_t capacity) const {
    return pool_->retired_bytes() > std::max(capacity / kRetiredShare, kRetiredLeast);
  }
  void LimitPool(size_t capacity);

  // Constant after construction.
  Epoch* const epoch_;
  BlockPool* const pool_;
  const RefPtr<MemoryBudget> budget_;
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
