/* The directory of an open database is moved away, or removed and made again: what the old handle
 * does by name must not reach the database that stands there now. Nor what a handle that is freed
 * late does, when its database was closed and another one stands in its place. */
#include "support/files.h"

#define OPTIONS "sync=never; compaction=manual; write_buffer_size=64KiB; memory_budget=4MiB"
#define KEYS 300
#define AHEAD_US 100000 /* until the log's next segment is made ahead */

static char* path;
static char aside[4400];

static int set_up(void** state) {
  (void)state;
  path = new_path();
  snprintf(aside, sizeof aside, "%s.aside", path);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  drop_path(path);
  return 0;
}

/* Until a write is refused. */
static int fill(kist_db* db, int from, int count, char with) {
  char key[16], val[1000];
  int i;
  memset(val, with, sizeof val);
  for (i = from; i < from + count; ++i) {
    snprintf(key, sizeof key, "key%05d", i);
    if (kist_put(kist_default(db), NULL, key, 8, val, sizeof val, NULL) != KIST_OK) break;
  }
  return i - from;
}

static void expect_all(kist_db* db, int count, char with) {
  char key[16], val[1000];
  int i;
  for (i = 0; i < count; ++i) {
    size_t len = 0;
    snprintf(key, sizeof key, "key%05d", i);
    OK(kist_get(kist_default(db), NULL, key, 8, val, sizeof val, &len, &err));
    assert_int_equal(len, sizeof val);
    assert_int_equal(val[0], with);
  }
}

/* Everything is there, also for who comes after a crash. */
static void expect_unharmed(kist_db* db, int count, char with) {
  char copy[4400];
  kist_db* again;
  expect_all(db, count, with);
  OK(kist_verify(db, NULL, &err));
  OK(kist_flush(db, &err)); /* nothing is removed while it is copied */
  snprintf(copy, sizeof copy, "%s.crash", path);
  copy_dir(path, copy);
  again = open_with(copy, OPTIONS);
  expect_all(again, count, with);
  close_strict(again);
  remove_tree(copy);
}

static void work(kist_db* db) {
  int i;
  for (i = 0; i < 3; ++i) fill(db, i * KEYS, KEYS, 'o');
  kist_flush(db, NULL);
  kist_compact(kist_default(db), "", 0, "", 0, NULL, NULL);
  kist_checkpoint(db, aside, NULL);
}

/* at_work: the old handle goes on; else it is just closed, which removes the segment that it made
 * ahead: the new database has one of the same number. */
static void replaced(int moved, int at_work) {
  const int old_keys = at_work ? KEYS : 10;
  kist_db *old = open_with(path, OPTIONS), *db;
  assert_int_equal(fill(old, 0, old_keys, 'o'), old_keys);
  if (at_work) OK(kist_flush(old, &err));
  usleep(AHEAD_US);
  if (moved) {
    assert_int_equal(rename(path, aside), 0);
  } else {
    remove_tree(path);
  }
  db = open_with(path, OPTIONS);
  usleep(AHEAD_US);
  if (at_work) {
    assert_int_equal(fill(db, 0, KEYS, 'n'), KEYS);
    OK(kist_flush(db, &err));
    assert_int_equal(fill(db, 0, KEYS, 'n'), KEYS);
    work(old);
    expect_unharmed(db, KEYS, 'n');
  }
  kist_close(old, KIST_CLOSE_STRICT, NULL);
  assert_int_equal(fill(db, 0, KEYS, 'm'), KEYS);
  expect_unharmed(db, KEYS, 'm');
  OK(kist_compact(kist_default(db), "", 0, "", 0, NULL, &err));
  assert_int_equal(fill(db, 0, KEYS, 'm'), KEYS);
  expect_unharmed(db, KEYS, 'm');
  close_strict(db);
  db = open_with(path, OPTIONS);
  expect_unharmed(db, KEYS, 'm');
  close_strict(db);
  if (!moved) return;
  db = open_with(aside, OPTIONS);
  expect_all(db, old_keys, 'o');
  close_strict(db);
}

static void moved__removed_and_made_again(void** state) {
  (void)state;
  replaced(0, 0);
}

static void moved__removed_and_made_again_at_work(void** state) {
  (void)state;
  replaced(0, 1);
}

static void moved__away_and_made_again(void** state) {
  (void)state;
  replaced(1, 0);
}

static void moved__away_and_made_again_at_work(void** state) {
  (void)state;
  replaced(1, 1);
}

/* What needs the name is refused while it is away, and nothing is lost; back again all goes on. */
static void moved__away_and_back(void** state) {
  kist_db* db = open_with(path, OPTIONS "; retry_interval=10ms");
  int written, tries;
  (void)state;
  assert_int_equal(fill(db, 0, KEYS, 'a'), KEYS);
  assert_int_equal(rename(path, aside), 0);
  written = fill(db, 0, KEYS, 'b');
  ASSERT_RC(KIST_E_IO, kist_flush(db, &err));
  ASSERT_RC(KIST_E_IO, kist_checkpoint(db, path, &err));
  assert_int_equal(access(path, F_OK), -1);
  expect_all(db, written, 'b');
  assert_int_equal(rename(aside, path), 0);
  for (tries = 0; kist_flush(db, NULL) != KIST_OK && tries < 1000; ++tries) usleep(10000);
  OK(kist_flush(db, &err));
  assert_int_equal(fill(db, 0, KEYS, 'c'), KEYS);
  OK(kist_compact(kist_default(db), "", 0, "", 0, NULL, &err));
  expect_unharmed(db, KEYS, 'c');
  close_strict(db);
}

/* A feed goes from segment to segment by name. */
static void moved__a_feed_gives_no_others_commits(void** state) {
  kist_db *old = open_with(path, OPTIONS "; log_retention=1GiB"), *db;
  kist_feed* feed = NULL;
  kist_slice packed;
  kist_rc rc;
  int given = 0;
  (void)state;
  assert_int_equal(fill(old, 0, KEYS, 'o'), KEYS);
  OK(kist_feed_open(old, 0, &feed, &err));
  OK(kist_feed_next(feed, 0, NULL, NULL, &packed, &err));
  assert_int_equal(rename(path, aside), 0);
  db = open_with(path, OPTIONS "; log_retention=1GiB");
  assert_int_equal(fill(db, 0, KEYS, 'n'), KEYS);
  while ((rc = kist_feed_next(feed, 0, NULL, NULL, &packed, NULL)) == KIST_OK) {
    assert_null(memchr(packed.data, 'n', packed.len));
    ++given;
  }
  assert_true(given < KEYS);
  assert_int_equal(rc, KIST_E_IO);
  kist_feed_free(feed);
  close_strict(db);
  kist_close(old, KIST_CLOSE_STRICT, NULL);
}

/* An iterator that outlives its database keeps tables that a compaction has replaced. */
static void moved__freed_after_another_one_was_made(void** state) {
  kist_db* db = open_with(path, OPTIONS);
  kist_iter* iter = NULL;
  int round;
  (void)state;
  for (round = 0; round < 2; ++round) {
    fill(db, 0, KEYS, 'o');
    OK(kist_flush(db, &err));
  }
  OK(kist_iter_new(kist_default(db), NULL, &iter, &err));
  OK(kist_iter_seek(iter, KIST_SEEK_FIRST, NULL, 0, &err));
  OK(kist_compact(kist_default(db), "", 0, "", 0, NULL, &err));
  OK(kist_close(db, KIST_CLOSE_REVOKE, &err));
  OK(kist_destroy(path, &err));
  db = open_with(path, OPTIONS);
  for (round = 0; round < 5; ++round) {
    fill(db, 0, KEYS, 'n');
    OK(kist_flush(db, &err));
  }
  kist_iter_free(iter);
  expect_unharmed(db, KEYS, 'n');
  close_strict(db);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(moved__removed_and_made_again, set_up, tear_down),
      cmocka_unit_test_setup_teardown(moved__removed_and_made_again_at_work, set_up, tear_down),
      cmocka_unit_test_setup_teardown(moved__away_and_made_again, set_up, tear_down),
      cmocka_unit_test_setup_teardown(moved__away_and_made_again_at_work, set_up, tear_down),
      cmocka_unit_test_setup_teardown(moved__away_and_back, set_up, tear_down),
      cmocka_unit_test_setup_teardown(moved__a_feed_gives_no_others_commits, set_up, tear_down),
      cmocka_unit_test_setup_teardown(moved__freed_after_another_one_was_made, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
