/* 16 writers, 140 readers, flushes, compactions and snapshots all at once, for ThreadSanitizer
 * above all: every value read is one that was written for its key, a snapshot says the same twice,
 * and what a writer was told stays. KIST_CHURN sets the writes of each writer. */
#include "support/tempdir.h"

#include <pthread.h>
#include <stdatomic.h>

#define WRITERS 16
#define READERS 140
#define KEYS 200

static kist_db* the_db;
static atomic_int writing;
static atomic_ullong reads_done;
static uint64_t writes_each = 120;

#define MUST(call)                                                                 \
  do {                                                                             \
    kist_err err = KIST_ERR_INIT;                                                  \
    if ((call) < 0) {                                                              \
      fprintf(stderr, "%s: %s: %s\n", #call, kist_rc_name(err.code), err.message); \
      abort();                                                                     \
    }                                                                              \
  } while (0)

static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static size_t key_of(uint64_t k, char* key) {
  return (size_t)snprintf(key, 32, "key%05u", (unsigned)(k % KEYS));
}

/* A value is its key, a slash, a number and filling. */
static void check_value(const char* key, size_t key_len, const char* value, size_t len) {
  if (len < key_len + 1 || memcmp(value, key, key_len) != 0 || value[key_len] != '/') {
    fprintf(stderr, "%.*s holds %.*s\n", (int)key_len, key, (int)len, value);
    abort();
  }
}

static void* writer(void* arg) {
  const uint64_t self = (uint64_t)(uintptr_t)arg;
  kist_keyspace* ks = kist_default(the_db);
  uint64_t i;
  for (i = 0; i < writes_each; ++i) {
    const uint64_t r = mix(self << 32 | i);
    char key[32], value[400], own[32];
    const size_t key_len = key_of(r, key);
    size_t len = (size_t)snprintf(value, sizeof value, "%s/%llu-", key, (unsigned long long)r);
    while (len < 80 + r % 300) value[len++] = 'v';
    if (r % 11 == 0) {
      MUST(kist_delete(ks, NULL, key, key_len, &err));
    } else {
      MUST(kist_put(ks, NULL, key, key_len, value, len, &err));
    }
    snprintf(own, sizeof own, "own%02u", (unsigned)self);
    MUST(kist_put(ks, NULL, own, 5, &i, sizeof i, &err));
  }
  atomic_fetch_sub(&writing, 1);
  return NULL;
}

static void read_some(uint64_t r) {
  kist_keyspace* ks = kist_default(the_db);
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_snapshot* snapshot = NULL;
  char key[32], first[400], second[400];
  const size_t key_len = key_of(r, key);
  size_t first_len = 0, second_len = 0;
  kist_rc a, b;
  kist_err err = KIST_ERR_INIT;
  if (r % 3 != 0) {
    a = kist_get(ks, NULL, key, key_len, first, sizeof first, &first_len, &err);
    if (a == KIST_OK) check_value(key, key_len, first, first_len);
    return;
  }
  MUST(kist_snapshot_new(the_db, &snapshot, &err));
  ro.snapshot = io.snapshot = snapshot;
  a = kist_get(ks, &ro, key, key_len, first, sizeof first, &first_len, &err);
  if (r % 2 == 0) {
    kist_iter* it = NULL;
    kist_slice k, v;
    int n = 0;
    io.lower.data = key;
    io.lower.len = key_len;
    MUST(kist_iter_new(ks, &io, &it, &err));
    while (n < 20 &&
           (r % 4 == 0 ? kist_iter_next(it, &err) : kist_iter_prev(it, &err)) == KIST_OK) {
      MUST(kist_iter_entry(it, &k, &v));
      if (k.len == key_len && memcmp(k.data, "own", 3) != 0)
        check_value(k.data, k.len, v.data, v.len);
      ++n;
    }
    kist_iter_free(it);
  }
  b = kist_get(ks, &ro, key, key_len, second, sizeof second, &second_len, &err);
  if (a != b || first_len != second_len ||
      memcmp(first, second, a == KIST_OK ? first_len : 0) != 0) {
    fprintf(stderr, "a snapshot changed its mind on %s\n", key);
    abort();
  }
  kist_snapshot_free(snapshot);
}

static void* reader(void* arg) {
  uint64_t i = 0;
  do {
    read_some(mix((uint64_t)(uintptr_t)arg << 32 | ++i));
    atomic_fetch_add(&reads_done, 1);
  } while (atomic_load(&writing) > 0);
  return NULL;
}

static void churn__writers_readers_flush_compaction_snapshots(void** state) {
  char* path = new_path();
  pthread_t threads[WRITERS + READERS];
  uintptr_t i;
  (void)state;
  if (getenv("KIST_CHURN") != NULL) writes_each = strtoull(getenv("KIST_CHURN"), NULL, 10);
  the_db = open_with(path,
                     "sync=never; memory_budget=1GiB; write_buffer_size=64KiB; cache_size=64KiB; "
                     "block_size=1KiB");
  atomic_store(&writing, WRITERS);
  for (i = 0; i < WRITERS; ++i)
    assert_int_equal(pthread_create(&threads[i], NULL, writer, (void*)i), 0);
  for (i = 0; i < READERS; ++i)
    assert_int_equal(pthread_create(&threads[WRITERS + i], NULL, reader, (void*)(i + 100)), 0);
  while (atomic_load(&writing) > 0) {
    MUST(kist_flush(the_db, &err));
    MUST(kist_compact(kist_default(the_db), NULL, 0, NULL, 0, NULL, &err));
  }
  for (i = 0; i < WRITERS + READERS; ++i) assert_int_equal(pthread_join(threads[i], NULL), 0);
  for (i = 0; i < WRITERS; ++i) {
    char own[32];
    uint64_t n = 0;
    snprintf(own, sizeof own, "own%02u", (unsigned)i);
    OK(kist_get(kist_default(the_db), NULL, own, 5, &n, sizeof n, NULL, &err));
    assert_int_equal(n, writes_each - 1);
  }
  OK(kist_verify(the_db, NULL, &err));
  print_message("%llu reads\n", (unsigned long long)atomic_load(&reads_done));
  close_strict(the_db);
  drop_path(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(churn__writers_readers_flush_compaction_snapshots),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
