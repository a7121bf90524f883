/* A host of libkist: host DIRECTORY [LIBRARY local|global|deepbind] [beside OTHER_MIMALLOC]. Linked
 * with it (-DLINKED), or loading it at run time, it works with many threads, forks, lets the
 * library go and loads it again; at the end its allocator is the one it began with, whose file it
 * prints. loading.py runs it in each way, under sanitizers too. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <kist/kist.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEED(condition)                                               \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                        \
    }                                                                 \
  } while (0)

#define FUNCTIONS(F) \
  F(open)            \
  F(close) F(destroy) F(default) F(put) F(get) F(flush) F(iter_new) F(iter_next) F(iter_free)

#ifdef LINKED
#define DEFINE(name) static __typeof__(kist_##name)* const name##_ = kist_##name;
#else
#define DEFINE(name) static __typeof__(kist_##name)* name##_;
#endif
FUNCTIONS(DEFINE)

enum { kThreads = 24, kKeys = 15 };

typedef struct {
  const char* path;
  const char* library; /* NULL where linked */
  const char* mode;
  const char* other; /* a further mimalloc, or NULL */
} plan;

static void* Load(const plan* p) {
  int flags = RTLD_NOW;
  void* library;
  if (p->library == NULL) return NULL;
  flags |= strcmp(p->mode, "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL;
  flags |= strcmp(p->mode, "deepbind") == 0 ? RTLD_DEEPBIND : 0;
  library = dlopen(p->library, flags);
  if (library == NULL) fprintf(stderr, "%s\n", dlerror());
  NEED(library != NULL);
#ifndef LINKED
#define FIND(name) NEED((*(void**)& name##_ = dlsym(library, "kist_" #name)) != NULL);
  FUNCTIONS(FIND)
#endif
  return library;
}

/* ---- work of one thread ---- */

typedef struct {
  kist_db* db;
  int number;
  pthread_barrier_t* steps; /* done; the library was let go. NULL: do not wait for that */
} worker;

static void* Work(void* argument) {
  const worker* w = (const worker*)argument;
  char key[32], value[32], *block;
  size_t len;
  int i;
  for (i = 0; i < kKeys; ++i) {
    kist_err err = KIST_ERR_INIT;
    const int key_len = snprintf(key, sizeof(key), "key/%d/%d", w->number, i);
    block = (char*)malloc((size_t)(i + 1));
    NEED(block != NULL);
    memset(block, 'v', (size_t)(i + 1));
    NEED(put_(default_(w->db), NULL, key, (size_t)key_len, block, (size_t)(i % 30), &err) ==
         KIST_OK);
    free(block);
    NEED(get_(default_(w->db), NULL, key, (size_t)key_len, value, sizeof(value), &len, &err) ==
         KIST_OK);
    NEED(len == (size_t)(i % 30));
  }
  for (i = 0; i < 2 && w->steps != NULL; ++i) pthread_barrier_wait(w->steps);
  return NULL;
}

static void RunThreads(kist_db* db) {
  pthread_t threads[kThreads];
  worker workers[kThreads];
  int i;
  for (i = 0; i < kThreads; ++i) {
    workers[i].db = db;
    workers[i].number = i;
    workers[i].steps = NULL;
    NEED(pthread_create(&threads[i], NULL, Work, &workers[i]) == 0);
  }
  for (i = 0; i < kThreads; ++i) NEED(pthread_join(threads[i], NULL) == 0);
}

static kist_db* Open(const char* path) {
  kist_err err = KIST_ERR_INIT;
  kist_db* db = NULL;
  if (open_(path, NULL, &db, &err) != KIST_OK) fprintf(stderr, "%s\n", err.message);
  NEED(db != NULL);
  return db;
}

static void CloseAndDestroy(kist_db* db, const char* path) {
  kist_err err = KIST_ERR_INIT;
  NEED(close_(db, KIST_CLOSE_STRICT, &err) == KIST_OK);
  NEED(destroy_(path, &err) == KIST_OK);
}

#ifdef NO_THREADS_IN_CHILDREN /* for a sanitizer that cannot follow them there */
enum { kChildrenHaveThreads = 0 };
#else
enum { kChildrenHaveThreads = 1 };
#endif

/* A child may not use its parent's database, but one of its own. */
static void Fork(kist_db* db, const char* path) {
  kist_err err = KIST_ERR_INIT;
  char own[4096];
  int status;
  const pid_t child = fork();
  NEED(child >= 0);
  if (child == 0) {
    if (flush_(db, &err) != KIST_E_FORKED) _exit(1);
    if (close_(db, KIST_CLOSE_STRICT, &err) != KIST_OK) _exit(2);
    if (kChildrenHaveThreads) {
      snprintf(own, sizeof(own), "%s.child", path);
      db = Open(own);
      if (put_(default_(db), NULL, "k", 1, "v", 1, &err) != KIST_OK) _exit(3);
      CloseAndDestroy(db, own);
    }
    _exit(0);
  }
  NEED(waitpid(child, &status, 0) == child);
  NEED(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void UseAll(const plan* p, void* library) {
  kist_err err = KIST_ERR_INIT;
  kist_db* const db = Open(p->path);
  kist_iter* iter = NULL;
  pthread_barrier_t steps;
  pthread_t late;
  worker last = {NULL, kThreads, &steps};
  int count = 0;

  RunThreads(db);
  NEED(flush_(db, &err) == KIST_OK);
  Fork(db, p->path);
  RunThreads(db);
  NEED(iter_new_(default_(db), NULL, &iter, &err) == KIST_OK);
  while (iter_next_(iter, &err) == KIST_OK) ++count;
  iter_free_(iter);
  NEED(count == kThreads * kKeys);

  /* A thread that used the library ends after the library was let go. */
  NEED(pthread_barrier_init(&steps, NULL, 2) == 0);
  last.db = db;
  NEED(pthread_create(&late, NULL, Work, &last) == 0);
  pthread_barrier_wait(&steps);
  CloseAndDestroy(db, p->path);
  if (library != NULL) NEED(dlclose(library) == 0);
  pthread_barrier_wait(&steps);
  NEED(pthread_join(late, NULL) == 0);
  pthread_barrier_destroy(&steps);
}

/* ---- the allocator ---- */

static const char* const kAllocator[] = {"malloc",  "free",           "calloc",
                                         "realloc", "posix_memalign", "aligned_alloc"};
enum { kAllocators = sizeof(kAllocator) / sizeof(*kAllocator) };

static void FindAllocator(void** found) {
  int i;
  for (i = 0; i < kAllocators; ++i) found[i] = dlsym(RTLD_DEFAULT, kAllocator[i]);
}

static void UseOtherMimalloc(const char* path) {
  void* const other = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void* (*mi_malloc)(size_t);
  void (*mi_free)(void*);
  void* block;
  if (other == NULL) fprintf(stderr, "%s\n", dlerror());
  NEED(other != NULL);
  *(void**)&mi_malloc = dlsym(other, "mi_malloc");
  *(void**)&mi_free = dlsym(other, "mi_free");
  NEED(mi_malloc != NULL && mi_free != NULL);
  block = mi_malloc(100000);
  NEED(block != NULL);
  memset(block, 1, 100000);
  mi_free(block);
}

int main(int argc, char** argv) {
  plan p = {NULL, NULL, NULL, NULL};
  void *before[kAllocators], *after[kAllocators], *block;
  Dl_info where;
  int i = 1, round;

  NEED(argc >= 2);
  p.path = argv[i++];
  if (i + 1 < argc && strcmp(argv[i], "beside") != 0) {
    p.library = argv[i];
    p.mode = argv[i + 1];
    i += 2;
  }
  if (i + 1 < argc) p.other = argv[i + 1];

  FindAllocator(before);
  block = malloc(100);
  NEED(block != NULL);
  if (p.other != NULL) UseOtherMimalloc(p.other);
  for (round = 0; round < 2; ++round) UseAll(&p, Load(&p));
  if (p.other != NULL) UseOtherMimalloc(p.other);
  FindAllocator(after);
  NEED(memcmp(before, after, sizeof(before)) == 0);
  block = realloc(block, 1000);
  NEED(block != NULL);
  free(block);
  NEED(dladdr(after[0], &where) != 0);
  printf("malloc is of %s\n", where.dli_fname);
  return 0;
}
