// Command networks measures what viewers behind bad networks get: both programs as they are, the kernel's own TCP, a
// server, a router and viewers in a network namespace each. The router shapes (tc tbf) and drops (iptables), and this
// process delays packets between server and router. It needs root. SIGHTLINE_BIN names the folder of the programs
// (default: bin), QUICK=1 runs the shortest cases only. It waits for every process and takes every namespace away.
//
// Times are from capture to the last byte at the headless viewer, which decodes and paints nothing; of Chromium they are
// from capture to when the page shows it, by the time in the picture itself. The last line is JSON: cases, each with its
// figures, their limits (most, least) and whether they hold, and undecodable, the pictures that arrived without their reference. Those make the exit
// code 2; figures depend on the machine and do not.
package main

import (
	"bufio"
	"bytes"
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
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"sightline/internal/watch"
	"sightline/test/figures"
	"sightline/test/site"
)

const (
	roundTrip  = 40 * time.Millisecond
	bottleneck = 128 << 10
	startLimit = time.Minute
)

type bench struct {
	net   *network
	dir   string
	token string
	out   io.Writer
	trace bool

	series bool   // cases are told over time too
	video  string // folder for what slow viewers got; empty: none
	name   string // of the case
	told   *figures.Series
}

func main() {
	only := flag.String("only", "", "run the cases whose name contains one of these, with commas between")
	series := flag.Bool("series", false, "put what the slow viewer and its link did over time into the JSON")
	video := flag.String("video", "", "folder to put the H.264 that slow viewers got into, a file for each case")
	trace := flag.Bool("trace", false, "print what each viewer saw, four times a second")
	flag.Parse()
	signal.Ignore(syscall.SIGPIPE) // a reader that leaves is an error like others: what was made is taken away
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	undecodable, err := measure(ctx, *only, &bench{out: os.Stdout, trace: *trace, series: *series, video: *video})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "networks:", err)
		os.Exit(1)
	}
	if undecodable > 0 {
		os.Exit(2)
	}
}

func measure(ctx context.Context, only string, b *bench) (undecodable int, err error) {
	if os.Geteuid() != 0 {
		return 0, errors.New("this needs root: network namespaces, traffic shaping and TUN devices are made; run it as root on Linux")
	}
	dir, err := os.MkdirTemp("", "sightline-networks-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	n, err := newNetwork(ctx, roundTrip)
	defer func() { err = errors.Join(err, n.Close()) }()
	if err != nil {
		return 0, err
	}
	b.net, b.dir = n, dir
	return b.all(ctx, only, os.Getenv("QUICK") != "")
}

func program(name string) string {
	path, err := filepath.Abs(filepath.Join(site.Programs(), name))
	if err != nil {
		return name
	}
	return path
}

// The streams: test is what the table's figures are for, small what 20 viewers and their server on one machine can carry.
const streams = `streams:
  test:
    source: "test:?size=1280x720&fps=30"
  small:
    source: "test:?size=640x368&fps=30"
`

// serve starts the server in its namespace, from the given program, and waits until it listens.
func (b *bench) serve(ctx context.Context, binary string) (*process, error) {
	config := filepath.Join(b.dir, "sightline.yaml")
	if err := os.WriteFile(config, []byte(streams), 0o600); err != nil {
		return nil, err
	}
	ready := func(line string) bool { return strings.HasPrefix(line, "https://") }
	server, err := b.start(ctx, "server", ready, binary, "serve", "--config", config, "--listen", serverIP+":8443",
		"--data-dir", b.dir, "--log-level", logLevel(b.trace))
	if err != nil || b.token != "" {
		return server, err
	}
	out, err := exec.CommandContext(ctx, program("sightline"), "token", "--stream", "*", "--action", "view",
		"--sub", "bench", "--ttl", "1h", "--data-dir", b.dir).Output()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a token: %w", err), server.stop())
	}
	b.token = strings.TrimSpace(string(out))
	return server, nil
}

// process is a program that runs in a namespace.
type process struct {
	name     string
	cmd      *exec.Cmd
	problems bytes.Buffer // what it says on standard error
}

// start starts a program in a namespace and waits until it has printed a line that says that it is ready.
func (b *bench) start(ctx context.Context, namespace string, ready func(line string) bool, args ...string) (*process, error) {
	p := &process{name: filepath.Base(args[0])}
	p.cmd = exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", b.net.ns(namespace)}, args...)...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = startLimit
	p.cmd.Stderr = &p.problems
	if b.trace {
		p.cmd.Stderr = os.Stderr
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	late := time.AfterFunc(startLimit, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if ready(lines.Text()) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s ended before it was ready (%w): %s", p.name, p.cmd.Wait(), p.problems.String())
}

// wait waits for its end, which must be a good one.
func (p *process) wait() error {
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s ended: %w: %s", p.name, err, p.problems.String())
	}
	return nil
}

// stop asks it to end.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return p.wait()
}

func logLevel(trace bool) string {
	if trace {
		return "debug"
	}
	return "error"
}

// seen is what one viewer saw.
type seen struct {
	pictures    []watch.Picture
	undecodable int
}

// door is where a viewer comes in: straight to the server, or through a proxy.
type door struct{ origin, ca string }

// watch watches a stream from a viewer's namespace for so long, with more arguments for the viewer.
func (b *bench) watch(ctx context.Context, at door, stream, from, name string, d time.Duration, more ...string) (seen, error) {
	file := filepath.Join(b.dir, name+".jsonl")
	args := []string{
		"netns", "exec", b.net.ns(from), program("sightline"), "watch", at.origin + "/watch/" + stream,
		"--ca", at.ca, "--json", "--duration", d.String(), "--pictures", file,
	}
	cmd := exec.CommandContext(ctx, "ip", append(args, more...)...)
	cmd.Env = append(os.Environ(), "SIGHTLINE_TOKEN="+b.token)
	cmd.WaitDelay = time.Second
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return seen{}, fmt.Errorf("viewer %s: %w: %s", name, err, problems.String())
	}
	var s seen
	for line := range bytes.Lines(out) {
		var st watch.Stats
		if err := json.Unmarshal(line, &st); err != nil {
			return seen{}, fmt.Errorf("viewer %s: %w in %q", name, err, line)
		}
		s.undecodable += st.Undecodable
	}
	s.pictures, err = readLines[watch.Picture](file)
	return s, err
}

// step is something that is done to the network after so long.
type step struct {
	after time.Duration
	do    func(context.Context) error
}

// play does the steps at their times after start.
func play(ctx context.Context, start time.Time, steps []step) error {
	for _, s := range steps {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(start.Add(s.after))):
		}
		if err := s.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// one watches from the slow viewer's place while steps are played. The pictures' times count from its start.
func (b *bench) one(ctx context.Context, at door, d time.Duration, steps []step, more ...string) (run, error) {
	if b.video != "" {
		more = append(more, "--out", filepath.Join(b.video, figures.FileName(b.name)+".h264"))
	}
	var s seen
	var link []sample
	start, err := b.beside(ctx, steps, func(ctx context.Context) (err error) {
		stop := b.sampling(ctx, time.Now())
		defer func() { link = stop() }()
		s, err = b.watch(ctx, at, "test", slow, "slow", d, more...)
		return err
	})
	r := newRun(start, s)
	b.told = r.over(link)
	if b.trace {
		r.print(b.out)
	}
	return r, err
}

// beside does view while steps are played on a network that is good before them. The first steps are done before it.
func (b *bench) beside(ctx context.Context, steps []step, view func(context.Context) error) (start time.Time, err error) {
	if err := b.net.reset(ctx); err != nil {
		return start, err
	}
	start = time.Now()
	for len(steps) > 0 && steps[0].after == 0 {
		if err := steps[0].do(ctx); err != nil {
			return start, err
		}
		steps = steps[1:]
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return play(groupCtx, start, steps) })
	group.Go(func() error { return view(groupCtx) })
	return start, group.Wait()
}
