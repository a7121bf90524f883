// The lowest room without memory: what allocates, what does not, and what happens when nothing is
// left. Linked with the counting allocators.
#include "support/counting_alloc.h"
#include "support/unit_test.h"
#include "util/alloc.h"
#include "util/arena.h"
#include "util/epoch.h"

using namespace kist;
using namespace kist::test;

static void util_alloc__counts_what_is_made_and_freed(void**) {
  const int64_t live = LiveAllocations();
  AllocationScope scope;
  void* a = Allocate(10);
  void* b = AllocateAligned(10, 64);
  auto* c = new std::string(100, 'x');
  assert_int_equal(scope.count(), 4);
  assert_int_equal(LiveAllocations() - live, 4);
  Deallocate(a);
  Deallocate(b);
  delete c;
  assert_int_equal(LiveAllocations(), live);
  FailAllocation(2);
  a = Allocate(1);
  assert_non_null(a);
  assert_null(Allocate(1));
  assert_true(AllocationFailed());
  Deallocate(Allocate(1));
  FailAllocation(1, true);
  assert_null(Allocate(1));
  assert_null(Allocate(1));
  FailAllocation(0);
  Deallocate(a);
}

static void util_alloc__status_keeps_its_code_without_memory(void**) {
  const std::string path(100, 'p');
  const Status whole = Status::Error(Code::kBusy, std::string(100, 'm'), 7);
  FailAllocation(1, true);
  const Status error = Status::FromErrno(ENOSPC, "write", path);
  const Status corrupt = Status::Corrupt(path, 7, "bad");
  const Status copy = whole;
  const Status prefixed = whole.Prefixed(path);
  const Status other = whole.WithCode(Code::kIo);
  const size_t length = error.message().size();
  FailAllocation(0);
  assert_true(error.Is(Code::kNoSpace));
  assert_true(corrupt.Is(Code::kCorrupt));
  assert_true(copy.Is(Code::kBusy));
  assert_true(prefixed.Is(Code::kBusy));
  assert_true(other.Is(Code::kIo));
  assert_true(length > 0);
}

static void util_alloc__arena_fails_and_recovers(void**) {
  Arena arena(4096);
  FailAllocation(1, true);
  assert_null(arena.Allocate(10));
  assert_false(arena.Reserve(10));
  FailAllocation(0);
  assert_true(arena.Reserve(3000));
  FailAllocation(1, true);
  for (int i = 0; i < 300; ++i) assert_non_null(arena.Allocate(10 - 2));
  FailAllocation(0);
  AllocationScope scope;
  for (int i = 0; i < 100; ++i) arena.Allocate(8);
  assert_int_equal(scope.count(), 0);
}

static void Count(void* p) { ++*static_cast<int*>(p); }

static void util_alloc__epoch_retires_without_memory(void**) {
  int destroyed = 0;
  {
    Epoch epoch;
    AllocationScope scope;
    for (int i = 0; i < 100; ++i) {
      Epoch::Guard guard(epoch);
    }
    assert_int_equal(scope.count(), 0);
    FailAllocation(1, true);
    for (int i = 0; i < 5000; ++i) epoch.Retire(&destroyed, Count);
    {
      Epoch::Guard guard(epoch);
      for (int i = 0; i < 500; ++i) epoch.Retire(&destroyed, Count);  // as many as stand ready
    }
    epoch.Drain();
    assert_int_equal(destroyed, 5500);
    FailAllocation(0);
  }
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(util_alloc__counts_what_is_made_and_freed),
      cmocka_unit_test(util_alloc__status_keeps_its_code_without_memory),
      cmocka_unit_test(util_alloc__arena_fails_and_recovers),
      cmocka_unit_test(util_alloc__epoch_retires_without_memory),
  };
  return cmocka_run_group_tests_name("util_alloc", tests, nullptr, nullptr);
}
