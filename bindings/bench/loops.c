/* loops.c - see loops.h. Nothing is kept from call to call but a batch's memory. */
#include "loops.h"

#include <string.h>

int64_t bench_get(kist_keyspace* ks, const char* keys, size_t n) {
  char value[4096];
  size_t len;
  kist_err err = KIST_ERR_INIT;
  for (size_t i = 0; i < n; i++) {
    const kist_rc rc =
        kist_get(ks, NULL, keys + i * kKeyBytes, kKeyBytes, value, sizeof value, &len, &err);
    if (rc != KIST_OK) return rc;
  }
  return 0;
}

int64_t bench_put(kist_keyspace* ks, const char* keys, size_t n, const void* value,
                  size_t value_len) {
  kist_err err = KIST_ERR_INIT;
  for (size_t i = 0; i < n; i++) {
    const kist_rc rc = kist_put(ks, NULL, keys + i * kKeyBytes, kKeyBytes, value, value_len, &err);
    if (rc != KIST_OK) return rc;
  }
  return 0;
}

int64_t bench_batch(kist_db* db, kist_keyspace* ks, const char* keys, size_t n, const void* value,
                    size_t value_len) {
  static kist_batch* batch;
  kist_err err = KIST_ERR_INIT;
  if (batch == NULL && kist_batch_new(&batch) != KIST_OK) return KIST_E_NOMEM;
  kist_batch_clear(batch);
  for (size_t i = 0; i < n; i++) {
    const kist_rc rc =
        kist_batch_put(batch, ks, keys + i * kKeyBytes, kKeyBytes, value, value_len, 0, &err);
    if (rc != KIST_OK) return rc;
  }
  return kist_write(db, NULL, batch, NULL, &err);
}

int64_t bench_scan(kist_keyspace* ks) {
  kist_iter* it;
  kist_slice key, val;
  kist_err err = KIST_ERR_INIT;
  int64_t n = 0;
  uint64_t bytes = 0;
  kist_rc rc = kist_iter_new(ks, NULL, &it, &err);
  if (rc != KIST_OK) return rc;
  while ((rc = kist_iter_next(it, &err)) == KIST_OK) {
    kist_iter_entry(it, &key, &val);
    bytes += key.len + val.len + *(const unsigned char*)key.data;
    n++;
  }
  kist_iter_free(it);
  return rc == KIST_DONE && (n == 0 || bytes > 0) ? n : rc;
}

kist_rc bench_nothing(kist_keyspace* ks, const kist_read_options* ro, const void* key,
                      size_t key_len, void* buf, size_t cap, size_t* len_out, kist_err* err) {
  (void)ks, (void)ro, (void)key, (void)buf, (void)cap, (void)err;
  *len_out = key_len;
  return KIST_OK;
}
