/* shim.h - what stands between cgo and kist.h.
 *
 * 1. Results come back by value (kg_result, kg_pinned, kg_chunk), so that Go passes no address of a
 *    variable of its own and allocates nothing for one.
 * 2. Handles cross as numbers, bytes as (const uint8_t *, size_t): cgo checks neither at run time.
 * 3. The options of a call cross as plain numbers; the struct of kist.h is built here.
 * 4. No function calls back into Go. A goroutine's stack therefore stays where it is for the whole
 *    call, and bytes on it may be passed. Jobs and loggers hand on what they have through memory
 *    and a pipe.
 *
 * Threads: as the function of kist.h that each one wraps.
 */
#ifndef KIST_GO_SHIM_H
#define KIST_GO_SHIM_H

#include <kist/kist.h>

typedef const uint8_t* kg_bytes;

/* `err` is set for an error alone, and then the caller's to kg_err_free; NULL where there was no
 * memory for it. */
typedef struct kg_result {
  kist_err* err;
  uint64_t n; /* a handle, a length or a sequence number */
  kist_rc rc;
} kg_result;

typedef struct kg_pinned {
  kist_err* err;
  kist_pin pin;
  kist_rc rc;
} kg_pinned;

typedef struct kg_chunk {
  kist_err* err;
  size_t used, count, need;
  kist_rc rc;
} kg_chunk;

typedef struct kg_values { /* of kg_multi_get */
  kist_err* err;
  kist_pin* pins; /* to kg_values_free, with rcs behind them */
  kist_rc* rcs;
  kist_rc rc;
} kg_values;

typedef struct kg_commit {
  kist_err* err;
  uint64_t seq;
  int64_t time_ms;
  const void* data;
  size_t len;
  kist_rc rc;
} kg_commit;

typedef struct kg_stream_state {
  kist_err* err;
  kist_stream_info info;
  kist_rc rc;
} kg_stream_state;

typedef struct kg_generations {
  kist_err* err;
  kist_generation* list; /* to kg_generations_free */
  size_t count;
  kist_rc rc;
} kg_generations;

/* How a read is made: kist_read_options as numbers. */
typedef struct kg_read {
  uintptr_t snapshot, txn;
  uint32_t flags;
} kg_read;

/* A long job: `cancel` is set by Go, `done` and `total` are read by it. */
typedef struct kg_job kg_job;

void kg_err_free(kist_err* err);
size_t kg_malloc_in_use(void); /* 0 where the C library does not tell */

kg_result kg_options_new(void);
void kg_options_free(uintptr_t options);
kg_result kg_options_set(uintptr_t options, kg_bytes name, kg_bytes value);
kg_result kg_options_set_u64(uintptr_t options, kg_bytes name, uint64_t value);
kg_result kg_options_parse(uintptr_t options, kg_bytes text);
kg_result kg_options_get(uintptr_t options, kg_bytes name, uint8_t* buf, size_t cap);
kist_rc kg_option_describe(size_t index, kist_option_info* info);
kg_result kg_options_set_logger(uintptr_t options, int32_t level, int fd);

kg_result kg_open(kg_bytes path, uintptr_t options);
kg_result kg_close(uintptr_t db, uint32_t mode);
kg_result kg_set_option(uintptr_t db, kg_bytes name, kg_bytes value);
kg_result kg_destroy(kg_bytes path);
kg_result kg_repair(kg_bytes path, kg_job* job, uint8_t* report, size_t cap);

uintptr_t kg_default(uintptr_t db);
kg_result kg_keyspace_open(uintptr_t db, kg_bytes name, uint32_t mode, uintptr_t options);
void kg_keyspace_free(uintptr_t ks);
kg_result kg_keyspace_drop(uintptr_t db, kg_bytes name);
kg_result kg_keyspace_list(uintptr_t db, uint8_t* buf, size_t cap);
uint32_t kg_keyspace_id(uintptr_t ks);

kg_result kg_get(uintptr_t ks, kg_read ro, kg_bytes key, size_t key_len, uint8_t* buf, size_t cap);
kg_pinned kg_get_pin(uintptr_t ks, kg_read ro, kg_bytes key, size_t key_len);
void kg_pin_release(uintptr_t data, size_t len, uintptr_t owner, uint64_t reserved);
kg_result kg_exists(uintptr_t ks, kg_read ro, kg_bytes key, size_t key_len);
kg_result kg_ttl(uintptr_t ks, kg_read ro, kg_bytes key, size_t key_len);
kg_values kg_multi_get(uintptr_t ks, kg_read ro, size_t count, kg_bytes keys, const uint64_t* ends);
void kg_values_free(kist_pin* pins, size_t count);

kg_result kg_put(uintptr_t ks, uint32_t durability, int64_t ttl_ms, kg_bytes key, size_t key_len,
                 kg_bytes val, size_t val_len);
kg_result kg_delete(uintptr_t ks, uint32_t durability, kg_bytes key, size_t key_len);
kg_result kg_delete_range(uintptr_t ks, uint32_t durability, kg_bytes begin, size_t begin_len,
                          kg_bytes end, size_t end_len);
kg_result kg_write_packed(uintptr_t db, uint32_t durability, kg_bytes data, size_t len);
kg_result kg_sync(uintptr_t db);
uint64_t kg_last_seq(uintptr_t db);
uint64_t kg_durable_seq(uintptr_t db);
kg_result kg_wait_durable(uintptr_t db, uint64_t seq, int64_t timeout_ms);

kg_result kg_snapshot_new(uintptr_t db);
uint64_t kg_snapshot_seq(uintptr_t snapshot);
void kg_snapshot_free(uintptr_t snapshot);

kg_result kg_iter_new(uintptr_t ks, kg_read ro, kg_bytes lower, size_t lower_len, kg_bytes upper,
                      size_t upper_len, kg_bytes prefix, size_t prefix_len);
void kg_iter_free(uintptr_t iter);
kg_result kg_iter_seek(uintptr_t iter, int32_t mode, kg_bytes key, size_t key_len);
kg_chunk kg_iter_chunk(uintptr_t iter, int32_t dir, uint8_t* buf, size_t cap, size_t max);
kg_result kg_iter_refresh(uintptr_t iter);

kg_result kg_txn_begin(uintptr_t db, uint32_t isolation);
kg_result kg_txn_put(uintptr_t txn, uintptr_t ks, kg_bytes key, size_t key_len, kg_bytes val,
                     size_t val_len, int64_t ttl_ms);
kg_result kg_txn_delete(uintptr_t txn, uintptr_t ks, kg_bytes key, size_t key_len);
kg_result kg_txn_delete_range(uintptr_t txn, uintptr_t ks, kg_bytes begin, size_t begin_len,
                              kg_bytes end, size_t end_len);
kg_result kg_txn_savepoint(uintptr_t txn);
kg_result kg_txn_rollback_to(uintptr_t txn);
kg_result kg_txn_commit(uintptr_t txn, uint32_t durability);
void kg_txn_free(uintptr_t txn);

kg_job* kg_job_new(void);
void kg_job_free(kg_job* job);
void kg_job_cancel(kg_job* job);
void kg_job_progress(kg_job* job, uint64_t* done, uint64_t* total);

kg_result kg_flush(uintptr_t db);
kg_result kg_compact(uintptr_t ks, kg_bytes begin, size_t begin_len, kg_bytes end, size_t end_len,
                     kg_job* job);
kg_result kg_wait_idle(uintptr_t db, int64_t timeout_ms);
kg_result kg_verify(uintptr_t db, kg_job* job);
kg_result kg_approximate_size(uintptr_t ks, kg_bytes begin, size_t begin_len, kg_bytes end,
                              size_t end_len);

kg_result kg_checkpoint(uintptr_t db, kg_bytes path);
kg_result kg_backup(uintptr_t db, kg_bytes target, kg_job* job);
kg_result kg_restore(kg_bytes target, kg_bytes path, uint64_t to_seq, int64_t to_time_ms,
                     kg_job* job);
kg_generations kg_generations_list(kg_bytes target);
void kg_generations_free(kist_generation* list);
kg_result kg_prune(kg_bytes target, uint64_t keep_count, int64_t keep_ms, kg_job* job);
kg_result kg_stream_start(uintptr_t db, kg_bytes target, uintptr_t options);
kg_stream_state kg_stream_status(uintptr_t stream);
kg_result kg_stream_wait(uintptr_t stream, uint64_t seq, int64_t timeout_ms);
kg_result kg_stream_stop(uintptr_t stream, int64_t timeout_ms);
kg_result kg_feed_open(uintptr_t db, uint64_t from_seq);
kg_commit kg_feed_next(uintptr_t feed, int64_t timeout_ms);
void kg_feed_free(uintptr_t feed);

kg_result kg_stat(uintptr_t db, kg_bytes name);
kg_result kg_stats(uintptr_t db, int32_t format, uint8_t* buf, size_t cap);

#endif
