// The clock that tests move.
#include "support/clock_vfs.h"

#include "support/unit_test.h"
#include "vfs/memory_vfs.h"

using namespace kist;
using namespace kist::test;

static void clock_vfs__time_moves_when_told(void**) {
  MemoryVfs memory;
  ClockVfs vfs(&memory, 5000, 7000000);
  assert_int_equal(vfs.WallMs(), 5000);
  vfs.SleepUs(1500000);
  assert_int_equal(vfs.WallMs(), 6500);
  assert_int_equal(vfs.MonotonicUs(), 8500000);
  vfs.JumpWallMs(-6000);
  assert_int_equal(vfs.WallMs(), 500);
  vfs.SetWallMs(99);
  assert_int_equal(vfs.WallMs(), 99);
  assert_int_equal(vfs.MonotonicUs(), 8500000);
}

int main() {
  const CMUnitTest tests[] = {cmocka_unit_test(clock_vfs__time_moves_when_told)};
  return cmocka_run_group_tests_name("clock_vfs", tests, nullptr, nullptr);
}
