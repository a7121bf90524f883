// SegmentCopy: a segment of the log built from pieces of another one's records. Records know their
// segment, its nonce and their position in it, not the file's version, so they move as they are.
// The copy is a version 2 segment without a reserved tail, sealed at its end: as one that recovery
// passed over, or, the last one of a copy, as one that was closed in order, because nothing of the
// copy's own was ever written behind it.
// Threads: Write from several where their ranges do not overlap; the rest one at a time.
#pragma once

#include <memory>
#include <string>

#include "record/segment.h"

namespace kist {

class SegmentCopy {
 public:
  // kExists where the file is there. The head is written by Finish.
  static Result<std::unique_ptr<SegmentCopy>> Create(Vfs* vfs, const std::string& path,
                                                     const SegmentInfo& info);
  Status Write(uint64_t position, Slice records);
  // The records end at `bytes`, and `last_lsn` is the last one's. Cuts what was written behind it,
  // writes the head, syncs.
  Status Finish(uint64_t bytes, Sequence last_lsn, SealKind seal);
  const std::string& path() const { return path_; }

 private:
  SegmentCopy(std::string path, const SegmentInfo& info, std::unique_ptr<File> file);
  const std::string path_;
  SegmentInfo info_;
  const std::unique_ptr<File> file_;
};

}  // namespace kist
