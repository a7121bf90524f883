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
  static RefPtr<ReadBuffer> New(size_t bytes, BlockPool* pool) noexcept {
    char* memory = static_cast<char*>(AllocateSized(bytes + kBlockPadding));
    if (memory == nullptr) return RefPtr<ReadBuffer>();
    auto* buffer = new (std::nothrow) ReadBuffer(memory, bytes, pool);
    if (buffer == nullptr) DeallocateSized(memory, bytes + kBlockPadding);
    return RefPtr<ReadBuffer>::Adopt(buffer);
  }
  char* data() { return memory_; }
  size_t capacity() const { return capacity_; }

 private:
  ReadBuffer(char* memory, size_t bytes, BlockPool* pool)
      : memory_(memory), capacity_(bytes), pool_(pool) {
    if (pool_ != nullptr) pool_->CountLoose(capacity_);
  }
  ~ReadBuffer() override {
    DeallocateSized(memory_, capacity_ + kBlockPadding);
    if (pool_ != nullptr) pool_->DropLoose(capacity_);
  }
  char* const memory_;
  const size_t capacity_;
  BlockPool* const pool_;
};

}  // namespace kist
