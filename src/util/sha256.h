// SHA-256 (FIPS 180-4), for the requests of the S3 target: the storage refuses a body that is not
// what was signed. Portable code: a request waits for the network, not for this.
// Own code, because libcurl does not give away its own, and a cryptographic library would be one
// more dependency of every program. Threads: any; an object has one user.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "util/slice.h"

namespace kist {

class Sha256 {
 public:
  void Add(const void* data, size_t n);
  void Add(Slice s) { Add(s.data(), s.size()); }
  // 64 hexadecimal digits; the object is used up.
  std::string FinishHex();

 private:
  void Block(const uint8_t* p);

  uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint8_t pending_[64];
  size_t pending_bytes_ = 0;
  uint64_t bytes_ = 0;
};

inline std::string Sha256Hex(Slice s) {
  Sha256 hash;
  hash.Add(s);
  return hash.FinishHex();
}

}  // namespace kist
