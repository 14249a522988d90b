package ws

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxRest is how much an eager connection keeps that the kernel did not take: more than a message and what TLS says by itself.
const maxRest = 64 << 10

var errNotTaken = errors.New("the network takes nothing")

// eagerConn is a TCP connection that never makes anybody wait once a Poller watches it: what the kernel does not take at once of a write is kept, and flush
// waits for it to go; reads fail with errNothing where nothing is here. So a goroutine that serves very many connections is held up by none of them, though TLS
// can neither write a part of a record nor take one back.
type eagerConn struct {
	mu     sync.Mutex
	poller atomic.Pointer[Poller] // that watches; nil for none; set while mu is held
	fd     int                    // the socket, while it does; -1 once closed; guarded by mu
	rest   []byte                 // set by keep; guarded by mu
	some   atomic.Bool            // rest is not empty; set while mu is held
	dry    bool                   // there was nothing left to read, and no word of more; guarded by mu
	hung   bool                   // the peer has said all that it will; guarded by mu
	id     int32                  // by which the Poller knows this; guarded by mu

	*net.TCPConn               // until one watches
	readBy       time.Time     // guarded by mu
	sendBy       time.Time     // guarded by mu
	room         chan struct{} // signalled when flush may go on; nil while it does not wait; guarded by mu
}

// newEager gives conn as one that can be watched, if it is a TCP connection.
func newEager(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	return &eagerConn{TCPConn: tcp, fd: -1}
}

// put sends as much of p as the kernel takes at once, and gives what is left. c.mu is held, and a Poller watches.
//
// The socket never blocks, so Go's scheduler need not know of the system call: told of it, it takes the processor away from those that
// last 20 µs, as a write over loopback may, and what that starts costs a quarter more of everything.
func (c *eagerConn) put(p []byte) (rest []byte, err error) {
	if c.fd < 0 {
		return p, failed("write", net.ErrClosed)
	}
	for len(p) > 0 {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0) //nolint:gosec // the slice lives through the call, as unsafe.Pointer's rule 4 has it
		switch errno {
		case 0:
			p = p[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return p, nil
		default:
			return p, failed("write", errno)
		}
	}
	return nil, nil
}

func failed(op string, err error) error { return &net.OpError{Op: op, Net: "tcp", Err: err} }

// Write implements net.Conn.
func (c *eagerConn) Write(p []byte) (int, error) {
	if !c.watched() {
		return c.TCPConn.Write(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := p
	if len(c.rest) == 0 {
		var err error
		if rest, err = c.put(p); err != nil {
			return 0, err
		}
	}
	if len(c.rest)+len(rest) > maxRest {
		return 0, failed("write", errNotTaken)
	}
	if len(rest) > 0 {
		c.keep(append(c.rest, rest...))
	}
	return len(p), nil
}

// keep has rest wait for flush. c.mu is held.
func (c *eagerConn) keep(rest []byte) {
	c.rest = rest
	c.some.Store(len(rest) > 0)
}

// flush waits until the kernel has taken what is kept. More may be kept meanwhile.
func (c *eagerConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.rest) > 0 {
		rest, err := c.put(c.rest)
		if err == nil && len(rest) > 0 && late(c.sendBy) {
			err = failed("write", os.ErrDeadlineExceeded)
		}
		if err != nil {
			c.keep(nil)
			return err
		}
		if c.keep(rest); len(rest) > 0 {
			c.wait()
		}
	}
	return nil
}

// quickAck has the kernel acknowledge what comes when it is read (TCP_QUICKACK in tcp(7)). Behind a write of this side's it would wait for the next one instead, until
// two messages are here: the peer's path looks longer then than it is, and where both are on one machine the peer computes the acknowledgement, in the midst of its
// next write.
func (c *eagerConn) quickAck() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd >= 0 {
		_ = unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	}
}

// wait waits for a signal of c.room, or for c.sendBy. c.mu is held, but not meanwhile.
func (c *eagerConn) wait() {
	room, by := make(chan struct{}, 1), c.sendBy
	c.room = room
	c.mu.Unlock()
	var out <-chan time.Time
	if !by.IsZero() {
		timer := time.NewTimer(time.Until(by))
		defer timer.Stop()
		out = timer.C
	}
	select {
	case <-room:
	case <-out:
	}
	c.mu.Lock()
	c.room = nil
}

// signal has flush look again. c.mu is held.
func (c *eagerConn) signal() {
	select {
	case c.room <- struct{}{}:
	default: // nobody waits, or has been told
	}
}

func late(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

// Read implements net.Conn.
func (c *eagerConn) Read(p []byte) (int, error) {
	if !c.watched() {
		return c.TCPConn.Read(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return 0, failed("read", net.ErrClosed)
	}
	if len(p) == 0 {
		return 0, nil
	}
	for !c.dry {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(c.fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), syscall.MSG_DONTWAIT, 0, 0) //nolint:gosec // as in send
		switch errno {
		case 0:
			if n == 0 {
				return 0, io.EOF
			}
			c.dry = int(n) < len(p) && !c.hung // epoll(7): all of a stream was read
			return int(n), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			c.dry = true
		default:
			return 0, failed("read", errno)
		}
	}
	if late(c.readBy) {
		return 0, failed("read", os.ErrDeadlineExceeded)
	}
	return 0, errNothing
}

// Close implements net.Conn.
func (c *eagerConn) Close() error {
	err := c.TCPConn.Close()
	c.mu.Lock()
	p, fd := c.poller.Load(), c.fd
	c.fd = -1
	c.signal()
	c.mu.Unlock()
	switch {
	case p == nil:
		return err
	case fd < 0:
		return failed("close", net.ErrClosed)
	}
	err = syscall.Close(fd)
	p.look(c.id) // for who reads to meet the end
	return err
}

// SetDeadline implements net.Conn.
func (c *eagerConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn. A Poller that watches looks after it each second.
func (c *eagerConn) SetReadDeadline(t time.Time) error {
	if !c.watched() {
		return c.TCPConn.SetReadDeadline(t)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readBy = t
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *eagerConn) SetWriteDeadline(t time.Time) error {
	if !c.watched() {
		return c.TCPConn.SetWriteDeadline(t)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sendBy = t
	c.signal()
	return nil
}

// kept tells whether there is something to flush.
func (c *eagerConn) kept() bool { return c.some.Load() }

// watched tells whether a Poller reads.
func (c *eagerConn) watched() bool { return c.poller.Load() != nil }

// eagerBelow finds the eager connection under conn; nil if there is none.
func eagerBelow(conn net.Conn) *eagerConn {
	for {
		switch c := conn.(type) {
		case *eagerConn:
			return c
		case *strictConn:
			conn = c.Conn
		case interface{ NetConn() net.Conn }: // of TLS, and of whoever else counts what passes
			conn = c.NetConn()
		default:
			return nil
		}
	}
}
