/* A process without descriptors or address space left: calls fail or go on, nothing crashes, and
 * what was acknowledged is there once there are some again. Each case is a child of its own.
 * Threads and single allocations are fault/starved_test.c's. */
#include "support/tempdir.h"

#include <sys/resource.h>
#include <sys/wait.h>

#define KEYS 60

static void limit(int what, rlim_t most) {
  struct rlimit r;
  if (getrlimit(what, &r) != 0) _exit(90);
  r.rlim_cur = most;
  if (setrlimit(what, &r) != 0) _exit(91);
}

/* Writes, flushes and reads with what there is; the exit code is the number of keys taken. */
static void work(const char* path, int what, rlim_t most) {
  struct rlimit before;
  kist_options* options = NULL;
  kist_db* db = NULL;
  kist_err err = KIST_ERR_INIT;
  int i, taken = 0;
  char key[16], value[300];
  kist_rc rc;
  if (getrlimit(what, &before) != 0) _exit(92);
  if (kist_options_new(&options) != KIST_OK ||
      kist_options_parse(options, "memory_budget=4MiB; write_buffer_size=64KiB; cache_size=0",
                         &err) != KIST_OK)
    _exit(93);
  limit(what, most);
  rc = kist_open(path, options, &db, &err);
  if (rc != KIST_OK) {
    if (rc != KIST_E_IO && rc != KIST_E_NOMEM) fprintf(stderr, "open: %s\n", err.message);
    limit(what, before.rlim_cur);
    if (db != NULL || kist_open(path, options, &db, &err) != KIST_OK) _exit(94);
  }
  memset(value, 'v', sizeof value);
  for (i = 0; i < KEYS; ++i) {
    snprintf(key, sizeof key, "k%03d", taken);
    rc = kist_put(kist_default(db), NULL, key, 4, value, sizeof value, &err);
    if (rc == KIST_OK) ++taken;
    if (rc == KIST_E_CORRUPT || rc == KIST_E_INTERNAL) _exit(95);
    if (i % 10 == 9) rc = kist_flush(db, &err);
    if (rc == KIST_E_CORRUPT || rc == KIST_E_INTERNAL) _exit(96);
    rc = kist_get(kist_default(db), NULL, "k000", 4, value, sizeof value, NULL, &err);
    if (rc == KIST_NOT_FOUND && taken > 0) _exit(97); /* never: an error, or the value */
    memset(value, 'v', sizeof value);
  }
  limit(what, before.rlim_cur);
  kist_close(db, KIST_CLOSE_REVOKE, &err);
  _exit(taken);
}

static void check(int what, rlim_t most) {
  char* path = new_path();
  kist_db* db;
  int status = 0, taken, i;
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) work(path, what, most);
  assert_int_equal(waitpid(child, &status, 0), child);
  if (!WIFEXITED(status) || WEXITSTATUS(status) > KEYS)
    fail_msg("limit %llu: status %x", (unsigned long long)most, status);
  taken = WEXITSTATUS(status);
  db = open_plain(path);
  for (i = 0; i < taken; ++i) {
    char key[16], value[300];
    snprintf(key, sizeof key, "k%03d", i);
    OK(kist_get(kist_default(db), NULL, key, 4, value, sizeof value, NULL, &err));
    assert_int_equal(value[299], 'v');
  }
  OK(kist_verify(db, NULL, &err));
  close_strict(db);
  drop_path(path);
}

static void exhausted__descriptors(void** state) {
  rlim_t most;
  (void)state;
  for (most = 3; most < 24; ++most) check(RLIMIT_NOFILE, most);
}

/* Copies need more of them: an error that leaves nothing behind, then the same call works. */
static void exhausted__descriptors_of_copies(void** state) {
  struct rlimit before;
  rlim_t most;
  int refused = 1;
  (void)state;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  for (most = 6; refused > 0; ++most) {
    char *path = new_path(), copy[4200], target[4200], restored[4200];
    kist_db* db = open_plain(path);
    kist_stream* stream = NULL;
    kist_rc checkpoint, backup, restore, start;
    assert_true(most < 100);
    snprintf(copy, sizeof copy, "%s.copy", path);
    snprintf(target, sizeof target, "%s.target", path);
    snprintf(restored, sizeof restored, "%s.restored", path);
    put(kist_default(db), "a", "1");
    OK(kist_flush(db, &err));
    put(kist_default(db), "b", "2");
    limit(RLIMIT_NOFILE, most);
    checkpoint = kist_checkpoint(db, copy, NULL);
    backup = kist_backup(db, target, NULL, NULL, NULL);
    restore = backup == KIST_OK ? kist_restore(target, restored, NULL, NULL, NULL, NULL) : backup;
    start = kist_stream_start(db, target, NULL, &stream, NULL);
    limit(RLIMIT_NOFILE, before.rlim_cur);
    refused = (checkpoint != KIST_OK) + (backup != KIST_OK) + (restore != KIST_OK);
    if (checkpoint != KIST_OK) {
      assert_int_equal(checkpoint, KIST_E_IO);
      OK(kist_checkpoint(db, copy, &err));
    }
    if (backup != KIST_OK) {
      assert_int_equal(backup, KIST_E_IO);
      OK(kist_backup(db, target, NULL, NULL, &err));
    }
    if (restore != KIST_OK) {
      assert_int_equal(restore, KIST_E_IO);
      OK(kist_restore(target, restored, NULL, NULL, NULL, &err));
    }
    if (start != KIST_OK) {
      assert_int_equal(start, KIST_E_IO);
      OK(kist_stream_start(db, target, NULL, &stream, &err));
    }
    OK(kist_stream_wait(stream, kist_last_seq(db), -1, &err)); /* it has tried again */
    OK(kist_stream_stop(stream, -1, &err));
    close_strict(db);
    db = open_plain(copy);
    expect(kist_default(db), NULL, "b", "2");
    close_strict(db);
    db = open_plain(restored);
    expect(kist_default(db), NULL, "b", "2");
    close_strict(db);
    drop_path(path);
  }
}

static void exhausted__address_space(void** state) {
  rlim_t most;
  (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  print_message("the sanitizer needs the address space itself\n");
  skip();
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
  print_message("the sanitizer needs the address space itself\n");
  skip();
#endif
#endif
  for (most = 16; most <= 256; most += 12) check(RLIMIT_AS, most << 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exhausted__descriptors),
      cmocka_unit_test(exhausted__descriptors_of_copies),
      cmocka_unit_test(exhausted__address_space),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
