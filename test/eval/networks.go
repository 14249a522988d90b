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

// networksFound is the last line of test/networks.
type networksFound struct {
	Cases       []networkCase `json:"cases"`
	Undecodable int           `json:"undecodable"`
	LeftOut     string        `json:"left_out,omitempty"` // why there are none
}

// needsRoot is why networks are left out.
const needsRoot = "network namespaces need root on Linux, and this was not"

// networkCase is one of its cases: name, pass, series, and figures by their names.
type networkCase struct {
	Name    string
	Pass    bool
	Series  *figures.Series
	Figures map[string]float64
}

// UnmarshalJSON takes in a row whose figures stand beside its name.
func (c *networkCase) UnmarshalJSON(b []byte) error {
	var row map[string]json.RawMessage
	if err := json.Unmarshal(b, &row); err != nil {
		return err
	}
	c.Figures = map[string]float64{}
	for name, raw := range row {
		var into any
		switch name {
		case "name":
			into = &c.Name
		case "pass":
			into = &c.Pass
		case "series":
			into = &c.Series
		default:
			var v float64
			if err := json.Unmarshal(raw, &v); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			c.Figures[name] = v
			continue
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// MarshalJSON gives the row back.
func (c networkCase) MarshalJSON() ([]byte, error) {
	row := map[string]any{"name": c.Name, "pass": c.Pass}
	if c.Series != nil {
		row["series"] = c.Series
	}
	for name, v := range c.Figures {
		row[name] = v
	}
	return json.Marshal(row)
}

func (c networkCase) number(name string) float64 { return c.Figures[name] }

func measureNetworks(ctx context.Context, l *lab) (any, error) {
	if os.Geteuid() != 0 {
		return networksFound{LeftOut: needsRoot}, nil
	}
	only := "good network,10 to 1 Mbit/s and back,steady,64 kbit/s,loss,blackout"
	if l.quick {
		only = "0.8 s blackout"
	}
	var found networksFound
	err := last(ctx, &found, nil, "go", "run", "./test/networks", "-series", "-only", only)
	return found, err
}

// networkFigures says what test/networks calls its figures.
func networkFigures() []struct{ name, what, format string } {
	return []struct{ name, what, format string }{
		{"p95_ms", "latency p95", "%.0f ms"},
		{"p95_after_3s_ms", "latency p95 from 3 s after the fall", "%.0f ms"},
		{"recovered_ms", "below 250 ms again after", "%.0f ms"},
		{"worst_ms", "worst latency", "%.0f ms"},
		{"freeze_ms", "longest freeze", "%.0f ms"},
		{"new_picture_ms", "new picture after the blackout", "%.0f ms"},
		{"old_pictures", "old pictures shown", "%.0f"},
		{"fps", "pictures a second", "%.1f"},
		{"kbps", "kbit/s", "%.0f"},
		{"kbps_down", "kbit/s while it is slow", "%.0f"},
		{"link_used_percent", "of the link used", "%.0f %%"},
		{"full_again_ms", "full rate again after", "%.0f ms"},
	}
}

func tellNetworks(raw json.RawMessage) (*section, error) {
	var f networksFound
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	s := &section{Intro: "Both programs as they are, the kernel's own TCP, server, router and viewer in a network namespace each, 40 ms there and back. The router lets through what each case says, from a first-in-first-out buffer of 128 KB, " +
		"which at 1 Mbit/s holds a whole second. Latency is from capture to the last byte at a viewer that does not decode; of Chromium, to when the page shows the picture, by the time in the picture itself. " +
		"The stream is 1280 × 720 at 30 pictures a second and has lower renditions (rungs) to fall to.\n\n" +
		"A link cannot bring a picture sooner than its delay and the picture's size over its rate: at 1 Mbit/s a picture of 4 KB takes 32 ms, besides the 20 ms one way."}
	if f.LeftOut != "" {
		s.Blocks = append(s.Blocks, text("Left out: %s.", f.LeftOut))
		return s, nil
	}
	t := &table{Head: []string{"network", "what the viewer got", ""}}
	broken := 0
	for _, c := range f.Cases {
		var got []string
		for _, figure := range networkFigures() {
			if v, ok := c.Figures[figure.name]; ok {
				text := "never"
				if v >= 0 {
					text = fmt.Sprintf(figure.format, v)
				}
				got = append(got, figure.what+" "+text)
			}
		}
		verdict := "holds"
		if !c.Pass {
			verdict = "BROKEN"
			broken++
		}
		t.Rows = append(t.Rows, []string{c.Name, strings.Join(got, "; "), verdict})
	}
	row := func(name, figure, what, limit string, most float64) {
		for _, c := range f.Cases {
			if v, ok := c.Figures[figure]; ok && c.Name == name {
				s.Rows = append(s.Rows, verdict{What: what, Got: fmt.Sprintf("%.0f ms", v), Claim: "latency under 200 ms (on a good network)", Limit: limit, Holds: v >= 0 && v <= most})
			}
		}
	}
	row("steady 1 Mbit/s", "p95_ms", "Latency, 95 of 100 pictures, over 1 Mbit/s", "20 ms one way, and 32 ms a picture of 4 KB", 200)
	row("10 to 1 Mbit/s and back", "p95_after_3s_ms", "Latency, 95 of 100 pictures, from 3 s after a fall from 10 to 1 Mbit/s", "20 ms one way, and 32 ms a picture of 4 KB", 250)
	row("2 s blackout", "new_picture_ms", "New picture after 2 s without any network", "a round trip of 40 ms, and a new connection", 500)
	s.Rows = append(s.Rows, verdict{What: "Pictures that came without what they refer to", Got: fmt.Sprint(f.Undecodable), Limit: "0", Holds: f.Undecodable == 0})
	s.Blocks = append(s.Blocks, block{Table: t}, text("Cases that keep all of their limits: %d of %d. The limits stand in `test/networks` and in [networks.md](../networks.md).", len(f.Cases)-broken, len(f.Cases)))
	for _, c := range f.Cases {
		if c.Series != nil {
			s.Blocks = append(s.Blocks, plot("network-"+strings.TrimSuffix(videoName(c.Name), ".h264"), "Over time: "+c.Name+". Above, what arrives and what the link carries (at the upper edge where it carries more than that); then what waits in the router; how old pictures are when they are here; and how many lines they have.", overTime(c.Name, *c.Series)...))
		}
	}
	return s, nil
}

// overTime are the charts of one case.
func overTime(name string, s figures.Series) []chart.Chart {
	points := func(values []float64, cap float64) []chart.Point {
		list := make([]chart.Point, 0, len(values))
		for i, v := range values {
			y := min(v, cap)
			if v < 0 {
				y = math.NaN()
			}
			list = append(list, chart.Point{X: float64(i) * s.Step, Y: y})
		}
		return list
	}
	most := slices.Max(append(slices.Clone(s.Kbps), 1))
	none := math.Inf(1)
	rates := chart.Chart{Title: capital(name), Y: "kbit/s", Height: 130, Lines: []chart.Line{{Name: "pictures", Points: points(s.Kbps, none)}}}
	charts := []chart.Chart{rates}
	known := func(values []float64) bool {
		return slices.ContainsFunc(values, func(v float64) bool { return v >= 0 })
	}
	if known(s.LinkKbps) {
		// A link far above the stream would flatten it.
		charts[0].Lines = append(charts[0].Lines, chart.Line{Name: "the link carries", Dashed: true, Steps: true, Points: points(s.LinkKbps, most*1.2)})
		charts = append(charts, chart.Chart{Y: "queue, KB", Height: 130, Lines: []chart.Line{{Name: "router's queue", Points: points(s.QueueKB, none)}}})
	}
	charts = append(charts,
		chart.Chart{Y: "latency, ms", Height: 130, Lines: []chart.Line{{Name: "median", Points: points(s.AgeMedian, none)}, {Name: "worst", Points: points(s.AgeMost, none)}}},
		chart.Chart{X: "seconds", Y: "lines", Height: 130, Lines: []chart.Line{{Name: "rung", Steps: true, Points: points(s.Lines, none)}}})
	return slices.DeleteFunc(charts, func(c chart.Chart) bool {
		return !slices.ContainsFunc(c.Lines, func(l chart.Line) bool {
			return slices.ContainsFunc(l.Points, func(p chart.Point) bool { return !math.IsNaN(p.Y) })
		})
	})
}
