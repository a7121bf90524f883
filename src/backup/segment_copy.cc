// Writing the head of a copied segment around records that were written elsewhere. The head comes
// last: until then the file is no segment.
// Threads: see segment_copy.h.
#include "backup/segment_copy.h"

#include "record/codec.h"
#include "util/planted.h"

namespace kist {

SegmentCopy::SegmentCopy(std::string path, const SegmentInfo& info, std::unique_ptr<File> file)
    : path_(std::move(path)), info_(info), file_(std::move(file)) {
  info_.version = 2;
}

Result<std::unique_ptr<SegmentCopy>> SegmentCopy::Create(Vfs* vfs, const std::string& path,
                                                         const SegmentInfo& info) {
  KIST_TRY_ASSIGN(std::unique_ptr<File> file, vfs->Open(path, OpenMode::kCreateNew));
  return std::unique_ptr<SegmentCopy>(new SegmentCopy(path, info, std::move(file)));
}

Status SegmentCopy::Write(uint64_t position, Slice records) {
  return file_->Write(kSegmentDataStart2 + position, records);
}

Status SegmentCopy::Finish(uint64_t bytes, Sequence last_lsn, SealKind seal) {
  const uint64_t end = kSegmentDataStart2 + bytes;
  KIST_TRY_ASSIGN(const uint64_t size, file_->Size());
  if (size < end) return Status::Error(Code::kInternal, path_ + ": shorter than its records");
  if (size > end) KIST_TRY(file_->Truncate(end));
  char head[kSegmentDataStart2] = {};
  codec::EncodePrefix(info_, head);
  codec::Slot slot;
  slot.generation = 1;
  slot.valid_data_end = kSegmentDataStart2;
  slot.info = info_;
  codec::EncodeSlot(slot, head + codec::SlotOffset(slot.generation));
  slot.generation = 2;
  slot.valid_data_end = end;
  slot.lsn = last_lsn;
  slot.seal = seal;
  codec::EncodeSlot(slot, head + codec::SlotOffset(slot.generation));
  KIST_TRY(file_->Write(0, Slice(head, sizeof head)));
  return Planted(Bug::kCopyNotSynced) ? Status() : file_->Sync();
}

}  // namespace kist
