// System calls that are interrupted or do a part of what was asked (promise G21). This program's
// own pread, pwrite and their kin stand before the C library's: they end with EINTR or short counts
// at random, and nothing of that may be seen above the Vfs. KIST_SEED repeats a run.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>

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

void interrupted__nothing_is_seen_of_it(void**) {
  const char* given = std::getenv("KIST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20261120;
  std::printf("KIST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  TempDir dir;
  g_state.store(seed | 1);
  Work(dir.File("db"), seed);
  g_state.store(0);
  std::printf("%llu calls were bent\n", static_cast<unsigned long long>(g_bent.load()));
  assert_true(g_bent.load() > 500);
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(interrupted__nothing_is_seen_of_it),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
