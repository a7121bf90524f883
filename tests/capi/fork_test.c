/* fork: in a child every call on a handle of its parent returns KIST_E_FORKED, and freeing frees
 * memory only; a child may open databases of its own, also where its parent forked amid everything
 * that a database does. That each function of kist.h is called here is held by tests/tidy/lists.py.
 */
#include "support/tempdir.h"

#include <pthread.h>
#include <stdatomic.h>
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

/* The whole interface on a database of the child's own, in directory `where`. */
static int everything_else(const char* where) {
  char own_path[4200], target[4200], copy[4200], restored[4200], text[4096];
  kist_options* settings = NULL;
  kist_option_info info = KIST_OPTION_INFO_INIT;
  kist_prune_options keep = KIST_PRUNE_OPTIONS_INIT;
  kist_generation generations[4] = {KIST_GENERATION_INIT};
  kist_stream* shipping = NULL;
  kist_keyspace* one = NULL;
  kist_feed* following = NULL;
  kist_batch* writes = NULL;
  kist_snapshot* then = NULL;
  kist_db* mine = NULL;
  kist_slice packed;
  kist_pin pin;
  const void* data = NULL;
  void* owned = NULL;
  uint64_t seq = 0;
  size_t n = 0;
  snprintf(own_path, sizeof own_path, "%s.own", where);
  snprintf(target, sizeof target, "%s.target", where);
  snprintf(copy, sizeof copy, "%s.copy", where);
  snprintf(restored, sizeof restored, "%s.restored", where);
  CHECK(kist_version() != 0 && kist_version_string() != NULL && kist_build_info() != NULL);
  CHECK(kist_rc_name(KIST_E_FORKED) != NULL && kist_rc_text(KIST_E_FORKED) != NULL);
  CHECK(kist_option_describe(0, &info) == KIST_OK);
  CHECK(kist_options_new(&settings) == KIST_OK);
  CHECK(kist_options_parse(settings, "memory_budget=8MiB; log_retention=1MiB", NULL) == KIST_OK);
  CHECK(kist_options_set_u64(settings, "write_buffer_size", 65536, NULL) == KIST_OK);
  CHECK(kist_options_set_logger(settings, KIST_LOG_INFO, NULL, NULL, NULL) == KIST_OK);
  CHECK(kist_options_get(settings, "log_retention", text, sizeof text, &n, NULL) == KIST_OK);
  CHECK(kist_open(own_path, settings, &mine, NULL) == KIST_OK);
  kist_options_free(settings);
  CHECK(kist_keyspace_open(mine, "one", KIST_KEYSPACE_CREATE, NULL, &one, NULL) == KIST_OK);
  CHECK(kist_keyspace_id(one) != 0);
  CHECK(kist_batch_new(&writes) == KIST_OK);
  CHECK(kist_batch_put(writes, one, "a", 1, "1", 1, 0, NULL) == KIST_OK);
  CHECK(kist_batch_count(writes) == 1 && kist_batch_data(writes, &data, &n) == KIST_OK);
  CHECK(kist_write(mine, NULL, writes, &seq, NULL) == KIST_OK);
  kist_batch_clear(writes);
  kist_batch_free(writes);
  CHECK(kist_snapshot_new(mine, &then, NULL) == KIST_OK && kist_snapshot_seq(then) == seq);
  kist_snapshot_free(then);
  CHECK(kist_get_pin(one, NULL, "a", 1, &pin, NULL) == KIST_OK);
  kist_pin_release(&pin);
  CHECK(kist_get_copy(one, NULL, "a", 1, &owned, &n, NULL) == KIST_OK);
  kist_free(owned);
  CHECK(kist_feed_open(mine, 0, &following, NULL) == KIST_OK);
  CHECK(kist_feed_next(following, 0, &seq, NULL, &packed, NULL) == KIST_OK);
  kist_feed_free(following);
  CHECK(kist_flush(mine, NULL) == KIST_OK);
  CHECK(kist_compact(one, NULL, 0, NULL, 0, NULL, NULL) == KIST_OK);
  CHECK(kist_checkpoint(mine, copy, NULL) == KIST_OK);
  CHECK(kist_stream_start(mine, target, NULL, &shipping, NULL) == KIST_OK);
  CHECK(kist_stream_wait(shipping, kist_last_seq(mine), -1, NULL) == KIST_OK);
  CHECK(kist_stream_stop(shipping, -1, NULL) == KIST_OK);
  CHECK(kist_backup(mine, target, NULL, NULL, NULL) == KIST_OK);
  keep.keep_count = 1;
  CHECK(kist_prune(target, &keep, NULL, NULL, NULL) == KIST_OK);
  CHECK(kist_generations(target, generations, 4, &n, NULL) == KIST_OK && n > 0);
  CHECK(kist_restore(target, restored, NULL, NULL, NULL, NULL) == KIST_OK);
  kist_keyspace_free(one);
  CHECK(kist_close(mine, KIST_CLOSE_STRICT, NULL) == KIST_OK);
  CHECK(kist_repair(copy, NULL, text, sizeof text, &n, NULL) >= 0);
  CHECK(kist_destroy(own_path, NULL) == KIST_OK && kist_destroy(copy, NULL) == KIST_OK);
  CHECK(kist_destroy(restored, NULL) == KIST_OK);
  remove_tree(target);
  return 0;
}

static int everything_of_its_own(void) {
  char* mine = new_path();
  const int line = everything_else(mine);
  drop_path(mine);
  return line;
}

static atomic_int done;
static char* load_path;

static void* write_load(void* arg) {
  uint64_t i;
  for (i = (uint64_t)(uintptr_t)arg << 32; !atomic_load(&done); ++i) {
    kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
    char value[500];
    memset(value, 'v', sizeof value);
    wo.durability = i % 7 == 0 ? KIST_DURABILITY_SYNC : KIST_DURABILITY_OS;
    OK(kist_put(i % 2 ? ks : own, &wo, &i, i % 64 ? 8 : 7, value, i % sizeof value, &err));
  }
  return NULL;
}

static void* read_load(void* arg) {
  (void)arg;
  while (!atomic_load(&done)) {
    kist_iter* walk = NULL;
    kist_pin pin;
    int i;
    OK(kist_iter_new(ks, NULL, &walk, &err));
    for (i = 0; i < 50 && kist_iter_next(walk, NULL) == KIST_OK; ++i) {
    }
    kist_iter_free(walk);
    OK(kist_get_pin(ks, NULL, "a", 1, &pin, &err));
    kist_pin_release(&pin);
  }
  return NULL;
}

static void* change_load(void* arg) {
  int i;
  (void)arg;
  for (i = 0; !atomic_load(&done); ++i) {
    char place[4200];
    kist_keyspace* short_lived = NULL;
    kist_txn* change = NULL;
    snprintf(place, sizeof place, "%s.checkpoint", load_path);
    OK(kist_flush(db, &err));
    OK(kist_keyspace_open(db, "short", KIST_KEYSPACE_CREATE, NULL, &short_lived, &err));
    OK(kist_txn_begin(db, KIST_TXN_SERIALIZABLE, &change, &err));
    OK(kist_txn_put(change, short_lived, "t", 1, "1", 1, 0, &err));
    OK(kist_txn_commit(change, NULL, NULL, &err));
    kist_txn_free(change);
    kist_keyspace_free(short_lived);
    OK(kist_keyspace_drop(db, "short", &err));
    if (i % 4 == 3) OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
    if (i % 4 == 1) OK(kist_checkpoint(db, place, &err));
    if (i % 4 == 1) OK(kist_destroy(place, &err));
    snprintf(place, sizeof place, "%s.target", load_path);
    if (i % 4 == 2) OK(kist_backup(db, place, NULL, NULL, &err));
  }
  return NULL;
}

static int amid_a_load(void) {
  int line;
  alarm(120); /* whoever waits for a lock that a thread of the parent had waits for ever */
  line = every_call();
  if (line == 0) line = free_everything();
  return line != 0 ? line : everything_of_its_own();
}

/* A thread of the parent may hold a lock of the sanitizer's own for ever. gcc says that one is
 * there by macros, clang by features. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

static void fork__amid_a_load(void** state) {
  const int rounds = getenv("KIST_TEST_QUICK") != NULL ? 4 : 12;
  char target[4200];
  kist_stream* shipping = NULL;
  pthread_t threads[6];
  uintptr_t i;
  (void)state;
#ifdef SANITIZED
  print_message("the sanitizer's locks do not survive a fork beside threads\n");
  skip();
#endif
  load_path = new_path();
  snprintf(target, sizeof target, "%s.target", load_path);
  OK(kist_stream_start(db, target, NULL, &shipping, &err));
  atomic_store(&done, 0);
  for (i = 0; i < 6; ++i)
    assert_int_equal(pthread_create(&threads[i], NULL,
                                    i < 3   ? write_load
                                    : i < 5 ? read_load
                                            : change_load,
                                    (void*)(i + 1)),
                     0);
  for (i = 0; i < (uintptr_t)rounds; ++i) {
    usleep((useconds_t)(i * 7919 % 20000));
    in_child(amid_a_load);
  }
  atomic_store(&done, 1);
  for (i = 0; i < 6; ++i) assert_int_equal(pthread_join(threads[i], NULL), 0);
  OK(kist_stream_wait(shipping, kist_last_seq(db), -1, &err));
  OK(kist_stream_stop(shipping, -1, &err));
  OK(kist_verify(db, NULL, &err));
  drop_path(load_path);
}

static void fork__a_child_has_everything_of_its_own(void** state) {
  (void)state;
  in_child(everything_of_its_own);
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
      TEST(fork__a_child_has_everything_of_its_own),
      TEST(fork__amid_a_load),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
