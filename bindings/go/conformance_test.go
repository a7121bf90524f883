package kist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"kist/raw"
)

// TestConformance runs bindings/conformance, whose README.md has the language.
func TestConformance(t *testing.T) {
	files, _ := filepath.Glob("../conformance/*.txt")
	if len(files) == 0 {
		t.Fatal("no scripts")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, section := range strings.Split("\n"+string(text), "\ncase ")[1:] {
			name, body, _ := strings.Cut(section, "\n")
			first := strings.Count(string(text[:strings.Index(string(text), "case "+name+"\n")]), "\n")
			t.Run(name, func(t *testing.T) {
				s := &script{t: t, dir: t.TempDir(), handles: map[string]any{}}
				defer s.end()
				for i, line := range strings.Split(body, "\n") {
					if line != "" && line[0] != '#' {
						s.line(fmt.Sprintf("%s:%d: %s", filepath.Base(file), first+i+2, line), line)
					}
				}
			})
		}
	}
}

type script struct {
	t       *testing.T
	dir     string
	handles map[string]any
	order   []string
	args    []string
	out     []any
	where   string
	last    *Error
}

// cursor is an Iterator with what its options say of its outputs.
type cursor struct {
	*Iterator
	keysOnly, sought bool
}

var bg = context.Background()

func (s *script) line(where, line string) {
	s.where, s.out = where, nil
	call, want, judged := strings.Cut(line+" ", " = ")
	words := strings.Fields(call)
	s.args = words[1:]
	verb := verbs[words[0]]
	if verb == nil {
		s.t.Fatalf("%s: unknown verb", where)
	}
	err := verb(s)
	errors.As(err, &s.last)
	if !judged {
		want = "OK"
	}
	expected := strings.Fields(want)
	if got := codeName(err); got != expected[0] {
		s.t.Fatalf("%s: result %s (%v)", where, got, err)
	}
	if judged && len(expected)-1 != len(s.out) {
		s.t.Fatalf("%s: outputs %q", where, s.out)
	}
	if judged {
		for i, word := range expected[1:] {
			if !same(word, s.out[i]) {
				s.t.Fatalf("%s: output %d is %q", where, i, s.out[i])
			}
		}
	}
}

var errDone, errTruncated = Code(raw.DONE), Code(raw.TRUNCATED)

func codeName(err error) string {
	var code Code
	var e *Error
	if errors.As(err, &e) {
		code = e.Code
	} else if err != nil {
		code = err.(Code)
	}
	return strings.TrimPrefix(code.Name(), "KIST_")
}

func same(word string, got any) bool {
	switch got := got.(type) {
	case []byte:
		return word[0] != '!' && bytes.Equal(decode(word), got)
	case string:
		return word == got || word == "-" && got == ""
	}
	low, high, is := strings.Cut(word, "..")
	if !is {
		return word == fmt.Sprint(got)
	}
	n, _ := strconv.ParseInt(fmt.Sprint(got), 10, 64)
	a, _ := strconv.ParseInt(low, 10, 64)
	b, _ := strconv.ParseInt(high, 10, 64)
	return a <= n && n <= b
}

func decode(word string) []byte {
	switch {
	case word == "-":
		return []byte{}
	case word == "~":
		return nil
	case word[0] == '@':
		n, hex, _ := strings.Cut(word[1:], ":")
		count, _ := strconv.Atoi(n)
		b, _ := strconv.ParseUint(hex, 16, 8)
		return bytes.Repeat([]byte{byte(b)}, count)
	}
	var out []byte
	for i := 0; i < len(word); i++ {
		c := word[i]
		if c == '\\' {
			b, _ := strconv.ParseUint(word[i+1:i+3], 16, 8)
			c, i = byte(b), i+2
		}
		out = append(out, c)
	}
	return out
}

// ---- arguments ----

func (s *script) word(i int) string {
	if i >= len(s.args) {
		s.t.Fatalf("%s: words are missing", s.where)
	}
	return s.args[i]
}

func (s *script) text(i int) string {
	if s.word(i) == "-" {
		return ""
	}
	return string(decode(s.word(i)))
}

func (s *script) bytes(i int) []byte { return decode(s.word(i)) }

func (s *script) number(i int) int64 {
	n, err := strconv.ParseInt(s.word(i), 10, 64)
	if err != nil {
		s.t.Fatalf("%s: %v", s.where, err)
	}
	return n
}

func (s *script) ttl(i int) time.Duration {
	if i >= len(s.args) {
		return 0
	} else if s.args[i] == "never" {
		return Forever
	}
	return time.Duration(s.number(i)) * time.Millisecond
}

func (s *script) path(i int) string {
	if s.word(i) == ":memory:" {
		return ":memory:"
	}
	return filepath.Join(s.dir, s.word(i))
}

func (s *script) choice(i int, words ...string) int {
	for at, word := range words {
		if word == s.word(i) {
			return at
		}
	}
	s.t.Fatalf("%s: unknown word %s", s.where, s.word(i))
	return 0
}

func (s *script) options(i int) (*Options, error) {
	if s.word(i) == "-" {
		return nil, nil
	}
	return ParseOptions(s.word(i))
}

func get[T any](s *script, name string) T {
	h, ok := s.handles[name].(T)
	if !ok {
		s.t.Fatalf("%s: no such handle: %s", s.where, name)
	}
	return h
}

func (s *script) db() *DB            { return get[*DB](s, s.word(0)) }
func (s *script) ks(i int) *Keyspace { return get[*Keyspace](s, s.word(i)) }

// place gives a reader, and the transaction of one that has it.
func (s *script) place(i int) (Reader, *Txn, *Keyspace) {
	name, at, _ := strings.Cut(s.word(i), "@")
	ks := get[*Keyspace](s, name)
	switch h := s.handles[at].(type) {
	case *Snapshot:
		return h.Reader(ks), nil, ks
	case *Txn:
		return h.Reader(ks), h, ks
	}
	return ks.Reader, nil, ks
}

func bind[T any](s *script, i int, h T, err error) error {
	if err == nil {
		s.handles[s.word(i)] = h
		s.order = append(s.order, s.word(i))
	}
	return err
}

func (s *script) scanOptions(from int) (o ScanOptions) {
	for _, word := range s.args[from:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "lower":
			o.Lower = decode(value)
		case "upper":
			o.Upper = decode(value)
		case "prefix":
			o.Prefix = decode(value)
		case "keys_only":
			o.KeysOnly = true
		default:
			s.t.Fatalf("%s: %s", s.where, word)
		}
	}
	return o
}

func (s *script) give(out ...any) { s.out = append(s.out, out...) }

func (s *script) entry(it *cursor) error {
	if it.Err() != nil {
		return it.Err()
	} else if !it.Valid() {
		return errDone
	}
	s.give(append([]byte{}, it.Key()...))
	if !it.keysOnly {
		s.give(append([]byte{}, it.Value()...))
	}
	return nil
}

// ---- ends ----

// release does what the finalizers do, at once.
func (s *script) release(name string) {
	switch h := s.handles[name].(type) {
	case *DB:
		runtime.SetFinalizer(h.core, nil)
		h.core.release()
		bound := false
		for _, other := range s.handles {
			bound = bound || other == any(h.def)
		}
		if !bound {
			freeKeyspace(h.def)
		}
	case *Keyspace:
		freeKeyspace(h)
	case *Snapshot:
		h.Close()
	case *cursor:
		h.Close()
	case *Txn:
		h.Rollback()
	case *Feed:
		h.Close()
	case *Stream:
		h.Close()
	case *Pinned:
		h.Release()
	case *Batch:
	default:
		s.t.Fatalf("%s: no such handle: %s", s.where, name)
	}
	delete(s.handles, name)
}

func freeKeyspace(ks *Keyspace) {
	if ks.ks.h != 0 {
		runtime.SetFinalizer(ks.ks, nil)
		ks.ks.free()
		ks.ks.h = 0
	}
}

func (s *script) end() {
	for _, name := range s.order {
		if s.handles[name] != nil {
			s.release(name)
		}
	}
}

// ---- verbs ----

var verbs map[string]func(s *script) error

func init() {
	verbs = map[string]func(s *script) error{
		"open": func(s *script) error {
			o, err := s.options(2)
			if err != nil {
				return err
			}
			defer o.Close()
			db, err := Open(s.path(1), o)
			return bind(s, 0, db, err)
		},
		"close": func(s *script) error {
			err := s.db().Close()
			delete(s.handles, s.word(0))
			return err
		},
		"release":       func(s *script) error { s.db(); s.release(s.word(0)); return nil },
		"free":          func(s *script) error { s.release(s.word(0)); return nil },
		"destroy":       func(s *script) error { return Destroy(s.path(0)) },
		"set_option":    func(s *script) error { return s.db().SetOption(s.word(1), s.word(2)) },
		"parse_options": func(s *script) error { _, err := ParseOptions(s.word(0)); return err },
		"get_option": func(s *script) error {
			o, err := s.options(0)
			if err != nil {
				return err
			}
			if o == nil {
				o = new(Options)
			}
			value, err := o.Get(s.word(1))
			s.giveIf(err, value)
			return err
		},
		"last_seq":    func(s *script) error { s.give(s.db().LastSeq()); return nil },
		"durable_seq": func(s *script) error { s.give(s.db().DurableSeq()); return nil },
		"sync":        func(s *script) error { return s.db().Sync() },
		"flush":       func(s *script) error { return s.db().Flush() },
		"verify":      func(s *script) error { return s.db().Verify(bg) },
		"wait_durable": func(s *script) error {
			ctx, cancel := s.deadline(2)
			defer cancel()
			return s.db().WaitDurable(ctx, uint64(s.number(1)))
		},
		"wait_idle": func(s *script) error {
			ctx, cancel := s.deadline(1)
			defer cancel()
			return s.db().WaitIdle(ctx)
		},
		"stat": func(s *script) error {
			n, err := s.db().Stat(s.word(1))
			s.giveIf(err, n)
			return err
		},
		"stats": func(s *script) error {
			text, err := s.db().Stats(Format(s.choice(1, "text", "json", "prometheus")))
			if text == "" {
				s.t.Fatalf("%s: no text", s.where)
			}
			return err
		},
		"sleep": func(s *script) error {
			time.Sleep(time.Duration(s.number(0)) * time.Millisecond)
			return nil
		},

		"default": func(s *script) error { return bind(s, 1, s.db().Default(), nil) },
		"keyspace": func(s *script) error {
			o, err := s.options(4)
			if err != nil {
				return err
			}
			defer o.Close()
			mode := Mode(s.choice(3, "open", "create", "create_new"))
			ks, err := s.db().OpenKeyspace(s.text(2), mode, o)
			return bind(s, 1, ks, err)
		},
		"drop_keyspace": func(s *script) error { return s.db().DropKeyspace(s.text(1)) },
		"keyspaces": func(s *script) error {
			names, err := s.db().Keyspaces()
			for _, name := range names {
				s.give(name)
			}
			return err
		},
		"keyspace_id": func(s *script) error { s.give(s.ks(0).ID()); return nil },
		"compact":     func(s *script) error { return s.ks(0).Compact(bg, s.bytes(1), s.bytes(2)) },
		"approximate_size": func(s *script) error {
			n, err := s.ks(0).ApproximateSize(s.bytes(1), s.bytes(2))
			s.giveIf(err, n)
			return err
		},

		"get":      func(s *script) error { return s.getEveryWay() },
		"get_into": func(s *script) error { return s.getInto() },
		"exists": func(s *script) error {
			r, _, _ := s.place(0)
			return s.has(r, s.bytes(1))
		},
		"get_for_update": func(s *script) error {
			r, _, _ := s.place(0)
			value, err := r.ForUpdate().Get(s.bytes(1))
			s.giveIf(err, value)
			return err
		},
		"ttl": func(s *script) error {
			r, _, _ := s.place(0)
			left, err := r.TTL(s.bytes(1))
			if left == Forever {
				s.give("never")
			} else {
				s.giveIf(err, left.Milliseconds())
			}
			return err
		},
		"multi_get": func(s *script) error {
			r, _, _ := s.place(0)
			var keys [][]byte
			for i := range s.args[1:] {
				keys = append(keys, s.bytes(i+1))
			}
			values, err := r.MultiGet(keys)
			if values == nil && err != nil {
				return err
			}
			for i, value := range values {
				if value != nil {
					s.give(value)
				} else {
					_, err := r.Get(keys[i])
					s.give("!" + codeName(err))
				}
			}
			return nil
		},
		"pin": func(s *script) error {
			r, _, _ := s.place(1)
			p, err := r.GetPinned(s.bytes(2))
			s.giveIf(err, append([]byte{}, p.Bytes()...))
			return bind(s, 0, &p, err)
		},
		"pinned": func(s *script) error {
			s.give(append([]byte{}, get[*Pinned](s, s.word(0)).Bytes()...))
			return nil
		},

		"put": func(s *script) error {
			_, txn, ks := s.place(0)
			if txn != nil {
				return txn.PutTTL(ks, s.bytes(1), s.bytes(2), s.ttl(3))
			}
			return ks.PutWith(s.bytes(1), s.bytes(2), WriteOptions{TTL: s.ttl(3)})
		},
		"put_with": func(s *script) error {
			d := Durability(s.choice(1, "default", "buffered", "os", "sync"))
			return s.ks(0).PutWith(s.bytes(2), s.bytes(3), WriteOptions{Durability: d})
		},
		"delete": func(s *script) error {
			_, txn, ks := s.place(0)
			if txn != nil {
				return txn.Delete(ks, s.bytes(1))
			}
			return ks.Delete(s.bytes(1))
		},
		"delete_range": func(s *script) error {
			_, txn, ks := s.place(0)
			if txn != nil {
				return txn.DeleteRange(ks, s.bytes(1), s.bytes(2))
			}
			return ks.DeleteRange(s.bytes(1), s.bytes(2))
		},
		"batch": func(s *script) error { return bind(s, 0, new(Batch), nil) },
		"batch_put": func(s *script) error {
			s.batch().PutTTL(s.ks(1), s.bytes(2), s.bytes(3), s.ttl(4))
			return s.batch().err
		},
		"batch_delete": func(s *script) error {
			s.batch().Delete(s.ks(1), s.bytes(2))
			return s.batch().err
		},
		"batch_delete_range": func(s *script) error {
			s.batch().DeleteRange(s.ks(1), s.bytes(2), s.bytes(3))
			return s.batch().err
		},
		"batch_clear": func(s *script) error { s.batch().Reset(); return nil },
		"batch_count": func(s *script) error { s.give(s.batch().Len()); return nil },
		"batch_data":  func(s *script) error { s.give(s.batch().Packed()); return nil },
		"write": func(s *script) error {
			seq, err := s.db().Write(get[*Batch](s, s.word(1)))
			s.giveIf(err, seq)
			return err
		},
		"write_packed": func(s *script) error {
			seq, err := s.db().WritePacked(s.bytes(1), WriteOptions{})
			s.giveIf(err, seq)
			return err
		},

		"snapshot": func(s *script) error {
			snap, err := s.db().Snapshot()
			return bind(s, 1, snap, err)
		},
		"snapshot_seq": func(s *script) error {
			s.give(get[*Snapshot](s, s.word(0)).Seq())
			return nil
		},
		"scan": func(s *script) error { return s.scan() },
		"iter": func(s *script) error {
			r, _, _ := s.place(0)
			o := s.scanOptions(2)
			it, err := r.Scan(o)
			return bind(s, 1, &cursor{it, o.KeysOnly, false}, err)
		},
		"seek": func(s *script) error {
			it := s.it()
			mode := SeekMode(s.choice(1, "first", "last", "ge", "gt", "le", "lt"))
			var key []byte
			if mode > SeekLast {
				key = s.bytes(2)
			}
			found, err := it.Seek(mode, key)
			if err != nil {
				return err
			}
			it.sought = found
			return s.entry(it)
		},
		"next": func(s *script) error { s.it().sought = false; s.it().Next(); return s.entry(s.it()) },
		"prev": func(s *script) error { s.it().sought = false; s.it().Prev(); return s.entry(s.it()) },
		"entry": func(s *script) error {
			if s.it().Err() == nil && !s.it().Valid() {
				return ErrMisuse
			}
			return s.entry(s.it())
		},
		"take":    func(s *script) error { return s.take() },
		"chunk":   func(s *script) error { return s.chunk() },
		"refresh": func(s *script) error { return s.it().Refresh() },

		"txn": func(s *script) error {
			txn, err := s.db().Begin(Isolation(s.choice(2, "snapshot", "serializable")))
			return bind(s, 1, txn, err)
		},
		"savepoint":   func(s *script) error { return get[*Txn](s, s.word(0)).Savepoint() },
		"rollback_to": func(s *script) error { return get[*Txn](s, s.word(0)).RollbackTo() },
		"commit": func(s *script) error {
			seq, err := get[*Txn](s, s.word(0)).Commit()
			s.giveIf(err, seq)
			return err
		},

		"feed": func(s *script) error {
			f, err := s.db().OpenFeed(uint64(s.number(2)))
			return bind(s, 1, f, err)
		},
		"next_commit": func(s *script) error { return s.nextCommit() },
		"checkpoint":  func(s *script) error { return s.db().Checkpoint(s.path(1)) },
		"backup": func(s *script) error {
			seq, err := s.db().Backup(bg, s.path(1))
			s.giveIf(err, seq)
			return err
		},
		"restore": func(s *script) error {
			o := RestoreOptions{}
			if len(s.args) > 2 {
				o.ToSeq = uint64(s.number(2))
			}
			seq, err := Restore(bg, s.path(0), s.path(1), o)
			s.giveIf(err, seq)
			return err
		},
		"stream": func(s *script) error {
			stream, err := s.db().StartStream(s.path(2), nil)
			return bind(s, 1, stream, err)
		},
		"stream_wait": func(s *script) error {
			ctx, cancel := s.deadline(2)
			defer cancel()
			return get[*Stream](s, s.word(0)).Wait(ctx, uint64(s.number(1)))
		},
		"stream_stop": func(s *script) error {
			ctx, cancel := s.deadline(1)
			defer cancel()
			stream := get[*Stream](s, s.word(0))
			if s.number(1) == 0 { // which abandons, and is no timeout
				stream.Close()
				delete(s.handles, s.word(0))
				return nil
			}
			err := stream.Stop(ctx)
			delete(s.handles, s.word(0))
			return err
		},
		"generations": func(s *script) error {
			list, err := Generations(s.path(0))
			for _, g := range list {
				s.give(g.Number, g.FirstSeq, g.LastSeq, g.Bases)
			}
			return err
		},
		"prune": func(s *script) error {
			removed, err := Prune(bg, s.path(0), PruneOptions{KeepCount: uint64(s.number(1))})
			s.giveIf(err, removed)
			return err
		},
		"repair": func(s *script) error {
			report, err := Repair(bg, s.path(0))
			s.giveIf(err, len(strings.FieldsFunc(report, func(r rune) bool { return r == '\n' })))
			return err
		},
		"damage": func(s *script) error {
			found, _ := filepath.Glob(filepath.Join(s.path(0), "*"+s.word(1)))
			if len(found) == 0 {
				s.t.Fatalf("%s: no such file", s.where)
			}
			data, err := os.ReadFile(found[0])
			if err == nil {
				data[len(data)/2] ^= 0xff
				err = os.WriteFile(found[0], data, 0o644)
			}
			if err != nil {
				s.t.Fatalf("%s: %v", s.where, err)
			}
			return nil
		},
		"error_of": func(s *script) error {
			err := error(&Error{Code: Code(s.number(0)), Message: "m"})
			if err.Error() == "" || !errors.Is(err, Code(s.number(0))) {
				s.t.Fatalf("%s: %v", s.where, err)
			}
			s.give(codeName(err))
			return nil
		},
		"last_error": func(s *script) error {
			e := s.last
			if e.Message == "" {
				s.t.Fatalf("%s: no message", s.where)
			}
			s.give(codeName(e), int32(e.Detail), int(e.Errno), e.Aux)
			return nil
		},
	}
}

func (s *script) giveIf(err error, out any) {
	if err == nil {
		s.give(out)
	}
}

func (s *script) deadline(i int) (context.Context, context.CancelFunc) {
	if ms := s.number(i); ms >= 0 {
		return context.WithTimeout(bg, time.Duration(ms)*time.Millisecond)
	}
	return bg, func() {}
}

func (s *script) batch() *Batch { return get[*Batch](s, s.word(0)) }
func (s *script) it() *cursor {
	if _, ok := s.handles[s.word(0)].(*cursor); !ok {
		return get[*cursor](s, s.word(1)) // where the place stands first
	}
	return get[*cursor](s, s.word(0))
}

func (s *script) has(r Reader, key []byte) error {
	has, err := r.Has(key)
	if err == nil && !has {
		return ErrNotFound
	}
	return err
}

func (s *script) getEveryWay() error {
	r, _, _ := s.place(0)
	key := s.bytes(1)
	value, err := r.Get(key)
	appended, appendErr := r.GetAppend([]byte("before"), key)
	pinned, pinErr := r.GetPinned(key)
	defer pinned.Release()
	hasErr := s.has(r, key)
	for _, other := range []error{appendErr, pinErr, hasErr} {
		if codeName(other) != codeName(err) {
			s.t.Fatalf("%s: %v and %v", s.where, err, other)
		}
	}
	if err != nil {
		return err
	}
	if string(appended) != "before"+string(value) || !bytes.Equal(pinned.Bytes(), value) ||
		pinned.Bytes() == nil || value == nil {
		s.t.Fatalf("%s: %q, %q, %q", s.where, value, appended, pinned.Bytes())
	}
	s.give(value)
	return nil
}

func (s *script) getInto() error {
	r, _, _ := s.place(0)
	buf := make([]byte, s.number(2))
	n, rc, err := r.get(s.bytes(1), buf)
	if err != nil {
		return err
	}
	s.give(n)
	if rc == raw.TRUNCATED {
		s.give(buf)
		return errTruncated
	}
	s.give(buf[:n])
	return nil
}

func (s *script) scan() error {
	r, _, _ := s.place(0)
	o := s.scanOptions(2)
	it, err := r.Scan(o)
	if err != nil {
		return err
	}
	defer it.Close()
	step := it.Next
	if s.choice(1, "forward", "backward") == 1 {
		step = it.Prev
	}
	for c := (&cursor{it, o.KeysOnly, false}); step(); {
		_ = s.entry(c)
	}
	return it.Err()
}

func (s *script) take() error {
	it := s.it()
	step := it.Next
	if s.choice(1, "forward", "backward") == 1 {
		step = it.Prev
	}
	for n := s.number(2); n > 0; n-- {
		if !it.sought && !step() {
			if it.Err() != nil {
				return it.Err()
			}
			return errDone
		}
		it.sought = false
		_ = s.entry(it)
	}
	return nil
}

func (s *script) chunk() error {
	it := s.it()
	dir := int32(1 - 2*s.choice(1, "forward", "backward"))
	buf := make([]byte, s.number(2))
	c := raw.IterChunk(it.core.h, dir, buf, int(s.number(3)))
	if c.RC == raw.TRUNCATED {
		s.give(c.Need)
		return errTruncated
	} else if c.RC < 0 {
		return failed(&c.Result)
	}
	it.rest, it.left = buf[:c.Used], c.Count
	for it.left > 0 {
		it.take()
		_ = s.entry(it)
	}
	if c.RC == raw.DONE {
		return errDone
	}
	return nil
}

func (s *script) nextCommit() error {
	f := get[*Feed](s, s.word(0))
	var c Commit
	var err error
	ok := true
	if ms := s.number(1); ms == 0 {
		c, ok, err = f.Poll()
	} else {
		ctx, cancel := s.deadline(1)
		defer cancel()
		c, err = f.Next(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			return errDone
		}
	}
	if err != nil {
		return err
	} else if !ok {
		return errDone
	}
	s.give(c.Seq)
	kinds := []string{"", "put", "delete", "delete_range", "create", "drop"}
	return Unpack(c.Packed, func(op Op) bool {
		if op.Kind >= KindKeyspaceCreated {
			op.Value = nil // the options that it was created with, for the library
		}
		s.give(kinds[op.Kind], op.Keyspace, op.Key, op.Value)
		return true
	})
}
