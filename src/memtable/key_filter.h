// KeyFilter: tells most keys that a memtable does not hold, with one look at memory, where the tree
// would take one for each of its levels. A blocked Bloom filter whose block is a word: a key's hash
// chooses one word and four bits of it. (Putze, Sanders and Singler, "Cache-, Hash- and
// Space-Efficient Bloom Filters", 2007.)
// Invariants:
//  1. A key that was added is never denied to a reader that may see its entry: the writer adds the
//     key before it publishes the entry's sequence, and begins with those that are there already.
//  2. Keys of all keyspaces share the words; one that is taken for another's costs a search alone.
// Threads: Add by one writer; MayContain by any thread beside it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "util/hash.h"
#include "util/slice.h"

namespace kist {

class KeyFilter {
 public:
  // What it takes of a memtable of arena_bytes: with entries of 140 bytes 18 bits a key, which deny
  // 98 of 100 keys. 0: none, because a small tree is searched as fast.
  static size_t BytesFor(size_t arena_bytes) {
    return arena_bytes < kArenaMin ? 0 : arena_bytes / kShare / sizeof(uint64_t) * sizeof(uint64_t);
  }
  KeyFilter() = default;
  // Of zeroed memory at a multiple of 8, which outlives it.
  KeyFilter(char* memory, size_t bytes)
      : words_(reinterpret_cast<std::atomic<uint64_t>*>(memory)),
        count_(bytes / sizeof(uint64_t)) {}

  void Add(Slice key) {
    const uint64_t hash = Hash64(key);
    std::atomic<uint64_t>& word = words_[At(hash)];
    const uint64_t was = word.load(std::memory_order_relaxed);
    const uint64_t is = was | Bits(hash);
    if (is != was) word.store(is, std::memory_order_relaxed);
  }
  bool MayContain(Slice key) const {
    const uint64_t hash = Hash64(key);
    const uint64_t bits = Bits(hash);
    return (words_[At(hash)].load(std::memory_order_relaxed) & bits) == bits;
  }

 private:
  static constexpr size_t kArenaMin = size_t{512} << 10;
  static constexpr size_t kShare = 64;

  // The word by the high half, the bits by four fields of the low one.
  size_t At(uint64_t hash) const {
    return static_cast<size_t>((hash >> 32) * static_cast<uint64_t>(count_) >> 32);
  }
  static uint64_t Bits(uint64_t hash) {
    return uint64_t{1} << (hash & 63) | uint64_t{1} << (hash >> 6 & 63) |
           uint64_t{1} << (hash >> 12 & 63) | uint64_t{1} << (hash >> 18 & 63);
  }

  std::atomic<uint64_t>* words_ = nullptr;
  size_t count_ = 0;
};

}  // namespace kist
