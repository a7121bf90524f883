// What copies cost, through kist.h alone: kist_bench_copies DIRECTORY [seconds [MiB [ranges]]]
//   stream      a paced load of 20 MB/s in slices without and with a stream, in turns of so many
//               seconds: what a put costs in both, and how far the target lags behind (sampled).
//               KIST_BENCH_TARGET names a target that is not on the database's disk
//   checkpoint  milliseconds beside that load
//   restore     MiB of log in a target, from the first object to the verified database. With
//               ranges: shipped in so many, as a day of a database that is written slowly leaves
//               them (86,400 at the default interval), and to a time in the middle too
// The figures are printed, one a line; nothing is judged. Threads: the writer is the main one; a
// second samples the lag, a third makes checkpoints.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "kist/kist.h"
#include "measure.h"

namespace {

using kist::bench::NowNs;

constexpr double kBytesPerSecond = 20e6;
constexpr size_t kValueBytes = 1000;
constexpr int kSlice = 64;
thread_local kist_err err = KIST_ERR_INIT;

void Must(kist_rc rc, const char* what) {
  if (rc >= 0) return;
  std::fprintf(stderr, "%s: %s\n", what, err.message);
  std::exit(1);
}

uint64_t CpuNs(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

double Median(std::vector<double> v) {
  if (v.empty()) return 0;
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

int64_t WallMs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

// Of the writing thread, per put. A slice is 64 puts; what its waits between slices cost counts
// nowhere.
struct Cost {
  double wall_us, slice_us, cpu_us;  // mean, median of the slices, processor time
  double all_cpu;                    // of the whole process, in processors
};

class Load {
 public:
  explicit Load(kist_db* db) : db_(db), value_(kValueBytes, 'v') {
    for (size_t i = 0; i < value_.size(); ++i) value_[i] = static_cast<char>(i * 7919 >> 3);
  }
  // Puts at the pace for so long; pace 0: as fast as it goes, until `puts` are made.
  Cost Run(double seconds, double bytes_per_second, uint64_t puts) {
    const uint64_t start = NowNs(), process = CpuNs(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t made = 0, wall = 0, cpu = 0;
    std::vector<double> slices;
    for (;;) {
      const double elapsed = static_cast<double>(NowNs() - start) / 1e9;
      if (bytes_per_second > 0 ? elapsed >= seconds : made >= puts) break;
      const double due = elapsed * bytes_per_second / static_cast<double>(kValueBytes);
      if (bytes_per_second > 0 && static_cast<double>(made) >= due) {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        continue;
      }
      const uint64_t w = NowNs(), c = CpuNs(CLOCK_THREAD_CPUTIME_ID);
      for (int i = 0; i < kSlice; ++i) Put();
      const uint64_t took = NowNs() - w;
      cpu += CpuNs(CLOCK_THREAD_CPUTIME_ID) - c;
      wall += took;
      slices.push_back(static_cast<double>(took) / 1e3 / kSlice);
      made += kSlice;
    }
    const auto n = static_cast<double>(made) * 1e3;
    return {static_cast<double>(wall) / n, Median(std::move(slices)), static_cast<double>(cpu) / n,
            static_cast<double>(CpuNs(CLOCK_PROCESS_CPUTIME_ID) - process) /
                static_cast<double>(NowNs() - start)};
  }

 private:
  void Put() {
    char key[24];
    const int n = std::snprintf(key, sizeof key, "key%012llu",
                                static_cast<unsigned long long>(next_++ * 7919 % 1000003));
    Must(kist_put(kist_default(db_), nullptr, key, static_cast<size_t>(n), value_.data(),
                  value_.size(), &err),
         "put");
  }
  kist_db* const db_;
  std::string value_;
  uint64_t next_ = 0;
};

kist_db* OpenAt(const std::string& path) {
  kist_options* options = nullptr;
  kist_db* db = nullptr;
  Must(kist_options_new(&options), "options");
  Must(kist_options_parse(options, "sync=interval:100ms; memory_budget=256MiB", &err), "options");
  Must(kist_open(path.c_str(), options, &db, &err), "open");
  kist_options_free(options);
  return db;
}

// What two runs of the load cost, as ratios: the median of all pairs, and the middle half of them.
class Ratios {
 public:
  explicit Ratios(const char* what) : what_(what) {}
  void Add(const Cost& a, const Cost& b) {
    wall_.push_back(b.wall_us / a.wall_us);
    slice_.push_back(b.slice_us / a.slice_us);
    cpu_.push_back(b.cpu_us / a.cpu_us);
  }
  void Print() {
    std::printf("%s: a put %s wall, %s median wall, %s cpu\n", what_, Text(&wall_).c_str(),
                Text(&slice_).c_str(), Text(&cpu_).c_str());
  }

 private:
  static std::string Text(std::vector<double>* v) {
    std::sort(v->begin(), v->end());
    char text[64];
    const auto percent = [&](size_t part) { return ((*v)[v->size() * part / 4] - 1) * 100; };
    std::snprintf(text, sizeof text, "%+.1f %% (%+.1f..%+.1f)", percent(2), percent(1), percent(3));
    return text;
  }
  const char* const what_;
  std::vector<double> wall_, slice_, cpu_;
};

Cost Mean(const Cost& a, const Cost& b) {
  return {(a.wall_us + b.wall_us) / 2, (a.slice_us + b.slice_us) / 2, (a.cpu_us + b.cpu_us) / 2,
          (a.all_cpu + b.all_cpu) / 2};
}

// Each round: without, with, with, without. What the machine and the age of the database do to the
// figures meets both sides alike; how much that is, the two runs without say of each other.
void MeasureCost(kist_db* db, Load* load, const std::string& target, double seconds, int rounds) {
  Ratios cost("stream: with one"), noise("stream: noise, two runs without");
  std::vector<double> lag, cpu;
  for (int round = 0; round < rounds; ++round) {
    const Cost before = load->Run(seconds, kBytesPerSecond, 0);
    kist_stream* stream = nullptr;
    Must(kist_stream_start(db, target.c_str(), nullptr, &stream, &err), "stream");
    Must(kist_stream_wait(stream, kist_last_seq(db), -1, &err), "first base");
    std::atomic<bool> stop{false};
    std::thread sampler([&] {
      while (!stop.load()) {
        kist_stream_info info = KIST_STREAM_INFO_INIT;
        Must(kist_stream_status(stream, &info, &err), "status");
        lag.push_back(static_cast<double>(info.lag_ms));
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    });
    const Cost with = load->Run(seconds * 2, kBytesPerSecond, 0);
    stop.store(true);
    sampler.join();
    Must(kist_stream_stop(stream, -1, &err), "stop");
    const Cost after = load->Run(seconds, kBytesPerSecond, 0);
    cost.Add(Mean(before, after), with);
    noise.Add(before, after);
    cpu.push_back(with.all_cpu - Mean(before, after).all_cpu);
    if (round == 0 || round + 1 == rounds) {
      std::printf("  round %d: a put %.2f us, %.2f median, cpu %.2f; with %.2f, %.2f, cpu %.2f\n",
                  round, before.wall_us, before.slice_us, before.cpu_us, with.wall_us,
                  with.slice_us, with.cpu_us);
    }
  }
  cost.Print();
  noise.Print();
  std::sort(lag.begin(), lag.end());
  std::printf("stream: lag %.0f ms median, %.0f ms p99, %.0f ms max; %.0f %% of a processor\n",
              lag[lag.size() / 2], lag[lag.size() * 99 / 100], lag.back(), Median(cpu) * 100);
}

void MeasureCheckpoints(kist_db* db, Load* load, const std::string& dir, double seconds) {
  std::vector<double> made;
  std::atomic<bool> stop{false};
  std::thread copier([&] {
    for (int i = 0; !stop.load(); ++i) {
      const std::string copy = dir + "/copy" + std::to_string(i);
      const uint64_t start = NowNs();
      Must(kist_checkpoint(db, copy.c_str(), &err), "checkpoint");
      made.push_back(static_cast<double>(NowNs() - start) / 1e6);
      std::filesystem::remove_all(copy);
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  });
  load->Run(seconds, kBytesPerSecond, 0);
  stop.store(true);
  copier.join();
  std::sort(made.begin(), made.end());
  std::printf("checkpoint: %.1f ms median, %.1f ms max of %zu\n", made[made.size() / 2],
              made.back(), made.size());
}

void MeasureStream(const std::string& dir, double seconds, const std::string& target) {
  kist_db* db = OpenAt(dir + "/db");
  Load load(db);
  load.Run(4, kBytesPerSecond, 0);  // past the first flush
  MeasureCost(db, &load, target, seconds, 20);
  MeasureCheckpoints(db, &load, dir, 6);
  Must(kist_close(db, KIST_CLOSE_STRICT, &err), "close");
}

struct Restored {
  double seconds = 0;
  uint64_t seq = 0;
};

Restored RestoreAt(const std::string& target, const std::string& copy, int64_t time_ms) {
  kist_restore_options point = KIST_RESTORE_OPTIONS_INIT;
  point.to_time_ms = time_ms;
  Restored r;
  const uint64_t start = NowNs();
  Must(kist_restore(target.c_str(), copy.c_str(), &point, nullptr, &r.seq, &err), "restore");
  r.seconds = static_cast<double>(NowNs() - start) / 1e9;
  return r;
}

// A stream's first base copies are small, so that nearly all is restored from log.
void MeasureRestore(const std::string& dir, uint64_t mib, uint64_t ranges) {
  kist_db* db = OpenAt(dir + "/day");
  kist_stream* stream = nullptr;
  kist_options* options = nullptr;
  Must(kist_options_new(&options), "options");
  Must(kist_options_parse(options, "stream_base_percent=10000", &err), "options");
  const std::string target = dir + "/day.target", copy = dir + "/day.copy";
  Must(kist_stream_start(db, target.c_str(), options, &stream, &err), "stream");
  kist_options_free(options);
  Load load(db);
  const uint64_t from = NowNs(), puts = (mib << 20) / kValueBytes;
  int64_t half_ms = 0;
  for (uint64_t i = 0, made = 0; i < ranges; ++i) {
    const uint64_t until = puts * (i + 1) / ranges;
    load.Run(0, 0, until - made);
    made = until;
    if (ranges > 1) Must(kist_stream_wait(stream, kist_last_seq(db), -1, &err), "wait");
    if (i == ranges / 2) half_ms = WallMs();
  }
  Must(kist_stream_stop(stream, -1, &err), "stop");
  const double shipped = static_cast<double>(NowNs() - from) / 1e9;
  const uint64_t last = kist_last_seq(db);
  Must(kist_close(db, KIST_CLOSE_STRICT, &err), "close");
  uint64_t bytes = 0, objects = 0;
  for (const auto& e : std::filesystem::recursive_directory_iterator(target)) {
    if (!e.is_regular_file()) continue;
    bytes += e.file_size();
    ++objects;
  }
  const Restored r = RestoreAt(target, copy, 0);
  const double mb = static_cast<double>(bytes) / 1e6;
  std::printf("ship: %.0f MB, %.0f MB/s with the writing\n", mb, mb / shipped);
  std::printf(
      "restore: %.0f MB in %llu objects in %.2f s, %.0f MB/s, fetched, replayed, verified%s\n", mb,
      static_cast<unsigned long long>(objects), r.seconds, mb / r.seconds,
      r.seq == last ? "" : "; NOT THE NEWEST COMMIT");
  if (ranges < 2) return;
  std::filesystem::remove_all(copy);
  const Restored half = RestoreAt(target, copy, half_ms);
  const double part = static_cast<double>(half.seq) / static_cast<double>(last);
  std::printf("restore: to a time in the middle, %.0f %% of the commits, in %.2f s, %.0f MB/s\n",
              part * 100, half.seconds, mb * part / half.seconds);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "kist_bench_copies DIRECTORY [seconds [MiB [ranges]]]\n");
    return 2;
  }
  const std::string dir = std::string(argv[1]) + "/kist_bench_copies";
  const double seconds = argc > 2 ? std::atof(argv[2]) : 1;
  const uint64_t mib = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 2048;
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  const char* elsewhere = std::getenv("KIST_BENCH_TARGET");
  if (seconds > 0) MeasureStream(dir, seconds, elsewhere != nullptr ? elsewhere : dir + "/target");
  const uint64_t ranges = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 1;
  if (mib > 0) MeasureRestore(dir, mib, ranges);
  std::filesystem::remove_all(dir);
  return 0;
}
