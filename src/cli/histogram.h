// Histogram: counts of durations in buckets that are at most 1.6 % wide, so that percentiles of a
// million operations cost a few kilobytes and no sorting.
//
// Thread rule: one thread; Merge joins those of several after they have ended.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace kist::cli {

class Histogram {
 public:
  Histogram() : counts_(kBuckets, 0) {}

  void Add(uint64_t ns) {
    ++counts_[BucketOf(ns)];
    ++count_;
    max_ = std::max(max_, ns);
  }

  void Merge(const Histogram& other) {
    for (size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }

  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }

  // The upper end of the bucket that holds the given part (0..1) of all durations.
  uint64_t Quantile(double part) const {
    const uint64_t rank = static_cast<uint64_t>(part * static_cast<double>(count_));
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += counts_[i];
      if (seen > rank) return std::min(UpperEnd(i), max_);
    }
    return max_;
  }

 private:
  static constexpr unsigned kSubBits = 6;  // 64 buckets for each power of two
  static constexpr size_t kBuckets = (64 - kSubBits + 1) << kSubBits;

  static size_t BucketOf(uint64_t ns) {
    if (ns < (uint64_t{1} << kSubBits)) return static_cast<size_t>(ns);
    const unsigned shift = 63 - static_cast<unsigned>(__builtin_clzll(ns)) - kSubBits;
    return (static_cast<size_t>(shift) << kSubBits) + static_cast<size_t>(ns >> shift);
  }
  static uint64_t UpperEnd(size_t bucket) {
    if (bucket < (size_t{2} << kSubBits)) return bucket;
    const size_t shift = (bucket >> kSubBits) - 1;
    const uint64_t head = bucket - (shift << kSubBits);
    return ((head + 1) << shift) - 1;
  }

  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

}  // namespace kist::cli
