/* Statistics: by name, and as text in three formats. */
#include "support/tempdir.h"

#include <ctype.h>

static kist_db* db;

static int set_up(void** state) {
  (void)state;
  db = open_memory();
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  close_strict(db);
  return 0;
}

static char* text_of(int32_t format) {
  size_t len = 0, cap;
  char* text;
  ASSERT_RC(KIST_TRUNCATED, kist_stats(db, format, NULL, 0, &len, &err));
  cap = len + 256; /* it may grow between two calls */
  text = malloc(cap);
  OK(kist_stats(db, format, text, cap, &len, &err));
  assert_int_equal(strlen(text), len);
  return text;
}

static void stats__by_name(void** state) {
  kist_keyspace* ks = kist_default(db);
  kist_snapshot* snapshot = NULL;
  const uint64_t commits = stat_of(db, "commits");
  (void)state;
  put(ks, "a", "1");
  put(ks, "b", "2");
  assert_int_equal(stat_of(db, "commits"), commits + 2);
  assert_int_equal(stat_of(db, "last_seq"), kist_last_seq(db));
  assert_int_equal(stat_of(db, "durable_seq"), kist_durable_seq(db));
  assert_int_equal(stat_of(db, "keyspaces"), 1);
  assert_int_equal(stat_of(db, "snapshots"), 0);
  OK(kist_snapshot_new(db, &snapshot, &err));
  assert_int_equal(stat_of(db, "snapshots"), 1);
  kist_snapshot_free(snapshot);
  assert_int_equal(stat_of(db, "tables"), 0);
  OK(kist_flush(db, &err));
  assert_int_equal(stat_of(db, "tables"), 1);
  OK(kist_wait_idle(db, -1, &err)); /* counters of background work may lag behind it */
  assert_true(stat_of(db, "flushes") > 0);
  assert_true(stat_of(db, "table_bytes") > 0);
  assert_int_equal(stat_of(db, "poisoned"), 0);
}

/* As many tables as the level takes where nobody compacts it. */
static void stats__a_look_into_each_of_many_tables(void** state) {
  enum { kTables = 300 };
  const kist_slice key = {"b", 1};
  kist_pin pin;
  kist_rc rc;
  kist_db* many = open_with(":memory:", "compaction=manual");
  kist_keyspace* ks = kist_default(many);
  int i;
  (void)state;
  for (i = 0; i < kTables; ++i) {
    put(ks, "a", "");
    put(ks, "c", "");
    OK(kist_flush(many, &err));
  }
  assert_int_equal(stat_of(many, "level0_files"), kTables);
  ASSERT_RC(KIST_NOT_FOUND, kist_exists(ks, NULL, key.data, key.len, &err));
  assert_int_equal(stat_of(many, "filter_negatives") + stat_of(many, "filter_false_positives"),
                   kTables);
  OK(kist_multi_get(ks, NULL, 1, &key, &pin, &rc, &err));
  assert_int_equal(stat_of(many, "filter_negatives") + stat_of(many, "filter_false_positives"),
                   2 * kTables);
  close_strict(many);
}

static void stats__every_name_of_the_text_is_one(void** state) {
  char *text = text_of(KIST_STATS_JSON), *at = text;
  int count = 0;
  (void)state;
  while ((at = strchr(at, '"')) != NULL) {
    char name[64];
    uint64_t value = 0;
    const char* end = strchr(at + 1, '"');
    const size_t len = (size_t)(end - at - 1);
    assert_true(len > 0 && len < sizeof name);
    memcpy(name, at + 1, len);
    name[len] = '\0';
    if (end[1] == ':' && (isdigit((unsigned char)end[2]) || end[2] == ' ')) {
      OK(kist_stat(db, name, &value, &err));
      ++count;
    }
    at = strchr(at + 1, '"') + 1;
  }
  assert_true(count > 30);
  free(text);
}

static void stats__formats(void** state) {
  char* text;
  (void)state;
  put(kist_default(db), "a", "1");
  text = text_of(KIST_STATS_TEXT);
  assert_non_null(strstr(text, "commits"));
  assert_non_null(strchr(text, '\n'));
  free(text);
  text = text_of(KIST_STATS_JSON);
  assert_int_equal(text[0], '{');
  assert_non_null(strstr(text, "\"commits\""));
  assert_non_null(strrchr(text, '}'));
  free(text);
  text = text_of(KIST_STATS_PROMETHEUS);
  assert_non_null(strstr(text, "kist_commits"));
  assert_non_null(strstr(text, "# "));
  free(text);
}

static void stats__truncation(void** state) {
  char buf[16];
  size_t len = 0;
  (void)state;
  memset(buf, 'x', sizeof buf);
  ASSERT_RC(KIST_TRUNCATED, kist_stats(db, KIST_STATS_TEXT, buf, 8, &len, &err));
  assert_int_equal(buf[7], '\0');
  assert_int_equal(buf[8], 'x');
  assert_int_equal(strlen(buf), 7);
  assert_true(len > 100);
  ASSERT_RC(KIST_TRUNCATED, kist_stats(db, KIST_STATS_TEXT, buf, 8, NULL, &err));
}

static void stats__bad_arguments(void** state) {
  uint64_t value = 9;
  size_t len = 9;
  char buf[8];
  kist_err err = KIST_ERR_INIT;
  (void)state;
  assert_int_equal(kist_stat(db, "no_such_thing", &value, &err), KIST_E_INVALID);
  assert_int_equal(err.detail, KIST_D_NAME);
  assert_non_null(strstr(err.message, "no_such_thing"));
  assert_int_equal(value, 0);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME, kist_stat(db, "", &value, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_stat(db, NULL, &value, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_stat(db, "commits", NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_stat(NULL, "commits", &value, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_stats(db, 3, buf, 8, &len, &err));
  assert_int_equal(len, 0);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_stats(db, -1, buf, 8, &len, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_stats(db, KIST_STATS_TEXT, NULL, 8, &len, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_stats(NULL, KIST_STATS_TEXT, buf, 8, &len, &err));
}

/* Each call counts where it belongs, and once. */
static void stats__count_operations(void** state) {
  kist_keyspace* ks = kist_default(db);
  kist_iter* it = NULL;
  kist_batch* batch = NULL;
  kist_txn* txn = NULL;
  kist_entry entries[10];
  kist_slice keys[3] = {{"a", 1}, {"b", 1}, {"no", 2}};
  kist_pin pins[3], pin;
  kist_rc rcs[3];
  char buf[8];
  uint64_t looks;
  size_t n = 0;
  int i;
  (void)state;
  put(ks, "a", "1");
  put(ks, "b", "2");
  put(ks, "c", "3");
  OK(kist_delete(ks, NULL, "c", 1, &err));
  OK(kist_delete_range(ks, NULL, "x", 1, "y", 1, &err));
  OK(kist_batch_new(&batch));
  OK(kist_batch_put(batch, ks, "d", 1, "4", 1, 0, &err));
  OK(kist_write(db, NULL, batch, NULL, &err));
  kist_batch_free(batch);
  assert_int_equal(stat_of(db, "puts"), 3);
  assert_int_equal(stat_of(db, "deletes"), 1);
  assert_int_equal(stat_of(db, "range_deletes"), 1);
  assert_int_equal(stat_of(db, "batches"), 1);
  assert_int_equal(stat_of(db, "commits"), 6);
  assert_int_equal(stat_of(db, "unsynced_commits"), kist_last_seq(db) - kist_durable_seq(db));

  OK(kist_get(ks, NULL, "a", 1, buf, sizeof buf, &n, &err));
  OK(kist_get_pin(ks, NULL, "b", 1, &pin, &err));
  kist_pin_release(&pin);
  ASSERT_RC(KIST_NOT_FOUND, kist_exists(ks, NULL, "c", 1, &err));
  assert_int_equal(stat_of(db, "gets"), 3);
  assert_int_equal(stat_of(db, "gets_absent"), 1);
  assert_int_equal(stat_of(db, "table_hits"), 0);
  OK(kist_flush(db, &err));
  OK(kist_exists(ks, NULL, "a", 1, &err));
  assert_int_equal(stat_of(db, "table_hits"), 1);
  for (i = 0; i < 1000; ++i) {
    snprintf(buf, sizeof buf, "b%d", i);
    ASSERT_RC(KIST_NOT_FOUND, kist_exists(ks, NULL, buf, strlen(buf), &err));
  }
  assert_int_equal(stat_of(db, "filter_negatives") + stat_of(db, "filter_false_positives"), 1000);
  assert_true(stat_of(db, "filter_negatives") > 900);
  assert_true(stat_of(db, "filter_effect_permille") > 900);
  assert_int_equal(stat_of(db, "read_amplification_permille"),
                   (1 + stat_of(db, "filter_false_positives")) * 1000 / 1004);

  looks = stat_of(db, "table_hits") + stat_of(db, "filter_negatives") +
          stat_of(db, "filter_false_positives");
  OK(kist_multi_get(ks, NULL, 3, keys, pins, rcs, &err));
  for (i = 0; i < 3; ++i) kist_pin_release(&pins[i]);
  assert_int_equal(stat_of(db, "multi_gets"), 1);
  assert_int_equal(stat_of(db, "multi_get_keys"), 3);
  assert_int_equal(stat_of(db, "table_hits"), 3); /* a and b; a once before */
  assert_int_equal(stat_of(db, "table_hits") + stat_of(db, "filter_negatives") +
                       stat_of(db, "filter_false_positives"),
                   looks + 3);

  OK(kist_iter_new(ks, NULL, &it, &err));
  OK(kist_iter_seek(it, KIST_SEEK_FIRST, NULL, 0, &err));
  OK(kist_iter_next(it, &err));
  ASSERT_RC(KIST_DONE, kist_iter_entries(it, 1, entries, 10, &n, &err));
  kist_iter_free(it);
  assert_int_equal(stat_of(db, "iterators"), 1);
  assert_int_equal(stat_of(db, "seeks"), 1);
  assert_int_equal(stat_of(db, "steps"), 1 + n);

  OK(kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
  OK(kist_txn_put(txn, ks, "t", 1, "1", 1, 0, &err));
  put(ks, "t", "2");
  ASSERT_RC(KIST_E_CONFLICT, kist_txn_commit(txn, NULL, NULL, &err));
  kist_txn_free(txn);
  OK(kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
  OK(kist_txn_put(txn, ks, "t", 1, "3", 1, 0, &err));
  OK(kist_txn_commit(txn, NULL, NULL, &err));
  kist_txn_free(txn);
  assert_int_equal(stat_of(db, "transactions"), 2);
  assert_int_equal(stat_of(db, "transaction_conflicts"), 1);
  assert_int_equal(stat_of(db, "transaction_commits"), 1);
}

static void expect_times(const char* operation, uint64_t least, uint64_t most) {
  static const char* suffixes[] = {"_p50_ns", "_p99_ns", "_p999_ns", "_max_ns"};
  char name[64];
  uint64_t count, last = 0;
  int i;
  snprintf(name, sizeof name, "%s_timed", operation);
  count = stat_of(db, name);
  if (count < least || count > most) fail_msg("%s: %llu", name, (unsigned long long)count);
  for (i = 0; i < 4; ++i) {
    uint64_t value;
    snprintf(name, sizeof name, "%s%s", operation, suffixes[i]);
    value = stat_of(db, name);
    if (value < last || (count > 0) != (value > 0))
      fail_msg("%s: %llu", name, (unsigned long long)value);
    last = value;
  }
}

/* Sampled times stand for about as many calls as there were; the others for exactly as many. */
static void stats__times(void** state) {
  kist_keyspace* ks = kist_default(db);
  kist_iter* it = NULL;
  kist_batch* batch = NULL;
  char key[16];
  int i;
  (void)state;
  expect_times("get", 0, 0);
  for (i = 0; i < 64000; ++i) {
    snprintf(key, sizeof key, "%d", i % 1000);
    OK(kist_put(ks, NULL, key, strlen(key), "v", 1, &err));
    OK(kist_exists(ks, NULL, key, strlen(key), &err));
  }
  expect_times("get", 32000, 96000);
  expect_times("put", 32000, 96000);
  OK(kist_set_option(db, "latency_sampling", "1", &err));
  OK(kist_iter_new(ks, NULL, &it, &err));
  for (i = 0; i < 100; ++i) OK(kist_iter_seek(it, KIST_SEEK_FIRST, NULL, 0, &err));
  kist_iter_free(it);
  expect_times("seek", 100, 100);
  OK(kist_batch_new(&batch));
  OK(kist_batch_put(batch, ks, "d", 1, "4", 1, 0, &err));
  for (i = 0; i < 7; ++i) OK(kist_write(db, NULL, batch, NULL, &err));
  kist_batch_free(batch);
  expect_times("batch", 7, 7);
  OK(kist_flush(db, &err));
  OK(kist_sync(db, &err));
  OK(kist_wait_idle(db, -1, &err));
  expect_times("flush", 1, 100);
  expect_times("log_sync", 1, 100);
  OK(kist_set_option(db, "latency_sampling", "0", &err));
  for (i = 0; i < 3; ++i) OK(kist_sync(db, &err));
  expect_times("batch", 7, 7);
}

static void stats__oldest_snapshot(void** state) {
  kist_keyspace* ks = kist_default(db);
  kist_snapshot* snapshot = NULL;
  kist_txn* txn = NULL;
  (void)state;
  put(ks, "a", "1");
  assert_int_equal(stat_of(db, "oldest_snapshot_seq"), 0);
  assert_int_equal(stat_of(db, "oldest_snapshot_age_ms"), 0);
  OK(kist_snapshot_new(db, &snapshot, &err));
  put(ks, "a", "2");
  usleep(20000);
  assert_int_equal(stat_of(db, "oldest_snapshot_seq"), kist_snapshot_seq(snapshot));
  assert_true(stat_of(db, "oldest_snapshot_age_ms") >= 20);
  kist_snapshot_free(snapshot);
  OK(kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
  assert_int_equal(stat_of(db, "oldest_snapshot_seq"), kist_last_seq(db));
  kist_txn_free(txn);
  assert_int_equal(stat_of(db, "oldest_snapshot_seq"), 0);
}

/* Overwriting the same keys: what is written, kept and owed can be told. */
static void stats__amplification_log_and_debt(void** state) {
  char* path = new_path();
  kist_db* mine = open_with(path,
                            "sync=never; write_buffer_size=256KiB; compaction=manual; "
                            "compression=none; memory_budget=16MiB");
  char key[24], val[1000];
  uint64_t looked;
  int i;
  (void)state;
  memset(val, 'v', sizeof val);
  for (i = 0; i < 5000; ++i) {
    snprintf(key, sizeof key, "key%08d", i % 1000);
    OK(kist_put(kist_default(mine), NULL, key, strlen(key), val, sizeof val, &err));
  }
  OK(kist_flush(mine, &err));
  assert_true(stat_of(mine, "wal_segments") > 10);
  assert_true(stat_of(mine, "wal_used_bytes") > 5000000);
  assert_true(stat_of(mine, "wal_used_bytes") <= stat_of(mine, "wal_bytes") + 64 * 2048);
  assert_true(stat_of(mine, "wal_live_segments") >= 1);
  assert_true(stat_of(mine, "wal_live_bytes") < 1000000);
  assert_true(stat_of(mine, "wal_live_reserved_bytes") > 0);
  assert_true(stat_of(mine, "wal_next_reserve_bytes") > 0);
  assert_true(stat_of(mine, "write_amplification_permille") > 1500);
  assert_true(stat_of(mine, "compaction_debt_bytes") > 1000000);
  looked = stat_of(mine, "cache_hits") + stat_of(mine, "cache_misses");
  OK(kist_compact(kist_default(mine), NULL, 0, NULL, 0, NULL, &err));
  assert_int_equal(stat_of(mine, "cache_hits") + stat_of(mine, "cache_misses"), looked);
  OK(kist_get(kist_default(mine), NULL, "key00000999", 11, val, sizeof val, NULL, &err));
  assert_int_equal(stat_of(mine, "cache_hits") + stat_of(mine, "cache_misses"), looked + 1);
  assert_int_equal(stat_of(mine, "compaction_debt_bytes"), 0);
  assert_int_equal(stat_of(mine, "space_amplification_permille"), 1000);
  assert_true(stat_of(mine, "write_amplification_permille") > 2000);
  assert_true(stat_of(mine, "compaction_p50_ns") > 0);
  close_strict(mine);
  drop_path(path);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(stats__by_name),
      TEST(stats__a_look_into_each_of_many_tables),
      TEST(stats__every_name_of_the_text_is_one),
      TEST(stats__formats),
      TEST(stats__truncation),
      TEST(stats__bad_arguments),
      TEST(stats__count_operations),
      TEST(stats__times),
      TEST(stats__oldest_snapshot),
      TEST(stats__amplification_log_and_debt),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
