/* loops.h - the C side of the bindings' benchmarks: each function does n operations as a C program
 * would, on the handles, keys and data that the binding itself measures with. Keys lie one behind
 * the other, kKeyBytes each. One thread. Every function returns 0, or the first result that was not
 * expected; bench_scan the number of entries. */
#ifndef KIST_BENCH_LOOPS_H
#define KIST_BENCH_LOOPS_H

#include <kist/kist.h>

enum { kKeyBytes = 16 };

KIST_API int64_t bench_get(kist_keyspace* ks, const char* keys, size_t n);
KIST_API int64_t bench_put(kist_keyspace* ks, const char* keys, size_t n, const void* value,
                           size_t value_len);
KIST_API int64_t bench_batch(kist_db* db, kist_keyspace* ks, const char* keys, size_t n,
                             const void* value, size_t value_len);
KIST_API int64_t bench_scan(kist_keyspace* ks);
/* What a crossing alone costs: nothing, with the arguments of kist_get. */
KIST_API kist_rc bench_nothing(kist_keyspace* ks, const kist_read_options* ro, const void* key,
                               size_t key_len, void* buf, size_t cap, size_t* len_out,
                               kist_err* err);

#endif
