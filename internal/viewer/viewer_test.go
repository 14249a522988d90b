package viewer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/ws"
	"sightline/internal/viewer"
	"sightline/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// player is the other end of a session, in a bubble of testing/synctest, and the viewer.Conn to it at once.
type player struct {
	t     testing.TB
	hub   *hub.Hub
	epoch media.Epoch
	pub   *hub.Publisher
	ended chan error // what Serve returned
	stop  context.CancelFunc

	in   chan []byte // to the session
	done chan struct{}

	mu     sync.Mutex
	got    [][]byte // messages from the session
	proof  proof
	code   transport.Code // of Close
	reason string
	// before, if not nil, runs on the session's goroutine before a message is taken; it may block.
	before func(message []byte)
	tried  int // by the fan
}

func (p *player) ReadMessage() ([]byte, error) {
	select {
	case b := <-p.in:
		return b, nil
	case <-p.done:
		return nil, transport.ErrClosed
	}
}

func (p *player) Watch(*ws.Poller, func([]byte, error)) bool { return false }

func (p *player) WriteMessage(b []byte) error {
	p.mu.Lock()
	before := p.before
	p.mu.Unlock()
	if before != nil {
		before(b)
	}
	select {
	case <-p.done:
		return transport.ErrClosed
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, bytes.Clone(b))
	p.proof.check(p.t, b)
	return nil
}

// proof checks that no delta is sent without its reference, of all that any test of this room has a session send.
type proof struct {
	generation map[media.RenditionID]uint8  // of the last CONFIG
	whole      map[media.RenditionID]uint32 // the last access unit sent whole under it
}

func (p *proof) check(t testing.TB, b []byte) {
	if p.whole == nil {
		p.generation, p.whole = map[media.RenditionID]uint8{}, map[media.RenditionID]uint32{}
	}
	switch wire.Type(b[0]) {
	case wire.TypeConfig:
		c, err := wire.ParseConfig(b)
		if err != nil {
			t.Error(err)
		}
		p.generation[c.Rendition] = c.Generation
		delete(p.whole, c.Rendition)
	case wire.TypeMedia:
		h, _, err := wire.ParseMedia(b)
		if err != nil {
			t.Error(err)
		}
		if generation, ok := p.generation[h.Rendition]; !ok || generation != h.Generation {
			t.Errorf("access unit %d of generation %d without its CONFIG", h.Seq, h.Generation)
		}
		if h.ChunkIndex == 0 {
			if last, ok := p.whole[h.Rendition]; !h.Key() && (!ok || last != h.Seq-uint32(h.DepDelta)) {
				t.Errorf("delta %d of rendition %d without its reference %d", h.Seq, h.Rendition, h.Seq-uint32(h.DepDelta))
			}
			delete(p.whole, h.Rendition)
		}
		if h.ChunkIndex+1 == h.ChunkCount {
			p.whole[h.Rendition] = h.Seq
		}
	}
}

func (p *player) WriteFramed(b []byte) error {
	for n := 0; len(b) > 0; b = b[n:] {
		head := 2
		n = int(b[1])
		switch b[1] {
		case 126:
			head, n = 4, int(b[2])<<8|int(b[3])
		case 127:
			head, n = 10, int(b[6])<<24|int(b[7])<<16|int(b[8])<<8|int(b[9])
		}
		if err := p.WriteMessage(b[head : head+n]); err != nil {
			return err
		}
		n += head
	}
	return nil
}

// TryWriteFramed takes what comes, unless a test has the network wait; of every third message a part is left.
func (p *player) TryWriteFramed(b []byte) (sent, whole bool) {
	p.mu.Lock()
	p.tried++
	part, wait := p.tried%3 == 0, p.before != nil
	p.mu.Unlock()
	if wait || p.WriteFramed(b) != nil {
		return false, false
	}
	return true, !part
}

func (p *player) Flush() error { return nil }

func (p *player) Prefetch() {}

func (p *player) Close(code transport.Code, reason string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.code == 0 {
		p.code, p.reason = code, reason
		close(p.done)
	}
	return nil
}

// places is how many viewers there may be at once.
const places = 3

func connect(t testing.TB, opts viewer.Options) *player {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	opts.Epoch = media.NewEpoch()
	p := &player{
		t: t, hub: hub.New(hub.Options{MaxViewers: places}, opts.Epoch.Now), epoch: opts.Epoch,
		ended: make(chan error, 1), stop: cancel, in: make(chan []byte), done: make(chan struct{}),
	}
	p.hub.Declare("door")
	pub, err := p.hub.Publish("door")
	if err != nil {
		t.Fatal(err)
	}
	p.pub = pub
	pub.SetRenditions(ladder())
	pub.SetStatus(media.StateLive, "", "fine")
	opts.Fan = viewer.NewFan()
	go opts.Fan.Run(ctx)
	go func() { p.ended <- viewer.Serve(ctx, "door", p, p.hub, opts, slog.New(slog.DiscardHandler)) }()
	return p
}

func ladder() []media.Rendition {
	return []media.Rendition{
		{ID: 1, Name: "720p", Codec: media.CodecH264, Height: 720, MaxBitrateBps: 2_500_000},
		{ID: 2, Name: "360p", Codec: media.CodecH264, Height: 360},
		{ID: 3, Name: "mjpeg", Codec: media.CodecJPEG, Height: 544},
	}
}

// send brings messages to the session and waits until all is dealt with.
func (p *player) send(messages ...[]byte) {
	for _, m := range messages {
		select {
		case p.in <- m:
		case <-p.done:
		}
	}
	synctest.Wait()
}

// status is the last STATUS of all that take would give now.
func (p *player) status() wire.ViewerStatus {
	p.t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range slices.Backward(p.got) {
		if wire.Type(b[0]) == wire.TypeStatus {
			var s wire.ViewerStatus
			if err := wire.ParseJSON(b, wire.TypeStatus, &s); err != nil {
				p.t.Error(err)
			}
			return s
		}
	}
	p.t.Error("no STATUS")
	return wire.ViewerStatus{}
}

// take gives what the session sent since the last call, in words.
func (p *player) take() []string {
	synctest.Wait()
	p.mu.Lock()
	got := p.got
	p.got = nil
	p.mu.Unlock()
	var words []string
	for _, b := range got {
		words = append(words, describe(p.t, b))
	}
	return words
}

func describe(t testing.TB, b []byte) string {
	t.Helper()
	var err error
	word := fmt.Sprintf("0x%02x", b[0])
	switch wire.Type(b[0]) {
	case wire.TypeStatus:
		var s wire.ViewerStatus
		err = wire.ParseJSON(b, wire.TypeStatus, &s)
		word = fmt.Sprintf("status %s %d %q", s.State, s.Rendition, s.Detail)
		for _, reason := range slices.Sorted(maps.Keys(s.Dropped)) {
			word += fmt.Sprintf(" %s=%d", reason, s.Dropped[reason])
		}
	case wire.TypeConfig:
		var c wire.Config
		c, err = wire.ParseConfig(b)
		word = fmt.Sprintf("config %d", c.Rendition)
	case wire.TypeMedia:
		var h wire.MediaHeader
		h, _, err = wire.ParseMedia(b)
		word = fmt.Sprintf("delta %d", h.Seq)
		if h.Key() {
			word = fmt.Sprintf("key %d", h.Seq)
		}
		if h.ChunkCount > 1 {
			word += fmt.Sprintf(" %d/%d", h.ChunkIndex+1, h.ChunkCount)
		}
	case wire.TypeTimeResp:
		var r wire.TimeResp
		r, err = wire.ParseTimeResp(b)
		word = fmt.Sprintf("time %d", r.ID)
	case wire.TypeAbort:
		var a wire.Abort
		a, err = wire.ParseAbort(b)
		word = fmt.Sprintf("abort %d", a.Seq)
	}
	if err != nil {
		t.Errorf("from the session: %v", err)
	}
	return word
}

func (p *player) expect(what string, words ...string) {
	p.t.Helper()
	if got := p.take(); strings.Join(got, "; ") != strings.Join(words, "; ") {
		p.t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "; "), strings.Join(words, "; "))
	}
}

// end is what Serve returned and what the player was told; the session must have ended.
func (p *player) end() (code transport.Code, err error) {
	p.t.Helper()
	synctest.Wait()
	select {
	case err := <-p.ended:
		return p.code, err
	default:
		p.t.Fatal("the session goes on")
		return 0, nil
	}
}

// leave ends the session from the outside.
func (p *player) leave() {
	p.t.Helper()
	p.stop()
	if code, err := p.end(); !errors.Is(err, context.Canceled) || code != transport.CodeGoingAway {
		p.t.Errorf("the session ended with %v and code %d", err, code)
	}
	if n := p.hub.Streams()[0].Viewers; n != 0 {
		p.t.Errorf("%d viewers left behind", n)
	}
}

func hello(codecs ...string) []byte {
	return wire.AppendJSON(nil, wire.TypeHello, wire.ViewerHello{Player: "test/1", Codecs: codecs, Mode: "live"})
}

func ctrl(op wire.CtrlOp, arg uint16) []byte {
	return wire.AppendCtrl(nil, wire.Ctrl{Op: op, Arg: arg})
}

// publish sends an access unit of n bytes; a delta refers to the one before.
func (p *player) publish(id media.RenditionID, key bool, seq uint32, n int) {
	p.t.Helper()
	config, seq, ok := p.pub.Stamp(id, seq)
	if !ok {
		codec := ladder()[id-1].Codec
		err := p.pub.Configure(id, hub.Config{Rendition: media.Rendition{Codec: codec}}, func(c hub.Config) []byte {
			return frame(wire.AppendConfig(nil, wire.Config{
				Codec: codec, Rendition: id, Generation: c.Generation, Width: 16, Height: 16, CodecString: "avc1.42c01f",
			}))
		})
		if err != nil {
			p.t.Fatal(err)
		}
		config, seq, _ = p.pub.Stamp(id, seq)
	}
	h := wire.MediaHeader{Rendition: id, Generation: config.Generation, Seq: seq}
	if key {
		h.Flags = wire.FlagKey
	} else {
		h.DepDelta = 1
	}
	payload := make([]byte, n)
	au := &hub.AccessUnit{Config: config, Key: key, Seq: seq, DepDelta: h.DepDelta, Capture: p.epoch.Now(), Received: p.epoch.Now(), Bytes: n}
	for i := range wire.Chunks(n) {
		au.Chunks = append(au.Chunks, frame(wire.AppendChunk(nil, h, payload, i)))
	}
	p.pub.Publish(au)
}

func frame(m []byte) []byte { return append(ws.AppendFrameHeader(nil, len(m)), m...) }

func TestServe_StatusConfigKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.publish(1, true, 0, 10)
		p.publish(1, false, 1, 10)
		p.expect("before HELLO")
		p.send(hello("h264"))
		p.expect("after HELLO", `status live 1 "fine"`, "config 1", "key 0", "delta 1")
		p.publish(1, false, 2, 10)
		p.expect("then", "delta 2")
		p.pub.SetStatus(media.StateStalled, "", "no pictures")
		p.expect("a new status", `status stalled 1 "no pictures"`)
		p.leave()
	})
}

// What the fan could not send goes out before what is queued behind it: the proof of every test here looks at the order.
func TestServe_FanAndSessionKeepTheOrder(t *testing.T) {
	p := connect(t, viewer.Options{})
	p.in <- hello("h264")
	const pairs = 2000
	for i := range uint32(pairs) {
		p.publish(1, true, 2*i, wire.MaxChunkPayload+1) // in two chunks: never the fan's
		p.publish(1, false, 2*i+1, 10)
		runtime.Gosched()
	}
	p.stop()
	_ = <-p.ended
}

func TestServe_LateViewerWaitsForAKeyframe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.publish(1, true, 0, 10)
		time.Sleep(time.Second)
		p.publish(1, false, 1, 10)
		p.send(hello("h264"))
		p.publish(1, false, 2, 10)
		p.expect("deltas only", `status live 1 "fine"`)
		p.publish(1, true, 3, 10)
		p.expect("a keyframe", "config 1", "key 3")
		p.leave()
	})
}

func TestServe_ControlGoesAheadOfMediaBetweenChunks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.send(hello("h264"))
		p.expect("status", `status live 1 "fine"`)
		chunk, more := make(chan struct{}), make(chan struct{})
		p.before = func(b []byte) {
			if wire.Type(b[0]) == wire.TypeMedia {
				chunk <- struct{}{}
				<-more
			}
		}
		p.publish(1, true, 0, 3*wire.MaxChunkPayload)
		<-chunk
		p.send(wire.AppendTimeReq(nil, wire.TimeReq{ID: 7})) // while the first chunk is on its way
		more <- struct{}{}
		for range 2 {
			<-chunk
			more <- struct{}{}
		}
		p.expect("between chunks", "config 1", "key 0 1/3", "time 7", "key 0 2/3", "key 0 3/3")
		p.leave()
	})
}

// slow has each chunk take d.
func slow(d time.Duration) func([]byte) {
	return func(b []byte) {
		if wire.Type(b[0]) == wire.TypeMedia {
			time.Sleep(d)
		}
	}
}

func TestServe_StaleRestIsAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.send(hello("h264"))
		p.publish(1, true, 0, 10)
		p.expect("a start", `status live 1 "fine"`, "config 1", "key 0")
		p.pub.Demand()
		p.before = slow(300 * time.Millisecond)
		p.publish(1, false, 1, 4*wire.MaxChunkPayload)
		synctest.Wait()
		p.publish(1, false, 2, 10) // refers to what will be abandoned
		time.Sleep(601 * time.Millisecond)
		p.expect("two chunks of four", "delta 1 1/4", "delta 1 2/4", "abort 1")
		if keys := p.pub.Demand().Keys; len(keys) != 1 || keys[0] != 1 {
			t.Errorf("keyframes asked for: %v", keys)
		}
		p.publish(1, false, 3, 10)
		p.publish(1, true, 4, 10)
		time.Sleep(300 * time.Millisecond)
		p.expect("then", "key 4")
		time.Sleep(time.Second)
		p.expect("what was dropped is told", `status live 1 "fine" reference=2 stale=1`)
		p.leave()
	})
}

func TestServe_KeyframeIsNeverAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.before = slow(400 * time.Millisecond)
		p.send(hello("h264"))
		p.publish(1, true, 0, 3*wire.MaxChunkPayload)
		time.Sleep(1201 * time.Millisecond)
		got := strings.Join(p.take(), "; ")
		if !strings.Contains(got, "key 0 1/3; key 0 2/3; key 0 3/3") {
			t.Errorf("over a path that is slower than staleness allows: %s", got)
		}
		p.leave()
	})
}

func TestServe_ViewerWhoIsAlwaysBehindIsStillTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.before = slow(40 * time.Millisecond)
		p.send(hello("h264"))
		told := false
		for i := range uint32(100) { // a picture each 33 ms over a path that takes 40 for one
			if i == 30 {
				p.pub.SetStatus(media.StateStalled, "", "later")
			}
			p.publish(1, i%5 == 0, i, 10)
			time.Sleep(33 * time.Millisecond)
			for _, word := range p.take() {
				told = told || strings.HasPrefix(word, "status stalled")
			}
		}
		if !told {
			t.Error("the status never got through")
		}
		time.Sleep(time.Second)
		p.leave()
	})
}

func TestServe_Renditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.send(hello("h264"))
		p.expect("the tallest", `status live 1 "fine"`)
		p.send(ctrl(wire.CtrlMaxHeight, 360))
		p.expect("fewer lines", `status live 2 "fine"`)
		p.publish(1, true, 0, 10)
		p.publish(2, true, 0, 10)
		p.expect("its pictures", "config 2", "key 0")
		p.send(ctrl(wire.CtrlRendition, 1))
		p.expect("pinned", `status live 1 "fine"`)
		p.publish(2, false, 1, 10)
		p.publish(1, false, 1, 10)
		p.expect("until a keyframe comes", "delta 1")
		p.publish(1, true, 2, 10)
		p.publish(2, false, 2, 10)
		p.expect("and then", "config 1", "key 2")
		p.pub.SetRenditions(ladder()[1:])
		p.expect("the pinned one goes", `status live 2 "fine"`, "config 2", "key 0", "delta 1", "delta 2")
		p.pub.SetRenditions(ladder())
		p.expect("and comes back", `status live 1 "fine"`)
		p.send(ctrl(wire.CtrlAuto, 0))
		p.expect("no longer pinned", `status live 2 "fine"`)
		p.publish(2, false, 3, 10)
		p.expect("and nothing was missed", "delta 3")
		p.pub.SetRenditions(ladder()[2:])
		p.expect("nothing it decodes", `status live 2 "This player decodes [\"h264\"], and the stream has none of them."`)
		time.Sleep(3 * time.Second)
		p.expect("that is told once")
		p.send(hello("h264", "jpeg"))
		p.expect("another HELLO", `status live 3 "fine"`)
		p.leave()
	})
}

func TestServe_ATileNeverGetsMoreLinesThanItShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.pub.SetRenditions([]media.Rendition{
			{ID: 1, Name: "1080p", Codec: media.CodecH264, Height: 1088},
			{ID: 2, Name: "368p", Codec: media.CodecH264, Height: 368},
		})
		p.send(wire.AppendJSON(nil, wire.TypeHello, wire.ViewerHello{Player: "test/1", Codecs: []string{"h264"}, MaxHeight: 320}))
		for seq := range uint32(60) {
			if d := p.pub.Demand(); len(d.Renditions) != 1 || d.Renditions[0] != 2 {
				t.Fatalf("encoded are %v", d.Renditions)
			}
			p.publish(1, seq%30 == 0, seq, 10)
			p.publish(2, seq%30 == 0, seq, 10)
			time.Sleep(33 * time.Millisecond)
		}
		if s := p.status(); s.Rendition != 2 || s.Limit != wire.LimitSize {
			t.Errorf("told rendition %d, limit %q", s.Rendition, s.Limit)
		}
		if got := strings.Join(p.take(), "; "); strings.Contains(got, "config 1") || !strings.Contains(got, "config 2") {
			t.Errorf("sent: %s", got)
		}
		p.leave()
	})
}

func TestServe_TheListOfRenditionsIsToldWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.send(hello("h264"))
		names := func() (names []string) {
			for _, r := range p.status().Renditions {
				names = append(names, r.Name)
			}
			p.take()
			return names
		}
		if got := names(); !slices.Equal(got, []string{"720p", "360p"}) {
			t.Errorf("told at first: %v, want what it decodes", got)
		}
		p.pub.SetStatus(media.StateStalled, "", "no pictures")
		if got := names(); got != nil {
			t.Errorf("told again: %v", got)
		}
		p.pub.SetRenditions(ladder()[1:])
		if got := names(); !slices.Equal(got, []string{"360p"}) {
			t.Errorf("told when one went: %v", got)
		}
		p.leave()
	})
}

func TestServe_PauseAndKeyRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.send(hello("h264"))
		p.publish(1, true, 0, 10)
		p.expect("a start", `status live 1 "fine"`, "config 1", "key 0")
		p.send(ctrl(wire.CtrlPause, 0))
		p.publish(1, false, 1, 10)
		p.expect("paused")
		time.Sleep(time.Second)
		p.send(ctrl(wire.CtrlResume, 0))
		p.publish(1, false, 2, 10)
		p.publish(1, true, 3, 10)
		p.publish(1, false, 4, 10)
		p.expect("resumed", `key 3`, "delta 4")
		p.send(wire.AppendKeyReq(nil, wire.KeyReq{Rendition: 1, Reason: wire.KeyDecoderError}))
		p.publish(1, false, 5, 10)
		p.publish(1, true, 6, 10)
		p.expect("after KEYREQ", "key 6")
		p.leave()
	})
}

func TestServe_TimeBeforeHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		time.Sleep(time.Second)
		p.send(wire.AppendTimeReq(nil, wire.TimeReq{ID: 3, T1: 42}))
		synctest.Wait()
		now := p.epoch.Now()
		r, err := wire.ParseTimeResp(p.got[0])
		if want := (wire.TimeResp{ID: 3, T1: 42, T2: now, T3: now}); err != nil || r != want {
			t.Errorf("got %+v, %v, want %+v", r, err, want)
		}
		p.leave()
	})
}

func renew(ticket string) []byte {
	return wire.AppendJSON(nil, wire.TypeRenew, wire.Renew{Ticket: ticket})
}

func TestServe_LeaveIsRenewedAndTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{Until: 1000, Renew: func(ticket string) (media.Timestamp, error) {
			if ticket != "good" {
				return 0, errors.New("no such ticket")
			}
			return 2000, nil
		}})
		defer p.stop()
		p.send(hello("h264"))
		if st := p.status(); st.Until != 1000 {
			t.Errorf("until %d at first, want 1000", st.Until)
		}
		p.send(renew("bad"))
		time.Sleep(time.Second)
		p.send(renew("good"))
		if st := p.status(); st.Until != 2000 {
			t.Errorf("until %d, want 2000", st.Until)
		}
	})
}

func TestServe_FiguresAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []viewer.Figures
		p := connect(t, viewer.Options{Tell: func(f viewer.Figures) { told = append(told, f) }})
		defer p.stop()
		stats := wire.AppendJSON(nil, wire.TypeStats, wire.ViewerStats{
			PaintP50: 25_000, PaintP95: 40_000, ClockError: 500, Painted: 30, Dropped: 2, BitrateBps: 1_000_000,
		})
		p.send(stats, hello("jpeg"))
		p.send(stats)
		want := viewer.Figures{
			PaintP50: 25 * time.Millisecond, PaintP95: 40 * time.Millisecond, ClockError: 500 * time.Microsecond,
			Painted: 30, Dropped: 2, BitrateBps: 1_000_000,
		}
		if len(told) != 2 || told[0] != want {
			t.Fatalf("told %+v", told)
		}
		want.Rendition = ladder()[2]
		if told[1] != want {
			t.Errorf("told %+v, want %+v", told[1], want)
		}
	})
}

func TestServe_Ends(t *testing.T) {
	many := make([][]byte, 251)
	for i := range many {
		many[i] = ctrl(wire.CtrlAuto, 0)
	}
	for _, tc := range []struct {
		name     string
		opts     viewer.Options
		messages [][]byte
		after    time.Duration
		code     transport.Code
	}{
		{"leave renewed over and over", viewer.Options{}, [][]byte{hello("h264"), renew("a"), renew("b")}, 0, transport.CodePolicy},
		{"an empty RENEW", viewer.Options{}, [][]byte{renew("")}, 0, transport.CodeMalformed},
		{"no HELLO", viewer.Options{}, nil, 10 * time.Second, transport.CodeUnresponsive},
		{"too many messages", viewer.Options{}, many, 0, transport.CodePolicy},
		{"HELLO without codecs", viewer.Options{}, [][]byte{hello()}, 0, transport.CodeMalformed},
		{"a short FEEDBACK", viewer.Options{}, [][]byte{{byte(wire.TypeFeedback), 0}}, 0, transport.CodeMalformed},
		{"an unknown CTRL", viewer.Options{}, [][]byte{ctrl(99, 0)}, 0, transport.CodeMalformed},
		{"a KEYREQ without a reason", viewer.Options{}, [][]byte{wire.AppendKeyReq(nil, wire.KeyReq{})}, 0, transport.CodeMalformed},
		{"STATS that is no JSON", viewer.Options{}, [][]byte{{byte(wire.TypeStats), 'x', 'y'}}, 0, transport.CodeMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				p := connect(t, tc.opts)
				defer p.stop()
				p.send(tc.messages...)
				err := <-p.ended
				if took := time.Since(begin); took != tc.after {
					t.Errorf("it took %s, want %s", took, tc.after)
				}
				if p.code != tc.code || p.reason == "" {
					t.Errorf("the player is told %d %q, want %d", p.code, p.reason, tc.code)
				}
				var fault *wire.MalformedError
				var closed *transport.CloseError
				switch tc.code {
				case transport.CodeMalformed:
					if !errors.As(err, &fault) {
						t.Errorf("got %v", err)
					}
				default:
					if !errors.As(err, &closed) || closed.Code != tc.code {
						t.Errorf("got %v", err)
					}
				}
			})
		})
	}
}

func TestServe_RateOfMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.send(hello("h264"))
		for range 500 { // 250 a second are allowed
			p.send(ctrl(wire.CtrlAuto, 0), []byte{0xf0, 1})
			time.Sleep(8100 * time.Microsecond)
		}
		p.leave()
	})
}

func TestServe_CannotJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		synctest.Wait()
		join := func(id media.StreamID) (*player, error) {
			q := &player{t: t, done: make(chan struct{})}
			return q, viewer.Serve(t.Context(), id, q, p.hub, viewer.Options{Epoch: p.epoch, Fan: viewer.NewFan()}, slog.New(slog.DiscardHandler))
		}
		if q, err := join("nowhere"); !errors.Is(err, hub.ErrNoStream) || q.code != transport.CodeNoStream {
			t.Errorf("no stream: %v, code %d", err, q.code)
		}
		var others []*hub.Subscription
		for range places - 1 {
			other, err := p.hub.Subscribe("door")
			if err != nil {
				t.Fatal(err)
			}
			others = append(others, other)
		}
		if q, err := join("door"); !errors.Is(err, hub.ErrFull) || q.code != transport.CodePolicy {
			t.Errorf("full: %v, code %d", err, q.code)
		}
		for _, other := range others {
			other.Close()
		}
		p.leave()
	})
}

func FuzzServe(f *testing.F) {
	list := func(messages ...[]byte) []byte {
		var b []byte
		for _, m := range messages {
			b = append(append(b, byte(len(m))), m...)
		}
		return b
	}
	f.Add(list(hello("h264"), ctrl(wire.CtrlPause, 0), ctrl(wire.CtrlResume, 0), wire.AppendTimeReq(nil, wire.TimeReq{})))
	f.Add(list(hello("jpeg"), ctrl(wire.CtrlRendition, 2), wire.AppendFeedback(nil, wire.Feedback{}), hello("h264")))
	f.Add(list(hello("av1"), wire.AppendKeyReq(nil, wire.KeyReq{Reason: wire.KeyLost}), []byte{0x7f}))
	f.Fuzz(func(t *testing.T, script []byte) {
		synctest.Test(t, func(t *testing.T) {
			p := connect(t, viewer.Options{})
			seq := uint32(0)
			for len(script) > 1 {
				n := min(int(script[0]), len(script)-1)
				m := script[1 : 1+n]
				script = script[1+n:]
				if n > 0 {
					p.send(m)
				}
				for id := range media.RenditionID(3) {
					p.publish(id+1, id == 2 || seq%4 == 0, seq, 10)
				}
				seq++
				time.Sleep(30 * time.Millisecond)
			}
			synctest.Wait()
			p.stop()
			_, _ = p.end()
			var decoded wire.MediaHeader
			for _, b := range p.got {
				if wire.Type(b[0]) != wire.TypeMedia {
					continue
				}
				h, _, err := wire.ParseMedia(b)
				if err != nil || !h.Key() && (h.Rendition != decoded.Rendition || h.Seq-uint32(h.DepDelta) != decoded.Seq) {
					t.Errorf("sent %+v after %+v, %v", h, decoded, err)
				}
				decoded = h
			}
		})
	})
}
