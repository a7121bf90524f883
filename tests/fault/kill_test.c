/* A real process, killed with SIGKILL at a random moment, again and again on one database: promises
 * G2 and G3.
 *
 * The child writes commit 1, 2, 3, ... Commit n is one batch: it puts "n" -> n, "a/<n>" and
 * "b/<n>", and deletes "a/<n-300>"; each 1000th deletes the range of "b/" up to 5000 before it. So
 * the state after exactly n commits is known, stays small however many kills there are, and one
 * that is not a prefix shows. The child notes in shared memory what was acknowledged. KIST_SEED
 * repeats a run, KIST_KILLS sets the number of kills.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above first. */
#include <cmocka.h>
#include <kist/kist.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WINDOW 300     /* the life of an "a/" key, in commits */
#define VALUE_MAX 6000 /* larger than a block */
#define TRIM 1000      /* commits between two range deletes */
#define KEPT 5000      /* "b/" keys that one leaves */
#define MANY 500       /* kills from which on each is made cheap */

static uint64_t Mix(uint64_t x) { /* a random number that belongs to x */
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static size_t ValueOf(uint64_t n, char* value) {
  size_t len = Mix(n) % 20 == 0 ? Mix(n + 1) % VALUE_MAX : Mix(n + 1) % 200;
  for (size_t i = 0; i < len; ++i) value[i] = (char)Mix(n ^ (i / 8 * 77));
  return len;
}

static kist_db* Open(const char* path, const char* text, kist_err* err) {
  kist_options* options = NULL;
  kist_db* db = NULL;
  if (kist_options_new(&options) != KIST_OK) return NULL;
  if (kist_options_parse(options, text, err) == KIST_OK) kist_open(path, options, &db, err);
  kist_options_free(options);
  return db;
}

/* The first "b/" key after n commits. */
static uint64_t FirstB(uint64_t n) { return n / TRIM * TRIM > KEPT ? n / TRIM * TRIM - KEPT : 1; }

/* The child: never returns. */
static void WriteForEver(const char* path, const char* options, uint64_t n,
                         volatile uint64_t* acked) {
  kist_err err = KIST_ERR_INIT;
  kist_db* db = Open(path, options, &err);
  kist_keyspace* ks;
  kist_batch* batch = NULL;
  static char value[VALUE_MAX];

  if (db == NULL) fprintf(stderr, "open: %s\n", err.message);
  if (db == NULL || kist_batch_new(&batch) != KIST_OK) _exit(1);
  for (ks = kist_default(db);; ++n) {
    char a[32], b[32], old[32];
    size_t len = ValueOf(n, value);
    int a_len = snprintf(a, sizeof(a), "a/%012llu", (unsigned long long)n);
    int b_len = snprintf(b, sizeof(b), "b/%012llu", (unsigned long long)n);

    kist_batch_clear(batch);
    if (kist_batch_put(batch, ks, a, (size_t)a_len, value, len, 0, &err) != KIST_OK ||
        kist_batch_put(batch, ks, "n", 1, &n, sizeof(n), 0, &err) != KIST_OK ||
        kist_batch_put(batch, ks, b, (size_t)b_len, value, len, 0, &err) != KIST_OK)
      _exit(2);
    if (n > WINDOW) {
      int old_len = snprintf(old, sizeof(old), "a/%012llu", (unsigned long long)(n - WINDOW));
      if (kist_batch_delete(batch, ks, old, (size_t)old_len, &err) != KIST_OK) _exit(3);
    }
    if (n % TRIM == 0 && n > KEPT) {
      int end_len = snprintf(old, sizeof(old), "b/%012llu", (unsigned long long)FirstB(n));
      if (kist_batch_delete_range(batch, ks, "b/", 2, old, (size_t)end_len, &err) != KIST_OK)
        _exit(7);
    }
    if (kist_write(db, NULL, batch, NULL, &err) != KIST_OK) _exit(4);
    *acked = n;
    if (Mix(n) % 500 == 0 && kist_flush(db, &err) != KIST_OK) _exit(5);
    if (Mix(n) % 3000 == 1 && kist_compact(ks, NULL, 0, NULL, 0, NULL, &err) != KIST_OK) _exit(6);
  }
}

/* The entries with this prefix are exactly those of first..last, byte for byte. */
static void CheckRange(kist_keyspace* ks, char prefix, uint64_t first, uint64_t last) {
  kist_err err = KIST_ERR_INIT;
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_iter* iter = NULL;
  kist_slice key, val;
  static char value[VALUE_MAX];
  char want[32];
  uint64_t n = first;

  io.prefix.data = &prefix;
  io.prefix.len = 1;
  assert_int_equal(kist_iter_new(ks, &io, &iter, &err), KIST_OK);
  while (kist_iter_next(iter, &err) == KIST_OK) {
    size_t len = (size_t)snprintf(want, sizeof(want), "%c/%012llu", prefix, (unsigned long long)n);
    assert_int_equal(kist_iter_entry(iter, &key, &val), KIST_OK);
    if (key.len != len || memcmp(key.data, want, len) != 0)
      fail_msg("found %.*s, wanted %s", (int)key.len, (const char*)key.data, want);
    assert_int_equal(val.len, ValueOf(n, value));
    assert_memory_equal(val.data, value, val.len);
    ++n;
  }
  if (err.code != KIST_OK) fail_msg("%s", err.message);
  kist_iter_free(iter);
  assert_int_equal(n, last + 1);
}

/* The state is that after exactly some commit, whose number it returns. */
static uint64_t Check(const char* path, int verify) {
  kist_err err = KIST_ERR_INIT;
  kist_db* db = NULL;
  uint64_t n = 0;
  size_t len = 0;
  kist_rc rc;

  if (kist_open(path, NULL, &db, &err) != KIST_OK) fail_msg("open: %s", err.message);
  rc = kist_get(kist_default(db), NULL, "n", 1, &n, sizeof(n), &len, &err);
  if (rc < 0) fail_msg("get: %s", err.message);
  CheckRange(kist_default(db), 'a', n > WINDOW ? n - WINDOW + 1 : 1, n);
  CheckRange(kist_default(db), 'b', n != 0 ? FirstB(n) : 1, n);
  if (verify && kist_verify(db, NULL, &err) != KIST_OK) fail_msg("verify: %s", err.message);
  if (kist_close(db, KIST_CLOSE_STRICT, &err) != KIST_OK) fail_msg("close: %s", err.message);
  return n;
}

/* Kills `rounds` times. What a kill may lose: nothing that was acknowledged, or, buffered, any
 * tail. */
static void KillLoop(const char* options, int buffered, uint64_t rounds) {
  char path[] = "/tmp/kist-kill-XXXXXX";
  kist_err err = KIST_ERR_INIT;
  const char* given = getenv("KIST_SEED");
  uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
  uint64_t n = 0, lost = 0, round;
  volatile uint64_t* acked =
      mmap(NULL, sizeof(*acked), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  print_message("%s: KIST_SEED=%llu\n", options, (unsigned long long)seed);
  assert_ptr_not_equal(acked, MAP_FAILED);
  assert_non_null(mkdtemp(path));
  if (getenv("KIST_KILLS") != NULL) rounds = strtoull(getenv("KIST_KILLS"), NULL, 10);
  for (round = 0; round < rounds; ++round) {
    uint64_t kept;
    int status;
    pid_t child;

    *acked = n;
    child = fork();
    assert_true(child >= 0);
    if (child == 0) WriteForEver(path, options, n + 1, acked);
    /* Every other time anywhere in opening, else after the first commit. */
    for (int ms = 0; round % 2 == 1 && *acked == n && ms < 30000; ++ms) usleep(1000);
    usleep((useconds_t)(Mix(seed + round) % (rounds < MANY ? 60000 : 12000)));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) fail_msg("the writer failed at step %d", WEXITSTATUS(status));

    kept = Check(path, rounds < MANY || round % 16 == 0);
    if (kept > *acked + 1) fail_msg("commit %llu was never made", (unsigned long long)kept);
    if (kept < (buffered ? n : *acked))
      fail_msg("%llu was acknowledged, %llu is there", (unsigned long long)*acked,
               (unsigned long long)kept);
    lost += *acked > kept ? *acked - kept : 0;
    n = kept;
  }
  print_message("%llu kills, %llu commits, %llu acknowledged ones lost\n",
                (unsigned long long)rounds, (unsigned long long)n, (unsigned long long)lost);
  assert_int_equal(kist_destroy(path, &err), KIST_OK);
  rmdir(path);
  munmap((void*)acked, sizeof(*acked));
}

static void kill__synced_commits_survive(void** state) {
  (void)state;
  KillLoop("sync=every_write; memory_budget=4MiB; write_buffer_size=64KiB", 0, 15);
}

static void kill__unsynced_commits_survive(void** state) {
  (void)state;
  KillLoop("sync=never; memory_budget=4MiB; write_buffer_size=256KiB", 0, 15);
}

static void kill__interval_commits_survive(void** state) {
  (void)state;
  KillLoop(
      "sync=interval:5ms; wal_compression=snappy; memory_budget=4MiB; write_buffer_size=128KiB", 0,
      10);
}

static void kill__buffered_commits_leave_a_prefix(void** state) {
  (void)state;
  KillLoop("write_back=true; write_back_interval=5ms; memory_budget=4MiB; write_buffer_size=128KiB",
           1, 15);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(kill__synced_commits_survive),
      cmocka_unit_test(kill__unsynced_commits_survive),
      cmocka_unit_test(kill__interval_commits_survive),
      cmocka_unit_test(kill__buffered_commits_leave_a_prefix),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
