// Crash-state enumeration over the whole engine: each workload runs on a recording file system, and
// every state of the disk that a crash could leave is opened and judged (support/crash_harness.h).
// KIST_CRASH_STATES sets how many states of each workload are judged, KIST_CRASH_DEEPER how many of
// them are crashed again while they recover, KIST_CRASH_DEPTH how often.
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

void Judge(CrashHarness* h, const char* name) {
  CrashHarness::Limits limits;
  limits.states = Environment("KIST_CRASH_STATES", 1200);
  limits.deeper = Environment("KIST_CRASH_DEEPER", 2);
  limits.depth = static_cast<int>(Environment("KIST_CRASH_DEPTH", 2));
  limits.seed = Environment("KIST_SEED", 1);
  const CrashHarness::Report r = h->Judge(limits);
  std::printf("%s: %llu states, %llu of crashed recoveries, %llu violations\n", name,
              static_cast<unsigned long long>(r.states),
              static_cast<unsigned long long>(r.deeper_states),
              static_cast<unsigned long long>(r.violations));
  if (r.violations != 0) fail_msg("%s", r.first.c_str());
  assert_true(r.states > 0);
}

constexpr Durability kSync = Durability::kSync;
constexpr Durability kOs = Durability::kOs;
constexpr Durability kBuffered = Durability::kBuffered;

void crash__synced_puts(void**) {
  CrashHarness h("synced puts", "");
  for (uint64_t i = 0; i < 40; ++i) h.Put("default", K(i % 15), V(i), kSync);
  Judge(&h, "synced puts");
}

void crash__mixed_durability(void**) {
  CrashHarness h("mixed durability", "sync=never");
  for (uint64_t i = 0; i < 60; ++i)
    h.Put("default", K(i % 20), V(i), i % 7 == 0 ? kSync : i % 3 == 0 ? kBuffered : kOs);
  h.Sync();
  for (uint64_t i = 0; i < 10; ++i) h.Delete("default", K(i), i % 2 == 0 ? kBuffered : kOs);
  Judge(&h, "mixed durability");
}

void crash__eight_threads(void**) {
  CrashHarness h("eight threads", "");
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 8; ++t) {
    threads.emplace_back([&h, t] {
      for (uint64_t i = 0; i < 8; ++i)
        h.Put("default", K(t * 100 + i % 4), V(t * 1000 + i), i % 3 == 0 ? kOs : kSync);
    });
  }
  for (auto& t : threads) t.join();
  Judge(&h, "eight threads");
}

void crash__overwrite_delete_flush(void**) {
  CrashHarness h("overwrite, delete, flush", "");
  for (uint64_t i = 0; i < 60; ++i) {
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
  for (uint64_t round = 0; round < 4; ++round) {
    for (uint64_t i = 0; i < 14; ++i) h.Put("default", K(i), V(round * 100 + i), kOs);
    h.DeleteRange("default", K(round * 2), K(round * 2 + 4), kSync);
    assert_true(h.db()->Flush().ok());
    if (round % 2 == 1)
      assert_true(h.db()->Compact(h.Ks("default").get(), Slice(), Slice(), JobControl()).ok());
  }
  Judge(&h, "range deletes, compaction");
}

void crash__background_compaction(void**) {
  CrashHarness h("background compaction", "sync=never; target_file_size=64KiB");
  for (uint64_t i = 0; i < 48; ++i) {
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
  for (uint64_t i = 0; i < 24; ++i) {
    const Durability d = i % 3 == 0 ? kSync : kOs;
    h.Batch({{Change::kPut, "default", K(i % 7), V(i)},
             {Change::kPut, "one", K(i % 5), V(i + 1)},
             {Change::kDelete, "two", K(i % 3), ""},
             {Change::kPut, "two", K(i % 3 + 1), V(i + 2)}},
            d);
    if (i == 10) assert_true(h.db()->Flush().ok());
    if (i == 14) {
      h.DropKeyspace("one");
      h.CreateKeyspace("one");
    }
  }
  assert_true(h.db()->Flush().ok());
  Judge(&h, "several keyspaces");
}

void crash__batches(void**) {
  CrashHarness h("batches", "sync=every_n:4");
  for (uint64_t i = 0; i < 20; ++i) {
    std::vector<Change> changes;
    for (uint64_t j = 0; j < 10; ++j)
      changes.push_back({Change::kPut, "default", K(i * 3 + j), V(i * 10 + j)});
    changes.push_back({Change::kDeleteRange, "default", K(i), K(i + 3)});
    changes.push_back({Change::kPut, "default", K(i + 1), V(i)});
    h.Batch(changes, i % 4 == 1 ? kSync : Durability::kDefault);
  }
  Judge(&h, "batches");
}

void crash__snapshots_over_compaction(void**) {
  CrashHarness h("snapshots over compaction", "compaction=manual");
  std::vector<std::unique_ptr<Snapshot>> snapshots;
  for (uint64_t round = 0; round < 4; ++round) {
    for (uint64_t i = 0; i < 10; ++i)
      h.Put("default", K(i), V(round * 100 + i), i == 9 ? kSync : kOs);
    snapshots.push_back(h.db()->NewSnapshot().Take());
    assert_true(h.db()->Compact(h.Ks("default").get(), Slice(), Slice(), JobControl()).ok());
    if (round == 2) snapshots.erase(snapshots.begin());
  }
  snapshots.clear();
  Judge(&h, "snapshots over compaction");
}

void crash__ttl(void**) {
  CrashHarness h("ttl", "");
  for (uint64_t i = 0; i < 24; ++i) {
    h.Put("default", K(i % 9), V(i), i % 2 == 0 ? kSync : kOs, i % 3 == 0 ? 3600 * 1000 : 0);
    if (i % 8 == 7) assert_true(h.db()->Flush().ok());
  }
  Judge(&h, "ttl");
}

void crash__reopening(void**) {
  CrashHarness h("reopening", "");
  for (uint64_t i = 0; i < 60; ++i) {
    h.Put("default", K(i % 13), V(i), i % 3 == 0 ? kSync : kOs);
    if (i % 20 == 19) h.Reopen();
  }
  h.Put("default", "last", "one", kSync);
  Judge(&h, "reopening");
}

void crash__batches_larger_than_a_memtable(void**) {
  CrashHarness h("batches larger than a memtable", "write_buffer_size=64KiB");
  for (uint64_t i = 0; i < 4; ++i) {
    std::vector<Change> changes;
    for (uint64_t j = 0; j < 20; ++j)
      changes.push_back({Change::kPut, "default", K(i * 10 + j), V(i * 100 + j, 5000)});
    h.Batch(changes, i % 2 == 0 ? kSync : kOs);
  }
  Judge(&h, "batches larger than a memtable");
}

void crash__values_larger_than_a_segment(void**) {
  CrashHarness h("values larger than a segment", "write_buffer_size=64KiB; wal_preallocate=true");
  h.Put("default", K(1), V(1, 1500000), kSync);
  h.Put("default", K(2), V(2, 100), kOs);
  h.Put("default", K(1), V(3, 1300000), kOs);
  h.Put("default", K(3), V(4, 100), kSync);
  Judge(&h, "values larger than a segment");
}

void crash__write_back(void**) {
  CrashHarness h(
      "write-back",
      "write_back=true; write_back_size=4KiB; write_back_interval=1h; wal_compression=snappy");
  for (uint64_t i = 0; i < 60; ++i)
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
  const CMUnitTest tests[] = {
      cmocka_unit_test(crash__synced_puts),
      cmocka_unit_test(crash__mixed_durability),
      cmocka_unit_test(crash__eight_threads),
      cmocka_unit_test(crash__overwrite_delete_flush),
      cmocka_unit_test(crash__range_deletes_compaction),
      cmocka_unit_test(crash__background_compaction),
      cmocka_unit_test(crash__several_keyspaces),
      cmocka_unit_test(crash__batches),
      cmocka_unit_test(crash__snapshots_over_compaction),
      cmocka_unit_test(crash__ttl),
      cmocka_unit_test(crash__reopening),
      cmocka_unit_test(crash__batches_larger_than_a_memtable),
      cmocka_unit_test(crash__values_larger_than_a_segment),
      cmocka_unit_test(crash__write_back),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
