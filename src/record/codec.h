// The bytes of segments: encoders and decoders of prefix, slot, chain record and record header, as
// record/segment.h draws them. Both sides of each format stand side by side here and nowhere else.
// Decoders take any bytes. Threads: any; no state.
#pragma once

#include <cstdint>

#include "record/segment.h"
#include "util/slice.h"

namespace kist::codec {

void EncodePrefix(const SegmentInfo& info, char* to);  // kSegmentPrefixBytes
enum class PrefixVerdict { kOk, kZeros, kForeign, kBadMagic, kBadChecksum, kTooNew, kBadField };
// Fills *info on kOk; on kTooNew its version alone.
PrefixVerdict DecodePrefix(Slice bytes, SegmentInfo* info);
const char* PrefixText(PrefixVerdict verdict);

struct Slot {
  uint64_t generation = 0;
  uint64_t valid_data_end = 0;
  Sequence lsn = 0;
  SealKind seal = SealKind::kNone;
  SegmentInfo info;  // from the copy of the prefix
};
void EncodeSlot(const Slot& slot, char* to);  // kSegmentSlotBytes
bool DecodeSlot(Slice bytes, Slot* slot);
inline uint64_t SlotOffset(uint64_t generation) {
  return kSegmentSlotBytes * (generation % 2 == 1 ? 1 : 2);
}

constexpr size_t kLinkBytes = 32;
void EncodeLink(const SegmentLink& link, char* to);
bool DecodeLink(Slice data, Sequence lsn, SegmentLink* link);

struct RecordHeader {
  uint32_t data_bytes = 0;
  uint32_t data_crc = 0;
  Sequence lsn = 0;
  Sequence durable_lsn = 0;
  uint8_t kind = 0;
  uint8_t flags = 0;
  uint16_t reserved = 0;
  int64_t time_ms = 0;
  size_t header_bytes() const {
    return (flags & kRecordTime) != 0 ? kRecordHeaderMax : kRecordHeaderBytes;
  }
  uint64_t bytes() const { return header_bytes() + data_bytes; }
  uint64_t padded_bytes() const { return (bytes() + 7) & ~uint64_t{7}; }
  // Every rule a writer keeps; kinds and flags beyond these are a newer format's.
  bool known() const {
    return kind >= 1 && kind <= 3 && (flags & ~(kRecordTime | kRecordSnappy)) == 0 && reserved == 0;
  }
};
// What every header checksum of a segment begins with.
uint32_t RecordSeed(uint64_t segment_id, uint64_t nonce);
void EncodeRecordHeader(const RecordHeader& header, uint32_t seed, uint64_t position, char* to);
// Reads the fields; needs kRecordHeaderBytes, and kRecordHeaderMax where the time flag is set.
RecordHeader LoadRecordHeader(const char* p);
bool HasTimeFlag(const char* p);
// The header at p was written by this segment's writer at this position.
bool Authentic(const char* p, const RecordHeader& header, uint32_t seed, uint64_t position);

bool AllZero(const char* p, size_t n);

}  // namespace kist::codec
