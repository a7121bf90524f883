/* Flush, compact, wait_idle, verify, approximate_size, and the jobs that report progress and can be
 * stopped. */
#include "support/tempdir.h"

static kist_db* db;
static kist_keyspace* ks;
static char* path;

static int set_up(void** state) {
  (void)state;
  path = new_path();
  db = open_with(path,
                 "sync=never; write_buffer_size=64KiB; compression=none; target_file_size=64KiB");
  ks = kist_default(db);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  close_strict(db);
  drop_path(path);
  return 0;
}

static void fill(int from, int to, size_t value_len) {
  char key[16], *val = malloc(value_len + 16);
  int i;
  for (i = from; i < to; ++i) {
    snprintf(key, sizeof key, "key%06d", i);
    memset(val, 'a' + i % 26, value_len);
    OK(kist_put(ks, NULL, key, strlen(key), val, value_len, &err));
  }
  free(val);
}

static void maintenance__flush_moves_memory_to_tables_and_removes_the_log(void** state) {
  size_t tables;
  (void)state;
  put(ks, "a", "1");
  tables = count_files(path, ".kst");
  OK(kist_flush(db, &err));
  assert_true(count_files(path, ".kst") > tables);
  expect(ks, NULL, "a", "1");
  OK(kist_flush(db, &err)); /* nothing to do is fine */
  OK(kist_wait_idle(db, -1, &err));
  assert_true(count_files(path, ".log") <= 2); /* the newest, and one made ahead */
}

/* Two files of level 0 wait for others, unless seeks go through both. */
static void maintenance__seeks_through_level_0_have_it_merged(void** state) {
  int round, i;
  (void)state;
  for (i = 0; i < 2; ++i) {
    put(ks, "a", "1");
    put(ks, "z", "1");
    OK(kist_flush(db, &err));
  }
  OK(kist_wait_idle(db, -1, &err));
  assert_int_equal(stat_of(db, "tables"), 2);
  for (round = 0; round < 1000 && stat_of(db, "tables") == 2; ++round) {
    kist_iter* it = NULL;
    OK(kist_iter_new(ks, NULL, &it, &err));
    for (i = 0; i < 1000; ++i) OK(kist_iter_seek(it, KIST_SEEK_GE, "b", 1, &err));
    kist_iter_free(it);
  }
  assert_in_range(round, 17, 999);
  assert_int_equal(stat_of(db, "tables"), 1);
  expect(ks, NULL, "z", "1");
}

static void maintenance__compact_reclaims(void** state) {
  uint64_t before = 0, after = 0;
  (void)state;
  fill(0, 3000, 100);
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  OK(kist_approximate_size(ks, NULL, 0, NULL, 0, &before, &err));
  assert_true(before > 300000 && before < 600000);
  OK(kist_delete_range(ks, NULL, "key000100", 9, NULL, 0, &err));
  fill(0, 50, 100);
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  OK(kist_approximate_size(ks, NULL, 0, NULL, 0, &after, &err));
  assert_true(after < before / 10);
  OK(kist_exists(ks, NULL, "key000099", 9, &err));
  ASSERT_RC(KIST_NOT_FOUND, kist_exists(ks, NULL, "key000100", 9, &err));
  OK(kist_verify(db, NULL, &err));
}

static void maintenance__compact_a_range(void** state) {
  (void)state;
  fill(0, 2000, 100);
  OK(kist_compact(ks, "key000500", 9, "key000600", 9, NULL, &err));
  OK(kist_compact(ks, "zzz", 3, NULL, 0, NULL, &err));
  OK(kist_compact(ks, "a", 1, "a", 1, NULL, &err));
  OK(kist_exists(ks, NULL, "key000555", 9, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_RANGE, kist_compact(ks, "b", 1, "a", 1, NULL, &err));
}

static void maintenance__wait_idle(void** state) {
  (void)state;
  OK(kist_wait_idle(db, 0, &err));
  fill(0, 5000, 200);
  OK(kist_wait_idle(db, -1, &err));
  OK(kist_wait_idle(db, 0, &err));
  OK(kist_wait_idle(db, 1000, &err));
}

static void maintenance__approximate_size(void** state) {
  uint64_t all = 0, half = 0, none = 9;
  (void)state;
  OK(kist_approximate_size(ks, NULL, 0, NULL, 0, &none, &err));
  assert_true(none < 4096);
  fill(0, 4000, 100);
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  OK(kist_approximate_size(ks, NULL, 0, NULL, 0, &all, &err));
  OK(kist_approximate_size(ks, NULL, 0, "key002000", 9, &half, &err));
  assert_true(half > all / 3 && half < all * 2 / 3);
  OK(kist_approximate_size(ks, "x", 1, "y", 1, &none, &err));
  assert_int_equal(none, 0);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_RANGE,
               kist_approximate_size(ks, "b", 1, "a", 1, &none, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL,
               kist_approximate_size(ks, NULL, 0, NULL, 0, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL,
               kist_approximate_size(ks, NULL, 1, NULL, 0, &none, &err));
}

static uint64_t size_of(const char* begin, const char* end) {
  uint64_t bytes = 0;
  OK(kist_approximate_size(ks, begin, strlen(begin), end, strlen(end), &bytes, &err));
  return bytes;
}

/* What no table holds yet counts too, few entries and many, of this keyspace alone. */
static void maintenance__approximate_size_of_memtables(void** state) {
  kist_keyspace* other = NULL;
  uint64_t all, table, bytes = 9;
  (void)state;
  put(ks, "a", "0123456789");
  all = size_of("", "");
  assert_true(all >= 11 && all < 100);
  assert_int_equal(size_of("b", ""), 0);
  fill(0, 40000, 100);
  all = size_of("key", "");
  assert_true(all > 40000 * 109 && all < 40000 * 170);
  bytes = size_of("key", "key020000");
  assert_true(bytes > all * 2 / 5 && bytes < all * 3 / 5);
  bytes = size_of("key010000", "key014000");
  assert_true(bytes > all / 15 && bytes < all / 7);
  assert_int_equal(size_of("x", "y"), 0);
  OK(kist_keyspace_open(db, "other", KIST_KEYSPACE_CREATE, NULL, &other, &err));
  OK(kist_approximate_size(other, NULL, 0, NULL, 0, &bytes, &err));
  assert_int_equal(bytes, 0);
  kist_keyspace_free(other);
  OK(kist_flush(db, &err));
  table = size_of("", "");
  assert_true(table < all * 2);
  fill(40000, 80000, 100);
  assert_true(size_of("", "") > table + all * 2 / 3);
}

/* ---- jobs */

struct progress {
  uint64_t done, total;
  int calls, stop_at;
};

static int32_t note(void* ctx, uint64_t done, uint64_t total) {
  struct progress* p = ctx;
  assert_true(done >= p->done && done <= total);
  p->done = done;
  p->total = total;
  return ++p->calls == p->stop_at;
}

static void maintenance__progress_and_cancelling(void** state) {
  struct progress p = {0, 0, 0, 0};
  kist_job job = KIST_JOB_INIT;
  int i;
  (void)state;
  /* A background compaction that comes first leaves nothing to cancel. */
  close_strict(db);
  db = open_with(path, "sync=never; compaction=manual");
  ks = kist_default(db);
  fill(0, 5000, 200);
  OK(kist_flush(db, &err));
  job.progress = note;
  job.ctx = &p;
  OK(kist_verify(db, &job, &err));
  assert_true(p.calls > 0 && p.done > 0 && p.done <= p.total);
  p.calls = 0;
  p.done = 0;
  p.stop_at = 1;
  ASSERT_RC(KIST_E_CANCELLED, kist_verify(db, &job, &err));
  assert_int_equal(p.calls, 1);
  fill(0, 5000, 150);
  p.calls = 0;
  p.done = 0;
  ASSERT_RC(KIST_E_CANCELLED, kist_compact(ks, NULL, 0, NULL, 0, &job, &err));
  for (i = 0; i < 5000; i += 61) {
    char key[16];
    snprintf(key, sizeof key, "key%06d", i);
    OK(kist_exists(ks, NULL, key, strlen(key), &err));
  }
  job.progress = NULL; /* a job without a function is fine */
  OK(kist_compact(ks, NULL, 0, NULL, 0, &job, &err));
  OK(kist_verify(db, &job, &err));
}

static void maintenance__verify_finds_damage(void** state) {
  char command[9000];
  kist_err err = KIST_ERR_INIT;
  (void)state;
  fill(0, 2000, 100);
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  OK(kist_verify(db, NULL, &err));
  snprintf(command, sizeof command,
           "for f in '%s'/*.kst; do printf '\\377\\376' |"
           " dd of=\"$f\" bs=1 seek=700 conv=notrunc 2>/dev/null || exit 1; done",
           path);
  assert_int_equal(system(command), 0);
  assert_int_equal(kist_verify(db, NULL, &err), KIST_E_CORRUPT);
  assert_non_null(strstr(err.message, ".kst"));
}

static void maintenance__manual_compaction(void** state) {
  char* other = new_path();
  kist_db* manual = open_with(other, "compaction=manual; write_buffer_size=64KiB; sync=never");
  kist_keyspace* before = ks;
  (void)state;
  ks = kist_default(manual);
  fill(0, 5000, 100);
  OK(kist_flush(manual, &err));
  OK(kist_wait_idle(manual, 10000, &err));
  assert_true(count_files(other, ".kst") >= 4);
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  OK(kist_exists(ks, NULL, "key004999", 9, &err));
  ks = before;
  close_strict(manual);
  drop_path(other);
}

static void maintenance__bad_handles(void** state) {
  uint64_t bytes = 9;
  (void)state;
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_flush(NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_compact(NULL, NULL, 0, NULL, 0, NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_wait_idle(NULL, 0, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_verify(NULL, NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE,
               kist_approximate_size(NULL, NULL, 0, NULL, 0, &bytes, &err));
  assert_int_equal(bytes, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(maintenance__flush_moves_memory_to_tables_and_removes_the_log),
      TEST(maintenance__seeks_through_level_0_have_it_merged),
      TEST(maintenance__compact_reclaims),
      TEST(maintenance__compact_a_range),
      TEST(maintenance__wait_idle),
      TEST(maintenance__approximate_size),
      TEST(maintenance__approximate_size_of_memtables),
      TEST(maintenance__progress_and_cancelling),
      TEST(maintenance__verify_finds_damage),
      TEST(maintenance__manual_compaction),
      TEST(maintenance__bad_handles),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
