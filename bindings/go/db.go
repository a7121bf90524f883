package kist

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"kist/raw"
)

// Version is the version of the library that is loaded.
func Version() string { return raw.VersionString() }

// BuildInfo is one line on how the loaded library was built, for a bug report.
func BuildInfo() string { return raw.BuildInfo() }

// DB is an open database. Any number of goroutines may use it.
type DB struct {
	core *database
	def  *Keyspace
}

// database is what children hold. It holds none of them, so that the garbage collector can let go
// of children first and of the database after them.
type database struct {
	guard
	h       raw.DB
	drained chan struct{} // closed when no call will run any more
	revoked atomic.Bool   // by Close
}

// Open opens the database in directory path, recovers it, and locks it against other writers.
// ":memory:" is a private database that no file holds. options may be nil.
func Open(path string, options *Options) (*DB, error) {
	if err := checkText(path); err != nil {
		return nil, err
	}
	o, err := options.enter()
	if err != nil {
		return nil, err
	}
	r := raw.Open(path, o)
	options.exit()
	if err := check(r); err != nil {
		return nil, err
	}
	drained := make(chan struct{})
	core := &database{h: raw.DB(r.N), drained: drained}
	core.free = func() { close(drained) } // not core's: a cycle would never be collected
	def := raw.KeyspaceOpen(core.h, "default", raw.KEYSPACE_OPEN, 0)
	if err := check(def); err != nil {
		drop(raw.Close(core.h, raw.CLOSE_REVOKE))
		return nil, err
	}
	runtime.SetFinalizer(core, func(core *database) { go core.release() }) // a sync takes its time
	return &DB{core: core, def: core.keyspace(raw.Keyspace(def.N))}, nil
}

// drop frees the details of a result that nobody is told of.
func drop(r raw.Result) {
	if r.RC < 0 {
		r.Details()
	}
}

// release gives the database up: children work on, the last of them closes it.
func (c *database) release() {
	if c.close() {
		<-c.drained
		drop(raw.Close(c.h, raw.CLOSE_DEFER))
	}
}

// Close waits for running calls, makes everything committed durable and releases the database's
// files. Keyspaces, snapshots, iterators, transactions, feeds and streams of it return ErrClosed
// from then on; pinned values stay. A second Close returns nil.
func (db *DB) Close() error {
	db.core.revoked.Store(true)
	first := db.core.close()
	<-db.core.drained
	if !first {
		return nil
	}
	runtime.SetFinalizer(db.core, nil)
	return check(raw.Close(db.core.h, raw.CLOSE_REVOKE))
}

// call makes a call on the database itself, which Close waits for.
func (c *database) call(f func(h raw.DB) raw.Result) (uint64, error) {
	if err := c.enter(); err != nil {
		return 0, err
	}
	r := f(c.h)
	c.exit()
	return r.N, check(r)
}

// Destroy removes the database in directory path: Kist's own files and nothing else.
func Destroy(path string) error {
	if err := checkText(path); err != nil {
		return err
	}
	return check(raw.Destroy(path))
}

// SetOption changes an option of the open database: one that is marked live.
func (db *DB) SetOption(name, value string) error {
	if err := checkText(name, value); err != nil {
		return err
	}
	_, err := db.core.call(func(h raw.DB) raw.Result { return raw.SetOption(h, name, value) })
	return err
}

// Mode says what OpenKeyspace does about a keyspace that is missing or present.
type Mode uint32

const (
	ModeOpen      Mode = raw.KEYSPACE_OPEN       // ErrMissing where there is none
	ModeCreate    Mode = raw.KEYSPACE_CREATE     // where missing
	ModeCreateNew Mode = raw.KEYSPACE_CREATE_NEW // ErrExists where present
)

// Default is the default keyspace, which every database has.
func (db *DB) Default() *Keyspace { return db.def }

// OpenKeyspace opens a keyspace by name. options are for one that is created, and may be nil.
func (db *DB) OpenKeyspace(name string, mode Mode, options *Options) (*Keyspace, error) {
	if err := checkText(name); err != nil {
		return nil, err
	}
	o, err := options.enter()
	if err != nil {
		return nil, err
	}
	defer options.exit()
	ks, err := db.core.call(func(h raw.DB) raw.Result {
		return raw.KeyspaceOpen(h, name, uint32(mode), o)
	})
	if err != nil {
		return nil, err
	}
	return db.core.keyspace(raw.Keyspace(ks)), nil
}

// DropKeyspace drops a keyspace with all its entries; its open handles return ErrMissing then.
func (db *DB) DropKeyspace(name string) error {
	if err := checkText(name); err != nil {
		return err
	}
	_, err := db.core.call(func(h raw.DB) raw.Result { return raw.KeyspaceDrop(h, name) })
	return err
}

// Keyspaces lists the names of the keyspaces, sorted.
func (db *DB) Keyspaces() ([]string, error) {
	list, err := db.core.fill(raw.KeyspaceList)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00"), nil
}

// fill calls f with a growing buffer until what it tells fits.
func (c *database) fill(f func(h raw.DB, buf []byte) raw.Result) ([]byte, error) {
	for buf := make([]byte, 1024); ; {
		truncated := false
		n, err := c.call(func(h raw.DB) raw.Result {
			r := f(h, buf)
			truncated = r.RC == raw.TRUNCATED
			return r
		})
		if err != nil {
			return nil, err
		}
		if !truncated {
			return buf[:n], nil
		}
		buf = make([]byte, n+n/4+64)
	}
}

// Durability says what a write must have survived to before it returns.
type Durability uint32

const (
	DurabilityDefault  Durability = raw.DURABILITY_DEFAULT  // the database's "sync" option
	DurabilityBuffered Durability = raw.DURABILITY_BUFFERED // lost if the process dies
	DurabilityOS       Durability = raw.DURABILITY_OS       // survives the process, not a power cut
	DurabilitySync     Durability = raw.DURABILITY_SYNC     // on stable storage
)

// Forever is the TTL of a value that never expires, whatever its keyspace's default.
const Forever = time.Duration(raw.TTL_NEVER)

// WriteOptions say how a write is made.
type WriteOptions struct {
	Durability Durability
	TTL        time.Duration // of a put; 0 is the keyspace's default; rounded up to milliseconds
}

func milliseconds(ttl time.Duration) int64 {
	switch {
	case ttl == Forever:
		return raw.TTL_NEVER
	case ttl < 0:
		return -1 // which the library refuses
	case ttl%time.Millisecond != 0:
		return ttl.Milliseconds() + 1
	}
	return ttl.Milliseconds()
}

// Write commits a batch: all or nothing, over all keyspaces. It returns the commit's sequence
// number. The batch stays as it is and may be written again.
func (db *DB) Write(b *Batch) (seq uint64, err error) { return db.WriteWith(b, WriteOptions{}) }

// WriteWith is Write with options; TTLs stand in the batch.
func (db *DB) WriteWith(b *Batch, o WriteOptions) (seq uint64, err error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.owner != nil && b.owner != db.core {
		return 0, &Error{
			Code: ErrMisuse, Detail: DetailOwner, Message: "the batch is for another database",
		}
	}
	return db.WritePacked(b.Packed(), o)
}

// WritePacked commits a batch in its packed form, which kist_write_packed in kist.h describes.
func (db *DB) WritePacked(packed []byte, o WriteOptions) (seq uint64, err error) {
	if o.TTL != 0 {
		return 0, &Error{Code: ErrInvalid, Detail: DetailRange, Message: "a TTL is for puts alone"}
	}
	if err := db.core.enter(); err != nil {
		return 0, err
	}
	r := raw.WritePacked(db.core.h, uint32(o.Durability), packed)
	db.core.exit()
	if r.RC < 0 {
		return 0, failed(&r)
	}
	return r.N, nil
}

// Sync makes everything committed before the call durable.
func (db *DB) Sync() error {
	_, err := db.core.call(raw.Sync)
	return err
}

// LastSeq is the newest commit that readers see; 0 after Close.
func (db *DB) LastSeq() uint64 { return db.core.seq(raw.LastSeq) }

// DurableSeq is the newest commit that survives a power cut, with all before it; 0 after Close.
func (db *DB) DurableSeq() uint64 { return db.core.seq(raw.DurableSeq) }

func (c *database) seq(f func(raw.DB) uint64) uint64 {
	if c.enter() != nil {
		return 0
	}
	defer c.exit()
	return f(c.h)
}

// WaitDurable waits until the commit seq is durable: write without sync, go on, wait once.
func (db *DB) WaitDurable(ctx context.Context, seq uint64) error {
	return db.core.wait(ctx, func(ms int64) raw.Result { return raw.WaitDurable(db.core.h, seq, ms) })
}

// WaitIdle waits until no flush or compaction is due or running.
func (db *DB) WaitIdle(ctx context.Context) error {
	return db.core.wait(ctx, func(ms int64) raw.Result { return raw.WaitIdle(db.core.h, ms) })
}

// waitStep is how long a call stays in C before it looks at its context, and lets Close pass.
const waitStep = 20 * time.Millisecond

// wait makes a call that takes a timeout, again until it has its outcome or ctx is over.
func (g *guard) wait(ctx context.Context, call func(ms int64) raw.Result) error {
	for ms := int64(0); ; ms = waitStep.Milliseconds() {
		if err := g.enter(); err != nil {
			return err
		}
		r := call(ms)
		g.exit()
		if r.RC != raw.E_TIMEOUT {
			return check(r)
		}
		drop(r)
		if err := ctx.Err(); err != nil {
			return ended(err)
		}
	}
}

// Stat is one statistic by name; Stats lists them.
func (db *DB) Stat(name string) (uint64, error) {
	if err := checkText(name); err != nil {
		return 0, err
	}
	return db.core.call(func(h raw.DB) raw.Result { return raw.Stat(h, name) })
}

// Format is how Stats writes.
type Format int32

const (
	FormatText       Format = raw.STATS_TEXT       // for a person, a line each
	FormatJSON       Format = raw.STATS_JSON       // one object
	FormatPrometheus Format = raw.STATS_PROMETHEUS // text exposition format
)

// Stats is all statistics as text.
func (db *DB) Stats(format Format) (string, error) {
	text, err := db.core.fill(func(h raw.DB, buf []byte) raw.Result {
		return raw.Stats(h, int32(format), buf)
	})
	return string(text), err
}
