// NewDirectory: a directory that is being filled with a database: by a checkpoint or a restore. It
// was missing or empty, and nobody else fills it (its LOCK is held). CURRENT is the caller's last
// file, so a crash before it leaves what an open refuses as damage, never an empty database.
//
// Unless Finish was called the destructor takes away all that is Kist's in it, and the directory
// where Prepare made it. Threads: one.
#pragma once

#include <memory>
#include <string>

#include "vfs/vfs.h"

namespace kist {

class NewDirectory {
 public:
  // kExists where something is in it; parents are not made.
  static Result<std::unique_ptr<NewDirectory>> Prepare(Vfs* vfs, const std::string& path);
  ~NewDirectory();
  NewDirectory(const NewDirectory&) = delete;
  NewDirectory& operator=(const NewDirectory&) = delete;

  const std::string& path() const { return path_; }
  Vfs* vfs() const { return vfs_; }
  FileLock* lock() const { return lock_.get(); }  // for who opens the database in it
  Status Finish();                  // its entry in the parent durable

 private:
  NewDirectory(Vfs* vfs, std::string path, bool made)
      : vfs_(vfs), path_(std::move(path)), made_(made) {}
  void TakeAway();

  Vfs* const vfs_;
  const std::string path_;
  const bool made_;
  bool ours_ = false;  // it was empty and is locked
  bool finished_ = false;
  std::unique_ptr<FileLock> lock_;
};

}  // namespace kist
