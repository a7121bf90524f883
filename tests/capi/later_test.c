/* Functions whose engine comes with a later version: they check and set as all do, and say KIST_E_UNSUPPORTED by their name. */
#include "support/tempdir.h"

#define UNSUPPORTED(name, call)                                   \
  do {                                                            \
    kist_err err = KIST_ERR_INIT;                                 \
    assert_int_equal(call, KIST_E_UNSUPPORTED);                   \
    assert_int_equal(err.code, KIST_E_UNSUPPORTED);               \
    assert_non_null(strstr(err.message, name));                   \
  } while (0)

static void later__transactions(void **state) {
  kist_db *db = open_memory();
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_txn *txn = (kist_txn *)(void *)db, *some = txn;
  kist_iter *it = (kist_iter *)(void *)db;
  uint64_t seq = 9;
  (void)state;
  UNSUPPORTED("kist_txn_begin", kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
  assert_null(txn);
  UNSUPPORTED("kist_txn_begin", kist_txn_begin(db, KIST_TXN_SERIALIZABLE, &txn, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_txn_begin(db, 2, &txn, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_txn_begin(db, 0, NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_begin(NULL, 0, &txn, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_put(NULL, kist_default(db), "a", 1, "1", 1, 0, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_delete(NULL, kist_default(db), "a", 1, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_delete_range(NULL, kist_default(db), "a", 1, "b", 1, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_savepoint(NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_rollback_to(NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_commit(NULL, NULL, &seq, &err));
  assert_int_equal(seq, 0);
  UNSUPPORTED("kist_txn_put", kist_txn_put(some, kist_default(db), "a", 1, "1", 1, 0, &err));
  UNSUPPORTED("kist_txn_commit", kist_txn_commit(some, NULL, &seq, &err));
  kist_txn_free(NULL);
  ro.txn = io.txn = some;
  UNSUPPORTED("kist_txn_begin", kist_exists(kist_default(db), &ro, "a", 1, &err));
  UNSUPPORTED("kist_txn_begin", kist_iter_new(kist_default(db), &io, &it, &err));
  assert_null(it);
  close_strict(db);
}

static void later__feed(void **state) {
  kist_db *db = open_memory();
  kist_feed *feed = (kist_feed *)(void *)db, *some = feed;
  kist_slice packed = {"x", 1};
  uint64_t seq = 9;
  int64_t time_ms = 9;
  (void)state;
  UNSUPPORTED("kist_feed_open", kist_feed_open(db, 0, &feed, &err));
  assert_null(feed);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_feed_open(db, 0, NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_feed_open(NULL, 0, &feed, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_feed_next(NULL, 0, &seq, &time_ms, &packed, &err));
  assert_int_equal(seq, 0);
  assert_int_equal(time_ms, 0);
  assert_null(packed.data);
  UNSUPPORTED("kist_feed_next", kist_feed_next(some, 0, &seq, &time_ms, &packed, &err));
  kist_feed_free(NULL);
  close_strict(db);
}

static void later__copies(void **state) {
  kist_db *db = open_memory();
  kist_restore_options ro = KIST_RESTORE_OPTIONS_INIT;
  kist_job job = KIST_JOB_INIT;
  uint64_t seq = 9;
  (void)state;
  UNSUPPORTED("kist_checkpoint", kist_checkpoint(db, "/nowhere", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_checkpoint(db, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME, kist_checkpoint(db, "", &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_checkpoint(NULL, "/nowhere", &err));
  UNSUPPORTED("kist_backup", kist_backup(db, "/nowhere", &job, &seq, &err));
  assert_int_equal(seq, 0);
  job.flags = 1;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_backup(db, "/nowhere", &job, &seq, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_backup(db, NULL, NULL, &seq, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_backup(NULL, "/nowhere", NULL, &seq, &err));
  UNSUPPORTED("kist_restore", kist_restore("/nowhere", "/nor-here", &ro, NULL, &seq, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_restore(NULL, "/nor-here", NULL, NULL, &seq, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_restore("/nowhere", NULL, NULL, NULL, &seq, &err));
  ro.to_seq = 1;
  ro.to_time_ms = 1;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_restore("/nowhere", "/nor-here", &ro, NULL, &seq, &err));
  ro.size = 0;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_restore("/nowhere", "/nor-here", &ro, NULL, &seq, &err));
  close_strict(db);
}

static void later__streams(void **state) {
  kist_db *db = open_memory();
  kist_stream *stream = (kist_stream *)(void *)db, *some = stream;
  kist_stream_info info = KIST_STREAM_INFO_INIT;
  (void)state;
  UNSUPPORTED("kist_stream_start", kist_stream_start(db, "/nowhere", NULL, &stream, &err));
  assert_null(stream);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_stream_start(db, NULL, NULL, &stream, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_stream_start(db, "/nowhere", NULL, NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_stream_start(NULL, "/nowhere", NULL, &stream, &err));
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

static void later__repair(void **state) {
  char report[8] = "xxxxxxx";
  size_t len = 9;
  (void)state;
  UNSUPPORTED("kist_repair", kist_repair("/nowhere", NULL, report, sizeof report, &len, &err));
  assert_int_equal(len, 0);
  assert_string_equal(report, "");
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_repair(NULL, NULL, report, sizeof report, &len, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_repair("/nowhere", NULL, NULL, 8, &len, &err));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(later__transactions), cmocka_unit_test(later__feed),   cmocka_unit_test(later__copies),
      cmocka_unit_test(later__streams),      cmocka_unit_test(later__repair),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
