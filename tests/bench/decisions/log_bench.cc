// Decision: how a record comes into the log and back.  log_bench [write|crc|time|pack|sync|read]
// Result, ns of the thread's CPU for a record of 16 + 100 bytes (184 in the log), best of five:
//   write  pwrite 644 (growing file 659), of a group of 8 185, of 64 101; mapped stores 75
//   crc    one sum 8.5, or the data's 6.9 and the header's 2.5    time  24.5, coarse clock 3.2
//   pack   Snappy 83, 57 % left; 1.1 KB 226, 54 %; 4.2 KB 426, 53 %
//   read   pread and sums 15, mapping and sums 10
// Verdict: pwrite into reserved blocks; writers that meet go as one pwritev. Mapped stores are
// refused (GUARANTEES: a full disk or a bad block would be a bus error in the host). Two sums: the
// data's is taken before the queue, and only the header's under the token. No time unless asked
// for, or needed by a TTL; not the coarse clock, whose steps are 4 ms. The log is not compressed as
// a standard: pwrite costs the same for half the bytes. pread for replay: a mapping saves
// 5 ns of some 300, and a file that shrinks is a bus error. sync=every_write, because only that
// loses nothing; the rest is for those who may lose something (us a put: see the output).
#include <fcntl.h>
#include <kist/kist.h>
#include <snappy.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "util/crc32c.h"

namespace {

constexpr size_t kRecord = 184;
constexpr int kRounds = 5;

double Now(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// The best of some rounds, by unit of work. `setup` is not timed.
double Best(double units, const std::function<void()>& setup, const std::function<void()>& work,
            clockid_t clock = CLOCK_THREAD_CPUTIME_ID) {
  double best = 1e300;
  for (int i = 0; i < kRounds; ++i) {
    setup();
    const double start = Now(clock);
    work();
    best = std::min(best, Now(clock) - start);
  }
  return best / units;
}

void Say(const char* what, double ns, const char* unit = "ns") {
  std::printf("  %-46s %9.1f %s\n", what, ns, unit);
}

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

std::string Scratch(const char* name) {
  return (std::filesystem::current_path() / (std::string("log_bench.") + name)).string();
}

// Half of it random, as the benchmark's values are.
std::string HalfRandom(size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string s(n, 0);
  for (size_t i = 0; i < n; ++i) s[i] = static_cast<char>(i < n / 2 ? random() : s[i - n / 2]);
  return s;
}

class File {
 public:
  explicit File(const std::string& path) : path_(path) { Fresh(); }
  ~File() {
    close(fd_);
    unlink(path_.c_str());
  }
  void Fresh() {
    if (fd_ >= 0) close(fd_);
    unlink(path_.c_str());
    fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) Die(path_.c_str());
  }
  void Reserve(size_t bytes) {
    if (fallocate(fd_, 0, 0, static_cast<off_t>(bytes)) != 0) Die("fallocate");
  }
  int fd() const { return fd_; }

 private:
  const std::string path_;
  int fd_ = -1;
};

void Write() {
  constexpr int kCount = 200000;
  const std::string record = HalfRandom(kRecord, 1);
  File file(Scratch("write"));
  const auto fresh = [&] { file.Fresh(); };
  const auto reserved = [&] {
    file.Fresh();
    file.Reserve(kCount * kRecord);
  };
  const auto put = [&] {
    for (int i = 0; i < kCount; ++i) {
      if (pwrite(file.fd(), record.data(), kRecord, static_cast<off_t>(i * kRecord)) < 0)
        Die("pwrite");
    }
  };
  Say("pwrite, growing file", Best(kCount, fresh, put));
  Say("pwrite, reserved blocks", Best(kCount, reserved, put));
  for (const int group : {8, 64}) {
    std::vector<iovec> parts(group, {const_cast<char*>(record.data()), kRecord});
    const std::string name = "pwritev of " + std::to_string(group) + ", each";
    Say(name.c_str(), Best(kCount, reserved, [&] {
          for (int i = 0; i < kCount; i += group) {
            if (pwritev(file.fd(), parts.data(), group, static_cast<off_t>(i * kRecord)) < 0)
              Die("pwritev");
          }
        }));
  }
  Say("stores into a mapping", Best(kCount, reserved, [&] {
        void* map =
            mmap(nullptr, kCount * kRecord, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd(), 0);
        if (map == MAP_FAILED) Die("mmap");
        for (int i = 0; i < kCount; ++i)
          std::memcpy(static_cast<char*>(map) + i * kRecord, record.data(), kRecord);
        munmap(map, kCount * kRecord);
      }));
}

void Crc() {
  constexpr int kCount = 1000000;
  for (const size_t data : {140u, 4200u}) {
    const std::string record = HalfRandom(data + 44, 2);
    uint32_t sum = 0;
    const auto none = [] {};
    const std::string size = " of " + std::to_string(data) + " bytes";
    Say(("one sum over header and data" + size).c_str(), Best(kCount, none, [&] {
          for (int i = 0; i < kCount; ++i) sum ^= kist::crc32c::Value(record.data(), data + 44);
        }));
    Say(("data's sum" + size + ", before the queue").c_str(), Best(kCount, none, [&] {
          for (int i = 0; i < kCount; ++i) sum ^= kist::crc32c::Value(record.data() + 44, data);
        }));
    Say("header's sum, under the token", Best(kCount, none, [&] {
          for (int i = 0; i < kCount; ++i) sum ^= kist::crc32c::Value(record.data(), 40);
        }));
    if (sum == 1) std::puts("");
  }
}

void Time() {
  constexpr int kCount = 1000000;
  double sum = 0;
  Say("CLOCK_REALTIME, a record", Best(
                                      kCount, [] {},
                                      [&] {
                                        for (int i = 0; i < kCount; ++i) sum += Now(CLOCK_REALTIME);
                                      }));
#ifdef CLOCK_REALTIME_COARSE
  Say("CLOCK_REALTIME_COARSE (4 ms steps)", Best(
                                                kCount, [] {},
                                                [&] {
                                                  for (int i = 0; i < kCount; ++i)
                                                    sum += Now(CLOCK_REALTIME_COARSE);
                                                }));
#endif
  if (sum == 1) std::puts("");
}

void Pack() {
  for (const size_t bytes : {140u, 1100u, 4200u, 13000u}) {
    const std::string data = HalfRandom(bytes, 3);
    std::string packed(snappy::MaxCompressedLength(bytes), 0);
    size_t n = 0;
    constexpr int kCount = 20000;
    const double ns = Best(
        kCount, [] {},
        [&] {
          for (int i = 0; i < kCount; ++i)
            snappy::RawCompress(data.data(), bytes, packed.data(), &n);
        });
    std::printf("  Snappy of %5zu bytes: %4.0f %% of them left %12.1f ns\n", bytes,
                100.0 * static_cast<double>(n) / static_cast<double>(bytes), ns);
  }
}

void Sync() {
  const struct {
    const char* policy;
    int count;
  } runs[] = {{"every_write", 2000},
              {"every_n:32", 40000},
              {"interval:10ms", 200000},
              {"hybrid:1000:10ms", 200000},
              {"never", 200000}};
  const std::string path = Scratch("sync");
  const std::string value = HalfRandom(100, 4);
  for (const auto& run : runs) {
    kist_err err = KIST_ERR_INIT;
    kist_db* db = nullptr;
    const auto must = [&](kist_rc rc) {
      if (rc == KIST_OK) return;
      std::fprintf(stderr, "sync=%s: %s\n", run.policy, err.message);
      std::exit(1);
    };
    const auto setup = [&] {
      if (db != nullptr) must(kist_close(db, KIST_CLOSE_STRICT, &err));
      std::filesystem::remove_all(path);
      kist_options* options = nullptr;
      must(kist_options_new(&options));
      must(kist_options_set(options, "sync", run.policy, &err));
      must(kist_open(path.c_str(), options, &db, &err));
      kist_options_free(options);
    };
    const double ns = Best(
        run.count, setup,
        [&] {
          char key[24];
          for (int i = 0; i < run.count; ++i) {
            std::snprintf(key, sizeof key, "%016d", i * 7919 % run.count);
            must(kist_put(kist_default(db), nullptr, key, 16, value.data(), value.size(), &err));
          }
        },
        CLOCK_MONOTONIC);
    must(kist_close(db, KIST_CLOSE_STRICT, &err));
    std::filesystem::remove_all(path);
    Say((std::string("sync=") + run.policy).c_str(), ns / 1000, "us wall");
  }
}

void Read() {
  constexpr size_t kBytes = size_t{128} << 20;
  File file(Scratch("read"));
  const std::string block = HalfRandom(1 << 20, 5);
  for (size_t at = 0; at < kBytes; at += block.size()) {
    if (pwrite(file.fd(), block.data(), block.size(), static_cast<off_t>(at)) < 0) Die("pwrite");
  }
  std::string buffer(size_t{256} << 10, 0);
  uint32_t sum = 0;
  const auto sums = [&sum](const char* p, size_t n) {
    for (size_t at = 0; at + kRecord <= n; at += kRecord)
      sum ^= kist::crc32c::Value(p + at, kRecord);
  };
  const double units = static_cast<double>(kBytes) / kRecord;
  Say("pread of 256 KiB and sums, a record",
      Best(
          units, [] {},
          [&] {
            for (size_t at = 0; at < kBytes; at += buffer.size()) {
              if (pread(file.fd(), buffer.data(), buffer.size(), static_cast<off_t>(at)) < 0)
                Die("pread");
              sums(buffer.data(), buffer.size());
            }
          }));
  Say("mapping and sums, a record", Best(
                                        units, [] {},
                                        [&] {
                                          void* map = mmap(nullptr, kBytes, PROT_READ, MAP_SHARED,
                                                           file.fd(), 0);
                                          if (map == MAP_FAILED) Die("mmap");
                                          sums(static_cast<const char*>(map), kBytes);
                                          munmap(map, kBytes);
                                        }));
  if (sum == 1) std::puts("");
}

}  // namespace

int main(int argc, char** argv) {
  const struct {
    const char* name;
    void (*run)();
  } parts[] = {{"write", Write}, {"crc", Crc},   {"time", Time},
               {"pack", Pack},   {"sync", Sync}, {"read", Read}};
  const std::string only = argc > 1 ? argv[1] : "";
  bool ran = false;
  for (const auto& part : parts) {
    if (!only.empty() && only != part.name) continue;
    std::printf("%s\n", part.name);
    part.run();
    ran = true;
  }
  return ran ? 0 : (std::fprintf(stderr, "log_bench [write|crc|time|pack|sync|read]\n"), 2);
}
