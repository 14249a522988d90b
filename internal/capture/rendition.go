package capture

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"sightline/internal/media"
	"sightline/internal/wire"
)

const (
	// encoderRetry is the wait after an encoder could not be made.
	encoderRetry = 2 * time.Second
	// jump is a distance between two pictures that the player should not take for a slow frame.
	jump = time.Second
)

// stream is one rendition on one connection: its encoder, while it is wanted, and the access units that come of it.
type stream struct {
	c    *Capture
	s    *session
	id   media.RenditionID
	spec Rendition
	log  *slog.Logger

	// Owned by run.
	enc        Encoder
	doneScale  func()         // ends enc's use of the scales
	inspector  *inspector     // of enc's output; nil if that cannot be compared
	encOpts    EncoderOptions // those enc was made with
	target     wire.WantedRendition
	frameRate  int // the rate control's
	configured bool
	config     wire.Config // the last one sent
	generation uint8
	seq        uint32
	lastAt     time.Time
	due        time.Time // of the next picture, under a frame rate limit
	out        []byte

	mu      sync.Mutex
	want    *wire.WantedRendition // nil: not wanted
	stop    context.CancelFunc    // ends the context of the current want
	changed chan struct{}         // closed and replaced when want becomes or leaves nil
	kick    chan struct{}         // after askKey
	gate    keyGate
	stats   streamStats
}

type streamStats struct {
	encoded, skipped, bytes int
	delays                  []time.Duration // of encoding
	similar                 similarity      // newest; zero: none yet. It stays when the rest is counted anew
}

func newStream(c *Capture, s *session, id media.RenditionID, spec Rendition) *stream {
	return &stream{
		c: c, s: s, id: id, spec: spec, log: c.log.With("rendition", spec.Name),
		changed: make(chan struct{}), kick: make(chan struct{}, 1), seq: rand.Uint32(), stop: func() {},
	}
}

// setWant starts, changes or, with nil, stops the rendition.
func (st *stream) setWant(w *wire.WantedRendition) {
	st.mu.Lock()
	defer st.mu.Unlock()
	started, stopped := st.want == nil && w != nil, st.want != nil && w == nil
	st.want = w
	switch {
	case started:
		st.gate = keyGate{pending: true}
		st.c.demand.add(1)
	case stopped:
		st.stop()
		st.c.demand.add(-1)
	default:
		return
	}
	close(st.changed)
	st.changed = make(chan struct{})
}

// askKey notes a KEYREQ.
func (st *stream) askKey() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.gate.ask()
	select {
	case st.kick <- struct{}{}:
	default:
	}
}

// run encodes, or passes on, whenever the rendition is wanted. The error is one of the connection.
func (st *stream) run(ctx context.Context) error {
	for {
		st.mu.Lock()
		wanted, changed := st.want != nil, st.changed
		var wantCtx context.Context
		if wanted {
			wantCtx, st.stop = context.WithCancel(ctx)
		}
		st.mu.Unlock()
		if !wanted {
			select {
			case <-ctx.Done():
				return nil
			case <-changed:
			}
			continue
		}
		var err error
		if _, feed, _ := st.c.current(); st.spec.Passthrough || st.spec.passes(feed) {
			err = st.relayWhile(wantCtx)
		} else {
			err = st.encodeWhile(wantCtx)
			st.closeEncoder()
		}
		st.mu.Lock()
		st.stop()
		st.mu.Unlock()
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// encodeWhile encodes the newest picture, over and over, until ctx ends or the source's own coding will do.
func (st *stream) encodeWhile(ctx context.Context) error {
	st.c.demand.addPictures(1)
	defer st.c.demand.addPictures(-1)
	var seen uint64
	st.lastAt, st.due = time.Time{}, time.Time{}
	if _, feed, _ := st.c.current(); feed.Height > 0 {
		_ = st.prepare(feed) // while the source comes to speed; a failure comes again with the first picture
	}
	for {
		p, n := st.c.slot.next(ctx, seen)
		if p == nil {
			return nil
		}
		if seen > 0 {
			st.count(func(s *streamStats) { s.skipped += int(n - seen - 1) })
		}
		seen = n
		if _, feed, _ := st.c.current(); st.spec.passes(feed) {
			p.Release()
			return nil
		}
		if err := st.encode(ctx, p); err != nil {
			return err
		}
	}
}

// prepare makes the encoder that a source of this size needs, unless it is there.
func (st *stream) prepare(feed FeedInfo) error {
	st.adoptTarget()
	w, h := st.spec.size(feed.Width, feed.Height)
	rate := st.spec.rateMilli(feed.FrameRateMilli, 0)
	bitrate := st.bitrate()
	if st.enc != nil && st.encOpts.Width == w && st.encOpts.Height == h && st.encOpts.FrameRateMilli == rate {
		if limited := st.spec.rateMilli(feed.FrameRateMilli, st.target.MaxFrameRateMilli); bitrate != st.encOpts.BitrateBps || limited != st.frameRate {
			st.enc.SetRate(bitrate, limited)
			st.encOpts.BitrateBps, st.frameRate = bitrate, limited
		}
		return nil
	}
	st.closeEncoder()
	o := EncoderOptions{Codec: st.spec.Codec, Width: w, Height: h, FrameRateMilli: rate, BitrateBps: bitrate, Preset: st.spec.Preset, Encoder: st.spec.Encoder}
	enc, err := st.c.engine.NewEncoder(o)
	if err != nil {
		return err
	}
	st.enc, st.encOpts, st.frameRate, st.configured, st.doneScale = enc, o, rate, false, func() {}
	if o.Codec == media.CodecH264 { // JPEG's pictures have a format of their own
		if st.doneScale, err = st.c.scales.use(w, h); err != nil {
			st.doneScale = func() {}
			st.closeEncoder()
			return err
		}
	}
	if e, ok := st.c.engine.(Decoders); ok {
		st.inspector = newInspector(e, o.Codec, &st.c.turns)
	}
	if limited := st.spec.rateMilli(feed.FrameRateMilli, st.target.MaxFrameRateMilli); limited != rate {
		st.enc.SetRate(bitrate, limited)
		st.frameRate = limited
	}
	return nil
}

// adoptTarget takes over the rates that the server asked for last.
func (st *stream) adoptTarget() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.want != nil {
		st.target = *st.want
	}
}

// bitrate is the one asked for, within what the rendition allows.
func (st *stream) bitrate() int {
	if st.target.BitrateBps == 0 {
		return st.spec.BitrateBps
	}
	return min(max(st.target.BitrateBps, st.spec.MinBitrateBps), st.spec.BitrateBps)
}

func (st *stream) closeEncoder() {
	if st.enc != nil {
		st.enc.Close()
		st.enc = nil
		st.doneScale()
	}
	if st.inspector != nil {
		st.inspector.close()
		st.inspector = nil
	}
	st.count(func(s *streamStats) { s.similar = similarity{} })
}

// encode codes one picture, which it releases, and sends it. Only a connection's error is returned; a picture that cannot be coded is reported and left out.
func (st *stream) encode(ctx context.Context, p *Picture) error {
	capture, ok := st.accepts(ctx, p)
	if !ok {
		p.Release()
		return nil
	}
	began := time.Now()
	st.mu.Lock()
	key := st.gate.due(began) || !st.configured
	st.mu.Unlock()
	scaled, err := st.c.scales.get(p, st.encOpts.Width, st.encOpts.Height)
	p.Release() // a slow encoder should not hold the source's picture, which may be much larger
	if err != nil {
		st.log.Error("picture not scaled", "error", err)
		return nil
	}
	defer scaled.Release()
	au, isKey, err := st.enc.Encode(scaled.Image, st.c.micros(p.At), key)
	done := time.Now()
	if err != nil {
		st.log.Error("picture not encoded", "error", err)
		st.closeEncoder() // the next picture gets a new one
		return nil
	}
	if !st.configured && !isKey {
		return fmt.Errorf("rendition %s: the encoder does not begin with a keyframe", st.spec.Name)
	}
	gap := !st.lastAt.IsZero() && p.At.Sub(st.lastAt) > jump
	st.lastAt = p.At
	if isKey {
		st.mu.Lock()
		st.gate.made(began)
		st.mu.Unlock()
	}
	if !st.configured {
		if err := st.configure(au); err != nil {
			return err
		}
	}
	h := wire.MediaHeader{
		Rendition: st.id, Generation: st.generation, Capture: capture,
		EncodeDelay: uint32(max(0, done.Sub(p.At)/time.Microsecond)),
	}
	switch {
	case st.spec.Codec == media.CodecJPEG:
		h.Flags = wire.FlagKey | wire.FlagDiscardable
	case isKey:
		h.Flags = wire.FlagKey
	default:
		h.DepDelta = 1
	}
	if gap {
		h.Flags |= wire.FlagDiscontinuity
	}
	st.count(func(s *streamStats) {
		s.encoded++
		s.bytes += len(au)
		s.delays = append(s.delays, done.Sub(began))
	})
	if err := st.send(h, au); err != nil {
		return err
	}
	if enc, ok := st.enc.(Comparable); ok && st.inspector != nil {
		st.inspect(au, isKey, enc.Input())
	}
	return nil
}

// accepts tells whether p is to be encoded, with an encoder that is ready for it, and when it was captured by the server's clock.
func (st *stream) accepts(ctx context.Context, p *Picture) (capture media.Timestamp, ok bool) {
	_, feed, _ := st.c.current()
	if err := st.prepare(feed); err != nil {
		st.log.Error("no encoder", "error", err)
		st.c.note("rendition "+st.spec.Name, fmt.Sprintf("Rendition %s cannot be encoded: %v.", st.spec.Name, err))
		sleep(ctx, encoderRetry)
		return 0, false
	}
	instead := ""
	if e, ok := st.enc.(Substitute); ok {
		instead = e.Instead()
	}
	st.c.note("rendition "+st.spec.Name, instead)
	if !p.At.After(st.lastAt) || !st.onTime(p.At, feed) {
		return 0, false
	}
	return st.s.epoch(p.At) // the server's clock may not be known yet, for a round trip more
}

// inspect compares what was made of input with it, when that is due.
func (st *stream) inspect(au []byte, isKey bool, input Canvas) {
	result, ok, err := st.inspector.see(au, isKey, input)
	if ok {
		st.count(func(s *streamStats) { s.similar = result })
	}
	if err != nil {
		st.log.Warn("quality is not measured", "error", err)
		st.inspector.close()
		st.inspector = nil
	}
}

// send gives h the next number and sends it with au. While this waits for a slow network the slot goes on, so the picture after this one is again the
// newest.
func (st *stream) send(h wire.MediaHeader, au []byte) error {
	st.s.order.Lock()
	defer st.s.order.Unlock()
	if !st.s.begun[st.id] { // it was withdrawn since its CONFIG
		st.configured = false
		return nil
	}
	h.Seq = st.seq
	st.seq++
	for i := range wire.Chunks(len(au)) {
		st.out = wire.AppendChunk(st.out[:0], h, au, i)
		if err := st.s.conn.WriteMessage(st.out); err != nil {
			return fmt.Errorf("send picture: %w", err)
		}
	}
	return nil
}

// configure sends CONFIG for an encoder whose first access unit is au.
func (st *stream) configure(au []byte) error {
	codec := "jpeg"
	if st.spec.Codec == media.CodecH264 {
		codec = codecString(au)
		if codec == "" {
			st.closeEncoder()
			return fmt.Errorf("rendition %s: the encoder gave a keyframe without parameters", st.spec.Name)
		}
	}
	return st.sendConfig(wire.Config{
		Codec: st.spec.Codec, Rendition: st.id, Width: st.encOpts.Width, Height: st.encOpts.Height,
		FrameRateMilli: uint32(st.frameRate), TargetBitrateBps: uint32(st.encOpts.BitrateBps), CodecString: codec,
	})
}

// sendConfig begins a new generation with c, if the server knows of such a rendition now.
func (st *stream) sendConfig(c wire.Config) error {
	st.s.order.Lock()
	defer st.s.order.Unlock()
	if st.s.announced[c.Rendition] != c.Codec {
		st.configured = false
		delete(st.s.begun, c.Rendition)
		return nil // HELLO is on its way, or has withdrawn it
	}
	st.config = c
	st.generation++
	c.Generation = st.generation
	st.out = wire.AppendConfig(st.out[:0], c)
	if err := st.s.conn.WriteMessage(st.out); err != nil {
		return fmt.Errorf("send configuration: %w", err)
	}
	st.configured, st.s.begun[c.Rendition] = true, true
	return nil
}

// onTime tells whether a picture taken at t is to be encoded under the rendition's frame rate. The schedule is absolute, so that the
// mean comes out right for any two rates, and forgives half an interval of jitter.
func (st *stream) onTime(t time.Time, feed FeedInfo) bool {
	limit := st.spec.FrameRateMilli
	if most := st.target.MaxFrameRateMilli; most > 0 && (limit == 0 || most < limit) {
		limit = most
	}
	if limit == 0 || feed.FrameRateMilli > 0 && limit >= feed.FrameRateMilli {
		return true
	}
	interval := time.Second * 1000 / time.Duration(limit)
	if t.Before(st.due.Add(-interval / 2)) {
		return false
	}
	if behind := t.Add(-interval / 2); st.due.Before(behind) {
		st.due = behind
	}
	st.due = st.due.Add(interval)
	return true
}

func (st *stream) count(f func(*streamStats)) {
	st.mu.Lock()
	defer st.mu.Unlock()
	f(&st.stats)
}

// takeStats gives the counts since the last call, which was over ago. A source's own coding has a bitrate to tell whenever the source is read.
func (st *stream) takeStats(over time.Duration) (wire.RenditionStats, bool) {
	own := 0
	if st.spec.Passthrough {
		own = st.c.relay.rate()
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	s := st.stats
	st.stats = streamStats{similar: s.similar}
	if st.want == nil && s.encoded == 0 && own == 0 {
		return wire.RenditionStats{}, false
	}
	slices.Sort(s.delays)
	quantile := func(percent int) int64 {
		if len(s.delays) == 0 {
			return 0
		}
		return int64(s.delays[(len(s.delays)-1)*percent/100] / time.Microsecond)
	}
	bps := own
	if bps == 0 {
		bps = int(float64(s.bytes*8) / over.Seconds())
	}
	return wire.RenditionStats{
		ID: st.id, Encoded: s.encoded, Skipped: s.skipped, EncodeP50: quantile(50), EncodeP95: quantile(95),
		BitrateBps: bps, PSNR: s.similar.psnr, SSIM: s.similar.ssim,
	}, true
}

// codecString is the RFC 6381 name of the H.264 access unit au, from its sequence parameter set; empty if it has none.
func codecString(au []byte) string {
	for i := 0; i+6 < len(au); i++ {
		if au[i] == 0 && au[i+1] == 0 && au[i+2] == 1 && au[i+3]&0x1f == 7 {
			return fmt.Sprintf("avc1.%02x%02x%02x", au[i+4], au[i+5], au[i+6])
		}
	}
	return ""
}
