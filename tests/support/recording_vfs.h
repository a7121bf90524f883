// RecordingVfs: a file system in memory that writes down, in one total order, every call that
// changes it, with marks that the test sets in between ("commit 17 was acknowledged").
// crash_states.h turns the trace into what a disk may hold after a crash at any call.
//
// A RecordingVfs starts empty or from an image, all of which counts as durable. So the recovery of
// a crash image can be recorded and crashed again. Threads: any. A call and its place in the trace
// are one step.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "support/wrap_vfs.h"
#include "util/mutex.h"
#include "vfs/memory_vfs.h"

namespace kist::test {

struct TraceOp {
  enum class Kind {
    kCreate,   // dir, name, node
    kMakeDir,  // dir, name, node
    kLink,     // dir, name, node
    kRemove,   // dir, name; directories too
    kRename,   // dir, name -> to_dir, to_name, node
    kWrite,    // node, offset, data
    kResize,   // node, size
    kReserve,  // node, size
    kSync,     // node
    kSyncDir,  // node
    kMark,     // mark, mark_kind
  };
  Kind kind = Kind::kMark;
  uint64_t node = 0;  // inode numbers
  uint64_t dir = 0;
  uint64_t to_dir = 0;
  std::string name;
  std::string to_name;
  uint64_t offset = 0;
  uint64_t size = 0;
  std::string data;
  uint64_t mark = 0;
  int mark_kind = 0;

  std::string ToString() const;
};

struct Trace {
  std::shared_ptr<const MemoryNode> base;  // durable before the first op; never changed
  std::vector<TraceOp> ops;
};

class RecordingVfs : public WrapVfs {
 public:
  static constexpr int kMarkKinds = 4;

  RecordingVfs();
  explicit RecordingVfs(const std::shared_ptr<MemoryNode>& image);  // takes it over

  // Marks of one kind are expected to grow.
  void Mark(uint64_t mark, int kind = 0);
  Trace GetTrace() const;   // a copy of what was recorded so far
  size_t op_count() const;  // marks included
  size_t changes() const;   // changing calls: a read-only open makes none
  MemoryVfs* memory() { return &memory_; }

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status MakeDir(const std::string& path) override;
  Status RemoveDir(const std::string& path) override;
  Status SyncDir(const std::string& dir) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

 private:
  friend class RecordingFile;
  Result<uint64_t> Inode(const std::string& path);
  // Fills dir and name of a path.
  Status Locate(const std::string& path, uint64_t* dir, std::string* name);
  Status RecordName(TraceOp::Kind kind, const std::string& path) KIST_REQUIRES(mutex_);

  MemoryVfs memory_;
  const std::shared_ptr<const MemoryNode> base_image_;
  mutable Mutex mutex_;  // held over a changing call and its recording
  std::vector<TraceOp> ops_ KIST_GUARDED_BY(mutex_);
  size_t marks_ KIST_GUARDED_BY(mutex_) = 0;
};

}  // namespace kist::test
