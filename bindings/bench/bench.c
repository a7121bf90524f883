/* The C side of bindings/bench/run: bench DIRECTORY OPERATION COUNT.
 *
 * Fills the directory with the fixed data, does COUNT operations, and prints the nanoseconds of
 * each. A binding has a program that does the same with the same data through its own interface.
 * One thread. */
#include <kist/kist.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kEntries = 20000, kBatch = 1000, kValue = 100 };

static kist_db* db;
static kist_keyspace* ks;
static kist_err err = KIST_ERR_INIT;
static char keys[kEntries][17], value[kValue];
static size_t sum; /* of what was read, so that reading cannot be left out */

static void must(int right, const char* what) {
  if (right) return;
  fprintf(stderr, "%s: %s\n", what, err.message);
  exit(1);
}

static void get(size_t count) {
  char buf[256];
  size_t len = 0;
  for (size_t i = 0; i < count; ++i) {
    must(kist_get(ks, NULL, keys[i % kEntries], 16, buf, sizeof buf, &len, &err) == KIST_OK, "get");
    sum += len;
  }
}

static void get_copy(size_t count) {
  void* copy = NULL;
  size_t len = 0;
  for (size_t i = 0; i < count; ++i) {
    must(kist_get_copy(ks, NULL, keys[i % kEntries], 16, &copy, &len, &err) == KIST_OK, "get");
    sum += len;
    kist_free(copy);
  }
}

static void get_pin(size_t count) {
  kist_pin pin;
  for (size_t i = 0; i < count; ++i) {
    must(kist_get_pin(ks, NULL, keys[i % kEntries], 16, &pin, &err) == KIST_OK, "get_pin");
    sum += pin.len;
    kist_pin_release(&pin);
  }
}

static void put(size_t count) {
  for (size_t i = 0; i < count; ++i) {
    must(kist_put(ks, NULL, keys[i % kEntries], 16, value, kValue, &err) == KIST_OK, "put");
  }
}

static void batch(size_t count) {
  kist_batch* b = NULL;
  must(kist_batch_new(&b) == KIST_OK, "batch");
  for (size_t i = 0; i < count; i += kBatch) {
    kist_batch_clear(b);
    for (size_t j = i; j < i + kBatch; ++j) {
      must(kist_batch_put(b, ks, keys[j % kEntries], 16, value, kValue, 0, &err) == KIST_OK, "put");
    }
    must(kist_write(db, NULL, b, NULL, &err) == KIST_OK, "write");
  }
  kist_batch_free(b);
}

static void scan(size_t count) {
  while (count > 0) {
    kist_iter* it = NULL;
    kist_slice key, val;
    must(kist_iter_new(ks, NULL, &it, &err) == KIST_OK, "iter");
    for (; count > 0 && kist_iter_next(it, &err) == KIST_OK; --count) {
      must(kist_iter_entry(it, &key, &val) == KIST_OK, "entry");
      sum += key.len + val.len;
    }
    kist_iter_free(it);
  }
}

static void* copy_of(kist_slice slice) {
  void* copy = malloc(slice.len + 1);
  must(copy != NULL, "malloc");
  return memcpy(copy, slice.data, slice.len);
}

/* As scan, for who needs the entries later: keys and values in memory of their own. */
static void scan_copy(size_t count) {
  while (count > 0) {
    kist_iter* it = NULL;
    kist_slice key, val;
    must(kist_iter_new(ks, NULL, &it, &err) == KIST_OK, "iter");
    for (; count > 0 && kist_iter_next(it, &err) == KIST_OK; --count) {
      must(kist_iter_entry(it, &key, &val) == KIST_OK, "entry");
      void *key_copy = copy_of(key), *val_copy = copy_of(val);
      sum += key.len + val.len;
      free(key_copy);
      free(val_copy);
    }
    kist_iter_free(it);
  }
}

static void scan_entries(size_t count) {
  static kist_entry entries[256];
  while (count > 0) {
    kist_iter* it = NULL;
    kist_rc rc = KIST_OK;
    must(kist_iter_new(ks, NULL, &it, &err) == KIST_OK, "iter");
    while (count > 0 && rc == KIST_OK) {
      size_t got = 0;
      rc = kist_iter_entries(it, 1, entries, count < 256 ? count : 256, &got, &err);
      for (size_t i = 0; i < got; ++i) sum += entries[i].key.len + entries[i].val.len;
      count -= got;
    }
    kist_iter_free(it);
  }
}

static const struct {
  const char* name;
  void (*run)(size_t count);
} operations[] = {{"get", get},
                  {"get_copy", get_copy},
                  {"get_pin", get_pin},
                  {"put", put},
                  {"batch", batch},
                  {"scan", scan},
                  {"scan_copy", scan_copy},
                  {"scan_entries", scan_entries}};

static void fill(const char* path) {
  kist_options* options = NULL;
  must(kist_options_new(&options) == KIST_OK, "options");
  must(kist_options_parse(options, "sync=never", &err) == KIST_OK, "options");
  must(kist_open(path, options, &db, &err) == KIST_OK, "open");
  kist_options_free(options);
  ks = kist_default(db);
  memset(value, 'v', kValue);
  for (size_t i = 0; i < kEntries; ++i) {
    snprintf(keys[i], sizeof keys[i], "%016u", (unsigned)(i * 7919 % kEntries));
  }
  put(kEntries);
  must(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err) == KIST_OK, "compact");
  scan(kEntries); /* the cache is warm */
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const size_t count = strtoull(argv[3], NULL, 10);
  struct timespec begin, end;
  fill(argv[1]);
  for (size_t i = 0; i < sizeof operations / sizeof *operations; ++i) {
    if (strcmp(operations[i].name, argv[2]) != 0) continue;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    operations[i].run(count);
    clock_gettime(CLOCK_MONOTONIC, &end);
    const double ns =
        (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
    printf("%.1f %zu\n", ns / (double)count, sum);
    return kist_close(db, KIST_CLOSE_STRICT, &err) == KIST_OK ? 0 : 1;
  }
  return 2;
}
