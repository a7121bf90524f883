// The chunk that waits for the next writer in need: made by the background, taken by the writer.
// What waits counts as memtables in the budget. See chunk_reserve.h.
// Threads: one that takes, one that fills.
#include "memtable/chunk_reserve.h"

#include <cstring>

namespace kist {

ChunkReserve::~ChunkReserve() {
  void* left = ready_.load(std::memory_order_acquire);
  if (left == nullptr) return;
  DeallocatePages(left, kBytes);
  if (budget_ != nullptr) budget_->Sub(MemoryBudget::kMemtables, kBytes);
}

void* ChunkReserve::Take() noexcept {
  void* chunk = ready_.exchange(nullptr, std::memory_order_acquire);
  if (chunk != nullptr && budget_ != nullptr) budget_->Sub(MemoryBudget::kMemtables, kBytes);
  wanted_.store(true, std::memory_order_relaxed);
  wake_();
  return chunk;
}

void ChunkReserve::Fill() noexcept {
  if (!wanted_.exchange(false, std::memory_order_relaxed)) return;
  if (ready_.load(std::memory_order_relaxed) != nullptr) return;
  void* chunk = AllocatePages(kBytes, kHugePageBytes);
  if (chunk == nullptr) return;
  AdviseHugePages(chunk, kBytes);
  std::memset(chunk, 0, kBytes);
  if (budget_ != nullptr) budget_->Add(MemoryBudget::kMemtables, kBytes);
  ready_.store(chunk, std::memory_order_release);
}

}  // namespace kist
