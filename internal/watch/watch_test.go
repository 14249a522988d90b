package watch_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/authority"
	"sightline/internal/build"
	"sightline/internal/httpd"
	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/metrics"
	"sightline/internal/revocation"
	"sightline/internal/sessions"
	"sightline/internal/transport"
	"sightline/internal/transport/pipe"
	"sightline/internal/transport/ws"
	"sightline/internal/watch"
	"sightline/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is the other end of a viewer in a bubble of testing/synctest. Its clock is skew ahead of the viewer's.
type server struct {
	t     testing.TB
	conn  *pipe.Conn
	began time.Time
	ended chan error
	stop  context.CancelFunc

	mu       sync.Mutex
	deaf     bool           // no question is answered
	owed     []wire.TimeReq // of a deaf one
	hellos   []wire.ViewerHello
	feedback []wire.Feedback
	asked    []time.Duration // when the time was asked for, since the beginning
}

const skew = 12_345_678

func (s *server) now() media.Timestamp {
	return media.Timestamp(time.Since(s.began).Microseconds() + skew)
}

func connect(t testing.TB, opts watch.Options) (*server, *watch.Viewer) {
	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{t: t, conn: pipe.New(far, wire.MaxMessageLen), began: time.Now(), ended: make(chan error, 1), stop: cancel}
	v := watch.New(pipe.New(near, wire.MaxMessageLen), opts)
	go func() { s.ended <- v.Run(ctx) }()
	go s.read()
	synctest.Wait()
	return s, v
}

func (s *server) read() {
	for {
		b, err := s.conn.ReadMessage()
		if err != nil {
			return
		}
		s.mu.Lock()
		switch wire.Type(b[0]) {
		case wire.TypeHello:
			var h wire.ViewerHello
			err = wire.ParseJSON(b, wire.TypeHello, &h)
			s.hellos = append(s.hellos, h)
		case wire.TypeFeedback:
			var f wire.Feedback
			f, err = wire.ParseFeedback(b)
			s.feedback = append(s.feedback, f)
		case wire.TypeTimeReq:
			var r wire.TimeReq
			r, err = wire.ParseTimeReq(b)
			s.asked = append(s.asked, time.Since(s.began))
			switch {
			case err != nil:
			case s.deaf:
				s.owed = append(s.owed, r)
			default:
				err = s.answer(r)
			}
		}
		s.mu.Unlock()
		if err != nil {
			s.t.Errorf("from the viewer: %v", err)
		}
	}
}

func (s *server) answer(r wire.TimeReq) error {
	return s.conn.WriteMessage(wire.AppendTimeResp(nil, wire.TimeResp{ID: r.ID, T1: r.T1, T2: s.now(), T3: s.now()}))
}

// hear has s answer no question from now on, or everything that it was asked.
func (s *server) hear(on bool) {
	s.mu.Lock()
	s.deaf = !on
	if on {
		for _, r := range s.owed {
			if err := s.answer(r); err != nil {
				s.t.Error(err)
			}
		}
		s.owed = nil
	}
	s.mu.Unlock()
	synctest.Wait()
}

func (s *server) send(messages ...[]byte) {
	for _, m := range messages {
		if err := s.conn.WriteMessage(m); err != nil {
			s.t.Error(err)
		}
	}
	synctest.Wait()
}

func (s *server) end() {
	s.stop()
	if err := <-s.ended; !errors.Is(err, context.Canceled) {
		s.t.Errorf("Run: %v", err)
	}
	_ = s.conn.Close(transport.CodeNormal, "")
}

func config(id media.RenditionID, generation uint8) []byte {
	return wire.AppendConfig(nil, wire.Config{Codec: media.CodecH264, Rendition: id, Generation: generation, Width: 640, Height: 368, CodecString: "avc1.42c01f"})
}

func (s *server) unit(id media.RenditionID, generation uint8, seq uint32, dep uint16, n int) (messages [][]byte) {
	h := wire.MediaHeader{Rendition: id, Generation: generation, Seq: seq, DepDelta: dep, Capture: s.now() - 20_000}
	if dep == 0 {
		h.Flags = wire.FlagKey
	}
	payload := bytes.Repeat([]byte{byte(seq)}, n)
	for i := range wire.Chunks(n) {
		messages = append(messages, wire.AppendChunk(nil, h, payload, i))
	}
	return messages
}

func TestViewer_Measures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got [][]byte
		s, v := connect(t, watch.Options{Player: "test/1", MaxHeight: 368, Sink: func(_ wire.Config, _ wire.MediaHeader, b []byte) error {
			got = append(got, b)
			return nil
		}})
		status := wire.ViewerStatus{State: media.StateLive, Detail: "fine", Dropped: map[string]uint64{"queue": 2, "stale": 1}}
		s.send(wire.AppendJSON(nil, wire.TypeStatus, status), config(1, 0))
		sent := 0
		for seq := range uint32(30) {
			for _, m := range s.unit(1, 0, seq, uint16(min(seq, 1)), 20_000) {
				s.send(m)
				sent += len(m)
			}
			time.Sleep(100 * time.Millisecond)
			if seq == 20 {
				time.Sleep(400 * time.Millisecond)
			}
		}
		st := v.Stats()
		seconds := time.Since(s.began).Seconds()
		want := watch.Stats{
			State: media.StateLive, Detail: "fine", Codec: "h264", Width: 640, Height: 368, Dropped: 3,
			Frames: 30, FPS: 30 / seconds, LatencyP50: 20, LatencyP95: 20, MaxGap: 500,
			BitrateBps: st.BitrateBps, ClockError: st.ClockError,
		}
		if st != want {
			t.Errorf("got  %+v\nwant %+v", st, want)
		}
		if least := int(float64(sent) * 8 / seconds); st.BitrateBps < least || st.BitrateBps > least*101/100 {
			t.Errorf("%d bit/s, sent were %d and little more", st.BitrateBps, least)
		}
		if st.ClockError <= 0 || st.ClockError > 0.2 {
			t.Errorf("clock error %v ms", st.ClockError)
		}
		if len(got) != 30 || !bytes.Equal(got[7], bytes.Repeat([]byte{7}, 20_000)) {
			t.Errorf("the sink got %d access units", len(got))
		}
		if again := v.Stats(); again.Frames != 0 || again.FPS != 0 || again.MaxGap != 0 || again.LatencyP50 != 0 || again.Dropped != 3 {
			t.Errorf("a second look counts again: %+v", again)
		}
		time.Sleep(150 * time.Millisecond) // for the last feedback
		s.mu.Lock()
		if len(s.hellos) != 1 || s.hellos[0].MaxHeight != 368 || len(s.hellos[0].Codecs) != 2 {
			t.Errorf("hellos %+v", s.hellos)
		}
		last := s.feedback[len(s.feedback)-1]
		if n := len(s.feedback); n < 25 || n > 31 || last.Seq != 29 || last.Rendition != 1 || int(last.Received) < sent {
			t.Errorf("%d feedbacks, the last %+v", n, last)
		}
		for i, at := range []time.Duration{0, 150, 300, 450, 600, 2600} {
			if i >= len(s.asked) || s.asked[i] != at*time.Millisecond {
				t.Errorf("asked for the time at %v", s.asked)
				break
			}
		}
		s.mu.Unlock()
		s.end()
	})
}

func TestViewer_SeesWhatCannotBeDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, v := connect(t, watch.Options{})
		for _, tc := range []struct {
			name                string
			messages            [][]byte
			frames, undecodable int
		}{
			{"a keyframe before its CONFIG", s.unit(1, 0, 0, 0, 10), 0, 1},
			{"a delta first", append([][]byte{config(1, 0)}, s.unit(1, 0, 1, 1, 10)...), 0, 1},
			{"a keyframe and a delta", append(s.unit(1, 0, 2, 0, 10), s.unit(1, 0, 3, 1, 10)...), 2, 0},
			{"a delta of one that did not come", s.unit(1, 0, 5, 1, 10), 0, 1},
			{"another generation", s.unit(1, 1, 6, 0, 10), 0, 1},
			{"a delta after another CONFIG", append([][]byte{config(1, 1)}, s.unit(1, 1, 4, 1, 10)...), 0, 1},
			{"a rest that is given up", append(append(s.unit(1, 1, 7, 0, 20_000)[:1], wire.AppendAbort(nil, wire.Abort{Rendition: 1, Seq: 7})), s.unit(1, 1, 8, 0, 10)...), 1, 0},
			{"a delta of what was given up", append(append(s.unit(1, 1, 9, 1, 20_000)[:1], wire.AppendAbort(nil, wire.Abort{Rendition: 1, Seq: 9})), s.unit(1, 1, 10, 1, 10)...), 0, 1},
			{"unknown types and padding", [][]byte{{0x70}, {byte(wire.TypePad), 0, 0, 1, 9, 9}}, 0, 0},
		} {
			v.Stats()
			s.send(tc.messages...)
			if st := v.Stats(); st.Frames != tc.frames || st.Undecodable != tc.undecodable {
				t.Errorf("%s: %d frames and %d undecodable, want %d and %d", tc.name, st.Frames, st.Undecodable, tc.frames, tc.undecodable)
			}
		}
		s.end()
	})
}

func TestViewer_MalformedEnds(t *testing.T) {
	for _, tc := range []struct {
		name     string
		messages func(s *server) [][]byte
	}{
		{"a chunk left out", func(s *server) [][]byte { m := s.unit(1, 0, 0, 0, 50_000); return [][]byte{m[0], m[2]} }},
		{"another access unit between", func(s *server) [][]byte {
			return [][]byte{s.unit(1, 0, 0, 0, 50_000)[0], s.unit(1, 0, 1, 0, 50_000)[1]}
		}},
		{"another rendition between", func(s *server) [][]byte {
			return [][]byte{s.unit(1, 0, 0, 0, 50_000)[0], s.unit(2, 0, 0, 0, 50_000)[1]}
		}},
		{"no message at all", func(*server) [][]byte { return [][]byte{{byte(wire.TypeConfig)}} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := connect(t, watch.Options{})
				defer s.stop()
				s.send(tc.messages(s)...)
				var fault *wire.MalformedError
				if err := <-s.ended; !errors.As(err, &fault) {
					t.Errorf("got %v", err)
				}
				_ = s.conn.Close(transport.CodeNormal, "")
			})
		})
	}
}

func TestViewer_SinkEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk full")
		s, _ := connect(t, watch.Options{Sink: func(wire.Config, wire.MediaHeader, []byte) error { return full }})
		defer s.stop()
		s.send(append([][]byte{config(1, 0)}, s.unit(1, 0, 0, 0, 10)...)...)
		if err := <-s.ended; !errors.Is(err, full) {
			t.Errorf("got %v", err)
		}
		_ = s.conn.Close(transport.CodeNormal, "")
	})
}

type discard struct{}

func (discard) Append(context.Context, audit.Record) error { return nil }

// TestViewer_OfARealServer has ten viewers at once watch a stream of 100 pictures a second over TLS.
func TestViewer_OfARealServer(t *testing.T) {
	dir := t.TempDir()
	door, err := auth.Open(dir, auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := authority.Open(dir, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	revoked, err := revocation.Open(dir, revocation.Options{})
	if err != nil {
		t.Fatal(err)
	}
	epoch := media.NewEpoch()
	h := hub.New(hub.Options{}, epoch.Now)
	pub, err := h.Publish("door")
	if err != nil {
		t.Fatal(err)
	}
	web, err := httpd.New(httpd.Options{
		TLS: authority.TLSConfig(ca), Auth: door, Audit: discard{}, Hub: h, Epoch: epoch,
		Files: fstest.MapFS{"index.html": {}}, Hosts: []string{"127.0.0.1"},
		MayPublish: func(media.StreamID) bool { return false }, Sessions: sessions.New(time.Now, revoked),
		Metrics: metrics.New(metrics.Sources{}, build.Info{}),
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { _ = web.Serve(ctx, l) })
	running.Go(func() { film(ctx, t, pub, epoch) })

	token, _, err := door.Mint(auth.Claims{Kind: auth.KindView, Subject: "alice", Grants: []auth.Grant{auth.Allow(auth.View, "door")}, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.CAPEM())
	var viewers sync.WaitGroup
	for range 10 {
		viewers.Go(func() {
			conn, err := ws.Dial(ctx, "wss://"+l.Addr().String()+"/ws/watch/door", http.Header{"Authorization": {"Bearer " + token}},
				[]string{wire.Subprotocol}, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}, ws.Options{ReadLimit: wire.MaxMessageLen})
			if err != nil {
				t.Error(err)
				return
			}
			enough := errors.New("enough")
			n := 0
			v := watch.New(conn, watch.Options{Codecs: []string{"h264"}, Sink: func(wire.Config, wire.MediaHeader, []byte) error {
				if n++; n == 100 {
					return enough
				}
				return nil
			}})
			if err := v.Run(ctx); !errors.Is(err, enough) {
				t.Errorf("after %d pictures: %v", n, err)
			}
			// The way takes less than the clocks are known to agree by.
			if st := v.Stats(); st.Undecodable != 0 || st.LatencyP50 <= -st.ClockError || st.LatencyP50 > 1000 || st.State != media.StateLive {
				t.Errorf("%+v", st)
			}
		})
	}
	viewers.Wait()
}

// film publishes a picture each 10 ms, a large keyframe each half second, until ctx is done.
func film(ctx context.Context, t *testing.T, pub *hub.Publisher, epoch media.Epoch) {
	framed := func(m []byte) []byte { return append(ws.AppendFrameHeader(nil, len(m)), m...) }
	pub.SetRenditions([]media.Rendition{{ID: 1, Name: "360p", Codec: media.CodecH264, Width: 640, Height: 368}})
	pub.SetStatus(media.StateLive, "", "")
	err := pub.Configure(1, hub.Config{Rendition: media.Rendition{Codec: media.CodecH264}}, func(c hub.Config) []byte { return framed(config(1, c.Generation)) })
	if err != nil {
		t.Error(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for seq := uint32(0); ; seq++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c, stamped, _ := pub.Stamp(1, seq)
		head := wire.MediaHeader{Rendition: 1, Generation: c.Generation, Seq: stamped, Capture: epoch.Now()}
		payload := make([]byte, 3000)
		if seq%50 == 0 {
			head.Flags, payload = wire.FlagKey, make([]byte, 40_000)
		} else {
			head.DepDelta = 1
		}
		au := &hub.AccessUnit{Config: c, Key: head.Key(), Seq: stamped, DepDelta: head.DepDelta, Capture: head.Capture, Received: head.Capture, Bytes: len(payload)}
		for i := range wire.Chunks(len(payload)) {
			au.Chunks = append(au.Chunks, framed(wire.AppendChunk(nil, head, payload, i)))
		}
		pub.Publish(au)
	}
}
