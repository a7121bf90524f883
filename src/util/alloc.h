// The allocation seam: every big piece of memory of the engine (arena chunks, blocks, batch
// buffers, filters, indexes, cache arrays) comes from here, so that one file decides where memory
// comes from. With KIST_MIMALLOC it is mimalloc, called by name (the host's malloc is never
// replaced); else the C library's.
//
// The functions stand in util/alloc.cc alone: a test that counts or fails allocations links its
// own. Threads: any. Nothing here throws; nullptr means out of memory.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace kist {

// For destructors, which tidy up as far as memory allows: an exception in one ends the process.
template <typename Body>
void BestEffort(Body&& body) noexcept {
  try {
    body();
  } catch (const std::bad_alloc&) {
    return;
  }
}

// At least 16-byte aligned. Zero bytes give a pointer that may be deallocated.
void* Allocate(size_t bytes) noexcept;
// `align` is a power of two.
void* AllocateAligned(size_t bytes, size_t align) noexcept;
// Keeps the first min(old, new) bytes. On nullptr the old memory is as before. Not for aligned
// memory.
void* Reallocate(void* memory, size_t bytes) noexcept;
// Takes what the three above returned, and nullptr.
void Deallocate(void* memory) noexcept;
// Whole pages from the system, zeroed, at a multiple of `align`, which is a power of two, and back
// to it: for chunks, whose memory must not stay with an allocator when they go. `bytes` as given to
// AllocatePages.
constexpr size_t kPageAlign = 4096;
void* AllocatePages(size_t bytes, size_t align) noexcept;
void DeallocatePages(void* memory, size_t bytes) noexcept;
// Memory whose size its owner knows: from kPagesFrom bytes on it is pages of its own, because
// allocators keep large pieces for the thread that took them, for whatever comes, and the memory
// budget would not hold.
constexpr size_t kPagesFrom = size_t{32} << 10;
inline void* AllocateSized(size_t bytes) noexcept {
  return bytes < kPagesFrom ? Allocate(bytes) : AllocatePages(bytes, kPageAlign);
}
inline void DeallocateSized(void* memory, size_t bytes) noexcept {
  bytes < kPagesFrom ? Deallocate(memory) : DeallocatePages(memory, bytes);
}
// Keeps the first min(old, new) bytes. On nullptr the old memory is as before.
void* ReallocateSized(void* memory, size_t old_bytes, size_t bytes) noexcept;
// "mimalloc" or "malloc".
const char* AllocatorName() noexcept;

struct Deallocator {
  size_t pages_bytes = 0;  // 0: not of AllocatePages
  void operator()(void* memory) const noexcept {
    pages_bytes != 0 ? DeallocatePages(memory, pages_bytes) : Deallocate(memory);
  }
};
// Owns memory of the functions above.
using Buffer = std::unique_ptr<char, Deallocator>;

inline Buffer AllocateBuffer(size_t bytes) noexcept {
  return Buffer(static_cast<char*>(AllocateSized(bytes)),
                Deallocator{bytes < kPagesFrom ? 0 : bytes});
}
// `align` is a power of two up to kPageAlign.
inline Buffer AllocateAlignedBuffer(size_t bytes, size_t align) noexcept {
  if (bytes >= kPagesFrom) return AllocateBuffer(bytes);
  return Buffer(static_cast<char*>(AllocateAligned(bytes, align)));
}

}  // namespace kist
