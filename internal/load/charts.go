package load

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"sightline/internal/chart"
)

// Charts shows what each number of viewers got, and what it cost the server if that is known. Of a number that was looked at twice it shows the second.
func Charts(probes []Probe, b Bounds) []chart.Chart {
	last := map[int]Probe{}
	var got []Figures
	server := false
	for _, p := range probes {
		last[p.Viewers], got = p, append(got, p.Got)
		server = server || p.Server != nil
	}
	line := func(name string, value func(Probe) float64) chart.Line {
		l := chart.Line{Name: name, Marks: true}
		for _, n := range slices.Sorted(maps.Keys(last)) {
			l.Points = append(l.Points, chart.Point{X: float64(n), Y: value(last[n])})
		}
		return l
	}
	bound := func(name string, v float64) chart.Line {
		l := line(name, func(Probe) float64 { return v })
		l.Marks, l.Dashed = false, true
		return l
	}
	charts := []chart.Chart{
		{Title: "What each number of viewers got", Y: "pictures a second", LogX: true, Lines: []chart.Line{
			line("median viewer", func(p Probe) float64 { return p.Got.FPSMedian }),
			line("worst viewer", func(p Probe) float64 { return p.Got.FPSLeast }),
			bound(fmt.Sprintf("at least %g", b.FPS), b.FPS),
		}},
		{Y: "ms", LogX: true, Lines: []chart.Line{
			line("latency, p50", func(p Probe) float64 { return p.Got.Age.P50 }),
			line("latency, p95", func(p Probe) float64 { return p.Got.Age.P95 }),
			line("gap, p99", func(p Probe) float64 { return p.Got.Gap.P99 }),
			bound(fmt.Sprintf("latency p95 at most %g", b.LatencyMS), b.LatencyMS), bound(fmt.Sprintf("gap p99 at most %g", b.GapMS), b.GapMS),
		}},
	}
	if server {
		used := func(value func(Usage) float64) func(Probe) float64 {
			return func(p Probe) float64 {
				if p.Server == nil {
					return math.NaN()
				}
				return value(*p.Server)
			}
		}
		charts = append(charts, chart.Chart{Y: "% of a processor", LogX: true, Lines: []chart.Line{
			line("server", used(func(u Usage) float64 { return u.CPU })),
			line("its capture processes", used(func(u Usage) float64 { return u.Capture })),
		}}, chart.Chart{Y: "MB", LogX: true, Lines: []chart.Line{
			line("server's memory", used(func(u Usage) float64 { return u.Memory })),
		}})
	}
	rungs := chart.Chart{Y: "viewers by rendition", LogX: true}
	for _, rung := range Rungs(got...) {
		rungs.Lines = append(rungs.Lines, line(rung, func(p Probe) float64 { return float64(p.Got.Rungs[rung]) }))
	}
	if len(rungs.Lines) > 0 {
		charts = append(charts, rungs)
	}
	for i := range charts {
		charts[i].Height = 150
	}
	charts[len(charts)-1].X = "viewers"
	return charts
}
