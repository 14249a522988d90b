// Package ws carries messages over WebSocket (RFC 6455) on TLS: Accept for the server, Dial for viewers and publishers.
// The library does handshakes and reads, but for plain messages where a Poller reads; the server's writes are our own, since all viewers of a rendition
// share bytes that are framed once. It knows no video and starts no goroutines that outlive a call.
package ws

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"sightline/internal/transport"
)

// closeTimeout bounds how long Close waits for room to say goodbye.
const closeTimeout = time.Second

// readBuffer is how much is read at a time, in bytes: what viewers say is short, and a publisher's long messages go around it.
const readBuffer = 512

// deadlineSlack is the part of a timeout by which a connection may live on beyond it: deadlines are set anew only when that much is gone of them, as
// setting one costs more than reading the clock.
const deadlineSlack = 16

// maxRecord is as much as TLS writes at a time (RFC 8446 section 5.1), in bytes.
const maxRecord = 16 << 10

// drainLimit is how many bytes of a peer at fault are thrown away while it reads why it is cut.
const drainLimit = 64 << 10

// Options bound what a peer may send.
type Options struct {
	// ReadLimit is the longest message accepted, in bytes.
	ReadLimit int64
	// IdleTimeout ends the connection when nothing was received for so long; 0 never.
	IdleTimeout time.Duration
	// WriteTimeout ends the connection when one write makes no progress for so long; 0 never. It only ever kills: a
	// write that timed out leaves TLS unusable.
	WriteTimeout time.Duration
}

// Conn is a transport.Conn over WebSocket.
//
// What each write needs stands first and together: with very many connections none of it is in a cache.
type Conn struct {
	net     net.Conn   // below strict: of TLS
	eager   *eagerConn // below net, where it can be watched; nil where it cannot
	wmu     sync.Mutex
	closed  atomic.Bool
	server  bool
	pong    atomic.Pointer[[]byte] // the newest ping not yet answered
	goodbye atomic.Pointer[[]byte] // the close frame not yet sent; of a server

	ws     *websocket.Conn
	strict *strictConn // what ws reads from
	opts   Options

	rbuf    []byte                          // owned by the reader
	heard   func(message []byte, err error) // Watch's; owned by the reader
	touched time.Time                       // when the reading deadline was set; owned by the reader
	readErr error
	drained int64 // bytes thrown away after it; owned by the reader

	wbuf    []byte                               // guarded by wmu
	limited time.Time                            // when the writing deadline was set; guarded by wmu
	cause   atomic.Pointer[transport.CloseError] // why the reader closed, for a writer that meets it; set before closed
}

// Upgrade answers a WebSocket handshake that offers subprotocol. The caller has already checked who asks and from which
// origin. On an error the response has been written.
func Upgrade(w http.ResponseWriter, r *http.Request, subprotocol string, opts Options) (*Conn, error) {
	up := websocket.Upgrader{
		HandshakeTimeout: 5 * time.Second,
		Subprotocols:     []string{subprotocol},
		CheckOrigin:      func(*http.Request) bool { return true }, // the caller's job, see above
		ReadBufferSize:   readBuffer,                               // its own, on top of the strictConn
		WriteBufferPool:  noWriteBuffers{},                         // a server's writes are our own
	}
	strict := &strictConn{now: time.Now, limit: opts.ReadLimit}
	conn, err := up.Upgrade(&strictWriter{w, strict}, r, nil)
	if err != nil {
		return nil, fmt.Errorf("websocket handshake: %w", err)
	}
	c := newConn(conn, strict, opts)
	c.server = true
	return c, nil
}

// noWriteBuffers keeps the library from having a buffer for each connection that none of its writes would use.
type noWriteBuffers struct{}

// Get implements websocket.BufferPool: none is kept.
func (noWriteBuffers) Get() any { return nil }

// Put implements websocket.BufferPool.
func (noWriteBuffers) Put(any) {}

// RefusedError is a handshake that the server answered with something else than a WebSocket.
type RefusedError struct {
	Status int    // HTTP status code
	Body   string // what the server answered, at most 500 bytes
}

// Error implements error.
func (e *RefusedError) Error() string {
	sentence := strings.Join(strings.Fields(e.Body), " ")
	var answer struct{ Error struct{ Message string } }
	if json.Unmarshal([]byte(e.Body), &answer) == nil && answer.Error.Message != "" {
		sentence = answer.Error.Message
	}
	return fmt.Sprintf("refused with %d %s: %s", e.Status, http.StatusText(e.Status), sentence)
}

// Dial opens a connection to url (wss only) with subprotocols offered in order and header added to the request. A server that answers
// but refuses gives a *RefusedError.
func Dial(ctx context.Context, url string, header http.Header, subprotocols []string, tlsConfig *tls.Config, opts Options) (*Conn, error) {
	strict := &strictConn{now: time.Now, limit: opts.ReadLimit, client: true, greeting: greeting{on: true}}
	dialer := websocket.Dialer{
		NetDialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialTuned(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			strict.Conn, err = shakeHands(ctx, newEager(conn), addr, tlsConfig)
			return strict, err
		},
		HandshakeTimeout: 10 * time.Second,
		Subprotocols:     subprotocols,
	}
	conn, resp, err := dialer.DialContext(ctx, url, header)
	if err != nil {
		if resp != nil {
			body, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
			_ = resp.Body.Close()
			return nil, &RefusedError{Status: resp.StatusCode, Body: string(body)}
		}
		return nil, fmt.Errorf("websocket: %w", err)
	}
	c := newConn(conn, strict, opts)
	conn.SetPongHandler(func(string) error { c.touch(); return nil })
	return c, nil
}

// shakeHands makes a TLS connection of conn to addr, or closes it.
func shakeHands(ctx context.Context, conn net.Conn, addr string, config *tls.Config) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	if config = config.Clone(); config.ServerName == "" {
		config.ServerName = host
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secured, nil
}

func newConn(conn *websocket.Conn, strict *strictConn, opts Options) *Conn {
	c := &Conn{ws: conn, net: strict.Conn, opts: opts, strict: strict, eager: eagerBelow(strict)}
	strict.take = c.take
	conn.SetReadLimit(opts.ReadLimit)
	conn.SetCloseHandler(func(int, string) error { return nil }) // answered in explain
	return c
}

// take takes what the strictConn does: a client's ping or pong, and messages while a Poller reads.
func (c *Conn) take(opcode byte, payload []byte) {
	c.touch()
	switch {
	case opcode == opPing:
		c.answer(bytes.Clone(payload))
	case opcode == opBinary && c.readErr == nil && !c.closed.Load(): // else the peer has not seen our goodbye yet
		c.heard(payload, nil)
	}
}

func (c *Conn) touch() {
	if c.opts.IdleTimeout > 0 && !c.closed.Load() {
		slack := c.opts.IdleTimeout / deadlineSlack
		if now := time.Now(); now.Sub(c.touched) > slack {
			c.touched = now
			_ = c.net.SetReadDeadline(now.Add(c.opts.IdleTimeout + slack))
		}
	}
}

// ReadMessage implements transport.Conn.
func (c *Conn) ReadMessage() ([]byte, error) {
	if c.readErr != nil {
		return nil, c.readErr
	}
	p, err := c.read()
	for err == nil && c.closed.Load() {
		_, err = c.read() // the peer has not seen our goodbye yet
	}
	if err != nil {
		c.readErr = c.explain(err)
		_ = c.drain()
		return nil, c.readErr
	}
	return p, nil
}

// Watch has p read from now on, instead of ReadMessage: heard is called, in p's one goroutine, which it must not hold up, with each message, valid until it
// returns, and at the end, once, with ReadMessage's error. It reports whether that can be done here, and the connection is one from Dial, or from Upgrade through a Listener;
// if not, nothing has changed. Nobody reads meanwhile.
func (c *Conn) Watch(p *Poller, heard func(message []byte, err error)) bool {
	if c.eager == nil || c.strict.greeting.on {
		return false
	}
	c.wmu.Lock()
	defer c.unlock()
	c.strict.gated, c.heard = true, heard
	c.limited, c.touched = time.Time{}, time.Time{} // deadlines stay behind
	if err := p.watch(c.eager, c.hear); err != nil {
		c.strict.gated = false
		return false
	}
	return true
}

// hear takes all that is here, and reports whether nothing will follow. A panic costs this connection alone.
func (c *Conn) hear() (over bool) {
	if c.readErr != nil {
		return c.drain()
	}
	defer func() {
		if v := recover(); v != nil {
			mistake := &transport.CloseError{Code: transport.CodeInternal, Reason: "the server made a mistake"}
			over = c.deaf(mistake, fmt.Sprintf(": panic: %v\n%s", v, debug.Stack()))
		}
	}()
	if c.touched.IsZero() {
		c.touch()
	}
	for {
		for c.strict.messages == 0 {
			err := c.strict.fill()
			if errors.Is(err, errNothing) {
				return false
			}
			if err != nil {
				return c.deaf(err, "")
			}
		}
		c.strict.messages--
		message, err := c.read()
		if err != nil {
			return c.deaf(err, "")
		}
		if !c.closed.Load() { // else the peer has not seen our goodbye yet
			c.heard(message, nil)
		}
	}
}

// deaf ends hearing for err, and for what more there is to tell about it.
func (c *Conn) deaf(err error, more string) (over bool) {
	c.readErr = c.explain(err)
	c.strict.gated = false
	if more == "" {
		c.heard(nil, c.readErr)
	} else {
		c.heard(nil, fmt.Errorf("%w%s", c.readErr, more))
	}
	return c.drain()
}

// drain throws away what a peer at fault says while it reads why it is cut, and reports whether that is over.
func (c *Conn) drain() (over bool) {
	if c.atFault() {
		n, err := io.CopyN(io.Discard, c.strict, drainLimit-c.drained)
		if c.drained += n; errors.Is(err, errNothing) {
			return false
		}
		if err == nil {
			return true // Close's own time limit does the rest: closed now, what is unread would reset the connection before the peer has read why
		}
	}
	c.disconnect()
	return true
}

// atFault tells whether the peer did what it was cut for.
func (c *Conn) atFault() bool {
	var fault *transport.CloseError
	return errors.As(c.readErr, &fault) && !fault.Remote
}

// errNothing is what a connection that never waits has to give when there is nothing.
var errNothing error = nothingError{}

type nothingError struct{}

// Error implements error.
func (nothingError) Error() string { return "nothing to read now" }

// Timeout implements net.Error.
func (nothingError) Timeout() bool { return false }

// Temporary implements net.Error: TLS goes on after it.
func (nothingError) Temporary() bool { return true }

func (c *Conn) read() ([]byte, error) {
	c.touch()
	kind, r, err := c.ws.NextReader()
	if err != nil {
		return nil, err
	}
	if kind != websocket.BinaryMessage {
		return nil, &transport.CloseError{Code: transport.CodeNotBinary, Reason: "text message, only binary ones are understood"}
	}
	c.rbuf = c.rbuf[:0]
	for {
		if len(c.rbuf) == cap(c.rbuf) {
			c.rbuf = append(c.rbuf, 0)[:len(c.rbuf)]
		}
		n, err := r.Read(c.rbuf[len(c.rbuf):cap(c.rbuf)])
		c.rbuf = c.rbuf[:len(c.rbuf)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if len(c.rbuf) == 0 {
		return nil, &transport.CloseError{Code: transport.CodeMalformed, Reason: "empty message"}
	}
	return c.rbuf, nil
}

// explain turns what the library and the net report into this room's errors, and tells the peer where it is at fault.
func (c *Conn) explain(err error) error {
	if c.closed.Load() {
		return transport.ErrClosed
	}
	var ours *transport.CloseError
	var theirs *websocket.CloseError
	var timeout net.Error
	switch {
	case errors.As(err, &ours):
	case errors.As(err, &theirs) && theirs.Code != websocket.CloseAbnormalClosure:
		said := &transport.CloseError{Code: transport.Code(theirs.Code), Reason: printable(theirs.Text), Remote: true}
		c.cause.Store(said)
		_ = c.Close(transport.CodeNormal, "") // the answer to a goodbye
		return said
	case errors.Is(err, websocket.ErrReadLimit):
		ours = &transport.CloseError{Code: transport.CodeTooLarge, Reason: fmt.Sprintf("message longer than %d bytes", c.opts.ReadLimit)}
	case errors.As(err, &timeout) && timeout.Timeout():
		ours = &transport.CloseError{Code: transport.CodeUnresponsive, Reason: fmt.Sprintf("nothing received for %s", c.opts.IdleTimeout)}
	case lost(err), theirs != nil:
		return errLost()
	default:
		ours = &transport.CloseError{Code: transport.CodeProtocol, Reason: err.Error()}
	}
	c.cause.Store(ours)
	_ = c.Close(ours.Code, ours.Reason)
	return ours
}

// lost tells whether err is the end of a connection without a goodbye.
func lost(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &op)
}

// errLost is that end, as RFC 6455 section 7.4.1 numbers it.
func errLost() error {
	return &transport.CloseError{Code: 1006, Reason: "connection lost", Remote: true}
}

// ended is what a writer gets after the connection was closed.
func (c *Conn) ended() error {
	if cause := c.cause.Load(); cause != nil {
		return cause
	}
	return transport.ErrClosed
}

func printable(s string) string {
	if !utf8.ValidString(s) {
		return ""
	}
	return s
}

// WriteMessage implements transport.Conn.
func (c *Conn) WriteMessage(p []byte) error {
	c.wmu.Lock()
	defer c.unlock()
	if !c.server {
		c.limitWrite()
		err := c.ws.WriteMessage(websocket.BinaryMessage, p)
		if err == nil && c.watched() {
			err = c.eager.flush()
			c.eager.quickAck()
		}
		return c.writeError(err)
	}
	c.wbuf = append(AppendFrameHeader(c.wbuf[:0], len(p)), p...)
	return c.write(c.wbuf)
}

// WriteFramed writes p, which is one or more whole messages, each behind its header from AppendFrameHeader. It neither changes nor keeps p, so any
// number of connections may share it. Only a connection from Upgrade may use it.
func (c *Conn) WriteFramed(p []byte) error {
	c.wmu.Lock()
	defer c.unlock()
	return c.write(p)
}

func (c *Conn) write(p []byte) error {
	if c.closed.Load() {
		return c.ended() // nothing follows the goodbye
	}
	c.limitWrite()
	if !c.watched() {
		_, err := c.net.Write(p)
		return c.writeError(err)
	}
	for len(p) > 0 {
		part := p[:min(len(p), maxRecord)]
		p = p[len(part):]
		_, err := c.net.Write(part)
		if err == nil {
			err = c.eager.flush()
		}
		if err != nil {
			return c.writeError(err)
		}
	}
	return nil
}

// watched tells whether a Poller reads, so that writes need not wait.
func (c *Conn) watched() bool { return c.eager != nil && c.eager.watched() }

// TryWriteFramed writes p as WriteFramed does, one message, if it need not wait for that: where no Poller watches, somebody else is writing, the network has not
// taken what was written before, or the connection has ended, sent is false and nothing was done. Where whole is false the network did not take all of p at
// once: the rest goes with the next WriteFramed, WriteMessage or Flush, and until then nothing can be tried.
func (c *Conn) TryWriteFramed(p []byte) (sent, whole bool) {
	if !c.watched() || !c.wmu.TryLock() {
		return false, false
	}
	if !c.closed.Load() && !c.eager.kept() {
		_, err := c.net.Write(p) // deadlines are for who waits
		sent = err == nil
	}
	c.leave(false)
	return sent, sent && !c.eager.kept()
}

// Prefetch has what TryWriteFramed needs on its way from memory, without waiting for it, for a goroutine that is about to write to many connections, one after the other:
// a word of c and one of the eagerConn.
func (c *Conn) Prefetch() {
	if c.eager != nil {
		c.eager.watched()
	}
}

// Flush waits until the network has taken what TryWriteFramed left.
func (c *Conn) Flush() error {
	if !c.watched() {
		return nil
	}
	c.wmu.Lock()
	defer c.unlock()
	if c.closed.Load() {
		return c.ended()
	}
	c.limitWrite()
	return c.writeError(c.eager.flush())
}

func (c *Conn) limitWrite() {
	if c.opts.WriteTimeout > 0 {
		slack := c.opts.WriteTimeout / deadlineSlack
		if now := time.Now(); now.Sub(c.limited) > slack {
			c.limited = now
			_ = c.net.SetWriteDeadline(now.Add(c.opts.WriteTimeout + slack))
		}
	}
}

func (c *Conn) writeError(err error) error {
	var timeout net.Error
	switch {
	case err == nil:
		return nil
	case c.closed.Load():
		return c.ended()
	case errors.As(err, &timeout) && timeout.Timeout():
		return &transport.CloseError{Code: transport.CodeUnresponsive, Reason: fmt.Sprintf("nothing taken for %s", c.opts.WriteTimeout)}
	case lost(err):
		return errLost()
	}
	return fmt.Errorf("write message: %w", err)
}

// answer sends a pong now if nobody is writing, and otherwise leaves it to the one who is: a reader must never wait for a slow
// writer. Of several pings only the last is answered (RFC 6455 section 5.5.3 allows it).
func (c *Conn) answer(data []byte) {
	c.pong.Store(&data)
	if c.wmu.TryLock() {
		c.unlock()
	}
}

// unlock ends a turn to write.
func (c *Conn) unlock() { c.leave(true) }

// leave ends a turn to write, with the pong and the goodbye that were left to it, and takes another turn for those that came too late for this one.
// Unless it may wait, what the network does not take at once of them is left to Flush.
func (c *Conn) leave(wait bool) {
	for {
		if data := swap(&c.pong); data != nil && !c.closed.Load() {
			var b [2 + 125]byte
			c.limitWrite()
			_, _ = c.net.Write(append(appendHeader(b[:0], opPong, len(*data)), *data...))
		}
		if p := swap(&c.goodbye); p != nil {
			_, _ = c.net.Write(*p)
		}
		if wait && c.watched() {
			_ = c.eager.flush() // whoever writes next meets the error
		}
		c.wmu.Unlock()
		if (c.pong.Load() == nil && c.goodbye.Load() == nil) || !c.wmu.TryLock() {
			return
		}
	}
}

// swap takes what p has. Mostly that is nothing, and looking is cheaper than taking.
func swap(p *atomic.Pointer[[]byte]) *[]byte {
	if p.Load() == nil {
		return nil
	}
	return p.Swap(nil)
}

// Close implements transport.Conn. It returns at once; the peer gets closeTimeout to take the goodbye and answer it, while a reader of this side, if there is
// one, throws away what still comes. Closing the socket at once would reset it where data is unread, and the goodbye could be lost. Where somebody is writing,
// the goodbye follows what they write.
func (c *Conn) Close(code transport.Code, reason string) error {
	if c.closed.Swap(true) {
		return nil
	}
	reason = transport.ClipReason(reason)
	deadline := time.Now().Add(closeTimeout)
	_ = c.net.SetDeadline(deadline) // also for a writer that is stuck
	if c.server {
		p := binary.BigEndian.AppendUint16(appendHeader(nil, opClose, 2+len(reason)), uint16(code))
		p = append(p, reason...)
		c.goodbye.Store(&p)
	}
	if c.wmu.TryLock() {
		if !c.server {
			_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(int(code), reason), deadline)
		}
		c.unlock()
	}
	time.AfterFunc(closeTimeout, c.disconnect)
	return nil
}

// disconnect closes the socket. Its error says only that the peer was gone first.
func (c *Conn) disconnect() { _ = c.net.Close() }
