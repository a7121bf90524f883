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

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(stats__by_name),       TEST(stats__every_name_of_the_text_is_one),
      TEST(stats__formats),       TEST(stats__truncation),
      TEST(stats__bad_arguments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
