// ClockVfs: another Vfs with a clock that the test moves. Times stand still unless moved; sleeping
// moves both clocks and returns at once. The wall clock may jump either way, the monotonic one only
// forward.
#pragma once

#include <atomic>
#include <thread>

#include "support/wrap_vfs.h"

namespace kist::test {

class ClockVfs : public WrapVfs {
 public:
  explicit ClockVfs(Vfs* base, int64_t wall_ms = 1700000000000, uint64_t monotonic_us = 1000000)
      : WrapVfs(base), wall_us_(wall_ms * 1000), monotonic_us_(monotonic_us) {}
  int64_t WallMs() override { return wall_us_.load() / 1000; }
  uint64_t MonotonicUs() override { return monotonic_us_.load(); }
  void SleepUs(uint64_t us) override {
    AdvanceUs(us);
    std::this_thread::yield();
  }
  // Time passes: both clocks, the wall clock never ahead of the other meanwhile.
  void AdvanceUs(uint64_t us) {
    monotonic_us_.fetch_add(us);
    wall_us_.fetch_add(static_cast<int64_t>(us));
  }
  void AdvanceMs(uint64_t ms) { AdvanceUs(ms * 1000); }
  // Somebody sets the clock.
  void SetWallMs(int64_t ms) { wall_us_.store(ms * 1000); }
  void JumpWallMs(int64_t by) { wall_us_.fetch_add(by * 1000); }

 private:
  std::atomic<int64_t> wall_us_;
  std::atomic<uint64_t> monotonic_us_;
};

}  // namespace kist::test
