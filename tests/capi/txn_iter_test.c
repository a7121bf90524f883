/* Iterators of transactions: what they make a commit depend on, which is what they passed over and
 * nothing else; their memory; and that they and their transaction have one user. Threads: two in
 * one transaction, which is misuse and never a crash. */
#include "support/tempdir.h"

#include <pthread.h>

static kist_db* db;
static kist_keyspace* ks;

static int set_up(void** state) {
  (void)state;
  db = open_with(":memory:", "sync=never; memory_budget=16MiB");
  ks = kist_default(db);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  close_strict(db);
  return 0;
}

static kist_iter* iterate(kist_txn* txn, const kist_iter_options* bounds, uint32_t flags) {
  kist_iter_options io = *bounds;
  kist_iter* it = NULL;
  io.txn = txn;
  io.flags = flags;
  OK(kist_iter_new(ks, &io, &it, &err));
  return it;
}

static kist_slice slice(const char* text) {
  const kist_slice s = {text, strlen(text)};
  return s;
}

/* Commits a write of the transaction's own, far from everything that is read. */
static kist_rc commit(kist_txn* txn) {
  kist_rc rc;
  OK(kist_txn_put(txn, ks, "~own", 4, "1", 1, 0, &err));
  rc = kist_txn_commit(txn, NULL, NULL, NULL);
  kist_txn_free(txn);
  return rc;
}

/* ---- what is passed over */

/* Walks [lower, upper) or a prefix to its end, or makes one seek; then `put_key` is written. */
static const struct walk {
  const char *lower, *upper, *prefix, *key;
  int mode; /* -1: all entries forwards; -2: backwards */
  const char* put_key;
  kist_rc want;
} walks[] = {
    {"b", "d", "", "", -1, "b", KIST_E_CONFLICT},
    {"b", "d", "", "", -1, "bb", KIST_E_CONFLICT}, /* absent when it was read */
    {"b", "d", "", "", -1, "czz", KIST_E_CONFLICT},
    {"b", "d", "", "", -1, "d", KIST_OK},
    {"b", "d", "", "", -1, "azz", KIST_OK},
    {"b", "d", "", "", -2, "bb", KIST_E_CONFLICT},
    {"b", "d", "", "", -2, "d", KIST_OK},
    {"b", "d", "", "", -2, "azz", KIST_OK},
    {"", "", "c", "", -1, "c", KIST_E_CONFLICT},
    {"", "", "c", "", -1, "czz", KIST_E_CONFLICT},
    {"", "", "c", "", -1, "d", KIST_OK},
    {"", "", "c", "", -1, "bzz", KIST_OK},
    {"", "", "c", "", -2, "czz", KIST_E_CONFLICT},
    {"", "", "c", "", -2, "d", KIST_OK},
    {"", "", "c", "", -2, "bzz", KIST_OK},
    {"b", "", "c", "", -1, "bzz", KIST_OK},
    {"", "", "x", "", -1, "xy", KIST_E_CONFLICT},
    {"", "", "x", "", -1, "y", KIST_OK},
    {"", "", "", "b", KIST_SEEK_GE, "b", KIST_E_CONFLICT},
    {"", "", "", "b", KIST_SEEK_GE, "c", KIST_OK},
    {"", "", "", "bb", KIST_SEEK_GE, "bb", KIST_E_CONFLICT},
    {"", "", "", "bb", KIST_SEEK_GE, "c", KIST_E_CONFLICT},
    {"", "", "", "bb", KIST_SEEK_GE, "b", KIST_OK},
    {"", "", "", "bb", KIST_SEEK_GE, "ca", KIST_OK},
    {"", "", "", "b", KIST_SEEK_GT, "b", KIST_OK},
    {"", "", "", "b", KIST_SEEK_GT, "ba", KIST_E_CONFLICT},
    {"", "", "", "b", KIST_SEEK_GT, "c", KIST_E_CONFLICT},
    {"", "", "", "c", KIST_SEEK_LE, "c", KIST_E_CONFLICT},
    {"", "", "", "c", KIST_SEEK_LE, "bz", KIST_OK},
    {"", "", "", "cc", KIST_SEEK_LE, "cb", KIST_E_CONFLICT},
    {"", "", "", "c", KIST_SEEK_LT, "c", KIST_OK},
    {"", "", "", "c", KIST_SEEK_LT, "bz", KIST_E_CONFLICT},
    {"", "", "", "c", KIST_SEEK_LT, "b", KIST_E_CONFLICT},
    {"", "", "", "", KIST_SEEK_FIRST, "a", KIST_E_CONFLICT},
    {"", "", "", "", KIST_SEEK_FIRST, "b", KIST_OK},
    {"", "", "", "", KIST_SEEK_LAST, "d", KIST_E_CONFLICT},
    {"", "", "", "", KIST_SEEK_LAST, "e", KIST_E_CONFLICT},
    {"", "", "", "", KIST_SEEK_LAST, "c", KIST_OK},
    {"b", "d", "", "a", KIST_SEEK_GE, "azz", KIST_OK}, /* seeks from outside of the bounds */
    {"b", "d", "", "a", KIST_SEEK_GE, "b", KIST_E_CONFLICT},
    {"b", "d", "", "e", KIST_SEEK_GE, "e", KIST_OK},
    {"b", "d", "", "e", KIST_SEEK_LE, "d", KIST_OK},
    {"b", "d", "", "e", KIST_SEEK_LE, "cz", KIST_E_CONFLICT},
    {"b", "d", "", "a", KIST_SEEK_LE, "a", KIST_OK},
};

static void walk_one(const struct walk* w, uint32_t isolation, uint32_t flags) {
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_txn* txn = NULL;
  kist_iter* it;
  kist_rc rc;
  const char* key;
  OK(kist_delete_range(ks, NULL, NULL, 0, NULL, 0, &err));
  for (key = "abcd"; *key != '\0'; ++key) OK(kist_put(ks, NULL, key, 1, "1", 1, &err));
  OK(kist_txn_begin(db, isolation, &txn, &err));
  io.lower = slice(w->lower);
  io.upper = slice(w->upper);
  io.prefix = slice(w->prefix);
  it = iterate(txn, &io, flags);
  if (w->mode >= 0) {
    assert_true(kist_iter_seek(it, w->mode, w->key, strlen(w->key), NULL) >= 0);
  } else {
    do rc = w->mode == -1 ? kist_iter_next(it, NULL) : kist_iter_prev(it, NULL);
    while (rc == KIST_OK);
    assert_int_equal(rc, KIST_DONE);
  }
  put(ks, w->put_key, "2");
  rc = commit(txn);
  if (rc != w->want)
    fail_msg("[%s, %s) prefix '%s' mode %d key '%s', then a put of '%s': %s", w->lower, w->upper,
             w->prefix, w->mode, w->key, w->put_key, kist_rc_name(rc));
  kist_iter_free(it);
}

static void txn_iter__serializable_depends_on_what_was_passed_alone(void** state) {
  size_t i;
  (void)state;
  for (i = 0; i < sizeof walks / sizeof *walks; ++i) walk_one(&walks[i], KIST_TXN_SERIALIZABLE, 0);
}

static void txn_iter__for_update_covers_what_is_passed(void** state) {
  size_t i;
  (void)state;
  for (i = 0; i < sizeof walks / sizeof *walks; ++i) {
    struct walk w = walks[i];
    walk_one(&w, KIST_TXN_SNAPSHOT, KIST_READ_FOR_UPDATE);
    w.want = KIST_OK;
    walk_one(&w, KIST_TXN_SNAPSHOT, 0);
  }
}

/* ---- random walks: a write conflicts exactly where the same calls would answer otherwise */

struct call {
  int what; /* KIST_SEEK_*, 6: next, 7: prev, 8: entries, forwards; 9: entries, backwards */
  char key[2];
};

static size_t note(kist_iter* it, kist_rc rc, char* out) {
  kist_slice key, val;
  if (rc != KIST_OK) return (size_t)sprintf(out, "%d ", rc);
  assert_int_equal(kist_iter_entry(it, &key, &val), KIST_OK);
  return (size_t)sprintf(out, "%.*s=%.*s ", (int)key.len, (const char*)key.data, (int)val.len,
                         (const char*)val.data);
}

static void run_calls(kist_iter* it, const struct call* calls, int count, char* out) {
  kist_entry entries[3];
  size_t n = 0, got, j;
  int i;
  for (i = 0; i < count; ++i) {
    const struct call* c = &calls[i];
    if (c->what <= KIST_SEEK_LT) {
      n += note(it, kist_iter_seek(it, c->what, c->key, 2, NULL), out + n);
    } else if (c->what == 6) {
      n += note(it, kist_iter_next(it, NULL), out + n);
    } else if (c->what == 7) {
      n += note(it, kist_iter_prev(it, NULL), out + n);
    } else {
      const kist_rc rc = kist_iter_entries(it, c->what == 8 ? 1 : -1, entries, 3, &got, NULL);
      n += (size_t)sprintf(out + n, "%d:", rc);
      for (j = 0; j < got; ++j)
        n += (size_t)sprintf(out + n, "%.*s=%.*s ", (int)entries[j].key.len,
                             (const char*)entries[j].key.data, (int)entries[j].val.len,
                             (const char*)entries[j].val.data);
    }
  }
}

static void random_key(char* key) {
  key[0] = (char)('a' + rand() % 4);
  key[1] = (char)('a' + rand() % 6);
}

static void txn_iter__random_walks_conflict_exactly(void** state) {
  const char* text = getenv("KIST_SEED");
  const unsigned seed = text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)getpid();
  int round, conflicts = 0, i;
  (void)state;
  print_message("KIST_SEED=%u\n", seed);
  srand(seed);
  for (round = 0; round < 3000; ++round) {
    struct call calls[6];
    char before[1024], after[1024], value[16], lower[2], upper[2], prefix[2], key[2];
    kist_iter_options io = KIST_ITER_OPTIONS_INIT;
    kist_txn* txn = NULL;
    kist_iter *it, *again = NULL;
    const int count = 1 + rand() % 6;
    kist_rc rc, want;
    for (i = 0; i < 6; ++i) {
      random_key(key);
      if (rand() % 3 == 0) {
        OK(kist_delete(ks, NULL, key, 2, &err));
      } else {
        OK(kist_put(ks, NULL, key, 2, &"012345"[rand() % 6], 1, &err));
      }
    }
    if (rand() % 16 == 0) OK(kist_flush(db, &err));
    random_key(lower);
    random_key(upper);
    random_key(prefix);
    if (rand() % 2 == 0) io.lower = (kist_slice){lower, 2};
    if (rand() % 2 == 0) io.upper = (kist_slice){upper, 2};
    if (rand() % 3 == 0) io.prefix = (kist_slice){prefix, 1};
    for (i = 0; i < count; ++i) {
      calls[i].what = rand() % 10;
      random_key(calls[i].key);
    }
    OK(kist_txn_begin(db, KIST_TXN_SERIALIZABLE, &txn, &err));
    it = iterate(txn, &io, 0);
    run_calls(it, calls, count, before);
    random_key(key);
    sprintf(value, "new%d", round); /* equal values conflict too */
    OK(kist_put(ks, NULL, key, 2, value, strlen(value), &err));
    OK(kist_iter_new(ks, &io, &again, &err));
    run_calls(again, calls, count, after);
    want = strcmp(before, after) == 0 ? KIST_OK : KIST_E_CONFLICT;
    rc = commit(txn);
    if (rc != want)
      fail_msg("round %d: %s, wanted %s; [%.2s, %.2s) prefix %.1s, put of %.2s\n%s\n%s", round,
               kist_rc_name(rc), kist_rc_name(want), io.lower.len ? lower : "  ",
               io.upper.len ? upper : "  ", io.prefix.len ? prefix : " ", key, before, after);
    conflicts += rc == KIST_E_CONFLICT;
    kist_iter_free(it);
    kist_iter_free(again);
  }
  assert_true(conflicts > 100 && conflicts < 2900);
}

/* ---- memory */

static void txn_iter__what_is_remembered_counts(void** state) {
  const kist_iter_options all = KIST_ITER_OPTIONS_INIT;
  kist_txn* txn = NULL;
  kist_iter* it;
  kist_err err = KIST_ERR_INIT;
  kist_rc rc = KIST_DONE;
  char key[1000];
  int i;
  (void)state;
  OK(kist_txn_begin(db, KIST_TXN_SERIALIZABLE, &txn, &err));
  it = iterate(txn, &all, 0);
  memset(key, 'k', sizeof key);
  for (i = 0; i < 100000 && rc == KIST_DONE; ++i) {
    memcpy(key, &i, sizeof i);
    put(ks, "a", "1"); /* something else goes on meanwhile */
    rc = kist_iter_seek(it, KIST_SEEK_GE, key, sizeof key, &err);
    if (rc == KIST_OK) rc = KIST_DONE;
  }
  assert_int_equal(rc, KIST_E_NOMEM);
  assert_int_equal(err.detail, KIST_D_BUDGET);
  assert_true(i > 500 && i < 10000);
  ASSERT_RC(KIST_E_NOMEM, kist_iter_next(it, &err)); /* sticky */
  kist_iter_free(it);
  kist_txn_free(txn);
  assert_int_equal(stat_of(db, "memory_transactions_bytes"), 0);
}

/* ---- one user */

static kist_txn* shared;
static kist_iter* shared_its[2];

static void* use(void* arg) {
  const long which = (long)arg;
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  long other = 0;
  int i;
  ro.txn = shared;
  for (i = 0; i < 20000; ++i) {
    char key[16];
    const size_t n = (size_t)sprintf(key, "k%d", i % 100);
    kist_iter* it = shared_its[which != 0];
    kist_slice value;
    kist_rc rc;
    if (which == 2) {
      rc = i % 3 != 0 ? kist_exists(ks, &ro, key, n, NULL)
                      : kist_txn_put(shared, ks, key, n, "2", 1, 0, NULL);
    } else if (i % 4 == 3) {
      rc = kist_iter_entry(it, &value, NULL);
    } else {
      rc = i % 4 != 0 ? kist_iter_seek(it, KIST_SEEK_GE, key, n, NULL) : kist_iter_next(it, NULL);
    }
    other += rc < 0 && rc != KIST_E_MISUSE;
  }
  return (void*)other;
}

static void txn_iter__has_one_user_with_its_transaction(void** state) {
  const kist_iter_options all = KIST_ITER_OPTIONS_INIT;
  pthread_t threads[3];
  void* other;
  long i;
  (void)state;
  for (i = 0; i < 100; ++i) {
    char key[32];
    sprintf(key, "k%ld", i);
    put(ks, key, "1");
  }
  OK(kist_txn_begin(db, KIST_TXN_SERIALIZABLE, &shared, &err));
  for (i = 0; i < 2; ++i) shared_its[i] = iterate(shared, &all, 0);
  for (i = 0; i < 3; ++i) pthread_create(&threads[i], NULL, use, (void*)i);
  for (i = 0; i < 3; ++i) {
    pthread_join(threads[i], &other);
    assert_null(other);
  }
  for (i = 0; i < 2; ++i) OK(kist_iter_seek(shared_its[i], KIST_SEEK_FIRST, NULL, 0, &err));
  OK(kist_txn_commit(shared, NULL, NULL, &err));
  for (i = 0; i < 2; ++i) ASSERT_RC(KIST_E_CLOSED, kist_iter_next(shared_its[i], &err));
  kist_iter_free(shared_its[0]);
  kist_txn_free(shared);
  ASSERT_RC(KIST_E_CLOSED, kist_iter_next(shared_its[1], &err));
  kist_iter_free(shared_its[1]);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(txn_iter__serializable_depends_on_what_was_passed_alone),
      TEST(txn_iter__for_update_covers_what_is_passed),
      TEST(txn_iter__random_walks_conflict_exactly),
      TEST(txn_iter__what_is_remembered_counts),
      TEST(txn_iter__has_one_user_with_its_transaction),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
