// The block cache: its account is exact, it stays within its capacity, hot blocks survive scans.
#include "table/block_cache.h"

#include "table/block_builder.h"
#include "table_testing.h"

using namespace kist;
using namespace kist::test;

namespace {

RefPtr<Block> MakeBlock(size_t value_bytes, BlockPool* pool = nullptr) {
  BlockBuilder builder;
  assert_true(builder.Add("key", HashKey("key"), MakeTag(1, EntryKind::kPut),
                          std::string(value_bytes, 'v')));
  const Slice payload = builder.Finish();
  RefPtr<Block> block = RefPtr<Block>::Adopt(Block::New(payload.size(), pool));
  std::memcpy(block->mutable_payload(), payload.data(), payload.size());
  assert_null(block->Init());
  return block;
}

struct Slots {
  explicit Slots(size_t n) : slots(n) {
    for (auto& s : slots) s.store(nullptr);
  }
  size_t Held(size_t* bytes) const {
    size_t n = 0;
    *bytes = 0;
    for (const auto& s : slots) {
      const Block* b = s.load();
      if (b == nullptr) continue;
      ++n;
      *bytes += b->memory_bytes() + BlockCache::kEntryBytes;
    }
    return n;
  }
  std::vector<BlockCache::Slot> slots;
};

void block_cache__account_equals_what_is_held(void**) {
  Rng rng(Seed("block_cache__account_equals_what_is_held"));
  Epoch epoch;
  Slots slots(2000);
  size_t bytes;
  {
    BlockCache cache(1 << 20, &epoch);
    for (int step = 0; step < 20000; ++step) {
      BlockCache::Slot* slot = &slots.slots[rng.Below(slots.slots.size())];
      Epoch::Guard guard(epoch);
      if (slot->load() != nullptr) {
        if (rng.OneIn(2)) slot->load()->Touch();
        continue;
      }
      RefPtr<Block> block = MakeBlock(rng.Below(rng.OneIn(50) ? 100000 : 4000));
      Block* stored = cache.Insert(slot, block.get(), rng.OneIn(2));
      assert_true(stored == block.get());
      if (step % 100 == 0) {
        slots.Held(&bytes);
        assert_int_equal(cache.used_bytes(), bytes);
        assert_true(bytes <= cache.capacity());
      }
      if (step % 3000 == 0) cache.SetCapacity(size_t{1} << (19 + rng.Below(3)));
    }
    assert_true(cache.evictions() > 1000);
    cache.SetCapacity(50000);
    slots.Held(&bytes);
    assert_int_equal(cache.used_bytes(), bytes);
    assert_true(bytes <= 50000);
    cache.Remove(slots.slots.data(), slots.slots.size());
    assert_int_equal(cache.used_bytes(), 0);
    assert_int_equal(slots.Held(&bytes), 0);
  }
}

void block_cache__refuses_what_is_too_big(void**) {
  Epoch epoch;
  BlockCache cache(100000, &epoch);
  BlockCache::Slot slot{nullptr};
  Epoch::Guard guard(epoch);
  RefPtr<Block> big = MakeBlock(30000);
  assert_null(cache.Insert(&slot, big.get(), false));
  assert_null(slot.load());
  cache.SetCapacity(0);
  RefPtr<Block> small = MakeBlock(1);
  assert_null(cache.Insert(&slot, small.get(), false));
  assert_int_equal(cache.used_bytes(), 0);
}

void block_cache__the_first_of_two_stays(void**) {
  Epoch epoch;
  BlockCache cache(100000, &epoch);
  BlockCache::Slot slot{nullptr};
  Epoch::Guard guard(epoch);
  RefPtr<Block> first = MakeBlock(10);
  RefPtr<Block> second = MakeBlock(10);
  assert_ptr_equal(cache.Insert(&slot, first.get(), false), first.get());
  assert_ptr_equal(cache.Insert(&slot, second.get(), false), first.get());
  cache.Remove(&slot, 1);
}

void block_cache__scans_leave_the_hot_set(void**) {
  Epoch epoch;
  BlockCache cache(4 << 20, &epoch);
  Slots hot(600);
  Slots scanned(20000);
  for (auto& slot : hot.slots) {
    Epoch::Guard guard(epoch);
    RefPtr<Block> block = MakeBlock(4000);
    cache.Insert(&slot, block.get(), false);
  }
  // The hot set is read now and then while a scan ten times the cache goes by.
  for (size_t i = 0; i < scanned.slots.size(); ++i) {
    Epoch::Guard guard(epoch);
    RefPtr<Block> block = MakeBlock(4000);
    cache.Insert(&scanned.slots[i], block.get(), true);
    Block* touched = hot.slots[i * 7 % hot.slots.size()].load();
    if (touched != nullptr && i % 4 == 0) touched->Touch();
  }
  size_t bytes;
  const size_t left = hot.Held(&bytes);
  std::printf("%zu of %zu hot blocks left\n", left, hot.slots.size());
  assert_true(left >= 590);
  cache.Remove(hot.slots.data(), hot.slots.size());
  cache.Remove(scanned.slots.data(), scanned.slots.size());
}

// What is read often stays, what is read once goes.
void block_cache__keeps_what_is_used(void**) {
  Rng rng(Seed("block_cache__keeps_what_is_used"));
  Epoch epoch;
  BlockCache cache(4 << 20, &epoch);
  Slots slots(10000);
  uint64_t hits = 0;
  uint64_t hot_reads = 0;
  for (int step = 0; step < 200000; ++step) {
    Epoch::Guard guard(epoch);
    const bool hot = !rng.OneIn(10);  // 90 % of reads on 5 % of blocks: half the cache
    BlockCache::Slot* slot = &slots.slots[hot ? rng.Below(500) : rng.Below(10000)];
    Block* there = slot->load();
    if (hot && step > 50000) {
      ++hot_reads;
      hits += there != nullptr ? 1 : 0;
    }
    if (there != nullptr) {
      there->Touch();
      continue;
    }
    RefPtr<Block> block = MakeBlock(4000);
    cache.Insert(slot, block.get(), false);
  }
  const double rate = static_cast<double>(hits) / static_cast<double>(hot_reads);
  std::printf("hot hit rate %.4f\n", rate);
  assert_true(rate > 0.97);
  cache.Remove(slots.slots.data(), slots.slots.size());
}

// What goes at once, spread over all chunks, leaves much of them idle: the rest stays, and what
// comes fills them. Where only other sizes come, the cache still keeps to its capacity.
void block_cache__removing_many_empties_nothing_else(void**) {
  constexpr size_t kCapacity = size_t{64} << 20;
  Epoch epoch;
  Slots slots(80000);
  BlockCache cache(kCapacity, &epoch);
  const auto insert = [&](size_t i, size_t bytes) {
    Epoch::Guard guard(epoch);
    RefPtr<Block> block = MakeBlock(bytes, cache.pool());
    cache.Insert(&slots.slots[i], block.get(), false);
  };
  size_t n = 0;
  for (; cache.evictions() == 0; ++n) insert(n, 4000);
  for (size_t i = 0; i < n; ++i) {
    if (i % 20 < 7) cache.Remove(&slots.slots[i], 1);
  }
  epoch.Drain();
  const size_t left = cache.used_bytes();
  assert_true(left > kCapacity / 2);
  insert(n, 4000);
  assert_true(cache.used_bytes() > left);
  for (size_t i = 0; i < n; ++i) {
    if (slots.slots[i].load() == nullptr) insert(i, 4000);
  }
  assert_true(cache.used_bytes() > kCapacity / 4 * 3);
  for (size_t i = n + 1; i < slots.slots.size(); ++i) {
    insert(i, 700 + i % 1000);
    assert_true(cache.memory_bytes() <= kCapacity + kCapacity / 8);
  }
  cache.Remove(slots.slots.data(), slots.slots.size());
}

// With a budget of so many bytes; 0: without, of 64 MiB.
void StandStill(size_t limit) {
  Epoch epoch;
  Slots slots(40000);
  {
    RefPtr<MemoryBudget> budget;
    if (limit != 0) budget = RefPtr<MemoryBudget>::Adopt(new MemoryBudget(limit));
    BlockCache cache(size_t{64} << 20, &epoch, budget.get());
    const size_t capacity = cache.capacity();
    size_t next = 0;
    const auto insert = [&](size_t count) {
      for (const size_t end = next + count; next < end; ++next) {
        Epoch::Guard guard(epoch);
        RefPtr<Block> block = MakeBlock(4000, cache.pool());
        cache.Insert(&slots.slots[next], block.get(), false);
      }
    };
    insert(18000);
    const uint64_t before = cache.evictions();
    {
      Epoch::Guard reader(epoch);
      insert(10000);
      assert_true(cache.evictions() > before);
      assert_true(cache.pool()->retired_bytes() < capacity / 8 + (size_t{256} << 10));
      assert_true(cache.loose_bytes() < capacity / 8 + (size_t{256} << 10));
      assert_true(cache.used_bytes() > capacity / 2);
    }
    const uint64_t held = cache.evictions();
    insert(4000);  // goes on
    assert_true(cache.evictions() > held + 3000);
    {
      Epoch::Guard reader(epoch);
      cache.Remove(slots.slots.data(), slots.slots.size());
    }
    insert(4000);  // also where nobody else collects what is retired
    assert_true(cache.used_bytes() > size_t{3900} * 4000);
    cache.Remove(slots.slots.data(), slots.slots.size());
    epoch.Drain();
    assert_int_equal(cache.pool()->retired_bytes(), 0);
    assert_int_equal(cache.used_bytes(), 0);
  }
}

void block_cache__a_reader_that_stands_still_costs_an_eighth(void**) {
  StandStill(0);
  StandStill(size_t{40} << 20);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(block_cache__account_equals_what_is_held),
      cmocka_unit_test(block_cache__refuses_what_is_too_big),
      cmocka_unit_test(block_cache__the_first_of_two_stays),
      cmocka_unit_test(block_cache__scans_leave_the_hot_set),
      cmocka_unit_test(block_cache__keeps_what_is_used),
      cmocka_unit_test(block_cache__removing_many_empties_nothing_else),
      cmocka_unit_test(block_cache__a_reader_that_stands_still_costs_an_eighth),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
