// What lies behind the end or break of a segment: SegmentReader::ScanResidue. See segment.h.
//
// A header whose checksum holds was written by this segment's writer at this very position,
// whatever became of its data: its LSN was handed out, and its durable LSN was durable. That is all
// that recovery needs to tell damage from a torn tail, so data is not read. Candidates stand at
// multiples of 8; most are refused by four bytes (kind, flags, zero). Without the nonce (prefix and
// both slots lost) a header is believed where its data matches its data checksum instead.
#include <algorithm>

#include "record/codec.h"
#include "record/segment.h"
#include "util/coding.h"
#include "util/crc32c.h"

namespace kist {
namespace {

constexpr size_t kScanBytes = size_t{128} << 10;
constexpr uint32_t kKindFlagsMask = ~uint32_t{0x0303};  // kind 1..3, flags 0..3, zero

}  // namespace

// The first byte at or after `offset` that is not zero, or the size.
Result<uint64_t> SegmentReader::NextNonZero(uint64_t offset) {
  while (offset < data_end_) {
    KIST_TRY_ASSIGN(offset, file_->NextData(offset));
    if (offset >= data_end_) break;
    const uint64_t n = data_end_ - offset < kScanBytes ? data_end_ - offset : kScanBytes;
    KIST_TRY_ASSIGN(const char* p, Window(offset, n));
    if (!codec::AllZero(p, n)) {
      while (*p == 0) ++p, ++offset;
      return offset;
    }
    offset += n;
  }
  return size_;
}

Result<SegmentReader::Residue> SegmentReader::ScanResidue() {
  Residue residue;
  if (seal_ != SealKind::kNone && has_link_ && offset_ >= valid_data_end_) return residue;
  crc_budget_ = 4 * size_;
  const uint64_t start = offset_;
  uint64_t last = start;  // end of the last bytes that are not zero
  uint64_t at = start;
  while (at < size_) {
    KIST_TRY_ASSIGN(at, NextNonZero(at));
    if (at >= size_) break;
    at = start + (at - start) / 8 * 8;
    const uint64_t n = size_ - at < kScanBytes ? size_ - at : kScanBytes;
    KIST_TRY(ScanStretch(at, n, &last, &residue));
    at += n;
  }
  residue.bytes = last - start;
  return residue;
}

// Judges every candidate that begins in [at, at + n).
Status SegmentReader::ScanStretch(uint64_t at, uint64_t n, uint64_t* last, Residue* residue) {
  const uint64_t end = at + n;
  const uint64_t more = size_ - end < kRecordHeaderMax ? size_ - end : kRecordHeaderMax;
  while (at < end) {
    // Consider may have read elsewhere; the window is taken again, which is free where it did not.
    KIST_TRY_ASSIGN(const char* p, Window(at, end - at + more));
    uint64_t i = 0;
    bool found = false;
    for (; at + i < end; i += 8) {
      const uint64_t have = size_ - (at + i);
      if (have < 8) {
        if (!codec::AllZero(p + i, have)) *last = size_;
        continue;
      }
      if (Load64(p + i) == 0) continue;
      *last = at + i + 8;
      if (have < kRecordHeaderBytes) continue;
      const uint32_t kind = Load32(p + i + 24);
      if ((kind & kKindFlagsMask) != 0 || (kind & 0xff) == 0) continue;
      if ((kind & 0x100) != 0 && have < kRecordHeaderMax) continue;
      found = true;
      break;
    }
    at += i;
    if (!found) break;
    KIST_TRY(Consider(at, p + i, residue));
    at += 8;
  }
  return Status();
}

Status SegmentReader::Consider(uint64_t offset, const char* p, Residue* residue) {
  const codec::RecordHeader h = codec::LoadRecordHeader(p);
  if (h.data_bytes == 0 || h.lsn > kMaxSequence || h.durable_lsn > h.lsn) return Status();
  if (bound_) {
    if (!codec::Authentic(p, h, crc_seed_, offset - info_.data_start())) return Status();
  } else {
    if (h.padded_bytes() > size_ - offset || h.data_bytes > crc_budget_) return Status();
    crc_budget_ -= h.data_bytes;
    KIST_TRY_ASSIGN(p, Window(offset, h.padded_bytes()));
    if (crc32c::Value(p + h.header_bytes(), h.data_bytes) != h.data_crc) return Status();
  }
  ++residue->records;
  if (h.lsn > residue->max_lsn) residue->max_lsn = h.lsn;
  if (h.durable_lsn > residue->max_durable_lsn) residue->max_durable_lsn = h.durable_lsn;
  return Status();
}

Result<bool> SegmentReader::Resync() {
  if (!bound_) return false;
  const uint64_t last = end();
  const uint64_t start = info_.data_start();
  for (uint64_t at = offset_ + 8; at + kRecordHeaderBytes <= last; at += 8) {
    const uint64_t peek = std::min(last - at, uint64_t{kRecordHeaderMax});
    KIST_TRY_ASSIGN(const char* p, Window(at, peek));
    if (Load64(p) == 0) {
      KIST_TRY_ASSIGN(const uint64_t next, NextNonZero(at));
      if (next >= last) return false;
      at = std::max(at, start + (next - start) / 8 * 8 - 8);
      continue;
    }
    if (codec::HasTimeFlag(p) && peek < kRecordHeaderMax) continue;
    const codec::RecordHeader h = codec::LoadRecordHeader(p);
    if (!h.known() || h.lsn == 0 || h.padded_bytes() > last - at ||
        h.kind == static_cast<uint8_t>(RecordKind::kChain) ||
        !codec::Authentic(p, h, crc_seed_, at - start))
      continue;
    KIST_TRY_ASSIGN(p, Window(at, h.padded_bytes()));
    if (crc32c::Value(p + h.header_bytes(), h.data_bytes) != h.data_crc) continue;
    offset_ = at;
    last_lsn_ = h.lsn - 1;
    done_ = false;
    return true;
  }
  return false;
}

}  // namespace kist
