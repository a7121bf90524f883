package kist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kist/raw"
)

func open(t testing.TB, path, options string) *DB {
	t.Helper()
	o, err := ParseOptions(options)
	must(t, err)
	db, err := Open(path, o)
	must(t, err)
	o.Close()
	t.Cleanup(func() { db.Close() })
	return db
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestErrorsCarryEverything(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "no", "parent"), nil)
	var e *Error
	if !errors.Is(err, ErrMissing) || !errors.As(err, &e) || errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	if e.Errno != syscall.ENOENT || !errors.Is(err, syscall.ENOENT) || e.Message == "" {
		t.Fatalf("%#v", e)
	}
	if e.Code.Name() != "KIST_E_MISSING" || !strings.Contains(e.Error(), e.Message) {
		t.Fatal(e)
	}
	db := open(t, ":memory:", "max_key_size=10")
	err = db.Default().Put(make([]byte, 11), nil)
	if !errors.As(err, &e) || e.Code != ErrLimit || e.Detail != DetailKeySize || e.Aux != 10 {
		t.Fatalf("%#v", err)
	}
	for _, text := range []error{Code(-77), Code(77), &Error{Code: -77}} {
		if !strings.HasPrefix(text.Error(), "kist: ") {
			t.Fatal(text)
		}
	}
	if _, err := Open("a\x00b", nil); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	if err := check(raw.Result{RC: -12345}); !errors.Is(err, Code(-12345)) {
		t.Fatal(err)
	}
}

func TestEmptyAndNilBytes(t *testing.T) {
	db := open(t, ":memory:", "")
	ks := db.Default()
	for _, nothing := range [][]byte{nil, {}, make([]byte, 0, 8)} {
		must(t, ks.Put(nothing, nothing))
		value, err := ks.Get(nothing)
		if err != nil || value == nil || len(value) != 0 {
			t.Fatal(value, err)
		}
		if value, err = ks.GetAppend(nothing, nothing); err != nil || len(value) != 0 {
			t.Fatal(value, err)
		}
		pin, err := ks.GetPinned(nothing)
		if err != nil || pin.Bytes() == nil || len(pin.Bytes()) != 0 {
			t.Fatal(pin, err)
		}
		pin.Release()
		pin.Release()
		must(t, ks.Delete(nothing))
		must(t, ks.DeleteRange(nothing, nothing))
	}
	if values, err := ks.MultiGet(nil); err != nil || len(values) != 0 {
		t.Fatal(values, err)
	}
	var released Pinned
	released.Release()
	var o Options
	o.Close()
	if _, err := db.Write(new(Batch)); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	db := open(t, ":memory:", "sync=never")
	ks := db.Default()
	var big [5000]byte
	must(t, ks.Put([]byte("big"), big[:]))
	snap, err := db.Snapshot()
	must(t, err)
	defer snap.Close()
	buf := make([]byte, 8192)
	batch := new(Batch)
	for i := 0; i < 1000; i++ {
		batch.Put(ks, []byte{byte(i), byte(i >> 8)}, big[:10])
	}
	packed := append([]byte{}, batch.Packed()...)
	old := snap.Reader(ks)
	it, err := ks.Scan(ScanOptions{})
	must(t, err)
	defer it.Close()

	// Keys and values lie on the stack: they do not escape either.
	for name, call := range map[string]func() error{
		"GetAppend": func() error {
			key := [...]byte{'b', 'i', 'g'}
			_, err := ks.GetAppend(buf[:0], key[:])
			return err
		},
		"GetAppend into the stack": func() error {
			var value [5000]byte
			key := [...]byte{'b', 'i', 'g'}
			_, err := old.GetAppend(value[:0], key[:])
			return err
		},
		"GetAppend of nothing": func() error {
			key := [...]byte{'n', 'o'}
			if _, err := ks.GetAppend(buf[:0], key[:]); err != ErrNotFound {
				return ErrInternal
			}
			return nil
		},
		"GetPinned": func() error {
			key := [...]byte{'b', 'i', 'g'}
			pin, err := ks.GetPinned(key[:])
			pin.Release()
			return err
		},
		"Has": func() error {
			key := [...]byte{'b', 'i', 'g'}
			_, err := ks.Has(key[:])
			return err
		},
		"Put": func() error {
			key, value := [...]byte{'k'}, [100]byte{}
			return ks.Put(key[:], value[:])
		},
		"Delete": func() error {
			key := [...]byte{'k'}
			return ks.Delete(key[:])
		},
		"WritePacked": func() error {
			_, err := db.WritePacked(packed, WriteOptions{})
			return err
		},
		"Write": func() error {
			key, value := [...]byte{'k'}, [100]byte{}
			batch.Reset()
			batch.Put(ks, key[:], value[:])
			batch.Delete(ks, key[:])
			_, err := db.Write(batch)
			return err
		},
		"Iterator": func() error {
			if _, err := it.Seek(SeekFirst, nil); err != nil {
				return err
			}
			for it.Next() {
				_, _ = it.Key(), it.Value()
			}
			return it.Err()
		},
	} {
		var failed error
		run := func() {
			if err := call(); err != nil {
				failed = err
			}
		}
		run() // buffers grow
		if n := testing.AllocsPerRun(200, run); n != 0 || failed != nil {
			t.Errorf("%s: %v allocations, %v", name, n, failed)
		}
	}
}

// A stack that grows between the key's address and the call would show here.
func TestStacksMayGrow(t *testing.T) {
	db := open(t, ":memory:", "sync=never")
	ks := db.Default()
	var dig func(depth int) error
	dig = func(depth int) error {
		var key, value [64]byte
		for i := range key {
			key[i] = byte(depth + i)
		}
		if err := ks.Put(key[:], key[:]); err != nil {
			return err
		}
		got, err := ks.GetAppend(value[:0], key[:])
		if err != nil || !bytes.Equal(got, key[:]) {
			return fmt.Errorf("depth %d: %x, %v", depth, got, err)
		}
		if depth == 0 {
			return nil
		}
		return dig(depth - 1)
	}
	for i := 0; i < 20; i++ {
		done := make(chan error)
		go func() { done <- dig(200) }() // on a small, fresh stack
		must(t, <-done)
	}
}

func TestCloseDuringCalls(t *testing.T) {
	for round := 0; round < 20; round++ {
		db := open(t, ":memory:", "sync=never")
		ks := db.Default()
		snap, err := db.Snapshot()
		must(t, err)
		feed, err := db.OpenFeed(0)
		must(t, err)
		var group sync.WaitGroup
		var wrong atomic.Value
		var begun sync.WaitGroup
		start := func(call func() error) {
			group.Add(1)
			begun.Add(1)
			go func() {
				defer group.Done()
				for i := 0; ; i++ {
					err := call()
					if i == 0 {
						begun.Done()
					}
					if errors.Is(err, ErrClosed) {
						return
					} else if err != nil && err != ErrNotFound {
						wrong.Store(err)
						return
					}
				}
			}()
		}
		key := []byte("key")
		start(func() error { return ks.Put(key, key) })
		start(func() error { _, err := ks.Get(key); return err })
		start(func() error { _, err := snap.Reader(ks).Get(key); return err })
		start(func() error {
			batch := new(Batch)
			batch.Put(ks, key, key)
			_, err := db.Write(batch)
			return err
		})
		start(func() error {
			it, err := ks.Scan(ScanOptions{})
			if err != nil {
				return err
			}
			defer it.Close()
			for it.Next() {
			}
			return it.Err()
		})
		start(func() error {
			return db.Update(context.Background(), Serializable, func(txn *Txn) error {
				return txn.Put(ks, key, key)
			})
		})
		begun.Wait()
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				if _, err := feed.Next(context.Background()); err != nil {
					return
				}
			}
		}()
		closers := sync.WaitGroup{}
		for i := 0; i < 3; i++ {
			closers.Add(1)
			go func() {
				defer closers.Done()
				if err := db.Close(); err != nil {
					wrong.Store(err)
				}
				snap.Close()
				feed.Close()
			}()
		}
		closers.Wait()
		group.Wait()
		if err := wrong.Load(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestContextsEndWaits(t *testing.T) {
	db := open(t, ":memory:", "")
	feed, err := db.OpenFeed(0)
	must(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	_, err = feed.Next(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTimeout) {
		t.Fatal(err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err = feed.Next(ctx)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrCancelled) {
		t.Fatal(err)
	}
	if err := db.Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := Restore(ctx, "a", "b", RestoreOptions{}); !errors.Is(err, ErrCancelled) {
		t.Fatal(err)
	}
}

func TestContextsEndJobs(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"), "sync=never; compression=none")
	ks := db.Default()
	for i := 0; i < 64; i++ {
		must(t, ks.Put([]byte{byte(i)}, make([]byte, 1<<20)))
	}
	must(t, db.Flush())
	var reports, last, total atomic.Uint64
	ctx := WithProgress(context.Background(), func(done, all uint64) {
		reports.Add(1)
		last.Store(done)
		total.Store(all)
	})
	must(t, db.Verify(ctx))
	if reports.Load() == 0 || last.Load() == 0 || last.Load() > total.Load() {
		t.Fatal(reports.Load(), last.Load(), total.Load())
	}
	cancelled := false
	for wait := time.Millisecond; wait < time.Second && !cancelled; wait *= 2 {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		err := ks.Compact(ctx, nil, nil)
		cancel()
		cancelled = errors.Is(err, ErrTimeout) && errors.Is(err, context.DeadlineExceeded)
		if err != nil && !cancelled {
			t.Fatal(err)
		}
	}
	if !cancelled {
		t.Fatal("no deadline ended it")
	}
	must(t, ks.Compact(context.Background(), nil, nil))
}

func TestTargetsAreListedAndPruned(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	db := open(t, filepath.Join(dir, "db"), "sync=never")
	if _, err := Generations(target); !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
	for i := byte(0); i < 3; i++ {
		must(t, db.Default().Put([]byte{i}, nil))
		if seq, err := db.Backup(bg, target); err != nil || seq != uint64(i)+1 {
			t.Fatal(seq, err)
		}
	}
	list, err := Generations(target)
	if err != nil || len(list) == 0 || !list[0].Finished || list[len(list)-1].LastSeq != 3 ||
		time.Since(list[0].FirstTime) > time.Hour {
		t.Fatal(list, err)
	}
	if _, err := Prune(bg, target, PruneOptions{}); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	if _, err := Prune(bg, target, PruneOptions{KeepCount: 1}); err != nil {
		t.Fatal(err)
	}
	if seq, err := Restore(bg, target, filepath.Join(dir, "again"), RestoreOptions{}); seq != 3 {
		t.Fatal(seq, err)
	}
}

func TestUpdateTriesAgain(t *testing.T) {
	db := open(t, ":memory:", "sync=never")
	ks := db.Default()
	must(t, ks.Put([]byte("n"), []byte{0}))
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := 0; i < 25; i++ {
				err := db.Update(context.Background(), SnapshotIsolation, func(txn *Txn) error {
					n, err := txn.Reader(ks).Get([]byte("n"))
					if err != nil {
						return err
					}
					return txn.Put(ks, []byte("n"), []byte{n[0] + 1})
				})
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	group.Wait()
	if n, err := ks.Get([]byte("n")); err != nil || n[0] != 100 {
		t.Fatal(n, err)
	}
}

func TestBatchesBelongToADatabase(t *testing.T) {
	one, two := open(t, ":memory:", ""), open(t, ":memory:", "")
	batch := new(Batch)
	batch.Put(one.Default(), nil, nil)
	if _, err := two.Write(batch); !errors.Is(err, ErrMisuse) {
		t.Fatal(err)
	}
	batch.Delete(two.Default(), nil)
	if _, err := one.Write(batch); !errors.Is(err, ErrMisuse) || batch.Len() != 1 {
		t.Fatal(err)
	}
	batch.Reset()
	batch.Delete(two.Default(), nil)
	if _, err := two.Write(batch); err != nil {
		t.Fatal(err)
	}
}

func TestLogger(t *testing.T) {
	o := new(Options)
	messages := make(chan string, 1000)
	must(t, o.SetLogger(LogDebug, func(level LogLevel, message string) { messages <- message }))
	path := filepath.Join(t.TempDir(), "db")
	must(t, open(t, path, "").Close())
	must(t, os.Mkdir(filepath.Join(path, "999999.kst"), 0o777)) // a leftover that cannot be removed
	db, err := Open(path, o)
	must(t, err)
	o.Close()
	must(t, db.Close())
	select {
	case <-messages:
	case <-time.After(10 * time.Second):
		t.Fatal("no message")
	}
	must(t, new(Options).SetLogger(LogInfo, nil))
	if err := new(Options).SetLogger(99, func(LogLevel, string) {}); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
}

func TestOptionsAreListed(t *testing.T) {
	list := DescribeOptions()
	for _, info := range list {
		value, err := new(Options).Get(info.Name)
		if err != nil || value != info.Standard || info.Text == "" {
			t.Fatal(info, value, err)
		}
	}
	if len(list) < 10 || Version() == "" || BuildInfo() == "" {
		t.Fatal(list)
	}
}

// What nobody closed ends with the garbage collector, and lets the database's files go.
func TestFinalizers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	func() {
		db, err := Open(path, nil)
		must(t, err)
		ks, err := db.OpenKeyspace("ks", ModeCreate, nil)
		must(t, err)
		snap, err := db.Snapshot()
		must(t, err)
		it, err := snap.Reader(ks).Scan(ScanOptions{})
		must(t, err)
		txn, err := db.Begin(Serializable)
		must(t, err)
		feed, err := db.OpenFeed(db.LastSeq())
		must(t, err)
		must(t, txn.Put(ks, []byte("lost"), nil))
		must(t, ks.Put([]byte("kept"), nil))
		runtime.KeepAlive([]any{it, feed})
	}()
	var db *DB
	var err error
	for i := 0; i < 500; i++ {
		runtime.GC()
		if db, err = Open(path, nil); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	must(t, err)
	defer db.Close()
	names, err := db.Keyspaces()
	if err != nil || strings.Join(names, " ") != "default ks" {
		t.Fatal(names, err)
	}
}

// A child that is reachable keeps its database open.
func TestChildrenHoldTheDatabase(t *testing.T) {
	ks := func() *Keyspace {
		db, err := Open(":memory:", nil)
		must(t, err)
		must(t, db.Default().Put([]byte("k"), []byte("v")))
		return db.Default()
	}()
	for i := 0; i < 20; i++ {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	if value, err := ks.Get([]byte("k")); err != nil || string(value) != "v" {
		t.Fatal(value, err)
	}
}

func churn(t *testing.T) {
	db := open(t, ":memory:", "sync=never")
	for i := 0; i < 100; i++ {
		ks, err := db.OpenKeyspace("other", ModeCreate, nil)
		must(t, err)
		must(t, ks.Put([]byte("k"), make([]byte, 1000)))
		snap, err := db.Snapshot()
		must(t, err)
		it, err := snap.Reader(ks).Scan(ScanOptions{})
		must(t, err)
		it.Next()
		it.Close()
		pin, err := ks.GetPinned([]byte("k"))
		must(t, err)
		pin.Release()
		_, err = ks.MultiGet([][]byte{[]byte("k"), nil})
		must(t, err)
		must(t, db.Update(context.Background(), Serializable, func(txn *Txn) error {
			return txn.Delete(ks, []byte("k"))
		}))
		snap.Close()
		if err := ks.Put(make([]byte, 70000), nil); !errors.Is(err, ErrLimit) {
			t.Fatal(err)
		}
		freeKeyspace(ks)
	}
	freeKeyspace(db.def)
	db.core.close()
	runtime.SetFinalizer(db.core, nil)
	must(t, check(raw.Close(db.core.h, raw.CLOSE_STRICT))) // no child is left
}

// The library's memory: what malloc says is in use does not grow with use.
func TestNothingLeaks(t *testing.T) {
	for i := 0; i < 5; i++ {
		churn(t)
	}
	before := raw.MallocInUse()
	for i := 0; i < 40; i++ {
		churn(t)
	}
	if after := raw.MallocInUse(); after > before+200<<10 {
		t.Fatalf("%d bytes in use, then %d", before, after)
	}
}

// What kist.h declares is what package raw offers; bindings/conformance/facts.py reads the header.
func TestHeader(t *testing.T) {
	include, err := exec.Command("pkg-config", "--variable=includedir", "kist").Output()
	must(t, err)
	header := filepath.Join(strings.TrimSpace(string(include)), "kist", "kist.h")
	facts, err := exec.Command("python3", "../conformance/facts.py", header).Output()
	must(t, err)
	source := read(t, "raw/raw.go") + read(t, "raw/shim.c")
	constants := read(t, "raw/constants.go")
	for _, fact := range strings.Split(strings.TrimSpace(string(facts)), "\n") {
		words := strings.Split(fact, "\t")
		switch name := words[1]; words[0] {
		case "constant":
			if !strings.Contains(constants, "= C."+name+"\n") {
				t.Errorf("constants.go lacks %s", name)
			}
		case "function":
			uses := strings.Contains(source, name+"(")
			if reason := elsewhere(name); uses == (reason != "") {
				t.Errorf("raw and %s: used %v, left out because: %q", name, uses, reason)
			}
		case "field": // the compiler knows its place; is it handed on?
			field := "." + words[2]
			if strings.HasPrefix(words[2], "type") {
				field = "._type"
			}
			switch name {
			case "kist_option_info", "kist_stream_info", "kist_generation", "kist_err":
				if words[2] != "size" && words[2] != "code" && !strings.Contains(source, field) {
					t.Errorf("raw ignores %s%s", name, field)
				}
			}
		}
	}
}

func elsewhere(name string) string {
	switch {
	case strings.HasPrefix(name, "kist_batch_"), name == "kist_write":
		return "batches are packed in Go"
	case name == "kist_get_copy", name == "kist_free":
		return "a copy lies in Go's memory"
	case name == "kist_iter_next", name == "kist_iter_prev", name == "kist_iter_entry",
		name == "kist_iter_entries":
		return "entries cross in chunks"
	}
	return ""
}
