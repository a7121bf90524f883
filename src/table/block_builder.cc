// Laying out data blocks; the format stands in block.h. Size and layout come from the same few
// numbers (SizeOf), so that a block's size is known before it is finished and cannot differ after.
// Threads: one at a time.
#include "table/block_builder.h"

#include <algorithm>
#include <cstring>

#include "table/block.h"
#include "table/format.h"
#include "util/check.h"
#include "util/coding.h"

namespace kist {

namespace {

// Room in front of the entries: the arrays of a block of 4 KiB with entries of 40 bytes or more.
constexpr size_t kFrontBytes = 2048;
// A block this big is an outsize value's; its memory is not kept for the next.
constexpr size_t kKeepBytes = size_t{1} << 20;

unsigned KeyWidth(uint32_t range) { return range == 0 ? 0 : range < 256 ? 1 : 2; }

unsigned TagWidth(uint64_t range) {
  if (range == 0) return 0;
  if (range < 256) return 1;
  if (range < 65536) return 2;
  return range >> 32 == 0 ? 4 : 8;
}

}  // namespace

uint64_t BlockBuilder::SizeOf(uint64_t n, uint64_t entry_bytes, uint32_t key_least,
                              uint32_t key_most, uint64_t tag_least, uint64_t tag_most) {
  if (n == 0) return kDataHeaderBytes;
  const uint64_t rest = kDataHeaderBytes +
                        n * (1 + KeyWidth(key_most - key_least) + TagWidth(tag_most - tag_least)) +
                        entry_bytes;
  const uint64_t narrow = rest + (n + 1) * 2;
  return narrow <= 65535 ? narrow : rest + (n + 1) * 4;
}

uint64_t BlockBuilder::SizeWith(Slice key, uint64_t tag, Slice value) const {
  const uint32_t k = static_cast<uint32_t>(key.size());
  return SizeOf(entries() + 1, entry_bytes() + key.size() + value.size(), std::min(key_least_, k),
                std::max(key_most_, k), std::min(tag_least_, tag), std::max(tag_most_, tag));
}

bool BlockBuilder::Add(Slice key, uint64_t hash, uint64_t tag, Slice value) noexcept {
  if (bytes_.size() == 0) {
    if (!bytes_.Reserve(kFrontBytes)) return false;
    bytes_.Resize(front_ = kFrontBytes);
  }
  if (!bytes_.Reserve(key.size() + value.size())) return false;
  const Entry entry = {tag, static_cast<uint32_t>(entry_bytes()), static_cast<uint16_t>(key.size()),
                       static_cast<uint8_t>(hash), 0};
  if (!entries_.Push(entry)) return false;
  // Cannot fail: reserved above.
  const bool copied = bytes_.Append(key) && bytes_.Append(value);
  KIST_DCHECK(copied);
  static_cast<void>(copied);
  key_least_ = std::min<uint32_t>(key_least_, entry.key_bytes);
  key_most_ = std::max<uint32_t>(key_most_, entry.key_bytes);
  tag_least_ = std::min(tag_least_, tag);
  tag_most_ = std::max(tag_most_, tag);
  return true;
}

Slice BlockBuilder::last_key() const {
  const Entry* last = entry(entries() - 1);
  return Slice(bytes_.data() + front_ + last->start, last->key_bytes);
}

bool BlockBuilder::MakeFront(size_t bytes) noexcept {
  if (front_ >= bytes) return true;
  if (!bytes_.Reserve(bytes - front_)) return false;
  const size_t n = entry_bytes();
  std::memmove(bytes_.data() + bytes, bytes_.data() + front_, n);
  bytes_.Resize(bytes + n);
  front_ = bytes;
  return true;
}

Slice BlockBuilder::Finish(bool lengths) noexcept {
  const uint64_t payload_bytes = size();
  const uint64_t arrays_bytes = payload_bytes - entry_bytes();
  if (!MakeFront(arrays_bytes + kBlockHeaderBytes)) return Slice();
  char* payload = bytes_.data() + front_ - arrays_bytes;
  WriteArrays(payload, arrays_bytes, payload_bytes, lengths);
  return Slice(payload, payload_bytes);
}

void BlockBuilder::WriteArrays(char* p, uint64_t arrays_bytes, uint64_t payload_bytes,
                               bool lengths) const {
  const uint32_t n = entries();
  const unsigned key_width = KeyWidth(key_most_ - key_least_);
  const unsigned tag_width = TagWidth(tag_most_ - tag_least_);
  const unsigned start_width = payload_bytes <= 65535 ? 2 : 4;
  Store32(p, n);
  Store16(p + 4, static_cast<uint16_t>(key_least_));
  p[6] = static_cast<char>(key_width);
  p[7] = static_cast<char>(tag_width);
  Store64(p + 8, tag_least_);
  char* hashes = p + kDataHeaderBytes;
  char* starts = hashes + n;
  char* key_lens = starts + size_t{n + 1} * start_width;
  char* tags = key_lens + size_t{n} * key_width;
  uint64_t before = 0;  // where the last entry starts, if lengths are wanted
  // Little-endian: the low bytes of a number are its first ones.
  for (uint32_t i = 0; i < n; ++i) {
    const Entry& e = *entry(i);
    const uint64_t start = arrays_bytes + e.start - before;
    const uint64_t key_len = e.key_bytes - key_least_;
    const uint64_t tag = e.tag - tag_least_;
    hashes[i] = static_cast<char>(e.hash);
    std::memcpy(starts + size_t{i} * start_width, &start, start_width);
    if (lengths) before += start;
    if (key_width != 0) std::memcpy(key_lens + size_t{i} * key_width, &key_len, key_width);
    if (tag_width != 0) std::memcpy(tags + size_t{i} * tag_width, &tag, tag_width);
  }
  const uint64_t end = payload_bytes - before;
  std::memcpy(starts + size_t{n} * start_width, &end, start_width);
}

void BlockBuilder::Reset() noexcept {
  entries_.Clear(kKeepBytes);
  bytes_.Clear(kKeepBytes);
  front_ = 0;
  key_least_ = 65535;
  key_most_ = 0;
  tag_least_ = ~uint64_t{0};
  tag_most_ = 0;
}

}  // namespace kist
