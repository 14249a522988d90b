//go:build unix

// Command viewers measures what many viewers of one stream get: it starts a server with the demonstration, watches its test pattern over TLS with
// all of them in this one process, and prints what they saw. It knows nothing of pictures beyond what internal/watch counts, and waits for
// every goroutine it started. SIGHTLINE_BIN names the folder of the programs (default: bin).
//
// The last line is the figures as JSON: of the viewers' frame rates the least and the median, capture to last byte received (median and 95th percentile
// of the viewer that had it worst), the longest pause between two pictures, and pictures lost on the way, of all viewers.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"sightline/internal/watch"
	"sightline/test/site"
)

// settle is how long viewers watch before anything counts: the encoder starts, clocks are compared.
const settle = 2 * time.Second

// figures are what is printed. Times are milliseconds.
type figures struct {
	Viewers     int     `json:"viewers"`
	Seconds     float64 `json:"seconds"`
	FPSMin      float64 `json:"fps_min"`
	FPSMedian   float64 `json:"fps_median"`
	P50         float64 `json:"p50_ms"`
	P95         float64 `json:"p95_ms"`
	MaxGap      float64 `json:"max_gap_ms"`
	Dropped     uint64  `json:"dropped"`
	Undecodable int     `json:"undecodable"`
}

func main() {
	viewers := flag.Int("viewers", 10, "how many watch")
	duration := flag.Duration("duration", 10*time.Second, "for how long")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, *viewers, *duration)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "viewers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, viewers int, duration time.Duration) (err error) {
	if viewers < 1 || duration <= 0 {
		return errors.New("want at least one viewer, and some time")
	}
	server, err := site.Start(ctx, site.Options{Args: []string{"--demo", "--log-level", "error"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	stats, err := measure(ctx, server, viewers, duration)
	if err != nil {
		return err
	}
	for i, s := range stats {
		if _, err := fmt.Fprintf(out, "viewer %2d: %5.2f fps, p50 %5.1f ms, p95 %5.1f ms, longest gap %3.0f ms, dropped %d, undecodable %d\n", i+1, s.FPS, s.LatencyP50, s.LatencyP95, s.MaxGap, s.Dropped, s.Undecodable); err != nil {
			return err
		}
	}
	return json.NewEncoder(out).Encode(summary(stats, duration))
}

func summary(stats []watch.Stats, duration time.Duration) figures {
	f := figures{Viewers: len(stats), Seconds: duration.Seconds()}
	var rates []float64
	for _, s := range stats {
		rates = append(rates, s.FPS)
		f.P50, f.P95, f.MaxGap = max(f.P50, s.LatencyP50), max(f.P95, s.LatencyP95), max(f.MaxGap, s.MaxGap)
		f.Dropped += s.Dropped
		f.Undecodable += s.Undecodable
	}
	slices.Sort(rates)
	f.FPSMin, f.FPSMedian = rates[0], rates[len(rates)/2]
	return f
}

// measure watches with all viewers and returns what each saw.
func measure(ctx context.Context, server *site.Server, viewers int, duration time.Duration) ([]watch.Stats, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, groupCtx := errgroup.WithContext(ctx)
	all := make([]*watch.Viewer, viewers)
	for i := range all {
		conn, err := server.Dial(groupCtx, "test")
		if err != nil {
			cancel()
			return nil, errors.Join(err, ignoreCancel(group.Wait()))
		}
		all[i] = watch.New(conn, watch.Options{Player: "sightline-bench/1"})
		group.Go(func() error { return all[i].Run(groupCtx) })
	}
	wait := func(d time.Duration) {
		select {
		case <-groupCtx.Done():
		case <-time.After(d):
		}
	}
	wait(settle)
	for _, v := range all {
		v.Stats()
	}
	wait(duration)
	stats := make([]watch.Stats, viewers)
	for i, v := range all {
		stats[i] = v.Stats()
	}
	cancel()
	return stats, ignoreCancel(group.Wait())
}

func ignoreCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
