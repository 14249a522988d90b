//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"sightline/internal/load"
)

// So many are stalled, and so many slow, while the others are measured; in turns with all of them being good.
const (
	others, stalled, slow = 400, 50, 50
	// settleBad is how long the bad ones have been so before the others are measured.
	settleBad = 3 * time.Second
)

// badFigures are what bad viewers do to the others.
type badFigures struct {
	Viewers   int     `json:"viewers"`
	Stalled   int     `json:"stalled"`
	Slow      int     `json:"slow"`
	GapGood   float64 `json:"gap_p99_ms"`     // of the others while all are good: the median of the rounds
	GapBad    float64 `json:"gap_p99_bad_ms"` // of the others among bad ones
	Moved     float64 `json:"gap_p99_moved"`  // the part by which it is more: the median of the rounds
	MovedLow  float64 `json:"gap_p99_moved_q1"`
	MovedHigh float64 `json:"gap_p99_moved_q3"`
	FPSGood   float64 `json:"fps_median"`
	FPSBad    float64 `json:"fps_median_bad"`
	MemoryMB  float64 `json:"memory_mb"` // that the server takes more after the bad ones
}

// measureBad measures what stalled and slow viewers do to the others.
func measureBad(ctx context.Context, out io.Writer, o options) (err error) {
	s, err := newStand(ctx, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	ctx, cancel := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	defer func() { cancel(); err = errors.Join(err, group.Wait()) }()
	crowd := s.crowd(0)
	crowd.Stall() // whoever is of that kind reads nothing after its first moment
	group.Go(func() error { crowd.Run(ctx); return nil })
	if err := s.sources[0].turn("on"); err != nil {
		return err
	}
	f := badFigures{Viewers: others + stalled + slow, Stalled: stalled, Slow: slow}
	from := crowd.Mark()
	crowd.Want(load.Plain, others)
	if err := admitted(ctx, crowd, from, load.Plain, others); err != nil {
		return err
	}
	var good, bad, moved, fpsGood, fpsBad []float64
	var memory, most float64
	look := func(what string) (load.Figures, error) {
		if err := wait(ctx, settleBad); err != nil {
			return load.Figures{}, err
		}
		from := crowd.Mark()
		if err := wait(ctx, o.slot); err != nil {
			return load.Figures{}, err
		}
		got := of(crowd.Since(from), load.Plain)
		_, err := fmt.Fprintf(out, "%s: %d others, %5.2f fps, gap p50 %.0f p99 %.0f ms, latency p99 %.0f ms, failures %v\n", what, got.Viewers, got.FPSMedian, got.Gap.P50, got.Gap.P99, got.Age.P99, got.Failures)
		return got, err
	}
	for range o.rounds {
		// As many good ones in place of the bad: the machine has as much to do.
		crowd.Want(load.Stalled, 0)
		crowd.Want(load.Slow, 0)
		crowd.Want(load.Plain, others+stalled+slow)
		without, err := look("all good")
		if err != nil {
			return err
		}
		if memory == 0 {
			if memory, err = resident(s.server.PID()); err != nil {
				return err
			}
		}
		crowd.Want(load.Plain, others)
		crowd.Want(load.Stalled, stalled)
		crowd.Want(load.Slow, slow)
		with, err := look("some bad")
		if err != nil {
			return err
		}
		now, err := resident(s.server.PID())
		if err != nil {
			return err
		}
		most = max(most, now)
		good, bad, moved = append(good, without.Gap.P99), append(bad, with.Gap.P99), append(moved, with.Gap.P99/without.Gap.P99-1)
		fpsGood, fpsBad = append(fpsGood, without.FPSMedian), append(fpsBad, with.FPSMedian)
	}
	f.GapGood, f.GapBad, f.Moved = median(good), median(bad), median(moved)
	f.MovedLow, f.MovedHigh = quantile(moved, 0.25), quantile(moved, 0.75)
	f.FPSGood, f.FPSBad, f.MemoryMB = median(fpsGood), median(fpsBad), (most-memory)/(1<<20)
	err = json.NewEncoder(out).Encode(f)
	if f.Moved > o.limits.moved {
		err = errors.Join(err, fmt.Errorf("bad viewers move the others' p99 gap by %.0f %%, limit %.0f %%", 100*f.Moved, 100*o.limits.moved))
	}
	if f.MemoryMB > o.limits.memoryMB {
		err = errors.Join(err, fmt.Errorf("bad viewers take %.1f MB, limit %.0f MB", f.MemoryMB, o.limits.memoryMB))
	}
	return err
}
