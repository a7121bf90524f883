// Decision: in which order a get looks at tables that overlap (level 0).
//   order_bench [keys [tables]]
// Tables of one size, each with an equal share of what was put, at random, over all keys.
// ns of the thread's CPU a get, blocks cached, the best tenth of chunks, for any key, keys of the
// newest table and absent ones; in brackets tables whose blocks were looked at.
// Result, a million puts, 8 tables:         any key      newest table's   absent
//   newest first, to the first hit           478 (1.03)   256 (1.00)       152 (0.08)
//   oldest first, all of them               1011 (1.58)   877 (1.93)       166 (0.08)
//   newest first, filters asked for ahead    512 (1.03)   284 (1.00)       158 (0.08)
// Verdict: newest first, to the first hit. What a workload wrote last it reads more often, and the
// rest is kept off by filters. Their lines need not be asked for: the processor goes on to the next
// table by itself, as a filter mostly says no. Deeper levels hold a key once and are ordered by it.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "table/table.h"
#include "util/epoch.h"
#include "vfs/vfs.h"

namespace {

using namespace kist;

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

// Every even number below is a key that may be there, every odd one is absent.
class Bench {
 public:
  Bench(uint64_t keys, size_t tables) : cache_(size_t{1} << 31, &epoch_) {
    std::mt19937_64 random(42);
    newest_.assign(keys, 0);
    for (size_t t = 0; t < tables; ++t) {
      std::set<uint64_t> put;
      while (put.size() < keys / tables) put.insert(random() % keys);
      for (uint64_t k : put) newest_[k] = t + 1;
      Build(t + 1, put);
      if (t + 1 == tables) recent_.assign(put.begin(), put.end());
    }
    for (uint64_t k = 0; k < keys; ++k) {
      if (newest_[k] != 0) held_.push_back(k);
    }
  }

  ~Bench() {
    tables_.clear();
    for (const std::string& path : paths_) std::filesystem::remove(path);
  }

  void Run() {
    std::printf("  %-34s %16s %16s %16s\n", "", "any key", "newest table's", "absent");
    const char* names[] = {"newest first, to the first hit", "oldest first, all of them",
                           "newest first, filters asked for ahead"};
    for (int order = 0; order < 3; ++order) {
      std::printf("  %-34s", names[order]);
      Get(order, held_, false);
      Get(order, recent_, false);
      Get(order, held_, true);
      std::printf("\n");
    }
  }

 private:
  // All entries of table t have sequence t.
  void Build(uint64_t t, const std::set<uint64_t>& put) {
    paths_.push_back(
        (std::filesystem::temp_directory_path() / ("order_bench." + std::to_string(t) + ".kst"))
            .string());
    auto file = PosixVfs()->Open(paths_.back(), OpenMode::kCreateOrTruncate);
    Check(file.status());
    TableOptions options;
    options.table_id = t;
    options.database_id = 9;
    TableBuilder builder(options, file->get(), paths_.back());
    for (uint64_t k : put) {
      Check(builder.Add(KeyOf(2 * k), MakeTag(t, EntryKind::kPut), std::string(100, 'v')));
    }
    TableProperties properties;
    Check(builder.Finish(&properties));
    auto read = PosixVfs()->Open(paths_.back(), OpenMode::kRead);
    Check(read.status());
    Table::OpenOptions open;
    open.cache = &cache_;
    auto table = Table::Open(read.Take(), paths_.back(), open);
    Check(table.status());
    tables_.push_back(table.Take());
  }

  // The sequence of the newest version, 0: none.
  uint64_t Look(int order, const std::string& key) {
    const uint64_t hash = HashKey(key);
    const size_t n = tables_.size();
    uint64_t newest = 0;
    if (order == 2) {
      for (const auto& table : tables_) table->Prefetch(hash);
    }
    for (size_t i = 0; i < n; ++i) {
      const size_t at = order == 1 ? i : n - 1 - i;
      TableFound found;
      Check(tables_[at]->Get(key, hash, kMaxSequence, ReadContext(), &found));
      if (!found.filtered) ++looked_;
      if (!found.found) continue;
      newest = std::max<uint64_t>(newest, TagSequence(found.tag));
      if (order != 1) return newest;
    }
    return newest;
  }

  void Get(int order, const std::vector<uint64_t>& from, bool absent) {
    constexpr uint64_t kGets = 400000;
    constexpr uint64_t kChunk = 4000;
    std::mt19937_64 random(7);
    std::vector<std::string> keys;
    std::vector<uint64_t> wanted;
    for (uint64_t i = 0; i < kGets; ++i) {
      const uint64_t k = from[random() % from.size()];
      keys.push_back(KeyOf(2 * k + (absent ? 1 : 0)));
      wanted.push_back(absent ? 0 : newest_[k]);
    }
    std::vector<double> chunks;
    looked_ = 0;
    uint64_t wrong = 0;
    for (uint64_t c = 0; c < kGets; c += kChunk) {
      const double start = Seconds();
      for (uint64_t i = c; i < c + kChunk; ++i) {
        Epoch::Guard guard(epoch_);
        wrong += Look(order, keys[i]) != wanted[i] ? 1 : 0;
      }
      chunks.push_back(Seconds() - start);
    }
    std::sort(chunks.begin(), chunks.end());
    if (wrong != 0) std::printf(" WRONG: %llu", static_cast<unsigned long long>(wrong));
    std::printf("   %6.0f ns (%.2f)", chunks[chunks.size() / 10] / kChunk * 1e9,
                static_cast<double>(looked_) / kGets);
  }

  Epoch epoch_;
  BlockCache cache_;
  std::vector<std::string> paths_;
  std::vector<RefPtr<Table>> tables_;  // oldest first
  std::vector<uint64_t> newest_;       // by key: the number of the newest table that holds it
  std::vector<uint64_t> held_;
  std::vector<uint64_t> recent_;
  uint64_t looked_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const uint64_t keys = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000000;
  const size_t tables = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 8;
  if (keys < 1000 || tables < 1 || tables > keys / 100) {
    std::fprintf(stderr, "order_bench [keys, 1000 or more [tables, at most a hundredth of it]]\n");
    return 2;
  }
  Bench(keys, tables).Run();
  return 0;
}
