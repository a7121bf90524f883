package kist

import (
	"context"
	"errors"
	"runtime"
	"time"

	"kist/raw"
)

// Snapshot is the state of a database after one commit, all keyspaces and the time for TTLs
// included. Any number of goroutines may use it. Close it: it keeps old versions.
type Snapshot struct{ core *snapshot }

type snapshot struct {
	guard
	h  raw.Snapshot
	db *database
}

// Snapshot fixes the newest state.
func (db *DB) Snapshot() (*Snapshot, error) {
	n, err := db.core.call(raw.SnapshotNew)
	if err != nil {
		return nil, err
	}
	h := raw.Snapshot(n)
	core := &snapshot{h: h, db: db.core}
	core.free = func() { raw.SnapshotFree(h) }
	runtime.SetFinalizer(core, func(core *snapshot) { go core.close() })
	return &Snapshot{core}, nil
}

// Reader reads a keyspace in the snapshot's state.
func (s *Snapshot) Reader(ks *Keyspace) Reader { return Reader{ks: ks.ks, snap: s} }

// Seq is the commit whose state the snapshot shows; 0 after Close.
func (s *Snapshot) Seq() uint64 {
	if s.core.enter() != nil {
		return 0
	}
	defer s.core.exit()
	return raw.SnapshotSeq(s.core.h)
}

// Close frees the snapshot. Iterators that were made with it live on.
func (s *Snapshot) Close() {
	if s.core.close() {
		runtime.SetFinalizer(s.core, nil)
	}
}

// Isolation is what a transaction is kept apart from.
type Isolation uint32

const (
	// SnapshotIsolation lets the first committer of a key win.
	SnapshotIsolation Isolation = raw.TXN_SNAPSHOT
	// Serializable demands that what was read, ranges included, is unchanged at commit.
	Serializable Isolation = raw.TXN_SERIALIZABLE
)

// Txn is reads and writes that succeed together or not at all. It belongs to one goroutine at a
// time, any goroutine.
type Txn struct{ core *txn }

type txn struct {
	guard
	h  raw.Txn
	db *database
}

// Begin begins a transaction on the newest state. End it with Commit or Rollback.
func (db *DB) Begin(isolation Isolation) (*Txn, error) {
	n, err := db.core.call(func(h raw.DB) raw.Result { return raw.TxnBegin(h, uint32(isolation)) })
	if err != nil {
		return nil, err
	}
	h := raw.Txn(n)
	core := &txn{h: h, db: db.core}
	core.free = func() { raw.TxnFree(h) }
	runtime.SetFinalizer(core, func(core *txn) { go core.close() })
	return &Txn{core}, nil
}

// Update runs f in a transaction and commits it, again from the beginning while it loses against
// others, until ctx is over. An error of f rolls back and is returned.
func (db *DB) Update(ctx context.Context, isolation Isolation, f func(*Txn) error) error {
	for {
		err := db.updateOnce(isolation, f)
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if ctx.Err() != nil {
			return ended(ctx.Err())
		}
	}
}

func (db *DB) updateOnce(isolation Isolation, f func(*Txn) error) error {
	t, err := db.Begin(isolation)
	if err != nil {
		return err
	}
	defer t.Rollback()
	if err := f(t); err != nil {
		return err
	}
	_, err = t.Commit()
	return err
}

// Reader reads a keyspace as the transaction sees it, its own writes included.
func (t *Txn) Reader(ks *Keyspace) Reader { return Reader{ks: ks.ks, txn: t} }

func (t *Txn) call(ks *Keyspace, f func(t raw.Txn, ks raw.Keyspace) raw.Result) error {
	if err := t.core.enter(); err != nil {
		return err
	}
	r := f(t.core.h, ks.ks.h)
	t.core.exit()
	runtime.KeepAlive(ks.ks)
	return check(r)
}

// Put sets the value of a key.
func (t *Txn) Put(ks *Keyspace, key, value []byte) error { return t.PutTTL(ks, key, value, 0) }

// PutTTL sets a value that expires ttl after the commit; 0 is the keyspace's default.
func (t *Txn) PutTTL(ks *Keyspace, key, value []byte, ttl time.Duration) error {
	return t.call(ks, func(h raw.Txn, ks raw.Keyspace) raw.Result {
		return raw.TxnPut(h, ks, milliseconds(ttl), key, value)
	})
}

// Delete deletes a key.
func (t *Txn) Delete(ks *Keyspace, key []byte) error {
	return t.call(ks, func(h raw.Txn, ks raw.Keyspace) raw.Result { return raw.TxnDelete(h, ks, key) })
}

// DeleteRange deletes every key in [begin, end); an empty end reaches past the last key.
func (t *Txn) DeleteRange(ks *Keyspace, begin, end []byte) error {
	return t.call(ks, func(h raw.Txn, ks raw.Keyspace) raw.Result {
		return raw.TxnDeleteRange(h, ks, begin, end)
	})
}

func (t *Txn) own(f func(raw.Txn) raw.Result) (uint64, error) {
	if err := t.core.enter(); err != nil {
		return 0, err
	}
	r := f(t.core.h)
	t.core.exit()
	return r.N, check(r)
}

// Savepoint pushes a savepoint.
func (t *Txn) Savepoint() error {
	_, err := t.own(raw.TxnSavepoint)
	return err
}

// RollbackTo pops the newest savepoint and undoes the writes that followed it.
func (t *Txn) RollbackTo() error {
	_, err := t.own(raw.TxnRollbackTo)
	return err
}

// Commit commits: all or nothing, over all keyspaces, and ends the transaction either way. After
// ErrConflict nothing happened: begin again. It returns the commit's sequence number.
func (t *Txn) Commit() (seq uint64, err error) { return t.CommitWith(WriteOptions{}) }

// CommitWith is Commit with options.
func (t *Txn) CommitWith(o WriteOptions) (seq uint64, err error) {
	if err := noTTL(o); err != nil {
		return 0, err
	}
	seq, err = t.own(func(h raw.Txn) raw.Result { return raw.TxnCommit(h, uint32(o.Durability)) })
	if !t.core.closed() {
		t.core.reason = errCommitted
	}
	t.Rollback()
	return seq, err
}

var errCommitted = &Error{
	Code: ErrMisuse, Detail: DetailState, Message: "the transaction was committed",
}

// Rollback ends the transaction and undoes what was not committed; after Commit it does nothing.
func (t *Txn) Rollback() {
	if t.core.close() {
		runtime.SetFinalizer(t.core, nil)
	}
}
