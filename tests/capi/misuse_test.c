/* Misuse that the header names: handles of the wrong kind, freed ones, two threads in a single-user
 * handle. Never a crash. */
#include "support/tempdir.h"

#include <pthread.h>

/* Every handle function with a handle of another kind. */
static void misuse__handles_of_another_kind(void** state) {
  kist_db* db = open_memory();
  kist_keyspace* ks = kist_default(db);
  kist_options* options = NULL;
  kist_batch* batch = NULL;
  kist_snapshot* snapshot = NULL;
  kist_iter* it = NULL;
  void* wrong[6];
  size_t i, n = 0;
  char buf[32];
  (void)state;
  OK(kist_options_new(&options));
  OK(kist_batch_new(&batch));
  OK(kist_snapshot_new(db, &snapshot, &err));
  OK(kist_iter_new(ks, NULL, &it, &err));
  wrong[0] = db;
  wrong[1] = ks;
  wrong[2] = options;
  wrong[3] = batch;
  wrong[4] = snapshot;
  wrong[5] = it;
  for (i = 0; i < 6; ++i) {
    void* w = wrong[i];
    if (w != db) {
      ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_sync(w, &err));
      ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_close(w, KIST_CLOSE_STRICT, &err));
      assert_null(kist_default(w));
      assert_int_equal(kist_last_seq(w), 0);
    }
    if (w != ks) {
      ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_put(w, NULL, "a", 1, "1", 1, &err));
      ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_get(w, NULL, "a", 1, buf, 32, &n, &err));
      assert_int_equal(kist_keyspace_id(w), 0);
      kist_keyspace_free(w);
    }
    if (w != options) {
      ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_options_set(w, "sync", "never", &err));
      kist_options_free(w);
    }
    if (w != batch) {
      ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_batch_put(w, ks, "a", 1, "1", 1, 0, &err));
      ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_write(db, NULL, w, NULL, &err));
      kist_batch_clear(w);
      kist_batch_free(w);
    }
    if (w != snapshot) {
      assert_int_equal(kist_snapshot_seq(w), 0);
      kist_snapshot_free(w);
    }
    if (w != it) {
      ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_iter_next(w, &err));
      assert_int_equal(kist_iter_entry(w, NULL, NULL), KIST_E_MISUSE);
      kist_iter_free(w);
    }
  }
  put(ks, "a", "1");
  kist_iter_free(it);
  kist_snapshot_free(snapshot);
  kist_batch_free(batch);
  kist_options_free(options);
  close_strict(db);
}

/* ---- two threads in a single-user handle */

struct hammer {
  kist_iter* it;
  kist_batch* batch;
  kist_keyspace* ks;
  kist_options* options;
  long done, misused, other;
};

static void* hammer(void* arg) {
  struct hammer* h = arg;
  kist_entry entries[8];
  char buf[32];
  size_t n;
  int i;
  for (i = 0; i < 20000; ++i) {
    kist_rc rc;
    switch (i % 7) {
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
  memset(both, 0, sizeof both);
  for (i = 0; i < 2; ++i) {
    both[i].it = it;
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
      cmocka_unit_test(misuse__two_threads_in_one_handle),
      cmocka_unit_test(misuse__a_batch_is_refused_while_it_is_written),
      cmocka_unit_test(misuse__shared_handles_are_no_misuse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
