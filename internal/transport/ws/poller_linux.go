package ws

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// pollerEvents is how many sockets are asked after at a time.
	pollerEvents = 128
	// sweepEvery is how often deadlines are looked at.
	sweepEvery = time.Second
)

// polling is a Poller's part that is the system's.
type polling struct {
	begun chan struct{} // closed with the first connection

	mu      sync.Mutex
	fd      int                // of the epoll(7) that has the sockets; guarded by mu
	bell    *os.File           // an epoll(7) of that one, which Go's poller watches; nil before the first; guarded by mu
	watched map[int32]*watched // guarded by mu
	last    int32              // id given; guarded by mu
	todo    []int32            // to be looked at, whatever the kernel says; guarded by mu
	poked   bool               // guarded by mu
}

// watched is a connection with whoever is told of it.
type watched struct {
	conn     *eagerConn
	readable func() (over bool)
}

func newPolling() polling {
	return polling{begun: make(chan struct{}), watched: map[int32]*watched{}}
}

// watch takes conn's socket over, and has readable called now and whenever there may be something to be read, until it reports that all is over. The
// error is the system's; nothing has changed then.
func (p *Poller) watch(conn *eagerConn, readable func() (over bool)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bell == nil {
		if err := p.open(); err != nil {
			return err
		}
		close(p.begun)
	}
	p.last++
	if err := conn.detach(p, p.last); err != nil {
		return err
	}
	p.watched[p.last] = &watched{conn: conn, readable: readable}
	p.todo = append(p.todo, p.last)
	p.wake()
	return nil
}

// open makes the system's part. p.mu is held.
func (p *Poller) open() error {
	inner, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	outer, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		_ = unix.Close(inner)
		return os.NewSyscallError("epoll_create1", err)
	}
	err = errors.Join(
		unix.SetNonblock(outer, true), // so that Go's own poller waits for it
		unix.EpollCtl(outer, unix.EPOLL_CTL_ADD, inner, &unix.EpollEvent{}),
	)
	if err != nil {
		_, _ = unix.Close(inner), unix.Close(outer)
		return fmt.Errorf("set up epoll: %w", err)
	}
	p.fd, p.bell = inner, os.NewFile(uintptr(outer), "epoll")
	return nil
}

// look has readable of connection id called soon.
func (p *Poller) look(id int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.todo = append(p.todo, id)
	p.wake()
}

// poke ends a wait of poll. It reports whether there is one, or will be.
func (p *Poller) poke() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bell == nil {
		return false
	}
	p.wake()
	return true
}

// wake does that. p.mu is held.
func (p *Poller) wake() {
	if !p.poked {
		p.poked = true
		_ = p.bell.SetReadDeadline(time.Unix(1, 0))
	}
}

// poll is Run since the first connection.
func (p *Poller) poll(ctx context.Context, turn func()) error {
	defer func() { _, _ = p.bell.Close(), unix.Close(p.fd) }()
	raw, err := p.bell.SyscallConn()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { p.poke() })()
	events := make([]unix.EpollEvent, pollerEvents)
	sweep := time.Now().Add(sweepEvery)
	armed := false
	ring := func(bell uintptr) (rung bool) {
		rung, armed = armed, !armed
		p.arm(int(bell), armed)
		return rung
	}
	rest := func(uintptr) bool { return false }
	var now []*watched
	for ctx.Err() == nil {
		turn()
		now = p.due(now[:0], events[:ready(p.fd, events)], &sweep)
		for _, w := range now {
			if w.readable() {
				p.forget(w)
			}
		}
		if len(now) > 0 {
			p.wait(raw, rest, p.pause)
		} else {
			p.wait(raw, ring, turnEvery)
			if armed { // something else ended the wait
				_ = raw.Control(func(bell uintptr) { ring(bell) })
			}
		}
		clear(now)
	}
	return context.Cause(ctx)
}

// arm has the bell ring once something comes, or at once if something is there already; or has it be still, so that nobody is woken for what comes while there is work.
func (p *Poller) arm(bell int, on bool) {
	event := unix.EpollEvent{}
	if on {
		event.Events = unix.EPOLLIN
	}
	_ = unix.EpollCtl(bell, unix.EPOLL_CTL_MOD, p.fd, &event)
}

// wait waits until heard says so, or for as long as most, or until poked.
func (p *Poller) wait(raw syscall.RawConn, heard func(bell uintptr) bool, most time.Duration) {
	if most == 0 {
		return
	}
	p.mu.Lock()
	if !p.poked {
		_ = p.bell.SetReadDeadline(time.Now().Add(most))
	}
	p.mu.Unlock()
	_ = raw.Read(heard) // an error says that the deadline has come
	p.mu.Lock()
	p.poked = false
	p.mu.Unlock()
}

// ready asks epoll fd what there is, without waiting.
func ready(fd int, events []unix.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0) //nolint:gosec // events lives through the call
	if errno != 0 {
		return 0
	}
	return int(n)
}

// due appends the connections that are to be looked at.
func (p *Poller) due(now []*watched, events []unix.EpollEvent, sweep *time.Time) []*watched {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range events {
		if w := p.watched[events[i].Fd]; w != nil {
			w.conn.happened(events[i].Events)
			now = append(now, w)
		}
	}
	if late(*sweep) {
		*sweep = time.Now().Add(sweepEvery)
		for _, w := range p.watched {
			now = append(now, w)
		}
	}
	for _, id := range p.todo {
		if w := p.watched[id]; w != nil {
			now = append(now, w)
		}
	}
	p.todo = p.todo[:0]
	return now
}

// forget watches w no more.
func (p *Poller) forget(w *watched) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.watched, w.conn.id)
}

// detach takes the socket from Go's poller to p, which has locked itself.
func (c *eagerConn) detach(p *Poller, id int32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	fd := -1
	var failure error
	err := c.raw.Control(func(old uintptr) {
		if fd, failure = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0); failure != nil {
			return
		}
		// Events come once each, so that who looks must look at all there is; room to write is told of only after there was none.
		failure = unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
			Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: id,
		})
	})
	if err == nil {
		err = failure
	}
	if err != nil {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		return os.NewSyscallError("epoll_ctl", err)
	}
	_ = c.TCPConn.Close() // the socket itself lives on
	c.fd, c.id = fd, id
	c.poller.Store(p)
	return nil
}

// happened takes in what the kernel tells of the socket.
func (c *eagerConn) happened(events uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.dry = false
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.hung = true
	}
	if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.signal()
	}
}
