// SegmentWriter: creation, the append path, sync and marks, sealing. See segment.h.
//
// The append path: frame each record in place (its header goes into the headroom before the data),
// one write, publish the new end. Nothing is locked or allocated; what Sync and marks share with it
// are atomics.
#include <algorithm>
#include <cstring>

#include "record/codec.h"
#include "record/segment.h"
#include "util/check.h"
#include "util/coding.h"
#include "util/crc32c.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr uint64_t kReserveUnit = uint64_t{4} << 10;
constexpr uint64_t kReserveStepMin = uint64_t{256} << 10;
constexpr uint64_t kReserveStepMax = uint64_t{16} << 20;
constexpr uint64_t kReserveRetry = uint64_t{1}
                                   << 20;  // bytes appended between tries on a full disk
constexpr size_t kGroup = 64;              // slices of one vectored write
constexpr size_t kBufferMin = size_t{64} << 10;
constexpr size_t kBufferKept = size_t{8} << 20;

uint32_t SeedOf(const SegmentInfo& info) { return codec::RecordSeed(info.id, info.nonce); }

}  // namespace

SegmentWriter::SegmentWriter(std::string&& path, const SegmentInfo& info,
                             std::unique_ptr<File>&& file) noexcept
    : path_(std::move(path)), info_(info), file_(std::move(file)), crc_seed_(SeedOf(info)) {}

SegmentWriter::~SegmentWriter() = default;

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::CreateAhead(Vfs* vfs, const std::string& path,
                                                                  const SegmentInfo& wanted,
                                                                  uint64_t preallocate_bytes) {
  SegmentInfo info = wanted;
  KIST_CHECK(info.version == 2);
  while (info.nonce == 0) vfs->Random(&info.nonce, sizeof info.nonce);
  KIST_TRY_ASSIGN(std::unique_ptr<File> file, vfs->Open(path, OpenMode::kCreateNew));
  std::string name = path;
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter(std::move(name), info, std::move(file)));
  Status s = writer->WriteHead(preallocate_bytes);
  if (s.ok()) return writer;
  writer.reset();
  Status removed = vfs->Remove(path);  // an empty leftover is residue to recovery, so this may fail
  static_cast<void>(removed);
  return s;
}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::Create(Vfs* vfs, const std::string& path,
                                                             const Options& options) {
  KIST_TRY_ASSIGN(auto writer, CreateAhead(vfs, path, options.info, options.preallocate_bytes));
  Status s = writer->Start(options.link, options.durable_lsn);
  if (s.ok()) return writer;
  writer.reset();
  Status removed = vfs->Remove(path);
  static_cast<void>(removed);
  return s;
}

Status SegmentWriter::WriteHead(uint64_t preallocate_bytes) {
  if (preallocate_bytes != 0) {
    reserve_step_ = std::clamp(preallocate_bytes, kReserveStepMin, kReserveStepMax) / kReserveUnit *
                    kReserveUnit;
    reserve_at_ = 0;
    Reserve(std::max(preallocate_bytes, kReserveStepMin));
  }
  char head[kSegmentDataStart2] = {};
  codec::EncodePrefix(info_, head);
  codec::Slot slot;
  slot.generation = 1;
  slot.valid_data_end = kSegmentDataStart2;
  slot.info = info_;
  codec::EncodeSlot(slot, head + codec::SlotOffset(slot.generation));
  KIST_TRY(file_->Write(0, Slice(head, sizeof head)));
  {
    MutexLock lock(&sync_mutex_);
    marked_end_ = kSegmentDataStart2;
  }
  size_ = kSegmentDataStart2;
  Publish(size_, 0);
  return Status();
}

// Blocks up to `end` and a step beyond, so that appends neither extend the file nor allocate.
// Failing costs speed alone: the append itself says what is wrong.
void SegmentWriter::Reserve(uint64_t end) {
  const uint64_t ahead = reserve_at_ == 0 ? 0 : reserve_step_;
  const uint64_t target = (end + ahead + kReserveUnit - 1) / kReserveUnit * kReserveUnit;
  Status s = file_->Preallocate(target);
  if (s.ok()) {
    reserve_at_ = target;
    reserved_.store(target, std::memory_order_relaxed);
  } else {
    reserve_at_ = s.Is(Code::kUnsupported) ? UINT64_MAX : size_ + kReserveRetry;
  }
}

Status SegmentWriter::Start(const SegmentLink& link, Sequence durable_lsn) {
  KIST_CHECK(!started_ && link.start_lsn >= link.previous_lsn);
  if (broken()) return Refused();
  link_ = link;
  char room[kRecordHeaderMax + codec::kLinkBytes + kRecordTailroom];
  PreparedRecord record;
  record.data = room + kRecordHeaderMax;
  record.data_bytes = codec::kLinkBytes;
  codec::EncodeLink(link, record.data);
  record.data_crc = crc32c::Value(record.data, record.data_bytes);
  record.kind = RecordKind::kChain;
  record.lsn = link.start_lsn;
  const Sequence durable = durable_lsn < link.previous_lsn ? durable_lsn : link.previous_lsn;
  KIST_TRY(AppendFramed(&record, 1, durable, false));
  started_ = true;
  return Status();
}

Status SegmentWriter::Append(PreparedRecord* records, size_t count, Sequence durable_lsn,
                             bool buffered) {
  KIST_CHECK(started_ && !sealed_);
  if (__builtin_expect(broken(), 0)) return Refused();
  // Between the predecessor's last LSN and this segment's start there are no records. A durable LSN
  // in there would promise this segment's own chain record, which may not be synced yet.
  if (durable_lsn > link_.previous_lsn && durable_lsn <= link_.start_lsn) {
    durable_lsn = link_.previous_lsn;
  }
  for (size_t i = 0; i < count; ++i) {
    KIST_CHECK(records[i].lsn == last_lsn_ + 1 + i && records[i].data_bytes != 0 &&
               records[i].data_bytes <= kRecordDataMax);
  }
  KIST_CHECK(durable_lsn <= last_lsn_);
  return AppendFramed(records, count, durable_lsn, buffered);
}

Status SegmentWriter::AppendFramed(PreparedRecord* records, size_t count, Sequence durable_lsn,
                                   bool buffered) {
  if (buffered) return AppendBuffered(records, count, durable_lsn);
  if (count == 1 && buffer_bytes_ == 0) return AppendOne(records, durable_lsn);
  return AppendMany(records, count, durable_lsn);
}

// Writes the record's header and padding around its data; returns the whole.
Slice SegmentWriter::Frame(PreparedRecord* record, uint64_t offset, Sequence durable_lsn) const {
  codec::RecordHeader header;
  header.data_bytes = record->data_bytes;
  header.data_crc = record->data_crc;
  header.lsn = record->lsn;
  header.durable_lsn = durable_lsn;
  header.kind = static_cast<uint8_t>(record->kind);
  header.flags = record->flags;
  header.time_ms = record->time_ms;
  char* start = record->data - header.header_bytes();
  codec::EncodeRecordHeader(header, crc_seed_, offset - kSegmentDataStart2, start);
  Store64(record->data + record->data_bytes, 0);
  return Slice(start, header.padded_bytes());
}

Status SegmentWriter::AppendOne(PreparedRecord* record, Sequence durable_lsn) {
  const Slice framed = Frame(record, size_, durable_lsn);
  const uint64_t end = size_ + framed.size();
  if (__builtin_expect(end > reserve_at_, 0)) Reserve(end);
  Status s = file_->Write(size_, framed);
  if (__builtin_expect(!s.ok(), 0)) return CutBack(std::move(s));
  size_ = end;
  last_lsn_ = record->lsn;
  Publish(end, last_lsn_);
  return Status();
}

Status SegmentWriter::AppendMany(PreparedRecord* records, size_t count, Sequence durable_lsn) {
  Slice parts[kGroup];
  size_t used = 0;
  uint64_t at = flushed_end_.load(std::memory_order_relaxed);  // where parts[0] goes
  uint64_t end = size_;
  if (buffer_bytes_ != 0) parts[used++] = Slice(buffer_.get(), buffer_bytes_);
  for (size_t i = 0; i <= count; ++i) {
    if (i < count) {
      parts[used] = Frame(&records[i], end, durable_lsn);
      end += parts[used++].size();
    }
    if (used == kGroup || (i == count && used != 0)) {
      if (end > reserve_at_) Reserve(end);
      Status s = file_->WriteV(at, parts, used);
      if (!s.ok()) return CutBack(std::move(s));
      at = end;
      used = 0;
    }
  }
  if (buffer_capacity_ > kBufferKept) {
    buffer_.reset();
    buffer_capacity_ = 0;
    buffer_charge_.Set(0);
  }
  buffer_bytes_ = 0;
  size_ = end;
  if (count != 0) last_lsn_ = records[count - 1].lsn;
  Publish(end, last_lsn_);
  return Status();
}

Status SegmentWriter::AppendBuffered(PreparedRecord* records, size_t count, Sequence durable_lsn) {
  uint64_t need = buffer_bytes_;
  for (size_t i = 0; i < count; ++i) {
    need += uint64_t{records[i].data_bytes} + kRecordHeaderMax + kRecordTailroom;
  }
  if (need > buffer_capacity_) {
    uint64_t want = uint64_t{buffer_capacity_} * 2;
    if (want < kBufferMin) want = kBufferMin;
    if (want < need) want = need;
    char* grown = static_cast<char*>(Reallocate(buffer_.get(), want));
    if (grown == nullptr) return Status::Bare(Code::kNoMem);
    static_cast<void>(buffer_.release());
    buffer_.reset(grown);
    buffer_capacity_ = want;
    buffer_charge_.Set(want);
  }
  for (size_t i = 0; i < count; ++i) {
    const Slice framed = Frame(&records[i], size_, durable_lsn);
    std::memcpy(buffer_.get() + buffer_bytes_, framed.data(), framed.size());
    buffer_bytes_ += framed.size();
    size_ += framed.size();
    last_lsn_ = records[i].lsn;
  }
  return Status();
}

Status SegmentWriter::Flush() {
  if (broken()) return Refused();
  if (buffer_bytes_ == 0) return Status();
  return AppendMany(nullptr, 0, 0);
}

void SegmentWriter::Publish(uint64_t end, Sequence lsn) {
  const uint64_t version = flushed_version_.load(std::memory_order_relaxed);
  flushed_version_.store(version + 1, std::memory_order_relaxed);
  flushed_end_.store(end, std::memory_order_release);
  flushed_lsn_.store(lsn, std::memory_order_release);
  flushed_version_.store(version + 2, std::memory_order_release);
}

// After a failed write. Any part of what was refused may stand behind the old end, whole records
// included (an error can be reported after the bytes were taken, and a group is written in pieces).
// While the call has not returned, each of them may be there or not; when it returns, none may come
// back:
//  - Truncate takes them from every reader at once, a kill included;
//  - the Sync behind it makes the shorter size durable, so that no power cut brings them back (D2),
//  and
//    the zeroed rest of the last block with it;
//  - until both have succeeded nothing is appended, so nothing can be acknowledged behind them.
// Where one fails, the records may be there or not for ever: broken, and kIo instead of kNoSpace,
// which promises absence. What was flushed before is not touched: the cut is at its end. Buffered
// records, which were acknowledged as such, stay in the buffer for the next write.
Status SegmentWriter::CutBack(Status cause) {
  if (Planted(Bug::kAppendAfterFailedAppend)) return cause;
  const uint64_t end = flushed_end_.load(std::memory_order_relaxed);
  Status s = file_->Truncate(end);
  reserved_.store(0, std::memory_order_relaxed);
  if (reserve_step_ != 0 && reserve_at_ != UINT64_MAX) reserve_at_ = end + kReserveRetry;
  // Not Sync: the predecessor may not be durable yet, so this must not be taken for a promise.
  if (s.ok()) s = SyncHead();
  if (s.ok()) return cause;
  broken_.store(true, std::memory_order_release);
  return cause.WithCode(Code::kIo).Prefixed("a failed append could not be undone");
}

Status SegmentWriter::Sync() {
  MutexLock lock(&sync_mutex_);
  return SyncHeld(false);
}

Status SegmentWriter::SyncHead() {
  MutexLock lock(&sync_mutex_);
  if (broken()) return Refused();
  Status s = file_->Sync();
  if (!s.ok()) broken_.store(true, std::memory_order_release);
  return s;
}

Status SegmentWriter::SyncHeld(bool force) {
  if (broken()) return Refused();
  uint64_t end;
  Sequence lsn;
  for (;;) {
    const uint64_t version = flushed_version_.load(std::memory_order_acquire);
    end = flushed_end_.load(std::memory_order_acquire);
    lsn = flushed_lsn_.load(std::memory_order_acquire);
    const bool whole = flushed_version_.load(std::memory_order_relaxed) == version;
    if (version % 2 == 0 && whole) break;  // unreachable: else but by a race
  }
  if (end == synced_end_ && !force) return Status();
  Status s = file_->Sync();
  if (!s.ok() && !Planted(Bug::kSyncResultIgnored)) {
    broken_.store(true, std::memory_order_release);
    return s;
  }
  mark_unsynced_ = false;
  synced_end_ = end;
  synced_lsn_.store(lsn, std::memory_order_release);
  return Status();
}

Status SegmentWriter::WriteMark() {
  MutexLock lock(&sync_mutex_);
  if (broken()) return Refused();
  // Something was synced since the last mark was written, that mark with it: two are never in
  // flight.
  if (synced_end_ <= marked_end_) return Status();
  return WriteSlot(synced_end_, synced_lsn_.load(std::memory_order_relaxed), SealKind::kNone);
}

Status SegmentWriter::WriteSlot(uint64_t end, Sequence lsn, SealKind seal) {
  codec::Slot slot;
  slot.generation = generation_ + 1;
  slot.valid_data_end = end;
  slot.lsn = lsn;
  slot.seal = seal;
  slot.info = info_;
  char bytes[kSegmentSlotBytes];
  codec::EncodeSlot(slot, bytes);
  // A failed write leaves this slot in doubt and the other one as it was: the next mark takes this
  // one again.
  KIST_TRY(file_->Write(codec::SlotOffset(slot.generation), Slice(bytes, sizeof bytes)));
  generation_ = slot.generation;
  marked_end_ = end;
  mark_unsynced_ = true;
  return Status();
}

Status SegmentWriter::Seal(SealKind kind) {
  KIST_CHECK(started_ && kind != SealKind::kNone);
  KIST_TRY(Flush());
  MutexLock lock(&sync_mutex_);
  if (sealed_) return Status();
  KIST_TRY(SyncHeld(mark_unsynced_));
  const uint64_t end = flushed_end_.load(std::memory_order_relaxed);
  if (reserved_.load(std::memory_order_relaxed) > end) {
    KIST_TRY(file_->Truncate(end));
    reserved_.store(0, std::memory_order_relaxed);
  }
  KIST_TRY(WriteSlot(end, last_lsn_, kind));
  KIST_TRY(SyncHeld(true));
  sealed_ = true;
  return Status();
}

SegmentLink SegmentWriter::LinkAfter() const {
  SegmentLink link;
  link.previous_id = info_.id;
  link.previous_nonce = info_.nonce;
  link.previous_bytes = size_ - kSegmentDataStart2;
  link.previous_lsn = last_lsn_;
  link.start_lsn = last_lsn_;
  return link;
}

Status SegmentWriter::Refused() const {
  return Status::Error(Code::kPoisoned, path_ + ": an earlier write or sync failed");
}

}  // namespace kist
