/* The whole process without memory or threads (promise G20). This program's own malloc, operator
 * new's malloc included, calloc, realloc and their kin, mmap and pthread_create stand before the C
 * library's: the Nth call fails, once, or it and all later ones for a while. Each run is a child
 * of its own that does a little of all the interface offers; it must end well, and the parent finds
 * every commit that the child was told of. KIST_FAULT_FULL=1 fails each allocation. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "support/tempdir.h"

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

/* Calls until one fails, and how many fail then; no one is failing at 0. */
static atomic_llong until, failing;
static atomic_llong threads_until, threads_failing;
static atomic_llong maps_until, maps_failing;
static atomic_ullong allocations, failed;

static int draw(atomic_llong* next, atomic_llong* many) {
  if (atomic_load(next) == 0 || atomic_fetch_sub(next, 1) > 1) return 0;
  if (atomic_fetch_sub(many, 1) <= 0) {
    atomic_store(next, 0);
    return 0;
  }
  atomic_store(next, 1);
  atomic_fetch_add(&failed, 1);
  return 1;
}

static int starved(void) {
  atomic_fetch_add(&allocations, 1);
  if (!draw(&until, &failing)) return 0;
  errno = ENOMEM;
  return 1;
}

#pragma GCC visibility push(default) /* libkist.so and all others are to find them */

void* malloc(size_t n) { return starved() ? NULL : __libc_malloc(n); }
void* calloc(size_t n, size_t each) { return starved() ? NULL : __libc_calloc(n, each); }
void* realloc(void* p, size_t n) { return starved() ? NULL : __libc_realloc(p, n); }
void* memalign(size_t align, size_t n) { return starved() ? NULL : __libc_memalign(align, n); }
void* aligned_alloc(size_t align, size_t n) { return memalign(align, n); }
int posix_memalign(void** p, size_t align, size_t n) {
  *p = memalign(align, n);
  return *p == NULL ? ENOMEM : 0;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attr, void* (*run)(void*), void* arg) {
  typedef int (*create)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static create real;
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, "pthread_create");
  if (draw(&threads_until, &threads_failing)) return EAGAIN;
  return real(thread, attr, run, arg);
}

/* Where the engine's own allocator takes its memory from. */
void* mmap(void* at, size_t n, int protection, int flags, int fd, off_t offset) {
  if ((flags & MAP_ANONYMOUS) != 0 && draw(&maps_until, &maps_failing)) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return (void*)syscall(SYS_mmap, at, n, protection, flags, fd, offset);
}

#pragma GCC visibility pop

enum want { MEMORY, MAPS, THREADS };

static void want(enum want what, long long nth, long long many) {
  atomic_llong* const next[] = {&until, &maps_until, &threads_until};
  atomic_llong* const count[] = {&failing, &maps_failing, &threads_failing};
  atomic_store(count[what], many);
  atomic_store(next[what], nth);
}

static void nothing_wanted(void) {
  want(MEMORY, 0, 0);
  want(MAPS, 0, 0);
  want(THREADS, 0, 0);
}

/* A result that may be: well, or refused for the want that is made. */
static int may_be(const char* doing, kist_rc rc, const kist_err* err) {
  if (rc >= 0 || rc == KIST_E_NOMEM || rc == KIST_E_IO || rc == KIST_E_POISONED) return rc >= 0;
  fprintf(stderr, "%s: %s: %s\n", doing, kist_rc_name(rc), err->message);
  _exit(120);
}

/* Keys taken stand in one byte each of a pipe's, so that the parent knows them whatever happens. */
static void took(int pipe_end, char key) {
  if (write(pipe_end, &key, 1) != 1) _exit(121);
}

static kist_db* try_open(const char* path, const kist_options* options) {
  kist_db* db = NULL;
  kist_err err = KIST_ERR_INIT;
  return may_be("open", kist_open(path, options, &db, &err), &err) ? db : NULL;
}

static int try_put(kist_db* db, char name, size_t bytes) {
  char value[40000];
  kist_err err = KIST_ERR_INIT;
  memset(value, name, bytes);
  return may_be("put", kist_put(kist_default(db), NULL, &name, 1, value, bytes, &err), &err);
}

static void try_batch(kist_db* db, int pipe_end) {
  kist_err err = KIST_ERR_INIT;
  kist_batch* batch = NULL;
  if (kist_batch_new(&batch) != KIST_OK) return;
  if (may_be("batch put", kist_batch_put(batch, kist_default(db), "B", 1, "BB", 2, 0, &err),
             &err) &&
      may_be("write", kist_write(db, NULL, batch, NULL, &err), &err))
    took(pipe_end, 'B');
  kist_batch_free(batch);
}

static void try_txn(kist_db* db, int pipe_end) {
  kist_err err = KIST_ERR_INIT;
  kist_txn* txn = NULL;
  if (!may_be("begin", kist_txn_begin(db, KIST_TXN_SERIALIZABLE, &txn, &err), &err)) return;
  if (may_be("txn put", kist_txn_put(txn, kist_default(db), "T", 1, "TT", 2, 0, &err), &err) &&
      may_be("commit", kist_txn_commit(txn, NULL, NULL, &err), &err))
    took(pipe_end, 'T');
  kist_txn_free(txn);
}

/* A scan sees each key with its value, or says what it lacks. */
static void try_scan(kist_db* db) {
  kist_err err = KIST_ERR_INIT;
  kist_iter* it = NULL;
  kist_rc rc;
  if (!may_be("iterator", kist_iter_new(kist_default(db), NULL, &it, &err), &err)) return;
  rc = kist_iter_seek(it, KIST_SEEK_FIRST, NULL, 0, &err);
  for (; rc == KIST_OK; rc = kist_iter_next(it, &err)) {
    kist_slice key, value;
    rc = kist_iter_entry(it, &key, &value);
    if (rc != KIST_OK) break;
    if (key.len != 1 || value.len < 1 || *(const char*)value.data != *(const char*)key.data)
      _exit(122);
  }
  may_be("scan", rc, &err);
  kist_iter_free(it);
}

/* A keyspace that comes and goes, a range of keys that nobody asks for, and the feed of all that.
 */
static void try_others(kist_db* db) {
  kist_err err = KIST_ERR_INIT;
  kist_keyspace* one = NULL;
  kist_feed* feed = NULL;
  kist_slice packed;
  uint64_t seq;
  if (may_be("keyspace", kist_keyspace_open(db, "one", KIST_KEYSPACE_CREATE, NULL, &one, &err),
             &err)) {
    may_be("put", kist_put(one, NULL, "k", 1, "v", 1, &err), &err);
    may_be("delete_range", kist_delete_range(one, NULL, "a", 1, "z", 1, &err), &err);
    may_be("drop", kist_keyspace_drop(db, "one", &err), &err);
    kist_keyspace_free(one);
  }
  may_be("delete_range", kist_delete_range(kist_default(db), NULL, "x", 1, "y", 1, &err), &err);
  if (may_be("feed", kist_feed_open(db, kist_last_seq(db) / 2, &feed, &err), &err)) {
    while (may_be("feed next", kist_feed_next(feed, 0, &seq, NULL, &packed, &err), &err) &&
           seq != 0 && seq < kist_last_seq(db)) {
    }
    kist_feed_free(feed);
  }
}

static void try_all(kist_db* db, int pipe_end) {
  static char stats[1 << 16];
  kist_err err = KIST_ERR_INIT;
  kist_snapshot* snapshot = NULL;
  kist_pin pins[2];
  kist_rc rcs[2];
  const kist_slice keys[2] = {{"a", 1}, {"d", 1}};
  char name;
  for (name = 'a'; name < 'e'; ++name) {
    if (try_put(db, name, name == 'd' ? 39000 : 300)) took(pipe_end, name);
  }
  try_batch(db, pipe_end);
  may_be("flush", kist_flush(db, &err), &err);
  if (try_put(db, 'e', 39000)) took(pipe_end, 'e');
  if (may_be("snapshot", kist_snapshot_new(db, &snapshot, &err), &err)) {
    try_scan(db);
    kist_snapshot_free(snapshot);
  }
  memset(pins, 0, sizeof pins);
  may_be("multi_get", kist_multi_get(kist_default(db), NULL, 2, keys, pins, rcs, &err), &err);
  kist_pin_release(&pins[0]);
  kist_pin_release(&pins[1]);
  try_txn(db, pipe_end);
  may_be("flush", kist_flush(db, &err), &err);
  try_others(db);
  may_be("compact", kist_compact(kist_default(db), NULL, 0, NULL, 0, NULL, &err), &err);
  try_scan(db);
  may_be("stats", kist_stats(db, KIST_STATS_JSON, stats, sizeof stats, NULL, &err), &err);
  may_be("verify", kist_verify(db, NULL, &err), &err);
  if (try_put(db, 'f', 300)) took(pipe_end, 'f');
}

static void try_copies(kist_db* db, const char* path) {
  char copy[4200], target[4200], restored[4200];
  kist_err err = KIST_ERR_INIT;
  kist_stream* stream = NULL;
  kist_prune_options keep = KIST_PRUNE_OPTIONS_INIT;
  snprintf(copy, sizeof copy, "%s.copy", path);
  snprintf(target, sizeof target, "%s.target", path);
  snprintf(restored, sizeof restored, "%s.restored", path);
  if (may_be("checkpoint", kist_checkpoint(db, copy, &err), &err))
    may_be("repair", kist_repair(copy, NULL, NULL, 0, NULL, &err), &err);
  keep.keep_count = 1;
  if (may_be("backup", kist_backup(db, target, NULL, NULL, &err), &err) &&
      may_be("prune", kist_prune(target, &keep, NULL, NULL, &err), &err))
    may_be("restore", kist_restore(target, restored, NULL, NULL, NULL, &err), &err);
  if (may_be("stream", kist_stream_start(db, target, NULL, &stream, &err), &err))
    may_be("stop", kist_stream_stop(stream, 0, &err), &err);
}

/* In the child: meets the want from `nth` on, then again without it. The options are made before:
 * a program without memory for them has not begun. */
static void work(const char* path, const kist_options* options, int pipe_end) {
  kist_err err = KIST_ERR_INIT;
  kist_db* db = try_open(path, options);
  if (db == NULL) {
    nothing_wanted();
    db = try_open(path, options);
    if (db == NULL) _exit(123);
  }
  try_all(db, pipe_end);
  try_copies(db, path);
  nothing_wanted();
  kist_close(db, KIST_CLOSE_REVOKE, &err);
  if (err.code != 0 && err.code != KIST_E_POISONED) may_be("close", err.code, &err);
}

/* The child's allocations by number and how many it was refused, through the pipe at its end. */
struct outcome {
  unsigned long long made, refused;
};

static struct outcome run(enum want what, long long nth, long long many) {
  static const char* const text =
      "memory_budget=4MiB; write_buffer_size=64KiB; cache_size=0; block_size=1KiB; "
      "log_retention=1MiB";
  char* path = new_path();
  char told[64];
  size_t count = 0, i;
  int ends[2], status = 0;
  ssize_t got;
  struct outcome outcome = {0, 0};
  kist_options* options = NULL;
  kist_db* db;
  pid_t child;
  assert_int_equal(pipe(ends), 0);
  OK(kist_options_new(&options));
  OK(kist_options_parse(options, text, &err));
  child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    alarm(60);
    atomic_store(&allocations, 0);
    want(what, nth, many);
    work(path, options, ends[1]);
    outcome.made = atomic_load(&allocations);
    outcome.refused = atomic_load(&failed);
    if (write(ends[1], "#", 1) != 1 || write(ends[1], &outcome, sizeof outcome) < 0) _exit(124);
    _exit(0);
  }
  close(ends[1]);
  while ((got = read(ends[0], told + count, 1)) == 1 && told[count] != '#') ++count;
  if (got == 1) assert_int_equal(read(ends[0], &outcome, sizeof outcome), sizeof outcome);
  close(ends[0]);
  assert_int_equal(waitpid(child, &status, 0), child);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    fail_msg("want %d, the %lldth and %lld in all: status %x", (int)what, nth, many, status);
  OK(kist_open(path, options, &db, &err));
  for (i = 0; i < count; ++i) {
    char value[40000];
    OK(kist_get(kist_default(db), NULL, &told[i], 1, value, sizeof value, NULL, &err));
    assert_int_equal(value[0], told[i]);
  }
  OK(kist_verify(db, NULL, &err));
  close_strict(db);
  kist_options_free(options);
  drop_path(path);
  return outcome;
}

static void starved__every_allocation_of_the_process(void** state) {
  const struct outcome free_run = run(MEMORY, 0, 0);
  const int full = getenv("KIST_FAULT_FULL") != NULL;
  const int quick = getenv("KIST_TEST_QUICK") != NULL;
  const long long runs = full ? (long long)free_run.made : quick ? 20 : 120;
  long long i, refused = 0;
  (void)state;
  for (i = 0; i < runs; ++i) {
    /* Spread over all, with other places in each of the three ways. */
    const long long nth = 1 + i * (long long)free_run.made / runs;
    const long long many = i % 3 == 0 ? 1 : i % 3 == 1 ? 7 : 1ll << 40;
    refused += run(MEMORY, nth, many).refused != 0;
    if (full) refused += run(MEMORY, nth, i % 3 == 0 ? 1ll << 40 : 1).refused != 0;
  }
  printf("%llu allocations, %lld runs with one refused\n", free_run.made, refused);
  assert_true(refused > runs / 2);
}

/* Few enough for each: the Nth once, and it and all later ones. */
static long long each(enum want what, long long most) {
  long long nth, refused = 0;
  for (nth = 1; nth <= most; ++nth) {
    refused += run(what, nth, 1).refused != 0;
    refused += run(what, nth, 1ll << 40).refused != 0;
  }
  return refused;
}

static void starved__every_mapping(void** state) {
  (void)state;
  printf("%lld runs with a mapping refused\n", each(MAPS, 12));
}

static void starved__every_thread(void** state) {
  const long long refused = each(THREADS, 6);
  (void)state;
  printf("%lld runs with a thread refused\n", refused);
  assert_true(refused >= 6);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(starved__every_allocation_of_the_process),
      cmocka_unit_test(starved__every_mapping),
      cmocka_unit_test(starved__every_thread),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
