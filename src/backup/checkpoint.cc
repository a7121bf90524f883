// Making a checkpoint: hold the log, sync it, pin the tables, link them, copy the log, publish.
// Nothing waits for it but a manifest edit, while the state is copied in memory.
// Threads: any.
#include "backup/checkpoint.h"

#include <algorithm>

#include "backup/log_tail.h"
#include "backup/new_directory.h"
#include "backup/segment_copy.h"
#include "key/file_name.h"
#include "util/alloc.h"

namespace kist {
namespace {

constexpr uint64_t kPieceBytes = uint64_t{4} << 20;
constexpr size_t kCopyBytes = size_t{1} << 20;

Status CopyFile(Vfs* from_vfs, const std::string& from, Vfs* to_vfs, const std::string& to,
                uint64_t bytes) {
  KIST_TRY_ASSIGN(auto in, from_vfs->Open(from, OpenMode::kRead));
  KIST_TRY_ASSIGN(auto out, to_vfs->Open(to, OpenMode::kCreateNew));
  Buffer buffer = AllocateBuffer(kCopyBytes);
  if (buffer == nullptr) return Status::Bare(Code::kNoMem);
  for (uint64_t at = 0; at < bytes;) {
    const size_t want = std::min<uint64_t>(kCopyBytes, bytes - at);
    KIST_TRY_ASSIGN(const size_t n, in->Read(at, buffer.get(), want));
    if (n != want) return Status::Corrupt(from, at + n, "shorter than the manifest says");
    KIST_TRY(out->Write(at, Slice(buffer.get(), n)));
    at += n;
  }
  return out->Sync();
}

class Checkpoint {
 public:
  Checkpoint(Db* db, NewDirectory* dir) : db_(db), dir_(dir) {}

  Status Run(Sequence* seq) {
    KIST_TRY_ASSIGN(auto hold, db_->HoldLog());
    KIST_TRY(db_->Sync());
    KIST_TRY_ASSIGN(auto pin, db_->PinState());
    seq_ = std::max(db_->durable_seq(), pin->state.flushed_lsn);
    for (const auto& table : pin->tables) KIST_TRY(AddTable(*table));
    KIST_TRY(CopyLog(pin->state.log_number));
    ManifestState state = std::move(pin->state);
    const uint64_t number = std::max(state.next_file, last_segment_ + 1);
    state.next_file = number + 1;
    KIST_TRY(Manifest::Create(dir_->vfs(), dir_->path(), number, &state).status());
    if (seq != nullptr) *seq = seq_;
    return Status();
  }

 private:
  Status AddTable(const LiveTable& table) {
    const std::string name = TableFileName(table.number());
    const std::string from = JoinPath(db_->path(), name);
    const std::string to = JoinPath(dir_->path(), name);
    if (link_) {
      Status s = dir_->vfs()->Link(from, to);
      // Any failure but a full disk: another file system, too many links, no permission.
      if (s.ok() || s.Is(Code::kNoSpace)) return s;
      link_ = false;
    }
    return CopyFile(db_->vfs(), from, dir_->vfs(), to, table.bytes());
  }

  // Every segment from `first` on, the last one cut behind the commit seq_.
  Status CopyLog(uint64_t first) {
    LogTail tail(db_);
    KIST_TRY(tail.Start(first));
    LogPlace end;
    for (;;) {
      LogPiece piece;
      bool got = false;
      KIST_TRY(tail.Next(seq_, kPieceBytes, &piece, &got));
      if (!got) break;
      if (piece.position == 0) {
        if (segment_ != nullptr) {
          KIST_TRY(segment_->Finish(end.position, end.lsn, SealKind::kSwitched));
        }
        last_segment_ = piece.info.id;
        KIST_TRY_ASSIGN(
            segment_,
            SegmentCopy::Create(dir_->vfs(), JoinPath(dir_->path(), LogFileName(piece.info.id)),
                                piece.info));
      }
      KIST_TRY(segment_->Write(piece.position, piece.bytes));
      end = tail.place();
    }
    return segment_->Finish(end.position, end.lsn, SealKind::kClosed);
  }

  Db* const db_;
  NewDirectory* const dir_;
  bool link_ = db_->vfs() == dir_->vfs();
  Sequence seq_ = 0;
  uint64_t last_segment_ = 0;
  std::unique_ptr<SegmentCopy> segment_;
};

}  // namespace

Status MakeCheckpoint(Db* db, Vfs* to, const std::string& path, Sequence* seq) {
  if (db->options().read_only) {
    return Status::Error(Code::kReadOnly, "a checkpoint needs a database that is open for writing");
  }
  KIST_TRY_ASSIGN(auto dir, NewDirectory::Prepare(to, path));
  KIST_TRY(Checkpoint(db, dir.get()).Run(seq));
  return dir->Finish();
}

}  // namespace kist
