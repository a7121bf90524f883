package kist

import (
	"context"
	"runtime"
	"strconv"
	"time"

	"kist/raw"
)

// Keyspace is one ordered map of a database. Its Reader's methods read the newest state.
//
// It has no Close: DB.Close revokes it, and the garbage collector frees it.
type Keyspace struct{ Reader }

// keyspace is what readers hold: no call on it needs to count itself, because it is freed only once
// nobody can make one.
type keyspace struct {
	h  raw.Keyspace
	id uint32
	db *database
}

func (c *database) keyspace(h raw.Keyspace) *Keyspace {
	ks := &keyspace{h: h, id: raw.KeyspaceID(h), db: c}
	runtime.SetFinalizer(ks, func(ks *keyspace) { go ks.free() })
	return &Keyspace{Reader{ks: ks}}
}

func (ks *keyspace) free() { raw.KeyspaceFree(ks.h) }

// ID is the keyspace's number in packed batches, stable for the life of the keyspace.
func (k *Keyspace) ID() uint32 { return k.ks.id }

// Put sets the value of a key.
func (k *Keyspace) Put(key, value []byte) error { return k.PutWith(key, value, WriteOptions{}) }

// PutWith is Put with options.
func (k *Keyspace) PutWith(key, value []byte, o WriteOptions) error {
	r := raw.Put(k.ks.h, uint32(o.Durability), milliseconds(o.TTL), key, value)
	runtime.KeepAlive(k.ks)
	if r.RC < 0 {
		return failed(&r)
	}
	return nil
}

// Delete deletes a key; one that is absent is fine.
func (k *Keyspace) Delete(key []byte) error { return k.DeleteWith(key, WriteOptions{}) }

// DeleteWith is Delete with options.
func (k *Keyspace) DeleteWith(key []byte, o WriteOptions) error {
	if err := noTTL(o); err != nil {
		return err
	}
	r := raw.Delete(k.ks.h, uint32(o.Durability), key)
	runtime.KeepAlive(k.ks)
	if r.RC < 0 {
		return failed(&r)
	}
	return nil
}

// DeleteRange deletes every key in [begin, end); an empty end reaches past the last key. Its cost
// does not depend on how many.
func (k *Keyspace) DeleteRange(begin, end []byte) error {
	return k.DeleteRangeWith(begin, end, WriteOptions{})
}

// DeleteRangeWith is DeleteRange with options.
func (k *Keyspace) DeleteRangeWith(begin, end []byte, o WriteOptions) error {
	if err := noTTL(o); err != nil {
		return err
	}
	r := raw.DeleteRange(k.ks.h, uint32(o.Durability), begin, end)
	runtime.KeepAlive(k.ks)
	return check(r)
}

func noTTL(o WriteOptions) error {
	if o.TTL != 0 {
		return &Error{Code: ErrInvalid, Detail: DetailRange, Message: "a TTL is for puts alone"}
	}
	return nil
}

// ApproximateSize estimates how many bytes the keys in [begin, end) take on disk.
func (k *Keyspace) ApproximateSize(begin, end []byte) (uint64, error) {
	r := raw.ApproximateSize(k.ks.h, begin, end)
	runtime.KeepAlive(k.ks)
	return r.N, check(r)
}

// Compact compacts the tables that hold keys in [begin, end). ctx ends it: what is done stays done.
func (k *Keyspace) Compact(ctx context.Context, begin, end []byte) error {
	_, err := runJob(ctx, func(job *raw.Job) raw.Result {
		return raw.Compact(k.ks.h, begin, end, job)
	})
	runtime.KeepAlive(k.ks)
	return err
}

// Reader reads a keyspace in one state: the newest (Keyspace), a snapshot's (Snapshot.Reader) or a
// transaction's with its own writes (Txn.Reader). It is a small value; copy it as you like.
type Reader struct {
	ks    *keyspace
	snap  *Snapshot
	txn   *Txn
	flags uint32
}

// NoCacheFill is a reader that displaces no cached blocks, for scans and backups.
func (r Reader) NoCacheFill() Reader {
	r.flags |= raw.READ_NO_CACHE_FILL
	return r
}

// ForUpdate is a transaction's reader whose reads conflict as writes do.
func (r Reader) ForUpdate() Reader {
	r.flags |= raw.READ_FOR_UPDATE
	return r
}

// enter keeps snapshot and transaction from being freed until exit. Both are inlined: most readers
// have neither.
func (r *Reader) enter() (raw.Read, error) {
	if r.snap == nil && r.txn == nil {
		return raw.Read{Flags: r.flags}, nil
	}
	return r.enterState()
}

func (r *Reader) enterState() (raw.Read, error) {
	if r.snap != nil {
		return raw.Read{Flags: r.flags, Snapshot: r.snap.core.h}, r.snap.core.enter()
	}
	return raw.Read{Flags: r.flags, Txn: r.txn.core.h}, r.txn.core.enter()
}

func (r *Reader) exit() {
	if r.snap != nil || r.txn != nil {
		r.exitState()
	}
	runtime.KeepAlive(r.ks)
}

func (r *Reader) exitState() {
	if r.snap != nil {
		r.snap.core.exit()
	} else {
		r.txn.core.exit()
	}
}

// get makes one try; what fits of the value is in buf.
func (r *Reader) get(key, buf []byte) (n int, rc int32, err error) {
	ro, err := r.enter()
	if err != nil {
		return 0, raw.E_CLOSED, err
	}
	result := raw.Get(r.ks.h, ro, key, buf)
	r.exit()
	if result.RC < 0 {
		err = failed(&result)
	} else if result.RC == raw.NOT_FOUND {
		err = ErrNotFound
	}
	return int(result.N), result.RC, err
}

// Get is a key's value in a slice of its own; ErrNotFound where there is none.
func (r Reader) Get(key []byte) ([]byte, error) {
	var small [256]byte
	n, rc, err := r.get(key, small[:])
	if err != nil {
		return nil, err
	}
	value := make([]byte, n)
	if rc != raw.TRUNCATED {
		copy(value, small[:n])
		return value, nil
	}
	return r.GetAppend(value[:0], key)
}

// GetAppend appends a key's value to dst, whose room it uses first, and gives the longer slice. It
// allocates nothing where the room suffices. With an error, ErrNotFound included, dst comes back.
func (r Reader) GetAppend(dst, key []byte) ([]byte, error) {
	for {
		used := len(dst)
		n, rc, err := r.get(key, dst[used:cap(dst)])
		if err != nil {
			return dst, err
		}
		if rc != raw.TRUNCATED {
			return dst[:used+n], nil
		}
		longer := make([]byte, used, used+n)
		copy(longer, dst)
		dst = longer
	}
}

// Pinned is a value where it lies, in memory of the library that it holds until Release.
type Pinned struct {
	_   [0]func() // not to be compared
	pin raw.Pin
}

// GetPinned gives a key's value without copying it. The caller releases it, soon.
func (r Reader) GetPinned(key []byte) (Pinned, error) {
	ro, err := r.enter()
	if err != nil {
		return Pinned{}, err
	}
	pin, result := raw.GetPin(r.ks.h, ro, key)
	r.exit()
	if result.RC < 0 {
		return Pinned{}, failed(&result)
	} else if result.RC == raw.NOT_FOUND {
		return Pinned{}, ErrNotFound
	}
	return Pinned{pin: pin}, nil
}

// Bytes are the value's: not to be changed, nor kept beyond Release. They stay valid after DB.Close.
func (p *Pinned) Bytes() []byte { return p.pin.Bytes() }

// Release lets go of the value. Of a Pinned that was copied, one copy alone may be released; a
// second Release of the same one does nothing.
func (p *Pinned) Release() { raw.PinRelease(&p.pin) }

// Has tells whether a key has a value.
func (r Reader) Has(key []byte) (bool, error) {
	ro, err := r.enter()
	if err != nil {
		return false, err
	}
	result := raw.Exists(r.ks.h, ro, key)
	r.exit()
	return result.RC == raw.OK, check(result)
}

// TTL tells how long a key's value will live: at least a millisecond, or Forever.
func (r Reader) TTL(key []byte) (time.Duration, error) {
	ro, err := r.enter()
	if err != nil {
		return 0, err
	}
	result := raw.TTL(r.ks.h, ro, key)
	r.exit()
	left := int64(result.N)
	switch {
	case result.RC == raw.NOT_FOUND:
		return 0, ErrNotFound
	case result.RC < 0:
		return 0, failed(&result)
	case left < 0:
		return Forever, nil
	}
	return duration(left), nil
}

// MultiGet reads many keys of one state in one call. values[i] is nil where keys[i] has none. A key
// that cannot be read makes an error and does not stop the others.
func (r Reader) MultiGet(keys [][]byte) (values [][]byte, err error) {
	var packed []byte
	ends := make([]uint64, len(keys))
	for i, key := range keys {
		packed = append(packed, key...)
		ends[i] = uint64(len(packed))
	}
	ro, err := r.enter()
	if err != nil {
		return nil, err
	}
	values = make([][]byte, len(keys))
	result := raw.MultiGet(r.ks.h, ro, packed, ends, func(i int, rc int32, value []byte) {
		if rc == raw.OK {
			values[i] = append([]byte{}, value...)
		} else if rc < 0 && err == nil {
			code := Code(rc)
			err = &Error{Code: code, Message: "key " + strconv.Itoa(i) + ": " + raw.RCText(rc)}
		}
	})
	r.exit()
	if result.RC < 0 {
		return nil, failed(&result)
	}
	return values, err
}
