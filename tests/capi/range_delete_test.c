/* Range deletes of any size: scans leap over what they hide wherever it lies, both ways; nesting
 * and number cost no more than their count. Times are compared with one another, never with a
 * clock. */
#include "support/tempdir.h"

#include <time.h>

enum { MILLION = 1000000 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void number_key(char* key, int i) { sprintf(key, "key%08d", i); }

static void fill(kist_db* db, int from, int to) {
  kist_batch* batch = NULL;
  char key[32];
  int i;
  OK(kist_batch_new(&batch));
  for (i = from; i < to; ++i) {
    number_key(key, i);
    OK(kist_batch_put(batch, kist_default(db), key, 11, "v", 1, 0, &err));
    if (i % 1000 == 999 || i + 1 == to) {
      OK(kist_write(db, NULL, batch, NULL, &err));
      kist_batch_clear(batch);
    }
  }
  kist_batch_free(batch);
}

/* Seconds of one pass over all there is, which must be `want` entries. */
static double pass(kist_db* db, const kist_iter_options* io, int backwards, int want) {
  kist_iter* it = NULL;
  int count = 0;
  double start;
  OK(kist_iter_new(kist_default(db), io, &it, &err));
  start = now();
  while ((backwards ? kist_iter_prev(it, NULL) : kist_iter_next(it, NULL)) == KIST_OK) ++count;
  start = now() - start;
  assert_int_equal(count, want);
  kist_iter_free(it);
  return start;
}

static void dropped_costs_little(kist_db* db, const kist_iter_options* io, double full, int left) {
  int way;
  for (way = 0; way < 2; ++way) {
    double best = pass(db, io, way, left);
    int i;
    for (i = 0; i < 4; ++i) {
      const double again = pass(db, io, way, left);
      if (again < best) best = again;
    }
    if (best * 50 > full)
      fail_msg("%s over the dropped range: %.0f us, over its keys %.0f us",
               way == 0 ? "up" : "down", best * 1e6, full * 1e6);
    print_message("%s: %.1f us; with its keys %.0f us\n", way == 0 ? "up" : "down", best * 1e6,
                  full * 1e6);
  }
}

static void range_delete__a_scan_leaps_over_a_million(void** state) {
  kist_db* db = open_with(":memory:", "sync=never; memory_budget=1GiB; write_buffer_size=256MiB");
  kist_keyspace* ks = kist_default(db);
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_txn* txn = NULL;
  double full;
  (void)state;
  fill(db, 0, MILLION);
  full = pass(db, NULL, 0, MILLION);
  /* A transaction's own, over commits. */
  OK(kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
  OK(kist_txn_delete_range(txn, ks, "key", 3, "kez", 3, &err));
  io.txn = txn;
  dropped_costs_little(db, &io, full, 0);
  kist_txn_free(txn);
  /* Tombstone and keys in one memtable, keys written into the range since. */
  OK(kist_delete_range(ks, NULL, "key", 3, "kez", 3, &err));
  dropped_costs_little(db, NULL, full, 0);
  put(ks, "a", "before");
  put(ks, "key00500000x", "inside");
  put(ks, "z", "behind");
  dropped_costs_little(db, NULL, full, 3);
  assert_int_equal(stat_of(db, "flushes"), 0); /* still in memory */
  OK(kist_flush(db, &err));
  dropped_costs_little(db, NULL, full, 3);
  close_strict(db);
}

static void range_delete__keys_in_tables_under_a_tombstone_in_memory(void** state) {
  kist_db* db = open_with(":memory:", "sync=never; memory_budget=64MiB; compaction=manual");
  kist_keyspace* ks = kist_default(db);
  double full;
  (void)state;
  fill(db, 0, MILLION / 2);
  OK(kist_flush(db, &err));
  full = pass(db, NULL, 0, MILLION / 2);
  OK(kist_delete_range(ks, NULL, "key", 3, "kez", 3, &err));
  put(ks, "key00100000x", "inside");
  dropped_costs_little(db, NULL, full, 1);
  OK(kist_flush(db, &err));
  dropped_costs_little(db, NULL, full, 1);
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  dropped_costs_little(db, NULL, full, 1);
  close_strict(db);
}

/* Blocks of tables that a pass looks into. */
static uint64_t blocks_of_pass(kist_db* db, int backwards, int want) {
  const uint64_t before = stat_of(db, "cache_hits") + stat_of(db, "cache_misses");
  pass(db, NULL, backwards, want);
  return stat_of(db, "cache_hits") + stat_of(db, "cache_misses") - before;
}

static void few_blocks(kist_db* db, int want) {
  kist_iter* it = NULL;
  uint64_t before;
  assert_in_range(blocks_of_pass(db, 0, want), 0, 200);
  assert_in_range(blocks_of_pass(db, 1, want), 0, 200);
  before = stat_of(db, "cache_hits") + stat_of(db, "cache_misses");
  OK(kist_iter_new(kist_default(db), NULL, &it, &err));
  OK(kist_iter_seek(it, KIST_SEEK_GE, "key00300000", 11, &err));
  OK(kist_iter_seek(it, KIST_SEEK_LE, "key00700000", 11, &err));
  kist_iter_free(it);
  assert_in_range(stat_of(db, "cache_hits") + stat_of(db, "cache_misses") - before, 0, 200);
}

/* A snapshot keeps the keys, newer entries stand around them in the same tables: scans and seeks
 * still look into few blocks, in a flushed table, in compacted ones, after reopening. */
static void range_delete__leaps_where_a_snapshot_keeps_the_keys(void** state) {
  char* path = new_path();
  kist_db* db = open_with(
      path, "sync=never; memory_budget=512MiB; write_buffer_size=160MiB; compaction=manual");
  kist_keyspace* ks = kist_default(db);
  kist_snapshot* snapshot = NULL;
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  char key[32];
  int i;
  (void)state;
  fill(db, 0, MILLION);
  OK(kist_snapshot_new(db, &snapshot, &err));
  OK(kist_delete_range(ks, NULL, "key00100000", 11, "key00900000", 11, &err));
  for (i = 0; i < 100000; i += 100) {
    number_key(key, i);
    put(ks, key, "newer");
    number_key(key, MILLION - 1 - i);
    put(ks, key, "newer");
  }
  put(ks, "zz", "behind");
  OK(kist_flush(db, &err));
  assert_true(blocks_of_pass(db, 0, 200001) > 400);
  io.snapshot = snapshot;
  pass(db, &io, 0, MILLION);
  pass(db, &io, 1, MILLION);
  OK(kist_delete_range(ks, NULL, "key", 3, "key00100000", 11, &err));
  OK(kist_delete_range(ks, NULL, "key00900000", 11, "kez", 3, &err));
  put(ks, "a", "before");
  put(ks, "key00500000x", "inside");
  few_blocks(db, 3);
  OK(kist_flush(db, &err));
  few_blocks(db, 3);
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  few_blocks(db, 3);
  pass(db, &io, 0, MILLION);
  pass(db, &io, 1, MILLION);
  OK(kist_verify(db, NULL, &err));
  kist_snapshot_free(snapshot);
  close_strict(db);
  db = open_with(path, "compaction=manual"); /* which would count its own reads */
  few_blocks(db, 3);
  close_strict(db);
  drop_path(path);
}

/* Nested with differing ends, in memory, in a table, after reopening. */
static void range_delete__nested_by_the_thousands(void** state) {
  enum { DEPTH = 20000 };
  char* path = new_path();
  kist_db* db = open_with(path, "sync=never; memory_budget=64MiB");
  char begin[32], end[32];
  int i;
  (void)state;
  fill(db, 0, 2 * DEPTH);
  for (i = 0; i < DEPTH - 1; ++i) {
    number_key(begin, i + 1);
    number_key(end, 2 * DEPTH - 1 - i);
    OK(kist_delete_range(kist_default(db), NULL, begin, 11, end, 11, &err));
  }
  pass(db, NULL, 0, 2);
  pass(db, NULL, 1, 2);
  OK(kist_flush(db, &err));
  pass(db, NULL, 0, 2);
  close_strict(db);
  db = open_plain(path);
  number_key(begin, 0);
  expect(kist_default(db), NULL, begin, "v");
  number_key(begin, DEPTH);
  expect(kist_default(db), NULL, begin, NULL);
  pass(db, NULL, 1, 2);
  OK(kist_verify(db, NULL, &err));
  OK(kist_compact(kist_default(db), NULL, 0, NULL, 0, NULL, &err));
  pass(db, NULL, 0, 2);
  close_strict(db);
  drop_path(path);
}

/* In one batch: each hides what stands before it in the batch, and nothing behind it. */
static void range_delete__many_in_one_batch(void** state) {
  enum { COUNT = 20000 };
  kist_db* db = open_memory();
  kist_keyspace* ks = kist_default(db);
  kist_batch* batch = NULL;
  char key[32], end[32];
  int i;
  (void)state;
  OK(kist_batch_new(&batch));
  for (i = 0; i < COUNT; ++i) {
    number_key(key, i);
    number_key(end, i + 2);
    OK(kist_batch_put(batch, ks, key, 11, "v", 1, 0, &err));
    if (i % 4 == 1) OK(kist_batch_delete_range(batch, ks, key, 11, end, 11, &err));
  }
  OK(kist_write(db, NULL, batch, NULL, &err));
  pass(db, NULL, 0, COUNT / 4 * 3);
  pass(db, NULL, 1, COUNT / 4 * 3);
  kist_batch_free(batch);
  close_strict(db);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(range_delete__a_scan_leaps_over_a_million),
      cmocka_unit_test(range_delete__keys_in_tables_under_a_tombstone_in_memory),
      cmocka_unit_test(range_delete__leaps_where_a_snapshot_keeps_the_keys),
      cmocka_unit_test(range_delete__nested_by_the_thousands),
      cmocka_unit_test(range_delete__many_in_one_batch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
