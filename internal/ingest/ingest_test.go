package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sightline/internal/hub"
	"sightline/internal/ingest"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/pipe"
	"sightline/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// agent is the other end of a session, in a bubble of testing/synctest: what it sends has been dealt with when send
// returns, and time stands still meanwhile.
type agent struct {
	t     testing.TB
	conn  *pipe.Conn
	hub   *hub.Hub
	epoch media.Epoch
	log   *bytes.Buffer
	ended chan error // what Serve returned
	stop  context.CancelFunc

	mu    sync.Mutex // guards what the agent's reader got
	wants []wire.Want
	keys  []wire.KeyReq
	times []wire.TimeResp
}

func connect(t testing.TB, opts ingest.Options) *agent {
	t.Helper()
	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	opts.Epoch = media.NewEpoch()
	a := &agent{
		t: t, conn: pipe.New(far, wire.MaxMessageLen), epoch: opts.Epoch, log: &bytes.Buffer{},
		ended: make(chan error, 1), hub: hub.New(hub.Options{}, opts.Epoch.Now), stop: cancel,
	}
	a.hub.Declare("door")
	log := slog.New(slog.NewTextHandler(a.log, nil))
	go func() { a.ended <- ingest.Serve(ctx, "door", pipe.New(near, wire.MaxMessageLen), a.hub, opts, log) }()
	go a.read()
	return a
}

func (a *agent) read() {
	for {
		b, err := a.conn.ReadMessage()
		if err != nil {
			return
		}
		a.mu.Lock()
		switch wire.Type(b[0]) {
		case wire.TypeWant:
			var w wire.Want
			err = wire.ParseJSON(b, wire.TypeWant, &w)
			a.wants = append(a.wants, w)
		case wire.TypeKeyReq:
			var k wire.KeyReq
			k, err = wire.ParseKeyReq(b)
			a.keys = append(a.keys, k)
		case wire.TypeTimeResp:
			var r wire.TimeResp
			r, err = wire.ParseTimeResp(b)
			a.times = append(a.times, r)
		default:
			err = fmt.Errorf("type 0x%02x", b[0])
		}
		a.mu.Unlock()
		if err != nil {
			a.t.Errorf("from the server: %v", err)
		}
	}
}

// got waits until all is dealt with, and gives what the agent has been told so far.
func (a *agent) got() (wants []wire.Want, keys []wire.KeyReq, times []wire.TimeResp) {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wants, a.keys, a.times
}

// send sends messages. It may fail when the server has gone.
func (a *agent) send(messages ...[]byte) {
	for _, m := range messages {
		_ = a.conn.WriteMessage(m)
	}
	synctest.Wait()
}

// err is what Serve returned; the session must have ended.
func (a *agent) err() error {
	a.t.Helper()
	synctest.Wait()
	select {
	case err := <-a.ended:
		return err
	default:
		a.t.Fatal("the session goes on")
		return nil
	}
}

// leave hangs up.
func (a *agent) leave() {
	a.t.Helper()
	_ = a.conn.Close(transport.CodeNormal, "")
	var closed *transport.CloseError
	if err := a.err(); !errors.As(err, &closed) || !closed.Remote {
		a.t.Errorf("the session ended with %v, want the agent's goodbye", err)
	}
	a.stop()
}

func (a *agent) subscribe(id media.RenditionID) *hub.Subscription {
	a.t.Helper()
	sub, err := a.hub.Subscribe("door")
	if err == nil {
		err = sub.Select(id)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	synctest.Wait()
	return sub
}

func hello(renditions ...wire.RenditionInfo) []byte {
	return wire.AppendJSON(nil, wire.TypeHello, wire.PublisherHello{Agent: "test/1", Source: "test", Renditions: renditions})
}

func h264(id media.RenditionID) wire.RenditionInfo {
	return wire.RenditionInfo{ID: id, Name: "720p", Codec: "h264", Width: 1280, Height: 720, FrameRateMilli: 30000}
}

func jpeg(id media.RenditionID) wire.RenditionInfo {
	return wire.RenditionInfo{ID: id, Name: "mjpeg", Codec: "jpeg", Width: 960, Height: 544, FrameRateMilli: 10000}
}

func config(id media.RenditionID, codec media.Codec) []byte {
	return wire.AppendConfig(nil, wire.Config{
		Codec: codec, Rendition: id, Generation: 77, Width: 1280, Height: 720, FrameRateMilli: 30000,
		TargetBitrateBps: 2_500_000, CodecString: "avc1.42c01f",
	})
}

// unit gives the messages of one access unit.
func unit(h wire.MediaHeader, payload []byte) (messages [][]byte) {
	for i := range wire.Chunks(len(payload)) {
		messages = append(messages, wire.AppendChunk(nil, h, payload, i))
	}
	return messages
}

func key(seq uint32, n int) [][]byte {
	return unit(wire.MediaHeader{Flags: wire.FlagKey, Rendition: 1, Seq: seq}, bytes.Repeat([]byte{byte(seq)}, n))
}

func delta(seq uint32, dep uint16, n int) [][]byte {
	return unit(wire.MediaHeader{Rendition: 1, Seq: seq, DepDelta: dep}, bytes.Repeat([]byte{byte(seq)}, n))
}

// unframe takes the WebSocket frame header off a message.
func unframe(t testing.TB, b []byte) []byte {
	t.Helper()
	if len(b) < 2 || b[0] != 0x82 {
		t.Fatalf("no binary frame: % x", b[:min(len(b), 4)])
	}
	switch b[1] {
	case 127:
		return b[10:]
	case 126:
		return b[4:]
	}
	return b[2:]
}

func TestServe_WhatComesGoesToViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{})
		a.send(hello(h264(1), jpeg(2)))
		if wants, _, _ := a.got(); len(wants) != 1 || len(wants[0].Renditions) != 0 {
			t.Fatalf("without a viewer the agent is told %v, want one empty WANT", wants)
		}
		sub := a.subscribe(1)
		if wants, _, _ := a.got(); len(wants) != 2 || len(wants[1].Renditions) != 1 || wants[1].Renditions[0].ID != 1 {
			t.Fatalf("with a viewer the agent is told %v", wants)
		}
		payload := make([]byte, 40_000)
		for i := range payload {
			payload[i] = byte(i * 7)
		}
		captured := a.epoch.Now() - 5000
		const first = 4_294_967_295 // the sequence wraps
		a.send(config(1, media.CodecH264))
		a.send(unit(wire.MediaHeader{Flags: wire.FlagKey, Rendition: 1, Generation: 77, Seq: first, Capture: captured, EncodeDelay: 3000}, payload)...)
		a.send(delta(0, 1, 100)...)

		au, _ := sub.Next()
		if au == nil {
			t.Fatal("no keyframe")
		}
		c, err := wire.ParseConfig(unframe(t, au.Config.Framed))
		if err != nil || c.Generation != au.Config.Generation || c.CodecString != "avc1.42c01f" || c.Width != 1280 {
			t.Errorf("configuration %+v, error %v", c, err)
		}
		if len(au.Chunks) != 3 || !au.Key || au.Bytes != len(payload) || au.Capture != captured || au.Received != a.epoch.Now() {
			t.Errorf("access unit: %d chunks, key %t, %d bytes, captured %d, received %d", len(au.Chunks), au.Key, au.Bytes, au.Capture, au.Received)
		}
		var got []byte
		for i, chunk := range au.Chunks {
			h, part, err := wire.ParseMedia(unframe(t, chunk))
			if err != nil {
				t.Fatal(err)
			}
			if int(h.ChunkIndex) != i || h.Seq != au.Seq || h.Generation != au.Config.Generation || h.Capture != captured || h.EncodeDelay != 3000 {
				t.Errorf("chunk %d: %+v", i, h)
			}
			got = append(got, part...)
		}
		if !bytes.Equal(got, payload) {
			t.Error("the payload changed on its way")
		}
		next, _ := sub.Next()
		if next == nil || next.Key || next.Seq != au.Seq+1 || next.DepDelta != 1 {
			t.Errorf("then %+v, want the delta", next)
		}
		a.leave()
		sub.Close()
	})
}

func TestServe_ASilentPublisherIsStalledThenGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{LeftState: media.StateRestarting, LeftDetail: "It is started again."})
		live := wire.AppendJSON(nil, wire.TypeStatus, wire.PublisherStatus{State: media.StateLive, Detail: "All is well."})
		a.send(hello(h264(1)), live)
		state := func(want media.State, detail string) {
			t.Helper()
			synctest.Wait()
			info := a.hub.Streams()[0]
			if info.Status.State != want || !strings.Contains(info.Status.Detail, detail) {
				t.Errorf("after %s: %+v, want %s", time.Duration(a.epoch.Now())*time.Microsecond, info.Status, want)
			}
		}
		for range 5 { // as long as it says anything at all
			time.Sleep(2900 * time.Millisecond)
			state(media.StateLive, "All is well.")
			a.send([]byte{0x70})
		}
		time.Sleep(5 * time.Second)
		state(media.StateStalled, "Nothing comes from its publisher")
		a.send([]byte{0x70})
		state(media.StateLive, "All is well.")
		time.Sleep(11 * time.Second)
		var closed *transport.CloseError
		if err := a.err(); !errors.As(err, &closed) || closed.Code != transport.CodeUnresponsive || closed.Remote {
			t.Errorf("ended with %v", err)
		}
		state(media.StateRestarting, "It is started again.")
		a.stop()
	})
}

func TestServe_KeyframesAreAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{})
		a.send(hello(h264(1)), config(1, media.CodecH264))
		sub := a.subscribe(1)
		a.send(key(1, 10)...)
		time.Sleep(time.Second)
		sub.RequestKey() // one is queued
		sub.Next()
		sub.RequestKey()
		sub.RequestKey()
		if _, keys, _ := a.got(); len(keys) != 1 || keys[0].Rendition != 1 {
			t.Fatalf("the agent was asked %v, want one keyframe of rendition 1", keys)
		}
		sub.RequestKey()
		time.Sleep(499 * time.Millisecond)
		if _, keys, _ := a.got(); len(keys) != 1 {
			t.Fatalf("the agent was asked again within half a second")
		}
		time.Sleep(time.Millisecond)
		if _, keys, _ := a.got(); len(keys) != 2 {
			t.Fatalf("the agent was asked %d times, want 2", len(keys))
		}
		sub.Close()
		time.Sleep(2 * time.Second)
		wants, _, _ := a.got()
		if last := wants[len(wants)-1]; len(last.Renditions) != 0 {
			t.Errorf("two seconds after the last viewer left, %v is wanted", last)
		}
		a.leave()
	})
}

func TestServe_MalformedEndsTheSession(t *testing.T) {
	ready := [][]byte{hello(h264(1), jpeg(2)), config(1, media.CodecH264), config(2, media.CodecJPEG)}
	with := func(more ...[][]byte) [][]byte {
		all := append([][]byte(nil), ready...)
		for _, m := range more {
			all = append(all, m...)
		}
		return all
	}
	one := func(m []byte) [][]byte { return [][]byte{m} }
	big := key(1, 40_000)
	for _, tc := range []struct {
		name     string
		messages [][]byte
		problem  string // "": it is in order
	}{
		{"in order", with(key(1, 10), delta(2, 1, 10), delta(4, 2, 10)), ""},
		{"a DISCARDABLE delta is skipped over", with(key(1, 10), unit(wire.MediaHeader{Flags: wire.FlagDiscardable, Rendition: 1, Seq: 2, DepDelta: 1}, []byte{1}), delta(3, 2, 10)), ""},
		{"unknown types", with(one([]byte{0x70, 1, 2}), key(1, 10), one([]byte{0xff})), ""},
		{"CONFIG before HELLO", one(config(1, media.CodecH264)), "not announced"},
		{"MEDIA before HELLO", key(1, 10), "before its CONFIG"},
		{"MEDIA before CONFIG", append(one(hello(h264(1))), key(1, 10)...), "before its CONFIG"},
		{"CONFIG of a rendition not announced", with(one(config(3, media.CodecH264))), "not announced"},
		{"CONFIG in another codec", with(one(config(1, media.CodecJPEG))), "not announced"},
		{"MEDIA of a rendition not announced", with(unit(wire.MediaHeader{Flags: wire.FlagKey, Rendition: 5, Seq: 1}, []byte{1})), "before its CONFIG"},
		{"a delta first", with(delta(1, 1, 10)), "refers to one"},
		{"a delta first after another CONFIG", with(key(1, 10), one(config(1, media.CodecH264)), delta(2, 1, 10)), "refers to one"},
		{"a delta of a lost one", with(key(1, 10), delta(3, 1, 10)), "refers to one"},
		{"a delta of a DISCARDABLE one", with(key(1, 10), unit(wire.MediaHeader{Flags: wire.FlagDiscardable, Rendition: 1, Seq: 2, DepDelta: 1}, []byte{1}), delta(3, 1, 10)), "refers to one"},
		{"a JPEG that is no key", with(unit(wire.MediaHeader{Flags: wire.FlagKey, Rendition: 2, Seq: 1}, []byte{1}), unit(wire.MediaHeader{Rendition: 2, Seq: 2, DepDelta: 1}, []byte{1})), "JPEG"},
		{"the same number twice", with(key(1, 10), key(1, 10)), "1 after 1"},
		{"numbers that fall", with(key(10, 10), key(9, 10)), "9 after 10"},
		{"numbers that fall after another CONFIG", with(key(10, 10), one(config(1, media.CodecH264)), key(9, 10)), "9 after 10"},
		{"a second chunk first", with(big[1:2]), "out of order"},
		{"a chunk left out", with(big[:1], big[2:]), "out of order"},
		{"a chunk twice", with(big[:1], big[:1]), "begins before"},
		{"another access unit between chunks", with(big[:1], key(2, 10)), "begins before"},
		{"a chunk of another access unit", with(big[:1], key(2, 40_000)[1:2]), "out of order"},
		{"a truncated chunk", with(one(big[0][:100])), "has 68 bytes"},
		{"HELLO that is no JSON", one([]byte{byte(wire.TypeHello), '{', '"'}), "HELLO"},
		{"HELLO without renditions", one(hello()), "no renditions"},
		{"STATUS that only the server may say", with(one([]byte(string(rune(wire.TypeStatus)) + `{"state":"restarting"}`))), "state"},
		{"STATS of the wrong type", with(one([]byte(string([]byte{byte(wire.TypeStats)}) + `{"renditions":7}`))), "STATS"},
		{"TIME_REQ too short", one([]byte{byte(wire.TypeTimeReq), 0}), "TIME_REQ"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := connect(t, ingest.Options{LeftState: media.StateWaiting, LeftDetail: "gone"})
				defer a.stop()
				a.send(tc.messages...)
				if tc.problem == "" {
					a.leave()
				} else {
					err := a.err()
					var fault *wire.MalformedError
					if !errors.As(err, &fault) || !strings.Contains(err.Error(), tc.problem) {
						t.Errorf("got %v, want a MalformedError with %q", err, tc.problem)
					}
					if a.conn.WriteMessage([]byte{0x70}) == nil {
						t.Error("the connection is still open")
					}
				}
				if st := a.hub.Streams()[0].Status; st.State != media.StateWaiting || st.Detail != "gone" {
					t.Errorf("the stream is left as %+v", st)
				}
			})
		})
	}
}

func TestServe_CaptureTime(t *testing.T) {
	for _, tc := range []struct {
		name string
		off  time.Duration // from the server's time
		kept bool
	}{
		{"a little ago", -40 * time.Millisecond, true},
		{"ten seconds ago", -10 * time.Second, true},
		{"longer ago", -10*time.Second - time.Microsecond, false},
		{"a little ahead", time.Millisecond, true},
		{"far ahead", 11 * time.Second, false},
		{"before the universe", -292 * 365 * 24 * time.Hour, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := connect(t, ingest.Options{})
				a.send(hello(h264(1)), config(1, media.CodecH264))
				sub := a.subscribe(1)
				for range 10 { // the epoch has begun long ago
					time.Sleep(6 * time.Second)
					a.send([]byte{0x70})
				}
				now := a.epoch.Now()
				said := now.Add(tc.off)
				a.send(unit(wire.MediaHeader{Flags: wire.FlagKey, Rendition: 1, Seq: 1, Capture: said}, make([]byte, 20_000))...)
				au, _ := sub.Next()
				if au == nil {
					t.Fatal("no keyframe")
				}
				want := now
				if tc.kept {
					want = said
				}
				for _, chunk := range au.Chunks {
					h, _, err := wire.ParseMedia(unframe(t, chunk))
					if err != nil || h.Capture != want || au.Capture != want {
						t.Errorf("captured at %d (in the message %d), want %d; %v", au.Capture, h.Capture, want, err)
					}
				}
				sub.Close()
				a.leave()
			})
		})
	}
}

func TestServe_AnswersTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{})
		time.Sleep(3 * time.Second)
		a.send(wire.AppendTimeReq(nil, wire.TimeReq{ID: 9, T1: -5})) // before HELLO, as the protocol has it
		now := a.epoch.Now()
		if _, _, times := a.got(); len(times) != 1 || times[0] != (wire.TimeResp{ID: 9, T1: -5, T2: now, T3: now}) {
			t.Errorf("answers %v, want one with the time %d", times, now)
		}
		a.leave()
	})
}

func TestServe_HelloAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{})
		a.send(hello(h264(1)), config(1, media.CodecH264))
		sub := a.subscribe(1)
		a.send(key(5, 10)...)
		first, _ := sub.Next()
		a.send(key(6, 40_000)[:2]...) // not whole when the rendition goes
		a.send(hello(jpeg(2)))
		if view := sub.Look(); view.Attached || len(view.Renditions) != 1 || view.Renditions[0].ID != 2 {
			t.Errorf("the viewer sees %+v", view)
		}
		a.send(hello(h264(1)), config(1, media.CodecH264))
		if err := sub.Select(1); err != nil {
			t.Fatal(err)
		}
		a.send(key(0, 10)...) // counts anew
		au, _ := sub.Next()
		if au == nil || first == nil || au.Seq != first.Seq+1 || au.Config.Generation != first.Config.Generation+1 {
			t.Errorf("when the rendition is back: %+v after %+v", au, first)
		}
		sub.Close()
		a.leave()
	})
}

func TestServe_NoHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{})
		defer a.stop()
		begin := time.Now()
		err := <-a.ended
		if took := time.Since(begin); took != 10*time.Second || !strings.Contains(err.Error(), "HELLO") {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

func TestServe_WhoSaidNothingLeavesTheStreamAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{LeftState: media.StateRestarting, LeftDetail: "gone"})
		defer a.stop()
		before := a.hub.Streams()[0].Status
		a.leave()
		if after := a.hub.Streams()[0].Status; after != before {
			t.Errorf("the stream is left as %+v, was %+v", after, before)
		}
	})
}

func TestServe_Cancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{})
		a.send(hello(h264(1)))
		a.stop()
		if err := a.err(); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestServe_Taken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{})
		a.send(hello(h264(1)))
		near, far := net.Pipe()
		err := ingest.Serve(t.Context(), "door", pipe.New(near, wire.MaxMessageLen), a.hub, ingest.Options{Epoch: a.epoch}, slog.New(slog.DiscardHandler))
		if !errors.Is(err, hub.ErrTaken) {
			t.Errorf("got %v", err)
		}
		if _, err := far.Write([]byte{1}); err == nil {
			t.Error("the second connection is still open")
		}
		a.send(wire.AppendJSON(nil, wire.TypeStatus, wire.PublisherStatus{State: media.StateLive}))
		if st := a.hub.Streams()[0].Status.State; st != media.StateLive {
			t.Errorf("the first publisher's stream is %s", st)
		}
		a.leave()
	})
}

func TestServe_StatusCarriesNoControlCharacters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{})
		a.send(hello(h264(1)))
		status := wire.AppendJSON(nil, wire.TypeStatus, wire.PublisherStatus{State: media.StateOffline, Detail: "no\x1b[31m route\n"})
		for range 5 {
			a.send(status)
		}
		if st := a.hub.Streams()[0].Status; st.State != media.StateOffline || st.Detail != "no [31m route " {
			t.Errorf("status %s %q", st.State, st.Detail)
		}
		a.leave()
		if n := strings.Count(a.log.String(), "msg=source"); n != 1 {
			t.Errorf("the same state is logged %d times, want once:\n%s", n, a.log)
		}
	})
}

func TestServe_OnlyKnownCausesArePassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{LeftState: media.StateWaiting, LeftCause: media.CauseLeft})
		a.send(hello(h264(1)))
		for cause, want := range map[media.Cause]media.Cause{media.CauseSilent: media.CauseSilent, "<b>mine</b>": "", "": ""} {
			a.send(wire.AppendJSON(nil, wire.TypeStatus, wire.PublisherStatus{State: media.StateOffline, Cause: cause}))
			synctest.Wait()
			if got := a.hub.Streams()[0].Status.Cause; got != want {
				t.Errorf("cause %q is told as %q, want %q", cause, got, want)
			}
		}
		a.leave()
	})
}

// What a publisher is, and what makes its renditions, is known while it is there.
func TestServe_OriginIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{})
		r := h264(1)
		r.Encoder = "lib\x1bx264"
		a.send(wire.AppendJSON(nil, wire.TypeHello, wire.PublisherHello{Source: "rtsp", Sandbox: "Confined.\n", Renditions: []wire.RenditionInfo{r}}))
		info := a.hub.Streams()[0]
		if info.Origin != (hub.Origin{Source: "rtsp", Sandbox: "Confined. "}) || info.Renditions[0].Encoder != "lib x264" {
			t.Errorf("known are %+v", info)
		}
		a.leave()
		if info := a.hub.Streams()[0]; info.Origin != (hub.Origin{}) {
			t.Errorf("%+v is left of it", info.Origin)
		}
	})
}

// What a publisher measured is known while it is there, and while somebody watches.
func TestServe_FiguresAreKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{})
		stats := wire.AppendJSON(nil, wire.TypeStats, wire.PublisherStats{Renditions: []wire.RenditionStats{
			{ID: 1, EncodeP50: 3000, EncodeP95: 5000, BitrateBps: 2_000_000, PSNR: 38.5, SSIM: 0.97}, {ID: 9},
		}})
		a.send(hello(h264(1)), stats)
		if info := a.hub.Streams()[0]; len(info.Encoding) != 0 {
			t.Errorf("encoding for nobody: %+v", info.Encoding)
		}
		sub := a.subscribe(1)
		synctest.Wait()
		want := hub.Encoding{Viewers: 1, Figures: hub.Figures{
			BitrateBps: 2_000_000, EncodeP50: 3 * time.Millisecond, EncodeP95: 5 * time.Millisecond, PSNR: 38.5, SSIM: 0.97,
		}}
		if got := a.hub.Streams()[0].Encoding; len(got) != 1 || got[1] != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		a.leave()
		if got := a.hub.Streams()[0].Encoding; len(got) != 0 {
			t.Errorf("%+v is left of it", got)
		}
		sub.Close()
	})
}

// FuzzServe sends any messages: each input is a list of them, u16 length first. Whatever comes, Serve ends when the
// agent hangs up, nothing panics, and viewers get only what they can decode.
func FuzzServe(f *testing.F) {
	list := func(messages ...[]byte) []byte {
		var b []byte
		for _, m := range messages {
			b = append(append(b, byte(len(m)>>8), byte(len(m))), m...)
		}
		return b
	}
	whole := [][]byte{hello(h264(1), jpeg(2)), config(1, media.CodecH264)}
	whole = append(whole, key(1, 20_000)...)
	whole = append(whole, delta(2, 1, 50)...)
	f.Add(list(whole...))
	f.Add(list(hello(h264(1)), config(1, media.CodecH264), key(1, 5)[0], hello(jpeg(1)), config(1, media.CodecJPEG), key(1, 5)[0]))
	f.Add(list(wire.AppendTimeReq(nil, wire.TimeReq{}), []byte{0x70}, []byte{0x84, 1, 0, 0}))
	f.Fuzz(func(t *testing.T, script []byte) {
		synctest.Test(t, func(t *testing.T) {
			a := connect(t, ingest.Options{})
			defer a.stop()
			sub, err := a.hub.Subscribe("door")
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
			var last *hub.AccessUnit
			for len(script) >= 2 {
				n := min(int(script[0])<<8|int(script[1]), len(script)-2)
				m := script[2 : 2+n]
				script = script[2+n:]
				if n == 0 || n > wire.MaxMessageLen {
					continue
				}
				a.send(m)
				if !sub.Look().Attached {
					_ = sub.Select(1) // an error while it is not announced
				}
				for au, _ := sub.Next(); au != nil; au, _ = sub.Next() {
					if !au.Key && (last == nil || last.Config != au.Config || int32(au.Seq-last.Seq) <= 0) {
						t.Errorf("delta %d after %+v", au.Seq, last)
					}
					last = au
				}
			}
			_ = a.conn.Close(transport.CodeNormal, "")
			_ = a.err()
		})
	})
}
