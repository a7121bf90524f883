/* instructions - the fixed work whose instructions are counted: N operations of each kind in one
 * fixed pattern.
 *
 * Run by instructions/run under callgrind, which takes one dump a phase from the client requests
 * below. Nothing here is random or timed: flushes and compactions happen between the phases and
 * only where they are called. The calling thread's instructions alone count. Without valgrind it is
 * a plain smoke test that checks every answer. */
#include <kist/kist.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_include)
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#endif
#endif
#ifndef CALLGRIND_ZERO_STATS
#define CALLGRIND_ZERO_STATS ((void)0)
#define CALLGRIND_DUMP_STATS_AT(name) ((void)(name))
#endif

enum { kEntries = 20000, kValue = 100, kBatch = 100, kSeeks = 2000, kSpan = 10 };

static kist_db* db;
static kist_keyspace* ks;
static kist_err err = KIST_ERR_INIT;

static void must(int right, const char* what) {
  if (right) return;
  fprintf(stderr, "instructions: %s: %s\n", what, err.message);
  exit(1);
}

/* Entry i in a fixed scattered order: 7919 is prime to 20000. Even numbers exist, odd ones never
 * do. */
static void make_key(unsigned i, int odd, char* out) {
  char text[24];
  snprintf(text, sizeof text, "%016u", 2 * (i * 7919u % kEntries) + (odd ? 1u : 0u));
  memcpy(out, text, 16);
}
static void make_value(unsigned i, char* out) {
  uint32_t x = i * 2654435761u + 1;
  for (int j = 0; j < kValue / 2; ++j) {
    x = x * 1664525u + 1013904223u;
    out[j] = out[j + kValue / 2] = (char)(x >> 24);
  }
}

/* All keys and values lie ready, so that the phases count the engine and next to nothing else. */
static char keys[kEntries][16], absent[kEntries][16], values[kEntries][kValue];

static void begin(void) { CALLGRIND_ZERO_STATS; }
/* The dump's name carries the number of operations: instructions/run divides by it. */
static void end(const char* name, unsigned count) {
  char text[64];
  snprintf(text, sizeof text, "%s/%u", name, count);
  CALLGRIND_DUMP_STATS_AT(text);
}

static void puts_all(const char* name) {
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  wo.durability = KIST_DURABILITY_OS;
  begin();
  for (unsigned i = 0; i < kEntries; ++i) {
    must(kist_put(ks, &wo, keys[i], 16, values[i], kValue, &err) == KIST_OK, "put");
  }
  end(name, kEntries);
}

static void puts_in_batches(const char* name) {
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  kist_batch* batch = NULL;
  wo.durability = KIST_DURABILITY_OS;
  must(kist_batch_new(&batch) == KIST_OK, "batch");
  begin();
  for (unsigned i = 0; i < kEntries; i += kBatch) {
    kist_batch_clear(batch);
    for (unsigned j = i; j < i + kBatch; ++j) {
      must(kist_batch_put(batch, ks, keys[j], 16, values[j], kValue, 0, &err) == KIST_OK,
           "batch put");
    }
    must(kist_write(db, &wo, batch, NULL, &err) == KIST_OK, "write");
  }
  end(name, kEntries);
  kist_batch_free(batch);
}

static void deletes_all(const char* name) {
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  wo.durability = KIST_DURABILITY_OS;
  begin();
  for (unsigned i = 0; i < kEntries; ++i)
    must(kist_delete(ks, &wo, keys[i], 16, &err) == KIST_OK, "delete");
  end(name, kEntries);
}

static void gets_all(const char* name, int counted) {
  char buffer[kValue];
  size_t len = 0;
  if (counted) begin();
  for (unsigned i = 0; i < kEntries; ++i) {
    must(kist_get(ks, NULL, keys[i], 16, buffer, sizeof buffer, &len, &err) == KIST_OK &&
             len == kValue,
         "get");
  }
  if (counted) end(name, kEntries);
  must(memcmp(buffer, values[kEntries - 1], kValue) == 0, "the value of the last get");
}

static void pins_all(const char* name) {
  kist_pin pin;
  begin();
  for (unsigned i = 0; i < kEntries; ++i) {
    must(kist_get_pin(ks, NULL, keys[i], 16, &pin, &err) == KIST_OK && pin.len == kValue,
         "get_pin");
    kist_pin_release(&pin);
  }
  end(name, kEntries);
}

static void gets_absent(const char* name) {
  char buffer[kValue];
  begin();
  for (unsigned i = 0; i < kEntries; ++i) {
    must(kist_get(ks, NULL, absent[i], 16, buffer, sizeof buffer, NULL, &err) == KIST_NOT_FOUND,
         "get of an absent key");
  }
  end(name, kEntries);
}

static void scan(const char* name, int forward) {
  kist_iter* it = NULL;
  unsigned count = 0;
  must(kist_iter_new(ks, NULL, &it, &err) == KIST_OK, "iterator");
  kist_rc rc = kist_iter_seek(it, forward ? KIST_SEEK_FIRST : KIST_SEEK_LAST, NULL, 0, &err);
  begin();
  for (; rc == KIST_OK; ++count) rc = forward ? kist_iter_next(it, &err) : kist_iter_prev(it, &err);
  end(name, kEntries);
  must(count == kEntries && rc == KIST_DONE, name);
  kist_iter_free(it);
}

static void scan_entries(const char* name) {
  kist_entry entries[256];
  kist_iter* it = NULL;
  size_t count = 0, all = 0;
  kist_rc rc = KIST_OK;
  must(kist_iter_new(ks, NULL, &it, &err) == KIST_OK, "iterator");
  begin();
  for (; rc == KIST_OK; all += count) rc = kist_iter_entries(it, 1, entries, 256, &count, &err);
  end(name, kEntries);
  must(all == kEntries && rc == KIST_DONE, name);
  kist_iter_free(it);
}

static void seeks(const char* name) {
  kist_iter* it = NULL;
  kist_entry entry;
  must(kist_iter_new(ks, NULL, &it, &err) == KIST_OK, "iterator");
  begin();
  for (unsigned i = 0; i < kSeeks; ++i) {
    kist_rc rc = kist_iter_seek(it, KIST_SEEK_GE, absent[i], 16, &err);
    for (int j = 0; j < kSpan && rc == KIST_OK; ++j) {
      must(kist_iter_entry(it, &entry.key, &entry.val) == KIST_OK, "entry");
      rc = kist_iter_next(it, &err);
    }
    must(rc >= 0, name);
  }
  end(name, kSeeks);
  kist_iter_free(it);
}

int main(int argc, char** argv) {
  kist_options* options = NULL;
  if (argc != 2) return fprintf(stderr, "usage: instructions DIRECTORY (must not exist)\n"), 2;
  for (unsigned i = 0; i < kEntries; ++i) {
    make_key(i, 0, keys[i]);
    make_key(i, 1, absent[i]);
    make_value(i, values[i]);
  }
  must(kist_options_new(&options) == KIST_OK, "options");
  must(kist_options_parse(
           options,
           "error_if_exists=true; compaction=manual; sync=never; write_buffer_size=64MiB; "
           "cache_size=128MiB; memory_budget=512MiB",
           &err) == KIST_OK,
       "options");
  must(kist_open(argv[1], options, &db, &err) == KIST_OK, "open");
  kist_options_free(options);
  ks = kist_default(db);

  puts_all("put_new");
  puts_all("put_again");
  puts_in_batches("batch_put");
  gets_all("get_memtable", 1);
  gets_absent("get_absent_memtable");
  scan("next_memtable", 1);
  must(kist_flush(db, &err) == KIST_OK, "flush");
  must(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err) == KIST_OK, "compact");
  gets_all("", 0); /* every block is in the cache */
  gets_all("get_table", 1);
  pins_all("get_pin_table");
  gets_absent("get_absent_table");
  scan("next_table", 1);
  scan("prev_table", 0);
  scan_entries("entries_table");
  seeks("seek_and_10_table");
  deletes_all("delete");
  gets_absent("get_absent_both");

  must(kist_close(db, KIST_CLOSE_STRICT, &err) == KIST_OK, "close");
  must(kist_destroy(argv[1], &err) == KIST_OK, "destroy");
  return 0;
}
