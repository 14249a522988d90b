//go:build cgo

package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sightline/internal/av"
)

// pipePoll is how often a wait for standard input looks whether it is to end: a blocked read could not be ended.
const pipePoll = 100 * time.Millisecond

// patientReader reads a file that may be a pipe, a terminal or a socket, and can be ended while it waits.
type patientReader struct {
	file    *os.File
	stopped atomic.Bool
	read    atomic.Int64 // bytes
}

// Read implements io.Reader.
func (r *patientReader) Read(p []byte) (int, error) {
	fds := []unix.PollFd{{Fd: int32(r.file.Fd()), Events: unix.POLLIN}}
	for {
		if r.stopped.Load() {
			return 0, os.ErrClosed
		}
		n, err := unix.Poll(fds, int(pipePoll/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return 0, fmt.Errorf("wait for standard input: %w", err)
		}
		if n > 0 {
			break
		}
	}
	n, err := r.file.Read(p)
	r.read.Add(int64(n))
	return n, err
}

// pipeFeed reads standard input with a goroutine of its own, which ends with Close, so that the producer never waits longer than the
// reading of one picture takes.
type pipeFeed struct {
	*blockFeed
	in     *patientReader
	reader sync.WaitGroup
}

func openPipe(ctx context.Context, src Source, file *os.File) (Feed, error) {
	o := src.pipe
	f := &pipeFeed{in: &patientReader{file: file}}
	if o.format == "" {
		blocks, err := newJPEGBlocks(src, f)
		if err != nil {
			return nil, err
		}
		f.blockFeed = blocks
		f.setRate(o.rate.milliOrZero())
		f.reader.Go(func() { f.latest.end(f.latest.readJPEGs(f.in)) })
		if err := f.meet(ctx, 0); err != nil {
			f.Close()
			return nil, err
		}
		return f, nil
	}
	format, err := av.RawFormat(o.format)
	if err != nil {
		return nil, explain(src, err)
	}
	size, err := av.RawSize(o.width, o.height, format, 0)
	if err != nil {
		return nil, explain(src, err)
	}
	f.blockFeed = newRawBlocks(src, f, format, o.width, o.height)
	f.setRate(o.rate.milliOrZero())
	f.reader.Go(func() { f.readRaw(size) })
	return f, nil
}

func (f *pipeFeed) readRaw(size int) {
	buf := make([]byte, size)
	for {
		if _, err := io.ReadFull(f.in, buf); err != nil {
			f.latest.end(err)
			return
		}
		if buf = f.latest.put(buf, time.Now()); buf == nil {
			buf = make([]byte, size)
		}
	}
}

// stalled says what is missing; the input stays open, since the next byte belongs where the last one ended.
func (f *pipeFeed) stalled(limit time.Duration, damage error) error {
	switch {
	case damage != nil:
		return fmt.Errorf("the source %s sends %w that can be decoded (%w); check what its program writes", f.src, ErrPaused, damage)
	case f.dec != nil && f.in.read.Load() > maxJPEG:
		return fmt.Errorf("the source %s sends %w, but %d bytes that hold no JPEG; check format", f.src, ErrPaused, f.in.read.Load())
	}
	return fmt.Errorf("the source %s sends %w: none for %v; check the program that writes to it", f.src, ErrPaused, limit)
}

func (f *pipeFeed) over(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the source %s %w within a picture; check format and size if it was not cut off", f.src, ErrEnded)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the source %s %w", f.src, ErrEnded)
	}
	return fmt.Errorf("the source %s %w: %w", f.src, ErrEnded, err)
}

// Close implements Feed.
func (f *pipeFeed) Close() {
	f.in.stopped.Store(true)
	f.reader.Wait()
	f.closeBlocks()
}
