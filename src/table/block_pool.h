// BlockPool: memory for blocks, cut from chunks. Of a large cache these are a huge page each:
// lookups reach blocks at random, and on small pages nearly each of them would wait for the address
// translation too. Of a small budget they are small, and serve blocks and read buffers outside the
// cache too: allocators keep free memory for each thread and size, a fifth of such a budget. A
// chunk holds cells of one size: eight sizes an octave, so that a cell is at most an eighth larger
// than what it holds. Blocks outside the sizes, and those for which no chunk may be added, come
// from util/alloc as all others. Invariants
//  1. reserved_bytes() is the bytes of all chunks. One is added only while that stays within the
//     limit and idle_bytes() within an eighth of it (a sixteenth, where chunks are small).
//  2. Every chunk holds a reference of its pool: blocks may outlive the cache.
//  3. loose_bytes(): blocks and read buffers in no chunk, each with a reference too.
//  4. retired_bytes(): blocks that the cache has given up and that wait for readers.
//  5. What flushes and compactions read is counted apart too: begun before, ended after all else.
//  6. A chunk without blocks goes, unless it is its size's only one with room and little is idle.
// Threads: any. A cell's size has its own mutex.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "util/mutex.h"
#include "vfs/huge_pages.h"

namespace kist {

class BlockPool {
 public:
  static constexpr size_t kLeastCell = 512;
  static constexpr size_t kMostCell = 32768;

  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  // The owner's end: no chunk is added any more; the pool goes with its last block.
  void Close() noexcept;
  // Chunks up to so many bytes; small ones serve what is not for the cache too.
  void SetLimit(size_t bytes, bool small = false) {
    small_.store(small, std::memory_order_relaxed);
    limit_.store(bytes, std::memory_order_relaxed);
  }
  bool small() const { return small_.load(std::memory_order_relaxed); }
  size_t idle_max() const {
    return limit_.load(std::memory_order_relaxed) / (small() ? kSmallIdleShare : kIdleShare);
  }

  // The cell's bytes for an object of `bytes`; 0: the pool has none for it.
  static size_t CellBytes(size_t bytes);
  // 64-byte aligned; nullptr: none for it.
  void* Allocate(size_t bytes) noexcept;
  void* AllocateLoose(size_t bytes) noexcept { return small() ? Allocate(bytes) : nullptr; }
  static void Deallocate(void* cell) noexcept;
  static BlockPool* Of(const void* cell);

  size_t reserved_bytes() const { return reserved_.load(std::memory_order_relaxed); }
  size_t live_bytes() const { return live_.load(std::memory_order_acquire); }
  void CountLoose(size_t bytes) noexcept {
    refs_.fetch_add(1, std::memory_order_relaxed);
    loose_.fetch_add(bytes, std::memory_order_release);
  }
  void DropLoose(size_t bytes) noexcept {
    loose_.fetch_sub(bytes, std::memory_order_relaxed);
    Unref();
  }
  size_t loose_bytes() const { return loose_.load(std::memory_order_acquire); }
  // Both sums only grow, so that who reads the ended one first and the begun one last never gets
  // too little.
  void BeginJob(size_t bytes) noexcept {
    refs_.fetch_add(1, std::memory_order_relaxed);
    job_begun_.fetch_add(bytes, std::memory_order_relaxed);
  }
  void EndJob(size_t bytes) noexcept {
    job_ended_.fetch_add(bytes, std::memory_order_release);
    Unref();
  }
  size_t job_begun() const { return job_begun_.load(std::memory_order_acquire); }
  size_t job_ended() const { return job_ended_.load(std::memory_order_acquire); }
  void CountRetired(size_t bytes) { retired_.fetch_add(bytes, std::memory_order_relaxed); }
  void DropRetired(size_t bytes) { retired_.fetch_sub(bytes, std::memory_order_relaxed); }
  size_t retired_bytes() const { return retired_.load(std::memory_order_acquire); }
  // What chunks take beyond the cells in use.
  size_t idle_bytes() const {
    const size_t reserved = reserved_bytes();
    const size_t live = live_bytes();
    return reserved > live ? reserved - live : 0;
  }

 private:
  static constexpr size_t kChunkBytes = kHugePageBytes;
  static constexpr size_t kSmallChunkBytes = size_t{128} << 10;
  static constexpr unsigned kSizes = 6 * 8 + 1;
  static constexpr size_t kIdleShare = 8;
  static constexpr size_t kSmallIdleShare = 16;
  struct Chunk;
  struct alignas(64) Size {
    Mutex mutex;
    // Chunks with a free cell; cells are taken from the first.
    Chunk* first KIST_GUARDED_BY(mutex) = nullptr;
    Chunk* last KIST_GUARDED_BY(mutex) = nullptr;
  };

  ~BlockPool() = default;
  void Unref() noexcept {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  static unsigned SizeOf(size_t bytes, size_t* cell);
  static Chunk* ChunkOf(const void* cell);
  Chunk* AddChunk(unsigned size, size_t cell_bytes) noexcept;
  void GiveBack(Chunk* chunk) noexcept;
  static void Link(Size* size, Chunk* chunk, bool front) KIST_REQUIRES(size->mutex);
  static void Unlink(Size* size, Chunk* chunk) KIST_REQUIRES(size->mutex);

  std::atomic<size_t> refs_{1};
  std::atomic<size_t> limit_{0};
  std::atomic<bool> small_{false};
  std::atomic<size_t> reserved_{0};
  std::atomic<size_t> live_{0};
  std::atomic<size_t> loose_{0};
  std::atomic<size_t> retired_{0};
  std::atomic<size_t> job_begun_{0};
  std::atomic<size_t> job_ended_{0};
  Size sizes_[kSizes];
};

}  // namespace kist
