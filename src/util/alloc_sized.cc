// Sized memory that grows; see alloc.h. It stands apart from alloc.cc, which tests replace: what is
// here is made of the functions there.
// Threads: any.
#include <algorithm>
#include <cstring>

#include "util/alloc.h"

namespace kist {

void* ReallocateSized(void* memory, size_t old_bytes, size_t bytes) noexcept {
  if (old_bytes < kPagesFrom && bytes < kPagesFrom) return Reallocate(memory, bytes);
  void* grown = AllocateSized(bytes);
  if (grown == nullptr) return nullptr;
  if (memory != nullptr) std::memcpy(grown, memory, std::min(old_bytes, bytes));
  DeallocateSized(memory, old_bytes);
  return grown;
}

}  // namespace kist
