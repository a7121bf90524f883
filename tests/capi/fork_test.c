/* fork: in a child every call on a handle of its parent returns KIST_E_FORKED, and freeing frees
 * memory only. */
#include "support/tempdir.h"

#include <sys/wait.h>

static kist_db* db;
static kist_keyspace *ks, *own;
static kist_snapshot* snapshot;
static kist_iter* it;
static kist_batch* batch;
static kist_options* options;
static char* path;

static int set_up(void** state) {
  (void)state;
  path = new_path();
  db = open_plain(path);
  ks = kist_default(db);
  put(ks, "a", "1");
  OK(kist_flush(db, &err));
  put(ks, "b", "2");
  OK(kist_keyspace_open(db, "own", KIST_KEYSPACE_CREATE, NULL, &own, &err));
  OK(kist_snapshot_new(db, &snapshot, &err));
  OK(kist_iter_new(ks, NULL, &it, &err));
  OK(kist_iter_next(it, &err));
  OK(kist_batch_new(&batch));
  OK(kist_batch_put(batch, own, "c", 1, "3", 1, 0, &err));
  OK(kist_options_new(&options));
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  kist_options_free(options);
  kist_batch_free(batch);
  kist_iter_free(it);
  kist_snapshot_free(snapshot);
  kist_keyspace_free(own);
  close_strict(db);
  drop_path(path);
  return 0;
}

/* Runs `body` in a child; it returns 0, or the line that failed. */
static void in_child(int (*body)(void)) {
  const pid_t child = fork();
  int status = 0;
  if (child == 0) {
    int line;
    setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failure here ends the child */
    line = body();
    if (line != 0) fprintf(stderr, "child: line %d\n", line);
    _exit(line != 0);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

#define CHECK(condition)               \
  do {                                 \
    if (!(condition)) return __LINE__; \
  } while (0)
#define FORKED(call)                                                           \
  do {                                                                         \
    kist_err err = KIST_ERR_INIT;                                              \
    if ((call) != KIST_E_FORKED || err.code != KIST_E_FORKED) return __LINE__; \
  } while (0)

static int every_call(void) {
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_slice key = {"a", 1}, val;
  kist_entry entries[2];
  kist_pin pin;
  kist_rc rcs[1];
  kist_snapshot* new_snapshot = (kist_snapshot*)&ro;
  kist_iter* new_iter = (kist_iter*)&ro;
  kist_keyspace* new_ks = (kist_keyspace*)&ro;
  kist_txn* txn = (kist_txn*)&ro;
  kist_feed* feed = (kist_feed*)&ro;
  kist_stream* stream = (kist_stream*)&ro;
  void* copy = &ro;
  char buf[64];
  size_t n = 9, used = 9, need = 9;
  uint64_t v = 9;
  int64_t left = 9;
  FORKED(kist_get(ks, NULL, "a", 1, buf, 64, &n, &err));
  CHECK(n == 0);
  FORKED(kist_get_pin(ks, NULL, "a", 1, &pin, &err));
  CHECK(pin.data == NULL);
  FORKED(kist_get_copy(ks, NULL, "a", 1, &copy, &n, &err));
  CHECK(copy == NULL);
  FORKED(kist_exists(ks, NULL, "a", 1, &err));
  FORKED(kist_ttl(ks, NULL, "a", 1, &left, &err));
  CHECK(left == 0);
  FORKED(kist_multi_get(ks, NULL, 1, &key, &pin, rcs, &err));
  ro.snapshot = snapshot;
  FORKED(kist_exists(own, &ro, "a", 1, &err));
  FORKED(kist_put(ks, NULL, "x", 1, "1", 1, &err));
  FORKED(kist_put(own, NULL, NULL, 1, NULL, 1, &err)); /* whatever else is wrong */
  FORKED(kist_delete(ks, NULL, "a", 1, &err));
  FORKED(kist_delete_range(ks, NULL, "a", 1, "b", 1, &err));
  FORKED(kist_batch_put(batch, ks, "x", 1, "1", 1, 0, &err));
  FORKED(kist_batch_delete(batch, ks, "x", 1, &err));
  FORKED(kist_batch_delete_range(batch, ks, "x", 1, NULL, 0, &err));
  FORKED(kist_write(db, NULL, batch, &v, &err));
  CHECK(v == 0);
  FORKED(kist_write_packed(db, NULL, "KWB\1\0\0\0\0", 8, &v, &err));
  FORKED(kist_sync(db, &err));
  FORKED(kist_wait_durable(db, 1, -1, &err));
  FORKED(kist_snapshot_new(db, &new_snapshot, &err));
  CHECK(new_snapshot == NULL);
  FORKED(kist_iter_new(ks, NULL, &new_iter, &err));
  CHECK(new_iter == NULL);
  FORKED(kist_iter_seek(it, KIST_SEEK_FIRST, NULL, 0, &err));
  FORKED(kist_iter_next(it, &err));
  FORKED(kist_iter_prev(it, &err));
  FORKED(kist_iter_entries(it, 1, entries, 2, &n, &err));
  FORKED(kist_iter_chunk(it, 1, buf, 64, 2, &used, &n, &need, &err));
  FORKED(kist_iter_refresh(it, &err));
  CHECK(kist_iter_entry(it, &key, &val) == KIST_E_FORKED && key.data == NULL);
  FORKED(kist_keyspace_open(db, "new", KIST_KEYSPACE_CREATE, NULL, &new_ks, &err));
  CHECK(new_ks == NULL);
  FORKED(kist_keyspace_drop(db, "own", &err));
  FORKED(kist_keyspace_list(db, buf, 64, &n, &err));
  FORKED(kist_set_option(db, "cache_size", "1MiB", &err));
  FORKED(kist_flush(db, &err));
  FORKED(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  FORKED(kist_wait_idle(db, -1, &err));
  FORKED(kist_verify(db, NULL, &err));
  FORKED(kist_approximate_size(ks, NULL, 0, NULL, 0, &v, &err));
  FORKED(kist_stat(db, "commits", &v, &err));
  FORKED(kist_stats(db, KIST_STATS_TEXT, buf, 64, &n, &err));
  FORKED(kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
  CHECK(txn == NULL);
  FORKED(kist_feed_open(db, 0, &feed, &err));
  CHECK(feed == NULL);
  FORKED(kist_checkpoint(db, "/nowhere", &err));
  FORKED(kist_backup(db, "/nowhere", NULL, &v, &err));
  FORKED(kist_stream_start(db, "/nowhere", NULL, &stream, &err));
  CHECK(stream == NULL);
  CHECK(kist_last_seq(db) == 0);
  CHECK(kist_durable_seq(db) == 0);
  return 0;
}

static kist_txn* txn;
static kist_feed* feed;
static kist_stream* stream;

/* Handles that a parent has had made: of a transaction, a feed and a stream. */
static int every_call_of_the_others(void) {
  kist_stream_info info = KIST_STREAM_INFO_INIT;
  kist_slice packed;
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  uint64_t v = 9;
  int64_t ms = 9;
  ro.txn = txn;
  FORKED(kist_exists(ks, &ro, "a", 1, &err));
  FORKED(kist_txn_put(txn, ks, "x", 1, "1", 1, 0, &err));
  FORKED(kist_txn_delete(txn, ks, "a", 1, &err));
  FORKED(kist_txn_delete_range(txn, ks, "a", 1, "b", 1, &err));
  FORKED(kist_txn_savepoint(txn, &err));
  FORKED(kist_txn_rollback_to(txn, &err));
  FORKED(kist_txn_commit(txn, NULL, &v, &err));
  FORKED(kist_feed_next(feed, 0, &v, &ms, &packed, &err));
  FORKED(kist_stream_status(stream, &info, &err));
  FORKED(kist_stream_wait(stream, 1, 0, &err));
  kist_txn_free(txn);
  kist_feed_free(feed);
  CHECK(kist_stream_stop(stream, 0, NULL) != KIST_E_INTERNAL); /* frees memory, or refuses */
  CHECK(kist_close(db, KIST_CLOSE_REVOKE, NULL) == KIST_OK);
  return 0;
}

static void fork__transactions_feeds_and_streams_too(void** state) {
  char* target = new_path();
  uint64_t seq = 0;
  kist_slice packed;
  (void)state;
  OK(kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
  OK(kist_txn_put(txn, ks, "t", 1, "4", 1, 0, &err));
  OK(kist_feed_open(db, kist_last_seq(db), &feed, &err));
  OK(kist_stream_start(db, target, NULL, &stream, &err));
  in_child(every_call_of_the_others);
  OK(kist_txn_commit(txn, NULL, NULL, &err));
  OK(kist_feed_next(feed, 1000, &seq, NULL, &packed, &err));
  assert_int_equal(seq, kist_last_seq(db));
  kist_txn_free(txn);
  kist_feed_free(feed);
  OK(kist_stream_stop(stream, -1, &err));
  expect(ks, NULL, "t", "4");
  drop_path(target);
}

static void fork__every_call_of_a_child_is_refused(void** state) {
  (void)state;
  in_child(every_call);
  expect(ks, NULL, "a", "1");
  expect(ks, NULL, "x", NULL);
}

static int free_everything(void) {
  const uint32_t mode = (uint32_t)(getpid() % 3);
  kist_iter_free(it);
  kist_snapshot_free(snapshot);
  kist_keyspace_free(own);
  kist_batch_free(batch);
  CHECK(kist_close(db, mode, NULL) == KIST_OK);
  CHECK(kist_options_set(options, "sync", "never", NULL) == KIST_OK);
  kist_options_free(options);
  return 0;
}

static int close_first(void) {
  kist_db* other = NULL;
  CHECK(kist_close(db, KIST_CLOSE_STRICT, NULL) == KIST_OK);
  CHECK(kist_put(own, NULL, "x", 1, "1", 1, NULL) == KIST_E_FORKED);
  CHECK(kist_open(path, NULL, &other, NULL) == KIST_E_LOCKED); /* the parent's lock is untouched */
  CHECK(kist_repair(path, NULL, NULL, 0, NULL, NULL) == KIST_E_LOCKED);
  CHECK(kist_destroy(path, NULL) == KIST_E_LOCKED);
  kist_keyspace_free(own);
  kist_snapshot_free(snapshot);
  kist_iter_free(it);
  return 0;
}

static void fork__closing_in_a_child_frees_memory_only(void** state) {
  int i;
  (void)state;
  for (i = 0; i < 4; ++i) {
    in_child(free_everything);
    in_child(close_first);
  }
  /* The parent has noticed nothing. */
  put(own, "k", "v");
  OK(kist_write(db, NULL, batch, NULL, &err));
  OK(kist_flush(db, &err));
  OK(kist_iter_next(it, &err));
  expect(own, NULL, "k", "v");
  OK(kist_verify(db, NULL, &err));
  {
    kist_db* other = NULL;
    ASSERT_RC(KIST_E_LOCKED, kist_open(path, NULL, &other, &err));
  }
}

static int open_another(void) {
  char* mine = new_path();
  kist_db* other = NULL;
  CHECK(kist_open(mine, NULL, &other, NULL) == KIST_OK);
  CHECK(kist_put(kist_default(other), NULL, "a", 1, "1", 1, NULL) == KIST_OK);
  CHECK(kist_exists(kist_default(other), NULL, "a", 1, NULL) == KIST_OK);
  CHECK(kist_exists(ks, NULL, "a", 1, NULL) == KIST_E_FORKED);
  CHECK(kist_close(other, KIST_CLOSE_STRICT, NULL) == KIST_OK);
  drop_path(mine);
  return 0;
}

static void fork__a_child_opens_databases_of_its_own(void** state) {
  (void)state;
  in_child(open_another);
}

static int grandchild(void) {
  int status = 0;
  const pid_t child = fork();
  if (child == 0) _exit(kist_exists(ks, NULL, "a", 1, NULL) == KIST_E_FORKED ? 0 : 1);
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  return 0;
}

static void fork__grandchildren_too(void** state) {
  (void)state;
  in_child(grandchild);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(fork__every_call_of_a_child_is_refused),
      TEST(fork__transactions_feeds_and_streams_too),
      TEST(fork__closing_in_a_child_frees_memory_only),
      TEST(fork__a_child_opens_databases_of_its_own),
      TEST(fork__grandchildren_too),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
