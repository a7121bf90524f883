// Slice: borrowed bytes. A std::string_view compares by memcmp with the shorter first on a tie,
// which is exactly Kist's key order, so the standard type is used under the field's name.
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace kist {

using Slice = std::string_view;

inline size_t CommonPrefixLength(Slice a, Slice b) {
  const size_t n = a.size() < b.size() ? a.size() : b.size();
  size_t i = 0;
  while (i < n && a[i] == b[i]) ++i;
  return i;
}

// The first eight bytes as a big-endian number, zero-padded: orders like the bytes it holds, and
// equal numbers decide nothing.
inline uint64_t Prefix64(const char* p, size_t n) {
  uint64_t v = 0;
  if (n >= 8) {
    std::memcpy(&v, p, 8);
  } else if (n > 0) {
    std::memcpy(&v, p, n);
  }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  v = __builtin_bswap64(v);
#endif
  return v;
}
inline uint64_t Prefix64(Slice s) { return Prefix64(s.data(), s.size()); }

}  // namespace kist
