package capture

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// imagePool keeps an image that nobody uses for who needs one next. One will do: more come back only after a moment in which pictures were slow to leave.
// Safe for concurrent use.
type imagePool struct {
	mu     sync.Mutex
	free   Image // or nil
	closed bool
}

// get gives an image, or nil if one has to be made.
func (p *imagePool) get() Image {
	p.mu.Lock()
	defer p.mu.Unlock()
	img := p.free
	p.free = nil
	return img
}

// put takes img back.
func (p *imagePool) put(img Image) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.free != nil {
		img.Close()
		return
	}
	p.free = img
}

// close frees what is in the pool, and from now on whatever comes back.
func (p *imagePool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.free != nil {
		p.free.Close()
		p.free = nil
	}
}

// testFeed is the test: source. It keeps an absolute schedule, so that its rate is exact, and leaves out the pictures it is too late for.
type testFeed struct {
	o       testOptions
	alloc   func(w, h int) (Canvas, error)
	pattern *pattern
	pool    imagePool

	start time.Time // of picture first; zero: with the next call
	first int64
	n     int64 // the next picture
}

func newTestFeed(o testOptions, alloc func(w, h int) (Canvas, error)) *testFeed {
	return &testFeed{o: o, alloc: alloc, pattern: newPattern(o.width, o.height, o.tag)}
}

// Info implements Feed.
func (f *testFeed) Info() FeedInfo {
	return FeedInfo{Width: f.o.width, Height: f.o.height, FrameRateMilli: f.o.rate.milli()}
}

// Next implements Feed.
func (f *testFeed) Next(ctx context.Context) (*Picture, error) {
	now := time.Now()
	if f.start.IsZero() {
		f.start, f.first = now, f.n
	}
	for now.Sub(f.due(f.n+1)) >= 0 {
		f.n++
	}
	if wait := f.due(f.n).Sub(now); wait > 0 {
		sleep(ctx, wait)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	var err error
	img := f.pool.get()
	if img == nil {
		if img, err = f.alloc(f.o.width, f.o.height); err != nil {
			return nil, fmt.Errorf("the test pattern has no memory: %w", err)
		}
	}
	at := time.Now()
	f.pattern.draw(img.(Canvas), f.n, at)
	f.n++
	return NewPicture(img, at, f.pool.put), nil
}

// due is when picture n is to be drawn.
func (f *testFeed) due(n int64) time.Time {
	return f.start.Add(f.o.rate.after(n - f.first))
}

// Rest implements Feed: nothing is drawn, and the next picture is drawn at once.
func (f *testFeed) Rest(ctx context.Context, wanted <-chan struct{}) error {
	select {
	case <-ctx.Done():
	case <-wanted:
	}
	f.start = time.Time{}
	return nil
}

// Close implements Feed.
func (f *testFeed) Close() { f.pool.close() }

// TestPattern draws what the test: source shows, for who compares what arrived with what was sent. One goroutine uses it.
type TestPattern struct{ pattern *pattern }

// NewTestPattern makes one for pictures of w by h pixels, of the source with that tag (0 unless its options say otherwise).
func NewTestPattern(w, h int, tag uint8) TestPattern { return TestPattern{newPattern(w, h, tag)} }

// Draw paints picture n, as taken at t, onto img, which is of the pattern's size.
func (p TestPattern) Draw(img Canvas, n int64, t time.Time) { p.pattern.draw(img, n, t) }
