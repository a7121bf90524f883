// Chunks of a memtable: where they come from and how two of them are filled at once. Large ones
// begin at a huge page. See twin_arena.h.
// Threads: one writer.
#include "memtable/twin_arena.h"

#include <cstring>
#include <utility>

#include "util/check.h"
#include "vfs/huge_pages.h"

namespace kist {

ChunkSource::~ChunkSource() {
  for (Chunk* c = chunks_; c != nullptr;) {
    Chunk* next = c->next;
    c->pages_bytes != 0 ? DeallocatePages(c, c->pages_bytes) : Deallocate(c);
    c = next;
  }
}

char* ChunkSource::NewChunk(size_t bytes) noexcept {
  const size_t whole = bytes + kHead;
  if (whole < bytes) return nullptr;
  // Another thread frees them than took them: an allocator would keep their memory for the taker.
  const bool pages = whole >= kPagesFrom;
  const bool huge = whole >= kHugePageBytes;
  void* memory = nullptr;
  if (whole == ChunkReserve::kBytes && reserve_ != nullptr) memory = reserve_->Take();
  const bool ready = memory != nullptr;
  if (!ready)
    memory = !pages ? AllocateAligned(whole, kAlign)
                    : AllocatePages(whole, huge ? kHugePageBytes : kPagesFrom);
  if (memory == nullptr) return nullptr;
  if (huge && !ready) AdviseHugePages(memory, whole);
  Chunk* chunk = static_cast<Chunk*>(memory);
  chunk->next = chunks_;
  chunk->pages_bytes = pages ? whole : 0;
  chunks_ = chunk;
  memory_bytes_.store(memory_bytes_.load(std::memory_order_relaxed) + whole,
                      std::memory_order_relaxed);
  charge_.Set(memory_bytes());
  return static_cast<char*>(memory) + kHead;
}

bool ChunkSource::Preallocate(size_t bytes) noexcept {
  bytes = (bytes + kHugePageBytes - 1) & ~(kHugePageBytes - 1);
  bytes -= kHead;
  ready_ = NewChunk(bytes);
  if (ready_ == nullptr) return false;
  std::memset(ready_, 0, bytes);
  ready_bytes_ = bytes;
  return true;
}

char* ChunkSource::Take(size_t bytes) noexcept {
  if (bytes > ready_bytes_) return NewChunk(bytes);
  char* p = ready_;
  ready_ += bytes;
  ready_bytes_ -= bytes;
  return p;
}

bool TwinArena::AddChunk(size_t bytes) noexcept {
  constexpr size_t kAlign = ChunkSource::kAlign;
  const size_t rounded = (bytes + kAlign - 1) & ~(kAlign - 1);
  if (rounded < bytes) return false;
  const size_t usual = next_chunk_ - ChunkSource::kHead;
  const size_t size = rounded > usual ? rounded : usual;
  char* p = source_->Take(size);
  if (p == nullptr) return false;
  // The smaller rest is given up; the larger one is filled first from now on.
  if (bins_[0].room < bins_[1].room) std::swap(bins_[0], bins_[1]);
  Count(bins_[1].room);
  bins_[1] = {p, size};
  if (next_chunk_ < max_chunk_) next_chunk_ *= 2;
  return true;
}

TwinArena::Bin* TwinArena::AddChunkOrEnd(size_t bytes) noexcept {
  if (!AddChunk(bytes)) CheckFailed(__FILE__, __LINE__, "allocations stay within a reservation");
  return &bins_[1];
}

}  // namespace kist
