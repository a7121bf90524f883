/* memory_soak - holds a database to its memory_budget: a mixed load for so many seconds, while the
 * resident memory of the whole process is sampled.
 *
 *   memory_soak BUDGET_MIB SECONDS [CURVE.csv]
 *
 * Two writers (puts, deletes, range deletes, batches, TTLs), two readers (gets, pins held for a
 * while, multi_get), a scanner (both directions, some iterators held long), transactions of all
 * sizes and snapshots, over about three budgets of data. Ten times a second it notes VmRSS and what
 * the statistics say of each part; at the end it prints the curve, and fails where the largest
 * VmRSS is above the budget and a tenth. KIST_E_NOMEM of the budget is an answer, any other error a
 * failure. KIST_SEED repeats the choices. Linux. */
#define _GNU_SOURCE
#include <kist/kist.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { kKeyBytes = 16, kValueMax = 8192, kPins = 500, kHeldIters = 8, kColumns = 64, kRows = 16 };

static kist_db* db;
static kist_keyspace* ks;
static uint64_t key_count;
static volatile int stop;
static uint64_t seed;

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char* what, kist_rc rc, const kist_err* err) {
  fprintf(stderr, "memory_soak: %s: %s: %s\n", what, kist_rc_name(rc), err->message);
  _exit(1);
}

struct worker {
  pthread_t thread;
  uint64_t random;
  uint64_t operations, refused;
  kist_err err;
  char key[kKeyBytes + 1], end[kKeyBytes + 1], value[kValueMax];
};

static uint64_t draw(struct worker* w, uint64_t below) {
  w->random ^= w->random << 13;
  w->random ^= w->random >> 7;
  w->random ^= w->random << 17;
  return (w->random >> 11) % below;
}

/* Outcomes that the load expects; anything else ends it. */
static int check(struct worker* w, const char* what, kist_rc rc) {
  ++w->operations;
  if (rc >= 0) return 1;
  if (rc == KIST_E_NOMEM && w->err.detail == KIST_D_BUDGET) {
    ++w->refused;
    return 0;
  }
  if (rc != KIST_E_CONFLICT) die(what, rc, &w->err);
  return 0;
}

/* Half of the choices fall on a hundredth of the keys. */
static void pick_key(struct worker* w) {
  const uint64_t n = draw(w, 2) == 0 ? draw(w, key_count / 100 + 1) : draw(w, key_count);
  snprintf(w->key, sizeof w->key, "%016llu", (unsigned long long)n);
  snprintf(w->end, sizeof w->end, "%016llu", (unsigned long long)(n + 1 + draw(w, 50)));
}

static size_t pick_value(struct worker* w) {
  const uint64_t kind = draw(w, 100);
  return kind < 70 ? 50 + draw(w, 200) : kind < 99 ? 200 + draw(w, 1800) : draw(w, kValueMax);
}

static void make_batch(struct worker* w, kist_batch* batch) {
  const uint64_t count = draw(w, 20) == 0 ? 2000 : 1 + draw(w, 100);
  kist_batch_clear(batch);
  for (uint64_t i = 0; i < count; ++i) {
    pick_key(w);
    check(w, "batch",
          kist_batch_put(batch, ks, w->key, kKeyBytes, w->value, pick_value(w), 0, &w->err));
  }
}

static void* write_things(void* arg) {
  struct worker* w = arg;
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  kist_batch* batch = NULL;
  check(w, "batch", kist_batch_new(&batch));
  while (!stop) {
    const uint64_t kind = draw(w, 1000);
    pick_key(w);
    wo.ttl_ms = kind < 50 ? 1000 + (int64_t)draw(w, 60000) : 0;
    if (kind < 900) {
      check(w, "put", kist_put(ks, &wo, w->key, kKeyBytes, w->value, pick_value(w), &w->err));
    } else if (kind < 980) {
      check(w, "delete", kist_delete(ks, NULL, w->key, kKeyBytes, &w->err));
    } else if (kind < 982) {
      check(w, "delete_range",
            kist_delete_range(ks, NULL, w->key, kKeyBytes, w->end, kKeyBytes, &w->err));
    } else {
      make_batch(w, batch);
      check(w, "write", kist_write(db, NULL, batch, NULL, &w->err));
    }
  }
  kist_batch_free(batch);
  return NULL;
}

static void read_many(struct worker* w, kist_pin* pins) {
  char keys[100][kKeyBytes + 1];
  kist_slice slices[100];
  kist_rc rcs[100];
  for (int i = 0; i < 100; ++i) {
    pick_key(w);
    memcpy(keys[i], w->key, sizeof keys[i]);
    slices[i] = (kist_slice){keys[i], kKeyBytes};
  }
  if (!check(w, "multi_get", kist_multi_get(ks, NULL, 100, slices, pins, rcs, &w->err))) return;
  for (int i = 0; i < 100; ++i) {
    if (rcs[i] < 0 && rcs[i] != KIST_E_NOMEM) die("multi_get", rcs[i], &w->err);
    kist_pin_release(&pins[i]);
  }
}

static void* read_things(void* arg) {
  struct worker* w = arg;
  static __thread kist_pin pins[kPins];
  kist_pin many[100];
  size_t at = 0, len = 0;
  while (!stop) {
    const uint64_t kind = draw(w, 1000);
    pick_key(w);
    if (kind < 800) {
      check(w, "get", kist_get(ks, NULL, w->key, kKeyBytes, w->value, kValueMax, &len, &w->err));
    } else if (kind < 990) {
      kist_pin_release(&pins[at]);
      check(w, "get_pin", kist_get_pin(ks, NULL, w->key, kKeyBytes, &pins[at], &w->err));
      at = (at + 1) % kPins;
    } else {
      read_many(w, many);
    }
  }
  for (size_t i = 0; i < kPins; ++i) kist_pin_release(&pins[i]);
  return NULL;
}

static void scan_once(struct worker* w, kist_iter* it) {
  kist_entry entries[64];
  size_t count = 0;
  const int dir = draw(w, 3) == 0 ? -1 : 1;
  uint64_t left = draw(w, 50) == 0 ? 200000 : draw(w, 200);
  pick_key(w);
  kist_rc rc =
      kist_iter_seek(it, dir > 0 ? KIST_SEEK_GE : KIST_SEEK_LE, w->key, kKeyBytes, &w->err);
  check(w, "seek", rc);
  while (rc == KIST_OK && left > 0 && !stop) {
    if (draw(w, 4) == 0) {
      rc = kist_iter_entries(it, dir, entries, 64, &count, &w->err);
      left -= left < count ? left : count;
    } else {
      rc = dir > 0 ? kist_iter_next(it, &w->err) : kist_iter_prev(it, &w->err);
      --left;
    }
    check(w, "step", rc);
  }
}

static void* scan_things(void* arg) {
  struct worker* w = arg;
  kist_iter* held[kHeldIters] = {0};
  double made[kHeldIters] = {0};
  while (!stop) {
    const size_t i = draw(w, kHeldIters);
    /* One is kept for up to five seconds, the others for a scan each. */
    if (held[i] != NULL && (i != 0 || now_s() - made[i] > 5)) {
      kist_iter_free(held[i]);
      held[i] = NULL;
    }
    if (held[i] == NULL) {
      if (!check(w, "iter_new", kist_iter_new(ks, NULL, &held[i], &w->err))) continue;
      made[i] = now_s();
    }
    scan_once(w, held[i]);
  }
  for (size_t i = 0; i < kHeldIters; ++i) kist_iter_free(held[i]);
  return NULL;
}

static void* transact(void* arg) {
  struct worker* w = arg;
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  size_t len = 0;
  while (!stop) {
    kist_txn* txn = NULL;
    kist_snapshot* snapshot = NULL;
    const uint64_t writes = draw(w, 50) == 0 ? 20000 : draw(w, 30);
    int fine = check(w, "txn_begin", kist_txn_begin(db, (uint32_t)draw(w, 2), &txn, &w->err));
    check(w, "snapshot_new", kist_snapshot_new(db, &snapshot, &w->err));
    ro.txn = txn;
    for (uint64_t i = 0; fine && i < writes && !stop; ++i) {
      pick_key(w);
      fine = check(w, "txn get",
                   kist_get(ks, &ro, w->key, kKeyBytes, w->value, kValueMax, &len, &w->err)) &&
             check(w, "txn_put",
                   kist_txn_put(txn, ks, w->key, kKeyBytes, w->value, pick_value(w), 0, &w->err));
    }
    if (fine) check(w, "txn_commit", kist_txn_commit(txn, NULL, NULL, &w->err));
    kist_txn_free(txn);
    kist_snapshot_free(snapshot);
    usleep(1000);
  }
  return NULL;
}

/* ---- samples */

struct sample {
  double at;
  uint64_t rss, used, memtables, cache, tables, pinned, held;
};

static uint64_t stat_of(const char* name) {
  uint64_t value = 0;
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = kist_stat(db, name, &value, &err);
  if (rc != KIST_OK) die(name, rc, &err);
  return value;
}

static uint64_t status_bytes(const char* name) {
  char line[256];
  unsigned long long kib = 0;
  FILE* file = fopen("/proc/self/status", "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
      sscanf(line + strlen(name) + 1, "%llu", &kib);
    }
  }
  if (file != NULL) fclose(file);
  return (uint64_t)kib << 10;
}

static struct sample take(double start) {
  struct sample s = {0};
  s.at = now_s() - start;
  s.rss = status_bytes("VmRSS");
  s.used = stat_of("memory_used_bytes");
  s.memtables = stat_of("memory_memtables_bytes");
  s.cache = stat_of("memory_cache_bytes");
  s.tables = stat_of("memory_tables_bytes");
  s.pinned = stat_of("memory_pinned_bytes");
  s.held = stat_of("memory_old_memtables_bytes") + stat_of("memory_iterators_bytes") +
           stat_of("memory_transactions_bytes");
  return s;
}

static double mib(uint64_t bytes) { return (double)bytes / 1048576.0; }

/* The curve: a column each for the largest sample of its stretch of time. */
static void draw_curve(const struct sample* samples, size_t count, uint64_t budget) {
  const double top = mib(budget) * 1.1;
  for (int row = kRows; row > 0; --row) {
    const double level = top * row / kRows;
    printf("%8.0f MiB |", level);
    for (size_t c = 0; c < kColumns; ++c) {
      uint64_t rss = 0, used = 0;
      for (size_t i = c * count / kColumns; i < (c + 1) * count / kColumns; ++i) {
        if (samples[i].rss > rss) rss = samples[i].rss;
        if (samples[i].used > used) used = samples[i].used;
      }
      const double step = top / kRows;
      putchar(mib(rss) > level - step / 2 && mib(rss) <= level + step / 2     ? '#'
              : mib(used) > level - step / 2 && mib(used) <= level + step / 2 ? '+'
                                                                              : ' ');
    }
    printf("\n");
  }
  printf("             +");
  for (int c = 0; c < kColumns; ++c) putchar('-');
  printf(" %.0f s\n             # resident memory, + what the statistics count\n",
         samples[count - 1].at);
}

static void write_csv(const char* path, const struct sample* samples, size_t count) {
  FILE* file = fopen(path, "w");
  if (file == NULL) return perror(path);
  fprintf(file, "seconds,rss,used,memtables,cache,tables,pinned,handles\n");
  for (size_t i = 0; i < count; ++i) {
    const struct sample* s = &samples[i];
    fprintf(file, "%.1f,%llu,%llu,%llu,%llu,%llu,%llu,%llu\n", s->at, (unsigned long long)s->rss,
            (unsigned long long)s->used, (unsigned long long)s->memtables,
            (unsigned long long)s->cache, (unsigned long long)s->tables,
            (unsigned long long)s->pinned, (unsigned long long)s->held);
  }
  fclose(file);
}

int main(int argc, char** argv) {
  static void* (*const kinds[])(void*) = {write_things, write_things, read_things,
                                          read_things,  scan_things,  transact};
  enum { kWorkers = sizeof kinds / sizeof *kinds };
  static struct worker workers[kWorkers];
  char path[] = "/tmp/kist-soak-XXXXXX", place[64], text[128];
  kist_options* options = NULL;
  kist_err err = KIST_ERR_INIT;
  if (argc < 3) return fprintf(stderr, "usage: memory_soak BUDGET_MIB SECONDS [CURVE.csv]\n"), 2;
  const uint64_t budget = strtoull(argv[1], NULL, 10) << 20;
  const double seconds = atof(argv[2]);
  seed =
      getenv("KIST_SEED") != NULL ? strtoull(getenv("KIST_SEED"), NULL, 10) : (uint64_t)time(NULL);
  key_count = budget * 3 / 400;
  if (mkdtemp(path) == NULL) return perror(path), 1;
  snprintf(place, sizeof place, "%s/db", path);
  snprintf(text, sizeof text, "sync=never; memory_budget=%lluMiB",
           (unsigned long long)(budget >> 20));
  kist_rc rc = kist_options_new(&options);
  if (rc == KIST_OK) rc = kist_options_parse(options, text, &err);
  if (rc == KIST_OK) rc = kist_open(place, options, &db, &err);
  if (rc != KIST_OK) die("open", rc, &err);
  kist_options_free(options);
  ks = kist_default(db);
  printf("memory_budget %llu MiB, %.0f s, KIST_SEED=%llu\n", (unsigned long long)(budget >> 20),
         seconds, (unsigned long long)seed);
  fflush(stdout);

  const size_t capacity = (size_t)(seconds * 10) + 16;
  struct sample* samples = calloc(capacity, sizeof *samples);
  const double start = now_s();
  for (size_t i = 0; i < kWorkers; ++i) {
    workers[i].random = (seed + 1) * 0x9e3779b97f4a7c15 + i * 0xd6e8feb86659fd93 + 1;
    workers[i].err = (kist_err)KIST_ERR_INIT;
    for (size_t j = 0; j < kValueMax; ++j) workers[i].value[j] = (char)draw(&workers[i], 32);
    pthread_create(&workers[i].thread, NULL, kinds[i], &workers[i]);
  }
  size_t count = 0;
  struct sample worst = {0};
  while (now_s() - start < seconds && count < capacity) {
    usleep(100000);
    samples[count] = take(start);
    if (samples[count].rss > worst.rss) worst = samples[count];
    ++count;
  }
  stop = 1;
  uint64_t operations = 0, refused = 0;
  for (size_t i = 0; i < kWorkers; ++i) {
    pthread_join(workers[i].thread, NULL);
    operations += workers[i].operations;
    refused += workers[i].refused;
  }
  draw_curve(samples, count, budget);
  if (argc > 3) write_csv(argv[3], samples, count);
  printf(
      "largest RSS %.1f MiB (%.1f %% of the budget) at %.1f s: counted %.1f = memtables %.1f, "
      "cache %.1f, tables %.1f, pinned %.1f, handles %.1f, ...; files mapped %.1f MiB now\n",
      mib(worst.rss), 100.0 * (double)worst.rss / (double)budget, worst.at, mib(worst.used),
      mib(worst.memtables), mib(worst.cache), mib(worst.tables), mib(worst.pinned), mib(worst.held),
      mib(status_bytes("RssFile")));
  printf("%llu operations, %llu refused by the budget, %.1f MiB of tables\n",
         (unsigned long long)operations, (unsigned long long)refused, mib(stat_of("table_bytes")));
  free(samples);
  rc = kist_close(db, KIST_CLOSE_STRICT, &err);
  if (rc != KIST_OK) die("close", rc, &err);
  rc = kist_destroy(place, &err);
  if (rc != KIST_OK) die("destroy", rc, &err);
  rmdir(path);
  if (worst.rss > budget + budget / 10) return printf("ABOVE the budget and a tenth\n"), 1;
  printf("within the budget and a tenth\n");
  return 0;
}
