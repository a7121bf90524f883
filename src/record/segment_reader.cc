// SegmentReader: opening, reading record by record, deciding between a clean end, a break and
// damage. What lies behind a break is residue.cc's. See segment.h.
//
// Every length is checked against the file before anything is allocated for it, and a data length
// is believed only after the header's checksum held.
#include <snappy.h>

#include <cstring>

#include "record/codec.h"
#include "record/segment.h"
#include "util/coding.h"
#include "util/crc32c.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr size_t kWindowBytes = size_t{256} << 10;
constexpr uint64_t kReserveUnit = 4096;
constexpr size_t kWindowKept = size_t{4} << 20;

// Makes `buffer` hold at least `need` bytes; what it held is lost.
bool Provide(Buffer* buffer, size_t* capacity, size_t need) {
  if (*capacity >= need) return true;
  buffer->reset();
  *capacity = 0;
  *buffer = AllocateBuffer(need);
  if (*buffer == nullptr) return false;
  *capacity = need;
  return true;
}

}  // namespace

SegmentReader::SegmentReader(std::string&& path, std::unique_ptr<File>&& file) noexcept
    : path_(std::move(path)), file_(std::move(file)) {}

Result<std::unique_ptr<SegmentReader>> SegmentReader::OpenFor(How how, Vfs* vfs,
                                                              const std::string& path,
                                                              SegmentType type) {
  KIST_TRY_ASSIGN(std::unique_ptr<File> file, vfs->Open(path, OpenMode::kRead));
  std::string name = path;
  std::unique_ptr<SegmentReader> reader(new SegmentReader(std::move(name), std::move(file)));
  KIST_TRY(reader->ReadHead(type, how));
  return reader;
}

Result<std::unique_ptr<SegmentReader>> SegmentReader::Open(Vfs* vfs, const std::string& path,
                                                           SegmentType type) {
  return OpenFor(How::kStrict, vfs, path, type);
}

Result<std::unique_ptr<SegmentReader>> SegmentReader::Probe(Vfs* vfs, const std::string& path,
                                                            SegmentType type) {
  return OpenFor(How::kProbe, vfs, path, type);
}

Result<std::unique_ptr<SegmentReader>> SegmentReader::Salvage(Vfs* vfs, const std::string& path,
                                                              SegmentType type) {
  return OpenFor(How::kSalvage, vfs, path, type);
}

Status SegmentReader::ReadHead(SegmentType type, How how) {
  KIST_TRY(FindDataEnd());
  const size_t bytes = size_ < kSegmentDataStart2 ? size_ : kSegmentDataStart2;
  static const char kNothing[1] = {};
  const char* head = kNothing;
  if (bytes != 0) {
    KIST_TRY_ASSIGN(head, Window(0, bytes));
  }
  const codec::PrefixVerdict verdict = codec::DecodePrefix(Slice(head, bytes), &info_);
  if (verdict == codec::PrefixVerdict::kTooNew || verdict == codec::PrefixVerdict::kForeign) {
    std::string text = path_ + ": " + codec::PrefixText(verdict);
    if (verdict == codec::PrefixVerdict::kTooNew) text += ", " + std::to_string(info_.version);
    return Status::Error(Code::kTooNew, text);
  }
  has_prefix_ = verdict == codec::PrefixVerdict::kOk;
  if (how == How::kStrict && !has_prefix_)
    return Status::Corrupt(path_, 0, codec::PrefixText(verdict));
  if (!has_prefix_) {
    info_ = SegmentInfo();
    break_reason_ = codec::PrefixText(verdict);
  }
  offset_ = info_.data_start();
  if (info_.version == 1) {
    valid_data_end_ = size_;
    seal_ = SealKind::kSwitched;
  } else {
    KIST_TRY(ReadSlots(head, bytes, how));
  }
  if (has_prefix_ && info_.type != type) {
    return Status::Corrupt(path_, 10, "a segment of another type");
  }
  if (has_prefix_) Bind(info_.id, info_.nonce);
  if (!has_prefix_) {
    done_ = true;
    outcome_ = Outcome::kBroken;
    return Status();
  }
  return ReadChain(how);
}

// Where the reserved tail begins, found before anything is read: reading ahead into reserved blocks
// makes a file system report them as data, so a scan that asks as it goes would read the whole
// tail.
Status SegmentReader::FindDataEnd() {
  KIST_TRY_ASSIGN(size_, file_->Size());
  data_end_ = size_;
  uint64_t low = 0;
  uint64_t high = size_ / kReserveUnit;  // nothing at or behind high * unit, as far as is known
  if (size_ < kWindowBytes) return Status();
  KIST_TRY_ASSIGN(uint64_t next, file_->NextData(size_ - kReserveUnit));
  if (next < size_) return Status();
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    KIST_TRY_ASSIGN(next, file_->NextData(middle * kReserveUnit));
    if (next >= size_) {
      high = middle;
    } else {
      low = next / kReserveUnit + 1;
    }
  }
  data_end_ = high * kReserveUnit < size_ ? high * kReserveUnit : size_;
  return Status();
}

Status SegmentReader::ReadSlots(const char* head, size_t bytes, How how) {
  const bool lost = !has_prefix_;
  valid_data_end_ = kSegmentDataStart2;
  char prefix[kSegmentPrefixBytes];
  if (has_prefix_) codec::EncodePrefix(info_, prefix);
  if (bytes >= kSegmentSlotBytes &&
      !codec::AllZero(head + kSegmentPrefixBytes, kSegmentSlotBytes - kSegmentPrefixBytes)) {
    ++head_damage_;
  }
  for (uint64_t i = 1; i <= 2; ++i) {
    const uint64_t at = codec::SlotOffset(i);
    const size_t have = bytes <= at                      ? 0
                        : bytes - at < kSegmentSlotBytes ? bytes - at
                                                         : kSegmentSlotBytes;
    if (have == 0 || codec::AllZero(head + at, have)) continue;
    codec::Slot slot;
    bool good = codec::DecodeSlot(Slice(head + at, have), &slot);
    if (good && !lost) {
      char copy[kSegmentPrefixBytes];
      codec::EncodePrefix(slot.info, copy);
      good = std::memcmp(prefix, copy, sizeof copy) == 0;
    }
    if (!good) {
      ++head_damage_;
      continue;
    }
    if (lost && !bound_) Bind(slot.info.id, slot.info.nonce);
    if (lost && how == How::kSalvage) {
      info_ = slot.info;
      has_prefix_ = true;
    }
    if (slot.generation < mark_generation_) continue;
    mark_generation_ = slot.generation;
    valid_data_end_ = slot.valid_data_end;
    mark_lsn_ = slot.lsn;
    seal_ = slot.seal;
  }
  // The mark was synced after the bytes it speaks of, their number included, but on a live segment
  // perhaps after the size was asked for. A first mark speaks of none.
  if (valid_data_end_ > size_ && mark_generation_ > 1) KIST_TRY(FindDataEnd());
  if (valid_data_end_ > size_ && mark_generation_ > 1 && how != How::kSalvage) {
    return Status::Corrupt(
        path_, size_, "the file ends before its durable end " + std::to_string(valid_data_end_));
  }
  return Status();
}

Status SegmentReader::ReadChain(How how) {
  const bool strict = how == How::kStrict;
  Record record;
  Result<Outcome> outcome = ReadRecord(&record, true);
  // Next says so again.
  if (how == How::kSalvage && outcome.status().Is(Code::kCorrupt)) return Status();
  if (!outcome.ok()) return std::move(outcome).status();
  if (*outcome == Outcome::kRecord && codec::DecodeLink(record.data, record.lsn, &link_)) {
    has_link_ = true;
    link_durable_lsn_ = record.durable_lsn;
    return Status();
  }
  if (*outcome == Outcome::kRecord) {
    offset_ = info_.data_start();
    outcome = Broken("the first record is not a chain record");
    if (!outcome.ok()) return std::move(outcome).status();
  }
  // A segment made ahead of time ends before its chain record; whoever opens one strictly expects
  // records.
  if (strict && *outcome == Outcome::kEnd && size_ > offset_) return Status();
  if (strict) return Status::Corrupt(path_, offset_, "no chain record: " + break_reason_);
  return Status();
}

uint64_t SegmentReader::end() const {
  uint64_t e = size_ < limit_ ? size_ : limit_;
  if (seal_ != SealKind::kNone && valid_data_end_ < e) e = valid_data_end_;
  return e;
}

Result<const char*> SegmentReader::Window(uint64_t offset, uint64_t need) {
  if (offset >= window_offset_ && offset + need <= window_offset_ + window_bytes_) {
    return window_.get() + (offset - window_offset_);
  }
  uint64_t want = data_end_ > offset ? data_end_ - offset : 0;
  if (want > kWindowBytes) want = kWindowBytes;
  if (want < need) want = need;
  window_bytes_ = 0;
  if (window_capacity_ > kWindowKept) {
    window_.reset();
    window_capacity_ = 0;
  }
  if (!Provide(&window_, &window_capacity_, want < kWindowBytes ? kWindowBytes : want)) {
    return Status::Bare(Code::kNoMem);
  }
  KIST_TRY_ASSIGN(size_t got, file_->Read(offset, window_.get(), want));
  if (got < need) return Status::Corrupt(path_, offset + got, "the file became shorter");
  window_offset_ = offset;
  window_bytes_ = got;
  return window_.get();
}

Result<SegmentReader::Outcome> SegmentReader::Broken(const char* reason) {
  done_ = true;
  outcome_ = Outcome::kBroken;
  break_reason_ = reason;
  if (offset_ < valid_data_end_) {
    return Status::Corrupt(
        path_, offset_,
        break_reason_ + ", below the durable end " + std::to_string(valid_data_end_));
  }
  return outcome_;
}

SegmentReader::Outcome SegmentReader::Ended(const char* reason) {
  done_ = true;
  break_reason_ = reason;
  return outcome_ = Outcome::kEnd;
}

// Thirty-two zero bytes where a record would begin.
Result<SegmentReader::Outcome> SegmentReader::AtZeros() {
  if (offset_ < valid_data_end_) return Broken("zeros instead of a record");
  KIST_TRY_ASSIGN(uint64_t next, NextNonZero(offset_));
  if (next < size_) return Broken("zeros before later bytes");
  return Ended("only zeros follow");
}

Result<SegmentReader::Outcome> SegmentReader::Next(Record* record) {
  if (done_) {
    if (outcome_ == Outcome::kBroken && offset_ < valid_data_end_) {
      return Status::Corrupt(path_, offset_, break_reason_);
    }
    return outcome_;
  }
  return ReadRecord(record, false);
}

// A live segment loses its reserved tail when it is sealed, or when a failed write is cut off: what
// was to be read then was no record, and the place is looked at again with the new size.
Result<SegmentReader::Outcome> SegmentReader::ReadRecord(Record* record, bool chain) {
  for (;;) {
    const uint64_t size = size_;
    Result<Outcome> outcome = ReadRecordOnce(record, chain);
    if (outcome.ok() || !outcome.status().Is(Code::kCorrupt)) return outcome;
    KIST_TRY_ASSIGN(const uint64_t now, file_->Size());
    if (now >= size || now < valid_data_end_) return outcome;
    KIST_TRY(Refresh(horizon_));
    done_ = false;
  }
}

Result<SegmentReader::Outcome> SegmentReader::ReadRecordOnce(Record* record, bool chain) {
  const uint64_t bound = end();
  if (offset_ >= bound) return Ended("the file ends");
  const uint64_t left = bound - offset_;
  const size_t peek = left < kRecordHeaderMax ? left : kRecordHeaderMax;
  KIST_TRY_ASSIGN(const char* p, Window(offset_, peek));
  if ((left < 8 || Load64(p) == 0) &&
      codec::AllZero(p, peek < kRecordHeaderBytes ? peek : kRecordHeaderBytes)) {
    return AtZeros();
  }
  if (left < kRecordHeaderBytes || (codec::HasTimeFlag(p) && left < kRecordHeaderMax)) {
    return Broken("the file ends inside a record's header");
  }
  const codec::RecordHeader header = codec::LoadRecordHeader(p);
  const uint64_t position = offset_ - info_.data_start();
  if (!codec::Authentic(p, header, crc_seed_, position)) {
    return Broken("a record's header fails its checksum");
  }
  if (!header.known()) {
    return Status::Error(Code::kTooNew,
                         path_ + ": offset " + std::to_string(offset_) +
                             ": a record of a kind or with flags of a newer version");
  }
  if (header.padded_bytes() > left) {
    if (bound == limit_ && header.padded_bytes() <= size_ - offset_) {
      return Status::Corrupt(path_, offset_, "a whole record, of which a part is said to count");
    }
    return Broken("the file ends inside a record");
  }
  if (header.lsn > kMaxSequence || header.data_bytes == 0 ||
      header.durable_lsn > header.lsn - (chain ? 0 : 1)) {
    return Broken("a record's header holds an impossible field");
  }
  if (chain != (header.kind == static_cast<uint8_t>(RecordKind::kChain))) {
    return Broken(chain ? "the first record is not a chain record" : "a second chain record");
  }
  if (!chain && header.lsn != last_lsn_ + 1) return Broken("a record's LSN does not follow");
  if (!chain && header.lsn > horizon_) return Ended("what follows may still change");
  KIST_TRY_ASSIGN(p, Window(offset_, header.padded_bytes()));
  const char* data = p + header.header_bytes();
  const bool same = crc32c::Value(data, header.data_bytes) == header.data_crc;
  if (!same && !Planted(Bug::kTornRecordAccepted)) {
    return Broken("a record's data fails its checksum");
  }
  if (!codec::AllZero(p + header.bytes(), header.padded_bytes() - header.bytes())) {
    return Broken("a record's padding is not zero");
  }
  KIST_TRY(CheckMark(offset_ + header.padded_bytes(), header.lsn));
  record->offset = offset_;
  record->end = offset_ + header.padded_bytes();
  record->lsn = header.lsn;
  record->durable_lsn = header.durable_lsn;
  record->kind = static_cast<RecordKind>(header.kind);
  record->has_time = (header.flags & kRecordTime) != 0;
  record->time_ms = header.time_ms;
  record->data = Slice(data, header.data_bytes);
  record->raw = Slice(p, header.padded_bytes());
  if ((header.flags & kRecordSnappy) != 0) KIST_TRY(Uncompress(record));
  offset_ = record->end;
  last_lsn_ = header.lsn;
  return Outcome::kRecord;
}

// The mark names the end of a record and its LSN.
Status SegmentReader::CheckMark(uint64_t end, Sequence lsn) const {
  if (info_.version == 1 || offset_ >= valid_data_end_ || end < valid_data_end_) return Status();
  if (end == valid_data_end_ && lsn == mark_lsn_) return Status();
  return Status::Corrupt(path_, offset_,
                         "the durable end " + std::to_string(valid_data_end_) +
                             " is not where a record with its LSN ends");
}

Status SegmentReader::Uncompress(Record* record) {
  size_t plain = 0;
  const Slice stored = record->data;
  // Snappy expands below 22 times; more is no output of it, however the bytes came to be.
  if (!snappy::GetUncompressedLength(stored.data(), stored.size(), &plain) ||
      plain > kRecordDataMax || plain / 32 > stored.size()) {
    return Status::Corrupt(path_, record->offset, "a compressed record with an impossible length");
  }
  if (!Provide(&plain_, &plain_capacity_, plain + 1)) return Status::Bare(Code::kNoMem);
  if (!snappy::RawUncompress(stored.data(), stored.size(), plain_.get())) {
    return Status::Corrupt(path_, record->offset, "a compressed record that does not decompress");
  }
  record->data = Slice(plain_.get(), plain);
  return Status();
}

Status SegmentReader::Refresh(Sequence horizon) {
  KIST_TRY(FindDataEnd());
  horizon_ = horizon;
  window_bytes_ = 0;
  if (has_prefix_ && has_link_) done_ = false;
  return Status();
}

void SegmentReader::Bind(uint64_t id, uint64_t nonce) {
  crc_seed_ = codec::RecordSeed(id, nonce);
  bound_ = true;
}

}  // namespace kist
