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
)

// maxRest is how much an eager connection keeps that the kernel did not take: more than a message and what TLS says by itself.
const maxRest = 64 << 10

var errNotTaken = errors.New("the network takes nothing")

// eagerConn is a TCP connection whose writes, once it is eager, never wait: what the kernel does not take at once is kept, and flush
// waits for it to go. So a goroutine that writes to very many connections is held up by none of them, though TLS can neither write a
// part of a record nor take one back. Once a Poller watches it, reads never wait either: where nothing is here they fail with errNothing.
type eagerConn struct {
	*net.TCPConn
	raw syscall.RawConn

	mu    sync.Mutex
	eager bool                  // guarded by mu
	rest  []byte                // set by keep; guarded by mu
	some  atomic.Bool           // rest is not empty; set while mu is held
	in    []byte                // what send writes; guarded by mu
	err   error                 // of send; guarded by mu
	once  func(fd uintptr) bool // send, and that is it; made once, so that writes allocate nothing
	all   func(fd uintptr) bool // send, and again as long as there is something

	poller atomic.Pointer[Poller] // that watches; nil for none; set while mu is held, which guards what follows
	id     int32                  // by which it knows this
	fd     int                    // the socket, while it does; -1 once closed
	dry    bool                   // there was nothing left to read, and no word of more
	hung   bool                   // the peer has said all that it will
	readBy time.Time
	sendBy time.Time
	room   chan struct{} // signalled when flush may go on; nil while it does not wait
}

// newEager gives conn as one that can become eager, if it is a TCP connection.
func newEager(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn
	}
	c := &eagerConn{TCPConn: tcp, raw: raw, fd: -1}
	c.once = func(fd uintptr) bool { c.send(fd); return true }
	c.all = func(fd uintptr) bool { c.send(fd); return len(c.in) == 0 || c.err != nil }
	return c
}

// send writes as much of c.in as the kernel takes at once. c.mu is held.
//
// The socket never blocks, so Go's scheduler need not know of the system call: told of it, it takes the processor away from those that
// last 20 µs, as a write over loopback may, and what that starts costs a quarter more of everything.
func (c *eagerConn) send(fd uintptr) {
	for len(c.in) > 0 {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&c.in[0])), uintptr(len(c.in)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0) //nolint:gosec // the slice lives through the call, as unsafe.Pointer's rule 4 has it
		switch errno {
		case 0:
			c.in = c.in[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return
		default:
			c.err = failed("write", errno)
			return
		}
	}
}

func failed(op string, err error) error { return &net.OpError{Op: op, Net: "tcp", Err: err} }

// put sends as much of p as the kernel takes at once, and gives what is left. c.mu is held.
func (c *eagerConn) put(p []byte) (rest []byte, err error) {
	c.in, c.err = p, nil
	switch {
	case !c.watched():
		err = c.raw.Write(c.once)
	case c.fd < 0:
		err = failed("write", net.ErrClosed)
	default:
		c.send(uintptr(c.fd))
	}
	rest, c.in = c.in, nil
	return rest, errors.Join(err, c.err)
}

// Write implements net.Conn.
func (c *eagerConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.eager {
		return c.TCPConn.Write(p)
	}
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

// flush waits until the kernel has taken what is kept.
func (c *eagerConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watched() {
		return c.flushWatched()
	}
	if len(c.rest) == 0 {
		return nil
	}
	c.in, c.err = c.rest, nil
	err := c.raw.Write(c.all)
	c.in = nil
	c.keep(nil)
	return errors.Join(err, c.err)
}

// flushWatched is flush where a Poller watches. It gives c.mu away while it waits, and more may be kept meanwhile.
func (c *eagerConn) flushWatched() (err error) {
	for len(c.rest) > 0 {
		var rest []byte
		if rest, err = c.put(c.rest); err != nil {
			break
		}
		if c.keep(rest); len(rest) == 0 {
			break
		}
		if late(c.sendBy) {
			err = failed("write", os.ErrDeadlineExceeded)
			break
		}
		c.wait()
	}
	c.keep(nil)
	return err
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
	err := c.TCPConn.Close() // also ends a flush that has c.mu
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

func (c *eagerConn) setEager() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.eager = true
}

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
