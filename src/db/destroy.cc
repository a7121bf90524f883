// Removing a database: its own files and nothing else, under its lock. Foreign files, and then
// the directory, stay.
// Threads: any; nothing may have the database open.
#include "db/db.h"
#include "key/file_name.h"

namespace kist {

namespace {

Result<std::vector<std::string>> OwnFiles(Vfs* vfs, const std::string& path) {
  KIST_TRY_ASSIGN(std::vector<std::string> names, vfs->List(path));
  std::vector<std::string> own;
  for (std::string& name : names) {
    if (ParseFileName(name)) own.push_back(std::move(name));
  }
  return own;
}

}  // namespace

// Manifests first: without them what is left is damage to an open, whichever removals a crash makes
// last. CURRENT goes last but for the lock, so that it stays damage and can be destroyed again.
Status DestroyDb(const std::string& path, Vfs* vfs) {
  if (vfs == nullptr) vfs = PosixVfs();
  KIST_TRY_ASSIGN(std::vector<std::string> names, OwnFiles(vfs, path));
  if (names.empty()) return Status::Error(Code::kMissing, path + ": no database in this directory");
  KIST_TRY_ASSIGN(std::unique_ptr<FileLock> lock, vfs->Lock(JoinPath(path, kLockFileName)));
  KIST_TRY_ASSIGN(names, OwnFiles(vfs, path));  // as they are now that nobody changes them
  const auto remove = [&](const auto& chosen) -> Status {
    for (const std::string& name : names) {
      if (!chosen(ParseFileName(name)->type)) continue;
      Status s = vfs->Remove(JoinPath(path, name));
      if (!s.ok() && !s.Is(Code::kMissing)) return s;
    }
    return Status();
  };
  KIST_TRY(remove([](FileType type) { return type == FileType::kManifest; }));
  KIST_TRY(vfs->SyncDir(path));
  KIST_TRY(remove([](FileType type) {
    return type != FileType::kManifest && type != FileType::kCurrent && type != FileType::kLock;
  }));
  KIST_TRY(vfs->SyncDir(path));
  KIST_TRY(remove([](FileType type) { return type == FileType::kCurrent; }));
  KIST_TRY(vfs->Remove(JoinPath(path, kLockFileName)));
  KIST_TRY(vfs->SyncDir(path));
  lock.reset();
  // Where foreign files are left the directory stays.
  KIST_TRY_ASSIGN(std::vector<std::string> left, vfs->List(path));
  return left.empty() ? vfs->RemoveDir(path) : Status();
}

}  // namespace kist
