// The bytes of a file in memory: chunks that copies share until one of them writes. See
// memory_vfs.h for the invariants. A write that runs out of memory changes nothing, because every
// chunk it needs is made its own before the first byte moves.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "util/alloc.h"
#include "vfs/memory_vfs.h"

namespace kist {

MemoryContent::Chunk* MemoryContent::Chunk::New() {
  void* memory = Allocate(sizeof(Chunk));
  return memory == nullptr ? nullptr : new (memory) Chunk();
}

void MemoryContent::Chunk::Unref() {
  if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) Deallocate(this);
}

size_t MemoryContent::Read(uint64_t offset, char* buf, size_t n) const {
  if (offset >= size_) return 0;
  n = static_cast<size_t>(std::min<uint64_t>(n, size_ - offset));
  for (size_t done = 0; done < n;) {
    const uint64_t at = offset + done;
    const size_t in_chunk = static_cast<size_t>(at % kChunkBytes);
    const size_t part = std::min(n - done, kChunkBytes - in_chunk);
    const size_t chunk = static_cast<size_t>(at / kChunkBytes);
    if (chunk < chunks_.size() && chunks_[chunk]) {
      std::memcpy(buf + done, chunks_[chunk]->bytes + in_chunk, part);
    } else {
      std::memset(buf + done, 0, part);
    }
    done += part;
  }
  return n;
}

// Gives this content the chunk for itself.
Status MemoryContent::MakeWritable(size_t chunk) {
  RefPtr<Chunk>& slot = chunks_[chunk];
  // Acquire: pairs with the Unref of the last other owner, whose reads must be over.
  if (slot && slot->refs.load(std::memory_order_acquire) == 1) return Status();
  Chunk* fresh = Chunk::New();
  if (fresh == nullptr) return Status::Bare(Code::kNoMem);
  if (slot) std::memcpy(fresh->bytes, slot->bytes, kChunkBytes);
  slot = RefPtr<Chunk>::Adopt(fresh);
  return Status();
}

Status MemoryContent::Write(uint64_t offset, Slice data) {
  if (data.empty()) return Status();
  constexpr uint64_t kBytesMax = uint64_t{1} << 50;
  if (offset > kBytesMax || data.size() > kBytesMax)
    return Status::FromErrno(EFBIG, "write", "memory");
  const uint64_t end = offset + data.size();
  const size_t first = static_cast<size_t>(offset / kChunkBytes);
  const size_t last = static_cast<size_t>((end - 1) / kChunkBytes);
  try {
    if (last >= chunks_.size()) chunks_.resize(last + 1);
  } catch (const std::bad_alloc&) {
    return Status::Bare(Code::kNoMem);
  }
  for (size_t c = first; c <= last; ++c) KIST_TRY(MakeWritable(c));
  for (uint64_t at = offset; at < end;) {
    const size_t in_chunk = static_cast<size_t>(at % kChunkBytes);
    const size_t part = static_cast<size_t>(std::min<uint64_t>(end - at, kChunkBytes - in_chunk));
    std::memcpy(chunks_[static_cast<size_t>(at / kChunkBytes)]->bytes + in_chunk,
                data.data() + (at - offset), part);
    at += part;
  }
  size_ = std::max(size_, end);
  return Status();
}

Status MemoryContent::Resize(uint64_t size) {
  if (size < size_) {
    const size_t keep = static_cast<size_t>((size + kChunkBytes - 1) / kChunkBytes);
    const size_t in_chunk = static_cast<size_t>(size % kChunkBytes);
    if (in_chunk != 0 && keep <= chunks_.size() && chunks_[keep - 1]) {
      KIST_TRY(MakeWritable(keep - 1));
      std::memset(chunks_[keep - 1]->bytes + in_chunk, 0, kChunkBytes - in_chunk);
    }
    if (chunks_.size() > keep) chunks_.resize(keep);
  }
  size_ = size;
  return Status();
}

uint64_t MemoryContent::NextData(uint64_t offset) const {
  if (offset >= size_) return offset;
  for (size_t c = static_cast<size_t>(offset / kChunkBytes); c < chunks_.size(); ++c) {
    if (chunks_[c]) {
      return std::min(size_, std::max<uint64_t>(offset, static_cast<uint64_t>(c) * kChunkBytes));
    }
  }
  return size_;
}

}  // namespace kist
