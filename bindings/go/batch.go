package kist

import (
	"encoding/binary"
	"math"
	"time"
)

// Batch collects writes to any keyspaces of one database, which DB.Write commits together, in the
// order in which they were added. It is built in Go, in the packed form that the library takes, and
// crosses in one call. The zero value is an empty batch; one goroutine at a time may use it.
type Batch struct {
	buf   []byte
	count uint32
	owner *database
	err   error // of the first operation that could not be added; Write returns it
}

// The packed form stands in kist.h at kist_write_packed.
const (
	batchMagic  = "KWB\x01"
	batchHead   = 8
	opHead      = 16
	opFlagTTL   = 1
	kindCreated = 4
	kindDropped = 5
)

// Kind is what an operation of a batch or commit does.
type Kind uint8

const (
	KindPut             Kind = 1
	KindDelete          Kind = 2
	KindDeleteRange     Kind = 3
	KindKeyspaceCreated Kind = kindCreated // of a Feed alone; Key is the name
	KindKeyspaceDropped Kind = kindDropped // of a Feed alone; Key is the name
)

// Op is an operation of a batch or commit.
type Op struct {
	Kind     Kind
	Keyspace uint32 // Keyspace.ID
	Key      []byte
	Value    []byte        // of a put; of a range delete the end key
	TTL      time.Duration // of a put; 0 is the keyspace's default
}

// Put adds a put, with the keyspace's default TTL.
func (b *Batch) Put(ks *Keyspace, key, value []byte) { b.add(ks, KindPut, 0, key, value) }

// PutTTL adds a put that expires ttl after the commit; Forever never does.
func (b *Batch) PutTTL(ks *Keyspace, key, value []byte, ttl time.Duration) {
	b.add(ks, KindPut, milliseconds(ttl), key, value)
}

// Delete adds a delete.
func (b *Batch) Delete(ks *Keyspace, key []byte) { b.add(ks, KindDelete, 0, key, nil) }

// DeleteRange adds the deletion of every key in [begin, end); an empty end reaches past the last.
func (b *Batch) DeleteRange(ks *Keyspace, begin, end []byte) {
	b.add(ks, KindDeleteRange, 0, begin, end)
}

func (b *Batch) add(ks *Keyspace, kind Kind, ttl int64, key, value []byte) {
	if b.err != nil || !b.accepts(ks, key, value) {
		return
	}
	if len(b.buf) == 0 {
		b.buf = append(b.buf, batchMagic+"\x00\x00\x00\x00"...)
	}
	flags := byte(0)
	if ttl != 0 {
		flags = opFlagTTL
	}
	var head [opHead + 8]byte
	head[0], head[1] = byte(kind), flags
	binary.LittleEndian.PutUint32(head[4:], ks.ks.id)
	binary.LittleEndian.PutUint32(head[8:], uint32(len(key)))
	binary.LittleEndian.PutUint32(head[12:], uint32(len(value)))
	binary.LittleEndian.PutUint64(head[16:], uint64(ttl))
	b.buf = append(b.buf, head[:opHead+8*int(flags)]...)
	b.buf = append(b.buf, key...)
	b.buf = append(b.buf, value...)
	b.count++
}

func (b *Batch) accepts(ks *Keyspace, key, value []byte) bool {
	if b.owner == nil {
		b.owner = ks.ks.db
	}
	switch {
	case b.owner != ks.ks.db:
		b.err = &Error{
			Code: ErrMisuse, Detail: DetailOwner, Message: "keyspaces of two databases in one batch",
		}
	case len(key)+len(value)+len(b.buf) > math.MaxInt32 || b.count == math.MaxUint32:
		b.err = &Error{
			Code: ErrLimit, Detail: DetailBatchSize, Aux: 1 << 31, Message: "the batch is over 2 GiB",
		}
	}
	return b.err == nil
}

// Reset empties the batch for its next use and keeps its memory.
func (b *Batch) Reset() { *b = Batch{buf: b.buf[:0]} }

// Len counts the operations.
func (b *Batch) Len() int { return int(b.count) }

// Packed is the packed form, valid until the batch changes.
func (b *Batch) Packed() []byte {
	if len(b.buf) == 0 {
		b.buf = append(b.buf, batchMagic+"\x00\x00\x00\x00"...)
	}
	binary.LittleEndian.PutUint32(b.buf[4:], b.count)
	return b.buf
}

// Unpack gives the operations of a packed batch or commit, in order, until `each` returns false.
// Their bytes lie in packed.
func Unpack(packed []byte, each func(op Op) bool) error {
	if len(packed) < batchHead || string(packed[:4]) != batchMagic {
		return badBatch
	}
	rest := packed[batchHead:]
	for left := binary.LittleEndian.Uint32(packed[4:]); left > 0; left-- {
		op, tail, ok := unpackOp(rest)
		if !ok {
			return badBatch
		}
		if !each(op) {
			return nil
		}
		rest = tail
	}
	if len(rest) > 0 {
		return badBatch
	}
	return nil
}

var badBatch = &Error{Code: ErrInvalid, Detail: DetailPacked, Message: "not a packed batch"}

func unpackOp(b []byte) (op Op, rest []byte, ok bool) {
	if len(b) < opHead {
		return op, nil, false
	}
	keyLen := uint64(binary.LittleEndian.Uint32(b[8:]))
	valueLen := uint64(binary.LittleEndian.Uint32(b[12:]))
	op.Kind, op.Keyspace = Kind(b[0]), binary.LittleEndian.Uint32(b[4:])
	hasTTL := b[1]&opFlagTTL != 0
	b = b[opHead:]
	if hasTTL {
		if len(b) < 8 {
			return op, nil, false
		}
		op.TTL = duration(int64(binary.LittleEndian.Uint64(b)))
		b = b[8:]
	}
	if keyLen+valueLen > uint64(len(b)) {
		return op, nil, false
	}
	op.Key, op.Value = b[:keyLen:keyLen], b[keyLen:keyLen+valueLen:keyLen+valueLen]
	return op, b[keyLen+valueLen:], true
}

// duration is the inverse of milliseconds; what time.Duration cannot hold is for ever.
func duration(ms int64) time.Duration {
	if ms > int64(Forever/time.Millisecond) {
		return Forever
	}
	return time.Duration(ms) * time.Millisecond
}
