// Epoch out of line. See epoch.h for the invariants.
//
// Why it is safe (invariant 2): Retire unpublishes, then takes epoch R with an RMW that moves the
// counter on. A reader whose slot holds E > R read the counter after that RMW, hence sees the
// object unpublished. A reader with E <= R either claimed its slot before the scan looked at it,
// and is waited for, or after, and then its loads come after the unpublishing store in the single
// order of the sequentially consistent operations.
#include "util/epoch.h"

#include <pthread.h>

#include <chrono>
#include <new>
#include <thread>

#include "util/check.h"

namespace kist {

namespace {

constexpr size_t kFirstCapacity = 1024;
constexpr size_t kCollectEvery = 16;
constexpr int kDestroyBatch = 64;

// A number that stays the same within a thread and differs between threads.
uintptr_t ThreadNumber() {
#if defined(__x86_64__) && defined(__linux__)
  uintptr_t self;
  __asm__("mov %%fs:0, %0" : "=r"(self));
  return self;
#elif defined(__aarch64__) && defined(__linux__)
  uintptr_t self;
  __asm__("mrs %0, tpidr_el0" : "=r"(self));
  return self;
#else
  return reinterpret_cast<uintptr_t>(pthread_self());
#endif
}

void Pause(int round) {
  if (round < 64) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

}  // namespace

Epoch::Epoch()
    : slots_(new Slot[kSlots]),
      ring_(new (std::nothrow) Retired[kFirstCapacity]),
      capacity_(ring_ == nullptr ? 0 : kFirstCapacity) {}

Epoch::~Epoch() {
  KIST_DCHECK(OldestReader() == UINT64_MAX);
  for (bool empty = false; !empty;) {  // what is destroyed may retire more
    Collect();
    MutexLock lock(&mutex_);
    empty = count_ == 0;
  }
  delete[] ring_;
  delete[] slots_;
}

Epoch::Slot* Epoch::Enter() noexcept {
  static_assert((kSlots & (kSlots - 1)) == 0, "slots are picked by masking");
  // Fibonacci hashing: thread pointers differ in their middle bits, the product's top bits depend
  // on all of them.
  const size_t home =
      static_cast<size_t>(static_cast<uint64_t>(ThreadNumber()) * 0x9e3779b97f4a7c15 >> 48);
  for (;;) {
    for (size_t i = 0; i < kSlots; ++i) {
      Slot& slot = slots_[(home + i) & (kSlots - 1)];
      if (slot.epoch.load(std::memory_order_relaxed) != 0) continue;
      uint64_t free = 0;
      // Acquire: pairs with the fetch_add in Retire (a newer epoch implies its unpublishing).
      const uint64_t now = epoch_.load(std::memory_order_acquire);
      if (slot.epoch.compare_exchange_strong(free, now, std::memory_order_seq_cst)) {
#if !defined(__x86_64__)
        std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
        return &slot;
      }
    }
    std::this_thread::yield();
  }
}

uint64_t Epoch::OldestReader() const noexcept {
#if !defined(__x86_64__)
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
  uint64_t oldest = UINT64_MAX;
  for (int i = 0; i < kSlots; ++i) {
    // Pairs with the claim in Enter and, where it reads 0, with the release store that ends a
    // guard.
    const uint64_t e = slots_[i].epoch.load(std::memory_order_seq_cst);
    if (e != 0 && e < oldest) oldest = e;
  }
  return oldest;
}

bool Epoch::PushLocked(const Retired& r) noexcept {
  if (count_ == capacity_) {
    const size_t grown_capacity = capacity_ == 0 ? kFirstCapacity : capacity_ * 2;
    Retired* grown = new (std::nothrow) Retired[grown_capacity];
    if (grown == nullptr) return false;
    for (size_t i = 0; i < count_; ++i) grown[i] = ring_[(head_ + i) & (capacity_ - 1)];
    delete[] ring_;
    ring_ = grown;
    capacity_ = grown_capacity;
    head_ = 0;
  }
  ring_[(head_ + count_) & (capacity_ - 1)] = r;
  ++count_;
  return true;
}

void Epoch::Retire(void* object, void (*destroy)(void*)) noexcept {
  Retired r{0, object, destroy};
  bool collect;
  {
    MutexLock lock(&mutex_);
    r.epoch = epoch_.fetch_add(1, std::memory_order_seq_cst);
    if (!PushLocked(r)) r.destroy = nullptr;
    collect = r.destroy == nullptr || count_ % kCollectEvery == 0;
  }
  if (collect) Collect();
  if (r.destroy == nullptr) {
    r.destroy = destroy;
    bool pushed;
    {
      MutexLock lock(&mutex_);
      r.epoch = epoch_.fetch_add(1, std::memory_order_seq_cst);
      pushed = PushLocked(r);
    }
    if (!pushed) WaitAndDestroy(r);
  }
}

void Epoch::WaitAndDestroy(const Retired& r) noexcept {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  for (int round = 0; OldestReader() <= r.epoch; ++round) {
    if (std::chrono::steady_clock::now() > give_up) return;
    Pause(round);
  }
  r.destroy(r.object);
}

void Epoch::Collect() noexcept {
  for (;;) {
    Retired ready[kDestroyBatch];
    int n = 0;
    {
      MutexLock lock(&mutex_);
      if (count_ == 0) return;
      const uint64_t oldest = OldestReader();
      while (n < kDestroyBatch && count_ > 0 && ring_[head_].epoch < oldest) {
        ready[n++] = ring_[head_];
        head_ = (head_ + 1) & (capacity_ - 1);
        --count_;
      }
      if (n > 0)
        destroying_.fetch_add(1, std::memory_order_relaxed);  // before the lock is left: see Drain
    }
    for (int i = 0; i < n; ++i) ready[i].destroy(ready[i].object);
    if (n > 0) destroying_.fetch_sub(1, std::memory_order_release);
    if (n < kDestroyBatch) return;
  }
}

void Epoch::Drain() noexcept {
  const uint64_t now = epoch_.fetch_add(1, std::memory_order_seq_cst);
  for (int round = 0; OldestReader() <= now; ++round) Pause(round);
  Collect();
  // What another thread has taken off the ring before is destroyed by it. Acquire: pairs with
  // Collect's release.
  for (int round = 0; destroying_.load(std::memory_order_acquire) != 0; ++round) Pause(round);
}

uint64_t Epoch::Sum(int counter) const {
  uint64_t sum = 0;
  for (int i = 0; i < kSlots; ++i) {
    sum += slots_[i].counters[counter].load(std::memory_order_relaxed);
  }
  return sum;
}

}  // namespace kist
