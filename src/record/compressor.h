// RecordCompressor: Snappy for the data of records, outside the write lock. Keeps its buffer, with
// a record's headroom and tailroom around it, for the next record; bounded. A record that does not
// shrink by an eighth is left as it is. Threads: one user at a time; one for each writing thread.
#pragma once

#include "record/segment.h"
#include "util/alloc.h"

namespace kist {

class RecordCompressor {
 public:
  // Points record->data at compressed bytes, valid until the next call, and sets its flag and
  // checksum; or leaves data and flag and fills the checksum alone. Without memory it does the
  // latter.
  void Prepare(PreparedRecord* record, bool compress);

 private:
  Buffer buffer_;
  size_t capacity_ = 0;
};

}  // namespace kist
