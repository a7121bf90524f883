// CRC32C (Castagnoli, reflected 0x82F63B78), the checksum of every Kist format: initial value and
// final xor are all ones, as in iSCSI, so Value("123456789") is 0xE3069283.
//
// The kernel is chosen at run time: SSE4.2 with PCLMULQDQ, SSE4.2, ARMv8 CRC, or tables. All give
// the same numbers. Own code because Debian 12 has no libcrc32c. Threads: any; no state.
#pragma once

#include <cstddef>
#include <cstdint>

#include "util/slice.h"

namespace kist::crc32c {

// The checksum of A followed by the n bytes at p, where crc is A's.
uint32_t Extend(uint32_t crc, const void* p, size_t n);

inline uint32_t Value(const void* p, size_t n) { return Extend(0, p, n); }
inline uint32_t Value(Slice s) { return Extend(0, s.data(), s.size()); }

// Which kernel this machine uses: "sse4.2+pclmul", "sse4.2", "armv8" or "table".
const char* KernelName();

// One named kernel, for the tests that compare them; false where this machine cannot run it.
bool ExtendWith(const char* kernel, uint32_t* crc, const void* p, size_t n);

}  // namespace kist::crc32c
