// Making, locking and, where the work failed, emptying the directory of a copy. Cleaning up is best
// effort: what it leaves is no database, because CURRENT goes first.
// Threads: one.
#include "backup/new_directory.h"

#include "key/file_name.h"
#include "util/alloc.h"

namespace kist {
namespace {

Status NotEmpty(const std::string& path, const std::string& name) {
  return Status::Error(Code::kExists, path + ": not empty, it holds " + name +
                                          "; a copy goes into a missing or empty directory");
}

// A lock file alone is nothing: who prepared the directory before was cut short.
Status CheckEmpty(Vfs* vfs, const std::string& path) {
  KIST_TRY_ASSIGN(std::vector<std::string> names, vfs->List(path));
  for (const std::string& name : names) {
    if (name != kLockFileName) return NotEmpty(path, name);
  }
  return Status();
}

}  // namespace

Result<std::unique_ptr<NewDirectory>> NewDirectory::Prepare(Vfs* vfs, const std::string& path) {
  if (path.empty()) return Status::Invalid("the path of a copy must not be empty");
  bool made = false;
  Result<FileInfo> info = vfs->Stat(path);
  if (info.ok()) {
    if (!info->is_directory)
      return Status::Error(Code::kExists, path + ": there, and not a directory");
    KIST_TRY(CheckEmpty(vfs, path));
  } else {
    if (!info.status().Is(Code::kMissing)) return std::move(info).status();
    Status s = vfs->MakeDir(path);
    if (!s.ok() && !s.Is(Code::kExists)) return s;
    made = s.ok();
  }
  std::unique_ptr<NewDirectory> dir(new NewDirectory(vfs, path, made));
  KIST_TRY_ASSIGN(dir->lock_, vfs->Lock(JoinPath(path, kLockFileName)));
  KIST_TRY(CheckEmpty(vfs, path));
  dir->ours_ = true;
  return dir;
}

// CURRENT first: from then on nobody takes the rest for a database. Where Prepare itself failed the
// files, if there are any, are another's; the lock is ours if it was taken.
NewDirectory::~NewDirectory() {
  if (!finished_) BestEffort([this] { TakeAway(); });
}

void NewDirectory::TakeAway() {
  const auto remove = [&](const std::string& name) {
    static_cast<void>(vfs_->Remove(JoinPath(path_, name)).ok());
  };
  if (ours_) {
    remove(kCurrentFileName);
    Result<std::vector<std::string>> names = vfs_->List(path_);
    for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
      if (ParseFileName(name)) remove(name);
    }
  } else if (lock_ != nullptr) {
    remove(kLockFileName);
  }
  lock_.reset();
  if (made_) static_cast<void>(vfs_->RemoveDir(path_).ok());
}

Status NewDirectory::Finish() {
  KIST_TRY(vfs_->SyncDir(path_));
  Status s = vfs_->SyncDir(ParentDir(path_));
  if (!s.ok() && !s.Is(Code::kPermission)) return s;
  finished_ = true;
  return Status();
}

}  // namespace kist
