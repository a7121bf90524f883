/* kist_bench_edges - what idle keyspaces and dropped ranges cost.
 *
 *   kist_bench_edges DIR [KEYSPACES [KEYS]]
 *
 * DIR must not exist. First a database of so many keyspaces (1,000), all of them empty but ten, is
 * opened again beside one that has none: time of kist_open, resident memory that it adds. Then, in
 * memory, KEYS (1,000,000) are dropped by one kist_delete_range, and scans run over where they
 * were, both ways: with all in a memtable, with the keys in tables and the range delete in memory,
 * and with a snapshot that keeps all of them in tables. Times are of the processor, the best of 20.
 */
#define _GNU_SOURCE
#include <kist/kist.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static kist_err err = KIST_ERR_INIT;

static void must(kist_rc rc) {
  if (rc == KIST_OK) return;
  fprintf(stderr, "kist_bench_edges: %s: %s\n", kist_rc_name(rc), err.message);
  exit(1);
}

static double cpu_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double resident_kib(void) {
  char line[256];
  double kib = 0;
  FILE* file = fopen("/proc/self/status", "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) sscanf(line, "VmRSS: %lf", &kib);
  if (file != NULL) fclose(file);
  return kib;
}

static kist_db* open_db(const char* path, const char* text) {
  kist_options* options = NULL;
  kist_db* db = NULL;
  must(kist_options_new(&options));
  must(kist_options_parse(options, text, &err));
  must(kist_open(path, options, &db, &err));
  kist_options_free(options);
  return db;
}

static void make_keyspaces(const char* path, unsigned count) {
  kist_db* db = open_db(path, "sync=never");
  for (unsigned i = 0; i < count; ++i) {
    kist_keyspace* ks = NULL;
    char name[32];
    snprintf(name, sizeof name, "keyspace%06u", i);
    must(kist_keyspace_open(db, name, KIST_KEYSPACE_CREATE, NULL, &ks, &err));
    if (i * 10 / count != (i + 1) * 10 / count) must(kist_put(ks, NULL, name, 14, "v", 1, &err));
    kist_keyspace_free(ks);
  }
  must(kist_close(db, KIST_CLOSE_STRICT, &err));
}

static void time_opening(const char* path, unsigned keyspaces) {
  double best = 1e18, before = 0, added = 0;
  uint64_t memtables = 0;
  make_keyspaces(path, keyspaces);
  for (int i = 0; i < 20; ++i) {
    before = resident_kib();
    const double start = cpu_us();
    kist_db* db = open_db(path, "sync=never");
    const double took = cpu_us() - start;
    if (took < best) best = took;
    if (i == 0) {
      added = resident_kib() - before;
      must(kist_stat(db, "memory_memtables_bytes", &memtables, &err));
    }
    must(kist_close(db, KIST_CLOSE_STRICT, &err));
  }
  printf("%6u keyspaces: opened in %.2f ms, %.0f KiB more resident, memtables %.0f KiB\n",
         keyspaces, best / 1e3, added, (double)memtables / 1024);
  must(kist_destroy(path, &err));
}

static uint64_t blocks(kist_db* db) {
  uint64_t hits = 0, misses = 0;
  must(kist_stat(db, "cache_hits", &hits, &err));
  must(kist_stat(db, "cache_misses", &misses, &err));
  return hits + misses;
}

static void time_scans(kist_db* db, const char* what) {
  for (int way = 0; way < 2; ++way) {
    double best = 1e18;
    uint64_t read = 0, entries = 0;
    for (int i = 0; i < 20; ++i) {
      kist_iter* it = NULL;
      must(kist_iter_new(kist_default(db), NULL, &it, &err));
      const uint64_t before = blocks(db);
      const double start = cpu_us();
      for (entries = 0;
           (way == 0 ? kist_iter_next(it, NULL) : kist_iter_prev(it, NULL)) == KIST_OK;)
        ++entries;
      const double took = cpu_us() - start;
      read = blocks(db) - before;
      if (took < best) best = took;
      kist_iter_free(it);
    }
    printf("%-44s %s: %9.1f us, %llu blocks, %llu entries\n", what, way == 0 ? "up  " : "down",
           best, (unsigned long long)read, (unsigned long long)entries);
  }
}

static void fill(kist_db* db, unsigned count) {
  char key[32];
  for (unsigned i = 0; i < count; ++i) {
    snprintf(key, sizeof key, "key%09u", i);
    must(kist_put(kist_default(db), NULL, key, 12, "value", 5, &err));
  }
  must(kist_put(kist_default(db), NULL, "a", 1, "before", 6, &err));
  must(kist_put(kist_default(db), NULL, "z", 1, "behind", 6, &err));
}

static void time_ranges(unsigned keys) {
  for (int how = 0; how < 3; ++how) {
    static const char* const names[] = {"dropped in a memtable", "in tables, dropped in memory",
                                        "in tables, dropped there, kept by a snapshot"};
    kist_snapshot* snapshot = NULL;
    kist_db* db = open_db(":memory:",
                          "sync=never; memory_budget=1GiB; write_buffer_size=256MiB; "
                          "compaction=manual");
    fill(db, keys);
    if (how == 0) time_scans(db, "all keys there, in a memtable");
    if (how > 0) must(kist_flush(db, &err));
    if (how == 1) time_scans(db, "all keys there, in tables");
    if (how == 2) must(kist_snapshot_new(db, &snapshot, &err));
    must(kist_delete_range(kist_default(db), NULL, "k", 1, "l", 1, &err));
    if (how == 2) must(kist_compact(kist_default(db), NULL, 0, NULL, 0, NULL, &err));
    time_scans(db, names[how]);
    kist_snapshot_free(snapshot);
    must(kist_close(db, KIST_CLOSE_STRICT, &err));
  }
}

int main(int argc, char** argv) {
  if (argc < 2) return fprintf(stderr, "usage: kist_bench_edges DIR [KEYSPACES [KEYS]]\n"), 2;
  const unsigned keyspaces = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1000;
  const unsigned keys = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1000000;
  time_opening(argv[1], 1);
  time_opening(argv[1], keyspaces);
  time_ranges(keys);
  return 0;
}
