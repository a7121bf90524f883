/* The feed: every commit once and in order, over flushes, segment switches and reopening; gaps
 * said, never skipped. */
#include "support/tempdir.h"

#include <pthread.h>

static char* path;

static int set_up(void** state) {
  (void)state;
  path = new_path();
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  drop_path(path);
  return 0;
}

static kist_feed* feed_from(kist_db* db, uint64_t from) {
  kist_feed* feed = NULL;
  OK(kist_feed_open(db, from, &feed, &err));
  assert_non_null(feed);
  return feed;
}

/* The next commit holds one put of this key. */
static uint64_t next_is(kist_feed* feed, const char* key) {
  kist_slice packed;
  uint64_t seq = 0;
  int64_t time_ms = 0;
  OK(kist_feed_next(feed, 5000, &seq, &time_ms, &packed, &err));
  assert_true(packed.len > 24);
  assert_memory_equal(packed.data, "KWB\1\1\0\0\0", 8);
  assert_memory_equal((const char*)packed.data + 24, key, strlen(key));
  assert_true(time_ms > 0);
  return seq;
}

static void nothing_left(kist_feed* feed) {
  kist_slice packed = {"x", 1};
  uint64_t seq = 9;
  ASSERT_RC(KIST_DONE, kist_feed_next(feed, 0, &seq, NULL, &packed, &err));
  assert_int_equal(seq, 0);
  assert_null(packed.data);
}

static void number(char* key, int i) { sprintf(key, "key%04d", i); }

static void feed__every_commit_once_in_order(void** state) {
  kist_db* db = open_with(path, "sync=never; log_retention=64MiB");
  kist_keyspace* ks = kist_default(db);
  kist_feed* feed = feed_from(db, 0);
  uint64_t last = 0;
  char key[32];
  (void)state;
  nothing_left(feed);
  for (int i = 0; i < 300; ++i) {
    number(key, i);
    put(ks, key, "value");
    if (i % 60 == 59) OK(kist_flush(db, &err));
    if (i % 7 == 3) {
      number(key, (int)last);
      last = next_is(feed, key);
    }
  }
  for (int i = (int)last; i < 300; ++i) {
    number(key, i);
    last = next_is(feed, key);
    assert_int_equal(last, i + 1);
  }
  nothing_left(feed);
  kist_feed_free(feed);
  close_strict(db);
}

static void feed__resumes_after_reopening(void** state) {
  uint64_t last = 0;
  char key[32];
  int next = 0;
  (void)state;
  for (int round = 0; round < 4; ++round) {
    kist_db* db = open_with(path, "sync=never; log_retention=64MiB");
    kist_feed* feed = feed_from(db, last);
    for (int i = round * 50; i < round * 50 + 50; ++i) {
      number(key, i);
      put(kist_default(db), key, "value");
      if (i % 25 == 20) OK(kist_flush(db, &err));
    }
    for (int i = 0; i < 40; ++i) {
      number(key, next++);
      last = next_is(feed, key);
    }
    kist_feed_free(feed);
    close_strict(db);
  }
  assert_int_equal(next, 160);
}

static void feed__a_gap_is_said(void** state) {
  kist_db* db = open_with(path, "sync=never");
  kist_feed* feed = (kist_feed*)(void*)db;
  (void)state;
  put(kist_default(db), "a", "1");
  OK(kist_flush(db, &err));
  put(kist_default(db), "b", "1");
  /* Without retention the flushed part of the log goes at once, though a moment may pass. */
  for (int i = 0; i < 100; ++i) {
    if (kist_feed_open(db, 0, &feed, NULL) == KIST_E_MISSING) break;
    kist_feed_free(feed);
    usleep(20000);
  }
  ASSERT_RC(KIST_E_MISSING, kist_feed_open(db, 0, &feed, &err));
  assert_null(feed);
  feed = feed_from(db, 1);
  next_is(feed, "b");
  kist_feed_free(feed);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_RANGE,
               kist_feed_open(db, kist_last_seq(db) + 1, &feed, &err));
  close_strict(db);
}

/* So too where the feed stands at the end of a segment whose successor is gone. */
static void feed__a_gap_behind_a_segment_is_said(void** state) {
  kist_db* db = open_with(path, "sync=never");
  kist_feed *feed, *none = NULL;
  kist_slice packed;
  (void)state;
  put(kist_default(db), "a", "1");
  feed = feed_from(db, 0);
  next_is(feed, "a");
  for (int i = 0; i < 2; ++i) {
    OK(kist_flush(db, &err));
    put(kist_default(db), "b", "1");
  }
  for (int i = 0; i < 100; ++i) {
    if (kist_feed_open(db, 1, &none, NULL) == KIST_E_MISSING) break;
    kist_feed_free(none);
    usleep(20000);
  }
  ASSERT_RC(KIST_E_MISSING, kist_feed_open(db, 1, &none, &err));
  ASSERT_RC(KIST_E_MISSING, kist_feed_next(feed, 0, NULL, NULL, &packed, &err));
  kist_feed_free(feed);
  close_strict(db);
}

/* Who writes the feed's operations to a keyspace with the same default must get the same TTLs. */
static void feed__never_is_said_where_there_is_a_default(void** state) {
  kist_db* db = open_with(":memory:", "sync=never; default_ttl=1h");
  kist_feed* feed = feed_from(db, 0);
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  kist_slice packed;
  int64_t ttl = 0;
  (void)state;
  wo.ttl_ms = KIST_TTL_NEVER;
  OK(kist_put(kist_default(db), &wo, "never", 5, "1", 1, &err));
  put(kist_default(db), "default", "1");
  for (int i = 0; i < 2; ++i) {
    OK(kist_feed_next(feed, 5000, NULL, NULL, &packed, &err));
    assert_int_equal(((const unsigned char*)packed.data)[9], 1);
    memcpy(&ttl, (const char*)packed.data + 24, 8); /* of a little-endian machine */
    assert_true(ttl == (i == 0 ? KIST_TTL_NEVER : 3600000));
  }
  kist_feed_free(feed);
  close_strict(db);
}

static void feed__batches_and_keyspaces(void** state) {
  kist_db* db = open_plain(":memory:");
  kist_feed* feed = feed_from(db, 0);
  kist_keyspace* other = NULL;
  kist_batch* batch = NULL;
  kist_slice packed;
  const void* data;
  size_t len;
  uint64_t seq = 0;
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  (void)state;
  OK(kist_keyspace_open(db, "other", KIST_KEYSPACE_CREATE, NULL, &other, &err));
  OK(kist_batch_new(&batch));
  OK(kist_batch_put(batch, other, "k", 1, "v", 1, 3600000, &err));
  OK(kist_batch_delete(batch, kist_default(db), "d", 1, &err));
  wo.durability = KIST_DURABILITY_BUFFERED;
  OK(kist_write(db, &wo, batch, NULL, &err));
  OK(kist_batch_data(batch, &data, &len));
  kist_keyspace_free(other);
  OK(kist_keyspace_drop(db, "other", &err));
  OK(kist_feed_next(feed, 1000, &seq, NULL, &packed, &err));
  assert_int_equal(seq, 1);
  assert_int_equal(((const unsigned char*)packed.data)[8], 4);
  assert_memory_equal((const char*)packed.data + 24, "other", 5);
  OK(kist_feed_next(feed, 1000, &seq, NULL, &packed, &err));
  assert_int_equal(packed.len, len);
  assert_memory_equal(packed.data, data, len);
  OK(kist_feed_next(feed, 1000, &seq, NULL, &packed, &err));
  assert_int_equal(((const unsigned char*)packed.data)[8], 5);
  ASSERT_RC(KIST_E_INVALID, kist_write_packed(db, NULL, packed.data, packed.len, NULL, &err));
  nothing_left(feed);
  kist_batch_free(batch);
  kist_feed_free(feed);
  close_strict(db);
}

static void* put_later(void* arg) {
  usleep(50000);
  kist_put(kist_default((kist_db*)arg), NULL, "late", 4, "1", 1, NULL);
  return NULL;
}

static void feed__waits(void** state) {
  kist_db* db = open_plain(":memory:");
  kist_feed* feed = feed_from(db, 0);
  pthread_t thread;
  (void)state;
  assert_int_equal(pthread_create(&thread, NULL, put_later, db), 0);
  next_is(feed, "late");
  pthread_join(thread, NULL);
  kist_feed_free(feed);
  close_strict(db);
}

static void* wait_for_ever(void* arg) {
  kist_slice packed;
  const kist_rc rc = kist_feed_next(arg, -1, NULL, NULL, &packed, NULL);
  return (void*)(intptr_t)rc;
}

/* A call that waits takes no part in what closing waits for. */
static void feed__closing_ends_a_wait(void** state) {
  int round;
  (void)state;
  for (round = 0; round < 20; ++round) {
    kist_db* db = open_plain(":memory:");
    kist_feed* feed = feed_from(db, 0);
    pthread_t thread;
    void* rc = NULL;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, feed), 0);
    usleep((useconds_t)round * 6000); /* inside a turn, between two */
    OK(kist_close(db, KIST_CLOSE_REVOKE, &err));
    pthread_join(thread, &rc);
    assert_int_equal((kist_rc)(intptr_t)rc, KIST_E_CLOSED);
    kist_feed_free(feed);
  }
}

static void feed__a_read_only_database_has_none(void** state) {
  kist_db* db = open_plain(path);
  kist_feed* feed = (kist_feed*)(void*)db;
  (void)state;
  put(kist_default(db), "a", "1");
  close_strict(db);
  db = open_with(path, "read_only=true");
  ASSERT_RC(KIST_E_READONLY, kist_feed_open(db, kist_last_seq(db), &feed, &err));
  assert_null(feed);
  close_strict(db);
}

/* Segments stay while they fit log_retention, and a feed that stands in what goes says so. */
static void feed__retention_is_in_bytes(void** state) {
  enum { kValue = 10000, kCommits = 400, kFlushEvery = 20 };
  kist_db* db = open_with(path, "sync=never; log_retention=1MiB");
  kist_feed *slow = feed_from(db, 0), *feed = NULL;
  kist_slice packed;
  char key[32], *val = malloc(kValue);
  uint64_t first = 0, last, seq = 0;
  int i;
  (void)state;
  memset(val, 'v', kValue);
  for (i = 0; i < kCommits; ++i) {
    number(key, i);
    OK(kist_put(kist_default(db), NULL, key, strlen(key), val, kValue, &err));
    if (i % kFlushEvery == kFlushEvery - 1) OK(kist_flush(db, &err));
  }
  last = kist_last_seq(db);
  while (kist_feed_open(db, first, &feed, NULL) == KIST_E_MISSING) ++first;
  /* Of 4 MB one is kept: at most so much, and a segment of 200 KB less at the least. */
  assert_true((last - first) * kValue <= 1 << 20);
  assert_true((last - first) * kValue >= (1 << 20) - 2 * kFlushEvery * kValue);
  for (uint64_t want = first + 1; want <= last; ++want) {
    OK(kist_feed_next(feed, 0, &seq, NULL, &packed, &err));
    assert_int_equal(seq, want);
  }
  nothing_left(feed);
  /* What it stood in it may still read, in order; then the gap, again and again. */
  for (i = 1; i <= kFlushEvery && kist_feed_next(slow, 0, &seq, NULL, &packed, NULL) == KIST_OK;
       ++i)
    assert_int_equal(seq, i);
  ASSERT_RC(KIST_E_MISSING, kist_feed_next(slow, 0, &seq, NULL, &packed, &err));
  assert_int_equal(seq, 0);
  assert_null(packed.data);
  ASSERT_RC(KIST_E_MISSING, kist_feed_next(slow, 0, &seq, NULL, &packed, &err));
  kist_feed_free(slow);
  /* Less of it, at once with the next flush; the feed that has all goes on. */
  OK(kist_set_option(db, "log_retention", "0", &err));
  put(kist_default(db), "next", "1");
  OK(kist_flush(db, &err));
  ASSERT_RC(KIST_E_MISSING, kist_feed_open(db, first, &slow, &err));
  kist_feed_free(feed);
  free(val);
  close_strict(db);
}

static void feed__bad_arguments_and_closing(void** state) {
  kist_db* db = open_plain(":memory:");
  kist_feed *feed = NULL, *none = (kist_feed*)(void*)db;
  kist_slice packed;
  (void)state;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_feed_open(db, 0, NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_feed_open(NULL, 0, &none, &err));
  assert_null(none);
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_feed_next(NULL, 0, NULL, NULL, &packed, &err));
  feed = feed_from(db, 0);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_feed_next(feed, 0, NULL, NULL, NULL, &err));
  ASSERT_RC(KIST_E_BUSY, kist_close(db, KIST_CLOSE_STRICT, &err));
  OK(kist_close(db, KIST_CLOSE_REVOKE, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_feed_next(feed, 0, NULL, NULL, &packed, &err));
  kist_feed_free(feed);
  kist_feed_free(NULL);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(feed__every_commit_once_in_order),
      TEST(feed__resumes_after_reopening),
      TEST(feed__a_gap_is_said),
      TEST(feed__a_gap_behind_a_segment_is_said),
      TEST(feed__never_is_said_where_there_is_a_default),
      TEST(feed__batches_and_keyspaces),
      TEST(feed__waits),
      TEST(feed__closing_ends_a_wait),
      TEST(feed__a_read_only_database_has_none),
      TEST(feed__retention_is_in_bytes),
      TEST(feed__bad_arguments_and_closing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
