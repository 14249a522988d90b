package capture_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sightline/internal/capture"
	"sightline/internal/media"
)

// fakeImage is a picture without pixels.
type fakeImage struct {
	w, h int
	n    int
}

func (i *fakeImage) Width() int  { return i.w }
func (i *fakeImage) Height() int { return i.h }
func (i *fakeImage) Close()      {}

// openTime is how long a fake source takes to open.
const openTime = 10 * time.Millisecond

// fakeEngine opens feeds that tick, and makes encoders that write the picture's number.
type fakeEngine struct {
	interval time.Duration
	openErr  func(attempt int) error // of the nth Open, from 0; nil: none
	nextErr  func(n int) error       // instead of picture n
	size     func(n int) (w, h int)  // of picture n
	encErr   error
	encTime  time.Duration
	closing  time.Duration // that a feed takes to close

	mu       sync.Mutex
	opens    int
	encoders []*fakeEncoder
	images   atomic.Int64
	drawn    atomic.Int64
	rests    atomic.Int64
}

func (e *fakeEngine) Open(context.Context, capture.Source) (capture.Feed, error) {
	time.Sleep(openTime)
	e.mu.Lock()
	defer e.mu.Unlock()
	attempt := e.opens
	e.opens++
	if e.openErr != nil {
		if err := e.openErr(attempt); err != nil {
			return nil, err
		}
	}
	f := &fakeFeed{e: e}
	f.w, f.h = e.sizeOf(0)
	return f, nil
}

func (e *fakeEngine) sizeOf(n int) (w, h int) {
	if e.size == nil {
		return 1280, 720
	}
	return e.size(n)
}

func (e *fakeEngine) NewEncoder(o capture.EncoderOptions) (capture.Encoder, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.encErr != nil {
		return nil, e.encErr
	}
	enc := &fakeEncoder{e: e, o: o, first: true}
	e.encoders = append(e.encoders, enc)
	return enc, nil
}

// alive is how many encoders are open.
func (e *fakeEngine) alive() (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, enc := range e.encoders {
		if !enc.closed.Load() {
			n++
		}
	}
	return n
}

type fakeFeed struct {
	e    *fakeEngine
	n    int
	w, h int
}

func (f *fakeFeed) Info() capture.FeedInfo {
	return capture.FeedInfo{Width: f.w, Height: f.h, FrameRateMilli: int(1000 * time.Second / f.e.interval)}
}

func (f *fakeFeed) Next(ctx context.Context) (*capture.Picture, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(f.e.interval):
	}
	f.n++
	if f.e.nextErr != nil {
		if err := f.e.nextErr(f.n); err != nil {
			return nil, err
		}
	}
	f.w, f.h = f.e.sizeOf(f.n)
	f.e.drawn.Add(1)
	f.e.images.Add(1)
	img := &fakeImage{w: f.w, h: f.h, n: f.n}
	return capture.NewPicture(img, time.Now(), func(capture.Image) { f.e.images.Add(-1) }), nil
}

func (f *fakeFeed) Rest(ctx context.Context, wanted <-chan struct{}) error {
	f.e.rests.Add(1)
	select {
	case <-ctx.Done():
	case <-wanted:
	}
	return nil
}

func (f *fakeFeed) Close() { time.Sleep(f.e.closing) }

type fakeEncoder struct {
	e      *fakeEngine
	o      capture.EncoderOptions
	first  bool
	closed atomic.Bool
	rates  atomic.Pointer[string]
}

// Encode gives a parameter set, so that there is a codec string, and the picture's number.
func (e *fakeEncoder) Encode(img capture.Image, _ int64, key bool) ([]byte, bool, error) {
	time.Sleep(e.e.encTime)
	key = key || e.first || e.o.Codec == media.CodecJPEG
	e.first = false
	au := []byte{0, 0, 0, 1, 0x41}
	if key {
		au = []byte{0, 0, 0, 1, 0x67, 0x64, 0x00, 0x1f, 0, 0, 0, 1, 0x65}
	}
	return binary.BigEndian.AppendUint32(au, uint32(img.(*fakeImage).n)), key, nil
}

func (e *fakeEncoder) SetRate(bitrateBps, frameRateMilli int) {
	s := fmt.Sprintf("%d at %d", bitrateBps, frameRateMilli)
	e.rates.Store(&s)
}

func (e *fakeEncoder) Close() { e.closed.Store(true) }
