// The allocation seam's one implementation. See alloc.h.
//
// mimalloc's functions are called by their own names; nothing here interposes malloc or operator
// new, so a host program keeps the allocator it chose.
#include "util/alloc.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>

#ifdef KIST_MIMALLOC
#include <mimalloc.h>
#endif

namespace kist {
#ifdef KIST_MIMALLOC

void* Allocate(size_t bytes) noexcept { return mi_malloc(bytes); }
void* AllocateAligned(size_t bytes, size_t align) noexcept {
  return mi_malloc_aligned(bytes, align);
}
void* Reallocate(void* memory, size_t bytes) noexcept { return mi_realloc(memory, bytes); }
void Deallocate(void* memory) noexcept { mi_free(memory); }
const char* AllocatorName() noexcept { return "mimalloc"; }

#else

void* Allocate(size_t bytes) noexcept { return std::malloc(bytes == 0 ? 1 : bytes); }
void* AllocateAligned(size_t bytes, size_t align) noexcept {
  void* memory = nullptr;
  if (align < sizeof(void*)) align = sizeof(void*);
  return posix_memalign(&memory, align, bytes == 0 ? 1 : bytes) == 0 ? memory : nullptr;
}
void* Reallocate(void* memory, size_t bytes) noexcept {
  return std::realloc(memory, bytes == 0 ? 1 : bytes);
}
void Deallocate(void* memory) noexcept { std::free(memory); }
const char* AllocatorName() noexcept { return "malloc"; }

#endif

// The mapping is made larger by the alignment, and what sticks out on both sides is given back.
void* AllocatePages(size_t bytes, size_t align) noexcept {
  const int saved = errno;
  const size_t whole = bytes + align;
  void* memory = whole < bytes ? MAP_FAILED
                               : mmap(nullptr, whole, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  errno = saved;
  if (memory == MAP_FAILED) return nullptr;
  char* begin = static_cast<char*>(memory);
  char* aligned = begin + (align - reinterpret_cast<uintptr_t>(begin) % align) % align;
  // The system rounds ends up to its pages; begins are at pages, as `align` is at least one.
  if (aligned != begin) munmap(begin, static_cast<size_t>(aligned - begin));
  char* end = aligned + ((bytes + kPageAlign - 1) & ~(kPageAlign - 1));
  char* mapped = begin + ((whole + kPageAlign - 1) & ~(kPageAlign - 1));
  if (end < mapped) munmap(end, static_cast<size_t>(mapped - end));
  errno = saved;
  return aligned;
}

void DeallocatePages(void* memory, size_t bytes) noexcept {
  const int saved = errno;
  if (memory != nullptr) munmap(memory, bytes);
  errno = saved;
}

}  // namespace kist
