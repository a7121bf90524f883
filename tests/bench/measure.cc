// Reading the kernel's books and turning ticks into time; the contract stands in measure.h.
#include "measure.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace kist::bench {

double NsPerTick() {
  static const double value = [] {
    const uint64_t ns = NowNs();
    const uint64_t ticks = Ticks();
    while (NowNs() - ns < 20000000) {
    }
    const uint64_t ns_end = NowNs();
    return static_cast<double>(ns_end - ns) / static_cast<double>(Ticks() - ticks);
  }();
  return value;
}

void Histogram::Merge(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  if (other.max_ > max_) max_ = other.max_;
  total_ += other.total_;
}

void Histogram::Clear() {
  std::memset(counts_.get(), 0, kBuckets * sizeof(uint64_t));
  max_ = total_ = 0;
}

double Histogram::Quantile(double share) const {
  if (total_ == 0) return 0;
  const double wanted = share * static_cast<double>(total_);
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    if (static_cast<double>(seen) < wanted || counts_[i] == 0) continue;
    if (i < (size_t{1} << kSubBits)) return static_cast<double>(i);
    const unsigned shift = static_cast<unsigned>(i >> kSubBits) - 1;
    const uint64_t low = ((i & ((1u << kSubBits) - 1)) | (1u << kSubBits)) << shift;
    const double middle = static_cast<double>(low) + static_cast<double>(uint64_t{1} << shift) / 2;
    return middle < static_cast<double>(max_) ? middle : static_cast<double>(max_);
  }
  return static_cast<double>(max_);
}

namespace {

uint64_t NumberAfter(const char* file, const std::string& name) {
  std::ifstream in(file);
  std::string word;
  uint64_t value = 0;
  while (in >> word) {
    if (word == name && in >> value) return value;
  }
  return 0;
}

double Seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
}

}  // namespace

Books Books::Now() {
  Books b;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  b.cpu_seconds = Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
  b.written_calls = NumberAfter("/proc/self/io", "wchar:");
  b.written_pages = NumberAfter("/proc/self/io", "write_bytes:");
  b.ns = NowNs();
  return b;
}

void ResetPeakRss() {
  std::ofstream out("/proc/self/clear_refs");
  out << "5";
}

uint64_t PeakRssBytes() { return NumberAfter("/proc/self/status", "VmHWM:") * 1024; }
uint64_t RssBytes() { return NumberAfter("/proc/self/status", "VmRSS:") * 1024; }

uint64_t DiskBytes(const std::string& dir) {
  uint64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(dir, error), end; it != end && !error;
       it.increment(error)) {
    struct stat st;
    if (lstat(it->path().c_str(), &st) == 0 && S_ISREG(st.st_mode))
      bytes += static_cast<uint64_t>(st.st_blocks) * 512;
  }
  return bytes;
}

void SleepUntilNs(uint64_t monotonic_ns) {
  timespec t;
  t.tv_sec = static_cast<time_t>(monotonic_ns / 1000000000u);
  t.tv_nsec = static_cast<long>(monotonic_ns % 1000000000u);
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr) == EINTR) {
  }
}

bool WaitQuiet(double timeout_seconds) {
  const uint64_t begin = NowNs();
  for (;;) {
    const Books before = Books::Now();
    SleepUntilNs(before.ns + 333000000);
    if (Books::Now().cpu_seconds - before.cpu_seconds < 0.010) return true;
    if (static_cast<double>(NowNs() - begin) * 1e-9 > timeout_seconds) return false;
  }
}

bool RemoveTree(const std::string& dir) {
  std::error_code error;
  std::filesystem::remove_all(dir, error);
  return !error;
}

bool MakeDirs(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  return std::filesystem::is_directory(dir, error);
}

}  // namespace kist::bench
