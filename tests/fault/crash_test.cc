// Crash-state enumeration over the whole engine: each workload runs on a recording file system, and
// states of the disk that a crash could leave are opened and judged (support/crash_harness.h), the
// crashes of recoveries among them (crash.py runs the workloads side by side).
// KIST_CRASH_STATES: distinct states of each workload; KIST_CRASH_DEPTH: how often a recovery is
// crashed; KIST_CRASH_SCALE: so many times longer workloads, and more subsets of what was on its
// way to the disk.
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "support/crash_harness.h"

namespace kist::test {
namespace {

uint64_t Environment(const char* name, uint64_t otherwise) {
  const char* v = std::getenv(name);
  return v != nullptr ? std::strtoull(v, nullptr, 10) : otherwise;
}

std::string K(uint64_t i) { return "key" + std::to_string(1000 + i); }
std::string V(uint64_t i, size_t n = 40) {
  std::string v = "value" + std::to_string(i) + "-";
  while (v.size() < n) v += static_cast<char>('a' + (i + v.size()) % 26);
  return v;
}

uint64_t Scale() {
  static const uint64_t scale = Environment("KIST_CRASH_SCALE", 1);
  return scale;
}

void Judge(CrashHarness* h, const char* name) {
  CrashHarness::Limits limits;
  limits.states = Environment("KIST_CRASH_STATES", 1400);
  limits.depth = static_cast<int>(Environment("KIST_CRASH_DEPTH", 3));
  limits.random_subsets = Scale() > 1 ? 24 : 4;
  limits.garbage = Scale() > 1;
  limits.seed = Environment("KIST_SEED", 1);
  const CrashHarness::Report r = h->Judge(limits);
  std::printf("%s: %llu states (by crashes:", name, static_cast<unsigned long long>(r.all));
  for (const uint64_t n : r.states) std::printf(" %llu", static_cast<unsigned long long>(n));
  std::printf("), %llu violations\n", static_cast<unsigned long long>(r.violations));
  if (r.violations != 0) fail_msg("%s", r.first.c_str());
  assert_true(r.all > 0);
}

constexpr Durability kSync = Durability::kSync;
constexpr Durability kOs = Durability::kOs;
constexpr Durability kBuffered = Durability::kBuffered;

void crash__synced_puts(void**) {
  CrashHarness h("synced puts", "");
  for (uint64_t i = 0; i < 40 * Scale(); ++i) h.Put("default", K(i % 15), V(i), kSync);
  Judge(&h, "synced puts");
}

void crash__mixed_durability(void**) {
  CrashHarness h("mixed durability", "sync=never");
  for (uint64_t i = 0; i < 60 * Scale(); ++i)
    h.Put("default", K(i % 20), V(i), i % 7 == 0 ? kSync : i % 3 == 0 ? kBuffered : kOs);
  h.Sync();
  for (uint64_t i = 0; i < 10; ++i) h.Delete("default", K(i), i % 2 == 0 ? kBuffered : kOs);
  Judge(&h, "mixed durability");
}

// Buffered commits between others, over segment switches: what survives is a prefix all the same.
void crash__mixed_durability_over_segments(void**) {
  CrashHarness h("mixed durability over segments",
                 "sync=never; write_buffer_size=64KiB; write_back_interval=1h");
  for (uint64_t i = 0; i < 60; ++i)
    h.Put("default", K(i % 20), V(i, 4000), i % 11 == 10 ? kSync : i % 4 == 0 ? kOs : kBuffered);
  Judge(&h, "mixed durability over segments");
}

void crash__eight_threads(void**) {
  CrashHarness h("eight threads", "");
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 8; ++t) {
    threads.emplace_back([&h, t] {
      for (uint64_t i = 0; i < 8 * Scale(); ++i)
        h.Put("default", K(t * 100 + i % 4), V(t * 1000 + i), i % 3 == 0 ? kOs : kSync);
    });
  }
  for (auto& t : threads) t.join();
  Judge(&h, "eight threads");
}

void crash__overwrite_delete_flush(void**) {
  CrashHarness h("overwrite, delete, flush", "");
  for (uint64_t i = 0; i < 60 * Scale(); ++i) {
    if (i % 5 == 4) {
      h.Delete("default", K(i % 12), i % 2 == 0 ? kSync : kOs);
    } else {
      h.Put("default", K(i % 12), V(i), i % 2 == 0 ? kSync : kOs);
    }
    if (i % 15 == 14) assert_true(h.db()->Flush().ok());
  }
  Judge(&h, "overwrite, delete, flush");
}

void crash__range_deletes_compaction(void**) {
  CrashHarness h("range deletes, compaction", "compaction=manual");
  for (uint64_t round = 0; round < 4 * Scale(); ++round) {
    for (uint64_t i = 0; i < 14; ++i) h.Put("default", K(i), V(round * 100 + i), kOs);
    h.DeleteRange("default", K(round * 2 % 14), K(round * 2 % 14 + 4), kSync);
    assert_true(h.db()->Flush().ok());
    if (round % 2 == 1)
      assert_true(h.db()->Compact(h.Ks("default").get(), Slice(), Slice(), JobControl()).ok());
  }
  Judge(&h, "range deletes, compaction");
}

void crash__background_compaction(void**) {
  CrashHarness h("background compaction", "sync=never; target_file_size=64KiB");
  for (uint64_t i = 0; i < 48 * Scale(); ++i) {
    h.Put("default", K(i % 17), V(i, 200), kOs);
    if (i % 6 == 5) assert_true(h.db()->Flush().ok());
  }
  assert_true(h.db()->WaitIdle(-1).ok());
  h.Sync();
  Judge(&h, "background compaction");
}

void crash__several_keyspaces(void**) {
  CrashHarness h("several keyspaces", "");
  h.CreateKeyspace("one");
  h.CreateKeyspace("two");
  for (uint64_t i = 0; i < 24 * Scale(); ++i) {
    const Durability d = i % 3 == 0 ? kSync : kOs;
    h.Batch({{Change::kPut, "default", K(i % 7), V(i)},
             {Change::kPut, "one", K(i % 5), V(i + 1)},
             {Change::kDelete, "two", K(i % 3), ""},
             {Change::kPut, "two", K(i % 3 + 1), V(i + 2)}},
            d);
    if (i % 24 == 10) assert_true(h.db()->Flush().ok());
    if (i % 24 == 14) {
      h.DropKeyspace("one");
      h.CreateKeyspace("one");
    }
  }
  assert_true(h.db()->Flush().ok());
  Judge(&h, "several keyspaces");
}

void crash__batches(void**) {
  CrashHarness h("batches", "sync=every_n:4");
  for (uint64_t i = 0; i < 20 * Scale(); ++i) {
    std::vector<Change> changes;
    for (uint64_t j = 0; j < 10; ++j)
      changes.push_back({Change::kPut, "default", K(i * 3 % 60 + j), V(i * 10 + j)});
    changes.push_back({Change::kDeleteRange, "default", K(i % 20), K(i % 20 + 3)});
    changes.push_back({Change::kPut, "default", K(i % 20 + 1), V(i)});
    h.Batch(changes, i % 4 == 1 ? kSync : Durability::kDefault);
  }
  Judge(&h, "batches");
}

void crash__snapshots_over_compaction(void**) {
  CrashHarness h("snapshots over compaction", "compaction=manual");
  std::vector<std::unique_ptr<Snapshot>> snapshots;
  for (uint64_t round = 0; round < 4 * Scale(); ++round) {
    for (uint64_t i = 0; i < 10; ++i)
      h.Put("default", K(i), V(round * 100 + i), i == 9 ? kSync : kOs);
    snapshots.push_back(h.db()->NewSnapshot().Take());
    assert_true(h.db()->Compact(h.Ks("default").get(), Slice(), Slice(), JobControl()).ok());
    if (round % 3 == 2) snapshots.erase(snapshots.begin());
  }
  snapshots.clear();
  Judge(&h, "snapshots over compaction");
}

void crash__transactions(void**) {
  CrashHarness h("transactions", "");
  h.CreateKeyspace("one");
  for (uint64_t i = 0; i < 24 * Scale(); ++i) {
    std::vector<Change> changes = {{Change::kPut, "default", K(i % 9), V(i)},
                                   {Change::kPut, "one", K(i % 7), V(i + 1)},
                                   {Change::kDelete, "default", K((i + 4) % 9), ""}};
    if (i % 5 == 2) changes.push_back({Change::kDeleteRange, "one", K(i % 7 + 1), K(i % 7 + 3)});
    h.Transaction(changes, i % 3 == 0 ? kSync : i % 3 == 1 ? kOs : kBuffered);
    if (i % 4 == 3) h.Put("default", K(i % 11), V(i), kOs);
    if (i % 12 == 11) assert_true(h.db()->Flush().ok());
  }
  Judge(&h, "transactions");
}

// Every third lives for an hour, every fifth for a second, which has passed when it is compacted.
void crash__ttl(void**) {
  CrashHarness h("ttl", "compaction=manual");
  for (uint64_t i = 0; i < 24 * Scale(); ++i) {
    const int64_t ttl_ms = i % 3 == 0 ? 3600 * 1000 : i % 5 == 0 ? 1000 : 0;
    h.Put("default", K(i % 9), V(i), i % 2 == 0 ? kSync : kOs, ttl_ms);
    if (i % 8 == 7) {
      assert_true(h.db()->Flush().ok());
      if (i < 400) h.AdvanceMs(1001);
    }
    if (i % 16 == 15)
      assert_true(h.db()->Compact(h.Ks("default").get(), Slice(), Slice(), JobControl()).ok());
  }
  Judge(&h, "ttl");
}

void crash__reopening(void**) {
  CrashHarness h("reopening", "");
  for (uint64_t i = 0; i < 60 * Scale(); ++i) {
    h.Put("default", K(i % 13), V(i), i % 3 == 0 ? kSync : kOs);
    if (i % 20 == 19) h.Reopen();
  }
  h.Put("default", "last", "one", kSync);
  Judge(&h, "reopening");
}

void crash__batches_larger_than_a_memtable(void**) {
  CrashHarness h("batches larger than a memtable", "write_buffer_size=64KiB");
  for (uint64_t i = 0; i < 4 * Scale(); ++i) {
    std::vector<Change> changes;
    for (uint64_t j = 0; j < 20; ++j)
      changes.push_back({Change::kPut, "default", K(i % 4 * 10 + j), V(i * 100 + j, 5000)});
    h.Batch(changes, i % 2 == 0 ? kSync : kOs);
  }
  Judge(&h, "batches larger than a memtable");
}

void crash__values_larger_than_a_segment(void**) {
  CrashHarness h("values larger than a segment",
                 "write_buffer_size=64KiB; wal_preallocate=true; compression=none");
  for (uint64_t i = 0; i < Scale(); ++i) {
    h.Put("default", K(1), V(i + 1, 1500000), kSync);
    h.Put("default", K(2), V(i + 2, 100), kOs);
    h.Put("default", K(1), V(i + 3, 1300000), kOs);
    h.Put("default", K(3), V(i + 4, 100), kSync);
  }
  Judge(&h, "values larger than a segment");
}

void crash__write_back(void**) {
  CrashHarness h(
      "write-back",
      "write_back=true; write_back_size=4KiB; write_back_interval=1h; wal_compression=snappy");
  for (uint64_t i = 0; i < 60 * Scale(); ++i)
    h.Put("default", K(i % 21), V(i, 300), i % 20 == 19 ? kSync : Durability::kDefault);
  h.Close();
  h.Open();
  h.Put("default", K(1), V(99), Durability::kDefault);
  Judge(&h, "write-back");
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  // Each state's memory comes and goes: keep it.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  const CMUnitTest tests[] = {
      cmocka_unit_test(crash__synced_puts),
      cmocka_unit_test(crash__mixed_durability),
      cmocka_unit_test(crash__mixed_durability_over_segments),
      cmocka_unit_test(crash__eight_threads),
      cmocka_unit_test(crash__overwrite_delete_flush),
      cmocka_unit_test(crash__range_deletes_compaction),
      cmocka_unit_test(crash__background_compaction),
      cmocka_unit_test(crash__several_keyspaces),
      cmocka_unit_test(crash__batches),
      cmocka_unit_test(crash__snapshots_over_compaction),
      cmocka_unit_test(crash__transactions),
      cmocka_unit_test(crash__ttl),
      cmocka_unit_test(crash__reopening),
      cmocka_unit_test(crash__batches_larger_than_a_memtable),
      cmocka_unit_test(crash__values_larger_than_a_segment),
      cmocka_unit_test(crash__write_back),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
