// Epoch: lets readers use shared objects without locks or reference counts. A reader enters, loads
// a pointer that a writer publishes, uses what it points to, and leaves. A writer unpublishes an
// object and retires it; it is destroyed once every reader that could have seen it has left.
// Invariants:
//  1. A slot whose epoch is E (> 0) holds back everything retired at epoch >= E; 0 is a free slot.
//  2. Enter claims its slot by a sequentially consistent exchange before the reader loads any
//     published pointer; Retire moves the epoch on by a sequentially consistent RMW after the
//     pointer was unpublished: the reader is seen by the scan, or it cannot see the object. (Where
//     the claim is no full barrier by itself, that is not on x86, a fence follows it.)
//  3. A slot belongs to one reader at a time, who may update its counters without atomicity (they
//     are relaxed atomics, so that statistics may sum them at any time).
// Threads: everything from any thread. A guard is left by the thread that made it; guards may nest
// (each takes a slot). Enter never allocates, nor blocks while fewer than kSlots readers are in.
#pragma once

#include <atomic>
#include <cstdint>

#include "util/mutex.h"

namespace kist {

class Epoch {
 public:
  static constexpr int kSlots = 256;
  static constexpr int kCounters = 7;
  struct alignas(64) Slot {
    std::atomic<uint64_t> epoch{0};
    std::atomic<uint64_t> counters[kCounters] = {};
    void Count(int i, uint64_t n = 1) {
      counters[i].store(counters[i].load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
  };
  static_assert(sizeof(Slot) == 64, "one cache line a slot");

  Epoch();
  ~Epoch();  // destroys what is retired; no reader may be inside

  class Guard {
   public:
    explicit Guard(Epoch& epoch) : slot_(epoch.Enter()) {}
    ~Guard() { slot_->epoch.store(0, std::memory_order_release); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    Slot& slot() { return *slot_; }

   private:
    Slot* slot_;
  };

  // `destroy(object)` runs on some thread that calls Retire, Collect or Drain, once it is safe,
  // never under a lock. Better called outside guards. noexcept: where the list is full and cannot
  // grow, waits for the readers and destroys at once; where they do not leave within a second (the
  // caller may be inside itself), the object is leaked.
  void Retire(void* object, void (*destroy)(void*)) noexcept;
  void Collect() noexcept;
  // Returns when every reader that was inside at the call has left, and all retired before it is
  // destroyed.
  void Drain() noexcept;
  uint64_t Sum(int counter) const;

 private:
  struct Retired {
    uint64_t epoch;
    void* object;
    void (*destroy)(void*);
  };
  Slot* Enter() noexcept;
  uint64_t OldestReader() const noexcept;
  bool PushLocked(const Retired& r) noexcept KIST_REQUIRES(mutex_);
  void WaitAndDestroy(const Retired& r) noexcept;

  // Constant after construction.
  Slot* const slots_;

  // Self-synchronised.
  std::atomic<uint64_t> epoch_{1};
  std::atomic<int> destroying_{
      0};  // threads that have taken retired objects and not yet destroyed them all

  // Guarded: a ring, oldest first, so that epochs never go down along it.
  Mutex mutex_;
  Retired* ring_ KIST_GUARDED_BY(mutex_);
  size_t capacity_ KIST_GUARDED_BY(mutex_);  // a power of two
  size_t head_ KIST_GUARDED_BY(mutex_) = 0;
  size_t count_ KIST_GUARDED_BY(mutex_) = 0;
};

}  // namespace kist
