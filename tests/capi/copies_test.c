/* Copies through the interface: checkpoints. */
#include "support/tempdir.h"

static void copies__checkpoint_opens_as_the_newest_state(void** state) {
  char* path = new_path();
  char* copy = new_path();
  kist_db* db = open_plain(path);
  kist_db* other;
  uint64_t seq = 0;
  (void)state;
  put(kist_default(db), "a", "1");
  OK(kist_flush(db, &err));
  put(kist_default(db), "b", "2");
  OK(kist_checkpoint(db, copy, &err));
  put(kist_default(db), "b", "3");
  seq = kist_last_seq(db);
  other = open_plain(copy);
  assert_int_equal(kist_last_seq(other), seq - 1);
  expect(kist_default(other), NULL, "a", "1");
  expect(kist_default(other), NULL, "b", "2");
  put(kist_default(other), "c", "4");
  close_strict(other);
  expect(kist_default(db), NULL, "b", "3");
  expect(kist_default(db), NULL, "c", NULL);
  OK(kist_verify(db, NULL, &err));
  close_strict(db);
  drop_path(copy);
  drop_path(path);
}

static void copies__checkpoint_of_memory_goes_to_disk(void** state) {
  char* copy = new_path();
  kist_db* db = open_memory();
  (void)state;
  put(kist_default(db), "a", "1");
  OK(kist_flush(db, &err));
  OK(kist_checkpoint(db, copy, &err));
  close_strict(db);
  db = open_plain(copy);
  expect(kist_default(db), NULL, "a", "1");
  close_strict(db);
  drop_path(copy);
}

static void copies__checkpoint_refuses(void** state) {
  char* path = new_path();
  kist_db* db = open_plain(path);
  (void)state;
  ASSERT_FAILS(KIST_E_EXISTS, KIST_D_NONE, kist_checkpoint(db, path, &err));
  ASSERT_FAILS(KIST_E_MISSING, KIST_D_NONE, kist_checkpoint(db, "/no/such/parent", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_checkpoint(db, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME, kist_checkpoint(db, "", &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_checkpoint(NULL, path, &err));
  close_strict(db);
  db = open_with(path, "read_only=true");
  ASSERT_FAILS(KIST_E_READONLY, KIST_D_NONE, kist_checkpoint(db, "/nowhere", &err));
  close_strict(db);
  drop_path(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(copies__checkpoint_opens_as_the_newest_state),
      cmocka_unit_test(copies__checkpoint_of_memory_goes_to_disk),
      cmocka_unit_test(copies__checkpoint_refuses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
