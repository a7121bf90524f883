// Waiting on one 32-bit word, for hand-overs where a mutex and a condition variable cost too much:
// the one operating-system call that stands outside vfs/, because it is a lock, not I/O. Linux's
// private futex; elsewhere the wait yields and returns, which is correct because callers loop.
//
// Rule: the waiter loops over its condition; FutexWait returns at once where the word is not
// `expected`, and may return for no reason. The waker changes the word before it wakes. Threads:
// any. The word must outlive the wake call.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace kist {

// Inside a spinning loop: lets the other hardware thread run and saves power.
inline void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

static_assert(sizeof(std::atomic<uint32_t>) == 4 && std::atomic<uint32_t>::is_always_lock_free,
              "the kernel reads the word itself");

inline void FutexWait(std::atomic<uint32_t>* word, uint32_t expected) {
#if defined(__linux__)
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), FUTEX_WAIT_PRIVATE, expected, nullptr,
          nullptr, 0);
#else
  if (word->load(std::memory_order_acquire) == expected) std::this_thread::yield();
#endif
}

// Wakes up to n waiters.
inline void FutexWake(std::atomic<uint32_t>* word, int n) {
#if defined(__linux__)
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), FUTEX_WAKE_PRIVATE, n, nullptr, nullptr, 0);
#else
  static_cast<void>(word);
  static_cast<void>(n);
#endif
}

}  // namespace kist
