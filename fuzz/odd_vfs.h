// OddVfs: a file system that does something odd at its nth call: the call fails, or the file being
// read is shorter from then on, or only then as long as it is, as live files are. Which calls count
// is as in the tests' FailingVfs. Maps are memory of exactly the size asked for, so that reads past
// their end are seen. Threads: one.
#pragma once

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>

#include "fuzz_input.h"
#include "tests/support/wrap_vfs.h"
#include "util/alloc.h"

namespace kist::fuzz {

struct Oddity {
  enum Kind : uint8_t { kFails, kShrinks, kGrows };
  uint64_t nth = 0;  // 0: never
  Kind kind = kFails;
  uint64_t bytes = 0;  // of the shorter file
};

// The kind and length from the end of an input.
inline Oddity TakeOddity(uint64_t nth, FuzzInput* input) {
  Oddity odd;
  odd.nth = nth;
  odd.kind = static_cast<Oddity::Kind>(input->Last() % 3);
  odd.bytes = uint64_t{input->Last()} * input->Last();
  return odd;
}

class OddVfs : public test::WrapVfs {
 public:
  OddVfs(Vfs* base, const Oddity& odd) : WrapVfs(base), odd_(odd) {}

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    KIST_TRY(Call(path));
    KIST_TRY_ASSIGN(auto file, base_->Open(path, mode));
    return std::unique_ptr<File>(new OddFile(this, std::move(file), path));
  }
  Status SyncDir(const std::string& dir) override {
    KIST_TRY(Call(dir));
    return base_->SyncDir(dir);
  }

 private:
  class OddFile : public test::WrapFile {
   public:
    OddFile(OddVfs* vfs, std::unique_ptr<File> base, std::string path)
        : WrapFile(std::move(base)), vfs_(vfs), path_(std::move(path)) {}
    Result<size_t> Read(uint64_t offset, char* buf, size_t n) override {
      KIST_TRY(vfs_->Call(path_));
      const uint64_t most = vfs_->Most();
      return base_->Read(offset, buf, offset < most ? std::min<uint64_t>(n, most - offset) : 0);
    }
    Result<uint64_t> Size() override {
      KIST_TRY(vfs_->Call(path_));
      KIST_TRY_ASSIGN(const uint64_t size, base_->Size());
      return std::min(size, vfs_->Most());
    }
    Result<uint64_t> NextData(uint64_t offset) override {
      KIST_TRY(vfs_->Call(path_));
      KIST_TRY_ASSIGN(const uint64_t next, base_->NextData(offset));
      return std::max(offset, std::min(next, vfs_->Most()));
    }
    const char* Map(uint64_t size) override {
      map_ = AllocateBuffer(size);
      if (map_ == nullptr) return nullptr;
      const auto got = base_->Read(0, map_.get(), size);
      return got.ok() && *got == size ? map_.get() : nullptr;
    }

   private:
    OddVfs* const vfs_;
    const std::string path_;
    Buffer map_;
  };

  Status Call(const std::string& path) {
    if (++calls_ != odd_.nth || odd_.kind != Oddity::kFails) return Status();
    return Status::FromErrno(EIO, "injected", path);
  }
  // How long the file may seem.
  uint64_t Most() const {
    const bool now = calls_ >= odd_.nth;
    const bool cut = odd_.nth != 0 &&
                     (odd_.kind == Oddity::kShrinks ? now : odd_.kind == Oddity::kGrows && !now);
    return cut ? odd_.bytes : UINT64_MAX;
  }

  const Oddity odd_;
  uint64_t calls_ = 0;
};

}  // namespace kist::fuzz
