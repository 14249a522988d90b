package httpd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sightline/internal/audit"
)

// visitor is a connection from an address that a test chooses; it is closed or not.
type visitor struct {
	net.Conn
	from     string
	closed   chan struct{}
	deadline time.Time // as set last
}

func (v *visitor) RemoteAddr() net.Addr          { return v }
func (v *visitor) Network() string               { return "tcp" }
func (v *visitor) String() string                { return v.from }
func (v *visitor) Read(p []byte) (int, error)    { return len(p), nil }
func (v *visitor) Write(p []byte) (int, error)   { return len(p), nil }
func (v *visitor) Close() error                  { close(v.closed); return nil }
func (v *visitor) SetDeadline(t time.Time) error { v.deadline = t; return nil }

func (v *visitor) isClosed() bool {
	select {
	case <-v.closed:
		return true
	default:
		return false
	}
}

// street is a listener whose visitors a test sends.
type street struct {
	net.Listener
	next chan net.Conn
}

func (s *street) Accept() (net.Conn, error) { return <-s.next, nil }

// knock has a visitor from an address come through d.
func knock(t *testing.T, d *door, from string) (*visitor, *guest) {
	t.Helper()
	v := &visitor{from: from, closed: make(chan struct{})}
	s, ok := d.Listener.(*street)
	if !ok {
		t.Fatal("no street")
	}
	s.next <- v
	conn, err := d.Accept()
	if err != nil {
		t.Fatal(err)
	}
	g, ok := conn.(*guest)
	if !ok {
		t.Fatalf("accepted a %T", conn)
	}
	return v, g
}

func TestDoor_TheLongestWaitingStrangerOfASourceGoesForTheNewest(t *testing.T) {
	d := newDoor(&street{next: make(chan net.Conn, 1)})
	d.grace = 0
	let, in := knock(t, d, "192.0.2.7:1")
	in.admit()
	other, _ := knock(t, d, "192.0.2.8:1")
	var attackers []*visitor
	for i := range maxSourceStrangers + 3 {
		v, _ := knock(t, d, fmt.Sprintf("192.0.2.7:%d", 1000+i))
		attackers = append(attackers, v)
	}
	for i, v := range attackers {
		if want := i < 3; v.isClosed() != want {
			t.Errorf("stranger %d closed: %v, want %v", i, v.isClosed(), want)
		}
	}
	if let.isClosed() || other.isClosed() {
		t.Error("one who was let in, or of another source, had to go")
	}
}

func TestDoor_WhoeverSaidSomethingStaysBeforeThoseWhoDidNot(t *testing.T) {
	d := newDoor(&street{next: make(chan net.Conn, 1)})
	d.grace = 0
	spoken, g := knock(t, d, "192.0.2.7:1")
	if _, err := g.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	silent, _ := knock(t, d, "192.0.2.7:2")
	for range maxSourceStrangers - 1 {
		_, g := knock(t, d, "192.0.2.7:3")
		if _, err := g.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if spoken.isClosed() || !silent.isClosed() {
		t.Error("the one that spoke had to go, or the silent one stayed")
	}
	knock(t, d, "192.0.2.7:4")
	if !spoken.isClosed() {
		t.Error("where all speak, the one that has waited longest did not go")
	}
}

func TestDoor_StrangersOfManySourcesAreBoundedTogether(t *testing.T) {
	d := newDoor(&street{next: make(chan net.Conn, 1)})
	first, _ := knock(t, d, "[2001:db8::1]:1")
	for i := range maxStrangers {
		knock(t, d, fmt.Sprintf("10.0.%d.%d:1", i/250, i%250))
	}
	if !first.isClosed() {
		t.Error("the first is still there")
	}
	if d.strangers.Len() != maxStrangers {
		t.Errorf("%d strangers, want %d", d.strangers.Len(), maxStrangers)
	}
}

func TestDoor_NobodyGoesForABurstAsLongAsThereIsRoom(t *testing.T) {
	d := newDoor(&street{next: make(chan net.Conn, 1)})
	d.grace = time.Hour
	other, _ := knock(t, d, "192.0.2.8:1")
	first, _ := knock(t, d, "192.0.2.7:1")
	for range maxStrangers - 2 {
		knock(t, d, "192.0.2.7:2")
	}
	if first.isClosed() {
		t.Error("the first had to go while there was room")
	}
	knock(t, d, "192.0.2.7:3")
	if !first.isClosed() || other.isClosed() {
		t.Error("the first did not go where there was none, or one of another source did")
	}
	d.grace = 0
	knock(t, d, "192.0.2.7:4")
	if n := d.bySource[netip.MustParsePrefix("192.0.2.7/32")].Len(); n != maxSourceStrangers {
		t.Errorf("%d are left after the burst, want %d", n, maxSourceStrangers)
	}
}

func TestDoor_AHostOfIPv6IsItsNetwork(t *testing.T) {
	if a, b := sourceOf("[2001:db8::1]:1"), sourceOf("[2001:db8::ffff]:2"); a != b || a.Bits() != 64 {
		t.Errorf("%v and %v, want one /64", a, b)
	}
	if a, b := sourceOf("[::ffff:192.0.2.1]:1"), sourceOf("192.0.2.1:2"); a != b {
		t.Errorf("%v and %v, want the same", a, b)
	}
}

func TestGuest_IsOnRecordAtMostOnce(t *testing.T) {
	for _, c := range []struct {
		name       string
		handshaken bool
		phase      int32
		moved      int64
		out        bool
		want       string
	}{
		{"hangs up before the handshake", false, greeting, 0, false, noHandshake},
		{"is crowded out before the handshake", false, greeting, 0, true, crowdedOut},
		{"asks nothing", true, greeting, 0, false, ""},
		{"asks nothing and is crowded out", true, greeting, 0, true, crowdedOut},
		{"is slow with its request", true, asking, 0, false, noRequest},
		{"is crowded out with half a request", true, asking, 0, true, crowdedOut},
		{"is answered by net/http", true, asking, 200, false, noRequest},
		{"is answered by net/http, and crowded out while that waits", true, asking, 200, true, noRequest},
		{"is answered by a handler", true, answering, 0, false, ""},
		{"is answered by a handler, and crowded out while net/http waits", true, answering, 0, true, ""},
		{"leaves after an answer", true, idle, farewells, false, ""},
		{"is crowded out after an answer", true, idle, 0, true, crowdedOut},
		{"asks what cannot be read after an answer", true, idle, farewells + 1, false, noRequest},
	} {
		g := &guest{}
		g.phase.Store(c.phase)
		g.moved.Store(c.moved)
		g.out.Store(c.out)
		if got := g.cameToNothing(c.handshaken); got != c.want {
			t.Errorf("who %s is on record for %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDoor_ForgetsThoseWhoLeave(t *testing.T) {
	d := newDoor(&street{next: make(chan net.Conn, 1)})
	for i := range 10 {
		_, g := knock(t, d, fmt.Sprintf("192.0.2.%d:1", i))
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if d.strangers.Len() != 0 || len(d.bySource) != 0 {
		t.Errorf("%d strangers, %d sources left", d.strangers.Len(), len(d.bySource))
	}
}

func TestDoor_AHandshakeHoldsItsTokenUntilItWritesOrEnds(t *testing.T) {
	d := newDoor(&street{next: make(chan net.Conn, 1)})
	d.handshakes = make(chan struct{}, 1)
	_, a := knock(t, d, "192.0.2.1:1")
	_, b := knock(t, d, "192.0.2.2:1")
	if err := a.queue(t.Context()); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancelCause(t.Context())
	late := errors.New("too late")
	cancel(late)
	if err := b.queue(over); !errors.Is(err, late) {
		t.Fatalf("a second one got in: %v", err)
	}
	if _, err := a.Write([]byte{22}); err != nil {
		t.Fatal(err)
	}
	if err := b.queue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(d.handshakes); n != 0 {
		t.Errorf("%d tokens held", n)
	}
	if err := b.queue(t.Context()); err != nil || len(d.handshakes) != 0 {
		t.Errorf("a closed one holds a token, error %v", err)
	}
}

// What the server takes for its own part of a handshake is not counted against the client: the time begins anew when its flight leaves.
func TestDoor_AHandshakeThatHadToWaitHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(&street{next: make(chan net.Conn, 1)})
		v, g := knock(t, d, "192.0.2.1:1")
		if err := g.queue(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // an overloaded machine computes
		if _, err := g.Write([]byte{22}); err != nil {
			t.Fatal(err)
		}
		if want := time.Now().Add(headerTimeout); !v.deadline.Equal(want) {
			t.Errorf("until %s, want %s", v.deadline, want)
		}
		before := v.deadline
		time.Sleep(time.Second)
		if _, err := g.Write([]byte{22}); err != nil || !v.deadline.Equal(before) {
			t.Errorf("until %s after another flight, want %s; error %v", v.deadline, before, err)
		}
	})
}

func TestServe_AnHonestViewerGetsInAmongSilentOnes(t *testing.T) {
	s := newSite(t)
	const silent = maxSourceStrangers + 40
	recorded := make(chan struct{}, 10*silent)
	s.audit.mu.Lock()
	s.audit.before = func(rec audit.Record) {
		if rec.Event == "connect" && rec.Verdict == audit.Refused {
			recorded <- struct{}{}
		}
	}
	s.audit.mu.Unlock()
	conns := make([]net.Conn, silent)
	for i := range conns {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // the server may have been first
		conns[i] = c
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.addr+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatalf("the honest one: %v", err)
	}
	_ = res.Body.Close()
	for _, c := range conns { // each until the server has had enough of it
		if _, err := io.ReadFull(c, make([]byte, 1)); err == nil {
			t.Error("the server spoke to a silent one")
		}
	}
	late := time.After(patience)
	for told := 0; told < silent; {
		select {
		case <-recorded:
			told++
		case <-late:
			t.Fatalf("%d on record, want %d", told, silent)
		}
	}
}

func TestServe_AFloodOfHandshakesLeavesEveryTokenBack(t *testing.T) {
	s := newSite(t)
	for range 50 {
		c, err := tls.Dial("tcp", s.addr, s.tls)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		raw, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Write([]byte("\x16\x03\x01\x00\x05hello")); err != nil { // no ClientHello
			t.Fatal(err)
		}
		_ = raw.Close()
	}
}

func TestServe_ConnectionsThatComeToNothingAreOnRecord(t *testing.T) {
	s := newSite(t)
	dial := func(send string, config *tls.Config) {
		t.Helper()
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // the server may have been first
		if config != nil {
			config = config.Clone()
			config.ServerName = "127.0.0.1"
			conn = tls.Client(conn, config)
		}
		if _, err := io.WriteString(conn, send); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
	}
	health := "GET /healthz HTTP/1.1\r\nHost: " + s.addr + "\r\n\r\n"
	dial("GET / HTTP/1.1\r\n\r\n", nil)
	dial("no HTTP at all\r\n\r\n", s.tls)
	dial("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", s.tls)
	dial("GET / HTTP/1.1\r\nHost: "+s.addr+"\r\nX: "+strings.Repeat("x", 2*maxHeader)+"\r\n\r\n", s.tls)
	dial(strings.Replace(health, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1), s.tls)
	if err := s.stop(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	told := map[string]int{}
	for _, rec := range s.audit.attempts() {
		if rec.Event != "connect" {
			t.Fatalf("record %+v", rec)
		}
		told[rec.Reason]++
	}
	if want := map[string]int{noHandshake: 1, noRequest: 3}; !maps.Equal(told, want) {
		t.Errorf("on record %v, want %v", told, want)
	}
}

func TestServe_WhatCannotBeReadBehindAGoodRequestIsOnRecordOnce(t *testing.T) {
	good := "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
	const silence = "silence" // the server's patience ends, and not the client
	last := strings.Replace(good, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)
	for _, c := range []struct {
		name, second string
		apart        bool // the second is sent once the first is answered
		status       string
		want         int
	}{
		{"none", "", true, "", 0},
		{"a good one", last, true, "200", 0},
		{"a good one at once", last, false, "200", 0},
		{"no length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", true, "400", 1},
		{"no length, at once", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", false, "400", 1},
		{"no HTTP", "x\r\n\r\n", true, "400", 1},
		{"too large", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n", true, "431", 1},
		{"another coding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", true, "501", 1},
		{"another version", "GET / HTTP/3.0\r\nHost: x\r\n\r\n", true, "505", 1},
		{"half of one", "GET ", true, "", 1},
		{"half of one, at once", "GET ", false, "", 1},
		{"half of one and then silence, at once", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", false, silence, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			conn, err := tls.Dial("tcp", s.addr, s.tls)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close() //nolint:errcheck // the server may have been first
			in := bufio.NewReader(conn)
			hear := func(want string) {
				t.Helper()
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, res.Body); err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				if !strings.HasPrefix(res.Status, want) {
					t.Errorf("status %s, want %s", res.Status, want)
				}
			}
			first, then := good, c.second
			if !c.apart {
				first, then = good+c.second, ""
			}
			if _, err := io.WriteString(conn, first); err != nil {
				t.Fatal(err)
			}
			hear("200")
			if _, err := io.WriteString(conn, then); err != nil {
				t.Fatal(err)
			}
			if c.status != silence {
				if c.status != "" {
					hear(c.status)
				}
				if err := conn.CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := io.Copy(io.Discard, in); err != nil {
				t.Fatal(err)
			}
			if err := s.stop(); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			told := s.audit.attempts()
			for _, rec := range told {
				if rec.Event != "connect" || rec.Reason != noRequest {
					t.Errorf("record %+v", rec)
				}
			}
			if len(told) != c.want {
				t.Errorf("%d on record, want %d", len(told), c.want)
			}
		})
	}
}

func TestServe_AddressesThatDoNotExistAreOnRecord(t *testing.T) {
	s := newSite(t)
	paths := []string{"/nothing", "/assets/nothing.js", "/assets/../healthz", "//healthz", "/./healthz", "/healthz/", "/ws/watch", "/mjpeg", "/assets/..%2fhealthz"}
	for _, path := range paths {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = path
		if strings.HasPrefix(path, "//") {
			r.URL.Opaque = "//" + s.addr + path // net/http takes what begins so for a host
		}
		res, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s, want 404", path, res.Status)
		}
	}
	records := s.audit.attempts()
	for _, rec := range records {
		if rec.Event != "request" || rec.Verdict != audit.Refused || rec.Reason != "not-found" {
			t.Errorf("record %+v", rec)
		}
	}
	if len(records) != len(paths) {
		t.Errorf("%d records, want %d", len(records), len(paths))
	}
}

func TestServe_SpeaksNoHTTP2(t *testing.T) {
	s := newSite(t)
	config := s.tls.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	conn, err := tls.Dial("tcp", s.addr, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing more is asked
	if p := conn.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
		t.Errorf("the server agreed to %q", p)
	}
}
