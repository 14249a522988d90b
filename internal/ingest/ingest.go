// Package ingest joins one publish connection, a child's socket or an agent's WebSocket alike, to one hub publisher. It
// checks everything that comes in, since a publisher may have been taken over, and turns each access unit into the bytes
// that all viewers share. It knows no auth and no processes. Serve owns its goroutines.
package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"sightline/internal/adapt"
	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

// helloTimeout is how long a publisher may take to say what it publishes.
const helloTimeout = 10 * time.Second

// A publisher says something each second at least. One that has said nothing for stalledAfter is called stalled, as a camera without pictures is;
// after goneAfter its connection ends, so that it can be replaced.
const (
	stalledAfter = 3 * time.Second
	goneAfter    = 10 * time.Second
)

// wantSpacing is the least time between two WANT messages that differ in their targets alone.
const wantSpacing = 100 * time.Millisecond

// maxClockError is how far a capture time may be from the time of arrival before it is taken for wrong and replaced.
const maxClockError = 10 * time.Second

// session is one publisher's connection.
type session struct {
	conn  transport.Conn
	hub   *hub.Hub
	pub   *hub.Publisher
	epoch media.Epoch
	log   *slog.Logger

	// Owned by the reader.
	announced map[media.RenditionID]media.Rendition
	partial   map[media.RenditionID]*assembly
	progress  map[media.RenditionID]progress
	padding   Padding
	overhead  overhead // of padding; the writer reads it too

	hello chan struct{} // closed by the reader at the first HELLO

	mu     sync.Mutex
	yields map[media.RenditionID]*adapt.Yield // guarded by mu
	spoke  bool                               // the publisher said anything at all; guarded by mu
	heard  media.Timestamp                    // when the publisher said anything last; guarded by mu
	status wire.PublisherStatus               // as the publisher said last; guarded by mu
	silent bool                               // for so long that viewers are told; guarded by mu
}

// assembly is an access unit of which chunks are still to come.

type assembly struct {
	head    wire.MediaHeader // of chunk 0
	capture media.Timestamp  // what goes to viewers
	chunks  [][]byte
}

// progress is what a rendition's access units have come to, as the publisher numbers them.
type progress struct {
	begun     bool
	newest    uint32 // meaningful if begun
	decodable bool   // a keyframe came since the last CONFIG
	reference uint32 // the newest that is not DISCARDABLE; meaningful if decodable
}

// Options describe a publisher's session.
type Options struct {
	Epoch media.Epoch
	// LeftState, LeftCause and LeftDetail are what the stream is left in when the publisher is gone. One that said nothing leaves it as it was.
	LeftState  media.State
	LeftCause  media.Cause
	LeftDetail string // one sentence for people
	// Padding hides what access units come to from whoever sees the encrypted bytes.
	Padding Padding
}

// Serve publishes what comes over conn as stream id until either side ends it or ctx is done, and closes conn. The
// returned error is never nil; it wraps hub.ErrTaken when the stream has a publisher, ctx's cause, a *wire.MalformedError when
// the publisher broke the protocol, or a *transport.CloseError. log is expected to name the stream.
func Serve(
	ctx context.Context, id media.StreamID, conn transport.Conn, h *hub.Hub, opts Options, log *slog.Logger,
) error {
	pub, err := h.Publish(id)
	if err != nil {
		_ = conn.Close(transport.CodeTaken, "this stream has a publisher already; stop it first")
		return err
	}
	s := &session{
		conn: conn, hub: h, pub: pub, epoch: opts.Epoch, log: log,
		partial: map[media.RenditionID]*assembly{}, progress: map[media.RenditionID]progress{},
		hello: make(chan struct{}), padding: opts.Padding, yields: map[media.RenditionID]*adapt.Yield{},
		heard: opts.Epoch.Now(),
	}
	defer s.leave(opts)
	return fmt.Errorf("publish %s: %w", id, transport.Converse(ctx, conn, goodbye, s.read, s.steer))
}

// leave ends the publisher, once nothing of the session runs any more.
func (s *session) leave(opts Options) {
	if !s.spoke && !s.silent {
		s.pub.Abandon()
		return
	}
	s.pub.Close(opts.LeftState, opts.LeftCause, opts.LeftDetail)
}

// goodbye is what the publisher is told when the session ends by cause.
func goodbye(cause error) (transport.Code, string) {
	return wire.Goodbye(cause, "the server ends this connection")
}

// steer tells the publisher what to encode.
func (s *session) steer(ctx context.Context) error {
	timer := time.NewTimer(helloTimeout)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return &transport.CloseError{Code: transport.CodeUnresponsive, Reason: fmt.Sprintf("no HELLO within %s", helloTimeout)}
	case <-s.hello:
	}
	listen := time.NewTicker(time.Second)
	defer listen.Stop()
	var sent wire.Want
	var sentAt media.Timestamp
	for first := true; ; first = false {
		d := s.pub.Demand()
		want := s.wanted(d)
		retargeted := slices.EqualFunc(sent.Renditions, want.Renditions, sameRendition)
		switch due := sentAt.Add(wantSpacing); {
		case !first && slices.Equal(sent.Renditions, want.Renditions):
		case !first && retargeted && s.epoch.Now() < due:
			if d.Again == 0 || d.Again > due {
				d.Again = due
			}
		default:
			if err := s.conn.WriteMessage(wire.AppendJSON(nil, wire.TypeWant, want)); err != nil {
				return err
			}
			sent, sentAt = want, s.epoch.Now()
			s.log.Debug("renditions wanted", "renditions", want.Renditions)
		}
		for _, id := range d.Keys {
			if err := s.conn.WriteMessage(wire.AppendKeyReq(nil, wire.KeyReq{Rendition: id, Reason: wire.KeyLost})); err != nil {
				return err
			}
		}
		var again <-chan time.Time
		if d.Again != 0 {
			timer.Reset(s.hub.Until(d.Again))
			again = timer.C
		}
		if err := s.wait(ctx, again, listen.C); err != nil {
			return err
		}
	}
}

// wait returns nil when there may be something new to tell the publisher. Meanwhile it listens whether the publisher says anything.
func (s *session) wait(ctx context.Context, again, listen <-chan time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.pub.Wake():
			return nil
		case <-again:
			return nil
		case <-listen:
			if err := s.listen(s.epoch.Now()); err != nil {
				return err
			}
		}
	}
}

// listen finds out how long the publisher has been silent. The error says that it is gone.
func (s *session) listen(now media.Timestamp) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch silence := now.Sub(s.heard); {
	case silence >= goneAfter:
		return &transport.CloseError{Code: transport.CodeUnresponsive, Reason: fmt.Sprintf("nothing received for %s", goneAfter)}
	case silence >= stalledAfter && !s.silent && s.status.State != "":
		s.silent = true
		s.log.Warn("the publisher says nothing", "for", silence.Round(time.Second))
		s.pub.SetStatus(media.StateStalled, media.CauseUnheard, fmt.Sprintf("Nothing comes from its publisher; it is given up after %s.", goneAfter))
	}
	return nil
}

// hear takes note that the publisher said something.
func (s *session) hear(now media.Timestamp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard, s.spoke = now, true
	if s.silent {
		s.silent = false
		s.pub.SetStatus(s.status.State, s.status.Cause, s.status.Detail)
	}
}

// wanted is what a publisher is told of d: it is asked for so much that, padded, it makes what is wanted.
func (s *session) wanted(d hub.Demand) wire.Want {
	want := wire.Want{Renditions: make([]wire.WantedRendition, 0, len(d.Renditions))}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range d.Renditions {
		y := s.yields[id]
		if y == nil {
			y = &adapt.Yield{}
			s.yields[id] = y
		}
		want.Renditions = append(want.Renditions, wire.WantedRendition{ID: id, BitrateBps: y.Ask(s.overhead.without(id, d.Targets[id])), MaxFrameRateMilli: d.FrameRates[id]})
	}
	return want
}

// made takes in a picture of n bytes.
func (s *session) made(id media.RenditionID, n int, now media.Timestamp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if y := s.yields[id]; y != nil {
		y.Made(n, now)
	}
}

// sameRendition tells whether a and b differ in their targets at most.
func sameRendition(a, b wire.WantedRendition) bool { return a.ID == b.ID }

// read takes messages until the connection ends.
func (s *session) read() error {
	for {
		b, err := s.conn.ReadMessage()
		if err != nil {
			return err
		}
		s.hear(s.epoch.Now())
		if err := s.take(b); err != nil {
			return err
		}
	}
}

func (s *session) take(b []byte) error {
	switch wire.Type(b[0]) {
	case wire.TypeMedia:
		return s.takeMedia(b)
	case wire.TypeConfig:
		return s.takeConfig(b)
	case wire.TypeTimeReq:
		t2 := s.epoch.Now()
		r, err := wire.ParseTimeReq(b)
		if err != nil {
			return err
		}
		return s.conn.WriteMessage(wire.AppendTimeResp(nil, wire.TimeResp{ID: r.ID, T1: r.T1, T2: t2, T3: s.epoch.Now()}))
	case wire.TypeHello:
		return s.takeHello(b)
	case wire.TypeStatus:
		var st wire.PublisherStatus
		if err := wire.ParseJSON(b, wire.TypeStatus, &st); err != nil {
			return err
		}
		if !st.Cause.Known() {
			st.Cause = "" // a newer publisher's, or no word at all
		}
		s.setStatus(wire.PublisherStatus{State: st.State, Cause: st.Cause, Detail: plain(st.Detail)})
	case wire.TypeStats:
		var st wire.PublisherStats
		if err := wire.ParseJSON(b, wire.TypeStats, &st); err != nil {
			return err
		}
		for _, r := range st.Renditions {
			s.pub.SetFigures(r.ID, hub.Figures{
				BitrateBps: r.BitrateBps, EncodeP50: micros(r.EncodeP50), EncodeP95: micros(r.EncodeP95), PSNR: r.PSNR, SSIM: r.SSIM,
				Skipped: r.Skipped,
			})
		}
		s.log.Debug("publisher", "renditions", st.Renditions)
	}
	return nil // a type we do not know is skipped
}

func (s *session) setStatus(st wire.PublisherStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.State != s.status.State {
		s.log.Info("source", "state", st.State, "detail", st.Detail)
	}
	s.status = st
	s.pub.SetStatus(st.State, st.Cause, st.Detail)
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// plain keeps what a publisher says from carrying control characters to logs and pages.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

func (s *session) takeHello(b []byte) error {
	var h wire.PublisherHello
	if err := wire.ParseJSON(b, wire.TypeHello, &h); err != nil {
		return err
	}
	list := make([]media.Rendition, 0, len(h.Renditions))
	announced := map[media.RenditionID]media.Rendition{}
	for _, info := range h.Renditions {
		r := info.Media()
		r.Name, r.Encoder = plain(r.Name), plain(r.Encoder)
		list = append(list, r)
		announced[r.ID] = r
	}
	for id, before := range s.announced {
		if announced[id].Codec != before.Codec { // gone, or another thing under the same number: it begins with a CONFIG
			delete(s.partial, id)
			delete(s.progress, id)
		}
	}
	s.announced = announced
	s.pub.SetOrigin(hub.Origin{Source: plain(h.Source), Sandbox: plain(h.Sandbox)})
	s.pub.SetRenditions(list)
	select {
	case <-s.hello:
	default:
		s.log.Info("publisher connected", "agent", plain(h.Agent), "source", plain(h.Source), "renditions", len(list))
		close(s.hello)
	}
	return nil
}

func (s *session) takeConfig(b []byte) error {
	c, err := wire.ParseConfig(b)
	if err != nil {
		return err
	}
	announced, ok := s.announced[c.Rendition]
	if !ok || announced.Codec != c.Codec {
		return malformed("CONFIG", "rendition %d is not announced as %s", c.Rendition, c.Codec)
	}
	delete(s.partial, c.Rendition)
	p := s.progress[c.Rendition]
	p.decodable = false
	s.progress[c.Rendition] = p
	return s.pub.Configure(c.Rendition, hub.Config{
		Rendition:     media.Rendition{Codec: c.Codec, Width: c.Width, Height: c.Height, FrameRateMilli: int(c.FrameRateMilli)},
		CodecString:   c.CodecString,
		TargetBitrate: int(c.TargetBitrateBps),
	}, func(hc hub.Config) []byte {
		c.Generation = hc.Generation
		return frame(wire.AppendConfig(nil, c))
	})
}

// frame puts message behind its WebSocket frame header.
func frame(message []byte) []byte {
	return append(ws.AppendFrameHeader(make([]byte, 0, ws.MaxFrameHeader+len(message)), len(message)), message...)
}

func (s *session) takeMedia(b []byte) error {
	h, _, err := wire.ParseMedia(b)
	if err != nil {
		return err
	}
	config, seq, ok := s.pub.Stamp(h.Rendition, h.Seq)
	if !ok {
		return malformed("MEDIA", "rendition %d before its CONFIG", h.Rendition)
	}
	now := s.epoch.Now()
	a := s.partial[h.Rendition]
	switch {
	case h.ChunkIndex == 0 && a != nil:
		return malformed("MEDIA", "access unit %d begins before %d ended", h.Seq, a.head.Seq)
	case h.ChunkIndex == 0:
		if err := s.advance(config.Rendition.Codec, h); err != nil {
			return err
		}
		a = &assembly{head: h, capture: plausible(h.Capture, now), chunks: make([][]byte, 0, h.ChunkCount)}
		s.partial[h.Rendition] = a
	case a == nil || int(h.ChunkIndex) != len(a.chunks) || !sameUnit(a.head, h):
		return malformed("MEDIA", "chunk %d of access unit %d out of order", h.ChunkIndex, h.Seq)
	}
	framed := frame(b)
	message := framed[len(framed)-len(b):]
	wire.RestampMedia(message, config.Generation, seq, h.Flags)
	wire.SetCapture(message, a.capture)
	a.chunks = append(a.chunks, framed)
	if len(a.chunks) < int(h.ChunkCount) {
		return nil
	}
	delete(s.partial, h.Rendition)
	padding := s.padding.fill(a.chunks)
	s.overhead.add(h.Rendition, int(h.TotalLen), padding)
	s.made(h.Rendition, int(h.TotalLen), now)
	s.pub.Publish(&hub.AccessUnit{
		Config: config, Key: h.Key(), Seq: seq, DepDelta: h.DepDelta,
		Capture: a.capture, Received: now, Bytes: int(h.TotalLen) + padding, Chunks: a.chunks,
	})
	return nil
}

// advance takes the access unit that begins with h for the next of its rendition, if it may follow those before it.
func (s *session) advance(codec media.Codec, h wire.MediaHeader) error {
	p := s.progress[h.Rendition]
	switch {
	case p.begun && int32(h.Seq-p.newest) <= 0:
		return malformed("MEDIA", "access unit %d after %d", h.Seq, p.newest)
	case codec == media.CodecJPEG && !h.Key():
		return malformed("MEDIA", "access unit %d is a JPEG that is no KEY", h.Seq)
	case !h.Key() && (!p.decodable || h.Seq-uint32(h.DepDelta) != p.reference):
		return malformed("MEDIA", "access unit %d refers to one that was not sent", h.Seq)
	}
	p.begun, p.newest, p.decodable = true, h.Seq, true
	if h.Key() || h.Flags&wire.FlagDiscardable == 0 {
		p.reference = h.Seq
	}
	s.progress[h.Rendition] = p
	return nil
}

func malformed(message, format string, args ...any) error {
	return &wire.MalformedError{Message: message, Problem: fmt.Sprintf(format, args...)}
}

// plausible gives capture, or now where capture cannot be right.
func plausible(capture, now media.Timestamp) media.Timestamp {
	if d := now.Sub(capture); d > maxClockError || d < -maxClockError {
		return now
	}
	return capture
}

func sameUnit(a, b wire.MediaHeader) bool {
	b.ChunkIndex = a.ChunkIndex
	return a == b
}
