/* Durability: what each level promises at a kill, sequence numbers, waiting, the sync policies,
 * write-back. */
#include "support/tempdir.h"

#include <signal.h>
#include <sys/wait.h>

/* Runs `write` on a new database in a child that is killed afterwards, and opens what is left. */
static kist_db* after_kill(const char* path, const char* options, void (*write)(kist_db*)) {
  const pid_t child = fork();
  int status = 0;
  if (child == 0) {
    setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failure here ends the child */
    write(open_with(path, options));
    kill(getpid(), SIGKILL);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  return open_plain(path);
}

static void put_with(kist_db* db, const char* key, uint32_t durability) {
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  wo.durability = durability;
  if (kist_put(kist_default(db), &wo, key, strlen(key), "v", 1, NULL) != KIST_OK) _exit(1);
}

static int has(kist_db* db, const char* key) {
  return kist_exists(kist_default(db), NULL, key, strlen(key), NULL) == KIST_OK;
}

static void write_os(kist_db* db) {
  put_with(db, "os", KIST_DURABILITY_OS);
  if (!has(db, "os")) _exit(2);
}

static void write_default_never(kist_db* db) { put_with(db, "default", KIST_DURABILITY_DEFAULT); }

static void write_buffered(kist_db* db) {
  put_with(db, "buffered", KIST_DURABILITY_BUFFERED);
  if (!has(db, "buffered")) _exit(2); /* readers see it at once */
}

static void write_buffered_then_os(kist_db* db) {
  put_with(db, "first", KIST_DURABILITY_BUFFERED);
  put_with(db, "second", KIST_DURABILITY_OS);
}

static void write_buffered_then_sync(kist_db* db) {
  put_with(db, "first", KIST_DURABILITY_BUFFERED);
  if (kist_sync(db, NULL) != KIST_OK) _exit(3);
  put_with(db, "after", KIST_DURABILITY_BUFFERED);
}

static void write_buffered_then_wait(kist_db* db) {
  put_with(db, "first", KIST_DURABILITY_BUFFERED);
  if (kist_wait_durable(db, kist_last_seq(db), -1, NULL) != KIST_OK) _exit(3);
}

static void write_many_buffered(kist_db* db) {
  char key[16];
  int i;
  for (i = 0; i < 3000; ++i) {
    snprintf(key, sizeof key, "%05d", i);
    put_with(db, key, KIST_DURABILITY_BUFFERED);
  }
}

static void write_back_drained_by_time(kist_db* db) {
  put_with(db, "drained", KIST_DURABILITY_DEFAULT);
  usleep(400000);
}

static void durability__what_survives_a_kill(void** state) {
  static const struct {
    void (*write)(kist_db*);
    const char* key;
    int there;
  } cases[] = {
      {write_os, "os", 1},
      {write_default_never, "default", 1},
      {write_buffered_then_os, "first", 1},
      {write_buffered_then_os, "second", 1},
      {write_buffered_then_sync, "first", 1},
      {write_buffered_then_wait, "first", 1},
  };
  size_t i;
  (void)state;
  for (i = 0; i < sizeof cases / sizeof *cases; ++i) {
    char* path = new_path();
    kist_db* db = after_kill(path, "sync=never; write_back_interval=1h", cases[i].write);
    assert_int_equal(has(db, cases[i].key), cases[i].there);
    OK(kist_verify(db, NULL, &err));
    close_strict(db);
    drop_path(path);
  }
}

static void durability__buffered_ones_may_be_lost(void** state) {
  char* path = new_path();
  kist_db* db = after_kill(path, "sync=never; write_back_interval=1h", write_buffered);
  (void)state;
  assert_false(has(db, "buffered"));
  put(kist_default(db), "buffered", "again");
  close_strict(db);
  drop_path(path);
}

static void durability__what_survives_is_a_prefix(void** state) {
  char* path = new_path();
  kist_db* db = after_kill(path, "sync=never; write_back_interval=1h; write_back_size=16KiB",
                           write_many_buffered);
  char key[16];
  int i, count = 0;
  (void)state;
  while (count < 3000) {
    snprintf(key, sizeof key, "%05d", count);
    if (!has(db, key)) break;
    ++count;
  }
  assert_true(count > 0 && count < 3000); /* drained by size, the rest is lost */
  for (i = count; i < 3000; ++i) {
    snprintf(key, sizeof key, "%05d", i);
    assert_false(has(db, key));
  }
  close_strict(db);
  drop_path(path);
}

static void durability__write_back_is_drained_by_time(void** state) {
  char* path = new_path();
  kist_db* db =
      after_kill(path, "write_back=true; write_back_interval=20ms", write_back_drained_by_time);
  (void)state;
  assert_true(has(db, "drained"));
  close_strict(db);
  drop_path(path);
}

static void durability__close_makes_everything_durable(void** state) {
  char* path = new_path();
  kist_db* db = open_with(path, "write_back=true; write_back_interval=1h");
  (void)state;
  put(kist_default(db), "a", "1");
  put_with(db, "b", KIST_DURABILITY_BUFFERED);
  close_strict(db);
  db = open_plain(path);
  assert_true(has(db, "a") && has(db, "b"));
  close_strict(db);
  drop_path(path);
}

static void durability__sequence_numbers(void** state) {
  char* path = new_path();
  kist_db* db = open_plain(path);
  kist_batch* batch = NULL;
  uint64_t seq = 0, last;
  (void)state;
  put(kist_default(db), "a", "1");
  put(kist_default(db), "b", "2");
  last = kist_last_seq(db);
  assert_int_equal(last, 2);
  assert_true(kist_durable_seq(db) <= last);
  OK(kist_sync(db, &err));
  assert_int_equal(kist_durable_seq(db), last);
  put(kist_default(db), "c", "3");
  assert_true(kist_durable_seq(db) < kist_last_seq(db));
  put_with(db, "d", KIST_DURABILITY_SYNC);
  assert_int_equal(kist_durable_seq(db), kist_last_seq(db));
  OK(kist_batch_new(&batch));
  OK(kist_batch_put(batch, kist_default(db), "e", 1, "5", 1, 0, &err));
  OK(kist_write(db, NULL, batch, &seq, &err));
  assert_int_equal(seq, kist_last_seq(db));
  OK(kist_wait_durable(db, seq, -1, &err));
  assert_true(kist_durable_seq(db) >= seq);
  OK(kist_wait_durable(db, seq, 0, &err));
  OK(kist_wait_durable(db, 0, 0, &err));
  kist_batch_free(batch);
  close_strict(db);
  drop_path(path);
}

static void durability__waiting(void** state) {
  char* path = new_path();
  kist_db* db = open_plain(path);
  (void)state;
  put(kist_default(db), "a", "1");
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_RANGE,
               kist_wait_durable(db, kist_last_seq(db) + 1, -1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_RANGE, kist_wait_durable(db, UINT64_MAX, 0, &err));
  OK(kist_wait_durable(db, kist_last_seq(db), 10000, &err));
  OK(kist_sync(db, &err));
  OK(kist_sync(db, &err)); /* nothing to do is fine */
  close_strict(db);
  drop_path(path);
}

static void durability__sync_policies(void** state) {
  static const char* const always[] = {"sync=every_write", "sync=every_n:1"};
  char* path;
  kist_db* db;
  size_t i;
  int waited;
  (void)state;
  for (i = 0; i < 2; ++i) {
    path = new_path();
    db = open_with(path, always[i]);
    put(kist_default(db), "a", "1");
    assert_int_equal(kist_durable_seq(db), kist_last_seq(db));
    close_strict(db);
    drop_path(path);
  }
  path = new_path();
  db = open_with(path, "sync=every_n:5");
  for (i = 1; i <= 10; ++i) {
    put(kist_default(db), "a", "1");
    assert_int_equal(kist_durable_seq(db), i - i % 5);
  }
  OK(kist_set_option(db, "sync", "interval:10ms", &err));
  put(kist_default(db), "a", "1");
  for (waited = 0; kist_durable_seq(db) < kist_last_seq(db) && waited < 1000; ++waited)
    usleep(10000);
  assert_int_equal(kist_durable_seq(db), kist_last_seq(db));
  OK(kist_set_option(db, "sync", "hybrid:3:1h", &err));
  for (i = 0; i < 7; ++i) {
    put(kist_default(db), "a", "1");
    assert_true(kist_last_seq(db) - kist_durable_seq(db) < 3);
  }
  OK(kist_set_option(db, "sync", "never", &err));
  put(kist_default(db), "a", "1");
  usleep(50000);
  assert_true(kist_durable_seq(db) < kist_last_seq(db));
  close_strict(db);
  drop_path(path);
}

/* every_n counts what is not durable: a sync of any kind begins it anew. */
static void durability__every_n_counts_from_the_last_sync(void** state) {
  char* path = new_path();
  kist_db* db = open_with(path, "sync=every_n:4");
  uint64_t synced;
  int i;
  (void)state;
  for (i = 0; i < 3; ++i) put(kist_default(db), "a", "1");
  OK(kist_sync(db, &err));
  synced = kist_last_seq(db);
  assert_int_equal(kist_durable_seq(db), synced);
  for (i = 0; i < 3; ++i) put(kist_default(db), "a", "2");
  assert_int_equal(kist_durable_seq(db), synced);
  put(kist_default(db), "a", "3");
  assert_int_equal(kist_durable_seq(db), kist_last_seq(db));
  close_strict(db);
  drop_path(path);
}

static void durability__flush_makes_durable(void** state) {
  char* path = new_path();
  kist_db* db = open_plain(path);
  uint64_t seq;
  (void)state;
  put(kist_default(db), "a", "1");
  seq = kist_last_seq(db);
  OK(kist_flush(db, &err));
  assert_true(kist_durable_seq(db) >= seq);
  put(kist_default(db), "b", "1");
  seq = kist_last_seq(db);
  {
    kist_keyspace* ks = NULL;
    OK(kist_keyspace_open(db, "k", KIST_KEYSPACE_CREATE, NULL, &ks, &err));
    kist_keyspace_free(ks);
  }
  assert_true(kist_durable_seq(db) > seq); /* creating a keyspace is durable, and all before it */
  OK(kist_keyspace_drop(db, "k", &err));
  assert_int_equal(kist_durable_seq(db), kist_last_seq(db));
  close_strict(db);
  drop_path(path);
}

/* What changes nothing is no commit, but those before it are as safe as behind any other write. */
static void durability__of_a_write_that_changes_nothing(void** state) {
  char* path = new_path();
  kist_db* db = open_with(path, "sync=never");
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  kist_batch* batch = NULL;
  uint64_t seq = 0;
  (void)state;
  OK(kist_batch_new(&batch));
  put_with(db, "a", KIST_DURABILITY_BUFFERED);
  OK(kist_write(db, NULL, batch, &seq, &err)); /* with the system, which is this option's way */
  assert_int_equal(seq, 1);
  assert_int_equal(kist_durable_seq(db), 0);
  wo.durability = KIST_DURABILITY_SYNC;
  OK(kist_write(db, &wo, batch, &seq, &err));
  assert_int_equal(seq, 1);
  assert_int_equal(kist_durable_seq(db), 1);
  put_with(db, "b", KIST_DURABILITY_BUFFERED);
  OK(kist_delete_range(kist_default(db), &wo, "k", 1, "k", 1, &err));
  assert_int_equal(kist_last_seq(db), 2);
  assert_int_equal(kist_durable_seq(db), 2);
  put_with(db, "c", KIST_DURABILITY_BUFFERED);
  wo.durability = KIST_DURABILITY_BUFFERED;
  OK(kist_write(db, &wo, batch, &seq, &err));
  assert_int_equal(kist_durable_seq(db), 2);
  kist_batch_free(batch);
  close_strict(db);
  drop_path(path);
}

static void durability__bad_handles(void** state) {
  (void)state;
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_sync(NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_wait_durable(NULL, 0, 0, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_flush(NULL, &err));
  assert_int_equal(kist_last_seq(NULL), 0);
  assert_int_equal(kist_durable_seq(NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(durability__what_survives_a_kill),
      cmocka_unit_test(durability__buffered_ones_may_be_lost),
      cmocka_unit_test(durability__what_survives_is_a_prefix),
      cmocka_unit_test(durability__write_back_is_drained_by_time),
      cmocka_unit_test(durability__close_makes_everything_durable),
      cmocka_unit_test(durability__sequence_numbers),
      cmocka_unit_test(durability__waiting),
      cmocka_unit_test(durability__sync_policies),
      cmocka_unit_test(durability__every_n_counts_from_the_last_sync),
      cmocka_unit_test(durability__flush_makes_durable),
      cmocka_unit_test(durability__of_a_write_that_changes_nothing),
      cmocka_unit_test(durability__bad_handles),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
