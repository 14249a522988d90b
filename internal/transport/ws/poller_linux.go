package ws

import (
	"context"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pollerEvents is how many sockets are asked after at a time.
	pollerEvents = 128
	// sweepEvery is how often deadlines are looked at.
	sweepEvery = time.Second
	// nap is how long a loop with work at hand sleeps at most. Go takes its processor away from who sleeps for longer than 10 ms, and a process without any at work wakes
	// up dearly: for a while Go then looks about every 20 µs.
	nap = 9 * time.Millisecond
)

// polling is a Poller's part that is the system's.
type polling struct {
	begun chan struct{} // closed with the first connection

	mu      sync.Mutex
	open    bool               // epoll and bell are; guarded by mu
	epoll   int                // epoll(7) of the sockets and of bell; guarded by mu
	bell    int                // eventfd(2), written to where poll is to wait no more; guarded by mu
	watched map[int32]*watched // guarded by mu
	last    int32              // id given; guarded by mu
	todo    []int32            // to be looked at, whatever the kernel says; guarded by mu
	poked   bool               // bell was rung; guarded by mu
	ended   bool               // Run has; guarded by mu
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
	if !p.open {
		if err := p.begin(); err != nil {
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

// begin makes the system's part. p.mu is held.
func (p *Poller) begin() error {
	if p.ended {
		return os.ErrClosed
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return os.NewSyscallError("eventfd", err)
	}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil { // of no connection's id
		_, _ = unix.Close(epoll), unix.Close(bell)
		return os.NewSyscallError("epoll_ctl", err)
	}
	p.open, p.epoll, p.bell = true, epoll, bell
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
	if !p.open {
		return false
	}
	p.wake()
	return true
}

// wake does that. p.mu is held.
func (p *Poller) wake() {
	if p.open && !p.poked {
		p.poked = true
		_, _ = unix.Write(p.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// poll is Run since the first connection. It waits in system calls of its own: what Go's poller wakes goes through Go's scheduler, and through sleeping processors.
func (p *Poller) poll(ctx context.Context, turn func()) error {
	defer context.AfterFunc(ctx, func() { p.poke() })()
	events := make([]unix.EpollEvent, pollerEvents)
	bell := []unix.PollFd{{Fd: int32(p.bell), Events: unix.POLLIN}}
	sweep, busy := time.Now().Add(sweepEvery), time.Now()
	var now []*watched
	n := 0
	for ctx.Err() == nil {
		poked := p.heed()
		turn()
		now = p.due(now[:0], events[:max(n, 0)], &sweep)
		for _, w := range now {
			if w.readable() {
				p.forget(w)
			}
		}
		runtime.Gosched() // to whom this made ready: nobody else has this processor while it waits
		most := turnEvery
		if poked || len(now) > 0 {
			busy = time.Now()
		}
		if time.Since(busy) < sweepEvery {
			most = nap
		}
		if len(now) > 0 && p.pause > 0 {
			_, _ = unix.Poll(bell, int(p.pause.Milliseconds())) // what else comes can wait
		}
		n, _ = unix.EpollWait(p.epoll, events, int(most.Milliseconds())) // an error is an interruption
		clear(now)
	}
	return context.Cause(ctx)
}

// end gives the system's part back. What comes later finds nothing: a number that is closed is soon another file's.
func (p *Poller) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open {
		_, _ = unix.Close(p.epoll), unix.Close(p.bell)
	}
	p.open, p.ended = false, true
}

// heed takes note of a poke.
func (p *Poller) heed() (poked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.poked {
		p.poked = false
		_, _ = unix.Read(p.bell, make([]byte, 8))
		return true
	}
	return false
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
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	fd := -1
	var failure error
	err = raw.Control(func(old uintptr) {
		if fd, failure = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0); failure != nil {
			return
		}
		// Events come once each, so that who looks must look at all there is; room to write is told of only after there was none.
		failure = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
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
