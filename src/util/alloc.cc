// The allocation seam's one implementation. See alloc.h.
//
// mimalloc's functions are called by their own names; nothing here interposes malloc or operator
// new, so a host program keeps the allocator it chose.
#include "util/alloc.h"

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

}  // namespace kist
