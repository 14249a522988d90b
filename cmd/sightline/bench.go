package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"sightline/internal/load"
	"sightline/internal/transport"
	"sightline/internal/transport/ws"
	"sightline/internal/watch"
	"sightline/internal/wire"
)

// benchSettle is how long viewers watch before the figures at the end count: connections are made, clocks compared.
const benchSettle = 3 * time.Second

// benchMost is how many viewers one command makes: beyond it one machine's ports and files run out.
const benchMost = 20_000

type benchFlags struct {
	access                          watchFlags // where and how to get in
	viewers                         int
	slow, lossy, stalled, comeAndGo int
	trace                           string
	duration                        time.Duration
	asJSON                          bool
}

func newBenchCmd() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench URL",
		Short: "Put many viewers on a stream and measure what they get",
		Long: `Put many viewers on a stream, all in this one process, and measure what they get: pictures a second, the time from capture to the last
byte received, the time between two pictures and to the first one. Nothing is decoded. Progress is printed each second, and the figures of the whole time,
less the first three seconds, at the end.

Some of the viewers may be on bad networks, which this command makes itself: --slow ones take 1 Mbit/s, or what --trace says, --lossy ones lose
one packet in a hundred, --stalled ones stop reading and do not hang up, --come-and-go ones stay for five seconds on average and come back.

Viewers cost processor time as well: on the server's own machine they take as much as the server does.

The view token is read from --token-file or from $SIGHTLINE_TOKEN.`,
		Example: `  sightline bench https://cam.lan:8443/watch/door --token-file t --viewers 500 --duration 1m
  sightline bench https://cam.lan:8443/watch/door --token-file t --viewers 100 --slow 20 --lossy 10 --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("bench takes one URL, such as https://cam.lan:8443/watch/door")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.access.tokenFile, "token-file", "", "file with the view token; default: $"+envToken)
	fs.StringVar(&f.access.ca, "ca", "", "PEM file with the server's certificate authority; default: those the system trusts")
	fs.IntVar(&f.viewers, "viewers", 100, "how many watch in all")
	fs.IntVar(&f.slow, "slow", 0, "how many of them have a slow network")
	fs.IntVar(&f.lossy, "lossy", 0, "how many of them have a network that loses packets")
	fs.IntVar(&f.stalled, "stalled", 0, "how many of them stop reading after the first three seconds")
	fs.IntVar(&f.comeAndGo, "come-and-go", 0, "how many of them leave and come back")
	fs.StringVar(&f.trace, "trace", "", "file with what slow networks carry: lines of seconds and kbit/s, again and again")
	fs.DurationVar(&f.duration, "duration", 30*time.Second, "for how long")
	fs.BoolVar(&f.asJSON, "json", false, "print the figures at the end as one JSON object, and no progress")
	return cmd
}

// crowd is how many viewers there are of each kind.
func (f *benchFlags) crowd() (map[load.Kind]int, error) {
	kinds := map[load.Kind]int{load.Slow: f.slow, load.Lossy: f.lossy, load.Stalled: f.stalled, load.ComeAndGo: f.comeAndGo}
	rest := f.viewers
	for kind, n := range kinds {
		if n < 0 {
			return nil, usagef("--%s %d: want a number of viewers, 0 or more", kind, n)
		}
		rest -= n
	}
	switch {
	case f.viewers < 1 || f.viewers > benchMost:
		return nil, usagef("--viewers %d: want 1 to %d", f.viewers, benchMost)
	case rest < 0:
		return nil, usagef("--slow, --lossy, --stalled and --come-and-go are %d viewers, more than the %d of --viewers", f.viewers-rest, f.viewers)
	case f.duration <= benchSettle:
		return nil, usagef("--duration %s: want more than the %s that pass until figures count", f.duration, benchSettle)
	case f.trace != "" && f.slow == 0:
		return nil, usagef("--trace says what slow networks carry: say with --slow how many have one")
	}
	kinds[load.Plain] = rest
	return kinds, nil
}

func (f *benchFlags) run(cmd *cobra.Command, address string) error {
	target, err := socketURL(address)
	if err != nil {
		return err
	}
	kinds, err := f.crowd()
	if err != nil {
		return err
	}
	token, err := f.access.token()
	if err != nil {
		return err
	}
	tlsConfig, err := clientTLS(f.access.ca)
	if err != nil {
		return err
	}
	dial := func(ctx context.Context) (transport.Conn, error) {
		return ws.Dial(ctx, target, http.Header{"Authorization": {"Bearer " + token}}, []string{wire.Subprotocol}, tlsConfig,
			ws.Options{ReadLimit: wire.MaxMessageLen, IdleTimeout: 10 * time.Second})
	}
	opts := load.Options{Dial: dial, Watch: watch.Options{Player: "sightline-bench/1"}}
	if f.trace != "" {
		if opts.Trace, err = readTrace(f.trace); err != nil {
			return err
		}
	}
	first, err := dial(cmd.Context()) // what keeps one out keeps all out, and is better said once
	if err != nil {
		return explainDial(err)
	}
	_ = first.Close(transport.CodeNormal, "")

	crowd := load.New(opts)
	for kind, n := range kinds {
		if n > 0 {
			crowd.Want(kind, n)
		}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(cmd.Context())) // who interrupts still gets the figures
	var running sync.WaitGroup
	running.Go(func() { crowd.Run(ctx) })
	figures, err := f.measure(cmd.Context(), cmd.OutOrStdout(), crowd)
	cancel()
	running.Wait()
	if err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(cmd, struct {
			Kinds []load.Figures `json:"kinds"`
		}{figures})
	}
	return benchReport(cmd.OutOrStdout(), figures)
}

// measure prints what happens each second until its time is over or ctx is done, and gives the figures of the time after the viewers have
// settled; of first pictures and failures those of the whole time.
func (f *benchFlags) measure(ctx context.Context, out io.Writer, crowd *load.Crowd) ([]load.Figures, error) {
	ctx, cancel := context.WithTimeout(ctx, f.duration)
	defer cancel()
	began := crowd.Mark()
	all, last := began, began
	settled := time.After(benchSettle)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			figures := crowd.Since(all)
			for i, whole := range crowd.Since(began) {
				figures[i].First, figures[i].Failures = whole.First, whole.Failures
			}
			return figures, nil
		case <-settled:
			all = crowd.Mark()
			crowd.Stall()
		case <-tick.C:
			if f.asJSON {
				continue
			}
			figures := crowd.Since(last)
			last = crowd.Mark()
			for _, g := range figures {
				if err := benchLine(out, g); err != nil {
					return nil, err
				}
			}
		}
	}
}

func benchLine(w io.Writer, g load.Figures) error {
	_, err := fmt.Fprintf(w, "%-11s %5d of %5d  %5.1f fps  %7.1f Mbit/s  latency p50 %6.1f p99 %6.1f ms  gap p99 %5.0f ms  dropped %d\n",
		g.Kind, g.Viewers, g.Wanted, g.FPSMedian, g.BitrateBps/1e6, g.Age.P50, g.Age.P99, g.Gap.P99, g.Dropped)
	return err
}

func benchReport(w io.Writer, figures []load.Figures) error {
	for _, g := range figures {
		_, err := fmt.Fprintf(w, "\n%s: %d of %d viewers, %.0f s\n  pictures a second of a viewer: median %.1f, least %.1f\n"+
			"  capture to last byte:    p50 %.1f, p95 %.1f, p99 %.1f, max %.1f ms\n  picture to picture:      p50 %.1f, p95 %.1f, p99 %.1f, max %.1f ms\n"+
			"  dialling to 1st picture: p50 %.1f, p95 %.1f, p99 %.1f, max %.1f ms\n  viewers by lines: %v; not sent: %d; undecodable: %d\n",
			g.Kind, g.Viewers, g.Wanted, g.Seconds, g.FPSMedian, g.FPSLeast, g.Age.P50, g.Age.P95, g.Age.P99, g.Age.Max,
			g.Gap.P50, g.Gap.P95, g.Gap.P99, g.Gap.Max, g.First.P50, g.First.P95, g.First.P99, g.First.Max, g.Rungs, g.Dropped, g.Undecodable)
		if err != nil {
			return err
		}
		whys := make([]string, 0, len(g.Failures))
		for why := range g.Failures {
			whys = append(whys, why)
		}
		slices.Sort(whys)
		for _, why := range whys {
			if _, err := fmt.Fprintf(w, "  failed %d times: %s\n", g.Failures[why], why); err != nil {
				return err
			}
		}
	}
	return nil
}

func readTrace(path string) (load.Trace, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--trace: %w", err)
	}
	defer func() { _ = file.Close() }() // read only
	trace, err := load.ParseTrace(file)
	if err != nil {
		return nil, fmt.Errorf("--trace %s: %w", path, err)
	}
	return trace, nil
}
