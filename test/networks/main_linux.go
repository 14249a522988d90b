// Command networks measures what viewers behind bad networks get: both programs as they are, the kernel's own TCP, a
// server, a router and viewers in a network namespace each. The router shapes (tc tbf) and drops (iptables), and this
// process delays packets between server and router. It needs root. SIGHTLINE_BIN names the folder of the programs
// (default: bin), QUICK=1 runs the shortest cases only. It waits for every process and takes every namespace away.
//
// Times are from capture to the last byte at the headless viewer, which decodes and paints nothing. The last line is
// JSON: cases, each with its figures and whether they hold, and undecodable, the pictures that arrived without their
// reference.
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
)

const (
	roundTrip  = 40 * time.Millisecond
	bottleneck = 128 << 10
	startLimit = 15 * time.Second
)

type bench struct {
	net   *network
	dir   string
	token string
	out   io.Writer
	trace bool
}

func main() {
	only := flag.String("only", "", "run the cases whose name contains this")
	trace := flag.Bool("trace", false, "print what each viewer saw, four times a second")
	flag.Parse()
	signal.Ignore(syscall.SIGPIPE) // a reader that leaves is an error like others: what was made is taken away
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	pass, err := measure(ctx, os.Stdout, *only, *trace)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "networks:", err)
		os.Exit(1)
	}
	if !pass {
		os.Exit(2)
	}
}

func measure(ctx context.Context, out io.Writer, only string, trace bool) (pass bool, err error) {
	if os.Geteuid() != 0 {
		return false, errors.New("this needs root: network namespaces, traffic shaping and TUN devices are made; run it as root on Linux")
	}
	dir, err := os.MkdirTemp("", "sightline-networks-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	n, err := newNetwork(ctx, roundTrip)
	defer func() { err = errors.Join(err, n.Close()) }()
	if err != nil {
		return false, err
	}
	b := &bench{net: n, dir: dir, out: out, trace: trace}
	stopServer, err := b.serve(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, stopServer()) }()
	return b.all(ctx, only, os.Getenv("QUICK") != "")
}

func program(name string) string {
	dir := os.Getenv("SIGHTLINE_BIN")
	if dir == "" {
		dir = "bin"
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return name
	}
	return path
}

// serve starts the server in its namespace and waits until it listens.
func (b *bench) serve(ctx context.Context) (stop func() error, err error) {
	config := filepath.Join(b.dir, "sightline.yaml")
	text := "streams:\n  test:\n    source: \"test:?size=1280x720&fps=30\"\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", b.net.ns("server"), program("sightline"), "serve",
		"--config", config, "--listen", serverIP+":8443", "--data-dir", b.dir, "--log-level", logLevel(b.trace))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = startLimit
	var problems bytes.Buffer
	cmd.Stderr = &problems
	if b.trace {
		cmd.Stderr = os.Stderr
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	stop = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		if err := cmd.Wait(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("the server ended: %w", err)
		}
		return nil
	}
	late := time.AfterFunc(startLimit, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "https://") {
			out, err := exec.CommandContext(ctx, program("sightline"), "token", "--stream", "test", "--action", "view",
				"--sub", "bench", "--ttl", "1h", "--data-dir", b.dir).Output()
			if err != nil {
				return nil, errors.Join(fmt.Errorf("make a token: %w", err), stop())
			}
			b.token = strings.TrimSpace(string(out))
			return stop, nil
		}
	}
	return nil, fmt.Errorf("the server ended before it was ready (%w): %s", cmd.Wait(), problems.String())
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

// watch watches from a viewer's namespace for so long.
func (b *bench) watch(ctx context.Context, from, name string, d time.Duration) (seen, error) {
	file := filepath.Join(b.dir, name+".jsonl")
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", b.net.ns(from), program("sightline"), "watch",
		"https://"+serverIP+":8443/watch/test", "--ca", filepath.Join(b.dir, "ca.pem"), "--json",
		"--duration", d.String(), "--pictures", file)
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
	text, err := os.ReadFile(file)
	if err != nil {
		return seen{}, err
	}
	for line := range bytes.Lines(text) {
		var p watch.Picture
		if err := json.Unmarshal(line, &p); err != nil {
			return seen{}, fmt.Errorf("viewer %s: %w in %q", name, err, line)
		}
		s.pictures = append(s.pictures, p)
	}
	return s, nil
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
func (b *bench) one(ctx context.Context, d time.Duration, steps []step) (run, error) {
	if err := b.net.reset(ctx); err != nil {
		return run{}, err
	}
	start := time.Now()
	for len(steps) > 0 && steps[0].after == 0 {
		if err := steps[0].do(ctx); err != nil {
			return run{}, err
		}
		steps = steps[1:]
	}
	var s seen
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return play(groupCtx, start, steps) })
	group.Go(func() (err error) {
		s, err = b.watch(groupCtx, slow, "slow", d)
		return err
	})
	err := group.Wait()
	r := newRun(start, s)
	if b.trace {
		r.print(b.out)
	}
	return r, err
}
