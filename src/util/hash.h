// Hash64: the fast 64-bit hash of keys for filters, block hash bytes and hash tables. Not for
// untrusted flooding and not a checksum. Filters are stored, so the function is part of the table
// format: it never changes; a test holds it with golden values.
//
// How: input is taken 16 bytes at a time; both halves are xored with constants and folded: the
// 128-bit product of the halves, its high word xored into its low word. A 64 x 64 multiplication
// spreads every input bit over the whole product, and folding keeps both ends of it. Up to 16 bytes
// cost two folds and no loop; overlapping reads cover lengths that are no multiple of a word.
// Threads: any; pure.
#pragma once

#include <cstddef>
#include <cstdint>

#include "util/coding.h"
#include "util/slice.h"

namespace kist {

namespace hash_internal {

// Odd numbers of balanced bits: the golden ratio's fraction, then the fractions of the square roots
// of 2, 3 and 5, each made odd.
constexpr uint64_t kA = 0x9e3779b97f4a7c15;
constexpr uint64_t kB = 0x6a09e667f3bcc909;
constexpr uint64_t kC = 0xbb67ae8584caa73b;
constexpr uint64_t kD = 0x3c6ef372fe94f82b;

__extension__ using Wide = unsigned __int128;

inline uint64_t Fold(uint64_t a, uint64_t b) {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace hash_internal

inline uint64_t Hash64(const char* p, size_t n, uint64_t seed = 0) {
  using hash_internal::Fold;
  using hash_internal::kA;
  using hash_internal::kB;
  using hash_internal::kC;
  using hash_internal::kD;
  uint64_t state = seed ^ kA;
  uint64_t lo;
  uint64_t hi;
  if (n <= 16) {
    if (n >= 8) {
      lo = Load64(p);
      hi = Load64(p + n - 8);
    } else if (n >= 4) {
      lo = Load32(p);
      hi = Load32(p + n - 4);
    } else if (n > 0) {
      lo = static_cast<uint8_t>(p[0]) | static_cast<uint64_t>(static_cast<uint8_t>(p[n / 2])) << 8 |
           static_cast<uint64_t>(static_cast<uint8_t>(p[n - 1])) << 16;
      hi = 0;
    } else {
      lo = hi = 0;
    }
  } else {
    const char* last = p + n - 16;
    for (; p < last; p += 16) state = Fold(Load64(p) ^ kC, Load64(p + 8) ^ state);
    lo = Load64(last);
    hi = Load64(last + 8);
  }
  return Fold(Fold(lo ^ kB, hi ^ state) ^ kD, n ^ kC);
}
inline uint64_t Hash64(Slice s, uint64_t seed = 0) { return Hash64(s.data(), s.size(), seed); }

}  // namespace kist
