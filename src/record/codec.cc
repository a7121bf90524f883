// The bytes of segments. See codec.h for the rules and record/segment.h for the drawing.
//
// Offsets are written out: they are the format, and the golden-byte tests hold them.
#include "record/codec.h"

#include <cstring>

#include "util/coding.h"
#include "util/crc32c.h"

namespace kist::codec {
namespace {

constexpr char kMagic[8] = {'K', 'I', 'S', 'T', 'S', 'E', 'G', '\0'};
constexpr uint32_t kByteOrder = 0x01020304;
constexpr uint32_t kByteOrderSwapped = 0x04030201;
constexpr uint16_t kNewestVersion = 2;

constexpr size_t kSlotCopy = 64;
constexpr size_t kSlotCrc = kSegmentSlotBytes - 4;
static_assert(kSlotCopy + kSegmentPrefixBytes <= kSlotCrc, "the copy fits");
static_assert(kSegmentDataStart2 % 8 == 0 && kSegmentDataStart1 % 8 == 0, "records are aligned");

}  // namespace

bool AllZero(const char* p, size_t n) {
  size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    uint64_t any = 0;
    for (size_t k = 0; k < 64; k += 8) any |= LoadLe<uint64_t>(p + i + k);
    if (any != 0) return false;
  }
  char any = 0;
  for (; i < n; ++i) any = static_cast<char>(any | p[i]);
  return any == 0;
}

void EncodePrefix(const SegmentInfo& info, char* to) {
  std::memset(to, 0, kSegmentPrefixBytes);
  std::memcpy(to, kMagic, sizeof kMagic);
  Store16(to + 8, info.version);
  to[10] = static_cast<char>(info.type);
  to[11] = 1;
  Store32(to + 12, kByteOrder);
  Store64(to + 16, info.id);
  Store64(to + 24, info.nonce);
  Store64(to + 32, info.database_id);
  Store32(to + 40, info.max_key_bytes);
  Store64(to + 48, info.max_value_bytes);
  Store32(to + 60, crc32c::Value(to, 60));
}

PrefixVerdict DecodePrefix(Slice bytes, SegmentInfo* info) {
  if (AllZero(bytes.data(), bytes.size() < 64 ? bytes.size() : 64)) return PrefixVerdict::kZeros;
  if (bytes.size() < kSegmentPrefixBytes) return PrefixVerdict::kBadMagic;
  const char* p = bytes.data();
  if (std::memcmp(p, kMagic, sizeof kMagic) != 0) return PrefixVerdict::kBadMagic;
  // Before the checksum, which a machine of the other byte order would have stored otherwise.
  if (Load32(p + 12) == kByteOrderSwapped) return PrefixVerdict::kForeign;
  if (Load32(p + 60) != crc32c::Value(p, 60)) return PrefixVerdict::kBadChecksum;
  info->version = Load16(p + 8);
  if (info->version > kNewestVersion) return PrefixVerdict::kTooNew;
  const uint8_t type = static_cast<uint8_t>(p[10]);
  info->type = static_cast<SegmentType>(type);
  info->id = Load64(p + 16);
  info->nonce = Load64(p + 24);
  info->database_id = Load64(p + 32);
  info->max_key_bytes = Load32(p + 40);
  info->max_value_bytes = Load64(p + 48);
  if (info->version == 0 || type < 1 || type > 2 || p[11] != 1 || Load32(p + 12) != kByteOrder ||
      info->nonce == 0) {
    return PrefixVerdict::kBadField;
  }
  return PrefixVerdict::kOk;
}

const char* PrefixText(PrefixVerdict verdict) {
  switch (verdict) {
    case PrefixVerdict::kOk:
      return "valid";
    case PrefixVerdict::kZeros:
      return "the segment is empty or only zeros";
    case PrefixVerdict::kForeign:
      return "written by a machine of the other byte order";
    case PrefixVerdict::kBadMagic:
      return "not a segment file (its first bytes are not KISTSEG)";
    case PrefixVerdict::kBadChecksum:
      return "the segment's header fails its checksum";
    case PrefixVerdict::kTooNew:
      return "a segment version that this library does not know";
    default:  // kBadField
      return "the segment's header holds an impossible field";
  }
}

void EncodeSlot(const Slot& slot, char* to) {
  std::memset(to, 0, kSegmentSlotBytes);
  Store64(to, slot.generation);
  Store64(to + 8, slot.valid_data_end);
  Store64(to + 16, slot.lsn);
  to[24] = static_cast<char>(slot.seal);
  EncodePrefix(slot.info, to + kSlotCopy);
  Store32(to + kSlotCrc, crc32c::Value(to, kSlotCrc));
}

bool DecodeSlot(Slice bytes, Slot* slot) {
  if (bytes.size() < kSegmentSlotBytes) return false;
  const char* p = bytes.data();
  if (Load32(p + kSlotCrc) != crc32c::Value(p, kSlotCrc)) return false;
  if (DecodePrefix(bytes.substr(kSlotCopy, kSegmentPrefixBytes), &slot->info) !=
      PrefixVerdict::kOk) {
    return false;
  }
  slot->generation = Load64(p);
  slot->valid_data_end = Load64(p + 8);
  slot->lsn = Load64(p + 16);
  const uint8_t seal = static_cast<uint8_t>(p[24]);
  slot->seal = static_cast<SealKind>(seal);
  return slot->generation != 0 && seal <= 3 && slot->info.version >= 2 &&
         slot->valid_data_end >= kSegmentDataStart2 && slot->valid_data_end % 8 == 0;
}

void EncodeLink(const SegmentLink& link, char* to) {
  Store64(to, link.previous_id);
  Store64(to + 8, link.previous_nonce);
  Store64(to + 16, link.previous_bytes);
  Store64(to + 24, link.previous_lsn);
}

bool DecodeLink(Slice data, Sequence lsn, SegmentLink* link) {
  if (data.size() < kLinkBytes) return false;
  link->previous_id = Load64(data.data());
  link->previous_nonce = Load64(data.data() + 8);
  link->previous_bytes = Load64(data.data() + 16);
  link->previous_lsn = Load64(data.data() + 24);
  link->start_lsn = lsn;
  return link->previous_lsn <= lsn && link->previous_bytes % 8 == 0;
}

uint32_t RecordSeed(uint64_t segment_id, uint64_t nonce) {
  char b[16];
  Store64(b, segment_id);
  Store64(b + 8, nonce);
  return crc32c::Value(b, sizeof b);
}

namespace {

uint32_t HeaderCrc(const char* header, size_t header_bytes, uint32_t seed, uint64_t position) {
  char b[8 + kRecordHeaderMax - 4];  // in one piece: one call
  Store64(b, position);
  std::memcpy(b + 8, header + 4, kRecordHeaderBytes - 4);
  if (header_bytes == kRecordHeaderMax) {
    std::memcpy(b + 8 + kRecordHeaderBytes - 4, header + kRecordHeaderBytes, 8);
  }
  return crc32c::Extend(seed, b, 8 + header_bytes - 4);
}

}  // namespace

void EncodeRecordHeader(const RecordHeader& header, uint32_t seed, uint64_t position, char* to) {
  Store32(to + 4, header.data_bytes);
  Store64(to + 8, header.lsn);
  Store64(to + 16, header.durable_lsn);
  to[24] = static_cast<char>(header.kind);
  to[25] = static_cast<char>(header.flags);
  Store16(to + 26, 0);
  Store32(to + 28, header.data_crc);
  if ((header.flags & kRecordTime) != 0) StoreLe(to + 32, header.time_ms);
  Store32(to, HeaderCrc(to, header.header_bytes(), seed, position));
}

RecordHeader LoadRecordHeader(const char* p) {
  RecordHeader h;
  h.data_bytes = Load32(p + 4);
  h.lsn = Load64(p + 8);
  h.durable_lsn = Load64(p + 16);
  h.kind = static_cast<uint8_t>(p[24]);
  h.flags = static_cast<uint8_t>(p[25]);
  h.reserved = Load16(p + 26);
  h.data_crc = Load32(p + 28);
  if ((h.flags & kRecordTime) != 0) h.time_ms = LoadLe<int64_t>(p + 32);
  return h;
}

bool HasTimeFlag(const char* p) { return (static_cast<uint8_t>(p[25]) & kRecordTime) != 0; }

bool Authentic(const char* p, const RecordHeader& header, uint32_t seed, uint64_t position) {
  return header.kind != 0 && Load32(p) == HeaderCrc(p, header.header_bytes(), seed, position);
}

}  // namespace kist::codec
