//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"sightline/internal/chart"
	"sightline/test/figures"
)

// needsRoot is why networks are left out.
const needsRoot = "network namespaces need root on Linux, and this was not"

func measureNetworks(ctx context.Context, l *lab) (any, error) {
	if os.Geteuid() != 0 {
		return figures.Networks{LeftOut: needsRoot}, nil
	}
	only := "good network,10 to 1 Mbit/s,steady,64 kbit/s,loss,blackout"
	if l.quick {
		only = "0.8 s blackout"
	}
	var found figures.Networks
	err := last(ctx, &found, nil, "go", "run", "./test/networks", "-series", "-only", only)
	return found, err
}

// networkFigures says what test/networks calls its figures.
func networkFigures() []struct{ name, what, format string } {
	return []struct{ name, what, format string }{
		{"p50_before_ms", "latency p50 before the fall", "%.0f ms"},
		{"p95_before_ms", "p95 before the fall", "%.0f ms"},
		{"p95_ms", "latency p95", "%.0f ms"},
		{"p95_after_3s_ms", "latency p95 from 3 s after the fall", "%.0f ms"},
		{"recovered_ms", "recovered after", "%.0f ms"},
		{"worst_ms", "worst latency", "%.0f ms"},
		{"freeze_ms", "longest freeze", "%.0f ms"},
		{"new_picture_ms", "new picture after the blackout", "%.0f ms"},
		{"old_pictures", "old pictures shown", "%.0f"},
		{"fps", "pictures a second", "%.1f"},
		{"fps_down", "pictures a second while it is slow", "%.1f"},
		{"kbps", "kbit/s", "%.0f"},
		{"kbps_down", "kbit/s while it is slow", "%.0f"},
		{"link_used_percent", "of the link used", "%.0f %%"},
		{"full_again_ms", "full rate again after", "%.0f ms"},
	}
}

// gotBy says what a case's viewer got, each figure with its limit.
func gotBy(c figures.NetworkCase) string {
	var got []string
	for _, f := range networkFigures() {
		v, ok := c.Figures[f.name]
		if !ok {
			continue
		}
		value := "never"
		if v >= 0 {
			value = fmt.Sprintf(f.format, v)
		}
		if most, ok := c.Most[f.name]; ok {
			value += fmt.Sprintf(" (≤ %g)", most)
		} else if least, ok := c.Least[f.name]; ok {
			value += fmt.Sprintf(" (≥ %g)", least)
		}
		got = append(got, f.what+" "+value)
	}
	return strings.Join(got, "; ")
}

func tellNetworks(raw json.RawMessage) (*section, error) {
	var f figures.Networks
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	s := &section{Intro: "Both programs as they are, the kernel's own TCP, server, router and viewer in a network namespace each, 40 ms there and back. The router lets through what each case says, from a first-in-first-out buffer of 128 KB, " +
		"which at 1 Mbit/s holds a whole second. Latency is from capture to the last byte at a viewer that does not decode; of Chromium, to when the page shows the picture, by the time in the picture itself. " +
		"The stream is 1280 × 720 at 30 pictures a second and has lower renditions (rungs) to fall to.\n\n" +
		"A freeze is the time from one picture to the next, the longest of the case. A viewer has recovered when 95 of 100 pictures of a second are younger than 250 ms, and has the full rate again when a second brings nine tenths of what came before. " +
		"Rates are those of the pictures alone. What stands in brackets is what a figure is held to; one without is told and held to nothing.\n\n" +
		"A link cannot bring a picture sooner than its delay and the picture's size over its rate: at 1 Mbit/s a picture of 4 KB takes 32 ms, besides the 20 ms one way."}
	if f.LeftOut != "" {
		s.Blocks = append(s.Blocks, text("Left out: %s.", f.LeftOut))
		return s, nil
	}
	t := &table{Head: []string{"network", "what the viewer got", ""}}
	kept := 0
	for _, c := range f.Cases {
		mark := verdict{HeldTo: "its limits", Holds: c.Pass}.Mark()
		if c.Pass {
			kept++
		}
		t.Rows = append(t.Rows, []string{c.Name, gotBy(c), mark})
	}
	row := func(name, figure, what, limit string) {
		for _, c := range f.Cases {
			v, ok := c.Figures[figure]
			most, held := c.Most[figure]
			if c.Name == name && ok && held {
				s.Rows = append(s.Rows, verdict{What: what, Got: fmt.Sprintf("%.0f ms", v), HeldTo: fmt.Sprintf("%.0f ms", most), Limit: limit, Holds: v >= 0 && v <= most})
			}
		}
	}
	const path, screen = "20 ms one way, and 32 ms a picture of 4 KB", "the same, the decoder, and a refresh"
	const burst = "what was on its way as the link fell: at 1 Mbit/s each 10 KB take 80 ms"
	row("steady 1 Mbit/s", "p95_ms", "Latency p95 over 1 Mbit/s", path)
	row("10 to 1 Mbit/s and back", "p95_after_3s_ms", "Latency p95 from 3 s after a fall from 10 to 1 Mbit/s", path)
	row("10 to 1 Mbit/s and back", "worst_ms", "Worst latency from that fall on", burst)
	row("Chromium: 10 to 1 Mbit/s", "p95_after_3s_ms", "The same p95 on the page in Chromium", screen)
	row("Chromium: 10 to 1 Mbit/s", "worst_ms", "The same worst on the page in Chromium", burst)
	row("2 s blackout", "new_picture_ms", "New picture after 2 s without any network", "a round trip of 40 ms, and a new connection")
	row("Chromium: 2 s blackout", "new_picture_ms", "The same on the page in Chromium", "the same, and a decoder that begins anew")
	s.Rows = append(s.Rows, verdict{What: "Bad networks on which all limits are kept, of those that were tried", Got: fmt.Sprintf("%d of %d", kept, len(f.Cases)), HeldTo: "all", Limit: "all", Holds: kept == len(f.Cases)})
	s.Rows = append(s.Rows, verdict{What: "Pictures that came without what they refer to", Got: fmt.Sprint(f.Undecodable), HeldTo: "0", Limit: "0", Holds: f.Undecodable == 0})
	s.Blocks = append(s.Blocks, block{Table: t}, text("More cases, and what is near its limit and why, are in [networks.md](../networks.md)."),
		text("Each case over time, in steps of a quarter of a second: the rate that arrives and what the link carries (drawn at the upper edge where that is more than a fifth above the largest rate); what waits in the router; "+
			"how old pictures are when they are here; and how many lines they have. Of what Chromium shows, pictures are counted instead of bytes."))
	for _, c := range f.Cases {
		if c.Series != nil {
			s.Blocks = append(s.Blocks, plot("network-"+figures.FileName(c.Name), "Over time: "+c.Name+".", overTime(c.Name, *c.Series)...))
		}
	}
	return s, nil
}

// overTime are the charts of one case.
func overTime(name string, s figures.Series) []chart.Chart {
	line := func(name string, values []float64) chart.Line {
		l := chart.Line{Name: name}
		for i, v := range values {
			if v < 0 {
				v = math.NaN() // not known
			}
			l.Points = append(l.Points, chart.Point{X: float64(i) * s.Step, Y: v})
		}
		return l
	}
	pictures, link, rung := line("pictures", s.Kbps), line("the link carries", s.LinkKbps), line("rung", s.Lines)
	link.Dashed, link.Steps, rung.Steps = true, true, true
	shown := chart.Chart{Y: "pictures/s", Lines: []chart.Line{line("shown", s.FPS)}}
	if most := slices.Max(s.Kbps); most >= 0 { // the rate says more
		shown.Lines = nil
		for i := range link.Points { // a link far above the stream would flatten it
			link.Points[i].Y = min(link.Points[i].Y, 1.2*most)
		}
	}
	charts := slices.DeleteFunc([]chart.Chart{
		{Y: "kbit/s", Lines: []chart.Line{pictures, link}},
		shown,
		{Y: "queue, KB", Lines: []chart.Line{line("router's queue", s.QueueKB)}},
		{Y: "latency, ms", Lines: []chart.Line{line("median", s.AgeMedian), line("worst", s.AgeMost)}},
		{Y: "lines", Lines: []chart.Line{rung}},
	}, func(c chart.Chart) bool {
		return !slices.ContainsFunc(c.Lines, func(l chart.Line) bool {
			return slices.ContainsFunc(l.Points, func(p chart.Point) bool { return !math.IsNaN(p.Y) })
		})
	})
	for i := range charts {
		charts[i].Height = 130
	}
	if len(charts) > 0 {
		charts[0].Title, charts[len(charts)-1].X = capital(name), "seconds"
	}
	return charts
}
