// What the files of the posix Vfs share: descriptors and one open file.
//
// Descriptors below 3 are never kept: a host that closed its standard streams must not print into a
// database. Threads: PosixFile, any; only the list of mappings is guarded, the kernel orders the
// rest.
#pragma once

#include <sys/mman.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "util/mutex.h"
#include "vfs/vfs.h"

namespace kist {

// Owns a descriptor.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() { Close(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }

 private:
  void Close();
  int fd_;
};

// open(2) with O_CLOEXEC, past EINTR, above descriptor 2.
Result<Fd> PosixOpen(const std::string& path, int flags, const char* doing);
// The same for a file, never waiting: what stands in its place and is none (a directory, a pipe, a
// socket, a device) is kCorrupt.
Result<Fd> PosixOpenFile(const std::string& path, int flags, const char* doing);

class PosixFile : public File {
 public:
  PosixFile(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  ~PosixFile() override;
  Result<size_t> Read(uint64_t offset, char* buf, size_t n) override;
  Status Write(uint64_t offset, Slice data) override;
  Status WriteV(uint64_t offset, const Slice* parts, size_t count) override;
  Status Sync() override;
  void StartWriteback(uint64_t offset, uint64_t n) override;
  Status Truncate(uint64_t size) override;
  Status Preallocate(uint64_t size) override;
  Result<uint64_t> Size() override;
  Result<uint64_t> NextData(uint64_t offset) override;
  void ReadAhead(uint64_t offset, uint64_t n) override;
  const char* Map(uint64_t size) override;

 private:
  struct Mapping {
    void* address;
    uint64_t bytes;
  };
  Status Error(int err, const char* doing) const { return Status::FromErrno(err, doing, path_); }

  // Constant after construction.
  const Fd fd_;
  const std::string path_;

  Mutex mutex_;
  std::vector<Mapping> mappings_ KIST_GUARDED_BY(mutex_);
};

// posix_lock.cc
Result<std::unique_ptr<FileLock>> PosixLock(const std::string& path);
// posix_thread.cc
Result<std::unique_ptr<Thread>> PosixStart(const char* name, std::function<void()> fn);
Result<std::unique_ptr<ForkGuard>> PosixMakeForkGuard();

}  // namespace kist
