// BlockBuilder: collects the entries of one data block and lays them out as block.h draws it.
//
// Entries go end to end into one buffer, behind room for the arrays, which Finish writes right in
// front of them, so that a block of usual size is never copied. Invariant: entries_ holds what the
// arrays need, in order of adding. Threads: one at a time.
#pragma once

#include <cstdint>

#include "table/grow_buffer.h"
#include "util/slice.h"

namespace kist {

class BlockBuilder {
 public:
  // False: no memory; the block is unchanged. The caller keeps order and limits.
  [[nodiscard]] bool Add(Slice key, uint64_t hash, uint64_t tag, Slice value) noexcept;
  uint32_t entries() const { return static_cast<uint32_t>(entries_.size() / sizeof(Entry)); }
  bool empty() const { return entries_.size() == 0; }
  // The payload's bytes now, and with one more entry.
  uint64_t size() const {
    return SizeOf(entries(), entry_bytes(), key_least_, key_most_, tag_least_, tag_most_);
  }
  uint64_t SizeWith(Slice key, uint64_t tag, Slice value) const;
  // The key added last; valid until the next Add or Reset.
  Slice last_key() const;
  // The finished payload, valid until the next Finish or Reset, with kBlockHeaderBytes writable
  // bytes in front; nullptr data: no memory. `lengths`: as it is compressed.
  Slice Finish(bool lengths = false) noexcept;
  void Reset() noexcept;

 private:
  struct Entry {
    uint64_t tag;
    uint32_t start;  // from the first entry
    uint16_t key_bytes;
    uint8_t hash;
    uint8_t zero;
  };
  static_assert(sizeof(Entry) == 16, "no padding, it is copied bytewise");
  static uint64_t SizeOf(uint64_t n, uint64_t entry_bytes, uint32_t key_least, uint32_t key_most,
                         uint64_t tag_least, uint64_t tag_most);
  uint64_t entry_bytes() const { return bytes_.size() == 0 ? 0 : bytes_.size() - front_; }
  const Entry* entry(uint32_t i) const {
    return reinterpret_cast<const Entry*>(entries_.data()) + i;
  }
  bool MakeFront(size_t bytes) noexcept;
  void WriteArrays(char* p, uint64_t arrays_bytes, uint64_t payload_bytes, bool lengths) const;

  GrowBuffer entries_;
  GrowBuffer bytes_;  // front_ free bytes, then the entries
  size_t front_ = 0;
  uint32_t key_least_ = 65535;
  uint32_t key_most_ = 0;
  uint64_t tag_least_ = ~uint64_t{0};
  uint64_t tag_most_ = 0;
};

}  // namespace kist
