/* Keyspaces: create, open, list, drop with live handles, ids, options, recovery. */
#include "support/tempdir.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static kist_keyspace* open_ks(kist_db* db, const char* name, uint32_t mode) {
  kist_keyspace* ks = NULL;
  OK(kist_keyspace_open(db, name, mode, NULL, &ks, &err));
  assert_non_null(ks);
  return ks;
}

static void expect_list(kist_db* db, const char* want, size_t want_len) {
  char buf[256];
  size_t len = 0;
  OK(kist_keyspace_list(db, buf, sizeof buf, &len, &err));
  assert_int_equal(len, want_len);
  assert_memory_equal(buf, want, len);
}
#define LIST(db, want) expect_list(db, want, sizeof want)

static void keyspace__default(void** state) {
  kist_db* db = open_memory();
  kist_keyspace* own = open_ks(db, "default", KIST_KEYSPACE_OPEN);
  kist_keyspace* none = own;
  (void)state;
  assert_int_equal(kist_keyspace_id(kist_default(db)), 0);
  assert_int_equal(kist_keyspace_id(own), 0);
  assert_ptr_equal(kist_default(db), kist_default(db));
  put(kist_default(db), "a", "1");
  expect(own, NULL, "a", "1");
  ASSERT_RC(KIST_E_EXISTS,
            kist_keyspace_open(db, "default", KIST_KEYSPACE_CREATE_NEW, NULL, &none, &err));
  assert_null(none);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME, kist_keyspace_drop(db, "default", &err));
  LIST(db, "default");
  kist_keyspace_free(own);
  kist_keyspace_free(kist_default(db)); /* ignored */
  expect(kist_default(db), NULL, "a", "1");
  assert_null(kist_default(NULL));
  assert_null(kist_default((kist_db*)(void*)kist_default(db)));
  close_strict(db);
}

static void keyspace__modes(void** state) {
  kist_db* db = open_memory();
  kist_keyspace *a, *b, *none = (kist_keyspace*)db;
  (void)state;
  ASSERT_RC(KIST_E_MISSING, kist_keyspace_open(db, "a", KIST_KEYSPACE_OPEN, NULL, &none, &err));
  assert_null(none);
  a = open_ks(db, "a", KIST_KEYSPACE_CREATE_NEW);
  ASSERT_RC(KIST_E_EXISTS,
            kist_keyspace_open(db, "a", KIST_KEYSPACE_CREATE_NEW, NULL, &none, &err));
  b = open_ks(db, "a", KIST_KEYSPACE_CREATE);
  assert_int_equal(kist_keyspace_id(a), kist_keyspace_id(b));
  put(a, "k", "v");
  expect(b, NULL, "k", "v");
  expect(kist_default(db), NULL, "k", NULL);
  kist_keyspace_free(a);
  expect(b, NULL, "k", "v");
  kist_keyspace_free(b);
  close_strict(db);
}

static void keyspace__creating_is_a_commit(void** state) {
  kist_db* db = open_memory();
  const uint64_t before = kist_last_seq(db);
  (void)state;
  kist_keyspace_free(open_ks(db, "a", KIST_KEYSPACE_CREATE));
  assert_int_equal(kist_last_seq(db), before + 1);
  kist_keyspace_free(open_ks(db, "a", KIST_KEYSPACE_CREATE));
  assert_int_equal(kist_last_seq(db), before + 1);
  OK(kist_keyspace_drop(db, "a", &err));
  assert_int_equal(kist_last_seq(db), before + 2);
  close_strict(db);
}

static void keyspace__list_is_sorted_and_truncates(void** state) {
  kist_db* db = open_memory();
  char buf[32];
  size_t len = 0;
  (void)state;
  kist_keyspace_free(open_ks(db, "zoo", KIST_KEYSPACE_CREATE));
  kist_keyspace_free(open_ks(db, "\xc3\xa9", KIST_KEYSPACE_CREATE));
  kist_keyspace_free(open_ks(db, "a", KIST_KEYSPACE_CREATE));
  LIST(db, "a\0default\0zoo\0\xc3\xa9");
  memset(buf, 'x', sizeof buf);
  ASSERT_RC(KIST_TRUNCATED, kist_keyspace_list(db, buf, 5, &len, &err));
  assert_int_equal(len, 17);
  assert_memory_equal(buf, "a\0defx", 6);
  ASSERT_RC(KIST_TRUNCATED, kist_keyspace_list(db, NULL, 0, &len, &err));
  assert_int_equal(len, 17);
  OK(kist_keyspace_list(db, buf, 17, &len, &err));
  OK(kist_keyspace_list(db, buf, 32, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_keyspace_list(db, NULL, 1, &len, &err));
  assert_int_equal(len, 0);
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_keyspace_list(NULL, buf, 1, &len, &err));
  close_strict(db);
}

static void keyspace__dropping_with_live_handles(void** state) {
  kist_db* db = open_memory();
  kist_keyspace *a = open_ks(db, "a", KIST_KEYSPACE_CREATE), *again;
  kist_iter *it = NULL, *none = NULL;
  kist_snapshot* snapshot = NULL;
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_pin pin, kept;
  kist_slice key = {"k1", 2}, entry;
  kist_rc rcs[1];
  char buf[8];
  size_t len = 9;
  uint64_t bytes = 9;
  int64_t left = 9;
  void* copy = buf;
  uint32_t id = kist_keyspace_id(a);
  (void)state;
  put(a, "k1", "1");
  put(a, "k2", "2");
  OK(kist_flush(db, &err));
  put(a, "k3", "3");
  OK(kist_iter_new(a, NULL, &it, &err));
  OK(kist_iter_next(it, &err));
  OK(kist_get_pin(a, NULL, "k1", 2, &kept, &err));
  OK(kist_snapshot_new(db, &snapshot, &err));
  OK(kist_keyspace_drop(db, "a", &err));
  LIST(db, "default");
  ASSERT_RC(KIST_E_MISSING, kist_keyspace_drop(db, "a", &err));
  ASSERT_RC(KIST_E_MISSING, kist_keyspace_open(db, "a", KIST_KEYSPACE_OPEN, NULL, &again, &err));
  /* Later calls of handles. */
  ASSERT_RC(KIST_E_MISSING, kist_put(a, NULL, "k", 1, "1", 1, &err));
  ASSERT_RC(KIST_E_MISSING, kist_delete(a, NULL, "k", 1, &err));
  ASSERT_RC(KIST_E_MISSING, kist_delete_range(a, NULL, "k", 1, "l", 1, &err));
  ASSERT_RC(KIST_E_MISSING, kist_get(a, NULL, "k1", 2, buf, 8, &len, &err));
  assert_int_equal(len, 0);
  ASSERT_RC(KIST_E_MISSING, kist_get_pin(a, NULL, "k1", 2, &pin, &err));
  ASSERT_RC(KIST_E_MISSING, kist_get_copy(a, NULL, "k1", 2, &copy, &len, &err));
  assert_null(copy);
  ASSERT_RC(KIST_E_MISSING, kist_exists(a, NULL, "k1", 2, &err));
  ro.snapshot = snapshot;
  ASSERT_RC(KIST_E_MISSING, kist_exists(a, &ro, "k1", 2, &err));
  ASSERT_RC(KIST_E_MISSING, kist_ttl(a, NULL, "k1", 2, &left, &err));
  ASSERT_RC(KIST_E_MISSING, kist_multi_get(a, NULL, 1, &key, &pin, rcs, &err));
  ASSERT_RC(KIST_E_MISSING, kist_iter_new(a, NULL, &none, &err));
  ASSERT_RC(KIST_E_MISSING, kist_compact(a, NULL, 0, NULL, 0, NULL, &err));
  ASSERT_RC(KIST_E_MISSING, kist_approximate_size(a, NULL, 0, NULL, 0, &bytes, &err));
  assert_int_equal(kist_keyspace_id(a), id);
  /* A running iterator finishes on its state. */
  OK(kist_flush(db, &err));
  OK(kist_compact(kist_default(db), NULL, 0, NULL, 0, NULL, &err));
  OK(kist_iter_next(it, &err));
  OK(kist_iter_next(it, &err));
  OK(kist_iter_entry(it, &entry, NULL));
  assert_memory_equal(entry.data, "k3", 2);
  ASSERT_RC(KIST_E_MISSING, kist_iter_refresh(it, &err));
  OK(kist_iter_prev(it, &err)); /* not sticky: it stays as it was */
  OK(kist_iter_entry(it, &entry, NULL));
  assert_memory_equal(entry.data, "k2", 2);
  ASSERT_RC(KIST_OK, kist_iter_seek(it, KIST_SEEK_FIRST, NULL, 0, &err));
  assert_memory_equal(kept.data, "1", 1);
  /* The name is free, the id is not. */
  again = open_ks(db, "a", KIST_KEYSPACE_CREATE_NEW);
  assert_int_not_equal(kist_keyspace_id(again), id);
  expect(again, NULL, "k1", NULL);
  ASSERT_RC(KIST_E_MISSING, kist_exists(a, NULL, "k1", 2, &err));
  kist_pin_release(&kept);
  kist_iter_free(it);
  kist_snapshot_free(snapshot);
  kist_keyspace_free(again);
  kist_keyspace_free(a);
  close_strict(db);
}

static void keyspace__recovery(void** state) {
  int flushed;
  (void)state;
  for (flushed = 0; flushed < 2; ++flushed) {
    char* path = new_path();
    kist_db* db = open_plain(path);
    kist_keyspace *a = open_ks(db, "a", KIST_KEYSPACE_CREATE),
                  *b = open_ks(db, "b", KIST_KEYSPACE_CREATE), *c;
    const uint32_t a_id = kist_keyspace_id(a), b_id = kist_keyspace_id(b);
    put(a, "k", "a");
    put(b, "k", "b");
    put(kist_default(db), "k", "default");
    kist_keyspace_free(b);
    OK(kist_keyspace_drop(db, "b", &err));
    if (flushed) OK(kist_flush(db, &err));
    kist_keyspace_free(a);
    close_strict(db);
    db = open_plain(path);
    LIST(db, "a\0default");
    a = open_ks(db, "a", KIST_KEYSPACE_OPEN);
    assert_int_equal(kist_keyspace_id(a), a_id);
    expect(a, NULL, "k", "a");
    expect(kist_default(db), NULL, "k", "default");
    c = open_ks(db, "c", KIST_KEYSPACE_CREATE);
    assert_true(kist_keyspace_id(c) > b_id); /* never used again */
    expect(c, NULL, "k", NULL);
    kist_keyspace_free(c);
    kist_keyspace_free(a);
    OK(kist_verify(db, NULL, &err));
    close_strict(db);
    drop_path(path);
  }
}

static void keyspace__options(void** state) {
  char* path = new_path();
  kist_db* db = open_plain(path);
  kist_options* options = NULL;
  kist_keyspace* ks = NULL;
  int64_t left = 0;
  (void)state;
  OK(kist_options_new(&options));
  OK(kist_options_parse(options, "compression=none; default_ttl=1h; block_size=16KiB", &err));
  OK(kist_keyspace_open(db, "a", KIST_KEYSPACE_CREATE, options, &ks, &err));
  put(ks, "k", "v");
  OK(kist_ttl(ks, NULL, "k", 1, &left, &err));
  assert_true(left > 3500000 && left <= 3600000);
  kist_keyspace_free(ks);
  OK(kist_options_set(options, "cache_size", "1MiB", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME,
               kist_keyspace_open(db, "b", KIST_KEYSPACE_CREATE, options, &ks, &err));
  assert_null(ks);
  ASSERT_RC(KIST_E_MISSING, kist_keyspace_open(db, "b", KIST_KEYSPACE_OPEN, NULL, &ks, &err));
  kist_options_free(options);
  close_strict(db);
  db = open_plain(path); /* they are stored */
  OK(kist_keyspace_open(db, "a", KIST_KEYSPACE_OPEN, NULL, &ks, &err));
  put(ks, "l", "v");
  OK(kist_ttl(ks, NULL, "l", 1, &left, &err));
  assert_true(left > 3500000 && left <= 3600000);
  put(kist_default(db), "l", "v");
  OK(kist_ttl(kist_default(db), NULL, "l", 1, &left, &err));
  assert_int_equal(left, -1);
  kist_keyspace_free(ks);
  close_strict(db);
  drop_path(path);
}

static void keyspace__options_that_are_not_set_come_from_open(void** state) {
  kist_db* db = open_with(":memory:", "default_ttl=1h; sync=never");
  kist_options* options = NULL;
  kist_keyspace* ks = NULL;
  int64_t left = 0;
  (void)state;
  put(kist_default(db), "k", "v");
  OK(kist_ttl(kist_default(db), NULL, "k", 1, &left, &err));
  assert_true(left > 3500000);
  OK(kist_options_new(&options));
  OK(kist_options_set(options, "block_size", "8KiB", &err));
  OK(kist_keyspace_open(db, "a", KIST_KEYSPACE_CREATE, options, &ks, &err));
  put(ks, "k", "v");
  OK(kist_ttl(ks, NULL, "k", 1, &left, &err));
  assert_true(left > 3500000);
  kist_keyspace_free(ks);
  OK(kist_options_set(options, "default_ttl", "0", &err));
  OK(kist_keyspace_open(db, "b", KIST_KEYSPACE_CREATE, options, &ks, &err));
  put(ks, "k", "v");
  OK(kist_ttl(ks, NULL, "k", 1, &left, &err));
  assert_int_equal(left, -1);
  kist_keyspace_free(ks);
  kist_options_free(options);
  close_strict(db);
}

/* Those that are set when a keyspace is opened again take the place of what it had, for good. */
static void keyspace__options_of_one_that_exists(void** state) {
  char* path = new_path();
  kist_db* db = open_plain(path);
  kist_keyspace* ks = open_ks(db, "a", KIST_KEYSPACE_CREATE);
  kist_options* options = NULL;
  int64_t left = 0;
  int round;
  (void)state;
  put(ks, "before", "1");
  OK(kist_options_new(&options));
  OK(kist_options_parse(options, "default_ttl=1h", &err));
  for (round = 0; round < 3; ++round) { /* created in the log; in the manifest; after reopening */
    kist_keyspace* again = NULL;
    OK(kist_keyspace_open(db, "a", KIST_KEYSPACE_CREATE, round == 0 ? options : NULL, &again,
                          &err));
    put(ks, "after", "1"); /* older handles too */
    OK(kist_ttl(again, NULL, "after", 5, &left, &err));
    assert_true(left > 3500000 && left <= 3600000);
    OK(kist_ttl(again, NULL, "before", 6, &left, &err));
    assert_int_equal(left, -1);
    kist_keyspace_free(again);
    if (round == 0) OK(kist_flush(db, &err));
    if (round == 1) {
      kist_keyspace_free(ks);
      close_strict(db);
      db = open_plain(path);
      ks = open_ks(db, "a", KIST_KEYSPACE_OPEN);
    }
  }
  /* What is not set stays: the TTL, where another option changes. */
  kist_options_free(options);
  OK(kist_options_new(&options));
  OK(kist_options_parse(options, "compression=none", &err));
  kist_keyspace_free(ks);
  OK(kist_keyspace_open(db, "a", KIST_KEYSPACE_OPEN, options, &ks, &err));
  put(ks, "later", "1");
  OK(kist_ttl(ks, NULL, "later", 5, &left, &err));
  assert_true(left > 3500000);
  kist_options_free(options);
  OK(kist_verify(db, NULL, &err));
  kist_keyspace_free(ks);
  close_strict(db);
  drop_path(path);
}

static void wait_for_tables(const char* path, size_t most) {
  int i;
  for (i = 0; i < 600 && count_files(path, ".kst") > most; ++i) usleep(100000);
  assert_true(count_files(path, ".kst") <= most);
}

/* Nothing else is written, flushed or compacted: the files go by themselves, those that an iterator
 * reads from when it is freed. */
static void keyspace__dropping_gives_the_space_back(void** state) {
  char* path = new_path();
  kist_db* db = open_with(path, "sync=never; compaction=manual");
  kist_keyspace *a = open_ks(db, "a", KIST_KEYSPACE_CREATE),
                *b = open_ks(db, "b", KIST_KEYSPACE_CREATE);
  kist_iter* it = NULL;
  char key[16];
  int i, count = 1;
  (void)state;
  for (i = 0; i < 5000; ++i) {
    sprintf(key, "%06d", i);
    put(a, key, "value");
    put(b, key, "value");
  }
  OK(kist_flush(db, &err));
  assert_int_equal(count_files(path, ".kst"), 2);
  OK(kist_iter_new(b, NULL, &it, &err));
  OK(kist_iter_next(it, &err));
  OK(kist_keyspace_drop(db, "a", &err));
  wait_for_tables(path, 1);
  OK(kist_keyspace_drop(db, "b", &err));
  usleep(600000);
  assert_int_equal(count_files(path, ".kst"), 1);
  while (kist_iter_next(it, NULL) == KIST_OK) ++count;
  assert_int_equal(count, 5000);
  kist_iter_free(it);
  wait_for_tables(path, 0);
  kist_keyspace_free(a);
  kist_keyspace_free(b);
  close_strict(db);
  drop_path(path);
}

/* One log for all, in memtables and tables, dropped ones among them, killed. */
static void keyspace__recovery_of_several(void** state) {
  char* path = new_path();
  const pid_t child = fork();
  kist_db* db;
  char name[16], key[16];
  int i, status;
  (void)state;
  if (child == 0) {
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    db = open_plain(path);
    for (i = 0; i < 60; ++i) {
      kist_batch* batch = NULL;
      kist_keyspace* ks;
      sprintf(name, "ks%02d", i % 12);
      ks = open_ks(db, name, KIST_KEYSPACE_CREATE);
      sprintf(key, "%d", i);
      OK(kist_batch_new(&batch));
      OK(kist_batch_put(batch, ks, key, strlen(key), name, 4, 0, &err));
      OK(kist_batch_put(batch, kist_default(db), key, strlen(key), name, 4, 0, &err));
      OK(kist_write(db, NULL, batch, NULL, &err));
      kist_batch_free(batch);
      if (i == 30) OK(kist_flush(db, &err));
      if (i == 20 || i == 50) OK(kist_keyspace_drop(db, "ks05", &err));
      kist_keyspace_free(ks);
    }
    kill(getpid(), SIGKILL);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  db = open_plain(path);
  for (i = 0; i < 60; ++i) {
    kist_keyspace* ks;
    sprintf(name, "ks%02d", i % 12);
    sprintf(key, "%d", i);
    ks = open_ks(db, name, KIST_KEYSPACE_OPEN);
    expect(kist_default(db), NULL, key, name);
    expect(ks, NULL, key, i % 12 != 5 || i > 50 ? name : NULL);
    kist_keyspace_free(ks);
  }
  OK(kist_verify(db, NULL, &err));
  close_strict(db);
  drop_path(path);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Idle ones cost no memtable, and next to nothing when the database is opened. */
static void keyspace__a_thousand(void** state) {
  char* path = new_path();
  kist_db* db = open_with(path, "sync=never; memory_budget=64MiB");
  char name[16];
  uint64_t before = 0, kept = 0;
  double start;
  size_t len = 0;
  int i;
  (void)state;
  put(kist_default(db), "k", "v");
  for (i = 0; i < 1000; ++i) {
    kist_keyspace* ks;
    sprintf(name, "ks%04d", i);
    ks = open_ks(db, name, KIST_KEYSPACE_CREATE);
    kist_keyspace_free(ks);
    if (i == 0) before = stat_of(db, "memtable_bytes"); /* with room for what comes next */
  }
  /* None of them was written: one memtable for all, of which they take nothing. */
  assert_int_equal(stat_of(db, "memtable_bytes"), before);
  assert_int_equal(stat_of(db, "memtables"), 1);
  assert_int_equal(stat_of(db, "memtable_entries"), 1);
  for (i = 0; i < 1000; ++i) {
    kist_keyspace* ks;
    sprintf(name, "ks%04d", i);
    ks = open_ks(db, name, KIST_KEYSPACE_OPEN);
    if (i % 100 == 0) put(ks, "k", name);
    kist_keyspace_free(ks);
  }
  /* Ten of them were written: a small tree each. */
  assert_true(stat_of(db, "memtable_bytes") <= before + (64 << 10));
  close_strict(db);
  start = now();
  db = open_plain(path);
  print_message("opened in %.1f ms\n", (now() - start) * 1e3);
  ASSERT_RC(KIST_TRUNCATED, kist_keyspace_list(db, NULL, 0, &len, &err));
  assert_int_equal(len, 1000 * 7 + 8);
  assert_true(count_files(path, ".kst") <= 11); /* of those that were written */
  assert_int_equal(stat_of(db, "memtable_entries"), 0);
  assert_true(stat_of(db, "open_tables") <= 11);
  kept = stat_of(db, "memory_used_bytes");
  start = now();
  for (i = 0; i < 1000; ++i) {
    kist_keyspace* ks;
    sprintf(name, "ks%04d", i);
    ks = open_ks(db, name, KIST_KEYSPACE_OPEN);
    expect(ks, NULL, "k", i % 100 == 0 ? name : NULL);
    kist_keyspace_free(ks);
  }
  print_message("each taken and read in %.1f us\n", (now() - start) * 1e3);
  assert_true(stat_of(db, "memtable_bytes") <= before);
  assert_true(stat_of(db, "memory_used_bytes") <=
              kept + (256 << 10)); /* ten blocks, their tables */
  close_strict(db);
  drop_path(path);
}

static void keyspace__names_and_bad_arguments(void** state) {
  kist_db* db = open_memory();
  kist_keyspace *ks = NULL, *none = (kist_keyspace*)db;
  kist_batch* batch = NULL;
  char name[257];
  (void)state;
  memset(name, 'n', sizeof name);
  name[254] = '\0';
  ks = open_ks(db, name, KIST_KEYSPACE_CREATE);
  kist_keyspace_free(ks);
  name[254] = 'n';
  name[255] = '\0';
  ks = open_ks(db, name, KIST_KEYSPACE_CREATE);
  kist_keyspace_free(ks);
  OK(kist_keyspace_drop(db, name, &err));
  name[255] = 'n';
  name[256] = '\0';
  ASSERT_FAILS(KIST_E_LIMIT, KIST_D_NAME_SIZE,
               kist_keyspace_open(db, name, KIST_KEYSPACE_CREATE, NULL, &none, &err));
  assert_null(none);
  ASSERT_FAILS(KIST_E_LIMIT, KIST_D_NAME_SIZE, kist_keyspace_drop(db, name, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME,
               kist_keyspace_open(db, "", KIST_KEYSPACE_CREATE, NULL, &none, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME, kist_keyspace_drop(db, "", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL,
               kist_keyspace_open(db, NULL, KIST_KEYSPACE_CREATE, NULL, &none, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL,
               kist_keyspace_open(db, "a", KIST_KEYSPACE_CREATE, NULL, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_keyspace_drop(db, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_keyspace_open(db, "a", 3, NULL, &none, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_keyspace_open(NULL, "a", 1, NULL, &none, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_keyspace_drop(NULL, "a", &err));
  OK(kist_batch_new(&batch));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE,
               kist_keyspace_open(db, "a", 1, (kist_options*)(void*)batch, &none, &err));
  kist_batch_free(batch);
  ASSERT_RC(KIST_E_MISSING, kist_keyspace_open(db, "a", KIST_KEYSPACE_OPEN, NULL, &none, &err));
  assert_int_equal(kist_keyspace_id(NULL), 0);
  kist_keyspace_free(NULL);
  kist_keyspace_free((kist_keyspace*)(void*)db); /* not its kind: left alone */
  close_strict(db);
}

static void keyspace__many(void** state) {
  char* path = new_path();
  kist_db* db = open_plain(path);
  char name[16];
  size_t len = 0;
  int i;
  (void)state;
  for (i = 0; i < 200; ++i) {
    kist_keyspace* ks;
    snprintf(name, sizeof name, "ks%03d", i);
    ks = open_ks(db, name, KIST_KEYSPACE_CREATE);
    put(ks, "k", name);
    kist_keyspace_free(ks);
  }
  close_strict(db);
  db = open_plain(path);
  ASSERT_RC(KIST_TRUNCATED, kist_keyspace_list(db, NULL, 0, &len, &err));
  assert_int_equal(len, 200 * 6 + 8);
  for (i = 0; i < 200; i += 7) {
    kist_keyspace* ks;
    snprintf(name, sizeof name, "ks%03d", i);
    ks = open_ks(db, name, KIST_KEYSPACE_OPEN);
    expect(ks, NULL, "k", name);
    kist_keyspace_free(ks);
  }
  close_strict(db);
  drop_path(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keyspace__default),
      cmocka_unit_test(keyspace__modes),
      cmocka_unit_test(keyspace__creating_is_a_commit),
      cmocka_unit_test(keyspace__list_is_sorted_and_truncates),
      cmocka_unit_test(keyspace__dropping_with_live_handles),
      cmocka_unit_test(keyspace__recovery),
      cmocka_unit_test(keyspace__options),
      cmocka_unit_test(keyspace__options_that_are_not_set_come_from_open),
      cmocka_unit_test(keyspace__names_and_bad_arguments),
      cmocka_unit_test(keyspace__many),
      cmocka_unit_test(keyspace__options_of_one_that_exists),
      cmocka_unit_test(keyspace__dropping_gives_the_space_back),
      cmocka_unit_test(keyspace__recovery_of_several),
      cmocka_unit_test(keyspace__a_thousand),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
