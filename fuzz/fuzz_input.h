// FuzzInput: numbers and bytes taken off the front of a fuzzer's input, or single bytes off its
// end, where a target asks for what its corpus did not know; past its end, zeros. Damage: what the
// rest of an input does to a file. MUST: a promise that a target checks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "util/slice.h"
#include "util/status.h"
#include "vfs/vfs.h"

#define MUST(condition)                                                            \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                \
    }                                                                              \
  } while (0)

namespace kist::fuzz {

class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : in_(reinterpret_cast<const char*>(data), size) {}
  bool empty() const { return in_.empty(); }
  Slice rest() const { return in_; }
  uint8_t Byte() {
    if (in_.empty()) return 0;
    const uint8_t byte = static_cast<uint8_t>(in_[0]);
    in_.remove_prefix(1);
    return byte;
  }
  uint8_t Last() {
    if (in_.empty()) return 0;
    const uint8_t byte = static_cast<uint8_t>(in_.back());
    in_.remove_suffix(1);
    return byte;
  }
  uint32_t Below(uint32_t n) {
    const uint32_t high = Byte();
    return (high << 8 | Byte()) % n;
  }
  Slice Bytes(size_t n) {
    const Slice bytes = in_.substr(0, n);
    in_.remove_prefix(bytes.size());
    return bytes;
  }

 private:
  Slice in_;
};

inline void PutFile(Vfs* vfs, const std::string& path, Slice bytes) {
  auto file = vfs->Open(path, OpenMode::kCreateOrTruncate);
  MUST(file.ok());
  MUST((*file)->Write(0, bytes).ok());
}

// Flips, overwrites, cuts or extends bytes as the input says.
inline void DamageBytes(std::string* bytes, FuzzInput* input) {
  for (int edits = 1 + input->Byte() % 4; edits > 0 && !bytes->empty(); --edits) {
    const uint8_t how = input->Byte() % 8;
    const size_t at = (size_t{input->Below(65536)} << 8 | input->Byte()) % bytes->size();
    if (how == 0) {
      bytes->resize(at);
    } else if (how == 1) {
      bytes->append(input->Bytes(1 + input->Byte()));
    } else if (how == 2) {
      const size_t n = std::min<size_t>(512, bytes->size() - at);
      std::fill_n(bytes->begin() + static_cast<ptrdiff_t>(at), n, 0);
    } else {
      (*bytes)[at] = static_cast<char>((*bytes)[at] ^ input->Byte());
    }
  }
}

// The same to a file. Says whether it holds other bytes now.
inline bool Damage(Vfs* vfs, const std::string& path, FuzzInput* input) {
  auto read = ReadFile(vfs, path);
  MUST(read.ok());
  const std::string before = read.Take();
  std::string bytes = before;
  DamageBytes(&bytes, input);
  PutFile(vfs, path, bytes);
  return bytes != before;
}

}  // namespace kist::fuzz
