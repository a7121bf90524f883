// Huge pages: asks the system to back large memory with pages of 2 MiB, where it offers that.
// Structures that are reached at random (memtables, caches) miss the address translation on nearly
// every step otherwise.
// A hint: it cannot fail, and what it is given works the same without it. The memory must begin at
// a multiple of kHugePageBytes and be freed whole.
// Threads: any.
#pragma once

#include <cstddef>

namespace kist {

constexpr size_t kHugePageBytes = size_t{2} << 20;

void AdviseHugePages(void* memory, size_t bytes) noexcept;

}  // namespace kist
