// Package rtsptest is an RTSP server for tests: it says and sends what a test has it say and send, right or wrong. It knows nothing of the client's code.
package rtsptest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sightline/internal/challenge"
)

// Options say what a server does.
type Options struct {
	SDP string // what DESCRIBE is answered with
	// Asks is a WWW-Authenticate header, that of Digest with the nonce "n0nce"; empty: everybody may come in. User is who may otherwise.
	Asks string
	User *url.Userinfo
	TLS  *tls.Config // nil: none
	// Refuses is the transport that SETUP answers with status 461: "TCP", "UDP" or none.
	Refuses string
	// Session is what stands behind the session's id, such as ";timeout=10".
	Session string
	// Answer gives the whole text of an answer in place of the usual one; empty: the usual one.
	Answer func(r Request) string
	// Play sends what it likes once PLAY is answered. ctx ends with the connection. Nil: nothing.
	Play func(ctx context.Context, c *Conn)
}

// Request is one of the client's.
type Request struct {
	Method, URI string
	Header      textproto.MIMEHeader
}

// Reply makes the text of an answer to r.
func (r Request) Reply(status string, fields ...string) string {
	return "RTSP/1.0 " + status + "\r\nCSeq: " + r.Header.Get("Cseq") + "\r\n" + strings.Join(append(fields, "\r\n"), "\r\n")
}

// Server is a running server. It ends with its test.
type Server struct {
	opts Options
	addr net.Addr
	// Requests has every request, in order. It holds 1000.
	Requests chan Request
	// RTCP has what the client reports. It holds 1000.
	RTCP chan []byte
}

// Conn is one client.
type Conn struct {
	server *Server
	conn   net.Conn
	mu     sync.Mutex
	udp    [2]*net.UDPConn // RTP and RTCP; nil: interleaved
	peer   [2]*net.UDPAddr
}

// Start starts a server on the loopback interface.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{opts: opts, addr: l.Addr(), Requests: make(chan Request, 1000), RTCP: make(chan []byte, 1000)}
	if opts.TLS != nil {
		l = tls.NewListener(l, opts.TLS)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() { s.serve(ctx, conn) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		group.Wait()
	})
	return s
}

// URL is an address of the server's.
func (s *Server) URL(user *url.Userinfo, path string) *url.URL {
	u := &url.URL{Scheme: "rtsp", Host: s.addr.String(), User: user, Path: path}
	if s.opts.TLS != nil {
		u.Scheme = "rtsps"
	}
	return u
}

// serve answers one client until it goes, or the server ends.
func (s *Server) serve(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	c := &Conn{server: s, conn: conn}
	var group sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		stop()
		cancel()
		_ = conn.Close()
		for _, u := range c.udp {
			if u != nil {
				_ = u.Close()
			}
		}
		group.Wait()
	}()
	r := bufio.NewReader(conn)
	for {
		if b, err := r.Peek(1); err != nil {
			return
		} else if b[0] == '$' {
			head := make([]byte, 4)
			if _, err := io.ReadFull(r, head); err != nil {
				return
			}
			body := make([]byte, binary.BigEndian.Uint16(head[2:]))
			if _, err := io.ReadFull(r, body); err != nil {
				return
			}
			s.RTCP <- body
			continue
		}
		tp := textproto.NewReader(r)
		line, err := tp.ReadLine()
		if err != nil {
			return
		}
		header, err := tp.ReadMIMEHeader()
		if err != nil {
			return
		}
		method, rest, _ := strings.Cut(line, " ")
		uri, _, _ := strings.Cut(rest, " ")
		req := Request{Method: method, URI: uri, Header: header}
		s.Requests <- req
		c.Raw([]byte(c.answer(req, &group)))
		if method == "PLAY" && s.opts.Play != nil {
			group.Go(func() {
				s.opts.Play(ctx, c)
			})
		}
		if method == "TEARDOWN" {
			return
		}
	}
}

func (c *Conn) answer(r Request, group *sync.WaitGroup) string {
	o := c.server.opts
	if o.Answer != nil {
		if text := o.Answer(r); text != "" {
			return text
		}
	}
	if o.Asks != "" && r.Method != "OPTIONS" && !o.accepts(r) {
		return r.Reply("401 Unauthorized", "WWW-Authenticate: "+o.Asks)
	}
	switch r.Method {
	case "OPTIONS":
		return r.Reply("200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")
	case "DESCRIBE":
		return r.Reply("200 OK", "Content-Base: "+r.URI+"/", "Content-Type: application/sdp", "Content-Length: "+strconv.Itoa(len(o.SDP))) + o.SDP
	case "SETUP":
		return c.setup(r, group)
	case "PLAY", "GET_PARAMETER", "TEARDOWN":
		return r.Reply("200 OK", "Session: 12345678")
	}
	return r.Reply("501 Not Implemented")
}

// accepts checks credentials by the formula of RFC 7616.
func (o Options) accepts(r Request) bool {
	field := r.Header.Get("Authorization")
	got := map[string]string{}
	for _, m := range regexp.MustCompile(`(\w+)="?([^",]+)"?`).FindAllStringSubmatch(field, -1) {
		got[m[1]] = m[2]
	}
	count, _ := strconv.ParseInt(got["nc"], 16, 32)
	return field != "" && field == challenge.Pick([]string{o.Asks}).AnswerWith(o.User, r.Method, r.URI, got["cnonce"], int(count))
}

func (c *Conn) setup(r Request, group *sync.WaitGroup) string {
	o := c.server.opts
	asked := r.Header.Get("Transport")
	tcp := strings.HasPrefix(asked, "RTP/AVP/TCP") || strings.HasPrefix(asked, "RTP/AVPF/TCP")
	if o.Refuses == "TCP" && tcp || o.Refuses == "UDP" && !tcp {
		return r.Reply("461 Unsupported Transport")
	}
	session := "Session: 12345678" + o.Session
	if tcp {
		return r.Reply("200 OK", session, "Transport: "+asked)
	}
	m := regexp.MustCompile(`client_port=(\d+)-(\d+)`).FindStringSubmatch(asked)
	if m == nil {
		return r.Reply("461 Unsupported Transport")
	}
	var ports [2]int
	for i := range 2 {
		port, _ := strconv.Atoi(m[i+1])
		u, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return r.Reply("500 Internal Server Error")
		}
		c.udp[i], c.peer[i] = u, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
		ports[i] = u.LocalAddr().(*net.UDPAddr).Port
	}
	group.Go(func() {
		b := make([]byte, 2000)
		for {
			n, _, err := c.udp[1].ReadFromUDP(b)
			if err != nil {
				return
			}
			c.server.RTCP <- append([]byte(nil), b[:n]...)
		}
	})
	return r.Reply("200 OK", session, fmt.Sprintf("Transport: %s;server_port=%d-%d", asked, ports[0], ports[1]))
}

// Raw writes to the control connection.
func (c *Conn) Raw(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.conn.Write(b) // a client that has gone is noticed by who reads
}

// Close ends the connection without a word.
func (c *Conn) Close() { _ = c.conn.Close() }

// RTP sends a packet of media.
func (c *Conn) RTP(b []byte) { c.send(0, b) }

// SendRTCP sends a packet of control.
func (c *Conn) SendRTCP(b []byte) { c.send(1, b) }

func (c *Conn) send(channel int, b []byte) {
	if c.udp[channel] != nil {
		_, _ = c.udp[channel].WriteToUDP(b, c.peer[channel]) // datagrams may be lost
		return
	}
	c.Raw(append([]byte{'$', byte(channel), byte(len(b) >> 8), byte(len(b))}, b...))
}
