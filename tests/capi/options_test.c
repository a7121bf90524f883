/* Options: names, values, units, bounds, all or nothing, descriptions, the logger's life. */
#include "support/tempdir.h"

static kist_options* new_options(void) {
  kist_options* options = NULL;
  OK(kist_options_new(&options));
  assert_non_null(options);
  return options;
}

static void expect_option(const kist_options* options, const char* name, const char* want) {
  char buf[64];
  size_t len = 0;
  OK(kist_options_get(options, name, buf, sizeof buf, &len, &err));
  assert_string_equal(buf, want);
  assert_int_equal(len, strlen(want));
}

static void options__set_and_get(void** state) {
  kist_options* options = new_options();
  (void)state;
  expect_option(options, "sync", "every_write");
  expect_option(options, "memory_budget", "256MiB");
  OK(kist_options_set(options, "sync", "hybrid:100:50ms", &err));
  OK(kist_options_set(options, "cache_size", "1048576", &err));
  OK(kist_options_set(options, "default_ttl", "90s", &err));
  OK(kist_options_set(options, "read_only", "true", &err));
  OK(kist_options_set(options, "compression", "snappy", &err));
  expect_option(options, "sync", "hybrid:100:50ms");
  expect_option(options, "cache_size", "1MiB");
  expect_option(options, "default_ttl", "90s");
  expect_option(options, "read_only", "true");
  expect_option(options, "compression", "snappy");
  kist_options_free(options);
}

static void options__numbers(void** state) {
  kist_options* options = new_options();
  (void)state;
  OK(kist_options_set_u64(options, "cache_size", 65536, &err));
  expect_option(options, "cache_size", "64KiB");
  OK(kist_options_set_u64(options, "write_back_interval", 1500, &err));
  expect_option(options, "write_back_interval", "1500us");
  OK(kist_options_set_u64(options, "read_only", 1, &err));
  expect_option(options, "read_only", "true");
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_VALUE, kist_options_set_u64(options, "read_only", 2, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_VALUE, kist_options_set_u64(options, "sync", 0, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_VALUE,
               kist_options_set_u64(options, "max_key_size", 65536, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME, kist_options_set_u64(options, "max_kee_size", 1, &err));
  OK(kist_options_set_u64(options, "?max_kee_size", 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_options_set_u64(options, NULL, 1, &err));
  kist_options_free(options);
}

static void options__bad_values_change_nothing(void** state) {
  static const char* bad[] = {"",         " 1MiB", "1MiB ", "-1",    "+1",
                              "1.5MiB",   "1MB",   "0x10",  "1MiBx", "99999999999999999999",
                              "16385GiB", "1"};
  kist_options* options = new_options();
  size_t i;
  (void)state;
  OK(kist_options_set(options, "cache_size", "2MiB", &err));
  for (i = 0; i < sizeof bad / sizeof *bad; ++i) {
    kist_err err = KIST_ERR_INIT;
    assert_int_equal(kist_options_set(options, "cache_size", bad[i], &err), KIST_E_INVALID);
    assert_int_equal(err.detail, KIST_D_VALUE);
    assert_non_null(strstr(err.message, "cache_size"));
    assert_non_null(strstr(err.message, "64KiB..16384GiB"));
  }
  expect_option(options, "cache_size", "2MiB");
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_VALUE, kist_options_set(options, "sync", "sometimes", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_VALUE,
               kist_options_set(options, "write_back_interval", "100", &err));
  kist_options_free(options);
}

static void options__unknown_names(void** state) {
  kist_options* options = new_options();
  char buf[8];
  size_t len = 9;
  kist_err err = KIST_ERR_INIT;
  (void)state;
  assert_int_equal(kist_options_set(options, "cash_size", "1MiB", &err), KIST_E_INVALID);
  assert_int_equal(err.detail, KIST_D_NAME);
  assert_non_null(strstr(err.message, "cash_size"));
  OK(kist_options_set(options, "?cash_size", "1MiB", &err));
  OK(kist_options_set(options, "?cache_size", "1MiB", &err));
  expect_option(options, "cache_size", "1MiB");
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_VALUE, kist_options_set(options, "?cache_size", "1MB", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME,
               kist_options_get(options, "cash_size", buf, 8, &len, &err));
  assert_int_equal(len, 0);
  kist_options_free(options);
}

static void options__parse_is_all_or_nothing(void** state) {
  kist_options* options = new_options();
  kist_err err = KIST_ERR_INIT;
  (void)state;
  OK(kist_options_parse(options, "cache_size=256MiB; sync=interval:50ms", &err));
  expect_option(options, "cache_size", "256MiB");
  expect_option(options, "sync", "interval:50ms");
  OK(kist_options_parse(options, "", &err));
  OK(kist_options_parse(options, " cache_size = 1MiB ; ?later=1; ", &err));
  expect_option(options, "cache_size", "1MiB");
  assert_int_equal(kist_options_parse(options, "cache_size=2MiB; read_only=perhaps", &err),
                   KIST_E_INVALID);
  assert_non_null(strstr(err.message, "read_only"));
  assert_non_null(strstr(err.message, "byte 16"));
  expect_option(options, "cache_size", "1MiB");
  OK(kist_options_parse(options, "cache_size=2MiB; cache_size=3MiB", &err));
  expect_option(options, "cache_size", "3MiB");
  ASSERT_RC(KIST_E_INVALID, kist_options_parse(options, "cache_size", &err));
  ASSERT_RC(KIST_E_INVALID, kist_options_parse(options, "cache_size=1MiB;;", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_options_parse(options, NULL, &err));
  kist_options_free(options);
}

static void options__get_follows_snprintf(void** state) {
  kist_options* options = new_options();
  char buf[16];
  size_t len = 0;
  (void)state;
  memset(buf, 'x', sizeof buf);
  ASSERT_RC(KIST_TRUNCATED, kist_options_get(options, "sync", buf, 5, &len, &err));
  assert_int_equal(len, 11);
  assert_string_equal(buf, "ever");
  assert_int_equal(buf[5], 'x');
  ASSERT_RC(KIST_TRUNCATED, kist_options_get(options, "sync", buf, 11, &len, &err));
  assert_string_equal(buf, "every_writ");
  OK(kist_options_get(options, "sync", buf, 12, &len, &err));
  assert_string_equal(buf, "every_write");
  len = 0;
  ASSERT_RC(KIST_TRUNCATED, kist_options_get(options, "sync", NULL, 0, &len, &err));
  assert_int_equal(len, 11);
  OK(kist_options_get(options, "sync", buf, 16, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_options_get(options, "sync", NULL, 1, &len, &err));
  assert_int_equal(len, 0);
  kist_options_free(options);
}

static void options__bad_arguments(void** state) {
  kist_options* options = new_options();
  kist_batch* batch = NULL;
  (void)state;
  assert_int_equal(kist_options_new(NULL), KIST_E_INVALID);
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_options_set(NULL, "sync", "never", &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_options_set_u64(NULL, "cache_size", 1, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_options_parse(NULL, "", &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_options_get(NULL, "sync", NULL, 0, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_options_set(options, NULL, "never", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_options_set(options, "sync", NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_options_get(options, NULL, NULL, 0, NULL, &err));
  OK(kist_batch_new(&batch));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE,
               kist_options_set((kist_options*)(void*)batch, "sync", "never", &err));
  kist_options_free((kist_options*)(void*)batch); /* not its kind: left alone */
  assert_int_equal(kist_batch_count(batch), 0);
  kist_batch_free(batch);
  kist_options_free(options);
  kist_options_free(NULL);
}

static void options__describe_lists_every_option(void** state) {
  kist_options* options = new_options();
  kist_option_info info = KIST_OPTION_INFO_INIT;
  size_t i;
  (void)state;
  for (i = 0; kist_option_describe(i, &info) == KIST_OK; ++i) {
    assert_int_equal(info.size, sizeof info);
    expect_option(options, info.name, info.standard);
    OK(kist_options_set(options, info.name, info.standard, &err));
    assert_true(strlen(info.text) > 10);
    assert_true(strlen(info.bounds) > 2);
    assert_true((info.flags & (KIST_OPTION_DATABASE | KIST_OPTION_KEYSPACE)) != 0);
    assert_int_equal(info.flags & ~(KIST_OPTION_DATABASE | KIST_OPTION_KEYSPACE | KIST_OPTION_LIVE),
                     0);
  }
  assert_true(i > 20 && i < 35);
  assert_int_equal(kist_option_describe(i, &info), KIST_DONE);
  assert_null(info.name);
  assert_int_equal(info.size, sizeof info);
  assert_int_equal(kist_option_describe(SIZE_MAX, &info), KIST_DONE);
  kist_options_free(options);
}

static void options__describe_keeps_to_the_callers_size(void** state) {
  union {
    kist_option_info info;
    unsigned char bytes[sizeof(kist_option_info) + 16];
  } big;
  size_t i;
  (void)state;
  assert_int_equal(kist_option_describe(0, NULL), KIST_E_INVALID);
  memset(&big, 0xee, sizeof big);
  big.info.size = 0;
  assert_int_equal(kist_option_describe(0, &big.info), KIST_E_INVALID);
  big.info.size = offsetof(kist_option_info, type);
  OK(kist_option_describe(0, &big.info));
  assert_string_equal(big.info.name, "create_if_missing");
  assert_int_equal(big.bytes[offsetof(kist_option_info, type)], 0xee);
  big.info.size = sizeof big;
  OK(kist_option_describe(0, &big.info));
  for (i = sizeof(kist_option_info); i < sizeof big; ++i) assert_int_equal(big.bytes[i], 0);
}

/* ---- the logger */

struct log {
  int calls;
  int dropped;
  int at_drop;
};

static void count_log(void* ctx, int32_t level, const char* message, size_t len) {
  struct log* log = ctx;
  assert_true(level >= KIST_LOG_DEBUG && level <= KIST_LOG_ERROR);
  assert_int_equal(strlen(message), len);
  __atomic_add_fetch(&log->calls, 1, __ATOMIC_SEQ_CST);
}

static void drop_log(void* ctx) {
  struct log* log = ctx;
  log->at_drop = __atomic_load_n(&log->calls, __ATOMIC_SEQ_CST);
  ++log->dropped;
}

static void options__logger_is_dropped_once(void** state) {
  struct log first = {0, 0, 0}, second = {0, 0, 0};
  kist_options* options = new_options();
  (void)state;
  OK(kist_options_set_logger(options, KIST_LOG_INFO, count_log, &first, drop_log));
  assert_int_equal(first.dropped, 0);
  OK(kist_options_set_logger(options, KIST_LOG_INFO, count_log, &second, drop_log));
  assert_int_equal(first.dropped, 1);
  OK(kist_options_set_logger(options, KIST_LOG_INFO, NULL, NULL, NULL));
  assert_int_equal(second.dropped, 1);
  OK(kist_options_set_logger(options, KIST_LOG_INFO, count_log, &second, NULL));
  kist_options_free(options);
  assert_int_equal(first.dropped, 1);
  assert_int_equal(second.dropped, 1);
}

static void options__logger_outlives_the_last_holder_only(void** state) {
  struct log log = {0, 0, 0};
  kist_options* options = new_options();
  kist_db *a = NULL, *b = NULL;
  char* path = new_path();
  (void)state;
  OK(kist_options_set_logger(options, KIST_LOG_DEBUG, count_log, &log, drop_log));
  OK(kist_open(path, options, &a, &err));
  OK(kist_open(":memory:", options, &b, &err));
  kist_options_free(options);
  close_strict(a);
  assert_int_equal(log.dropped, 0);
  close_strict(b);
  assert_int_equal(log.dropped, 1);
  assert_int_equal(log.at_drop, log.calls);
  drop_path(path);
}

static void options__logger_bad_arguments(void** state) {
  struct log log = {0, 0, 0};
  kist_options* options = new_options();
  (void)state;
  assert_int_equal(kist_options_set_logger(NULL, KIST_LOG_INFO, count_log, &log, drop_log),
                   KIST_E_MISUSE);
  assert_int_equal(kist_options_set_logger(options, -1, count_log, &log, drop_log), KIST_E_INVALID);
  assert_int_equal(kist_options_set_logger(options, 4, count_log, &log, drop_log), KIST_E_INVALID);
  assert_int_equal(kist_options_set_logger(options, 1, NULL, &log, NULL), KIST_E_INVALID);
  assert_int_equal(kist_options_set_logger(options, 1, NULL, NULL, drop_log), KIST_E_INVALID);
  kist_options_free(options);
  assert_int_equal(log.dropped, 0);
}

static void options__live_ones_change_while_open(void** state) {
  static const char* live[][2] = {{"sync", "interval:50ms"},   {"write_back", "true"},
                                  {"write_back_size", "1MiB"}, {"cache_size", "1MiB"},
                                  {"memory_budget", "64MiB"},  {"write_back_interval", "10ms"},
                                  {"log_retention", "1MiB"}};
  kist_db* db = open_memory();
  size_t i;
  (void)state;
  for (i = 0; i < sizeof live / sizeof *live; ++i)
    OK(kist_set_option(db, live[i][0], live[i][1], &err));
  put(kist_default(db), "a", "1");
  expect(kist_default(db), NULL, "a", "1");
  OK(kist_set_option(db, "?no_such_thing", "1", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME, kist_set_option(db, "no_such_thing", "1", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME, kist_set_option(db, "read_only", "true", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_VALUE, kist_set_option(db, "cache_size", "1MB", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_VALUE, kist_set_option(db, "?cache_size", "1MB", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_set_option(db, NULL, "1MB", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_set_option(db, "cache_size", NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_set_option(NULL, "cache_size", "1MiB", &err));
  close_strict(db);
}

static void options__every_live_option_takes_its_standard(void** state) {
  kist_db* db = open_memory();
  kist_option_info info = KIST_OPTION_INFO_INIT;
  size_t i;
  (void)state;
  for (i = 0; kist_option_describe(i, &info) == KIST_OK; ++i) {
    kist_err err = KIST_ERR_INIT;
    const kist_rc rc = kist_set_option(db, info.name, info.standard, &err);
    assert_int_equal(rc, (info.flags & KIST_OPTION_LIVE) != 0 ? KIST_OK : KIST_E_INVALID);
  }
  close_strict(db);
}

/* ---- bounds */

/* Text to a number as the bounds have it: a size in bytes, a duration in microseconds. */
static uint64_t number_of(const char* text, const char** rest) {
  static const struct {
    const char* name;
    uint64_t scale;
  } units[] = {{"KiB", 1024},    {"MiB", 1024 * 1024}, {"GiB", 1024 * 1024 * 1024},
               {"us", 1},        {"ms", 1000},         {"s", 1000000},
               {"h", 3600000000}};
  char* end = NULL;
  uint64_t n = strtoull(text, &end, 10);
  size_t i;
  for (i = 0; i < sizeof units / sizeof *units; ++i) {
    const size_t len = strlen(units[i].name);
    if (strncmp(end, units[i].name, len) != 0) continue;
    n *= units[i].scale;
    end += len;
    break;
  }
  *rest = end;
  return n;
}

static const char* unit_of(const kist_option_info* info) {
  return strcmp(info->type, "duration") == 0 ? "us" : "";
}

/* By text and by number; a refused one leaves the value that was there. */
static void try_value(kist_options* options, const kist_option_info* info, uint64_t n, int good) {
  kist_err err = KIST_ERR_INIT;
  char text[64], before[64], after[64];
  size_t len;
  int way;
  for (way = 0; way < 2; ++way) {
    kist_rc rc;
    snprintf(text, sizeof text, "%llu%s", (unsigned long long)n, n == 0 ? "" : unit_of(info));
    OK(kist_options_get(options, info->name, before, sizeof before, &len, &err));
    rc = way == 0 ? kist_options_set(options, info->name, text, &err)
                  : kist_options_set_u64(options, info->name, n, &err);
    if (rc != (good ? KIST_OK : KIST_E_INVALID))
      fail_msg("%s = %s, of %s: %s", info->name, text, info->bounds, kist_rc_name(rc));
    OK(kist_options_get(options, info->name, after, sizeof after, &len, &err));
    if (good) {
      const char* rest;
      assert_true(number_of(after, &rest) == n && *rest == '\0');
    } else {
      assert_int_equal(err.detail, KIST_D_VALUE);
      assert_non_null(strstr(err.message, info->name));
      assert_non_null(strstr(err.message, info->bounds));
      assert_string_equal(after, before);
    }
  }
}

/* "LOW..HIGH", or "0|LOW..HIGH": below, at and above each end. */
static void try_numbers(kist_options* options, const kist_option_info* info) {
  const int zero = strncmp(info->bounds, "0|", 2) == 0;
  const char* rest;
  const uint64_t low = number_of(info->bounds + (zero ? 2 : 0), &rest);
  /* default_ttl counts milliseconds. */
  const uint64_t step = strcmp(info->name, "default_ttl") == 0 ? 1000 : 1;
  uint64_t high;
  assert_memory_equal(rest, "..", 2);
  high = number_of(rest + 2, &rest);
  assert_int_equal(*rest, '\0');
  assert_true(low < high);
  try_value(options, info, low, 1);
  try_value(options, info, low + step, 1);
  try_value(options, info, high - step, 1);
  try_value(options, info, high, 1);
  try_value(options, info, high + step, 0);
  try_value(options, info, high + 1, 0);
  try_value(options, info, UINT64_MAX, 0);
  if (step != 1) try_value(options, info, low + 1, 0);
  if (low > 0) try_value(options, info, low - 1, 0);
  if (zero || low > 0) try_value(options, info, 0, zero);
}

/* "one|two|three": each of them, and nothing else. */
static void try_words(kist_options* options, const kist_option_info* info) {
  char words[64], text[64];
  char *word, *save = NULL;
  size_t len;
  snprintf(words, sizeof words, "%s", info->bounds);
  for (word = strtok_r(words, "|", &save); word != NULL; word = strtok_r(NULL, "|", &save)) {
    OK(kist_options_set(options, info->name, word, &err));
    expect_option(options, info->name, word);
    snprintf(text, sizeof text, "%sx", word);
    ASSERT_FAILS(KIST_E_INVALID, KIST_D_VALUE, kist_options_set(options, info->name, text, &err));
    snprintf(text, sizeof text, "%.*s", (int)strlen(word) - 1, word);
    ASSERT_FAILS(KIST_E_INVALID, KIST_D_VALUE, kist_options_set(options, info->name, text, &err));
    OK(kist_options_get(options, info->name, text, sizeof text, &len, &err));
    assert_string_equal(text, word);
  }
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_VALUE, kist_options_set(options, info->name, "", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_VALUE,
               kist_options_set(options, info->name, info->bounds, &err));
}

static void try_policies(kist_options* options, const kist_option_info* info) {
  static const char* good[] = {"every_write",  "never",       "every_n:1",    "every_n:1000000",
                               "interval:1ms", "interval:1h", "hybrid:1:1ms", "hybrid:1000000:1h"};
  static const char* bad[] = {"",
                              "every_n",
                              "every_n:",
                              "every_n:0",
                              "every_n:1000001",
                              "every_n:1:1ms",
                              "interval",
                              "interval:0",
                              "interval:999us",
                              "interval:3600000001us",
                              "interval:5",
                              "hybrid:0:1ms",
                              "hybrid:1000001:1ms",
                              "hybrid:1:999us",
                              "hybrid:1:2h",
                              "hybrid:1",
                              "hybrid:1:1ms:1",
                              "never:1",
                              "every_write:1",
                              "Never"};
  size_t i;
  for (i = 0; i < sizeof good / sizeof *good; ++i) {
    OK(kist_options_set(options, info->name, good[i], &err));
    expect_option(options, info->name, good[i]);
  }
  for (i = 0; i < sizeof bad / sizeof *bad; ++i)
    ASSERT_FAILS(KIST_E_INVALID, KIST_D_VALUE, kist_options_set(options, info->name, bad[i], &err));
  expect_option(options, info->name, good[sizeof good / sizeof *good - 1]);
}

static void options__bounds_of_every_one(void** state) {
  kist_options* options = new_options();
  kist_option_info info = KIST_OPTION_INFO_INIT;
  size_t i, numbers = 0;
  (void)state;
  for (i = 0; kist_option_describe(i, &info) == KIST_OK; ++i) {
    if (strcmp(info.type, "sync") == 0) {
      try_policies(options, &info);
    } else if (strcmp(info.type, "bool") == 0 || strcmp(info.type, "choice") == 0) {
      try_words(options, &info);
    } else {
      try_numbers(options, &info);
      ++numbers;
    }
  }
  assert_true(numbers >= 15);
  kist_options_free(options);
}

/* At each end of its bounds a database opens, works and takes the option as it is. */
static void options__databases_open_at_each_bound(void** state) {
  kist_option_info info = KIST_OPTION_INFO_INIT;
  size_t i;
  int end;
  (void)state;
  for (i = 0; kist_option_describe(i, &info) == KIST_OK; ++i) {
    const char *dots = strstr(info.bounds, ".."), *rest;
    if (dots == NULL || strcmp(info.type, "sync") == 0) continue;
    for (end = 0; end < 2; ++end) {
      kist_options* options = new_options();
      kist_db* db = NULL;
      const char* low = info.bounds + (strncmp(info.bounds, "0|", 2) == 0 ? 2 : 0);
      OK(kist_options_parse(options, "sync=never", &err));
      /* Write buffers are part of the budget. */
      if (strcmp(info.name, "write_buffer_size") == 0)
        OK(kist_options_set(options, "memory_budget", "16GiB", &err));
      OK(kist_options_set_u64(options, info.name, number_of(end == 0 ? low : dots + 2, &rest),
                              &err));
      ASSERT_RC(KIST_OK, kist_open(":memory:", options, &db, &err));
      const int lasts = strcmp(info.name, "default_ttl") != 0 || end == 1; /* not a millisecond */
      put(kist_default(db), "k", "v");
      if (lasts) expect(kist_default(db), NULL, "k", "v");
      OK(kist_flush(db, &err));
      if (lasts) expect(kist_default(db), NULL, "k", "v");
      close_strict(db);
      kist_options_free(options);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(options__set_and_get),
      cmocka_unit_test(options__numbers),
      cmocka_unit_test(options__bad_values_change_nothing),
      cmocka_unit_test(options__unknown_names),
      cmocka_unit_test(options__parse_is_all_or_nothing),
      cmocka_unit_test(options__get_follows_snprintf),
      cmocka_unit_test(options__bad_arguments),
      cmocka_unit_test(options__describe_lists_every_option),
      cmocka_unit_test(options__describe_keeps_to_the_callers_size),
      cmocka_unit_test(options__logger_is_dropped_once),
      cmocka_unit_test(options__logger_outlives_the_last_holder_only),
      cmocka_unit_test(options__logger_bad_arguments),
      cmocka_unit_test(options__live_ones_change_while_open),
      cmocka_unit_test(options__every_live_option_takes_its_standard),
      cmocka_unit_test(options__bounds_of_every_one),
      cmocka_unit_test(options__databases_open_at_each_bound),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
