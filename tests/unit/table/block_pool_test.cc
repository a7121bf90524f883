// The block pool: cells are apart and large enough, its account is exact, chunks are given back.
#include "table/block_pool.h"

#include <cstring>
#include <thread>
#include <unordered_map>

#include "table_testing.h"

using namespace kist;
using namespace kist::test;

namespace {

constexpr size_t kChunk = kHugePageBytes;

void block_pool__cells_are_at_most_an_eighth_larger(void**) {
  for (size_t bytes = 300; bytes <= BlockPool::kMostCell; bytes += 7) {
    const size_t cell = BlockPool::CellBytes(bytes);
    assert_true(cell >= bytes && cell % 64 == 0);
    if (bytes > 640) assert_true(cell - 64 <= bytes + bytes / 8 + 64);
  }
  assert_int_equal(BlockPool::CellBytes(100), 0);
  assert_int_equal(BlockPool::CellBytes(BlockPool::kMostCell + 65), 0);
  // A block of the usual size option wastes next to nothing.
  assert_int_equal(BlockPool::CellBytes(4096), 4160);
}

void block_pool__keeps_what_is_written(void**) {
  Rng rng(Seed("block_pool__keeps_what_is_written"));
  BlockPool* pool = new BlockPool;
  pool->SetLimit(40 * kChunk);
  std::unordered_map<char*, std::pair<size_t, char>> held;
  size_t live = 0;
  for (int step = 0; step < 30000; ++step) {
    if (!held.empty() && rng.OneIn(step < 15000 ? 3 : 2)) {
      const auto it = held.begin();
      const auto [bytes, fill] = it->second;
      for (size_t i = 0; i < bytes; ++i) assert_true(it->first[i] == fill);
      live -= BlockPool::CellBytes(bytes);
      BlockPool::Deallocate(it->first);
      held.erase(it);
    } else {
      const size_t bytes = 300 + rng.Below(rng.OneIn(2) ? 3000 : 20000);
      char* cell = static_cast<char*>(pool->Allocate(bytes));
      if (cell == nullptr) continue;
      assert_int_equal(reinterpret_cast<uintptr_t>(cell) % 64, 0);
      const char fill = static_cast<char>(rng.Next());
      std::memset(cell, fill, bytes);
      assert_true(held.emplace(cell, std::make_pair(bytes, fill)).second);
      live += BlockPool::CellBytes(bytes);
    }
    assert_int_equal(pool->live_bytes(), live);
    assert_true(pool->reserved_bytes() <= 40 * kChunk && pool->reserved_bytes() >= live);
  }
  for (const auto& h : held) BlockPool::Deallocate(h.first);
  assert_int_equal(pool->live_bytes(), 0);
  pool->Close();
}

void block_pool__gives_empty_chunks_back(void**) {
  BlockPool* pool = new BlockPool;
  pool->SetLimit(10 * kChunk);
  std::vector<void*> cells;
  while (void* cell = pool->Allocate(4096)) cells.push_back(cell);
  assert_int_equal(pool->reserved_bytes(), 10 * kChunk);
  assert_int_equal(cells.size(), 10 * ((kChunk - 64) / 4160));
  for (void* cell : cells) BlockPool::Deallocate(cell);
  assert_true(pool->reserved_bytes() <= kChunk);
  // Blocks may outlive the owner.
  void* last = pool->Allocate(4096);
  pool->Close();
  std::memset(last, 1, 4096);
  BlockPool::Deallocate(last);
}

void block_pool__serves_threads(void**) {
  const uint64_t seed = Seed("block_pool__serves_threads");
  BlockPool* pool = new BlockPool;
  pool->SetLimit(8 * kChunk);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([pool, seed, t] {
      Rng rng(seed + static_cast<uint64_t>(t));
      std::vector<uint64_t*> mine;
      for (int step = 0; step < 20000; ++step) {
        if (mine.size() > 300 || (!mine.empty() && rng.OneIn(3))) {
          const size_t i = rng.Below(mine.size());
          assert_true(*mine[i] == static_cast<uint64_t>(t));
          BlockPool::Deallocate(mine[i]);
          mine[i] = mine.back();
          mine.pop_back();
        } else if (void* cell = pool->Allocate(600 + rng.Below(4000))) {
          mine.push_back(static_cast<uint64_t*>(cell));
          *mine.back() = static_cast<uint64_t>(t);
        }
      }
      for (uint64_t* cell : mine) BlockPool::Deallocate(cell);
    });
  }
  for (auto& t : threads) t.join();
  assert_int_equal(pool->live_bytes(), 0);
  pool->Close();
}

// A cache large enough to use the pool stays within its capacity, idle cells included.
void block_pool__cache_counts_idle_cells(void**) {
  Rng rng(Seed("block_pool__cache_counts_idle_cells"));
  auto vfs = NewMemoryVfs();
  Epoch epoch;
  BlockCache cache(48 << 20, &epoch);
  std::vector<Version> versions;
  for (int i = 0; i < 60000; ++i) {
    char key[16];
    std::snprintf(key, sizeof key, "%08d", i);
    versions.push_back({key, MakeTag(1, EntryKind::kPut), rng.Bytes(rng.Below(3000), 'a', 3)});
  }
  Build(vfs.get(), "/t", OptionsOf(4096, Compression::kSnappy), versions);
  RefPtr<Table> table = OpenTable(vfs.get(), "/t", &cache);
  for (int i = 0; i < 100000; ++i) {
    const Version& v = versions[rng.Below(versions.size())];
    {
      Epoch::Guard guard(epoch);
      TableFound found;
      ASSERT_OK(table->Get(v.key, HashKey(v.key), kMaxSequence, ReadContext(), &found));
      assert_true(found.value == v.value);
    }
    assert_true(cache.used_bytes() <= cache.capacity());
    // Blocks that wait for the epoch count as neither.
    if (i % 1000 == 0) {
      epoch.Drain();
      assert_true(cache.memory_bytes() <= cache.capacity() + cache.capacity() / 10);
    }
  }
  std::printf("%zu used, %zu in all, of %zu\n", cache.used_bytes(), cache.memory_bytes(),
              cache.capacity());
  assert_true(cache.used_bytes() > cache.capacity() / 4 * 3);
  cache.SetCapacity(4 << 20);
  epoch.Drain();
  assert_true(cache.memory_bytes() <= cache.capacity() * 11 / 10 + kChunk * 8);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(block_pool__cells_are_at_most_an_eighth_larger),
      cmocka_unit_test(block_pool__keeps_what_is_written),
      cmocka_unit_test(block_pool__gives_empty_chunks_back),
      cmocka_unit_test(block_pool__serves_threads),
      cmocka_unit_test(block_pool__cache_counts_idle_cells),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
