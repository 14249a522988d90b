// Package watch is a viewer without a screen: it joins a stream as the player does, checks that what arrives can be
// decoded, and measures it. It decodes nothing. Dialling and credentials are the caller's. Run owns its goroutines.
package watch

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"sightline/internal/clock"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/wire"
)

// Options say what to watch for.
type Options struct {
	Player    string   // how the viewer calls itself
	Codecs    []string // best first; empty: h264, jpeg
	MaxHeight int      // lines; 0: no limit
	// Sink, if not nil, takes each whole access unit that can be decoded. The bytes are its own to keep.
	Sink func(wire.Config, wire.MediaHeader, []byte) error
	// Observe, if not nil, is told of each picture that can be decoded. It is called by the goroutine that reads.
	Observe func(Picture)
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
}

const (
	firstExchanges = 5
	firstSpacing   = 150 * time.Millisecond
	laterSpacing   = 2 * time.Second
	feedbackEvery  = 100 * time.Millisecond
)

// Viewer is one connection's state. Make one with New; Run it once. Stats is safe to call meanwhile.
type Viewer struct {
	conn transport.Conn
	opts Options
	zero time.Time

	// Owned by the reader.
	partial []byte
	head    wire.MediaHeader
	pace    pace
	next    uint16                       // chunk index expected, 0 when between access units
	good    map[media.RenditionID]uint32 // the last one decodable that is not DISCARDABLE
	configs map[media.RenditionID]wire.Config

	hurry chan struct{} // from the reader: acknowledge now

	mu        sync.Mutex
	sync      clock.Sync
	status    wire.ViewerStatus
	config    wire.Config
	feedback  wire.Feedback
	fresh     bool // media arrived since the last feedback
	since     time.Time
	frames    int
	bytes     int
	bad       int
	latencies []time.Duration
	lastFrame time.Time
	maxGap    time.Duration
}

// New takes over conn.
func New(conn transport.Conn, opts Options) *Viewer {
	if len(opts.Codecs) == 0 {
		opts.Codecs = []string{media.CodecH264.String(), media.CodecJPEG.String()}
	}
	now := time.Now()
	return &Viewer{
		conn: conn, opts: opts, zero: now, since: now,
		good: map[media.RenditionID]uint32{}, configs: map[media.RenditionID]wire.Config{},
		hurry: make(chan struct{}, 1),
	}
}

func (v *Viewer) now() int64 { return time.Since(v.zero).Microseconds() }

// Run watches until the server ends it or ctx is done, and closes the connection. The error is never nil: a
// *transport.CloseError tells why the server ended it.
func (v *Viewer) Run(ctx context.Context) error {
	hello := wire.ViewerHello{Player: v.opts.Player, Codecs: v.opts.Codecs, MaxHeight: v.opts.MaxHeight, Mode: "live"}
	if err := v.conn.WriteMessage(wire.AppendJSON(nil, wire.TypeHello, hello)); err != nil {
		return err
	}
	goodbye := func(error) (transport.Code, string) { return transport.CodeNormal, "" }
	return transport.Converse(ctx, v.conn, goodbye, v.read, v.talk)
}

// talk asks for the time and tells what arrived.
func (v *Viewer) talk(ctx context.Context) error {
	var id uint16
	ask := func() error {
		id++
		return v.conn.WriteMessage(wire.AppendTimeReq(nil, wire.TimeReq{ID: id, T1: v.now()}))
	}
	if err := ask(); err != nil {
		return err
	}
	clockTimer := time.NewTimer(firstSpacing)
	defer clockTimer.Stop()
	feedback := time.NewTicker(feedbackEvery)
	defer feedback.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-clockTimer.C:
			if err := ask(); err != nil {
				return err
			}
			if id < firstExchanges {
				clockTimer.Reset(firstSpacing)
			} else {
				clockTimer.Reset(laterSpacing)
			}
		case <-feedback.C:
			if err := v.acknowledge(); err != nil {
				return err
			}
		case <-v.hurry:
			if err := v.acknowledge(); err != nil {
				return err
			}
		}
	}
}

// acknowledge tells what arrived, if anything did since the last time.
func (v *Viewer) acknowledge() error {
	v.mu.Lock()
	f, fresh := v.feedback, v.fresh
	v.fresh = false
	v.mu.Unlock()
	if !fresh {
		return nil
	}
	return v.conn.WriteMessage(wire.AppendFeedback(nil, f))
}

func (v *Viewer) read() error {
	for {
		b, err := v.conn.ReadMessage()
		if err != nil {
			return err
		}
		if err := v.take(b); err != nil {
			_ = v.conn.Close(transport.CodeMalformed, err.Error())
			return err
		}
	}
}

func (v *Viewer) take(b []byte) error {
	v.mu.Lock()
	v.bytes += len(b)
	v.feedback.Received += uint32(len(b))
	v.mu.Unlock()
	switch wire.Type(b[0]) {
	case wire.TypeMedia:
		return v.takeMedia(b)
	case wire.TypeConfig:
		c, err := wire.ParseConfig(b)
		if err != nil {
			return err
		}
		v.configs[c.Rendition] = c
		delete(v.good, c.Rendition)
		v.mu.Lock()
		v.config = c
		v.mu.Unlock()
	case wire.TypeTimeResp:
		t4 := v.now()
		r, err := wire.ParseTimeResp(b)
		if err != nil {
			return err
		}
		v.mu.Lock()
		v.sync.Add(r, t4)
		v.mu.Unlock()
	case wire.TypeStatus:
		var st wire.ViewerStatus
		if err := wire.ParseJSON(b, wire.TypeStatus, &st); err != nil {
			return err
		}
		v.mu.Lock()
		v.status = st
		v.mu.Unlock()
	case wire.TypeAbort:
		a, err := wire.ParseAbort(b)
		if err != nil {
			return err
		}
		v.next = 0
		delete(v.good, a.Rendition)
	}
	return nil
}

func (v *Viewer) takeMedia(b []byte) error {
	h, payload, err := wire.ParseMedia(b)
	if err != nil {
		return err
	}
	if h.ChunkIndex != v.next || (v.next > 0 && (h.Seq != v.head.Seq || h.Rendition != v.head.Rendition)) {
		problem := fmt.Sprintf("chunk %d of access unit %d, want chunk %d", h.ChunkIndex, h.Seq, v.next)
		return &wire.MalformedError{Message: "MEDIA", Problem: problem}
	}
	if h.ChunkIndex == 0 {
		v.head = h
		if v.opts.Sink != nil {
			v.partial = make([]byte, 0, h.TotalLen)
		}
	}
	if v.opts.Sink != nil {
		v.partial = append(v.partial, payload...)
	}
	v.next = h.ChunkIndex + 1
	if v.next < h.ChunkCount {
		return nil
	}
	v.next = 0
	config, configured := v.configs[h.Rendition]
	last, known := v.good[h.Rendition]
	decodable := configured && config.Generation == h.Generation &&
		(h.Key() || (known && h.Seq-uint32(h.DepDelta) == last))
	v.count(h, config, decodable)
	if !decodable {
		return nil
	}
	if h.Key() || h.Flags&wire.FlagDiscardable == 0 {
		v.good[h.Rendition] = h.Seq
	}
	if v.opts.Sink != nil {
		return v.opts.Sink(config, h, v.partial)
	}
	return nil
}

func (v *Viewer) count(h wire.MediaHeader, config wire.Config, decodable bool) {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if !decodable {
		v.bad++
		return
	}
	v.frames++
	if !v.lastFrame.IsZero() {
		v.maxGap = max(v.maxGap, now.Sub(v.lastFrame))
	}
	v.lastFrame = now
	t := v.now()
	v.feedback.Rendition, v.feedback.Seq, v.fresh = h.Rendition, h.Seq, true
	picture := Picture{At: now, Age: -1, Bytes: int(h.TotalLen), Height: config.Height, Key: h.Key()}
	if at, bound, ok := v.sync.At(t, t); ok {
		v.latencies = append(v.latencies, at.Sub(h.Capture))
		v.feedback.Arrival, v.feedback.ClockError = at, uint32(bound.Microseconds())
		picture.Age = milliseconds(at.Sub(h.Capture))
	}
	elapsed := time.Duration(t) * time.Microsecond
	if v.pace.Arrived(elapsed, elapsed-time.Duration(h.Capture)*time.Microsecond) {
		select {
		case v.hurry <- struct{}{}:
		default:
		}
	}
	if v.opts.Observe != nil {
		v.opts.Observe(picture)
	}
}

// Stats tells what was seen since the last call.
func (v *Viewer) Stats() Stats {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	seconds := max(now.Sub(v.since), time.Millisecond).Seconds()
	st := Stats{
		State: v.status.State, Detail: v.status.Detail,
		Width: v.config.Width, Height: v.config.Height,
		FPS: float64(v.frames) / seconds, BitrateBps: int(float64(v.bytes) * 8 / seconds),
		Frames: v.frames, Undecodable: v.bad, MaxGap: milliseconds(v.maxGap),
	}
	if v.config.Codec.Valid() {
		st.Codec = v.config.Codec.String()
	}
	for _, n := range v.status.Dropped {
		st.Dropped += n
	}
	slices.Sort(v.latencies)
	if n := len(v.latencies); n > 0 {
		st.LatencyP50, st.LatencyP95 = milliseconds(v.latencies[n/2]), milliseconds(v.latencies[n*95/100])
	}
	t := v.now()
	if _, bound, ok := v.sync.At(t, t); ok {
		st.ClockError = milliseconds(bound)
	}
	v.since, v.frames, v.bytes, v.bad, v.maxGap, v.latencies = now, 0, 0, 0, 0, v.latencies[:0]
	return st
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
