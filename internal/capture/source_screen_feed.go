//go:build cgo

package capture

import (
	"context"
	"errors"
	"fmt"

	"sightline/internal/av"
)

// screenFeed reads an X11 screen. While nobody watches it is closed: reading costs the X server as much as us, and after a pause FFmpeg's
// device would make up for all the pictures it missed.
type screenFeed struct {
	src  Source
	live *liveFeed // nil: resting
	info FeedInfo
}

func openScreen(ctx context.Context, src Source) (Feed, error) {
	f := &screenFeed{src: src}
	if err := f.wake(ctx); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *screenFeed) wake(ctx context.Context) error {
	options := map[string]string{"framerate": fmt.Sprintf("%d/%d", f.src.screen.rate.num, f.src.screen.rate.den)}
	if f.src.screen.size != "" {
		options["video_size"] = f.src.screen.size
	}
	in, err := av.OpenInput(ctx, f.src.secret, av.InputOptions{Format: "x11grab", Options: options, Timeout: openTimeout})
	if err != nil {
		if errors.Is(err, av.ErrStopped) {
			return err
		}
		return fmt.Errorf("the source %s cannot be read (%w); check that the display is there, that this user may use it (XAUTHORITY), and that size fits it", f.src, err)
	}
	dec, err := in.NewDecoder(true)
	if err != nil {
		in.Close()
		return explain(f.src, err)
	}
	t, err := newTape(f.src, in.Video(), dec)
	if err != nil {
		in.Close()
		return err
	}
	t.info.FrameRateMilli = f.src.screen.rate.milli() // not what was measured over the first few
	f.live = &liveFeed{tape: t, in: arrivals{in, f.src}}
	f.info = f.live.Info()
	return nil
}

// Info implements Feed.
func (f *screenFeed) Info() FeedInfo { return f.info }

// Next implements Feed.
func (f *screenFeed) Next(ctx context.Context) (*Picture, error) {
	if f.live == nil {
		if err := f.wake(ctx); err != nil {
			return nil, err
		}
	}
	p, err := f.live.Next(ctx)
	f.info = f.live.Info()
	return p, err
}

// Rest implements Feed.
func (f *screenFeed) Rest(ctx context.Context, wanted <-chan struct{}) error {
	f.Close()
	select {
	case <-ctx.Done():
	case <-wanted:
	}
	return nil
}

// Close implements Feed.
func (f *screenFeed) Close() {
	if f.live != nil {
		f.live.Close()
		f.live = nil
	}
}
