// Removing a database: its own files and nothing else, under its lock. Foreign files, and then
// the directory, stay.
// Threads: any; nothing may have the database open.
#include "db/db.h"
#include "key/file_name.h"

namespace kist {

// CURRENT goes last but for the lock, so that a destruction that was cut short is seen as damage by
// an open and can be repeated.
Status DestroyDb(const std::string& path, Vfs* vfs) {
  if (vfs == nullptr) vfs = PosixVfs();
  KIST_TRY_ASSIGN(std::vector<std::string> names, vfs->List(path));
  bool any = false;
  for (const std::string& name : names) any |= ParseFileName(name).has_value();
  if (!any) return Status::Error(Code::kMissing, path + ": no database in this directory");
  KIST_TRY_ASSIGN(std::unique_ptr<FileLock> lock, vfs->Lock(JoinPath(path, kLockFileName)));
  bool current = false;
  for (const std::string& name : names) {
    const auto parsed = ParseFileName(name);
    if (!parsed || parsed->type == FileType::kLock) continue;
    if (parsed->type == FileType::kCurrent) {
      current = true;
      continue;
    }
    Status s = vfs->Remove(JoinPath(path, name));
    if (!s.ok() && !s.Is(Code::kMissing)) return s;
  }
  if (current) KIST_TRY(vfs->Remove(JoinPath(path, kCurrentFileName)));
  KIST_TRY(vfs->Remove(JoinPath(path, kLockFileName)));
  KIST_TRY(vfs->SyncDir(path));
  lock.reset();
  // Where foreign files are left the directory stays.
  KIST_TRY_ASSIGN(std::vector<std::string> left, vfs->List(path));
  return left.empty() ? vfs->RemoveDir(path) : Status();
}

}  // namespace kist
