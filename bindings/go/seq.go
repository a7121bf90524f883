//go:build go1.23

package kist

import "iter"

// All ranges over entries: for entry, err := range ks.All(kist.ScanOptions{}). An error comes last,
// with no entry. Key and Value are valid until the next turn of the loop.
func (r Reader) All(o ScanOptions) iter.Seq2[Entry, error] { return r.all(o, (*Iterator).Next) }

// Backward is All from the last entry to the first.
func (r Reader) Backward(o ScanOptions) iter.Seq2[Entry, error] { return r.all(o, (*Iterator).Prev) }

func (r Reader) all(o ScanOptions, step func(*Iterator) bool) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		it, err := r.Scan(o)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		defer it.Close()
		for step(it) {
			if !yield(Entry{it.Key(), it.Value()}, nil) {
				return
			}
		}
		if it.Err() != nil {
			yield(Entry{}, it.Err())
		}
	}
}
