// Package load is a crowd of viewers without screens in one process: they join a stream as players do, some of them over networks
// that are made bad or coming and going, and what they get is measured. It decodes nothing, and leaves dialling and credentials to
// its caller. Run owns the goroutines.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/ws"
	"sightline/internal/watch"
)

// Kind is how a viewer behaves.
type Kind string

// The kinds.
const (
	Plain     Kind = "plain"       // takes all that comes
	Slow      Kind = "slow"        // has a network that carries what Options.Trace says
	Lossy     Kind = "lossy"       // has a network that loses packets
	Stalled   Kind = "stalled"     // stops reading, and does not hang up
	ComeAndGo Kind = "come-and-go" // stays for a while, leaves and comes back
)

// kinds is all of them, in the order in which they are told of.
func kinds() []Kind { return []Kind{Plain, Slow, Lossy, Stalled, ComeAndGo} }

// Options describe a crowd. Dial is required.
type Options struct {
	// Dial opens one viewer's connection.
	Dial func(context.Context) (transport.Conn, error)
	// Watch is what each viewer wants.
	Watch watch.Options
	// AtOnce is how many connect at the same time. Default 32.
	AtOnce int
	// Trace is what the network of Slow viewers carries. Default 1 Mbit/s.
	Trace Trace
	// Loss is the part of packets that the network of Lossy viewers loses. Default 0.01.
	Loss float64
	// Stay and Away are how long ComeAndGo viewers do, on average. Defaults 5 s and 1 s.
	Stay, Away time.Duration
}

// Crowd is many viewers of one stream. Make one with New and Run it; its other methods are safe for concurrent use.
type Crowd struct {
	opts   Options
	tokens chan struct{} // one for each that connects
	groups map[Kind]*group
	change chan struct{} // the numbers wanted changed

	pollers []*ws.Poller  // read from plain connections
	next    atomic.Uint32 // of pollers, for the next connection
	stall   chan struct{} // closed by Stall

	mu     sync.Mutex
	wanted map[Kind]int // guarded by mu
}

// group is all viewers of one kind.
type group struct {
	kind Kind

	age, gap, first histogram
	frames, bytes   atomic.Uint64

	mu          sync.Mutex
	members     []*member         // that are wanted; guarded by mu
	connected   int               // guarded by mu
	failures    map[string]uint64 // attempts and sessions that ended, by why; guarded by mu
	undecodable uint64            // of viewers that left; guarded by mu
	dropped     uint64            // of viewers that left; guarded by mu
}

// member is one place in the crowd.
type member struct {
	leave  context.CancelFunc
	viewer atomic.Pointer[watch.Viewer] // nil while not connected
	frames atomic.Uint64
	height atomic.Int64
	stats  watch.Stats // as last looked at, but for Undecodable, which is of the whole session; guarded by group.mu
}

// New makes a crowd of nobody.
func New(opts Options) *Crowd {
	if opts.AtOnce == 0 {
		opts.AtOnce = 32
	}
	if opts.Trace == nil {
		opts.Trace = Trace{{For: time.Second, Bps: 1e6}}
	}
	if opts.Loss == 0 {
		opts.Loss = 0.01
	}
	if opts.Stay == 0 {
		opts.Stay = 5 * time.Second
	}
	if opts.Away == 0 {
		opts.Away = time.Second
	}
	c := &Crowd{
		opts: opts, tokens: make(chan struct{}, opts.AtOnce), groups: map[Kind]*group{},
		change: make(chan struct{}, 1), stall: make(chan struct{}), wanted: map[Kind]int{},
	}
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		c.pollers = append(c.pollers, ws.NewPoller(0))
	}
	c.opts.Watch.Watch = c.watch
	for _, k := range kinds() {
		c.groups[k] = &group{kind: k, failures: map[string]uint64{}}
	}
	return c
}

// Want sets how many viewers of a kind there shall be. Whoever is too many leaves.
func (c *Crowd) Want(k Kind, n int) {
	c.mu.Lock()
	c.wanted[k] = n
	c.mu.Unlock()
	select {
	case c.change <- struct{}{}:
	default:
	}
}

// Stall has the Stalled viewers stop reading; until then they are plain ones. Call it once.
func (c *Crowd) Stall() { close(c.stall) }

// Run has as many viewers watch as are wanted until ctx is done, and waits for all of them to have left.
func (c *Crowd) Run(ctx context.Context) {
	var reading sync.WaitGroup
	defer reading.Wait()
	polling, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop() // once all have left
	for _, p := range c.pollers {
		reading.Go(func() { _ = p.Run(polling, func() {}) }) // ends with polling alone
	}
	var all sync.WaitGroup
	defer all.Wait()
	for {
		c.mu.Lock()
		for k, n := range c.wanted {
			c.groups[k].resize(ctx, n, func(ctx context.Context, m *member) {
				all.Go(func() { c.run(ctx, c.groups[k], m) })
			})
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-c.change:
		}
	}
}

// watch has one of the pollers read from conn: thousands of goroutines that are woken for each picture would cost more than the server. Connections that
// are made bad read for themselves.
func (c *Crowd) watch(conn transport.Conn, heard func([]byte, error)) bool {
	plain, ok := conn.(*ws.Conn)
	return ok && plain.Watch(c.pollers[int(c.next.Add(1))%len(c.pollers)], heard)
}

// resize makes n members of the group, and starts those that are new.
func (g *group) resize(ctx context.Context, n int, start func(context.Context, *member)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.members) > n {
		last := len(g.members) - 1
		g.members[last].leave()
		g.members = g.members[:last]
	}
	for len(g.members) < n {
		ctx, leave := context.WithCancel(ctx)
		m := &member{leave: leave}
		g.members = append(g.members, m)
		start(ctx, m)
	}
}

// again is how long a viewer waits that was refused or thrown out before it tries once more.
const again = time.Second

// run is one viewer's life: sessions, one after the other.
func (c *Crowd) run(ctx context.Context, g *group, m *member) {
	defer m.leave()
	for ctx.Err() == nil {
		stay, done := ctx, context.CancelFunc(func() {})
		if g.kind == ComeAndGo {
			stay, done = context.WithTimeout(ctx, around(c.opts.Stay))
		}
		err := c.session(stay, g, m)
		pause := again
		switch {
		case ctx.Err() != nil:
		case stay.Err() != nil:
			pause = around(c.opts.Away)
		default:
			g.failed(err)
		}
		done()
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// around draws a time that is mean on average.
func around(mean time.Duration) time.Duration {
	return time.Duration(rand.ExpFloat64() * float64(mean)) //nolint:gosec // no secret is drawn
}

// failed counts a session that ended for another reason than that it was to.
func (g *group) failed(err error) {
	var closed *transport.CloseError
	var network *net.OpError
	why := err.Error()
	switch {
	case errors.As(err, &closed):
		why = fmt.Sprintf("%s (%d)", closed.Reason, closed.Code)
	case errors.As(err, &network): // without its addresses, which differ for each viewer
		why = fmt.Sprintf("%s %s: %v", network.Op, network.Net, network.Err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures[why]++
}

// session watches once.
func (c *Crowd) session(ctx context.Context, g *group, m *member) error {
	select {
	case c.tokens <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	began := time.Now()
	conn, err := c.opts.Dial(ctx)
	<-c.tokens
	if err != nil {
		return err
	}
	switch g.kind {
	case Plain, ComeAndGo:
	default:
		p := newPath(conn)
		switch g.kind {
		case Slow:
			p.trace = c.opts.Trace
		case Lossy:
			p.loss = c.opts.Loss
		case Stalled:
			p.stalled = c.stall
		}
		conn = p
	}
	opts := c.opts.Watch
	var last time.Time
	opts.Observe = func(p watch.Picture) {
		g.frames.Add(1)
		g.bytes.Add(uint64(p.Bytes))
		m.frames.Add(1)
		m.height.Store(int64(p.Height))
		if p.Age >= 0 {
			g.age.add(time.Duration(p.Age * float64(time.Millisecond)))
		}
		if last.IsZero() {
			g.first.add(p.At.Sub(began))
		} else {
			g.gap.add(p.At.Sub(last))
		}
		last = p.At
	}
	v := watch.New(conn, opts)
	m.viewer.Store(v)
	g.mu.Lock()
	g.connected++
	g.mu.Unlock()
	err = v.Run(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	m.look(v)
	g.connected--
	g.dropped += m.stats.Dropped
	g.undecodable += uint64(m.stats.Undecodable)
	m.viewer.Store(nil)
	m.stats = watch.Stats{}
	m.height.Store(0)
	return err
}

// look takes in what v has seen. group.mu is held.
func (m *member) look(v *watch.Viewer) {
	undecodable := m.stats.Undecodable
	m.stats = v.Stats()
	m.stats.Undecodable += undecodable
}

// Figures are what the viewers of one kind got in some time.
type Figures struct {
	Kind        Kind              `json:"kind"`
	Wanted      int               `json:"wanted"`
	Viewers     int               `json:"viewers"` // connected at the end
	Seconds     float64           `json:"seconds"`
	FPSMedian   float64           `json:"fps_median"`  // of the viewers connected
	FPSLeast    float64           `json:"fps_least"`   // of the viewers connected
	FPS         float64           `json:"fps"`         // of all together
	BitrateBps  float64           `json:"bitrate_bps"` // of pictures, of all together
	Age         Spread            `json:"latency"`     // capture to last byte received
	Gap         Spread            `json:"gap"`         // from a viewer's picture to its next
	First       Spread            `json:"first"`       // from dialling to the first picture
	Rungs       map[string]int    `json:"rungs"`       // viewers by the lines of what they get
	Dropped     uint64            `json:"dropped"`     // pictures the server did not send
	Undecodable uint64            `json:"undecodable"` // pictures that came without the one they refer to: always 0
	Failures    map[string]uint64 `json:"failures"`    // attempts and sessions that ended, by why
	State       media.State       `json:"state"`       // of the stream, as one of them was told last
	Detail      string            `json:"detail,omitempty"`
}

// noRung is where a viewer is that has had no picture.
const noRung = "none"

// Rungs names the rungs that any of the figures has viewers on, the one with most lines first.
func Rungs(all ...Figures) []string {
	var names []string
	for _, f := range all {
		for name := range f.Rungs {
			names = append(names, name)
		}
	}
	lines := func(name string) int {
		n, _ := strconv.Atoi(strings.TrimSuffix(name, "p")) // noRung has none
		return n
	}
	slices.SortFunc(names, func(a, b string) int { return lines(b) - lines(a) })
	return slices.Compact(names)
}

// Mark is a moment from which to measure.
type Mark struct {
	at     time.Time
	groups map[Kind]state
}

// state is a group at one moment.
type state struct {
	age, gap, first      *counts
	frames, bytes        uint64
	dropped, undecodable uint64
	failures             map[string]uint64
	members              map[*member]uint64 // pictures of each
}

// Mark begins a measurement.
func (c *Crowd) Mark() Mark {
	m := Mark{at: time.Now(), groups: map[Kind]state{}}
	for k, g := range c.groups {
		m.groups[k] = g.state()
	}
	return m
}

func (g *group) state() state {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := state{
		age: g.age.read(), gap: g.gap.read(), first: g.first.read(), frames: g.frames.Load(), bytes: g.bytes.Load(),
		dropped: g.dropped, undecodable: g.undecodable, failures: map[string]uint64{}, members: map[*member]uint64{},
	}
	for why, n := range g.failures {
		s.failures[why] = n
	}
	for _, m := range g.members {
		if v := m.viewer.Load(); v != nil {
			m.look(v)
		}
		s.dropped += m.stats.Dropped
		s.undecodable += uint64(m.stats.Undecodable)
		s.members[m] = m.frames.Load()
	}
	return s
}

// Since tells what the kinds of viewers that are wanted got since from.
func (c *Crowd) Since(from Mark) []Figures {
	var list []Figures
	for _, k := range kinds() {
		c.mu.Lock()
		wanted := c.wanted[k]
		c.mu.Unlock()
		if wanted > 0 {
			list = append(list, c.groups[k].since(from.groups[k], wanted, time.Since(from.at)))
		}
	}
	return list
}

func (g *group) since(before state, wanted int, elapsed time.Duration) Figures {
	now := g.state()
	for _, h := range [][2]*counts{{now.age, before.age}, {now.gap, before.gap}, {now.first, before.first}} {
		h[0].since(h[1])
	}
	seconds := max(elapsed, time.Millisecond).Seconds()
	f := Figures{
		Kind: g.kind, Wanted: wanted, Seconds: seconds,
		FPS: float64(now.frames-before.frames) / seconds, BitrateBps: float64(now.bytes-before.bytes) * 8 / seconds,
		Age: now.age.spread(), Gap: now.gap.spread(), First: now.first.spread(), Rungs: map[string]int{},
		// A viewer that came back takes its drops along: they are of its session.
		Dropped: now.dropped - min(now.dropped, before.dropped), Undecodable: now.undecodable - min(now.undecodable, before.undecodable),
		Failures: map[string]uint64{},
	}
	for why, n := range now.failures {
		if n -= before.failures[why]; n > 0 {
			f.Failures[why] = n
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	f.Viewers = g.connected
	var rates []float64
	for m, frames := range now.members {
		if m.viewer.Load() == nil {
			continue
		}
		rates = append(rates, float64(frames-before.members[m])/seconds)
		f.State, f.Detail = m.stats.State, m.stats.Detail
		rung := noRung
		if h := m.height.Load(); h > 0 {
			rung = fmt.Sprintf("%dp", h)
		}
		f.Rungs[rung]++
	}
	slices.Sort(rates)
	if n := len(rates); n > 0 {
		f.FPSMedian, f.FPSLeast = rates[n/2], rates[0]
	}
	return f
}

// Connected is how many viewers there are, and how many there shall be.
func (c *Crowd) Connected() (now, wanted int) {
	c.mu.Lock()
	for _, n := range c.wanted {
		wanted += n
	}
	c.mu.Unlock()
	for _, g := range c.groups {
		g.mu.Lock()
		now += g.connected
		g.mu.Unlock()
	}
	return now, wanted
}
