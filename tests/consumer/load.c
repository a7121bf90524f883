/* A host that loads libkist.so at run time: load LIBRARY DIRECTORY local|global|deepbind. After
 * dlclose the host goes on, and its allocator was libc's all along. */
#define _GNU_SOURCE
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
#define LOAD(name)                                              \
  name##_fn name##_ = (name##_fn)dlsym(library, "kist_" #name); \
  NEED(name##_ != NULL)

typedef kist_rc (*open_fn)(const char*, const kist_options*, kist_db**, kist_err*);
typedef kist_keyspace* (*default_fn)(kist_db*);
typedef kist_rc (*put_fn)(kist_keyspace*, const kist_write_options*, const void*, size_t,
                          const void*, size_t, kist_err*);
typedef kist_rc (*flush_fn)(kist_db*, kist_err*);
typedef kist_rc (*close_fn)(kist_db*, uint32_t, kist_err*);
typedef kist_rc (*destroy_fn)(const char*, kist_err*);

static int in_libc(void* library) {
  Dl_info where;
  return dladdr(dlsym(library, "malloc"), &where) != 0 &&
         strstr(where.dli_fname, "libc.so") != NULL;
}

int main(int argc, char** argv) {
  kist_err err = KIST_ERR_INIT;
  kist_db* db = NULL;
  void *library, *block;
  int i, flags = RTLD_NOW;

  NEED(argc == 4);
  flags |= strcmp(argv[3], "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL;
  flags |= strcmp(argv[3], "deepbind") == 0 ? RTLD_DEEPBIND : 0;
  block = malloc(100);
  library = dlopen(argv[1], flags);
  if (library == NULL) fprintf(stderr, "%s\n", dlerror());
  NEED(library != NULL);
  LOAD(open);
  LOAD(default);
  LOAD(put);
  LOAD(flush);
  LOAD(close);
  LOAD(destroy);
  NEED(open_(argv[2], NULL, &db, &err) == KIST_OK);
  for (i = 0; i < 1000; ++i)
    NEED(put_(default_(db), NULL, &i, sizeof(i), "value", 5, &err) == KIST_OK);
  NEED(flush_(db, &err) == KIST_OK);
  NEED(close_(db, KIST_CLOSE_STRICT, &err) == KIST_OK);
  NEED(destroy_(argv[2], &err) == KIST_OK);
  NEED(in_libc(RTLD_DEFAULT));
  NEED(in_libc(library));
  NEED(dlclose(library) == 0);
  block = realloc(block, 1000);
  NEED(block != NULL);
  free(block);
  return 0;
}
