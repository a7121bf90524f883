// The chunk that is made ahead of time: who asks for it, that it is counted as long as it waits,
// and that a memtable takes it.
#include "memtable/chunk_reserve.h"

#include <cstdint>
#include <string>

#include "memtable/memtable.h"
#include "tests/support/unit_test.h"
#include "util/ref.h"

namespace kist {
namespace {

size_t Counted(const MemoryBudget& budget) { return budget.used(MemoryBudget::kMemtables); }

void chunk_reserve__holds_nothing_before_the_first_was_taken(void**) {
  const auto budget = RefPtr<MemoryBudget>::Adopt(new MemoryBudget);
  ChunkReserve reserve(budget.get(), [] {});
  reserve.Fill();
  assert_int_equal(Counted(*budget), 0);
}

void chunk_reserve__a_chunk_that_was_taken_is_followed_by_one_that_waits(void**) {
  const auto budget = RefPtr<MemoryBudget>::Adopt(new MemoryBudget);
  int woken = 0;
  ChunkReserve reserve(budget.get(), [&woken] { ++woken; });
  assert_null(reserve.Take());
  assert_int_equal(woken, 1);
  reserve.Fill();
  assert_int_equal(Counted(*budget), ChunkReserve::kBytes);
  auto* chunk = static_cast<char*>(reserve.Take());
  assert_non_null(chunk);
  assert_int_equal(woken, 2);
  assert_int_equal(Counted(*budget), 0);
  assert_int_equal(reinterpret_cast<uintptr_t>(chunk) % kHugePageBytes, 0);
  for (size_t i = 0; i < ChunkReserve::kBytes; i += 512) assert_int_equal(chunk[i], 0);
  DeallocatePages(chunk, ChunkReserve::kBytes);
  assert_null(reserve.Take());
}

void chunk_reserve__one_waits_at_most_and_goes_with_the_reserve(void**) {
  const auto budget = RefPtr<MemoryBudget>::Adopt(new MemoryBudget);
  {
    ChunkReserve reserve(budget.get(), [] {});
    for (int i = 0; i < 3; ++i) {
      assert_null(reserve.Take());
      reserve.Fill();
      reserve.Fill();
      assert_int_equal(Counted(*budget), ChunkReserve::kBytes);
      DeallocatePages(reserve.Take(), ChunkReserve::kBytes);
    }
    assert_null(reserve.Take());
    reserve.Fill();
  }
  assert_int_equal(Counted(*budget), 0);
}

// Made by the same thread here as soon as it is asked for, so that each large chunk but the first
// comes from the reserve, and what is counted is the memtable's memory and the chunk that waits.
void chunk_reserve__a_memtable_takes_its_large_chunks_there(void**) {
  const auto budget = RefPtr<MemoryBudget>::Adopt(new MemoryBudget);
  bool asked = false;
  ChunkReserve reserve(budget.get(), [&asked] { asked = true; });
  auto memtable = RefPtr<Memtable>::Adopt(
      Memtable::New(size_t{64} << 20, false, budget.get(), &reserve).Take());
  const std::string value(1000, 'v');
  int filled = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string key = "key" + std::to_string(i);
    assert_true(memtable->Reserve(1, key.size() + value.size()).ok());
    memtable->Add(0, key, MakeTag(static_cast<Sequence>(i) + 1, EntryKind::kPut), value);
    if (asked) {
      asked = false;
      reserve.Fill();
      ++filled;
    }
    // memory_bytes has the indexes of its trees beside the chunks.
    const size_t waits = filled == 0 ? 0 : ChunkReserve::kBytes;
    assert_in_range(memtable->memory_bytes() + waits - Counted(*budget), 0, 4096);
  }
  assert_in_range(filled, 8, 11);
  Memtable::Found found;
  for (int i = 0; i < 20000; ++i) {
    assert_true(memtable->Get(0, "key" + std::to_string(i), kMaxSequence, &found));
    assert_true(found.value == Slice(value));
  }
}

}  // namespace
}  // namespace kist

int main() {
  using namespace kist;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(chunk_reserve__holds_nothing_before_the_first_was_taken),
      cmocka_unit_test(chunk_reserve__a_chunk_that_was_taken_is_followed_by_one_that_waits),
      cmocka_unit_test(chunk_reserve__one_waits_at_most_and_goes_with_the_reserve),
      cmocka_unit_test(chunk_reserve__a_memtable_takes_its_large_chunks_there),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
