// CrashStates: every file system that a crash may leave behind, from a recorded trace. The model:
//   a. Unsynced data persists by 512-byte sector, any subset: a sector holds what it held after
//      some write to it, or at the last sync. New regions are else zeros, or garbage where asked.
//   b. A size change is a unit of its own, independent of the data.
//   c. Names are units of the directory, durable after its sync, any subset, ordered only for each
//      name. A rename is one unit on two names, independent of the file's data.
//   d. A file's sync makes its data and size durable, not its name.
//   e. What a failed sync leaves is FaultVfs's work: kept or lost, before the crash.
//
// At each boundary between two calls it makes: nothing of the unsynced units, all, each missing,
// each alone, the last write torn at each sector, and random subsets. A state met before with the
// same marks is skipped.
// Threads: one at a time; several CrashStates over one trace may run side by side (shards).
#pragma once

#include <functional>
#include <memory>

#include "support/recording_vfs.h"

namespace kist::test {

class DiskModel;
struct Selection;

struct CrashOptions {
  uint64_t seed = 1;
  int random_subsets = 4;     // at each boundary
  size_t units_max = 64;      // of more units than this, that many are taken for missing and alone
  size_t torn_max = 32;       // and of a write's sectors
  bool garbage = false;       // each state with new regions once more, with garbage in them
  size_t first_boundary = 0;  // boundary b: the first b ops of the trace have happened
  size_t last_boundary = static_cast<size_t>(-1);
  uint32_t shard = 0;  // of shards: visits the states whose index is shard modulo shards
  uint32_t shards = 1;
};

// One state; valid inside the visit.
class CrashState {
 public:
  uint64_t index() const { return index_; }
  size_t boundary() const { return boundary_; }
  // The highest mark of the kind set before the crash; 0: none.
  uint64_t mark(int kind = 0) const { return marks_[kind]; }
  std::string ToString()
      const;  // for messages: the boundary, the call before it, and which units persisted

  std::shared_ptr<MemoryNode> Image() const;
  std::unique_ptr<MemoryVfs> MakeVfs() const { return std::make_unique<MemoryVfs>(Image()); }
  std::unique_ptr<RecordingVfs> MakeRecording() const {
    return std::make_unique<RecordingVfs>(Image());
  }

 private:
  friend class CrashStates;
  uint64_t index_ = 0;
  size_t boundary_ = 0;
  uint64_t marks_[RecordingVfs::kMarkKinds] = {};
  const char* what_ = "";
  const DiskModel* model_ = nullptr;
  const Selection* selection_ = nullptr;
  const TraceOp* last_op_ = nullptr;
};

class CrashStates {
 public:
  explicit CrashStates(Trace trace, const CrashOptions& options = CrashOptions())
      : trace_(std::move(trace)), options_(options) {}
  // Calls visit for each state until it returns false. Returns how many states were visited.
  uint64_t ForEach(const std::function<bool(const CrashState&)>& visit);

 private:
  class Walk;
  const Trace trace_;
  const CrashOptions options_;
};

// Of names and bytes; equal for equal trees, whatever their inode numbers and holes.
uint64_t ContentHash(const MemoryNode& node);

}  // namespace kist::test
