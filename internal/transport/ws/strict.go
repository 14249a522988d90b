package ws

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"time"

	"sightline/internal/transport"
)

const (
	// maxFragments is how many frames one message may come in.
	maxFragments = 64
	// maxControl is how many control frames may come in a second: a peer that pings more often is after something else.
	maxControl = 50
)

// strictConn is a connection whose reads look at the frames that pass, and fail where RFC 6455 section 5 is broken in ways that the
// library lets pass: lengths that are written longer than they need to be, and a close frame with half a code. They also fail where
// frames cost this side more than they cost the peer: messages in very many pieces, and floods of control frames. One goroutine reads.
type strictConn struct {
	net.Conn
	now func() time.Time

	err       error
	header    [10]byte // of the frame that begins, as far as it is here, without the mask
	have      int
	skip      uint64 // bytes of mask and payload still to come
	fragments int
	window    time.Time
	control   int // control frames since window
}

// strictWriter gives its connection as a strictConn to whoever hijacks it.
type strictWriter struct{ http.ResponseWriter }

// Hijack implements http.Hijacker.
func (w strictWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return &strictConn{Conn: conn, now: time.Now}, rw, nil
}

// Read implements net.Conn. After an error of its own it lets everything pass: what follows is thrown away.
func (c *strictConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.err == nil {
		if c.err = c.pass(p[:n]); c.err != nil {
			return 0, c.err
		}
	}
	return n, err
}

// pass looks at bytes on their way to the library.
func (c *strictConn) pass(p []byte) error {
	for len(p) > 0 {
		if c.skip > 0 {
			n := min(c.skip, uint64(len(p)))
			p, c.skip = p[n:], c.skip-n
			continue
		}
		c.header[c.have] = p[0]
		c.have++
		p = p[1:]
		if c.have < 2 || c.have < headerLen(c.header[1]) {
			continue
		}
		if err := c.judge(); err != nil {
			return err
		}
		c.have = 0
	}
	return nil
}

// headerLen is how long a frame's header is without its mask, by its second byte.
func headerLen(second byte) int {
	switch second & 0x7f {
	case 126:
		return 4
	case 127:
		return 10
	}
	return 2
}

// judge is called with a whole header.
func (c *strictConn) judge() error {
	var length uint64
	switch h := c.header[:c.have]; len(h) {
	case 2:
		length = uint64(h[1] & 0x7f)
	default:
		for _, b := range h[2:] {
			length = length<<8 | uint64(b)
		}
	}
	if c.have == 4 && length < 126 || c.have == 10 && length < 1<<16 {
		return &transport.CloseError{Code: transport.CodeProtocol, Reason: "a length is written longer than it needs to be"}
	}
	c.skip = length
	if c.header[1]&0x80 != 0 {
		c.skip += 4 // wraps only for lengths that the library refuses
	}
	switch final, opcode := c.header[0]&finalBit != 0, c.header[0]&0x0f; {
	case opcode == opClose && length == 1:
		return &transport.CloseError{Code: transport.CodeProtocol, Reason: "half a close code"}
	case opcode >= opClose:
		now := c.now()
		if now.Sub(c.window) >= time.Second {
			c.window, c.control = now, 0
		}
		if c.control++; c.control > maxControl {
			return &transport.CloseError{Code: transport.CodePolicy, Reason: fmt.Sprintf("more than %d control frames a second", maxControl)}
		}
	case final:
		c.fragments = 0
	default:
		if c.fragments++; c.fragments > maxFragments {
			return &transport.CloseError{Code: transport.CodePolicy, Reason: fmt.Sprintf("a message in more than %d pieces", maxFragments)}
		}
	}
	return nil
}
