//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"sightline/internal/wire"
)

// limitCases are connections that ask too slowly, for too much, or in another tongue.
func limitCases(_ context.Context, t *target, _ plan) ([]*testCase, error) {
	host := "Host: " + t.host + "\r\n"
	var cases []*testCase
	// silent sends what it has and waits for the server to hang up.
	silent := func(name string, overTLS bool, want outcome, send ...string) {
		cases = append(cases, &testCase{class: "limit", name: name, slow: true, try: func(ctx context.Context, v *visitor) (outcome, error) {
			var conn net.Conn
			conn, err := v.knock()
			if err != nil {
				return outcome{}, err
			}
			defer conn.Close() //nolint:errcheck // the server was first
			if overTLS {
				conn = tls.Client(conn, t.tls)
			}
			go func() {
				for i, part := range send {
					if i > 0 {
						select {
						case <-ctx.Done():
							return
						case <-time.After(time.Second):
						}
					}
					if _, err := io.WriteString(conn, part); err != nil {
						return
					}
				}
			}()
			said, err := io.ReadAll(conn)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return outcome{}, fmt.Errorf("still open after %s", patience)
			}
			if want.status == 0 && len(said) > 0 && !strings.HasPrefix(string(said), "HTTP/1.1 400 ") || want.status > 0 && !strings.HasPrefix(string(said), fmt.Sprintf("HTTP/1.1 %d ", want.status)) {
				return outcome{}, fmt.Errorf("answered %.100q", said)
			}
			return want, nil
		}})
	}
	drip := func(text string, n int) (list []string) {
		for i := 0; i < n; i++ {
			list = append(list, text)
		}
		return list
	}
	silent("nothing at all", false, unspoken())
	silent("half a handshake", false, unspoken(), "\x16\x03\x01\x02\x00\x01\x00")
	silent("a handshake by drips", false, unspoken(), append([]string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"}, drip("\x00", 12)...)...)
	silent("half a request line", true, unread(0), "GET / HT")
	silent("half a request behind a request", true, unread(200), "GET /healthz HTTP/1.1\r\n"+host+"\r\nGET / HTTP/1.1\r\n"+host)
	silent("headers by drips", true, unread(0), append([]string{"GET / HTTP/1.1\r\n" + host}, drip("X: y\r\n", 12)...)...)
	silent("letters by drips", true, unread(0), append([]string{"G"}, drip("E", 12)...)...)
	silent("a body that does not come", true, refused("login", "bad-json"), "POST /api/v1/login HTTP/1.1\r\n"+host+"Content-Length: 100\r\n\r\n")
	silent("a body by drips", true, refused("login", "bad-json"), append([]string{"POST /api/v1/login HTTP/1.1\r\n" + host + "Content-Length: 100\r\n\r\n"}, drip("{", 20)...)...)
	silent("chunks that do not come", true, refused("login", "bad-json"), "POST /api/v1/login HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n64\r\n{")

	large := func(name string, r request, may ...outcome) {
		c := plain("limit", "large", name, r, may...)
		cases = append(cases, c)
	}
	tooLarge := unread(431)
	large("a header of 64 KB", request{path: "/api/v1/session", header: []string{"X: " + strings.Repeat("x", 64<<10)}}, tooLarge)
	large("a header of 1 MB", request{path: "/api/v1/session", header: []string{"X: " + strings.Repeat("x", 1<<20)}}, tooLarge, unread(0))
	large("a token of 64 KB", request{path: "/api/v1/session", header: []string{bearer(strings.Repeat("x", 64<<10))}}, tooLarge)
	large("a cookie of 64 KB", request{path: "/api/v1/session", header: []string{"Cookie: __Host-sightline=" + strings.Repeat("x", 64<<10)}}, tooLarge)
	large("3000 headers", request{path: "/api/v1/session", header: strings.Split(strings.Repeat("X-Many: header\n", 3000)+"X: y", "\n")}, tooLarge)
	large("an address of 64 KB", request{path: "/" + strings.Repeat("x", 64<<10)}, tooLarge)
	large("a query of 64 KB", request{path: "/api/v1/session?" + strings.Repeat("x", 64<<10)}, tooLarge)
	large("a body of 9 KB", request{method: "POST", path: "/api/v1/login", body: `{"code":"` + strings.Repeat("x", 9<<10) + `"}`}, refused("login", "too-large"))
	large("a body of 1 MB", request{method: "POST", path: "/api/v1/login", body: `{"code":"` + strings.Repeat("x", 1<<20) + `"}`}, refused("login", "too-large"))
	large("a body of 9 KB in chunks", request{method: "POST", path: "/api/v1/login", header: []string{"Transfer-Encoding: chunked"}, body: fmt.Sprintf("2400\r\n{\"code\":\"%s\r\n0\r\n\r\n", strings.Repeat("x", 0x2400-9))}, refused("login", "too-large"))
	large("a body that says 2^63 bytes", request{method: "POST", path: "/api/v1/login", header: []string{"Content-Length: 9223372036854775808"}}, unread(400))
	large("a deep body", request{method: "POST", path: "/api/v1/login", body: strings.Repeat("[", 8000)}, refused("login", "bad-json"))
	large("a body in gzip", request{method: "POST", path: "/api/v1/login", header: []string{"Content-Encoding: gzip"}, body: "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"}, refused("login", "bad-json"))

	// tongue is what no TLS 1.3 is.
	tongue := func(name string, try func(conn net.Conn) error) {
		cases = append(cases, &testCase{class: "limit", group: "tongue", name: name, try: func(_ context.Context, v *visitor) (outcome, error) {
			conn, err := v.knock()
			if err != nil {
				return outcome{}, err
			}
			defer conn.Close() //nolint:errcheck // the server was first
			return unspoken(), try(conn)
		}})
	}
	for name, config := range map[string]*tls.Config{
		"TLS 1.2": {MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12}, "TLS 1.1": {MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}, "TLS 1.0": {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10},
		"another protocol alone": {NextProtos: []string{"mqtt"}},
	} {
		config.RootCAs, config.ServerName = t.tls.RootCAs, t.tls.ServerName
		tongue(name, func(conn net.Conn) error {
			if err := tls.Client(conn, config).Handshake(); err == nil {
				return errors.New("the handshake was accepted")
			}
			return nil
		})
	}
	for name, text := range map[string]string{
		"HTTP without TLS": "GET /api/v1/session HTTP/1.1\r\n" + host + "\r\n", "a WebSocket without TLS": "GET / HTTP/1.1\r\n" + host + "Upgrade: websocket\r\n\r\n", "HTTP/2 without TLS": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"zeroes": strings.Repeat("\x00", 100), "ones": strings.Repeat("\xff", 100), "a TLS alert": "\x15\x03\x01\x00\x02\x02\x28", "data before a handshake": "\x17\x03\x03\x00\x01\x00",
		"SSL 2": "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", "a record too long": "\x16\x03\x01\xff\xff" + strings.Repeat("\x00", 100), "no ClientHello": "\x16\x03\x01\x00\x04\x02\x00\x00\x00", "SSH": "SSH-2.0-x\r\n", "RTSP": "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
	} {
		tongue(name, func(conn net.Conn) error {
			if _, err := io.WriteString(conn, text); err != nil {
				return err
			}
			_ = conn.(*net.TCPConn).CloseWrite()
			said, err := io.ReadAll(io.LimitReader(conn, 4096))
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return errors.New("still open")
			}
			if strings.Contains(string(said), "session") || strings.Contains(string(said), " 200 ") || strings.Contains(string(said), " 101 ") {
				return fmt.Errorf("answered %.100q", said)
			}
			return nil
		})
	}
	// Go lets those in who offer HTTP/2 alone, without agreeing to it: what they say next is no request.
	cases = append(cases, &testCase{class: "limit", group: "tongue", name: "HTTP/2 alone", try: func(_ context.Context, v *visitor) (outcome, error) {
		conn, err := v.knock()
		if err != nil {
			return outcome{}, err
		}
		defer conn.Close() //nolint:errcheck // the server was first
		h2 := t.tls.Clone()
		h2.NextProtos = []string{"h2"}
		over := tls.Client(conn, h2)
		if _, err := io.WriteString(over, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil {
			return unspoken(), nil //nolint:nilerr // not let in at all
		}
		said, err := io.ReadAll(over)
		if over.ConnectionState().NegotiatedProtocol != "" || errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(string(said), " 200 ") {
			return outcome{}, fmt.Errorf("answered %.100q, %w", said, err)
		}
		if strings.HasPrefix(string(said), "HTTP/1.1 421 ") { // taken for a request of no host
			return refused("request", "unknown-host"), nil
		}
		return unread(0), nil
	}})
	star := plain("limit", "tongue", "HTTP/2 in TLS without asking for it", request{method: "PRI", path: "*"}, unread(400), unread(505), refused("request", "unknown-host"), refused("request", "not-found"))
	cases = append(cases, star)
	return cases, nil
}

// neighbours are honest viewers behind the address of the crowd.
const neighbours = 50

// crowd opens more silent connections than one source may have, while honest viewers come from the same address. Each silent one must be counted.
func (l *ledger) crowd(ctx context.Context) {
	const silent = 300
	if ctx.Err() != nil {
		return
	}
	c := &testCase{class: "limit", name: fmt.Sprintf("%d silent connections beside %d honest viewers", silent, neighbours)}
	token, err := l.target.token(ctx, "view", "door", "neighbour")
	if err != nil {
		l.miss("limit", err.Error())
		return
	}
	var all sync.WaitGroup
	errs := make([]error, silent)
	for i := range silent {
		all.Go(func() {
			conn, err := newVisitor(l.target, crowdAddress, false).knock()
			if err != nil {
				errs[i] = err
				return
			}
			defer conn.Close() //nolint:errcheck // the server was first
			if said, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) || len(said) > 0 {
				errs[i] = fmt.Errorf("still open after %s, or answered %.20q", patience, said)
			}
		})
	}
	let := outcome{entries: []entry{{"connect", "refused", nothingCame}}}
	refused := make([]error, neighbours)
	for i := range neighbours {
		all.Go(func() { refused[i] = neighbour(l.target, token) })
	}
	all.Wait()
	l.note(c, crowdAddress, let, errors.Join(errs...), silent)
	l.note(&testCase{class: "limit", name: "neighbours", allowed: true}, crowdAddress, outcome{entries: []entry{{"watch", "granted", ""}, {"watch-end", "ended", "left"}}}, errors.Join(refused...), neighbours)
}

// neighbour watches until the first picture.
func neighbour(t *target, token string) error {
	v := newVisitor(t, crowdAddress, false)
	defer v.leave()
	a, err := v.ask(upgrade("/ws/watch/door", bearer(token)))
	if err != nil || a.status != http.StatusSwitchingProtocols {
		return fmt.Errorf("an honest viewer behind the crowd's address: status %d %s: %w", a.status, a.code, err)
	}
	if _, err := v.conn.Write(message(wire.AppendJSON(nil, wire.TypeHello, wire.ViewerHello{Player: "x", Codecs: []string{"h264"}}))); err != nil {
		return err
	}
	for {
		_, payload, err := readFrame(v.in)
		if err != nil || len(payload) > 0 && wire.Type(payload[0]) == wire.TypeMedia {
			return err
		}
	}
}
