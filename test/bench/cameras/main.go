//go:build linux

// Command cameras measures what one bad camera of twenty does to the others: it starts a server with twenty capture processes, of which nineteen show
// the test pattern and one reads a camera that this program plays, watches all of them, and has that camera turn bad and good again. For each way to be bad
// it compares the times between two pictures of the other nineteen with those just before, and takes the median of several such rounds. SIGHTLINE_BIN names the folder of the programs (default: bin).
//
// The last line is the figures as JSON: good_p99_ms and bad_p99_ms are the others' 99th percentile beside a good and a bad camera, good_p50_ms and
// bad_p50_ms the medians, moved_percent what p99 moved by, all of the kind that moved it most; kinds has each. idle_percent is what the processors had left over all
// the time: near 0 other work has made the figures, and they say nothing of cameras.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"sightline/internal/media"
	"sightline/internal/watch"
	"sightline/test/site"
)

const (
	cameras = 20
	// cameraName is what the process that plays the camera is called.
	cameraName = "camera"
	badName    = media.StreamID("bad")
	// settle is how long a change is given before anything counts: a process that was ended starts again, a viewer is given pictures.
	settle = 2 * time.Second
	// warm is the same after the start, when twenty processes and encoders start.
	warm = 10 * time.Second
	// perMinute is how often the cameras and processes flap that do.
	perMinute = 10
)

// figures are of one kind. Times are milliseconds.
type figures struct {
	GoodP50      float64 `json:"good_p50_ms"`
	GoodP99      float64 `json:"good_p99_ms"`
	BadP50       float64 `json:"bad_p50_ms"`
	BadP99       float64 `json:"bad_p99_ms"`
	MovedPercent float64 `json:"moved_percent"`
	Pictures     int     `json:"pictures"` // of the others, beside the bad camera
}

func main() {
	if filepath.Base(os.Args[0]) == "sightline-capture" {
		stand() // does not return
	}
	if os.Args[0] == cameraName {
		if err := playCamera(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "camera:", err)
			os.Exit(1)
		}
		return
	}
	kinds := flag.String("kinds", strings.Join(allKinds(), ","), "ways to be bad")
	rounds := flag.Int("rounds", 5, "how often each is tried")
	phase := flag.Duration("phase", 4*time.Second, "how long a camera is good, and then bad")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, strings.Split(*kinds, ","), *rounds, *phase)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cameras:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, kinds []string, times int, phase time.Duration) (err error) {
	for _, kind := range kinds {
		if !slices.Contains(allKinds(), kind) {
			return fmt.Errorf("unknown kind %q, want some of %s", kind, strings.Join(allKinds(), ","))
		}
	}
	if times < 1 || phase <= 0 {
		return errors.New("want at least one round, and some time")
	}
	dir, err := os.MkdirTemp("", "sightline-cameras-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	camera, err := startCamera(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, camera.stop()) }()
	if err := stage(dir); err != nil {
		return err
	}
	server, err := site.Start(ctx, site.Options{Programs: dir, Dir: dir, Config: configuration(camera.address)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()

	ctx, cancel := context.WithCancel(ctx)
	viewers, ctx := errgroup.WithContext(ctx)
	defer func() {
		cancel()
		if werr := viewers.Wait(); !errors.Is(werr, context.Canceled) {
			err = errors.Join(err, fmt.Errorf("a viewer: %w", werr))
		}
	}()
	var book book
	for i := range cameras {
		id, observe := streamID(i), book.observer(i)
		conn, err := server.Dial(ctx, id)
		if err != nil {
			return err
		}
		viewers.Go(func() error { return watch.New(conn, watch.Options{Player: "bench", Observe: observe}).Run(ctx) })
	}
	pause(ctx, warm)
	idleBefore, allBefore, err := ticks()
	if err != nil {
		return err
	}
	rounds := map[string][]round{}
	for range times {
		for _, kind := range kinds {
			var r round
			for i, mode := range []string{kindGood, kind} {
				if err := camera.turn(mode); err != nil {
					return err
				}
				if mode == kindGood || ofProcess(mode) {
					end(server) // its successor asks what it is to be
				}
				pause(ctx, settle)
				book.begin()
				behave(ctx, server, mode, phase)
				r[i] = book.end()
			}
			rounds[kind] = append(rounds[kind], r)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	idle, all, err := ticks()
	if err != nil {
		return err
	}
	return report(out, kinds, rounds, math.Round(100*(idle-idleBefore)/(all-allBefore)))
}

// round is what there was between two pictures of the others while a camera was good, and then while it was bad.
type round [2][]time.Duration

func report(out io.Writer, kinds []string, rounds map[string][]round, idle float64) error {
	all := map[string]figures{}
	worst := kinds[0]
	for _, kind := range kinds {
		f := compare(rounds[kind])
		all[kind] = f
		if f.MovedPercent > all[worst].MovedPercent {
			worst = kind
		}
		if _, err := fmt.Fprintf(out, "%-9s p50 %5.1f ms, beside it %5.1f ms; p99 %5.1f ms, beside it %5.1f ms: %+.1f %%\n", kind, f.GoodP50, f.BadP50, f.GoodP99, f.BadP99, f.MovedPercent); err != nil {
			return err
		}
	}
	return json.NewEncoder(out).Encode(struct {
		figures
		Worst       string             `json:"worst"`
		IdlePercent float64            `json:"idle_percent"`
		Kinds       map[string]figures `json:"kinds"`
	}{all[worst], worst, idle, all})
}

// compare takes the median of all rounds, of each figure for itself: a machine that does something else for a moment spoils one round, and not the result.
func compare(rounds []round) figures {
	median := func(figure func(r round) float64) float64 {
		var all []float64
		for _, r := range rounds {
			all = append(all, figure(r))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	f := figures{
		GoodP50: median(func(r round) float64 { return percentile(r[0], 50) }),
		GoodP99: median(func(r round) float64 { return percentile(r[0], 99) }),
		BadP50:  median(func(r round) float64 { return percentile(r[1], 50) }),
		BadP99:  median(func(r round) float64 { return percentile(r[1], 99) }),
		MovedPercent: median(func(r round) float64 {
			return math.Round((percentile(r[1], 99)/percentile(r[0], 99)-1)*1000) / 10
		}),
	}
	for _, r := range rounds {
		f.Pictures += len(r[1])
	}
	return f
}

// percentile is that of all intervals, in milliseconds to a tenth; NaN of none.
func percentile(all []time.Duration, p int) float64 {
	if len(all) == 0 {
		return math.NaN() // which JSON refuses: a phase without a picture is no measurement
	}
	slices.Sort(all)
	return float64(all[min(len(all)-1, len(all)*p/100)].Round(100*time.Microsecond)) / float64(time.Millisecond)
}

// book keeps the times between two pictures of the good cameras. The zero value is ready.
type book struct {
	mu        sync.Mutex
	open      bool
	last      map[int]time.Time
	intervals []time.Duration
}

// observer takes the pictures of camera i; the last camera is the one that is not good.
func (b *book) observer(i int) func(watch.Picture) {
	if streamID(i) == badName {
		return nil
	}
	return func(p watch.Picture) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.open {
			return
		}
		if before, ok := b.last[i]; ok {
			b.intervals = append(b.intervals, p.At.Sub(before))
		}
		b.last[i] = p.At
	}
}

func (b *book) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open, b.last, b.intervals = true, map[int]time.Time{}, nil
}

// end gives the intervals, with the one that each camera is in: one that has stopped must not look well.
func (b *book) end() []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = false
	longest := map[int]time.Duration{}
	for i, at := range b.last {
		if d := time.Since(at); d > time.Second {
			longest[i] = d
		}
	}
	return append(b.intervals, slices.Collect(maps.Values(longest))...)
}

func streamID(i int) media.StreamID {
	if i == cameras-1 {
		return badName
	}
	return media.StreamID(fmt.Sprintf("camera%02d", i+1))
}

// configuration has nineteen small test patterns and the camera at address. Small, so that two cores carry them.
func configuration(address string) string {
	var b strings.Builder
	b.WriteString("streams:\n")
	for i := range cameras {
		id, source := streamID(i), fmt.Sprintf("test:?size=320x180&fps=15&tag=%d", i)
		if id == badName {
			source = address
		}
		fmt.Fprintf(&b, "  %s: {source: %q, renditions: [{name: main, codec: h264, height: 180, fps: 15, bitrate: 300k}]}\n", id, source)
	}
	return b.String()
}

// behave lets the phase pass, and ends the capture process in it as often as it is to flap.
func behave(ctx context.Context, server *site.Server, mode string, phase time.Duration) {
	if mode != kindKilled {
		pause(ctx, phase)
		return
	}
	for left := phase; left > 0; left -= time.Minute / perMinute {
		end(server)
		pause(ctx, min(left, time.Minute/perMinute))
	}
}

// end kills the bad camera's process.
func end(server *site.Server) {
	if pid := server.CapturePID(badName); pid != 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may just have ended by itself
	}
}

// ticks are what this machine's processors have had of time without work, and of time (proc_stat(5)).
func ticks() (idle, all float64, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for i, field := range strings.Fields(line)[1:] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("/proc/stat: %w", err)
		}
		if i < 8 { // what guests take stands in the first once more
			all += n
		}
		if i == 3 || i == 4 {
			idle += n
		}
	}
	return idle, all, nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
