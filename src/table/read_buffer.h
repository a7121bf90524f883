// ReadBuffer: the stored bytes of several blocks, read by one call; blocks that point into it keep
// it alive.
// Threads: filled by one; then any.
#pragma once

#include <new>

#include "table/block.h"
#include "util/alloc.h"
#include "util/ref.h"

namespace kist {

class ReadBuffer final : public BlockBytes {
 public:
  // Padded as Block asks; empty: no memory.
  static RefPtr<ReadBuffer> New(size_t bytes) noexcept {
    Buffer memory = AllocateBuffer(bytes + kBlockPadding);
    if (memory == nullptr) return RefPtr<ReadBuffer>();
    return RefPtr<ReadBuffer>::Adopt(new (std::nothrow) ReadBuffer(std::move(memory), bytes));
  }
  char* data() { return memory_.get(); }
  size_t capacity() const { return capacity_; }

 private:
  ReadBuffer(Buffer memory, size_t bytes) : memory_(std::move(memory)), capacity_(bytes) {}
  Buffer memory_;
  const size_t capacity_;
};

}  // namespace kist
