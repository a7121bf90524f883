/* count_allocations.so - counts the heap allocations of each thread; preloaded for the benchmark's
 * allocations row.
 *
 * Every allocating function forwards to the next definition (glibc's, or mimalloc's where the
 * engine calls mi_* by name) and adds one to a counter of the calling thread. operator new arrives
 * here through malloc. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

static __thread uint64_t allocations __attribute__((tls_model("initial-exec")));

__attribute__((visibility("default"))) uint64_t kist_bench_allocations(void) { return allocations; }

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

void* malloc(size_t n) {
  ++allocations;
  return __libc_malloc(n);
}
void* calloc(size_t n, size_t m) {
  ++allocations;
  return __libc_calloc(n, m);
}
void* realloc(void* p, size_t n) {
  ++allocations;
  return __libc_realloc(p, n);
}
void* memalign(size_t a, size_t n) {
  ++allocations;
  return __libc_memalign(a, n);
}
void* aligned_alloc(size_t a, size_t n) {
  ++allocations;
  return __libc_memalign(a, n);
}
int posix_memalign(void** out, size_t a, size_t n) {
  ++allocations;
  *out = __libc_memalign(a, n);
  return *out == NULL ? ENOMEM : 0;
}

#define FORWARD(result, name, parameters, arguments)                        \
  result name parameters {                                                  \
    static result(*next) parameters;                                        \
    if (next == NULL) next = (result(*) parameters)dlsym(RTLD_NEXT, #name); \
    ++allocations;                                                          \
    return next arguments;                                                  \
  }

FORWARD(void*, mi_malloc, (size_t n), (n))
FORWARD(void*, mi_calloc, (size_t n, size_t m), (n, m))
FORWARD(void*, mi_realloc, (void* p, size_t n), (p, n))
FORWARD(void*, mi_malloc_aligned, (size_t n, size_t a), (n, a))
FORWARD(void*, mi_aligned_alloc, (size_t a, size_t n), (a, n))
FORWARD(void*, mi_memalign, (size_t a, size_t n), (a, n))
