// Block: one decoded data block in memory, shared by the cache, iterators and pins by a reference
// count.
//
//   data     := u32 entries n (not 0) | u16 least key length | u8 key width (0, 1, 2)
//               | u8 tag width (0, 1, 2, 4, 8) | u64 least tag
//               | hash{n} | start{n + 1} | key_len{n} | tag{n} | entry{n}
//   hash      = u8, the low byte of the key's 64-bit hash (HashKey)
//   start     = u16 where the whole is at most 65535 bytes, else u32: where the entry's key
//               begins, from the block's first byte; start[0] is the first byte of entries,
//               start[n] the block's length
//   key_len   = the key's length minus the least one, in `key width` bytes; none where all are
//               equal
//   tag       = the entry's tag minus the least one, in `tag width` bytes (after a compaction to
//               the bottom all are equal)
//   entry    := key | value, whole, in internal order; its length is start[i + 1] - start[i]
//
// Where it is compressed, start[i] for i > 0 is stored as start[i] - start[i - 1]: lengths repeat,
// starts do not (6 % of a table of values of 100 bytes).
//
// A point lookup compares the hash bytes 16 at a time and touches one entry; they stand right
// behind the Block object. A search compares with kPivots evenly spaced keys first, whose eight
// bytes fill the object's second cache line: three probes of entries, each a line of its own, less.
// Rejected: restart points and prefix-compressed
// keys, which make every access a walk and keys that must be copied out; Snappy takes out what
// neighbouring keys share.
// Invariants
//  1. A Block that exists was validated: starts ascend within the payload, keys fit their entries,
//     kinds are known, a kPutTtl value holds its expiry, a kDelete has none. So accessors check
//     nothing.
//  2. At least kBlockPadding readable bytes follow the payload (allocated here; in a mapping, the
//     rest of the file).
// Threads: immutable after decoding, except the reference count and what block_cache.h owns.
#pragma once

#include <atomic>
#include <cstdint>

#include "iter/internal_iterator.h"
#include "key/internal_key.h"
#include "util/coding.h"
#include "util/ref.h"
#include "util/slice.h"
#include "util/status.h"

namespace kist {

constexpr size_t kDataHeaderBytes = 16;
constexpr size_t kBlockPadding = 16;

// What keeps the bytes of blocks alive that do not stand behind their Block object: a mapped file,
// a read-ahead buffer.
class BlockBytes {
 public:
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  // Whether the caller's reference is the only one.
  bool Unshared() const { return refs_.load(std::memory_order_acquire) == 1; }

 protected:
  virtual ~BlockBytes() = default;

 private:
  std::atomic<uint32_t> refs_{1};
};

class BlockPool;

// What memory is for: the cache, a reader alone, or a flush or compaction.
enum class BlockUse : uint8_t { kCache, kReader, kJob };

class alignas(64) Block {
 public:
  // A block with room for a payload of `bytes` behind it, counted by the pool where there is one,
  // and from its cells where it has room (for what is not for the cache, only where it says so);
  // nullptr: no memory. With one reference, not usable before Init.
  static Block* New(size_t bytes, BlockPool* pool = nullptr,
                    BlockUse use = BlockUse::kCache) noexcept;
  // A block over payload bytes that `owner` keeps alive, counts and padded as invariant 2 asks.
  static Block* NewView(const char* payload, size_t bytes, BlockBytes* owner) noexcept;
  // Where New's caller puts the payload; the block's stored header may stand right in front of it.
  char* mutable_payload() { return reinterpret_cast<char*>(this + 1); }
  // Makes the starts of a payload that was compressed, in place; false: it has no room for its
  // arrays.
  static bool LengthsToStarts(char* payload, size_t bytes);
  // Validates the payload and sets the accessors up; returns what is wrong with it, or nullptr.
  // `validated`: an earlier Init of the same bytes found them good.
  const char* Init(bool validated = false);

  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) Destroy();
  }
  // Asks for the lines that Find reads first, all at once: the object, hash bytes, starts.
  static void Prefetch(const Block* block) {
    const char* p = reinterpret_cast<const char*>(block);
    __builtin_prefetch(p);
    __builtin_prefetch(p + 128);
    __builtin_prefetch(p + 192);
  }
  // The same for LowerBound: the object, pivots, starts.
  static void PrefetchSearch(const Block* block) {
    const char* p = reinterpret_cast<const char*>(block);
    __builtin_prefetch(p);
    __builtin_prefetch(p + 64);
    __builtin_prefetch(p + 128);
    __builtin_prefetch(p + 192);
  }
  // Tells the cache that a lookup used it; readers that find it told write nothing.
  void Touch() {
    if (!touched_.load(std::memory_order_relaxed)) touched_.store(true, std::memory_order_relaxed);
  }
  static void Release(void* block) { static_cast<Block*>(block)->Unref(); }  // for PinSink and pins
  // Bytes it takes of allocator or pool; what a view points into is not counted.
  size_t memory_bytes() const;
  // Who counts it; nullptr: nobody.
  BlockPool* pool() const;
  static size_t MemoryBytes(size_t payload_bytes) {
    return sizeof(Block) + payload_bytes + kBlockPadding;
  }

  uint32_t entries() const { return entries_; }
  uint32_t payload_bytes() const { return payload_bytes_; }
  const char* payload() const { return payload_; }
  Slice key(uint32_t i) const { return Slice(payload_ + start(i), key_bytes(i)); }
  uint64_t tag(uint32_t i) const {
    if (tag_width_ == 0) return tag_base_;
    return tag_base_ +
           (Load64(payload_ + tags_at_ + size_t{i} * tag_width_) & WidthMask(tag_width_));
  }
  Slice value(uint32_t i) const {
    const uint32_t at = start(i) + key_bytes(i);
    return Slice(payload_ + at, start(i + 1) - at);
  }
  uint8_t hash(uint32_t i) const { return static_cast<uint8_t>(payload_[kDataHeaderBytes + i]); }
  uint32_t start(uint32_t i) const {
    const char* p = payload_ + starts_at_;
    return wide_ ? Load32(p + size_t{i} * 4) : Load16(p + size_t{i} * 2);
  }
  uint32_t key_bytes(uint32_t i) const {
    if (key_width_ == 0) return key_base_;
    const char* p = payload_ + key_lens_at_;
    return key_base_ + (key_width_ == 1 ? static_cast<uint8_t>(p[i]) : Load16(p + size_t{i} * 2));
  }

  // n <= 64 entries from i on; step is 1 or -1. Bit k of what it returns: out[k] may have the key
  // of out[k - 1]; told by hash bytes, so that no key is read.
  uint64_t Entries(uint32_t i, int step, size_t n, InternalEntry* out) const;

  // The first entry >= (key, tag); entries() where there is none.
  uint32_t LowerBound(Slice key, uint64_t tag) const;
  // The newest version of key with a tag <= `tag`, by hash bytes; entries() where there is none.
  uint32_t Find(Slice key, uint64_t hash, uint64_t tag) const;

 private:
  friend class BlockCache;
  // Where it lies: in memory that nobody counts, that its pool counts (which stands in the last
  // bytes of the padding then), or in a cell of a pool.
  enum class Memory : uint8_t { kPlain, kCounted, kCell };
  // Above this many entries a binary search beats comparing all hash bytes.
  static constexpr uint32_t kHashSearchMax = 1024;
  static constexpr uint32_t kPivots = 8;

  Block(const char* payload, uint32_t bytes, bool view)
      : payload_(payload), payload_bytes_(bytes), view_(view) {}
  ~Block() = default;
  void Destroy() noexcept;
  const char* Layout();
  const char* ValidateEntries() const;
  const char* pool_place() const {
    return reinterpret_cast<const char*>(this + 1) + payload_bytes_ + kBlockPadding -
           sizeof(BlockPool*);
  }
  BlockBytes** owner() { return reinterpret_cast<BlockBytes**>(this + 1); }
  // Of a number of 1 to 8 bytes.
  static uint64_t WidthMask(uint8_t width) { return ~uint64_t{0} >> (64 - 8 * width); }
  uint64_t MatchHash(uint32_t base, uint8_t hash) const;
  uint64_t MatchNext(uint32_t base, uint32_t n) const;
  uint32_t FindSorted(Slice key, uint64_t tag) const;
  // The eight bytes of entry i's key behind what all keys share, as a number; see Prefix64.
  uint64_t PrefixAt(uint32_t i) const;
  // What a search looks for, behind what all keys share.
  struct Target {
    Slice rest;
    uint64_t prefix;
    uint64_t tag;
  };
  bool EntryLess(uint32_t i, const Target& target) const;
  // Entry of the j-th pivot: they cut the block into kPivots + 1 stretches.
  uint32_t PivotAt(uint32_t j) const {
    return static_cast<uint32_t>(uint64_t{j + 1} * entries_ / (kPivots + 1));
  }

  // What a lookup reads fills one cache line with the reference bit it may set.
  std::atomic<uint32_t> refs_{1};
  uint32_t entries_ = 0;
  const char* payload_;
  uint64_t tag_base_ = 0;
  uint32_t payload_bytes_;
  uint32_t starts_at_ = 0;
  uint32_t key_lens_at_ = 0;
  uint32_t tags_at_ = 0;
  uint16_t key_base_ = 0;
  uint16_t shared_ = 0;  // bytes that all keys begin with
  bool wide_ = false;    // starts are u32
  uint8_t key_width_ = 0;
  uint8_t tag_width_ = 0;
  bool view_;
  // BlockCache's: whether a point read touched it lately; its ring and position there, under the
  // shard's mutex; the next of several blocks that are retired together.
  std::atomic<bool> touched_{false};
  bool cold_ = false;
  Memory memory_ = Memory::kPlain;
  bool of_job_ = false;  // the pool counts it apart
  uint32_t ring_position_ = 0;
  Block* next_retired_ = nullptr;
  // PrefixAt(PivotAt(j)). Before Init a stored header may stand over the end.
  uint64_t pivots_[kPivots];
};
static_assert(sizeof(Block) == 128, "a cache line for lookups, one for searches, then the bytes");

}  // namespace kist
