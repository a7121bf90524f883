/* What a keyspace that is dropped does to writes, batches, transactions and feeds that know it:
 * nothing is committed to it any more, in whatever order threads meet. */
#include "support/tempdir.h"

#include <pthread.h>

static kist_db* db;

static int set_up(void** state) {
  (void)state;
  db = open_with(":memory:", "sync=never; log_retention=1GiB");
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  close_strict(db);
  return 0;
}

static kist_keyspace* make(const char* name) {
  kist_keyspace* ks = NULL;
  OK(kist_keyspace_open(db, name, KIST_KEYSPACE_CREATE, NULL, &ks, &err));
  return ks;
}

static kist_txn* begin(uint32_t isolation) {
  kist_txn* txn = NULL;
  OK(kist_txn_begin(db, isolation, &txn, &err));
  return txn;
}

/* ---- threads */

struct writer {
  pthread_t thread;
  int how;
  kist_rc odd; /* an outcome that none of them may have */
};

static int stop;

static kist_rc write_one(int how, kist_keyspace* ks, kist_batch* batch) {
  kist_txn* txn = NULL;
  kist_rc rc;
  if (how == 0) return kist_put(ks, NULL, "k", 1, "v", 1, NULL);
  if (how == 1) return kist_delete(ks, NULL, "k", 1, NULL);
  if (how == 2) {
    kist_batch_clear(batch);
    rc = kist_batch_put(batch, ks, "k", 1, "v", 1, 0, NULL);
    return rc != KIST_OK ? rc : kist_write(db, NULL, batch, NULL, NULL);
  }
  rc = kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, NULL);
  if (rc == KIST_OK) rc = kist_txn_put(txn, ks, "t", 1, "v", 1, 0, NULL);
  if (rc == KIST_OK) rc = kist_txn_commit(txn, NULL, NULL, NULL);
  kist_txn_free(txn);
  return rc;
}

static void* write_on(void* arg) {
  struct writer* w = arg;
  kist_batch* batch = NULL;
  kist_batch_new(&batch);
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    kist_keyspace* ks = NULL;
    kist_rc rc = KIST_OK;
    if (kist_keyspace_open(db, "a", KIST_KEYSPACE_OPEN, NULL, &ks, NULL) != KIST_OK) continue;
    for (int i = 0; i < 20 && rc == KIST_OK; ++i) rc = write_one(w->how, ks, batch);
    if (rc != KIST_OK && rc != KIST_E_MISSING) w->odd = rc;
    kist_keyspace_free(ks);
  }
  kist_batch_free(batch);
  return NULL;
}

/* The feed tells the order of commits: none stands behind the drop of its keyspace. */
static void dropped__nothing_is_committed_afterwards(void** state) {
  enum { kWriters = 4, kRounds = 400 };
  struct writer writers[kWriters] = {0};
  kist_feed* feed = NULL;
  kist_slice packed;
  uint32_t live = 0, id = 0;
  int drops = 0, writes = 0;
  (void)state;
  stop = 0;
  OK(kist_feed_open(db, 0, &feed, &err));
  for (int i = 0; i < kWriters; ++i) {
    writers[i].how = i;
    assert_int_equal(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
  }
  for (int i = 0; i < kRounds; ++i) {
    kist_keyspace_free(make("a"));
    if (i % 3 == 0) usleep(50);
    OK(kist_keyspace_drop(db, "a", &err));
  }
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < kWriters; ++i) {
    pthread_join(writers[i].thread, NULL);
    assert_int_equal(writers[i].odd, KIST_OK);
  }
  while (kist_feed_next(feed, 0, NULL, NULL, &packed, NULL) == KIST_OK) {
    const unsigned char* p = packed.data;
    memcpy(&id, p + 12, 4); /* of a little-endian machine */
    if (p[8] == 4) live = id;
    if (p[8] < 4) assert_int_equal(id, live);
    if (p[8] < 4) ++writes;
    if (p[8] != 5) continue;
    live = UINT32_MAX;
    ++drops;
  }
  assert_int_equal(drops, kRounds);
  print_message("%d writes between %d drops\n", writes, drops);
  kist_feed_free(feed);
}

/* ---- transactions */

/* What a serializable transaction read, or any FOR_UPDATE, is gone: so too where keys and drop have
 * been flushed, and where it found nothing. */
static void dropped__what_was_read_has_changed(void** state) {
  (void)state;
  for (int how = 0; how < 16; ++how) {
    const int flush_keys = how & 1, flush_drop = how & 2, for_update = how & 4, scan = how & 8;
    kist_keyspace* ks = make("a");
    kist_read_options ro = KIST_READ_OPTIONS_INIT;
    kist_iter_options io = KIST_ITER_OPTIONS_INIT;
    kist_iter* it = NULL;
    put(ks, "k", "v");
    if (flush_keys) OK(kist_flush(db, &err));
    kist_txn* txn = begin(for_update ? KIST_TXN_SNAPSHOT : KIST_TXN_SERIALIZABLE);
    ro.txn = io.txn = txn;
    ro.flags = io.flags = for_update ? KIST_READ_FOR_UPDATE : 0;
    if (scan) {
      OK(kist_iter_new(ks, &io, &it, &err));
      OK(kist_iter_next(it, &err));
      kist_iter_free(it);
    } else {
      ASSERT_RC(KIST_NOT_FOUND, kist_exists(ks, &ro, "absent", 6, &err));
    }
    OK(kist_txn_put(txn, kist_default(db), "x", 1, "1", 1, 0, &err));
    OK(kist_keyspace_drop(db, "a", &err));
    if (flush_drop) OK(kist_flush(db, &err));
    ASSERT_RC(KIST_E_CONFLICT, kist_txn_commit(txn, NULL, NULL, &err));
    kist_txn_free(txn);
    kist_keyspace_free(ks);
  }
  /* A read that nothing depends on. */
  kist_keyspace* ks = make("a");
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  put(ks, "k", "v");
  ro.txn = begin(KIST_TXN_SNAPSHOT);
  expect(ks, &ro, "k", "v");
  OK(kist_txn_put(ro.txn, kist_default(db), "x", 1, "1", 1, 0, &err));
  OK(kist_keyspace_drop(db, "a", &err));
  OK(kist_txn_commit(ro.txn, NULL, NULL, &err));
  kist_txn_free(ro.txn);
  kist_keyspace_free(ks);
}

static void dropped__what_is_written_is_missing(void** state) {
  kist_keyspace *a = make("a"), *d = kist_default(db);
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_iter *it = NULL, *none = NULL;
  kist_slice key;
  kist_txn* txn = begin(KIST_TXN_SNAPSHOT);
  (void)state;
  ro.txn = io.txn = txn;
  OK(kist_txn_put(txn, a, "k1", 2, "1", 1, 0, &err));
  OK(kist_txn_put(txn, a, "k2", 2, "2", 1, 0, &err));
  OK(kist_txn_put(txn, d, "x", 1, "1", 1, 0, &err));
  OK(kist_iter_new(a, &io, &it, &err));
  OK(kist_iter_next(it, &err));
  OK(kist_keyspace_drop(db, "a", &err));
  ASSERT_RC(KIST_E_MISSING, kist_txn_put(txn, a, "k", 1, "v", 1, 0, &err));
  ASSERT_RC(KIST_E_MISSING, kist_txn_delete(txn, a, "k", 1, &err));
  ASSERT_RC(KIST_E_MISSING, kist_txn_delete_range(txn, a, "k", 1, "l", 1, &err));
  ASSERT_RC(KIST_E_MISSING, kist_exists(a, &ro, "k1", 2, &err));
  ASSERT_RC(KIST_E_MISSING, kist_iter_new(a, &io, &none, &err));
  OK(kist_iter_next(it, &err)); /* a running one finishes on its state */
  OK(kist_iter_entry(it, &key, NULL));
  assert_memory_equal(key.data, "k2", 2);
  ASSERT_RC(KIST_DONE, kist_iter_next(it, &err));
  ASSERT_RC(KIST_E_MISSING, kist_txn_commit(txn, NULL, NULL, &err));
  ASSERT_RC(KIST_E_MISUSE, kist_txn_commit(txn, NULL, NULL, &err));
  kist_iter_free(it);
  kist_txn_free(txn);
  expect(d, NULL, "x", NULL); /* all or nothing */
  kist_keyspace_free(a);
}

/* Writes that were rolled back leave nothing behind that could fail. */
static void dropped__what_was_rolled_back_is_forgotten(void** state) {
  kist_keyspace *a = make("a"), *d = kist_default(db);
  kist_txn* txn = begin(KIST_TXN_SERIALIZABLE);
  (void)state;
  OK(kist_txn_put(txn, d, "x", 1, "1", 1, 0, &err));
  OK(kist_txn_savepoint(txn, &err));
  OK(kist_txn_put(txn, a, "k", 1, "v", 1, 0, &err));
  OK(kist_txn_rollback_to(txn, &err));
  OK(kist_keyspace_drop(db, "a", &err));
  OK(kist_txn_commit(txn, NULL, NULL, &err));
  kist_txn_free(txn);
  expect(d, NULL, "x", "1");
  kist_keyspace_free(a);
}

/* ---- batches */

/* A batch stays as it is after a commit that failed: here the keyspace comes back by its name
 * alone, and the batch still means the one that is gone. */
static void dropped__batches_stay_as_they_are(void** state) {
  kist_keyspace *a = make("a"), *d = kist_default(db), *again;
  kist_batch* batch = NULL;
  const void* data = NULL;
  char before[256];
  size_t len = 0, len_after = 0;
  uint64_t seq = 9, last;
  (void)state;
  OK(kist_batch_new(&batch));
  OK(kist_batch_put(batch, d, "x", 1, "1", 1, 0, &err));
  OK(kist_batch_put(batch, a, "k", 1, "v", 1, 0, &err));
  assert_int_equal(kist_batch_data(batch, &data, &len), KIST_OK);
  assert_true(len <= sizeof before);
  memcpy(before, data, len);
  OK(kist_keyspace_drop(db, "a", &err));
  again = make("a");
  last = kist_last_seq(db);
  for (int i = 0; i < 2; ++i) {
    ASSERT_RC(KIST_E_MISSING, kist_write(db, NULL, batch, &seq, &err));
    assert_int_equal(seq, 0);
    assert_int_equal(kist_last_seq(db), last);
    assert_int_equal(kist_batch_count(batch), 2);
    assert_int_equal(kist_batch_data(batch, &data, &len_after), KIST_OK);
    assert_int_equal(len_after, len);
    assert_memory_equal(data, before, len);
  }
  ASSERT_RC(KIST_E_INVALID, kist_write_packed(db, NULL, before, len, NULL, &err));
  ASSERT_RC(KIST_E_MISSING, kist_batch_put(batch, a, "k", 1, "v", 1, 0, &err));
  expect(d, NULL, "x", NULL);
  kist_batch_clear(batch);
  OK(kist_batch_put(batch, again, "k", 1, "v", 1, 0, &err));
  OK(kist_write(db, NULL, batch, &seq, &err));
  expect(again, NULL, "k", "v");
  kist_batch_free(batch);
  kist_keyspace_free(again);
  kist_keyspace_free(a);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(dropped__nothing_is_committed_afterwards),
      TEST(dropped__what_was_read_has_changed),
      TEST(dropped__what_is_written_is_missing),
      TEST(dropped__what_was_rolled_back_is_forgotten),
      TEST(dropped__batches_stay_as_they_are),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
