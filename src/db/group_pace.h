// GroupPace: whether the leader of a synced group should wait a moment for company.
//
// A sync takes as long for one commit as for many. When one ends, its followers are woken one by
// one, and the first writer to come would begin the next sync alone: groups of all and of one would
// take turns. So a leader waits for as many writers as there were lately, but at most half of what
// a sync takes; where that was in vain, the next chances are passed over, ever more of them.
// It yields its processor to those it waits for. Where strangers take that for a time slice, it
// spins instead, and tries whether they are gone at ever longer intervals.
// Invariant: with one writer nobody ever waits.
// Threads: the token holder's (db/write_queue.h).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace kist {

class GroupPace {
 public:
  // How many writers to wait for, the leader among them; 1: for none.
  size_t Wanted() {
    if (expected_ <= 1 || sync_us_ == 0) return 1;
    if (passes_ == 0) return expected_;
    --passes_;
    return 1;
  }
  uint64_t LongestWaitUs() const { return std::min(sync_us_ / 2, kLongestWaitUs); }

  // After a wait.
  void Waited(bool they_came) {
    lapses_ = they_came ? 0 : std::min(lapses_ * 2 + 1, kLapsesMax);
    passes_ = lapses_;
  }
  // Whether this wait yields or spins.
  bool Yields() {
    if (spins_ == 0) return true;
    --spins_;
    return false;
  }
  // After a wait that yielded, with the longest that one yield took.
  void Yielded(uint64_t us) {
    strangers_ = us < kStrangerUs ? strangers_ / 2 : std::min(strangers_ * 2 + 1, kLapsesMax);
    if (us >= kStrangerUs) spins_ = strangers_;
  }
  // After each synced group: its writers, those that came meanwhile, and how long the sync took.
  void Synced(size_t writers, size_t waiting, uint64_t us) {
    expected_ = writers + waiting;
    sync_us_ = sync_us_ == 0 ? us : (sync_us_ * 7 + us) / 8;
  }

 private:
  static constexpr uint64_t kLongestWaitUs = 200;
  static constexpr uint32_t kLapsesMax = 255;
  // More than a few writers take to come, less than a time slice.
  static constexpr uint64_t kStrangerUs = 500;
  size_t expected_ = 1;
  uint64_t sync_us_ = 0;  // a moving average
  uint32_t lapses_ = 0;
  uint32_t passes_ = 0;
  uint32_t strangers_ = 0;
  uint32_t spins_ = 0;
};

}  // namespace kist
