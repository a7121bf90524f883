// Readers, iterators, eviction and tables that come and go beside each other, under a cache far too
// small. Meant for the thread and address sanitizers, and true without them.
#include <atomic>
#include <thread>

#include "table_testing.h"

using namespace kist;
using namespace kist::test;

namespace {

constexpr int kTables = 3;

struct Shared {
  explicit Shared(bool mapped_in) : mapped(mapped_in) {}
  std::string Path(int t) const { return dir.File("t" + std::to_string(t)); }
  const bool mapped;
  TempDir dir;
  Epoch epoch;
  BlockCache cache{30000, &epoch};
  std::vector<Version> versions[kTables];
  RefPtr<Table> tables[kTables];
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> reads{0};
};

void GetSome(Shared* s, Rng* rng) {
  const int t = static_cast<int>(rng->Below(kTables));
  const std::vector<Version>& versions = s->versions[t];
  const Version& v = versions[rng->Below(versions.size())];
  ReadContext context;
  context.fill_cache = !rng->OneIn(10);
  RefPtr<Block> pinned;
  Slice value;
  {
    Epoch::Guard guard(s->epoch);
    TableFound found;
    ASSERT_OK(s->tables[t]->Get(v.key, HashKey(v.key), TagSequence(v.tag), context, &found));
    assert_true(found.found);
    value = found.value;
    if (rng->OneIn(4)) pinned = RefPtr<Block>::Share(found.block);
    assert_true(value == ModelGet(versions, v.key, TagSequence(v.tag))->value);
  }
  if (pinned.get() == nullptr) return;
  std::this_thread::yield();
  assert_true(value == ModelGet(versions, v.key, TagSequence(v.tag))->value);
}

void WalkSome(Shared* s, Rng* rng) {
  const int t = static_cast<int>(rng->Below(kTables));
  const std::vector<Version>& versions = s->versions[t];
  ReadContext context;
  context.readahead_bytes = rng->OneIn(2) ? 0 : 3000;
  auto it = s->tables[t]->NewIterator(context);
  size_t at = rng->Below(versions.size());
  it->Seek(versions[at].key, versions[at].tag);
  for (int step = 0; step < 200 && it->valid(); ++step, ++at, it->Next()) {
    assert_true(it->key() == versions[at].key && it->value() == versions[at].value);
  }
  ASSERT_OK(it->status());
}

// Opens a table of its own over the shared cache, reads it, closes it.
void ComeAndGo(Shared* s, Rng* rng) {
  const int t = static_cast<int>(rng->Below(kTables));
  RefPtr<Table> table = OpenTable(PosixVfs(), s->Path(t), &s->cache, s->mapped);
  for (int i = 0; i < 20; ++i) {
    const Version& v = s->versions[t][rng->Below(s->versions[t].size())];
    Epoch::Guard guard(s->epoch);
    TableFound found;
    ASSERT_OK(table->Get(v.key, HashKey(v.key), kMaxSequence, ReadContext(), &found));
    assert_true(found.found);
  }
}

void ReadUnderEviction(uint64_t seed, bool mapped) {
  Rng rng(seed);
  Shared s(mapped);
  for (int t = 0; t < kTables; ++t) {
    Shape shape;
    shape.keys = 800;
    s.versions[t] = RandomVersions(&rng, shape);
    Build(PosixVfs(), s.Path(t), OptionsOf(512, static_cast<Compression>(t)), s.versions[t]);
    s.tables[t] = OpenTable(PosixVfs(), s.Path(t), &s.cache, mapped);
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&s, seed, i] {
      Rng mine(seed + 1 + static_cast<uint64_t>(i));
      while (!s.stop.load(std::memory_order_relaxed)) {
        const uint64_t what = mine.Below(20);
        if (what == 0) {
          WalkSome(&s, &mine);
        } else if (what == 1) {
          ComeAndGo(&s, &mine);
        } else if (what == 2 && i == 0) {
          s.cache.SetCapacity(mine.OneIn(5) ? 0 : 10000 + mine.Below(100000));
        } else {
          GetSome(&s, &mine);
        }
        s.reads.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::seconds(3));
  s.stop.store(true);
  for (auto& t : threads) t.join();
  assert_true(s.reads.load() > 1000);
  assert_true(s.cache.evictions() > 100);
  s.cache.SetCapacity(20000);
  assert_true(s.cache.used_bytes() <= 20000);
  for (auto& t : s.tables) t = RefPtr<Table>();
  assert_int_equal(s.cache.used_bytes(), 0);
}

void table_threads__read_right_under_eviction(void**) {
  ReadUnderEviction(Seed("table_threads__read_right_under_eviction"), false);
}

void table_threads__read_mapped_right_under_eviction(void**) {
  ReadUnderEviction(Seed("table_threads__read_mapped_right_under_eviction"), true);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(table_threads__read_right_under_eviction),
      cmocka_unit_test(table_threads__read_mapped_right_under_eviction),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
