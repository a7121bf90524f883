package kist

import (
	"encoding/binary"
	"runtime"

	"kist/raw"
)

// ScanOptions say what an Iterator sees; the zero value is every entry.
type ScanOptions struct {
	Prefix   []byte // only keys that start with this; may be combined with the bounds
	Lower    []byte // first key, included; empty: from the first key
	Upper    []byte // end key, excluded; empty: to the last key
	KeysOnly bool   // values are not read and are empty
}

// Iterator walks the entries of a keyspace in key order, in both directions, over one state. Entries
// cross in chunks, which start small and grow. It starts before the first entry and, for Prev,
// behind the last one. It belongs to one goroutine at a time; Close may come from any.
//
//	it, err := ks.Scan(kist.ScanOptions{Prefix: []byte("user/")})
//	if err != nil {
//		return err
//	}
//	defer it.Close()
//	for it.Next() {
//		fmt.Printf("%s = %s\n", it.Key(), it.Value())
//	}
//	return it.Err()
type Iterator struct {
	core  *iterator
	buf   []byte // the chunk's memory
	rest  []byte // of the chunk: entries that are not yet taken
	left  int    // how many
	cap   int    // of the next chunk
	dir   int32  // of the chunk; 0: none was taken from where the library's iterator stands
	ended bool   // the chunk is the last one of its direction
	valid bool
	key   []byte
	value []byte
	err   error
}

type iterator struct {
	guard
	h   raw.Iter
	db  *database
	txn *Txn // whose end is the iterator's
}

// ended tells whether the library would refuse the next step, though a chunk has entries left.
func (c *iterator) ended() bool {
	return c.closed() || c.db.revoked.Load() || c.txn != nil && c.txn.core.closed()
}

// A first chunk holds a few entries, for those who want no more; the largest one is big enough for
// the crossing to vanish and small enough for the cache.
const (
	chunkFirst = 1 << 10
	chunkLast  = 64 << 10
	chunkMax   = 1 << 16 // entries
)

// Scan makes an iterator. Close it: it keeps old versions from being reclaimed.
func (r Reader) Scan(o ScanOptions) (*Iterator, error) {
	if o.KeysOnly {
		r.flags |= raw.ITER_KEYS_ONLY
	}
	ro, err := r.enter()
	if err != nil {
		return nil, err
	}
	result := raw.IterNew(r.ks.h, ro, o.Lower, o.Upper, o.Prefix)
	r.exit()
	if err := check(result); err != nil {
		return nil, err
	}
	h := raw.Iter(result.N)
	core := &iterator{h: h, db: r.ks.db, txn: r.txn}
	core.free = func() { raw.IterFree(h) }
	runtime.SetFinalizer(core, func(core *iterator) { go core.close() })
	return &Iterator{core: core, cap: chunkFirst}, nil
}

// Close frees the iterator. Key and Value are not to be used afterwards.
func (it *Iterator) Close() {
	if it.core.close() {
		runtime.SetFinalizer(it.core, nil)
	}
}

// Next steps to the next entry. It returns false past the last one, and for an error: see Err.
func (it *Iterator) Next() bool { return it.step(+1) }

// Prev steps to the previous entry, from a fresh iterator and from past the end to the last one.
func (it *Iterator) Prev() bool { return it.step(-1) }

// Key is the current entry's key, valid until the iterator's next call.
func (it *Iterator) Key() []byte { return it.key }

// Value is the current entry's value, valid until the iterator's next call.
func (it *Iterator) Value() []byte { return it.value }

// Valid tells whether the iterator is on an entry.
func (it *Iterator) Valid() bool { return it.valid }

// Err is the error that ended the iterator, if one did. It stays.
func (it *Iterator) Err() error { return it.err }

func (it *Iterator) step(dir int32) bool {
	if it.left > 0 && it.dir == dir && !it.core.ended() {
		it.take()
		return true
	}
	return it.refill(dir)
}

// take makes the first of the chunk's rest the current entry.
func (it *Iterator) take() {
	keyLen := int(binary.LittleEndian.Uint32(it.rest))
	end := 8 + keyLen + int(binary.LittleEndian.Uint32(it.rest[4:]))
	it.key, it.value = it.rest[8:8+keyLen:8+keyLen], it.rest[8+keyLen:end:end]
	it.rest = it.rest[end:]
	it.left--
	it.valid = true
}

func (it *Iterator) refill(dir int32) bool {
	if it.err != nil {
		return false
	}
	if it.dir == -dir {
		if it.valid { // the library's iterator stands at the chunk's end, not on our entry
			mode := int32(raw.SEEK_GT)
			if dir < 0 {
				mode = raw.SEEK_LT
			}
			it.cap = chunkFirst
			if found, err := it.seek(mode, it.key); err != nil {
				it.fail(err)
				return false
			} else if !found {
				return false
			}
		}
		it.ended = false
	} else if it.ended && !it.core.ended() {
		it.forget()
		return false
	}
	if err := it.chunk(dir); err != nil {
		it.fail(err)
		return false
	}
	if it.left == 0 {
		it.forget()
		return false
	}
	it.take()
	return true
}

// chunk takes the next entries, with more room each time.
func (it *Iterator) chunk(dir int32) error {
	if err := it.core.enter(); err != nil {
		return err
	}
	defer it.core.exit()
	for {
		if len(it.buf) < it.cap || len(it.buf) > 16*chunkLast && it.cap <= chunkLast {
			it.buf = make([]byte, it.cap)
		}
		c := raw.IterChunk(it.core.h, dir, it.buf[:it.cap], chunkMax)
		if c.RC == raw.TRUNCATED {
			it.cap = c.Need
			continue
		}
		if c.RC < 0 {
			return failed(&c.Result)
		}
		it.rest, it.left, it.dir, it.ended = it.buf[:c.Used], c.Count, dir, c.RC == raw.DONE
		if it.cap *= 4; it.cap > chunkLast {
			it.cap = chunkLast
		}
		return nil
	}
}

func (it *Iterator) forget() {
	it.key, it.value, it.rest, it.left, it.valid = nil, nil, nil, 0, false
}

func (it *Iterator) fail(err error) {
	it.forget()
	it.err = err
}

// seek moves the library's iterator, off our entry. After an error that is no error of reading both
// stay where they were.
func (it *Iterator) seek(mode int32, key []byte) (found bool, err error) {
	if it.err != nil {
		return false, it.err
	}
	if err := it.core.enter(); err != nil {
		it.fail(err)
		return false, err
	}
	r := raw.IterSeek(it.core.h, mode, key)
	it.core.exit()
	if r.RC < 0 {
		err := failed(&r)
		if err.Code != ErrLimit && err.Code != ErrInvalid && err.Code != ErrMisuse {
			it.fail(err)
		}
		return false, err
	}
	it.forget()
	it.dir, it.ended = 0, false
	if r.RC == raw.DONE { // past the end, or before the beginning: the other direction goes on
		it.dir, it.ended = direction(SeekMode(mode)), true
	}
	return r.RC == raw.OK, nil
}

// direction is the way a seek looks.
func direction(mode SeekMode) int32 {
	if mode == SeekLast || mode == SeekLE || mode == SeekLT {
		return -1
	}
	return +1
}

// SeekMode says which entry Seek goes to.
type SeekMode int32

const (
	SeekFirst SeekMode = raw.SEEK_FIRST // the first entry
	SeekLast  SeekMode = raw.SEEK_LAST  // the last entry
	SeekGE    SeekMode = raw.SEEK_GE    // the first entry with a key >= key
	SeekGT    SeekMode = raw.SEEK_GT    // the first entry with a key > key
	SeekLE    SeekMode = raw.SEEK_LE    // the last entry with a key <= key
	SeekLT    SeekMode = raw.SEEK_LT    // the last entry with a key < key
)

// Seek positions the iterator on an entry, within its bounds, and tells whether there is one: past
// the end or before the beginning otherwise. A key over the limit leaves it where it was.
func (it *Iterator) Seek(mode SeekMode, key []byte) (found bool, err error) {
	if found, err = it.seek(int32(mode), key); !found {
		return false, err
	}
	it.cap = chunkFirst
	return it.refill(direction(mode)), it.err
}

// Refresh moves the iterator to the newest state (or its transaction's), to where a new one is; an
// explicit snapshot is kept.
func (it *Iterator) Refresh() error {
	if it.err != nil {
		return it.err
	}
	if err := it.core.enter(); err != nil {
		return err
	}
	r := raw.IterRefresh(it.core.h)
	it.core.exit()
	if err := check(r); err != nil {
		return err
	}
	it.forget()
	it.dir, it.ended, it.cap = 0, false, chunkFirst
	return nil
}

// Entry is a key with its value.
type Entry struct{ Key, Value []byte }
