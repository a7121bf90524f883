// GroupPace as a table of what came and what follows.
#include "db/group_pace.h"

#include "support/unit_test.h"

using namespace kist;

namespace {

void group_pace__one_writer_never_waits(void**) {
  GroupPace pace;
  assert_int_equal(pace.Wanted(), 1);
  for (int i = 0; i < 100; ++i) {
    pace.Synced(1, 0, 90);
    assert_int_equal(pace.Wanted(), 1);
  }
}

void group_pace__waits_for_as_many_as_there_were(void**) {
  GroupPace pace;
  pace.Synced(1, 7, 90);
  assert_int_equal(pace.Wanted(), 8);
  assert_int_equal(pace.LongestWaitUs(), 45);
  pace.Waited(true);
  pace.Synced(8, 0, 90);
  assert_int_equal(pace.Wanted(), 8);
  pace.Synced(2, 1, 90);
  assert_int_equal(pace.Wanted(), 3);
}

void group_pace__passes_ever_more_chances_after_waits_in_vain(void**) {
  GroupPace pace;
  int waits = 0;
  for (int i = 0; i < 2000; ++i) {
    pace.Synced(1, 1, 90);  // two writers, who never meet
    if (pace.Wanted() > 1) {
      ++waits;
      pace.Waited(false);
    }
  }
  assert_in_range(waits, 8, 20);
  pace.Synced(1, 1, 90);
  while (pace.Wanted() == 1) {
  }
  pace.Waited(true);
  assert_int_equal(pace.Wanted(), 2);
}

void group_pace__waits_no_longer_than_a_bound(void**) {
  GroupPace pace;
  pace.Synced(4, 4, 5000000);
  assert_in_range(pace.LongestWaitUs(), 1, 1000);
}

void group_pace__spins_ever_longer_where_strangers_take_the_processor(void**) {
  GroupPace pace;
  for (int i = 0; i < 100; ++i) {
    assert_true(pace.Yields());
    pace.Yielded(40);
  }
  int yields = 0;
  for (int i = 0; i < 2000; ++i) {
    if (!pace.Yields()) continue;
    ++yields;
    pace.Yielded(4000);
  }
  assert_in_range(yields, 8, 20);
  while (!pace.Yields()) {
  }
  for (int i = 0; i < 10; ++i) pace.Yielded(40);  // they are gone
  pace.Yielded(4000);
  assert_false(pace.Yields());
  assert_true(pace.Yields());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(group_pace__one_writer_never_waits),
      cmocka_unit_test(group_pace__waits_for_as_many_as_there_were),
      cmocka_unit_test(group_pace__passes_ever_more_chances_after_waits_in_vain),
      cmocka_unit_test(group_pace__waits_no_longer_than_a_bound),
      cmocka_unit_test(group_pace__spins_ever_longer_where_strangers_take_the_processor),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
