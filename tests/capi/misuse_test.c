/* Misuse that the header names: handles of the wrong kind, freed ones, two threads in a single-user
 * handle. Never a crash. */
#include "support/tempdir.h"

#include <pthread.h>

/* ---- every function that takes a handle, with what is none of its kind */

enum kind { kDb, kKeyspace, kOptions, kBatch, kSnapshot, kIter, kTxn, kFeed, kKinds };

struct handles {
  kist_db* db;
  kist_keyspace* ks; /* one's own */
  void* of[kKinds];
};

static struct handles make_handles(void) {
  struct handles h;
  h.db = open_memory();
  h.of[kDb] = h.db;
  OK(kist_keyspace_open(h.db, "own", KIST_KEYSPACE_CREATE, NULL, &h.ks, &err));
  h.of[kKeyspace] = h.ks;
  OK(kist_options_new((kist_options**)&h.of[kOptions]));
  OK(kist_batch_new((kist_batch**)&h.of[kBatch]));
  OK(kist_snapshot_new(h.db, (kist_snapshot**)&h.of[kSnapshot], &err));
  OK(kist_iter_new(h.ks, NULL, (kist_iter**)&h.of[kIter], &err));
  OK(kist_txn_begin(h.db, KIST_TXN_SNAPSHOT, (kist_txn**)&h.of[kTxn], &err));
  OK(kist_feed_open(h.db, kist_last_seq(h.db), (kist_feed**)&h.of[kFeed], &err));
  return h;
}

static void free_handle(enum kind kind, void* handle) {
  if (kind == kKeyspace) kist_keyspace_free(handle);
  if (kind == kOptions) kist_options_free(handle);
  if (kind == kBatch) kist_batch_free(handle);
  if (kind == kSnapshot) kist_snapshot_free(handle);
  if (kind == kIter) kist_iter_free(handle);
  if (kind == kTxn) kist_txn_free(handle);
  if (kind == kFeed) kist_feed_free(handle);
}

/* Every call of the header whose first handle is of this kind, given `w`, is misuse by handle. */
static void call_with(enum kind kind, void* w, const struct handles* h) {
  kist_slice key = {"a", 1}, packed;
  kist_entry entry;
  kist_pin pin;
  kist_rc rc;
  kist_keyspace* ks = NULL;
  kist_snapshot* snapshot = NULL;
  kist_iter* it = NULL;
  kist_txn* txn = NULL;
  kist_feed* feed = NULL;
  kist_stream* stream = NULL;
  const void* data = NULL;
  void* copy = NULL;
  char buf[64];
  size_t n = 0;
  uint64_t u = 0;
  int64_t i = 0;
#define BAD(call) ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, call)
  switch (kind) {
    case kDb:
      if (w != NULL) BAD(kist_close(w, KIST_CLOSE_STRICT, &err));
      BAD(kist_set_option(w, "sync", "never", &err));
      BAD(kist_keyspace_open(w, "x", KIST_KEYSPACE_CREATE, NULL, &ks, &err));
      BAD(kist_keyspace_drop(w, "x", &err));
      BAD(kist_keyspace_list(w, buf, sizeof buf, &n, &err));
      BAD(kist_write(w, NULL, h->of[kBatch], &u, &err));
      BAD(kist_write_packed(w, NULL, "KWB\1\0\0\0\0", 8, &u, &err));
      BAD(kist_sync(w, &err));
      BAD(kist_wait_durable(w, 0, 0, &err));
      BAD(kist_snapshot_new(w, &snapshot, &err));
      BAD(kist_txn_begin(w, KIST_TXN_SNAPSHOT, &txn, &err));
      BAD(kist_flush(w, &err));
      BAD(kist_wait_idle(w, 0, &err));
      BAD(kist_verify(w, NULL, &err));
      BAD(kist_checkpoint(w, "/nowhere", &err));
      BAD(kist_backup(w, "/nowhere", NULL, &u, &err));
      BAD(kist_stream_start(w, "/nowhere", NULL, &stream, &err));
      BAD(kist_feed_open(w, 0, &feed, &err));
      BAD(kist_stat(w, "commits", &u, &err));
      BAD(kist_stats(w, KIST_STATS_TEXT, buf, sizeof buf, &n, &err));
      assert_null(kist_default(w));
      assert_int_equal(kist_last_seq(w), 0);
      assert_int_equal(kist_durable_seq(w), 0);
      break;
    case kKeyspace:
      BAD(kist_get(w, NULL, "a", 1, buf, sizeof buf, &n, &err));
      BAD(kist_get_pin(w, NULL, "a", 1, &pin, &err));
      BAD(kist_get_copy(w, NULL, "a", 1, &copy, &n, &err));
      BAD(kist_exists(w, NULL, "a", 1, &err));
      BAD(kist_ttl(w, NULL, "a", 1, &i, &err));
      BAD(kist_multi_get(w, NULL, 1, &key, &pin, &rc, &err));
      BAD(kist_put(w, NULL, "a", 1, "1", 1, &err));
      BAD(kist_delete(w, NULL, "a", 1, &err));
      BAD(kist_delete_range(w, NULL, "a", 1, "b", 1, &err));
      BAD(kist_batch_put(h->of[kBatch], w, "a", 1, "1", 1, 0, &err));
      BAD(kist_batch_delete(h->of[kBatch], w, "a", 1, &err));
      BAD(kist_batch_delete_range(h->of[kBatch], w, "a", 1, "b", 1, &err));
      BAD(kist_iter_new(w, NULL, &it, &err));
      BAD(kist_txn_put(h->of[kTxn], w, "a", 1, "1", 1, 0, &err));
      BAD(kist_txn_delete(h->of[kTxn], w, "a", 1, &err));
      BAD(kist_txn_delete_range(h->of[kTxn], w, "a", 1, "b", 1, &err));
      BAD(kist_compact(w, NULL, 0, NULL, 0, NULL, &err));
      BAD(kist_approximate_size(w, NULL, 0, NULL, 0, &u, &err));
      assert_int_equal(kist_keyspace_id(w), 0);
      break;
    case kOptions:
      BAD(kist_options_set(w, "sync", "never", &err));
      BAD(kist_options_set_u64(w, "cache_size", 0, &err));
      BAD(kist_options_parse(w, "sync=never", &err));
      BAD(kist_options_get(w, "sync", buf, sizeof buf, &n, &err));
      assert_int_equal(kist_options_set_logger(w, KIST_LOG_INFO, NULL, NULL, NULL), KIST_E_MISUSE);
      if (w == NULL) break; /* NULL stands for the standard values below */
      {
        kist_db* other = NULL;
        BAD(kist_open(":memory:", w, &other, &err));
        assert_null(other);
      }
      BAD(kist_keyspace_open(h->db, "x", KIST_KEYSPACE_CREATE, w, &ks, &err));
      BAD(kist_stream_start(h->db, "/nowhere", w, &stream, &err));
      break;
    case kBatch:
      BAD(kist_batch_put(w, h->ks, "a", 1, "1", 1, 0, &err));
      BAD(kist_batch_delete(w, h->ks, "a", 1, &err));
      BAD(kist_batch_delete_range(w, h->ks, "a", 1, "b", 1, &err));
      BAD(kist_write(h->db, NULL, w, &u, &err));
      assert_int_equal(kist_batch_data(w, &data, &n), KIST_E_MISUSE);
      assert_int_equal(kist_batch_count(w), 0);
      kist_batch_clear(w);
      break;
    case kSnapshot: {
      kist_read_options ro = KIST_READ_OPTIONS_INIT;
      kist_iter_options io = KIST_ITER_OPTIONS_INIT;
      assert_int_equal(kist_snapshot_seq(w), 0);
      if (w == NULL) break; /* no snapshot */
      ro.snapshot = io.snapshot = w;
      BAD(kist_exists(h->ks, &ro, "a", 1, &err));
      BAD(kist_iter_new(h->ks, &io, &it, &err));
      break;
    }
    case kIter:
      BAD(kist_iter_seek(w, KIST_SEEK_FIRST, NULL, 0, &err));
      BAD(kist_iter_next(w, &err));
      BAD(kist_iter_prev(w, &err));
      BAD(kist_iter_entries(w, 1, &entry, 1, &n, &err));
      BAD(kist_iter_chunk(w, 1, buf, sizeof buf, 1, &n, &n, &n, &err));
      BAD(kist_iter_refresh(w, &err));
      assert_int_equal(kist_iter_entry(w, NULL, NULL), KIST_E_MISUSE);
      break;
    case kTxn: {
      kist_read_options ro = KIST_READ_OPTIONS_INIT;
      kist_iter_options io = KIST_ITER_OPTIONS_INIT;
      BAD(kist_txn_put(w, h->ks, "a", 1, "1", 1, 0, &err));
      BAD(kist_txn_delete(w, h->ks, "a", 1, &err));
      BAD(kist_txn_delete_range(w, h->ks, "a", 1, "b", 1, &err));
      BAD(kist_txn_savepoint(w, &err));
      BAD(kist_txn_rollback_to(w, &err));
      BAD(kist_txn_commit(w, NULL, &u, &err));
      if (w == NULL) break; /* no transaction */
      ro.txn = io.txn = w;
      BAD(kist_exists(h->ks, &ro, "a", 1, &err));
      BAD(kist_iter_new(h->ks, &io, &it, &err));
      break;
    }
    case kFeed:
      BAD(kist_feed_next(w, 0, &u, &i, &packed, &err));
      break;
    case kKinds:
      break;
  }
#undef BAD
  if (kind != kDb) free_handle(kind, w); /* not of its kind: left alone */
}

static void misuse__handles_of_another_kind(void** state) {
  struct handles h = make_handles();
  int kind, other;
  (void)state;
  for (kind = 0; kind < kKinds; ++kind) {
    call_with(kind, NULL, &h);
    for (other = 0; other < kKinds; ++other) {
      if (other != kind) call_with(kind, h.of[other], &h);
    }
  }
  assert_int_equal(kist_stream_stop(NULL, 0, NULL), KIST_E_MISUSE);
  assert_int_equal(kist_stream_wait(NULL, 0, 0, NULL), KIST_E_MISUSE);
  assert_int_equal(kist_stream_status(NULL, NULL, NULL), KIST_E_MISUSE);
  put(h.ks, "a", "1"); /* all of them work on */
  expect(h.ks, NULL, "a", "1");
  for (kind = kKinds - 1; kind > kDb; --kind) free_handle(kind, h.of[kind]);
  close_strict(h.db);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WATCHED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED 1
#endif

#ifndef WATCHED /* whose business freed memory is */
/* A freed handle is seen while its memory is not used again. */
static void misuse__freed_handles(void** state) {
  int kind;
  (void)state;
  for (kind = kDb; kind < kKinds; ++kind) {
    struct handles h = make_handles();
    struct handles rest = make_handles();
    void* freed = h.of[kind];
    int other;
    if (kind == kDb) {
      for (other = kKinds - 1; other > kDb; --other) free_handle(other, h.of[other]);
      close_strict(h.db);
    } else {
      free_handle(kind, freed);
    }
    call_with(kind, freed, &rest);
    if (kind != kDb) {
      for (other = kKinds - 1; other > kDb; --other) {
        if (other != kind) free_handle(other, h.of[other]);
      }
      close_strict(h.db);
    }
    for (other = kKinds - 1; other > kDb; --other) free_handle(other, rest.of[other]);
    close_strict(rest.db);
  }
}
#endif

/* ---- right handles in a state that the call does not allow */

static void misuse__after_a_commit_and_without_a_savepoint(void** state) {
  kist_db* db = open_memory();
  kist_keyspace* ks = kist_default(db);
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_txn* txn = NULL;
  kist_iter* it = NULL;
  uint64_t seq = 0;
  (void)state;
#define BAD(call) ASSERT_FAILS(KIST_E_MISUSE, KIST_D_STATE, call)
  OK(kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
  ASSERT_RC(KIST_E_MISUSE, kist_txn_rollback_to(txn, &err));
  OK(kist_txn_savepoint(txn, &err));
  OK(kist_txn_rollback_to(txn, &err));
  ASSERT_RC(KIST_E_MISUSE, kist_txn_rollback_to(txn, &err));
  OK(kist_txn_put(txn, ks, "a", 1, "1", 1, 0, &err));
  OK(kist_txn_commit(txn, NULL, &seq, &err));
  BAD(kist_txn_put(txn, ks, "a", 1, "1", 1, 0, &err));
  BAD(kist_txn_delete(txn, ks, "a", 1, &err));
  BAD(kist_txn_delete_range(txn, ks, "a", 1, "b", 1, &err));
  BAD(kist_txn_savepoint(txn, &err));
  BAD(kist_txn_rollback_to(txn, &err));
  BAD(kist_txn_commit(txn, NULL, &seq, &err));
  ro.txn = io.txn = txn;
  BAD(kist_exists(ks, &ro, "a", 1, &err));
  BAD(kist_iter_new(ks, &io, &it, &err));
#undef BAD
  kist_txn_free(txn);
  OK(kist_iter_new(ks, NULL, &it, &err));
  assert_int_equal(kist_iter_entry(it, NULL, NULL), KIST_E_MISUSE); /* on no entry yet */
  OK(kist_iter_next(it, &err));
  assert_int_equal(kist_iter_entry(it, NULL, NULL), KIST_OK);
  ASSERT_RC(KIST_DONE, kist_iter_next(it, &err));
  assert_int_equal(kist_iter_entry(it, NULL, NULL), KIST_E_MISUSE);
  kist_iter_free(it);
  close_strict(db);
}

/* ---- two threads in a single-user handle */

struct hammer {
  kist_iter* it;
  kist_txn* txn;
  kist_feed* feed;
  kist_batch* batch;
  kist_keyspace* ks;
  kist_options* options;
  long done, misused, other;
};

static void* hammer(void* arg) {
  struct hammer* h = arg;
  kist_entry entries[8];
  kist_slice packed;
  char buf[32];
  size_t n;
  int i;
  for (i = 0; i < 20000; ++i) {
    kist_rc rc;
    switch (i % 9) {
      case 0:
        rc = kist_iter_next(h->it, NULL);
        break;
      case 1:
        rc = kist_iter_seek(h->it, KIST_SEEK_GE, "k3", 2, NULL);
        break;
      case 2:
        rc = kist_iter_entries(h->it, 1, entries, 8, &n, NULL);
        break;
      case 3:
        rc = kist_batch_put(h->batch, h->ks, "a", 1, "1", 1, 0, NULL);
        break;
      case 4:
        kist_batch_clear(h->batch);
        rc = kist_batch_count(h->batch) > 100000 ? KIST_E_INTERNAL : KIST_OK;
        break;
      case 6:
        rc = kist_txn_put(h->txn, h->ks, "a", 1, "1", 1, 0, NULL);
        break;
      case 7:
        rc = kist_feed_next(h->feed, 0, NULL, NULL, &packed, NULL);
        break;
      case 5:
        rc = kist_options_set(h->options, "cache_size", "1MiB", NULL);
        break;
      default:
        rc = kist_options_get(h->options, "cache_size", buf, sizeof buf, &n, NULL);
        break;
    }
    if (rc >= 0) {
      ++h->done;
    } else if (rc == KIST_E_MISUSE) {
      ++h->misused;
    } else {
      ++h->other;
    }
  }
  return NULL;
}

static void misuse__two_threads_in_one_handle(void** state) {
  kist_db* db = open_memory();
  struct hammer both[2];
  pthread_t threads[2];
  kist_iter* it = NULL;
  kist_batch* batch = NULL;
  kist_txn* txn = NULL;
  kist_feed* feed = NULL;
  kist_options* options = NULL;
  char key[16];
  int i;
  (void)state;
  for (i = 0; i < 10; ++i) {
    snprintf(key, sizeof key, "k%d", i);
    put(kist_default(db), key, key);
  }
  OK(kist_iter_new(kist_default(db), NULL, &it, &err));
  OK(kist_batch_new(&batch));
  OK(kist_options_new(&options));
  OK(kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
  OK(kist_feed_open(db, 0, &feed, &err));
  memset(both, 0, sizeof both);
  for (i = 0; i < 2; ++i) {
    both[i].it = it;
    both[i].txn = txn;
    both[i].feed = feed;
    both[i].batch = batch;
    both[i].ks = kist_default(db);
    both[i].options = options;
    pthread_create(&threads[i], NULL, hammer, &both[i]);
  }
  for (i = 0; i < 2; ++i) {
    pthread_join(threads[i], NULL);
    assert_int_equal(both[i].other, 0);
    assert_true(both[i].done > 0);
  }
  OK(kist_iter_seek(it, KIST_SEEK_FIRST, NULL, 0, &err)); /* not sticky */
  kist_iter_free(it);
  kist_feed_free(feed);
  kist_txn_free(txn);
  kist_batch_free(batch);
  kist_options_free(options);
  close_strict(db);
}

/* A commit that syncs keeps its batch in use for long enough to be met. */
struct writer {
  kist_db* db;
  kist_batch* batch;
  int stop, failures;
};

static void* write_again(void* arg) {
  struct writer* w = arg;
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  wo.durability = KIST_DURABILITY_SYNC;
  while (!__atomic_load_n(&w->stop, __ATOMIC_SEQ_CST)) {
    const kist_rc rc = kist_write(w->db, &wo, w->batch, NULL, NULL);
    w->failures += rc != KIST_OK && rc != KIST_E_MISUSE;
  }
  return NULL;
}

static void misuse__a_batch_is_refused_while_it_is_written(void** state) {
  char* path = new_path();
  kist_db* db = open_plain(path);
  struct writer w = {db, NULL, 0, 0};
  pthread_t thread;
  kist_err err = KIST_ERR_INIT;
  kist_rc rc = KIST_OK;
  long i;
  (void)state;
  OK(kist_batch_new(&w.batch));
  OK(kist_batch_put(w.batch, kist_default(db), "a", 1, "1", 1, 0, &err));
  pthread_create(&thread, NULL, write_again, &w);
  for (i = 0; i < 100000000 && rc != KIST_E_MISUSE; ++i) {
    rc = kist_batch_delete(w.batch, kist_default(db), "a", 1, &err);
    if (kist_batch_count(w.batch) > 100) kist_batch_clear(w.batch);
  }
  __atomic_store_n(&w.stop, 1, __ATOMIC_SEQ_CST);
  pthread_join(thread, NULL);
  assert_int_equal(rc, KIST_E_MISUSE);
  assert_int_equal(err.detail, KIST_D_CONCURRENT);
  assert_int_equal(w.failures, 0);
  kist_batch_free(w.batch);
  close_strict(db);
  drop_path(path);
}

/* ---- handles from several threads, as allowed */

struct shared {
  kist_db* db;
  kist_keyspace* ks;
  const kist_snapshot* snapshot;
  int id, failures;
};

static void* share(void* arg) {
  struct shared* s = arg;
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  char key[16], buf[16];
  size_t n = 0;
  int i;
  ro.snapshot = s->snapshot;
  for (i = 0; i < 2000; ++i) {
    snprintf(key, sizeof key, "%d-%d", s->id, i);
    s->failures += kist_put(s->ks, NULL, key, strlen(key), key, strlen(key), NULL) != KIST_OK;
    s->failures += kist_get(s->ks, NULL, key, strlen(key), buf, sizeof buf, &n, NULL) != KIST_OK;
    s->failures += n != strlen(key) || memcmp(buf, key, n) != 0;
    s->failures +=
        kist_get(s->ks, &ro, key, strlen(key), buf, sizeof buf, &n, NULL) != KIST_NOT_FOUND;
    s->failures += kist_get(s->ks, &ro, "fixed", 5, buf, sizeof buf, &n, NULL) != KIST_OK;
    if (i % 500 == 0) s->failures += kist_flush(s->db, NULL) != KIST_OK;
  }
  return NULL;
}

static void misuse__shared_handles_are_no_misuse(void** state) {
  kist_db* db = open_memory();
  kist_snapshot* snapshot = NULL;
  struct shared users[4];
  pthread_t threads[4];
  int i;
  (void)state;
  put(kist_default(db), "fixed", "1");
  OK(kist_snapshot_new(db, &snapshot, &err));
  for (i = 0; i < 4; ++i) {
    users[i] = (struct shared){db, kist_default(db), snapshot, i, 0};
    pthread_create(&threads[i], NULL, share, &users[i]);
  }
  for (i = 0; i < 4; ++i) {
    pthread_join(threads[i], NULL);
    assert_int_equal(users[i].failures, 0);
  }
  assert_int_equal(kist_last_seq(db), 8001);
  kist_snapshot_free(snapshot);
  close_strict(db);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(misuse__handles_of_another_kind),
#ifndef WATCHED
      cmocka_unit_test(misuse__freed_handles),
#endif
      cmocka_unit_test(misuse__after_a_commit_and_without_a_savepoint),
      cmocka_unit_test(misuse__two_threads_in_one_handle),
      cmocka_unit_test(misuse__a_batch_is_refused_while_it_is_written),
      cmocka_unit_test(misuse__shared_handles_are_no_misuse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
