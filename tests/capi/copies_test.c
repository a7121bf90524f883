/* Copies through the interface: checkpoints, backups, restores, lists and pruning of targets. */
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

static int32_t stop_at_once(void* ctx, uint64_t done, uint64_t total) {
  ++*(int*)ctx;
  assert_true(done <= total);
  return 1;
}

static void copies__backup_and_restore(void** state) {
  char *path = new_path(), *target = new_path(), *copy = new_path();
  kist_db* db = open_plain(path);
  kist_restore_options ro = KIST_RESTORE_OPTIONS_INIT;
  kist_generation list[3] = {KIST_GENERATION_INIT, KIST_GENERATION_INIT, KIST_GENERATION_INIT};
  kist_prune_options keep = KIST_PRUNE_OPTIONS_INIT;
  kist_job job = KIST_JOB_INIT;
  uint64_t first = 0, second = 0, seq = 0, removed = 0;
  size_t count = 9;
  int calls = 0;
  (void)state;
  put(kist_default(db), "a", "1");
  OK(kist_backup(db, target, NULL, &first, &err));
  assert_int_equal(first, kist_last_seq(db));
  OK(kist_flush(db, &err));
  put(kist_default(db), "a", "2");
  OK(kist_flush(db, &err));
  OK(kist_backup(db, target, NULL, &second, &err));
  job.progress = stop_at_once;
  job.ctx = &calls;
  seq = 9;
  ASSERT_FAILS(KIST_E_CANCELLED, KIST_D_NONE, kist_backup(db, target, &job, &seq, &err));
  assert_int_equal(seq, 0);
  assert_int_equal(calls, 1);
  close_strict(db);

  ASSERT_RC(KIST_TRUNCATED, kist_generations(target, list, 1, &count, &err));
  assert_int_equal(count, 3);
  ASSERT_RC(KIST_TRUNCATED, kist_generations(target, NULL, 0, &count, &err));
  OK(kist_generations(target, list, 3, &count, &err));
  assert_int_equal(list[0].flags, KIST_GENERATION_FINISHED);
  assert_int_equal(list[0].last_seq, first);
  assert_int_equal(list[1].number, 2);
  assert_int_equal(list[1].last_seq, second);
  assert_true(list[1].last_time_ms >= list[0].first_time_ms);
  assert_int_equal(list[2].flags, 0);

  ASSERT_FAILS(KIST_E_CANCELLED, KIST_D_NONE, kist_restore(target, copy, NULL, &job, &seq, &err));
  OK(kist_restore(target, copy, NULL, NULL, &seq, &err));
  assert_int_equal(seq, second);
  db = open_plain(copy);
  assert_int_equal(kist_last_seq(db), second);
  expect(kist_default(db), NULL, "a", "2");
  close_strict(db);
  ASSERT_FAILS(KIST_E_EXISTS, KIST_D_NONE, kist_restore(target, copy, NULL, NULL, NULL, &err));
  drop_path(copy);

  copy = new_path();
  ro.to_seq = first;
  OK(kist_restore(target, copy, &ro, NULL, &seq, &err));
  db = open_plain(copy);
  expect(kist_default(db), NULL, "a", "1");
  close_strict(db);
  ro.to_seq = second + 1;
  {
    kist_err err = KIST_ERR_INIT;
    assert_int_equal(kist_restore(target, "/nowhere", &ro, NULL, &seq, &err), KIST_E_MISSING);
    assert_int_equal(err.aux, second);
  }
  keep.keep_count = 1;
  OK(kist_prune(target, &keep, NULL, &removed, &err));
  assert_true(removed > 0);
  ro.to_seq = first;
  ASSERT_RC(KIST_E_MISSING, kist_restore(target, "/nowhere", &ro, NULL, NULL, &err));
  drop_path(copy);
  drop_path(target);
  drop_path(path);
}

static void copies__arguments_are_checked(void** state) {
  char *path = new_path(), *target = new_path();
  kist_db* db = open_plain(path);
  kist_restore_options ro = KIST_RESTORE_OPTIONS_INIT;
  kist_prune_options keep = KIST_PRUNE_OPTIONS_INIT;
  kist_generation one = KIST_GENERATION_INIT;
  kist_job job = KIST_JOB_INIT;
  uint64_t seq = 9;
  (void)state;
  job.flags = 1;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_backup(db, target, &job, &seq, &err));
  assert_int_equal(seq, 0);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_backup(db, NULL, NULL, &seq, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME, kist_backup(db, "", NULL, &seq, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_backup(NULL, target, NULL, &seq, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NONE, kist_backup(db, "s3://b/p", NULL, &seq, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NONE,
               kist_backup(db, "s3://bucket/p?secret=x", NULL, &seq, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NONE, kist_backup(db, "gopher://b/p", NULL, &seq, &err));
  ASSERT_FAILS(KIST_E_MISSING, KIST_D_NONE, kist_backup(db, "/no/such/dir", NULL, &seq, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_restore(NULL, "/x", NULL, NULL, &seq, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_restore(target, NULL, NULL, NULL, &seq, &err));
  ASSERT_FAILS(KIST_E_MISSING, KIST_D_NONE, kist_restore(target, "/x", NULL, NULL, &seq, &err));
  ro.to_seq = 1;
  ro.to_time_ms = 1;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_restore(target, "/x", &ro, NULL, &seq, &err));
  ro.size = 0;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_restore(target, "/x", &ro, NULL, &seq, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_generations(NULL, NULL, 0, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_generations(target, NULL, 1, NULL, &err));
  ASSERT_FAILS(KIST_E_MISSING, KIST_D_NONE, kist_generations(target, NULL, 0, NULL, &err));
  one.size = 8;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_generations(target, &one, 1, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_prune(target, NULL, NULL, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_prune(target, &keep, NULL, NULL, &err));
  keep.keep_count = 1;
  ASSERT_FAILS(KIST_E_MISSING, KIST_D_NONE, kist_prune(target, &keep, NULL, NULL, &err));
  close_strict(db);
  drop_path(target);
  drop_path(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(copies__checkpoint_opens_as_the_newest_state),
      cmocka_unit_test(copies__checkpoint_of_memory_goes_to_disk),
      cmocka_unit_test(copies__checkpoint_refuses),
      cmocka_unit_test(copies__backup_and_restore),
      cmocka_unit_test(copies__arguments_are_checked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
