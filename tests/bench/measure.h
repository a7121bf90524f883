// What the benchmark measures with: a tick counter, latency histograms, and the kernel's books on
// this process.
//
// Ticks are the time-stamp counter where there is one (about 9 ns a read here, clock_gettime about
// 21 ns). Writes are measured with one tick read per operation: the end of one is the beginning of
// the next. Read rates are measured without any, and their latencies in a pass of their own,
// because 9 ns is a twentieth of a fast read.
//
// Threads: a Histogram belongs to one thread; merge afterwards.
#pragma once

#include <cstdint>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace kist::bench {

inline uint64_t NowNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

inline uint64_t Ticks() {
#if defined(__x86_64__)
  return __rdtsc();
#elif defined(__aarch64__)
  uint64_t v;
  asm volatile("mrs %0, cntvct_el0" : "=r"(v));
  return v;
#else
  return NowNs();
#endif
}

// Nanoseconds per tick, found once by watching both clocks for 20 ms.
double NsPerTick();

// Logarithmic buckets, 32 to each power of two: three per cent wide. The largest value is kept
// exactly.
class Histogram {
 public:
  Histogram() : counts_(new uint64_t[kBuckets]()) {}
  void Add(uint64_t ticks) {
    ++counts_[Bucket(ticks)];
    if (ticks > max_) max_ = ticks;
    ++total_;
  }
  void Merge(const Histogram& other);
  void Clear();
  uint64_t total() const { return total_; }
  uint64_t MaxTicks() const { return max_; }
  // The middle of the bucket that holds this share of all values, in ticks.
  double Quantile(double share) const;

 private:
  static constexpr unsigned kSubBits = 5;
  static constexpr size_t kBuckets = size_t{60} << kSubBits;
  static size_t Bucket(uint64_t v) {
    if (v < (1u << kSubBits)) return v;
    const unsigned shift = 63u - static_cast<unsigned>(__builtin_clzll(v)) - kSubBits;
    return (static_cast<size_t>(shift + 1) << kSubBits) + ((v >> shift) & ((1u << kSubBits) - 1));
  }
  std::unique_ptr<uint64_t[]> counts_;
  uint64_t max_ = 0;
  uint64_t total_ = 0;
};

// The process's books, read at the two ends of a phase.
struct Books {
  uint64_t ns = 0;             // monotonic clock
  double cpu_seconds = 0;      // user and system, all threads
  uint64_t written_calls = 0;  // bytes handed to write calls (/proc/self/io wchar)
  uint64_t written_pages = 0;  // bytes of pages dirtied on storage (write_bytes)
  static Books Now();
};

void ResetPeakRss();  // where the kernel allows it
uint64_t PeakRssBytes();
uint64_t RssBytes();
// Allocated bytes of every file below `dir`.
uint64_t DiskBytes(const std::string& dir);
void SleepUntilNs(uint64_t monotonic_ns);
// Returns when this process has used less than 3 % of a core for a third of a second (an engine
// without an idle call), or after timeout_seconds.
bool WaitQuiet(double timeout_seconds);
bool RemoveTree(const std::string& dir);
bool MakeDirs(const std::string& dir);

}  // namespace kist::bench
