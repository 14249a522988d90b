package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"sightline/internal/chart"
	"sightline/internal/load"
	"sightline/internal/media"
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
		Long: `Put many viewers on a stream, all in this one process, and measure what they
get: pictures a second, the time from capture to the last byte received, the
time between two pictures and to the first one. Nothing is decoded. Progress is
printed each second, and the figures of the whole time, less the first three
seconds, at the end.

Some of the viewers may be on bad networks, which this command makes itself:
--slow ones take 1 Mbit/s, or what --trace says, --lossy ones lose one packet in
a hundred, --stalled ones stop reading and do not hang up, --come-and-go ones
stay for five seconds on average and come back.

With --find-limit it answers how many viewers the server carries: it doubles
their number until they no longer get what --least-fps, --most-gap and
--most-latency say, halves the distance from there, and says which of them
broke; what breaks is looked at twice. --viewers is then the most to try, and
--duration how long each number is measured.

With --chart what was measured is drawn as well. Where the server is on this
machine (Linux, the same user or root), what it uses is measured too. Viewers
cost processor time as well: on the server's own machine they take as much as
the server does.

The view token is read from --token-file or from $SIGHTLINE_TOKEN. The exit code
is 1 where viewers were missing at the end, or got no pictures.`,
		Example: `  sightline token --stream door --sub bench --ttl 12h > t
  sightline bench https://cam.lan:8443/watch/door --ca ca.pem --token-file t --viewers 500 --duration 1m
  sightline bench https://cam.lan:8443/watch/door --ca ca.pem --token-file t --viewers 100 --slow 20 --lossy 10 --json
  sightline bench https://cam.lan:8443/watch/door --ca ca.pem --token-file t --find-limit --chart limit.png`,
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
	fs.StringVar(&f.chart, "chart", "", "file to draw what was measured into, its name ending in .svg or .png")
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

// check finds what goes with --find-limit and what does not, and a chart that could not be written.
func (f *benchFlags) check(cmd *cobra.Command) error {
	if f.chart != "" && painter(f.chart) == nil {
		return usagef("--chart %s: want a name that ends in .svg or .png", f.chart)
	}
	if _, err := os.Stat(filepath.Dir(f.chart)); err != nil {
		return fmt.Errorf("--chart: %w", err)
	}
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
	at     time.Duration
	kinds  []load.Figures
	server *load.Usage // nil where that is not known
}

// plain measures the crowd as it is wanted.
func (f *benchFlags) plain(cmd *cobra.Command, crowd *load.Crowd, server *load.Process) error {
	figures, usage, seconds, err := f.measure(cmd.Context(), cmd.OutOrStdout(), crowd, server)
	if err != nil {
		return err
	}
	if f.asJSON {
		err = printJSON(cmd, struct {
			Kinds  []load.Figures `json:"kinds"`
			Server *load.Usage    `json:"server,omitempty"`
		}{figures, usage})
	} else {
		err = benchReport(cmd.OutOrStdout(), figures, usage)
	}
	if err != nil {
		return err
	}
	err = f.draw(overTime(seconds)...)
	if cmd.Context().Err() != nil { // who interrupts need not be told who was missing
		return err
	}
	return errors.Join(missing(figures), err)
}

// missing says who of those that stay should have watched at the end and did not, or got no pictures.
func missing(figures []load.Figures) error {
	for _, g := range figures {
		switch {
		case g.Kind == load.Stalled || g.Kind == load.ComeAndGo:
		case g.Viewers < g.Wanted:
			why := ""
			for reason, n := range g.Failures {
				if n > g.Failures[why] {
					why = reason
				}
			}
			if why != "" {
				why = ": " + why
			}
			return fmt.Errorf("only %d of %d %s viewers watched at the end%s", g.Viewers, g.Wanted, g.Kind, why)
		case g.FPS == 0:
			return fmt.Errorf("no %s viewer got a picture%s", g.Kind, notLive(g))
		}
	}
	return nil
}

// notLive says what the stream is if it is not live.
func notLive(g load.Figures) string {
	if g.State == "" || g.State == media.StateLive {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf(": the stream is %s. %s", g.State, g.Detail))
}

func usageText(u load.Usage) string {
	return fmt.Sprintf("server: %.0f %% of a processor, %.0f MB; its capture processes: %.0f %%", u.CPU, u.Memory, u.Capture)
}

// limit finds how many viewers the server carries.
func (f *benchFlags) limit(cmd *cobra.Command, crowd *load.Crowd, server *load.Process) error {
	out := cmd.OutOrStdout()
	search := load.Search{Bounds: f.bounds, First: limitFirst, Most: f.viewers, Settle: 2 * time.Second, Hold: f.duration, Server: server}
	if !f.asJSON {
		search.Tell = func(p load.Probe) { _ = limitLine(out, p) } // to a person
	}
	l, ended := crowd.FindLimit(cmd.Context(), search)
	if len(l.Probes) == 0 {
		return ended
	}
	if err := f.draw(load.Charts(l.Probes, f.bounds)...); err != nil {
		return err
	}
	var err error
	switch {
	case f.asJSON && ended == nil:
		err = printJSON(cmd, l)
	case f.asJSON:
	case ended != nil:
		_, err = fmt.Fprintf(out, "\n%d viewers got what they must, as far as was tried\n", l.Viewers)
	case l.Broke == "":
		_, err = fmt.Fprintf(out, "\nall %d viewers got what they must: the server may carry more\n", l.Viewers)
	default:
		_, err = fmt.Fprintf(out, "\n%d viewers got what they must; not more of them: %s\n", l.Viewers, l.Broke)
	}
	return errors.Join(err, ended)
}

func limitLine(w io.Writer, p load.Probe) error {
	verdict := cmp.Or(p.Broke, "holds")
	server := ""
	if p.Server != nil {
		server = fmt.Sprintf("  server %4.0f %% %5.0f MB", p.Server.CPU, p.Server.Memory)
	}
	_, err := fmt.Fprintf(w, "%5d viewers  %5.1f fps  latency p95 %6.1f ms  gap p99 %6.1f ms%s  %s  %s\n",
		p.Viewers, p.Got.FPSMedian, p.Got.Age.P95, p.Got.Gap.P99, server, rungs(p.Got), verdict)
	return err
}

// rungs says how many viewers have which rendition.
func rungs(g load.Figures) string {
	list := load.Rungs(g)
	for i, rung := range list {
		list[i] = fmt.Sprintf("%s:%d", rung, g.Rungs[rung])
	}
	return strings.Join(list, " ")
}

// painter draws charts in the format that a file's name ends in; nil for another.
func painter(file string) func(io.Writer, ...chart.Chart) error {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".svg":
		return chart.WriteSVG
	case ".png":
		return chart.WritePNG
	}
	return nil
}

// draw draws charts into the file that is to have them, if there is one.
func (f *benchFlags) draw(charts ...chart.Chart) error {
	if f.chart == "" {
		return nil
	}
	var picture bytes.Buffer
	if err := painter(f.chart)(&picture, charts...); err != nil {
		return fmt.Errorf("--chart: nothing was measured that could be drawn: %w", err)
	}
	if err := os.WriteFile(f.chart, picture.Bytes(), 0o644); err != nil { //nolint:gosec // figures are no secret
		return fmt.Errorf("--chart: %w", err)
	}
	return nil
}

// overTime are the charts of a measurement. A kind of viewer has one colour in those of what they got.
func overTime(seconds []second) []chart.Chart {
	fps := chart.Chart{Title: "What viewers got", Y: "pictures a second"}
	late := chart.Chart{Y: "capture to last byte, p99, ms"}
	have := chart.Chart{Y: "viewers by rendition"}
	used := chart.Chart{Y: "% of a processor", Lines: []chart.Line{{Name: "server"}, {Name: "its capture processes"}}}
	holds := chart.Chart{Y: "MB", Lines: []chart.Line{{Name: "server's memory"}}}
	add := func(c *chart.Chart, line int, at time.Duration, y float64) {
		c.Lines[line].Points = append(c.Lines[line].Points, chart.Point{X: at.Seconds(), Y: y})
	}
	var all []load.Figures
	for _, s := range seconds {
		all = append(all, s.kinds...)
	}
	names := load.Rungs(all...)
	for _, name := range names {
		have.Lines = append(have.Lines, chart.Line{Name: name, Steps: true})
	}
	for _, s := range seconds {
		on := make([]int, len(names))
		for i, g := range s.kinds { // the same kinds each second
			if i == len(fps.Lines) {
				fps.Lines = append(fps.Lines, chart.Line{Name: string(g.Kind)})
				late.Lines = append(late.Lines, chart.Line{})
			}
			add(&fps, i, s.at, g.FPSMedian)
			if g.FPS > 0 { // else nothing was late
				add(&late, i, s.at, g.Age.P99)
			}
			for k, name := range names {
				on[k] += g.Rungs[name]
			}
		}
		for k, n := range on {
			add(&have, k, s.at, float64(n))
		}
		if s.server != nil {
			add(&used, 0, s.at, s.server.CPU)
			add(&used, 1, s.at, s.server.Capture)
			add(&holds, 0, s.at, s.server.Memory)
		}
	}
	charts := slices.DeleteFunc([]chart.Chart{fps, late, have, used, holds}, func(c chart.Chart) bool {
		return !slices.ContainsFunc(c.Lines, func(l chart.Line) bool { return len(l.Points) > 0 })
	})
	for i := range charts {
		charts[i].Height = 150
	}
	if len(charts) > 0 {
		charts[len(charts)-1].X = "seconds"
	}
	return charts
}

// measure prints what happens each second until its time is over or ctx is done, and gives the figures of the time after the viewers have
// settled, of first pictures and failures those of the whole time, what the server used, and each second.
func (f *benchFlags) measure(ctx context.Context, out io.Writer, crowd *load.Crowd, server *load.Process) ([]load.Figures, *load.Usage, []second, error) {
	ctx, cancel := context.WithTimeout(ctx, f.duration)
	defer cancel()
	start := time.Now()
	began := crowd.Mark()
	all, last, usage, lately := began, began, server.Meter(), server.Meter()
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
			now := second{time.Since(start), figures, lately()}
			lately = server.Meter()
			seconds = append(seconds, now)
			if f.asJSON {
				continue
			}
			if err := now.write(out); err != nil {
				return nil, nil, nil, err
			}
		}
	}
}

// write tells of a second, a line for each kind of viewer and one for the server.
func (s second) write(w io.Writer) error {
	var text strings.Builder
	for _, g := range s.kinds {
		fmt.Fprintf(&text, "%4.0fs %-11s %5d of %5d  ", s.at.Seconds(), g.Kind, g.Viewers, g.Wanted)
		if g.FPS == 0 {
			fmt.Fprintf(&text, "no pictures%s\n", notLive(g))
			continue
		}
		fmt.Fprintf(&text, "%5.1f fps  %7.1f Mbit/s  latency p50 %6.1f p99 %6.1f ms  gap p99 %5.0f ms  not sent %d  %s\n",
			g.FPSMedian, g.BitrateBps/1e6, g.Age.P50, g.Age.P99, g.Gap.P99, g.Dropped, rungs(g))
	}
	if s.server != nil {
		fmt.Fprintf(&text, "%4.0fs %s\n", s.at.Seconds(), usageText(*s.server))
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// benchReport tells of the whole time.
func benchReport(w io.Writer, figures []load.Figures, server *load.Usage) error {
	var text strings.Builder
	for _, g := range figures {
		fmt.Fprintf(&text, "\n%s: %d of %d viewers, %.0f s\n", g.Kind, g.Viewers, g.Wanted, g.Seconds)
		if g.FPS > 0 {
			fmt.Fprintf(&text, "  pictures a second of a viewer: median %.1f, least %.1f\n"+
				"  capture to last byte:    p50 %.1f, p95 %.1f, p99 %.1f, max %.1f ms\n  picture to picture:      p50 %.1f, p95 %.1f, p99 %.1f, max %.1f ms\n",
				g.FPSMedian, g.FPSLeast, g.Age.P50, g.Age.P95, g.Age.P99, g.Age.Max, g.Gap.P50, g.Gap.P95, g.Gap.P99, g.Gap.Max)
		} else {
			fmt.Fprintf(&text, "  no pictures%s\n", notLive(g))
		}
		if g.First.Max > 0 {
			fmt.Fprintf(&text, "  dialling to 1st picture: p50 %.1f, p95 %.1f, p99 %.1f, max %.1f ms\n", g.First.P50, g.First.P95, g.First.P99, g.First.Max)
		}
		fmt.Fprintf(&text, "  viewers by rendition: %s; not sent: %d; undecodable: %d\n", cmp.Or(rungs(g), "none"), g.Dropped, g.Undecodable)
		for _, why := range slices.Sorted(maps.Keys(g.Failures)) {
			fmt.Fprintf(&text, "  failed %d times: %s\n", g.Failures[why], why)
		}
	}
	if server != nil {
		fmt.Fprintf(&text, "\n%s\n", usageText(*server))
	}
	_, err := io.WriteString(w, text.String())
	return err
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
