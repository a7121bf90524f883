// LockedVfs: passes calls on to another Vfs, those that change names or make files only while the
// directory's lock is held, and its file is still the one under that name.
//
// Files are made, replaced and removed by their names. Where the directory was moved, or removed
// and made again, while a database is open, these names lead into somebody else's database, whose
// lock is another file; the same holds for what a handle frees after the database was closed. Such
// a call is kIo, with ESTALE, and nothing is done. Files that are open are the right ones for ever.
// Threads: as Vfs; End waits for changes that are under way.
#pragma once

#include <shared_mutex>

#include "vfs/vfs.h"

namespace kist {

class LockedVfs final : public Vfs {
 public:
  explicit LockedVfs(Vfs* base) : base_(base) {}
  Vfs* base() const { return base_; }
  // Before Begin every change is passed on: there is no lock yet, or no need of one.
  void Begin(const FileLock* lock);
  void End();  // no change any more
  // Whether a change would be made.
  Status Check() const;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status MakeDir(const std::string& path) override;
  Status RemoveDir(const std::string& path) override;
  Status SyncDir(const std::string& dir) override;

  Result<std::string> Absolute(const std::string& path) override { return base_->Absolute(path); }
  Result<std::vector<std::string>> List(const std::string& dir) override {
    return base_->List(dir);
  }
  Result<FileInfo> Stat(const std::string& path) override { return base_->Stat(path); }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return base_->Lock(path);
  }
  int64_t WallMs() override { return base_->WallMs(); }
  uint64_t MonotonicUs() override { return base_->MonotonicUs(); }
  uint64_t MonotonicNs() override { return base_->MonotonicNs(); }
  void Random(void* buf, size_t n) override { base_->Random(buf, n); }
  void SleepUs(uint64_t us) override { base_->SleepUs(us); }
  Result<std::unique_ptr<Thread>> Start(const char* name, std::function<void()> fn) override {
    return base_->Start(name, std::move(fn));
  }
  Result<std::unique_ptr<ForkGuard>> MakeForkGuard() override { return base_->MakeForkGuard(); }

 private:
  using Shared = std::shared_lock<std::shared_mutex>;
  Status CheckHeld() const;  // with mutex_

  Vfs* const base_;
  mutable std::shared_mutex mutex_;
  const FileLock* lock_ = nullptr;  // changed under mutex_, as is
  bool ended_ = false;
};

}  // namespace kist
