//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// patience bounds every wait for the server.
const patience = 20 * time.Second

// visitor is somebody with an address, and a connection while there is one. One goroutine uses it.
type visitor struct {
	target *target
	remote string
	keeps  bool // the connection from one attempt to the next
	conn   *tls.Conn
	in     *bufio.Reader
}

func newVisitor(t *target, remote string, keeps bool) *visitor {
	return &visitor{target: t, remote: remote, keeps: keeps}
}

// leave closes the connection, if there is one.
func (v *visitor) leave() {
	if v.conn != nil {
		_ = v.conn.NetConn().Close()
		v.conn = nil
	}
}

// knock opens a TCP connection and no more.
func (v *visitor) knock() (net.Conn, error) {
	conn, err := dialFrom(v.remote).Dial("tcp", v.target.host)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(patience))
}

// enter opens a connection, unless there is one.
func (v *visitor) enter() error {
	if v.conn == nil {
		conn, err := v.knock()
		if err != nil {
			return err
		}
		v.conn = tls.Client(conn, v.target.tls)
		v.in = bufio.NewReader(v.conn)
	}
	return v.conn.SetDeadline(time.Now().Add(patience))
}

// request is one request in HTTP/1.1, not checked in any way.
type request struct {
	method, path string
	host         string   // default: the target's
	header       []string // whole lines
	body         string
}

func (v *visitor) render(r request) string {
	if r.host == "" {
		r.host = v.target.host
	}
	if r.method == "" {
		r.method = "GET"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, r.path, r.host)
	for _, line := range r.header {
		b.WriteString(line + "\r\n")
	}
	framed := func(line string) bool {
		return strings.HasPrefix(line, "Content-Length:") || strings.HasPrefix(line, "Transfer-Encoding:")
	}
	if r.body != "" && !slices.ContainsFunc(r.header, framed) {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	b.WriteString("\r\n" + r.body)
	return b.String()
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
	code   string // of the error object, if it is one
}

// ask sends a request and reads its answer. The connection is given up where the answer says so, or is a WebSocket, or the visitor keeps none.
func (v *visitor) ask(r request) (answer, error) { return v.say(v.render(r), r.method) }

// say is ask with the bytes as they are. It tries once: nobody can tell whether the server took note of what came to no answer.
func (v *visitor) say(raw, method string) (answer, error) {
	a, err := v.exchange(raw, method)
	if err != nil || !v.keeps || a.status == http.StatusSwitchingProtocols || a.header.Get("Connection") == "close" {
		if err == nil && a.status == http.StatusSwitchingProtocols {
			return a, nil // the caller goes on with it
		}
		v.leave()
	}
	return a, err
}

func (v *visitor) exchange(raw, method string) (answer, error) {
	if err := v.enter(); err != nil {
		return answer{}, err
	}
	_, unsent := io.WriteString(v.conn, raw)
	a, err := v.hear(method) // which may have come before all was sent
	if err != nil && unsent != nil {
		err = unsent
	}
	return a, err
}

// hear reads one answer.
func (v *visitor) hear(method string) (answer, error) {
	res, err := http.ReadResponse(v.in, &http.Request{Method: method}) //nolint:bodyclose // the connection is the body, and may go on
	if err != nil {
		return answer{}, err
	}
	a := answer{status: res.StatusCode, header: res.Header}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return a, nil
	}
	if res.Close {
		a.header.Set("Connection", "close")
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "multipart/") { // has no end
		return a, nil
	}
	if a.body, err = io.ReadAll(io.LimitReader(res.Body, 1<<20)); err != nil {
		return a, err
	}
	var object struct {
		Error struct{ Code string }
	}
	if json.Unmarshal(a.body, &object) == nil {
		a.code = object.Error.Code
	}
	return a, nil
}

// upgrade is a WebSocket handshake.
func upgrade(path string, header ...string) request {
	return request{path: path, header: append([]string{
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
		"Sec-WebSocket-Protocol: sightline.v1",
	}, header...)}
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// ticket gets one, as a program that holds a token may.
func (v *visitor) ticket(token, stream, action, origin string) (string, error) {
	body, err := json.Marshal(map[string]string{"stream": stream, "action": action, "origin": origin})
	if err != nil {
		return "", err
	}
	a, err := v.ask(request{method: "POST", path: "/api/v1/tickets", header: []string{bearer(token)}, body: string(body)})
	if err != nil {
		return "", err
	}
	var given struct{ Ticket string }
	if err := json.Unmarshal(a.body, &given); err != nil || given.Ticket == "" {
		return "", fmt.Errorf("no ticket: %d %s", a.status, a.body)
	}
	v.target.secret.add(given.Ticket)
	return given.Ticket, nil
}

// showsPicture tells whether bytes that a stranger got hold any of a picture.
func showsPicture(b []byte) bool {
	return bytes.Contains(b, []byte{0xff, 0xd8, 0xff}) || bytes.Contains(b, []byte{0, 0, 0, 1, 0x67})
}

// entry is one record that is due.
type entry struct{ event, verdict, reason string }

// outcome is what may come of an attempt.
type outcome struct {
	status  int    // of HTTP; 0: no answer, the connection ends
	code    string // of the error object
	entries []entry
}

// statuses are those of refusals, by their code.
func statusOf(code string) int {
	switch code {
	case "wrong-origin", "not-allowed", "no-csrf-header":
		return http.StatusForbidden
	case "credential-in-url", "no-subprotocol", "bad-json", "bad-input":
		return http.StatusBadRequest
	case "bad-stream-name", "not-found":
		return http.StatusNotFound
	case "too-large":
		return http.StatusRequestEntityTooLarge
	case "unknown-host":
		return http.StatusMisdirectedRequest
	}
	return http.StatusUnauthorized
}

// refused is the outcome of nearly every attempt: an error object, and one record with the same word.
func refused(event, code string) outcome {
	return outcome{status: statusOf(code), code: code, entries: []entry{{event, "refused", code}}}
}

// unread is the outcome of what is no request: net/http answers with status, if at all, and closes.
func unread(status int) outcome {
	return outcome{status: status, entries: []entry{{"connect", "refused", "no-request"}}}
}

func unspoken() outcome { return outcome{entries: []entry{{"connect", "refused", nothingCame}}} }

// testCase is one way to attack.
type testCase struct {
	class, name string
	group       string // cases of one group are repeated together
	once        bool   // not repeated
	slow        bool   // waits for most of its time
	allowed     bool   // no attack: must be let in, so that refusals mean something
	try         func(ctx context.Context, v *visitor) (outcome, error)
}

func (c *testCase) weight() int {
	if c.slow {
		return 1
	}
	return 0
}

// plain is a case of one request with one answer out of those that may come.
func plain(class, group, name string, r request, may ...outcome) *testCase {
	return &testCase{class: class, group: group, name: name, try: func(_ context.Context, v *visitor) (outcome, error) {
		a, err := v.ask(r)
		return judge(a, err, may...)
	}}
}

// judge finds the outcome that an answer is.
func judge(a answer, err error, may ...outcome) (outcome, error) {
	if a.status == http.StatusSwitchingProtocols {
		return outcome{}, fmt.Errorf("let in")
	}
	if showsPicture(a.body) {
		return outcome{}, fmt.Errorf("status %d, and a picture", a.status)
	}
	for _, name := range []string{"Set-Cookie", "Access-Control-Allow-Origin"} {
		if a.header.Get(name) != "" {
			return outcome{}, fmt.Errorf("status %d, and the header %s", a.status, name)
		}
	}
	for _, o := range may {
		if (o.status == a.status && o.code == a.code) || (o.status == 0 && err != nil) {
			return o, nil
		}
	}
	if err != nil {
		return outcome{}, err
	}
	return outcome{}, fmt.Errorf("status %d %s, want %s", a.status, a.code, describe(may))
}

func describe(may []outcome) string {
	var words []string
	for _, o := range may {
		words = append(words, strings.TrimSpace(fmt.Sprintf("%d %s", o.status, o.code)))
	}
	return strings.Join(words, " or ")
}
