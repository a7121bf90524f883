// The switch behind the checksums: makes every checksum of a mutated file fit its bytes again, as
// far as the file's structure can still be followed, so that mutations reach what stands behind
// them. Threads: pure functions.
#pragma once

#include <string>

#include "record/codec.h"
#include "table/format.h"
#include "util/coding.h"
#include "util/crc32c.h"
#include "version/manifest.h"

namespace kist::fuzz {

inline void RepairPrefix(std::string* bytes, size_t at) {
  if (bytes->size() < at + kSegmentPrefixBytes) return;
  char* p = bytes->data() + at;
  Store32(p + 60, crc32c::Value(p, 60));
}

inline void RepairSlot(std::string* bytes, size_t at) {
  if (bytes->size() < at + kSegmentSlotBytes) return;
  RepairPrefix(bytes, at + 64);
  char* p = bytes->data() + at;
  Store32(p + 508, crc32c::Value(p, 508));
}

inline void RepairRecords(std::string* bytes, size_t start, uint64_t id, uint64_t nonce) {
  const uint32_t seed = codec::RecordSeed(id, nonce);
  for (size_t at = start; at + kRecordHeaderMax <= bytes->size();) {
    char* p = bytes->data() + at;
    codec::RecordHeader header = codec::LoadRecordHeader(p);
    if (header.data_bytes == 0 || header.padded_bytes() > bytes->size() - at) {
      at += 8;  // on to the next that fits
      continue;
    }
    header.data_crc = crc32c::Value(p + header.header_bytes(), header.data_bytes);
    codec::EncodeRecordHeader(header, seed, at - start, p);
    at += static_cast<size_t>(header.padded_bytes());
  }
}

inline void RepairSegment(std::string* bytes) {
  if (bytes->size() < kSegmentPrefixBytes) return;
  RepairPrefix(bytes, 0);
  const bool version1 = Load16(bytes->data() + 8) == 1;
  if (!version1) {
    RepairSlot(bytes, 512);
    RepairSlot(bytes, 1024);
  }
  RepairRecords(bytes, version1 ? kSegmentDataStart1 : kSegmentDataStart2,
                Load64(bytes->data() + 16), Load64(bytes->data() + 24));
}

inline void RepairCurrent(std::string* bytes) {
  if (bytes->size() == kCurrentBytes) Store32(bytes->data() + 36, crc32c::Value(bytes->data(), 36));
}

inline void RepairTable(std::string* bytes) {
  if (bytes->size() < kFooterBytes) return;
  const size_t end = bytes->size() - kFooterBytes;
  char* footer = bytes->data() + end;
  const BlockSeal seal(Load64(footer), Load64(footer + 8));
  for (size_t at = 0; at + kBlockHeaderBytes < end;) {
    char* p = bytes->data() + at;
    const uint64_t whole = uint64_t{DecodeBlockHeader(p).payload_bytes} + kBlockHeaderBytes;
    if (whole > end - at) break;
    Store32(p, seal.Crc(at, p, static_cast<size_t>(whole)));
    at += static_cast<size_t>(whole);
  }
  Store64(footer + 16, bytes->size());
  char* crc = footer + kFooterBytes - kFooterTailBytes + 4;
  const uint32_t front = crc32c::Extend(0, footer, static_cast<size_t>(crc - footer));
  Store32(crc, crc32c::Extend(front, crc + 4, kFooterTailBytes - 8));
}

}  // namespace kist::fuzz
