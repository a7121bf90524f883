// Package loops runs the C side of the benchmark, ../../../bench/loops.c, on handles of package raw.
package loops

/*
#cgo pkg-config: kist
#cgo CFLAGS: -O2
#include "../../../bench/loops.c"
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

// Nothing crosses into C and back.
func Nothing() { C.bench_nothing() }

// handle makes a pointer of a number that came from C.
func handle(h uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&h)) }
