// Package kist is the Go binding of Kist, an embedded, ordered, crash-safe key-value store.
//
// A program opens a database (a directory), takes its default keyspace, and puts, gets, deletes and
// scans. Keys and values are bytes; keys are ordered by bytes.Compare.
//
// # Handles
//
// DB, Keyspace, Snapshot and Reader may be used by any number of goroutines. Iterator, Txn, Feed,
// Batch and Options belong to one goroutine at a time. Close may be called at any time, from any
// goroutine, in any order, and more than once: a call that is running ends first, a later one
// returns ErrClosed. DB.Close revokes what was made from the database. What was not closed is let
// go by the garbage collector, in the background, once nothing of the database is reachable.
//
// # Errors
//
// Every error of the library is an *Error, and matches its Code: errors.Is(err, kist.ErrConflict).
// One that came from the operating system matches its errno too: errors.Is(err, syscall.ENOSPC);
// one that came from a context matches the context's error.
//
// # What a call costs
//
// Every method that reads or writes crosses into C once; README.md has the figures. Gets into a
// caller's slice, puts, deletes and the writing of a Batch allocate nothing in Go, and what they
// are given does not escape. A Batch is built in Go and crosses once; an Iterator crosses once per
// chunk of entries.
package kist
