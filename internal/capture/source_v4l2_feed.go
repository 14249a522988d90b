//go:build cgo && linux

package capture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sightline/internal/av"
	"sightline/internal/media"
	"sightline/internal/v4l2"
)

// deviceFeed reads a video device by itself, for its formats, its controls and the times of its driver. A goroutine of its own does so, which ends
// with Close.
type deviceFeed struct {
	*blockFeed
	device *v4l2.Device
	stop   func() bool
	reader sync.WaitGroup
	busy   atomic.Bool // somebody watches
}

// openDevice opens a video device. A nil Feed is for FFmpeg's libraries to open: one that is to send H.264, of which they cut packets.
func openDevice(ctx context.Context, src Source) (Feed, error) {
	device, err := v4l2.Open(src.secret)
	if err != nil {
		return nil, explainDevice(src, err)
	}
	feed, err := startDevice(ctx, src, device)
	if feed == nil {
		device.Close()
	}
	if err != nil {
		return nil, explainDevice(src, err)
	}
	if feed == nil {
		return nil, nil
	}
	return feed, nil
}

func startDevice(ctx context.Context, src Source, device *v4l2.Device) (*deviceFeed, error) {
	formats, err := device.Formats()
	if err != nil {
		return nil, err
	}
	wish, err := src.device.wish()
	if err != nil {
		return nil, err
	}
	pick, ok := v4l2.Pick(formats, wish)
	if !ok {
		return nil, unix.EINVAL
	}
	if err := device.Set(src.device.controls); err != nil {
		return nil, err
	}
	raw := v4l2.Raw(pick.FourCC)
	if raw == "" && pick.FourCC != "MJPG" && pick.FourCC != "JPEG" {
		return nil, nil
	}
	got, err := device.Start(pick)
	if err != nil {
		return nil, err
	}
	if got.FourCC != pick.FourCC || wish.Width != 0 && (got.Width != wish.Width || got.Height != wish.Height) {
		return nil, unix.EINVAL
	}
	f := &deviceFeed{device: device}
	if raw == "" {
		if f.blockFeed, err = newJPEGBlocks(src, f); err != nil {
			return nil, err
		}
		f.info.Width, f.info.Height = got.Width, got.Height
	} else {
		format, err := av.RawFormat(raw)
		if err != nil {
			return nil, err
		}
		f.blockFeed = newRawBlocks(src, f, format, got.Width, got.Height)
		f.stride = got.Stride
	}
	f.setRate(got.RateMilli)
	f.stop = context.AfterFunc(ctx, device.Stop)
	f.reader.Go(func() { f.latest.end(f.read()) })
	return f, nil
}

// read hands pictures over, and while nobody watches only gives their buffers back. A device that is silent is the others' to notice: it may
// have paused, and its descriptor is still good.
func (f *deviceFeed) read() error {
	var block []byte
	for {
		err := f.device.Next(f.limit, func(picture []byte, at time.Time) {
			if f.busy.Load() {
				block = f.latest.put(append(block[:0], picture...), at)
			}
		})
		if err != nil && !errors.Is(err, v4l2.ErrTimeout) {
			return err
		}
	}
}

// Next implements Feed.
func (f *deviceFeed) Next(ctx context.Context) (*Picture, error) {
	f.busy.Store(true)
	return f.blockFeed.Next(ctx)
}

// NextUnit implements Native.
func (f *deviceFeed) NextUnit(ctx context.Context, decode bool) (*Unit, *Picture, error) {
	f.busy.Store(true)
	return f.blockFeed.NextUnit(ctx, decode)
}

// Rest implements Feed.
func (f *deviceFeed) Rest(ctx context.Context, wanted <-chan struct{}) error {
	f.busy.Store(false)
	return f.blockFeed.Rest(ctx, wanted)
}

func (f *deviceFeed) stalled(limit time.Duration, damage error) error {
	if damage != nil {
		return fmt.Errorf("the source %s sends %w that can be decoded (%w); check the camera and its cable", f.src, ErrStalled, damage)
	}
	return fmt.Errorf("the source %s sends %w: none for %v; check the camera and its cable", f.src, ErrStalled, limit)
}

func (f *deviceFeed) over(err error) error { return explainDevice(f.src, err) }

// Close implements Feed.
func (f *deviceFeed) Close() {
	if f.stop() { // otherwise the context has done it
		f.device.Stop()
	}
	f.reader.Wait()
	f.device.Close()
	f.closeBlocks()
}

func explainDevice(src Source, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return because{fmt.Errorf("the source %s is not there; plug the camera in, or name another device", src), media.CauseUnplugged}
	case errors.Is(err, fs.ErrPermission):
		return because{fmt.Errorf("the source %s may not be read by this user; change its permissions or the user's groups", src), media.CauseForbidden}
	case errors.Is(err, v4l2.ErrNotCamera):
		return fmt.Errorf("the source %s is not a camera; sightline-capture --list-devices shows those there are", src)
	case errors.Is(err, v4l2.ErrGone), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return because{fmt.Errorf("the source %s was pulled out; plug the camera in again", src), media.CauseUnplugged}
	case errors.Is(err, unix.EBUSY):
		return because{fmt.Errorf("the source %s is in use by another program; end that one", src), media.CauseInUse}
	case errors.Is(err, unix.EINVAL):
		return because{fmt.Errorf("the source %s does not offer the size, rate or format asked for; leave them out, or pick from what sightline-capture --list-devices shows", src), media.CauseFormat}
	}
	return fmt.Errorf("the source %s cannot be used: %w", src, err)
}

// wish is what a source's options ask for.
func (o deviceOptions) wish() (v4l2.Setting, error) {
	var s v4l2.Setting
	if o.size != "" {
		w, h, err := parseSize(o.size)
		if err != nil {
			return s, err
		}
		s.Width, s.Height = w, h
	}
	if o.fps != "" {
		r, err := parseRate(o.fps)
		if err != nil {
			return s, err
		}
		s.RateMilli = r.milli()
	}
	s.FourCC = deviceFormats()[o.format]
	return s, nil
}
