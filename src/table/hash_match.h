// MatchHash16: which of 16 neighbouring hash bytes equal one byte, as a bit mask, the first byte's
// bit lowest. MatchBytes16: which of them equal those at the same places of another 16. SSE2, NEON
// or plain words. Both read 16 bytes whatever their number; the caller masks what lies past its
// end.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace kist {

// The portable form, everywhere, so that tests can compare.
inline uint32_t MatchBytes16Portable(const char* p, const char* q) {
  uint32_t mask = 0;
  for (int half = 0; half < 2; ++half) {
    uint64_t v, w;
    std::memcpy(&v, p + half * 8, 8);
    std::memcpy(&w, q + half * 8, 8);
    v ^= w;
    // The high bit of each byte of `zero` says that v's byte is 0; exact, no carry crosses bytes.
    const uint64_t low7 = uint64_t{0x7f7f7f7f7f7f7f7f};
    const uint64_t zero = ~(((v & low7) + low7) | v | low7);
    // Gathers the eight high bits into one byte, the first byte's lowest.
    const uint64_t bits = ((zero >> 7) * uint64_t{0x0102040810204080}) >> 56;
    mask |= static_cast<uint32_t>(bits) << (half * 8);
  }
  return mask;
}

inline uint32_t MatchHash16Portable(const char* p, uint8_t hash) {
  char q[16];
  std::memset(q, hash, sizeof q);
  return MatchBytes16Portable(p, q);
}

#if defined(__SSE2__)
inline uint32_t MatchHash16(const char* p, uint8_t hash) {
  const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i eq = _mm_cmpeq_epi8(v, _mm_set1_epi8(static_cast<char>(hash)));
  return static_cast<uint32_t>(_mm_movemask_epi8(eq));
}
inline uint32_t MatchBytes16(const char* p, const char* q) {
  const __m128i eq = _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)),
                                    _mm_loadu_si128(reinterpret_cast<const __m128i*>(q)));
  return static_cast<uint32_t>(_mm_movemask_epi8(eq));
}
#elif defined(__ARM_NEON)
inline uint32_t MaskOfBytes(uint8x16_t eq) {
  const uint8x16_t weights = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t bits = vandq_u8(eq, weights);
  const uint8x8_t low = vget_low_u8(bits);
  const uint8x8_t high = vget_high_u8(bits);
  uint8x8_t sum = vpadd_u8(low, high);
  sum = vpadd_u8(sum, sum);
  sum = vpadd_u8(sum, sum);
  return static_cast<uint32_t>(vget_lane_u8(sum, 0)) | static_cast<uint32_t>(vget_lane_u8(sum, 1))
                                                           << 8;
}
inline uint32_t MatchHash16(const char* p, uint8_t hash) {
  return MaskOfBytes(vceqq_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(p)), vdupq_n_u8(hash)));
}
inline uint32_t MatchBytes16(const char* p, const char* q) {
  return MaskOfBytes(vceqq_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(p)),
                              vld1q_u8(reinterpret_cast<const uint8_t*>(q))));
}
#else
inline uint32_t MatchHash16(const char* p, uint8_t hash) { return MatchHash16Portable(p, hash); }
inline uint32_t MatchBytes16(const char* p, const char* q) { return MatchBytes16Portable(p, q); }
#endif

}  // namespace kist
