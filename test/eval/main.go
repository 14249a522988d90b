//go:build unix

// Command eval measures what Sightline promises and writes a report of it: docs/evaluation/report.md, a page report.html that loads nothing, and in
// data and plots what both are made of. Each chapter runs the programs that measure its part (test/bench, test/networks, test/attack, sightline bench);
// this one keeps what they found, puts it beside the claim it answers and the limit that physics or the machine sets, and draws it.
//
// A chapter that fails says so in the report and makes the exit code 1 at the end. -only measures some chapters anew and leaves the others as they are; the report is
// written from all that stand in data, each with its own machine and date; -only none writes it from those alone. It waits for every process it starts.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"sightline/test/site"
)

// chapter is one part of the report.
type chapter struct {
	name, title string
	// measure gives what was found, which is kept as JSON.
	measure func(context.Context, *lab) (any, error)
	// tell makes the chapter's text, tables and plots of what measure found.
	tell func(json.RawMessage) (*section, error)
}

func chapters() []chapter {
	return []chapter{
		{"latency", "Latency from capture to paint", measureLatency, tellLatency},
		{"viewers", "Pictures a second against viewers", measureViewers, tellViewers},
		{"quality", "Quality of the pictures", measureQuality, tellQuality},
		{"networks", "Bad networks", measureNetworks, tellNetworks},
		{"access", "Access control", measureAccess, tellAccess},
		{"faults", "Faults", measureFaults, tellFaults},
	}
}

// lab is what a chapter measures with.
type lab struct {
	quick bool
	seed  uint64
	plots string // the folder of the report's plots
}

// record is one chapter as it is kept.
type record struct {
	Chapter  string            `json:"chapter"`
	Began    time.Time         `json:"began"`
	Seconds  float64           `json:"seconds"`
	Quick    bool              `json:"quick"`
	Seed     uint64            `json:"seed"`
	Load     string            `json:"load"` // before it began
	Machine  map[string]string `json:"machine"`
	Versions map[string]string `json:"versions"`
	Failure  string            `json:"failure,omitempty"`
	Result   json.RawMessage   `json:"result"`
}

func main() {
	var names []string
	for _, c := range chapters() {
		names = append(names, c.name)
	}
	quick := flag.Bool("quick", false, "measure less of everything, in three minutes")
	only := flag.String("only", strings.Join(names, ","), "measure these chapters, with commas between; none: write the report alone")
	dir := flag.String("out", "", "folder of the report (default docs/evaluation, with -quick bin/evaluation)")
	seed := flag.Uint64("seed", 1, "decides what is drawn by chance")
	flag.Parse()
	if *dir == "" {
		*dir = "docs/evaluation"
		if *quick {
			*dir = "bin/evaluation"
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *dir, strings.Split(*only, ","), &lab{quick: *quick, seed: *seed, plots: filepath.Join(*dir, "plots")})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "eval:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, only []string, l *lab) error {
	all := chapters()
	for _, name := range only {
		if name != "none" && !slices.ContainsFunc(all, func(c chapter) bool { return c.name == name }) {
			return fmt.Errorf("-only %s: there is no such chapter", name)
		}
	}
	data := filepath.Join(dir, "data")
	if err := errors.Join(os.MkdirAll(data, 0o755), os.MkdirAll(l.plots, 0o755)); err != nil {
		return err
	}
	machine, versions := machine(), versions(ctx)
	var failed []string
	for _, c := range all {
		if !slices.Contains(only, c.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "eval: %s\n", c.name)
		r := record{
			Chapter: c.name, Began: time.Now().UTC().Truncate(time.Second), Quick: l.quick, Seed: l.seed, Load: load1(), Machine: machine, Versions: versions,
		}
		found, err := c.measure(ctx, l)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.Seconds = time.Since(r.Began).Round(time.Second).Seconds()
		if err != nil {
			failed = append(failed, c.name)
			r.Failure = err.Error()
			fmt.Fprintf(os.Stderr, "eval: %s FAILED: %v\n", c.name, err)
		}
		if r.Result, err = json.Marshal(found); err != nil {
			return fmt.Errorf("keep %s: %w", c.name, err)
		}
		if err := writeJSON(filepath.Join(data, c.name+".json"), r); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "eval: %s took %.0f s\n", c.name, r.Seconds)
	}
	broken, err := report(dir, all)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "eval: see %s\n", filepath.Join(dir, "report.html"))
	for _, name := range broken {
		if !slices.Contains(failed, name) {
			failed = append(failed, name)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("these chapters failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

func writeJSON(file string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// last runs a program that ends with a line of JSON, which goes into result; nil: of no program that does. What the program says besides goes to standard error. A program that
// says that something did not hold may still have told its figures: then both result and the error are there.
func last(ctx context.Context, result any, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	text := bytes.TrimSpace(out)
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.Join(args[:min(len(args), 3)], " "), err)
	}
	if result == nil {
		return err
	}
	if parse := json.Unmarshal(text[bytes.LastIndexByte(text, '\n')+1:], result); parse != nil {
		return errors.Join(err, fmt.Errorf("%s: its last line is no JSON: %w", args[0], parse))
	}
	return err
}

// script runs one of the scripts in this folder, the quick way if l asks for it, as last runs a program. failures, a part of result, are an error.
func script(ctx context.Context, l *lab, name string, result any, failures *[]string) error {
	args := []string{"node", filepath.Join("test", "eval", name)}
	if l.quick {
		args = append(args, "--quick")
	}
	err := last(ctx, result, nil, args...)
	if len(*failures) > 0 {
		err = errors.Join(err, errors.New(strings.Join(*failures, "; ")))
	}
	return err
}

// machine is what was measured on.
func machine() map[string]string {
	m := map[string]string{"processors": fmt.Sprint(runtime.NumCPU()), "system": runtime.GOOS + "/" + runtime.GOARCH}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m["processor"] = strings.TrimSpace(value)
			}
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m["kernel"] = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kb int
		if _, err := fmt.Sscanf(string(b), "MemTotal: %d kB", &kb); err == nil {
			m["memory"] = fmt.Sprintf("%.1f GiB", float64(kb)/(1<<20))
		}
	}
	return m
}

// load1 is how many programs wanted a processor over the last minute.
func load1() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	over1, _, _ := strings.Cut(string(b), " ")
	return over1
}

// versions are those of what was measured and of what measured.
func versions(ctx context.Context) map[string]string {
	first := func(args ...string) string {
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
		if err != nil {
			return "not found"
		}
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return line
	}
	env := func(name, other string) string {
		if v := os.Getenv(name); v != "" {
			return v
		}
		return other
	}
	ffmpeg, _, _ := strings.Cut(strings.TrimPrefix(first("ffmpeg", "-version"), "ffmpeg version "), " ")
	commit := first("git", "rev-parse", "--short=12", "HEAD")
	if out, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs").Output(); err == nil && len(out) > 0 {
		commit += " with changes"
	}
	return map[string]string{
		"commit": commit, "Sightline": first(filepath.Join(site.Programs(), "sightline"), "version"), "Go": runtime.Version(), "FFmpeg": ffmpeg,
		"Chromium": strings.TrimPrefix(first(env("CHROMIUM", "chromium"), "--version"), "Chromium "), "Firefox": strings.TrimPrefix(first(env("FIREFOX", "firefox-esr"), "--version"), "Mozilla Firefox "),
		"Node": first("node", "--version"),
	}
}
