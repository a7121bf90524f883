// Arena: memory that is handed out by moving a pointer and freed all at once. Chunks come from the
// seam of util/alloc.h.
//
// Invariants:
//  1. Memory, once handed out, never moves and lives until the arena dies or is Reset.
//  2. After Reserve(n) returned true, Allocates whose sizes, each rounded up to kAlign, sum up to
//     at most n do not fail.
//  3. A request above a quarter of the chunk size gets a chunk of its own, so that no chunk's rest
//     is thrown away for it.
// Threads: one at a time, except memory_bytes() and used_bytes(), which any thread may read.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "util/alloc.h"

namespace kist {

class Arena {
 public:
  static constexpr size_t kAlign = 8;
  explicit Arena(size_t chunk_bytes = size_t{256} << 10) noexcept : chunk_bytes_(chunk_bytes) {}
  ~Arena() { FreeChunks(); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Aligned to kAlign; nullptr where memory is out.
  char* Allocate(size_t bytes) noexcept {
    const size_t need = RoundUp(bytes);
    if (need > static_cast<size_t>(end_ - next_) || need < bytes) return AllocateSlow(bytes);
    char* p = next_;
    next_ += need;
    Count(need);
    return p;
  }

  // `align` is a power of two; may waste up to align - 1 bytes, which count against a reservation.
  char* AllocateAligned(size_t bytes, size_t align) noexcept {
    if (align <= kAlign) return Allocate(bytes);
    char* p = Allocate(bytes + align - 1);
    if (p == nullptr) return nullptr;
    const uintptr_t at = reinterpret_cast<uintptr_t>(p);
    return p + ((align - at % align) % align);
  }

  bool Reserve(size_t bytes) noexcept {
    const size_t need = RoundUp(bytes);
    if (need < bytes) return false;
    return need <= static_cast<size_t>(end_ - next_) ||
           NewChunk(need > chunk_bytes_ ? need : chunk_bytes_);
  }

  // Reserves and writes to every page, so that later use faults none.
  bool ReserveTouched(size_t bytes) noexcept {
    if (!Reserve(bytes)) return false;
    std::memset(next_, 0, static_cast<size_t>(end_ - next_));
    return true;
  }

  // Frees everything handed out.
  void Reset() noexcept {
    FreeChunks();
    chunks_ = nullptr;
    next_ = end_ = nullptr;
    memory_bytes_.store(0, std::memory_order_relaxed);
    used_bytes_.store(0, std::memory_order_relaxed);
  }

  size_t memory_bytes() const {
    return memory_bytes_.load(std::memory_order_relaxed);
  }  // taken from the system
  size_t used_bytes() const { return used_bytes_.load(std::memory_order_relaxed); }  // handed out

 private:
  struct Chunk {
    Chunk* next;
    size_t bytes;
  };
  static_assert(sizeof(Chunk) % kAlign == 0, "what follows a chunk's head is aligned");

  static size_t RoundUp(size_t n) { return (n + kAlign - 1) & ~(kAlign - 1); }

  void Count(size_t n) {
    used_bytes_.store(used_bytes_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  Chunk* AddChunk(size_t payload) noexcept {
    const size_t bytes = payload + sizeof(Chunk);
    Chunk* chunk = bytes < payload ? nullptr : static_cast<Chunk*>(kist::Allocate(bytes));
    if (chunk == nullptr) return nullptr;
    chunk->next = chunks_;
    chunk->bytes = bytes;
    chunks_ = chunk;
    memory_bytes_.store(memory_bytes_.load(std::memory_order_relaxed) + bytes,
                        std::memory_order_relaxed);
    return chunk;
  }

  bool NewChunk(size_t payload) noexcept {
    Chunk* chunk = AddChunk(payload);
    if (chunk == nullptr) return false;
    next_ = reinterpret_cast<char*>(chunk + 1);
    end_ = next_ + payload;
    return true;
  }

  [[gnu::noinline]] char* AllocateSlow(size_t bytes) noexcept {
    const size_t need = RoundUp(bytes);
    if (need < bytes) return nullptr;
    if (need > chunk_bytes_ / 4) {
      Chunk* chunk = AddChunk(need);
      if (chunk == nullptr) return nullptr;
      Count(need);
      return reinterpret_cast<char*>(chunk + 1);
    }
    if (!NewChunk(chunk_bytes_)) return nullptr;
    char* p = next_;
    next_ += need;
    Count(need);
    return p;
  }

  void FreeChunks() noexcept {
    for (Chunk* c = chunks_; c != nullptr;) {
      Chunk* next = c->next;
      Deallocate(c);
      c = next;
    }
  }

  const size_t chunk_bytes_;
  Chunk* chunks_ = nullptr;
  char* next_ = nullptr;
  char* end_ = nullptr;
  std::atomic<size_t> memory_bytes_{0};
  std::atomic<size_t> used_bytes_{0};
};

}  // namespace kist
