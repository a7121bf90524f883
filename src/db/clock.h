// DbClock: the database's time, by which values expire and commits are stamped.
//   time = max(wall clock, time at open + monotonic time since, the largest time in the manifest)
// It never goes back and never stands still, whatever the wall clock does: time is monotonic time
// plus an offset that only grows, and it grows where the wall clock is ahead. Threads: any.
#pragma once

#include <atomic>
#include <cstdint>

#include "vfs/vfs.h"

namespace kist {

class DbClock {
 public:
  // floor_ms: the largest time that the manifest and the log know of.
  void Start(Vfs* vfs, int64_t floor_ms) {
    vfs_ = vfs;
    const int64_t wall = vfs->WallMs();
    offset_ms_.store((wall > floor_ms ? wall : floor_ms) - MonoMs(), std::memory_order_relaxed);
  }
  int64_t NowMs() {
    // In this order: a thread that stands still in between must not see the wall clock ahead.
    const int64_t wall = vfs_->WallMs();
    const int64_t mono = MonoMs();
    int64_t offset = offset_ms_.load(std::memory_order_relaxed);
    while (wall - mono > offset) {
      if (offset_ms_.compare_exchange_weak(offset, wall - mono, std::memory_order_relaxed))
        return wall;
    }
    return mono + offset;
  }

 private:
  int64_t MonoMs() { return static_cast<int64_t>(vfs_->MonotonicUs() / 1000); }
  Vfs* vfs_ = nullptr;
  std::atomic<int64_t> offset_ms_{0};
};

}  // namespace kist
