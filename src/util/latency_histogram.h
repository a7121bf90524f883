// LatencyHistogram: how often which time was seen, in buckets an eighth of their value wide (the
// scheme of HdrHistogram), from 1 ns to a quarter of an hour; what is longer counts as that.
// Memory is fixed, adding is two relaxed additions. Stripes keep threads off one another's lines.
// Threads: any; a summary taken meanwhile may miss some that are being added.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace kist {

class LatencyHistogram {
 public:
  static constexpr int kSubBits = 3;
  static constexpr int kTopBit = 39;
  static constexpr size_t kBuckets = size_t{kTopBit - kSubBits + 2} << kSubBits;
  static constexpr unsigned kStripes = 4;

  struct Summary {
    uint64_t count = 0;
    uint64_t sum_ns = 0;
    uint64_t max_ns = 0;
    uint64_t counts[kBuckets] = {};
    // The time that `permille` of all do not exceed, rounded up to its bucket's end; 0: none seen.
    uint64_t Quantile(uint64_t permille) const {
      if (count == 0) return 0;
      // The rank counts from 1: the least number of values that are at least that share.
      const uint64_t rank = std::max<uint64_t>(1, (count * permille + 999) / 1000);
      uint64_t seen = 0;
      for (size_t i = 0; i < kBuckets; ++i) {
        seen += counts[i];
        if (seen >= rank) return std::min(UpperBound(i), max_ns);
      }
      return max_ns;
    }
    // How many do not exceed 2^bit - 1 ns.
    uint64_t Below(int bit) const {
      uint64_t seen = 0;
      const size_t end = BucketOf(uint64_t{1} << bit);
      for (size_t i = 0; i < end; ++i) seen += counts[i];
      return seen;
    }
  };

  // `weight`: how many like it this one stands for.
  void Add(uint64_t ns, uint64_t weight, unsigned stripe) noexcept {
    ns = std::min(ns, (uint64_t{2} << kTopBit) - 1);
    Stripe& s = stripes_[stripe % kStripes];
    s.counts[BucketOf(ns)].fetch_add(weight, std::memory_order_relaxed);
    s.sum_ns.fetch_add(ns * weight, std::memory_order_relaxed);
    uint64_t max = max_ns_.load(std::memory_order_relaxed);
    while (ns > max && !max_ns_.compare_exchange_weak(max, ns, std::memory_order_relaxed)) {
    }
  }

  void Read(Summary* out) const noexcept {
    *out = Summary();
    for (const Stripe& s : stripes_) {
      for (size_t i = 0; i < kBuckets; ++i) {
        const uint64_t n = s.counts[i].load(std::memory_order_relaxed);
        out->counts[i] += n;
        out->count += n;
      }
      out->sum_ns += s.sum_ns.load(std::memory_order_relaxed);
    }
    out->max_ns = max_ns_.load(std::memory_order_relaxed);
  }

  // Values up to 7 have a bucket each; above, each power of two has eight.
  static size_t BucketOf(uint64_t ns) {
    if (ns < uint64_t{1} << kSubBits) return static_cast<size_t>(ns);
    const int top = 63 - __builtin_clzll(ns);
    const uint64_t sub = (ns >> (top - kSubBits)) & ((1 << kSubBits) - 1);
    return (static_cast<size_t>(top - kSubBits + 1) << kSubBits) + static_cast<size_t>(sub);
  }
  static uint64_t UpperBound(size_t bucket) {
    if (bucket < size_t{1} << kSubBits) return bucket;
    const int shift = static_cast<int>(bucket >> kSubBits) - 1;
    const uint64_t sub = (bucket & ((1 << kSubBits) - 1)) + (1 << kSubBits);
    return ((sub + 1) << shift) - 1;
  }

 private:
  struct alignas(64) Stripe {
    std::atomic<uint64_t> sum_ns{0};
    std::atomic<uint64_t> counts[kBuckets] = {};
  };
  Stripe stripes_[kStripes];
  std::atomic<uint64_t> max_ns_{0};
};

}  // namespace kist
