package figures

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"sightline/internal/chart"
)

// Scale is what test/bench/fanout found of how the server's cost grows with streams and viewers.
type Scale struct {
	Points []ScalePoint `json:"points"`
}

// ScalePoint is what some viewers of some streams cost.
type ScalePoint struct {
	Streams    int     `json:"streams"`
	Viewers    int     `json:"viewers"`                // of all streams together
	Frames     float64 `json:"frames_per_s"`           // that all viewers together got
	Cores      float64 `json:"server_cores"`           // the server's processor time a second
	UsPerFrame float64 `json:"us_per_viewer_frame"`    // its processor time for each of these
	FPSLeast   float64 `json:"fps_median_of_a_stream"` // the least of the streams' medians
	GapP99     float64 `json:"gap_p99_ms"`             // the worst of the streams'
	LoadCores  float64 `json:"load_cores"`             // what the viewers themselves take
}

// ScaleFit is the straight line of least squares through the costs of one number of streams.
type ScaleFit struct {
	Streams    int
	Points     []ScalePoint
	Idle       float64 // processors at no picture
	UsPerFrame float64 // that each further viewer and picture costs, µs
	R2         float64 // the part of the costs' variance that the line explains; NaN of fewer than three points
	Off        float64 // the largest distance of a point from the line, as a part of the largest cost
}

// Fits are the lines of all numbers of streams of which there are two points.
func (s Scale) Fits() []ScaleFit {
	var list []ScaleFit
	for _, p := range s.Points {
		i := slices.IndexFunc(list, func(f ScaleFit) bool { return f.Streams == p.Streams })
		if i < 0 {
			i, list = len(list), append(list, ScaleFit{Streams: p.Streams})
		}
		list[i].Points = append(list[i].Points, p)
	}
	list = slices.DeleteFunc(list, func(f ScaleFit) bool { return len(f.Points) < 2 })
	for i := range list {
		list[i].fit()
	}
	return list
}

func (f *ScaleFit) fit() {
	n := float64(len(f.Points))
	var x, y, xx, xy float64
	for _, p := range f.Points {
		x, y = x+p.Frames/n, y+p.Cores/n
	}
	for _, p := range f.Points {
		xx, xy = xx+(p.Frames-x)*(p.Frames-x), xy+(p.Frames-x)*(p.Cores-y)
	}
	slope := xy / xx
	f.Idle, f.UsPerFrame = y-slope*x, slope*1e6
	var rest, all, most float64
	for _, p := range f.Points {
		off := p.Cores - f.at(p.Frames)
		rest, all = rest+off*off, all+(p.Cores-y)*(p.Cores-y)
		f.Off, most = max(f.Off, math.Abs(off)), max(most, p.Cores)
	}
	f.Off /= most
	f.R2 = 1 - rest/all
	if len(f.Points) < 3 {
		f.R2 = math.NaN() // any two points are on a line
	}
}

// at is what so many pictures a second cost by the line.
func (f ScaleFit) at(frames float64) float64 { return f.Idle + frames*f.UsPerFrame/1e6 }

// Chart shows the points and their lines.
func (s Scale) Chart() chart.Chart {
	c := chart.Chart{Title: "What the server costs", X: "pictures a second to all viewers together", Y: "processors"}
	for _, f := range s.Fits() {
		l := chart.Line{Name: fmt.Sprintf("%d streams", f.Streams)}
		if f.Streams == 1 {
			l.Name = "1 stream"
		}
		most := 0.0
		for _, p := range f.Points {
			l.Points, most = append(l.Points, chart.Point{X: p.Frames, Y: p.Cores}), max(most, p.Frames)
		}
		l.Fit = []chart.Point{{X: 0, Y: f.at(0)}, {X: most, Y: f.at(most)}}
		c.Lines = append(c.Lines, l)
	}
	return c
}

// WriteCSV writes the points as comma-separated values, behind a line of their names.
func (s Scale) WriteCSV(out io.Writer) error {
	w := csv.NewWriter(out)
	_ = w.Write([]string{"streams", "viewers", "frames_per_s", "server_cores", "us_per_viewer_frame", "fps_median_of_a_stream", "gap_p99_ms", "load_cores"})
	for _, p := range s.Points {
		row := []string{strconv.Itoa(p.Streams), strconv.Itoa(p.Viewers)}
		for _, v := range []float64{p.Frames, p.Cores, p.UsPerFrame, p.FPSLeast, p.GapP99, p.LoadCores} {
			row = append(row, strconv.FormatFloat(v, 'f', 4, 64))
		}
		_ = w.Write(row)
	}
	w.Flush()
	return w.Error() // of the writes above too
}
