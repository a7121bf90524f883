// Retain: what copies of an open database need from it. A LogHold keeps segments of the log from
// being removed; a PinnedState is what the manifest says at one moment, with references that keep
// its tables. Hold first, then pin: then the tables of the state and the log from its log_number on
// are everything committed, and all of it stays.
//
// Both must be gone before the database closes. Threads: any.
#pragma once

#include <vector>

#include "version/live_table.h"
#include "version/manifest.h"

namespace kist {

// A segment of the log that is there now.
struct LogExtent {
  uint64_t number = 0;
  Sequence previous_lsn = 0;  // the last commit before its first
  uint64_t bytes = 0;         // of its file up to the last record
};

class LogHold {
 public:
  virtual ~LogHold() = default;  // lets go
  // Segments below `number` are not needed any more.
  virtual void Advance(uint64_t number) = 0;
  // It asked for more than its limit, and what it held may be gone.
  virtual bool lapsed() const = 0;
};

// How far the log is durable, and when that was. Of two captures of a database the later one has no
// smaller sequence, and no smaller time.
struct LogCapture {
  Sequence upto = 0;
  int64_t time_ms = 0;
};

struct PinnedState {
  ManifestState state;
  std::vector<RefPtr<LiveTable>> tables;  // all that the state lists
};

}  // namespace kist
