package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"sightline/internal/chart"
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
	trace, chart                    string
	duration                        time.Duration
	asJSON, findLimit               bool
	bounds                          load.Bounds
	mostGap, mostLatency            time.Duration
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

With --find-limit it answers how many viewers the server carries: it doubles their number until they no longer get what --least-fps, --most-gap and --most-latency say,
halves the distance from there, and says which of them broke. --viewers is then the most to try, and --duration how long each number is measured.

With --chart what was measured is drawn as well, into an SVG file. Where the server is on this machine (Linux, the same user or root), what it uses is measured too.

Viewers cost processor time as well: on the server's own machine they take as much as the server does.

The view token is read from --token-file or from $SIGHTLINE_TOKEN.`,
		Example: `  sightline bench https://cam.lan:8443/watch/door --token-file t --viewers 500 --duration 1m
  sightline bench https://cam.lan:8443/watch/door --token-file t --viewers 100 --slow 20 --lossy 10 --json
  sightline bench https://cam.lan:8443/watch/door --token-file t --find-limit --chart limit.svg`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("bench takes one URL, such as https://cam.lan:8443/watch/door")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			f.settle(cmd)
			return f.run(cmd, args[0])
		},
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
	fs.DurationVar(&f.duration, "duration", 30*time.Second, "for how long; with --find-limit 5s")
	fs.BoolVar(&f.findLimit, "find-limit", false, "find how many viewers the server carries")
	fs.Float64Var(&f.bounds.FPS, "least-fps", 25, "with --find-limit: pictures a second that the viewer in the middle must get")
	fs.DurationVar(&f.mostGap, "most-gap", 100*time.Millisecond, "with --find-limit: what no more than one gap between two pictures in a hundred may exceed")
	fs.DurationVar(&f.mostLatency, "most-latency", 200*time.Millisecond, "with --find-limit: what no more than one picture in twenty may take from capture to its last byte")
	fs.StringVar(&f.chart, "chart", "", "SVG file to draw what was measured into")
	fs.BoolVar(&f.asJSON, "json", false, "print the figures at the end as one JSON object, and no progress")
	return cmd
}

// What is measured differently with --find-limit.
const (
	limitDuration = 5 * time.Second
	limitFirst    = 10 // viewers
)

// settle fills in what --find-limit has other defaults for.
func (f *benchFlags) settle(cmd *cobra.Command) {
	if !f.findLimit {
		return
	}
	f.bounds.GapMS, f.bounds.LatencyMS = 1000*f.mostGap.Seconds(), 1000*f.mostLatency.Seconds()
	if !cmd.Flags().Changed("viewers") {
		f.viewers = benchMost
	}
	if !cmd.Flags().Changed("duration") {
		f.duration = limitDuration
	}
}

// check finds what goes with --find-limit and what does not.
func (f *benchFlags) check(cmd *cobra.Command) error {
	for _, name := range []string{"least-fps", "most-gap", "most-latency"} {
		if !f.findLimit && cmd.Flags().Changed(name) {
			return usagef("--%s is for --find-limit", name)
		}
	}
	for _, name := range []string{"slow", "lossy", "stalled", "come-and-go", "trace"} {
		if f.findLimit && cmd.Flags().Changed(name) {
			return usagef("--%s does not go with --find-limit, which counts viewers on good networks", name)
		}
	}
	switch {
	case !f.findLimit:
		return nil
	case f.viewers < 1 || f.viewers > benchMost:
		return usagef("--viewers %d: want 1 to %d", f.viewers, benchMost)
	case f.duration < time.Second:
		return usagef("--duration %s: want at least 1s for each number of viewers", f.duration)
	case f.bounds.FPS <= 0 || f.mostGap <= 0 || f.mostLatency <= 0:
		return usagef("--least-fps, --most-gap and --most-latency: want more than 0")
	}
	return nil
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
	if err := f.check(cmd); err != nil {
		return err
	}
	var kinds map[load.Kind]int
	if !f.findLimit {
		if kinds, err = f.crowd(); err != nil {
			return err
		}
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

	server := serverOf(target)
	crowd := load.New(opts)
	for kind, n := range kinds {
		if n > 0 {
			crowd.Want(kind, n)
		}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(cmd.Context())) // who interrupts still gets the figures
	var running sync.WaitGroup
	running.Go(func() { crowd.Run(ctx) })
	defer running.Wait()
	defer cancel()
	if f.findLimit {
		return f.limit(cmd, crowd, server)
	}
	return f.plain(cmd, crowd, server)
}

// serverOf is the server's process, nil if it is on another machine or cannot be seen.
func serverOf(target string) *load.Process {
	u, err := url.Parse(target)
	if err != nil {
		return nil
	}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), "443"), 10, 16)
	if err != nil {
		return nil
	}
	p, err := load.Listener(u.Hostname(), uint16(port))
	if err != nil {
		return nil
	}
	return p
}

// second is what happened in one second of a measurement.
type second struct {
	at    time.Duration
	kinds []load.Figures
}

// plain measures the crowd as it is wanted.
func (f *benchFlags) plain(cmd *cobra.Command, crowd *load.Crowd, server *load.Process) error {
	figures, usage, seconds, err := f.measure(cmd.Context(), cmd.OutOrStdout(), crowd, server)
	if err != nil {
		return err
	}
	if err := f.draw(overTime(seconds)...); err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(cmd, struct {
			Kinds  []load.Figures `json:"kinds"`
			Server *load.Usage    `json:"server,omitempty"`
		}{figures, usage})
	}
	if err := benchReport(cmd.OutOrStdout(), figures); err != nil || usage == nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nserver: %s\n", usageText(*usage))
	return err
}

func usageText(u load.Usage) string {
	return fmt.Sprintf("%.0f %% of a processor, %.0f MB; its capture processes: %.0f %%", u.CPU, u.Memory, u.Capture)
}

// limit finds how many viewers the server carries.
func (f *benchFlags) limit(cmd *cobra.Command, crowd *load.Crowd, server *load.Process) error {
	out := cmd.OutOrStdout()
	search := load.Search{Bounds: f.bounds, First: limitFirst, Most: f.viewers, Settle: 2 * time.Second, Hold: f.duration, Server: server}
	if !f.asJSON {
		search.Tell = func(p load.Probe) { _ = limitLine(out, p) } // to a person
	}
	l, err := crowd.FindLimit(cmd.Context(), search)
	if err != nil {
		return err
	}
	if err := f.draw(load.Charts(l.Probes, f.bounds)...); err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(cmd, l)
	}
	if l.Broke == "" {
		_, err = fmt.Fprintf(out, "\nall %d viewers got what they must: the server may carry more\n", l.Viewers)
		return err
	}
	_, err = fmt.Fprintf(out, "\n%d viewers got what they must; more of them got %s\n", l.Viewers, l.Broke)
	return err
}

func limitLine(w io.Writer, p load.Probe) error {
	verdict := cmp.Or(p.Broke, "holds")
	server := ""
	if p.Server != nil {
		server = fmt.Sprintf("  server %4.0f %%", p.Server.CPU)
	}
	_, err := fmt.Fprintf(w, "%5d viewers  %5.1f fps  latency p95 %6.1f ms  gap p99 %6.1f ms%s  %s\n",
		p.Viewers, p.Got.FPSMedian, p.Got.Age.P95, p.Got.Gap.P99, server, verdict)
	return err
}

// draw draws charts into the file that is to have them, if there is one.
func (f *benchFlags) draw(charts ...chart.Chart) error {
	if f.chart == "" {
		return nil
	}
	var svg bytes.Buffer
	if err := chart.WriteSVG(&svg, charts...); err != nil {
		return fmt.Errorf("--chart: nothing was measured that could be drawn: %w", err)
	}
	if err := os.WriteFile(f.chart, svg.Bytes(), 0o644); err != nil { //nolint:gosec // figures are no secret
		return fmt.Errorf("--chart: %w", err)
	}
	return nil
}

// overTime are the charts of a measurement.
func overTime(seconds []second) []chart.Chart {
	fps := chart.Chart{Title: "What viewers got", Y: "pictures a second"}
	late := chart.Chart{X: "seconds", Y: "capture to last byte, ms"}
	index := map[load.Kind]int{}
	for _, s := range seconds {
		for _, g := range s.kinds {
			i, known := index[g.Kind]
			if !known {
				i = len(index)
				index[g.Kind] = i
				fps.Lines = append(fps.Lines, chart.Line{Name: string(g.Kind)})
				late.Lines = append(late.Lines, chart.Line{Name: string(g.Kind) + ", median"}, chart.Line{Name: string(g.Kind) + ", p99"})
			}
			if g.FPS == 0 {
				continue // nothing came, so nothing was late
			}
			x := s.at.Seconds()
			fps.Lines[i].Points = append(fps.Lines[i].Points, chart.Point{X: x, Y: g.FPSMedian})
			late.Lines[2*i].Points = append(late.Lines[2*i].Points, chart.Point{X: x, Y: g.Age.P50})
			late.Lines[2*i+1].Points = append(late.Lines[2*i+1].Points, chart.Point{X: x, Y: g.Age.P99})
		}
	}
	return []chart.Chart{fps, late}
}

// measure prints what happens each second until its time is over or ctx is done, and gives the figures of the time after the viewers have
// settled, of first pictures and failures those of the whole time, what the server used, and each second.
func (f *benchFlags) measure(ctx context.Context, out io.Writer, crowd *load.Crowd, server *load.Process) ([]load.Figures, *load.Usage, []second, error) {
	ctx, cancel := context.WithTimeout(ctx, f.duration)
	defer cancel()
	start := time.Now()
	began := crowd.Mark()
	all, last, usage := began, began, server.Meter()
	var seconds []second
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
			return figures, usage(), seconds, nil
		case <-settled:
			all, usage = crowd.Mark(), server.Meter()
			crowd.Stall()
		case <-tick.C:
			figures := crowd.Since(last)
			last = crowd.Mark()
			seconds = append(seconds, second{time.Since(start), figures})
			if f.asJSON {
				continue
			}
			for _, g := range figures {
				if err := benchLine(out, g); err != nil {
					return nil, nil, nil, err
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
