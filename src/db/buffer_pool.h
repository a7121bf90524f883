// BufferPool: a few large buffers kept for writers whose record does not fit their stack.
// Invariants:
//  1. At most kKept buffers of at most a 256th of the memory budget each (and 1 MiB) stay; the rest
//     go back to the allocator.
//  2. Every buffer counts in the budget, from Take until its lease goes.
// Threads: any.
#pragma once

#include <algorithm>

#include "util/alloc.h"
#include "util/memory_budget.h"
#include "util/mutex.h"

namespace kist {

class BufferPool {
 public:
  struct Lease {
    Buffer buffer;
    size_t bytes = 0;
    MemoryCharge charge;
    char* data() const { return buffer.get(); }
  };
  explicit BufferPool(MemoryBudget* budget) : budget_(budget) {}
  // An empty lease where there is no memory.
  Lease Take(size_t bytes) {
    {
      MutexLock lock(&mutex_);
      for (Lease& kept : kept_) {
        if (kept.bytes >= bytes) {
          Lease lease = std::move(kept);
          kept.bytes = 0;
          return lease;
        }
      }
    }
    const size_t rounded = (bytes + 4095) & ~size_t{4095};
    Lease lease;
    lease.buffer = AllocateBuffer(rounded);
    lease.bytes = lease.buffer == nullptr ? 0 : rounded;
    lease.charge = MemoryCharge(budget_, MemoryBudget::kBuffers, lease.bytes);
    return lease;
  }
  void Give(Lease lease) {
    if (lease.bytes == 0 || lease.bytes > std::min(kLargestKept, budget_->limit() / 256)) return;
    MutexLock lock(&mutex_);
    Lease* smallest = &kept_[0];
    for (Lease& kept : kept_) {
      if (kept.bytes < smallest->bytes) smallest = &kept;
    }
    if (smallest->bytes < lease.bytes) std::swap(*smallest, lease);
  }

 private:
  static constexpr size_t kLargestKept = size_t{1} << 20;
  static constexpr int kKept = 8;
  MemoryBudget* const budget_;  // outlives the pool
  Mutex mutex_;
  Lease kept_[kKept] KIST_GUARDED_BY(mutex_);
};

}  // namespace kist
