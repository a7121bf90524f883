// MemoryBudget: what one database may take of memory, and what each part of it takes now. The parts
// add and take away where they allocate, which no read of cached data does; the block cache takes
// what they leave, so that it gives way when one of them grows.
//
//   limit = reserve + memtables + held + tables + buffers + jobs + blocks outside the cache + cache
//
// The reserve: code, stacks, small objects, the allocator's rests. Memtables count with all that
// there may be at a time, so that the cache does not move with every one that fills.
// Invariants
//  1. What handles hold (iterators, transactions, pinned blocks, memtables and tables that handles
//     alone keep) is refused beyond a quarter of the limit; where the other parts leave less,
//     beyond that, but never up to an eighth or 4 MiB: Admits() says so before it grows. Memtables
//     count twice there: those of now may be held when they are flushed, while new ones fill.
//  2. The numbers are independent relaxed counters: a reader may see one change without another.
// Threads: any. It is counted: blocks and memtables that pins hold outlive their database.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "util/ref.h"

namespace kist {

class MemoryBudget {
 public:
  enum Part {
    kMemtables,     // of the newest view
    kOldMemtables,  // flushed, but held by iterators and pins
    kTables,        // indexes, filters, slots, range tombstones
    kOldTables,     // the same of tables that no version lists: held by iterators
    kIterators,
    kTransactions,
    kBuffers,  // of writers and the log
    kJobs,     // flushes and compactions
    kParts,
  };

  explicit MemoryBudget(size_t limit = SIZE_MAX) { SetLimit(limit, 0); }
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  // memtables_max: what all memtables may take together, counted whether they do or not.
  void SetLimit(size_t limit, size_t memtables_max) {
    limit_.store(limit, std::memory_order_relaxed);
    memtables_max_.store(memtables_max, std::memory_order_relaxed);
  }
  size_t limit() const { return limit_.load(std::memory_order_relaxed); }
  size_t reserve() const {
    return std::min(limit() / 4, size_t{16} << 20) + std::min(limit() / 16, size_t{24} << 20);
  }

  void Add(Part part, size_t bytes) {
    used_[part].fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  }
  void Sub(Part part, size_t bytes) {
    used_[part].fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  }
  size_t used(Part part) const {
    const int64_t bytes = used_[part].load(std::memory_order_relaxed);
    return bytes > 0 ? static_cast<size_t>(bytes) : 0;
  }

  // `loose` below: bytes of blocks that are not, or no longer, in the cache.

  // What handles hold, and the most they may.
  size_t Held(size_t loose) const {
    return loose + used(kOldMemtables) + used(kOldTables) + used(kIterators) + used(kTransactions);
  }
  size_t HeldMax() const {
    const size_t others = Fixed() + used(kMemtables) + used(kTables);
    const size_t least = std::max(limit() / 8, size_t{4} << 20);
    return std::max(std::min(limit() / 4, Left(others)), least);
  }
  bool Admits(size_t bytes, size_t loose) const { return Held(loose) + bytes <= HeldMax(); }
  // What is left for cached blocks.
  size_t CacheRoom(size_t loose) const { return Left(OtherThanTables(loose) + used(kTables)); }
  // What open tables may take: three quarters of what they share with the cache, and never less
  // than an eighth of the limit: those of twelve limits of data, about, which are opened again and
  // again where they do not fit.
  size_t TablesMax(size_t loose) const {
    return std::max(Left(OtherThanTables(loose)) / 4 * 3, limit() / 8);
  }
  // All that is counted, memtables as they are.
  size_t Used(size_t loose, size_t cached) const {
    size_t sum = loose + cached;
    for (int part = 0; part < kParts; ++part) sum += used(static_cast<Part>(part));
    return sum;
  }

 private:
  ~MemoryBudget() = default;
  size_t Fixed() const {
    const size_t memtables =
        std::max(used(kMemtables), memtables_max_.load(std::memory_order_relaxed));
    return reserve() + memtables + used(kBuffers) + used(kJobs);
  }
  size_t OtherThanTables(size_t loose) const { return Fixed() + Held(loose); }
  size_t Left(size_t taken) const { return limit() - std::min(limit(), taken); }

  std::atomic<uint32_t> refs_{1};
  std::atomic<size_t> limit_{SIZE_MAX};
  std::atomic<size_t> memtables_max_{0};
  std::atomic<int64_t> used_[kParts] = {};
};

// Bytes that one owner counts in a budget, until it goes. Threads: the owner's.
class MemoryCharge {
 public:
  MemoryCharge() = default;
  MemoryCharge(MemoryBudget* budget, MemoryBudget::Part part, size_t bytes)
      : budget_(RefPtr<MemoryBudget>::Share(budget)), part_(part) {
    Set(bytes);
  }
  MemoryCharge(MemoryCharge&& o) noexcept
      : budget_(std::move(o.budget_)), part_(o.part_), bytes_(std::exchange(o.bytes_, 0)) {}
  MemoryCharge& operator=(MemoryCharge&& o) noexcept {
    std::swap(budget_, o.budget_);
    std::swap(part_, o.part_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  ~MemoryCharge() { Set(0); }
  void Set(size_t bytes) {
    if (bytes == bytes_ || !budget_) return;
    if (bytes > bytes_) budget_->Add(part_, bytes - bytes_);
    if (bytes < bytes_) budget_->Sub(part_, bytes_ - bytes);
    bytes_ = bytes;
  }
  size_t bytes() const { return bytes_; }

 private:
  RefPtr<MemoryBudget> budget_;
  MemoryBudget::Part part_ = MemoryBudget::kBuffers;
  size_t bytes_ = 0;
};

}  // namespace kist
