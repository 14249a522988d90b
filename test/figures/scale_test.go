package figures_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"sightline/internal/chart"
	"sightline/test/figures"
)

func points(streams int, costs ...[2]float64) (list []figures.ScalePoint) {
	for _, c := range costs {
		list = append(list, figures.ScalePoint{Streams: streams, Frames: c[0], Cores: c[1]})
	}
	return list
}

func TestScale_FitsALineToEachNumberOfStreams(t *testing.T) {
	s := figures.Scale{Points: append(append(
		points(1, [2]float64{0, 0.1}, [2]float64{1000, 0.12}, [2]float64{10_000, 0.3}), // straight: 20 µs each
		points(4, [2]float64{0, 0}, [2]float64{1000, 0.1}, [2]float64{2000, 0.4})...),  // a square
		append(points(16, [2]float64{0, 0.5}, [2]float64{1000, 0.6}), points(64, [2]float64{1, 1})...)...)} // two points, and one
	fits := s.Fits()
	if len(fits) != 3 {
		t.Fatalf("%d lines, want those of 1, 4 and 16 streams", len(fits))
	}
	near := func(got, want float64) bool { return math.Abs(got-want) < 1e-9 }
	if f := fits[0]; f.Streams != 1 || !near(f.UsPerFrame, 20) || !near(f.Idle, 0.1) || !near(f.R2, 1) || !near(f.Off, 0) {
		t.Errorf("the straight one: %+v", f)
	}
	// y = x² at 0, 1, 2: the line is 2x - 1/3, the rest 1/9 + 4/9 + 1/9 of 26/3.
	if f := fits[1]; !near(f.UsPerFrame, 200) || !near(f.Idle, -0.1/3) || !near(f.R2, 1-(6.0/9)/(26.0/3)) || !near(f.Off, 0.1*2/3/0.4) {
		t.Errorf("the square: %+v", f)
	}
	if f := fits[2]; !near(f.UsPerFrame, 100) || !math.IsNaN(f.R2) {
		t.Errorf("two points: %+v, want no R²", f)
	}
	var svg bytes.Buffer
	if err := chart.WriteSVG(&svg, s.Chart()); err != nil || !strings.Contains(svg.String(), ">16 streams<") {
		t.Errorf("the chart: error %v", err)
	}
}

func TestScale_AsCSV(t *testing.T) {
	var b strings.Builder
	if err := (figures.Scale{Points: points(4, [2]float64{120, 0.5})}).WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(b.String()), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[1], "4,0,120.0000,0.5000,") {
		t.Errorf("got %q", lines)
	}
}
