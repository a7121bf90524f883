/* Functions whose engine comes with a later version: they check and set as all do, and say
 * KIST_E_UNSUPPORTED by their name. */
#include "support/tempdir.h"

#define UNSUPPORTED(name, call)                     \
  do {                                              \
    kist_err err = KIST_ERR_INIT;                   \
    assert_int_equal(call, KIST_E_UNSUPPORTED);     \
    assert_int_equal(err.code, KIST_E_UNSUPPORTED); \
    assert_non_null(strstr(err.message, name));     \
  } while (0)

static void later__streams(void** state) {
  kist_db* db = open_memory();
  kist_stream *stream = (kist_stream*)(void*)db, *some = stream;
  kist_stream_info info = KIST_STREAM_INFO_INIT;
  (void)state;
  UNSUPPORTED("kist_stream_start", kist_stream_start(db, "/nowhere", NULL, &stream, &err));
  assert_null(stream);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_stream_start(db, NULL, NULL, &stream, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_stream_start(db, "/nowhere", NULL, NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE,
               kist_stream_start(NULL, "/nowhere", NULL, &stream, &err));
  info.shipped_seq = 9;
  UNSUPPORTED("kist_stream_status", kist_stream_status(some, &info, &err));
  assert_int_equal(info.shipped_seq, 0);
  assert_int_equal(info.size, sizeof info);
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_stream_status(NULL, &info, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_stream_status(some, NULL, &err));
  UNSUPPORTED("kist_stream_wait", kist_stream_wait(some, 1, 0, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_stream_wait(NULL, 1, 0, &err));
  UNSUPPORTED("kist_stream_stop", kist_stream_stop(some, 0, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_stream_stop(NULL, 0, &err));
  close_strict(db);
}

static void later__repair(void** state) {
  char report[8] = "xxxxxxx";
  size_t len = 9;
  (void)state;
  UNSUPPORTED("kist_repair", kist_repair("/nowhere", NULL, report, sizeof report, &len, &err));
  assert_int_equal(len, 0);
  assert_string_equal(report, "");
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL,
               kist_repair(NULL, NULL, report, sizeof report, &len, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_repair("/nowhere", NULL, NULL, 8, &len, &err));
}

int main(void) {
  const struct CMUnitTest tests[] = {

      cmocka_unit_test(later__streams),
      cmocka_unit_test(later__repair),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
