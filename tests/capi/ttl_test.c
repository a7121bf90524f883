/* TTL: per value and per keyspace, strict on every read path, hiding older values, fixed by
 * snapshots and iterators. */
#include "support/tempdir.h"

static kist_db* db;
static kist_keyspace* ks;

static int set_up(void** state) {
  (void)state;
  db = open_memory();
  ks = kist_default(db);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  close_strict(db);
  return 0;
}

static void put_ttl(const char* key, const char* val, int64_t ttl_ms) {
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  wo.ttl_ms = ttl_ms;
  OK(kist_put(ks, &wo, key, strlen(key), val, strlen(val), &err));
}

static int64_t left_of(const char* key, const kist_read_options* ro) {
  int64_t left = 0;
  OK(kist_ttl(ks, ro, key, strlen(key), &left, &err));
  return left;
}

static void ttl__time_left(void** state) {
  int64_t left;
  (void)state;
  put(ks, "for ever", "1");
  assert_int_equal(left_of("for ever", NULL), -1);
  put_ttl("hour", "1", 3600000);
  left = left_of("hour", NULL);
  assert_true(left > 3590000 && left <= 3600000);
  put_ttl("never", "1", KIST_TTL_NEVER);
  assert_int_equal(left_of("never", NULL), -1);
  put_ttl("long", "1", KIST_TTL_NEVER - 1); /* saturates, does not wrap */
  assert_true(left_of("long", NULL) == -1 || left_of("long", NULL) > 3600000);
  expect(ks, NULL, "long", "1");
  OK(kist_flush(db, &err));
  left = left_of("hour", NULL);
  assert_true(left > 3580000 && left <= 3600000);
  put(ks, "hour", "2"); /* a put without one ends it */
  assert_int_equal(left_of("hour", NULL), -1);
}

static void ttl__expired_values_are_gone_everywhere(void** state) {
  kist_iter* it = NULL;
  kist_slice keys[2] = {{"a", 1}, {"k", 1}};
  kist_pin pins[2];
  kist_rc rcs[2];
  int64_t left = 9;
  void* copy = NULL;
  int flushed;
  (void)state;
  for (flushed = 0; flushed < 2; ++flushed) {
    put(ks, "a", "1");
    put(ks, "k", "old");
    if (flushed) OK(kist_flush(db, &err));
    put_ttl("k", "short", 60);
    expect(ks, NULL, "k", "short");
    if (flushed) OK(kist_flush(db, &err));
    usleep(90000);
    expect(ks, NULL, "k", NULL); /* and the older value stays hidden */
    ASSERT_RC(KIST_NOT_FOUND, kist_exists(ks, NULL, "k", 1, &err));
    ASSERT_RC(KIST_NOT_FOUND, kist_get_pin(ks, NULL, "k", 1, &pins[0], &err));
    ASSERT_RC(KIST_NOT_FOUND, kist_get_copy(ks, NULL, "k", 1, &copy, NULL, &err));
    ASSERT_RC(KIST_NOT_FOUND, kist_ttl(ks, NULL, "k", 1, &left, &err));
    assert_int_equal(left, 0);
    OK(kist_multi_get(ks, NULL, 2, keys, pins, rcs, &err));
    assert_int_equal(rcs[1], KIST_NOT_FOUND);
    kist_pin_release(&pins[0]);
    OK(kist_iter_new(ks, NULL, &it, &err));
    OK(kist_iter_next(it, &err));
    ASSERT_RC(KIST_DONE, kist_iter_next(it, &err));
    OK(kist_iter_seek(it, KIST_SEEK_LAST, NULL, 0, &err));
    ASSERT_RC(KIST_DONE, kist_iter_prev(it, &err));
    kist_iter_free(it);
    OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
    expect(ks, NULL, "k", NULL);
    put(ks, "k", "back");
    expect(ks, NULL, "k", "back");
    OK(kist_delete_range(ks, NULL, NULL, 0, NULL, 0, &err));
  }
}

static void ttl__snapshots_and_iterators_fix_the_time(void** state) {
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_snapshot* snapshot = NULL;
  kist_iter* it = NULL;
  int64_t left;
  (void)state;
  put_ttl("k", "v", 60);
  OK(kist_snapshot_new(db, &snapshot, &err));
  OK(kist_iter_new(ks, NULL, &it, &err));
  ro.snapshot = snapshot;
  left = left_of("k", &ro);
  assert_true(left > 0 && left <= 60);
  usleep(90000);
  expect(ks, NULL, "k", NULL);
  OK(kist_flush(db, &err));
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  expect(ks, &ro, "k", "v");
  assert_int_equal(left_of("k", &ro), left);
  OK(kist_iter_next(it, &err));
  ASSERT_RC(KIST_DONE, kist_iter_next(it, &err));
  OK(kist_iter_refresh(it, &err));
  ASSERT_RC(KIST_DONE, kist_iter_next(it, &err));
  kist_iter_free(it);
  kist_snapshot_free(snapshot);
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  expect(ks, NULL, "k", NULL);
}

static void ttl__in_batches(void** state) {
  kist_batch* batch = NULL;
  int64_t left;
  (void)state;
  OK(kist_batch_new(&batch));
  OK(kist_batch_put(batch, ks, "a", 1, "1", 1, 60, &err));
  OK(kist_batch_put(batch, ks, "b", 1, "1", 1, 3600000, &err));
  OK(kist_batch_put(batch, ks, "c", 1, "1", 1, KIST_TTL_NEVER, &err));
  OK(kist_batch_put(batch, ks, "d", 1, "1", 1, 0, &err));
  usleep(90000);
  OK(kist_write(db, NULL, batch, NULL, &err)); /* it counts from the commit */
  expect(ks, NULL, "a", "1");
  left = left_of("b", NULL);
  assert_true(left > 3590000 && left <= 3600000);
  assert_int_equal(left_of("c", NULL), -1);
  assert_int_equal(left_of("d", NULL), -1);
  usleep(90000);
  expect(ks, NULL, "a", NULL);
  kist_batch_free(batch);
}

static void ttl__a_keyspace_default(void** state) {
  kist_options* options = NULL;
  kist_keyspace *own = NULL, *before = ks;
  kist_batch* batch = NULL;
  (void)state;
  OK(kist_options_new(&options));
  OK(kist_options_set(options, "default_ttl", "80ms", &err));
  OK(kist_keyspace_open(db, "short", KIST_KEYSPACE_CREATE, options, &own, &err));
  kist_options_free(options);
  ks = own;
  put(own, "default", "1");
  put_ttl("own", "1", 3600000);
  put_ttl("never", "1", KIST_TTL_NEVER);
  OK(kist_batch_new(&batch));
  OK(kist_batch_put(batch, own, "batch default", 13, "1", 1, 0, &err));
  OK(kist_batch_put(batch, own, "batch never", 11, "1", 1, KIST_TTL_NEVER, &err));
  OK(kist_batch_put(batch, before, "elsewhere", 9, "1", 1, 0, &err));
  OK(kist_write(db, NULL, batch, NULL, &err));
  assert_true(left_of("default", NULL) <= 80);
  assert_true(left_of("batch default", NULL) <= 80);
  assert_int_equal(left_of("never", NULL), -1);
  assert_int_equal(left_of("batch never", NULL), -1);
  usleep(120000);
  expect(own, NULL, "default", NULL);
  expect(own, NULL, "batch default", NULL);
  expect(own, NULL, "own", "1");
  expect(own, NULL, "never", "1");
  expect(before, NULL, "elsewhere", "1");
  kist_batch_free(batch);
  kist_keyspace_free(own);
  ks = before;
}

static void ttl__survives_reopening(void** state) {
  int flushed;
  (void)state;
  for (flushed = 0; flushed < 2; ++flushed) {
    char* path = new_path();
    kist_db* disk = open_plain(path);
    kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
    int64_t left = 0;
    wo.ttl_ms = 3600000;
    OK(kist_put(kist_default(disk), &wo, "hour", 4, "1", 1, &err));
    wo.ttl_ms = 50;
    OK(kist_put(kist_default(disk), NULL, "k", 1, "old", 3, &err));
    OK(kist_put(kist_default(disk), &wo, "k", 1, "1", 1, &err));
    if (flushed) OK(kist_flush(disk, &err));
    close_strict(disk);
    usleep(80000);
    disk = open_plain(path);
    expect(kist_default(disk), NULL, "k", NULL);
    OK(kist_ttl(kist_default(disk), NULL, "hour", 4, &left, &err));
    assert_true(left > 3590000 && left < 3600000);
    close_strict(disk);
    drop_path(path);
  }
}

/* A TTL counts from the commit where the log keeps no times of commits, too. */
static void ttl__without_times_in_the_log(void** state) {
  kist_db* timeless = open_with(":memory:", "sync=never; wal_timestamps=false; default_ttl=2h");
  kist_db* before = db;
  (void)state;
  ks = kist_default(timeless);
  put_ttl("hour", "1", 3600000);
  put(ks, "default", "1");
  assert_true(left_of("hour", NULL) > 3590000 && left_of("hour", NULL) <= 3600000);
  assert_true(left_of("default", NULL) > 7190000 && left_of("default", NULL) <= 7200000);
  ks = kist_default(before);
  close_strict(timeless);
}

/* The bytes of all tables fall to nothing once the values have expired, without a write. */
static void ttl__a_keyspace_of_expired_values_shrinks(void** state) {
  kist_keyspace* expiring = NULL;
  kist_options* options = NULL;
  char key[16], value[512];
  uint64_t bytes = 0, others;
  int i, level;
  (void)state;
  memset(value, 'v', sizeof value);
  for (level = 0; level < 2; ++level) {
    OK(kist_options_new(&options));
    OK(kist_options_parse(options, "default_ttl=300ms; compression=none", &err));
    OK(kist_keyspace_open(db, "expiring", KIST_KEYSPACE_CREATE_NEW, options, &expiring, &err));
    kist_options_free(options);
    put(ks, "for ever", "1");
    for (i = 0; i < 2000; ++i) {
      sprintf(key, "%06d", i);
      OK(kist_put(expiring, NULL, key, 6, value, sizeof value, &err));
    }
    OK(kist_flush(db, &err)); /* one table of level 0 */
    if (level == 1) OK(kist_compact(expiring, NULL, 0, NULL, 0, NULL, &err));
    for (i = 0; i < 600; ++i) { /* a minute at most, on a machine that does nothing else for us */
      OK(kist_approximate_size(expiring, NULL, 0, NULL, 0, &bytes, &err));
      if (bytes == 0) break;
      usleep(100000);
    }
    assert_int_equal(bytes, 0);
    OK(kist_approximate_size(ks, NULL, 0, NULL, 0, &others, &err));
    assert_true(others > 0);
    expect(ks, NULL, "for ever", "1");
    kist_keyspace_free(expiring);
    OK(kist_keyspace_drop(db, "expiring", &err));
  }
}

static void ttl__bad_arguments(void** state) {
  int64_t left = 9;
  (void)state;
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_ttl(NULL, NULL, "a", 1, &left, &err));
  assert_int_equal(left, 0);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_ttl(ks, NULL, "a", 1, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_ttl(ks, NULL, NULL, 1, &left, &err));
  ASSERT_RC(KIST_NOT_FOUND, kist_ttl(ks, NULL, "a", 1, &left, &err));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(ttl__time_left),
      TEST(ttl__expired_values_are_gone_everywhere),
      TEST(ttl__snapshots_and_iterators_fix_the_time),
      TEST(ttl__in_batches),
      TEST(ttl__a_keyspace_default),
      TEST(ttl__survives_reopening),
      TEST(ttl__without_times_in_the_log),
      TEST(ttl__a_keyspace_of_expired_values_shrinks),
      TEST(ttl__bad_arguments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
