// ChunkReserve: one chunk of a memtable, touched ahead of time by a thread of the background. The
// system zeroes a huge page at its first touch: 0.3 ms and more, which the writer that happens to
// need a chunk would stand still for, an eighth of all its time where keys come in order.
// Invariants: at most one chunk waits, and none before the first was taken, so that a database that
// is not written, or little, holds none. Without one Take returns nullptr, and who needs memory
// takes it from the system.
// Threads: Take by one writer at a time; Fill by one other thread.
#pragma once

#include <atomic>
#include <functional>
#include <utility>

#include "util/alloc.h"
#include "util/memory_budget.h"
#include "vfs/huge_pages.h"

namespace kist {

class ChunkReserve {
 public:
  static constexpr size_t kBytes = kHugePageBytes;
  // wake: called by Take, whose thread holds no lock of the caller's; it sees to it that Fill is
  // called.
  ChunkReserve(MemoryBudget* budget, std::function<void()> wake)
      : budget_(budget), wake_(std::move(wake)) {}
  ~ChunkReserve();
  ChunkReserve(const ChunkReserve&) = delete;
  ChunkReserve& operator=(const ChunkReserve&) = delete;

  // kBytes of AllocatePages at a multiple of kHugePageBytes, the caller's from now on; or nullptr.
  void* Take() noexcept;
  // Where a chunk was taken since: makes the next ready. Failing is fine.
  void Fill() noexcept;

 private:
  MemoryBudget* const budget_;
  const std::function<void()> wake_;
  std::atomic<void*> ready_{nullptr};
  std::atomic<bool> wanted_{false};
};

}  // namespace kist
