// Chunks and cells of the block pool; see block_pool.h. A cell's chunk is found by masking its
// address, so that freeing needs nothing but the cell; small chunks begin where large ones would.
// Threads: any; each function takes the mutex of one size at a time.
#include "table/block_pool.h"

#include <new>

#include "util/alloc.h"
#include "util/check.h"

namespace kist {

// Stands at the chunk's first bytes.
struct BlockPool::Chunk {
  BlockPool* pool;
  Chunk* next;
  Chunk* previous;
  void* free_cells;  // freed ones, linked through their first bytes
  uint32_t cell_bytes;
  uint32_t cells;
  uint32_t untouched;  // cells from here on were never handed out
  uint32_t live;
  uint32_t bytes;
  uint16_t size;
  bool linked;
};

namespace {

constexpr size_t kChunkHead = 64;
// Added to every size: cells of 4096 bytes would lay the lines that each lookup reads first into
// the same few sets of the processor's cache.
constexpr size_t kSkew = 64;

}  // namespace

unsigned BlockPool::SizeOf(size_t bytes, size_t* cell) {
  static_assert(sizeof(Chunk) <= kChunkHead, "cells begin at the second cache line");
  bytes -= kSkew;
  if (bytes <= kLeastCell) {
    *cell = kLeastCell + kSkew;
    return 0;
  }
  // For 2^k < bytes <= 2^(k + 1): steps of 2^(k - 3).
  const unsigned log = 63 - static_cast<unsigned>(__builtin_clzll(bytes - 1));
  const unsigned shift = log - 3;
  const size_t steps = ((bytes - 1) >> shift) + 1;  // 9 to 16
  *cell = (steps << shift) + kSkew;
  return (log - 9) * 8 + static_cast<unsigned>(steps - 8);
}

size_t BlockPool::CellBytes(size_t bytes) {
  if (bytes < kLeastCell / 2 || bytes > kMostCell + kSkew) return 0;
  size_t cell;
  SizeOf(bytes, &cell);
  return cell;
}

void BlockPool::Link(Size* size, Chunk* chunk, bool front) {
  chunk->linked = true;
  chunk->next = front ? size->first : nullptr;
  chunk->previous = front ? nullptr : size->last;
  (chunk->next == nullptr ? size->last : chunk->next->previous) = chunk;
  (chunk->previous == nullptr ? size->first : chunk->previous->next) = chunk;
}

void BlockPool::Unlink(Size* size, Chunk* chunk) {
  chunk->linked = false;
  (chunk->next == nullptr ? size->last : chunk->next->previous) = chunk->previous;
  (chunk->previous == nullptr ? size->first : chunk->previous->next) = chunk->next;
}

BlockPool::Chunk* BlockPool::AddChunk(unsigned size, size_t cell_bytes) noexcept {
  const size_t limit = limit_.load(std::memory_order_relaxed);
  const size_t bytes = small() ? kSmallChunkBytes : kChunkBytes;
  if (idle_bytes() + bytes > idle_max()) return nullptr;
  if (reserved_.fetch_add(bytes, std::memory_order_relaxed) + bytes > limit) {
    reserved_.fetch_sub(bytes, std::memory_order_relaxed);
    return nullptr;
  }
  void* memory = AllocatePages(bytes, kChunkBytes);
  if (memory == nullptr) {
    reserved_.fetch_sub(bytes, std::memory_order_relaxed);
    return nullptr;
  }
  if (bytes == kHugePageBytes) AdviseHugePages(memory, bytes);
  refs_.fetch_add(1, std::memory_order_relaxed);
  const uint32_t cells = static_cast<uint32_t>((bytes - kChunkHead) / cell_bytes);
  return new (memory) Chunk{this,
                            nullptr,
                            nullptr,
                            nullptr,
                            static_cast<uint32_t>(cell_bytes),
                            cells,
                            0,
                            0,
                            static_cast<uint32_t>(bytes),
                            static_cast<uint16_t>(size),
                            false};
}

void BlockPool::GiveBack(Chunk* chunk) noexcept {
  const size_t bytes = chunk->bytes;
  DeallocatePages(chunk, bytes);
  reserved_.fetch_sub(bytes, std::memory_order_relaxed);
  Unref();
}

void* BlockPool::Allocate(size_t bytes) noexcept {
  if (CellBytes(bytes) == 0) return nullptr;
  size_t cell_bytes;
  const unsigned number = SizeOf(bytes, &cell_bytes);
  Size& size = sizes_[number];
  MutexLock lock(&size.mutex);
  if (size.first == nullptr) {
    Chunk* added = AddChunk(number, cell_bytes);
    if (added == nullptr) return nullptr;
    Link(&size, added, true);
  }
  Chunk* chunk = size.first;
  void* cell = chunk->free_cells;
  if (cell != nullptr) {
    chunk->free_cells = *static_cast<void**>(cell);
  } else {
    cell = reinterpret_cast<char*>(chunk) + kChunkHead + cell_bytes * chunk->untouched++;
  }
  if (++chunk->live == chunk->cells) Unlink(&size, chunk);
  live_.fetch_add(cell_bytes, std::memory_order_release);
  return cell;
}

BlockPool::Chunk* BlockPool::ChunkOf(const void* cell) {
  static_assert((kChunkBytes & (kChunkBytes - 1)) == 0, "chunks are found by masking");
  return reinterpret_cast<Chunk*>(reinterpret_cast<uintptr_t>(cell) & ~uintptr_t{kChunkBytes - 1});
}

BlockPool* BlockPool::Of(const void* cell) { return ChunkOf(cell)->pool; }

void BlockPool::Deallocate(void* cell) noexcept {
  Chunk* chunk = ChunkOf(cell);
  BlockPool* pool = chunk->pool;
  Size& size = pool->sizes_[chunk->size];
  bool empty;
  {
    MutexLock lock(&size.mutex);
    *static_cast<void**>(cell) = chunk->free_cells;
    chunk->free_cells = cell;
    pool->live_.fetch_sub(chunk->cell_bytes, std::memory_order_relaxed);
    // Behind the others: fuller chunks are filled first, and this one may empty.
    if (!chunk->linked) Link(&size, chunk, false);
    const bool only = size.first == chunk && size.last == chunk;
    empty = --chunk->live == 0 && (!only || pool->idle_bytes() > pool->idle_max());
    if (empty) Unlink(&size, chunk);
  }
  if (empty) pool->GiveBack(chunk);
}

void BlockPool::Close() noexcept {
  SetLimit(0);
  for (Size& size : sizes_) {
    Chunk* empty = nullptr;
    {
      // After the mutex was held here, Deallocate sees the limit and gives back the last one.
      MutexLock lock(&size.mutex);
      for (Chunk* c = size.first; c != nullptr; c = c->next) empty = c->live == 0 ? c : empty;
      if (empty != nullptr) Unlink(&size, empty);
    }
    if (empty != nullptr) GiveBack(empty);
  }
  Unref();
}

}  // namespace kist
