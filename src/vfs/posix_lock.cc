// The directory lock: one holder per lock file over all handles and processes.
//
// flock(2) belongs to the open file description: it dies with its last descriptor, closing another
// descriptor of the file does not free it (as POSIX fcntl locks would), and two opens in one
// process exclude each other. Where flock is emulated over fcntl (NFS) neither holds inside a
// process, so a registry by device and inode stands in front of it and is asked before the file is
// opened at all. It is the one process-wide state of Kist: a function-local object that is never
// destroyed, because locks may be freed after static destructors have run.
//
// Fork: a child inherits descriptor and registry. Entries of another process are ignored, and a
// child's destructor closes without unlocking, so that it cannot free the lock of its parent; the
// owner unlocks by name, so that a living child cannot keep it.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "vfs/posix_file.h"

namespace kist {

namespace {

struct LockKey {
  pid_t owner;
  dev_t device;
  ino_t inode;
  bool operator==(const LockKey& o) const {
    return owner == o.owner && device == o.device && inode == o.inode;
  }
};

struct Registry {
  Mutex mutex;
  std::vector<LockKey> held KIST_GUARDED_BY(mutex);
};

Registry& TheRegistry() {
  static Registry* const registry = new Registry;
  return *registry;
}

class PosixFileLock : public FileLock {
 public:
  PosixFileLock(Fd fd, const LockKey& key, std::string path)
      : fd_(std::move(fd)), key_(key), path_(std::move(path)) {}
  ~PosixFileLock() override {
    if (getpid() != key_.owner) return;
    Registry& registry = TheRegistry();
    MutexLock lock(&registry.mutex);
    registry.held.erase(std::remove(registry.held.begin(), registry.held.end(), key_),
                        registry.held.end());
    flock(fd_.get(), LOCK_UN);
  }
  Status Check() const override;

 private:
  const Fd fd_;
  const LockKey key_;
  const std::string path_;
};

Status Held(const std::string& path) {
  return Status::Error(Code::kLocked, "lock " + path + ": another handle or process has it", 0,
                       EWOULDBLOCK);
}

template <typename Call>
int Stat(Call call) {
  int rc;
  do {
    rc = call();
  } while (rc != 0 && errno == EINTR);
  return rc;
}

// What cannot be looked at for another reason (no permission any more, say) is left to the call
// that follows.
Status PosixFileLock::Check() const {
  struct stat st;
  const int err = Stat([&] { return stat(path_.c_str(), &st); }) == 0 ? 0 : errno;
  if (err == 0 ? st.st_dev == key_.device && st.st_ino == key_.inode
               : err != ENOENT && err != ENOTDIR)
    return Status();
  return Status::Error(
      Code::kIo,
      path_ + ": not the file that was locked: it, or its directory, was moved or removed", 0,
      ESTALE);
}

bool Contains(const std::vector<LockKey>& held, const struct stat& st) {
  return std::find(held.begin(), held.end(), LockKey{getpid(), st.st_dev, st.st_ino}) != held.end();
}

}  // namespace

Result<std::unique_ptr<FileLock>> PosixLock(const std::string& path) {
  Registry& registry = TheRegistry();
  MutexLock lock(&registry.mutex);
  for (;;) {
    struct stat st;
    // Asked first: on an emulated flock, opening and closing the file would free this process's own
    // lock.
    if (Stat([&] { return stat(path.c_str(), &st); }) == 0 && Contains(registry.held, st))
      return Held(path);
    Result<Fd> opened = PosixOpenFile(path, O_RDWR | O_CREAT, "lock");
    if (opened.status().Is(Code::kCorrupt)) return opened.status().WithCode(Code::kIo);
    KIST_TRY_ASSIGN(Fd fd, std::move(opened));
    if (Stat([&] { return fstat(fd.get(), &st); }) != 0)
      return Status::FromErrno(errno, "lock", path);
    if (Contains(registry.held, st)) return Held(path);
    int rc;
    do {
      rc = flock(fd.get(), LOCK_EX | LOCK_NB);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0) {
      if (errno == EWOULDBLOCK) return Held(path);
      return Status::FromErrno(errno, "lock", path);
    }
    // Whoever removed the file between open and flock (destroying the database) left us with a lock
    // on nothing.
    struct stat now;
    if (Stat([&] { return stat(path.c_str(), &now); }) != 0 || now.st_dev != st.st_dev ||
        now.st_ino != st.st_ino)
      continue;
    const LockKey key{getpid(), st.st_dev, st.st_ino};
    registry.held.reserve(registry.held.size() + 1);
    auto held = std::make_unique<PosixFileLock>(std::move(fd), key, path);
    registry.held.push_back(key);
    return std::unique_ptr<FileLock>(std::move(held));
  }
}

}  // namespace kist
