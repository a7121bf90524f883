/* Writes a database for a while with a stream to a target running:
 *     stream_load DB TARGET MILLISECONDS
 * Commit i puts its number under "count" and a value under one of 500 keys, now and then deletes
 * one. Prints "<sequence> <count>" of every 200th commit and of the last, when all is shipped, and
 * what the stream met. Threads: one, beside Kist's own. */
#include <inttypes.h>
#include <kist/kist.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static kist_err err = KIST_ERR_INIT;

static void check(kist_rc rc, const char* what) {
  if (rc == KIST_OK) return;
  fprintf(stderr, "%s: %s: %s\n", what, kist_rc_name(rc), err.message);
  exit(1);
}

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void commit(kist_db* db, kist_batch* batch, uint64_t i) {
  kist_keyspace* ks = kist_default(db);
  char key[32], value[700];
  int n;
  kist_batch_clear(batch);
  n = snprintf(value, sizeof value, "%" PRIu64, i);
  check(kist_batch_put(batch, ks, "count", 5, value, (size_t)n, 0, &err), "put");
  n = snprintf(key, sizeof key, "key%03u", (unsigned)(i * 7919 % 500));
  memset(value, 'a' + (int)(i % 26), sizeof value);
  if (i % 9 == 0) {
    check(kist_batch_delete(batch, ks, key, (size_t)n, &err), "delete");
  } else {
    check(kist_batch_put(batch, ks, key, (size_t)n, value, i % sizeof value, 0, &err), "put");
  }
  check(kist_write(db, NULL, batch, NULL, &err), "write");
}

int main(int argc, char** argv) {
  kist_options* options;
  kist_db* db;
  kist_stream* stream;
  kist_batch* batch;
  kist_stream_info info = KIST_STREAM_INFO_INIT;
  struct timespec pause = {0, 2000000};
  uint64_t i = 0;
  int64_t end;
  if (argc != 4) return 2;
  check(kist_options_new(&options), "options");
  check(kist_options_set(options, "sync", "never", &err), "options");
  check(kist_options_set(options, "write_buffer_size", "64KiB", &err), "options");
  check(kist_options_set(options, "stream_interval", "50ms", &err), "options");
  check(kist_open(argv[1], options, &db, &err), "open");
  check(kist_stream_start(db, argv[2], NULL, &stream, &err), "stream");
  check(kist_batch_new(&batch), "batch");
  end = now_ms() + atoll(argv[3]);
  while (now_ms() < end) {
    commit(db, batch, ++i);
    if (i % 200 == 0) printf("%" PRIu64 " %" PRIu64 "\n", kist_last_seq(db), i);
    nanosleep(&pause, NULL);
  }
  printf("%" PRIu64 " %" PRIu64 "\n", kist_last_seq(db), i);
  check(kist_stream_wait(stream, kist_last_seq(db), 600000, &err), "wait");
  check(kist_stream_status(stream, &info, &err), "status");
  fprintf(stderr, "%" PRIu64 " commits, %" PRIu64 " bytes shipped, %" PRIu64 " errors\n", i,
          info.shipped_bytes, info.errors);
  check(kist_stream_stop(stream, 600000, &err), "stop");
  kist_batch_free(batch);
  check(kist_close(db, KIST_CLOSE_STRICT, &err), "close");
  kist_options_free(options);
  return 0;
}
