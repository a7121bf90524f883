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
      cmocka_unit_test(exhausted__address_space),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
