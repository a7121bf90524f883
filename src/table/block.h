// Block: one decoded data block in memory, shared by the cache, iterators and pins by a reference count.
//
// Stored form: the block's bytes (raw or Snappy) | u8 compression | u32 CRC32C over bytes and compression, seeded with table id and
// file offset, so that a stale, swapped or misdirected block fails it.
// Decoded form (see src/FORMAT.md): entries as whole keys and values laid end to end, an offset array, tags (one for all where they
// are equal), one hash byte per entry for point lookups.
// Threads: immutable after decoding.
#pragma once

#include <atomic>
#include <cstdint>

#include "key/internal_key.h"
#include "util/ref.h"
#include "util/slice.h"
#include "util/status.h"

namespace kist {

class Block {
 public:
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref();
  static void Release(void* block) { static_cast<Block*>(block)->Unref(); }  // for PinSink and pins
  size_t memory_bytes() const;

  uint32_t entries() const;
  Slice key(uint32_t i) const;
  uint64_t tag(uint32_t i) const;
  Slice value(uint32_t i) const;
  // The first entry >= (key, tag); entries() where there is none.
  uint32_t LowerBound(Slice key, uint64_t tag) const;
  // The newest version of key with tag <= `tag`, by hash bytes; entries() where there is none.
  uint32_t Find(Slice key, uint64_t hash, uint64_t tag) const;
  // (the rest is the table room's own)
};

}  // namespace kist
