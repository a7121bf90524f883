/* Transactions: own writes in every read, isolation, conflicts with every kind of commit,
 * savepoints, endings. */
#include "support/tempdir.h"

#include <pthread.h>
#include <sched.h>

static kist_db* db;
static kist_keyspace* ks;

static int set_up(void** state) {
  (void)state;
  db = open_memory();
  ks = kist_default(db);
  put(ks, "a", "1");
  put(ks, "b", "2");
  put(ks, "c", "3");
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  close_strict(db);
  return 0;
}

static kist_txn* begin(uint32_t isolation) {
  kist_txn* txn = NULL;
  OK(kist_txn_begin(db, isolation, &txn, &err));
  assert_non_null(txn);
  return txn;
}

static void txn_put(kist_txn* txn, const char* key, const char* val) {
  OK(kist_txn_put(txn, ks, key, strlen(key), val, strlen(val), 0, &err));
}

static void see(kist_txn* txn, const char* key, const char* want) {
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  ro.txn = txn;
  expect(ks, &ro, key, want);
}

/* The keys that an iterator of the transaction meets, forwards and backwards. */
static void scan(kist_txn* txn, const char* want) {
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_iter* it = NULL;
  kist_slice key, val;
  char got[256] = "", back[256] = "";
  io.txn = txn;
  OK(kist_iter_new(ks, &io, &it, &err));
  while (kist_iter_next(it, NULL) == KIST_OK) {
    assert_int_equal(kist_iter_entry(it, &key, &val), KIST_OK);
    sprintf(got + strlen(got), "%.*s=%.*s ", (int)key.len, (const char*)key.data, (int)val.len,
            (const char*)val.data);
  }
  while (kist_iter_prev(it, NULL) == KIST_OK) {
    char one[128];
    assert_int_equal(kist_iter_entry(it, &key, &val), KIST_OK);
    sprintf(one, "%.*s=%.*s ", (int)key.len, (const char*)key.data, (int)val.len,
            (const char*)val.data);
    memmove(back + strlen(one), back, strlen(back) + 1);
    memcpy(back, one, strlen(one));
  }
  assert_string_equal(got, want);
  assert_string_equal(back, want);
  kist_iter_free(it);
}

static void txn__reads_its_own_writes(void** state) {
  kist_txn* txn = begin(KIST_TXN_SNAPSHOT);
  uint64_t seq = 0;
  (void)state;
  txn_put(txn, "b", "two");
  txn_put(txn, "d", "4");
  OK(kist_txn_delete(txn, ks, "a", 1, &err));
  see(txn, "a", NULL);
  see(txn, "b", "two");
  see(txn, "d", "4");
  scan(txn, "b=two c=3 d=4 ");
  expect(ks, NULL, "a", "1");
  expect(ks, NULL, "b", "2");
  expect(ks, NULL, "d", NULL);
  OK(kist_txn_delete_range(txn, ks, "b", 1, "d", 1, &err));
  txn_put(txn, "bb", "new");
  scan(txn, "bb=new d=4 ");
  see(txn, "b", NULL);
  OK(kist_txn_commit(txn, NULL, &seq, &err));
  assert_int_equal(seq, kist_last_seq(db));
  kist_txn_free(txn);
  expect(ks, NULL, "a", NULL);
  expect(ks, NULL, "b", NULL);
  expect(ks, NULL, "bb", "new");
  expect(ks, NULL, "c", NULL);
  expect(ks, NULL, "d", "4");
}

static void txn__free_rolls_back(void** state) {
  kist_txn* txn = begin(KIST_TXN_SNAPSHOT);
  const uint64_t before = kist_last_seq(db);
  (void)state;
  txn_put(txn, "a", "gone");
  kist_txn_free(txn);
  kist_txn_free(NULL);
  expect(ks, NULL, "a", "1");
  assert_int_equal(kist_last_seq(db), before);
}

static void txn__sees_one_state(void** state) {
  kist_txn* txn = begin(KIST_TXN_SNAPSHOT);
  (void)state;
  put(ks, "a", "later");
  put(ks, "e", "later");
  OK(kist_flush(db, &err));
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  see(txn, "a", "1");
  see(txn, "e", NULL);
  scan(txn, "a=1 b=2 c=3 ");
  kist_txn_free(txn);
}

static void txn__first_committer_wins(void** state) {
  (void)state;
  for (int how = 0; how < 8; ++how) {
    kist_txn* txn = begin(KIST_TXN_SNAPSHOT);
    txn_put(txn, "b", "mine");
    if (how == 0) put(ks, "b", "theirs");
    if (how == 1) OK(kist_delete(ks, NULL, "b", 1, &err));
    if (how == 2) OK(kist_delete_range(ks, NULL, "a", 1, "c", 1, &err));
    if (how == 3) put(ks, "b", "2"); /* an equal value is a write */
    if (how == 4) {
      kist_txn* other = begin(KIST_TXN_SNAPSHOT);
      txn_put(other, "b", "theirs");
      OK(kist_txn_commit(other, NULL, NULL, &err));
      kist_txn_free(other);
    }
    if (how == 5) {
      put(ks, "b", "theirs");
      OK(kist_flush(db, &err));
      OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
    }
    if (how == 6) {
      OK(kist_delete(ks, NULL, "b", 1, &err));
      OK(kist_flush(db, &err));
      OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
    }
    if (how == 7) put(ks, "bb", "beside"); /* no conflict */
    ASSERT_RC(how == 7 ? KIST_OK : KIST_E_CONFLICT, kist_txn_commit(txn, NULL, NULL, &err));
    kist_txn_free(txn);
    if (how < 7) {
      kist_read_options ro = KIST_READ_OPTIONS_INIT;
      char buf[8];
      size_t len = 0;
      const kist_rc rc = kist_get(ks, &ro, "b", 1, buf, sizeof buf, &len, NULL);
      assert_false(rc == KIST_OK && len == 4 && memcmp(buf, "mine", 4) == 0);
    }
    put(ks, "b", "2");
  }
}

static void txn__range_delete_conflicts_over_its_range(void** state) {
  kist_txn* txn = begin(KIST_TXN_SNAPSHOT);
  (void)state;
  OK(kist_txn_delete_range(txn, ks, "x", 1, "z", 1, &err));
  put(ks, "y", "new");
  ASSERT_RC(KIST_E_CONFLICT, kist_txn_commit(txn, NULL, NULL, &err));
  kist_txn_free(txn);
  expect(ks, NULL, "y", "new");
  txn = begin(KIST_TXN_SNAPSHOT);
  OK(kist_txn_delete_range(txn, ks, "x", 1, "z", 1, &err));
  put(ks, "z", "the end is not in it");
  OK(kist_txn_commit(txn, NULL, NULL, &err));
  kist_txn_free(txn);
  expect(ks, NULL, "y", NULL);
}

static void txn__for_update(void** state) {
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_txn* txn = begin(KIST_TXN_SNAPSHOT);
  (void)state;
  ro.txn = txn;
  ro.flags = KIST_READ_FOR_UPDATE;
  OK(kist_exists(ks, &ro, "a", 1, &err));
  ASSERT_RC(KIST_NOT_FOUND, kist_exists(ks, &ro, "absent", 6, &err));
  txn_put(txn, "d", "4");
  put(ks, "absent", "here");
  ASSERT_RC(KIST_E_CONFLICT, kist_txn_commit(txn, NULL, NULL, &err));
  kist_txn_free(txn);
  ro.txn = NULL;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_exists(ks, &ro, "a", 1, &err));
}

/* Two transactions each read what the other writes: both commit under snapshot isolation, one under
 * serializable. */
static void txn__write_skew(void** state) {
  (void)state;
  for (uint32_t isolation = KIST_TXN_SNAPSHOT; isolation <= KIST_TXN_SERIALIZABLE; ++isolation) {
    kist_txn *one = begin(isolation), *two = begin(isolation);
    see(one, "a", "1");
    see(two, "b", "2");
    txn_put(one, "b", "2");
    txn_put(two, "a", "1");
    OK(kist_txn_commit(one, NULL, NULL, &err));
    ASSERT_RC(isolation == KIST_TXN_SNAPSHOT ? KIST_OK : KIST_E_CONFLICT,
              kist_txn_commit(two, NULL, NULL, &err));
    kist_txn_free(one);
    kist_txn_free(two);
  }
}

static void txn__serializable_ranges(void** state) {
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  (void)state;
  /* what: a put of this key after the scan of [b, c]; conflict where the scan passed over it. */
  static const struct {
    const char* key;
    kist_rc want;
  } cases[] = {{"b", KIST_E_CONFLICT},
               {"bb", KIST_E_CONFLICT},
               {"c", KIST_E_CONFLICT},
               {"a", KIST_OK},
               {"cc", KIST_OK}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    kist_txn* txn = begin(KIST_TXN_SERIALIZABLE);
    kist_iter* it = NULL;
    io.txn = txn;
    OK(kist_iter_new(ks, &io, &it, &err));
    OK(kist_iter_seek(it, KIST_SEEK_GE, "b", 1, &err));
    OK(kist_iter_next(it, &err)); /* on c */
    txn_put(txn, "zz", "written");
    put(ks, cases[i].key, "new");
    ASSERT_RC(cases[i].want, kist_txn_commit(txn, NULL, NULL, &err));
    kist_iter_free(it);
    kist_txn_free(txn);
    OK(kist_delete_range(ks, NULL, NULL, 0, NULL, 0, &err));
    put(ks, "a", "1");
    put(ks, "b", "2");
    put(ks, "c", "3");
  }
  /* A scan to the end conflicts with a key beyond all; one that wrote nothing commits. */
  for (int writes = 0; writes < 2; ++writes) {
    kist_txn* txn = begin(KIST_TXN_SERIALIZABLE);
    kist_iter* it = NULL;
    io.txn = txn;
    OK(kist_iter_new(ks, &io, &it, &err));
    while (kist_iter_next(it, NULL) == KIST_OK) {
    }
    kist_iter_free(it);
    if (writes) txn_put(txn, "0", "written");
    put(ks, writes ? "~~" : "~", "new");
    ASSERT_RC(writes ? KIST_E_CONFLICT : KIST_OK, kist_txn_commit(txn, NULL, NULL, &err));
    kist_txn_free(txn);
  }
}

static void txn__savepoints(void** state) {
  kist_txn* txn = begin(KIST_TXN_SNAPSHOT);
  (void)state;
  txn_put(txn, "a", "one");
  OK(kist_txn_savepoint(txn, &err));
  txn_put(txn, "a", "two");
  OK(kist_txn_delete_range(txn, ks, NULL, 0, NULL, 0, &err));
  OK(kist_txn_savepoint(txn, &err));
  txn_put(txn, "z", "three");
  scan(txn, "z=three ");
  OK(kist_txn_rollback_to(txn, &err));
  scan(txn, "");
  OK(kist_txn_rollback_to(txn, &err));
  scan(txn, "a=one b=2 c=3 ");
  ASSERT_RC(KIST_E_MISUSE, kist_txn_rollback_to(txn, &err));
  txn_put(txn, "b", "four");
  OK(kist_txn_commit(txn, NULL, NULL, &err));
  kist_txn_free(txn);
  expect(ks, NULL, "a", "one");
  expect(ks, NULL, "b", "four");
  expect(ks, NULL, "z", NULL);
}

static void txn__after_its_end(void** state) {
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_slice key, val;
  kist_txn* txn = begin(KIST_TXN_SNAPSHOT);
  kist_iter* it = NULL;
  uint64_t seq = 9;
  (void)state;
  io.txn = ro.txn = txn;
  OK(kist_iter_new(ks, &io, &it, &err));
  OK(kist_iter_next(it, &err));
  OK(kist_txn_commit(txn, NULL, &seq, &err)); /* empty: no commit */
  assert_int_equal(seq, kist_last_seq(db));
  ASSERT_RC(KIST_E_CLOSED, kist_iter_next(it, &err));
  ASSERT_RC(KIST_E_MISUSE, kist_txn_commit(txn, NULL, NULL, &err));
  ASSERT_RC(KIST_E_MISUSE, kist_txn_put(txn, ks, "a", 1, "1", 1, 0, &err));
  ASSERT_RC(KIST_E_MISUSE, kist_exists(ks, &ro, "a", 1, &err));
  kist_txn_free(txn);
  ASSERT_RC(KIST_E_CLOSED, kist_iter_next(it, &err));
  assert_int_equal(kist_iter_entry(it, &key, &val), KIST_E_CLOSED);
  kist_iter_free(it);
  /* An iterator of a transaction that was freed without a commit. */
  txn = begin(KIST_TXN_SNAPSHOT);
  io.txn = txn;
  OK(kist_iter_new(ks, &io, &it, &err));
  OK(kist_iter_next(it, &err));
  kist_txn_free(txn);
  ASSERT_RC(KIST_E_CLOSED, kist_iter_seek(it, KIST_SEEK_FIRST, NULL, 0, &err));
  kist_iter_free(it);
}

static void txn__iterator_sees_the_writes_made_so_far(void** state) {
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_txn* txn = begin(KIST_TXN_SNAPSHOT);
  kist_iter* it = NULL;
  (void)state;
  io.txn = txn;
  txn_put(txn, "aa", "before");
  OK(kist_iter_new(ks, &io, &it, &err));
  txn_put(txn, "ab", "after");
  OK(kist_txn_delete(txn, ks, "b", 1, &err));
  OK(kist_iter_seek(it, KIST_SEEK_GT, "aa", 2, &err));
  kist_slice key, val;
  assert_int_equal(kist_iter_entry(it, &key, &val), KIST_OK);
  assert_memory_equal(key.data, "b", 1);
  OK(kist_iter_refresh(it, &err));
  OK(kist_iter_seek(it, KIST_SEEK_GT, "aa", 2, &err));
  assert_int_equal(kist_iter_entry(it, &key, &val), KIST_OK);
  assert_memory_equal(key.data, "ab", 2);
  kist_iter_free(it);
  kist_txn_free(txn);
}

/* Bytes that an iterator lent are valid until its next call, whatever its transaction does. */
static void txn__entries_outlive_the_end(void** state) {
  kist_txn* txn = begin(KIST_TXN_SNAPSHOT);
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_iter* it = NULL;
  kist_entry entries[8];
  size_t count = 0;
  (void)state;
  OK(kist_flush(db, &err));
  txn_put(txn, "d", "own");
  io.txn = txn;
  OK(kist_iter_new(ks, &io, &it, &err));
  ASSERT_RC(KIST_DONE, kist_iter_entries(it, 1, entries, 8, &count, &err));
  kist_txn_free(txn);
  OK(kist_delete_range(ks, NULL, NULL, 0, NULL, 0, &err));
  OK(kist_flush(db, &err));
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  assert_int_equal(count, 4);
  for (size_t i = 0; i < count; ++i) {
    const char* want = (const char* const[]){"1", "2", "3", "own"}[i];
    assert_int_equal(entries[i].key.len, 1);
    assert_int_equal(*(const char*)entries[i].key.data, 'a' + (int)i);
    assert_int_equal(entries[i].val.len, strlen(want));
    assert_memory_equal(entries[i].val.data, want, strlen(want));
  }
  ASSERT_RC(KIST_E_CLOSED, kist_iter_next(it, &err));
  kist_iter_free(it);
}

static void txn__bad_arguments(void** state) {
  kist_txn *txn = begin(KIST_TXN_SNAPSHOT), *none = (kist_txn*)(void*)db;
  kist_db* second = open_memory();
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  kist_rc busy;
  (void)state;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_txn_begin(db, 2, &none, &err));
  assert_null(none);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_txn_begin(db, 0, NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_begin(NULL, 0, &none, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_put(NULL, ks, "a", 1, "1", 1, 0, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_put(txn, NULL, "a", 1, "1", 1, 0, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_delete(NULL, ks, "a", 1, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_delete_range(NULL, ks, "a", 1, "b", 1, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_savepoint(NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_rollback_to(NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_txn_commit(NULL, NULL, NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_OWNER,
               kist_txn_put(txn, kist_default(second), "a", 1, "1", 1, 0, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_txn_put(txn, ks, NULL, 1, "1", 1, 0, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_RANGE, kist_txn_put(txn, ks, "a", 1, "1", 1, -1, &err));
  ASSERT_RC(KIST_E_INVALID, kist_txn_delete_range(txn, ks, "b", 1, "a", 1, &err));
  wo.ttl_ms = 5;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_txn_commit(txn, &wo, NULL, &err));
  ro.txn = txn;
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_OWNER, kist_exists(kist_default(second), &ro, "a", 1, &err));
  busy = kist_close(db, KIST_CLOSE_STRICT, NULL);
  assert_int_equal(busy, KIST_E_BUSY);
  txn_put(txn, "a", "still usable");
  OK(kist_txn_commit(txn, NULL, NULL, &err));
  kist_txn_free(txn);
  close_strict(second);
}

/* Sixteen threads move money between accounts, and whoever adds them up in a transaction or a
 * snapshot finds the same sum; sixteen count up one key, and no increment is lost; and eight do
 * each beside one another. Under both isolations. */
#define THREADS 16
#define ROUNDS 60
#define ACCOUNTS 8
#define START 1000

enum load { BANK, COUNTER, BOTH };

struct worker {
  pthread_t thread;
  pthread_barrier_t* start;
  int id;
  enum load load;
  uint32_t isolation;
  kist_rc failed;
};

static kist_rc transfer(uint32_t isolation, unsigned* seed) {
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_txn* txn = NULL;
  int balance[2];
  char key[2][32];
  size_t len;
  kist_rc rc = kist_txn_begin(db, isolation, &txn, NULL);
  if (rc != KIST_OK) return rc;
  ro.txn = txn;
  const int from = (int)(rand_r(seed) % ACCOUNTS);
  const int to = (from + 1 + (int)(rand_r(seed) % (ACCOUNTS - 1))) % ACCOUNTS;
  sprintf(key[0], "acct%d", from);
  sprintf(key[1], "acct%d", to);
  for (int i = 0; i < 2 && rc == KIST_OK; ++i)
    rc = kist_get(ks, &ro, key[i], 5, &balance[i], sizeof(int), &len, NULL);
  if (rand_r(seed) % 4 == 0) sched_yield(); /* so that others commit meanwhile */
  balance[0] -= 1;
  balance[1] += 1;
  for (int i = 0; i < 2 && rc == KIST_OK; ++i)
    rc = kist_txn_put(txn, ks, key[i], 5, &balance[i], sizeof(int), 0, NULL);
  if (rc == KIST_OK) rc = kist_txn_commit(txn, NULL, NULL, NULL);
  kist_txn_free(txn);
  return rc;
}

static kist_rc count_up(uint32_t isolation, unsigned* seed) {
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_txn* txn = NULL;
  int n = 0;
  size_t len;
  kist_rc rc = kist_txn_begin(db, isolation, &txn, NULL);
  if (rc != KIST_OK) return rc;
  ro.txn = txn;
  rc = kist_get(ks, &ro, "counter", 7, &n, sizeof n, &len, NULL);
  if (rand_r(seed) % 4 == 0) sched_yield();
  ++n;
  if (rc == KIST_OK) rc = kist_txn_put(txn, ks, "counter", 7, &n, sizeof n, 0, NULL);
  if (rc == KIST_OK) rc = kist_txn_commit(txn, NULL, NULL, NULL);
  kist_txn_free(txn);
  return rc;
}

/* All accounts of one state, by gets of a transaction or by an iterator of a snapshot. */
static kist_rc add_up(uint32_t isolation, int scan, int* sum) {
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_snapshot* snapshot = NULL;
  kist_iter* it = NULL;
  kist_slice key, val;
  int balance = 0;
  char name[32];
  size_t len;
  kist_rc rc;
  *sum = 0;
  if (scan) {
    rc = kist_snapshot_new(db, &snapshot, NULL);
    if (rc != KIST_OK) return rc;
    io.snapshot = snapshot;
    io.prefix = (kist_slice){"acct", 4};
    rc = kist_iter_new(ks, &io, &it, NULL);
    while (rc == KIST_OK && (rc = kist_iter_next(it, NULL)) == KIST_OK) {
      rc = kist_iter_entry(it, &key, &val);
      if (rc == KIST_OK) memcpy(&balance, val.data, sizeof balance);
      *sum += balance;
    }
    kist_iter_free(it);
    kist_snapshot_free(snapshot);
    return rc == KIST_DONE ? KIST_OK : rc;
  }
  rc = kist_txn_begin(db, isolation, &ro.txn, NULL);
  for (int i = 0; i < ACCOUNTS && rc == KIST_OK; ++i) {
    sprintf(name, "acct%d", i);
    rc = kist_get(ks, &ro, name, 5, &balance, sizeof balance, &len, NULL);
    *sum += balance;
  }
  if (rc == KIST_OK) rc = kist_txn_commit(ro.txn, NULL, NULL, NULL);
  kist_txn_free(ro.txn);
  return rc;
}

static void* work(void* arg) {
  struct worker* w = arg;
  unsigned seed = (unsigned)w->id + 1;
  const int counts = w->load == COUNTER || (w->load == BOTH && w->id % 2 == 0);
  pthread_barrier_wait(w->start);
  for (int i = 0; i < ROUNDS && w->failed == KIST_OK; ++i) {
    int sum = ACCOUNTS * START;
    do {
      w->failed = counts ? count_up(w->isolation, &seed) : transfer(w->isolation, &seed);
    } while (w->failed == KIST_E_CONFLICT);
    if (w->failed == KIST_OK && !counts) w->failed = add_up(w->isolation, i % 2, &sum);
    if (w->failed == KIST_OK && sum != ACCOUNTS * START) w->failed = KIST_E_INTERNAL;
    if (w->id == 0 && i % 10 == 5) kist_flush(db, NULL);
  }
  return NULL;
}

static void run_sixteen(uint32_t isolation, enum load load) {
  struct worker workers[THREADS] = {0};
  pthread_barrier_t together;
  const uint64_t conflicts = stat_of(db, "transaction_conflicts");
  int n = 0, sum = 0;
  size_t len;
  char key[32];
  const int start = START;
  OK(kist_put(ks, NULL, "counter", 7, &n, sizeof n, &err));
  for (int i = 0; i < ACCOUNTS; ++i) {
    sprintf(key, "acct%d", i);
    OK(kist_put(ks, NULL, key, 5, &start, sizeof start, &err));
  }
  pthread_barrier_init(&together, NULL, THREADS);
  for (int i = 0; i < THREADS; ++i) {
    workers[i].start = &together;
    workers[i].id = i;
    workers[i].load = load;
    workers[i].isolation = isolation;
    assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
  }
  for (int i = 0; i < THREADS; ++i) pthread_join(workers[i].thread, NULL);
  for (int i = 0; i < THREADS; ++i) assert_int_equal(workers[i].failed, KIST_OK);
  OK(add_up(isolation, 0, &sum));
  assert_int_equal(sum, ACCOUNTS * START);
  OK(kist_get(ks, NULL, "counter", 7, &n, sizeof n, &len, &err));
  assert_int_equal(n, load == BANK ? 0 : load == COUNTER ? THREADS * ROUNDS : THREADS / 2 * ROUNDS);
  print_message("%llu conflicts\n",
                (unsigned long long)(stat_of(db, "transaction_conflicts") - conflicts));
  pthread_barrier_destroy(&together);
}

static void txn__bank_and_counter(void** state) {
  (void)state;
  for (uint32_t isolation = KIST_TXN_SNAPSHOT; isolation <= KIST_TXN_SERIALIZABLE; ++isolation) {
    run_sixteen(isolation, BANK);
    run_sixteen(isolation, COUNTER);
    run_sixteen(isolation, BOTH);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(txn__reads_its_own_writes),
      TEST(txn__free_rolls_back),
      TEST(txn__sees_one_state),
      TEST(txn__first_committer_wins),
      TEST(txn__range_delete_conflicts_over_its_range),
      TEST(txn__for_update),
      TEST(txn__write_skew),
      TEST(txn__serializable_ranges),
      TEST(txn__savepoints),
      TEST(txn__after_its_end),
      TEST(txn__iterator_sees_the_writes_made_so_far),
      TEST(txn__entries_outlive_the_end),
      TEST(txn__bad_arguments),
      TEST(txn__bank_and_counter),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
