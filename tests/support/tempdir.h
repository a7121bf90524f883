/* For the tests in C: a temporary directory, cmocka in its order, and the checks that every file of
 * tests/capi shares. All static, so that a test program is one file. Run with CMOCKA_TEST_ABORT=1
 * or without: nothing here needs unwinding. */
#ifndef KIST_TESTS_SUPPORT_TEMPDIR_H
#define KIST_TESTS_SUPPORT_TEMPDIR_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* clang-format off: cmocka wants the headers above first */
#include <cmocka.h>
/* clang-format on */

#include "kist/kist.h"

#define UNUSED __attribute__((unused))

/* ---- directories */

static UNUSED void remove_tree(const char* path) {
  char child[4096];
  struct dirent* entry;
  DIR* dir = opendir(path);
  if (dir == NULL) {
    unlink(path);
    return;
  }
  while ((entry = readdir(dir)) != NULL) {
    struct stat st;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
    if (lstat(child, &st) == 0 && S_ISDIR(st.st_mode)) {
      remove_tree(child);
    } else {
      unlink(child);
    }
  }
  closedir(dir);
  rmdir(path);
}

/* A path for a database inside a fresh directory; the caller frees it with drop_path. */
static UNUSED char* new_path(void) {
  const char* base = getenv("TMPDIR");
  char* path = malloc(4096);
  snprintf(path, 4000, "%s/kist-capi-XXXXXX", base != NULL ? base : "/tmp");
  if (mkdtemp(path) == NULL) abort();
  strcat(path, "/db");
  return path;
}

static UNUSED void drop_path(char* path) {
  *strrchr(path, '/') = '\0';
  remove_tree(path);
  free(path);
}

static UNUSED size_t count_files(const char* path, const char* suffix) {
  size_t count = 0;
  struct dirent* entry;
  DIR* dir = opendir(path);
  if (dir == NULL) return 0;
  while ((entry = readdir(dir)) != NULL) {
    const size_t n = strlen(entry->d_name), m = strlen(suffix);
    count += n >= m && strcmp(entry->d_name + n - m, suffix) == 0 && entry->d_name[0] != '.';
  }
  closedir(dir);
  return count;
}

/* ---- results */

/* A call's result is `want`; with its error's message where it is not. The call uses `err`. */
#define ASSERT_RC(want, call)                                                             \
  do {                                                                                    \
    kist_err err = KIST_ERR_INIT;                                                         \
    const kist_rc rc_ = (call);                                                           \
    if (rc_ != (want))                                                                    \
      fail_msg("%s: wanted %s, got %s: %s", #call, kist_rc_name(want), kist_rc_name(rc_), \
               err.message);                                                              \
    if (rc_ < 0 && err.code != 0) assert_int_equal(err.code, rc_);                        \
    if (rc_ >= 0) assert_int_equal(err.code, 0);                                          \
  } while (0)

/* The same for a call that must fail and fill its err, with this detail. */
#define ASSERT_FAILS(want, want_detail, call)                                             \
  do {                                                                                    \
    kist_err err = KIST_ERR_INIT;                                                         \
    const kist_rc rc_ = (call);                                                           \
    if (rc_ != (want))                                                                    \
      fail_msg("%s: wanted %s, got %s: %s", #call, kist_rc_name(want), kist_rc_name(rc_), \
               err.message);                                                              \
    assert_int_equal(err.code, want);                                                     \
    assert_int_equal(err.detail, want_detail);                                            \
    assert_true(err.message[0] != '\0');                                                  \
    assert_null(strchr(err.message, '\n'));                                               \
  } while (0)

#define OK(call) ASSERT_RC(KIST_OK, call)

/* ---- databases */

static UNUSED kist_db* open_with(const char* path, const char* options_text) {
  kist_options* options = NULL;
  kist_db* db = NULL;
  OK(kist_options_new(&options));
  OK(kist_options_parse(options, options_text, &err));
  OK(kist_open(path, options, &db, &err));
  kist_options_free(options);
  assert_non_null(db);
  return db;
}

/* Writes are not synced unless a test asks: what it tests is the interface. */
static UNUSED kist_db* open_plain(const char* path) { return open_with(path, "sync=never"); }

static UNUSED kist_db* open_memory(void) { return open_plain(":memory:"); }

static UNUSED void close_strict(kist_db* db) { OK(kist_close(db, KIST_CLOSE_STRICT, &err)); }

static UNUSED void put(kist_keyspace* ks, const char* key, const char* val) {
  OK(kist_put(ks, NULL, key, strlen(key), val, strlen(val), &err));
}

static UNUSED void expect(kist_keyspace* ks, const kist_read_options* ro, const char* key,
                          const char* want) {
  char buf[256];
  size_t len = 99;
  if (want == NULL) {
    ASSERT_RC(KIST_NOT_FOUND, kist_get(ks, ro, key, strlen(key), buf, sizeof buf, &len, &err));
    assert_int_equal(len, 0);
    return;
  }
  OK(kist_get(ks, ro, key, strlen(key), buf, sizeof buf, &len, &err));
  assert_int_equal(len, strlen(want));
  assert_memory_equal(buf, want, len);
}

static UNUSED uint64_t stat_of(kist_db* db, const char* name) {
  uint64_t value = 0;
  OK(kist_stat(db, name, &value, &err));
  return value;
}

#endif
