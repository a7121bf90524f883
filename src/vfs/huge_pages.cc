// madvise for huge pages; see huge_pages.h. A part page at the end stays as it is, because what
// lies behind it is someone else's.
// Threads: any.
#include "vfs/huge_pages.h"

#include <sys/mman.h>

#include <cerrno>

namespace kist {

void AdviseHugePages(void* memory, size_t bytes) noexcept {
#if defined(MADV_HUGEPAGE)
  const int saved = errno;
  const size_t whole = bytes & ~(kHugePageBytes - 1);
  if (whole != 0) madvise(memory, whole, MADV_HUGEPAGE);
  errno = saved;
#else
  static_cast<void>(memory);
  static_cast<void>(bytes);
#endif
}

}  // namespace kist
