// A file system whose Nth call fails, whatever it is: those that only ask for a size or for where
// data lies too. Threads: one.
#pragma once

#include <cerrno>
#include <memory>
#include <string>

#include "tests/support/wrap_vfs.h"

namespace kist::test {

class FailingVfs : public WrapVfs {
 public:
  FailingVfs(Vfs* base, uint64_t nth) : WrapVfs(base), nth_(nth) {}
  bool failed() const { return calls_ >= nth_; }

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    KIST_TRY(Call(path));
    KIST_TRY_ASSIGN(auto file, base_->Open(path, mode));
    return std::unique_ptr<File>(new FailingFile(this, std::move(file), path));
  }
  Status SyncDir(const std::string& dir) override {
    KIST_TRY(Call(dir));
    return base_->SyncDir(dir);
  }

 private:
  class FailingFile : public WrapFile {
   public:
    FailingFile(FailingVfs* vfs, std::unique_ptr<File> base, std::string path)
        : WrapFile(std::move(base)), vfs_(vfs), path_(std::move(path)) {}
    Result<size_t> Read(uint64_t offset, char* buf, size_t n) override {
      KIST_TRY(vfs_->Call(path_));
      return base_->Read(offset, buf, n);
    }
    Status Write(uint64_t offset, Slice data) override {
      KIST_TRY(vfs_->Call(path_));
      return base_->Write(offset, data);
    }
    Status Sync() override {
      KIST_TRY(vfs_->Call(path_));
      return base_->Sync();
    }
    Status Truncate(uint64_t size) override {
      KIST_TRY(vfs_->Call(path_));
      return base_->Truncate(size);
    }
    Result<uint64_t> Size() override {
      KIST_TRY(vfs_->Call(path_));
      return base_->Size();
    }
    Result<uint64_t> NextData(uint64_t offset) override {
      KIST_TRY(vfs_->Call(path_));
      return base_->NextData(offset);
    }

   private:
    FailingVfs* const vfs_;
    const std::string path_;
  };
  Status Call(const std::string& path) {
    return ++calls_ == nth_ ? Status::FromErrno(EIO, "injected", path) : Status();
  }

  const uint64_t nth_;
  uint64_t calls_ = 0;
};

}  // namespace kist::test
