//go:build linux

package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"sightline/internal/load"
)

// point is what some viewers of some streams cost.
type point struct {
	Streams    int     `json:"streams"`
	Viewers    int     `json:"viewers"`                // of all streams together
	Frames     float64 `json:"frames_per_s"`           // that all viewers together got
	Cores      float64 `json:"server_cores"`           // processors' time a second
	UsPerFrame float64 `json:"us_per_viewer_frame"`    // the server's processor time for each of these
	FPSLeast   float64 `json:"fps_median_of_a_stream"` // the least of the streams' medians
	GapP99     float64 `json:"gap_p99_ms"`             // the worst of the streams'
	LoadCores  float64 `json:"load_cores"`             // what the viewers themselves take
}

// measureScale measures how the server's cost grows with streams and viewers.
func measureScale(ctx context.Context, out io.Writer, o options) error {
	limit := slices.Max(o.viewers)
	var points []point
	for _, streams := range []int{1, 4, 16} {
		for _, viewers := range []int{1, 4, 16, 50, 100, 200, 400, 700, 1000, 1500, 2000} {
			if viewers < streams || viewers > limit {
				continue
			}
			p, err := measurePoint(ctx, o, streams, viewers)
			if err != nil {
				return fmt.Errorf("%d streams, %d viewers: %w", streams, viewers, err)
			}
			points = append(points, p)
			if _, err := fmt.Fprintf(out, "%2d streams, %4d viewers: %8.0f frames/s, %.3f processors, %6.2f µs a viewer and picture, %5.2f fps, gap p99 %.0f ms\n",
				p.Streams, p.Viewers, p.Frames, p.Cores, p.UsPerFrame, p.FPSLeast, p.GapP99); err != nil {
				return err
			}
		}
	}
	file, err := os.Create(o.scale)
	if err != nil {
		return err
	}
	w := csv.NewWriter(file)
	_ = w.Write([]string{"streams", "viewers", "frames_per_s", "server_cores", "us_per_viewer_frame", "fps_median_of_a_stream", "gap_p99_ms", "load_cores"})
	for _, p := range points {
		row := []string{strconv.Itoa(p.Streams), strconv.Itoa(p.Viewers)}
		for _, v := range []float64{p.Frames, p.Cores, p.UsPerFrame, p.FPSLeast, p.GapP99, p.LoadCores} {
			row = append(row, strconv.FormatFloat(v, 'f', 3, 64))
		}
		_ = w.Write(row)
	}
	w.Flush()
	if err := errors.Join(w.Error(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", o.scale, err)
	}
	return json.NewEncoder(out).Encode(struct {
		Points []point `json:"points"`
	}{points})
}

func measurePoint(ctx context.Context, o options, streams, viewers int) (p point, err error) {
	s, err := newStand(ctx, streams)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	ctx, cancel := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	defer func() { cancel(); err = errors.Join(err, group.Wait()) }()
	crowds := make([]*load.Crowd, streams)
	wanted := make([]int, streams)
	for i := range viewers {
		wanted[i%streams]++
	}
	for i := range crowds {
		crowds[i] = s.crowd(i)
		group.Go(func() error { crowds[i].Run(ctx); return nil })
		if err := s.sources[i].turn("on"); err != nil {
			return p, err
		}
		from := crowds[i].Mark()
		crowds[i].Want(load.Plain, wanted[i])
		if err := admitted(ctx, crowds[i], from, load.Plain, wanted[i]); err != nil {
			return p, err
		}
	}
	if err := wait(ctx, settle); err != nil {
		return p, err
	}
	marks := make([]load.Mark, streams)
	for i, c := range crowds {
		marks[i] = c.Mark()
	}
	own := ownCPU()
	before, err := cpu(s.server.PID())
	if err != nil {
		return p, err
	}
	if err := wait(ctx, o.slot); err != nil {
		return p, err
	}
	after, err := cpu(s.server.PID())
	if err != nil {
		return p, err
	}
	ownUsed := ownCPU() - own
	p = point{Streams: streams, Viewers: viewers, FPSLeast: frameRate}
	var seconds float64
	for i, c := range crowds {
		got := of(c.Since(marks[i]), load.Plain)
		p.Frames += got.FPS
		p.FPSLeast, p.GapP99, seconds = min(p.FPSLeast, got.FPSMedian), max(p.GapP99, got.Gap.P99), got.Seconds
	}
	if p.Frames == 0 {
		return p, errors.New("nothing arrived")
	}
	p.Cores, p.LoadCores = (after-before).Seconds()/seconds, ownUsed.Seconds()/seconds
	p.UsPerFrame = p.Cores / p.Frames * 1e6
	return p, nil
}
