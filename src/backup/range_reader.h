// RangeReader: walks the records of a shipped range without keeping it in memory, for planners that
// look for a commit or a time. Headers are checked against segment and place; the data's checksum
// is the restore's to check. Threads: one.
#pragma once

#include <string>

#include "backup/catalog.h"

namespace kist {

class RangeReader {
 public:
  RangeReader(Target* target, const CatalogRange& range, const RangeHeader& header)
      : target_(target), name_(FormatObjectName(range.name)), header_(header) {}
  struct Record {
    Sequence lsn = 0;  // of a chain record: the one that its segment starts after
    bool is_chain = false;
    SegmentLink link;  // a chain record's
    bool has_time = false;
    int64_t time_ms = 0;
    uint64_t end = 0;  // position in the segment where it ends
  };
  Status Next(Record* record, bool* got);

 private:
  Target* const target_;
  const std::string name_;
  const RangeHeader header_;
  uint64_t at_ = 0;  // in the payload
  std::string window_;
  uint64_t window_at_ = 0;
};

}  // namespace kist
