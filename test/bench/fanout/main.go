//go:build linux

// Command fanout measures what one more viewer costs: the whole server, with TLS, credentials, the record on disk, adaptation
// and feedback, against a bare program that only writes the same bytes over TLS, in the same run and in turns, so that what else the machine
// does touches both. Pictures come from a process of their own; the viewers are all in this one and decode nothing.
// SIGHTLINE_BIN names the folder of the programs (default: bin).
//
// The last line is the figures as JSON, those of the most viewers, and of all runs in runs: the server's processor time for each viewer
// and picture, that of the bare writer, their ratio, the memory that one viewer more takes, and what the viewers got.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"sightline/internal/load"
)

const (
	// settle is how long a side sends before it is measured: behind a pause viewers acknowledge more for a good second.
	settle      = 2 * time.Second
	admitLimit  = time.Minute
	admitLooked = 10 * time.Millisecond
)

// figures are what is printed.
type figures struct {
	Viewers    int     `json:"viewers"`
	UsPerFrame float64 `json:"us_per_viewer_frame"`
	FloorUs    float64 `json:"floor_us"`
	FloorRatio float64 `json:"floor_ratio"`    // the median of the rounds'
	RatioLow   float64 `json:"floor_ratio_q1"` // a quarter of the rounds are below
	RatioHigh  float64 `json:"floor_ratio_q3"` // a quarter of the rounds are above
	KBPerView  float64 `json:"kb_per_viewer"`
	FPSMedian  float64 `json:"fps_median"`
	GapP99     float64 `json:"gap_p99_ms"`
	AgeP50     float64 `json:"latency_p50_ms"`
	AgeP99     float64 `json:"latency_p99_ms"`
	AdmittedIn float64 `json:"admitted_s"` // until the last has its first picture
	FirstP99   float64 `json:"first_p99_ms"`
	Dropped    uint64  `json:"dropped"`
	Failures   int     `json:"failures"`
	// LoadCores is how many processors' time the viewers themselves take: what they share with the server.
	LoadCores float64 `json:"load_cores"`
}

type options struct {
	viewers []int
	rounds  int
	slot    time.Duration
	profile string
	bad     bool
	scale   string
	limits  limits
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fanout:", err)
		os.Exit(1)
	}
}

func run() error {
	var o options
	roleName := flag.String("role", "", "what this process is: publish, bare, or, left out, the one that measures")
	url := flag.String("url", "", "where to publish")
	ca := flag.String("ca", "", "the server's authority")
	token := flag.String("token-file", "", "file with the publisher's token")
	viewers := flag.String("viewers", "400,1000", "how many watch, run after run")
	flag.IntVar(&o.rounds, "rounds", 12, "how often the server and the bare writer take turns")
	flag.DurationVar(&o.slot, "slot", 2*time.Second, "how long a turn is measured")
	flag.BoolVar(&o.bad, "bad", false, "measure what 50 stalled and 50 slow viewers among 500 do to the others instead")
	flag.StringVar(&o.scale, "scale", "", "measure what 1, 4 and 16 streams cost with each of -viewers instead, into this file of comma-separated values and a chart beside it (.svg)")
	quick := flag.Bool("quick", false, "100 viewers, two short rounds, and limits that any machine should hold")
	flag.StringVar(&o.profile, "profile", "", "folder to put a profile of each run in, made with perf(1); figures are worth less then")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch *roleName {
	case "publish":
		return publish(ctx, *url, *ca, *token)
	case "bare":
		return bare(ctx)
	}
	o.limits = limitsOf(*quick)
	if *quick {
		*viewers, o.rounds, o.slot = "100", 2, time.Second
	}
	for word := range strings.SplitSeq(*viewers, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return fmt.Errorf("-viewers %q: want numbers with commas between, such as 400,1000", *viewers)
		}
		o.viewers = append(o.viewers, n)
	}
	if o.rounds < 1 || o.slot <= 0 {
		return errors.New("want at least one round, and some time")
	}
	switch {
	case o.bad:
		return measureBad(ctx, os.Stdout, o)
	case o.scale != "":
		return measureScale(ctx, os.Stdout, o)
	}
	return measureAll(ctx, os.Stdout, o)
}

func measureAll(ctx context.Context, out io.Writer, o options) error {
	var all []figures
	for _, n := range o.viewers {
		f, err := measure(ctx, out, o, n)
		if err != nil {
			return fmt.Errorf("%d viewers: %w", n, err)
		}
		all = append(all, f)
	}
	most := slices.MaxFunc(all, func(a, b figures) int { return a.Viewers - b.Viewers })
	err := json.NewEncoder(out).Encode(struct {
		figures
		Runs []figures `json:"runs"`
	}{most, all})
	for _, f := range all {
		err = errors.Join(err, o.limits.check(f))
	}
	return err
}

// measure runs everything once with n viewers.
func measure(ctx context.Context, out io.Writer, o options, n int) (f figures, err error) {
	s, err := newStand(ctx, 1)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	server, source := s.server, s.sources[0]
	floor, err := start(ctx, "-role", "bare")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, floor.end()) }()

	f.Viewers = n
	before, err := resident(server.PID())
	if err != nil {
		return f, err
	}
	ctx, cancel := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	defer func() { cancel(); err = errors.Join(err, group.Wait()) }()
	crowd := s.crowd(0)
	group.Go(func() error { crowd.Run(ctx); return nil })
	if err := source.turn("on"); err != nil {
		return f, err
	}
	began := time.Now()
	whole := crowd.Mark()
	crowd.Want(load.Plain, n)
	if err := admitted(ctx, crowd, whole, load.Plain, n); err != nil {
		return f, err
	}
	f.AdmittedIn = time.Since(began).Seconds()
	f.FirstP99 = crowd.Since(whole)[0].First.P99
	if err := source.turn("off"); err != nil {
		return f, err
	}
	var bytes atomic.Uint64
	connected := make(chan struct{})
	group.Go(func() error {
		return bareReader(ctx, floor.said, n, func() { close(connected) }, &bytes)
	})
	select {
	case <-ctx.Done():
		return f, context.Cause(ctx)
	case <-connected:
	}

	var us, floorUs, ratios, fps, gaps, ageP50, ageP99, cores []float64
	for round := range o.rounds {
		bareUs, err := turn(ctx, o, floor, floor.cmd.Process.Pid, fmt.Sprintf("bare-%d-%d", n, round), func() func() float64 {
			from := bytes.Load()
			return func() float64 { return float64(bytes.Load()-from) / float64(len(framed())) }
		})
		if err != nil {
			return f, err
		}
		var got load.Figures
		ours, err := turn(ctx, o, source, server.PID(), fmt.Sprintf("server-%d-%d", n, round), func() func() float64 {
			from, used := crowd.Mark(), ownCPU()
			return func() float64 {
				got = crowd.Since(from)[0]
				cores = append(cores, (ownCPU()-used).Seconds()/got.Seconds)
				return got.FPS * got.Seconds
			}
		})
		if err != nil {
			return f, err
		}
		if _, err := fmt.Fprintf(out, "%4d viewers, round %d: %5.2f µs a viewer and picture, bare %5.2f, ratio %.3f; %5.2f fps, gap p99 %3.0f ms, latency p50 %.1f p99 %.1f ms, dropped %d, %d connected %v\n",
			n, round+1, ours, bareUs, ours/bareUs, got.FPSMedian, got.Gap.P99, got.Age.P50, got.Age.P99, got.Dropped, got.Viewers, got.Failures); err != nil {
			return f, err
		}
		us, floorUs, ratios = append(us, ours), append(floorUs, bareUs), append(ratios, ours/bareUs)
		fps, gaps = append(fps, got.FPSMedian), append(gaps, got.Gap.P99)
		ageP50, ageP99 = append(ageP50, got.Age.P50), append(ageP99, got.Age.P99)
		f.Dropped += got.Dropped
	}
	after, err := resident(server.PID())
	if err != nil {
		return f, err
	}
	for _, k := range crowd.Since(whole)[0].Failures {
		f.Failures += int(k)
	}
	f.KBPerView = (after - before) / 1024 / float64(n)
	f.UsPerFrame, f.FloorUs, f.FloorRatio = median(us), median(floorUs), median(ratios)
	f.RatioLow, f.RatioHigh, f.LoadCores = quantile(ratios, 0.25), quantile(ratios, 0.75), median(cores)
	f.FPSMedian, f.GapP99, f.AgeP50, f.AgeP99 = median(fps), median(gaps), median(ageP50), median(ageP99)
	_, err = fmt.Fprintf(out, "%4d viewers: all in after %.1f s, %.0f KB each; ratio %.2f, half of the rounds between %.2f and %.2f; the viewers themselves take %.2f processors\n",
		n, f.AdmittedIn, f.KBPerView, f.FloorRatio, f.RatioLow, f.RatioHigh, f.LoadCores)
	return f, err
}

// turn switches one side on, and gives its processor time in µs for each of what count counts from its call to that of the function
// that it returns.
func turn(ctx context.Context, o options, side *role, pid int, name string, count func() func() float64) (us float64, err error) {
	if err := side.turn("on"); err != nil {
		return 0, err
	}
	if err := wait(ctx, settle); err != nil {
		return 0, err
	}
	before, err := cpu(pid)
	if err != nil {
		return 0, err
	}
	counted := count()
	if o.profile != "" {
		err = profile(ctx, filepath.Join(o.profile, name+".perf"), pid, o.slot)
	} else {
		err = wait(ctx, o.slot)
	}
	if err != nil {
		return 0, err
	}
	frames := counted()
	after, err := cpu(pid)
	if err != nil {
		return 0, err
	}
	if frames == 0 {
		return 0, errors.New("nothing arrived")
	}
	return float64((after - before).Microseconds()) / frames, side.turn("off")
}

func profile(ctx context.Context, file string, pid int, d time.Duration) error {
	out, err := exec.CommandContext(ctx, "perf", "record", "-q", "-g", "-F", "997", "-o", file, "-p", strconv.Itoa(pid),
		"--", "sleep", strconv.FormatFloat(d.Seconds(), 'f', 3, 64)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("perf: %w: %s", err, out)
	}
	return nil
}

// admitted waits until n viewers of a kind have had their first picture.
func admitted(ctx context.Context, crowd *load.Crowd, from load.Mark, kind load.Kind, n int) error {
	for late := time.Now().Add(admitLimit); ; {
		got := of(crowd.Since(from), kind)
		if got.Viewers == n && got.Rungs["720p"] == n {
			return nil
		}
		if time.Now().After(late) {
			return fmt.Errorf("after %s only %d are connected, by lines %v; failures: %v", admitLimit, got.Viewers, got.Rungs, got.Failures)
		}
		if err := wait(ctx, admitLooked); err != nil {
			return err
		}
	}
}

// of is what the viewers of one kind got.
func of(all []load.Figures, kind load.Kind) load.Figures {
	for _, f := range all {
		if f.Kind == kind {
			return f
		}
	}
	return load.Figures{}
}

func median(values []float64) float64 { return quantile(values, 0.5) }

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
