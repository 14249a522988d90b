// Package audit keeps the record of who did what to which stream: files that are only ever appended to, of one
// JSON object a line, on disk before the caller goes on. Each line holds the SHA-256 of the line before, and signed
// checkpoints vouch for all before them, so that Verify names what was changed afterwards. A record that cannot be
// written refuses the action it is about. The package knows no HTTP, no network and no tokens. Its one goroutine
// is the caller's: the one that calls Run.
package audit

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"
)

// ErrUnavailable is what every error of Append wraps that means "the record is not durable": the caller must
// refuse the action, and may tell its user to try again.
var ErrUnavailable = errors.New("audit record not written")

var errInUse = errors.New("another server writes it: stop that one, or give this one a --data-dir of its own")

// maxWaiting is how many records may wait for the disk. Beyond it Append fails at once instead of queueing
// without bound behind a disk that hangs.
const maxWaiting = 4096

// retryAfter is how long a disk that refuses is left alone while no new record comes.
const retryAfter = time.Second

// Policy is what becomes of an action whose record cannot be written.
type Policy string

// The policies.
const (
	Refuse   Policy = "refuse"   // it is refused
	Continue Policy = "continue" // it is allowed, counted, and the count written as soon as that is possible again
)

// Options are what a Log may be given. Zero values stand for the defaults named beside them.
type Options struct {
	Key        ed25519.PrivateKey // signs checkpoints: see OpenKey; required
	RotateSize int64              // bytes after which a new file is begun; 64 MiB
	RotateAge  time.Duration      // age at which a new file is begun; none
	Keep       int                // how many full files are kept beside the current one; 32
	OnFailure  Policy             // Refuse
	Now        func() time.Time   // time.Now
	Log        *slog.Logger       // none; told when writing fails and when it works again
}

const (
	defaultRotateSize = 64 << 20
	defaultKeep       = 32
)

func (o Options) withDefaults() Options {
	if o.RotateSize == 0 {
		o.RotateSize = defaultRotateSize
	}
	if o.Keep == 0 {
		o.Keep = defaultKeep
	}
	if o.OnFailure == "" {
		o.OnFailure = Refuse
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// file is what a Log needs of its file, opened for appending.
type file interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
}

// disk is what a Log does to its folder.
type disk interface {
	// open opens a file for appending, and makes it, durably and with mode 0600, where there is none.
	open(path string) (file, error)
	rename(from, to string) error
	remove(path string) error
	syncDir(dir string) error
}

// systemDisk is the system's.
type systemDisk struct{}

func (systemDisk) open(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return diskFile{f}, nil
}

func (systemDisk) rename(from, to string) error { return os.Rename(from, to) }
func (systemDisk) remove(path string) error     { return os.Remove(path) }
func (systemDisk) syncDir(dir string) error     { return syncDir(dir) }

// diskFile is a file of the system.
type diskFile struct{ *os.File }

// Truncate goes by name on Windows, where a handle opened for appending may not.
func (f diskFile) Truncate(size int64) error {
	if runtime.GOOS == "windows" {
		return os.Truncate(f.Name(), size)
	}
	return f.File.Truncate(size)
}

// Log is an open audit record. Append and Subscribe are safe for concurrent use.
type Log struct {
	// static after construction
	opts Options
	path string
	disk disk
	lock io.Closer     // held until the Log is closed
	wake chan struct{} // capacity 1: there is something to write; never closed

	// owned by Run
	file        file      // nil between two files
	tip         tip       // of what is durable
	size        int64     // bytes that are durable and whole
	first       uint64    // seq with which the file begins
	began       time.Time // when it did
	torn        bool      // the file may hold bytes beyond size
	failing     bool      // the last commit failed, and was told
	rotateAfter time.Time // when a rotation that failed is tried again
	notes       []item    // the log's own records that wait for the next commit

	mu      sync.Mutex
	waiting []pending
	folds   folder
	lost    gap
	ended   bool // Run has returned, or is about to
	health  Health
	writing time.Time // when the oldest record came that is being written; zero for none

	subMu   sync.Mutex
	subs    map[*Subscription]bool // nil when Run has ended
	running bool                   // Run has begun
	opening []Entry                // what was written before that, for those who subscribe in time
}

// pending is a record whose caller waits for the disk.
type pending struct {
	item
	done chan error // capacity 1: the one result
}

// Open opens the audit record whose current file is at path, and makes it with mode 0600 where it does not exist.
// Sequence and chain go on where it ends. A last line that a crash left unfinished is completed where it is whole but
// for its newline, and otherwise replaced by a record with event "audit" that quotes it; nobody was told that such a
// line was written. A lock, in a file of its own, sees to it that no second server writes the record.
// Records appended before Run starts wait for it. Close the Log only if Run is never called.
func Open(path string, opts Options) (*Log, error) {
	opts = opts.withDefaults()
	if len(opts.Key) != ed25519.PrivateKeySize {
		return nil, errors.New("audit record: no key to sign checkpoints with")
	}
	held, err := lockPath(path)
	if err != nil {
		return nil, err
	}
	l := newLog(path, systemDisk{}, opts)
	l.lock = held
	if err := l.open(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func newLog(path string, d disk, opts Options) *Log {
	return &Log{
		opts: opts, path: path, disk: d, wake: make(chan struct{}, 1), folds: newFolder(), subs: map[*Subscription]bool{},
	}
}

// open finds out where the record ends, and mends that.
func (l *Log) open() error {
	f, err := l.disk.open(l.path)
	if err != nil {
		return fmt.Errorf("audit file: %w: set audit.path to a file that can be written", err)
	}
	l.file = f
	end, err := readEnd(l.path)
	if err != nil {
		return fmt.Errorf("read audit file %s: %w", l.path, err)
	}
	if end.completes() {
		if _, err := f.Write([]byte("\n")); err != nil {
			return fmt.Errorf("complete the last line of audit file %s: %w", l.path, err)
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("sync audit file %s: %w", l.path, err)
		}
		if end, err = readEnd(l.path); err != nil {
			return fmt.Errorf("read audit file %s: %w", l.path, err)
		}
	}
	now := l.opts.Now()
	l.tip, l.size, l.first, l.began = end.tip, end.size, end.first, end.began
	l.tip.unsignedSince = now
	if l.tip.log == "" && l.tip.seq > 0 {
		l.notes = append(l.notes, note(actionChain, now, "the chain begins here: the %d records before have none", l.tip.seq))
	}
	if len(end.tail) > 0 {
		l.torn = true
		l.notes = append(l.notes, note(actionMend, now, "unfinished line of %d bytes after a crash: %s", end.tailBytes, end.tail))
		l.opts.Log.Warn("audit file had an unfinished last line", "file", l.path, "bytes", end.tailBytes)
	}
	if len(l.notes) > 0 || l.tip.log == "" { // from its first start on, a record is never empty
		_ = l.write(l.notes, true, now) // told by write; they wait for a disk that takes them
	}
	return nil
}

// Append writes r and returns nil when it is on disk, or when it is one of many refusals of the same source, event
// and reason that are counted and written as one. On any error the caller must refuse the action: the record is not,
// or not known to be, durable. The error wraps ErrUnavailable, or is ctx's when ctx ended first, or says what r
// lacks. With the policy Continue a record that cannot be written is counted, and no error.
func (l *Log) Append(ctx context.Context, r Record) error {
	if err := r.validate(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	p := pending{item: item{Record: r, at: l.opts.Now()}, done: make(chan error, 1)}
	wait, err := l.enqueue(p)
	if err != nil {
		return err
	}
	select {
	case l.wake <- struct{}{}:
	default: // Run has been told already
	}
	if !wait {
		return nil
	}
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("audit: %w", ctx.Err())
	}
}

// enqueue reports whether the caller is to wait for the disk.
func (l *Log) enqueue(p pending) (wait bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return false, fmt.Errorf("audit log is closed: %w", ErrUnavailable)
	case p.Verdict == Refused && l.folds.fold(p.Record, p.at):
		return false, nil
	case len(l.waiting) < maxWaiting:
		l.waiting = append(l.waiting, p)
		return true, nil
	}
	l.lost.add(p.item)
	if l.opts.OnFailure == Continue {
		return false, nil
	}
	return false, fmt.Errorf("%d records wait for the disk: %w", len(l.waiting), ErrUnavailable)
}

// Run writes records until ctx ends, then those that still wait and a last checkpoint, closes the file and returns.
// All records that wait at one time share one write and one sync. A disk that refuses does not end Run: each record
// that could not be written is an error to its caller, and the next is tried anew. Call it once.
func (l *Log) Run(ctx context.Context) error {
	l.beginPublishing()
	timer := time.NewTimer(l.pause())
	defer timer.Stop()
	for {
		select {
		case <-l.wake:
			l.flush(false)
		case <-timer.C:
			l.flush(false)
		case <-ctx.Done():
			l.flush(true)
			l.publish(nil, true)
			return l.Close()
		}
		timer.Reset(l.pause())
	}
}

// pause is how long there is nothing to do if no record comes.
func (l *Log) pause() time.Duration {
	if l.failing {
		return retryAfter
	}
	now, pause := l.opts.Now(), time.Hour
	if l.tip.unsigned > 0 {
		pause = min(pause, l.tip.unsignedSince.Add(checkpointEvery).Sub(now))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if due, ok := l.folds.due(); ok {
		pause = min(pause, due.Sub(now))
	}
	if !l.lost.empty() {
		pause = min(pause, retryAfter)
	}
	return max(0, pause)
}

// Close frees what a Log holds whose Run is never called.
func (l *Log) Close() error {
	var errs []error
	if l.file != nil {
		errs = append(errs, l.file.Close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close audit file %s: %w", l.path, err)
	}
	return nil
}

// flush writes what waits and what is due. With last, nothing can wait afterwards.
func (l *Log) flush(last bool) {
	now := l.opts.Now()
	l.mu.Lock()
	batch, rolled, lost := l.waiting, l.folds.take(now, last), l.lost
	l.waiting, l.lost, l.ended = nil, gap{}, l.ended || last
	if len(batch) > 0 {
		l.writing = batch[0].at
	}
	l.mu.Unlock()
	items := slices.Concat(l.notes, lost.items(l.opts.OnFailure, now), rolled)
	for _, p := range batch {
		items = append(items, p.item)
	}
	due := l.tip.unsigned > 0 && (last || now.Sub(l.tip.unsignedSince) >= checkpointEvery)
	if len(items) == 0 && !due {
		return
	}
	err := l.write(items, last || due, now)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		l.mu.Lock()
		l.lost.merge(lost)
		for _, it := range items[len(items)-len(batch)-len(rolled):] {
			l.lost.add(it)
		}
		if last {
			l.opts.Log.Error("audit records are lost", "file", l.path, "records", l.lost.total())
		}
		l.mu.Unlock()
		if l.opts.OnFailure == Continue {
			err = nil
		}
	}
	for _, p := range batch {
		p.done <- err
	}
}

// write makes items durable, in a new file where the current one is full, and with sign a checkpoint behind them. It
// tells the operator when writing begins to fail and when it works again.
func (l *Log) write(items []item, sign bool, now time.Time) error {
	if l.full(now) {
		if err := l.rotate(now); err != nil {
			l.rotateAfter = now.Add(time.Minute)
			l.opts.Log.Error("audit file cannot be rotated as it should be: trying again in a minute", "file", l.path, "error", err)
		}
	}
	err := l.commit(items, sign, now)
	switch {
	case err != nil && !l.failing && l.opts.OnFailure == Continue:
		l.opts.Log.Error("audit file cannot be written: access goes on without record until it can", "file", l.path, "error", err)
	case err != nil && !l.failing:
		l.opts.Log.Error("audit file cannot be written: every action is refused until it can", "file", l.path, "error", err)
	case err == nil && l.failing:
		l.opts.Log.Info("audit file can be written again", "file", l.path)
	}
	l.failing = err != nil
	if err == nil {
		l.notes = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing, l.health.Failing, l.health.Records = time.Time{}, l.failing, l.tip.seq
	if err == nil {
		l.health.Durable = now
	}
	return err
}

// commit makes items durable, or leaves no trace of them. What a failed write or sync left behind is cut off
// before anything else is written: after a failed fsync nobody knows which pages reached the disk, and a later
// successful one says nothing about them.
func (l *Log) commit(items []item, sign bool, now time.Time) error {
	if l.file == nil {
		f, err := l.disk.open(l.path)
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		l.file = f
	}
	if l.torn {
		if err := l.cutOff(); err != nil {
			return err
		}
		l.torn = false
	}
	next := l.tip
	lines, entries := l.encode(&next, items, sign, now)
	l.torn = true
	if _, err := l.file.Write(lines); err != nil {
		return errors.Join(fmt.Errorf("write: %w", err), l.cutOff())
	}
	if err := l.file.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync: %w", err), l.cutOff())
	}
	l.torn = false
	if l.size == 0 {
		l.first, l.began = l.tip.seq+1, now
	}
	l.tip = next
	l.size += int64(len(lines))
	l.publish(entries, false)
	return nil
}

// encode writes items as lines behind t, with the checkpoints that are due, and as entries where somebody subscribed.
func (l *Log) encode(t *tip, items []item, sign bool, now time.Time) (lines []byte, entries []Entry) {
	l.subMu.Lock()
	subscribed := len(l.subs) > 0 || !l.running
	l.subMu.Unlock()
	add := func(e Entry, to []byte) {
		if subscribed {
			e.Seq, e.Line, e.Hash = t.seq, string(to[len(lines):len(to)-1]), t.head.String()
			entries = append(entries, e)
		}
		lines = to
	}
	checkpoint := func() {
		add(Entry{Record: Record{Event: eventCheckpoint}, Time: now}, t.checkpoint(lines, l.opts.Key, now))
	}
	begins := t.log == ""
	if begins {
		t.log = rand.Text()
	}
	if begins && t.seq == 0 {
		t.head = genesis(t.log)
	}
	if l.size == 0 { // the end of a file is enough to go on from
		checkpoint()
	}
	for _, it := range items {
		e := Entry{Record: it.Record, Time: it.at, Count: it.count, First: it.first, Last: it.last}
		add(e, t.record(lines, it, now))
		if t.unsigned >= checkpointBytes {
			checkpoint()
		}
	}
	if sign && t.unsigned > 0 {
		checkpoint()
	}
	return lines, entries
}

// cutOff tries to remove a failed batch at once, so that a crash now would not leave it; the next commit tries again.
func (l *Log) cutOff() error {
	if err := l.file.Truncate(l.size); err != nil {
		return fmt.Errorf("cut off unfinished records: %w", err)
	}
	return nil
}

// syncDir makes a new file's name durable. Windows cannot open a directory for that and needs no such call.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
