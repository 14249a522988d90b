//go:build cgo

package capture

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// httpFeed reads JPEGs off a camera's web server: parts of one answer without an end, or one answer for each. A goroutine of its own does
// so, which ends with Close.
type httpFeed struct {
	*blockFeed
	camera *httpCamera
	cancel context.CancelFunc
	reader sync.WaitGroup
	busy   atomic.Bool   // somebody watches
	hurry  chan struct{} // holds a token when a snapshot is wanted now
}

// openHTTP finds out what src is. A nil Feed is for FFmpeg's libraries to open: video that is not made of JPEGs.
func openHTTP(ctx context.Context, src Source) (Feed, error) {
	camera, err := newHTTPCamera(src)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	resp, err := camera.get(ctx)
	if err != nil {
		cancel()
		camera.close()
		return nil, err
	}
	kind := mediaType(resp)
	if kind != "image/jpeg" && kind != "multipart/x-mixed-replace" {
		cancel()
		_ = resp.Body.Close()
		camera.close()
		if src.guarded { // FFmpeg's libraries would connect wherever they are sent
			return nil, fmt.Errorf("the source %s answers with %.40q and not with JPEGs; add it in the configuration file if it is to be read even so", src, kind)
		}
		return nil, nil
	}
	f := &httpFeed{camera: camera, cancel: cancel, hurry: make(chan struct{}, 1)}
	if f.blockFeed, err = newJPEGBlocks(src, f); err != nil {
		cancel()
		_ = resp.Body.Close()
		camera.close()
		return nil, err
	}
	if kind == "image/jpeg" {
		f.setRate(src.http.rate.milli())
		f.reader.Go(func() { f.latest.end(f.poll(ctx, resp)) })
	} else {
		f.reader.Go(func() { f.latest.end(f.stream(resp)) })
	}
	if err := f.meet(ctx, firstPicture); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *httpFeed) stream(resp *http.Response) error {
	defer func() { _ = resp.Body.Close() }()
	return f.camera.explain(f.latest.readJPEGs(paced(resp.Body)))
}

// poll takes a snapshot for each interval, and now and then while nobody watches.
func (f *httpFeed) poll(ctx context.Context, first *http.Response) error {
	block, err := f.camera.body(first, nil)
	_ = first.Body.Close()
	due := time.Now()
	for {
		if err != nil {
			return err
		}
		block = f.latest.put(block, time.Now())
		interval := f.src.http.rate.after(1)
		if !f.busy.Load() {
			interval = max(interval, restPoll)
		}
		if due = due.Add(interval); due.Before(time.Now()) { // a slow camera gets no second request before it has answered the first
			due = time.Now()
		}
		wait := time.NewTimer(time.Until(due))
		select {
		case <-ctx.Done():
		case <-f.hurry:
			due = time.Now()
		case <-wait.C:
		}
		wait.Stop()
		block, err = f.camera.snapshot(ctx, block)
	}
}

// Next implements Feed.
func (f *httpFeed) Next(ctx context.Context) (*Picture, error) {
	f.wake()
	return f.blockFeed.Next(ctx)
}

// NextUnit implements Native.
func (f *httpFeed) NextUnit(ctx context.Context, decode bool) (*Unit, *Picture, error) {
	f.wake()
	return f.blockFeed.NextUnit(ctx, decode)
}

// wake takes note that somebody watches, who shall not wait for a slow rest's next snapshot.
func (f *httpFeed) wake() {
	if !f.busy.Swap(true) {
		select {
		case f.hurry <- struct{}{}:
		default:
		}
	}
}

// Rest implements Feed.
func (f *httpFeed) Rest(ctx context.Context, wanted <-chan struct{}) error {
	f.busy.Store(false)
	return f.blockFeed.Rest(ctx, wanted)
}

func (f *httpFeed) stalled(limit time.Duration, damage error) error {
	if damage != nil {
		return fmt.Errorf("the source %s sends %w that can be decoded (%w); check the camera", f.src, ErrStalled, damage)
	}
	return fmt.Errorf("the source %s sends %w: none for %v; check the camera and its network", f.src, ErrStalled, limit)
}

func (f *httpFeed) over(err error) error { return err }

// Close implements Feed.
func (f *httpFeed) Close() {
	f.cancel()
	f.reader.Wait()
	f.camera.close()
	f.closeBlocks()
}
