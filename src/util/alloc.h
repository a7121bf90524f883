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

namespace kist {

// At least 16-byte aligned. Zero bytes give a pointer that may be deallocated.
void* Allocate(size_t bytes) noexcept;
// `align` is a power of two.
void* AllocateAligned(size_t bytes, size_t align) noexcept;
// Keeps the first min(old, new) bytes. On nullptr the old memory is as before. Not for aligned
// memory.
void* Reallocate(void* memory, size_t bytes) noexcept;
// Takes what the three above returned, and nullptr.
void Deallocate(void* memory) noexcept;
// "mimalloc" or "malloc".
const char* AllocatorName() noexcept;

struct Deallocator {
  void operator()(void* memory) const noexcept { Deallocate(memory); }
};
// Owns memory of Allocate or AllocateAligned.
using Buffer = std::unique_ptr<char, Deallocator>;

inline Buffer AllocateBuffer(size_t bytes) noexcept {
  return Buffer(static_cast<char*>(Allocate(bytes)));
}

}  // namespace kist
