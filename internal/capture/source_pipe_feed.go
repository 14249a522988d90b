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

// freshEnough is how old a picture may be that a viewer gets who comes after a rest.
const freshEnough = time.Second

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
	src     Source
	limit   time.Duration // without a picture
	in      *patientReader
	latest  *latest
	reader  sync.WaitGroup
	decode  func(block []byte) (*av.Frame, error)
	dec     *av.Decoder // of MJPEG
	pool    imagePool
	info    FeedInfo
	started bool // a picture has come
}

func openPipe(src Source, file *os.File) (Feed, error) {
	o := src.pipe
	f := &pipeFeed{
		src: src, limit: stallLimit(o.rate.milliOrZero()), in: &patientReader{file: file}, latest: newLatest(),
		info: FeedInfo{Width: o.width, Height: o.height, FrameRateMilli: o.rate.milliOrZero()},
	}
	if o.format == "" {
		dec, err := av.NewDecoder("mjpeg", true)
		if err != nil {
			return nil, explain(src, err)
		}
		f.dec, f.decode = dec, f.decodeJPEG
		f.reader.Go(f.readJPEGs)
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
	f.decode = func(block []byte) (*av.Frame, error) { return f.fill(block, format) }
	f.reader.Go(func() { f.readRaw(size) })
	return f, nil
}

// stallLimit is how long a source of this frame rate (× 1000, 0 for unknown) may be silent.
func stallLimit(rateMilli int) time.Duration {
	if rateMilli <= 0 {
		return minStall
	}
	return max(minStall, stallFrames*1000*time.Second/time.Duration(rateMilli))
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

func (f *pipeFeed) readJPEGs() {
	r := newJPEGReader(f.in)
	for {
		if _, err := r.next(); err != nil {
			f.latest.end(err)
			return
		}
		r.buf = f.latest.put(r.buf, time.Now())
	}
}

func (f *pipeFeed) fill(block []byte, format av.Format) (*av.Frame, error) {
	img := f.pool.get()
	if img == nil {
		frame, err := av.NewRaw(f.info.Width, f.info.Height, format)
		if err != nil {
			return nil, err
		}
		img = frame
	}
	frame := img.(*av.Frame)
	return frame, frame.Fill(block, 0)
}

func (f *pipeFeed) decodeJPEG(block []byte) (*av.Frame, error) {
	return decodeJPEG(f.dec, &f.pool, block)
}

// decodeJPEG decodes one JPEG, of a size that was looked at first, into a frame from pool.
func decodeJPEG(dec *av.Decoder, pool *imagePool, block []byte) (*av.Frame, error) {
	w, h, err := jpegSize(block)
	if err != nil {
		return nil, err
	}
	if w < minSourceSide || h < minSourceSide {
		return nil, fmt.Errorf("%w: pictures of %dx%d pixels; at least %dx%d are needed", errTooSmall, w, h, minSourceSide, minSourceSide)
	}
	if err := dec.SendBytes(block, 0); err != nil {
		return nil, err
	}
	frame, _ := pool.get().(*av.Frame)
	if frame == nil {
		frame = av.NewFrame()
	}
	if err := dec.Receive(frame); err != nil {
		pool.put(frame)
		return nil, err
	}
	return frame, nil
}

// errTooSmall is wrapped by the error of a picture that no encoder takes.
var errTooSmall = errors.New("too small")

// Info implements Feed.
func (f *pipeFeed) Info() FeedInfo { return f.info }

// Next implements Feed.
func (f *pipeFeed) Next(ctx context.Context) (*Picture, error) {
	limit := f.limit
	if !f.started {
		limit = firstPicture
	}
	patience := time.NewTimer(limit)
	defer patience.Stop()
	var damage error
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-patience.C:
			f.started = true // from now on with the shorter patience
			return nil, f.stalled(limit, damage)
		case <-f.latest.ready:
		}
		block, at, err := f.latest.take()
		if err != nil {
			return nil, f.over(err)
		}
		if block == nil {
			continue
		}
		frame, err := f.decode(block)
		f.latest.give(block)
		if errors.Is(err, errTooSmall) {
			return nil, fmt.Errorf("the source %s has %w", f.src, err)
		}
		if err != nil {
			damage = err // the next may be whole
			continue
		}
		f.started = true
		f.info.Width, f.info.Height = frame.Width(), frame.Height()
		return NewPicture(frame, at, f.recycle), nil
	}
}

func (f *pipeFeed) recycle(img Image) {
	if f.dec != nil {
		img.(*av.Frame).Unref()
	}
	f.pool.put(img)
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

// Rest implements Feed. What comes is read and replaced by what comes next, so that its program goes on.
func (f *pipeFeed) Rest(ctx context.Context, wanted <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wanted:
			f.latest.dropOlder(freshEnough)
			return nil
		case <-f.latest.ready:
			if err := f.latest.ended(); err != nil {
				return f.over(err)
			}
		}
	}
}

// Close implements Feed.
func (f *pipeFeed) Close() {
	f.in.stopped.Store(true)
	f.reader.Wait()
	if f.dec != nil {
		f.dec.Close()
	}
	f.pool.close()
}
