// OpStats: what the callers of one database asked for, and how long it took.
//
// Reading the clock twice takes about as long as a tenth of a cached get. So gets, single writes
// and seeks are timed one in every `latency_sampling`, and each one timed counts for that many;
// rarer and longer work is timed always. Which ones is drawn by a multiplicative hash of their
// number, so that no pattern of calls can hide from it. Rejected: the cycle counter, which is
// cheaper to read but has to be calibrated, and differs between sockets and after a migration.
// Counts of single gets stand in the slots of the epoch that a get enters anyway (ReadCounter).
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>

#include "util/latency_histogram.h"
#include "vfs/vfs.h"

namespace kist {

// Counters of Epoch::Slot.
enum ReadCounter : int {
  kGets,             // keys looked up
  kGetsAbsent,       // of them, without a visible value
  kTableHits,        // of them, answered by a table
  kFilterNegatives,  // tables that a filter ruled out
  kFilterFalse,      // tables looked into in vain though they have a filter
};

class OpStats {
 public:
  enum Timed {
    kGet,
    kMultiGet,
    kSeek,
    kPut,
    kBatch,
    kTxnCommit,
    kLogSync,
    kFlush,
    kCompaction,
    kTimed
  };
  static const char* Name(Timed kind) {
    static const char* const kNames[kTimed] = {"get",      "multi_get", "seek",
                                               "put",      "batch",     "txn_commit",
                                               "log_sync", "flush",     "compaction"};
    return kNames[kind];
  }
  using Counter = std::atomic<uint64_t>;

  explicit OpStats(Vfs* vfs) : vfs_(vfs) {}
  // One in so many; 0: none.
  void SetSampling(uint64_t every) {
    every_.store(every, std::memory_order_relaxed);
    threshold_.store(every == 0 ? 0 : UINT64_MAX / every, std::memory_order_relaxed);
  }
  // Whether the n-th is timed.
  bool Sampled(uint64_t n) const {
    return n * 0x9e3779b97f4a7c15 < threshold_.load(std::memory_order_relaxed);
  }
  bool on() const { return threshold_.load(std::memory_order_relaxed) != 0; }
  uint64_t every() const { return every_.load(std::memory_order_relaxed); }
  uint64_t Now() const { return vfs_->MonotonicNs(); }
  void Record(Timed kind, uint64_t ns, uint64_t weight) noexcept {
    // Threads are told apart by where their stacks lie.
    char here;
    const uint64_t stack = reinterpret_cast<uintptr_t>(&here) >> 16;
    histograms_[kind].Add(ns, weight, static_cast<unsigned>(stack * 0x9e3779b97f4a7c15 >> 60));
  }
  const LatencyHistogram& histogram(int kind) const { return histograms_[kind]; }

  static void Count(Counter* counter, uint64_t n = 1) {
    counter->fetch_add(n, std::memory_order_relaxed);
  }
  Counter multi_gets{0}, multi_get_keys{0};
  Counter iterators{0}, seeks{0}, steps{0};
  Counter snapshots{0};
  Counter txns{0}, txn_commits{0}, txn_conflicts{0};
  Counter refused{0};  // by the memory budget

 private:
  Vfs* const vfs_;
  std::atomic<uint64_t> threshold_{0};
  std::atomic<uint64_t> every_{0};
  LatencyHistogram histograms_[kTimed];
};

// Times the scope it lives in, where asked.
class OpTimer {
 public:
  // Of a kind that is sampled: `n` is the call's number.
  OpTimer(OpStats* stats, OpStats::Timed kind, uint64_t n) {
    if (__builtin_expect(stats->Sampled(n), 0)) Start(stats, kind, stats->every());
  }
  // Of one that is always timed.
  OpTimer(OpStats* stats, OpStats::Timed kind) {
    if (stats->on()) Start(stats, kind, 1);
  }
  ~OpTimer() {
    if (__builtin_expect(stats_ != nullptr, 0)) Stop();
  }
  OpTimer(const OpTimer&) = delete;
  OpTimer& operator=(const OpTimer&) = delete;

 private:
  [[gnu::noinline]] void Start(OpStats* stats, OpStats::Timed kind, uint64_t weight) {
    stats_ = stats;
    kind_ = kind;
    weight_ = weight;
    start_ns_ = stats->Now();
  }
  [[gnu::noinline]] void Stop() noexcept {
    const uint64_t end_ns = stats_->Now();
    stats_->Record(kind_, end_ns > start_ns_ ? end_ns - start_ns_ : 0, weight_);
  }
  OpStats* stats_ = nullptr;
  OpStats::Timed kind_;
  uint64_t weight_;
  uint64_t start_ns_;
};

}  // namespace kist
