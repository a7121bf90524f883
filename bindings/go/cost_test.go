package kist

import (
	"flag"
	"fmt"
	"math/rand"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"kist/internal/loops"
)

// What a call costs beside C, on the same data and handles:
//
//	go test -run TestCost -cost    the table of README.md: C and Go in turns, of each its fast rounds
//	                               (the tenth percentile: other programs on the machine slow the rest)
//	go test -bench . -benchmem     the same calls under Go's own benchmark, with their allocations
var cost = flag.Bool("cost", false, "measure what TestCost compares")

const (
	costEntries = 200_000
	costBatch   = 1000
	costStep    = 1000
	costRounds  = 400
)

type costs struct {
	db    *DB
	full  *Keyspace // what gets and scans read
	other *Keyspace // what puts write
	keys  []byte    // of full, in random order
	value []byte
	batch Batch
	buf   []byte
}

func newCosts(t testing.TB) *costs {
	db := open(t, filepath.Join(t.TempDir(), "db"),
		"sync=never; cache_size=256MiB; compression=none")
	c := &costs{db: db, full: db.Default(), value: make([]byte, 100), buf: make([]byte, 4096)}
	rand.New(rand.NewSource(1)).Read(c.value)
	var err error
	c.other, err = db.OpenKeyspace("other", ModeCreate, nil)
	must(t, err)
	for _, i := range rand.New(rand.NewSource(2)).Perm(costEntries) {
		c.keys = append(c.keys, fmt.Sprintf("%016d", i*7)...)
	}
	for at := 0; at < len(c.keys); at += costBatch * loops.KeyBytes {
		c.batch.Reset()
		c.fill(c.full, c.keys[at:at+costBatch*loops.KeyBytes])
		_, err := db.Write(&c.batch)
		must(t, err)
	}
	must(t, db.Flush())
	must(t, c.full.Compact(bg, nil, nil))
	if n := loops.Scan(c.full.ks.h); n != costEntries {
		t.Fatal(n)
	}
	return c
}

func (c *costs) fill(ks *Keyspace, keys []byte) {
	for ; len(keys) > 0; keys = keys[loops.KeyBytes:] {
		c.batch.Put(ks, keys[:loops.KeyBytes], c.value)
	}
}

func expect(t testing.TB, n, want int64) {
	if n != want {
		t.Fatalf("%d, not %d", n, want)
	}
}

// A row does n operations on the keys, or on every entry; it is done by C and by Go.
type costRow struct {
	name   string
	n      int
	c, go_ func(t testing.TB, keys []byte)
}

func (c *costs) rows() []costRow {
	return []costRow{
		{"an empty call", costStep,
			func(t testing.TB, keys []byte) {},
			func(t testing.TB, keys []byte) {
				for ; len(keys) > 0; keys = keys[loops.KeyBytes:] {
					loops.Nothing(c.full.ks.h, keys[:loops.KeyBytes], c.buf)
				}
			}},
		{"get", costStep,
			func(t testing.TB, keys []byte) { expect(t, loops.Get(c.full.ks.h, keys), 0) },
			func(t testing.TB, keys []byte) {
				for ; len(keys) > 0; keys = keys[loops.KeyBytes:] {
					if _, err := c.full.GetAppend(c.buf[:0], keys[:loops.KeyBytes]); err != nil {
						t.Fatal(err)
					}
				}
			}},
		{"put", costStep,
			func(t testing.TB, keys []byte) { expect(t, loops.Put(c.other.ks.h, keys, c.value), 0) },
			func(t testing.TB, keys []byte) {
				for ; len(keys) > 0; keys = keys[loops.KeyBytes:] {
					if err := c.other.Put(keys[:loops.KeyBytes], c.value); err != nil {
						t.Fatal(err)
					}
				}
			}},
		{"batch of 1,000, per put", costBatch,
			func(t testing.TB, keys []byte) {
				expect(t, loops.Batch(c.db.core.h, c.other.ks.h, keys, c.value), 0)
			},
			func(t testing.TB, keys []byte) {
				c.batch.Reset()
				c.fill(c.other, keys)
				if _, err := c.db.Write(&c.batch); err != nil {
					t.Fatal(err)
				}
			}},
		{"scan, per entry", costEntries,
			func(t testing.TB, keys []byte) { expect(t, loops.Scan(c.full.ks.h), costEntries) },
			func(t testing.TB, keys []byte) {
				it, err := c.full.Scan(ScanOptions{})
				must(t, err)
				defer it.Close()
				n := int64(0)
				bytes := 0
				for it.Next() {
					bytes += len(it.Key()) + len(it.Value()) + int(it.Key()[0])
					n++
				}
				if n != costEntries || bytes == 0 || it.Err() != nil {
					t.Fatal(n, it.Err())
				}
			}},
	}
}

func TestCost(t *testing.T) {
	if !*cost {
		t.Skip("go test -run TestCost -cost measures")
	}
	c := newCosts(t)
	fmt.Printf("%-26s %10s %10s %8s\n", "ns per operation", "C", "Go", "Go/C")
	for _, row := range c.rows() {
		var inC, inGo []float64
		for round := 0; round < costRounds && (round < 60 || row.n < costEntries); round++ {
			at := round % 199 * costStep * loops.KeyBytes
			keys := c.keys[at : at+row.n%costEntries*loops.KeyBytes]
			row.c(t, keys) // what follows finds the caches alike
			timed := func(call func(testing.TB, []byte)) float64 {
				start := time.Now()
				call(t, keys)
				return float64(time.Since(start)) / float64(row.n)
			}
			if round%2 == 0 {
				inC = append(inC, timed(row.c))
				inGo = append(inGo, timed(row.go_))
			} else {
				inGo = append(inGo, timed(row.go_))
				inC = append(inC, timed(row.c))
			}
		}
		sort.Float64s(inC)
		sort.Float64s(inGo)
		a, b := inC[len(inC)/10], inGo[len(inGo)/10]
		fmt.Printf("%-26s %10.1f %10.1f %8.2f\n", row.name, a, b, b/a)
	}
}

func BenchmarkCost(b *testing.B) {
	c := newCosts(b)
	for _, row := range c.rows() {
		for _, side := range []struct {
			name string
			run  func(testing.TB, []byte)
		}{{"c", row.c}, {"go", row.go_}} {
			b.Run(row.name+"/"+side.name, func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; i < b.N; i += row.n {
					at := i / row.n % 199 * costStep * loops.KeyBytes
					side.run(b, c.keys[at:at+row.n%costEntries*loops.KeyBytes])
				}
			})
		}
	}
}
