// Decoding and searching of data blocks; the format and the invariants stand in block.h.
// Everything that accessors rely on is checked once, in Layout and ValidateEntries; nothing here
// trusts a byte of the payload before.
// Threads: Init by the maker alone, searches by any.
#include "table/block.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "table/block_pool.h"
#include "table/format.h"
#include "table/hash_match.h"
#include "util/alloc.h"
#include "util/check.h"

namespace kist {

namespace {

bool KnownKind(uint64_t tag) {
  const uint64_t kind = tag & 0xff;
  return kind == static_cast<uint64_t>(EntryKind::kPut) ||
         kind == static_cast<uint64_t>(EntryKind::kDelete) ||
         kind == static_cast<uint64_t>(EntryKind::kPutTtl);
}

}  // namespace

bool Block::LengthsToStarts(char* payload, size_t bytes) {
  if (bytes < kDataHeaderBytes) return false;
  const uint64_t n = Load32(payload);
  const bool wide = bytes > 65535;
  if (kDataHeaderBytes + n + (n + 1) * (wide ? 4 : 2) > bytes) return false;
  char* p = payload + kDataHeaderBytes + n;
  if (wide) {
    uint32_t start = Load32(p);
    for (uint64_t i = 0; i < n; ++i) {
      p += 4;
      start += Load32(p);
      Store32(p, start);
    }
  } else {
    uint16_t start = Load16(p);
    for (uint64_t i = 0; i < n; ++i) {
      p += 2;
      start = static_cast<uint16_t>(start + Load16(p));
      Store16(p, start);
    }
  }
  return true;
}

Block* Block::New(size_t bytes, BlockPool* pool, BlockUse use) noexcept {
  BlockPool* const job_pool = use == BlockUse::kJob ? pool : nullptr;
  if (job_pool != nullptr) job_pool->BeginJob(MemoryBytes(bytes));
  void* memory = pool == nullptr           ? nullptr
                 : use == BlockUse::kCache ? pool->Allocate(MemoryBytes(bytes))
                                           : pool->AllocateLoose(MemoryBytes(bytes));
  Memory kind = Memory::kCell;
  if (memory == nullptr) {
    memory = AllocateAligned(MemoryBytes(bytes), alignof(Block));
    kind = pool == nullptr ? Memory::kPlain : Memory::kCounted;
  }
  if (memory == nullptr) {
    if (job_pool != nullptr) job_pool->EndJob(MemoryBytes(bytes));
    return nullptr;
  }
  char* payload = static_cast<char*>(memory) + sizeof(Block);
  std::memset(payload + bytes, 0, kBlockPadding);
  Block* block = new (memory) Block(payload, static_cast<uint32_t>(bytes), false);
  block->memory_ = kind;
  block->of_job_ = job_pool != nullptr;
  if (kind == Memory::kCounted) {
    pool->CountLoose(MemoryBytes(bytes));
    std::memcpy(const_cast<char*>(block->pool_place()), &pool, sizeof pool);
  }
  return block;
}

Block* Block::NewView(const char* payload, size_t bytes, BlockBytes* owner) noexcept {
  void* memory = AllocateAligned(sizeof(Block) + sizeof(BlockBytes*), alignof(Block));
  if (memory == nullptr) return nullptr;
  Block* block = new (memory) Block(payload, static_cast<uint32_t>(bytes), true);
  owner->Ref();
  *block->owner() = owner;
  return block;
}

void Block::Destroy() noexcept {
  if (view_) (*owner())->Unref();
  const Memory kind = memory_;
  const size_t bytes = MemoryBytes(payload_bytes_);
  BlockPool* const pool = this->pool();
  BlockPool* const job_pool = of_job_ ? pool : nullptr;
  this->~Block();
  if (kind == Memory::kCell) {
    BlockPool::Deallocate(this);
  } else {
    Deallocate(this);
    if (pool != nullptr) pool->DropLoose(bytes);
  }
  if (job_pool != nullptr) job_pool->EndJob(bytes);
}

BlockPool* Block::pool() const {
  if (memory_ == Memory::kCell) return BlockPool::Of(this);
  BlockPool* pool = nullptr;
  if (memory_ == Memory::kCounted) std::memcpy(&pool, pool_place(), sizeof pool);
  return pool;
}

size_t Block::memory_bytes() const {
  if (view_) return sizeof(Block) + sizeof(BlockBytes*);
  const size_t bytes = MemoryBytes(payload_bytes_);
  return memory_ == Memory::kCell ? BlockPool::CellBytes(bytes) : bytes;
}

const char* Block::Init(bool validated) {
  static_assert(sizeof(pivots_) >= kBlockHeaderBytes, "a stored header may be read over them");
  const char* reason = Layout();
  if (reason == nullptr && !validated) reason = ValidateEntries();
  if (reason != nullptr) return reason;
  // Bounded by the least length, so that even keys out of order are never read past.
  const size_t shared = CommonPrefixLength(key(0), key(entries_ - 1));
  shared_ = static_cast<uint16_t>(std::min<size_t>(shared, key_base_));
  for (uint32_t j = 0; j < kPivots; ++j) pivots_[j] = PrefixAt(PivotAt(j));
  return nullptr;
}

const char* Block::Layout() {
  if (payload_bytes_ < kDataHeaderBytes) return "data block too short";
  entries_ = Load32(payload_);
  key_base_ = Load16(payload_ + 4);
  key_width_ = static_cast<uint8_t>(payload_[6]);
  tag_width_ = static_cast<uint8_t>(payload_[7]);
  tag_base_ = Load64(payload_ + 8);
  if (entries_ == 0) return "data block without entries";
  if (key_width_ > 2) return "data block with an unknown key width";
  if (tag_width_ > 8 || (tag_width_ & (tag_width_ - 1)) != 0)
    return "data block with an unknown tag width";
  wide_ = payload_bytes_ > 65535;
  const uint64_t n = entries_;
  const uint64_t starts_at = kDataHeaderBytes + n;
  const uint64_t key_lens_at = starts_at + (n + 1) * (wide_ ? 4 : 2);
  const uint64_t tags_at = key_lens_at + n * key_width_;
  const uint64_t entries_at = tags_at + n * tag_width_;
  if (entries_at > payload_bytes_) return "data block shorter than its arrays";
  starts_at_ = static_cast<uint32_t>(starts_at);
  key_lens_at_ = static_cast<uint32_t>(key_lens_at);
  tags_at_ = static_cast<uint32_t>(tags_at);
  if (start(0) != entries_at) return "data block whose entries begin elsewhere";
  if (start(entries_) != payload_bytes_) return "data block whose entries end elsewhere";
  return nullptr;
}

const char* Block::ValidateEntries() const {
  uint64_t at = start(0);
  for (uint32_t i = 0; i < entries_; ++i) {
    const uint64_t end = start(i + 1);
    const uint64_t value_at = at + key_bytes(i);
    if (key_bytes(i) > 65535) return "data block with a key too long";
    if (value_at > end) return "data block with an entry shorter than its key";
    const uint64_t t = tag(i);
    if (t < tag_base_ || !KnownKind(t)) return "data block with an unknown kind of entry";
    if (TagKind(t) == EntryKind::kDelete && value_at != end)
      return "data block with a tombstone that has a value";
    if (TagKind(t) == EntryKind::kPutTtl && end - value_at < 8)
      return "data block with an entry without its expiry";
    at = end;
  }
  return nullptr;
}

uint64_t Block::Entries(uint32_t i, int step, size_t n, InternalEntry* out) const {
  const auto behind = static_cast<uint32_t>(n - 1);  // the first
  uint64_t same = MatchNext(step > 0 ? i : i - behind, behind);
  if (step > 0) {
    same <<= 1;
  } else if (same != 0) {
    uint64_t turned = 0;
    for (; same != 0; same &= same - 1)
      turned |= uint64_t{1} << (behind - static_cast<uint32_t>(__builtin_ctzll(same)));
    same = turned;
  }
  for (size_t k = 0; k < n; ++k, i += static_cast<uint32_t>(step)) {
    const char* const at = payload_ + start(i);
    __builtin_prefetch(at);
    const uint32_t bytes = key_bytes(i);
    out[k].key = Slice(at, bytes);
    out[k].tag = tag(i);
    out[k].value = Slice(at + bytes, static_cast<size_t>(payload_ + start(i + 1) - at) - bytes);
  }
  return same;
}

uint64_t Block::PrefixAt(uint32_t i) const {
  const uint32_t rest = key_bytes(i) - shared_;
  const uint64_t v = __builtin_bswap64(Load64(payload_ + start(i) + shared_));
  if (rest >= 8) return v;
  return rest == 0 ? 0 : v & ~uint64_t{0} << (64 - 8 * rest);
}

bool Block::EntryLess(uint32_t i, const Target& target) const {
  const uint64_t have = PrefixAt(i);
  if (__builtin_expect(have != target.prefix, 1)) return have < target.prefix;
  return CompareEntry(key(i).substr(shared_), tag(i), target.rest, target.tag) < 0;
}

// The stretch between two pivots, and a plain binary search in it. Tried and slower: asking for
// several probes, or for all of the stretch, at once. The processor guesses the way of a plain
// search half right by itself, and the other lines cost bandwidth.
uint32_t Block::LowerBound(Slice key, uint64_t tag) const {
  const Slice shared(payload_ + start(0), shared_);
  if (!BeginsWith(key, shared)) return key < shared ? 0 : entries_;
  const Slice rest = key.substr(shared_);
  const Target target = {rest, Prefix64(rest), tag};
  uint32_t less = 0;
  uint32_t not_greater = 0;
  for (const uint64_t pivot : pivots_) {
    less += pivot < target.prefix ? 1 : 0;
    not_greater += pivot <= target.prefix ? 1 : 0;
  }
  uint32_t low = less == 0 ? 0 : PivotAt(less - 1) + 1;
  uint32_t high = not_greater == kPivots ? entries_ : PivotAt(not_greater);
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (EntryLess(middle, target)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

uint32_t Block::FindSorted(Slice key, uint64_t tag) const {
  const uint32_t i = LowerBound(key, tag);
  return i < entries_ && this->key(i) == key ? i : entries_;
}

// Which of up to 64 entries from `base` on have the hash byte. The number of compares depends on
// the block's size alone, so that branches are foreseen and what follows starts early.
uint64_t Block::MatchHash(uint32_t base, uint8_t hash) const {
  const char* hashes = payload_ + kDataHeaderBytes + base;
  const uint32_t n = std::min<uint32_t>(entries_ - base, 64);
  uint64_t mask = 0;
  for (uint32_t at = 0; at < n; at += 16) {
    mask |= static_cast<uint64_t>(MatchHash16(hashes + at, hash)) << at;
  }
  return mask & ~uint64_t{0} >> (64 - n);
}

// Which of n < 64 entries from `base` on have the hash byte of the entry behind them.
uint64_t Block::MatchNext(uint32_t base, uint32_t n) const {
  const char* hashes = payload_ + kDataHeaderBytes + base;
  uint64_t mask = 0;
  for (uint32_t at = 0; at < n; at += 16) {
    mask |= static_cast<uint64_t>(MatchBytes16(hashes + at, hashes + at + 1)) << at;
  }
  return mask & ((uint64_t{1} << n) - 1);
}

uint32_t Block::Find(Slice key, uint64_t hash, uint64_t tag) const {
  if (entries_ > kHashSearchMax) return FindSorted(key, tag);
  for (uint32_t base = 0; base < entries_; base += 64) {
    uint64_t mask = MatchHash(base, static_cast<uint8_t>(hash));
    for (; mask != 0; mask &= mask - 1) {
      const uint32_t i = base + static_cast<uint32_t>(__builtin_ctzll(mask));
      if (key_bytes(i) != key.size()) continue;
      if (!SameBytes(payload_ + start(i), key.data(), key.size())) continue;
      if (this->tag(i) <= tag) return i;
      // A newer version than asked for; the one to find stands behind it, perhaps behind many.
      return FindSorted(key, tag);
    }
  }
  return entries_;
}

}  // namespace kist
