// The walk over a live log. What makes it safe beside the writer: a commit at or below the durable
// one is in the file, whole, and stays as it is.
// Threads: one.
#include "backup/log_tail.h"

#include <algorithm>
#include <utility>

#include "db/db.h"
#include "key/file_name.h"
#include "util/crc32c.h"

namespace kist {

Result<std::unique_ptr<SegmentReader>> LogTail::OpenReader(uint64_t segment) const {
  const std::string path = JoinPath(db_->path(), LogFileName(segment));
  auto opened = SegmentReader::Open(db_->vfs(), path, SegmentType::kLog);
  KIST_TRY(db_->CheckLocked());
  if (opened.ok() && !(*opened)->has_link())
    return Status::Corrupt(path, 0, "a segment without a chain record");
  return opened;
}

// From one place to another: all of it, or nothing where something fails before.
void LogTail::Enter(std::unique_ptr<SegmentReader> reader) {
  reader_ = std::move(reader);
  place_ = LogPlace();
  place_.segment = reader_->info().id;
  place_.nonce = reader_->info().nonce;
  piece_ = LogPiece();
  pending_ = false;
}

Status LogTail::Open(uint64_t segment) {
  KIST_TRY_ASSIGN(auto reader, OpenReader(segment));
  Enter(std::move(reader));
  return Status();
}

Status LogTail::Start(uint64_t segment) { return Open(segment); }

// The nonce tells one segment from another. A machine that was set back to an image of its memory
// goes on in the same one: only its records tell.
Status LogTail::Resume(const LogPlace& place, uint64_t since, uint32_t crc) {
  const std::vector<LogExtent> extents = db_->LogExtents();
  if (extents.empty() || place.segment > extents.back().number)
    return Status::Error(Code::kConflict,
                         "the log has no segment " + std::to_string(place.segment));
  if (extents.front().number > place.segment) {
    // Gone, but the oldest one may begin exactly there.
    KIST_TRY(Open(extents.front().number));
    const SegmentLink& link = reader_->link();
    if (link.previous_id != place.segment)
      return Status::Error(Code::kMissing,
                           "the log no longer holds segment " + std::to_string(place.segment));
    if (link.previous_nonce != place.nonce || link.previous_bytes != place.position)
      return Status::Error(Code::kConflict, Name() + " does not follow the place reached before");
    return Status();
  }
  KIST_TRY(Open(place.segment));
  if (place_.nonce != place.nonce)
    return Status::Error(Code::kConflict, Name() + " is another segment than before");
  uint32_t have = 0;
  while (place_.position < place.position) {
    LogPiece piece;
    bool got = false;
    KIST_TRY(Next(place.lsn, uint64_t{1} << 20, &piece, &got));
    if (!got || place_.segment != place.segment) break;
    if (place_.position <= since) continue;
    const uint64_t skip = since - std::min(since, piece.position);
    have = crc32c::Extend(have, piece.bytes.data() + skip, piece.bytes.size() - skip);
  }
  if (place_.segment != place.segment || place_.position != place.position ||
      place_.lsn != place.lsn || have != crc)
    return Status::Error(Code::kConflict, Name() + " does not end a commit where it did before");
  return Status();
}

Status LogTail::ReadChainRecord() {
  const uint64_t start = reader_->info().data_start();
  const uint64_t end = reader_->offset();
  KIST_TRY_ASSIGN(auto file, db_->vfs()->Open(Name(), OpenMode::kRead));
  KIST_TRY(db_->CheckLocked());
  std::string bytes(end - start, '\0');
  KIST_TRY_ASSIGN(const size_t n, file->Read(start, bytes.data(), bytes.size()));
  if (n != bytes.size()) return Status::Corrupt(Name(), start, "cut inside its chain record");
  piece_.bytes = std::move(bytes);
  piece_.last_lsn = reader_->link().start_lsn;
  return Status();
}

Status LogTail::Fetch(Sequence upto, bool* got) {
  if (!pending_) {
    // Looked at anew before an end or a break is believed.
    KIST_TRY_ASSIGN(SegmentReader::Outcome outcome, reader_->Next(&record_));
    if (outcome != SegmentReader::Outcome::kRecord) {
      KIST_TRY(reader_->Refresh(upto));
      KIST_TRY_ASSIGN(outcome, reader_->Next(&record_));
    }
    pending_ = outcome == SegmentReader::Outcome::kRecord;
    if (pending_ && record_.kind != RecordKind::kCommit)
      return Status::Corrupt(Name(), record_.offset, "a record that is not a commit");
  }
  *got = pending_;
  return Status();
}

// To the segment that follows, where there is one and all that it counts of this one was read.
Status LogTail::MoveOn(bool* moved) {
  *moved = false;
  for (const LogExtent& e : db_->LogExtents()) {
    if (e.number <= place_.segment) continue;
    const LogPlace& end = place_;
    KIST_TRY_ASSIGN(auto next, OpenReader(e.number));
    const SegmentLink& link = next->link();
    if (link.previous_id != end.segment || link.previous_nonce != end.nonce ||
        link.previous_bytes < end.position) {
      return Status::Error(Code::kConflict, next->path() + " does not follow segment " +
                                                std::to_string(end.segment) + " at " +
                                                std::to_string(end.position));
    }
    if (link.previous_bytes > end.position) return Status();  // more was appended; read it first
    *moved = true;
    Enter(std::move(next));
    return Status();
  }
  return Status();
}

Status LogTail::Next(Sequence upto, uint64_t bytes_max, LogPiece* piece, bool* got) {
  *got = false;
  *piece = LogPiece();
  for (;;) {
    if (!pending_) KIST_TRY(reader_->Refresh(upto));
    if (place_.position == 0 && piece_.bytes.empty()) {
      if (reader_->link().previous_lsn > upto) return Status();
      KIST_TRY(ReadChainRecord());
    }
    bool there = false;
    for (;;) {
      KIST_TRY(Fetch(upto, &there));
      if (!there || record_.lsn > upto) break;
      if (!piece_.bytes.empty() && piece_.bytes.size() + record_.raw.size() > bytes_max) break;
      piece_.bytes.append(record_.raw.data(), record_.raw.size());
      if (record_.has_time && piece_.first_time_ms == 0) piece_.first_time_ms = record_.time_ms;
      if (record_.has_time) piece_.last_time_ms = record_.time_ms;
      piece_.last_lsn = record_.lsn;
      ++piece_.commits;
      pending_ = false;
    }
    if (!piece_.bytes.empty()) {
      piece_.info = reader_->info();
      piece_.position = place_.position;
      place_.position += piece_.bytes.size();
      place_.lsn = piece_.last_lsn;
      *piece = std::exchange(piece_, LogPiece());
      *got = true;
      return Status();
    }
    if (there) return Status();  // its next commit is beyond what was asked for
    const uint64_t before = place_.position;
    bool moved = false;
    KIST_TRY(MoveOn(&moved));
    if (moved) continue;
    if (place_.lsn >= upto || place_.position != before) return Status();
    // Appended, or switched, between the two looks.
    KIST_TRY(Fetch(upto, &there));
    if (!there) {
      KIST_TRY(MoveOn(&moved));
      if (!moved) {
        return Status::Corrupt(Name(), reader_->break_offset(),
                               "the log ends before commit " + std::to_string(upto));
      }
    }
  }
}

}  // namespace kist
