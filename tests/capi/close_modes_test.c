/* The three ways to close, with every kind of child, with pins, with calls that run meanwhile. */
#include "support/tempdir.h"

#include <pthread.h>

struct children {
  kist_keyspace* ks;
  kist_snapshot* snapshot;
  kist_iter* it;
};

static struct children make_children(kist_db* db) {
  struct children c = {NULL, NULL, NULL};
  OK(kist_keyspace_open(db, "own", KIST_KEYSPACE_CREATE, NULL, &c.ks, &err));
  put(c.ks, "a", "1");
  put(c.ks, "b", "2");
  OK(kist_snapshot_new(db, &c.snapshot, &err));
  OK(kist_iter_new(c.ks, NULL, &c.it, &err));
  OK(kist_iter_next(c.it, &err));
  return c;
}

static void free_children(struct children* c) {
  kist_iter_free(c->it);
  kist_snapshot_free(c->snapshot);
  kist_keyspace_free(c->ks);
}

/* True where the lock is free. */
static int can_open(const char* path) {
  kist_db* db = NULL;
  if (kist_open(path, NULL, &db, NULL) != KIST_OK) return 0;
  close_strict(db);
  return 1;
}

static void close_modes__strict_counts_children(void** state) {
  char* path = new_path();
  kist_db* db = open_plain(path);
  struct children c = make_children(db);
  kist_batch* batch = NULL;
  kist_pin pin;
  kist_err err = KIST_ERR_INIT;
  (void)state;
  OK(kist_batch_new(&batch));
  OK(kist_batch_put(batch, c.ks, "c", 1, "3", 1, 0, &err));
  OK(kist_get_pin(c.ks, NULL, "a", 1, &pin, &err));
  assert_int_equal(kist_close(db, KIST_CLOSE_STRICT, &err), KIST_E_BUSY);
  assert_int_equal(err.code, KIST_E_BUSY);
  assert_int_equal(err.aux, 3); /* not the default handle, the batch or the pin */
  put(kist_default(db), "still", "open");
  kist_iter_free(c.it);
  assert_int_equal(kist_close(db, KIST_CLOSE_STRICT, &err), KIST_E_BUSY);
  assert_int_equal(err.aux, 2);
  kist_snapshot_free(c.snapshot);
  kist_keyspace_free(c.ks);
  kist_keyspace_free(kist_default(db)); /* ignored */
  put(kist_default(db), "still", "open");
  OK(kist_close(db, KIST_CLOSE_STRICT, &err));
  assert_memory_equal(pin.data, "1", 1);
  assert_true(can_open(path));
  kist_pin_release(&pin);
  kist_batch_free(batch);
  drop_path(path);
}

static void close_modes__null_and_bad_modes(void** state) {
  kist_db* db = open_memory();
  kist_batch* batch = NULL;
  (void)state;
  OK(kist_close(NULL, KIST_CLOSE_STRICT, &err));
  OK(kist_close(NULL, 99, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_close(db, 3, &err));
  put(kist_default(db), "still", "open");
  OK(kist_batch_new(&batch));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE,
               kist_close((kist_db*)(void*)batch, KIST_CLOSE_STRICT, &err));
  kist_batch_free(batch);
  close_strict(db);
}

static void close_modes__revoke(void** state) {
  char* path = new_path();
  kist_db* db = open_plain(path);
  struct children c = make_children(db);
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_batch* batch = NULL;
  kist_iter* none = (kist_iter*)&ro;
  kist_pin pin, empty;
  kist_slice key, val, kept_key, kept_val;
  kist_entry entries[4];
  kist_rc rcs[1];
  char buf[64];
  size_t n = 9, used = 9, need = 9;
  uint64_t bytes = 9;
  int64_t left = 9;
  void* copy = &n;
  const uint64_t seq = kist_snapshot_seq(c.snapshot);
  const uint32_t id = kist_keyspace_id(c.ks);
  (void)state;
  OK(kist_batch_new(&batch));
  OK(kist_batch_put(batch, c.ks, "c", 1, "3", 1, 0, &err));
  OK(kist_get_pin(c.ks, NULL, "b", 1, &pin, &err));
  OK(kist_iter_entry(c.it, &kept_key, &kept_val));
  OK(kist_close(db, KIST_CLOSE_REVOKE, &err));
  assert_true(can_open(path)); /* files and lock are released now */
  /* Pins keep their bytes, and so does the entry of an iterator that makes no further call. */
  assert_memory_equal(pin.data, "2", 1);
  assert_memory_equal(kept_key.data, "a", 1);
  assert_memory_equal(kept_val.data, "1", 1);
  ASSERT_RC(KIST_E_CLOSED, kist_put(c.ks, NULL, "a", 1, "2", 1, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_delete(c.ks, NULL, "a", 1, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_delete_range(c.ks, NULL, "a", 1, "b", 1, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_get(c.ks, NULL, "a", 1, buf, sizeof buf, &n, &err));
  assert_int_equal(n, 0);
  ASSERT_RC(KIST_E_CLOSED, kist_get_pin(c.ks, NULL, "a", 1, &empty, &err));
  assert_null(empty.data);
  ASSERT_RC(KIST_E_CLOSED, kist_get_copy(c.ks, NULL, "a", 1, &copy, &n, &err));
  assert_null(copy);
  ASSERT_RC(KIST_E_CLOSED, kist_exists(c.ks, NULL, "a", 1, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_ttl(c.ks, NULL, "a", 1, &left, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_multi_get(c.ks, NULL, 1, &kept_key, &empty, rcs, &err));
  ro.snapshot = c.snapshot;
  ASSERT_RC(KIST_E_CLOSED, kist_exists(c.ks, &ro, "a", 1, &err));
  io.snapshot = c.snapshot;
  ASSERT_RC(KIST_E_CLOSED, kist_iter_new(c.ks, &io, &none, &err));
  assert_null(none);
  ASSERT_RC(KIST_E_CLOSED, kist_compact(c.ks, NULL, 0, NULL, 0, NULL, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_approximate_size(c.ks, NULL, 0, NULL, 0, &bytes, &err));
  assert_int_equal(bytes, 0);
  ASSERT_RC(KIST_E_CLOSED, kist_batch_put(batch, c.ks, "d", 1, "4", 1, 0, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_batch_delete(batch, c.ks, "d", 1, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_batch_delete_range(batch, c.ks, "d", 1, NULL, 0, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_iter_next(c.it, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_iter_prev(c.it, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_iter_seek(c.it, KIST_SEEK_FIRST, NULL, 0, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_iter_entries(c.it, 1, entries, 4, &n, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_iter_chunk(c.it, 1, buf, sizeof buf, 4, &used, &n, &need, &err));
  ASSERT_RC(KIST_E_CLOSED, kist_iter_refresh(c.it, &err));
  assert_int_equal(kist_iter_entry(c.it, &key, &val), KIST_E_CLOSED);
  assert_null(key.data);
  assert_int_equal(kist_snapshot_seq(c.snapshot), seq);
  assert_int_equal(kist_keyspace_id(c.ks), id);
  free_children(&c);
  kist_batch_free(batch);
  kist_pin_release(&pin);
  db = open_plain(path);
  OK(kist_keyspace_open(db, "own", KIST_KEYSPACE_OPEN, NULL, &c.ks, &err));
  expect(c.ks, NULL, "a", "1");
  kist_keyspace_free(c.ks);
  close_strict(db);
  drop_path(path);
}

static void close_modes__revoke_keeps_entries_that_point_into_tables(void** state) {
  char* path = new_path();
  kist_db* db = open_plain(path);
  kist_keyspace* ks = kist_default(db);
  kist_iter *forwards = NULL, *backwards = NULL;
  kist_entry entries[100], last[100];
  size_t count = 0, i;
  char key[16];
  (void)state;
  for (i = 0; i < 100; ++i) {
    snprintf(key, sizeof key, "%03zu", i);
    put(ks, key, key);
  }
  OK(kist_flush(db, &err));
  OK(kist_iter_new(ks, NULL, &forwards, &err));
  OK(kist_iter_new(ks, NULL, &backwards, &err));
  OK(kist_iter_entries(forwards, 1, entries, 100, &count, &err));
  OK(kist_iter_entries(backwards, -1, last, 100, &count, &err));
  OK(kist_close(db, KIST_CLOSE_REVOKE, &err));
  for (i = 0; i < 100; ++i) {
    snprintf(key, sizeof key, "%03zu", i);
    assert_memory_equal(entries[i].val.data, key, 3);
    assert_memory_equal(last[99 - i].val.data, key, 3);
  }
  kist_iter_free(forwards);
  kist_iter_free(backwards);
  drop_path(path);
}

static void close_modes__defer(void** state) {
  char* path = new_path();
  kist_db* db = open_plain(path);
  struct children c = make_children(db);
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_iter* more = NULL;
  kist_pin pin;
  kist_db* other = NULL;
  kist_keyspace* by_default = kist_default(db);
  (void)state;
  OK(kist_close(db, KIST_CLOSE_DEFER, &err));
  ASSERT_RC(KIST_E_LOCKED, kist_open(path, NULL, &other, &err));
  /* db and kist_default's handle are gone, and here that can be seen. */
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_sync(db, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_close(db, KIST_CLOSE_REVOKE, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_put(by_default, NULL, "a", 1, "1", 1, &err));
  assert_null(kist_default(db));
  /* Children work fully, and may have new ones. */
  put(c.ks, "c", "3");
  expect(c.ks, NULL, "c", "3");
  ro.snapshot = c.snapshot;
  expect(c.ks, &ro, "c", NULL);
  OK(kist_iter_next(c.it, &err));
  OK(kist_iter_new(c.ks, NULL, &more, &err));
  OK(kist_iter_seek(more, KIST_SEEK_LAST, NULL, 0, &err));
  OK(kist_get_pin(c.ks, NULL, "c", 1, &pin, &err));
  free_children(&c);
  OK(kist_iter_prev(more, &err));
  assert_false(can_open(path));
  kist_iter_free(more); /* the last one closes */
  assert_true(can_open(path));
  assert_memory_equal(pin.data, "3", 1);
  kist_pin_release(&pin);
  db = open_plain(path);
  OK(kist_keyspace_open(db, "own", KIST_KEYSPACE_OPEN, NULL, &c.ks, &err));
  expect(c.ks, NULL, "c", "3");
  kist_keyspace_free(c.ks);
  close_strict(db);
  drop_path(path);
}

static void close_modes__defer_without_children_closes_now(void** state) {
  char* path = new_path();
  kist_db* db = open_plain(path);
  (void)state;
  put(kist_default(db), "a", "1");
  OK(kist_close(db, KIST_CLOSE_DEFER, &err));
  assert_true(can_open(path));
  drop_path(path);
}

static void drop_flag(void* ctx) { ++*(int*)ctx; }
static void no_log(void* ctx, int32_t level, const char* message, size_t len) {
  (void)ctx, (void)level, (void)message, (void)len;
}

static void close_modes__defer_holds_the_logger(void** state) {
  kist_options* options = NULL;
  kist_snapshot* snapshot = NULL;
  kist_db* db = NULL;
  int dropped = 0;
  (void)state;
  OK(kist_options_new(&options));
  OK(kist_options_set_logger(options, KIST_LOG_DEBUG, no_log, &dropped, drop_flag));
  OK(kist_open(":memory:", options, &db, &err));
  kist_options_free(options);
  OK(kist_snapshot_new(db, &snapshot, &err));
  OK(kist_close(db, KIST_CLOSE_DEFER, &err));
  assert_int_equal(dropped, 0);
  kist_snapshot_free(snapshot);
  assert_int_equal(dropped, 1);
}

static void close_modes__close_is_durable_in_each_mode(void** state) {
  uint32_t mode;
  (void)state;
  for (mode = KIST_CLOSE_STRICT; mode <= KIST_CLOSE_DEFER; ++mode) {
    char* path = new_path();
    kist_db* db = open_with(path, "sync=never; write_back=true; write_back_interval=1h");
    put(kist_default(db), "a", "1");
    OK(kist_close(db, mode, &err));
    db = open_plain(path);
    expect(kist_default(db), NULL, "a", "1");
    close_strict(db);
    drop_path(path);
  }
}

/* ---- calls that run while the database is closed */

struct user {
  kist_keyspace* ks;
  kist_iter* it;
  kist_snapshot* snapshot;
  kist_rc last;
  long calls;
  int kind;
};

static void* use_until_closed(void* arg) {
  struct user* u = arg;
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_entry entries[16];
  kist_pin pin;
  char buf[64];
  size_t n;
  ro.snapshot = u->snapshot;
  do {
    switch (u->kind) {
      case 0:
        u->last = kist_get(u->ks, NULL, "a", 1, buf, sizeof buf, &n, NULL);
        break;
      case 1:
        u->last = kist_put(u->ks, NULL, "a", 1, "1", 1, NULL);
        break;
      case 2:
        u->last = kist_iter_entries(u->it, 1, entries, 16, &n, NULL);
        if (u->last == KIST_DONE) u->last = kist_iter_refresh(u->it, NULL);
        break;
      case 3:
        u->last = kist_get_pin(u->ks, &ro, "a", 1, &pin, NULL);
        kist_pin_release(&pin);
        break;
      default: {
        kist_iter* it = NULL;
        u->last = kist_iter_new(u->ks, NULL, &it, NULL);
        kist_iter_free(it);
        break;
      }
    }
    ++u->calls;
  } while (u->last >= 0);
  return NULL;
}

static void close_modes__revoke_waits_for_running_calls(void** state) {
  int round;
  (void)state;
  for (round = 0; round < 10; ++round) {
    enum { USERS = 5 };
    kist_db* db = open_memory();
    pthread_t threads[USERS];
    struct user users[USERS];
    int i;
    put(kist_default(db), "a", "1");
    for (i = 0; i < USERS; ++i) {
      struct user* u = &users[i];
      memset(u, 0, sizeof *u);
      u->kind = i;
      OK(kist_keyspace_open(db, "default", KIST_KEYSPACE_OPEN, NULL, &u->ks, &err));
      OK(kist_snapshot_new(db, &u->snapshot, &err));
      OK(kist_iter_new(u->ks, NULL, &u->it, &err));
    }
    for (i = 0; i < USERS; ++i) pthread_create(&threads[i], NULL, use_until_closed, &users[i]);
    usleep(5000 + 3000 * (unsigned)round);
    OK(kist_close(db, KIST_CLOSE_REVOKE, &err));
    for (i = 0; i < USERS; ++i) {
      pthread_join(threads[i], NULL);
      assert_int_equal(users[i].last, KIST_E_CLOSED);
      assert_true(users[i].calls > 0);
      kist_iter_free(users[i].it);
      kist_snapshot_free(users[i].snapshot);
      kist_keyspace_free(users[i].ks);
    }
  }
}

/* A call that is inside for as long as the test wants. */
struct inside {
  kist_db* db;
  kist_rc verified, closed;
  uint32_t mode;
  int entered, let_go, close_ended; /* atomic */
};

static int32_t stay_inside(void* ctx, uint64_t done, uint64_t total) {
  struct inside* in = ctx;
  (void)done, (void)total;
  __atomic_store_n(&in->entered, 1, __ATOMIC_RELEASE);
  while (!__atomic_load_n(&in->let_go, __ATOMIC_ACQUIRE)) usleep(100);
  return 0;
}

static void* verify_inside(void* arg) {
  struct inside* in = arg;
  kist_job job = KIST_JOB_INIT;
  job.progress = stay_inside;
  job.ctx = in;
  in->verified = kist_verify(in->db, &job, NULL);
  return NULL;
}

static void* close_meanwhile(void* arg) {
  struct inside* in = arg;
  in->closed = kist_close(in->db, in->mode, NULL);
  __atomic_store_n(&in->close_ended, 1, __ATOMIC_RELEASE);
  return NULL;
}

static void close_modes__each_waits_for_a_call_that_runs(void** state) {
  uint32_t mode;
  (void)state;
  for (mode = KIST_CLOSE_STRICT; mode <= KIST_CLOSE_DEFER; ++mode) {
    char* path = new_path();
    struct inside in = {NULL, -1, -1, 0, 0, 0, 0};
    pthread_t verifier, closer;
    in.db = open_plain(path);
    in.mode = mode;
    put(kist_default(in.db), "a", "1");
    OK(kist_flush(in.db, &err));
    assert_int_equal(pthread_create(&verifier, NULL, verify_inside, &in), 0);
    while (!__atomic_load_n(&in.entered, __ATOMIC_ACQUIRE)) usleep(100);
    assert_int_equal(pthread_create(&closer, NULL, close_meanwhile, &in), 0);
    usleep(20000);
    assert_int_equal(__atomic_load_n(&in.close_ended, __ATOMIC_ACQUIRE), 0);
    assert_false(can_open(path));
    __atomic_store_n(&in.let_go, 1, __ATOMIC_RELEASE);
    pthread_join(verifier, NULL);
    pthread_join(closer, NULL);
    assert_true(in.verified == KIST_OK || in.verified == KIST_E_CLOSED);
    assert_int_equal(in.closed, KIST_OK);
    assert_true(can_open(path));
    drop_path(path);
  }
}

static void* free_later(void* arg) {
  struct children* c = arg;
  put(c->ks, "z", "9");
  free_children(c);
  return NULL;
}

struct waiting {
  kist_db* db;
  kist_rc rc;
};

static void* wait_durable(void* arg) {
  struct waiting* w = arg;
  w->rc = kist_wait_durable(w->db, kist_last_seq(w->db), -1, NULL);
  return NULL;
}

/* Who waits for the timer's sync is not waited for until the timer comes. */
static void close_modes__no_patience_is_waited_for(void** state) {
  char* path = new_path();
  const struct timespec moment = {0, 200000000};
  struct waiting w = {NULL, KIST_OK};
  kist_options* options = NULL;
  pthread_t thread;
  (void)state;
  OK(kist_options_new(&options));
  OK(kist_options_set(options, "sync", "interval:1h", &err));
  OK(kist_open(path, options, &w.db, &err));
  kist_options_free(options);
  put(kist_default(w.db), "key", "value");
  assert_int_equal(pthread_create(&thread, NULL, wait_durable, &w), 0);
  nanosleep(&moment, NULL);
  alarm(60);
  OK(kist_close(w.db, KIST_CLOSE_STRICT, &err));
  alarm(0);
  pthread_join(thread, NULL);
  assert_true(w.rc == KIST_OK || w.rc == KIST_E_CLOSED); /* where it had not begun */
  drop_path(path);
}

static void close_modes__defer_closes_in_the_last_free_of_any_thread(void** state) {
  int round;
  (void)state;
  for (round = 0; round < 20; ++round) {
    char* path = new_path();
    kist_db* db = open_plain(path);
    struct children c[3];
    pthread_t threads[3];
    int i;
    for (i = 0; i < 3; ++i) c[i] = make_children(db);
    for (i = 0; i < 3; ++i) pthread_create(&threads[i], NULL, free_later, &c[i]);
    OK(kist_close(db, KIST_CLOSE_DEFER, &err));
    for (i = 0; i < 3; ++i) pthread_join(threads[i], NULL);
    assert_true(can_open(path));
    drop_path(path);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(close_modes__strict_counts_children),
      cmocka_unit_test(close_modes__null_and_bad_modes),
      cmocka_unit_test(close_modes__revoke),
      cmocka_unit_test(close_modes__revoke_keeps_entries_that_point_into_tables),
      cmocka_unit_test(close_modes__defer),
      cmocka_unit_test(close_modes__defer_without_children_closes_now),
      cmocka_unit_test(close_modes__defer_holds_the_logger),
      cmocka_unit_test(close_modes__close_is_durable_in_each_mode),
      cmocka_unit_test(close_modes__revoke_waits_for_running_calls),
      cmocka_unit_test(close_modes__each_waits_for_a_call_that_runs),
      cmocka_unit_test(close_modes__no_patience_is_waited_for),
      cmocka_unit_test(close_modes__defer_closes_in_the_last_free_of_any_thread),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
