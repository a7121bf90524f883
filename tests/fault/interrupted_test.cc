// System calls that are interrupted or do a part of what was asked (promise G21). This program's
// own pread, pwrite and their kin stand before the C library's: they end with EINTR or short counts
// at random, and nothing of that may be seen above the Vfs. Calls on names are interrupted before
// the change or after it, as network and user-space file systems do. KIST_SEED repeats a run.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>

#include "kist/kist.h"
#include "support/crash_harness.h"

namespace {

std::atomic<uint64_t> g_state{0};  // 0: calls pass
std::atomic<uint64_t> g_bent{0};

uint64_t Draw() {
  uint64_t x = g_state.fetch_add(0x9e3779b97f4a7c15u) + 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

bool Interrupted() {
  if (g_state.load() == 0 || Draw() % 3 != 0) return false;
  g_bent.fetch_add(1);
  errno = EINTR;
  return true;
}

// A call that has changed something, or not, and then is interrupted.
template <typename Call>
int Change(Call call) {
  if (Interrupted()) return -1;
  const int rc = int(call());
  return rc == 0 && Interrupted() ? -1 : rc;
}

size_t Part(size_t n) {
  if (g_state.load() == 0 || n < 2 || Draw() % 3 != 0) return n;
  g_bent.fetch_add(1);
  return 1 + Draw() % (n - 1);
}

}  // namespace

extern "C" {

ssize_t pread(int fd, void* buf, size_t n, off_t at) {
  return Interrupted() ? -1 : syscall(SYS_pread64, fd, buf, Part(n), at);
}
ssize_t pwrite(int fd, const void* buf, size_t n, off_t at) {
  return Interrupted() ? -1 : syscall(SYS_pwrite64, fd, buf, Part(n), at);
}
ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t at) {
  if (Interrupted()) return -1;
  size_t total = 0;
  for (int i = 0; i < count; ++i) total += parts[i].iov_len;
  size_t part = Part(total), done = 0;
  for (int i = 0; i < count && part > 0; ++i) {
    const size_t n = parts[i].iov_len < part ? parts[i].iov_len : part;
    const ssize_t put = syscall(SYS_pwrite64, fd, parts[i].iov_base, n, at + off_t(done));
    if (put < 0) return done > 0 ? ssize_t(done) : -1;
    done += size_t(put);
    part -= size_t(put);
    if (size_t(put) < n) break;
  }
  return ssize_t(done);
}
int fdatasync(int fd) { return Interrupted() ? -1 : int(syscall(SYS_fdatasync, fd)); }
int fsync(int fd) { return Interrupted() ? -1 : int(syscall(SYS_fsync, fd)); }
int ftruncate(int fd, off_t size) noexcept {
  return Interrupted() ? -1 : int(syscall(SYS_ftruncate, fd, size));
}
int fallocate(int fd, int mode, off_t at, off_t n) {
  return Interrupted() ? -1 : int(syscall(SYS_fallocate, fd, mode, at, n));
}
int flock(int fd, int how) noexcept {
  return Interrupted() ? -1 : int(syscall(SYS_flock, fd, how));
}
int rename(const char* from, const char* to) noexcept {
  return Change([&] { return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0); });
}
int unlink(const char* path) noexcept {
  return Change([&] { return syscall(SYS_unlinkat, AT_FDCWD, path, 0); });
}
int rmdir(const char* path) noexcept {
  return Change([&] { return syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR); });
}
int mkdir(const char* path, mode_t mode) noexcept {
  return Change([&] { return syscall(SYS_mkdirat, AT_FDCWD, path, mode); });
}
int link(const char* from, const char* to) noexcept {
  return Change([&] { return syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0); });
}
int stat(const char* path, struct stat* st) noexcept {
  return Interrupted() ? -1 : int(syscall(SYS_newfstatat, AT_FDCWD, path, st, 0));
}
int fstat(int fd, struct stat* st) noexcept {
  return Interrupted() ? -1 : int(syscall(SYS_fstat, fd, st));
}
ssize_t getrandom(void* buf, size_t n, unsigned flags) {
  return Interrupted() ? -1 : syscall(SYS_getrandom, buf, Part(n), flags);
}
DIR* opendir(const char* path) {
  static const auto real = reinterpret_cast<DIR* (*)(const char*)>(dlsym(RTLD_NEXT, "opendir"));
  return Interrupted() ? nullptr : real(path);
}
struct dirent* readdir(DIR* dir) {
  static const auto real = reinterpret_cast<struct dirent* (*)(DIR*)>(dlsym(RTLD_NEXT, "readdir"));
  return Interrupted() ? nullptr : real(dir);
}
int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return Interrupted() ? -1 : int(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

}  // extern "C"

namespace kist::test {
namespace {

void Work(const std::string& dir, uint64_t seed) {
  OptionSet set;
  ASSERT_OK(
      set.Parse("memory_budget=4MiB; write_buffer_size=64KiB; cache_size=0; block_size=1KiB"));
  std::map<std::string, std::string> model;
  for (int round = 0; round < 4; ++round) {
    auto db = Db::Open(dir, set, LogSink(), nullptr);
    ASSERT_OK(db);
    auto ks = (*db)->DefaultKeyspace();
    for (uint64_t i = 0; i < 150; ++i) {
      const std::string key = "key" + std::to_string((i * 7 + seed) % 90);
      const std::string value(10 + (seed + i * i) % 3000, static_cast<char>('a' + i % 26));
      const Durability d = i % 5 == 0 ? Durability::kSync : Durability::kOs;
      ASSERT_OK((*db)->Put(ks.get(), d, key, value, 0, nullptr));
      model[key] = value;
      if (i % 50 == 49) ASSERT_OK((*db)->Flush());
    }
    ASSERT_OK((*db)->Compact(ks.get(), Slice(), Slice(), JobControl()));
    std::string error;
    const Contents held = ReadAll(db->get(), &error);
    assert_string_equal(error.c_str(), "");
    assert_true(held.at("default") == model);
    ASSERT_OK((*db)->Verify(JobControl()));
    ks = RefPtr<Keyspace>();
    ASSERT_OK((*db)->Close());
  }
}

#define MUST_DO(call)                                                            \
  do {                                                                           \
    kist_err err = KIST_ERR_INIT;                                                \
    if ((call) != KIST_OK) fail_msg("%s: %d, %s", #call, err.code, err.message); \
  } while (0)

void ExpectWhole(const std::string& path) {
  kist_db* db = nullptr;
  MUST_DO(kist_open(path.c_str(), nullptr, &db, &err));
  for (int i = 0; i < 300; ++i) {
    const std::string key = "key" + std::to_string(i);
    MUST_DO(kist_exists(kist_default(db), nullptr, key.data(), key.size(), &err));
  }
  MUST_DO(kist_verify(db, nullptr, &err));
  MUST_DO(kist_close(db, KIST_CLOSE_STRICT, &err));
}

// Checkpoints, backups, restores, streams, pruning, repairs, removals.
void Copies(const std::string& dir) {
  const std::string path = dir + "/db", target = dir + "/target";
  kist_db* db = nullptr;
  kist_stream* stream = nullptr;
  kist_prune_options keep = KIST_PRUNE_OPTIONS_INIT;
  keep.keep_count = 1;
  MUST_DO(kist_open(path.c_str(), nullptr, &db, &err));
  for (int i = 0; i < 300; ++i) {
    const std::string key = "key" + std::to_string(i), value(2000, static_cast<char>('a' + i % 26));
    MUST_DO(kist_put(kist_default(db), nullptr, key.data(), key.size(), value.data(), value.size(),
                     &err));
    if (i % 100 == 99) MUST_DO(kist_flush(db, &err));
    if (i == 150) MUST_DO(kist_backup(db, target.c_str(), nullptr, nullptr, &err));
    if (i == 150) MUST_DO(kist_stream_start(db, target.c_str(), nullptr, &stream, &err));
  }
  MUST_DO(kist_stream_stop(stream, -1, &err));
  MUST_DO(kist_backup(db, target.c_str(), nullptr, nullptr, &err));
  MUST_DO(kist_checkpoint(db, (dir + "/checkpoint").c_str(), &err));
  MUST_DO(kist_close(db, KIST_CLOSE_STRICT, &err));
  ExpectWhole(dir + "/checkpoint");
  MUST_DO(kist_prune(target.c_str(), &keep, nullptr, nullptr, &err));
  const std::string restored = dir + "/restored";
  MUST_DO(kist_restore(target.c_str(), restored.c_str(), nullptr, nullptr, nullptr, &err));
  ExpectWhole(restored);
  std::string report(size_t{1} << 16, '\0');
  MUST_DO(kist_repair(path.c_str(), nullptr, report.data(), report.size(), nullptr, &err));
  assert_true(report.find("losses: 0") != std::string::npos);
  ExpectWhole(path);
  for (const char* name : {"/db", "/checkpoint", "/restored"})
    MUST_DO(kist_destroy((dir + name).c_str(), &err));
}

template <typename Body>
void Bent(Body body) {
  const char* given = std::getenv("KIST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20261120;
  std::printf("KIST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  TempDir dir;
  g_bent.store(0);
  g_state.store(seed | 1);
  body(dir, seed);
  g_state.store(0);
  std::printf("%llu calls were bent\n", static_cast<unsigned long long>(g_bent.load()));
  assert_true(g_bent.load() > 500);
}

void interrupted__nothing_is_seen_of_it(void**) {
  Bent([](const TempDir& dir, uint64_t seed) { Work(dir.File("db"), seed); });
}

void interrupted__nor_in_copies_and_repairs(void**) {
  Bent([](const TempDir& dir, uint64_t) { Copies(dir.path()); });
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(interrupted__nothing_is_seen_of_it),
      cmocka_unit_test(interrupted__nor_in_copies_and_repairs),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
