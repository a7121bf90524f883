// DbClock against clocks that the test moves.
#include "db/clock.h"

#include "support/clock_vfs.h"
#include "support/unit_test.h"

using namespace kist;
using namespace kist::test;

namespace {

// Time passes while a thread looks from one clock to the other.
class SlowLook : public ClockVfs {
 public:
  using ClockVfs::ClockVfs;
  int64_t WallMs() override {
    const int64_t ms = ClockVfs::WallMs();
    AdvanceMs(gap_ms);
    return ms;
  }
  uint64_t MonotonicUs() override {
    const uint64_t us = ClockVfs::MonotonicUs();
    AdvanceMs(gap_ms);
    return us;
  }
  uint64_t gap_ms = 0;
};

void clock__is_not_ahead_after_a_slow_look(void**) {
  auto base = NewMemoryVfs();
  SlowLook vfs(base.get());
  DbClock clock;
  clock.Start(&vfs, 0);
  assert_int_equal(clock.NowMs(), vfs.WallMs());
  vfs.gap_ms = 35;
  static_cast<void>(clock.NowMs());
  vfs.gap_ms = 0;
  assert_int_equal(clock.NowMs(), vfs.WallMs());
}

void clock__follows_the_wall_clock_forwards_only(void**) {
  auto base = NewMemoryVfs();
  ClockVfs vfs(base.get());
  DbClock clock;
  clock.Start(&vfs, 0);
  const int64_t start = clock.NowMs();
  vfs.JumpWallMs(5000);
  assert_int_equal(clock.NowMs(), start + 5000);
  vfs.JumpWallMs(-100000);
  vfs.AdvanceMs(7);
  assert_int_equal(clock.NowMs(), start + 5007);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(clock__is_not_ahead_after_a_slow_look),
      cmocka_unit_test(clock__follows_the_wall_clock_forwards_only),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
