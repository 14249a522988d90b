// Package ingest joins one publish connection, a child's socket or an agent's WebSocket alike, to one hub publisher. It checks everything
// that comes in, since a publisher may have been taken over, and turns each access unit into the bytes that all viewers share. It knows no auth and no processes.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"

	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

// helloTimeout is how long a publisher may take to say what it publishes.
const helloTimeout = 10 * time.Second

// maxClockError is how far a capture time may be from the time of arrival before it is taken for wrong and replaced.
const maxClockError = 10 * time.Second

// Session is one publisher's connection.
type Session struct {
	id    media.StreamID
	conn  transport.Conn
	hub   *hub.Hub
	pub   *hub.Publisher
	epoch media.Epoch
	log   *slog.Logger

	// Owned by the reader.
	codecs  map[media.RenditionID]media.Rendition
	partial map[media.RenditionID]*assembly
	last    map[media.RenditionID]lastSeq

	hello chan struct{} // closed at the first HELLO
}

type assembly struct {
	head    wire.MediaHeader // of chunk 0
	capture media.Timestamp  // what goes to viewers
	chunks  [][]byte
}

type lastSeq struct {
	seq  uint32
	good bool // seq went to viewers whole
}

// Options describe a publisher's session.
type Options struct {
	Epoch media.Epoch
	// Expires ends the session; the zero time never does.
	Expires time.Time
	// LeftState and LeftDetail are what the stream is left in when the publisher is gone.
	LeftState  media.State
	LeftDetail string // one sentence for people
}

// ErrExpired is why a session ended whose permission had a time limit.
var ErrExpired = errors.New("the permission to publish expired")

// Serve publishes what comes over conn as stream id until either side ends it, its time is up or ctx is done, and closes conn. The returned error
// wraps hub.ErrTaken when the stream has a publisher, or ErrExpired; it is never nil.
func Serve(ctx context.Context, id media.StreamID, conn transport.Conn, h *hub.Hub, opts Options, log *slog.Logger) error {
	pub, err := h.Publish(id)
	if err != nil {
		_ = conn.Close(transport.CodeTaken, "this stream has a publisher already; stop it first")
		return err
	}
	s := &Session{
		id: id, conn: conn, hub: h, pub: pub, epoch: opts.Epoch, log: log.With("stream", id),
		codecs: map[media.RenditionID]media.Rendition{}, partial: map[media.RenditionID]*assembly{}, last: map[media.RenditionID]lastSeq{},
		hello: make(chan struct{}),
	}
	defer pub.Close(opts.LeftState, opts.LeftDetail)
	if !opts.Expires.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, opts.Expires, ErrExpired)
		defer cancel()
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(s.read)
	group.Go(func() error { return s.steer(ctx) })
	group.Go(func() error {
		<-ctx.Done() // the others ended, time is up, or the caller wants an end: unblock the reader
		if errors.Is(context.Cause(ctx), ErrExpired) {
			_ = conn.Close(transport.CodeExpired, "the permission to publish has expired")
		} else {
			_ = conn.Close(transport.CodeGoingAway, "the server ends this connection")
		}
		return context.Cause(ctx)
	})
	err = group.Wait()
	return fmt.Errorf("publish %s: %w", id, err)
}

// steer tells the publisher what to encode.
func (s *Session) steer(ctx context.Context) error {
	timer := time.NewTimer(helloTimeout)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		_ = s.conn.Close(transport.CodeUnresponsive, "no HELLO in time")
		return errors.New("no HELLO in time")
	case <-s.hello:
	}
	var sent []media.RenditionID
	for first := true; ; first = false {
		d := s.pub.Demand()
		if first || !equal(sent, d.Renditions) {
			want := wire.Want{Renditions: make([]wire.WantedRendition, 0, len(d.Renditions))}
			for _, id := range d.Renditions {
				want.Renditions = append(want.Renditions, wire.WantedRendition{ID: id})
			}
			if err := s.conn.WriteMessage(wire.AppendJSON(nil, wire.TypeWant, want)); err != nil {
				return err
			}
			sent = d.Renditions
			s.log.Debug("renditions wanted", "renditions", len(sent))
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
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.pub.Wake():
		case <-again:
		}
	}
}

func equal(a, b []media.RenditionID) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// read takes messages until the connection ends.
func (s *Session) read() error {
	for {
		b, err := s.conn.ReadMessage()
		if err != nil {
			return err
		}
		if err := s.take(b); err != nil {
			_ = s.conn.Close(transport.CodeMalformed, err.Error())
			return err
		}
	}
}

func (s *Session) take(b []byte) error {
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
		s.log.Info("source", "state", st.State, "detail", plain(st.Detail))
		s.pub.SetStatus(st.State, plain(st.Detail))
	case wire.TypeStats:
		var st wire.PublisherStats
		if err := wire.ParseJSON(b, wire.TypeStats, &st); err != nil {
			return err
		}
		s.log.Debug("publisher", "renditions", st.Renditions)
	}
	return nil // a type we do not know is skipped
}

// plain keeps what a publisher says from carrying control characters to logs and pages.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

func (s *Session) takeHello(b []byte) error {
	var h wire.PublisherHello
	if err := wire.ParseJSON(b, wire.TypeHello, &h); err != nil {
		return err
	}
	list := make([]media.Rendition, 0, len(h.Renditions))
	codecs := map[media.RenditionID]media.Rendition{}
	for _, info := range h.Renditions {
		r := info.Media()
		r.Name = plain(r.Name)
		list = append(list, r)
		codecs[r.ID] = r
	}
	s.codecs = codecs
	s.pub.SetRenditions(list)
	select {
	case <-s.hello:
	default:
		s.log.Info("publisher connected", "agent", plain(h.Agent), "source", plain(h.Source), "renditions", len(list))
		close(s.hello)
	}
	return nil
}

func (s *Session) takeConfig(b []byte) error {
	c, err := wire.ParseConfig(b)
	if err != nil {
		return err
	}
	announced, ok := s.codecs[c.Rendition]
	if !ok || announced.Codec != c.Codec {
		return &wire.MalformedError{Message: "CONFIG", Problem: fmt.Sprintf("rendition %d is not announced as %s", c.Rendition, c.Codec)}
	}
	delete(s.partial, c.Rendition)
	s.last[c.Rendition] = lastSeq{}
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

func (s *Session) takeMedia(b []byte) error {
	h, _, err := wire.ParseMedia(b)
	if err != nil {
		return err
	}
	a := s.partial[h.Rendition]
	if h.ChunkIndex == 0 {
		if a != nil {
			return &wire.MalformedError{Message: "MEDIA", Problem: fmt.Sprintf("access unit %d begins before %d ended", h.Seq, a.head.Seq)}
		}
		a = &assembly{head: h, chunks: make([][]byte, 0, h.ChunkCount)}
	} else if a == nil || int(h.ChunkIndex) != len(a.chunks) || !sameUnit(a.head, h) {
		return &wire.MalformedError{Message: "MEDIA", Problem: fmt.Sprintf("chunk %d of access unit %d out of order", h.ChunkIndex, h.Seq)}
	}
	config, seq, ok := s.pub.Stamp(h.Rendition, h.Seq)
	if !ok {
		return &wire.MalformedError{Message: "MEDIA", Problem: fmt.Sprintf("rendition %d before its CONFIG", h.Rendition)}
	}
	framed := frame(b)
	message := framed[len(framed)-len(b):]
	wire.RestampMedia(message, config.Generation, seq, h.Flags)
	now := s.epoch.Now()
	if h.ChunkIndex == 0 {
		a.capture = plausible(h.Capture, now)
	}
	wire.SetCapture(message, a.capture)
	a.chunks = append(a.chunks, framed)
	if len(a.chunks) < int(h.ChunkCount) {
		s.partial[h.Rendition] = a
		return nil
	}
	delete(s.partial, h.Rendition)
	last := s.last[h.Rendition]
	good := h.Key() || (last.good && h.Seq-uint32(h.DepDelta) == last.seq)
	s.last[h.Rendition] = lastSeq{seq: h.Seq, good: good}
	if !good {
		return &wire.MalformedError{Message: "MEDIA", Problem: fmt.Sprintf("access unit %d refers to one that was not sent", h.Seq)}
	}
	s.pub.Publish(&hub.AccessUnit{
		Config: config, Key: h.Key(), Seq: seq, DepDelta: h.DepDelta,
		Capture: a.capture, Received: now, Bytes: int(h.TotalLen), Chunks: a.chunks,
	})
	return nil
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
