/* A program that uses Kist as its users do: C or C++, linked in each of the ways of install.py. The
 * allocator of the host must still be libc's. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <kist/kist.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEED(condition)                                                                \
  do {                                                                                 \
    if (!(condition)) {                                                                \
      fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, err.message); \
      return 1;                                                                        \
    }                                                                                  \
  } while (0)

int main(int argc, char** argv) {
  kist_err err = KIST_ERR_INIT;
  kist_db* db = NULL;
  kist_iter* iter = NULL;
  kist_slice key, val;
  char buf[16];
  size_t len = 0;
  Dl_info where;

  NEED(argc == 2);
  NEED(kist_version() >= KIST_VERSION_NUMBER);
  NEED(kist_open(argv[1], NULL, &db, &err) == KIST_OK);
  NEED(kist_put(kist_default(db), NULL, "key", 3, "value", 5, &err) == KIST_OK);
  NEED(kist_get(kist_default(db), NULL, "key", 3, buf, sizeof(buf), &len, &err) == KIST_OK);
  NEED(len == 5 && memcmp(buf, "value", 5) == 0);
  NEED(kist_iter_new(kist_default(db), NULL, &iter, &err) == KIST_OK);
  NEED(kist_iter_next(iter, &err) == KIST_OK);
  NEED(kist_iter_entry(iter, &key, &val) == KIST_OK && key.len == 3 && val.len == 5);
  kist_iter_free(iter);
  NEED(kist_close(db, KIST_CLOSE_STRICT, &err) == KIST_OK);
  NEED(kist_destroy(argv[1], &err) == KIST_OK);

  NEED(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &where) != 0);
  NEED(strstr(where.dli_fname, "libc.so") != NULL);
  puts(kist_version_string());
  return 0;
}
