// Package capture is one camera's pipeline: source, decoder, a slot that holds the newest picture, and for each rendition that somebody
// wants an encoder that takes from the slot; what the encoders give goes out over one publish connection. It knows pictures only as the
// Engine's opaque images, and nothing of viewers, streams' names or how its connection came about.
//
// Run owns every goroutine: one that reads the source, and for each connection one that reads it, one that reports and one for
// each rendition.
package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/wire"
)

// Image is one raw picture in the Engine's keeping. Images are not changed once a Picture holds them.
type Image interface {
	Width() int // pixels
	Height() int
	Close()
}

// Canvas is an Image whose planar 4:2:0 pixels can be written.
type Canvas interface {
	Image
	// Plane is plane i (0 luma, 1 and 2 chroma) with its rows stride bytes apart.
	Plane(i int) (pixels []byte, stride int)
}

// Engine opens sources and makes encoders.
type Engine interface {
	// Open opens src. An error is a sentence for people, without credentials.
	Open(ctx context.Context, src Source) (Feed, error)
	// NewEncoder makes an encoder for one rendition.
	NewEncoder(o EncoderOptions) (Encoder, error)
}

// FeedInfo is what an open source is.
type FeedInfo struct {
	Width, Height int // pixels as displayed
	// FrameRateMilli is frames a second × 1000, 0 if the source does not tell.
	FrameRateMilli int
	// Native is what the source codes its pictures in if they can be passed on as they are, and 0 if not. The Feed is then a Native.
	Native media.Codec
}

// Feed is an open source. One goroutine uses it.
type Feed interface {
	// Info may change after Next has given a picture of another size.
	Info() FeedInfo
	// Next waits for the next picture, which the caller releases. An error ends the feed and is a sentence for people; it wraps
	// ErrStalled when the source is open but has sent no picture for the stall limit.
	Next(ctx context.Context) (*Picture, error)
	// Rest keeps the source at hand at the least cost while nobody wants pictures, until wanted is closed or ctx ends.
	Rest(ctx context.Context, wanted <-chan struct{}) error
	Close()
}

// ErrStalled is wrapped by the error of a Feed that is open but sends nothing.
var ErrStalled = errors.New("no pictures")

// ErrPaused is ErrStalled in a Feed that is still good: Next can be called again.
var ErrPaused = fmt.Errorf("%w", ErrStalled)

// ErrEnded is wrapped by the error of a Feed whose source is over for good. Run then ends, once the server has been told.
var ErrEnded = errors.New("has ended")

// ErrRefused is wrapped by the error of an Open whose credentials the source does not accept.
var ErrRefused = errors.New("refuses the user name or password")

// EncoderOptions describe the encoder of one rendition. Pictures of any size and format are brought to Width by Height first.
type EncoderOptions struct {
	Codec          media.Codec
	Width, Height  int
	FrameRateMilli int
	BitrateBps     int
	Preset         string
	Encoder        string // as in Rendition
}

// Substitute is an Encoder that may stand in for the one asked for.
type Substitute interface {
	Encoder
	// Instead is a sentence for people that says so, or empty.
	Instead() string
}

// Encoder turns pictures into access units. One goroutine uses it.
type Encoder interface {
	// Encode codes img, presented at pts (µs, rising). The bytes are valid until the next call.
	Encode(img Image, pts int64, key bool) (au []byte, isKey bool, err error)
	// SetRate changes target bitrate and frame rate from the next picture on, without a keyframe.
	SetRate(bitrateBps, frameRateMilli int)
	Close()
}

// Picture is an image and the moment it was captured. It is shared by reference count: whoever holds one calls Release once.
type Picture struct {
	Image Image
	At    time.Time // with a monotonic reading
	refs  atomic.Int32
	free  func(Image)
}

// NewPicture makes a picture with one reference. free takes the image back when nobody holds it any more.
func NewPicture(img Image, at time.Time, free func(Image)) *Picture {
	p := &Picture{Image: img, At: at, free: free}
	p.refs.Store(1)
	return p
}

// Release gives one reference back.
func (p *Picture) Release() {
	if p.refs.Add(-1) == 0 {
		p.free(p.Image)
	}
}

// Options say what to capture.
type Options struct {
	Source     Source
	Renditions []Rendition // in order of their ids, from 1; none: those of Ladder
	Agent      string      // name and version for HELLO
	Sandbox    string      // what confines this process, a sentence for people, for HELLO
	// EncoderName tells what an encoder that a Rendition names is on this machine. Nil: what it is called.
	EncoderName func(asked string) string
}

// Capture is one camera. Run it once.
type Capture struct {
	opts   Options
	engine Engine
	log    *slog.Logger
	origin time.Time // of the clock that TIME_REQ speaks of

	slot   *slot
	scales *scaleChain
	relay  *relay
	demand *demand
	turns  turns // of the renditions' inspectors

	mu      sync.Mutex
	status  wire.PublisherStatus
	notes   map[string]string // what else people should know, each a sentence
	feed    FeedInfo
	unfit   bool                         // the source's own coding cannot be passed on, as far as is known
	ids     map[string]media.RenditionID // by name, of all renditions ever offered
	changed chan struct{}                // closed and replaced when status or feed change
}

// New checks opts and makes a capture.
func New(opts Options, engine Engine, log *slog.Logger) (*Capture, error) {
	if len(opts.Renditions) > wire.MaxRenditions {
		return nil, fmt.Errorf("%d renditions, want at most %d", len(opts.Renditions), wire.MaxRenditions)
	}
	ids := map[string]media.RenditionID{}
	for i, r := range opts.Renditions {
		if err := r.Validate(); err != nil {
			return nil, err
		}
		if ids[r.Name] != 0 {
			return nil, fmt.Errorf("two renditions are named %q, give each its own name", r.Name)
		}
		ids[r.Name] = media.RenditionID(i + 1)
	}
	return &Capture{
		opts: opts, engine: engine, log: log, origin: time.Now(),
		slot: newSlot(), scales: newScaleChain(engine), relay: newRelay(), demand: newDemand(),
		status:  wire.PublisherStatus{State: media.StateConnecting},
		notes:   map[string]string{},
		ids:     ids,
		feed:    opts.Source.known(),
		changed: make(chan struct{}),
	}, nil
}

// Link makes connections to the server.
type Link struct {
	Dial func(ctx context.Context) (transport.Conn, error)
	// Once ends Run when the first connection ends: a child whose server is gone has nothing left to do.
	Once bool
}

// Run captures until ctx ends, or with link.Once until the connection does, and then returns nil. While a connection cannot be made it goes on
// trying.
func (c *Capture) Run(ctx context.Context, link Link) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { c.runSource(ctx) })
	err := c.runLink(ctx, link)
	cancel()
	wg.Wait()
	c.slot.clear()
	return err
}

func (c *Capture) runLink(ctx context.Context, link Link) error {
	retry := backoff{min: 250 * time.Millisecond, max: 10 * time.Second}
	for ctx.Err() == nil {
		conn, err := link.Dial(ctx)
		if err == nil {
			began := time.Now()
			err = c.serve(ctx, conn)
			if ctx.Err() != nil || link.Once || errors.Is(err, ErrEnded) {
				return nil
			}
			if time.Since(began) > retry.max {
				retry.reset()
			}
		}
		if status, _, _ := c.current(); link.Once || status.State == media.StateEnded {
			return fmt.Errorf("reach the server: %w", err)
		}
		wait := retry.next()
		c.log.Warn("no connection to the server, trying again", "error", err, "in", wait)
		sleep(ctx, wait)
	}
	return nil
}

// setStatus tells the server, if there is one, what the source is doing, and why if it is not what it should.
func (c *Capture) setStatus(state media.State, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := wire.PublisherStatus{State: state, Cause: causeOf(why), Detail: sentence(why), SourceWidth: c.feed.Width, SourceHeight: c.feed.Height}
	if s == c.status {
		return
	}
	c.status = s
	c.log.Info("source", "state", state, "detail", s.Detail)
	c.announce()
}

// note tells people a sentence about something, or with an empty one that it is over.
func (c *Capture) note(about, sentence string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.notes[about] == sentence {
		return
	}
	c.notes[about] = sentence
	c.announce()
}

// refuse withdraws the source's own coding, until another connection to the source has shown that it has changed.
func (c *Capture) refuse(sentence string) {
	if !c.isUnfit() {
		c.log.Warn("the source's own coding is not passed on", "reason", sentence)
	}
	c.mu.Lock()
	c.unfit = true
	c.mu.Unlock()
	c.note("passthrough", sentence)
}

// readmit offers the source's own coding again.
func (c *Capture) readmit() {
	c.log.Info("the source's own coding can be passed on again")
	c.mu.Lock()
	c.unfit = false
	c.mu.Unlock()
	c.note("passthrough", "")
}

// isUnfit tells whether the source's own coding has been withdrawn.
func (c *Capture) isUnfit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unfit
}

// setFeed takes note of what the source is.
func (c *Capture) setFeed(info FeedInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unfit {
		info.Native = 0
	}
	if info == c.feed {
		return
	}
	c.feed = info
	c.status.SourceWidth, c.status.SourceHeight = info.Width, info.Height
	c.announce()
}

// announce wakes who waits for a change. The caller holds mu.
func (c *Capture) announce() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// current is what the server should know, and a channel that closes when that changes.
func (c *Capture) current() (wire.PublisherStatus, FeedInfo, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	status := c.status
	if status.Detail == "" {
		var notes []string
		for _, about := range slices.Sorted(maps.Keys(c.notes)) {
			if c.notes[about] != "" {
				notes = append(notes, c.notes[about])
			}
		}
		status.Detail = clip(strings.Join(notes, " "))
	}
	return status, c.feed, c.changed
}

// micros is t on the clock of this process that TIME_REQ and the mapping to the server's epoch speak of.
func (c *Capture) micros(t time.Time) int64 { return int64(t.Sub(c.origin) / time.Microsecond) }

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
