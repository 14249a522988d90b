package ws

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"sightline/internal/transport"
)

const (
	// maxFragments is how many frames one message may come in.
	maxFragments = 64
	// maxControl is how many control frames may come in a second: a peer that pings more often is after something else.
	maxControl = 50
	// heldMost is how many bytes a connection keeps room for that has nothing to give.
	heldMost = 16 << 10
)

// strictConn is a connection as the library reads it. It fails where RFC 6455 section 5 is broken in ways that the library lets
// pass: lengths that are written longer than they need to be, and a close frame with half a code; and where
// frames cost this side more than they cost the peer: messages in very many pieces, and floods of control frames. A client's pings and pongs it takes
// for itself. Once it is gated, it takes messages in one frame too, which is all that players and servers send, and gives the library whatever else comes in
// whole messages alone. One goroutine reads.
type strictConn struct {
	net.Conn
	now    func() time.Time
	limit  int64                             // of a message, in bytes; 0: none
	take   func(opcode byte, payload []byte) // is given each frame that is not the library's; payload is valid until it returns
	gated  bool
	client bool // this side is

	greeting greeting // of a client's

	err       error
	header    [14]byte // of the frame that begins, as far as it is here
	have      int
	skip      uint64 // bytes of payload still to come
	taken     []byte // payload of the frame on its way that is taken, as far as it is here
	taking    bool
	last      bool   // the frame on its way ends a message, or everything
	begun     bool   // a message of several frames has begun
	length    uint64 // of the message on its way
	fragments int
	window    time.Time
	control   int // control frames since window

	held     []byte // for the library
	given    int    // of held, what it has
	whole    int    // of held, up to the end of the last whole message
	messages int    // that are whole and were not counted off
}

// greeting is where a client's connection is before there are frames: in the answer to its handshake.
type greeting struct {
	on    bool
	begin []byte // of the answer, its status
	end   int    // so many bytes of what ends the answer are here
}

// pass gives what of p follows the answer, if that is a WebSocket's.
func (g *greeting) pass(p []byte) (frames []byte) {
	const status, end = "HTTP/1.1 101", "\r\n\r\n"
	for i, b := range p {
		if len(g.begin) < len(status) {
			g.begin = append(g.begin, b)
		}
		switch b {
		case end[g.end]:
			g.end++
		case end[0]:
			g.end = 1
		default:
			g.end = 0
		}
		if g.end == len(end) {
			if g.end = 0; string(g.begin) == status {
				*g = greeting{}
				return p[i+1:]
			}
		}
	}
	return nil
}

// strictWriter gives its connection as a strictConn to whoever hijacks it.
type strictWriter struct {
	http.ResponseWriter
	conn *strictConn
}

// Hijack implements http.Hijacker.
func (w *strictWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.conn.Conn = conn
	return w.conn, rw, nil
}

// Read implements net.Conn.
func (c *strictConn) Read(p []byte) (int, error) {
	for {
		ready := c.held
		if c.gated && c.err == nil {
			ready = c.held[:c.whole]
		}
		if n := copy(p, ready[c.given:]); n > 0 {
			c.given += n
			c.forget()
			return n, nil
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// forget makes room once the library has everything.
func (c *strictConn) forget() {
	if c.given < len(c.held) {
		return
	}
	c.held, c.given, c.whole = c.held[:0], 0, 0
	if cap(c.held) > heldMost {
		c.held = nil
	}
}

// scratch is what is read into: what comes is short, and mostly nobody reads.
var scratch = sync.Pool{New: func() any { return new([16 << 10]byte) }} //nolint:gochecknoglobals // buffers that are nobody's

// fill reads once and looks at what comes. After an error of its own it lets everything pass: what follows is thrown away.
func (c *strictConn) fill() error {
	buf, ok := scratch.Get().(*[16 << 10]byte)
	if !ok {
		return io.ErrShortBuffer // never: nothing else is put there
	}
	defer scratch.Put(buf)
	n, err := c.Conn.Read(buf[:])
	if c.err != nil {
		c.held = append(c.held, buf[:n]...)
	} else if c.err = c.pass(buf[:n]); c.err != nil {
		return c.err
	}
	if n > 0 {
		return nil // the error comes again
	}
	return err
}

// pass looks at bytes on their way to the library.
func (c *strictConn) pass(p []byte) error {
	if c.greeting.on {
		frames := c.greeting.pass(p)
		c.held = append(c.held, p[:len(p)-len(frames)]...)
		p = frames
	}
	for len(p) > 0 {
		if c.skip > 0 {
			n := min(c.skip, uint64(len(p)))
			part := p[:n]
			p, c.skip = p[n:], c.skip-n
			switch {
			case c.taking && c.skip == 0 && len(c.taken) == 0:
				c.hand(part)
			case c.taking:
				if c.taken = append(c.taken, part...); c.skip == 0 {
					c.hand(c.taken)
				}
			default:
				if c.held = append(c.held, part...); c.skip == 0 {
					c.ends()
				}
			}
			continue
		}
		c.header[c.have] = p[0]
		c.have++
		p = p[1:]
		if c.have < 2 || c.have < headerLen(c.header[1])+maskLen(c.header[1]) {
			continue
		}
		if err := c.judge(); err != nil {
			return err
		}
		c.have = 0
		switch {
		case c.skip > 0:
		case c.taking:
			c.hand(nil)
		default:
			c.ends()
		}
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

// maskLen is how long the mask is behind it.
func maskLen(second byte) int {
	if second&maskBit == 0 {
		return 0
	}
	return 4
}

// judge is called with a whole header.
func (c *strictConn) judge() error {
	n := headerLen(c.header[1])
	var length uint64
	switch n {
	case 2:
		length = uint64(c.header[1] & 0x7f)
	default:
		for _, b := range c.header[2:n] {
			length = length<<8 | uint64(b)
		}
	}
	if n == 4 && length < 126 || n == 10 && length < 1<<16 {
		return &transport.CloseError{Code: transport.CodeProtocol, Reason: "a length is written longer than it needs to be"}
	}
	final, opcode := c.header[0]&finalBit != 0, c.header[0]&0x0f
	c.skip, c.last = length, final
	c.taken, c.taking = c.taken[:0], c.takes(length)
	if !c.taking { // also what is wrong with it is for the library to say
		c.held = append(c.held, c.header[:c.have]...)
		if c.hopeless(final, opcode, length) {
			c.messages, c.whole = c.messages+1, len(c.held)
		}
	}
	switch {
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
		return nil
	case final:
		c.fragments = 0
	default:
		if c.fragments++; c.fragments > maxFragments {
			return &transport.CloseError{Code: transport.CodePolicy, Reason: fmt.Sprintf("a message in more than %d pieces", maxFragments)}
		}
	}
	c.length += length
	if final {
		c.length = 0
	}
	return nil
}

// hopeless tells whether the library refuses a frame by its header, or this side a message by its first: nothing behind it is worth waiting for.
func (c *strictConn) hopeless(final bool, opcode byte, length uint64) bool {
	begun, most := c.begun, uint64(c.limit)
	if opcode < opClose {
		c.begun = !final
	}
	switch {
	case c.header[0]&reservedBits != 0, !c.client && c.header[1]&maskBit == 0:
		return true
	case opcode >= opClose:
		return opcode > opPong || !final || length > 125
	case opcode == opContinuation:
		if !begun {
			return true
		}
	case opcode != opBinary || begun:
		return true
	}
	return most > 0 && (length > most || c.length+length > most)
}

// takes tells whether the frame is not for the library, by its header.
func (c *strictConn) takes(length uint64) bool {
	masked := c.header[1]&maskBit != 0
	switch c.header[0] {
	case finalBit | opPing, finalBit | opPong:
		return masked && length <= 125
	case finalBit | opBinary: // unless the library is not done with what came before
		return c.gated && masked != c.client && length > 0 && (c.limit == 0 || length <= uint64(c.limit)) &&
			!c.begun && c.messages == 0 && len(c.held) == 0
	}
	return false
}

// hand gives the payload of the frame that ends to take.
func (c *strictConn) hand(payload []byte) {
	if c.header[1]&maskBit != 0 {
		n := headerLen(c.header[1])
		mask := c.header[n : n+4]
		for i := range payload {
			payload[i] ^= mask[i&3]
		}
	}
	c.taking = false
	if cap(c.taken) > heldMost {
		c.taken = nil
	}
	c.take(c.header[0]&0x0f, payload)
}

// ends is called behind each frame of the library's.
func (c *strictConn) ends() {
	if opcode := c.header[0] & 0x0f; c.last && opcode != opPing && opcode != opPong { // with those the library would go on to read
		c.messages, c.whole = c.messages+1, len(c.held)
	}
}
