//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"sightline/internal/chart"
	"sightline/internal/load"
	report "sightline/test/figures"
)

// measureScale measures what each number of viewers costs the server, spread over 1, 4 and 16 streams, and writes that as comma-separated
// values and as a chart beside them.
func measureScale(ctx context.Context, out io.Writer, o options) error {
	var found report.Scale
	for _, streams := range []int{1, 4, 16} {
		points, err := measureStreams(ctx, out, o, streams)
		if err != nil {
			return fmt.Errorf("%d streams: %w", streams, err)
		}
		found.Points = append(found.Points, points...)
	}
	var table, picture bytes.Buffer
	if err := errors.Join(found.WriteCSV(&table), chart.WriteSVG(&picture, found.Chart())); err != nil {
		return fmt.Errorf("tell of %d points: %w", len(found.Points), err)
	}
	beside := strings.TrimSuffix(o.scale, filepath.Ext(o.scale)) + ".svg"
	if err := errors.Join(os.WriteFile(o.scale, table.Bytes(), 0o644), os.WriteFile(beside, picture.Bytes(), 0o644)); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(found)
}

// measureStreams lets more and more viewers watch so many streams, at least one each.
func measureStreams(ctx context.Context, out io.Writer, o options, streams int) (points []report.ScalePoint, err error) {
	levels := slices.DeleteFunc(slices.Sorted(slices.Values(o.viewers)), func(n int) bool { return n < streams })
	if len(levels) == 0 {
		return nil, nil
	}
	s, err := newStand(ctx, streams)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	ctx, cancel := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	defer func() { cancel(); err = errors.Join(err, group.Wait()) }()
	crowds := make([]*load.Crowd, streams)
	for i := range crowds {
		crowds[i] = s.crowd(i)
		group.Go(func() error { crowds[i].Run(ctx); return nil })
		if err := s.sources[i].turn("on"); err != nil {
			return nil, err
		}
	}
	for _, viewers := range levels {
		for i, c := range crowds {
			n := (viewers + streams - 1 - i) / streams // as evenly as can be
			from := c.Mark()
			c.Want(load.Plain, n)
			if err := admitted(ctx, c, from, load.Plain, n); err != nil {
				return nil, fmt.Errorf("%d viewers: %w", viewers, err)
			}
		}
		p, err := measurePoint(ctx, o, s, crowds)
		if err != nil {
			return nil, fmt.Errorf("%d viewers: %w", viewers, err)
		}
		p.Viewers = viewers
		points = append(points, p)
		if _, err := fmt.Fprintf(out, "%2d streams, %4d viewers: %8.0f frames/s, %.3f processors, %6.2f µs a viewer and picture, %5.2f fps, gap p99 %.0f ms\n",
			p.Streams, p.Viewers, p.Frames, p.Cores, p.UsPerFrame, p.FPSLeast, p.GapP99); err != nil {
			return nil, err
		}
	}
	return points, nil
}

// measurePoint measures what those who watch now cost.
func measurePoint(ctx context.Context, o options, s *stand, crowds []*load.Crowd) (p report.ScalePoint, err error) {
	if err := wait(ctx, settle); err != nil {
		return p, err
	}
	marks := make([]load.Mark, len(crowds))
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
	p = report.ScalePoint{Streams: len(crowds), FPSLeast: frameRate}
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
