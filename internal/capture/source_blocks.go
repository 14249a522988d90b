//go:build cgo

package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"sightline/internal/av"
	"sightline/internal/media"
)

// freshEnough is how old a picture may be that a viewer gets who comes after a rest.
const freshEnough = time.Second

// blockFeed makes pictures of blocks of bytes, each one JPEG or one raw picture, that a goroutine of its owner puts into latest. It is a
// Feed but for Close, and where the blocks are JPEGs a Native.
type blockFeed struct {
	src     Source
	owner   blockOwner
	latest  *latest
	limit   time.Duration // without a picture
	info    FeedInfo
	started bool // a picture has come

	dec    *av.Decoder // nil: raw pictures
	format av.Format   // of those
	stride int         // of their rows; 0: no gap between them
	pool   imagePool
}

// blockOwner puts into words what became of its source.
type blockOwner interface {
	// stalled is the error for limit without a picture; damage is what was wrong with the last block, nil if none came.
	stalled(limit time.Duration, damage error) error
	// over is the error for the end of the blocks.
	over(err error) error
}

func newJPEGBlocks(src Source, owner blockOwner) (*blockFeed, error) {
	dec, err := av.NewDecoder("mjpeg", true)
	if err != nil {
		return nil, explain(src, err)
	}
	return &blockFeed{src: src, owner: owner, latest: newLatest(), limit: minStall, dec: dec, info: FeedInfo{Native: media.CodecJPEG}}, nil
}

func newRawBlocks(src Source, owner blockOwner, format av.Format, w, h int) *blockFeed {
	return &blockFeed{src: src, owner: owner, latest: newLatest(), limit: minStall, format: format, info: FeedInfo{Width: w, Height: h}}
}

// setRate takes in frames a second × 1000, 0 for unknown.
func (f *blockFeed) setRate(milli int) {
	f.info.FrameRateMilli = milli
	if milli > 0 {
		f.limit = max(minStall, stallFrames*1000*time.Second/time.Duration(milli))
	}
}

// readJPEGs cuts r into JPEGs until it ends.
func (l *latest) readJPEGs(r io.Reader) error {
	j := newJPEGReader(r)
	for {
		if _, err := j.next(); err != nil {
			return err
		}
		j.buf = l.put(j.buf, time.Now())
	}
}

// meet waits for the first picture and learns its size, so that what is offered fits it. It waits for limit, or with 0 for ever.
func (f *blockFeed) meet(ctx context.Context, limit time.Duration) error {
	var late <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		late = t.C
	}
	var damage error
	for f.info.Height == 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return f.owner.stalled(limit, damage)
		case <-f.latest.ready:
		}
		f.latest.peek(func(block []byte) {
			var w, h int
			if w, h, damage = checkJPEG(block); damage == nil {
				f.info.Width, f.info.Height = w, h
			}
		})
		if errors.Is(damage, errTooSmall) {
			return fmt.Errorf("the source %s has %w", f.src, damage)
		}
		if f.info.Height > 0 {
			break
		}
		if block, _, err := f.latest.take(); err != nil {
			return f.owner.over(err)
		} else if block != nil { // a damaged one
			f.latest.give(block)
		}
	}
	return nil
}

// Info implements Feed.
func (f *blockFeed) Info() FeedInfo { return f.info }

// Headers implements Native.
func (f *blockFeed) Headers() []byte { return nil }

// Next implements Feed.
func (f *blockFeed) Next(ctx context.Context) (*Picture, error) {
	var picture *Picture
	err := f.await(ctx, func(block []byte, at time.Time) (err error) {
		picture, err = f.decode(block, at)
		return err
	})
	return picture, err
}

// NextUnit implements Native. Each JPEG is one to begin with, so nothing is kept of the past.
func (f *blockFeed) NextUnit(ctx context.Context, decode bool) (*Unit, *Picture, error) {
	var unit *Unit
	var picture *Picture
	err := f.await(ctx, func(block []byte, at time.Time) error {
		w, h, err := checkJPEG(block)
		if err != nil {
			return err
		}
		if decode {
			if picture, err = f.decode(block, at); err != nil {
				return err
			}
		}
		f.info.Width, f.info.Height = w, h
		unit = &Unit{Data: append([]byte(nil), block...), At: at}
		return nil
	})
	return unit, picture, err
}

// await gives the next block that use takes without an error.
func (f *blockFeed) await(ctx context.Context, use func(block []byte, at time.Time) error) error {
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
			return ctx.Err()
		case <-patience.C:
			f.started = true // from now on with the shorter patience
			return f.owner.stalled(limit, damage)
		case <-f.latest.ready:
		}
		block, at, err := f.latest.take()
		if err != nil {
			return f.owner.over(err)
		}
		if block == nil {
			continue
		}
		err = use(block, at)
		f.latest.give(block)
		if errors.Is(err, errTooSmall) {
			return fmt.Errorf("the source %s has %w", f.src, err)
		}
		if err != nil {
			damage = err // the next may be whole
			continue
		}
		f.started = true
		return nil
	}
}

// errTooSmall is wrapped by the error of a picture that no encoder takes.
var errTooSmall = errors.New("pictures that are too small")

// checkJPEG finds the size of a JPEG and whether it is one to go on with.
func checkJPEG(block []byte) (w, h int, err error) {
	if w, h, err = jpegSize(block); err != nil {
		return 0, 0, err
	}
	if w < minSourceSide || h < minSourceSide {
		return 0, 0, fmt.Errorf("%w: %dx%d pixels; at least %dx%d are needed", errTooSmall, w, h, minSourceSide, minSourceSide)
	}
	return w, h, nil
}

func (f *blockFeed) decode(block []byte, at time.Time) (*Picture, error) {
	frame, _ := f.pool.get().(*av.Frame)
	var err error
	switch {
	case f.dec != nil:
		if frame == nil {
			frame = av.NewFrame()
		}
		err = f.decodeJPEG(block, frame)
	case frame == nil:
		if frame, err = av.NewRaw(f.info.Width, f.info.Height, f.format); err != nil {
			return nil, err
		}
		fallthrough
	default:
		err = frame.Fill(block, f.stride)
	}
	if err != nil {
		f.pool.put(frame)
		return nil, err
	}
	f.info.Width, f.info.Height = frame.Width(), frame.Height()
	return NewPicture(frame, at, f.recycle), nil
}

func (f *blockFeed) decodeJPEG(block []byte, frame *av.Frame) error {
	if _, _, err := checkJPEG(block); err != nil { // before any memory is asked for it
		return err
	}
	if err := f.dec.SendBytes(block, 0); err != nil {
		return err
	}
	return f.dec.Receive(frame)
}

func (f *blockFeed) recycle(img Image) {
	if f.dec != nil {
		img.(*av.Frame).Unref()
	}
	f.pool.put(img)
}

// Rest implements Feed. What comes is read and replaced by what comes next, so that its sender goes on.
func (f *blockFeed) Rest(ctx context.Context, wanted <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wanted:
			f.latest.dropOlder(freshEnough)
			return nil
		case <-f.latest.ready:
			if err := f.latest.ended(); err != nil {
				return f.owner.over(err)
			}
		}
	}
}

// closeBlocks frees what the feed holds. The goroutine that puts blocks has ended.
func (f *blockFeed) closeBlocks() {
	if f.dec != nil {
		f.dec.Close()
	}
	f.pool.close()
}
