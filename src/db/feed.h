// FeedImpl: the commits after a sequence number, in order, read from the log's segments as the
// record's own bytes.
//
// A segment leads to its successor by name: the successor's link says which segment and which LSN
// precede it. Only commits that readers see are handed out, so a group whose sync is under way, or
// failed, never appears. Old segments are there as long as log_retention keeps them; where the log
// does not reach back far enough the feed says kMissing, and never skips. Threads: one at a time;
// beside everything else.
#pragma once

#include <memory>
#include <string>

#include "db/db.h"
#include "record/segment.h"

namespace kist {

class DbImpl;

class FeedImpl final : public Feed {
 public:
  FeedImpl(DbImpl* db, Sequence from) : db_(db), last_(from) {}
  Status Start();  // finds the segment that from stands in, or precedes
  Status Next(int64_t timeout_ms, FeedCommit* commit, bool* got) override;

 private:
  Status OpenSegment(uint64_t number);
  Status Look();
  // The next commit of the log into record_, if readers see one.
  Status Advance(bool* got);

  DbImpl* const db_;
  Sequence last_;         // the last commit handed out, or skipped over
  Sequence horizon_ = 0;  // what readers saw at the last look at the segment
  uint64_t number_ = 0;
  std::unique_ptr<SegmentReader> reader_;
  SegmentReader::Record record_;
};

}  // namespace kist
