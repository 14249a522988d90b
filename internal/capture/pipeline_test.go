package capture_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sightline/internal/capture"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/pipe"
	"sightline/internal/wire"
)

const interval = 40 * time.Millisecond

func cameraOptions(t testing.TB) capture.Options {
	t.Helper()
	src, err := capture.ParseSource("rtsp://user:hunter2@camera.lan/stream")
	if err != nil {
		t.Fatal(err)
	}
	return capture.Options{Source: src, Renditions: capture.Ladder(capture.FeedInfo{}), Agent: "test"}
}

// number is the picture that an access unit of the fake encoder shows.
func number(u unit) int { return int(binary.BigEndian.Uint32(u.data[len(u.data)-4:])) }

func TestCapture_NothingIsEncodedUnwanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fakeEngine{interval: interval}
		s := start(t, cameraOptions(t), e)
		s.state(media.StateIdle)
		time.Sleep(10 * time.Second)
		if n := e.drawn.Load(); n != 0 || e.alive() != 0 {
			t.Fatalf("%d pictures taken and %d encoders open with nobody watching", n, e.alive())
		}

		asked := time.Now()
		s.want(wire.WantedRendition{ID: 1})
		u := get(t, "MEDIA", s.units)
		if took := time.Since(asked); !u.Key() || took > interval {
			t.Fatalf("first access unit key %t after %v, want a keyframe within %v", u.Key(), took, interval)
		}
		s.state(media.StateLive)
		s.want(wire.WantedRendition{ID: 1}, wire.WantedRendition{ID: 2})
		time.Sleep(time.Second)
		if e.alive() != 2 {
			t.Fatalf("%d encoders for 2 renditions", e.alive())
		}
		s.want(wire.WantedRendition{ID: 2})
		synctest.Wait()
		time.Sleep(interval)
		if e.alive() != 1 {
			t.Fatalf("%d encoders for 1 rendition", e.alive())
		}

		s.want()
		s.state(media.StateIdle)
		taken := e.drawn.Load()
		time.Sleep(10 * time.Second)
		if e.drawn.Load() != taken || e.alive() != 0 || e.images.Load() != 0 {
			t.Fatalf("after the last viewer: %d more pictures, %d encoders, %d pictures held", e.drawn.Load()-taken, e.alive(), e.images.Load())
		}
		s.want(wire.WantedRendition{ID: 1})
		for {
			if u := get(t, "MEDIA", s.units); u.Rendition == 1 && u.arrived.Sub(s.epoch.Now()) == 0 {
				break
			}
		}
	})
}

func TestCapture_AccessUnitsFollowTheProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, cameraOptions(t), &fakeEngine{interval: interval, encTime: 5 * time.Millisecond})
		hello := get(t, "HELLO", s.hellos)
		if hello.Source != "rtsp" || hello.Renditions[0].Height != 0 {
			t.Fatalf("first HELLO %+v", hello)
		}
		if hello = get(t, "HELLO", s.hellos); hello.Renditions[0].Width != 1280 || hello.Renditions[1].Width != 968 || hello.Renditions[1].Height != 544 {
			t.Fatalf("HELLO once the size is known %+v", hello)
		}
		s.want(wire.WantedRendition{ID: 1}, wire.WantedRendition{ID: 2})
		configs := map[media.RenditionID]wire.Config{}
		for range 2 {
			c := get(t, "CONFIG", s.configs)
			configs[c.Rendition] = c
		}
		if c := configs[1]; c.CodecString != "avc1.64001f" || c.Width != 1280 || c.FrameRateMilli != 25_000 || c.TargetBitrateBps != 2_500_000 {
			t.Fatalf("CONFIG %+v", c)
		}
		if c := configs[2]; c.CodecString != "jpeg" || c.Codec != media.CodecJPEG || c.FrameRateMilli != 10_000 {
			t.Fatalf("CONFIG %+v", c)
		}
		time.Sleep(2 * time.Second)
		last := map[media.RenditionID]unit{}
		for len(s.units) > 0 {
			u := <-s.units
			if l, ok := last[u.Rendition]; ok && (u.Seq != l.Seq+1 || u.Capture <= l.Capture) {
				t.Fatalf("%+v after %+v", u.MediaHeader, l.MediaHeader)
			}
			if u.Generation != configs[u.Rendition].Generation {
				t.Fatalf("generation %d, CONFIG said %d", u.Generation, configs[u.Rendition].Generation)
			}
			if u.Rendition == 2 && !u.Key() {
				t.Fatal("a JPEG that is no keyframe")
			}
			if d := time.Duration(u.EncodeDelay) * time.Microsecond; d != 5*time.Millisecond {
				t.Fatalf("encode delay %v, want 5ms", d)
			}
			// Both clocks are one here, so the picture is as old as it took to encode.
			if age := u.arrived.Sub(u.Capture); age < 5*time.Millisecond || age > 6*time.Millisecond {
				t.Fatalf("age %v", age)
			}
			last[u.Rendition] = u
		}
		get(t, "STATS", s.stats)
		get(t, "STATS", s.stats)
		stats := get(t, "STATS", s.stats)
		if len(stats.Renditions) != 2 || stats.Renditions[0].EncodeP50 != 5000 || stats.Renditions[0].Encoded < 24 || stats.Renditions[1].Encoded > 11 {
			t.Fatalf("STATS %+v", stats)
		}
	})
}

func TestCapture_KeyframesOnRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, cameraOptions(t), &fakeEngine{interval: interval})
		s.want(wire.WantedRendition{ID: 1})
		get(t, "MEDIA", s.units)
		time.Sleep(time.Second)
		for len(s.units) > 0 {
			<-s.units
		}
		for range 20 { // two seconds of requests, ten a second
			s.askKey(1)
			s.askKey(9) // unknown: nothing happens
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		var keys []media.Timestamp
		for len(s.units) > 0 {
			if u := <-s.units; u.Key() {
				keys = append(keys, u.Capture)
			}
		}
		if len(keys) < 4 || len(keys) > 5 {
			t.Fatalf("%d keyframes for 2 s of requests, want one each half second", len(keys))
		}
		for i := 1; i < len(keys); i++ {
			if d := keys[i].Sub(keys[i-1]); d < 500*time.Millisecond {
				t.Fatalf("keyframes %v apart", d)
			}
		}
	})
}

// chanConn is a transport.Conn in memory whose every write waits for its reader. Its waits are on channels alone, so that fake time goes on in
// them; a mutex would hold it up.
type chanConn struct {
	in, out chan []byte
	closed  chan struct{}
	once    *sync.Once
}

func chanPair() (near, far chanConn) {
	a, b := make(chan []byte), make(chan []byte)
	closed, once := make(chan struct{}), new(sync.Once)
	return chanConn{a, b, closed, once}, chanConn{b, a, closed, once}
}

func (c chanConn) ReadMessage() ([]byte, error) {
	select {
	case b := <-c.in:
		return b, nil
	case <-c.closed:
		return nil, transport.ErrClosed
	}
}

func (c chanConn) WriteMessage(p []byte) error {
	select {
	case c.out <- append([]byte(nil), p...):
		return nil
	case <-c.closed:
		return transport.ErrClosed
	}
}

func (c chanConn) Close(transport.Code, string) error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func TestCapture_SlowConnectionGetsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := chanPair()
		c, err := capture.New(cameraOptions(t), &fakeEngine{interval: interval}, quiet())
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan error, 1)
		go func() {
			ran <- c.Run(t.Context(), capture.Link{Once: true, Dial: func(context.Context) (transport.Conn, error) { return near, nil }})
		}()
		defer func() {
			_ = far.Close(transport.CodeNormal, "")
			if err := get(t, "end of Run", ran); err != nil {
				t.Error(err)
			}
		}()
		s := &server{t: t, conn: far, epoch: media.NewEpoch()}
		var got []int
		wanted := false
		for len(got) < 20 {
			b, err := s.conn.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			switch wire.Type(b[0]) {
			case wire.TypeTimeReq:
				r, err := wire.ParseTimeReq(b)
				s.must(err)
				s.must(s.conn.WriteMessage(wire.AppendTimeResp(nil, wire.TimeResp{ID: r.ID, T1: r.T1, T2: s.epoch.Now(), T3: s.epoch.Now()})))
			case wire.TypeStatus:
				if !wanted {
					wanted = true
					s.want(wire.WantedRendition{ID: 1})
				}
			case wire.TypeMedia:
				h, p, err := wire.ParseMedia(b)
				s.must(err)
				got = append(got, number(unit{MediaHeader: h, data: p}))
				// One picture may wait in the connection while this reader is busy with the one before, none behind it.
				if age := s.epoch.Now().Sub(h.Capture); age > 6*interval {
					t.Fatalf("picture %d is %v old", got[len(got)-1], age)
				}
				time.Sleep(5 * interval)
			}
		}
		if mean := float64(got[19]-got[2]) / 17; mean < 4.5 || mean > 5.5 {
			t.Fatalf("pictures %v, want about every fifth", got)
		}
	})
}

func TestCapture_SourceIsOpenedAgainForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fakeEngine{interval: interval, openErr: func(attempt int) error {
			if attempt < 50 {
				return errors.New("the source rtsp://camera.lan/stream does not answer; check it")
			}
			return nil
		}}
		s := start(t, cameraOptions(t), e)
		offline := s.state(media.StateOffline)
		if offline.Detail != "The source rtsp://camera.lan/stream does not answer; check it." {
			t.Fatalf("detail %q", offline.Detail)
		}
		// 50 attempts, the waits growing from 0.1 to 2 s and shortened by up to a half.
		time.Sleep(40 * time.Second)
		if n := len(s.statuses); n != 0 {
			t.Fatalf("%d changes of state while the source stays away", n)
		}
		time.Sleep(65 * time.Second)
		s.state(media.StateIdle)
	})
}

func TestCapture_StallAndReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stalled time.Time
		// A camera that hangs does not answer when it is left, either.
		e := &fakeEngine{interval: interval, closing: 2 * time.Second, nextErr: func(n int) error {
			if n == 10 && stalled.IsZero() {
				stalled = time.Now()
				return fmt.Errorf("the source x sends %w: none for 2s", capture.ErrStalled)
			}
			return nil
		}}
		s := start(t, cameraOptions(t), e)
		s.want(wire.WantedRendition{ID: 1})
		s.state(media.StateLive)
		if st := s.state(media.StateStalled); st.Detail != "The source x sends no pictures: none for 2s." {
			t.Fatalf("detail %q", st.Detail)
		}
		if late := time.Since(stalled); late > 100*time.Millisecond {
			t.Errorf("the stall is told after %s", late)
		}
		s.state(media.StateLive)
		get(t, "CONFIG", s.configs)
		if len(s.configs) != 0 {
			t.Fatal("a stall of the source changed the rendition")
		}
	})
}

func TestCapture_SizeChangeIsANewGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fakeEngine{interval: interval, size: func(n int) (int, int) {
			if n >= 10 {
				return 640, 480
			}
			return 1280, 720
		}}
		s := start(t, cameraOptions(t), e)
		s.want(wire.WantedRendition{ID: 1})
		before := get(t, "CONFIG", s.configs)
		after := get(t, "CONFIG", s.configs)
		if after.Width != 640 || after.Height != 480 || after.Generation != before.Generation+1 {
			t.Fatalf("CONFIG %+v after %+v", after, before)
		}
		for {
			u := get(t, "MEDIA", s.units)
			if number(u) < 10 {
				continue
			}
			if !u.Key() || u.Generation != after.Generation {
				t.Fatalf("first picture of the new size: %+v", u.MediaHeader)
			}
			break
		}
		for s.state(media.StateLive).SourceHeight != 480 {
		}
	})
}

func TestCapture_WantChangesRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fakeEngine{interval: interval}
		s := start(t, cameraOptions(t), e)
		s.want(wire.WantedRendition{ID: 1})
		get(t, "MEDIA", s.units)
		s.want(wire.WantedRendition{ID: 1, BitrateBps: 800_000, MaxFrameRateMilli: 10_000})
		time.Sleep(time.Second)
		if got := *e.encoders[0].rates.Load(); got != "800000 at 10000" {
			t.Fatalf("encoder set to %s", got)
		}
		for len(s.units) > 0 {
			<-s.units
		}
		time.Sleep(3 * time.Second)
		if n := len(s.units); n < 29 || n > 31 {
			t.Fatalf("%d pictures in 3 s at 10 a second", n)
		}
		s.want(wire.WantedRendition{ID: 1, BitrateBps: 1})
		time.Sleep(time.Second)
		if got := *e.encoders[0].rates.Load(); got != "150000 at 25000" || len(e.encoders) != 1 {
			t.Fatalf("%d encoders, set to %s, want one at the rendition's least", len(e.encoders), got)
		}
	})
}

func TestCapture_MissingEncoderIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, cameraOptions(t), &fakeEngine{interval: interval, encErr: errors.New("libx264: encoder not available")})
		s.want(wire.WantedRendition{ID: 1})
		for {
			if st := s.state(media.StateLive); strings.Contains(st.Detail, "Rendition 720p cannot be encoded: libx264: encoder not available.") {
				break
			}
		}
	})
}

func TestCapture_ConnectsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fakeEngine{interval: interval}
		c, err := capture.New(cameraOptions(t), e, quiet())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		dials := make(chan net.Conn)
		ran := make(chan error, 1)
		go func() {
			ran <- c.Run(ctx, capture.Link{Dial: func(ctx context.Context) (transport.Conn, error) {
				near, far := net.Pipe()
				select {
				case dials <- far:
					return pipe.New(near, wire.MaxMessageLen), nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}})
		}()
		for range 3 {
			far := get(t, "connection", dials)
			conn := pipe.New(far, wire.MaxMessageLen)
			if _, err := conn.ReadMessage(); err != nil {
				t.Fatal(err)
			}
			if err := conn.WriteMessage(wire.AppendJSON(nil, wire.TypeWant, wire.Want{Renditions: []wire.WantedRendition{{ID: 1}}})); err != nil {
				t.Fatal(err)
			}
			if err := conn.Close(transport.CodeNormal, ""); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if err := get(t, "end of Run", ran); err != nil {
			t.Fatal(err)
		}
		if e.opens != 1 || e.alive() != 0 || e.images.Load() != 0 {
			t.Fatalf("source opened %d times, %d encoders and %d pictures left", e.opens, e.alive(), e.images.Load())
		}
	})
}

func TestCapture_MalformedMessageEndsTheConnection(t *testing.T) {
	for name, b := range map[string][]byte{
		"WANT":      {byte(wire.TypeWant), '{'},
		"KEYREQ":    {byte(wire.TypeKeyReq), 1},
		"TIME_RESP": {byte(wire.TypeTimeResp)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				c, err := capture.New(cameraOptions(t), &fakeEngine{interval: interval}, quiet())
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ran := make(chan error, 1)
				go func() {
					ran <- c.Run(ctx, capture.Link{Once: true, Dial: func(context.Context) (transport.Conn, error) {
						return pipe.New(near, wire.MaxMessageLen), nil
					}})
				}()
				conn := pipe.New(far, wire.MaxMessageLen)
				if err := conn.WriteMessage([]byte{0x70, 1, 2}); err != nil { // unknown: skipped
					t.Fatal(err)
				}
				if err := conn.WriteMessage(b); err != nil {
					t.Fatal(err)
				}
				for {
					if _, err := conn.ReadMessage(); err != nil {
						break
					}
				}
				_ = get(t, "end of Run", ran)
			})
		})
	}
}
