// The stored form of one version in a memtable's arena, and the place of a key in the order of
// entries.
//
// tag u64 | value_len u32 | key_len u16 | key | value (native order, unaligned)
//
// Invariants:
//  1. An entry is written before its pointer is published and never changes afterwards.
//  2. At most one entry of a tree has a given (key, sequence): a later one takes the place of the
//     earlier. So entries are ordered by key, then by age, and the kind of an entry decides
//     nothing.
// Threads: any may read what was published.
#pragma once

#include <cstdint>
#include <cstring>

#include "key/internal_key.h"
#include "util/slice.h"

namespace kist {

using EntryPtr = const char*;
constexpr size_t kEntryHead = 14;

// Ascending age is descending sequence: the newest version of a key comes first. Fits 57 bits, so
// age + 1 never wraps.
inline uint64_t AgeOf(Sequence seq) { return kMaxSequence - seq; }

inline uint64_t EntryTag(EntryPtr e) {
  uint64_t tag;
  std::memcpy(&tag, e, 8);
  return tag;
}
inline uint64_t EntryAge(EntryPtr e) { return AgeOf(TagSequence(EntryTag(e))); }
inline uint16_t EntryKeyLen(EntryPtr e) {
  uint16_t n;
  std::memcpy(&n, e + 12, 2);
  return n;
}
inline Slice EntryKey(EntryPtr e) { return Slice(e + kEntryHead, EntryKeyLen(e)); }
inline Slice EntryValue(EntryPtr e) {
  uint32_t n;
  std::memcpy(&n, e + 8, 4);
  return Slice(e + kEntryHead + EntryKeyLen(e), n);
}

// Begins to fetch head and key, which may lie across two lines. Harmless on any pointer.
inline void FetchEntry(EntryPtr e) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(e);
  __builtin_prefetch(reinterpret_cast<const void*>(at));
  __builtin_prefetch(reinterpret_cast<const void*>(at + kEntryHead + 16));
}

// Writes head and key; returns where the value goes.
inline char* WriteEntryHead(char* p, Slice key, uint64_t tag, uint32_t value_len) {
  const uint16_t key_len = static_cast<uint16_t>(key.size());
  std::memcpy(p, &tag, 8);
  std::memcpy(p + 8, &value_len, 4);
  std::memcpy(p + 12, &key_len, 2);
  if (key_len != 0) std::memcpy(p + kEntryHead, key.data(), key_len);
  return p + kEntryHead + key_len;
}

// A place in the order of entries.
struct Place {
  Slice key;
  uint64_t age = 0;
};

inline Place PlaceOf(EntryPtr e) { return {EntryKey(e), EntryAge(e)}; }

// The place of the first entry that is not before (key, tag). Sequences decide; a kind of 0 is past
// its sequence's entry.
inline Place SeekPlace(Slice key, uint64_t tag) {
  return {key, AgeOf(TagSequence(tag)) + ((tag & 0xff) == 0 ? 1 : 0)};
}

// Whether the entry is before the place; both are known to share their first `skip` bytes.
inline bool EntryBefore(EntryPtr e, const Place& p, size_t skip) {
  const Slice key = EntryKey(e);
  const size_t n = key.size() < p.key.size() ? key.size() : p.key.size();
  if (n > skip) {
    const int c = std::memcmp(key.data() + skip, p.key.data() + skip, n - skip);
    if (c != 0) return c < 0;
  }
  if (key.size() != p.key.size()) return key.size() < p.key.size();
  return EntryAge(e) < p.age;
}

// The eight bytes of the key from `skip` on as a number that orders like them, zero-padded.
inline uint64_t WordAt(Slice key, size_t skip) {
  const size_t size = key.size();
  if (size >= skip + 8) return Prefix64(key.data() + skip, 8);
  if (size <= skip) return 0;
  // The last eight bytes of the key, without those in front of `skip`.
  if (size >= 8) return Prefix64(key.data() + size - 8, 8) << (8 * (8 - (size - skip)));
  return Prefix64(key.data() + skip, size - skip);
}

}  // namespace kist
