// LogTail: the durable bytes of an open database's log, piece by piece, as checkpoints copy and
// backups ship them.
//
// Invariants
//  1. A piece holds whole records of one segment, each checked against its checksum; pieces follow
//     one another without a gap, and a segment's first piece begins with its chain record.
//  2. From one segment to the next it goes only where the next one's chain record names exactly the
//     place it has reached. Anything else is kConflict: the histories are not the same.
//  3. Nothing beyond the commit asked for leaves it; who asks for durable commits ships no byte
//     that the database might lose.
//  4. A call that fails, or throws, may be made again: nothing that it has read is left out.
// The caller holds the log (db/retain.h) from the first segment on. Threads: one.
#pragma once

#include <memory>
#include <string>

#include "db/retain.h"
#include "record/segment.h"

namespace kist {

class Db;

// A place in the log: so many bytes of a segment's records, which end with the commit `lsn` (where
// only the chain record stands there, with the LSN that the segment starts after).
struct LogPlace {
  uint64_t segment = 0;
  uint64_t nonce = 0;
  uint64_t position = 0;
  Sequence lsn = 0;
};

struct LogPiece {
  SegmentInfo info;
  uint64_t position = 0;  // of its first byte, counted from the segment's first record
  Sequence last_lsn = 0;
  int64_t first_time_ms = 0;  // of its commits; 0 where it has none, or their times are not kept
  int64_t last_time_ms = 0;
  uint64_t commits = 0;
  std::string bytes;
};

class LogTail {
 public:
  explicit LogTail(Db* db) : db_(db) {}
  // At the first record of a segment.
  Status Start(uint64_t segment);
  // At a place that was reached before; the records from position `since` up to it have the
  // checksum `crc`. kConflict where the log there is another one's, kMissing where it does not
  // reach back that far.
  Status Resume(const LogPlace& place, uint64_t since, uint32_t crc);
  // The next piece of at most about bytes_max bytes (one record at least) that ends at or before
  // the commit `upto`; *got false where there is none yet.
  Status Next(Sequence upto, uint64_t bytes_max, LogPiece* piece, bool* got);
  const LogPlace& place() const { return place_; }

 private:
  Result<std::unique_ptr<SegmentReader>> OpenReader(uint64_t segment) const;
  void Enter(std::unique_ptr<SegmentReader> reader);
  Status Open(uint64_t segment);
  Status ReadChainRecord();
  // Into record_; *got false at the end of what this segment holds up to `upto`.
  Status Fetch(Sequence upto, bool* got);
  Status MoveOn(bool* moved);
  std::string Name() const { return reader_->path(); }

  Db* const db_;
  std::unique_ptr<SegmentReader> reader_;
  SegmentReader::Record record_;
  bool pending_ = false;  // record_ was read and is not in piece_
  LogPiece piece_;        // what was read from place_ on and not handed out
  LogPlace place_;
};

}  // namespace kist
