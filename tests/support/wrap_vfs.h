// WrapVfs and WrapFile: pass every call on. Test file systems derive from them and override what
// they change.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "vfs/vfs.h"

namespace kist::test {

class WrapFile : public File {
 public:
  explicit WrapFile(std::unique_ptr<File> base) : base_(std::move(base)) {}
  Result<size_t> Read(uint64_t offset, char* buf, size_t n) override {
    return base_->Read(offset, buf, n);
  }
  Status Write(uint64_t offset, Slice data) override { return base_->Write(offset, data); }
  Status WriteV(uint64_t offset, const Slice* parts, size_t count) override {
    return base_->WriteV(offset, parts, count);
  }
  Status Sync() override { return base_->Sync(); }
  void StartWriteback(uint64_t offset, uint64_t n) override { base_->StartWriteback(offset, n); }
  Status Truncate(uint64_t size) override { return base_->Truncate(size); }
  Status Preallocate(uint64_t size) override { return base_->Preallocate(size); }
  Result<uint64_t> Size() override { return base_->Size(); }
  Result<uint64_t> NextData(uint64_t offset) override { return base_->NextData(offset); }
  void ReadAhead(uint64_t offset, uint64_t n) override { base_->ReadAhead(offset, n); }
  const char* Map(uint64_t size) override { return base_->Map(size); }

 protected:
  std::unique_ptr<File> base_;
};

class WrapVfs : public Vfs {
 public:
  explicit WrapVfs(Vfs* base) : base_(base) {}
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    return base_->Open(path, mode);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return base_->Rename(from, to);
  }
  Status Remove(const std::string& path) override { return base_->Remove(path); }
  Status Link(const std::string& from, const std::string& to) override {
    return base_->Link(from, to);
  }
  Status MakeDir(const std::string& path) override { return base_->MakeDir(path); }
  Status RemoveDir(const std::string& path) override { return base_->RemoveDir(path); }
  Result<std::vector<std::string>> List(const std::string& dir) override {
    return base_->List(dir);
  }
  Result<FileInfo> Stat(const std::string& path) override { return base_->Stat(path); }
  Status SyncDir(const std::string& dir) override { return base_->SyncDir(dir); }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return base_->Lock(path);
  }
  int64_t WallMs() override { return base_->WallMs(); }
  uint64_t MonotonicUs() override { return base_->MonotonicUs(); }
  void Random(void* buf, size_t n) override { base_->Random(buf, n); }
  void SleepUs(uint64_t us) override { base_->SleepUs(us); }
  Result<std::unique_ptr<Thread>> Start(const char* name, std::function<void()> fn) override {
    return base_->Start(name, std::move(fn));
  }
  Result<std::unique_ptr<ForkGuard>> MakeForkGuard() override { return base_->MakeForkGuard(); }

 protected:
  Vfs* const base_;
};

}  // namespace kist::test
