// What one table costs: build, get of present and absent keys, iteration, opening; for block sizes,
// filter bits and compressions. Memory VFS, 16-byte decimal keys in every second place, 100-byte
// values of which half compresses. Usage: table_bench [keys, default 1000000]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "table/table.h"
#include "util/epoch.h"
#include "vfs/vfs.h"

namespace {

using namespace kist;

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
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
      : setup_(setup), vfs_(NewMemoryVfs()), cache_(setup.cache_bytes, &epoch_) {
    std::mt19937_64 random(42);
    noise_.resize(1 << 20);
    for (char& c : noise_) c = static_cast<char>(random());
  }

  void Run(bool threads) {
    std::printf("compression=%s block=%u filter=%u cache=%zuMiB seq=%s map=%d\n",
                Name(setup_.compression), setup_.block_bytes, setup_.filter_bits,
                setup_.cache_bytes >> 20, setup_.zero_sequences ? "0" : "random", setup_.map);
    Build();
    Open();
    Scan("iterate, cold", true);
    Scan("iterate", true);
    Scan("iterate back", false);
    SeekTen();
    Get("get hit, first", 0, 1);
    Get("get hit", 0, 1);
    Get("get miss", 1, 1);
    if (threads) Get("get hit, 2 threads", 0, 2);
    std::printf("  %-22s %8.2f MiB cache, %llu evictions\n", "cache",
                cache_.used_bytes() / 1048576.0,
                static_cast<unsigned long long>(cache_.evictions()));
    table_ = RefPtr<Table>();
  }

 private:
  void Build() {
    auto file = vfs_->Open("/t.kst", OpenMode::kCreateOrTruncate);
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
    TableBuilder builder(options, file->get(), "/t.kst");
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
    auto file = vfs_->Open("/t.kst", OpenMode::kRead);
    Check(file.status());
    Table::OpenOptions options;
    options.cache = &cache_;
    options.map = setup_.map;
    const double start = Seconds();
    auto table = Table::Open(file.Take(), "/t.kst", options);
    Check(table.status());
    table_ = table.Take();
    std::printf("  %-22s %8.2f ms, %.2f MiB in memory\n", "open", (Seconds() - start) * 1e3,
                table_->memory_bytes() / 1048576.0);
  }

  void Scan(const char* what, bool forward) {
    auto it = table_->NewIterator(ReadContext());
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
  std::unique_ptr<Vfs> vfs_;
  Epoch epoch_;
  BlockCache cache_;
  RefPtr<Table> table_;
  std::string noise_;
};

}  // namespace

int main(int argc, char** argv) {
  Setup base;
  if (argc > 1) base.keys = std::strtoull(argv[1], nullptr, 10);
  Bench(base).Run(true);
  if (argc > 2) return 0;
  for (uint32_t block : {1024u, 2048u, 8192u, 16384u}) {
    Setup s = base;
    s.block_bytes = block;
    Bench(s).Run(false);
  }
  for (uint32_t bits : {0u, 8u, 16u}) {
    Setup s = base;
    s.filter_bits = bits;
    Bench(s).Run(false);
  }
  for (Compression c : {Compression::kSnappy, Compression::kAdaptive}) {
    Setup s = base;
    s.compression = c;
    Bench(s).Run(false);
    s.cache_bytes = size_t{16} << 20;
    Bench(s).Run(false);
  }
  Setup s = base;
  s.zero_sequences = false;
  Bench(s).Run(false);
  s.cache_bytes = 0;
  Bench(s).Run(false);
  s.map = true;
  Bench(s).Run(false);
  s.cache_bytes = base.cache_bytes;
  Bench(s).Run(false);
  return 0;
}
