package load

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Bounds are what viewers must get.
type Bounds struct {
	FPS       float64 `json:"fps"`        // pictures a second of the viewer in the middle, at least
	GapMS     float64 `json:"gap_ms"`     // 99th percentile of the times between two pictures, at most
	LatencyMS float64 `json:"latency_ms"` // 95th percentile of the times from capture to the last byte, at most
}

// broken says which bound does not hold, or nothing.
func (b Bounds) broken(f Figures) string {
	switch {
	case f.FPSMedian < b.FPS:
		return fmt.Sprintf("%.1f pictures a second, fewer than %g", f.FPSMedian, b.FPS)
	case f.Gap.P99 > b.GapMS:
		return fmt.Sprintf("one gap in a hundred longer than %.0f ms, more than %g", f.Gap.P99, b.GapMS)
	case f.Age.P95 > b.LatencyMS:
		return fmt.Sprintf("one picture in twenty later than %.0f ms, more than %g", f.Age.P95, b.LatencyMS)
	}
	return ""
}

// Search says how to look for the most viewers that a server carries.
type Search struct {
	Bounds Bounds
	// First is how many viewers to begin with, and Most how many to try at most.
	First, Most int
	// Settle is how long viewers watch before they are measured, and Hold how long they are.
	Settle, Hold time.Duration
	// Server, if not nil, is the server's process, which is measured along.
	Server *Process
	// Tell, if not nil, is told of each Probe.
	Tell func(Probe)
}

// Probe is what one number of viewers got.
type Probe struct {
	Viewers int     `json:"viewers"`          // wanted
	Broke   string  `json:"broke,omitempty"`  // the bound that did not hold
	Server  *Usage  `json:"server,omitempty"` // what they cost it
	Got     Figures `json:"got"`
}

// Limit is how many viewers a server carries.
type Limit struct {
	Viewers int     `json:"viewers"`         // the most that got all that Bounds say
	Broke   string  `json:"broke,omitempty"` // what a few more did not get; empty: Most viewers got it
	Bounds  Bounds  `json:"bounds"`
	Probes  []Probe `json:"probes"`
}

// admitLimit is how long viewers are waited for.
const admitLimit = 30 * time.Second

// FindLimit finds the most Plain viewers that get what bounds say: it doubles their number until one is broken, and halves the
// distance from there. What breaks is looked at once more before it counts. Run must be under way, and nobody else call Want.
func (c *Crowd) FindLimit(ctx context.Context, s Search) (Limit, error) {
	l := Limit{Bounds: s.Bounds}
	n, err := search(s.First, s.Most, func(n int) (bool, error) {
		var broke string
		for range 2 {
			p, err := c.probe(ctx, s, n)
			if err != nil {
				return false, err
			}
			l.Probes = append(l.Probes, p)
			if s.Tell != nil {
				s.Tell(p)
			}
			if p.Broke == "" {
				return true, nil
			}
			broke = p.Broke
		}
		l.Broke = broke
		return false, nil
	})
	l.Viewers = n
	return l, err
}

// search is the largest number up to most, to one part in sixteen, for which holds is true; 0 if it is not for 1. It asks for first, and for
// those after it in steps twice as large each time.
func search(first, most int, holds func(int) (bool, error)) (int, error) {
	good, bad := 0, most+1
	for n := min(first, most); good < most; {
		ok, err := holds(n)
		if err != nil {
			return good, err
		}
		if ok {
			good = n
		} else {
			bad = n
		}
		if bad-good <= max(1, good/16) {
			break
		}
		if bad > most {
			n = min(2*good, most)
		} else {
			n = good + (bad-good)/2
		}
	}
	return good, nil
}

// probe has n viewers watch and tells what they got.
func (c *Crowd) probe(ctx context.Context, s Search, n int) (p Probe, err error) {
	p.Viewers = n
	from := c.Mark()
	c.Want(Plain, n)
	in, err := c.admitted(ctx, n)
	if err != nil {
		return p, err
	}
	if err := pause(ctx, s.Settle); err != nil {
		return p, err
	}
	began := c.Mark()
	used := s.Server.used()
	if err := pause(ctx, s.Hold); err != nil {
		return p, err
	}
	p.Server = used.since(s.Server)
	p.Got = c.Since(began)[0]
	p.Broke = s.Bounds.broken(p.Got)
	if !in && p.Got.Rungs[noRung] == p.Got.Viewers {
		return p, fmt.Errorf("no viewer got a picture in %s%s", admitLimit, c.why(p.Got, from))
	}
	if !in {
		whys := slices.Sorted(maps.Keys(c.Since(from)[0].Failures))
		p.Broke = strings.TrimSpace(fmt.Sprintf("only %d of %d had a picture after %s %s", p.Got.Viewers, n, admitLimit, strings.Join(whys, "; ")))
	}
	return p, nil
}

// why says what kept all viewers from pictures, if that is known.
func (c *Crowd) why(got Figures, from Mark) string {
	whys := slices.Sorted(maps.Keys(c.Since(from)[0].Failures))
	if got.State != "" {
		whys = append(whys, strings.TrimSpace(fmt.Sprintf("the stream is %s. %s", got.State, got.Detail)))
	}
	if len(whys) == 0 {
		return ""
	}
	return ": " + strings.Join(whys, "; ")
}

// admitted waits for n viewers to have had a picture, and reports whether they have.
func (c *Crowd) admitted(ctx context.Context, n int) (bool, error) {
	from := c.Mark()
	for late := time.Now().Add(admitLimit); time.Now().Before(late); {
		if f := c.Since(from)[0]; f.Viewers == n && f.Rungs[noRung] == 0 {
			return true, nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return false, err
		}
	}
	return false, nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
