package kist

import (
	"context"
	"runtime"
	"strings"
	"time"

	"kist/raw"
)

type progressKey struct{}

// WithProgress makes a context with which Compact, Verify, Backup, Restore, Prune and Repair report
// how far they are, in bytes (Prune: objects), from time to time, on a goroutine of its own; total may grow.
func WithProgress(ctx context.Context, report func(done, total uint64)) context.Context {
	return context.WithValue(ctx, progressKey{}, report)
}

// progressStep is how often progress is reported.
const progressStep = 50 * time.Millisecond

// runJob makes a call that ctx can end. The job lies in C memory; a goroutine carries ctx's end in
// and the progress out, so that C never calls Go.
func runJob(ctx context.Context, call func(*raw.Job) raw.Result) (uint64, error) {
	if ctx.Err() != nil {
		return 0, ended(ctx.Err())
	}
	report, _ := ctx.Value(progressKey{}).(func(done, total uint64))
	if ctx.Done() == nil && report == nil {
		r := call(nil)
		return r.N, check(r)
	}
	job := raw.NewJob()
	if job == nil {
		return 0, ErrNoMemory
	}
	defer job.Free()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		watch(ctx, job, report, stop)
	}()
	r := call(job)
	close(stop)
	<-stopped
	if r.RC == raw.E_CANCELLED && ctx.Err() != nil {
		drop(r)
		return 0, ended(ctx.Err())
	}
	return r.N, check(r)
}

func watch(ctx context.Context, job *raw.Job, report func(done, total uint64), stop <-chan struct{}) {
	var tick <-chan time.Time
	if report != nil {
		ticker := time.NewTicker(progressStep)
		defer ticker.Stop()
		tick = ticker.C
		defer func() { report(job.Progress()) }()
	}
	done := ctx.Done()
	for {
		select {
		case <-stop:
			return
		case <-done:
			job.Cancel()
			done = nil
		case <-tick:
			report(job.Progress())
		}
	}
}

// Flush writes memtables to tables, and removes the log they leave behind.
func (db *DB) Flush() error {
	_, err := db.core.call(raw.Flush)
	return err
}

// Verify reads every live file and checks it.
func (db *DB) Verify(ctx context.Context) error {
	_, err := runJob(ctx, func(job *raw.Job) raw.Result { return db.core.job(raw.Verify, job) })
	return err
}

// job makes a job's call on the database, which Close waits for.
func (c *database) job(f func(raw.DB, *raw.Job) raw.Result, job *raw.Job) raw.Result {
	if c.enter() != nil {
		return raw.Result{RC: raw.E_CLOSED}
	}
	defer c.exit()
	return f(c.h, job)
}

// Checkpoint makes an openable copy of the database in directory path, by hard links where possible.
func (db *DB) Checkpoint(path string) error {
	if err := checkText(path); err != nil {
		return err
	}
	_, err := db.core.call(func(h raw.DB) raw.Result { return raw.Checkpoint(h, path) })
	return err
}

// Backup backs the database up to a target, a directory or "s3://bucket/prefix", and returns the
// newest commit that the target holds then.
func (db *DB) Backup(ctx context.Context, target string) (seq uint64, err error) {
	if err := checkText(target); err != nil {
		return 0, err
	}
	return runJob(ctx, func(job *raw.Job) raw.Result {
		return db.core.job(func(h raw.DB, job *raw.Job) raw.Result {
			return raw.Backup(h, target, job)
		}, job)
	})
}

// RestoreOptions say which state to restore; the zero value is the newest.
type RestoreOptions struct {
	ToSeq  uint64    // as it was after this commit
	ToTime time.Time // as it was after the last commit at or before this time
}

// Restore builds a database in path, missing or empty, from a target. It returns the commit that
// was restored. Of ErrMissing, Aux is the nearest restorable sequence number below.
func Restore(ctx context.Context, target, path string, o RestoreOptions) (seq uint64, err error) {
	if err := checkText(target, path); err != nil {
		return 0, err
	}
	ms := int64(0)
	if !o.ToTime.IsZero() {
		ms = o.ToTime.UnixMilli()
	}
	return runJob(ctx, func(job *raw.Job) raw.Result {
		return raw.Restore(target, path, o.ToSeq, ms, job)
	})
}

// Generation is an unbroken stretch of a database's history in a target.
type Generation struct {
	Number            uint64    // from 1; later ones have higher numbers
	Finished          bool      // it has a base copy: it can be restored from
	FirstSeq, LastSeq uint64    // commits that can be restored
	FirstTime         time.Time // at which its oldest base copy was made
	LastTime          time.Time // at which its newest object was made
	Bases, Ranges     uint64    // base copies, and pieces of log
	Bytes             uint64    // of its log
	TableBytes        uint64    // of the tables that its bases name, which others may share
}

// Generations lists the generations of a target, oldest first.
func Generations(target string) ([]Generation, error) {
	if err := checkText(target); err != nil {
		return nil, err
	}
	found, r := raw.Generations(target)
	list := make([]Generation, len(found))
	for i, g := range found {
		list[i] = Generation{
			Number: g.Number, Finished: g.Flags&raw.GENERATION_FINISHED != 0,
			FirstSeq: g.FirstSeq, LastSeq: g.LastSeq,
			FirstTime: time.UnixMilli(g.FirstTimeMS), LastTime: time.UnixMilli(g.LastTimeMS),
			Bases: g.Bases, Ranges: g.Ranges, Bytes: g.Bytes, TableBytes: g.TableBytes,
		}
	}
	return list, check(r)
}

// PruneOptions say what Prune keeps: base copies that either rule names.
type PruneOptions struct {
	KeepCount uint64        // so many of the newest
	KeepAge   time.Duration // those made in this time before now, and the one before
}

// Prune removes the oldest base copies of a target, with the log and the tables that no kept one
// needs. It returns how many bytes were removed.
func Prune(ctx context.Context, target string, o PruneOptions) (removed uint64, err error) {
	if err := checkText(target); err != nil {
		return 0, err
	}
	return runJob(ctx, func(job *raw.Job) raw.Result {
		return raw.Prune(target, o.KeepCount, milliseconds(o.KeepAge), job)
	})
}

// Repair salvages what a damaged database still holds into what opens again. The report has a line
// for each loss.
func Repair(ctx context.Context, path string) (report string, err error) {
	if err := checkText(path); err != nil {
		return "", err
	}
	buf := make([]byte, 1<<20)
	n, err := runJob(ctx, func(job *raw.Job) raw.Result { return raw.Repair(path, job, buf) })
	if n >= uint64(len(buf)) {
		return string(buf[:len(buf)-1]) + "\n(and more)", err
	}
	return strings.TrimRight(string(buf[:n]), "\x00"), err
}

// Stream keeps a target up to date in the background. Any number of goroutines may use it.
type Stream struct{ core *stream }

type stream struct {
	guard
	h       raw.Stream
	db      *database
	drained chan struct{}
}

// StartStream starts a stream to a target. options may be nil.
func (db *DB) StartStream(target string, options *Options) (*Stream, error) {
	if err := checkText(target); err != nil {
		return nil, err
	}
	o, err := options.enter()
	if err != nil {
		return nil, err
	}
	defer options.exit()
	n, err := db.core.call(func(h raw.DB) raw.Result { return raw.StreamStart(h, target, o) })
	if err != nil {
		return nil, err
	}
	drained := make(chan struct{})
	core := &stream{h: raw.Stream(n), db: db.core, drained: drained}
	core.free = func() { close(drained) }
	runtime.SetFinalizer(core, func(core *stream) { go drop(raw.StreamStop(core.h, 0)) })
	return &Stream{core}, nil
}

// StreamInfo is how a stream is doing.
type StreamInfo = raw.StreamInfo

// What StreamInfo.State says.
const (
	StreamRunning  = raw.STREAM_RUNNING
	StreamRetrying = raw.STREAM_RETRYING // the target is unreachable; the log is kept
	StreamFailed   = raw.STREAM_FAILED
)

// Status tells how the stream is doing.
func (s *Stream) Status() (StreamInfo, error) {
	if err := s.core.enter(); err != nil {
		return StreamInfo{}, err
	}
	info, r := raw.StreamStatus(s.core.h)
	s.core.exit()
	return info, check(r)
}

// Wait waits until every commit up to seq is in the target.
func (s *Stream) Wait(ctx context.Context, seq uint64) error {
	return s.core.wait(ctx, func(ms int64) raw.Result { return raw.StreamWait(s.core.h, seq, ms) })
}

// Stop ships what is left, until ctx is over, and frees the stream: what was not shipped by then is
// abandoned, and the error says so. Waiting calls return ErrClosed.
func (s *Stream) Stop(ctx context.Context) error {
	first := s.core.close()
	<-s.core.drained
	if !first {
		return nil
	}
	runtime.SetFinalizer(s.core, nil)
	for ctx.Err() == nil {
		r := raw.StreamStop(s.core.h, waitStep.Milliseconds())
		if r.RC != raw.E_TIMEOUT {
			return check(r)
		}
		drop(r)
	}
	drop(raw.StreamStop(s.core.h, 0))
	return ended(ctx.Err())
}

// Close stops the stream at once and abandons what is not shipped.
func (s *Stream) Close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.Stop(ctx) // which is what was asked for
}

// Feed is a cursor over commits. It belongs to one goroutine at a time; Close may come from any.
type Feed struct{ core *feed }

type feed struct {
	guard
	h  raw.Feed
	db *database
}

// Commit is what a feed gives; Unpack takes Packed apart.
type Commit struct {
	Seq    uint64
	Time   time.Time // the zero time where the log has none
	Packed []byte
}

// OpenFeed opens a feed of the commits after the one that its reader has; at most LastSeq.
func (db *DB) OpenFeed(from uint64) (*Feed, error) {
	n, err := db.core.call(func(h raw.DB) raw.Result { return raw.FeedOpen(h, from) })
	if err != nil {
		return nil, err
	}
	h := raw.Feed(n)
	core := &feed{h: h, db: db.core}
	core.free = func() { raw.FeedFree(h) }
	runtime.SetFinalizer(core, func(core *feed) { go core.close() })
	return &Feed{core}, nil
}

// Next gives the next commit, and waits for it until ctx is over.
func (f *Feed) Next(ctx context.Context) (commit Commit, err error) {
	err = f.core.wait(ctx, func(ms int64) raw.Result {
		var r raw.Result
		commit, _, r = f.next(ms)
		if r.RC == raw.DONE {
			r.RC = raw.E_TIMEOUT // look at ctx, come again
		}
		return r
	})
	return commit, err
}

// Poll gives the next commit if there is one now.
func (f *Feed) Poll() (commit Commit, ok bool, err error) {
	if err := f.core.enter(); err != nil {
		return Commit{}, false, err
	}
	commit, ok, r := f.next(0)
	f.core.exit()
	return commit, ok, check(r)
}

func (f *Feed) next(ms int64) (Commit, bool, raw.Result) {
	c := raw.FeedNext(f.core.h, ms)
	if c.RC != raw.OK {
		return Commit{}, false, c.Result
	}
	commit := Commit{Seq: c.N, Packed: append([]byte{}, c.Packed...)}
	if c.TimeMS != 0 {
		commit.Time = time.UnixMilli(c.TimeMS)
	}
	return commit, true, c.Result
}

// Close frees the feed.
func (f *Feed) Close() {
	if f.core.close() {
		runtime.SetFinalizer(f.core, nil)
	}
}
