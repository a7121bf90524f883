// Making a checkpoint: hold the log, seal its full segments, sync it, pin the tables, link all of
// that, copy the log's tail, publish. Nothing waits for it but a manifest edit, while the state is
// copied in memory, and writers, while a segment that is long begins a new one.
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
    KIST_TRY(db_->SealLog());
    full_ = db_->LogExtents();
    if (full_.empty()) return Status::Error(Code::kInternal, "a log without a segment");
    live_ = full_.back().number;
    full_.pop_back();
    KIST_TRY(db_->Sync());
    KIST_TRY_ASSIGN(auto pin, db_->PinState());
    seq_ = std::max(db_->durable_seq(), pin->state.flushed_lsn);
    for (const auto& table : pin->tables) KIST_TRY(AddTable(*table));
    KIST_TRY(AddLog(pin->state.log_number));
    KIST_TRY(db_->CheckLocked());
    ManifestState state = std::move(pin->state);
    const uint64_t number = std::max(state.next_file, last_segment_ + 1);
    state.next_file = number + 1;
    state.newest_log = last_segment_;
    state.time_floor_ms = std::max(state.time_floor_ms, db_->NowMs());
    KIST_TRY(Manifest::Create(dir_->vfs(), dir_->path(), number, &state).status());
    if (seq != nullptr) *seq = seq_;
    return Status();
  }

 private:
  // *linked false: another file system, too many links, no permission; all but a full disk.
  Status Link(const std::string& name, bool* linked) {
    *linked = false;
    if (!link_) return Status();
    Status s = dir_->vfs()->Link(JoinPath(db_->path(), name), JoinPath(dir_->path(), name));
    link_ = *linked = s.ok();
    return s.Is(Code::kNoSpace) ? s : Status();
  }

  Status AddTable(const LiveTable& table) {
    const std::string name = TableFileName(table.number());
    bool linked = false;
    KIST_TRY(Link(name, &linked));
    if (linked) return Status();
    return CopyFile(db_->vfs(), JoinPath(db_->path(), name), dir_->vfs(),
                    JoinPath(dir_->path(), name), table.bytes());
  }

  // Every segment from `first` on. Nobody writes to sealed ones any more, but who opens the copy
  // seals its last one: that is always copied.
  Status AddLog(uint64_t first) {
    for (size_t i = 0; i < full_.size(); ++i) {
      if (full_[i].number < first) continue;
      const std::string name = LogFileName(full_[i].number);
      auto reader = SegmentReader::Open(db_->vfs(), JoinPath(db_->path(), name), SegmentType::kLog);
      KIST_TRY(reader.status());
      bool linked = false;
      if ((*reader)->sealed()) KIST_TRY(Link(name, &linked));
      if (!linked) return CopyLog(full_[i].number);
      first = i + 1 < full_.size() ? full_[i + 1].number : live_;
    }
    return CopyLog(first);
  }

  // The last one is cut behind the commit seq_.
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
    if (segment_ == nullptr) return Status::Error(Code::kInternal, "a log without its end");
    return segment_->Finish(end.position, end.lsn, SealKind::kClosed);
  }

  Db* const db_;
  NewDirectory* const dir_;
  bool link_ = db_->vfs() == dir_->vfs();
  Sequence seq_ = 0;
  std::vector<LogExtent> full_;  // segments that were not the last one before seq_ was known
  uint64_t live_ = 0;            // that one
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
