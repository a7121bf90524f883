// Reservations: what they promise holds for the worst orders of keys, with every allocation behind
// them refused, and a refused one leaves the memtable as it was. The allocation seam is replaced
// here by one that can fail.
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "memtable/keyspace_trees.h"
#include "memtable/memtable.h"
#include "memtable/node_pool.h"
#include "memtable/tree.h"
#include "memtable/twin_arena.h"
#include "tests/support/unit_test.h"
#include "util/alloc.h"
#include "util/ref.h"

namespace kist {

namespace {
long allocations_left = -1;  // negative: no limit
long allocations_made = 0;
size_t live = 0;

bool MayAllocate() {
  ++allocations_made;
  if (allocations_left < 0) return true;
  if (allocations_left == 0) return false;
  --allocations_left;
  return true;
}
}  // namespace

void* Allocate(size_t bytes) noexcept {
  if (!MayAllocate()) return nullptr;
  ++live;
  return std::malloc(bytes == 0 ? 1 : bytes);
}
void* AllocateAligned(size_t bytes, size_t align) noexcept {
  if (!MayAllocate()) return nullptr;
  ++live;
  void* p = nullptr;
  return posix_memalign(&p, align, bytes) == 0 ? p : nullptr;
}
void* Reallocate(void* memory, size_t bytes) noexcept { return std::realloc(memory, bytes); }
void Deallocate(void* memory) noexcept {
  if (memory != nullptr) --live;
  std::free(memory);
}
void* AllocatePages(size_t bytes, size_t align) noexcept { return AllocateAligned(bytes, align); }
void DeallocatePages(void* memory, size_t) noexcept { Deallocate(memory); }
const char* AllocatorName() noexcept { return "test"; }

namespace {

using test::Rng;
using test::Seed;

std::string Number(uint64_t n) {
  char s[32];
  std::snprintf(s, sizeof s, "key%012llu", static_cast<unsigned long long>(n));
  return s;
}

// The keys of one insert after another, in orders that split nodes as badly as they can.
class Order {
 public:
  Order(int kind, uint64_t seed) : kind_(kind), rng_(seed) {}
  std::string Next() {
    const uint64_t i = count_++;
    switch (kind_) {
      case 0:
        return rng_.Bytes(16);
      case 1:
        return Number(i);  // leaves full leaves
      case 2:
        return Number(1000000 - i);
      case 3:  // fills leaves, then hits each full one once
        return i < 30000 ? Number(i * 10) : Number(((i * 61) % 30000) * 10 + i % 7 + 1);
      case 4: {  // many runs at once
        const uint64_t lane = i % 97;
        return Number(lane * 1000000 + i);
      }
      default:  // runs up and down in the middle of leaves
        return Number(500000 + (i % 2 == 0 ? i : 0 - i) + (i / 1000 % 7) * 10000);
    }
  }

 private:
  const int kind_;
  Rng rng_;
  uint64_t count_ = 0;
};

// One tree over an arena whose use can be read.
struct Fixture {
  Fixture() : arena(&source, 4096, 1 << 20), pool(&arena) {
    assert_true(arena.Reserve(pool.BytesFor(0, 1)));
    tree = std::make_unique<Tree>(&pool);
  }
  void Insert(const std::string& key, Sequence seq) {
    std::string& entry = entries.emplace_back(kEntryHead + key.size(), '\0');
    WriteEntryHead(entry.data(), key, MakeTag(seq, EntryKind::kPut), 0);
    const Place place = {key, AgeOf(seq)};
    Tree::Path path;
    tree->Find(place, &path);
    tree->Insert(path, place, entry.data());
  }
  ChunkSource source;
  TwinArena arena;
  NodePool pool;
  std::unique_ptr<Tree> tree;
  std::deque<std::string> entries;
};

void reservation__bounds_the_nodes_of_every_order(void**) {
  const uint64_t seed = Seed(__func__);
  Rng rng(seed);
  for (int kind = 0; kind < 6; ++kind) {
    for (const size_t batch : {size_t{1}, size_t{2}, size_t{40}, size_t{1000}, size_t{70000}}) {
      Fixture f;
      Order order(kind, seed);
      Sequence seq = 0;
      for (size_t done = 0; done < 70000;) {
        const size_t n = batch <= 2 ? batch : 1 + rng.Below(batch);
        const size_t bound = f.pool.BytesFor(n, 0);
        assert_true(f.arena.Reserve(bound));
        const size_t before = f.arena.used_bytes();
        for (size_t i = 0; i < n; ++i) f.Insert(order.Next(), ++seq);
        assert_true(f.arena.used_bytes() - before <= bound);
        done += n;
      }
    }
  }
}

void reservation__adds_within_it_need_no_memory(void**) {
  const uint64_t seed = Seed(__func__);
  Rng rng(seed);
  for (int kind = 0; kind < 6; ++kind) {
    auto made = Memtable::New(1 << 20, false);
    ASSERT_OK(made);
    const auto m = RefPtr<Memtable>::Adopt(*made);
    Order order(kind, seed);
    std::map<std::string, Sequence> newest[20];
    Sequence seq = 0;
    for (int round = 0; round < 300; ++round) {
      std::vector<std::string> keys(1 + rng.Below(rng.OneIn(10) ? 3000 : 30));
      size_t bytes = 0;
      for (auto& key : keys) bytes += (key = order.Next()).size() + 5;
      bytes += 2 * 70;
      const size_t keyspaces = 1 + rng.Below(5);
      ASSERT_OK(m->Reserve(keys.size() + 2, bytes, keyspaces));
      allocations_left = 0;
      ++seq;
      const uint32_t first = static_cast<uint32_t>(rng.Below(16));
      for (const auto& key : keys) {
        const uint32_t keyspace = first + static_cast<uint32_t>(rng.Below(keyspaces));
        if (rng.OneIn(2)) {
          m->Add(keyspace, key, MakeTag(seq, EntryKind::kPut), "value");
        } else {
          m->AddTtl(keyspace, key, seq, 1, "value");
        }
        newest[keyspace][key] = seq;
      }
      for (int i = 0; i < 2; ++i)
        m->AddRangeTombstone(first, std::string(30, 'a'), std::string(40, 'b'), seq);
      allocations_left = -1;
      assert_int_equal(m->MaxCovering(first, std::string(30, 'a'), kMaxSequence), seq);
    }
    for (uint32_t keyspace = 0; keyspace < 20; ++keyspace) {
      for (const auto& [key, want] : newest[keyspace]) {
        Memtable::Found found;
        assert_true(m->Get(keyspace, key, kMaxSequence, &found));
        assert_int_equal(TagSequence(found.tag), want);
      }
    }
  }
  assert_int_equal(live, 0);
}

void reservation__refused_memory_leaves_all_as_it_was(void**) {
  // Every allocation fails once, and then for ever.
  for (const bool for_ever : {false, true}) {
    for (long fail_at = 0;; ++fail_at) {
      allocations_left = fail_at;
      allocations_made = 0;
      auto made = Memtable::New(1 << 20, true);
      if (!made.ok()) {
        assert_true(made.status().Is(Code::kNoMem));
        if (!for_ever) allocations_left = -1;
        continue;
      }
      const auto m = RefPtr<Memtable>::Adopt(*made);
      size_t refused = 0;
      size_t added = 0;
      for (uint32_t i = 0; i < 300; ++i) {
        const std::string key = Number(i * 7919 % 300);
        const std::string value(i % 50 == 0 ? 200000 : 2000, 'v');
        const Status status = m->Reserve(2, 2 * key.size() + value.size() + 1, 2);
        if (!status.ok()) {
          assert_true(status.Is(Code::kNoMem));
          ++refused;
          if (!for_ever) allocations_left = -1;
        } else {
          m->Add(i % 30, key, MakeTag(i + 1, EntryKind::kPut), value);
          m->AddRangeTombstone(i % 30, key, key + "x", i + 1);
          ++added;
        }
        assert_int_equal(m->entries(), added);
        assert_true(m->used_bytes() <= m->memory_bytes());
      }
      if (!for_ever) assert_true(refused <= 1);
      if (allocations_made <= fail_at) break;  // nothing was refused any more
    }
  }
  allocations_left = -1;
  assert_int_equal(live, 0);
}

void reservation__needs_the_system_rarely(void**) {
  auto made = Memtable::New(64 << 20, false);
  ASSERT_OK(made);
  const auto m = RefPtr<Memtable>::Adopt(*made);
  allocations_made = 0;
  for (Sequence seq = 1; seq <= 100000; ++seq) {
    const std::string key = Number(seq * 7919 % 100000);
    ASSERT_OK(m->Reserve(1, key.size() + 100));
    m->Add(0, key, MakeTag(seq, EntryKind::kPut), std::string(100, 'v'));
  }
  assert_true(allocations_made < 60);
}

}  // namespace
}  // namespace kist

int main() {
  using namespace kist;
  const CMUnitTest tests[] = {
      cmocka_unit_test(reservation__bounds_the_nodes_of_every_order),
      cmocka_unit_test(reservation__adds_within_it_need_no_memory),
      cmocka_unit_test(reservation__refused_memory_leaves_all_as_it_was),
      cmocka_unit_test(reservation__needs_the_system_rarely),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
