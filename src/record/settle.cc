// SettleChain: makes the segments that a replay accepted durable, exact-size and sealed. See
// chain.h.
//
// Why rewriting the same bytes is safe: each is read, its checksum tested, and written where it
// stands. A sector that is lost on the way holds what the disk held before, which is what the next
// replay judges, by the same rule and with the same result. The seal is written only after the Sync
// behind the rewrite.
#include <string>

#include "record/chain.h"
#include "record/codec.h"

namespace kist {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;

class Settler {
 public:
  Settler(Vfs* vfs, const ChainKept& kept) : vfs_(vfs), kept_(kept) {}

  Status Run(SegmentType type, bool rewrite) {
    KIST_TRY_ASSIGN(reader_, SegmentReader::Probe(vfs_, kept_.path, type));
    const SegmentReader& r = *reader_;
    if (!r.has_link() || r.info().nonce != kept_.nonce || r.size() < kept_.end) return Changed(0);
    if (r.info().version == 1) return Status();
    const bool sealed = r.sealed() && r.valid_data_end() == kept_.end;
    if (sealed && r.seal() != SealKind::kClosed) return Status();
    KIST_TRY_ASSIGN(file_, vfs_->Open(kept_.path, OpenMode::kReadWrite));
    if (rewrite) KIST_TRY(Rewrite());
    KIST_TRY(file_->Sync());
    return Seal();
  }

 private:
  Status Changed(uint64_t offset) const {
    return Status::Corrupt(kept_.path, offset, "changed while the log was being opened");
  }

  // Everything from the durable end on, the head included where nothing was durable.
  Status Rewrite() {
    const uint64_t start = reader_->info().data_start();
    const uint64_t from = reader_->valid_data_end();
    if (from == start) {
      std::string head(reader_->offset(), '\0');  // prefix, slots, chain record
      KIST_TRY_ASSIGN(size_t got, file_->Read(0, head.data(), head.size()));
      if (got != head.size()) return Changed(got);
      KIST_TRY(file_->Write(0, head));
    }
    std::string chunk;
    uint64_t at = 0;
    reader_->SetLimit(kept_.end);
    SegmentReader::Record record;
    SegmentReader::Outcome outcome;
    for (;;) {
      KIST_TRY_ASSIGN(outcome, reader_->Next(&record));
      if (outcome != SegmentReader::Outcome::kRecord) break;
      if (record.offset < from) continue;
      if (chunk.empty()) at = record.offset;
      chunk.append(record.raw);
      if (chunk.size() < kChunkBytes) continue;
      KIST_TRY(file_->Write(at, chunk));
      chunk.clear();
    }
    if (reader_->offset() != kept_.end) return Changed(reader_->offset());
    if (chunk.empty()) return Status();
    return file_->Write(at, chunk);
  }

  Status Seal() {
    if (reader_->size() > kept_.end) KIST_TRY(file_->Truncate(kept_.end));
    codec::Slot slot;
    slot.generation = reader_->mark_generation() + 1;
    slot.valid_data_end = kept_.end;
    slot.lsn = kept_.last_lsn;
    slot.seal = SealKind::kRecovered;
    slot.info = reader_->info();
    char bytes[kSegmentSlotBytes];
    codec::EncodeSlot(slot, bytes);
    KIST_TRY(file_->Write(codec::SlotOffset(slot.generation), Slice(bytes, sizeof bytes)));
    return file_->Sync();
  }

  Vfs* const vfs_;
  const ChainKept& kept_;
  std::unique_ptr<SegmentReader> reader_;
  std::unique_ptr<File> file_;
};

}  // namespace

Status SettleChain(Vfs* vfs, const ChainOptions& options, const ChainResult& result) {
  for (const ChainKept& kept : result.kept) {
    KIST_TRY(Settler(vfs, kept).Run(options.type, kept.last_lsn > result.durable_lsn));
  }
  // A kept segment's own entry may not have been synced either.
  if (result.kept.empty()) return Status();
  return vfs->SyncDir(ParentDir(result.kept.back().path));
}

}  // namespace kist
