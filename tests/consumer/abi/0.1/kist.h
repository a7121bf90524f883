/* kist.h as version 0.1 promised it; made by abi.py. */
#ifndef KIST_KIST_H
#define KIST_KIST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KIST_API __attribute__((visibility("default")))
#else
#define KIST_API
#endif

#define KIST_VERSION_MAJOR 0
#define KIST_VERSION_MINOR 1
#define KIST_VERSION_PATCH 0
#define KIST_VERSION_NUMBER \
  (KIST_VERSION_MAJOR * 1000000 + KIST_VERSION_MINOR * 1000 + KIST_VERSION_PATCH)

KIST_API uint32_t kist_version(void);

KIST_API const char *kist_version_string(void);

KIST_API const char *kist_build_info(void);

typedef int32_t kist_rc;

#define KIST_OK 0
#define KIST_NOT_FOUND 1
#define KIST_DONE 2
#define KIST_TRUNCATED 3

#define KIST_E_INVALID (-1)
#define KIST_E_MISUSE (-2)
#define KIST_E_NOMEM (-3)
#define KIST_E_IO (-4)
#define KIST_E_CORRUPT (-5)
#define KIST_E_BUSY (-6)
#define KIST_E_LOCKED (-7)
#define KIST_E_CONFLICT (-8)
#define KIST_E_CLOSED (-9)
#define KIST_E_READONLY (-10)
#define KIST_E_NOSPACE (-11)
#define KIST_E_POISONED (-12)
#define KIST_E_EXISTS (-13)
#define KIST_E_MISSING (-14)
#define KIST_E_TOO_NEW (-15)
#define KIST_E_UNSUPPORTED (-16)
#define KIST_E_LIMIT (-17)
#define KIST_E_CANCELLED (-18)
#define KIST_E_TIMEOUT (-19)
#define KIST_E_FORKED (-20)
#define KIST_E_PERMISSION (-21)
#define KIST_E_INTERNAL (-22)

#define KIST_D_NONE 0
#define KIST_D_HANDLE 1
#define KIST_D_CONCURRENT 2
#define KIST_D_STATE 3
#define KIST_D_OWNER 4
#define KIST_D_NULL 5
#define KIST_D_STRUCT 6
#define KIST_D_FLAG 7
#define KIST_D_RANGE 8
#define KIST_D_NAME 9
#define KIST_D_VALUE 10
#define KIST_D_PACKED 11
#define KIST_D_KEY_SIZE 12
#define KIST_D_VALUE_SIZE 13
#define KIST_D_BATCH_SIZE 14
#define KIST_D_NAME_SIZE 15
#define KIST_D_BUDGET 16

typedef struct kist_err {
  uint32_t size;
  int32_t code;
  int32_t detail;
  int32_t sys_errno;
  uint64_t aux;
  char message[232];
} kist_err;
#define KIST_ERR_INIT {sizeof(kist_err), 0, 0, 0, 0, {0}}

KIST_API const char *kist_rc_name(kist_rc rc);

KIST_API const char *kist_rc_text(kist_rc rc);

typedef struct kist_options kist_options;
typedef struct kist_db kist_db;
typedef struct kist_keyspace kist_keyspace;
typedef struct kist_snapshot kist_snapshot;
typedef struct kist_iter kist_iter;
typedef struct kist_batch kist_batch;
typedef struct kist_txn kist_txn;
typedef struct kist_stream kist_stream;
typedef struct kist_feed kist_feed;

typedef struct kist_slice {
  const void *data;
  size_t len;
} kist_slice;

typedef struct kist_pin {
  const void *data;
  size_t len;
  void *owner;
  uint64_t reserved;
} kist_pin;

typedef struct kist_read_options {
  uint32_t size;
  uint32_t flags;
  const kist_snapshot *snapshot;
  kist_txn *txn;
} kist_read_options;
#define KIST_READ_OPTIONS_INIT {sizeof(kist_read_options), 0, NULL, NULL}
#define KIST_READ_NO_CACHE_FILL 1u
#define KIST_READ_FOR_UPDATE 2u

typedef struct kist_iter_options {
  uint32_t size;
  uint32_t flags;
  const kist_snapshot *snapshot;
  kist_txn *txn;
  kist_slice lower;
  kist_slice upper;
  kist_slice prefix;
} kist_iter_options;
#define KIST_ITER_OPTIONS_INIT \
  {sizeof(kist_iter_options), 0, NULL, NULL, {NULL, 0}, {NULL, 0}, {NULL, 0}}
#define KIST_ITER_KEYS_ONLY 256u

typedef struct kist_write_options {
  uint32_t size;
  uint32_t durability;
  uint64_t flags;
  int64_t ttl_ms;
} kist_write_options;
#define KIST_WRITE_OPTIONS_INIT {sizeof(kist_write_options), 0, 0, 0}
#define KIST_TTL_NEVER INT64_MAX
#define KIST_DURABILITY_DEFAULT 0u
#define KIST_DURABILITY_BUFFERED 1u
#define KIST_DURABILITY_OS 2u
#define KIST_DURABILITY_SYNC 3u

typedef int32_t (*kist_progress_fn)(void *ctx, uint64_t done, uint64_t total);
typedef struct kist_job {
  uint32_t size;
  uint32_t flags;
  kist_progress_fn progress;
  void *ctx;
} kist_job;
#define KIST_JOB_INIT {sizeof(kist_job), 0, NULL, NULL}

KIST_API kist_rc kist_options_new(kist_options **options_out);

KIST_API void kist_options_free(kist_options *options);

KIST_API kist_rc kist_options_set(kist_options *options, const char *name, const char *value,
                                  kist_err *err);

KIST_API kist_rc kist_options_set_u64(kist_options *options, const char *name, uint64_t value,
                                      kist_err *err);

KIST_API kist_rc kist_options_parse(kist_options *options, const char *text, kist_err *err);

KIST_API kist_rc kist_options_get(const kist_options *options, const char *name, char *buf,
                                  size_t cap, size_t *len_out, kist_err *err);

typedef struct kist_option_info {
  uint32_t size;
  uint32_t flags;
  const char *name;
  const char *type;
  const char *standard;
  const char *bounds;
  const char *text;
} kist_option_info;
#define KIST_OPTION_INFO_INIT {sizeof(kist_option_info), 0, NULL, NULL, NULL, NULL, NULL}
#define KIST_OPTION_DATABASE 1u
#define KIST_OPTION_KEYSPACE 2u
#define KIST_OPTION_LIVE 4u

KIST_API kist_rc kist_option_describe(size_t index, kist_option_info *info_out);

#define KIST_LOG_DEBUG 0
#define KIST_LOG_INFO 1
#define KIST_LOG_WARN 2
#define KIST_LOG_ERROR 3

typedef void (*kist_log_fn)(void *ctx, int32_t level, const char *message, size_t len);

KIST_API kist_rc kist_options_set_logger(kist_options *options, int32_t level, kist_log_fn log,
                                         void *ctx, void (*drop)(void *ctx));

KIST_API kist_rc kist_open(const char *path, const kist_options *options, kist_db **db_out,
                           kist_err *err);

#define KIST_CLOSE_STRICT 0u
#define KIST_CLOSE_REVOKE 1u
#define KIST_CLOSE_DEFER 2u

KIST_API kist_rc kist_close(kist_db *db, uint32_t mode, kist_err *err);

KIST_API kist_rc kist_set_option(kist_db *db, const char *name, const char *value, kist_err *err);

KIST_API kist_rc kist_destroy(const char *path, kist_err *err);

KIST_API kist_rc kist_repair(const char *path, const kist_job *job, char *report, size_t cap,
                             size_t *len_out, kist_err *err);

KIST_API kist_keyspace *kist_default(kist_db *db);

#define KIST_KEYSPACE_OPEN 0u
#define KIST_KEYSPACE_CREATE 1u
#define KIST_KEYSPACE_CREATE_NEW 2u

KIST_API kist_rc kist_keyspace_open(kist_db *db, const char *name, uint32_t mode,
                                    const kist_options *options, kist_keyspace **ks_out,
                                    kist_err *err);

KIST_API void kist_keyspace_free(kist_keyspace *ks);

KIST_API kist_rc kist_keyspace_drop(kist_db *db, const char *name, kist_err *err);

KIST_API kist_rc kist_keyspace_list(kist_db *db, char *buf, size_t cap, size_t *len_out,
                                    kist_err *err);

KIST_API uint32_t kist_keyspace_id(const kist_keyspace *ks);

KIST_API kist_rc kist_get(kist_keyspace *ks, const kist_read_options *ro, const void *key,
                          size_t key_len, void *buf, size_t cap, size_t *len_out, kist_err *err);

KIST_API kist_rc kist_get_pin(kist_keyspace *ks, const kist_read_options *ro, const void *key,
                              size_t key_len, kist_pin *pin_out, kist_err *err);

KIST_API void kist_pin_release(kist_pin *pin);

KIST_API kist_rc kist_get_copy(kist_keyspace *ks, const kist_read_options *ro, const void *key,
                               size_t key_len, void **value_out, size_t *len_out, kist_err *err);

KIST_API void kist_free(void *copy);

KIST_API kist_rc kist_exists(kist_keyspace *ks, const kist_read_options *ro, const void *key,
                             size_t key_len, kist_err *err);

KIST_API kist_rc kist_ttl(kist_keyspace *ks, const kist_read_options *ro, const void *key,
                          size_t key_len, int64_t *left_ms_out, kist_err *err);

KIST_API kist_rc kist_multi_get(kist_keyspace *ks, const kist_read_options *ro, size_t count,
                                const kist_slice *keys, kist_pin *pins_out, kist_rc *rcs_out,
                                kist_err *err);

KIST_API kist_rc kist_put(kist_keyspace *ks, const kist_write_options *wo, const void *key,
                          size_t key_len, const void *val, size_t val_len, kist_err *err);

KIST_API kist_rc kist_delete(kist_keyspace *ks, const kist_write_options *wo, const void *key,
                             size_t key_len, kist_err *err);

KIST_API kist_rc kist_delete_range(kist_keyspace *ks, const kist_write_options *wo,
                                   const void *begin, size_t begin_len, const void *end,
                                   size_t end_len, kist_err *err);

KIST_API kist_rc kist_batch_new(kist_batch **batch_out);

KIST_API void kist_batch_free(kist_batch *batch);

KIST_API kist_rc kist_batch_put(kist_batch *batch, const kist_keyspace *ks, const void *key,
                                size_t key_len, const void *val, size_t val_len, int64_t ttl_ms,
                                kist_err *err);

KIST_API kist_rc kist_batch_delete(kist_batch *batch, const kist_keyspace *ks, const void *key,
                                   size_t key_len, kist_err *err);

KIST_API kist_rc kist_batch_delete_range(kist_batch *batch, const kist_keyspace *ks,
                                         const void *begin, size_t begin_len, const void *end,
                                         size_t end_len, kist_err *err);

KIST_API void kist_batch_clear(kist_batch *batch);

KIST_API size_t kist_batch_count(const kist_batch *batch);

KIST_API kist_rc kist_batch_data(const kist_batch *batch, const void **data_out, size_t *len_out);

KIST_API kist_rc kist_write(kist_db *db, const kist_write_options *wo, const kist_batch *batch,
                            uint64_t *seq_out, kist_err *err);

KIST_API kist_rc kist_write_packed(kist_db *db, const kist_write_options *wo, const void *data,
                                   size_t len, uint64_t *seq_out, kist_err *err);

KIST_API kist_rc kist_sync(kist_db *db, kist_err *err);

KIST_API uint64_t kist_last_seq(kist_db *db);

KIST_API uint64_t kist_durable_seq(kist_db *db);

KIST_API kist_rc kist_wait_durable(kist_db *db, uint64_t seq, int64_t timeout_ms, kist_err *err);

KIST_API kist_rc kist_snapshot_new(kist_db *db, kist_snapshot **snapshot_out, kist_err *err);

KIST_API uint64_t kist_snapshot_seq(const kist_snapshot *snapshot);

KIST_API void kist_snapshot_free(kist_snapshot *snapshot);

KIST_API kist_rc kist_iter_new(kist_keyspace *ks, const kist_iter_options *io, kist_iter **iter_out,
                               kist_err *err);

KIST_API void kist_iter_free(kist_iter *iter);

#define KIST_SEEK_FIRST 0
#define KIST_SEEK_LAST 1
#define KIST_SEEK_GE 2
#define KIST_SEEK_GT 3
#define KIST_SEEK_LE 4
#define KIST_SEEK_LT 5

KIST_API kist_rc kist_iter_seek(kist_iter *iter, int32_t mode, const void *key, size_t key_len,
                                kist_err *err);

KIST_API kist_rc kist_iter_next(kist_iter *iter, kist_err *err);

KIST_API kist_rc kist_iter_prev(kist_iter *iter, kist_err *err);

KIST_API kist_rc kist_iter_entry(const kist_iter *iter, kist_slice *key_out, kist_slice *val_out);

typedef struct kist_entry {
  kist_slice key;
  kist_slice val;
} kist_entry;

KIST_API kist_rc kist_iter_entries(kist_iter *iter, int32_t dir, kist_entry *entries, size_t max,
                                   size_t *count_out, kist_err *err);

KIST_API kist_rc kist_iter_chunk(kist_iter *iter, int32_t dir, void *buf, size_t cap, size_t max,
                                 size_t *used_out, size_t *count_out, size_t *need_out,
                                 kist_err *err);

KIST_API kist_rc kist_iter_refresh(kist_iter *iter, kist_err *err);

#define KIST_TXN_SNAPSHOT 0u
#define KIST_TXN_SERIALIZABLE 1u

KIST_API kist_rc kist_txn_begin(kist_db *db, uint32_t isolation, kist_txn **txn_out, kist_err *err);

KIST_API kist_rc kist_txn_put(kist_txn *txn, kist_keyspace *ks, const void *key, size_t key_len,
                              const void *val, size_t val_len, int64_t ttl_ms, kist_err *err);

KIST_API kist_rc kist_txn_delete(kist_txn *txn, kist_keyspace *ks, const void *key, size_t key_len,
                                 kist_err *err);

KIST_API kist_rc kist_txn_delete_range(kist_txn *txn, kist_keyspace *ks, const void *begin,
                                       size_t begin_len, const void *end, size_t end_len,
                                       kist_err *err);

KIST_API kist_rc kist_txn_savepoint(kist_txn *txn, kist_err *err);

KIST_API kist_rc kist_txn_rollback_to(kist_txn *txn, kist_err *err);

KIST_API kist_rc kist_txn_commit(kist_txn *txn, const kist_write_options *wo, uint64_t *seq_out,
                                 kist_err *err);

KIST_API void kist_txn_free(kist_txn *txn);

KIST_API kist_rc kist_flush(kist_db *db, kist_err *err);

KIST_API kist_rc kist_compact(kist_keyspace *ks, const void *begin, size_t begin_len,
                              const void *end, size_t end_len, const kist_job *job, kist_err *err);

KIST_API kist_rc kist_wait_idle(kist_db *db, int64_t timeout_ms, kist_err *err);

KIST_API kist_rc kist_verify(kist_db *db, const kist_job *job, kist_err *err);

KIST_API kist_rc kist_approximate_size(kist_keyspace *ks, const void *begin, size_t begin_len,
                                       const void *end, size_t end_len, uint64_t *bytes_out,
                                       kist_err *err);

KIST_API kist_rc kist_checkpoint(kist_db *db, const char *path, kist_err *err);

KIST_API kist_rc kist_backup(kist_db *db, const char *target, const kist_job *job,
                             uint64_t *seq_out, kist_err *err);

typedef struct kist_restore_options {
  uint32_t size;
  uint32_t flags;
  uint64_t to_seq;
  int64_t to_time_ms;
} kist_restore_options;
#define KIST_RESTORE_OPTIONS_INIT {sizeof(kist_restore_options), 0, 0, 0}

KIST_API kist_rc kist_restore(const char *target, const char *path,
                              const kist_restore_options *options, const kist_job *job,
                              uint64_t *seq_out, kist_err *err);

typedef struct kist_generation {
  uint32_t size;
  uint32_t flags;
  uint64_t number;
  uint64_t first_seq;
  uint64_t last_seq;
  int64_t first_time_ms;
  int64_t last_time_ms;
  uint64_t bases;
  uint64_t ranges;
  uint64_t bytes;
  uint64_t table_bytes;
} kist_generation;
#define KIST_GENERATION_INIT {sizeof(kist_generation), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
#define KIST_GENERATION_FINISHED 1u

KIST_API kist_rc kist_generations(const char *target, kist_generation *list, size_t cap,
                                  size_t *count_out, kist_err *err);

typedef struct kist_prune_options {
  uint32_t size;
  uint32_t flags;
  uint64_t keep_count;
  int64_t keep_ms;
} kist_prune_options;
#define KIST_PRUNE_OPTIONS_INIT {sizeof(kist_prune_options), 0, 0, 0}

KIST_API kist_rc kist_prune(const char *target, const kist_prune_options *options,
                            const kist_job *job, uint64_t *removed_bytes_out, kist_err *err);

KIST_API kist_rc kist_stream_start(kist_db *db, const char *target, const kist_options *options,
                                   kist_stream **stream_out, kist_err *err);

typedef struct kist_stream_info {
  uint32_t size;
  uint32_t state;
  uint64_t shipped_seq;
  uint64_t lag_bytes;
  int64_t lag_ms;
  uint64_t shipped_bytes;
  uint64_t errors;
} kist_stream_info;
#define KIST_STREAM_INFO_INIT {sizeof(kist_stream_info), 0, 0, 0, 0, 0, 0}
#define KIST_STREAM_RUNNING 0u
#define KIST_STREAM_RETRYING 1u
#define KIST_STREAM_FAILED 2u

KIST_API kist_rc kist_stream_status(kist_stream *stream, kist_stream_info *info_out, kist_err *err);

KIST_API kist_rc kist_stream_wait(kist_stream *stream, uint64_t seq, int64_t timeout_ms,
                                  kist_err *err);

KIST_API kist_rc kist_stream_stop(kist_stream *stream, int64_t timeout_ms, kist_err *err);

KIST_API kist_rc kist_feed_open(kist_db *db, uint64_t from_seq, kist_feed **feed_out,
                                kist_err *err);

KIST_API kist_rc kist_feed_next(kist_feed *feed, int64_t timeout_ms, uint64_t *seq_out,
                                int64_t *time_ms_out, kist_slice *packed_out, kist_err *err);

KIST_API void kist_feed_free(kist_feed *feed);

KIST_API kist_rc kist_stat(kist_db *db, const char *name, uint64_t *value_out, kist_err *err);

#define KIST_STATS_TEXT 0
#define KIST_STATS_JSON 1
#define KIST_STATS_PROMETHEUS 2

KIST_API kist_rc kist_stats(kist_db *db, int32_t format, char *buf, size_t cap, size_t *len_out,
                            kist_err *err);

#ifdef __cplusplus
}
#endif
#endif
