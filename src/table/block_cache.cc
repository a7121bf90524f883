// The block cache's rings; see block_cache.h for the rules. Entries stand in plain arrays, and a
// block knows its position, so that insertion, eviction and removal are a few stores each.
// Threads: any; each function takes the mutex of one shard at a time.
#include "table/block_cache.h"

#include <algorithm>

#include "util/check.h"

namespace kist {

namespace {

uint64_t Mix(uint64_t v) { return v * 0x9e3779b97f4a7c15; }

// Evicting a little more than must be keeps most insertions from evicting and retires several
// blocks at once.
size_t EvictionTarget(size_t room) { return room - std::min<size_t>(room / 64, size_t{128} << 10); }

// Below this, chunks of 2 MiB for each size of block would be too coarse: they are small, and the
// whole budget's, as they serve what is not cached too.
constexpr size_t kLargeCapacity = size_t{48} << 20;

}  // namespace

BlockCache::BlockCache(size_t capacity_bytes, Epoch* epoch, MemoryBudget* budget)
    : epoch_(epoch),
      pool_(new BlockPool),
      budget_(RefPtr<MemoryBudget>::Share(budget)),
      capacity_(capacity_bytes) {
  LimitPool(capacity());
}

BlockCache::~BlockCache() {
  // What is left would belong to tables that still point here.
  KIST_DCHECK(used_bytes() == 0);
  pool_->Close();
}

void BlockCache::LimitPool(size_t capacity) {
  const bool small = capacity < kLargeCapacity;
  pool_->SetLimit(small && budget_ ? budget_->limit() : capacity, small);
}

unsigned BlockCache::ShardOf(const Slot* slot) {
  static_assert(kShards == 16, "four bits");
  return static_cast<unsigned>(Mix(reinterpret_cast<uintptr_t>(slot)) >> 60);
}

uint64_t BlockCache::hits() const {
  uint64_t sum = 0;
  for (const HitCounter& c : hit_counters_) sum += c.hits.load(std::memory_order_relaxed);
  return sum;
}

void BlockCache::CountHit() noexcept {
  // Threads are told apart by where their stacks lie; a shared locked counter would cost every
  // lookup more than its search, and readers of several cores most.
  static_assert(kHitCounters == 32, "five bits");
  char here;
  const uint64_t stack = reinterpret_cast<uintptr_t>(&here) >> 16;
  std::atomic<uint64_t>& hits = hit_counters_[Mix(stack) >> 59].hits;
  hits.store(hits.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

bool BlockCache::Push(Ring* ring, Slot* slot, Block* block, bool cold) noexcept {
  if (!ring->entries.Push(Entry{slot, block})) return false;
  block->ring_position_ = static_cast<uint32_t>(ring->count() - 1);
  block->cold_ = cold;
  ring->bytes += Charge(*block);
  return true;
}

// The last entry, the newest, moves to the place that becomes free. Where that is the hand's, the
// hand goes past it, so that new entries stand behind the hand as in a CLOCK of fixed size.
void BlockCache::Take(Ring* ring, size_t position) noexcept {
  ring->bytes -= Charge(*ring->at(position)->block);
  const size_t last = ring->count() - 1;
  if (position != last) {
    *ring->at(position) = *ring->at(last);
    ring->at(position)->block->ring_position_ = static_cast<uint32_t>(position);
  }
  ring->entries.Resize(last * sizeof(Entry));
  if (position == ring->hand) ++ring->hand;
  if (ring->hand >= last) ring->hand = 0;
}

// Empties the slot of an entry and takes the entry out; the cache's reference is the caller's.
Block* BlockCache::Unlink(Ring* ring, size_t position) noexcept {
  const Entry entry = *ring->at(position);
  // Release keeps nothing here; the order against readers is Epoch's (Retire is an RMW behind it).
  entry.slot->store(nullptr, std::memory_order_seq_cst);
  Take(ring, position);
  // First retired, then used no more: pairs with held_bytes.
  if (entry.block->pool() != nullptr) pool_->CountRetired(entry.block->memory_bytes());
  used_.fetch_sub(Charge(*entry.block), std::memory_order_release);
  return entry.block;
}

Block* BlockCache::Insert(Slot* slot, Block* block, bool cold) noexcept {
  const size_t charge = Charge(*block);
  size_t capacity = this->capacity();
  if (TooManyRetired(capacity)) {
    epoch_->Collect();
    capacity = this->capacity();
    if (TooManyRetired(capacity)) return nullptr;
  }
  // One block may not take more than a quarter of it all.
  if (charge > capacity / 4) {
    Trim();
    return nullptr;
  }
  Shard& shard = shards_[ShardOf(slot)];
  {
    MutexLock lock(&shard.mutex);
    Block* there = slot->load(std::memory_order_acquire);
    if (there != nullptr) return there;
    if (!Push(cold ? &shard.cold : &shard.warm, slot, block, cold)) return nullptr;
    block->Ref();
    block->touched_.store(!cold, std::memory_order_relaxed);
    // Sequentially consistent with SetCapacity: one of the two sees the other and evicts.
    used_.fetch_add(charge, std::memory_order_seq_cst);
    // Pairs with the acquire load of readers: they see the block decoded.
    slot->store(block, std::memory_order_release);
  }
  const size_t room = Room();
  if (used_bytes() > room) Evict(EvictionTarget(room));
  if (TooIdle(capacity)) Evict(0);
  return block;
}

Block* BlockCache::EvictFromCold(Shard* shard) {
  Ring* ring = &shard->cold;
  while (ring->count() != 0) {
    const size_t position = ring->hand;
    const Entry entry = *ring->at(position);
    if (!entry.block->touched_.load(std::memory_order_relaxed)) return Unlink(ring, position);
    // A lookup wanted it: it is part of the hot set, if there is memory to note that.
    entry.block->touched_.store(false, std::memory_order_relaxed);
    if (!shard->warm.entries.Reserve(sizeof(Entry))) return Unlink(ring, position);
    Take(ring, position);
    const bool pushed = Push(&shard->warm, entry.slot, entry.block, false);
    KIST_DCHECK(pushed);
    static_cast<void>(pushed);
  }
  return nullptr;
}

Block* BlockCache::EvictFromWarm(Shard* shard) {
  Ring* ring = &shard->warm;
  if (ring->count() == 0) return nullptr;
  // Two rounds at most: the first takes all second chances away (readers may give some back).
  for (size_t steps = 2 * ring->count(); steps > 0; --steps) {
    Block* block = ring->at(ring->hand)->block;
    if (!block->touched_.load(std::memory_order_relaxed)) break;
    block->touched_.store(false, std::memory_order_relaxed);
    if (++ring->hand == ring->count()) ring->hand = 0;
  }
  return Unlink(ring, ring->hand);
}

Block* BlockCache::EvictOne(Shard* shard) {
  const bool cold_first = shard->cold.bytes > shard->warm.bytes / 16;
  Block* block = cold_first ? EvictFromCold(shard) : EvictFromWarm(shard);
  if (block == nullptr) block = cold_first ? EvictFromWarm(shard) : EvictFromCold(shard);
  return block;
}

// A few from each shard in turn, wherever the last eviction ended: shards fill evenly, and one that
// had to give all that is asked would lose hot blocks while others hold cold ones.
void BlockCache::Evict(size_t target) noexcept {
  Block* chain = nullptr;
  unsigned fruitless = 0;
  while (used_bytes() > target && fruitless < kShards) {
    Shard& shard = shards_[next_shard_.fetch_add(1, std::memory_order_relaxed) % kShards];
    unsigned evicted = 0;
    MutexLock lock(&shard.mutex);
    for (; evicted < kEvictedAtOnce && used_bytes() > target; ++evicted) {
      Block* block = EvictOne(&shard);
      if (block == nullptr) break;
      block->next_retired_ = chain;
      chain = block;
    }
    evictions_.fetch_add(evicted, std::memory_order_relaxed);
    fruitless = evicted == 0 ? fruitless + 1 : 0;
  }
  Retire(chain);
}

void BlockCache::Retire(Block* chain) noexcept {
  if (chain == nullptr) return;
  epoch_->Retire(chain, [](void* first) {
    for (Block* block = static_cast<Block*>(first); block != nullptr;) {
      Block* next = block->next_retired_;
      if (BlockPool* pool = block->pool()) pool->DropRetired(block->memory_bytes());
      block->Unref();
      block = next;
    }
  });
}

void BlockCache::SetCapacity(size_t bytes) {
  capacity_.store(bytes, std::memory_order_seq_cst);
  LimitPool(capacity());
  if (used_.load(std::memory_order_seq_cst) > Room()) Evict(Room());
  if (pool_->idle_bytes() > capacity() / 4) Evict(0);
}

void BlockCache::Remove(Slot* slots, size_t count) noexcept {
  Block* chain = nullptr;
  for (size_t i = 0; i < count; ++i) {
    // Acquire: an eviction that emptied the slot is over with it before the caller frees it.
    if (slots[i].load(std::memory_order_acquire) == nullptr) continue;
    Shard& shard = shards_[ShardOf(&slots[i])];
    MutexLock lock(&shard.mutex);
    // It may have been evicted meanwhile.
    Block* block = slots[i].load(std::memory_order_relaxed);
    if (block == nullptr) continue;
    Unlink(block->cold_ ? &shard.cold : &shard.warm, block->ring_position_);
    block->next_retired_ = chain;
    chain = block;
  }
  Retire(chain);
}

}  // namespace kist
