// Loading, searching and building of the block index; the format stands in index.h. Load copies
// into one piece of memory and checks all that a search relies on.
// Threads: Load and the builder by one, searches by any.
#include "table/index.h"

#include <algorithm>
#include <cstring>

#include "table/format.h"

namespace kist {

const char* TableIndex::Load(Slice payload, uint64_t data_bytes, bool* no_memory) {
  *no_memory = false;
  if (payload.size() < kIndexHeaderBytes) return "index too short";
  const uint64_t n = Load32(payload.data());
  const uint8_t flags = static_cast<uint8_t>(payload[4]);
  if ((flags & ~kIndexHasTags) != 0 || payload[5] != 0 || Load16(payload.data() + 6) != 0)
    return "unknown index flags";
  const bool has_tags = (flags & kIndexHasTags) != 0;
  const uint64_t starts = n == 0 ? 0 : n - 1;
  const uint64_t arrays = n * 4 + starts * (has_tags ? 12 : 4);
  if (payload.size() - kIndexHeaderBytes < arrays) return "index shorter than its arrays";
  const uint64_t key_bytes = payload.size() - kIndexHeaderBytes - arrays;
  uint64_t prefix_words = Padded(starts);
  for (uint64_t m = starts; m >= kFanOut; m /= kFanOut) prefix_words += Padded(m / kFanOut);
  const uint64_t words = prefix_words + (n + 1) + (has_tags ? starts : 0);
  memory_bytes_ = words * 8 + starts * 4 + key_bytes;
  // Lines of the cache begin at multiples of 64: a search touches fewer of them.
  memory_ = AllocateAlignedBuffer(memory_bytes_, 64);
  if (memory_ == nullptr) {
    *no_memory = true;
    return "no memory for the index";
  }
  blocks_ = static_cast<uint32_t>(n);
  prefixes_ = reinterpret_cast<uint64_t*>(memory_.get());
  offsets_ = prefixes_ + prefix_words;
  tags_ = has_tags ? offsets_ + n + 1 : nullptr;
  key_ends_ = reinterpret_cast<uint32_t*>(prefixes_ + words);
  keys_ = reinterpret_cast<char*>(key_ends_ + starts);
  return LoadArrays(payload, has_tags, data_bytes);
}

const char* TableIndex::LoadArrays(Slice payload, bool has_tags, uint64_t data_bytes) {
  const size_t starts = blocks_ == 0 ? 0 : blocks_ - 1;
  const char* p = payload.data() + kIndexHeaderBytes;
  uint64_t at = 0;
  for (uint32_t i = 0; i < blocks_; ++i, p += 4) {
    const uint32_t length = Load32(p);
    const uint32_t stored_bytes = length & 0x7fffffff;
    if (stored_bytes <= kBlockHeaderBytes) return "index with a block that is too short";
    offsets_[i] = at | ((length >> 31) != 0 ? kCompressed : 0);
    at += stored_bytes;
  }
  offsets_[blocks_] = at;
  if (at != data_bytes) return "index whose blocks end elsewhere than the data";
  if (starts != 0) std::memcpy(key_ends_, p, starts * 4);
  p += starts * 4;
  if (has_tags && starts != 0) std::memcpy(tags_, p, starts * 8);
  if (has_tags) p += starts * 8;
  const size_t key_bytes = static_cast<size_t>(payload.data() + payload.size() - p);
  if (key_bytes != 0) std::memcpy(keys_, p, key_bytes);
  uint32_t end = 0;
  for (size_t i = 0; i < starts; ++i) {
    if (key_ends_[i] < end) return "index whose keys overlap";
    end = key_ends_[i];
  }
  if (end != key_bytes) return "index whose keys end elsewhere";
  if (!StartsAscend()) return "index whose keys are out of order";
  if (starts == 0) return nullptr;
  shared_ = static_cast<uint32_t>(CommonPrefixLength(start_key(1), start_key(blocks_ - 1)));
  BuildLevels();
  return nullptr;
}

void TableIndex::BuildLevels() {
  uint32_t n = blocks_ - 1;
  for (uint32_t b = 1; b < blocks_; ++b) prefixes_[b - 1] = Prefix64(start_key(b).substr(shared_));
  uint64_t* level = prefixes_;
  for (level_count_ = 0;;) {
    std::fill(level + n, level + Padded(n), ~uint64_t{0});
    levels_[level_count_++] = level;
    if (n < kFanOut) return;
    uint64_t* above = level + Padded(n);
    n /= kFanOut;
    for (uint32_t i = 0; i < n; ++i) above[i] = level[i * kFanOut + kFanOut - 1];
    level = above;
  }
}

uint32_t TableIndex::CountBelow(uint64_t want, const void* words) const {
  constexpr size_t kLineBytes = kFanOut * sizeof(uint64_t);
  const auto line = reinterpret_cast<uintptr_t>(words);
  uint32_t count = 0;
  for (uint32_t i = level_count_; i-- > 0;) {
    // The node below the last prefix that is smaller: its own count is what lies left of it.
    const uint64_t* p = levels_[i] + size_t{count} * kFanOut;
    // A number rather than a pointer, as `words` may be none, or end before it.
    if (i == 0)
      __builtin_prefetch(reinterpret_cast<const char*>(line + size_t{count} * kLineBytes));
    count = count * kFanOut + (p[0] < want) + (p[1] < want) + (p[2] < want) + (p[3] < want) +
            (p[4] < want) + (p[5] < want) + (p[6] < want) + (p[7] < want);
  }
  return count;
}

bool TableIndex::StartsAscend() const {
  for (uint32_t b = 2; b < blocks_; ++b) {
    if (CompareEntry(start_key(b - 1), start_tag(b - 1), start_key(b), start_tag(b)) >= 0)
      return false;
  }
  return true;
}

uint32_t TableIndex::Find(Slice key, uint64_t tag, const void* words) const {
  const uint32_t starts = blocks_ - 1;
  if (starts == 0) return 0;
  if (!BeginsWith(key, Slice(keys_, shared_))) return key < Slice(keys_, shared_) ? 0 : starts;
  const Slice rest = key.substr(shared_);
  const uint64_t want = Prefix64(rest);
  const uint32_t low = CountBelow(want, words);
  if (low == starts || prefixes_[low] != want) return low;
  const uint64_t* end = std::upper_bound(prefixes_ + low, prefixes_ + starts, want);
  return FindAmong(rest, tag, low, static_cast<uint32_t>(end - prefixes_));
}

// How many starts are <= (shared bytes + rest, tag), where that is known of all before `low` and of
// none from `high` on.
uint32_t TableIndex::FindAmong(Slice rest, uint64_t tag, uint32_t low, uint32_t high) const {
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    const int c =
        CompareEntry(start_key(middle + 1).substr(shared_), start_tag(middle + 1), rest, tag);
    if (c <= 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

bool IndexBuilder::AddBoundary(Slice last_key, uint64_t last_tag, Slice first_key) noexcept {
  const size_t shared = CommonPrefixLength(last_key, first_key);
  const bool same_key = shared == first_key.size();
  const uint64_t tag = same_key ? last_tag - 1 : kMaxTag;
  has_tags_ |= same_key;
  const size_t key_bytes = same_key ? shared : shared + 1;
  if (!keys_.Append(first_key.data(), key_bytes)) return false;
  return key_ends_.Push(static_cast<uint32_t>(keys_.size())) && tags_.Push(tag);
}

bool IndexBuilder::AddBlock(uint32_t stored_bytes, bool compressed) noexcept {
  return lengths_.Push(compressed ? stored_bytes | uint32_t{1} << 31 : stored_bytes);
}

uint64_t IndexBuilder::size() const {
  return kIndexHeaderBytes + lengths_.size() + key_ends_.size() + (has_tags_ ? tags_.size() : 0) +
         keys_.size();
}

bool IndexBuilder::Finish(GrowBuffer* out) noexcept {
  char header[kIndexHeaderBytes] = {};
  Store32(header, blocks());
  header[4] = has_tags_ ? kIndexHasTags : 0;
  return out->Append(header, sizeof header) && out->Append(lengths_.slice()) &&
         out->Append(key_ends_.slice()) && (!has_tags_ || out->Append(tags_.slice())) &&
         out->Append(keys_.slice());
}

}  // namespace kist
