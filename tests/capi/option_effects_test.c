/* Every option does what its sentence says; the last case holds the list here to the library's. */
#include "support/tempdir.h"

#include <signal.h>
#include <sys/resource.h>

static char* path;
static kist_db* db;

static int set_up(void** state) {
  (void)state;
  path = new_path();
  db = NULL;
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  if (db != NULL) close_strict(db);
  drop_path(path);
  return 0;
}

/* Opens with `text`, over the database of the last call where there is one. */
static kist_keyspace* with(const char* text) {
  if (db != NULL) close_strict(db);
  db = open_with(path, text);
  return kist_default(db);
}

static kist_keyspace* fresh(const char* text) {
  if (db != NULL) close_strict(db);
  db = NULL;
  if (access(path, F_OK) == 0) OK(kist_destroy(path, &err));
  return with(text);
}

static void fill(kist_keyspace* ks, int from, int to, size_t value_bytes) {
  char key[24], val[4096];
  int i;
  memset(val, 'v', sizeof val);
  for (i = from; i < to; ++i) {
    snprintf(key, sizeof key, "key%08d", i);
    OK(kist_put(ks, NULL, key, strlen(key), val, value_bytes, &err));
  }
}

static kist_rc open_code(const char* text) {
  kist_options* options = NULL;
  kist_db* opened = NULL;
  kist_rc rc;
  OK(kist_options_new(&options));
  OK(kist_options_parse(options, text, &err));
  rc = kist_open(path, options, &opened, NULL);
  kist_options_free(options);
  if (rc == KIST_OK) close_strict(opened);
  return rc;
}

/* Waits for what the background does; fails after a minute. */
#define EVENTUALLY(condition)                          \
  do {                                                 \
    int tries_ = 0;                                    \
    while (!(condition)) {                             \
      if (++tries_ > 6000) fail_msg("%s", #condition); \
      usleep(10000);                                   \
    }                                                  \
  } while (0)

static void create_if_missing(void** state) {
  (void)state;
  assert_int_equal(open_code("create_if_missing=false"), KIST_E_MISSING);
  assert_int_equal(open_code("create_if_missing=true"), KIST_OK);
  assert_int_equal(open_code("create_if_missing=false"), KIST_OK);
}

static void error_if_exists(void** state) {
  (void)state;
  assert_int_equal(open_code("error_if_exists=true"), KIST_OK);
  assert_int_equal(open_code("error_if_exists=true"), KIST_E_EXISTS);
  assert_int_equal(open_code("error_if_exists=false"), KIST_OK);
}

static void read_only(void** state) {
  (void)state;
  put(with("sync=never"), "a", "1");
  ASSERT_RC(KIST_E_READONLY, kist_put(with("read_only=true"), NULL, "a", 1, "2", 1, &err));
  expect(kist_default(db), NULL, "a", "1");
}

static void sync_(void** state) {
  (void)state;
  put(with("sync=every_write"), "a", "1");
  assert_int_equal(kist_durable_seq(db), kist_last_seq(db));
  put(with("sync=never"), "a", "2");
  assert_true(kist_durable_seq(db) < kist_last_seq(db));
  OK(kist_set_option(db, "sync", "interval:5ms", &err));
  put(kist_default(db), "a", "3");
  EVENTUALLY(kist_durable_seq(db) == kist_last_seq(db));
  OK(kist_set_option(db, "sync", "every_n:3", &err));
  OK(kist_sync(db, &err));
  put(kist_default(db), "a", "4");
  put(kist_default(db), "a", "5");
  put(kist_default(db), "a", "6");
  assert_int_equal(kist_durable_seq(db), kist_last_seq(db));
}

static void write_back(void** state) {
  uint64_t before;
  (void)state;
  with("write_back=true; write_back_interval=1h; write_back_size=1GiB; wal_preallocate=false");
  before = stat_of(db, "wal_live_bytes");
  fill(kist_default(db), 0, 100, 1000);
  assert_int_equal(stat_of(db, "wal_live_bytes"), before); /* nothing went to the file */
  assert_true(stat_of(db, "memory_buffers_bytes") > 100000);
  OK(kist_set_option(db, "write_back", "false", &err));
  OK(kist_set_option(db, "sync", "never", &err));
  put(kist_default(db), "a", "1"); /* takes what is before it along */
  assert_true(stat_of(db, "wal_live_bytes") > before + 100000);
}

static void write_back_size(void** state) {
  uint64_t before;
  (void)state;
  with("write_back=true; write_back_interval=1h; write_back_size=16KiB");
  before = stat_of(db, "wal_live_bytes");
  fill(kist_default(db), 0, 10, 1000);
  assert_int_equal(stat_of(db, "wal_live_bytes"), before);
  fill(kist_default(db), 10, 20, 1000);
  assert_true(stat_of(db, "wal_live_bytes") > before + 10000);
  OK(kist_set_option(db, "write_back_size", "1MiB", &err));
  OK(kist_sync(db, &err));
  before = stat_of(db, "wal_live_bytes");
  fill(kist_default(db), 0, 100, 1000);
  assert_int_equal(stat_of(db, "wal_live_bytes"), before);
}

static void write_back_interval(void** state) {
  uint64_t before;
  (void)state;
  with("write_back=true; write_back_interval=5ms");
  before = stat_of(db, "wal_live_bytes");
  put(kist_default(db), "a", "1");
  EVENTUALLY(stat_of(db, "wal_live_bytes") > before);
}

static void memory_budget(void** state) {
  (void)state;
  with("memory_budget=32MiB");
  assert_int_equal(stat_of(db, "memory_budget_bytes"), 32 << 20);
  assert_true(stat_of(db, "cache_capacity_bytes") < 24 << 20);
  OK(kist_set_option(db, "memory_budget", "64MiB", &err));
  assert_true(stat_of(db, "cache_capacity_bytes") > 24 << 20);
}

static void cache_size(void** state) {
  (void)state;
  with("cache_size=1MiB");
  assert_int_equal(stat_of(db, "cache_capacity_bytes"), 1 << 20);
  OK(kist_set_option(db, "cache_size", "2MiB", &err));
  assert_int_equal(stat_of(db, "cache_capacity_bytes"), 2 << 20);
}

static void write_buffer_size(void** state) {
  (void)state;
  fill(with("sync=never; write_buffer_size=64KiB"), 0, 500, 1000);
  assert_true(stat_of(db, "wal_segments") > 4);
  OK(kist_set_option(db, "write_buffer_size", "16MiB", &err));
  OK(kist_flush(db, &err));
  OK(kist_wait_idle(db, -1, &err));
  {
    const uint64_t flushes = stat_of(db, "flushes");
    fill(kist_default(db), 0, 500, 1000);
    OK(kist_wait_idle(db, -1, &err));
    assert_int_equal(stat_of(db, "flushes"), flushes);
  }
}

static void memtable_preallocate(void** state) {
  (void)state;
  with("write_buffer_size=8MiB; memtable_preallocate=false");
  assert_true(stat_of(db, "memtable_bytes") < 1 << 20);
  with("write_buffer_size=8MiB; memtable_preallocate=true");
  assert_true(stat_of(db, "memtable_bytes") >= 8 << 20);
}

static void wal_preallocate(void** state) {
  (void)state;
  with("wal_preallocate=false");
  assert_int_equal(stat_of(db, "wal_live_reserved_bytes"), 0);
  with("wal_preallocate=true");
  assert_true(stat_of(db, "wal_live_reserved_bytes") >= 256 << 10);
}

static int64_t time_of_newest(const char* text) {
  kist_feed* feed = NULL;
  kist_slice packed;
  int64_t time_ms = -1;
  put(with(text), "a", "1");
  OK(kist_feed_open(db, kist_last_seq(db) - 1, &feed, &err));
  OK(kist_feed_next(feed, -1, NULL, &time_ms, &packed, &err));
  kist_feed_free(feed);
  return time_ms;
}

static void wal_timestamps(void** state) {
  (void)state;
  assert_int_equal(time_of_newest("sync=never; wal_timestamps=false"), 0);
  assert_true(time_of_newest("sync=never; wal_timestamps=true") > 1000000);
}

static uint64_t log_of(const char* text) {
  fill(with(text), 0, 100, 1000);
  return stat_of(db, "wal_bytes");
}

static void wal_compression(void** state) {
  (void)state;
  assert_true(log_of("sync=never; wal_compression=none") >
              5 * log_of("sync=never; wal_compression=snappy"));
}

static void compaction(void** state) {
  int i;
  (void)state;
  with("sync=never; compaction=manual");
  for (i = 0; i < 6; ++i) {
    fill(kist_default(db), 0, 100, 1000);
    OK(kist_flush(db, &err));
  }
  OK(kist_wait_idle(db, -1, &err));
  assert_int_equal(stat_of(db, "level0_files"), 6);
  OK(kist_set_option(db, "compaction", "auto", &err));
  OK(kist_wait_idle(db, -1, &err));
  assert_true(stat_of(db, "level0_files") < 4);
  OK(kist_set_option(db, "compaction", "manual", &err));
  i = (int)stat_of(db, "level0_files");
  for (; i < 6; ++i) {
    fill(kist_default(db), 0, 100, 1000);
    OK(kist_flush(db, &err));
  }
  OK(kist_wait_idle(db, -1, &err));
  assert_int_equal(stat_of(db, "level0_files"), 6);
}

static size_t threads_with(const char* text) {
  size_t count;
  with(text);
  count = count_files("/proc/self/task", "");
  return count;
}

static void compaction_threads(void** state) {
  size_t one;
  (void)state;
  one = threads_with("compaction_threads=1");
  assert_int_equal(threads_with("compaction_threads=5"), one + 4);
}

static void max_open_files(void** state) {
  int i;
  (void)state;
  with("sync=never; compaction=manual; max_open_files=16");
  for (i = 0; i < 40; ++i) {
    fill(kist_default(db), i * 10, i * 10 + 10, 10);
    OK(kist_flush(db, &err));
  }
  for (i = 0; i < 40; ++i) {
    char key[24];
    snprintf(key, sizeof key, "key%08d", i * 10);
    OK(kist_exists(kist_default(db), NULL, key, strlen(key), &err));
    assert_true(stat_of(db, "open_tables") <= 16);
  }
  OK(kist_set_option(db, "max_open_files", "100", &err));
  for (i = 0; i < 40; ++i) {
    char key[24];
    snprintf(key, sizeof key, "key%08d", i * 10);
    OK(kist_exists(kist_default(db), NULL, key, strlen(key), &err));
  }
  assert_int_equal(stat_of(db, "open_tables"), 40);
}

static void max_key_size(void** state) {
  (void)state;
  with("max_key_size=4");
  put(kist_default(db), "1234", "1");
  ASSERT_RC(KIST_E_LIMIT, kist_put(kist_default(db), NULL, "12345", 5, "1", 1, &err));
}

static void max_value_size(void** state) {
  (void)state;
  with("max_value_size=4");
  put(kist_default(db), "a", "1234");
  ASSERT_RC(KIST_E_LIMIT, kist_put(kist_default(db), NULL, "a", 1, "12345", 5, &err));
}

static kist_rc feed_from_the_first(void) {
  kist_feed* feed = NULL;
  const kist_rc rc = kist_feed_open(db, 0, &feed, NULL);
  kist_feed_free(feed);
  return rc;
}

static void log_retention(void** state) {
  (void)state;
  fill(with("sync=never; log_retention=0"), 0, 10, 100);
  OK(kist_flush(db, &err));
  EVENTUALLY(feed_from_the_first() == KIST_E_MISSING);
  fill(fresh("sync=never; log_retention=1GiB"), 0, 10, 100);
  OK(kist_flush(db, &err));
  OK(kist_wait_idle(db, -1, &err));
  assert_int_equal(feed_from_the_first(), KIST_OK);
}

static uint64_t cached_after_a_get(const char* text) {
  fill(fresh(text), 0, 2000, 100);
  OK(kist_flush(db, &err));
  OK(kist_exists(kist_default(db), NULL, "key00000007", 11, &err));
  return stat_of(db, "cache_bytes");
}

static void mmap_reads(void** state) {
  (void)state;
  assert_true(cached_after_a_get("sync=never; compression=none; mmap_reads=false") > 4000);
  assert_true(cached_after_a_get("sync=never; compression=none; mmap_reads=true") < 200);
  // What has to be uncompressed is cached all the same.
  assert_true(cached_after_a_get("sync=never; compression=snappy; mmap_reads=true") > 4000);
}

static uint64_t bytes_of_tables(const char* text) {
  fill(fresh(text), 0, 1000, 1000);
  OK(kist_flush(db, &err));
  return stat_of(db, "table_bytes");
}

static void compression(void** state) {
  uint64_t none;
  (void)state;
  none = bytes_of_tables("sync=never; compression=none");
  assert_true(none > 1000000);
  assert_true(bytes_of_tables("sync=never; compression=snappy") < none / 5);
  assert_true(bytes_of_tables("sync=never; compression=adaptive") < none / 5);
}

static uint64_t filtered(const char* text) {
  fill(fresh(text), 0, 1000, 10);
  OK(kist_flush(db, &err));
  ASSERT_RC(KIST_NOT_FOUND, kist_exists(kist_default(db), NULL, "key00000007x", 12, &err));
  ASSERT_RC(KIST_NOT_FOUND, kist_exists(kist_default(db), NULL, "key00000077x", 12, &err));
  return stat_of(db, "filter_negatives");
}

static void filter_bits(void** state) {
  (void)state;
  assert_int_equal(filtered("sync=never; filter_bits=0"), 0);
  assert_true(filtered("sync=never; filter_bits=10") > 0);
}

static void block_size(void** state) {
  (void)state;
  assert_true(cached_after_a_get("sync=never; compression=none; block_size=1KiB") < 2000);
  assert_true(cached_after_a_get("sync=never; compression=none; block_size=64KiB") > 50000);
}

static void default_ttl(void** state) {
  int64_t left = 0;
  (void)state;
  put(with("default_ttl=1h"), "a", "1");
  OK(kist_ttl(kist_default(db), NULL, "a", 1, &left, &err));
  assert_true(left > 3000000 && left <= 3600000);
}

static uint64_t tables_of(const char* text) {
  fill(fresh(text), 0, 1000, 1000);
  OK(kist_compact(kist_default(db), NULL, 0, NULL, 0, NULL, &err));
  return stat_of(db, "tables");
}

static void target_file_size(void** state) {
  (void)state;
  assert_true(tables_of("sync=never; compression=none; target_file_size=64KiB") > 10);
  assert_int_equal(tables_of("sync=never; compression=none; target_file_size=1GiB"), 1);
}

static void verify_on_open(void** state) {
  char name[4200];
  struct dirent* entry;
  FILE* file = NULL;
  DIR* dir;
  (void)state;
  fill(with("sync=never; compression=none"), 0, 1000, 100);
  OK(kist_flush(db, &err));
  close_strict(db);
  db = NULL;
  assert_int_equal(open_code("verify_on_open=all"), KIST_OK);
  dir = opendir(path);
  while (file == NULL && (entry = readdir(dir)) != NULL) {
    const size_t n = strlen(entry->d_name);
    if (n < 4 || strcmp(entry->d_name + n - 4, ".kst") != 0) continue;
    snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
    file = fopen(name, "r+b");
  }
  closedir(dir);
  assert_non_null(file);
  fseek(file, 3000, SEEK_SET);
  fputc('#', file);
  fclose(file);
  assert_int_equal(open_code("verify_on_open=all"), KIST_E_CORRUPT);
  assert_int_equal(open_code("verify_on_open=all; read_only=true"), KIST_E_CORRUPT);
  assert_int_equal(open_code("verify_on_open=files"), KIST_OK);
}

/* A flush that cannot write its table is tried again and again, or is not. */
static uint64_t failures_in_half_a_second(const char* text) {
  struct rlimit whole, little;
  uint64_t errors;
  fill(fresh(text), 0, 300, 1000);
  getrlimit(RLIMIT_FSIZE, &whole);
  little = whole;
  little.rlim_cur = 100000;
  setrlimit(RLIMIT_FSIZE, &little);
  assert_true(kist_flush(db, NULL) < 0);
  usleep(500000);
  errors = stat_of(db, "background_errors");
  assert_int_equal(stat_of(db, "background_failing"), 1);
  setrlimit(RLIMIT_FSIZE, &whole);
  OK(kist_set_option(db, "retry_interval", "10ms", &err)); /* and it heals by itself */
  EVENTUALLY(kist_flush(db, NULL) == KIST_OK); /* a try that began before may fail yet */
  EVENTUALLY(stat_of(db, "background_failing") == 0);
  return errors;
}

static void retry_interval(void** state) {
  (void)state;
  signal(SIGXFSZ, SIG_IGN);
  assert_true(failures_in_half_a_second("sync=never; compression=none; wal_preallocate=false; "
                                        "retry_interval=10ms") > 4);
  assert_int_equal(failures_in_half_a_second("sync=never; compression=none; "
                                             "wal_preallocate=false; retry_interval=1h"),
                   1);
}

static void latency_sampling(void** state) {
  (void)state;
  fill(with("sync=never; latency_sampling=1"), 0, 10, 10);
  assert_int_equal(stat_of(db, "put_timed"), 10);
  OK(kist_set_option(db, "latency_sampling", "0", &err));
  fill(kist_default(db), 0, 1000, 10);
  assert_int_equal(stat_of(db, "put_timed"), 10);
}

#define CASES(each)                                                                                \
  each(create_if_missing) each(error_if_exists) each(read_only) each(sync_) each(write_back)       \
      each(write_back_size) each(write_back_interval) each(memory_budget) each(cache_size)         \
          each(write_buffer_size) each(memtable_preallocate) each(wal_preallocate)                 \
              each(wal_timestamps) each(wal_compression) each(compaction) each(compaction_threads) \
                  each(max_open_files) each(max_key_size) each(max_value_size) each(log_retention) \
                      each(mmap_reads) each(verify_on_open) each(retry_interval)                   \
                          each(latency_sampling) each(compression) each(filter_bits)               \
                              each(block_size) each(default_ttl) each(target_file_size)

static void option_effects__every_option_has_a_case(void** state) {
#define NAME(name) #name,
  static const char* const names[] = {CASES(NAME)};
  kist_option_info info = KIST_OPTION_INFO_INIT;
  size_t i, n = 0;
  (void)state;
  for (i = 0; kist_option_describe(i, &info) == KIST_OK; ++i) {
    /* Streams have tests of their own. */
    if (strncmp(info.name, "stream_", 7) == 0) continue;
    assert_true(n < sizeof names / sizeof *names);
    if (strncmp(names[n], info.name, strlen(info.name)) != 0)
      fail_msg("option %s has no case here (%s)", info.name, names[n]);
    ++n;
  }
  assert_int_equal(n, sizeof names / sizeof *names);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down),
  const struct CMUnitTest tests[] = {CASES(TEST)
                                         cmocka_unit_test(option_effects__every_option_has_a_case)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
