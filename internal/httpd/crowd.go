package httpd

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"sightline/internal/audit"
)

// crowdEvery is how often connections closed for others' sake come on record, one record for each source.
const crowdEvery = time.Second

// maxCrowdSources is how many sources are told apart in that time; the others are counted together.
const maxCrowdSources = 100

// crowd counts connections that a door closed for others' sake. Safe for concurrent use.
type crowd struct {
	mu     sync.Mutex
	counts map[netip.Prefix]int
}

func newCrowd() *crowd { return &crowd{counts: map[netip.Prefix]int{}} }

func (c *crowd) add(source netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.counts[source]; !known && len(c.counts) >= maxCrowdSources {
		source = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	c.counts[source]++
}

func (c *crowd) drain() map[netip.Prefix]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := c.counts
	c.counts = map[netip.Prefix]int{}
	return counts
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
		for source, n := range c.drain() {
			log.Warn("connections closed since too many of their source waited without showing leave", "source", source, "count", n)
			err := to.Append(context.WithoutCancel(ctx), audit.Record{
				Event: "connect", Verdict: audit.Refused, Reason: fmt.Sprintf("crowded-out %d", n), Remote: source.Addr().String(),
			})
			if err != nil {
				log.Error("audit record not written", "error", err)
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}
