// Files as objects: write, sync, link, sync the directory; reading and walking. A name that is
// reported as taken is durable, whoever made it.
// Threads: any.
#include "backup/target_directory.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "key/file_name.h"
#include "util/alloc.h"

namespace kist {
namespace {

constexpr char kTemporaryDir[] = "tmp";
constexpr size_t kCopyBytes = size_t{1} << 20;
constexpr int64_t kLeftoverMs = int64_t{24} * 3600 * 1000;

// A database's directory is its own: what destroys it, or looks after it, knows no targets.
Status CheckNotInDatabase(Vfs* vfs, std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  for (const std::string& dir : {path, ParentDir(path)}) {
    if (vfs->Stat(JoinPath(dir, kCurrentFileName)).ok())
      return Status::Invalid(path + ": a target cannot lie in the directory of a database, " + dir);
  }
  return Status();
}

}  // namespace

Result<std::unique_ptr<Target>> DirectoryTarget::Open(Vfs* vfs, const std::string& url,
                                                      const std::string& path, bool create) {
  if (create) KIST_TRY(CheckNotInDatabase(vfs, path));
  Result<FileInfo> info = vfs->Stat(path);
  if (info.ok() && !info->is_directory) return Status::Invalid(path + ": not a directory");
  if (!info.ok()) {
    if (!info.status().Is(Code::kMissing)) return std::move(info).status();
    if (!create) return Status::Error(Code::kMissing, path + ": no such target");
    Status s = vfs->MakeDir(path);
    if (!s.ok() && !s.Is(Code::kExists)) return s;
    s = vfs->SyncDir(ParentDir(path));
    if (!s.ok() && !s.Is(Code::kPermission)) return s;
  }
  std::unique_ptr<DirectoryTarget> target(new DirectoryTarget(vfs, url, path));
  if (create) target->RemoveLeftovers();
  return std::unique_ptr<Target>(std::move(target));
}

// A name begins with the time at which it was made: younger ones may be those of a writer at work.
void DirectoryTarget::RemoveLeftovers() {
  Result<std::vector<std::string>> names = vfs_->List(Path(kTemporaryDir));
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const auto made_ms = static_cast<int64_t>(std::strtoull(name.c_str(), nullptr, 16));
    if (vfs_->WallMs() - made_ms < kLeftoverMs) continue;
    static_cast<void>(vfs_->Remove(JoinPath(Path(kTemporaryDir), name)).ok());
  }
}

Status DirectoryTarget::MakeDirs(const std::string& name) {
  for (size_t at = name.find('/'); at != std::string::npos; at = name.find('/', at + 1)) {
    const std::string dir = name.substr(0, at);
    {
      MutexLock lock(&mutex_);
      if (made_.count(dir) != 0) continue;
    }
    Status s = vfs_->MakeDir(Path(dir));
    if (!s.ok() && !s.Is(Code::kExists)) return s;
    KIST_TRY(vfs_->SyncDir(ParentDir(Path(dir))));
    MutexLock lock(&mutex_);
    made_.insert(dir);
  }
  return Status();
}

Status DirectoryTarget::WriteTemporary(const std::string& path, ObjectSource* source) {
  KIST_TRY_ASSIGN(auto file, vfs_->Open(path, OpenMode::kCreateNew));
  Buffer buffer = AllocateBuffer(kCopyBytes);
  if (buffer == nullptr) return Status::Bare(Code::kNoMem);
  for (uint64_t at = 0; at < source->bytes();) {
    const size_t n = std::min<uint64_t>(kCopyBytes, source->bytes() - at);
    KIST_TRY(source->Read(at, buffer.get(), n));
    KIST_TRY(file->Write(at, Slice(buffer.get(), n)));
    at += n;
  }
  return file->Sync();
}

Status DirectoryTarget::Publish(const std::string& from, const std::string& to) {
  Status s = vfs_->Link(from, to);
  if (s.ok()) {
    static_cast<void>(vfs_->Remove(from).ok());  // the next writer takes away what stays
    return s;
  }
  if (!s.Is(Code::kUnsupported) && !s.Is(Code::kPermission)) return s;
  Result<FileInfo> there = vfs_->Stat(to);
  if (there.ok()) return Status::Bare(Code::kExists);
  if (!there.status().Is(Code::kMissing)) return std::move(there).status();
  return vfs_->Rename(from, to);
}

Status DirectoryTarget::Put(const std::string& name, ObjectSource* source) {
  KIST_TRY(MakeDirs(name));
  KIST_TRY(MakeDirs(std::string(kTemporaryDir) + "/"));
  const std::string path = Path(name);
  Result<FileInfo> there = vfs_->Stat(path);
  if (there.ok()) {
    KIST_TRY(vfs_->SyncDir(ParentDir(path)));  // whoever made it may have failed at that
    return Status::Error(Code::kExists, path + ": there already");
  }
  if (!there.status().Is(Code::kMissing)) return std::move(there).status();
  uint64_t random = 0;
  vfs_->Random(&random, sizeof random);
  char text[48];
  std::snprintf(text, sizeof text, "%016llx-%016llx",
                static_cast<unsigned long long>(vfs_->WallMs()),
                static_cast<unsigned long long>(random));
  const std::string temporary = JoinPath(Path(kTemporaryDir), text);
  Status s = WriteTemporary(temporary, source);
  if (s.ok()) s = Publish(temporary, path);
  if (s.ok()) return vfs_->SyncDir(ParentDir(path));
  static_cast<void>(vfs_->Remove(temporary).ok());
  return s.Is(Code::kExists) ? Status::Error(Code::kExists, path + ": there already") : s;
}

Result<size_t> DirectoryTarget::Get(const std::string& name, uint64_t offset, char* buf, size_t n) {
  KIST_TRY_ASSIGN(auto file, vfs_->Open(Path(name), OpenMode::kRead));
  return file->Read(offset, buf, n);
}

Status DirectoryTarget::Walk(const std::string& dir, const std::string& prefix,
                             std::vector<ObjectInfo>* out, std::vector<std::string>* dirs) {
  const std::string path = dir.empty() ? root_ : Path(dir);
  Result<std::vector<std::string>> names = vfs_->List(path);
  if (!names.ok()) return names.status().Is(Code::kMissing) ? Status() : names.status();
  dirs->push_back(path);
  for (const std::string& leaf : *names) {
    const std::string name = dir.empty() ? leaf : dir + "/" + leaf;
    if (name == kTemporaryDir) continue;
    const size_t n = std::min(name.size(), prefix.size());
    if (name.compare(0, n, prefix, 0, n) != 0) continue;
    Result<FileInfo> info = vfs_->Stat(Path(name));
    if (!info.ok()) {
      if (info.status().Is(Code::kMissing)) continue;  // removed meanwhile
      return std::move(info).status();
    }
    if (info->is_directory) {
      KIST_TRY(Walk(name, prefix, out, dirs));
    } else if (name.size() >= prefix.size()) {
      out->push_back({name, info->bytes});
    }
  }
  return Status();
}

Result<std::vector<ObjectInfo>> DirectoryTarget::ListIn(const std::string& prefix,
                                                        std::vector<std::string>* dirs) {
  std::vector<ObjectInfo> out;
  KIST_TRY(Walk("", prefix, &out, dirs));
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

Result<std::vector<ObjectInfo>> DirectoryTarget::List(const std::string& prefix) {
  std::vector<std::string> dirs;
  return ListIn(prefix, &dirs);
}

// A writer that died, or failed, or is between two steps, has linked what may not be durable yet.
Result<std::vector<ObjectInfo>> DirectoryTarget::ListDurable(const std::string& prefix) {
  std::vector<std::string> dirs;
  KIST_TRY_ASSIGN(std::vector<ObjectInfo> out, ListIn(prefix, &dirs));
  for (const std::string& dir : dirs) {
    Status s = vfs_->SyncDir(dir);
    if (!s.ok() && !s.Is(Code::kMissing)) return s;
  }
  return out;
}

Status DirectoryTarget::Delete(const std::string& name) {
  KIST_TRY(vfs_->Remove(Path(name)));
  return vfs_->SyncDir(ParentDir(Path(name)));
}

}  // namespace kist
