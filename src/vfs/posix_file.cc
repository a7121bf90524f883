// One open file of the operating system. See vfs.h for the contract of each method.
//
// Every transfer loops over EINTR and short counts. Offsets are explicit (pread, pwrite), so that a
// descriptor may be used from several threads; its file position is moved by NextData alone and
// means nothing. Linux first: what other systems lack (fallocate, sync_file_range, SEEK_DATA) falls
// back as vfs.h allows.
#include "vfs/posix_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "util/check.h"

namespace kist {

namespace {

constexpr size_t kTransferMax = size_t{1} << 30;  // Linux moves at most 2 GiB - 4 KiB a call
constexpr size_t kPartsMax = 64;                  // POSIX promises IOV_MAX >= 16, Linux has 1024
static_assert(sizeof(off_t) == 8, "files above 2 GiB");

const char* KindOf(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  return S_ISSOCK(mode) ? "a socket" : "a device";
}

bool InRange(uint64_t offset, uint64_t n) {
  return offset <= static_cast<uint64_t>(INT64_MAX) &&
         n <= static_cast<uint64_t>(INT64_MAX) - offset;
}

}  // namespace

void Fd::Close() {
  if (fd_ >= 0) close(fd_);  // never again on EINTR: Linux has freed the number already
  fd_ = -1;
}

Result<Fd> PosixOpen(const std::string& path, int flags, const char* doing) {
  int fd;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC, 0644);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return Status::FromErrno(errno, doing, path);
  if (fd <= 2) {
    const int above = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    const int err = errno;
    close(fd);
    if (above < 0) return Status::FromErrno(err, doing, path);
    fd = above;
  }
  return Fd(fd);
}

// O_NONBLOCK: a pipe without a writer is waited for otherwise. A file is only waited for where
// somebody holds a lease on it, which the kernel then takes back.
Result<Fd> PosixOpenFile(const std::string& path, int flags, const char* doing) {
  Result<Fd> fd = PosixOpen(path, flags | O_NONBLOCK | O_NOCTTY, doing);
  const int err = fd.status().sys_errno();
  if (err == EAGAIN) return PosixOpen(path, flags | O_NOCTTY, doing);
  if (!fd.ok() && err != EISDIR && err != ENXIO && err != ENODEV) return fd;
  struct stat st;
  int rc;
  do {
    rc = fd.ok() ? fstat((*fd).get(), &st) : stat(path.c_str(), &st);
  } while (rc != 0 && errno == EINTR);
  if (rc != 0) return fd.ok() ? Status::FromErrno(errno, doing, path) : fd.status();
  if (S_ISREG(st.st_mode)) return fd;
  return Status::Corrupt(path, 0, std::string(KindOf(st.st_mode)) + ", where a file should be");
}

PosixFile::~PosixFile() {
  MutexLock lock(&mutex_);
  for (const Mapping& m : mappings_) munmap(m.address, m.bytes);
}

Result<size_t> PosixFile::Read(uint64_t offset, char* buf, size_t n) {
  if (!InRange(offset, n)) return Error(EINVAL, "read");
  size_t done = 0;
  while (done < n) {
    const ssize_t got = pread(fd_.get(), buf + done, std::min(n - done, kTransferMax),
                              static_cast<off_t>(offset + done));
    if (got == 0) break;
    if (got < 0) {
      if (errno == EINTR) continue;
      return Error(errno, "read");
    }
    done += static_cast<size_t>(got);
  }
  return done;
}

Status PosixFile::Write(uint64_t offset, Slice data) {
  if (!InRange(offset, data.size())) return Error(EFBIG, "write");
  while (!data.empty()) {
    const ssize_t put = pwrite(fd_.get(), data.data(), std::min(data.size(), kTransferMax),
                               static_cast<off_t>(offset));
    if (put < 0) {
      if (errno == EINTR) continue;
      return Error(errno, "write");
    }
    if (put == 0) return Error(EIO, "write");
    data.remove_prefix(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
  return Status();
}

Status PosixFile::WriteV(uint64_t offset, const Slice* parts, size_t count) {
  uint64_t total = 0;
  for (size_t i = 0; i < count; ++i) total += parts[i].size();
  if (!InRange(offset, total)) return Error(EFBIG, "write");
  size_t part = 0;
  size_t part_done = 0;  // bytes of parts[part] that are written
  for (;;) {
    iovec vec[kPartsMax];
    size_t vecs = 0;
    size_t bytes = 0;
    for (size_t i = part; i < count && vecs < kPartsMax && bytes < kTransferMax; ++i) {
      const size_t skip = i == part ? part_done : 0;
      const size_t n = std::min(parts[i].size() - skip, kTransferMax - bytes);
      if (n == 0) continue;
      vec[vecs++] = {const_cast<char*>(parts[i].data()) + skip, n};
      bytes += n;
    }
    if (vecs == 0) return Status();
    const ssize_t put = pwritev(fd_.get(), vec, static_cast<int>(vecs), static_cast<off_t>(offset));
    if (put < 0) {
      if (errno == EINTR) continue;
      return Error(errno, "write");
    }
    if (put == 0) return Error(EIO, "write");
    offset += static_cast<uint64_t>(put);
    for (size_t left = static_cast<size_t>(put); left > 0;) {
      const size_t n = std::min(left, parts[part].size() - part_done);
      part_done += n;
      left -= n;
      if (part_done == parts[part].size()) {
        ++part;
        part_done = 0;
      }
    }
  }
}

Status PosixFile::Sync() {
  int rc;
  do {
#if defined(__APPLE__)
    rc = fcntl(fd_.get(), F_FULLFSYNC);
#else
    rc = fdatasync(fd_.get());
#endif
  } while (rc != 0 && errno == EINTR);
  return rc == 0 ? Status() : Error(errno, "sync").WithCode(Code::kIo);
}

void PosixFile::StartWriteback(uint64_t offset, uint64_t n) {
#if defined(__linux__)
  if (InRange(offset, n) && n > 0) {
    sync_file_range(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(n),
                    SYNC_FILE_RANGE_WRITE);
  }
#else
  static_cast<void>(offset);
  static_cast<void>(n);
#endif
}

Status PosixFile::Truncate(uint64_t size) {
  if (!InRange(size, 0)) return Error(EFBIG, "truncate");
  int rc;
  do {
    rc = ftruncate(fd_.get(), static_cast<off_t>(size));
  } while (rc != 0 && errno == EINTR);
  return rc == 0 ? Status() : Error(errno, "truncate");
}

Status PosixFile::Preallocate(uint64_t size) {
#if defined(__linux__)
  if (!InRange(size, 0)) return Error(EFBIG, "preallocate");
  if (size == 0) return Status();
  KIST_TRY_ASSIGN(const uint64_t before, Size());
  int rc;
  do {
    rc = fallocate(fd_.get(), 0, 0, static_cast<off_t>(size));
  } while (rc != 0 && errno == EINTR);
  if (rc == 0) return Status();
  const int err = errno;
  // A refused reservation may have been granted in part. Cutting to the old size frees it.
  Result<uint64_t> after = Size();
  if (after.ok() && *after > before) KIST_TRY(Truncate(before));
  Status s = Error(err, "preallocate");
  const bool cannot = err == EOPNOTSUPP || err == ENOSYS || err == EINVAL;
  return cannot ? s.WithCode(Code::kUnsupported) : s;
#else
  static_cast<void>(size);
  return Error(EOPNOTSUPP, "preallocate").WithCode(Code::kUnsupported);
#endif
}

Result<uint64_t> PosixFile::Size() {
  struct stat st;
  int rc;
  do {
    rc = fstat(fd_.get(), &st);
  } while (rc != 0 && errno == EINTR);
  if (rc != 0) return Error(errno, "stat");
  return static_cast<uint64_t>(st.st_size);
}

Result<uint64_t> PosixFile::NextData(uint64_t offset) {
#if defined(SEEK_DATA)
  if (InRange(offset, 0)) {
    const off_t at = lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
    if (at >= 0) return static_cast<uint64_t>(at);
    if (errno == ENXIO) {
      KIST_TRY_ASSIGN(const uint64_t size, Size());
      return std::max(size, offset);
    }
  }
#endif
  return offset;
}

void PosixFile::ReadAhead(uint64_t offset, uint64_t n) {
#if defined(POSIX_FADV_WILLNEED)
  if (InRange(offset, n) && n > 0) {
    posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(n),
                  POSIX_FADV_WILLNEED);
  }
#else
  static_cast<void>(offset);
  static_cast<void>(n);
#endif
}

const char* PosixFile::Map(uint64_t size) {
  if (size == 0 || size > SIZE_MAX) return nullptr;
  MutexLock lock(&mutex_);
  for (const Mapping& m : mappings_) {
    if (m.bytes >= size) return static_cast<const char*>(m.address);
  }
  // A view past the end would be a bus error at the first touch.
  const Result<uint64_t> bytes = Size();
  if (!bytes.ok() || *bytes < size) return nullptr;
  mappings_.reserve(mappings_.size() + 1);
  void* address = mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_SHARED, fd_.get(), 0);
  if (address == MAP_FAILED) return nullptr;
  mappings_.push_back({address, size});
  return static_cast<const char*>(address);
}

}  // namespace kist
