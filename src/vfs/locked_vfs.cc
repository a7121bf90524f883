// A change holds the mutex from the look at the lock until it is made, so that none is left behind
// by End. Between the look and the change the directory may still be moved: that is a matter of
// microseconds, where it was one of hours.
// Threads: any.
#include "vfs/locked_vfs.h"

#include <cerrno>
#include <mutex>

namespace kist {

void LockedVfs::Begin(const FileLock* lock) {
  const std::unique_lock<std::shared_mutex> held(mutex_);
  lock_ = lock;
}

void LockedVfs::End() {
  const std::unique_lock<std::shared_mutex> held(mutex_);
  lock_ = nullptr;
  ended_ = true;
}

Status LockedVfs::CheckHeld() const {
  if (ended_)
    return Status::Error(Code::kIo, "the database's lock is not held any more", 0, ESTALE);
  return lock_ == nullptr ? Status() : lock_->Check();
}

Status LockedVfs::Check() const {
  const Shared held(mutex_);
  return CheckHeld();
}

Result<std::unique_ptr<File>> LockedVfs::Open(const std::string& path, OpenMode mode) {
  if (mode == OpenMode::kRead) return base_->Open(path, mode);
  const Shared held(mutex_);
  KIST_TRY(CheckHeld());
  return base_->Open(path, mode);
}

Status LockedVfs::Rename(const std::string& from, const std::string& to) {
  const Shared held(mutex_);
  KIST_TRY(CheckHeld());
  return base_->Rename(from, to);
}

Status LockedVfs::Remove(const std::string& path) {
  const Shared held(mutex_);
  KIST_TRY(CheckHeld());
  return base_->Remove(path);
}

Status LockedVfs::Link(const std::string& from, const std::string& to) {
  const Shared held(mutex_);
  KIST_TRY(CheckHeld());
  return base_->Link(from, to);
}

Status LockedVfs::MakeDir(const std::string& path) {
  const Shared held(mutex_);
  KIST_TRY(CheckHeld());
  return base_->MakeDir(path);
}

Status LockedVfs::RemoveDir(const std::string& path) {
  const Shared held(mutex_);
  KIST_TRY(CheckHeld());
  return base_->RemoveDir(path);
}

// Another directory's sync would vouch for names that are not in it.
Status LockedVfs::SyncDir(const std::string& dir) {
  const Shared held(mutex_);
  KIST_TRY(CheckHeld());
  return base_->SyncDir(dir);
}

}  // namespace kist
