/* Iterators: states, seeks, bounds, prefixes, both directions, entries, chunks, refresh, and a
 * random walk against an array. */
#include "support/tempdir.h"

#include <time.h>

static kist_db* db;
static kist_keyspace* ks;
static const char* const kKeys[] = {"b", "c", "d", "d1", "f"};

static int set_up(void** state) {
  size_t i;
  (void)state;
  db = open_with(":memory:", "sync=never; max_key_size=100");
  ks = kist_default(db);
  for (i = 0; i < 5; ++i) put(ks, kKeys[i], kKeys[i]);
  put(ks, "c1", "deleted");
  OK(kist_flush(db, &err));
  OK(kist_delete(ks, NULL, "c1", 2, &err));
  put(ks, "d", "d");
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  close_strict(db);
  return 0;
}

static kist_iter* new_iter(const char* lower, const char* upper, const char* prefix) {
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_iter* it = NULL;
  io.lower.data = lower;
  io.lower.len = lower != NULL ? strlen(lower) : 0;
  io.upper.data = upper;
  io.upper.len = upper != NULL ? strlen(upper) : 0;
  io.prefix.data = prefix;
  io.prefix.len = prefix != NULL ? strlen(prefix) : 0;
  OK(kist_iter_new(ks, &io, &it, &err));
  return it;
}

/* The iterator stands on this key, whose value is the key; NULL: on none. */
static void at(const kist_iter* it, const char* want) {
  kist_slice key, val;
  memset(&key, 0x5a, sizeof key);
  val = key;
  if (want == NULL) {
    assert_int_equal(kist_iter_entry(it, &key, &val), KIST_E_MISUSE);
    assert_null(key.data);
    assert_null(val.data);
    return;
  }
  assert_int_equal(kist_iter_entry(it, &key, &val), KIST_OK);
  assert_int_equal(key.len, strlen(want));
  assert_memory_equal(key.data, want, key.len);
  assert_int_equal(val.len, strlen(want));
  assert_memory_equal(val.data, want, val.len);
}

static void next(kist_iter* it, const char* want) {
  ASSERT_RC(want != NULL ? KIST_OK : KIST_DONE, kist_iter_next(it, &err));
  at(it, want);
}

static void prev(kist_iter* it, const char* want) {
  ASSERT_RC(want != NULL ? KIST_OK : KIST_DONE, kist_iter_prev(it, &err));
  at(it, want);
}

static void seek(kist_iter* it, int32_t mode, const char* key, const char* want) {
  ASSERT_RC(want != NULL ? KIST_OK : KIST_DONE,
            kist_iter_seek(it, mode, key, key != NULL ? strlen(key) : 0, &err));
  at(it, want);
}

static void iter__starts_unpositioned(void** state) {
  kist_iter* it = new_iter(NULL, NULL, NULL);
  (void)state;
  at(it, NULL);
  next(it, "b");
  kist_iter_free(it);
  it = new_iter(NULL, NULL, NULL);
  prev(it, "f");
  kist_iter_free(it);
}

static void iter__ends_and_back(void** state) {
  kist_iter* it = new_iter(NULL, NULL, NULL);
  (void)state;
  next(it, "b");
  next(it, "c");
  next(it, "d");
  next(it, "d1");
  next(it, "f");
  next(it, NULL);
  next(it, NULL); /* past the end it stays */
  prev(it, "f");
  prev(it, "d1");
  next(it, "f");
  prev(it, "d1");
  prev(it, "d");
  prev(it, "c");
  prev(it, "b");
  prev(it, NULL);
  prev(it, NULL); /* before the beginning it stays */
  next(it, "b");
  kist_iter_free(it);
}

static void iter__every_seek(void** state) {
  kist_iter* it = new_iter(NULL, NULL, NULL);
  (void)state;
  seek(it, KIST_SEEK_FIRST, NULL, "b");
  seek(it, KIST_SEEK_LAST, NULL, "f");
  seek(it, KIST_SEEK_FIRST, "zzz", "b"); /* the key is ignored */
  seek(it, KIST_SEEK_GE, "c", "c");
  seek(it, KIST_SEEK_GE, "c0", "d");
  seek(it, KIST_SEEK_GE, NULL, "b");
  seek(it, KIST_SEEK_GT, "c", "d");
  seek(it, KIST_SEEK_GT, "d", "d1");
  seek(it, KIST_SEEK_LE, "c1", "c");
  seek(it, KIST_SEEK_LE, "f", "f");
  seek(it, KIST_SEEK_LE, "zzz", "f");
  seek(it, KIST_SEEK_LT, "f", "d1");
  seek(it, KIST_SEEK_LT, "d1", "d");
  next(it, "d1");
  prev(it, "d");
  /* Nothing found: past the end or before the beginning. */
  seek(it, KIST_SEEK_GT, "f", NULL);
  next(it, NULL);
  prev(it, "f");
  seek(it, KIST_SEEK_GE, "g", NULL);
  prev(it, "f");
  seek(it, KIST_SEEK_LT, "b", NULL);
  prev(it, NULL);
  next(it, "b");
  seek(it, KIST_SEEK_LE, "a", NULL);
  next(it, "b");
  seek(it, KIST_SEEK_LT, NULL, NULL);
  next(it, "b");
  kist_iter_free(it);
}

static void iter__bounds(void** state) {
  kist_iter* it = new_iter("c", "f", NULL);
  (void)state;
  next(it, "c");
  next(it, "d");
  next(it, "d1");
  next(it, NULL);
  prev(it, "d1");
  prev(it, "d");
  prev(it, "c");
  prev(it, NULL);
  seek(it, KIST_SEEK_GE, "a", "c");
  seek(it, KIST_SEEK_GE, "f", NULL);
  seek(it, KIST_SEEK_LE, "z", "d1");
  seek(it, KIST_SEEK_LE, "f", "d1");
  seek(it, KIST_SEEK_LT, "c", NULL);
  next(it, "c");
  seek(it, KIST_SEEK_LAST, NULL, "d1");
  seek(it, KIST_SEEK_GT, "a", "c");
  kist_iter_free(it);
  it = new_iter("d", "d", NULL); /* lower = upper */
  next(it, NULL);
  prev(it, NULL);
  seek(it, KIST_SEEK_GE, "d", NULL);
  kist_iter_free(it);
  it = new_iter("f", "b", NULL); /* lower > upper */
  next(it, NULL);
  seek(it, KIST_SEEK_LAST, NULL, NULL);
  kist_iter_free(it);
  it = new_iter("", "", NULL); /* empty bounds are none */
  next(it, "b");
  prev(it, NULL);
  kist_iter_free(it);
}

static void iter__prefixes(void** state) {
  kist_iter* it = new_iter(NULL, NULL, "d");
  (void)state;
  next(it, "d");
  next(it, "d1");
  next(it, NULL);
  prev(it, "d1");
  seek(it, KIST_SEEK_GE, "a", "d");
  seek(it, KIST_SEEK_LT, "f", "d1");
  kist_iter_free(it);
  it = new_iter("d1", NULL, "d");
  prev(it, "d1");
  prev(it, NULL);
  kist_iter_free(it);
  it = new_iter(NULL, "d1", "d");
  next(it, "d");
  next(it, NULL);
  kist_iter_free(it);
  it = new_iter(NULL, NULL, "e");
  next(it, NULL);
  prev(it, NULL);
  kist_iter_free(it);
  /* A prefix of 0xff bytes has no end of its own. */
  OK(kist_put(ks, NULL, "\xff\xff\x01", 3, "\xff\xff\x01", 3, &err));
  it = new_iter(NULL, NULL, "\xff\xff");
  prev(it, "\xff\xff\x01");
  prev(it, NULL);
  kist_iter_free(it);
}

static void iter__bounds_are_copied(void** state) {
  char lower[2] = "c", upper[2] = "f";
  kist_iter* it = new_iter(lower, upper, NULL);
  (void)state;
  lower[0] = upper[0] = 'z';
  next(it, "c");
  seek(it, KIST_SEEK_LAST, NULL, "d1");
  kist_iter_free(it);
}

static void iter__sees_one_state(void** state) {
  kist_iter* it = new_iter(NULL, NULL, NULL);
  (void)state;
  put(ks, "a", "a");
  put(ks, "c", "new");
  OK(kist_delete(ks, NULL, "d", 1, &err));
  OK(kist_delete_range(ks, NULL, "e", 1, "z", 1, &err));
  OK(kist_flush(db, &err));
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  next(it, "b");
  next(it, "c");
  next(it, "d");
  next(it, "d1");
  next(it, "f");
  next(it, NULL);
  OK(kist_iter_refresh(it, &err));
  at(it, NULL);
  next(it, "a");
  kist_iter_free(it);
}

static void iter__refresh_keeps_an_explicit_snapshot(void** state) {
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_snapshot* snapshot = NULL;
  kist_iter* it = NULL;
  (void)state;
  OK(kist_snapshot_new(db, &snapshot, &err));
  put(ks, "a", "a");
  io.snapshot = snapshot;
  OK(kist_iter_new(ks, &io, &it, &err));
  next(it, "b");
  OK(kist_iter_refresh(it, &err));
  at(it, NULL);
  next(it, "b");
  kist_snapshot_free(snapshot); /* it may outlive its snapshot */
  put(ks, "c", "new");
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  next(it, "c");
  next(it, "d");
  kist_iter_free(it);
}

static void iter__keys_only(void** state) {
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_slice key, val;
  kist_entry entries[8];
  kist_iter* it = NULL;
  size_t count = 0, used = 0;
  char buf[64];
  (void)state;
  io.flags = KIST_ITER_KEYS_ONLY;
  OK(kist_iter_new(ks, &io, &it, &err));
  OK(kist_iter_next(it, &err));
  OK(kist_iter_entry(it, &key, &val));
  assert_int_equal(key.len, 1);
  assert_null(val.data);
  assert_int_equal(val.len, 0);
  ASSERT_RC(KIST_DONE, kist_iter_entries(it, 1, entries, 8, &count, &err));
  assert_int_equal(count, 4);
  assert_null(entries[3].val.data);
  ASSERT_RC(KIST_DONE, kist_iter_chunk(it, -1, buf, sizeof buf, 99, &used, &count, NULL, &err));
  assert_int_equal(count, 5);
  assert_int_equal(used, 5 * 8 + 6);
  kist_iter_free(it);
}

static void iter__empty_values_have_data(void** state) {
  kist_iter* it = new_iter(NULL, NULL, NULL);
  kist_slice key, val;
  (void)state;
  kist_iter_free(it);
  OK(kist_put(ks, NULL, "", 0, "", 0, &err));
  it = new_iter(NULL, NULL, NULL);
  OK(kist_iter_next(it, &err));
  assert_int_equal(kist_iter_entry(it, &key, &val), KIST_OK);
  assert_non_null(key.data);
  assert_non_null(val.data);
  assert_int_equal(key.len + val.len, 0);
  assert_int_equal(kist_iter_entry(it, NULL, NULL), KIST_OK);
  kist_iter_free(it);
}

/* ---- entries */

static void entries(kist_iter* it, int32_t dir, size_t max, kist_rc want, const char* expected) {
  kist_entry got[16];
  size_t count = 99, i;
  char all[64] = "";
  ASSERT_RC(want, kist_iter_entries(it, dir, got, max, &count, &err));
  for (i = 0; i < count; ++i) {
    if (i > 0) strcat(all, " ");
    strncat(all, got[i].key.data, got[i].key.len);
    assert_int_equal(got[i].val.len, got[i].key.len);
    assert_memory_equal(got[i].val.data, got[i].key.data, got[i].key.len);
  }
  assert_string_equal(all, expected);
}

static void iter__entries(void** state) {
  kist_iter* it = new_iter(NULL, NULL, NULL);
  (void)state;
  entries(it, 1, 2, KIST_OK, "b c");
  at(it, "c"); /* the last one returned is the current one */
  entries(it, 1, 2, KIST_OK, "d d1");
  entries(it, -1, 1, KIST_OK, "d");
  entries(it, -1, 9, KIST_DONE, "c b");
  at(it, NULL);
  entries(it, -1, 9, KIST_DONE, ""); /* before the beginning */
  entries(it, 1, 9, KIST_DONE, "b c d d1 f");
  at(it, NULL);
  entries(it, 1, 9, KIST_DONE, "");
  prev(it, "f"); /* past the end */
  entries(it, -1, 2, KIST_OK, "d1 d");
  next(it, "d1");
  kist_iter_free(it);
  it = new_iter(NULL, NULL, NULL);
  entries(it, -1, 3, KIST_OK, "f d1 d");
  entries(it, 1, 9, KIST_DONE, "d1 f");
  kist_iter_free(it);
}

static void iter__entries_after_a_seek_begin_with_it(void** state) {
  kist_iter* it = new_iter(NULL, NULL, NULL);
  (void)state;
  seek(it, KIST_SEEK_GE, "c", "c");
  entries(it, 1, 2, KIST_OK, "c d");
  seek(it, KIST_SEEK_GE, "d", "d");
  entries(it, -1, 9, KIST_DONE, "d c b");
  seek(it, KIST_SEEK_GE, "d", "d");
  next(it, "d1"); /* stepped since: with the neighbour */
  entries(it, 1, 9, KIST_DONE, "f");
  seek(it, KIST_SEEK_GE, "zz", NULL);
  entries(it, 1, 9, KIST_DONE, "");
  seek(it, KIST_SEEK_GE, "zz", NULL);
  entries(it, -1, 1, KIST_OK, "f");
  seek(it, KIST_SEEK_LT, "a", NULL);
  entries(it, 1, 1, KIST_OK, "b");
  seek(it, KIST_SEEK_LAST, NULL, "f");
  entries(it, 1, 9, KIST_DONE, "f");
  OK(kist_iter_refresh(it, &err));
  entries(it, -1, 1, KIST_OK, "f");
  kist_iter_free(it);
}

static void iter__entries_stay_valid_until_the_next_call(void** state) {
  kist_entry got[1000];
  kist_iter* it;
  char key[16];
  size_t count = 0, i;
  int dir;
  (void)state;
  for (i = 0; i < 3000; ++i) {
    snprintf(key, sizeof key, "k%05zu", i);
    put(ks, key, key);
    if (i % 700 == 0) OK(kist_flush(db, &err));
  }
  OK(kist_set_option(db, "cache_size", "64KiB", &err));
  for (dir = -1; dir <= 1; dir += 2) {
    it = new_iter(NULL, NULL, "k");
    for (i = 0; i < 3; ++i) {
      size_t j;
      OK(kist_iter_entries(it, dir, got, 1000, &count, &err));
      assert_int_equal(count, 1000);
      OK(kist_flush(db, &err));
      for (j = 0; j < count; ++j) {
        snprintf(key, sizeof key, "k%05zu", dir > 0 ? i * 1000 + j : 2999 - i * 1000 - j);
        assert_memory_equal(got[j].key.data, key, 6);
        assert_memory_equal(got[j].val.data, key, 6);
      }
    }
    ASSERT_RC(KIST_DONE, kist_iter_entries(it, dir, got, 1000, &count, &err));
    assert_int_equal(count, 0);
    kist_iter_free(it);
  }
}

/* ---- chunks */

static void chunk(kist_iter* it, int32_t dir, size_t cap, size_t max, kist_rc want,
                  const char* expected, size_t want_need) {
  char buf[256], all[64] = "";
  size_t used = 99, count = 99, need = 99, i, at_byte = 0;
  memset(buf, 0x5a, sizeof buf);
  ASSERT_RC(want, kist_iter_chunk(it, dir, buf, cap, max, &used, &count, &need, &err));
  for (i = 0; i < count; ++i) {
    uint32_t key_len, val_len;
    memcpy(&key_len, buf + at_byte, 4);
    memcpy(&val_len, buf + at_byte + 4, 4);
    if (i > 0) strcat(all, " ");
    strncat(all, buf + at_byte + 8, key_len);
    assert_int_equal(val_len, key_len);
    assert_memory_equal(buf + at_byte + 8, buf + at_byte + 8 + key_len, key_len);
    at_byte += 8 + key_len + val_len;
  }
  assert_int_equal(at_byte, used);
  assert_true(used <= cap);
  for (i = used; i < sizeof buf; ++i) assert_int_equal(buf[i], 0x5a);
  assert_string_equal(all, expected);
  assert_int_equal(need, want_need);
}

static void iter__chunks(void** state) {
  kist_iter* it = new_iter(NULL, NULL, NULL);
  (void)state;
  /* Entries of one-byte keys take 10 bytes, "d1" takes 12. */
  chunk(it, 1, 25, 9, KIST_OK, "b c", 0);
  at(it, "c");
  chunk(it, 1, 25, 9, KIST_OK, "d d1", 0);
  chunk(it, 1, 25, 9, KIST_DONE, "f", 0);
  at(it, NULL);
  chunk(it, 1, 25, 9, KIST_DONE, "", 0);
  chunk(it, -1, 25, 1, KIST_OK, "f", 0);
  chunk(it, -1, 200, 9, KIST_DONE, "d1 d c b", 0);
  chunk(it, -1, 200, 9, KIST_DONE, "", 0);
  chunk(it, 1, 200, 3, KIST_OK, "b c d", 0);
  chunk(it, 1, 12, 3, KIST_OK, "d1", 0);
  kist_iter_free(it);
}

static void iter__a_truncated_chunk_consumes_nothing(void** state) {
  kist_iter* it = new_iter(NULL, NULL, NULL);
  (void)state;
  chunk(it, 1, 9, 9, KIST_TRUNCATED, "", 10);
  at(it, NULL); /* still unpositioned */
  chunk(it, 1, 9, 9, KIST_TRUNCATED, "", 10);
  chunk(it, -1, 9, 9, KIST_TRUNCATED, "", 10);
  chunk(it, 1, 10, 9, KIST_OK, "b", 0);
  kist_iter_free(it);
  it = new_iter(NULL, NULL, NULL);
  chunk(it, 1, 0, 9, KIST_TRUNCATED, "", 10);
  prev(it, "f"); /* unpositioned: prev goes to the last */
  kist_iter_free(it);
  it = new_iter(NULL, NULL, NULL);
  chunk(it, -1, 0, 9, KIST_TRUNCATED, "", 10);
  next(it, "b");
  chunk(it, 1, 3, 9, KIST_TRUNCATED, "", 10);
  at(it, "b"); /* the entry of before is still the current one */
  next(it, "c");
  next(it, "d");
  chunk(it, 1, 11, 9, KIST_TRUNCATED, "", 12);
  prev(it, "c");
  chunk(it, -1, 3, 9, KIST_TRUNCATED, "", 10);
  next(it, "d");
  chunk(it, -1, 3, 9, KIST_TRUNCATED, "", 10);
  prev(it, "c");
  chunk(it, -1, 3, 9, KIST_TRUNCATED, "", 10);
  entries(it, 1, 1, KIST_OK, "d");
  chunk(it, 1, 11, 9, KIST_TRUNCATED, "", 12);
  entries(it, 1, 9, KIST_DONE, "d1 f");
  chunk(it, -1, 3, 9, KIST_TRUNCATED, "", 10);
  at(it, NULL); /* still past the end */
  next(it, NULL);
  chunk(it, -1, 3, 9, KIST_TRUNCATED, "", 10);
  prev(it, "f");
  seek(it, KIST_SEEK_LT, "a", NULL);
  chunk(it, 1, 3, 9, KIST_TRUNCATED, "", 10);
  prev(it, NULL); /* still before the beginning */
  chunk(it, 1, 3, 9, KIST_TRUNCATED, "", 10);
  next(it, "b");
  seek(it, KIST_SEEK_GE, "c", "c");
  chunk(it, 1, 3, 9, KIST_TRUNCATED, "", 10);
  at(it, "c");
  chunk(it, 1, 10, 9, KIST_OK, "c", 0); /* the entry that the seek found */
  seek(it, KIST_SEEK_GE, "c", "c");
  chunk(it, 1, 3, 9, KIST_TRUNCATED, "", 10);
  chunk(it, -1, 99, 9, KIST_DONE, "c b", 0);
  seek(it, KIST_SEEK_GE, "c", "c");
  chunk(it, 1, 3, 9, KIST_TRUNCATED, "", 10);
  next(it, "d");
  kist_iter_free(it);
}

static void iter__after_a_chunk_that_stopped_for_room(void** state) {
  kist_iter* it = new_iter(NULL, NULL, NULL);
  (void)state;
  chunk(it, 1, 15, 9, KIST_OK, "b", 0);
  at(it, "b");
  next(it, "c");
  seek(it, KIST_SEEK_FIRST, NULL, "b");
  chunk(it, 1, 15, 9, KIST_OK, "b", 0);
  prev(it, NULL);
  chunk(it, 1, 15, 9, KIST_OK, "b", 0);
  seek(it, KIST_SEEK_LAST, NULL, "f");
  chunk(it, -1, 15, 9, KIST_OK, "f", 0);
  entries(it, -1, 2, KIST_OK, "d1 d");
  chunk(it, -1, 15, 9, KIST_OK, "c", 0);
  entries(it, 1, 2, KIST_OK, "d d1");
  chunk(it, -1, 15, 9, KIST_OK, "d", 0);
  OK(kist_iter_refresh(it, &err));
  at(it, NULL);
  chunk(it, -1, 15, 9, KIST_OK, "f", 0);
  kist_iter_free(it);
}

/* ---- arguments */

/* The message names the bound and the limit. */
static void refuses_bound(const kist_iter_options* io, const char* message) {
  kist_iter* it = NULL;
  kist_err err = KIST_ERR_INIT;
  assert_int_equal(kist_iter_new(ks, io, &it, &err), KIST_E_LIMIT);
  assert_int_equal(err.detail, KIST_D_KEY_SIZE);
  assert_int_equal(err.aux, 101);
  assert_string_equal(err.message, message);
  assert_null(it);
}

static void iter__limits(void** state) {
  char longest[103];
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_iter* it = NULL;
  (void)state;
  memset(longest, 'c', sizeof longest);
  io.lower.data = io.upper.data = io.prefix.data = longest;
  io.lower.len = 101;
  OK(kist_iter_new(ks, &io, &it, &err));
  OK(kist_iter_seek(it, KIST_SEEK_GE, longest, 101, &err));
  ASSERT_FAILS(KIST_E_LIMIT, KIST_D_KEY_SIZE, kist_iter_seek(it, KIST_SEEK_GE, longest, 102, &err));
  at(it, "d"); /* a bad argument leaves it where it was */
  OK(kist_iter_seek(it, KIST_SEEK_LAST, longest, 102, &err));
  kist_iter_free(it);
  io.lower.len = 102;
  refuses_bound(&io, "lower of 102 bytes; the limit is 101");
  io.lower.len = 0;
  io.upper.len = 102;
  refuses_bound(&io, "upper of 102 bytes; the limit is 101");
  io.upper.len = 0;
  io.prefix.len = 102;
  refuses_bound(&io, "prefix of 102 bytes; the limit is 101");
}

static void iter__bad_arguments(void** state) {
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_iter* it = (kist_iter*)&io;
  kist_entry got[2];
  kist_slice key, val;
  size_t used = 9, count = 9, need = 9;
  char buf[32];
  (void)state;
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_iter_new(NULL, NULL, &it, &err));
  assert_null(it);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_iter_new(ks, NULL, NULL, &err));
  io.lower.len = 1;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_iter_new(ks, &io, &it, &err));
  io.lower.len = 0;
  io.snapshot = (const kist_snapshot*)(const void*)db;
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_iter_new(ks, &io, &it, &err));
  it = new_iter(NULL, NULL, NULL);
  next(it, "b");
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_iter_seek(it, -1, "a", 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_iter_seek(it, 6, "a", 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_iter_seek(it, KIST_SEEK_GE, NULL, 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_RANGE, kist_iter_entries(it, 0, got, 2, &count, &err));
  assert_int_equal(count, 0);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_RANGE, kist_iter_entries(it, 1, got, 0, &count, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_iter_entries(it, 1, NULL, 2, &count, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_RANGE,
               kist_iter_chunk(it, 0, buf, 32, 2, &used, &count, &need, &err));
  assert_int_equal(used + count + need, 0);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_RANGE,
               kist_iter_chunk(it, 1, buf, 32, 0, &used, &count, &need, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL,
               kist_iter_chunk(it, 1, NULL, 32, 2, &used, &count, &need, &err));
  at(it, "b"); /* none of these is sticky */
  OK(kist_iter_entries(it, 1, got, 1, NULL, &err));
  OK(kist_iter_chunk(it, 1, buf, 32, 1, NULL, NULL, NULL, &err));
  kist_iter_free(it);
  kist_iter_free(NULL);
  it = (kist_iter*)(void*)db;
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_iter_next(it, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_iter_prev(NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_iter_seek(it, KIST_SEEK_FIRST, NULL, 0, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_iter_entries(it, 1, got, 2, &count, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE,
               kist_iter_chunk(it, 1, buf, 32, 2, &used, &count, &need, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_iter_refresh(it, &err));
  assert_int_equal(kist_iter_entry(it, &key, &val), KIST_E_MISUSE);
  assert_int_equal(kist_iter_entry(NULL, &key, &val), KIST_E_MISUSE);
  kist_iter_free(it); /* not its kind: left alone */
  expect(ks, NULL, "b", "b");
}

/* ---- a walk at random against an array of what is there */

#define UNIVERSE 300
enum { NOWHERE = -3, BEFORE = -2, PAST = -1 };

struct model {
  unsigned char there[UNIVERSE];
  int lower, upper; /* [lower, upper) */
  int where;        /* an index, or one of the above */
  int fresh;
};

static int model_step(const struct model* m, int dir) {
  int i = m->where;
  if (dir > 0) {
    if (i == PAST) return PAST;
    for (i = i < 0 ? m->lower : i + 1; i < m->upper; ++i)
      if (m->there[i]) return i;
    return PAST;
  }
  if (i == BEFORE) return BEFORE;
  for (i = i < 0 ? m->upper - 1 : i - 1; i >= m->lower; --i)
    if (m->there[i]) return i;
  return BEFORE;
}

static int model_seek(const struct model* m, int mode, int key) {
  int i;
  const int forward = mode == KIST_SEEK_FIRST || mode == KIST_SEEK_GE || mode == KIST_SEEK_GT;
  if (mode == KIST_SEEK_GT) key++;
  if (mode == KIST_SEEK_LT) key--;
  if (mode == KIST_SEEK_FIRST) key = 0;
  if (mode == KIST_SEEK_LAST) key = UNIVERSE;
  if (forward) {
    for (i = key > m->lower ? key : m->lower; i < m->upper; ++i)
      if (m->there[i]) return i;
    return PAST;
  }
  for (i = key < m->upper - 1 ? key : m->upper - 1; i >= m->lower; --i)
    if (m->there[i]) return i;
  return BEFORE;
}

static void check_model(const kist_iter* it, const struct model* m) {
  kist_slice key;
  char want[16];
  if (m->where < 0) {
    assert_int_equal(kist_iter_entry(it, &key, NULL), KIST_E_MISUSE);
    return;
  }
  snprintf(want, sizeof want, "%05d", m->where);
  assert_int_equal(kist_iter_entry(it, &key, NULL), KIST_OK);
  assert_int_equal(key.len, 5);
  assert_memory_equal(key.data, want, 5);
}

/* entries or chunk: the same walk, however much room there was. */
static void model_many(kist_iter* it, struct model* m, int dir, int chunked) {
  kist_entry got[8];
  char buf[100];
  const size_t cap = (size_t)(random() % 70);
  const size_t max = 1 + (size_t)(random() % 8);
  size_t count = 0, used = 0, need = 0, i;
  kist_rc rc;
  if (chunked) {
    rc = kist_iter_chunk(it, dir, buf, cap, max, &used, &count, &need, NULL);
  } else {
    rc = kist_iter_entries(it, dir, got, max, &count, NULL);
  }
  for (i = 0; i < count; ++i) {
    char want[16];
    if (!(m->fresh && i == 0)) m->where = model_step(m, dir);
    m->fresh = 0;
    assert_true(m->where >= 0);
    snprintf(want, sizeof want, "%05d", m->where);
    assert_memory_equal(chunked ? buf + i * 18 + 8 : got[i].key.data, want, 5);
  }
  if (rc == KIST_TRUNCATED) {
    assert_true(chunked && cap < 18);
    assert_int_equal(count, 0);
    assert_int_equal(need, 18);
  } else if (rc == KIST_DONE) {
    if (!m->fresh || count > 0) m->where = model_step(m, dir);
    assert_int_equal(m->where, dir > 0 ? PAST : BEFORE);
  } else {
    assert_int_equal(rc, KIST_OK);
    assert_true(count == max || (chunked && cap - used < 18));
    assert_true(count > 0);
  }
  if (rc != KIST_TRUNCATED) m->fresh = 0;
}

static void walk(struct model* m, int steps) {
  char lower[16], upper[16], key[16];
  kist_iter* it;
  m->lower = random() % 3 == 0 ? (int)(random() % UNIVERSE) : 0;
  m->upper = random() % 3 == 0 ? (int)(random() % UNIVERSE) : UNIVERSE;
  snprintf(lower, sizeof lower, "%05d", m->lower);
  snprintf(upper, sizeof upper, "%05d", m->upper);
  it = new_iter(lower, upper, NULL);
  m->where = NOWHERE;
  m->fresh = 0;
  while (steps-- > 0) {
    const int dir = random() % 2 == 0 ? 1 : -1;
    kist_rc rc = KIST_OK;
    switch (random() % 5) {
      case 0: {
        const int mode = (int)(random() % 6), at_key = (int)(random() % UNIVERSE);
        snprintf(key, sizeof key, "%05d", at_key);
        rc = kist_iter_seek(it, mode, key, 5, NULL);
        m->where = model_seek(m, mode, at_key);
        m->fresh = m->where >= 0;
        assert_int_equal(rc, m->where >= 0 ? KIST_OK : KIST_DONE);
        break;
      }
      case 1:
        model_many(it, m, dir, 0);
        break;
      case 2:
        model_many(it, m, dir, 1);
        break;
      default:
        rc = dir > 0 ? kist_iter_next(it, NULL) : kist_iter_prev(it, NULL);
        m->where = model_step(m, dir);
        m->fresh = 0;
        assert_int_equal(rc, m->where >= 0 ? KIST_OK : KIST_DONE);
        break;
    }
    if (random() % 2 == 0) check_model(it, m);
  }
  kist_iter_free(it);
}

static void iter__walks_at_random(void** state) {
  const char* given = getenv("KIST_SEED");
  unsigned long seed = given != NULL ? strtoul(given, NULL, 10) : (unsigned long)time(NULL);
  struct model m;
  int round, i;
  char key[16];
  (void)state;
  printf("KIST_SEED=%lu\n", seed);
  srandom((unsigned)seed);
  memset(&m, 0, sizeof m);
  OK(kist_delete_range(ks, NULL, NULL, 0, NULL, 0, &err));
  for (round = 0; round < 60; ++round) {
    for (i = 0; i < 60; ++i) {
      const int at_key = (int)(random() % UNIVERSE);
      snprintf(key, sizeof key, "%05d", at_key);
      if (random() % 3 != 0) {
        put(ks, key, key);
        m.there[at_key] = 1;
      } else {
        OK(kist_delete(ks, NULL, key, 5, &err));
        m.there[at_key] = 0;
      }
    }
    if (round % 7 == 3) {
      char end[16];
      const int from = (int)(random() % UNIVERSE), to = from + (int)(random() % 60);
      snprintf(key, sizeof key, "%05d", from);
      snprintf(end, sizeof end, "%05d", to);
      OK(kist_delete_range(ks, NULL, key, 5, end, 5, &err));
      for (i = from; i < to && i < UNIVERSE; ++i) m.there[i] = 0;
    }
    if (round % 5 == 0) OK(kist_flush(db, &err));
    if (round % 20 == 19) OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
    walk(&m, 300);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(iter__starts_unpositioned),
      TEST(iter__ends_and_back),
      TEST(iter__every_seek),
      TEST(iter__bounds),
      TEST(iter__prefixes),
      TEST(iter__bounds_are_copied),
      TEST(iter__sees_one_state),
      TEST(iter__refresh_keeps_an_explicit_snapshot),
      TEST(iter__keys_only),
      TEST(iter__empty_values_have_data),
      TEST(iter__entries),
      TEST(iter__entries_after_a_seek_begin_with_it),
      TEST(iter__entries_stay_valid_until_the_next_call),
      TEST(iter__chunks),
      TEST(iter__a_truncated_chunk_consumes_nothing),
      TEST(iter__after_a_chunk_that_stopped_for_room),
      TEST(iter__limits),
      TEST(iter__bad_arguments),
      TEST(iter__walks_at_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
