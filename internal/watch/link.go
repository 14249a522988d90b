package watch

import (
	"context"
	"fmt"
	"time"

	"sightline/internal/clock"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/wire"
)

const (
	firstExchanges = 5
	firstSpacing   = 150 * time.Millisecond
	laterSpacing   = 2 * time.Second
	overdueEvery   = 100 * time.Millisecond // looked for, once nothing arrives
	// dialTrips is how many round trips it takes until a dial is known to be answered, by TCP; dialTakes is the most time that
	// all of it may take.
	dialTrips, dialTakes = 1, 5 * time.Second
)

// link is one connection, and what is known by it alone.
type link struct {
	*Viewer
	conn transport.Conn     // nil until it is open
	stop context.CancelFunc // ends it

	// Owned by the reader.
	partial []byte
	head    wire.MediaHeader
	next    uint16                       // chunk index expected, 0 when between access units
	good    map[media.RenditionID]uint32 // the last one decodable that is not DISCARDABLE
	configs map[media.RenditionID]wire.Config

	due chan struct{} // from the reader, which must not wait for a server that waits for it: acknowledge now
	ask chan struct{} // from Run: ask for the time now

	// Guarded by Viewer.mu.
	sync     clock.Sync
	status   wire.ViewerStatus
	config   wire.Config
	feedback wire.Feedback
	pace     pace
	fresh    bool          // media arrived since the last feedback
	askedAt  time.Duration // when the time was asked for that came last
	answered bool          // anything of the server's has come over it, of a second connection
}

func (v *Viewer) newLink(conn transport.Conn) *link {
	return &link{
		Viewer: v, conn: conn, good: map[media.RenditionID]uint32{}, configs: map[media.RenditionID]wire.Config{},
		due: make(chan struct{}, 1), ask: make(chan struct{}, 1),
	}
}

// dial opens a second connection.
func (l *link) dial(ctx context.Context) (err error) {
	dialCtx, cancel := context.WithTimeout(ctx, dialTakes)
	defer cancel()
	l.conn, err = l.opts.Dial(dialCtx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.answered = true
	})
	return err
}

// run watches until the server ends it or ctx is done, and closes the connection. The error is never nil.
func (l *link) run(ctx context.Context) error {
	hello := wire.ViewerHello{Player: l.opts.Player, Codecs: l.opts.Codecs, MaxHeight: l.opts.MaxHeight, Mode: "live"}
	if err := l.conn.WriteMessage(wire.AppendJSON(nil, wire.TypeHello, hello)); err != nil {
		return err
	}
	if l.opts.Prefer != wire.PreferAuto {
		if err := l.conn.WriteMessage(wire.AppendCtrl(nil, wire.Ctrl{Op: wire.CtrlPrefer, Arg: uint16(l.opts.Prefer)})); err != nil {
			return err
		}
	}
	goodbye := func(error) (transport.Code, string) { return transport.CodeNormal, "" }
	return transport.Converse(ctx, l.conn, goodbye, l.read, l.talk)
}

// talk asks for the time and tells what arrived.
func (l *link) talk(ctx context.Context) error {
	var id uint16
	ask := func() error {
		id++
		return l.conn.WriteMessage(wire.AppendTimeReq(nil, wire.TimeReq{ID: id, T1: l.now()}))
	}
	if err := ask(); err != nil {
		return err
	}
	clockTimer := time.NewTimer(firstSpacing)
	defer clockTimer.Stop()
	silence := time.NewTimer(overdue)
	defer silence.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-clockTimer.C:
			err = ask()
			if id < firstExchanges {
				clockTimer.Reset(firstSpacing)
			} else {
				clockTimer.Reset(laterSpacing)
			}
		case <-l.ask:
			err = ask()
		case <-l.due:
			err = l.acknowledge()
			silence.Reset(overdue)
		case <-silence.C:
			if l.overdue() {
				err = l.acknowledge()
			}
			silence.Reset(overdueEvery)
		}
		if err != nil {
			return err
		}
	}
}

// acknowledge tells what arrived, if anything did since the last time.
func (l *link) acknowledge() error {
	l.mu.Lock()
	f, fresh := l.feedback, l.fresh
	l.fresh = false
	l.mu.Unlock()
	if !fresh {
		return nil
	}
	return l.conn.WriteMessage(wire.AppendFeedback(nil, f))
}

// overdue tells whether to acknowledge what arrived though nothing arrives now.
func (l *link) overdue() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fresh && l.pace.Overdue(l.elapsed())
}

func (l *link) read() error {
	end, over := make(chan error, 1), false
	heard := func(b []byte, err error) {
		if over {
			return
		}
		if err == nil {
			if err = l.take(b); err != nil {
				_ = l.conn.Close(transport.CodeMalformed, err.Error())
			}
		}
		if over = err != nil; over {
			end <- err
		}
	}
	if l.opts.Watch == nil || !l.opts.Watch(l.conn, heard) {
		for !over {
			heard(l.conn.ReadMessage())
		}
	}
	return <-end
}

func (l *link) take(b []byte) error {
	l.heard(len(b))
	switch wire.Type(b[0]) {
	case wire.TypeMedia:
		return l.takeMedia(b)
	case wire.TypeConfig:
		c, err := wire.ParseConfig(b)
		if err != nil {
			return err
		}
		l.configs[c.Rendition] = c
		delete(l.good, c.Rendition)
		l.mu.Lock()
		l.config = c
		l.mu.Unlock()
	case wire.TypeTimeResp:
		t4 := l.now()
		r, err := wire.ParseTimeResp(b)
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.sync.Add(r, t4)
		l.askedAt = time.Duration(r.T1) * time.Microsecond
		l.mu.Unlock()
	case wire.TypeStatus:
		var st wire.ViewerStatus
		if err := wire.ParseJSON(b, wire.TypeStatus, &st); err != nil {
			return err
		}
		l.mu.Lock()
		l.status = st
		l.mu.Unlock()
	case wire.TypeAbort:
		a, err := wire.ParseAbort(b)
		if err != nil {
			return err
		}
		l.next = 0
		delete(l.good, a.Rendition)
	}
	return nil
}

// heard takes in that n bytes of whatever message arrived.
func (l *link) heard(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes += n
	l.feedback.Received += uint32(n)
	if l.main == l {
		l.blackout.heard(l.elapsed())
	}
}

func (l *link) takeMedia(b []byte) error {
	h, payload, err := wire.ParseMedia(b)
	if err != nil {
		return err
	}
	if h.ChunkIndex != l.next || (l.next > 0 && (h.Seq != l.head.Seq || h.Rendition != l.head.Rendition)) {
		problem := fmt.Sprintf("chunk %d of access unit %d, want chunk %d", h.ChunkIndex, h.Seq, l.next)
		return &wire.MalformedError{Message: "MEDIA", Problem: problem}
	}
	if h.ChunkIndex == 0 {
		l.head = h
		if l.opts.Sink != nil {
			l.partial = make([]byte, 0, h.TotalLen)
		}
	}
	if l.opts.Sink != nil {
		l.partial = append(l.partial, payload...)
	}
	l.next = h.ChunkIndex + 1
	if l.next < h.ChunkCount {
		return nil
	}
	l.next = 0
	config, configured := l.configs[h.Rendition]
	last, known := l.good[h.Rendition]
	decodable := configured && config.Generation == h.Generation &&
		(h.Key() || (known && h.Seq-uint32(h.DepDelta) == last))
	if decodable && (h.Key() || h.Flags&wire.FlagDiscardable == 0) {
		l.good[h.Rendition] = h.Seq
	}
	l.sinking.Lock()
	defer l.sinking.Unlock()
	if !l.count(h, config, decodable) || l.opts.Sink == nil {
		return nil
	}
	return l.opts.Sink(config, h, l.partial)
}

// count takes in a whole access unit and reports whether it is to be shown: it can be decoded, and this is the connection
// that is watched, if only from now on.
func (l *link) count(h wire.MediaHeader, config wire.Config, decodable bool) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !decodable {
		l.bad++
		return false
	}
	elapsed := l.elapsed()
	t := elapsed.Microseconds()
	at, bound, synced := l.sync.At(t, t)
	l.feedback.Rendition, l.feedback.Seq, l.fresh = h.Rendition, h.Seq, true
	if synced {
		l.feedback.Arrival, l.feedback.ClockError = at, uint32(bound.Microseconds())
	}
	if l.pace.Arrived(elapsed, elapsed-time.Duration(h.Capture)*time.Microsecond) {
		wake(l.due)
	}
	if !l.settle(l) {
		return false
	}
	l.frames++
	if !l.lastFrame.IsZero() {
		l.maxGap = max(l.maxGap, now.Sub(l.lastFrame))
	}
	l.lastFrame = now
	picture := Picture{At: now, Age: -1, Bytes: int(h.TotalLen), Height: config.Height, Key: h.Key()}
	if synced {
		l.latencies = append(l.latencies, at.Sub(h.Capture))
		picture.Age = milliseconds(at.Sub(h.Capture))
	}
	if l.opts.Observe != nil {
		l.opts.Observe(picture)
	}
	return true
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
