// The operating system's Vfs: names and directories, clock, randomness. Files, locks and threads
// stand in posix_file.cc, posix_lock.cc and posix_thread.cc. See vfs.h for the contract of each
// method.
//
// Threads: any; the object has no state of its own.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#if defined(__linux__)
#include <sys/random.h>
#endif

#include "vfs/posix_file.h"

namespace kist {

namespace {

class PosixVfsImpl : public Vfs {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    int flags = O_RDWR;
    const char* doing = "open";
    switch (mode) {
      case OpenMode::kRead:
        flags = O_RDONLY;
        break;
      case OpenMode::kReadWrite:
        break;
      case OpenMode::kCreateNew:
        flags |= O_CREAT | O_EXCL;
        doing = "create";
        break;
      case OpenMode::kCreateOrTruncate:
        flags |= O_CREAT | O_TRUNC;
        doing = "create";
        break;
    }
    KIST_TRY_ASSIGN(Fd fd, PosixOpenFile(path, flags, doing));
    return std::unique_ptr<File>(std::make_unique<PosixFile>(std::move(fd), path));
  }

  Status Rename(const std::string& from, const std::string& to) override {
    const int err = Tried([&] { return rename(from.c_str(), to.c_str()); }, ENOENT,
                          [&] { return SameFile(to, to); });
    return Check(err, "rename", from);
  }

  Status Remove(const std::string& path) override {
    const int err = Tried([&] { return unlink(path.c_str()); }, ENOENT, [] { return true; });
    return Check(err, "remove", path);
  }

  Status Link(const std::string& from, const std::string& to) override {
    const int err = Tried([&] { return link(from.c_str(), to.c_str()); }, EEXIST,
                          [&] { return SameFile(from, to); });
    if (err == 0) return Status();
    Status s = Status::FromErrno(err, "link", to);
    // EPERM: a file system without hard links; a directory or a protected file gives it too, and
    // neither can be linked.
    const bool cannot =
        err == EXDEV || err == EOPNOTSUPP || err == ENOSYS || err == EMLINK || err == EPERM;
    return cannot ? s.WithCode(Code::kUnsupported) : s;
  }

  Status MakeDir(const std::string& path) override {
    const int err = Tried([&] { return mkdir(path.c_str(), 0755); }, EEXIST, [] { return true; });
    return Check(err, "create directory", path);
  }

  Status RemoveDir(const std::string& path) override {
    const int err = Tried([&] { return rmdir(path.c_str()); }, ENOENT, [] { return true; });
    return Check(err, "remove directory", path);
  }

  Result<std::string> Absolute(const std::string& path) override {
    if (path.empty() || path[0] == '/') return path;
    const std::unique_ptr<char, void (*)(void*)> here(getcwd(nullptr, 0), std::free);
    if (here == nullptr) return Status::FromErrno(errno, "find the working directory of", path);
    return JoinPath(here.get(), path);
  }

  Result<std::vector<std::string>> List(const std::string& dir) override {
    DIR* stream;
    do {
      stream = opendir(dir.c_str());
    } while (stream == nullptr && errno == EINTR);
    if (stream == nullptr) return Status::FromErrno(errno, "list", dir);
    const std::unique_ptr<DIR, int (*)(DIR*)> closer(stream, closedir);
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(stream);
      if (entry == nullptr && errno == EINTR) continue;
      if (entry == nullptr) break;
      const Slice name(entry->d_name);
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return Status::FromErrno(errno, "list", dir);
    return names;
  }

  Result<FileInfo> Stat(const std::string& path) override {
    struct stat st;
    if (const int err = Tried([&] { return stat(path.c_str(), &st); }); err != 0)
      return Status::FromErrno(err, "stat", path);
    FileInfo info;
    info.bytes = static_cast<uint64_t>(st.st_size);
    info.is_directory = S_ISDIR(st.st_mode);
    info.is_file = S_ISREG(st.st_mode);
    info.device = static_cast<uint64_t>(st.st_dev);
    info.inode = static_cast<uint64_t>(st.st_ino);
    return info;
  }

  Status SyncDir(const std::string& dir) override {
    Result<Fd> fd = PosixOpen(dir, O_RDONLY | O_DIRECTORY, "sync directory");
    if (!fd.ok())
      return fd.status().WithCode(fd.status().Is(Code::kMissing) ? Code::kMissing : Code::kIo);
    int rc;
    do {
      rc = fsync((*fd).get());
    } while (rc != 0 && errno == EINTR);
    // EINVAL: a file system whose directories have nothing to sync.
    if (rc == 0 || errno == EINVAL) return Status();
    return Status::FromErrno(errno, "sync directory", dir).WithCode(Code::kIo);
  }

  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return PosixLock(path);
  }

  int64_t WallMs() override {
    timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return static_cast<int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1000000;
  }

  uint64_t MonotonicUs() override { return MonotonicNs() / 1000; }

  uint64_t MonotonicNs() override {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1000000000 + static_cast<uint64_t>(t.tv_nsec);
  }

  void Random(void* buf, size_t n) override;

  void SleepUs(uint64_t us) override {
    timespec left;
    left.tv_sec = static_cast<time_t>(us / 1000000);
    left.tv_nsec = static_cast<long>(us % 1000000 * 1000);
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
  }

  Result<std::unique_ptr<Thread>> Start(const char* name, std::function<void()> fn) override {
    return PosixStart(name, std::move(fn));
  }

  Result<std::unique_ptr<ForkGuard>> MakeForkGuard() override { return PosixMakeForkGuard(); }

 private:
  static Status Check(int err, const char* doing, const std::string& path) {
    return err == 0 ? Status() : Status::FromErrno(err, doing, path);
  }

  // Network and user-space file systems end these calls with EINTR too, before the change or after
  // it: where the next try fails with `after`, and is_done() agrees, the change was made. 0 or an
  // errno.
  template <typename Call, typename IsDone>
  static int Tried(Call call, int after, IsDone is_done) {
    bool again = false;
    for (;; again = true) {
      if (call() == 0) return 0;
      const int err = errno;
      if (err == EINTR) continue;
      return again && err == after && is_done() ? 0 : err;
    }
  }
  template <typename Call>
  static int Tried(Call call) {
    return Tried(call, 0, [] { return false; });
  }
  static bool SameFile(const std::string& a, const std::string& b) {
    struct stat x, y;
    return Tried([&] { return stat(a.c_str(), &x); }) == 0 &&
           Tried([&] { return stat(b.c_str(), &y); }) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
  }
};

void PosixVfsImpl::Random(void* buf, size_t n) {
  char* p = static_cast<char*>(buf);
#if defined(__linux__)
  while (n > 0) {
    const ssize_t got = getrandom(p, n, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    p += got;
    n -= static_cast<size_t>(got);
  }
#endif
  if (n == 0) return;
  Result<Fd> fd = PosixOpen("/dev/urandom", O_RDONLY, "open");
  while (n > 0 && fd.ok()) {
    const ssize_t got = read((*fd).get(), p, n);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    p += got;
    n -= static_cast<size_t>(got);
  }
  // No source of randomness at all (a bare chroot on an old kernel): ids need to differ, not to be
  // secret.
  uint64_t state = MonotonicUs() * 1000003 ^ static_cast<uint64_t>(WallMs()) << 20 ^
                   static_cast<uint64_t>(getpid()) << 44 ^ reinterpret_cast<uintptr_t>(buf);
  for (; n > 0; ++p, --n) {
    state = state * 6364136223846793005 + 1442695040888963407;
    *p = static_cast<char>(state >> 56);
  }
}

}  // namespace

Vfs* PosixVfs() {
  static Vfs* const vfs =
      new PosixVfsImpl;  // never destroyed: handles may outlive static destructors
  return vfs;
}

}  // namespace kist
