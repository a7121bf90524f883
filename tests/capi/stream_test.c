/* Streams through the interface: starting, waiting, stopping, options, and the ways a database
 * closes under one. */
#include "support/tempdir.h"

static char *path, *target;
static kist_db* db;

static int set_up(void** state) {
  (void)state;
  path = new_path();
  target = new_path();
  db = open_plain(path);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  drop_path(path);
  drop_path(target);
  return 0;
}

static void restored(const char* key, const char* want) {
  char* copy = new_path();
  kist_db* other;
  OK(kist_restore(target, copy, NULL, NULL, NULL, &err));
  other = open_plain(copy);
  expect(kist_default(other), NULL, key, want);
  close_strict(other);
  drop_path(copy);
}

static void stream__ships_what_is_written(void** state) {
  kist_stream* stream = NULL;
  kist_stream_info info = KIST_STREAM_INFO_INIT;
  kist_options* options = NULL;
  (void)state;
  OK(kist_options_new(&options));
  OK(kist_options_set(options, "stream_interval", "10ms", &err));
  put(kist_default(db), "a", "1");
  OK(kist_stream_start(db, target, options, &stream, &err));
  kist_options_free(options);
  OK(kist_stream_wait(stream, kist_last_seq(db), -1, &err));
  put(kist_default(db), "a", "2");
  OK(kist_stream_wait(stream, kist_last_seq(db), -1, &err));
  OK(kist_stream_status(stream, &info, &err));
  assert_int_equal(info.state, KIST_STREAM_RUNNING);
  assert_int_equal(info.shipped_seq, kist_last_seq(db));
  assert_int_equal(info.lag_bytes, 0);
  assert_int_equal(info.lag_ms, 0);
  assert_int_equal(info.errors, 0);
  assert_true(info.shipped_bytes > 0);
  restored("a", "2");
  put(kist_default(db), "a", "3");
  OK(kist_stream_stop(stream, -1, &err));
  restored("a", "3");
  close_strict(db);
}

static void stream__refuses(void** state) {
  kist_stream *stream = (kist_stream*)(void*)db, *no_stream = stream;
  kist_stream_info info = KIST_STREAM_INFO_INIT;
  (void)state;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_stream_start(db, NULL, NULL, &stream, &err));
  assert_null(stream);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_stream_start(db, target, NULL, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME, kist_stream_start(db, "", NULL, &stream, &err));
  ASSERT_FAILS(KIST_E_MISSING, KIST_D_NONE,
               kist_stream_start(db, "/no/such/dir", NULL, &stream, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NONE,
               kist_stream_start(db, "s3://bucket/x?style=x", NULL, &stream, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_stream_start(NULL, target, NULL, &stream, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_stream_status(NULL, &info, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_stream_status(no_stream, &info, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_stream_wait(NULL, 1, 0, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_stream_stop(NULL, 0, &err));
  OK(kist_stream_start(db, target, NULL, &stream, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_stream_status(stream, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NONE,
               kist_stream_wait(stream, kist_last_seq(db) + 1, 0, &err));
  ASSERT_FAILS(KIST_E_BUSY, KIST_D_NONE, kist_close(db, KIST_CLOSE_STRICT, &err));
  OK(kist_stream_stop(stream, 0, &err));
  close_strict(db);
}

static void stream__close_revokes(void** state) {
  kist_stream* stream = NULL;
  kist_stream_info info = KIST_STREAM_INFO_INIT;
  (void)state;
  OK(kist_stream_start(db, target, NULL, &stream, &err));
  put(kist_default(db), "a", "1");
  OK(kist_close(db, KIST_CLOSE_REVOKE, &err));
  ASSERT_FAILS(KIST_E_CLOSED, KIST_D_NONE, kist_stream_wait(stream, 1, -1, &err));
  info.shipped_seq = 9;
  ASSERT_FAILS(KIST_E_CLOSED, KIST_D_NONE, kist_stream_status(stream, &info, &err));
  assert_int_equal(info.shipped_seq, 0);
  ASSERT_FAILS(KIST_E_CLOSED, KIST_D_NONE, kist_stream_stop(stream, -1, &err));
}

static void stream__works_on_after_a_deferred_close(void** state) {
  kist_stream* stream = NULL;
  (void)state;
  OK(kist_stream_start(db, target, NULL, &stream, &err));
  put(kist_default(db), "a", "1");
  OK(kist_close(db, KIST_CLOSE_DEFER, &err));
  OK(kist_stream_wait(stream, 1, -1, &err));
  OK(kist_stream_stop(stream, -1, &err));
  restored("a", "1");
  db = open_plain(path); /* the last child gone, it is closed */
  close_strict(db);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(stream__ships_what_is_written, set_up, tear_down),
      cmocka_unit_test_setup_teardown(stream__refuses, set_up, tear_down),
      cmocka_unit_test_setup_teardown(stream__close_revokes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(stream__works_on_after_a_deferred_close, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
