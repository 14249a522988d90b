//go:build cgo

package capture_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/capture"
	"sightline/internal/h264"
	"sightline/internal/media"
	"sightline/internal/rtsp/rtsptest"
	"sightline/internal/wire"
)

// coded is the test pattern as access units of H.264, 720p30, each a list of NAL units.
func coded(t testing.TB, count int) (units [][][]byte) {
	t.Helper()
	engine := capture.NewLibav()
	feed, err := engine.Open(t.Context(), source(t, "test:?size=1280x720&fps=200"))
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	enc, err := engine.NewEncoder(capture.EncoderOptions{Codec: media.CodecH264, Width: 1280, Height: 720, FrameRateMilli: 30_000, BitrateBps: 4_000_000, Preset: "ultrafast"})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	for n := range count {
		p, err := feed.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		au, _, err := enc.Encode(p.Image, int64(n)*33_333, n == 0)
		if err != nil {
			t.Fatal(err)
		}
		var nals [][]byte
		for nal := range h264.Units(au) {
			nals = append(nals, slices.Clone(nal))
		}
		units = append(units, nals)
		p.Release()
	}
	return units
}

// sdp describes H.264 with the parameter sets of its first access unit.
func sdp(unit [][]byte) string {
	var sps, pps string
	for _, n := range unit {
		switch h264.NAL(n).Type() {
		case h264.TypeSPS:
			sps = base64.StdEncoding.EncodeToString(n)
		case h264.TypePPS:
			pps = base64.StdEncoding.EncodeToString(n)
		}
	}
	return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n" +
		fmt.Sprintf("a=fmtp:96 packetization-mode=1;sprop-parameter-sets=%s,%s\r\na=control:track1\r\n", sps, pps)
}

// rtspCamera plays units over and over, 30 a second, until its client goes.
func rtspCamera(units [][][]byte) func(ctx context.Context, c *rtsptest.Conn) {
	return func(ctx context.Context, c *rtsptest.Conn) {
		p := rtsptest.Packets{Payload: 96, SSRC: 7}
		tick := time.NewTicker(time.Second / 30)
		defer tick.Stop()
		for n := 0; ; n++ {
			for _, packet := range p.H264(uint32(n*3000), units[n%len(units)]...) {
				c.RTP(packet)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

func TestRTSP_IsPassedOnAndEncoded(t *testing.T) {
	units := coded(t, 30)
	camera := rtsptest.Start(t, rtsptest.Options{SDP: sdp(units[0]), Play: rtspCamera(units)})
	s := start(t, capture.Options{Source: source(t, camera.URL(nil, "/s").String()), Agent: "t"}, capture.NewLibav())
	own, hello := s.find("source")
	if own == 0 || hello.Renditions[0].Width != 1280 || hello.Renditions[0].Height != 720 || hello.Renditions[0].Codec != "h264" {
		t.Fatalf("HELLO %+v", hello)
	}
	sent := map[string]bool{}
	for _, nals := range units {
		sent[string(nals[len(nals)-1])] = true
	}
	s.want(wire.WantedRendition{ID: own})
	var last media.Timestamp
	for n := range 40 {
		u := get(t, "MEDIA", s.units)
		var slice []byte
		for nal := range h264.Units(u.data) {
			slice = nal
		}
		if !sent[string(slice)] || n == 0 && !u.Key() || u.Capture <= last {
			t.Fatalf("unit %d %+v is not the camera's, not one to begin with, or not in order", n, u.MediaHeader)
		}
		last = u.Capture
	}
	s.want(wire.WantedRendition{ID: hello.Renditions[1].ID})
	for {
		if u := get(t, "MEDIA", s.units); u.Rendition == hello.Renditions[1].ID {
			break
		}
	}
	s.state(media.StateLive)
}

func TestRTSP_RefusalsAreSentencesWithoutSecrets(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	web.Close()
	encrypted := &tls.Config{Certificates: web.TLS.Certificates}
	own := sha256.Sum256(web.Certificate().Raw)
	user := url.UserPassword("u", "hunter2")
	refuse := func(method, status string) func(r rtsptest.Request) string {
		return func(r rtsptest.Request) string {
			if r.Method == method {
				return r.Reply(status)
			}
			return ""
		}
	}
	good := sdp(nil)
	for name, tc := range map[string]struct {
		opts     rtsptest.Options
		fragment string
		want     string
	}{
		"wrong password": {rtsptest.Options{Asks: `Digest realm="x", nonce="n0nce"`, User: url.UserPassword("u", "x")}, "", "refuses the user name or password; correct them"},
		"challenge":      {rtsptest.Options{Asks: "Bearer x", User: user}, "", "asks for credentials in a way that is not known here"},
		"path":           {rtsptest.Options{Answer: refuse("DESCRIBE", "404 Not Found")}, "", "does not exist there; check the path"},
		"codec":          {rtsptest.Options{SDP: "m=video 0 RTP/AVP 96\r\na=rtpmap:96 MP4V-ES/90000\r\n"}, "", "it offers MP4V-ES; set the camera to H.264, H.265 or JPEG"},
		"redirection":    {rtsptest.Options{Answer: refuse("DESCRIBE", "302 Found")}, "", "sends us on to an address that is not followed"},
		"transport":      {rtsptest.Options{SDP: good, Answer: refuse("SETUP", "461 Unsupported Transport")}, "", "in no way that is known here"},
		"busy":           {rtsptest.Options{SDP: good, Answer: refuse("PLAY", "453 Not Enough Bandwidth")}, "", "answers PLAY with status 453"},
		"no RTSP":        {rtsptest.Options{Answer: func(rtsptest.Request) string { return "SSH-2.0-x\r\n" }}, "", "does not speak RTSP as it should"},
		"certificate":    {rtsptest.Options{TLS: encrypted}, "", "nobody vouches for; if it is the camera's, add #tls-fingerprint=" + hex.EncodeToString(own[:])},
		"another one":    {rtsptest.Options{TLS: encrypted}, "tls-fingerprint=" + strings.Repeat("ab", 32), "another certificate than the one whose fingerprint"},
		"the right one":  {rtsptest.Options{TLS: encrypted, Answer: refuse("DESCRIBE", "404 Not Found")}, "tls-fingerprint=" + hex.EncodeToString(own[:]), "does not exist there"},
		"ends":           {rtsptest.Options{SDP: good, Play: func(_ context.Context, c *rtsptest.Conn) { c.Close() }}, "", "breaks the connection off; check the camera"},
	} {
		t.Run(name, func(t *testing.T) {
			camera := rtsptest.Start(t, tc.opts)
			address := camera.URL(user, "/s")
			address.RawQuery, address.Fragment = "key=hunter2", tc.fragment
			feed, err := capture.NewLibav().Open(t.Context(), source(t, address.String()))
			if err == nil {
				feed.Close()
				t.Fatal("it opens")
			}
			if !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v, want %q and no password", err, tc.want)
			}
			if refused := name == "wrong password"; errors.Is(err, capture.ErrRefused) != refused {
				t.Errorf("ErrRefused is %t", !refused)
			}
		})
	}
}

// What is lost on the way is told as that, and silence as silence.
func TestRTSP_Stalls(t *testing.T) {
	units := coded(t, 30)
	for name, tc := range map[string]struct {
		then func(ctx context.Context, c *rtsptest.Conn, p *rtsptest.Packets)
		want string
	}{
		"silence": {func(ctx context.Context, _ *rtsptest.Conn, _ *rtsptest.Packets) { <-ctx.Done() }, "sends no pictures: none for 2s"},
		"loss": {func(ctx context.Context, c *rtsptest.Conn, p *rtsptest.Packets) {
			p.Seq++
			tick := time.NewTicker(time.Second / 30)
			defer tick.Stop()
			for n := 1; ; n++ {
				for _, packet := range p.H264(uint32(n*3000), units[1+n%29]...) {
					c.RTP(packet)
				}
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		}, "sends no pictures that are whole: too much is lost on the way"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			camera := rtsptest.Start(t, rtsptest.Options{SDP: sdp(units[0]), Play: func(ctx context.Context, c *rtsptest.Conn) {
				p := &rtsptest.Packets{Payload: 96, SSRC: 7}
				for _, packet := range p.H264(0, units[0]...) {
					c.RTP(packet)
				}
				tc.then(ctx, c, p)
			}})
			feed, err := capture.NewLibav().Open(t.Context(), source(t, camera.URL(nil, "/s").String()))
			if err != nil {
				t.Fatal(err)
			}
			defer feed.Close()
			if u, _, err := feed.(capture.Native).NextUnit(t.Context(), false); err != nil || u == nil {
				t.Fatal(u, err)
			}
			if _, _, err = feed.(capture.Native).NextUnit(t.Context(), false); !errors.Is(err, capture.ErrStalled) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestRTSP_BadOptionsAreSentences(t *testing.T) {
	for address, want := range map[string]string{
		"rtsp://h/x#transport=http":       "known are tls-verify=no, tls-fingerprint=…, transport=udp",
		"rtsps://h/x#transport=udp":       "datagrams are not encrypted",
		"rtsps://h/x#tls-fingerprint=abc": "64 hexadecimal digits",
		"https://h/x#tls-fingerprint=ab":  "unknown option",
	} {
		if _, err := capture.ParseSource(address); !errors.Is(err, capture.ErrSource) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

// BenchmarkRTSP_Delay is what passes from the writing of an access unit's last packet to the unit's being at hand, at 30 a second.
func BenchmarkRTSP_Delay(b *testing.B) {
	units := coded(b, 60)
	end := func(au []byte) string { return string(au[len(au)-16:]) } // tells one from the others
	var mu sync.Mutex
	sent := map[string]time.Time{}
	camera := rtsptest.Start(b, rtsptest.Options{SDP: sdp(units[0]), Play: func(ctx context.Context, c *rtsptest.Conn) {
		p := rtsptest.Packets{Payload: 96, SSRC: 7}
		tick := time.NewTicker(time.Second / 30)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			nals := units[n%len(units)]
			packets := p.H264(uint32(n*3000), nals...)
			last := len(packets) - 1
			for _, packet := range packets[:last] {
				c.RTP(packet)
			}
			mu.Lock()
			sent[end(nals[len(nals)-1])] = time.Now()
			mu.Unlock()
			c.RTP(packets[last])
		}
	}})
	feed, err := capture.NewLibav().Open(b.Context(), source(b, camera.URL(nil, "/s").String()))
	if err != nil {
		b.Fatal(err)
	}
	defer feed.Close()
	var delays []time.Duration
	next := func() {
		u, _, err := feed.(capture.Native).NextUnit(b.Context(), false)
		if err != nil {
			b.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		delays = append(delays, time.Since(sent[end(u.Data)]))
	}
	for range 20 { // past what is there at the beginning
		next()
	}
	delays = nil
	for b.Loop() {
		next()
	}
	slices.Sort(delays)
	b.ReportMetric(float64(delays[len(delays)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(delays[len(delays)*95/100].Microseconds())/1000, "p95-ms")
}
