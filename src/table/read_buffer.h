// ReadBuffer: the stored bytes of several blocks, read by one call; blocks that point into it keep
// it alive.
// Threads: filled by one; then any.
#pragma once

#include <new>

#include "table/block.h"
#include "table/block_pool.h"
#include "util/alloc.h"
#include "util/ref.h"

namespace kist {

class ReadBuffer final : public BlockBytes {
 public:
  // Padded as Block asks, counted by the pool where there is one; empty: no memory.
  static RefPtr<ReadBuffer> New(size_t bytes, BlockPool* pool, BlockUse use) noexcept {
    const size_t whole = bytes + kBlockPadding;
    BlockPool* const job_pool = use == BlockUse::kJob ? pool : nullptr;
    if (job_pool != nullptr) job_pool->BeginJob(whole);
    void* memory = pool == nullptr ? nullptr : pool->AllocateLoose(whole);
    const bool cell = memory != nullptr;
    if (!cell) memory = AllocateSized(whole);
    ReadBuffer* buffer = nullptr;
    if (memory != nullptr) {
      buffer = new (std::nothrow) ReadBuffer(static_cast<char*>(memory), bytes, pool, cell);
      if (buffer == nullptr) cell ? BlockPool::Deallocate(memory) : DeallocateSized(memory, whole);
    }
    if (buffer != nullptr) {
      buffer->job_pool_ = job_pool;
    } else if (job_pool != nullptr) {
      job_pool->EndJob(whole);
    }
    return RefPtr<ReadBuffer>::Adopt(buffer);
  }
  char* data() { return memory_; }
  size_t capacity() const { return capacity_; }

 private:
  ReadBuffer(char* memory, size_t bytes, BlockPool* pool, bool cell)
      : memory_(memory), capacity_(bytes), pool_(pool), cell_(cell) {
    if (pool_ != nullptr && !cell_) pool_->CountLoose(capacity_);
  }
  ~ReadBuffer() override {
    cell_ ? BlockPool::Deallocate(memory_) : DeallocateSized(memory_, capacity_ + kBlockPadding);
    if (pool_ != nullptr && !cell_) pool_->DropLoose(capacity_);
    if (job_pool_ != nullptr) job_pool_->EndJob(capacity_ + kBlockPadding);
  }
  char* const memory_;
  const size_t capacity_;
  BlockPool* const pool_;
  const bool cell_;                // of the pool, which counts it
  BlockPool* job_pool_ = nullptr;  // which counts it apart too
};

}  // namespace kist
