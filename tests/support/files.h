/* For the tests in C that look at a database's files, damage them and compare what is left. All
 * static, after support/tempdir.h. One thread. */
#ifndef KIST_TESTS_SUPPORT_FILES_H
#define KIST_TESTS_SUPPORT_FILES_H

#include "support/tempdir.h"

/* ---- whole files */

struct bytes {
  unsigned char* data;
  size_t len;
};

static UNUSED struct bytes read_bytes(const char* dir, const char* name) {
  struct bytes b = {NULL, 0};
  char path[4400];
  struct stat st;
  FILE* file;
  snprintf(path, sizeof path, "%s/%s", dir, name);
  file = fopen(path, "rb");
  if (file == NULL || fstat(fileno(file), &st) != 0) fail_msg("%s: %s", path, strerror(errno));
  b.len = (size_t)st.st_size;
  b.data = malloc(b.len + 1);
  assert_int_equal(fread(b.data, 1, b.len, file), b.len);
  fclose(file);
  return b;
}

static UNUSED void write_bytes(const char* dir, const char* name, struct bytes b) {
  char path[4400];
  FILE* file;
  snprintf(path, sizeof path, "%s/%s", dir, name);
  file = fopen(path, "wb");
  if (file == NULL) fail_msg("%s: %s", path, strerror(errno));
  assert_int_equal(fwrite(b.data, 1, b.len, file), b.len);
  assert_int_equal(fclose(file), 0);
}

/* One bit of the byte at `at`; a negative one counts from the end. */
static UNUSED void flip(const char* dir, const char* name, long at) {
  struct bytes b = read_bytes(dir, name);
  b.data[at < 0 ? (long)b.len + at : at] ^= 1;
  write_bytes(dir, name, b);
  free(b.data);
}

static UNUSED void cut(const char* dir, const char* name, size_t len) {
  struct bytes b = read_bytes(dir, name);
  assert_true(len <= b.len);
  b.len = len;
  write_bytes(dir, name, b);
  free(b.data);
}

/* Where `what` stands in a file, the first time at or after `from`; -1: nowhere. */
static UNUSED long find_bytes(const char* dir, const char* name, long from, const void* what,
                              size_t len) {
  struct bytes b = read_bytes(dir, name);
  const unsigned char* at =
      (size_t)from < b.len ? memmem(b.data + from, b.len - (size_t)from, what, len) : NULL;
  const long found = at == NULL ? -1 : (long)(at - b.data);
  free(b.data);
  return found;
}

static UNUSED void remove_file(const char* dir, const char* name) {
  char path[4400];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  if (unlink(path) != 0) fail_msg("%s: %s", path, strerror(errno));
}

/* ---- directories without subdirectories */

enum { NAMES_MAX = 400 };
struct names {
  char name[NAMES_MAX][64];
  int count;
};

static int by_name(const void* a, const void* b) { return strcmp(a, b); }

/* Names that contain `part`, in order. */
static UNUSED struct names names_with(const char* dir, const char* part) {
  struct names n;
  struct dirent* entry;
  DIR* d = opendir(dir);
  n.count = 0;
  if (d == NULL) return n;
  while ((entry = readdir(d)) != NULL) {
    if (entry->d_name[0] == '.' || strstr(entry->d_name, part) == NULL) continue;
    assert_true(n.count < NAMES_MAX);
    snprintf(n.name[n.count++], sizeof n.name[0], "%s", entry->d_name);
  }
  closedir(d);
  qsort(n.name, (size_t)n.count, sizeof n.name[0], by_name);
  return n;
}

/* The first or the last of them; it must be there. */
static UNUSED const char* oldest_with(const char* dir, const char* part) {
  static char name[64];
  const struct names n = names_with(dir, part);
  assert_true(n.count > 0);
  strcpy(name, n.name[0]);
  return name;
}

static UNUSED const char* newest_with(const char* dir, const char* part) {
  static char name[64];
  const struct names n = names_with(dir, part);
  assert_true(n.count > 0);
  strcpy(name, n.name[n.count - 1]);
  return name;
}

static UNUSED void copy_dir(const char* from, const char* to) {
  const struct names n = names_with(from, "");
  int i;
  assert_int_equal(mkdir(to, 0755), 0);
  for (i = 0; i < n.count; ++i) {
    struct bytes b = read_bytes(from, n.name[i]);
    write_bytes(to, n.name[i], b);
    free(b.data);
  }
}

/* A hash of all names and bytes, but those of the lock and the reserve, which hold nothing. */
static UNUSED uint64_t hash_of(const char* dir) {
  const struct names n = names_with(dir, "");
  uint64_t hash = 14695981039346656037u;
  int i;
  for (i = 0; i < n.count; ++i) {
    struct bytes b;
    size_t k;
    const char* c;
    if (strcmp(n.name[i], "LOCK") == 0 || strcmp(n.name[i], "RESERVE") == 0) continue;
    for (c = n.name[i]; *c != '\0'; ++c) hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    b = read_bytes(dir, n.name[i]);
    for (k = 0; k < b.len; ++k) hash = (hash ^ b.data[k]) * 1099511628211u;
    hash = (hash ^ b.len) * 1099511628211u;
    free(b.data);
  }
  return hash;
}

#endif
