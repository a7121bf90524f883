// The counting allocators. See counting_alloc.h. All state is plain atomics, because operator new
// runs before and after everything else.
#include "support/counting_alloc.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "util/alloc.h"

namespace {

constexpr int kFreed = 0xdd;

std::atomic<uint64_t> g_count{0};
std::atomic<int64_t> g_live{0};
std::atomic<uint64_t> g_left{0};  // allocations until the failing one; 0: none fails
std::atomic<bool> g_for_ever{false};
std::atomic<bool> g_failed{false};
std::atomic<bool> g_one_thread{false};
thread_local uint64_t t_count = 0;
thread_local bool t_chosen = false;

bool Fails() {
  g_count.fetch_add(1, std::memory_order_relaxed);
  ++t_count;
  if (g_left.load(std::memory_order_relaxed) == 0) return false;
  if (g_one_thread.load(std::memory_order_relaxed) && !t_chosen) return false;
  uint64_t left = g_left.load();
  while (left != 0) {
    const uint64_t next = left > 1 ? left - 1 : g_for_ever.load() ? 1 : 0;
    if (g_left.compare_exchange_weak(left, next)) {
      if (left == 1) g_failed.store(true);
      return left == 1;
    }
  }
  return false;
}

void* Counted(void* p) {
  if (p != nullptr) g_live.fetch_add(1, std::memory_order_relaxed);
  return p;
}

void* Get(size_t bytes) { return Fails() ? nullptr : Counted(std::malloc(bytes == 0 ? 1 : bytes)); }

void* GetAligned(size_t bytes, size_t align) {
  void* p = nullptr;
  if (align < sizeof(void*)) align = sizeof(void*);
  if (Fails() || posix_memalign(&p, align, bytes == 0 ? 1 : bytes) != 0) return nullptr;
  return Counted(p);
}

void Put(void* p) {
  if (p == nullptr) return;
  g_live.fetch_sub(1, std::memory_order_relaxed);
  std::memset(p, kFreed, malloc_usable_size(p));
  asm volatile("" : : "r"(p) : "memory");  // not left out because free follows
  std::free(p);
}

void* OrThrow(void* p) {
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

}  // namespace

namespace kist {

void* Allocate(size_t bytes) noexcept { return Get(bytes); }
void* AllocateAligned(size_t bytes, size_t align) noexcept { return GetAligned(bytes, align); }
void* Reallocate(void* memory, size_t bytes) noexcept {
  if (memory == nullptr) return Get(bytes);
  return Fails() ? nullptr : std::realloc(memory, bytes == 0 ? 1 : bytes);
}
void* AllocatePages(size_t bytes, size_t align) noexcept { return GetAligned(bytes, align); }
void DeallocatePages(void* memory, size_t) noexcept { Put(memory); }
void Deallocate(void* memory) noexcept { Put(memory); }
const char* AllocatorName() noexcept { return "counting"; }

namespace test {

uint64_t AllocationCount() { return g_count.load(); }
uint64_t ThreadAllocationCount() { return t_count; }
int64_t LiveAllocations() { return g_live.load(); }
void FailAllocation(uint64_t nth, bool for_ever) {
  g_for_ever.store(for_ever);
  g_failed.store(false);
  g_left.store(nth);
}
bool AllocationFailed() { return g_failed.load(); }
void FailOnlyThisThread(bool on) {
  t_chosen = on;
  g_one_thread.store(on);
}

}  // namespace test
}  // namespace kist

void* operator new(size_t n) { return OrThrow(Get(n)); }
void* operator new[](size_t n) { return OrThrow(Get(n)); }
void* operator new(size_t n, const std::nothrow_t&) noexcept { return Get(n); }
void* operator new[](size_t n, const std::nothrow_t&) noexcept { return Get(n); }
void* operator new(size_t n, std::align_val_t a) {
  return OrThrow(GetAligned(n, static_cast<size_t>(a)));
}
void* operator new[](size_t n, std::align_val_t a) {
  return OrThrow(GetAligned(n, static_cast<size_t>(a)));
}
void* operator new(size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return GetAligned(n, static_cast<size_t>(a));
}
void* operator new[](size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return GetAligned(n, static_cast<size_t>(a));
}
void operator delete(void* p) noexcept { Put(p); }
void operator delete[](void* p) noexcept { Put(p); }
void operator delete(void* p, size_t) noexcept { Put(p); }
void operator delete[](void* p, size_t) noexcept { Put(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { Put(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { Put(p); }
void operator delete(void* p, std::align_val_t) noexcept { Put(p); }
void operator delete[](void* p, std::align_val_t) noexcept { Put(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { Put(p); }
void operator delete[](void* p, size_t, std::align_val_t) noexcept { Put(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { Put(p); }
void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept { Put(p); }
