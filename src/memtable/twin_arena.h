// TwinArena: bump memory that fills two chunks at once, so that a reservation needs one contiguous
// room, and yet what is left of the older chunk goes on being filled with what fits. The chunks of
// all arenas of a memtable come from one ChunkSource, which may own memory that was touched in
// advance.
// Invariants:
//  1. Memory handed out never moves and lives until the source dies.
//  2. After Reserve(n) returned true, n bytes in all can be allocated: one bin alone has
//     room for all of them, and what the other takes makes that only easier. After ReservePieces
//     both bins together have room, less one piece each, which is what may be left over at the end
//     of a bin.
//  3. used_bytes counts what was handed out and the rests of chunks that were given up.
// Threads: one writer; the byte counts by any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "memtable/chunk_reserve.h"
#include "util/alloc.h"
#include "util/memory_budget.h"

namespace kist {

class ChunkSource {
 public:
  static constexpr size_t kAlign = 64;
  static constexpr size_t kHead = 64;  // what a chunk takes beside its payload
  // What it takes counts as memtables in the budget, where there is one. Chunks of the size that
  // the reserve has are taken from there first, where there is one.
  explicit ChunkSource(MemoryBudget* budget = nullptr, ChunkReserve* reserve = nullptr)
      : budget_(budget), reserve_(reserve), charge_(budget, MemoryBudget::kMemtables, 0) {}
  ~ChunkSource();
  ChunkSource(const ChunkSource&) = delete;
  ChunkSource& operator=(const ChunkSource&) = delete;

  // Takes and touches `bytes` (in whole huge pages) now; later chunks are cut from it while it
  // lasts.
  bool Preallocate(size_t bytes) noexcept;
  // kAlign-aligned; nullptr where memory is out. `bytes` is a multiple of kAlign.
  char* Take(size_t bytes) noexcept;
  void CountAs(MemoryBudget::Part part) noexcept {
    charge_ = MemoryCharge(budget_, part, memory_bytes());
  }
  size_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }

 private:
  struct Chunk {
    Chunk* next;
    size_t pages_bytes;  // 0: of the allocator
  };
  char* NewChunk(size_t bytes) noexcept;

  Chunk* chunks_ = nullptr;
  char* ready_ = nullptr;
  size_t ready_bytes_ = 0;
  std::atomic<size_t> memory_bytes_{0};
  MemoryBudget* const budget_;  // which charge_ keeps
  ChunkReserve* const reserve_;
  MemoryCharge charge_;
};

class TwinArena {
 public:
  // Chunks start at first_chunk bytes and double up to max_chunk, heads included; both are powers
  // of two.
  TwinArena(ChunkSource* source, size_t first_chunk, size_t max_chunk) noexcept
      : source_(source), next_chunk_(first_chunk), max_chunk_(max_chunk) {}
  TwinArena(const TwinArena&) = delete;
  TwinArena& operator=(const TwinArena&) = delete;

  bool Reserve(size_t bytes) noexcept {
    return bytes <= bins_[0].room || bytes <= bins_[1].room || AddChunk(bytes);
  }
  // The same for many allocations of at most `piece` bytes each: they need no contiguous room, so
  // that large reservations of which little is used follow one another without giving up what is
  // left.
  bool ReservePieces(size_t bytes, size_t piece) noexcept {
    const auto usable = [piece](const Bin& b) { return b.room > piece ? b.room - piece : 0; };
    if (bytes <= usable(bins_[0]) + usable(bins_[1])) return true;
    const size_t kept = usable(bins_[0].room > bins_[1].room ? bins_[0] : bins_[1]);
    return AddChunk((bytes > kept ? bytes - kept : 0) + piece);
  }
  // Never nullptr within a reservation. Beyond it, which only a bug of a caller makes happen,
  // memory is asked for all the same, and its lack ends the process: there is no one left to report
  // it to.
  char* AllocateReserved(size_t bytes) noexcept {
    Bin* bin = bytes <= bins_[0].room ? &bins_[0] : &bins_[1];
    if (__builtin_expect(bytes > bin->room, 0)) bin = AddChunkOrEnd(bytes);
    char* p = bin->at;
    bin->at += bytes;
    bin->room -= bytes;
    Count(bytes);
    return p;
  }
  size_t used_bytes() const { return used_bytes_.load(std::memory_order_relaxed); }

 private:
  struct Bin {
    char* at = nullptr;
    size_t room = 0;
  };
  bool AddChunk(size_t bytes) noexcept;
  Bin* AddChunkOrEnd(size_t bytes) noexcept;
  void Count(size_t n) {
    used_bytes_.store(used_bytes_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  ChunkSource* const source_;
  size_t next_chunk_;
  const size_t max_chunk_;
  Bin bins_[2];  // the first is the older one, filled first
  std::atomic<size_t> used_bytes_{0};
};

}  // namespace kist
