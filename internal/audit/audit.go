// Package audit keeps the record of who did what to which stream: a file that is only ever appended to, of one
// JSON object a line, on disk before the caller goes on. A record that cannot be written refuses the action it
// is about. The package knows no HTTP and no tokens. Its one goroutine is the caller's: the one that calls Run.
package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
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

// Options are what a Log may be given. Zero values stand for the defaults named beside them.
type Options struct {
	Now func() time.Time // time.Now
	Log *slog.Logger     // none; told when writing fails and when it works again
}

// file is what a Log needs of its file, opened for appending.
type file interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
}

// diskFile is a file of the system.
type diskFile struct{ *os.File }

// Truncate goes by name on Windows, where a handle opened for appending may not.
func (f diskFile) Truncate(size int64) error {
	if runtime.GOOS == "windows" {
		return os.Truncate(f.Name(), size)
	}
	return f.File.Truncate(size)
}

// Log is an open audit file. Append is safe for concurrent use.
type Log struct {
	// static after construction
	now  func() time.Time
	log  *slog.Logger
	name string
	wake chan struct{} // capacity 1: there are waiting records; never closed

	// owned by Run
	file    file
	seq     uint64 // of the last durable record
	size    int64  // bytes that are durable and whole
	torn    bool   // the file may hold bytes beyond size
	failing bool   // the last commit failed, and was told

	mu      sync.Mutex
	waiting []pending
	ended   bool // Run has returned, or is about to
}

// pending is a record on its way to the disk.
type pending struct {
	record Record
	at     time.Time
	done   chan error // capacity 1: the one result
}

// Open opens the audit file at path, and makes it with mode 0600 where it does not exist. The sequence goes on
// where the file ends. A last line that a crash left unfinished is completed where it is whole but for its
// newline, and otherwise replaced by a record with event "audit" that quotes it; nobody was told that such a
// line was written. The file is locked, so that no second server writes it.
// Records appended before Run starts wait for it. Close the Log only if Run is never called.
func Open(path string, opts Options) (*Log, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("audit file: %w: set audit.path to a file that can be written", err)
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock audit file %s: %w", path, err), f.Close())
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("open audit file %s: %w", path, err), f.Close())
	}
	l, err := mend(path, f, opts)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

func newLog(name string, f file, opts Options, seq uint64, size int64) *Log {
	return &Log{
		now: opts.Now, log: opts.Log, name: name, wake: make(chan struct{}, 1),
		file: f, seq: seq, size: size,
	}
}

// mend reads where the file ends and mends a torn last line.
func mend(path string, f *os.File, opts Options) (*Log, error) {
	end, err := readEnd(f)
	if err != nil {
		return nil, fmt.Errorf("read audit file %s: %w", path, err)
	}
	l := newLog(path, diskFile{f}, opts, end.seq, end.size)
	if len(end.tail) == 0 {
		return l, nil
	}
	if seq, ok := lineSeq(end.tail); ok && seq == end.seq+1 {
		if _, err := f.Write([]byte("\n")); err != nil {
			return nil, fmt.Errorf("complete the last line of audit file %s: %w", path, err)
		}
		if err := f.Sync(); err != nil {
			return nil, fmt.Errorf("sync audit file %s: %w", path, err)
		}
		l.seq, l.size = seq, end.size+int64(len(end.tail))+1
		return l, nil
	}
	l.torn = true
	note := Record{Event: "audit", Verdict: Ended, Reason: fmt.Sprintf("unfinished line of %d bytes after a crash: %s", end.tailBytes, end.tail)}
	if err := l.commit([]pending{{record: note, at: l.now()}}); err != nil {
		return nil, fmt.Errorf("mend audit file %s: %w", path, err)
	}
	opts.Log.Warn("audit file had an unfinished last line", "file", path, "bytes", end.tailBytes)
	return l, nil
}

// fileEnd is where an audit file stands.
type fileEnd struct {
	seq       uint64 // of the last whole line
	size      int64  // bytes up to and with the last newline
	tail      []byte // what comes after, at most maxWindow bytes of it
	tailBytes int64
}

// maxWindow is how far from the end of the file its last record is looked for: many times a line's length.
const maxWindow = 1 << 20

func readEnd(f *os.File) (fileEnd, error) {
	info, err := f.Stat()
	if err != nil {
		return fileEnd{}, err
	}
	if !info.Mode().IsRegular() {
		return fileEnd{}, errors.New("it is not a regular file: set audit.path to one")
	}
	start := max(0, info.Size()-maxWindow)
	window := make([]byte, info.Size()-start)
	if _, err := f.ReadAt(window, start); err != nil && !errors.Is(err, io.EOF) {
		return fileEnd{}, err
	}
	whole := bytes.LastIndexByte(window, '\n') + 1
	end := fileEnd{size: start + int64(whole), tail: window[whole:]}
	end.tailBytes = info.Size() - end.size
	if whole == 0 && start == 0 {
		if !beginsLikeALine(end.tail) {
			return fileEnd{}, errors.New("it holds something else than audit records: set audit.path to another file")
		}
		return end, nil // empty, or nothing but an unfinished first line
	}
	for lines := window[:whole]; len(lines) > 0; {
		begin := bytes.LastIndexByte(lines[:len(lines)-1], '\n') + 1
		if seq, ok := lineSeq(lines[begin:]); ok {
			end.seq = seq
			return end, nil
		}
		lines = lines[:begin]
	}
	return fileEnd{}, errors.New("its last lines are no audit records: move it away, or set audit.path to another file")
}

// beginsLikeALine tells an unfinished first line from a file of another kind, which must not be cut. After a
// power cut, bytes that never reached the disk read as zeros.
func beginsLikeALine(tail []byte) bool {
	const begin = `{"seq":`
	tail = bytes.TrimRight(tail, "\x00")
	n := min(len(tail), len(begin))
	return string(tail[:n]) == begin[:n]
}

// lineSeq reads the sequence number of a whole line.
func lineSeq(line []byte) (uint64, bool) {
	var r struct {
		Seq   uint64 `json:"seq"`
		Event string `json:"event"`
	}
	if err := json.Unmarshal(line, &r); err != nil || r.Seq == 0 || r.Event == "" {
		return 0, false
	}
	return r.Seq, true
}

// Append writes r and returns nil when it is on disk. On any error the caller must refuse the action: the
// record is not, or not known to be, durable. The error wraps ErrUnavailable, or is ctx's when ctx ended
// first, or says what r lacks.
func (l *Log) Append(ctx context.Context, r Record) error {
	if err := r.validate(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	p := pending{record: r, at: l.now(), done: make(chan error, 1)}
	if err := l.enqueue(p); err != nil {
		return err
	}
	select {
	case l.wake <- struct{}{}:
	default: // Run has been told already
	}
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("audit: %w", ctx.Err())
	}
}

func (l *Log) enqueue(p pending) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return fmt.Errorf("audit log is closed: %w", ErrUnavailable)
	}
	if len(l.waiting) >= maxWaiting {
		return fmt.Errorf("%d records wait for the disk: %w", len(l.waiting), ErrUnavailable)
	}
	l.waiting = append(l.waiting, p)
	return nil
}

// Run writes records until ctx ends, then those that still wait, closes the file and returns. All records that
// wait at one time share one write and one sync. A disk that refuses does not end Run: each record that could
// not be written is an error to its caller, and the next is tried anew. Call it once.
func (l *Log) Run(ctx context.Context) error {
	for {
		select {
		case <-l.wake:
			l.flush(false)
		case <-ctx.Done():
			l.flush(true)
			if err := l.file.Close(); err != nil {
				return fmt.Errorf("close audit file %s: %w", l.name, err)
			}
			return nil
		}
	}
}

// Close closes the file of a Log whose Run is never called.
func (l *Log) Close() error { return l.file.Close() }

// flush commits what waits. With last, nothing can wait afterwards.
func (l *Log) flush(last bool) {
	l.mu.Lock()
	batch := l.waiting
	l.waiting = nil
	l.ended = l.ended || last
	l.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	err := l.commit(batch)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	switch {
	case err != nil && !l.failing:
		l.log.Error("audit file cannot be written: every action is refused until it can", "file", l.name, "error", err)
	case err == nil && l.failing:
		l.log.Info("audit file can be written again", "file", l.name)
	}
	l.failing = err != nil
	for _, p := range batch {
		p.done <- err
	}
}

// commit makes a batch durable, or leaves no trace of it. What a failed write or sync left behind is cut off
// before anything else is written: after a failed fsync nobody knows which pages reached the disk, and a later
// successful one says nothing about them.
func (l *Log) commit(batch []pending) error {
	if l.torn {
		if err := l.file.Truncate(l.size); err != nil {
			return fmt.Errorf("cut off unfinished records: %w", err)
		}
		l.torn = false
	}
	var lines []byte
	for i, p := range batch {
		lines = p.record.appendLine(lines, l.seq+1+uint64(i), p.at)
	}
	l.torn = true
	if _, err := l.file.Write(lines); err != nil {
		return errors.Join(fmt.Errorf("write: %w", err), l.cutOff())
	}
	if err := l.file.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync: %w", err), l.cutOff())
	}
	l.torn = false
	l.seq += uint64(len(batch))
	l.size += int64(len(lines))
	return nil
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
