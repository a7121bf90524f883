// The memory budget's arithmetic: what the cache and tables are left with, what handles may hold.
#include "util/memory_budget.h"

#include "support/unit_test.h"

using kist::MemoryBudget;
using kist::MemoryCharge;
using kist::RefPtr;

namespace {

constexpr size_t kMiB = size_t{1} << 20;

RefPtr<MemoryBudget> New(size_t limit, size_t memtables) {
  auto budget = RefPtr<MemoryBudget>::Adopt(new MemoryBudget);
  budget->SetLimit(limit, memtables);
  return budget;
}

void memory_budget__the_cache_takes_what_is_left(void**) {
  auto b = New(64 * kMiB, 24 * kMiB);
  assert_int_equal(b->reserve(), 20 * kMiB);
  assert_int_equal(b->CacheRoom(0), 20 * kMiB);
  b->Add(MemoryBudget::kMemtables, 10 * kMiB);  // within what is set aside for them
  assert_int_equal(b->CacheRoom(0), 20 * kMiB);
  b->Add(MemoryBudget::kMemtables, 20 * kMiB);  // a commit larger than a write buffer
  assert_int_equal(b->CacheRoom(0), 14 * kMiB);
  b->Sub(MemoryBudget::kMemtables, 30 * kMiB);
  b->Add(MemoryBudget::kTables, 6 * kMiB);
  assert_int_equal(b->CacheRoom(0), 14 * kMiB);
  assert_int_equal(b->CacheRoom(10 * kMiB), 4 * kMiB);
  b->Add(MemoryBudget::kTransactions, 100 * kMiB);
  assert_int_equal(b->CacheRoom(0), 0);
  assert_int_equal(b->Used(kMiB, kMiB), 108 * kMiB);
}

void memory_budget__tables_take_three_quarters_of_what_they_share(void**) {
  auto b = New(64 * kMiB, 24 * kMiB);
  assert_int_equal(b->TablesMax(0), 15 * kMiB);
  b->Add(MemoryBudget::kTables, 20 * kMiB);
  assert_int_equal(b->TablesMax(0), 15 * kMiB);
  b->Add(MemoryBudget::kIterators, 8 * kMiB);
  assert_int_equal(b->TablesMax(0), 9 * kMiB);
  b->Add(MemoryBudget::kIterators, 30 * kMiB);
  assert_int_equal(b->TablesMax(0), 8 * kMiB);  // never less than an eighth
}

void memory_budget__handles_hold_a_quarter(void**) {
  auto b = New(64 * kMiB, 12 * kMiB);
  assert_true(b->Admits(16 * kMiB, 0));
  assert_false(b->Admits(16 * kMiB + 1, 0));
  assert_false(b->Admits(0, 17 * kMiB));
  b->Add(MemoryBudget::kOldMemtables, 6 * kMiB);
  b->Add(MemoryBudget::kOldTables, 2 * kMiB);
  assert_true(b->Admits(4 * kMiB, 4 * kMiB));
  assert_false(b->Admits(5 * kMiB, 4 * kMiB));
}

void memory_budget__handles_hold_less_where_others_leave_less(void**) {
  auto b = New(64 * kMiB, 12 * kMiB);  // 32 MiB besides the reserve and memtables
  b->Add(MemoryBudget::kTables, 10 * kMiB);
  b->Add(MemoryBudget::kMemtables, 10 * kMiB);  // may all be held once they are flushed
  assert_int_equal(b->HeldMax(), 12 * kMiB);
  b->Add(MemoryBudget::kTables, 30 * kMiB);
  assert_int_equal(b->HeldMax(), 8 * kMiB);  // never less than an eighth
  assert_int_equal(New(16 * kMiB, 20 * kMiB)->HeldMax(), 4 * kMiB);
  assert_int_equal(New(1024 * kMiB, 192 * kMiB)->HeldMax(), 256 * kMiB);
}

void memory_budget__a_charge_counts_while_it_lives(void**) {
  auto b = New(64 * kMiB, 0);
  {
    MemoryCharge empty;
    empty.Set(5);  // of no budget
    assert_int_equal(empty.bytes(), 0);
    MemoryCharge one(b.get(), MemoryBudget::kJobs, 100);
    assert_int_equal(b->used(MemoryBudget::kJobs), 100);
    one.Set(300);
    one.Set(200);
    assert_int_equal(b->used(MemoryBudget::kJobs), 200);
    MemoryCharge other = std::move(one);
    assert_int_equal(b->used(MemoryBudget::kJobs), 200);
    empty = std::move(other);
    assert_int_equal(empty.bytes(), 200);
    empty = MemoryCharge(b.get(), MemoryBudget::kBuffers, 7);
    assert_int_equal(b->used(MemoryBudget::kJobs), 0);
    assert_int_equal(b->used(MemoryBudget::kBuffers), 7);
  }
  assert_int_equal(b->used(MemoryBudget::kBuffers), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(memory_budget__the_cache_takes_what_is_left),
      cmocka_unit_test(memory_budget__tables_take_three_quarters_of_what_they_share),
      cmocka_unit_test(memory_budget__handles_hold_a_quarter),
      cmocka_unit_test(memory_budget__handles_hold_less_where_others_leave_less),
      cmocka_unit_test(memory_budget__a_charge_counts_while_it_lives),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
