package httpd

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sightline/internal/wire"
)

const (
	// maxStrangers bounds the connections on which nobody has shown leave yet, maxSourceStrangers those of one source. Beyond
	// them the one that has waited longest is closed, of those that said nothing if there are any, and never the newest refused:
	// whoever is let in is through in milliseconds, so that honest viewers behind an attacker's address get in beside it.
	maxStrangers       = 1024
	maxSourceStrangers = 128
	// strangerGrace is how long nobody has to go for the sake of others of the same source, as long as there is room in all:
	// who comes in a burst of others has had no time to speak yet.
	strangerGrace = 500 * time.Millisecond
)

// door is a listener that bounds what connections may cost before anybody on them has shown leave: how many there are, and how
// many processors their handshakes take from the viewers who are in. Safe for concurrent use.
type door struct {
	net.Listener
	handshakes chan struct{} // one token for each handshake that computes
	grace      time.Duration // strangerGrace; tests set their own

	mu        sync.Mutex
	strangers *list.List // of *guest, the one that has waited longest first; guarded by mu
	bySource  map[netip.Prefix]*list.List
}

// guest is a connection that came through a door.
type guest struct {
	net.Conn

	// What each write looks at stands together.
	mu     sync.Mutex
	holds  atomic.Bool  // a handshake token; set while mu is held
	closed bool         // guarded by mu
	phase  atomic.Int32 // one of the phases below
	moved  atomic.Int64 // bytes in and out since the phase began, if it is asking or idle
	spoke  atomic.Bool  // something came from it
	out    atomic.Bool  // closed for others' sake

	door   *door
	source netip.Prefix
	since  time.Time

	all, own *list.Element // in the door's lists while a stranger, else nil; guarded by door.mu
}

// What net/http does with a connection.
const (
	greeting  int32 = iota // waits for its first request, or shakes hands
	asking                 // has read bytes of a request
	answering              // has given a handler a request, or closes after that
	idle                   // waits for the next request
)

// farewells is what both sides' alerts take that close TLS 1.3 (RFC 8446, sections 5.2 and 6.1): whatever else moves on an idle connection is
// a request, or the answer of net/http to what is none.
const farewells = 2 * (5 + 2 + 1 + 16)

func newDoor(l net.Listener) *door {
	return &door{
		Listener:   l,
		handshakes: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		grace:      strangerGrace,
		strangers:  list.New(), bySource: map[netip.Prefix]*list.List{},
	}
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	conn, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	g := &guest{Conn: conn, door: d, source: sourceOf(conn.RemoteAddr().String()), since: time.Now()}
	for _, out := range d.take(g) {
		out.out.Store(true)
		_ = out.Close()
	}
	return g, nil
}

// sourceOf is the network that one attacker has for itself: an IPv4 address, or an IPv6 /64.
func sourceOf(addr string) netip.Prefix {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return netip.Prefix{}
	}
	ip := ap.Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // the length fits the address
	return p
}

// take adds a stranger and gives those that have to go for it, if any.
func (d *door) take(g *guest) (out []*guest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := d.bySource[g.source]
	if own == nil {
		own = list.New()
		d.bySource[g.source] = own
	}
	g.all, g.own = d.strangers.PushBack(g), own.PushBack(g)
	for {
		crowded := d.strangers.Len() > maxStrangers
		var next *guest
		switch {
		case own.Len() > maxSourceStrangers:
			next = longestWaiting(own)
			if !crowded && g.since.Sub(next.since) < d.grace {
				return out
			}
		case crowded:
			next = longestWaiting(d.strangers)
		default:
			return out
		}
		d.forget(next)
		out = append(out, next)
	}
}

// longestWaiting is the first of waiting, which is not empty, that has said nothing, or just the first.
func longestWaiting(waiting *list.List) *guest {
	for e := waiting.Front(); e != waiting.Back(); e = e.Next() { // the last has had no time to speak
		if g, ok := e.Value.(*guest); ok && !g.spoke.Load() {
			return g
		}
	}
	g, _ := waiting.Front().Value.(*guest)
	return g
}

// forget takes g off the lists of strangers. The caller holds mu.
func (d *door) forget(g *guest) {
	if g.all == nil {
		return
	}
	d.strangers.Remove(g.all)
	own := d.bySource[g.source]
	own.Remove(g.own)
	if own.Len() == 0 {
		delete(d.bySource, g.source)
	}
	g.all, g.own = nil, nil
}

// guarded is config with handshakes that wait for their turn: the first flight of the server's is what computes. Clients that say
// they have a certificate are asked for it, and no others: browsers would trouble people with that. What it is worth is for the
// request to find out, so that a refusal has a sentence and a record.
func (d *door) guarded(config *tls.Config) *tls.Config {
	asking := config.Clone()
	asking.ClientAuth = tls.RequestClientCert
	config = config.Clone()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if g, ok := hello.Conn.(*guest); ok {
			if err := g.queue(hello.Context()); err != nil {
				return nil, err
			}
		}
		if slices.Contains(hello.SupportedProtos, wire.CertificateProtocol) {
			return asking, nil
		}
		return nil, nil
	}
	return config
}

// queue waits for a handshake token, which the next Write gives back.
func (g *guest) queue(ctx context.Context) error {
	select {
	case g.door.handshakes <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.holds.Load() {
		<-g.door.handshakes
		return nil
	}
	g.holds.Store(true)
	return nil
}

// release gives the handshake token back and tells whether there was one.
func (g *guest) release() bool {
	if !g.holds.Load() { // each write asks
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	held := g.holds.Swap(false)
	if held {
		<-g.door.handshakes
	}
	return held
}

// admit takes the connection from among the strangers: somebody on it has shown leave.
func (g *guest) admit() {
	g.door.mu.Lock()
	defer g.door.mu.Unlock()
	g.door.forget(g)
}

// Read implements net.Conn.
func (g *guest) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if n > 0 && !g.spoke.Load() {
		g.spoke.Store(true)
	}
	g.count(n)
	return n, err
}

// SetReadDeadline implements net.Conn. net/http gives the wait for another request longer than the rest of one that has begun, and tells of that
// to nobody else: what came in one piece with the request before has moved no bytes since.
func (g *guest) SetReadDeadline(t time.Time) error {
	if g.phase.Load() == idle && time.Until(t) <= headerTimeout {
		g.enter(asking)
	}
	return g.Conn.SetReadDeadline(t)
}

// NetConn is the connection that came through the door.
func (g *guest) NetConn() net.Conn { return g.Conn }

// Write implements net.Conn. At the server's first flight the time for a handshake begins anew: what went by while the server waited and computed
// is not the client's fault.
func (g *guest) Write(p []byte) (int, error) {
	if g.release() {
		if err := g.SetDeadline(time.Now().Add(headerTimeout)); err != nil {
			return 0, err
		}
	}
	n, err := g.Conn.Write(p)
	g.count(n)
	return n, err
}

// count takes note of bytes that moved, unless they are TLS's or a handler's.
func (g *guest) count(n int) {
	if phase := g.phase.Load(); phase == asking || phase == idle {
		g.moved.Add(int64(n))
	}
}

func (g *guest) enter(phase int32) {
	g.moved.Store(0)
	g.phase.Store(phase)
}

// Close implements net.Conn.
func (g *guest) Close() error {
	g.admit()
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.release()
	return g.Conn.Close()
}

type guestKey struct{}

// withGuest lets the handlers of a connection's requests find it.
func withGuest(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	return context.WithValue(ctx, guestKey{}, conn)
}

// heard takes note that a request on its connection could be read.
func heard(ctx context.Context) {
	if g, ok := ctx.Value(guestKey{}).(*guest); ok {
		g.enter(answering)
	}
}

// admit takes note that a request on its connection was let in.
func admit(ctx context.Context) {
	if g, ok := ctx.Value(guestKey{}).(*guest); ok {
		g.admit()
	}
}
