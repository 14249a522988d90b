package rtsp_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sightline/internal/rtsp"
	"sightline/internal/rtsp/rtsptest"
)

const sdp = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"

var (
	sps   = []byte{0x67, 66, 1, 2}                                                 //nolint:gochecknoglobals // nobody writes to it
	idr   = append([]byte{0x65, 0xb8}, bytes.Repeat([]byte{7}, 3*rtsptest.MTU)...) //nolint:gochecknoglobals // likewise
	delta = []byte{0x41, 0x9a, 6}                                                  //nolint:gochecknoglobals // likewise
)

// hooks are waited for this long; it is for a test that would hang.
const patience = 20 * time.Second

func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s", what)
		panic("not reached")
	}
}

// request waits for a request of this method.
func request(t *testing.T, s *rtsptest.Server, method string) rtsptest.Request {
	t.Helper()
	for {
		if r := receive(t, method, s.Requests); r.Method == method {
			return r
		}
	}
}

// player runs a client until the test ends.
type player struct {
	client *rtsp.Client
	units  chan rtsp.Unit
	ended  chan error
	stop   context.CancelFunc
}

func play(t *testing.T, opts rtsp.Options) *player {
	t.Helper()
	opts.Agent = "test"
	c, err := rtsp.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &player{client: c, units: make(chan rtsp.Unit, 1000), ended: make(chan error, 1), stop: cancel}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.ended <- c.Run(ctx, func(u rtsp.Unit) { p.units <- u })
	}()
	t.Cleanup(func() { cancel(); <-done })
	return p
}

// two sends a keyframe and a delta.
func two(_ context.Context, c *rtsptest.Conn) {
	p := rtsptest.Packets{Payload: 96, SSRC: 1}
	for _, b := range append(p.H264(0, sps, idr), p.H264(3000, delta)...) {
		c.RTP(b)
	}
}

func (p *player) two(t *testing.T) {
	t.Helper()
	if u := receive(t, "keyframe", p.units); !u.Key || len(u.Data) != 4+len(sps)+4+len(idr) || time.Since(u.Captured) < 0 {
		t.Errorf("%d bytes, key %t, captured %v", len(u.Data), u.Key, u.Captured)
	}
	if u := receive(t, "unit", p.units); u.Key || !bytes.HasSuffix(u.Data, delta) {
		t.Errorf("%+v", u)
	}
}

func TestClient_Plays(t *testing.T) {
	user := url.UserPassword("u", "hunter2")
	for name, tc := range map[string]struct {
		opts  rtsptest.Options
		udp   bool
		asked string // what Transport begins with, at last
	}{
		"TCP":             {asked: "RTP/AVP/TCP;unicast;interleaved="},
		"UDP":             {udp: true, asked: "RTP/AVP;unicast;client_port="},
		"UDP refused":     {opts: rtsptest.Options{Refuses: "UDP"}, udp: true, asked: "RTP/AVP/TCP"},
		"TCP refused":     {opts: rtsptest.Options{Refuses: "TCP"}, asked: "RTP/AVP;unicast;client_port="},
		"Basic":           {opts: rtsptest.Options{Asks: `Basic realm="x"`}, asked: "RTP/AVP/TCP"},
		"Digest":          {opts: rtsptest.Options{Asks: `Digest realm="x", nonce="n0nce"`}, asked: "RTP/AVP/TCP"},
		"Digest with qop": {opts: rtsptest.Options{Asks: `Digest realm="x", nonce="n0nce", qop="auth"`}, asked: "RTP/AVP/TCP"},
		"Digest SHA-256":  {opts: rtsptest.Options{Asks: `Digest realm="x", nonce="n0nce", algorithm=SHA-256, qop="auth"`}, asked: "RTP/AVP/TCP"},
	} {
		t.Run(name, func(t *testing.T) {
			o := tc.opts
			o.SDP, o.Play, o.User = sdp, two, user
			s := rtsptest.Start(t, o)
			p := play(t, rtsp.Options{URL: s.URL(user, "/live"), UDP: tc.udp})
			p.two(t)
			for len(s.Requests) > 0 {
				switch r := <-s.Requests; r.Method {
				case "SETUP":
					if len(s.Requests) < 2 && !strings.HasPrefix(r.Header.Get("Transport"), tc.asked) {
						t.Errorf("Transport %s", r.Header.Get("Transport"))
					}
					if r.URI != s.URL(nil, "/live/track1").String() {
						t.Errorf("SETUP %s", r.URI)
					}
				case "PLAY":
					if r.Header.Get("Session") != "12345678" || r.URI != s.URL(nil, "/live/").String() {
						t.Errorf("PLAY %s in session %q", r.URI, r.Header.Get("Session"))
					}
				}
			}
			p.stop()
			if err := receive(t, "end", p.ended); err != nil {
				t.Error(err)
			}
			request(t, s, "TEARDOWN")
		})
	}
}

func TestClient_TLS(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	web.Close()
	s := rtsptest.Start(t, rtsptest.Options{SDP: sdp, Play: two, TLS: &tls.Config{Certificates: web.TLS.Certificates}})
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	play(t, rtsp.Options{URL: s.URL(nil, "/"), TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}).two(t)
	var unverified *tls.CertificateVerificationError
	if _, err := rtsp.Open(t.Context(), rtsp.Options{URL: s.URL(nil, "/"), TLS: &tls.Config{MinVersion: tls.VersionTLS12}}); !errors.As(err, &unverified) {
		t.Errorf("%v, want that nobody vouches for the certificate", err)
	}
	if _, err := rtsp.Open(t.Context(), rtsp.Options{URL: s.URL(nil, "/"), UDP: true, TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}); !errors.Is(err, rtsp.ErrTransport) {
		t.Errorf("%v, want no datagrams beside TLS", err)
	}
}

func TestOpen_Refusals(t *testing.T) {
	user := url.UserPassword("u", "hunter2")
	for name, tc := range map[string]struct {
		opts rtsptest.Options
		want error
	}{
		"wrong password":    {rtsptest.Options{SDP: sdp, Asks: `Digest realm="x", nonce="n0nce"`, User: url.UserPassword("u", "other")}, rtsp.ErrRefused},
		"unknown challenge": {rtsptest.Options{SDP: sdp, Asks: `Bearer x`, User: user}, rtsp.ErrChallenge},
		"no such path": {rtsptest.Options{Answer: func(r rtsptest.Request) string {
			if r.Method == "DESCRIBE" {
				return r.Reply("404 Not Found")
			}
			return ""
		}}, rtsp.ErrNotFound},
		"no video": {rtsptest.Options{SDP: "m=audio 0 RTP/AVP 0\r\n"}, rtsp.ErrNoVideo},
		"no way": {rtsptest.Options{SDP: sdp, Answer: func(r rtsptest.Request) string {
			if r.Method == "SETUP" {
				return r.Reply("461 Unsupported Transport")
			}
			return ""
		}}, rtsp.ErrTransport},
		"garbage":   {rtsptest.Options{Answer: func(rtsptest.Request) string { return "HTTP/1.1 400 Bad Request\r\n\r\n" }}, rtsp.ErrMalformed},
		"long line": {rtsptest.Options{Answer: func(rtsptest.Request) string { return strings.Repeat("x", 100_000) }}, rtsp.ErrMalformed},
		"endless header": {rtsptest.Options{Answer: func(rtsptest.Request) string {
			return "RTSP/1.0 200 OK\r\n" + strings.Repeat("A: b\r\n", 1000)
		}}, rtsp.ErrMalformed},
		"body without a bound": {rtsptest.Options{Answer: func(r rtsptest.Request) string { return r.Reply("200 OK", "Content-Length: 4000000000") }}, rtsp.ErrMalformed},
		"sent round in a circle": {rtsptest.Options{Answer: func(r rtsptest.Request) string {
			if r.Method == "DESCRIBE" {
				return r.Reply("302 Found", "Location: "+r.URI+"x")
			}
			return ""
		}}, rtsp.ErrRedirect},
		"sent to the web": {rtsptest.Options{Answer: func(r rtsptest.Request) string {
			if r.Method == "DESCRIBE" {
				return r.Reply("302 Found", "Location: http://127.0.0.1/x")
			}
			return ""
		}}, rtsp.ErrRedirect},
		"a control address with a line in it": {rtsptest.Options{SDP: "m=video 0 RTP/AVP 26\na=control:x\rEvil: 1\n"}, rtsp.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			s := rtsptest.Start(t, tc.opts)
			c, err := rtsp.Open(t.Context(), rtsp.Options{URL: s.URL(user, "/live"), Agent: "test"})
			if err == nil {
				c.Close()
			}
			if !errors.Is(err, tc.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

func TestOpen_CredentialsStayWithTheirServer(t *testing.T) {
	user := url.UserPassword("u", "hunter2")
	other := rtsptest.Start(t, rtsptest.Options{SDP: sdp, Asks: `Basic realm="fishing"`, User: user})
	s := rtsptest.Start(t, rtsptest.Options{Answer: func(r rtsptest.Request) string {
		if r.Method == "DESCRIBE" {
			return r.Reply("301 Moved Permanently", "Location: "+other.URL(user, "/x").String())
		}
		return ""
	}})
	if _, err := rtsp.Open(t.Context(), rtsp.Options{URL: s.URL(user, "/"), Agent: "test"}); !errors.Is(err, rtsp.ErrRefused) {
		t.Errorf("%v, want ErrRefused", err)
	}
	for len(other.Requests) > 0 {
		if r := <-other.Requests; r.Header.Get("Authorization") != "" {
			t.Errorf("%s carries credentials", r.Method)
		}
	}
}

func TestClient_FollowsARedirection(t *testing.T) {
	other := rtsptest.Start(t, rtsptest.Options{SDP: sdp, Play: two})
	s := rtsptest.Start(t, rtsptest.Options{Answer: func(r rtsptest.Request) string {
		if r.Method == "DESCRIBE" {
			return r.Reply("302 Found", "Location: "+other.URL(nil, "/x").String())
		}
		return ""
	}})
	play(t, rtsp.Options{URL: s.URL(nil, "/")}).two(t)
}

func TestClient_ReportsAndStaysAlive(t *testing.T) {
	for name, udp := range map[string]bool{"TCP": false, "UDP": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := rtsptest.Start(t, rtsptest.Options{SDP: sdp, Play: two, Session: ";timeout=3"})
			p := play(t, rtsp.Options{URL: s.URL(nil, "/"), UDP: udp})
			p.two(t)
			for range 2 {
				if r := request(t, s, "GET_PARAMETER"); r.Header.Get("Session") != "12345678" {
					t.Errorf("session %q", r.Header.Get("Session"))
				}
			}
			if b := receive(t, "receiver report", s.RTCP); b[1] != 201 || binary.BigEndian.Uint32(b[8:]) != 1 {
				t.Errorf("% x", b)
			}
		})
	}
}

// A nonce that is too old is replaced by the one that the camera gives then.
func TestClient_StaleNonce(t *testing.T) {
	t.Parallel()
	stale := make(chan struct{})
	s := rtsptest.Start(t, rtsptest.Options{SDP: sdp, Play: two, Session: ";timeout=3", Answer: func(r rtsptest.Request) string {
		select {
		case <-stale:
		default:
			if r.Method == "GET_PARAMETER" {
				close(stale)
				return r.Reply("401 Unauthorized", `WWW-Authenticate: Digest realm="x", nonce="fresh", stale=true`)
			}
		}
		return ""
	}})
	play(t, rtsp.Options{URL: s.URL(url.UserPassword("u", "p"), "/")}).two(t)
	request(t, s, "GET_PARAMETER")
	if r := request(t, s, "GET_PARAMETER"); !strings.Contains(r.Header.Get("Authorization"), `nonce="fresh"`) {
		t.Errorf("Authorization %q", r.Header.Get("Authorization"))
	}
}

func TestClient_LossEndsWithTheNextKeyframe(t *testing.T) {
	goOn := make(chan struct{})
	s := rtsptest.Start(t, rtsptest.Options{
		SDP: strings.Replace(sdp, "RTP/AVP", "RTP/AVPF", 1) + "a=rtcp-fb:96 nack pli\r\n",
		Play: func(ctx context.Context, c *rtsptest.Conn) {
			two(ctx, c)
			p := rtsptest.Packets{Payload: 96, SSRC: 1, Seq: 7} // number 6 is lost
			for _, b := range p.H264(6000, delta) {
				c.RTP(b)
			}
			select {
			case <-ctx.Done():
			case <-goOn:
			}
			for _, b := range append(p.H264(9000, delta), p.H264(12000, sps, idr)...) {
				c.RTP(b)
			}
		},
	})
	p := play(t, rtsp.Options{URL: s.URL(nil, "/")})
	if r := request(t, s, "SETUP"); !strings.HasPrefix(r.Header.Get("Transport"), "RTP/AVPF/TCP") {
		t.Errorf("Transport %s", r.Header.Get("Transport"))
	}
	p.two(t)
	if b := receive(t, "wish for a keyframe", s.RTCP); len(b) < 64 || b[52] != 0x81 || b[53] != 206 {
		t.Errorf("% x", b)
	}
	if !p.client.Losing() {
		t.Error("nothing is said to be lost")
	}
	close(goOn)
	if u := receive(t, "unit", p.units); !u.Key {
		t.Errorf("%+v follows a loss", u)
	}
}

func TestClient_DatagramsThatOvertake(t *testing.T) {
	s := rtsptest.Start(t, rtsptest.Options{SDP: sdp, Play: func(_ context.Context, c *rtsptest.Conn) {
		p := rtsptest.Packets{Payload: 96, SSRC: 1}
		b := append(p.H264(0, sps, idr), p.H264(3000, delta)...)
		b[1], b[2] = b[2], b[1]
		c.RTP([]byte("no RTP"))
		for _, b := range b {
			c.RTP(b)
			c.RTP(b)
		}
	}})
	play(t, rtsp.Options{URL: s.URL(nil, "/"), UDP: true}).two(t)
}

func TestClient_SenderReports(t *testing.T) {
	s := rtsptest.Start(t, rtsptest.Options{SDP: sdp, Play: func(_ context.Context, c *rtsptest.Conn) {
		p := rtsptest.Packets{Payload: 96, SSRC: 1}
		// The first picture was captured 300 ms before it was sent.
		c.SendRTCP(p.Report(time.Now().Add(-300*time.Millisecond), 0))
		for _, b := range append(p.H264(0, sps, idr), p.H264(3000, delta)...) {
			c.RTP(b)
		}
	}})
	p := play(t, rtsp.Options{URL: s.URL(nil, "/")})
	first := receive(t, "keyframe", p.units)
	if age := time.Since(first.Captured); age < 299*time.Millisecond {
		t.Errorf("captured %v ago, want 300 ms at least", age)
	}
	if d := receive(t, "unit", p.units).Captured.Sub(first.Captured); d < 33*time.Millisecond || d > 34*time.Millisecond {
		t.Errorf("%v between two pictures, want 33.3 ms", d)
	}
}

func TestClient_TheCameraEndsIt(t *testing.T) {
	for name, tc := range map[string]struct {
		play func(ctx context.Context, c *rtsptest.Conn)
		want error
	}{
		"closes": {func(_ context.Context, c *rtsptest.Conn) { c.Close() }, io.EOF},
		"says goodbye": {func(ctx context.Context, c *rtsptest.Conn) {
			two(ctx, c)
			c.SendRTCP([]byte{0x81, 203, 0, 1, 0, 0, 0, 9}) // another source
			c.SendRTCP(append((&rtsptest.Packets{SSRC: 1}).Report(time.Now(), 0), 0x81, 203, 0, 1, 0, 0, 0, 1))
		}, rtsp.ErrClosed},
		"tears down": {func(_ context.Context, c *rtsptest.Conn) {
			c.Raw([]byte("TEARDOWN rtsp://x RTSP/1.0\r\nCSeq: 1\r\n\r\n"))
		}, rtsp.ErrClosed},
		"talks garbage": {func(_ context.Context, c *rtsptest.Conn) { c.Raw(bytes.Repeat([]byte("garbage\r\n"), 10)) }, rtsp.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			s := rtsptest.Start(t, rtsptest.Options{SDP: sdp, Play: tc.play})
			p := play(t, rtsp.Options{URL: s.URL(nil, "/")})
			if err := receive(t, "end", p.ended); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

func TestClient_AnswersTheCamera(t *testing.T) {
	s := rtsptest.Start(t, rtsptest.Options{SDP: sdp, Play: func(ctx context.Context, c *rtsptest.Conn) {
		c.Raw([]byte("\r\nANNOUNCE rtsp://x RTSP/1.0\r\nCSeq: 77\r\nContent-Length: 3\r\n\r\nabc"))
		two(ctx, c)
	}})
	play(t, rtsp.Options{URL: s.URL(nil, "/")}).two(t)
	if r := request(t, s, "RTSP/1.0"); r.URI != "501" || r.Header.Get("CSeq") != "77" {
		t.Errorf("%+v", r)
	}
}

func TestOpen_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := rtsptest.Start(t, rtsptest.Options{Answer: func(rtsptest.Request) string { cancel(); return "RTSP/1.0 100 Continue\r\n\r\n" }})
	if _, err := rtsp.Open(ctx, rtsp.Options{URL: s.URL(nil, "/"), Agent: "test"}); err == nil {
		t.Error("opened")
	}
}
