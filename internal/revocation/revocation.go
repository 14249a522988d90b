// Package revocation keeps the list of what was revoked before its time: tokens, subjects, keys, streams, or everything.
// The list is a file that is appended to, on disk before a revocation is acknowledged; other processes append to the same
// file, and a server that runs sees that within a quarter of a second. The package knows neither HTTP nor sessions: it
// answers whether a principal is barred, and tells when there is something new to ask. Its one goroutine is the caller's:
// the one that calls Run.
//
// # When it fails
//
// A list that cannot be read, or that holds a line which is no revocation, bars everybody: nobody is let in by mistake. What
// runs already goes on, as what is known to be revoked was ended before.
package revocation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sightline/internal/auth"
	"sightline/internal/datadir"
	"sightline/internal/media"
)

const (
	fileName = "revocations.jsonl"
	lockName = "revocations.lock"
	// pollEvery is how often Run looks whether another process has revoked something.
	pollEvery = 250 * time.Millisecond
	// compactFrom is how many lines that bar nothing any more make the file worth writing anew.
	compactFrom = 1000
)

// Options are the policy of a List. Zero values stand for the defaults named beside them.
type Options struct {
	Now func() time.Time // time.Now; a server gives a clock that never goes back
	// Keep is how long what a revocation bars may live: the longest lifetime of any credential by policy. 31 days.
	Keep time.Duration
	Log  *slog.Logger // none
}

// List is what is revoked. Safe for concurrent use.
type List struct {
	// static after construction
	dir  string
	path string
	now  func() time.Time
	keep time.Duration
	log  *slog.Logger
	disk disk

	fileMu sync.Mutex // held while the file is read or written

	mu      sync.RWMutex
	bars    bars
	read    position      // how far the file has been read
	fault   error         // why the file cannot be read, nil when all is well
	changed chan struct{} // closed and made anew when bars changed; never sent to
}

// disk is what touches the file; tests let it fail.
type disk struct {
	open    func(path string) (file, error) // for appending and reading
	replace func(dir, name string, data []byte) error
}

// file is the list's file, opened for appending.
type file interface {
	io.WriteCloser
	Sync() error
}

// position is how far which file was read.
type position struct {
	file os.FileInfo
	size int64
}

// Open reads the list in dir, an existing directory, and makes its file at the first call. Where much in it bars nothing
// any more it is written anew without that.
func Open(dir string, opts Options) (*List, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Keep == 0 {
		opts.Keep = 31 * 24 * time.Hour
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	l := &List{
		dir: dir, path: filepath.Join(dir, fileName), now: opts.Now, keep: opts.Keep, log: opts.Log,
		disk: disk{
			open: func(path string) (file, error) {
				return os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o600)
			},
			replace: datadir.Replace,
		},
		bars: newBars(), changed: make(chan struct{}),
	}
	if _, _, err := datadir.File(dir, fileName, func() ([]byte, error) { return nil, nil }); err != nil {
		return nil, fmt.Errorf("revocations: %w", err)
	}
	if err := l.compact(); err != nil {
		return nil, err
	}
	l.fileMu.Lock()
	defer l.fileMu.Unlock()
	if err := l.catchUp(); err != nil {
		return nil, err
	}
	return l, nil
}

// Check returns nil when nothing bars p, and otherwise an error that wraps auth.ErrRevoked, or auth.ErrUnavailable when the
// list cannot be read. s is the stream that p is about to use, "" where there is none or not yet.
func (l *List) Check(p auth.Principal, s media.StreamID) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if why := l.bars.of(p, s); why != "" {
		return fmt.Errorf("by %s: %w", why, auth.ErrRevoked)
	}
	if l.fault != nil {
		return fmt.Errorf("revocations: %w", auth.ErrUnavailable)
	}
	return nil
}

// Changed is closed when something more is revoked than when it was asked for. Ask for it first and check then, and nothing
// is missed.
func (l *List) Changed() <-chan struct{} {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.changed
}

// ErrInvalid is what errors about an Entry wrap.
var ErrInvalid = errors.New("no such revocation")

// Add revokes something, and returns when that is on disk and in effect here. Its errors are about e, or about the disk:
// then it is not in effect, or not sure to be after a crash, and should be tried again.
func (l *List) Add(e Entry) error {
	if e.At.IsZero() {
		e.At = l.now()
	}
	e = e.normal()
	if err := e.Validate(); err != nil {
		return fmt.Errorf("revoke: %w: %w", ErrInvalid, err)
	}
	unlock, err := l.lock()
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	defer unlock()
	err = l.append(e)
	if err := errors.Join(err, l.catchUp()); err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	return nil
}

// Run looks for what other processes revoked, until ctx is done.
func (l *List) Run(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			l.poll()
		}
	}
}

// poll reads what is new, and tells when that begins and ceases to fail.
func (l *List) poll() {
	l.fileMu.Lock()
	defer l.fileMu.Unlock()
	l.mu.RLock()
	before := l.fault
	l.mu.RUnlock()
	switch err := l.catchUp(); {
	case err != nil && before == nil:
		l.log.Error("revocations cannot be read: nobody is let in until they can", "error", err)
	case err == nil && before != nil:
		l.log.Info("revocations can be read again")
	}
}

// lock takes the file for this process and goroutine alone.
func (l *List) lock() (unlock func(), err error) {
	l.fileMu.Lock()
	other, err := datadir.Lock(l.dir, lockName)
	if err != nil {
		l.fileMu.Unlock()
		return nil, err
	}
	return func() { other(); l.fileMu.Unlock() }, nil
}

// append writes e behind the last whole line and syncs. A line that a crash left unfinished is finished where it is whole
// but for its newline, and replaced else: nobody was told that it was written. The locks are held.
func (l *List) append(e Entry) (err error) {
	data, err := os.ReadFile(l.path)
	if err != nil {
		return err
	}
	line := e.line()
	whole := bytes.LastIndexByte(data, '\n') + 1
	switch _, tornErr := parseLine(data[whole:]); {
	case whole == len(data):
	case tornErr == nil:
		line = append([]byte("\n"), line...)
	default:
		// The file is written anew: cutting it under readers would show them a shorter one.
		return l.disk.replace(l.dir, fileName, append(data[:whole:whole], line...))
	}
	f, err := l.disk.open(l.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(line); err != nil {
		return err
	}
	return f.Sync()
}

// catchUp reads what the file holds beyond what was read, all of it where it is another file. fileMu is held.
func (l *List) catchUp() error {
	err := l.readOn()
	l.mu.Lock()
	l.fault = err
	l.mu.Unlock()
	return err
}

func (l *List) readOn() error {
	f, err := os.Open(l.path)
	if err != nil {
		return fmt.Errorf("revocations: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("revocations: %w", err)
	}
	from := l.read // written with fileMu held only
	if from.file == nil || !os.SameFile(from.file, info) || info.Size() < from.size {
		from = position{file: info}
	}
	if info.Size() == from.size {
		l.read = from
		return nil
	}
	data, err := io.ReadAll(io.NewSectionReader(f, from.size, info.Size()-from.size))
	if err != nil {
		return fmt.Errorf("revocations %s: %w", l.path, err)
	}
	whole := data[:bytes.LastIndexByte(data, '\n')+1] // a line is written as we look, or was torn by a crash
	entries, err := parse(whole)
	if err != nil {
		return fmt.Errorf("revocations %s, from byte %d: %w; restore the file from a backup, or delete that line", l.path, from.size, err)
	}
	from.size += int64(len(whole))
	l.read = from
	if len(entries) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		l.bars.add(e)
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return nil
}

// compact writes the file anew when many of its lines bar nothing any more.
func (l *List) compact() error {
	unlock, err := l.lock()
	if err != nil {
		return fmt.Errorf("revocations: %w", err)
	}
	defer unlock()
	data, err := os.ReadFile(l.path)
	if err != nil {
		return fmt.Errorf("revocations: %w", err)
	}
	whole := bytes.LastIndexByte(data, '\n') + 1
	entries, err := parse(data[:whole])
	if err != nil {
		return fmt.Errorf("revocations %s: %w; restore the file from a backup, or delete that line", l.path, err)
	}
	var kept []byte
	dead, now := 0, l.now()
	for _, e := range entries {
		if e.over(now, l.keep) {
			dead++
			continue
		}
		kept = append(kept, e.line()...)
	}
	if dead < compactFrom {
		return nil
	}
	if err := l.disk.replace(l.dir, fileName, append(kept, data[whole:]...)); err != nil {
		return fmt.Errorf("compact revocations: %w", err)
	}
	l.log.Info("revocations compacted", "dropped", dead, "kept", len(entries)-dead)
	return nil
}
