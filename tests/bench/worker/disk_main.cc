// kist_bench_disk: what the disk itself does, beside the engines; takes the same arguments as the
// workers.
//
// fillsync       pwrite of a record's bytes at the end of a file preallocated with fallocate, then
// fdatasync: the least that a
//                durable commit costs. fillsync_zeroed: the same where the blocks were written and
//                synced before.
// diskwrite      1 MiB appends without sync and with one sync at the end.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "result.h"

namespace kist::bench {

namespace {

bool SyncedAppends(const std::string& dir, const std::string& row, double seconds, size_t record) {
  constexpr off_t kReserve = off_t{64} << 20;
  const std::string path = dir + "/preallocated";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || posix_fallocate(fd, 0, kReserve) != 0) return false;
  std::vector<char> block(size_t{1} << 20, 0);
  if (row == "fillsync_zeroed") {
    for (off_t at = 0; at < kReserve; at += static_cast<off_t>(block.size())) {
      if (pwrite(fd, block.data(), block.size(), at) < 0) return false;
    }
  }
  if (fsync(fd) != 0) return false;
  std::memset(block.data(), 'x', record);
  Histogram latencies;
  Result result(row);
  const Phase phase;
  const uint64_t deadline = phase.begin().ns + static_cast<uint64_t>(seconds * 1e9);
  uint64_t done = 0;
  uint64_t last = Ticks();
  for (off_t at = 0; NowNs() < deadline; at += static_cast<off_t>(record), ++done) {
    if (pwrite(fd, block.data(), record, at) != static_cast<ssize_t>(record) || fdatasync(fd) != 0)
      return false;
    const uint64_t now = Ticks();
    latencies.Add(now - last);
    last = now;
  }
  phase.Finish(done, &result);
  result.SetLatencies(latencies);
  result.Print('R');
  close(fd);
  return unlink(path.c_str()) == 0;
}

bool SequentialWrite(const std::string& dir, const std::string& row) {
  constexpr size_t kCount = 512;
  const std::string path = dir + "/sequential";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return false;
  std::vector<char> block(size_t{1} << 20, 'x');
  Result result(row);
  const Phase phase;
  for (size_t i = 0; i < kCount; ++i) {
    if (write(fd, block.data(), block.size()) != static_cast<ssize_t>(block.size())) return false;
  }
  phase.Finish(kCount, &result);
  const double cached = static_cast<double>(NowNs() - phase.begin().ns) * 1e-9;
  if (fdatasync(fd) != 0) return false;
  const double synced = static_cast<double>(NowNs() - phase.begin().ns) * 1e-9;
  result.Set("mb_s", kCount * 1.048576 / cached);
  result.Set("synced_mb_s", kCount * 1.048576 / synced);
  result.Print('R');
  close(fd);
  return unlink(path.c_str()) == 0;
}

int RunDisk(int argc, char** argv) {
  std::string dir;
  std::string rows;
  double seconds = 3;
  size_t record = 116 + 40;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--dir=", 6) == 0) dir = argv[i] + 6;
    if (std::strncmp(argv[i], "--rows=", 7) == 0) rows = argv[i] + 7;
    if (std::strncmp(argv[i], "--seconds=", 10) == 0) seconds = std::strtod(argv[i] + 10, nullptr);
    if (std::strncmp(argv[i], "--value-bytes=", 14) == 0)
      record = std::strtoull(argv[i] + 14, nullptr, 10) + 56;
  }
  std::printf("V the disk itself\n");
  if (!MakeDirs(dir)) return 2;
  rows += ",";
  for (size_t at = 0; at < rows.size(); at = rows.find(',', at) + 1) {
    const std::string row = rows.substr(at, rows.find(',', at) - at);
    const bool ok =
        row == "diskwrite" ? SequentialWrite(dir, row) : SyncedAppends(dir, row, seconds, record);
    if (ok) continue;
    std::printf("F %s %s\n", row.c_str(), std::strerror(errno));
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace kist::bench

int main(int argc, char** argv) { return kist::bench::RunDisk(argc, argv); }
