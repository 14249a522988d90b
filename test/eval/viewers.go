//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"sightline/internal/load"
	"sightline/test/figures"
	"sightline/test/site"
)

// viewersFound is what sightline bench found, what each number of viewers got and how many there may be, and what test/bench/fanout found of
// their cost.
type viewersFound struct {
	Levels []level        `json:"levels"`
	Limit  load.Limit     `json:"limit"`
	Scale  *figures.Scale `json:"scale,omitempty"` // nil: not measured
}

type level struct {
	Viewers int          `json:"viewers"`
	Got     load.Figures `json:"got"`
	Server  *load.Usage  `json:"server,omitempty"`
}

const rate = 30 // pictures a second of the stream

func measureViewers(ctx context.Context, l *lab) (any, error) {
	found, err := measureLevels(ctx, l)
	if err == nil && runtime.GOOS == "linux" { // the only system whose processor times test/bench/fanout reads
		err = found.scale(ctx, l)
	}
	return found, err
}

// scale measures what the server costs from one viewer up to the limit, the streams varied.
func (f *viewersFound) scale(ctx context.Context, l *lab) error {
	limit, slot := max(16, f.Limit.Viewers), "2s"
	levels := []int{1, 16, limit / 8, limit / 4, limit / 2, limit * 3 / 4, limit}
	if l.quick {
		levels, slot = []int{1, 4}, "500ms"
	}
	slices.Sort(levels)
	words := make([]string, 0, len(levels))
	for _, n := range slices.Compact(levels) {
		words = append(words, strconv.Itoa(n))
	}
	return last(ctx, &f.Scale, nil, "go", "run", "./test/bench/fanout", "-scale", filepath.Join(l.plots, "scale.csv"), "-viewers", strings.Join(words, ","), "-slot", slot)
}

func measureLevels(ctx context.Context, l *lab) (found viewersFound, err error) {
	server, err := site.Start(ctx, site.Options{
		Config: fmt.Sprintf("streams: {eval: {source: \"test:?size=1280x720&fps=%d\"}}\nlimits: {viewers: 50000, viewers-per-stream: 50000}\n", rate),
		Args:   []string{"--log-level", "error"},
	})
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	token, err := server.Token(ctx, "eval", "view")
	if err != nil {
		return found, err
	}
	bench := func(result any, more ...string) error {
		args := []string{filepath.Join(site.Programs(), "sightline"), "bench", "https://" + server.Host() + "/watch/eval", "--ca", filepath.Join(server.DataDir(), "ca.pem"), "--json"}
		return last(ctx, result, []string{"SIGHTLINE_TOKEN=" + token}, append(args, more...)...)
	}
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
		"The limit is the most viewers of whom the one in the middle gets at least %.0f pictures a second, with at most one gap in a hundred above %.0f ms and one picture in twenty later than %.0f ms; `sightline bench --find-limit` "+
		"finds it by doubling and halving, and looks twice before it says no. The least is what the worst of the viewers got who were there at the end; one who came, or came back, meanwhile counts as if it had been there from the beginning.\n\n"+
		"100 %% is one processor: server is what the server used of it, memory what it held.", rate, 1000.0/rate, f.Limit.Bounds.FPS, f.Limit.Bounds.GapMS, f.Limit.Bounds.LatencyMS)}
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
		What: "Viewers until pictures a second, gaps or latency break their bounds", Got: fmt.Sprint(f.Limit.Viewers), Claim: "up to 10",
		Limit: "processors, which the viewers share: " + broke, Holds: f.Limit.Viewers >= 10,
	})
	s.Blocks = append(s.Blocks, block{Table: t})
	var probes []load.Probe
	for _, l := range f.Levels {
		probes = append(probes, load.Probe{Viewers: l.Viewers, Got: l.Got, Server: l.Server})
	}
	charts := load.Charts(append(probes, f.Limit.Probes...), f.Limit.Bounds)
	s.Blocks = append(s.Blocks, plot("viewers", "Pictures a second, latency and gaps, and what the server used, for each number of viewers that was tried. The dashed lines are the bounds.", charts...))
	if f.Scale == nil {
		s.Blocks = append(s.Blocks, text("How the cost grows with streams was not measured: it takes Linux."))
		return s, nil
	}
	s.tellScale(*f.Scale)
	return s, nil
}

// straight is the R² from which on costs count as growing straight.
const straight = 0.95

// tellScale tells how the cost grows with streams and viewers.
func (s *section) tellScale(f figures.Scale) {
	t := &table{Head: []string{"streams", "viewers", "each viewer and picture more", "processors without any", "R²", "farthest from the line", "pictures a second, worst stream's median", "gap p99, worst stream's"}}
	least, off, judged := 1.0, 0.0, false
	for _, fit := range f.Fits() {
		r2 := "–"
		if !math.IsNaN(fit.R2) {
			r2, least, off, judged = fmt.Sprintf("%.4f", fit.R2), min(least, fit.R2), max(off, fit.Off), true
		}
		first, most := fit.Points[0], fit.Points[len(fit.Points)-1]
		t.Rows = append(t.Rows, []string{
			strconv.Itoa(fit.Streams), fmt.Sprintf("%d to %d", first.Viewers, most.Viewers), fmt.Sprintf("%.1f µs", fit.UsPerFrame), fmt.Sprintf("%.3f", fit.Idle), r2, fmt.Sprintf("%.1f %%", 100*fit.Off),
			fmt.Sprintf("%.1f", most.FPSLeast), ms(most.GapP99),
		})
	}
	if judged {
		s.Rows = append(s.Rows, verdict{
			What: "The server's cost against viewers × pictures: R² of a straight line, the least of 1, 4 and 16 streams", Got: fmt.Sprintf("%.3f, at most %.1f %% off", least, 100*off),
			HeldTo: fmt.Sprintf("at least %.2f", straight), Limit: "1: exactly straight", Holds: least >= straight,
		})
	}
	s.Blocks = append(s.Blocks, text("What more viewers and streams cost: pictures of 2.05 Mbit/s, 30 a second, come coded from processes of their own, so that no encoder counts, and more and more viewers spread evenly over 1, 4 and 16 such streams. The cost is the processor time of the server, its own "+
		"and the kernel's for it, over the pictures that all viewers together got in that time. Through the points of each number of streams goes the straight line of least squares: its slope is what one viewer and picture more costs, "+
		"where it begins is what the streams cost without anybody, R² is the part of the variance that it explains (1: all points are on it), and the farthest point's distance from it is told as a part of the largest cost. The last two columns are of the most viewers. "+
		"The points themselves: [scale.csv](plots/scale.csv). What a viewer costs above a program that only writes the same bytes is in [performance.md](../performance.md)."), block{Table: t},
		plot("scale", "Processors that the server takes against the pictures a second that all viewers together get; dots are measured, lines are fitted.", f.Chart()))
}

func ms(v float64) string { return fmt.Sprintf("%.1f ms", v) }
