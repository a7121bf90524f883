/* shim.c - the functions of shim.h: each makes the structs of one call of kist.h, makes the call,
 * and returns what came of it by value. An error's details move to the heap, where an error alone
 * pays for them. */
#define _GNU_SOURCE
#include "shim.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

/* Only the head of a kist_err is set before a call: an error alone writes the rest. */
static inline void begin(kist_err* details) {
  details->size = sizeof *details;
  details->code = KIST_OK;
}

static kist_err* keep(const kist_err* details, kist_rc rc) {
  kist_err* copy;
  if (rc >= 0 || (copy = malloc(sizeof *copy)) == NULL) return NULL;
  if (details->code == rc) {
    *copy = *details;
  } else { /* of a call that gives no details */
    memset(copy, 0, sizeof *copy);
    copy->code = rc;
  }
  return copy;
}

/* A call whose outcome is a result and a number: `call` sees `err`, and may set result.n. */
#define CALL(call)                         \
  kg_result result;                        \
  kist_err details, *const err = &details; \
  begin(err);                              \
  result.n = 0;                            \
  result.rc = (call);                      \
  result.err = keep(err, result.rc);       \
  return result

/* The same for a call that makes a handle, whose address goes to `&made`. */
#define MAKE(type, call)                   \
  kg_result result;                        \
  kist_err details, *const err = &details; \
  type* made = NULL;                       \
  begin(err);                              \
  result.rc = (call);                      \
  result.n = (uintptr_t)made;              \
  result.err = keep(err, result.rc);       \
  return result

#define DB ((kist_db*)db)
#define KS ((kist_keyspace*)ks)
#define TXN ((kist_txn*)txn)
#define ITER ((kist_iter*)iter)
#define OPTIONS ((kist_options*)options)
#define TEXT(bytes) ((const char*)(bytes))

static const kist_read_options* read_options(kist_read_options* out, kg_read ro) {
  if ((ro.snapshot | ro.txn | ro.flags) == 0) return NULL;
  out->size = sizeof *out;
  out->flags = ro.flags;
  out->snapshot = (const kist_snapshot*)ro.snapshot;
  out->txn = (kist_txn*)ro.txn;
  return out;
}

static const kist_write_options* write_options(kist_write_options* out, uint32_t durability,
                                               int64_t ttl_ms) {
  if (durability == 0 && ttl_ms == 0) return NULL;
  out->size = sizeof *out;
  out->durability = durability;
  out->flags = 0;
  out->ttl_ms = ttl_ms;
  return out;
}

void kg_err_free(kist_err* err) { free(err); }

size_t kg_malloc_in_use(void) {
#if defined(__GLIBC__)
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}

/* ---- options --------------------------------------------------------------------------------- */

kg_result kg_options_new(void) { MAKE(kist_options, ((void)err, kist_options_new(&made))); }
void kg_options_free(uintptr_t options) { kist_options_free(OPTIONS); }

kg_result kg_options_set(uintptr_t options, kg_bytes name, kg_bytes value) {
  CALL(kist_options_set(OPTIONS, TEXT(name), TEXT(value), err));
}

kg_result kg_options_set_u64(uintptr_t options, kg_bytes name, uint64_t value) {
  CALL(kist_options_set_u64(OPTIONS, TEXT(name), value, err));
}

kg_result kg_options_parse(uintptr_t options, kg_bytes text) {
  CALL(kist_options_parse(OPTIONS, TEXT(text), err));
}

kg_result kg_options_get(uintptr_t options, kg_bytes name, uint8_t* buf, size_t cap) {
  CALL(kist_options_get(OPTIONS, TEXT(name), (char*)buf, cap, &result.n, err));
}

kist_rc kg_option_describe(size_t index, kist_option_info* info) {
  info->size = sizeof *info;
  return kist_option_describe(index, info);
}

/* Messages go through a pipe, one write each, which a pipe keeps whole up to PIPE_BUF bytes: level,
 * length, text. A full pipe drops messages rather than stop the engine. */
enum { kHead = 3, kMessageMax = 4096 - kHead };

static void log_to_pipe(void* ctx, int32_t level, const char* message, size_t len) {
  uint8_t record[kHead + kMessageMax];
  if (len > kMessageMax) len = kMessageMax;
  record[0] = (uint8_t)level;
  record[1] = (uint8_t)(len & 255);
  record[2] = (uint8_t)(len >> 8);
  memcpy(record + kHead, message, len);
  if (write((int)(intptr_t)ctx, record, kHead + len) < 0) return;
}

static void close_pipe(void* ctx) { close((int)(intptr_t)ctx); }

kg_result kg_options_set_logger(uintptr_t options, int32_t level, int fd) {
  void* const ctx = (void*)(intptr_t)fd;
  if (fd < 0) {
    CALL(((void)err, kist_options_set_logger(OPTIONS, level, NULL, NULL, NULL)));
  } else {
    CALL(((void)err, kist_options_set_logger(OPTIONS, level, log_to_pipe, ctx, close_pipe)));
  }
}

/* ---- database -------------------------------------------------------------------------------- */

kg_result kg_open(kg_bytes path, uintptr_t options) {
  MAKE(kist_db, kist_open(TEXT(path), OPTIONS, &made, err));
}

kg_result kg_close(uintptr_t db, uint32_t mode) { CALL(kist_close(DB, mode, err)); }

kg_result kg_set_option(uintptr_t db, kg_bytes name, kg_bytes value) {
  CALL(kist_set_option(DB, TEXT(name), TEXT(value), err));
}

kg_result kg_destroy(kg_bytes path) { CALL(kist_destroy(TEXT(path), err)); }

uintptr_t kg_default(uintptr_t db) { return (uintptr_t)kist_default(DB); }

kg_result kg_keyspace_open(uintptr_t db, kg_bytes name, uint32_t mode, uintptr_t options) {
  MAKE(kist_keyspace, kist_keyspace_open(DB, TEXT(name), mode, OPTIONS, &made, err));
}

void kg_keyspace_free(uintptr_t ks) { kist_keyspace_free(KS); }

kg_result kg_keyspace_drop(uintptr_t db, kg_bytes name) {
  CALL(kist_keyspace_drop(DB, TEXT(name), err));
}

kg_result kg_keyspace_list(uintptr_t db, uint8_t* buf, size_t cap) {
  CALL(kist_keyspace_list(DB, (char*)buf, cap, &result.n, err));
}

uint32_t kg_keyspace_id(uintptr_t ks) { return kist_keyspace_id(KS); }

/* ---- reading --------------------------------------------------------------------------------- */

kg_result kg_get(uintptr_t ks, kg_read ro, kg_bytes key, size_t key_len, uint8_t* buf, size_t cap) {
  kist_read_options o;
  CALL(kist_get(KS, read_options(&o, ro), key, key_len, buf, cap, &result.n, err));
}

kg_pinned kg_get_pin(uintptr_t ks, kg_read ro, kg_bytes key, size_t key_len) {
  kg_pinned result;
  kist_read_options o;
  kist_err details;
  begin(&details);
  result.rc = kist_get_pin(KS, read_options(&o, ro), key, key_len, &result.pin, &details);
  result.err = keep(&details, result.rc);
  return result;
}

void kg_pin_release(uintptr_t data, size_t len, uintptr_t owner, uint64_t reserved) {
  kist_pin pin = {(const void*)data, len, (void*)owner, reserved};
  kist_pin_release(&pin);
}

kg_result kg_exists(uintptr_t ks, kg_read ro, kg_bytes key, size_t key_len) {
  kist_read_options o;
  CALL(kist_exists(KS, read_options(&o, ro), key, key_len, err));
}

kg_result kg_ttl(uintptr_t ks, kg_read ro, kg_bytes key, size_t key_len) {
  kist_read_options o;
  CALL(kist_ttl(KS, read_options(&o, ro), key, key_len, (int64_t*)&result.n, err));
}

/* The keys lie one behind the other; ends[i] is where the i-th one ends. */
kg_values kg_multi_get(uintptr_t ks, kg_read ro, size_t count, kg_bytes keys,
                       const uint64_t* ends) {
  kg_values result = {NULL, NULL, NULL, KIST_E_NOMEM};
  kist_read_options o;
  kist_err details;
  begin(&details);
  kist_slice* const slices = calloc(count + 1, sizeof *slices);
  result.pins = calloc(count + 1, sizeof(kist_pin) + sizeof(kist_rc));
  if (slices != NULL && result.pins != NULL) {
    result.rcs = (kist_rc*)(result.pins + count);
    for (size_t i = 0, at = 0; i < count; at = ends[i++]) {
      slices[i].len = ends[i] - at;
      slices[i].data = slices[i].len > 0 ? keys + at : NULL;
    }
    result.rc =
        kist_multi_get(KS, read_options(&o, ro), count, slices, result.pins, result.rcs, &details);
  }
  free(slices);
  if (result.rc < 0) {
    free(result.pins);
    result.pins = NULL;
  }
  result.err = keep(&details, result.rc);
  return result;
}

void kg_values_free(kist_pin* pins, size_t count) {
  if (pins == NULL) return;
  for (size_t i = 0; i < count; i++) kist_pin_release(&pins[i]);
  free(pins);
}

/* ---- writing --------------------------------------------------------------------------------- */

kg_result kg_put(uintptr_t ks, uint32_t durability, int64_t ttl_ms, kg_bytes key, size_t key_len,
                 kg_bytes val, size_t val_len) {
  kist_write_options o;
  CALL(kist_put(KS, write_options(&o, durability, ttl_ms), key, key_len, val, val_len, err));
}

kg_result kg_delete(uintptr_t ks, uint32_t durability, kg_bytes key, size_t key_len) {
  kist_write_options o;
  CALL(kist_delete(KS, write_options(&o, durability, 0), key, key_len, err));
}

kg_result kg_delete_range(uintptr_t ks, uint32_t durability, kg_bytes begin_key, size_t begin_len,
                          kg_bytes end, size_t end_len) {
  kist_write_options o;
  CALL(kist_delete_range(KS, write_options(&o, durability, 0), begin_key, begin_len, end, end_len,
                         err));
}

kg_result kg_write_packed(uintptr_t db, uint32_t durability, kg_bytes data, size_t len) {
  kist_write_options o;
  CALL(kist_write_packed(DB, write_options(&o, durability, 0), data, len, &result.n, err));
}

kg_result kg_sync(uintptr_t db) { CALL(kist_sync(DB, err)); }
uint64_t kg_last_seq(uintptr_t db) { return kist_last_seq(DB); }
uint64_t kg_durable_seq(uintptr_t db) { return kist_durable_seq(DB); }

kg_result kg_wait_durable(uintptr_t db, uint64_t seq, int64_t timeout_ms) {
  CALL(kist_wait_durable(DB, seq, timeout_ms, err));
}

/* ---- snapshots and iterators ----------------------------------------------------------------- */

kg_result kg_snapshot_new(uintptr_t db) { MAKE(kist_snapshot, kist_snapshot_new(DB, &made, err)); }

uint64_t kg_snapshot_seq(uintptr_t snapshot) {
  return kist_snapshot_seq((const kist_snapshot*)snapshot);
}

void kg_snapshot_free(uintptr_t snapshot) { kist_snapshot_free((kist_snapshot*)snapshot); }

kg_result kg_iter_new(uintptr_t ks, kg_read ro, kg_bytes lower, size_t lower_len, kg_bytes upper,
                      size_t upper_len, kg_bytes prefix, size_t prefix_len) {
  const kist_iter_options o = {sizeof o,
                               ro.flags,
                               (const kist_snapshot*)ro.snapshot,
                               (kist_txn*)ro.txn,
                               {lower, lower_len},
                               {upper, upper_len},
                               {prefix, prefix_len}};
  MAKE(kist_iter, kist_iter_new(KS, &o, &made, err));
}

void kg_iter_free(uintptr_t iter) { kist_iter_free(ITER); }

kg_result kg_iter_seek(uintptr_t iter, int32_t mode, kg_bytes key, size_t key_len) {
  CALL(kist_iter_seek(ITER, mode, key, key_len, err));
}

kg_chunk kg_iter_chunk(uintptr_t iter, int32_t dir, uint8_t* buf, size_t cap, size_t max) {
  kg_chunk result;
  kist_err details;
  begin(&details);
  result.rc = kist_iter_chunk(ITER, dir, buf, cap, max, &result.used, &result.count, &result.need,
                              &details);
  result.err = keep(&details, result.rc);
  return result;
}

kg_result kg_iter_refresh(uintptr_t iter) { CALL(kist_iter_refresh(ITER, err)); }

/* ---- transactions ---------------------------------------------------------------------------- */

kg_result kg_txn_begin(uintptr_t db, uint32_t isolation) {
  MAKE(kist_txn, kist_txn_begin(DB, isolation, &made, err));
}

kg_result kg_txn_put(uintptr_t txn, uintptr_t ks, kg_bytes key, size_t key_len, kg_bytes val,
                     size_t val_len, int64_t ttl_ms) {
  CALL(kist_txn_put(TXN, KS, key, key_len, val, val_len, ttl_ms, err));
}

kg_result kg_txn_delete(uintptr_t txn, uintptr_t ks, kg_bytes key, size_t key_len) {
  CALL(kist_txn_delete(TXN, KS, key, key_len, err));
}

kg_result kg_txn_delete_range(uintptr_t txn, uintptr_t ks, kg_bytes begin_key, size_t begin_len,
                              kg_bytes end, size_t end_len) {
  CALL(kist_txn_delete_range(TXN, KS, begin_key, begin_len, end, end_len, err));
}

kg_result kg_txn_savepoint(uintptr_t txn) { CALL(kist_txn_savepoint(TXN, err)); }
kg_result kg_txn_rollback_to(uintptr_t txn) { CALL(kist_txn_rollback_to(TXN, err)); }

kg_result kg_txn_commit(uintptr_t txn, uint32_t durability) {
  kist_write_options o;
  CALL(kist_txn_commit(TXN, write_options(&o, durability, 0), &result.n, err));
}

void kg_txn_free(uintptr_t txn) { kist_txn_free(TXN); }

/* ---- long jobs ------------------------------------------------------------------------------- */

struct kg_job {
  kist_job job;
  atomic_int cancel;
  atomic_uint_least64_t done, total;
};

static int32_t note_progress(void* ctx, uint64_t done, uint64_t total) {
  kg_job* const job = ctx;
  atomic_store(&job->total, total);
  atomic_store(&job->done, done);
  return atomic_load(&job->cancel);
}

kg_job* kg_job_new(void) {
  kg_job* const job = calloc(1, sizeof *job);
  if (job == NULL) return NULL;
  job->job.size = sizeof job->job;
  job->job.progress = note_progress;
  job->job.ctx = job;
  return job;
}

void kg_job_free(kg_job* job) { free(job); }
void kg_job_cancel(kg_job* job) { atomic_store(&job->cancel, 1); }

void kg_job_progress(kg_job* job, uint64_t* done, uint64_t* total) {
  *done = atomic_load(&job->done);
  *total = atomic_load(&job->total);
}

static const kist_job* job_of(const kg_job* job) { return job == NULL ? NULL : &job->job; }

kg_result kg_repair(kg_bytes path, kg_job* job, uint8_t* report, size_t cap) {
  CALL(kist_repair(TEXT(path), job_of(job), (char*)report, cap, &result.n, err));
}

kg_result kg_flush(uintptr_t db) { CALL(kist_flush(DB, err)); }

kg_result kg_compact(uintptr_t ks, kg_bytes begin_key, size_t begin_len, kg_bytes end,
                     size_t end_len, kg_job* job) {
  CALL(kist_compact(KS, begin_key, begin_len, end, end_len, job_of(job), err));
}

kg_result kg_wait_idle(uintptr_t db, int64_t timeout_ms) {
  CALL(kist_wait_idle(DB, timeout_ms, err));
}

kg_result kg_verify(uintptr_t db, kg_job* job) { CALL(kist_verify(DB, job_of(job), err)); }

kg_result kg_approximate_size(uintptr_t ks, kg_bytes begin_key, size_t begin_len, kg_bytes end,
                              size_t end_len) {
  CALL(kist_approximate_size(KS, begin_key, begin_len, end, end_len, &result.n, err));
}

/* ---- copies, streams, feed, statistics ------------------------------------------------------- */

kg_result kg_checkpoint(uintptr_t db, kg_bytes path) { CALL(kist_checkpoint(DB, TEXT(path), err)); }

kg_result kg_backup(uintptr_t db, kg_bytes target, kg_job* job) {
  CALL(kist_backup(DB, TEXT(target), job_of(job), &result.n, err));
}

kg_result kg_restore(kg_bytes target, kg_bytes path, uint64_t to_seq, int64_t to_time_ms,
                     kg_job* job) {
  const kist_restore_options o = {sizeof o, 0, to_seq, to_time_ms};
  CALL(kist_restore(TEXT(target), TEXT(path), &o, job_of(job), &result.n, err));
}

/* A target may grow between the two calls: as long as the list is too short it is made again. */
kg_generations kg_generations_list(kg_bytes target) {
  kg_generations result = {NULL, NULL, 0, KIST_TRUNCATED};
  kist_err details;
  begin(&details);
  for (size_t cap = 64; result.rc == KIST_TRUNCATED; cap = 2 * result.count) {
    free(result.list);
    result.list = malloc(cap * sizeof *result.list);
    if (result.list == NULL) {
      result.rc = KIST_E_NOMEM;
      break;
    }
    result.list->size = sizeof *result.list;
    result.rc = kist_generations(TEXT(target), result.list, cap, &result.count, &details);
  }
  if (result.rc < 0) {
    free(result.list);
    result.list = NULL;
    result.count = 0;
  }
  result.err = keep(&details, result.rc);
  return result;
}

void kg_generations_free(kist_generation* list) { free(list); }

kg_result kg_prune(kg_bytes target, uint64_t keep_count, int64_t keep_ms, kg_job* job) {
  const kist_prune_options o = {sizeof o, 0, keep_count, keep_ms};
  CALL(kist_prune(TEXT(target), &o, job_of(job), &result.n, err));
}

kg_result kg_stream_start(uintptr_t db, kg_bytes target, uintptr_t options) {
  MAKE(kist_stream, kist_stream_start(DB, TEXT(target), OPTIONS, &made, err));
}

kg_stream_state kg_stream_status(uintptr_t stream) {
  kg_stream_state result = {NULL, KIST_STREAM_INFO_INIT, 0};
  kist_err details;
  begin(&details);
  result.rc = kist_stream_status((kist_stream*)stream, &result.info, &details);
  result.err = keep(&details, result.rc);
  return result;
}

kg_result kg_stream_wait(uintptr_t stream, uint64_t seq, int64_t timeout_ms) {
  CALL(kist_stream_wait((kist_stream*)stream, seq, timeout_ms, err));
}

kg_result kg_stream_stop(uintptr_t stream, int64_t timeout_ms) {
  CALL(kist_stream_stop((kist_stream*)stream, timeout_ms, err));
}

kg_result kg_feed_open(uintptr_t db, uint64_t from_seq) {
  MAKE(kist_feed, kist_feed_open(DB, from_seq, &made, err));
}

kg_commit kg_feed_next(uintptr_t feed, int64_t timeout_ms) {
  kg_commit result;
  kist_slice packed = {NULL, 0};
  kist_err details;
  begin(&details);
  result.rc =
      kist_feed_next((kist_feed*)feed, timeout_ms, &result.seq, &result.time_ms, &packed, &details);
  result.data = packed.data;
  result.len = packed.len;
  result.err = keep(&details, result.rc);
  return result;
}

void kg_feed_free(uintptr_t feed) { kist_feed_free((kist_feed*)feed); }

kg_result kg_stat(uintptr_t db, kg_bytes name) { CALL(kist_stat(DB, TEXT(name), &result.n, err)); }

kg_result kg_stats(uintptr_t db, int32_t format, uint8_t* buf, size_t cap) {
  CALL(kist_stats(DB, format, (char*)buf, cap, &result.n, err));
}
