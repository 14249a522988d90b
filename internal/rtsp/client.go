// Package rtsp plays the video of a network camera: RTSP 1.0 (RFC 2326) over TCP or TLS, media interleaved with it or in UDP datagrams, and H.264, H.265 or JPEG in RTP. It gives
// whole access units with the time they were captured, and only such as can be decoded: when packets are lost, it goes on at the next keyframe. It decodes no pictures, and knows
// nothing of who wants them.
//
// All that it reads comes from outside and may be hostile: lengths meet a limit before memory is asked for, and no message of an error holds credentials.
package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sightline/internal/challenge"
)

// Options say what to play and how.
type Options struct {
	// URL is the camera's, rtsp or rtsps, with the credentials that it may have. They are sent when that camera asks for them, and to nobody else.
	URL *url.URL
	// UDP asks for datagrams first. A camera that refuses is asked for the other way, but one with rtsps never for datagrams, which are not encrypted.
	UDP bool
	// TLS is for rtsps.
	TLS *tls.Config
	// Agent names this program to the camera.
	Agent string
	// Control looks at each address before a connection to it is made, as net.Dialer.Control does; nil allows all.
	Control func(network, address string, c syscall.RawConn) error
}

// The errors that a caller chooses by, besides ErrMalformed, ErrNoVideo and those of package net and crypto/tls.
var (
	// ErrRefused is returned when the camera does not accept the credentials, or none.
	ErrRefused = errors.New("credentials are refused")
	// ErrChallenge is returned when the camera wants credentials in a way that is not known here.
	ErrChallenge = errors.New("asks for credentials in an unknown way")
	// ErrNotFound is returned when the camera does not know the path.
	ErrNotFound = errors.New("not found")
	// ErrRedirect is returned for a camera that sends on to nowhere, or in a circle, or from rtsps to rtsp.
	ErrRedirect = errors.New("redirection that is not followed")
	// ErrTransport is returned when the camera sends its media in neither way.
	ErrTransport = errors.New("unsupported transport")
	// ErrDatagrams is returned when the camera sends only datagrams, and this process cannot receive any.
	ErrDatagrams = errors.New("datagrams cannot be received")
	// ErrClosed is returned when the camera ends the session.
	ErrClosed = errors.New("the camera ends the session")
)

// StatusError is any other answer that is not a success.
type StatusError struct {
	Method string
	Status int
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s is answered with status %d", e.Method, e.Status)
}

const (
	timeout      = 5 * time.Second // to connect, and for each answer
	goodbye      = 500 * time.Millisecond
	maxRedirects = 5

	defaultSession = 60 * time.Second // that a camera keeps without a sign of life (RFC 2326 section 12.37)
	minSession     = 2 * time.Second
	reportInterval = 5 * time.Second
	pliInterval    = 500 * time.Millisecond // between two requests for a keyframe
)

// Unit is one access unit: H.264 and H.265 as Annex B, where a keyframe has its parameter sets, or one JPEG without Huffman tables.
type Unit struct {
	Data []byte // the receiver's
	Key  bool   // decoding can begin here
	// Captured is when, by the local clock, with a monotonic reading. It is never after the moment the unit's first packet came, and rises with
	// the order of display.
	Captured time.Time
}

// Client is one session with a camera. Call Run once, or Close.
type Client struct {
	opts    Options
	base    *url.URL // without credentials
	host    string   // that the credentials are for
	conn    net.Conn
	frames  *frames
	track   track
	public  []string      // methods the camera has
	control string        // the session's
	session string        // its id
	life    time.Duration // how long it keeps without a sign of life
	udp     *datagrams    // nil: interleaved
	channel [2]uint8      // those of RTP and RTCP, interleaved

	// Guarded by writing while Run plays.
	writing sync.Mutex
	cseq    int
	met     *challenge.Challenge // what the camera asked last time

	// Guarded by media.
	media     sync.Mutex
	give      func(Unit) // nil: not playing yet
	order     order
	assembler *assembler
	timeline  timeline
	reception reception
	own       uint32 // our source identifier
	asked     time.Time

	losing atomic.Bool
}

// Open connects to the camera and prepares to play. The error is one of those above, or of the network.
func Open(ctx context.Context, opts Options) (*Client, error) {
	c := &Client{opts: opts, host: opts.URL.Host, life: defaultSession, own: rand.Uint32()}
	u := *opts.URL
	u.User, u.Fragment = nil, ""
	c.base = &u
	if err := c.open(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Video says what the camera sends.
func (c *Client) Video() Video { return c.track.Video }

// Losing tells whether packets were lost and no keyframe has come since. It may be called at any time.
func (c *Client) Losing() bool { return c.losing.Load() }

// Close ends a session that is not run.
func (c *Client) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
	if c.udp != nil {
		c.udp.close()
	}
}

func (c *Client) open(ctx context.Context) error {
	var answer *message
	for hops := 0; ; hops++ {
		if err := c.dial(ctx); err != nil {
			return err
		}
		m, err := c.describe(ctx)
		if err != nil {
			return err
		}
		if m.status < 300 {
			answer = m
			break
		}
		next, err := c.base.Parse(m.header.Get("Location"))
		known := err == nil && (next.Scheme == "rtsp" || next.Scheme == "rtsps") && next.Hostname() != ""
		if hops == maxRedirects || !known || c.base.Scheme == "rtsps" && next.Scheme == "rtsp" {
			return ErrRedirect
		}
		next.User = nil
		c.base = next
		_ = c.conn.Close()
	}
	t, control, err := parseSDP(answer.body)
	if err != nil {
		return err
	}
	c.track = t
	base := c.base.String()
	for _, field := range []string{"Content-Base", "Content-Location"} {
		if v := answer.header.Get(field); strings.HasPrefix(v, "rtsp") {
			base = v
			break
		}
	}
	c.control = controlURL(base, control)
	switch t.Codec {
	case H264:
		c.assembler = newAssembler(newH264(t.sets))
	case H265:
		c.assembler = newAssembler(newH265(t.sets))
	case JPEG:
		c.assembler = newAssembler(newJPEG(t.width, t.height))
	}
	c.timeline.rate, c.reception.rate = int64(t.rate), t.rate
	return c.setup(ctx, controlURL(base, t.control))
}

// controlURL is what a control attribute stands for (RFC 2326 appendix C.1.1). It is appended as cameras expect, also behind a query.
func controlURL(base, control string) string {
	if control == "" || control == "*" {
		return base
	}
	if lower := strings.ToLower(control); strings.HasPrefix(lower, "rtsp://") || strings.HasPrefix(lower, "rtsps://") {
		return control
	}
	return strings.TrimSuffix(base, "/") + "/" + strings.TrimPrefix(control, "/")
}

// dial connects to base.
func (c *Client) dial(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	port, secure := "554", c.base.Scheme == "rtsps"
	if secure {
		port = "322"
	}
	if p := c.base.Port(); p != "" {
		port = p
	}
	conn, err := (&net.Dialer{Control: c.opts.Control}).DialContext(ctx, "tcp", net.JoinHostPort(c.base.Hostname(), port))
	if err != nil {
		return err
	}
	if secure {
		config := c.opts.TLS.Clone()
		config.ServerName = c.base.Hostname()
		wrapped := tls.Client(conn, config)
		if err := wrapped.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return err
		}
		conn = wrapped
	}
	c.conn, c.frames, c.met, c.public = conn, newFrames(conn), nil, nil
	return nil
}

// describe asks what the camera has. The answer may be a redirection.
func (c *Client) describe(ctx context.Context) (*message, error) {
	m, err := c.request(ctx, "OPTIONS", c.base.String())
	if err != nil {
		return nil, err
	}
	for _, v := range m.header["Public"] {
		for method := range strings.SplitSeq(v, ",") {
			c.public = append(c.public, strings.TrimSpace(method))
		}
	}
	if m, err = c.request(ctx, "DESCRIBE", c.base.String(), "Accept: application/sdp"); err != nil {
		return nil, err
	}
	if m.status >= 300 && m.status < 400 {
		return m, nil
	}
	return m, refusal("DESCRIBE", m)
}

// refusal is the error of an answer that is no success.
func refusal(method string, m *message) error {
	switch {
	case m.status >= 200 && m.status < 300:
		return nil
	case m.status == 401, m.status == 403:
		return ErrRefused
	case m.status == 404:
		return ErrNotFound
	case m.status == 461:
		return ErrTransport
	}
	return &StatusError{Method: method, Status: m.status}
}

// setup agrees on how media comes, in the one way or the other.
func (c *Client) setup(ctx context.Context, control string) error {
	if c.opts.UDP && c.base.Scheme == "rtsps" {
		return fmt.Errorf("%w: datagrams beside an encrypted connection", ErrTransport)
	}
	ways := []bool{c.opts.UDP, !c.opts.UDP}
	if c.base.Scheme == "rtsps" {
		ways = ways[:1]
	}
	var m *message
	var err error
	for _, udp := range ways {
		profile := "RTP/AVP"
		if c.track.feedback {
			profile = "RTP/AVPF"
		}
		transport := profile + "/TCP;unicast;interleaved=0-1"
		if udp {
			if c.udp, err = listenPair(c.conn); err != nil {
				return err
			}
			transport = fmt.Sprintf("%s;unicast;client_port=%d-%d", profile, c.udp.port, c.udp.port+1)
		}
		if m, err = c.request(ctx, "SETUP", control, "Transport: "+transport); err != nil {
			return err
		}
		if err = refusal("SETUP", m); err == nil {
			break
		}
		if c.udp != nil {
			c.udp.close()
			c.udp = nil
		}
		if !errors.Is(err, ErrTransport) {
			return err
		}
	}
	if err != nil {
		return err
	}
	id, rest, _ := strings.Cut(m.header.Get("Session"), ";")
	c.session = strings.TrimSpace(id)
	if key, value, _ := strings.Cut(strings.TrimSpace(rest), "="); strings.EqualFold(key, "timeout") {
		if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 16); err == nil && n > 0 {
			c.life = max(time.Duration(n)*time.Second, minSession)
		}
	}
	if c.udp == nil {
		return c.interleave(m.header.Get("Transport"))
	}
	c.order.window = orderPackets
	return c.udp.meet(m.header.Get("Transport"))
}

var interleaved = regexp.MustCompile(`interleaved=(\d+)(?:-(\d+))?`)

// interleave learns the channels, which are the camera's to choose.
func (c *Client) interleave(transport string) error {
	c.channel = [2]uint8{channelRTP, channelRTCP}
	m := interleaved.FindStringSubmatch(transport)
	for i := range c.channel {
		if m == nil || m[i+1] == "" {
			continue
		}
		n, err := strconv.ParseUint(m[i+1], 10, 8)
		if err != nil {
			return fmt.Errorf("%w: interleaved channels", ErrMalformed)
		}
		c.channel[i] = uint8(n)
	}
	return nil
}

// write sends a request and gives its number.
func (c *Client) write(method, uri string, fields ...string) (number string, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.cseq++
	number = strconv.Itoa(c.cseq)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s RTSP/1.0\r\nCSeq: %s\r\nUser-Agent: %s\r\n", method, uri, number, c.opts.Agent)
	if c.session != "" {
		fmt.Fprintf(&b, "Session: %s\r\n", c.session)
	}
	if user := c.opts.URL.User; c.met != nil && user != nil && c.base.Host == c.host {
		fmt.Fprintf(&b, "Authorization: %s\r\n", c.met.Answer(user, method, uri))
	}
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	b.WriteString("\r\n")
	return number, c.send(b.String())
}

// send writes to the connection. The caller holds writing.
func (c *Client) send(text string) error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(timeout))
	_, err := c.conn.Write([]byte(text))
	return err
}

// request sends one and waits for its answer, with credentials if the camera asks for them.
func (c *Client) request(ctx context.Context, method, uri string, fields ...string) (*message, error) {
	if strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, fmt.Errorf("%w: an address with spaces", ErrMalformed)
	}
	conn := c.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	asked := false
	for {
		number, err := c.write(method, uri, fields...)
		if err != nil {
			return nil, err
		}
		m, err := c.answer(number)
		if err != nil {
			return nil, err
		}
		if m.status != 401 || asked || c.opts.URL.User == nil || c.base.Host != c.host {
			return m, nil
		}
		asked = true
		if c.met = challenge.Pick(m.header["Www-Authenticate"]); c.met == nil {
			return nil, ErrChallenge
		}
	}
}

// answer waits for the answer to the request of this number. Packets of media may come before it.
func (c *Client) answer(number string) (*message, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(timeout))
	defer func() { _ = c.conn.SetReadDeadline(time.Time{}) }()
	for {
		f, err := c.frames.next()
		switch {
		case err != nil:
			return nil, err
		case f.message == nil:
			if err := c.inband(f); err != nil {
				return nil, err
			}
		case f.message.status >= 200:
			if n := f.message.header.Get("CSeq"); n == number || n == "" {
				return f.message, nil
			}
		}
	}
}
