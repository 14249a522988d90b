//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"sightline/internal/load"
	"sightline/test/site"
)

// viewersFound is what sightline bench found: what each number of viewers got, and how many there may be.
type viewersFound struct {
	Levels []level    `json:"levels"`
	Limit  load.Limit `json:"limit"`
}

type level struct {
	Viewers int          `json:"viewers"`
	Got     load.Figures `json:"got"`
	Server  *load.Usage  `json:"server,omitempty"`
}

const rate = 30 // pictures a second of the stream

func measureViewers(ctx context.Context, l *lab) (_ any, err error) {
	server, err := site.Start(ctx, site.Options{
		Config: fmt.Sprintf("streams: {eval: {source: \"test:?size=1280x720&fps=%d\"}}\nlimits: {viewers: 50000, viewers-per-stream: 50000}\n", rate),
		Args:   []string{"--log-level", "error"},
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	token, err := server.Token(ctx, "eval", "view")
	if err != nil {
		return nil, err
	}
	bench := func(result any, more ...string) error {
		args := []string{filepath.Join(site.Programs(), "sightline"), "bench", "https://" + server.Host() + "/watch/eval", "--ca", filepath.Join(server.DataDir(), "ca.pem"), "--json"}
		return last(ctx, result, []string{"SIGHTLINE_TOKEN=" + token}, append(args, more...)...)
	}
	var found viewersFound
	counts, each, most, hold := []int{1, 10, 100, 400}, 18*time.Second, 5000, 5*time.Second
	if l.quick {
		counts, each, most, hold = []int{1, 10}, 6*time.Second, 20, time.Second
	}
	for _, n := range counts {
		var got struct {
			Kinds  []load.Figures `json:"kinds"`
			Server *load.Usage    `json:"server"`
		}
		if err := bench(&got, "--viewers", strconv.Itoa(n), "--duration", each.String()); err != nil {
			return found, fmt.Errorf("%d viewers: %w", n, err)
		}
		found.Levels = append(found.Levels, level{n, got.Kinds[0], got.Server})
	}
	return found, bench(&found.Limit, "--find-limit", "--viewers", strconv.Itoa(most), "--duration", hold.String())
}

func tellViewers(raw json.RawMessage) (*section, error) {
	var f viewersFound
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	s := &section{Intro: fmt.Sprintf("A test pattern of 1280 × 720 at %d pictures a second is encoded once; viewers in one process take it over TLS, acknowledge as players do and decode nothing. They share the "+
		"processors with the server and cost them as much as it does. Latency is from capture to the last byte received; a gap is the time between one viewer's picture and its next, %.0f ms where none is late.\n\n"+
		"The limit is the most viewers that all get at least %.0f pictures a second (the viewer in the middle), with at most one gap in a hundred above %.0f ms and one picture in twenty later than %.0f ms; `sightline bench --find-limit` "+
		"finds it by doubling and halving, and looks twice before it says no.", rate, 1000.0/rate, f.Limit.Bounds.FPS, f.Limit.Bounds.GapMS, f.Limit.Bounds.LatencyMS)}
	t := &table{Head: []string{"viewers", "pictures a second, median", "least", "latency p50", "p95", "p99", "gap p99", "first picture p50", "server", "memory"}}
	for _, l := range f.Levels {
		g := l.Got
		cpu, memory := "–", "–"
		if l.Server != nil {
			cpu, memory = fmt.Sprintf("%.0f %%", l.Server.CPU), fmt.Sprintf("%.0f MB", l.Server.Memory)
		}
		t.Rows = append(t.Rows, []string{
			strconv.Itoa(l.Viewers), fmt.Sprintf("%.1f", g.FPSMedian), fmt.Sprintf("%.1f", g.FPSLeast), ms(g.Age.P50), ms(g.Age.P95), ms(g.Age.P99), ms(g.Gap.P99), ms(g.First.P50), cpu, memory,
		})
		if l.Viewers == 10 {
			s.Rows = append(s.Rows, verdict{
				What: "Pictures a second with 10 viewers, the worst of them", Got: fmt.Sprintf("%.1f", g.FPSLeast), Claim: "25 – 30 with up to 10 viewers",
				Limit: fmt.Sprintf("%d: the source gives no more", rate), Holds: g.FPSLeast >= 25,
			})
		}
	}
	broke := "as many as were tried"
	if f.Limit.Broke != "" {
		broke = "more got " + f.Limit.Broke
	}
	s.Rows = append(s.Rows, verdict{
		What: fmt.Sprintf("Viewers that all get %.0f pictures a second", f.Limit.Bounds.FPS), Got: fmt.Sprint(f.Limit.Viewers), Claim: "up to 10",
		Limit: "processors, which the viewers share: " + broke, Holds: f.Limit.Viewers >= 10,
	})
	s.Blocks = append(s.Blocks, block{Table: t})
	var probes []load.Probe
	for _, l := range f.Levels {
		probes = append(probes, load.Probe{Viewers: l.Viewers, Got: l.Got, Server: l.Server})
	}
	charts := load.Charts(append(probes, f.Limit.Probes...), f.Limit.Bounds)
	s.Blocks = append(s.Blocks, plot("viewers", "Pictures a second, latency and gaps, and what the server used, for each number of viewers that was tried. The dashed lines are the bounds.", charts...))
	return s, nil
}

func ms(v float64) string { return fmt.Sprintf("%.1f ms", v) }
