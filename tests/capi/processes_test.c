/* A database and processes: races to open it, owners that are killed, other names of its path, a
 * working directory that changes, children that run other programs, libraries that are let go while
 * threads run, ends without a close. */
#include "support/tempdir.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#define RACERS 8
#define ROUNDS 40

static int end_of(pid_t child) {
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  return status;
}

static void expect_exit(pid_t child, int code) {
  const int status = end_of(child);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
    fail_msg("the child ended with status %x, wanted exit code %d", status, code);
}

/* Opens until it has had the database `ROUNDS` times; each time it adds 1 to the number in it. */
static void race(const char* path) {
  int had = 0;
  while (had < ROUNDS) {
    kist_db* db = NULL;
    kist_err err = KIST_ERR_INIT;
    uint64_t n = 0;
    size_t len = 0;
    const kist_rc rc = kist_open(path, NULL, &db, &err);
    if (rc == KIST_E_LOCKED) {
      if (db != NULL) _exit(2);
      usleep(200);
      continue;
    }
    if (rc != KIST_OK) {
      fprintf(stderr, "open: %s\n", err.message);
      _exit(3);
    }
    if (kist_get(kist_default(db), NULL, "n", 1, &n, sizeof n, &len, &err) < 0) _exit(4);
    ++n;
    if (kist_put(kist_default(db), NULL, "n", 1, &n, sizeof n, &err) != KIST_OK) _exit(5);
    if (had % 8 == 7) raise(SIGKILL); /* the lock dies with it; its parent counts it as done */
    if (kist_close(db, KIST_CLOSE_STRICT, &err) != KIST_OK) _exit(6);
    ++had;
  }
  _exit(0);
}

static void processes__eight_race_to_open(void** state) {
  char* path = new_path();
  pid_t racers[RACERS];
  uint64_t n = 0;
  size_t len = 0;
  kist_db* db;
  int i;
  (void)state;
  close_strict(open_plain(path));
  for (i = 0; i < RACERS; ++i) {
    racers[i] = fork();
    assert_true(racers[i] >= 0);
    if (racers[i] == 0) race(path);
  }
  for (i = 0; i < RACERS; ++i) {
    const int status = end_of(racers[i]);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) fail_msg("status %x", status);
  }
  db = open_plain(path);
  OK(kist_get(kist_default(db), NULL, "n", 1, &n, sizeof n, &len, &err));
  assert_int_equal(n, RACERS * 8); /* each was killed at its eighth time */
  OK(kist_verify(db, NULL, &err));
  close_strict(db);
  drop_path(path);
}

static void processes__a_killed_owner_lets_go(void** state) {
  char* path = new_path();
  int i;
  (void)state;
  for (i = 0; i < 5; ++i) {
    int ready[2];
    char c = 0;
    kist_db* db = NULL;
    pid_t child;
    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
      db = open_plain(path);
      put(kist_default(db), "k", "v");
      if (write(ready[1], "x", 1) != 1) _exit(9);
      for (;;) pause();
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    ASSERT_RC(KIST_E_LOCKED, kist_open(path, NULL, &db, &err));
    ASSERT_RC(KIST_E_LOCKED, kist_destroy(path, &err));
    assert_int_equal(kill(child, SIGKILL), 0);
    end_of(child);
    db = open_plain(path);
    expect(kist_default(db), NULL, "k", "v");
    close_strict(db);
    close(ready[0]);
    close(ready[1]);
  }
  drop_path(path);
}

static void processes__one_database_by_many_names(void** state) {
  char* path = new_path();
  char link_path[4096], through[4096];
  kist_db *db, *other = NULL;
  (void)state;
  db = open_plain(path);
  snprintf(link_path, sizeof link_path, "%s.link", path);
  assert_int_equal(symlink(path, link_path), 0);
  ASSERT_RC(KIST_E_LOCKED, kist_open(link_path, NULL, &other, &err));
  snprintf(through, sizeof through, "%s/../%s", path, strrchr(path, '/') + 1);
  ASSERT_RC(KIST_E_LOCKED, kist_open(through, NULL, &other, &err));
  put(kist_default(db), "k", "v");
  close_strict(db);
  OK(kist_open(link_path, NULL, &db, &err));
  expect(kist_default(db), NULL, "k", "v");
  ASSERT_RC(KIST_E_LOCKED, kist_open(path, NULL, &other, &err));
  /* The name moves on to something else: the database is the directory that was opened. */
  OK(kist_flush(db, &err));
  close_strict(db);
  drop_path(path);
}

static int opens_here(const char* path) {
  kist_db* db = NULL;
  const kist_rc rc = kist_open(path, NULL, &db, NULL);
  if (rc == KIST_OK) kist_close(db, KIST_CLOSE_STRICT, NULL);
  return rc == KIST_OK ? 0 : rc == KIST_E_LOCKED ? 1 : 2;
}

static void expect_elsewhere(const char* path, int code) {
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) _exit(opens_here(path));
  expect_exit(child, code);
}

/* Whoever opens the lock's file, unlocks what he has not locked and closes it, a program that
 * copies files for example, frees nothing. */
static void processes__no_other_descriptor_frees_the_lock(void** state) {
  char* path = new_path();
  char lock[4200];
  kist_db* db = open_plain(path);
  int way;
  (void)state;
  snprintf(lock, sizeof lock, "%s/LOCK", path);
  for (way = 0; way < 2; ++way) {
    struct flock all;
    const int fd = open(lock, way == 0 ? O_RDONLY : O_RDWR);
    assert_true(fd >= 0);
    memset(&all, 0, sizeof all);
    all.l_type = F_UNLCK;
    assert_int_equal(fcntl(fd, F_SETLK, &all), 0);
    assert_int_equal(flock(fd, LOCK_UN), 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(opens_here(path), 1);
    expect_elsewhere(path, 1);
  }
  ASSERT_RC(KIST_E_LOCKED, kist_destroy(path, &err));
  assert_int_equal(access(lock, F_OK), 0);
  close_strict(db);
  assert_int_equal(access(lock, F_OK), 0); /* never unlinked by who lets go */
  expect_elsewhere(path, 0);
  drop_path(path);
}

static void processes__a_relative_path_and_another_directory(void** state) {
  char* path = new_path();
  char before[4096], parent[4096];
  kist_db* db = NULL;
  int i;
  (void)state;
  assert_non_null(getcwd(before, sizeof before));
  snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path);
  assert_int_equal(chdir(parent), 0);
  OK(kist_open("db", NULL, &db, &err));
  assert_int_equal(chdir("/"), 0);
  for (i = 0; i < 20; ++i) {
    char key[16];
    snprintf(key, sizeof key, "k%d", i);
    put(kist_default(db), key, "v");
    OK(kist_flush(db, &err));
  }
  OK(kist_compact(kist_default(db), NULL, 0, NULL, 0, NULL, &err));
  OK(kist_verify(db, NULL, &err));
  expect(kist_default(db), NULL, "k7", "v");
  close_strict(db);
  db = open_plain(path);
  expect(kist_default(db), NULL, "k19", "v");
  OK(kist_verify(db, NULL, &err));
  close_strict(db);
  assert_int_equal(chdir(before), 0);
  drop_path(path);
}

/* A program that a child runs inherits none of the descriptors, nor the lock. */
static void processes__descriptors_close_on_exec(void** state) {
  char* path = new_path();
  char script[4300];
  kist_db* db = open_plain(path);
  pid_t child;
  (void)state;
  put(kist_default(db), "k", "v");
  OK(kist_flush(db, &err));
  expect(kist_default(db), NULL, "k", "v"); /* a table is open */
  snprintf(script, sizeof script,
           "for f in /proc/self/fd/*; do case $(readlink $f) in %s/*) exit 7;; esac; done; exit 0",
           path);
  child = fork();
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", script, (char*)NULL);
    _exit(8);
  }
  expect_exit(child, 0);
  child = fork();
  if (child == 0) {
    execl("/bin/sleep", "sleep", "100", (char*)NULL);
    _exit(8);
  }
  close_strict(db);
  db = open_plain(path); /* although the child lives */
  close_strict(db);
  kill(child, SIGKILL);
  end_of(child);
  drop_path(path);
}

static void* write_for_ever(void* arg) {
  kist_db* db = arg;
  uint64_t i;
  for (i = 0;; ++i) {
    kist_err err = KIST_ERR_INIT;
    if (kist_put(kist_default(db), NULL, &i, sizeof i, &i, sizeof i, &err) != KIST_OK) return NULL;
  }
}

/* exit() while engine threads and writers run: no crash, and what was acknowledged is there. */
static void processes__exit_without_close(void** state) {
  char* path = new_path();
  int how;
  (void)state;
  for (how = 0; how < 3; ++how) {
    kist_db* db;
    const pid_t child = fork();
    if (child == 0) {
      pthread_t writer;
      db = open_with(path, "sync=never; memory_budget=4MiB; write_buffer_size=64KiB");
      put(kist_default(db), "k", "v");
      if (pthread_create(&writer, NULL, write_for_ever, db) != 0) _exit(9);
      usleep(30000);
      put(kist_default(db), "last", "v");
      if (how == 1) _exit(0);
      if (how == 2) quick_exit(0);
      exit(0);
    }
    expect_exit(child, 0);
    db = open_plain(path);
    expect(kist_default(db), NULL, "k", "v");
    expect(kist_default(db), NULL, "last", "v");
    OK(kist_verify(db, NULL, &err));
    close_strict(db);
  }
  drop_path(path);
}

/* The library that this program is linked with, by its own name, let go again and again while its
 * threads run and after they have ended. */
static void processes__the_library_let_go_while_threads_run(void** state) {
  char* path = new_path();
  Dl_info info;
  int i;
  (void)state;
  assert_true(dladdr((void*)(uintptr_t)&kist_open, &info) != 0);
  for (i = 0; i < 20; ++i) {
    void* library = dlopen(info.dli_fname, RTLD_NOW | RTLD_LOCAL);
    kist_rc (*open_db)(const char*, const kist_options*, kist_db**, kist_err*) = NULL;
    kist_db* db = NULL;
    if (library == NULL) {
      print_message("linked statically: there is no library to let go\n");
      skip();
      return;
    }
    *(void**)&open_db = dlsym(library, "kist_open");
    assert_non_null(open_db);
    OK(open_db(path, NULL, &db, &err));
    assert_int_equal(dlclose(library), 0);
    put(kist_default(db), "k", "v");
    OK(kist_flush(db, &err));
    close_strict(db);
  }
  drop_path(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(processes__eight_race_to_open),
      cmocka_unit_test(processes__a_killed_owner_lets_go),
      cmocka_unit_test(processes__one_database_by_many_names),
      cmocka_unit_test(processes__no_other_descriptor_frees_the_lock),
      cmocka_unit_test(processes__a_relative_path_and_another_directory),
      cmocka_unit_test(processes__descriptors_close_on_exec),
      cmocka_unit_test(processes__exit_without_close),
      cmocka_unit_test(processes__the_library_let_go_while_threads_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
