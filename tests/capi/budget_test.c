/* The memory budget: the cache gives way to what grows, handles are refused beyond their quarter,
 * and whatever is freed can be used again. */
#include <pthread.h>

#include "support/tempdir.h"

#define MIB ((uint64_t)1 << 20)

static kist_db* db;
static char* path;

static void fill(int count, size_t value_bytes) {
  char key[24];
  char* val = malloc(value_bytes);
  int i;
  memset(val, 'v', value_bytes);
  for (i = 0; i < count; ++i) {
    snprintf(key, sizeof key, "key%08d", i);
    OK(kist_put(kist_default(db), NULL, key, strlen(key), val, value_bytes, &err));
  }
  free(val);
}

static int set_up(void** state) {
  (void)state;
  path = new_path();
  db = open_with(path, "sync=never; memory_budget=16MiB; compression=none; compaction=manual");
  return 0;
}

static void stop_pinning(void);

static int tear_down(void** state) {
  (void)state;
  stop_pinning();
  close_strict(db);
  drop_path(path);
  return 0;
}

static kist_rc read_all(int count) {
  char key[24];
  int i;
  for (i = 0; i < count; ++i) {
    kist_rc rc;
    snprintf(key, sizeof key, "key%08d", i);
    rc = kist_exists(kist_default(db), NULL, key, strlen(key), NULL);
    if (rc != KIST_OK) return rc;
  }
  return KIST_OK;
}

static void expect_within(void) {
  static const char* parts[] = {"memory_memtables_bytes",  "memory_old_memtables_bytes",
                                "memory_cache_bytes",      "memory_tables_bytes",
                                "memory_old_tables_bytes", "memory_pinned_bytes",
                                "memory_iterators_bytes",  "memory_transactions_bytes",
                                "memory_buffers_bytes",    "memory_jobs_bytes"};
  uint64_t sum = 0;
  size_t i;
  OK(kist_wait_idle(db, -1, &err));
  for (i = 0; i < sizeof parts / sizeof *parts; ++i) sum += stat_of(db, parts[i]);
  assert_int_equal(sum, stat_of(db, "memory_used_bytes"));
  if (sum + stat_of(db, "memory_reserve_bytes") <= stat_of(db, "memory_budget_bytes")) return;
  for (i = 0; i < sizeof parts / sizeof *parts; ++i)
    print_error("%s %llu\n", parts[i], (unsigned long long)stat_of(db, parts[i]));
  fail_msg("%llu and a reserve of %llu are more than %llu", (unsigned long long)sum,
           (unsigned long long)stat_of(db, "memory_reserve_bytes"),
           (unsigned long long)stat_of(db, "memory_budget_bytes"));
}

static void budget__the_cache_gives_way_to_a_transaction(void** state) {
  kist_txn* txn = NULL;
  char key[24], val[1000];
  uint64_t before;
  kist_rc rc = KIST_OK;
  kist_err err = KIST_ERR_INIT;
  int i;
  (void)state;
  fill(20000, 1000);
  OK(kist_flush(db, &err));
  OK(read_all(20000));
  before = stat_of(db, "cache_bytes");
  assert_true(before > 4 * MIB);
  expect_within();
  OK(kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
  memset(val, 'w', sizeof val);
  for (i = 0; i < 100000 && rc == KIST_OK; ++i) {
    snprintf(key, sizeof key, "new%08d", i);
    rc = kist_txn_put(txn, kist_default(db), key, strlen(key), val, sizeof val, 0, &err);
  }
  assert_int_equal(rc, KIST_E_NOMEM);
  assert_int_equal(err.detail, KIST_D_BUDGET);
  assert_non_null(strstr(err.message, "memory_budget"));
  assert_true(i > 500); /* half a MB of writes at least */
  assert_true(stat_of(db, "memory_transactions_bytes") > 2 * MIB);
  assert_true(stat_of(db, "memory_transactions_bytes") <= 4 * MIB);
  assert_true(stat_of(db, "cache_bytes") < before);
  expect_within();
  /* What was accepted still commits; what it held comes back. */
  OK(kist_txn_commit(txn, NULL, NULL, &err));
  kist_txn_free(txn);
  assert_int_equal(stat_of(db, "memory_transactions_bytes"), 0);
  OK(kist_exists(kist_default(db), NULL, "new00000500", 11, &err));
  OK(kist_flush(db, &err));
  OK(read_all(20000));
  expect_within();
  OK(kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
  kist_txn_free(txn);
}

static void budget__reads_of_a_serializable_transaction_count(void** state) {
  kist_txn* txn = NULL;
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  char key[1000];
  kist_rc rc = KIST_NOT_FOUND;
  int i;
  (void)state;
  OK(kist_txn_begin(db, KIST_TXN_SERIALIZABLE, &txn, &err));
  ro.txn = txn;
  memset(key, 'k', sizeof key);
  for (i = 0; i < 100000 && rc == KIST_NOT_FOUND; ++i) {
    memcpy(key, &i, sizeof i);
    rc = kist_exists(kist_default(db), &ro, key, sizeof key, NULL);
  }
  assert_int_equal(rc, KIST_E_NOMEM);
  assert_true(i > 2000 && i < 5000);
  kist_txn_free(txn);
  assert_int_equal(stat_of(db, "memory_transactions_bytes"), 0);
}

static void budget__savepoints_count(void** state) {
  kist_txn* txn = NULL;
  kist_rc rc = KIST_OK;
  kist_err err = KIST_ERR_INIT;
  int i;
  (void)state;
  OK(kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
  for (i = 0; i < 10000000 && rc == KIST_OK; ++i) rc = kist_txn_savepoint(txn, &err);
  assert_int_equal(rc, KIST_E_NOMEM);
  assert_int_equal(err.detail, KIST_D_BUDGET);
  assert_true(i > 10000);
  OK(kist_txn_rollback_to(txn, &err)); /* what was taken is there */
  kist_txn_free(txn);
}

/* What a transaction wrote and let go of, by a rollback or its end, counts for as long as an
 * iterator or a pin keeps it. */
static kist_txn* write_a_quarter_mib(void) {
  kist_txn* txn = NULL;
  char key[24], val[1000];
  int i;
  memset(val, 'w', sizeof val);
  OK(kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
  OK(kist_txn_savepoint(txn, &err));
  for (i = 0; i < 256; ++i) {
    snprintf(key, sizeof key, "own%08d", i);
    OK(kist_txn_put(txn, kist_default(db), key, strlen(key), val, sizeof val, 0, &err));
  }
  return txn;
}

static void budget__what_transactions_leave_behind_counts(void** state) {
  enum { kMost = 100 };
  kist_iter* iters[kMost];
  kist_pin pins[kMost];
  int how, n, i;
  (void)state;
  for (how = 0; how < 3; ++how) { /* rolled back under an iterator; freed under one; under a pin */
    kist_rc rc = KIST_OK;
    for (n = 0; n < kMost && rc == KIST_OK; ++n) {
      kist_iter_options io = KIST_ITER_OPTIONS_INIT;
      kist_read_options ro = KIST_READ_OPTIONS_INIT;
      kist_txn* txn;
      if (stat_of(db, "memory_old_memtables_bytes") > 2 * MIB) break; /* no room for a whole one */
      txn = write_a_quarter_mib();
      io.txn = ro.txn = txn;
      assert_true(stat_of(db, "memory_transactions_bytes") > MIB / 2);
      if (how < 2) rc = kist_iter_new(kist_default(db), &io, &iters[n], NULL);
      if (how == 2) rc = kist_get_pin(kist_default(db), &ro, "own00000007", 11, &pins[n], NULL);
      if (how == 0) {
        OK(kist_txn_rollback_to(txn, &err));
        assert_true(stat_of(db, "memory_old_memtables_bytes") >= (uint64_t)(n + 1) * MIB / 4);
      }
      kist_txn_free(txn);
      assert_int_equal(stat_of(db, "memory_transactions_bytes"), 0);
    }
    assert_int_equal(rc, KIST_OK);
    assert_true(n >= 4 && n <= 8);
    assert_true(stat_of(db, "memory_old_memtables_bytes") >= (uint64_t)n * MIB / 4);
    for (i = 0; i < n; ++i) how < 2 ? kist_iter_free(iters[i]) : kist_pin_release(&pins[i]);
    assert_int_equal(stat_of(db, "memory_old_memtables_bytes"), 0);
  }
}

/* Pins of more blocks than there is memory for: refused in time, and each released one makes room
 * for another. */
static void budget__pins_are_refused_in_time(void** state) {
  static kist_pin pins[20000];
  kist_iter* it = NULL;
  char key[24];
  int i, held = 0, refused = 0;
  (void)state;
  fill(20000, 1000);
  OK(kist_flush(db, &err));
  for (i = 0; i < 20000; ++i) {
    kist_err err = KIST_ERR_INIT;
    kist_rc rc;
    snprintf(key, sizeof key, "key%08d", i);
    rc = kist_get_pin(kist_default(db), NULL, key, strlen(key), &pins[held], &err);
    if (rc == KIST_OK) {
      ++held;
      continue;
    }
    assert_int_equal(rc, KIST_E_NOMEM);
    assert_int_equal(err.detail, KIST_D_BUDGET);
    assert_null(pins[held].data);
    ++refused;
  }
  assert_true(held > 4000);
  assert_true(refused > 0);
  assert_true(stat_of(db, "memory_pinned_bytes") > 3 * MIB);
  expect_within();
  OK(read_all(20000)); /* reads go on */
  ASSERT_FAILS(KIST_E_NOMEM, KIST_D_BUDGET, kist_iter_new(kist_default(db), NULL, &it, &err));
  assert_null(it);
  for (i = 0; i < held; ++i) kist_pin_release(&pins[i]);
  OK(read_all(20000));
  OK(kist_get_pin(kist_default(db), NULL, "key00000007", 11, &pins[0], &err));
  kist_pin_release(&pins[0]);
  expect_within();
}

/* Iterators keep the write buffers of their time. */
static void budget__iterators_over_old_write_buffers_are_refused(void** state) {
  kist_iter* iters[100];
  kist_rc rc = KIST_OK;
  int n, i;
  (void)state;
  for (n = 0; n < 100 && rc == KIST_OK; ++n) {
    fill(1500, 1000);
    rc = kist_iter_new(kist_default(db), NULL, &iters[n], NULL);
    OK(kist_flush(db, &err));
  }
  --n;
  assert_int_equal(rc, KIST_E_NOMEM);
  assert_true(n >= 2 && n <= 8);
  assert_true(stat_of(db, "memory_old_memtables_bytes") > 3 * MIB);
  for (i = 0; i < n; ++i) {
    OK(kist_iter_seek(iters[i], KIST_SEEK_FIRST, NULL, 0, &err));
    kist_iter_free(iters[i]);
  }
  OK(kist_iter_new(kist_default(db), NULL, &iters[0], &err));
  kist_iter_free(iters[0]);
}

/* What a flush has written is no handle's: nobody holds anything here. */
static void budget__nothing_is_refused_after_a_flush(void** state) {
  int round;
  (void)state;
  close_strict(db);
  db = open_with(":memory:",
                 "sync=never; memory_budget=12MiB; write_buffer_size=4MiB; compaction=manual");
  for (round = 0; round < 25; ++round) {
    kist_iter* it = NULL;
    kist_txn* txn = NULL;
    fill(3700, 1000);
    OK(kist_flush(db, &err));
    OK(kist_iter_new(kist_default(db), NULL, &it, &err));
    OK(kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
    kist_txn_free(txn);
    kist_iter_free(it);
  }
}

/* Nor is what a flush of the background is just about to give back. */
static void budget__a_flush_by_itself_refuses_nobody(void** state) {
  char key[24], val[1000];
  int i;
  (void)state;
  memset(val, 'v', sizeof val);
  close_strict(db);
  db = open_with(":memory:",
                 "sync=never; memory_budget=12MiB; write_buffer_size=4MiB; compaction=manual");
  for (i = 0; i < 60000; ++i) {
    kist_iter* it = NULL;
    snprintf(key, sizeof key, "key%08d", i % 10000);
    OK(kist_put(kist_default(db), NULL, key, strlen(key), val, sizeof val, &err));
    if (i % 8 != 0) continue;
    OK(kist_iter_new(kist_default(db), NULL, &it, &err));
    kist_iter_free(it);
  }
}

enum { COMPACTED_KEYS = 30000, PINNERS = 3 };
static int compacting; /* atomic */
static pthread_t pinners[PINNERS];
static int refused[PINNERS];

/* Also where a check has ended the test: threads must not use a database that is closed. */
static void stop_pinning(void) {
  int i;
  if (!__atomic_exchange_n(&compacting, 0, __ATOMIC_ACQ_REL)) return;
  for (i = 0; i < PINNERS; ++i) pthread_join(pinners[i], NULL);
}

static void* pin_keys(void* count) {
  uint32_t r = 1;
  while (__atomic_load_n(&compacting, __ATOMIC_ACQUIRE)) {
    char key[24];
    kist_pin pin;
    r = r * 1664525 + 1013904223;
    snprintf(key, sizeof key, "key%08u", (r >> 8) % COMPACTED_KEYS);
    if (kist_get_pin(kist_default(db), NULL, key, strlen(key), &pin, NULL) != KIST_OK) {
      ++*(int*)count;
    } else {
      kist_pin_release(&pin);
    }
  }
  return NULL;
}

/* A compaction gives up all that was cached of its inputs at once, more than handles may hold:
 * nobody holds it, though some are about to read it. */
static void budget__a_compaction_refuses_nobody(void** state) {
  uint64_t cached = 0;
  int round, i;
  (void)state;
  close_strict(db);
  db = open_with(path, "sync=never; memory_budget=64MiB; compression=none; compaction=manual");
  fill(COMPACTED_KEYS, 1000);
  __atomic_store_n(&compacting, 1, __ATOMIC_RELEASE);
  for (i = 0; i < PINNERS; ++i)
    assert_int_equal(pthread_create(&pinners[i], NULL, pin_keys, &refused[i]), 0);
  for (round = 0; round < 6; ++round) {
    fill(COMPACTED_KEYS / 4, 1000);
    OK(kist_compact(kist_default(db), NULL, 0, NULL, 0, NULL, &err));
    OK(read_all(COMPACTED_KEYS));
    if (stat_of(db, "cache_bytes") > cached) cached = stat_of(db, "cache_bytes");
    fill(100, 1000); /* values in a memtable, which are pinned and asked about */
  }
  stop_pinning();
  assert_true(cached > stat_of(db, "memory_held_max_bytes")); /* or nothing is tested here */
  for (i = 0; i < PINNERS; ++i) assert_int_equal(refused[i], 0);
}

/* Asked while a compaction has a block of each of its tables. */
static int32_t look_at_the_compaction(void* most, uint64_t done, uint64_t total) {
  kist_iter* it = NULL;
  const uint64_t jobs = stat_of(db, "memory_jobs_bytes");
  (void)done;
  (void)total;
  if (jobs > *(uint64_t*)most) *(uint64_t*)most = jobs;
  if (kist_iter_new(kist_default(db), NULL, &it, NULL) != KIST_OK) return 1;
  kist_iter_free(it);
  return 0;
}

/* What it reads is no handle's, however large the values are. */
static void budget__large_values_of_a_compaction_refuse_nobody(void** state) {
  kist_job job = KIST_JOB_INIT;
  uint64_t jobs = 0;
  int i;
  (void)state;
  for (i = 0; i < 6; ++i) {
    fill(1, (size_t)1500000);
    put(kist_default(db), "zzz", "1");
    OK(kist_flush(db, &err));
  }
  job.progress = look_at_the_compaction;
  job.ctx = &jobs;
  OK(kist_compact(kist_default(db), NULL, 0, NULL, 0, &job, &err));
  assert_true(jobs > stat_of(db, "memory_held_max_bytes")); /* or nothing is tested here */
  assert_true(stat_of(db, "memory_jobs_bytes") < MIB);
}

/* One value larger than what handles may hold is no misuse of memory: it can be pinned. */
static void budget__one_large_pin_is_never_refused(void** state) {
  kist_pin pin;
  char* val = malloc(12 * MIB);
  (void)state;
  memset(val, 'v', 12 * MIB);
  OK(kist_put(kist_default(db), NULL, "large", 5, val, 12 * MIB, &err));
  OK(kist_flush(db, &err));
  OK(kist_get_pin(kist_default(db), NULL, "large", 5, &pin, &err));
  assert_int_equal(pin.len, 12 * MIB);
  kist_pin_release(&pin);
  free(val);
}

/* Many tables: their indexes and filters are let go of and read again. */
static void budget__open_tables_stay_within_their_part(void** state) {
  kist_db* small;
  char key[24], val[10];
  int i, j;
  (void)state;
  close_strict(db);
  db = open_with(path,
                 "sync=never; memory_budget=16MiB; compression=none; filter_bits=20; "
                 "target_file_size=256KiB; block_size=1KiB");
  memset(val, 'v', sizeof val);
  for (i = 0; i < 1000000; ++i) {
    snprintf(key, sizeof key, "key%08d", i);
    OK(kist_put(kist_default(db), NULL, key, strlen(key), val, sizeof val, &err));
  }
  OK(kist_flush(db, &err));
  OK(kist_wait_idle(db, -1, &err));
  close_strict(db);
  small = open_with(path, "sync=never; memory_budget=4MiB; compaction=manual");
  for (j = 0; j < 2; ++j) {
    for (i = 0; i < 1000000; i += 997) {
      snprintf(key, sizeof key, "key%08d", i);
      OK(kist_exists(kist_default(small), NULL, key, strlen(key), &err));
      assert_true(stat_of(small, "table_reader_bytes") < 2 * MIB + MIB / 2);
    }
  }
  assert_true(stat_of(small, "open_tables") < stat_of(small, "tables"));
  close_strict(small);
  db = open_plain(path);
}

/* Tables of large indexes: `count` keys of 100 bytes without values, in a table or several. */
static void fill_keys(int count) {
  char key[101];
  int i;
  for (i = 0; i < count; ++i) {
    snprintf(key, sizeof key, "%050d%050d", i, i);
    OK(kist_put(kist_default(db), NULL, key, 100, NULL, 0, &err));
  }
  OK(kist_flush(db, &err));
}

/* Looks for keys that are not there: in each table. */
static void look_everywhere(int count, int step) {
  char key[101];
  int i;
  for (i = 0; i < count; i += step) {
    snprintf(key, sizeof key, "%050d%050d", i, i + 1);
    ASSERT_RC(KIST_NOT_FOUND, kist_exists(kist_default(db), NULL, key, 100, &err));
  }
}

/* What an iterator has open is closed for nobody, so that no lookup opens it a second time beside
 * it: there is one index of each table, however many iterators there are. */
static void budget__tables_are_open_once(void** state) {
  enum { kTables = 12, kKeys = 16000, kRounds = 8 };
  kist_iter* iters[kRounds];
  uint64_t all;
  int i;
  (void)state;
  close_strict(db);
  db = open_with(path,
                 "sync=never; memory_budget=64MiB; compaction=manual; filter_bits=20; "
                 "block_size=1KiB");
  for (i = 0; i < kTables; ++i) fill_keys(kKeys);
  OK(kist_iter_new(kist_default(db), NULL, &iters[0], &err)); /* opens all */
  all = stat_of(db, "memory_tables_bytes");
  assert_true(all > MIB);
  kist_iter_free(iters[0]);
  close_strict(db);
  db = open_with(path, "sync=never; memory_budget=4MiB; compaction=manual");
  for (i = 0; i < kRounds; ++i) {
    OK(kist_iter_new(kist_default(db), NULL, &iters[i], &err));
    look_everywhere(kKeys, 97);
    assert_true(stat_of(db, "memory_tables_bytes") <= all);
  }
  for (i = 0; i < kRounds; ++i) kist_iter_free(iters[i]);
  assert_true(stat_of(db, "tables") == kTables);
}

/* Iterators keep the indexes of tables that compactions have replaced: they are refused in time. */
static void budget__iterators_over_old_tables_are_refused(void** state) {
  enum { kKeys = 20000, kMost = 40 };
  kist_iter* iters[kMost];
  kist_err err = KIST_ERR_INIT;
  kist_rc rc = KIST_OK;
  int n, i;
  (void)state;
  close_strict(db);
  db = open_with(":memory:",
                 "sync=never; memory_budget=16MiB; compaction=manual; filter_bits=20; "
                 "block_size=1KiB");
  for (n = 0; n < kMost && rc == KIST_OK; ++n) {
    fill_keys(kKeys);
    OK(kist_compact(kist_default(db), NULL, 0, NULL, 0, NULL, &err));
    rc = kist_iter_new(kist_default(db), NULL, &iters[n], &err);
    if (rc == KIST_OK) OK(kist_iter_seek(iters[n], KIST_SEEK_FIRST, NULL, 0, &err));
  }
  --n;
  assert_int_equal(rc, KIST_E_NOMEM);
  assert_int_equal(err.detail, KIST_D_BUDGET);
  assert_true(n >= 4);
  assert_true(stat_of(db, "memory_old_tables_bytes") > 3 * MIB);
  assert_true(stat_of(db, "memory_old_tables_bytes") < 5 * MIB);
  for (i = 0; i < n; ++i) {
    OK(kist_iter_next(iters[i], &err));
    kist_iter_free(iters[i]);
  }
  assert_int_equal(stat_of(db, "memory_old_tables_bytes"), 0);
  OK(kist_iter_new(kist_default(db), NULL, &iters[0], &err));
  kist_iter_free(iters[0]);
}

static void budget__changes_while_open(void** state) {
  (void)state;
  fill(20000, 1000);
  OK(kist_flush(db, &err));
  OK(read_all(20000));
  assert_true(stat_of(db, "cache_bytes") > 4 * MIB);
  OK(kist_set_option(db, "memory_budget", "4MiB", &err));
  assert_int_equal(stat_of(db, "memory_budget_bytes"), 4 * MIB);
  assert_true(stat_of(db, "cache_bytes") < 3 * MIB); /* given back at once */
  OK(kist_set_option(db, "memory_budget", "64MiB", &err));
  OK(read_all(20000));
  assert_true(stat_of(db, "cache_bytes") > 15 * MIB);
  expect_within();
}

static void budget__sizes_that_cannot_fit_are_refused(void** state) {
  kist_options* options = NULL;
  kist_db* other = NULL;
  kist_err err = KIST_ERR_INIT;
  (void)state;
  OK(kist_options_new(&options));
  OK(kist_options_parse(options, "memory_budget=12MiB; write_buffer_size=5MiB", &err));
  assert_int_equal(kist_open(":memory:", options, &other, &err), KIST_E_INVALID);
  assert_non_null(strstr(err.message, "write_buffer_size"));
  assert_non_null(strstr(err.message, "memory_budget"));
  assert_int_equal(err.detail, KIST_D_VALUE);
  OK(kist_options_set(options, "write_buffer_size", "4MiB", &err));
  OK(kist_open(":memory:", options, &other, &err));
  kist_options_free(options);
  ASSERT_RC(KIST_E_INVALID, kist_set_option(other, "memory_budget", "11MiB", &err));
  assert_int_equal(stat_of(other, "memory_budget_bytes"), 12 * MIB);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_VALUE,
               kist_set_option(other, "write_buffer_size", "5MiB", &err));
  OK(kist_set_option(other, "memory_budget", "15MiB", &err));
  OK(kist_set_option(other, "write_buffer_size", "5MiB", &err));
  close_strict(other);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(budget__the_cache_gives_way_to_a_transaction),
      TEST(budget__reads_of_a_serializable_transaction_count),
      TEST(budget__savepoints_count),
      TEST(budget__what_transactions_leave_behind_counts),
      TEST(budget__pins_are_refused_in_time),
      TEST(budget__iterators_over_old_write_buffers_are_refused),
      TEST(budget__nothing_is_refused_after_a_flush),
      TEST(budget__a_flush_by_itself_refuses_nobody),
      TEST(budget__a_compaction_refuses_nobody),
      TEST(budget__large_values_of_a_compaction_refuse_nobody),
      TEST(budget__one_large_pin_is_never_refused),
      TEST(budget__open_tables_stay_within_their_part),
      TEST(budget__tables_are_open_once),
      TEST(budget__iterators_over_old_tables_are_refused),
      TEST(budget__changes_while_open),
      TEST(budget__sizes_that_cannot_fit_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
