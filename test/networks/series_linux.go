package main

import (
	"context"
	"encoding/json"
	"os/exec"
	"slices"
	"sync"
	"time"

	"sightline/internal/watch"
	"sightline/test/figures"
)

// seriesStep is how finely a case is told over time.
const seriesStep = 250 * time.Millisecond

// sample is the slow viewer's link at one moment.
type sample struct {
	at              time.Duration
	kbps, backlogKB float64
}

// sampling looks at the slow viewer's link until the function that it returns is called, which gives what it saw.
func (b *bench) sampling(ctx context.Context, start time.Time) (stop func() []sample) {
	if !b.series {
		return func() []sample { return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	var looking sync.WaitGroup
	var list []sample
	looking.Go(func() {
		tick := time.NewTicker(seriesStep)
		defer tick.Stop()
		for ctx.Err() == nil {
			s := sample{at: time.Since(start), kbps: -1, backlogKB: -1}
			s.kbps, s.backlogKB = b.net.link(ctx)
			if ctx.Err() == nil {
				list = append(list, s)
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	})
	return func() []sample {
		cancel()
		looking.Wait()
		return list
	}
}

// link is what the slow viewer's link carries, kbit/s, and what waits before it; -1 where it has no limit.
func (n *network) link(ctx context.Context) (kbps, backlogKB float64) {
	out, err := exec.CommandContext(ctx, "ip", "netns", "exec", n.ns("router"), "tc", "-s", "-j", "qdisc", "show", "dev", slow).Output()
	var qdiscs []struct {
		Kind    string `json:"kind"`
		Backlog int    `json:"backlog"`
		Options struct {
			Rate int `json:"rate"` // bytes/s
		} `json:"options"`
	}
	if err != nil || json.Unmarshal(out, &qdiscs) != nil || len(qdiscs) == 0 || qdiscs[0].Kind != "tbf" {
		return -1, -1
	}
	return float64(qdiscs[0].Options.Rate) * 8 / 1000, float64(qdiscs[0].Backlog) / 1000
}

// over tells a run over time.
func (r run) over(link []sample) *figures.Series {
	if len(r.at) == 0 {
		return nil
	}
	s := &figures.Series{Step: seriesStep.Seconds()}
	// A browser's pictures are seen, and their bytes are not.
	sized := slices.ContainsFunc(r.pictures, func(p watch.Picture) bool { return p.Bytes > 0 })
	next := 0
	for t := time.Duration(0); t < r.at[len(r.at)-1]; t += seriesStep {
		part := r.between(t, t+seriesStep)
		lines := -1.0
		for _, p := range part.pictures {
			lines = float64(p.Height)
		}
		kbps := -1.0
		if sized {
			kbps = part.kbps(t, t+seriesStep)
		}
		s.Kbps, s.FPS = append(s.Kbps, kbps), append(s.FPS, part.fps(t, t+seriesStep))
		s.AgeMedian, s.AgeMost, s.Lines = append(s.AgeMedian, part.age(0.5)), append(s.AgeMost, part.age(1)), append(s.Lines, lines)
		for next+1 < len(link) && link[next+1].at <= t+seriesStep {
			next++
		}
		if next < len(link) {
			s.LinkKbps, s.QueueKB = append(s.LinkKbps, link[next].kbps), append(s.QueueKB, link[next].backlogKB)
		}
	}
	return s
}
