// Fixed-width little-endian numbers, unaligned; formats in Kist use nothing else. Writing appends
// to a string or stores into a buffer; reading loads from a buffer that was measured before, or
// goes through a Decoder, which never reads past its input. Threads: pure functions; a Decoder has
// one user.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

#include "util/slice.h"

namespace kist {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "a big-endian port swaps in these helpers");

template <typename T>
inline void StoreLe(char* p, T v) {
  std::memcpy(p, &v, sizeof v);
}
template <typename T>
inline T LoadLe(const char* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline uint16_t Load16(const char* p) { return LoadLe<uint16_t>(p); }
inline uint32_t Load32(const char* p) { return LoadLe<uint32_t>(p); }
inline uint64_t Load64(const char* p) { return LoadLe<uint64_t>(p); }
inline void Store16(char* p, uint16_t v) { StoreLe(p, v); }
inline void Store32(char* p, uint32_t v) { StoreLe(p, v); }
inline void Store64(char* p, uint64_t v) { StoreLe(p, v); }

// memcmp(a, b, n) == 0, inline for short keys.
inline bool SameBytes(const char* a, const char* b, size_t n) {
  if (n < 8) return n == 0 || std::memcmp(a, b, n) == 0;
  uint64_t differ = Load64(a + n - 8) ^ Load64(b + n - 8);
  for (size_t i = 0; i + 8 < n; i += 8) differ |= Load64(a + i) ^ Load64(b + i);
  return differ == 0;
}

// Expected to be true.
inline bool BeginsWith(Slice s, Slice shared) {
  return __builtin_expect(
      s.size() >= shared.size() && SameBytes(s.data(), shared.data(), shared.size()), 1);
}

inline void Append8(std::string* s, uint8_t v) { s->push_back(static_cast<char>(v)); }
inline void Append16(std::string* s, uint16_t v) { s->append(reinterpret_cast<char*>(&v), 2); }
inline void Append32(std::string* s, uint32_t v) { s->append(reinterpret_cast<char*>(&v), 4); }
inline void Append64(std::string* s, uint64_t v) { s->append(reinterpret_cast<char*>(&v), 8); }
// u32 length, then the bytes.
inline void AppendBytes(std::string* s, Slice b) {
  Append32(s, static_cast<uint32_t>(b.size()));
  s->append(b.data(), b.size());
}

// Takes numbers and bytes off the front of a buffer. The first failure sticks: later takes return
// zero, and ok() tells, so a decoder checks once at its end.
class Decoder {
 public:
  explicit Decoder(Slice in) : in_(in) {}
  template <typename T>
  T Take() {
    if (in_.size() < sizeof(T)) return Fail(), T{};
    T v = LoadLe<T>(in_.data());
    in_.remove_prefix(sizeof(T));
    return v;
  }
  uint8_t Take8() { return Take<uint8_t>(); }
  uint16_t Take16() { return Take<uint16_t>(); }
  uint32_t Take32() { return Take<uint32_t>(); }
  uint64_t Take64() { return Take<uint64_t>(); }
  Slice Take(size_t n) {
    if (in_.size() < n) return Fail(), Slice();
    Slice s = in_.substr(0, n);
    in_.remove_prefix(n);
    return s;
  }
  Slice TakeBytes() { return Take(Take32()); }
  Slice rest() const { return in_; }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && in_.empty(); }

 private:
  void Fail() {
    ok_ = false;
    in_ = Slice();
  }
  Slice in_;
  bool ok_ = true;
};

}  // namespace kist
