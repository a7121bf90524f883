// The in-memory file system: what ":memory:" databases live in, and what the crash and fault tests
// model a disk with. A tree of nodes; the bytes of a file stand in chunks that copies of the file
// share until one writes.
//
// Invariants:
//  1. A missing chunk reads as zeros; bytes of a chunk beyond the file's size are zero.
//  2. A chunk with more than one reference is never written.
//  3. Copying a MemoryContent copies pointers only, so that a test may make a hundred thousand file
//     systems a second.
// Paths are taken from the root whether or not they begin with a slash; "." and empty parts are
// skipped. Threads: MemoryVfs, any (one lock over names, one reader-writer lock a file).
// MemoryContent, like a plain value.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "util/mutex.h"
#include "util/ref.h"
#include "vfs/vfs.h"

namespace kist {

class MemoryContent {
 public:
  static constexpr size_t kChunkBytes = 16384;

  uint64_t size() const { return size_; }
  size_t Read(uint64_t offset, char* buf, size_t n) const;
  Status Write(uint64_t offset, Slice data);  // kNoMem: as before
  Status Resize(uint64_t size);               // what is cut is gone, what is added reads as zeros
  uint64_t NextData(uint64_t offset) const;   // by chunks

 private:
  struct Chunk {
    std::atomic<uint32_t> refs{1};
    char bytes[kChunkBytes];
    static Chunk* New();  // zeroed; nullptr where memory is out
    void Ref() { refs.fetch_add(1, std::memory_order_relaxed); }
    void Unref();
  };
  Status MakeWritable(size_t chunk);

  std::vector<RefPtr<Chunk>> chunks_;
  uint64_t size_ = 0;
};

// A file or directory. Directories name their children; a file may have several names.
struct MemoryNode {
  uint64_t inode = 0;
  bool is_directory = false;
  std::map<std::string, std::shared_ptr<MemoryNode>> children;  // guarded by the file system's lock

  mutable std::shared_mutex mutex;  // of content, while the node is part of a MemoryVfs
  MemoryContent content;
};

class MemoryVfs : public Vfs {
 public:
  MemoryVfs();
  // Takes over a tree, whose root is a directory; inode numbers in it are kept.
  explicit MemoryVfs(std::shared_ptr<MemoryNode> root);

  // A copy of the whole tree as it is now; files share their chunks with this one.
  std::shared_ptr<MemoryNode> Image() const;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status MakeDir(const std::string& path) override;
  Status RemoveDir(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& dir) override;
  Result<FileInfo> Stat(const std::string& path) override;
  Status SyncDir(const std::string& dir) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  int64_t WallMs() override { return PosixVfs()->WallMs(); }
  uint64_t MonotonicUs() override { return PosixVfs()->MonotonicUs(); }
  uint64_t MonotonicNs() override { return PosixVfs()->MonotonicNs(); }
  void Random(void* buf, size_t n) override { PosixVfs()->Random(buf, n); }
  void SleepUs(uint64_t us) override { PosixVfs()->SleepUs(us); }
  Result<std::unique_ptr<Thread>> Start(const char* name, std::function<void()> fn) override;
  Result<std::unique_ptr<ForkGuard>> MakeForkGuard() override;

 private:
  struct Locks;
  class LockHandle;
  // Where a path leads: its parent directory, its last part, and the node of that name, if any.
  struct Place {
    MemoryNode* parent = nullptr;  // nullptr: a missing directory on the way, or the root itself
    std::string name;
    std::shared_ptr<MemoryNode> node;
  };
  Place Find(const std::string& path) const KIST_REQUIRES(mutex_);
  std::shared_ptr<MemoryNode> NewNode(bool is_directory) KIST_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::shared_ptr<MemoryNode> root_ KIST_GUARDED_BY(mutex_);
  uint64_t next_inode_ KIST_GUARDED_BY(mutex_) = 1;
  const std::shared_ptr<Locks> locks_;  // shared with the locks, which may outlive the file system
};

}  // namespace kist
