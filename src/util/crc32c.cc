// CRC32C kernels. See crc32c.h.
//
// Short input is one crc32 instruction per 8 bytes, each waiting three cycles for the one before.
// Long input runs three such chains side by side over equal lanes, which hides that latency, and
// joins them: moving a checksum over n further bytes is a multiplication by x^(8n) modulo the
// polynomial. With PCLMULQDQ that is one carry-less multiplication by a constant (computed below at
// compile time, one for each lane length), whose 63-bit product a crc32 instruction reduces.
//
// Rejected: wider folding with VPCLMULQDQ; at 4 KiB the lanes already run at the instruction's full
// rate, and records and blocks are seldom longer.
#include "util/crc32c.h"

#include <cstring>

#include "util/coding.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

namespace kist::crc32c {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;

// ---- tables

struct Tables {
  uint32_t t[8][256];
};

constexpr Tables MakeTables() {
  Tables tables = {};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = c >> 1 ^ ((c & 1) != 0 ? kPolynomial : 0);
    tables.t[0][i] = c;
  }
  for (int k = 1; k < 8; ++k) {
    for (uint32_t i = 0; i < 256; ++i) {
      const uint32_t c = tables.t[k - 1][i];
      tables.t[k][i] = c >> 8 ^ tables.t[0][c & 0xff];
    }
  }
  return tables;
}
constexpr Tables kTables = MakeTables();

uint32_t TableExtend(uint32_t crc, const char* p, size_t n) {
  const auto& t = kTables.t;
  uint32_t c = ~crc;
  for (; n >= 8; p += 8, n -= 8) {
    const uint64_t v = Load64(p) ^ c;
    c = t[7][v & 0xff] ^ t[6][v >> 8 & 0xff] ^ t[5][v >> 16 & 0xff] ^ t[4][v >> 24 & 0xff] ^
        t[3][v >> 32 & 0xff] ^ t[2][v >> 40 & 0xff] ^ t[1][v >> 48 & 0xff] ^ t[0][v >> 56];
  }
  for (; n > 0; ++p, --n) c = c >> 8 ^ t[0][(c ^ static_cast<uint8_t>(*p)) & 0xff];
  return ~c;
}

#if defined(__x86_64__)

// ---- SSE4.2

// x^n modulo the polynomial, reflected (bit 31 is x^0).
constexpr uint32_t PowerOfX(uint64_t n) {
  uint32_t v = uint32_t{1} << 31;
  for (; n > 0; --n) v = v >> 1 ^ ((v & 1) != 0 ? kPolynomial : 0);
  return v;
}

constexpr size_t kLaneStep = 32;
constexpr size_t kLaneSteps = 64;  // lanes of 32 to 2048 bytes
constexpr size_t kThreeLanesMin = 3 * kLaneStep;

// shift[i] moves a checksum over i * kLaneStep bytes: x^(8 bytes - 33); 33 of the power come from
// the reflected product standing one bit low and from the reduction by a 32-bit checksum step.
struct Shifts {
  uint32_t shift[2 * kLaneSteps + 1];
};
constexpr Shifts MakeShifts() {
  Shifts s = {};
  uint32_t v = PowerOfX(8 * kLaneStep - 33);
  for (size_t i = 1; i <= 2 * kLaneSteps; ++i) {
    s.shift[i] = v;
    for (size_t bit = 0; bit < 8 * kLaneStep; ++bit) v = v >> 1 ^ ((v & 1) != 0 ? kPolynomial : 0);
  }
  return s;
}
constexpr Shifts kShifts = MakeShifts();

__attribute__((target("sse4.2"))) inline uint32_t SseTail(uint64_t c, const char* p, size_t n) {
  for (; n >= 8; p += 8, n -= 8) c = _mm_crc32_u64(c, Load64(p));
  uint32_t d = static_cast<uint32_t>(c);
  if ((n & 4) != 0) {
    d = _mm_crc32_u32(d, Load32(p));
    p += 4;
  }
  if ((n & 2) != 0) {
    d = _mm_crc32_u16(d, Load16(p));
    p += 2;
  }
  if ((n & 1) != 0) d = _mm_crc32_u8(d, static_cast<uint8_t>(*p));
  return d;
}

__attribute__((target("sse4.2"))) uint32_t SseExtend(uint32_t crc, const char* p, size_t n) {
  return ~SseTail(~crc, p, n);
}

__attribute__((target("sse4.2,pclmul"))) inline uint64_t Shifted(uint64_t crc, uint32_t by) {
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<int64_t>(crc)),
                                               _mm_cvtsi32_si128(static_cast<int>(by)), 0);
  return _mm_crc32_u64(0, static_cast<uint64_t>(_mm_cvtsi128_si64(product)));
}

__attribute__((target("sse4.2,pclmul"))) uint32_t PclmulExtend(uint32_t crc, const char* p,
                                                               size_t n) {
  uint64_t a = static_cast<uint32_t>(~crc);
  while (n >= kThreeLanesMin) {
    size_t steps = n / kThreeLanesMin;
    if (steps > kLaneSteps) steps = kLaneSteps;
    const size_t lane = steps * kLaneStep;
    uint64_t b = 0;
    uint64_t c = 0;
    for (const char* end = p + lane; p != end; p += 8) {
      a = _mm_crc32_u64(a, Load64(p));
      b = _mm_crc32_u64(b, Load64(p + lane));
      c = _mm_crc32_u64(c, Load64(p + 2 * lane));
    }
    a = Shifted(a, kShifts.shift[2 * steps]) ^ Shifted(b, kShifts.shift[steps]) ^ c;
    p += 2 * lane;
    n -= 3 * lane;
  }
  return ~SseTail(a, p, n);
}

// What __builtin_cpu_supports reads was filled in by the compiler's own start-up code: a load and a
// test.
bool HasSse() { return __builtin_cpu_supports("sse4.2") != 0; }
bool HasPclmul() { return HasSse() && __builtin_cpu_supports("pclmul") != 0; }

#elif defined(__aarch64__) && defined(__linux__)

// ---- ARMv8

// clang offers the intrinsics of arm_acle.h only where the whole file is compiled for the
// extension.
#if defined(__clang__)
#define KIST_TARGET_CRC __attribute__((target("crc")))
#define KIST_CRC32CX __builtin_arm_crc32cd
#define KIST_CRC32CB __builtin_arm_crc32cb
#else
#define KIST_TARGET_CRC __attribute__((target("+crc")))
#define KIST_CRC32CX __crc32cd
#define KIST_CRC32CB __crc32cb
#endif

KIST_TARGET_CRC uint32_t ArmExtend(uint32_t crc, const char* p, size_t n) {
  uint32_t c = ~crc;
  for (; n >= 8; p += 8, n -= 8) c = KIST_CRC32CX(c, Load64(p));
  for (; n > 0; ++p, --n) c = KIST_CRC32CB(c, static_cast<uint8_t>(*p));
  return ~c;
}

bool HasArm() {
  static const bool has = (getauxval(AT_HWCAP) & (1UL << 7)) != 0;  // HWCAP_CRC32
  return has;
}

#endif

}  // namespace

uint32_t Extend(uint32_t crc, const void* p, size_t n) {
  const char* bytes = static_cast<const char*>(p);
#if defined(__x86_64__)
  if (HasSse()) {
    if (n < kThreeLanesMin || !HasPclmul()) return SseExtend(crc, bytes, n);
    return PclmulExtend(crc, bytes, n);
  }
#elif defined(__aarch64__) && defined(__linux__)
  if (HasArm()) return ArmExtend(crc, bytes, n);
#endif
  return TableExtend(crc, bytes, n);
}

const char* KernelName() {
#if defined(__x86_64__)
  if (HasPclmul()) return "sse4.2+pclmul";
  if (HasSse()) return "sse4.2";
#elif defined(__aarch64__) && defined(__linux__)
  if (HasArm()) return "armv8";
#endif
  return "table";
}

bool ExtendWith(const char* kernel, uint32_t* crc, const void* p, size_t n) {
  const char* bytes = static_cast<const char*>(p);
  const Slice name(kernel);
  if (name == "table") {
    *crc = TableExtend(*crc, bytes, n);
    return true;
  }
#if defined(__x86_64__)
  if (name == "sse4.2" && HasSse()) {
    *crc = SseExtend(*crc, bytes, n);
    return true;
  }
  if (name == "sse4.2+pclmul" && HasPclmul()) {
    *crc = PclmulExtend(*crc, bytes, n);
    return true;
  }
#elif defined(__aarch64__) && defined(__linux__)
  if (name == "armv8" && HasArm()) {
    *crc = ArmExtend(*crc, bytes, n);
    return true;
  }
#endif
  return false;
}

}  // namespace kist::crc32c
