package httpd

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"sightline/internal/audit"
)

// crowdEvery is how often connections that came to nothing come on record, one record for each: whoever waits for a disk must not hold up the door.
const crowdEvery = time.Second

// maxCrowdSources is how many sources, each with its reason, are told apart in that time; the others are counted together.
const maxCrowdSources = 100

// Why a connection came to nothing.
const (
	crowdedOut  = "crowded-out"  // too many of its source waited without showing leave
	noHandshake = "no-handshake" // it spoke no TLS that this server speaks, or not in time
	noRequest   = "no-request"   // its last request could not be read: too large, too slow, or not HTTP
)

// nothing is what connections that came to nothing are counted by.
type nothing struct {
	source netip.Prefix
	reason string
}

// crowd counts connections that came to nothing. Safe for concurrent use.
type crowd struct {
	open sync.WaitGroup // connections that net/http still has

	mu     sync.Mutex
	counts map[nothing]int
}

func newCrowd() *crowd { return &crowd{counts: map[nothing]int{}} }

func (c *crowd) add(source netip.Prefix, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := nothing{source, reason}
	if _, known := c.counts[key]; !known && len(c.counts) >= maxCrowdSources {
		key.source = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	c.counts[key]++
}

func (c *crowd) drain() map[nothing]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := c.counts
	c.counts = map[nothing]int{}
	return counts
}

// watch is a http.Server's ConnState. It counts each connection that ends before a handshake, or for others' sake, or with a request that no
// handler was given, be it the first or behind others. What net/http answers by itself (400, 431, 501, 505) it tells nobody of, and of a request
// that came at once behind another not even that it began: there what moved on the connection tells.
func (c *crowd) watch(conn net.Conn, state http.ConnState) {
	t, ok := conn.(*tls.Conn)
	if !ok {
		return
	}
	g, ok := t.NetConn().(*guest)
	if !ok {
		return
	}
	switch state {
	case http.StateNew:
		c.open.Add(1)
	case http.StateActive:
		g.enter(asking)
	case http.StateIdle:
		g.enter(idle)
	case http.StateHijacked:
		c.open.Done()
	case http.StateClosed:
		if reason := g.cameToNothing(t.ConnectionState().HandshakeComplete); reason != "" {
			c.add(g.source, reason)
		}
		c.open.Done()
	}
}

// cameToNothing is why a connection that ended is on record; "" where all that was asked on it is.
func (g *guest) cameToNothing(handshaken bool) string {
	phase := g.phase.Load()
	switch {
	case !handshaken && !g.out.Load():
		return noHandshake
	case phase == answering: // also while net/http waits a moment before it closes
		return ""
	case g.moved.Load() > farewells:
		return noRequest
	case g.out.Load():
		return crowdedOut
	case phase == asking:
		return noRequest
	}
	return ""
}

// tell puts the counts on record until ctx is done, and what is left then.
func (c *crowd) tell(ctx context.Context, to Recorder, log *slog.Logger) {
	ticker := time.NewTicker(crowdEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
		for key, n := range c.drain() {
			if key.reason == crowdedOut {
				log.Warn("connections closed since too many of their source waited without showing leave", "source", key.source, "count", n)
			}
			for range n { // floods are folded there
				rec := audit.Record{Event: "connect", Verdict: audit.Refused, Reason: key.reason, Remote: key.source.Addr().String()}
				if err := to.Append(context.WithoutCancel(ctx), rec); err != nil {
					log.Error("audit record not written", "error", err)
				}
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}
