// FaultVfs: another Vfs whose calls fail as a test asks: the Nth call of a class of calls, once or
// for ever, with a given errno; a write after some of its bytes; a sync with its data kept or lost.
// Calls are counted by class, so that a fault loop counts first and then fails each:
//
//   FaultVfs vfs(base); Work(&vfs);                       // counts
//   for (n = 1; n <= vfs.Count(kFaultSync); ++n) { FaultVfs vfs(base); vfs.Fail({kFaultSync, n,
//   EIO}); ... }
//
// Threads: any.
#pragma once

#include <cerrno>
#include <map>

#include "support/wrap_vfs.h"
#include "util/mutex.h"

namespace kist::test {

// Classes of calls, to be or-ed.
enum : uint32_t {
  kFaultRead = 1,
  kFaultWrite = 2,  // WriteV too
  kFaultSync = 4,
  kFaultTruncate = 8,
  kFaultPreallocate = 16,
  kFaultOpen = 32,    // of what exists
  kFaultCreate = 64,  // kCreateNew, kCreateOrTruncate
  kFaultRename = 128,
  kFaultRemove = 256,  // RemoveDir too
  kFaultLink = 512,
  kFaultMakeDir = 1024,
  kFaultSyncDir = 2048,
  kFaultList = 4096,  // Stat too
  kFaultLock = 8192,
  kFaultThread = 16384,
  kFaultForkGuard = 32768,
  kFaultSize = 65536,  // of an open file; NextData too
  // What takes space.
  kFaultSpace = kFaultWrite | kFaultPreallocate | kFaultCreate | kFaultLink | kFaultMakeDir,
  kFaultChanging = kFaultWrite | kFaultSync | kFaultTruncate | kFaultPreallocate | kFaultCreate |
                   kFaultRename | kFaultRemove | kFaultLink | kFaultMakeDir | kFaultSyncDir,
  kFaultAll = 131071,
};

struct Fault {
  Fault() = default;
  Fault(uint32_t calls_in, uint64_t nth_in, int error_in, bool for_ever_in = false)
      : calls(calls_in), nth(nth_in), error(error_in), for_ever(for_ever_in) {}

  uint32_t calls = kFaultAll;
  uint64_t nth = 1;  // counted from Fail() on, over all calls that match; 1 is the next one
  int error = EIO;
  bool for_ever = false;  // the Nth and all after it
  // All but writes and syncs: what was asked for happens, and the call fails all the same.
  bool done = false;
  // kFaultWrite: this many bytes are written before the error.
  uint64_t partial_bytes = 0;
  // kFaultSync: the data reached the disk although the call failed; or it is gone, and reads give
  // what was there at the last good sync (needs FaultVfs(base, true)). Either way the next sync
  // finds nothing to do.
  bool data_lost = false;
  std::string path_contains;  // empty: every path
};

class FaultVfs : public WrapVfs {
 public:
  // keep_undo: remembers what unsynced writes overwrote, for data_lost.
  explicit FaultVfs(Vfs* base, bool keep_undo = false) : WrapVfs(base), keep_undo_(keep_undo) {}

  void Fail(const Fault& fault);  // several may be set
  void Heal();                    // forgets them all
  uint64_t Count(uint32_t calls) const;
  void ResetCounts();
  uint64_t failures() const;  // calls failed so far

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
  Result<std::unique_ptr<Thread>> Start(const char* name, std::function<void()> fn) override;
  Result<std::unique_ptr<ForkGuard>> MakeForkGuard() override;

 private:
  friend class FaultFile;
  struct Armed {
    Fault fault;
    uint64_t seen = 0;
  };
  struct Undo {
    uint64_t offset;
    std::string bytes;
  };
  // Counts the call; true where it fails, with what was asked for in *fault.
  bool Hit(uint32_t call, const std::string& path, Fault* fault);
  Status Check(uint32_t call, const char* doing, const std::string& path);
  // Does `call` where it is not to fail, or to be done and fail.
  template <typename Call>
  Status Change(uint32_t kind, const char* doing, const std::string& path, Call call);

  const bool keep_undo_;
  mutable Mutex mutex_;
  std::vector<Armed> armed_ KIST_GUARDED_BY(mutex_);
  std::map<uint32_t, uint64_t> counts_ KIST_GUARDED_BY(mutex_);
  uint64_t failures_ KIST_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::vector<Undo>> undo_ KIST_GUARDED_BY(mutex_);  // by inode
};

}  // namespace kist::test
