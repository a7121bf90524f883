/* A consumer of the feed that is killed at any time, as its writer is: it resumes from the sequence
 * number that it saved last and sees every later commit once, in order, over segment switches and
 * reopening. KIST_KILLS sets how many rounds there are. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support/tempdir.h"

/* The consumer's own store: a file of (sequence, number) pairs, each written by one append. */
typedef struct {
  uint64_t seq;
  uint64_t number;
} entry;

static uint64_t load(const char* path, uint64_t* next_number) {
  entry e, last = {0, 0};
  const int fd = open(path, O_RDONLY);
  uint64_t expected = 0;
  while (fd >= 0 && read(fd, &e, sizeof e) == (ssize_t)sizeof e) {
    assert_true(e.seq > last.seq);
    assert_int_equal(e.number, expected); /* once each, in order, none left out */
    ++expected;
    last = e;
  }
  if (fd >= 0) close(fd);
  *next_number = expected;
  return last.seq;
}

/* Commit number n puts key n; the feed's batch has one operation with it. */
static uint64_t number_of(kist_slice packed) {
  uint64_t number = 0;
  const char* p = packed.data;
  assert_true(packed.len >= 8 + 16 + 8);
  memcpy(&number, p + 8 + 16, 8);
  return number;
}

static void* consume(void* arg) {
  const char* saved = ((const char**)arg)[0];
  kist_db* db = (kist_db*)(void*)((char**)arg)[1];
  const int fd = open(saved, O_WRONLY | O_CREAT | O_APPEND, 0600);
  kist_feed* feed = NULL;
  uint64_t next = 0;
  const uint64_t from = load(saved, &next);
  OK(kist_feed_open(db, from, &feed, &err));
  for (;;) {
    entry e = {0, 0};
    kist_slice packed;
    const kist_rc rc = kist_feed_next(feed, 20, &e.seq, NULL, &packed, NULL);
    if (rc == KIST_DONE) continue;
    assert_int_equal(rc, KIST_OK);
    e.number = number_of(packed);
    if (write(fd, &e, sizeof e) != (ssize_t)sizeof e) abort();
  }
  return NULL;
}

static void live(const char* path, const char* saved) {
  kist_db* db = open_with(path,
                          "sync=never; memory_budget=4MiB; write_buffer_size=64KiB; "
                          "log_retention=1GiB");
  const char* arg[2] = {saved, (const char*)(void*)db};
  kist_iter* it = NULL;
  pthread_t consumer;
  uint64_t number = 0;
  char value[600];
  kist_slice key;
  OK(kist_iter_new(kist_default(db), NULL, &it, &err)); /* what the last life has committed */
  while (kist_iter_next(it, NULL) == KIST_OK) {
    assert_int_equal(kist_iter_entry(it, &key, NULL), KIST_OK);
    ++number;
  }
  kist_iter_free(it);
  memset(value, 'v', sizeof value);
  assert_int_equal(pthread_create(&consumer, NULL, consume, arg), 0);
  for (;; ++number) { /* big values, so that segments change every hundred commits */
    kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
    wo.durability = number % 50 == 0 ? KIST_DURABILITY_SYNC : KIST_DURABILITY_OS;
    OK(kist_put(kist_default(db), &wo, &number, 8, value, number % sizeof value, &err));
    if (number % 20 == 0) usleep(500);
  }
}

/* Until the file of what was seen has grown, however slow the machine is, or the child has ended.
 */
static void wait_for_progress(pid_t child, const char* saved, off_t before) {
  struct stat found = {0};
  siginfo_t ended;
  for (;;) {
    if (stat(saved, &found) == 0 && found.st_size > before) return;
    ended.si_pid = 0;
    if (waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT) != 0) return;
    if (ended.si_pid != 0) return;
    usleep(1000);
  }
}

static void feed_kill__every_commit_once(void** state) {
  const char* kills = getenv("KIST_KILLS");
  const int rounds = kills != NULL ? atoi(kills) : 12;
  char* path = new_path();
  char saved[4200];
  uint64_t seen = 0, first = 0;
  int round, status;
  (void)state;
  snprintf(saved, sizeof saved, "%s.saved", path);
  for (round = 0; round < rounds; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      setenv("CMOCKA_TEST_ABORT", "1", 1);
      live(path, saved);
    }
    if (round % 4 != 3) wait_for_progress(child, saved, (off_t)(first * sizeof(entry)));
    usleep((useconds_t)(round * 7919 % 90000));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) fail_msg("round %d failed", round);
    load(saved, &seen);
    assert_true(seen >= first);
    first = seen;
  }
  print_message("%llu commits seen over %d kills\n", (unsigned long long)seen, rounds);
  assert_true(seen > 0);
  drop_path(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(feed_kill__every_commit_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
