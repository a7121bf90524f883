// Decision: what a compaction's output is compressed with, and whether one compaction is split over
// threads.  compaction_bench [entries]
// Four sorted inputs with every fourth key each are merged into one table, by one thread or by two
// that take half the keys each. MB/s of keys and values by the clock on the wall, the best of
// three; CPU of all threads.
// Result, values of 100 bytes, 2 cores under load 20; by CPU, bytes an entry; by the wall 1 / 2:
//                  random         half alike    nearly alike
//   none           896   121.9    642   121.9   718   121.9
//   snappy         526   116.1    481    67.5   795    24.7
//   adaptive       755   121.9    502    67.5   849    24.7
//   split in two   518 / 529      420 / 492     789 / 1109
// Verdict: adaptive. What does not shrink by an eighth is stored raw, which costs a fifth of the
// time here and nothing at each read; where it shrinks it is Snappy. A compaction is not split:
// compactions of other levels and keyspaces run beside it (compaction_threads), and one thread
// merges as fast as one writer fills.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "iter/merging_iterator.h"
#include "table/table.h"
#include "util/epoch.h"
#include "vfs/vfs.h"

namespace {

using namespace kist;

constexpr uint64_t kInputs = 4;
constexpr size_t kValue = 100;

double Clock(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

void Check(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

std::string KeyOf(uint64_t i) {
  char buf[32];
  std::snprintf(buf, sizeof buf, "%016llu", static_cast<unsigned long long>(i));
  return std::string(buf, 16);
}

// How many bytes of a value repeat others.
struct Values {
  const char* name;
  size_t alike;
};

std::string PathOf(uint64_t number) {
  return (std::filesystem::temp_directory_path() / ("compaction_bench." + std::to_string(number)))
      .string();
}

class Bench {
 public:
  Bench(uint64_t entries, const Values& values) : entries_(entries) {
    std::mt19937_64 random(42);
    noise_.resize(1 << 20);
    for (char& c : noise_) c = static_cast<char>(random());
    for (uint64_t i = 0; i < kInputs; ++i) {
      auto file = PosixVfs()->Open(PathOf(i), OpenMode::kCreateOrTruncate);
      Check(file.status());
      TableOptions options;
      options.table_id = i + 1;
      options.database_id = 9;
      TableBuilder builder(options, file->get(), PathOf(i));
      std::string value(kValue, 'v');
      for (uint64_t k = i; k < entries_; k += kInputs) {
        std::memcpy(value.data(), &noise_[k * kValue % (noise_.size() - kValue)],
                    kValue - values.alike);
        Check(builder.Add(KeyOf(k), MakeTag(k + 1, EntryKind::kPut), value));
      }
      TableProperties properties;
      Check(builder.Finish(&properties));
    }
  }
  ~Bench() {
    for (uint64_t i = 0; i < kInputs + 2; ++i) std::filesystem::remove(PathOf(i));
  }

  void Run(const char* values, const char* name, Compression compression, int threads) {
    double wall = 1e9, cpu = 1e9;
    uint64_t bytes = 0;
    for (int round = 0; round < 3; ++round) {
      const double start = Clock(CLOCK_MONOTONIC), start_cpu = Clock(CLOCK_PROCESS_CPUTIME_ID);
      std::vector<uint64_t> sizes(threads);
      std::vector<std::thread> running;
      const auto part = [&](int t) {
        sizes[t] =
            Merge(kInputs + t, compression, entries_ * t / threads, entries_ * (t + 1) / threads);
      };
      for (int t = 1; t < threads; ++t) running.emplace_back(part, t);
      part(0);
      for (auto& r : running) r.join();
      wall = std::min(wall, Clock(CLOCK_MONOTONIC) - start);
      cpu = std::min(cpu, Clock(CLOCK_PROCESS_CPUTIME_ID) - start_cpu);
      bytes = 0;
      for (uint64_t s : sizes) bytes += s;
    }
    const double mb = static_cast<double>(entries_ * (16 + kValue)) / 1e6;
    std::printf("%-16s %-9s %d thread%s %7.0f MB/s, %7.0f by CPU, %6.1f bytes an entry\n", values,
                name, threads, threads == 1 ? " " : "s", mb / wall, mb / cpu,
                static_cast<double>(bytes) / static_cast<double>(entries_));
  }

 private:
  // Entries [from, to) of all inputs into table `number`; its bytes.
  uint64_t Merge(uint64_t number, Compression compression, uint64_t from, uint64_t to) {
    Epoch epoch;
    ReadContext context;
    context.fill_cache = false;
    context.readahead_bytes = size_t{256} << 10;
    std::vector<std::unique_ptr<InternalIterator>> sources;
    for (uint64_t i = 0; i < kInputs; ++i) {
      auto file = PosixVfs()->Open(PathOf(i), OpenMode::kRead);
      Check(file.status());
      auto table = Table::Open(file.Take(), PathOf(i), Table::OpenOptions());
      Check(table.status());
      sources.push_back((*table)->NewIterator(context));
    }
    auto merged = NewMergingIterator(std::move(sources));
    auto file = PosixVfs()->Open(PathOf(number), OpenMode::kCreateOrTruncate);
    Check(file.status());
    TableOptions options;
    options.table_id = number + 1;
    options.database_id = 9;
    options.compression = compression;
    TableBuilder builder(options, file->get(), PathOf(number));
    const std::string end = KeyOf(to);
    for (merged->Seek(KeyOf(from), kMaxTag); merged->valid() && merged->key() < Slice(end);
         merged->Next()) {
      Check(builder.Add(merged->key(), MakeTag(0, EntryKind::kPut), merged->value()));
    }
    Check(merged->status());
    TableProperties properties;
    Check(builder.Finish(&properties));
    return properties.file_bytes;
  }

  const uint64_t entries_;
  std::string noise_;
};

}  // namespace

int main(int argc, char** argv) {
  const uint64_t entries = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000000;
  for (const Values& v :
       {Values{"random", 0}, Values{"half alike", 50}, Values{"nearly alike", 90}}) {
    Bench bench(entries, v);
    bench.Run(v.name, "none", Compression::kNone, 1);
    bench.Run(v.name, "snappy", Compression::kSnappy, 1);
    bench.Run(v.name, "adaptive", Compression::kAdaptive, 1);
    bench.Run(v.name, "adaptive", Compression::kAdaptive, 2);
  }
  return 0;
}
