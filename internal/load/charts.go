package load

import (
	"maps"
	"math"
	"slices"

	"sightline/internal/chart"
)

// Charts shows what each number of viewers got, and what it cost the server if that is known. Of a number that was looked at twice it shows the second.
func Charts(probes []Probe, b Bounds) []chart.Chart {
	last := map[int]Probe{}
	server := false
	for _, p := range probes {
		last[p.Viewers] = p
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
			bound("least", b.FPS),
		}},
		{Y: "ms", LogX: true, Lines: []chart.Line{
			line("latency, p50", func(p Probe) float64 { return p.Got.Age.P50 }),
			line("latency, p95", func(p Probe) float64 { return p.Got.Age.P95 }),
			line("gap, p99", func(p Probe) float64 { return p.Got.Gap.P99 }),
			bound("most, latency p95", b.LatencyMS), bound("most, gap p99", b.GapMS),
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
			line("its capture", used(func(u Usage) float64 { return u.Capture })),
		}})
	}
	charts[len(charts)-1].X = "viewers"
	return charts
}
