// Mutex, MutexLock and CondVar: the standard ones with clang's thread-safety attributes, so that
// what a mutex guards is written at the member (KIST_GUARDED_BY) and checked by -Wthread-safety.
// The lock order of the engine stands in src/README.md. Threads: a Mutex is unlocked by the thread
// that locked it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#if defined(__clang__)
#define KIST_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define KIST_THREAD_ATTRIBUTE(x)
#endif

#define KIST_CAPABILITY(name) KIST_THREAD_ATTRIBUTE(capability(name))
#define KIST_SCOPED_CAPABILITY KIST_THREAD_ATTRIBUTE(scoped_lockable)
#define KIST_GUARDED_BY(mutex) KIST_THREAD_ATTRIBUTE(guarded_by(mutex))
#define KIST_PT_GUARDED_BY(mutex) KIST_THREAD_ATTRIBUTE(pt_guarded_by(mutex))
#define KIST_REQUIRES(...) KIST_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define KIST_EXCLUDES(...) KIST_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define KIST_ACQUIRE(...) KIST_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define KIST_RELEASE(...) KIST_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define KIST_TRY_ACQUIRE(...) KIST_THREAD_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define KIST_ASSERT_HELD(mutex) KIST_THREAD_ATTRIBUTE(assert_capability(mutex))
#define KIST_NO_THREAD_SAFETY_ANALYSIS KIST_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace kist {

class KIST_CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  void Lock() KIST_ACQUIRE() { mutex_.lock(); }
  void Unlock() KIST_RELEASE() { mutex_.unlock(); }
  bool TryLock() KIST_TRY_ACQUIRE(true) { return mutex_.try_lock(); }
  // Tells the analysis that the caller holds it; checks nothing at run time.
  void AssertHeld() const KIST_ASSERT_HELD(this) {}

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class KIST_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) KIST_ACQUIRE(mutex) : mutex_(mutex) { mutex_->Lock(); }
  ~MutexLock() KIST_RELEASE() {
    if (held_) mutex_->Unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  // For work in the middle that must not hold it.
  void Unlock() KIST_RELEASE() {
    held_ = false;
    mutex_->Unlock();
  }
  void Lock() KIST_ACQUIRE() {
    mutex_->Lock();
    held_ = true;
  }

 private:
  Mutex* const mutex_;
  bool held_ = true;
};

// Waits may wake for no reason: wait in a loop over the condition.
class CondVar {
 public:
  void Wait(Mutex* mutex) KIST_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    cond_.wait(lock);
    lock.release();
  }
  // False where the time passed first. Monotonic time.
  bool WaitFor(Mutex* mutex, uint64_t us) KIST_REQUIRES(mutex) {
    constexpr uint64_t kLongestUs = uint64_t{1000} * 1000 * 3600 * 24 * 365;
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    const auto result =
        cond_.wait_for(lock, std::chrono::microseconds(us < kLongestUs ? us : kLongestUs));
    lock.release();
    return result == std::cv_status::no_timeout;
  }
  void Signal() { cond_.notify_one(); }
  void SignalAll() { cond_.notify_all(); }

 private:
  std::condition_variable cond_;
};

}  // namespace kist
