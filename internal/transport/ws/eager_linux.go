package ws

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"unsafe"
)

// maxRest is how much an eager connection keeps that the kernel did not take: more than a message and what TLS says by itself.
const maxRest = 64 << 10

var errNotTaken = errors.New("the network takes nothing")

// eagerConn is a TCP connection whose writes, once it is eager, never wait: what the kernel does not take at once is kept, and flush
// waits for it to go. So a goroutine that writes to very many connections is held up by none of them, though TLS can neither write a
// part of a record nor take one back.
type eagerConn struct {
	*net.TCPConn
	raw syscall.RawConn

	mu    sync.Mutex
	eager bool                  // guarded by mu
	rest  []byte                // guarded by mu
	in    []byte                // what send writes; guarded by mu
	err   error                 // of send; guarded by mu
	once  func(fd uintptr) bool // send, and that is it; made once, so that writes allocate nothing
	all   func(fd uintptr) bool // send, and again as long as there is something
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
	c := &eagerConn{TCPConn: tcp, raw: raw}
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
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&c.in[0])), uintptr(len(c.in))) //nolint:gosec // the slice lives through the call, as unsafe.Pointer's rule 4 has it
		switch errno {
		case 0:
			c.in = c.in[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return
		default:
			c.err = &net.OpError{Op: "write", Net: "tcp", Err: errno}
			return
		}
	}
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
		c.in, c.err = p, nil
		err := c.raw.Write(c.once)
		rest, c.in = c.in, nil
		if err = errors.Join(err, c.err); err != nil {
			return 0, err
		}
	}
	if len(c.rest)+len(rest) > maxRest {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: errNotTaken}
	}
	c.rest = append(c.rest, rest...)
	return len(p), nil
}

// flush waits until the kernel has taken what is kept.
func (c *eagerConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.rest) == 0 {
		return nil
	}
	c.in, c.err = c.rest, nil
	err := c.raw.Write(c.all)
	c.in, c.rest = nil, nil
	return errors.Join(err, c.err)
}

// kept tells whether there is something to flush.
func (c *eagerConn) kept() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.rest) > 0
}

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
