/* Memory: who frees what, NULL everywhere, and budgets that statistics show to hold. */
#include "support/tempdir.h"

static void memory__every_free_takes_null(void** state) {
  (void)state;
  kist_free(NULL);
  kist_pin_release(NULL);
  kist_options_free(NULL);
  kist_keyspace_free(NULL);
  kist_batch_clear(NULL);
  kist_batch_free(NULL);
  kist_snapshot_free(NULL);
  kist_iter_free(NULL);
  kist_txn_free(NULL);
  kist_feed_free(NULL);
  OK(kist_close(NULL, KIST_CLOSE_STRICT, &err));
}

static void memory__copies_and_pins_outlive_their_database(void** state) {
  kist_db* db = open_memory();
  void* copy = NULL;
  size_t len = 0;
  kist_pin pins[100];
  int i;
  (void)state;
  put(kist_default(db), "a", "value");
  OK(kist_get_copy(kist_default(db), NULL, "a", 1, &copy, &len, &err));
  for (i = 0; i < 100; ++i) OK(kist_get_pin(kist_default(db), NULL, "a", 1, &pins[i], &err));
  OK(kist_flush(db, &err));
  close_strict(db);
  assert_memory_equal(copy, "value", len);
  kist_free(copy);
  for (i = 0; i < 100; ++i) {
    assert_memory_equal(pins[i].data, "value", 5);
    kist_pin_release(&pins[i]);
  }
}

/* 20 MB in a database whose memory is a few megabytes. The capacity is what the rest of the budget
 * leaves: a block that an iterator has just read takes from it before the cache gives way. */
static void memory__budget_holds(void** state) {
  char* path = new_path();
  kist_db* db = open_with(path, "sync=never; memory_budget=8MiB; compression=none");
  kist_keyspace* ks = kist_default(db);
  kist_iter* it = NULL;
  const uint64_t slack = 128u << 10;
  char key[24], val[1000];
  int i;
  (void)state;
  memset(val, 'v', sizeof val);
  for (i = 0; i < 20000; ++i) {
    snprintf(key, sizeof key, "key%08d", i * 7919 % 20000);
    OK(kist_put(ks, NULL, key, strlen(key), val, sizeof val, &err));
    if (i % 1000 == 0) assert_true(stat_of(db, "memtable_bytes") <= (6u << 20));
  }
  OK(kist_wait_idle(db, -1, &err)); /* a job that begins takes capacity between two looks */
  OK(kist_iter_new(ks, NULL, &it, &err));
  for (i = 0; kist_iter_next(it, NULL) == KIST_OK; ++i) {
    if (i % 1000 == 0) {
      assert_true(stat_of(db, "cache_bytes") <= stat_of(db, "cache_capacity_bytes") + slack);
    }
  }
  assert_int_equal(i, 20000);
  kist_iter_free(it);
  for (i = 0; i < 20000; i += 3) {
    snprintf(key, sizeof key, "key%08d", i);
    OK(kist_exists(ks, NULL, key, strlen(key), &err));
  }
  assert_true(stat_of(db, "cache_capacity_bytes") <= (5u << 20));
  assert_true(stat_of(db, "cache_bytes") <= stat_of(db, "cache_capacity_bytes") + slack);
  OK(kist_set_option(db, "cache_size", "64KiB", &err)); /* given back at once */
  assert_true(stat_of(db, "cache_bytes") <= (64u << 10));
  for (i = 0; i < 20000; i += 11) {
    snprintf(key, sizeof key, "key%08d", i);
    OK(kist_exists(ks, NULL, key, strlen(key), &err));
  }
  assert_true(stat_of(db, "cache_bytes") <= (64u << 10));
  close_strict(db);
  drop_path(path);
}

static void memory__scans_without_cache_fill_leave_the_cache_alone(void** state) {
  char* path = new_path();
  kist_db* db = open_with(path, "sync=never; compression=none");
  kist_keyspace* ks = kist_default(db);
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_iter* it = NULL;
  char key[24], val[100];
  int i;
  (void)state;
  memset(val, 'v', sizeof val);
  for (i = 0; i < 5000; ++i) {
    snprintf(key, sizeof key, "key%08d", i);
    OK(kist_put(ks, NULL, key, strlen(key), val, sizeof val, &err));
  }
  OK(kist_flush(db, &err));
  io.flags = KIST_READ_NO_CACHE_FILL;
  OK(kist_iter_new(ks, &io, &it, &err));
  while (kist_iter_next(it, NULL) == KIST_OK) continue;
  kist_iter_free(it);
  ro.flags = KIST_READ_NO_CACHE_FILL;
  OK(kist_exists(ks, &ro, "key00000007", 11, &err));
  assert_int_equal(stat_of(db, "cache_bytes"), 0);
  OK(kist_exists(ks, NULL, "key00000007", 11, &err));
  assert_true(stat_of(db, "cache_bytes") > 0);
  close_strict(db);
  drop_path(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(memory__every_free_takes_null),
      cmocka_unit_test(memory__copies_and_pins_outlive_their_database),
      cmocka_unit_test(memory__budget_holds),
      cmocka_unit_test(memory__scans_without_cache_fill_leave_the_cache_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
