// Gate: counts the calls that are inside a database, so that kist_close can wait for them. Point
// reads do not pass here: the engine's epoch, which they enter anyway, serves the same purpose.
//
// Invariant: a call enters with a sequentially consistent add before it loads `closed`; the closer
// stores `closed` before Drain reads the counters. So either the call sees the closing and leaves,
// or Drain sees the call.
// Threads: any. Counters are spread over cache lines by the caller's stack address.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace kist::capi {

class Gate {
 public:
  struct alignas(64) Slot {
    std::atomic<uint64_t> inside{0};
    // How many entered here, for statistics to draw from: additions of several threads may be lost.
    std::atomic<uint64_t> calls{0};
  };

  Slot* Enter() noexcept {
    // Fibonacci hashing of the stack's address: threads differ in its middle bits.
    char here;
    const uint64_t stack = reinterpret_cast<uintptr_t>(&here) >> 16;
    Slot* slot = &slots_[(stack * 0x9e3779b97f4a7c15) >> (64 - kSlotBits)];
    slot->inside.fetch_add(1, std::memory_order_seq_cst);
    return slot;
  }
  // The release pairs with the acquire side of Drain's loads.
  static void Leave(Slot* slot) noexcept { slot->inside.fetch_sub(1, std::memory_order_release); }

  // Returns when every call that entered before the gate's owner stored `closed` has left. `pause`
  // sleeps a little.
  template <typename Pause>
  void Drain(Pause&& pause) noexcept {
    for (Slot& slot : slots_) {
      while (slot.inside.load(std::memory_order_seq_cst) != 0) pause();
    }
  }

 private:
  static constexpr int kSlotBits = 5;
  Slot slots_[size_t{1} << kSlotBits];
};

}  // namespace kist::capi
