// Package raw is kist.h as Go functions: one for each function of the header, named after it, with
// handles as numbers and results as they come. It keeps nothing alive and checks nothing; package
// kist is built on it and is what programs use.
//
// A call allocates nothing in Go, and no pointer that it is given escapes: a key or a buffer may
// lie on the caller's stack. That holds because no call of C comes back into Go (see shim.h), so
// that no stack moves while C looks at it.
//
// What package kist does otherwise is left out: batches (packed in Go), iteration entry by entry
// and borrowed (chunks cross in one call), copies in C memory (Go has its own).
package raw

/*
#cgo pkg-config: kist
#cgo CFLAGS: -O2 -Wall
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import "unsafe"

// Handles of kist.h, as addresses in C memory; 0 is none.
type (
	Options  uintptr
	DB       uintptr
	Keyspace uintptr
	Snapshot uintptr
	Iter     uintptr
	Txn      uintptr
	Stream   uintptr
	Feed     uintptr
)

// Result is a kist_rc with the number that came with it: a handle, a length or a sequence number.
// Of a negative RC, Details must be called, once.
type Result struct {
	N   uint64
	RC  int32
	err *C.kist_err
}

// Details is a kist_err.
type Details struct {
	Code, Detail, Errno int32
	Aux                 uint64
	Message             string
}

// Read is kist_read_options.
type Read struct {
	Snapshot Snapshot
	Txn      Txn
	Flags    uint32
}

// Pin is a kist_pin. The zero value is released.
type Pin struct{ pin C.kist_pin }

// Chunk is what kist_iter_chunk reports.
type Chunk struct {
	Used, Count, Need int
	Result
}

// Commit is what kist_feed_next gives; Packed is borrowed until the feed's next call.
type Commit struct {
	TimeMS int64
	Packed []byte
	Result
}

// StreamInfo is kist_stream_info.
type StreamInfo struct {
	State                uint32
	ShippedSeq, LagBytes uint64
	LagMS                int64
	ShippedBytes, Errors uint64
}

// Generation is kist_generation.
type Generation struct {
	Flags                            uint32
	Number, FirstSeq, LastSeq        uint64
	FirstTimeMS, LastTimeMS          int64
	Bases, Ranges, Bytes, TableBytes uint64
}

// OptionInfo is kist_option_info.
type OptionInfo struct {
	Flags                              uint32
	Name, Type, Standard, Bounds, Text string
}

// noescape hides from the compiler that what it returns is p.
//
//go:nosplit
func noescape(p unsafe.Pointer) unsafe.Pointer {
	x := uintptr(p)
	return *(*unsafe.Pointer)(unsafe.Pointer(&x))
}

func in(b []byte) (C.kg_bytes, C.size_t) { return C.kg_bytes(out(b)), C.size_t(len(b)) }

func out(b []byte) *C.uint8_t {
	if len(b) == 0 {
		return nil
	}
	return (*C.uint8_t)(noescape(unsafe.Pointer(&b[0])))
}

// text makes a C string; the caller has seen to it that s holds no NUL.
func text(s string) C.kg_bytes {
	b := make([]byte, len(s)+1)
	copy(b, s)
	return C.kg_bytes(unsafe.Pointer(&b[0]))
}

func (ro Read) c() C.kg_read {
	return C.kg_read{
		snapshot: C.uintptr_t(ro.Snapshot), txn: C.uintptr_t(ro.Txn), flags: C.uint32_t(ro.Flags),
	}
}

func result(r C.kg_result) Result {
	return Result{N: uint64(r.n), RC: int32(r.rc), err: r.err}
}

// MallocInUse is how much of C's heap is in use, for tests of leaks.
func MallocInUse() uint64 { return uint64(C.kg_malloc_in_use()) }

// Details takes the error's details out of r and frees them.
func (r *Result) Details() Details {
	d := Details{Code: r.RC}
	if r.err != nil {
		d.Detail = int32(r.err.detail)
		d.Errno = int32(r.err.sys_errno)
		d.Aux = uint64(r.err.aux)
		d.Message = C.GoString(&r.err.message[0])
		C.kg_err_free(r.err)
		r.err = nil
	}
	return d
}

func Version() uint32          { return uint32(C.kist_version()) }
func VersionString() string    { return C.GoString(C.kist_version_string()) }
func BuildInfo() string        { return C.GoString(C.kist_build_info()) }
func RCName(code int32) string { return C.GoString(C.kist_rc_name(C.kist_rc(code))) }
func RCText(code int32) string { return C.GoString(C.kist_rc_text(C.kist_rc(code))) }

func OptionsNew() Result    { return result(C.kg_options_new()) }
func OptionsFree(o Options) { C.kg_options_free(C.uintptr_t(o)) }
func OptionsSet(o Options, name, value string) Result {
	return result(C.kg_options_set(C.uintptr_t(o), text(name), text(value)))
}
func OptionsSetU64(o Options, name string, value uint64) Result {
	return result(C.kg_options_set_u64(C.uintptr_t(o), text(name), C.uint64_t(value)))
}
func OptionsParse(o Options, pairs string) Result {
	return result(C.kg_options_parse(C.uintptr_t(o), text(pairs)))
}
func OptionsGet(o Options, name string, buf []byte) Result {
	return result(C.kg_options_get(C.uintptr_t(o), text(name), out(buf), C.size_t(len(buf))))
}

// OptionsSetLogger writes messages to the pipe fd, which it takes over where it succeeds: a level
// byte, two bytes of length, the text. A negative fd takes the logger away.
func OptionsSetLogger(o Options, level int32, fd int) Result {
	return result(C.kg_options_set_logger(C.uintptr_t(o), C.int32_t(level), C.int(fd)))
}

func OptionDescribe(index int) (OptionInfo, int32) {
	var c C.kist_option_info
	rc := int32(C.kg_option_describe(C.size_t(index), &c))
	return OptionInfo{
		Flags: uint32(c.flags), Name: C.GoString(c.name), Type: C.GoString(c._type),
		Standard: C.GoString(c.standard), Bounds: C.GoString(c.bounds), Text: C.GoString(c.text),
	}, rc
}

func Open(path string, o Options) Result {
	return result(C.kg_open(text(path), C.uintptr_t(o)))
}
func Close(db DB, mode uint32) Result {
	return result(C.kg_close(C.uintptr_t(db), C.uint32_t(mode)))
}
func SetOption(db DB, name, value string) Result {
	return result(C.kg_set_option(C.uintptr_t(db), text(name), text(value)))
}
func Destroy(path string) Result { return result(C.kg_destroy(text(path))) }
func Repair(path string, job *Job, report []byte) Result {
	return result(C.kg_repair(text(path), job.c(), out(report), C.size_t(len(report))))
}

func Default(db DB) Keyspace { return Keyspace(C.kg_default(C.uintptr_t(db))) }
func KeyspaceOpen(db DB, name string, mode uint32, o Options) Result {
	return result(C.kg_keyspace_open(C.uintptr_t(db), text(name), C.uint32_t(mode), C.uintptr_t(o)))
}
func KeyspaceFree(ks Keyspace) { C.kg_keyspace_free(C.uintptr_t(ks)) }
func KeyspaceDrop(db DB, name string) Result {
	return result(C.kg_keyspace_drop(C.uintptr_t(db), text(name)))
}
func KeyspaceList(db DB, buf []byte) Result {
	return result(C.kg_keyspace_list(C.uintptr_t(db), out(buf), C.size_t(len(buf))))
}
func KeyspaceID(ks Keyspace) uint32 { return uint32(C.kg_keyspace_id(C.uintptr_t(ks))) }

func Get(ks Keyspace, ro Read, key, buf []byte) Result {
	k, n := in(key)
	return result(C.kg_get(C.uintptr_t(ks), ro.c(), k, n, out(buf), C.size_t(len(buf))))
}
func GetPin(ks Keyspace, ro Read, key []byte) (Pin, Result) {
	k, n := in(key)
	r := C.kg_get_pin(C.uintptr_t(ks), ro.c(), k, n)
	return Pin{r.pin}, Result{RC: int32(r.rc), err: r.err}
}

// Bytes are the pin's, in C memory, not nil where the pin is held.
func (p *Pin) Bytes() []byte {
	if p.pin.data == nil {
		return nil
	}
	return unsafe.Slice((*byte)(p.pin.data), int(p.pin.len))
}
func PinRelease(p *Pin) {
	if p.pin.owner != nil || p.pin.data != nil {
		C.kg_pin_release(C.uintptr_t(uintptr(p.pin.data)), p.pin.len,
			C.uintptr_t(uintptr(p.pin.owner)), p.pin.reserved)
	}
	*p = Pin{}
}
func Exists(ks Keyspace, ro Read, key []byte) Result {
	k, n := in(key)
	return result(C.kg_exists(C.uintptr_t(ks), ro.c(), k, n))
}
func TTL(ks Keyspace, ro Read, key []byte) Result {
	k, n := in(key)
	return result(C.kg_ttl(C.uintptr_t(ks), ro.c(), k, n))
}

// MultiGet reads the keys that lie in `keys` one behind the other, the i-th one up to ends[i].
// The value of each is given to `each`, borrowed for that call.
func MultiGet(ks Keyspace, ro Read, keys []byte, ends []uint64,
	each func(i int, rc int32, value []byte)) Result {
	k, _ := in(keys)
	var e *C.uint64_t
	if len(ends) > 0 {
		e = (*C.uint64_t)(unsafe.Pointer(&ends[0]))
	}
	r := C.kg_multi_get(C.uintptr_t(ks), ro.c(), C.size_t(len(ends)), k, e)
	if r.pins != nil {
		defer C.kg_values_free(r.pins, C.size_t(len(ends)))
		pins, rcs := unsafe.Slice(r.pins, len(ends)), unsafe.Slice(r.rcs, len(ends))
		for i := range pins {
			p := Pin{pins[i]}
			each(i, int32(rcs[i]), p.Bytes())
		}
	}
	return Result{RC: int32(r.rc), err: r.err}
}

func Put(ks Keyspace, durability uint32, ttlMS int64, key, val []byte) Result {
	k, kn := in(key)
	v, vn := in(val)
	return result(C.kg_put(C.uintptr_t(ks), C.uint32_t(durability), C.int64_t(ttlMS), k, kn, v, vn))
}
func Delete(ks Keyspace, durability uint32, key []byte) Result {
	k, n := in(key)
	return result(C.kg_delete(C.uintptr_t(ks), C.uint32_t(durability), k, n))
}
func DeleteRange(ks Keyspace, durability uint32, begin, end []byte) Result {
	b, bn := in(begin)
	e, en := in(end)
	return result(C.kg_delete_range(C.uintptr_t(ks), C.uint32_t(durability), b, bn, e, en))
}
func WritePacked(db DB, durability uint32, data []byte) Result {
	d, n := in(data)
	return result(C.kg_write_packed(C.uintptr_t(db), C.uint32_t(durability), d, n))
}
func Sync(db DB) Result       { return result(C.kg_sync(C.uintptr_t(db))) }
func LastSeq(db DB) uint64    { return uint64(C.kg_last_seq(C.uintptr_t(db))) }
func DurableSeq(db DB) uint64 { return uint64(C.kg_durable_seq(C.uintptr_t(db))) }
func WaitDurable(db DB, seq uint64, timeoutMS int64) Result {
	return result(C.kg_wait_durable(C.uintptr_t(db), C.uint64_t(seq), C.int64_t(timeoutMS)))
}

func SnapshotNew(db DB) Result      { return result(C.kg_snapshot_new(C.uintptr_t(db))) }
func SnapshotSeq(s Snapshot) uint64 { return uint64(C.kg_snapshot_seq(C.uintptr_t(s))) }
func SnapshotFree(s Snapshot)       { C.kg_snapshot_free(C.uintptr_t(s)) }

func IterNew(ks Keyspace, ro Read, lower, upper, prefix []byte) Result {
	l, ln := in(lower)
	u, un := in(upper)
	p, pn := in(prefix)
	return result(C.kg_iter_new(C.uintptr_t(ks), ro.c(), l, ln, u, un, p, pn))
}
func IterFree(it Iter) { C.kg_iter_free(C.uintptr_t(it)) }
func IterSeek(it Iter, mode int32, key []byte) Result {
	k, n := in(key)
	return result(C.kg_iter_seek(C.uintptr_t(it), C.int32_t(mode), k, n))
}
func IterChunk(it Iter, dir int32, buf []byte, max int) Chunk {
	r := C.kg_iter_chunk(C.uintptr_t(it), C.int32_t(dir), out(buf), C.size_t(len(buf)), C.size_t(max))
	return Chunk{
		Used: int(r.used), Count: int(r.count), Need: int(r.need),
		Result: Result{RC: int32(r.rc), err: r.err},
	}
}
func IterRefresh(it Iter) Result { return result(C.kg_iter_refresh(C.uintptr_t(it))) }

func TxnBegin(db DB, isolation uint32) Result {
	return result(C.kg_txn_begin(C.uintptr_t(db), C.uint32_t(isolation)))
}
func TxnPut(txn Txn, ks Keyspace, ttlMS int64, key, val []byte) Result {
	k, kn := in(key)
	v, vn := in(val)
	return result(C.kg_txn_put(C.uintptr_t(txn), C.uintptr_t(ks), k, kn, v, vn, C.int64_t(ttlMS)))
}
func TxnDelete(txn Txn, ks Keyspace, key []byte) Result {
	k, n := in(key)
	return result(C.kg_txn_delete(C.uintptr_t(txn), C.uintptr_t(ks), k, n))
}
func TxnDeleteRange(txn Txn, ks Keyspace, begin, end []byte) Result {
	b, bn := in(begin)
	e, en := in(end)
	return result(C.kg_txn_delete_range(C.uintptr_t(txn), C.uintptr_t(ks), b, bn, e, en))
}
func TxnSavepoint(txn Txn) Result  { return result(C.kg_txn_savepoint(C.uintptr_t(txn))) }
func TxnRollbackTo(txn Txn) Result { return result(C.kg_txn_rollback_to(C.uintptr_t(txn))) }
func TxnCommit(txn Txn, durability uint32) Result {
	return result(C.kg_txn_commit(C.uintptr_t(txn), C.uint32_t(durability)))
}
func TxnFree(txn Txn) { C.kg_txn_free(C.uintptr_t(txn)) }

// Job is a kist_job whose progress can be read, and which can be cancelled, from any goroutine.
type Job struct{ job *C.kg_job }

// NewJob makes a job, to be freed; nil where there is no memory.
func NewJob() *Job {
	if job := C.kg_job_new(); job != nil {
		return &Job{job}
	}
	return nil
}
func (j *Job) c() *C.kg_job {
	if j == nil {
		return nil
	}
	return j.job
}
func (j *Job) Free()   { C.kg_job_free(j.job) }
func (j *Job) Cancel() { C.kg_job_cancel(j.job) }
func (j *Job) Progress() (done, total uint64) {
	var d, t C.uint64_t
	C.kg_job_progress(j.job, &d, &t)
	return uint64(d), uint64(t)
}

func Flush(db DB) Result { return result(C.kg_flush(C.uintptr_t(db))) }
func Compact(ks Keyspace, begin, end []byte, job *Job) Result {
	b, bn := in(begin)
	e, en := in(end)
	return result(C.kg_compact(C.uintptr_t(ks), b, bn, e, en, job.c()))
}
func WaitIdle(db DB, timeoutMS int64) Result {
	return result(C.kg_wait_idle(C.uintptr_t(db), C.int64_t(timeoutMS)))
}
func Verify(db DB, job *Job) Result { return result(C.kg_verify(C.uintptr_t(db), job.c())) }
func ApproximateSize(ks Keyspace, begin, end []byte) Result {
	b, bn := in(begin)
	e, en := in(end)
	return result(C.kg_approximate_size(C.uintptr_t(ks), b, bn, e, en))
}

func Checkpoint(db DB, path string) Result {
	return result(C.kg_checkpoint(C.uintptr_t(db), text(path)))
}
func Backup(db DB, target string, job *Job) Result {
	return result(C.kg_backup(C.uintptr_t(db), text(target), job.c()))
}
func Restore(target, path string, toSeq uint64, toTimeMS int64, job *Job) Result {
	return result(C.kg_restore(text(target), text(path), C.uint64_t(toSeq), C.int64_t(toTimeMS),
		job.c()))
}

// Generations makes the whole list.
func Generations(target string) ([]Generation, Result) {
	r := C.kg_generations_list(text(target))
	var list []Generation
	if r.list != nil {
		defer C.kg_generations_free(r.list)
		for _, g := range unsafe.Slice(r.list, int(r.count)) {
			list = append(list, Generation{
				Flags: uint32(g.flags), Number: uint64(g.number),
				FirstSeq: uint64(g.first_seq), LastSeq: uint64(g.last_seq),
				FirstTimeMS: int64(g.first_time_ms), LastTimeMS: int64(g.last_time_ms),
				Bases: uint64(g.bases), Ranges: uint64(g.ranges),
				Bytes: uint64(g.bytes), TableBytes: uint64(g.table_bytes),
			})
		}
	}
	return list, Result{RC: int32(r.rc), err: r.err}
}
func Prune(target string, keepCount uint64, keepMS int64, job *Job) Result {
	return result(C.kg_prune(text(target), C.uint64_t(keepCount), C.int64_t(keepMS), job.c()))
}

func StreamStart(db DB, target string, o Options) Result {
	return result(C.kg_stream_start(C.uintptr_t(db), text(target), C.uintptr_t(o)))
}
func StreamStatus(s Stream) (StreamInfo, Result) {
	r := C.kg_stream_status(C.uintptr_t(s))
	return StreamInfo{
		State: uint32(r.info.state), ShippedSeq: uint64(r.info.shipped_seq),
		LagBytes: uint64(r.info.lag_bytes), LagMS: int64(r.info.lag_ms),
		ShippedBytes: uint64(r.info.shipped_bytes), Errors: uint64(r.info.errors),
	}, Result{RC: int32(r.rc), err: r.err}
}
func StreamWait(s Stream, seq uint64, timeoutMS int64) Result {
	return result(C.kg_stream_wait(C.uintptr_t(s), C.uint64_t(seq), C.int64_t(timeoutMS)))
}
func StreamStop(s Stream, timeoutMS int64) Result {
	return result(C.kg_stream_stop(C.uintptr_t(s), C.int64_t(timeoutMS)))
}

func FeedOpen(db DB, fromSeq uint64) Result {
	return result(C.kg_feed_open(C.uintptr_t(db), C.uint64_t(fromSeq)))
}
func FeedNext(f Feed, timeoutMS int64) Commit {
	r := C.kg_feed_next(C.uintptr_t(f), C.int64_t(timeoutMS))
	c := Commit{
		TimeMS: int64(r.time_ms),
		Result: Result{N: uint64(r.seq), RC: int32(r.rc), err: r.err},
	}
	if r.data != nil {
		c.Packed = unsafe.Slice((*byte)(r.data), int(r.len))
	}
	return c
}
func FeedFree(f Feed) { C.kg_feed_free(C.uintptr_t(f)) }

func Stat(db DB, name string) Result { return result(C.kg_stat(C.uintptr_t(db), text(name))) }
func Stats(db DB, format int32, buf []byte) Result {
	return result(C.kg_stats(C.uintptr_t(db), C.int32_t(format), out(buf), C.size_t(len(buf))))
}
