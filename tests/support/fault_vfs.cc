// FaultVfs out of line. See fault_vfs.h.
#include "support/fault_vfs.h"

#include <algorithm>

namespace kist::test {

namespace {

Status Injected(const Fault& fault, const char* doing, const std::string& path) {
  return Status::FromErrno(fault.error, std::string("injected: ") + doing, path);
}

}  // namespace

template <typename Call>
Status FaultVfs::Change(uint32_t kind, const char* doing, const std::string& path, Call call) {
  Fault fault;
  if (!Hit(kind, path, &fault)) return call();
  if (fault.done) KIST_TRY(call());
  const Status s = Injected(fault, doing, path);
  const bool cannot = kind == kFaultPreallocate || kind == kFaultLink;
  const bool unsupported =
      fault.error == EOPNOTSUPP || (kind == kFaultLink && fault.error == EXDEV);
  return cannot && unsupported && !fault.done ? s.WithCode(Code::kUnsupported) : s;
}

class FaultFile : public WrapFile {
 public:
  FaultFile(FaultVfs* vfs, std::unique_ptr<File> base, std::string path, uint64_t inode)
      : WrapFile(std::move(base)), vfs_(vfs), path_(std::move(path)), inode_(inode) {}

  Result<size_t> Read(uint64_t offset, char* buf, size_t n) override {
    KIST_TRY(vfs_->Check(kFaultRead, "read", path_));
    return base_->Read(offset, buf, n);
  }
  Status Write(uint64_t offset, Slice data) override { return WriteV(offset, &data, 1); }
  Status WriteV(uint64_t offset, const Slice* parts, size_t count) override {
    Fault fault;
    const bool fails = vfs_->Hit(kFaultWrite, path_, &fault);
    uint64_t room = fails ? fault.partial_bytes : UINT64_MAX;
    std::vector<Slice> written;
    uint64_t total = 0;
    for (size_t i = 0; i < count; ++i) {
      written.push_back(
          parts[i].substr(0, static_cast<size_t>(std::min<uint64_t>(parts[i].size(), room))));
      room -= std::min<uint64_t>(room, written.back().size());
      total += written.back().size();
    }
    if (total > 0 || !fails) {
      KIST_TRY(Remember(offset, total));
      KIST_TRY(base_->WriteV(offset, written.data(), written.size()));
    }
    return fails ? Injected(fault, "write", path_) : Status();
  }
  Status Sync() override {
    Fault fault;
    if (!vfs_->Hit(kFaultSync, path_, &fault)) {
      KIST_TRY(base_->Sync());
      Forget();
      return Status();
    }
    if (fault.data_lost) {
      KIST_TRY(Lose());
    } else {
      KIST_TRY(base_->Sync());
      Forget();
    }
    return Injected(fault, "sync", path_).WithCode(Code::kIo);
  }
  Status Truncate(uint64_t size) override {
    return vfs_->Change(kFaultTruncate, "truncate", path_, [&] { return base_->Truncate(size); });
  }
  Status Preallocate(uint64_t size) override {
    return vfs_->Change(kFaultPreallocate, "preallocate", path_,
                        [&] { return base_->Preallocate(size); });
  }
  Result<uint64_t> Size() override {
    KIST_TRY(vfs_->Check(kFaultSize, "size", path_));
    return base_->Size();
  }
  Result<uint64_t> NextData(uint64_t offset) override {
    KIST_TRY(vfs_->Check(kFaultSize, "next data", path_));
    return base_->NextData(offset);
  }

 private:
  // Keeps what [offset, offset + n) holds now.
  Status Remember(uint64_t offset, uint64_t n) {
    if (!vfs_->keep_undo_) return Status();
    std::string before(static_cast<size_t>(n), '\0');
    KIST_TRY(base_->Read(offset, before.data(), before.size()).status());  // zeros past the end
    MutexLock lock(&vfs_->mutex_);
    vfs_->undo_[inode_].push_back({offset, std::move(before)});
    return Status();
  }
  void Forget() {
    MutexLock lock(&vfs_->mutex_);
    vfs_->undo_.erase(inode_);
  }
  // The page cache drops what the disk refused.
  Status Lose() {
    std::vector<FaultVfs::Undo> undo;
    {
      MutexLock lock(&vfs_->mutex_);
      undo.swap(vfs_->undo_[inode_]);
    }
    KIST_TRY_ASSIGN(const uint64_t size, base_->Size());
    for (auto u = undo.rbegin(); u != undo.rend(); ++u) KIST_TRY(base_->Write(u->offset, u->bytes));
    return base_->Truncate(size);
  }

  FaultVfs* const vfs_;
  const std::string path_;
  const uint64_t inode_;
};

void FaultVfs::Fail(const Fault& fault) {
  MutexLock lock(&mutex_);
  armed_.push_back({fault, 0});
}

void FaultVfs::Heal() {
  MutexLock lock(&mutex_);
  armed_.clear();
}

uint64_t FaultVfs::Count(uint32_t calls) const {
  MutexLock lock(&mutex_);
  uint64_t sum = 0;
  for (const auto& c : counts_) sum += (c.first & calls) != 0 ? c.second : 0;
  return sum;
}

void FaultVfs::ResetCounts() {
  MutexLock lock(&mutex_);
  counts_.clear();
}

uint64_t FaultVfs::failures() const {
  MutexLock lock(&mutex_);
  return failures_;
}

bool FaultVfs::Hit(uint32_t call, const std::string& path, Fault* fault) {
  MutexLock lock(&mutex_);
  ++counts_[call];
  bool hit = false;
  for (Armed& a : armed_) {
    if ((a.fault.calls & call) == 0 || path.find(a.fault.path_contains) == std::string::npos)
      continue;
    ++a.seen;
    const bool now = a.fault.for_ever ? a.seen >= a.fault.nth : a.seen == a.fault.nth;
    if (!now || hit) continue;
    hit = true;
    *fault = a.fault;
  }
  failures_ += hit;
  return hit;
}

Status FaultVfs::Check(uint32_t call, const char* doing, const std::string& path) {
  Fault fault;
  return Hit(call, path, &fault) ? Injected(fault, doing, path) : Status();
}

Result<std::unique_ptr<File>> FaultVfs::Open(const std::string& path, OpenMode mode) {
  const bool create = mode == OpenMode::kCreateNew || mode == OpenMode::kCreateOrTruncate;
  std::unique_ptr<File> file;
  KIST_TRY(
      Change(create ? kFaultCreate : kFaultOpen, create ? "create" : "open", path, [&]() -> Status {
        KIST_TRY_ASSIGN(file, base_->Open(path, mode));
        return Status();
      }));
  uint64_t inode = 0;
  if (keep_undo_) {
    KIST_TRY_ASSIGN(const FileInfo info, base_->Stat(path));
    inode = info.inode;
  }
  return std::unique_ptr<File>(std::make_unique<FaultFile>(this, std::move(file), path, inode));
}

Status FaultVfs::Rename(const std::string& from, const std::string& to) {
  return Change(kFaultRename, "rename", from, [&] { return base_->Rename(from, to); });
}

Status FaultVfs::Remove(const std::string& path) {
  return Change(kFaultRemove, "remove", path, [&] { return base_->Remove(path); });
}

Status FaultVfs::Link(const std::string& from, const std::string& to) {
  return Change(kFaultLink, "link", to, [&] { return base_->Link(from, to); });
}

Status FaultVfs::MakeDir(const std::string& path) {
  return Change(kFaultMakeDir, "create directory", path, [&] { return base_->MakeDir(path); });
}

Status FaultVfs::RemoveDir(const std::string& path) {
  return Change(kFaultRemove, "remove directory", path, [&] { return base_->RemoveDir(path); });
}

Result<std::vector<std::string>> FaultVfs::List(const std::string& dir) {
  KIST_TRY(Check(kFaultList, "list", dir));
  return base_->List(dir);
}

Result<FileInfo> FaultVfs::Stat(const std::string& path) {
  KIST_TRY(Check(kFaultList, "stat", path));
  return base_->Stat(path);
}

Status FaultVfs::SyncDir(const std::string& dir) {
  Fault fault;
  if (!Hit(kFaultSyncDir, dir, &fault)) return base_->SyncDir(dir);
  if (!fault.data_lost) KIST_TRY(base_->SyncDir(dir));
  return Injected(fault, "sync directory", dir).WithCode(Code::kIo);
}

Result<std::unique_ptr<FileLock>> FaultVfs::Lock(const std::string& path) {
  KIST_TRY(Check(kFaultLock, "lock", path));
  return base_->Lock(path);
}

Result<std::unique_ptr<Thread>> FaultVfs::Start(const char* name, std::function<void()> fn) {
  Fault fault;
  if (Hit(kFaultThread, name, &fault))
    return Injected(fault, "start thread", name).WithCode(Code::kIo);
  return base_->Start(name, std::move(fn));
}

Result<std::unique_ptr<ForkGuard>> FaultVfs::MakeForkGuard() {
  KIST_TRY(Check(kFaultForkGuard, "make fork guard", ""));
  return base_->MakeForkGuard();
}

}  // namespace kist::test
