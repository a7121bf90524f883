// Filter: a Bloom filter cut into cache lines, so that a lookup costs one cache miss.
//
//   filter := u32 lines (not 0) | u8 probes (1 to 14) | u8 0 | u16 0 | line{lines}
//   line    = 64 bytes; bit b of a line is bit b % 8 of its byte b / 8
// A key with hash h (HashKey) belongs to line ((h >> 32) * lines) >> 32. Its bits there are 9-bit
// fields of g = h * 0x9e3779b97f4a7c15, from the top: probe i < 7 takes bits 55 - 9i to 63 - 9i;
// from the eighth on the same fields of (g ^ g >> 32) * 0xd6e8feb86659fd93.
//
// False positives of 512-bit lines (Poisson over the keys of a line): at 10 bits a key 0.96 %, at
// 16 bits 0.083 %, at 20 bits 0.02 %. Rejected: one whole filter (a miss for each probe), Ribbon
// and xor filters (20 to 30 % smaller, but two or three misses and a solver when building). Plain
// 64-bit arithmetic: six shifts and tests hide behind the one miss, vectors gain nothing.
// Threads: immutable once made.
#pragma once

#include <cstdint>

#include "table/grow_buffer.h"
#include "util/alloc.h"
#include "util/coding.h"
#include "util/slice.h"

namespace kist {

constexpr uint32_t kFilterBitsMax = 20;
constexpr size_t kFilterHeaderBytes = 8;
constexpr size_t kFilterLineBytes = 64;
constexpr unsigned kFilterProbesMax = 14;

namespace filter_internal {

inline uint64_t FirstFields(uint64_t hash) { return hash * 0x9e3779b97f4a7c15; }
inline uint64_t SecondFields(uint64_t fields) {
  return (fields ^ fields >> 32) * 0xd6e8feb86659fd93;
}
inline uint64_t Line(uint64_t hash, uint32_t lines) { return (hash >> 32) * lines >> 32; }
inline bool Test(const char* line, uint64_t bit) {
  return (Load64(line + bit / 64 * 8) >> (bit % 64) & 1) != 0;
}

}  // namespace filter_internal

class Filter {
 public:
  Filter() = default;
  // Checks the payload and copies it to aligned memory. Returns what is wrong, or nullptr;
  // *no_memory apart.
  const char* Load(Slice payload, bool* no_memory);
  bool present() const { return lines_ != nullptr; }
  size_t memory_bytes() const { return size_t{line_count_} * kFilterLineBytes; }
  // Begins to fetch what MayContain looks at.
  void Prefetch(uint64_t hash) const {
    if (lines_ != nullptr)
      __builtin_prefetch(lines_.get() +
                         filter_internal::Line(hash, line_count_) * kFilterLineBytes);
  }
  // Whether the key may be there; true where there is no filter.
  bool MayContain(uint64_t hash) const {
    if (lines_ == nullptr) return true;
    const char* line = lines_.get() + filter_internal::Line(hash, line_count_) * kFilterLineBytes;
    uint64_t fields = filter_internal::FirstFields(hash);
    const uint64_t second = filter_internal::SecondFields(fields);
    for (unsigned i = 0; i < probes_; ++i, fields <<= 9) {
      if (i == 7) fields = second;
      if (!filter_internal::Test(line, fields >> 55)) return false;
    }
    return true;
  }

 private:
  Buffer lines_;
  uint32_t line_count_ = 0;
  unsigned probes_ = 0;
};

// Collects the hashes of distinct keys and lays the filter out.
class FilterBuilder {
 public:
  explicit FilterBuilder(uint32_t bits_per_key) : bits_(bits_per_key) {}
  [[nodiscard]] bool Add(uint64_t hash) noexcept { return bits_ == 0 || hashes_.Push(hash); }
  uint64_t keys() const { return hashes_.size() / sizeof(uint64_t); }
  // The payload's bytes for the keys so far; 0: no filter.
  uint64_t size() const;
  // Appends the payload; false: no memory.
  [[nodiscard]] bool Finish(GrowBuffer* out) noexcept;

 private:
  uint32_t bits_;
  GrowBuffer hashes_;
};

}  // namespace kist
