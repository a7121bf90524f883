// Decision: a table's block size, filter bits and read mode.  table_bench [keys [variant]]
// A million 16-byte keys, 100-byte values, half compressible; file in the page cache; ns of the
// thread's CPU, the best tenth of chunks; 2 cores under load 12 (a read of memory took 155 to 280).
// Result:           get cached  absent  seek+10    next     compaction  build MB/s  bytes an entry
//   4 KiB, 10 bits  380 - 530   20-40   840 - 960  2.8      14          1360        121.9
//   1 KiB / 2 KiB   660 / 560           930 / 830  4.8/3.3  25 / 17     1300 / 1400 127.9 / 123.6
//   8 / 16 KiB      560 / 450           940 / 840  2.7      17 / 13     1480 / 1330 121.0 / 120.6
//   0 / 16 bits                 215/20                                  1860 / 1295 120.6 / 122.6
//   Snappy          470 - 520   35      890        2.9      47          838         66.0
//   own sequences   530         43      970        6.9      16          1270        125.9
//   mapped          810         50      1320       8        21          1190        121.9
// Missing a cache of 32 MiB: get raw 1560 - 1880, Snappy 2900; without one 1730, mapped 920 - 1220.
// Verdict: 4 KiB and 10 bits. Huge pages under cached blocks: 450 - 650 ns wall, without 1500 -
// 2600. Asking for the slot before the index search ends: -100 ns. Mapping where little is cached.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "table/table.h"
#include "util/epoch.h"
#include "vfs/vfs.h"

namespace {

using namespace kist;

// Of this thread's CPU: what others do on the machine costs it cache, not time.
double Seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
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

struct Setup {
  uint64_t keys = 1000000;
  Compression compression = Compression::kNone;
  uint32_t block_bytes = 4096;
  uint32_t filter_bits = 10;
  size_t cache_bytes = size_t{1} << 30;
  bool zero_sequences = true;
  bool map = false;
};

const char* Name(Compression c) {
  return c == Compression::kNone ? "none" : c == Compression::kSnappy ? "snappy" : "adaptive";
}

class Bench {
 public:
  explicit Bench(const Setup& setup)
      : setup_(setup),
        path_((std::filesystem::temp_directory_path() / "table_bench.kst").string()),
        cache_(setup.cache_bytes, &epoch_) {
    std::mt19937_64 random(42);
    noise_.resize(1 << 20);
    for (char& c : noise_) c = static_cast<char>(random());
  }

  ~Bench() {
    table_ = RefPtr<Table>();
    std::filesystem::remove(path_);
  }

  void Run(bool threads) {
    std::printf("compression=%s block=%u filter=%u cache=%zuMiB seq=%s map=%d\n",
                Name(setup_.compression), setup_.block_bytes, setup_.filter_bits,
                setup_.cache_bytes >> 20, setup_.zero_sequences ? "0" : "random", setup_.map);
    Build();
    Open();
    ReadContext compaction;
    compaction.fill_cache = false;
    compaction.readahead_bytes = size_t{256} << 10;
    Scan("iterate for compaction", true, compaction);
    Scan("iterate, cold", true, ReadContext());
    Scan("iterate", true, ReadContext());
    Scan("iterate back", false, ReadContext());
    SeekTen();
    Get("get hit, first", 0, 1);
    Get("get hit", 0, 1);
    Get("get miss", 1, 1);
    if (threads) Get("get hit, 2 threads", 0, 2);
    std::printf("  %-22s %8.2f MiB cache, %llu evictions\n", "cache",
                cache_.used_bytes() / 1048576.0,
                static_cast<unsigned long long>(cache_.evictions()));
  }

 private:
  void Build() {
    auto file = PosixVfs()->Open(path_, OpenMode::kCreateOrTruncate);
    Check(file.status());
    TableOptions options;
    options.table_id = 7;
    options.database_id = 9;
    options.compression = setup_.compression;
    options.block_bytes = setup_.block_bytes;
    options.filter_bits = setup_.filter_bits;
    std::vector<std::string> keys;
    for (uint64_t i = 0; i < setup_.keys; ++i) keys.push_back(KeyOf(2 * i));
    std::mt19937_64 random(1);
    const double start = Seconds();
    TableBuilder builder(options, file->get(), path_);
    std::string value(100, 'v');
    for (uint64_t i = 0; i < setup_.keys; ++i) {
      std::memcpy(value.data(), &noise_[i * 57 % (noise_.size() - 50)], 50);
      const Sequence seq = setup_.zero_sequences ? 0 : random() % setup_.keys;
      Check(builder.Add(keys[i], MakeTag(seq, EntryKind::kPut), value));
    }
    TableProperties properties;
    Check(builder.Finish(&properties));
    const double took = Seconds() - start;
    std::printf("  %-22s %8.1f MB/s of %.1f MB, file %.1f MB, %.2f bytes an entry\n", "build",
                setup_.keys * 116 / took / 1e6, setup_.keys * 116 / 1e6,
                properties.file_bytes / 1e6, double(properties.file_bytes) / setup_.keys);
  }

  void Open() {
    auto file = PosixVfs()->Open(path_, OpenMode::kRead);
    Check(file.status());
    Table::OpenOptions options;
    options.cache = &cache_;
    options.map = setup_.map;
    const double start = Seconds();
    auto table = Table::Open(file.Take(), path_, options);
    Check(table.status());
    table_ = table.Take();
    std::printf("  %-22s %8.2f ms, %.2f MiB in memory\n", "open", (Seconds() - start) * 1e3,
                table_->memory_bytes() / 1048576.0);
  }

  void Scan(const char* what, bool forward, const ReadContext& context) {
    auto it = table_->NewIterator(context);
    const double start = Seconds();
    uint64_t n = 0;
    uint64_t sum = 0;
    if (forward) {
      for (it->SeekToFirst(); it->valid(); it->Next()) ++n, sum += it->value().size();
    } else {
      for (it->SeekToLast(); it->valid(); it->Prev()) ++n, sum += it->value().size();
    }
    Check(it->status());
    const double took = Seconds() - start;
    std::printf("  %-22s %8.2f ns an entry (%llu)\n", what, took / n * 1e9,
                static_cast<unsigned long long>(sum / n));
  }

  void SeekTen() {
    auto it = table_->NewIterator(ReadContext());
    std::mt19937_64 random(3);
    const uint64_t n = 200000;
    std::vector<std::string> keys;
    for (uint64_t i = 0; i < n; ++i) keys.push_back(KeyOf(random() % (2 * setup_.keys)));
    const uint64_t chunk = 2000;
    uint64_t sum = 0;
    std::vector<double> chunks;
    for (uint64_t k = 0; k < n; k += chunk) {
      const double start = Seconds();
      for (uint64_t i = k; i < k + chunk; ++i) {
        it->Seek(keys[i], kMaxTag);
        for (int e = 0; e < 10 && it->valid(); ++e, it->Next()) sum += it->value().size();
      }
      chunks.push_back(Seconds() - start);
    }
    std::sort(chunks.begin(), chunks.end());
    std::printf("  %-22s %8.2f ns (%llu)\n", "seek and read 10",
                chunks[chunks.size() / 10] / chunk * 1e9, static_cast<unsigned long long>(sum / n));
  }

  void Get(const char* what, uint64_t odd, int threads) {
    const uint64_t n = 1000000;
    // The best tenth of chunks: neighbours on the machine disturb the others.
    const uint64_t chunk = 5000;
    std::vector<double> took(threads);
    auto work = [&](int t) {
      std::mt19937_64 random(t + 11);
      std::vector<std::string> keys;
      for (uint64_t i = 0; i < n; ++i) keys.push_back(KeyOf(random() % setup_.keys * 2 + odd));
      uint64_t hits = 0;
      std::vector<double> chunks;
      for (uint64_t k = 0; k < n; k += chunk) {
        const double start = Seconds();
        for (uint64_t i = k; i < k + chunk; ++i) {
          const std::string& key = keys[i];
          Epoch::Guard guard(epoch_);
          TableFound found;
          const Status status = table_->Get(key, HashKey(key), kMaxSequence, ReadContext(), &found);
          if (!status.ok()) Check(status);
          hits += found.found ? static_cast<uint8_t>(found.value[99]) == 'v' : 0;
        }
        chunks.push_back(Seconds() - start);
      }
      std::sort(chunks.begin(), chunks.end());
      took[t] = chunks[chunks.size() / 10] / chunk;
      if (hits != (odd ? 0 : n))
        std::printf("wrong: %llu\n", static_cast<unsigned long long>(hits));
    };
    std::vector<std::thread> running;
    for (int t = 1; t < threads; ++t) running.emplace_back(work, t);
    work(0);
    for (auto& r : running) r.join();
    std::printf("  %-22s %8.1f ns a get and thread\n", what,
                *std::max_element(took.begin(), took.end()) * 1e9);
  }

  const Setup setup_;
  const std::string path_;
  Epoch epoch_;
  BlockCache cache_;
  RefPtr<Table> table_;
  std::string noise_;
};

struct Variant {
  std::string name;
  Setup setup;
};

std::vector<Variant> Variants(uint64_t keys) {
  std::vector<Variant> all;
  const auto add = [&](const std::string& name, auto change) {
    Setup s;
    s.keys = keys;
    change(&s);
    all.push_back({name, s});
  };
  add("standard", [](Setup*) {});
  for (uint32_t block : {1024u, 2048u, 8192u, 16384u}) {
    add("block" + std::to_string(block), [&](Setup* s) { s->block_bytes = block; });
  }
  for (uint32_t bits : {0u, 8u, 16u}) {
    add("filter" + std::to_string(bits), [&](Setup* s) { s->filter_bits = bits; });
  }
  add("snappy", [](Setup* s) { s->compression = Compression::kSnappy; });
  add("snappy-misses", [](Setup* s) {
    s->compression = Compression::kSnappy;
    s->cache_bytes = size_t{32} << 20;
  });
  add("sequences", [](Setup* s) { s->zero_sequences = false; });
  add("misses", [](Setup* s) { s->cache_bytes = size_t{32} << 20; });
  add("uncached", [](Setup* s) { s->cache_bytes = 0; });
  add("mapped", [](Setup* s) { s->map = true; });
  add("mapped-uncached", [](Setup* s) {
    s->map = true;
    s->cache_bytes = 0;
  });
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t keys = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000000;
  const std::string wanted = argc > 2 ? argv[2] : "";
  for (const Variant& v : Variants(keys)) {
    if (!wanted.empty() && v.name != wanted) continue;
    std::printf("%s: ", v.name.c_str());
    Bench(v.setup).Run(v.name == "standard");
  }
  return 0;
}
