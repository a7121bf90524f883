/* kist_bench_multi_get - what kist_multi_get of 100 keys saves against as many kist_get_pin.
 *
 *   kist_bench_multi_get [KEYS]
 *
 * Random keys of 16 bytes, values of 100, all of it in memory: first in a memtable, then in tables
 * as they were flushed, then in one compacted level. Both ways take turns; the processor's time of
 * the best of 60 rounds counts, so that other work on the machine disturbs little. */
#define _GNU_SOURCE
#include <kist/kist.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kBatch = 100, kKeyBytes = 16, kValueBytes = 100, kRounds = 60, kBatches = 50 };

static kist_keyspace* ks;
static uint64_t key_count;
static uint64_t state = 88172645463325252u;
static char keys[kBatch][kKeyBytes + 1];
static kist_slice slices[kBatch];
static kist_pin pins[kBatch];
static kist_rc rcs[kBatch];

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const kist_err* err) {
  fprintf(stderr, "kist_bench_multi_get: %s\n", err->message);
  exit(1);
}

static void name_key(char* key, uint64_t i) {
  snprintf(key, kKeyBytes + 1, "%016llu", (unsigned long long)(i * 2654435761u % 1000000007u));
}

static void draw_keys(void) {
  for (int i = 0; i < kBatch; ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    name_key(keys[i], (state >> 11) % key_count);
    slices[i] = (kist_slice){keys[i], kKeyBytes};
  }
}

static void release(void) {
  for (int i = 0; i < kBatch; ++i) kist_pin_release(&pins[i]);
}

static double time_gets(void) {
  draw_keys();
  const double start = cpu_seconds();
  for (int i = 0; i < kBatch; ++i) kist_get_pin(ks, NULL, keys[i], kKeyBytes, &pins[i], NULL);
  const double took = cpu_seconds() - start;
  release();
  return took;
}

static double time_multi_get(void) {
  draw_keys();
  const double start = cpu_seconds();
  kist_multi_get(ks, NULL, kBatch, slices, pins, rcs, NULL);
  const double took = cpu_seconds() - start;
  release();
  return took;
}

static void measure(const char* where) {
  double gets = 1e9, many = 1e9;
  char key[kKeyBytes + 1];
  for (uint64_t i = 0; i < key_count; ++i) { /* fills the cache */
    name_key(key, i);
    kist_exists(ks, NULL, key, kKeyBytes, NULL);
  }
  for (int round = 0; round < kRounds; ++round) {
    double g = 0, m = 0;
    for (int i = 0; i < kBatches; ++i) {
      g += time_gets();
      m += time_multi_get();
    }
    if (g < gets) gets = g;
    if (m < many) many = m;
  }
  const double per_key = 1e9 / kBatches / kBatch;
  printf("%-10s %9llu keys: kist_get_pin %4.0f ns a key, kist_multi_get %4.0f ns: %.2f times\n",
         where, (unsigned long long)key_count, gets * per_key, many * per_key, gets / many);
}

int main(int argc, char** argv) {
  kist_db* db = NULL;
  kist_options* options = NULL;
  kist_err err = KIST_ERR_INIT;
  char key[kKeyBytes + 1], value[kValueBytes];
  key_count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
  memset(value, 'v', sizeof value);
  if (key_count == 0 || kist_options_new(&options) != KIST_OK) return 2;
  if (kist_options_parse(options, "sync=never; memory_budget=2GiB; write_buffer_size=512MiB",
                         &err) != KIST_OK ||
      kist_open(":memory:", options, &db, &err) != KIST_OK)
    die(&err);
  kist_options_free(options);
  ks = kist_default(db);
  for (uint64_t i = 0; i < key_count; ++i) {
    name_key(key, i);
    if (kist_put(ks, NULL, key, kKeyBytes, value, sizeof value, &err) != KIST_OK) die(&err);
  }
  measure("memtable");
  if (kist_flush(db, &err) != KIST_OK || kist_wait_idle(db, -1, &err) != KIST_OK) die(&err);
  measure("flushed");
  if (kist_compact(ks, NULL, 0, NULL, 0, NULL, &err) != KIST_OK) die(&err);
  measure("compacted");
  return kist_close(db, KIST_CLOSE_STRICT, &err) == KIST_OK ? 0 : 1;
}
