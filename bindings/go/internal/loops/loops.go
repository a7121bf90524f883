// Package loops runs the C side of the benchmark, ../../../bench/loops.c, on handles of package raw.
package loops

/*
#cgo pkg-config: kist
#cgo CFLAGS: -O2
#include "../../../bench/loops.c"
#include "../../raw/shim.h"

// An empty call that takes and gives what a get does.
static kg_result nothing(uintptr_t ks, kg_read ro, kg_bytes key, size_t key_len, uint8_t *buf,
                         size_t cap) {
  const kg_result result = {NULL, key_len, KIST_OK};
  (void)ks, (void)ro, (void)key, (void)buf, (void)cap;
  return result;
}
*/
import "C"

import (
	"unsafe"

	"kist/raw"
)

// KeyBytes is the length of every key.
const KeyBytes = C.kKeyBytes

func pointer(b []byte) unsafe.Pointer { return unsafe.Pointer(&b[0]) }

// Get reads the keys that lie one behind the other, as a C program does; 0 is success.
func Get(ks raw.Keyspace, keys []byte) int64 {
	return int64(C.bench_get((*C.kist_keyspace)(handle(uintptr(ks))), (*C.char)(pointer(keys)),
		C.size_t(len(keys)/KeyBytes)))
}

// Put writes them.
func Put(ks raw.Keyspace, keys, value []byte) int64 {
	return int64(C.bench_put((*C.kist_keyspace)(handle(uintptr(ks))), (*C.char)(pointer(keys)),
		C.size_t(len(keys)/KeyBytes), pointer(value), C.size_t(len(value))))
}

// Batch writes them in one batch.
func Batch(db raw.DB, ks raw.Keyspace, keys, value []byte) int64 {
	return int64(C.bench_batch((*C.kist_db)(handle(uintptr(db))),
		(*C.kist_keyspace)(handle(uintptr(ks))), (*C.char)(pointer(keys)),
		C.size_t(len(keys)/KeyBytes), pointer(value), C.size_t(len(value))))
}

// Scan reads every entry and counts them.
func Scan(ks raw.Keyspace) int64 {
	return int64(C.bench_scan((*C.kist_keyspace)(handle(uintptr(ks)))))
}

// Nothing crosses into C and back, with what a get takes and gives.
func Nothing(ks raw.Keyspace, key, buf []byte) int {
	r := C.nothing(C.uintptr_t(ks), C.kg_read{}, C.kg_bytes(pointer(key)), C.size_t(len(key)),
		(*C.uint8_t)(pointer(buf)), C.size_t(len(buf)))
	return int(r.n)
}

// handle makes a pointer of a number that came from C.
func handle(h uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&h)) }
