// Vfs: the one seam between Kist and the outside: files, directories, clock, randomness, threads.
// Operating-system calls and platform #ifdefs stand in this room alone; every implementation
// (posix, memory, those of the tests) keeps these contracts.
// Durability:
//  D1. Write changes what every reader sees at once; it survives the process, not a power cut.
//  D2. File::Sync makes the file's data and size durable, not its directory entry.
//  D3. SyncDir makes the creations, removals, renames and links inside a directory durable.
//  D4. After a failed Sync the bytes written since the last good one may be on disk or gone, and a
//      later Sync says nothing about them: never sync the same bytes again.
// Errors: EINTR, short reads and short writes never reach a caller. ENOSPC, EDQUOT, EFBIG of
// anything but Sync are kNoSpace; a failed Sync is kIo with its errno. ENOENT is kMissing, EEXIST
// and ENOTEMPTY kExists. Opening and locking never wait; where what stands in a file's place is
// none opening is kCorrupt, locking kIo. Threads: Vfs, any thread. File: any thread; writers of one
// file do not overlap their ranges.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "util/slice.h"
#include "util/status.h"

namespace kist {

class File {
 public:
  virtual ~File() = default;  // closes; nothing is synced
  // Up to n bytes from offset; fewer only at the end of the file. Returns how many.
  virtual Result<size_t> Read(uint64_t offset, char* buf, size_t n) = 0;
  // All of it, or an error after which any part of the range may have been written.
  virtual Status Write(uint64_t offset, Slice data) = 0;
  virtual Status WriteV(uint64_t offset, const Slice* parts, size_t count) = 0;
  virtual Status Sync() = 0;
  // Starts writing [offset, offset + n) back and waits for nothing; a hint that promises no
  // durability.
  virtual void StartWriteback(uint64_t offset, uint64_t n) = 0;
  virtual Status Truncate(uint64_t size) = 0;
  // Reserves blocks for [0, size) and makes the file that long; reads as zeros. kUnsupported where
  // the file system cannot (EOPNOTSUPP and kin), kNoSpace where there is none; the file is as
  // before then.
  virtual Status Preallocate(uint64_t size) = 0;
  virtual Result<uint64_t> Size() = 0;
  // The first offset >= `offset` that may hold data that was written, or the size where only
  // reserved or missing blocks follow. An implementation that cannot tell returns `offset`.
  virtual Result<uint64_t> NextData(uint64_t offset) = 0;
  virtual void ReadAhead(uint64_t offset, uint64_t n) = 0;  // a hint
  // A read-only view of the first `size` bytes of a file that will not change, valid until the file
  // is closed; nullptr where there is none.
  virtual const char* Map(uint64_t size) = 0;
};

// Exclusive over all handles of all processes (in-process registry by device and inode plus flock
// or OFD lock); freed by the destructor or the process's death. The lock file is never unlinked by
// Unlock.
class FileLock {
 public:
  virtual ~FileLock() = default;
  // kIo, with ESTALE, where its path leads to another file by now, or to none.
  virtual Status Check() const { return Status(); }
};

class Thread {
 public:
  virtual ~Thread() = default;  // joins
  virtual void Join() = 0;      // idempotent
};

// Tells a fork child from the process that made it, at the price of one load.
class ForkGuard {
 public:
  virtual ~ForkGuard() = default;
  bool InChild() const {
    if (__builtin_expect(mark_ == nullptr, 0)) return AskInChild();
    return mark_->load(std::memory_order_relaxed) == 0;
  }

 protected:
  // mark: a word that is not 0, and is 0 in every child; nullptr where there is none.
  explicit ForkGuard(const std::atomic<uint32_t>* mark) : mark_(mark) {}
  virtual bool AskInChild() const = 0;
  const std::atomic<uint32_t>* const mark_;
};

struct FileInfo {
  uint64_t bytes = 0;
  bool is_directory = false;
  bool is_file = false;  // neither a directory nor a pipe, a device, a socket
  uint64_t device = 0;
  uint64_t inode = 0;
};

enum class OpenMode {
  kRead,       // kMissing where there is none
  kReadWrite,  // kMissing where there is none
  kCreateNew,  // read and write; kExists where there is one
  kCreateOrTruncate,
};

class Vfs {
 public:
  virtual ~Vfs() = default;
  virtual Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  virtual Status Rename(const std::string& from,
                        const std::string& to) = 0;  // replaces `to` atomically
  virtual Status Remove(const std::string& path) = 0;
  virtual Status Link(const std::string& from,
                      const std::string& to) = 0;       // kUnsupported across file systems
  virtual Status MakeDir(const std::string& path) = 0;  // kExists where anything is there
  virtual Status RemoveDir(const std::string& path) = 0;
  // The same path whatever becomes of the working directory.
  virtual Result<std::string> Absolute(const std::string& path) { return path; }
  virtual Result<std::vector<std::string>> List(
      const std::string& dir) = 0;  // names without . and ..
  virtual Result<FileInfo> Stat(const std::string& path) = 0;
  virtual Status SyncDir(const std::string& dir) = 0;
  // kLocked where another handle holds it.
  virtual Result<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;

  virtual int64_t WallMs() = 0;                                    // Unix milliseconds; may jump
  virtual uint64_t MonotonicUs() = 0;                              // never goes back
  virtual uint64_t MonotonicNs() { return MonotonicUs() * 1000; }  // the same clock, for latencies
  virtual void Random(void* buf, size_t n) = 0;
  virtual void SleepUs(uint64_t us) = 0;
  // Runs fn on a new thread, all signals blocked in it. kIo with EAGAIN where the system has no
  // more.
  virtual Result<std::unique_ptr<Thread>> Start(const char* name, std::function<void()> fn) = 0;
  virtual Result<std::unique_ptr<ForkGuard>> MakeForkGuard() = 0;
};

// The operating system's; one object for the process, without state of its own.
Vfs* PosixVfs();
// A file system of its own in memory, with the clock and threads of the system. ":memory:"
// databases and tests.
std::unique_ptr<Vfs> NewMemoryVfs();

std::string JoinPath(const std::string& dir, const std::string& name);
std::string ParentDir(const std::string& path);  // "." where there is none

// Reads the whole file. kNoMem above `limit`.
Result<std::string> ReadFile(Vfs* vfs, const std::string& path,
                             uint64_t limit = uint64_t{64} << 20);
// The whole of `data` under `path`, durable with its directory entry: tmp file, sync, rename,
// SyncDir. *in_doubt, where asked for: whether an error came when `path` could be the new one.
Status ReplaceFile(Vfs* vfs, const std::string& path, Slice data, bool* in_doubt = nullptr);

}  // namespace kist
