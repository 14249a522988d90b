// Package watch is a viewer without a screen: it joins a stream as the player does, checks that what arrives can be
// decoded, and measures it. It decodes nothing. Dialling and credentials are the caller's. Run owns its goroutines.
package watch

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/wire"
)

// Options say what to watch for.
type Options struct {
	Player    string   // how the viewer calls itself
	Codecs    []string // best first; empty: h264, jpeg
	MaxHeight int      // lines; 0: no limit
	Prefer    wire.Preference
	// Sink, if not nil, takes each whole access unit that can be decoded. The bytes are its own to keep.
	Sink func(wire.Config, wire.MediaHeader, []byte) error
	// Observe, if not nil, is told of each picture that can be decoded. It is called by the goroutine that reads.
	Observe func(Picture)
	// Watch, if not nil, has somebody read from conn and call heard with each message, and at the end with an error, and reports whether it does.
	Watch func(conn transport.Conn, heard func(message []byte, err error)) bool
	// Dial, if not nil, opens a second connection beside one that has fallen silent, and calls answered as soon as anything
	// of the server's is here.
	Dial func(ctx context.Context, answered func()) (transport.Conn, error)
}

// Picture is what was measured of one picture.
type Picture struct {
	At     time.Time `json:"at"`     // when its last byte was here
	Age    float64   `json:"age_ms"` // from capture to the last byte; -1 while the server's clock is not known
	Bytes  int       `json:"bytes"`
	Height int       `json:"height"`
	Key    bool      `json:"key"`
}

// Stats are what a viewer saw since the last call of Viewer.Stats.
type Stats struct {
	State       media.State `json:"state"`
	Detail      string      `json:"detail,omitempty"`
	Codec       string      `json:"codec,omitempty"`
	Width       int         `json:"width,omitempty"`
	Height      int         `json:"height,omitempty"`
	FPS         float64     `json:"fps"`
	BitrateBps  int         `json:"bitrate_bps"`
	LatencyP50  float64     `json:"p50_ms"` // capture to the last byte received
	LatencyP95  float64     `json:"p95_ms"`
	ClockError  float64     `json:"clock_error_ms"`
	Frames      int         `json:"frames"`
	Undecodable int         `json:"undecodable"` // arrived without their reference: the server must never send such
	Dropped     uint64      `json:"dropped"`     // not sent by the server since the connection opened
	MaxGap      float64     `json:"max_gap_ms"`  // longest time between two pictures
	Takeovers   int         `json:"takeovers"`   // silent connections that a second one replaced
}

// Viewer watches one stream. Make one with New; Run it once. Stats is safe to call meanwhile.
type Viewer struct {
	opts Options
	zero time.Time

	sinking sync.Mutex // around Sink: one connection at a time

	mu        sync.Mutex
	main      *link // the connection that is watched
	rival     *link // a second one that may take over; nil for none
	blackout  blackout
	since     time.Time
	frames    int
	bytes     int
	bad       int
	latencies []time.Duration
	lastFrame time.Time
	maxGap    time.Duration
	takeovers int
}

// New takes over conn.
func New(conn transport.Conn, opts Options) *Viewer {
	if len(opts.Codecs) == 0 {
		opts.Codecs = []string{media.CodecH264.String(), media.CodecJPEG.String()}
	}
	now := time.Now()
	v := &Viewer{opts: opts, zero: now, since: now, blackout: blackout{trips: dialTrips}}
	v.main = v.newLink(conn)
	return v
}

func (v *Viewer) elapsed() time.Duration { return time.Since(v.zero) }

func (v *Viewer) now() int64 { return v.elapsed().Microseconds() }

// Run watches until the server ends it or ctx is done, and closes the connection. The error is never nil: a
// *transport.CloseError tells why the server ended it.
func (v *Viewer) Run(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	begin := func(l *link, open func(context.Context) error) {
		ctx, stop := context.WithCancel(ctx)
		l.stop = stop
		running.Go(func() {
			defer stop()
			err := open(ctx)
			if err == nil {
				err = l.run(ctx)
			}
			if v.forget(l) {
				end(err)
			}
		})
	}
	begin(v.main, func(context.Context) error { return nil })
	var look <-chan time.Time
	if v.opts.Dial != nil {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		look = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			running.Wait()
			return context.Cause(ctx)
		case <-look:
			v.look(begin)
		}
	}
}

// look does what is to be done about a silence. begin begins a link.
func (v *Viewer) look(begin func(l *link, open func(context.Context) error)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.elapsed()
	path := pathState{
		expects: v.main.status.State == media.StateLive, carriesBps: v.main.status.CarriesBps,
		askedAt: v.main.askedAt, answered: v.rival != nil && v.rival.answered,
	}
	if _, bound, ok := v.main.sync.At(now.Microseconds(), now.Microseconds()); ok {
		path.rtt = 2 * bound
	}
	switch v.blackout.look(now, path, rand.Float64()) {
	case adviseWait:
	case adviseAsk:
		wake(v.main.ask)
	case adviseConnect:
		v.dropRival()
		v.rival = v.newLink(nil)
		begin(v.rival, v.rival.dial)
	case adviseStop:
		v.dropRival()
	}
}

// settle reports whether a picture that came over l, which can be decoded, is to be shown. With its first one the second connection
// takes over. v.mu is held.
func (v *Viewer) settle(l *link) bool {
	if v.rival == l {
		v.main.stop()
		v.main, v.rival = l, nil
		v.takeovers++
		v.blackout.over(v.elapsed())
	}
	return v.main == l // otherwise it was replaced
}

// dropRival ends the second connection, if there is one. v.mu is held.
func (v *Viewer) dropRival() {
	if v.rival != nil {
		v.rival.stop()
		v.rival = nil
	}
}

// forget takes in that l ended and reports whether it was the one that is watched.
func (v *Viewer) forget(l *link) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.rival == l {
		v.rival = nil
	}
	return v.main == l
}

// Stats tells what was seen since the last call.
func (v *Viewer) Stats() Stats {
	v.mu.Lock()
	defer v.mu.Unlock()
	now, main := time.Now(), v.main
	seconds := max(now.Sub(v.since), time.Millisecond).Seconds()
	st := Stats{
		State: main.status.State, Detail: main.status.Detail,
		Width: main.config.Width, Height: main.config.Height,
		FPS: float64(v.frames) / seconds, BitrateBps: int(float64(v.bytes) * 8 / seconds),
		Frames: v.frames, Undecodable: v.bad, MaxGap: milliseconds(v.maxGap),
		Takeovers: v.takeovers,
	}
	if main.config.Codec.Valid() {
		st.Codec = main.config.Codec.String()
	}
	for _, n := range main.status.Dropped {
		st.Dropped += n
	}
	slices.Sort(v.latencies)
	if n := len(v.latencies); n > 0 {
		st.LatencyP50, st.LatencyP95 = milliseconds(v.latencies[n/2]), milliseconds(v.latencies[n*95/100])
	}
	t := v.now()
	if _, bound, ok := main.sync.At(t, t); ok {
		st.ClockError = milliseconds(bound)
	}
	v.since, v.frames, v.bytes, v.bad, v.maxGap, v.takeovers, v.latencies = now, 0, 0, 0, 0, 0, v.latencies[:0]
	return st
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
