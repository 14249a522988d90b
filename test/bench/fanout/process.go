//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// role is a child process of this program that does one thing.
type role struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
	said  string // behind "ready"
}

// start runs this program in another role and waits until it says that it is ready.
func start(ctx context.Context, args ...string) (*role, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := &role{cmd: cmd, in: in, lines: bufio.NewScanner(out)}
	if r.said, err = r.expect("ready"); err != nil {
		return nil, errors.Join(err, r.end())
	}
	return r, nil
}

func (r *role) expect(word string) (rest string, err error) {
	if !r.lines.Scan() {
		return "", fmt.Errorf("%s ended", strings.Join(r.cmd.Args[1:], " "))
	}
	rest, ok := strings.CutPrefix(r.lines.Text(), word)
	if !ok {
		return "", fmt.Errorf("%s said %q, want %q", strings.Join(r.cmd.Args[1:], " "), r.lines.Text(), word)
	}
	return strings.TrimSpace(rest), nil
}

// turn switches it on or off.
func (r *role) turn(word string) error {
	if _, err := fmt.Fprintln(r.in, word); err != nil {
		return err
	}
	_, err := r.expect(word)
	return err
}

func (r *role) end() error {
	_ = r.in.Close() // it ends with its input
	return r.cmd.Wait()
}

// cpu is the processor time that a process has used, in its own code and in the kernel (clock_getcpuclockid(3)).
func cpu(pid int) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// ownCPU is the processor time that this process has used.
func ownCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		return 0 // no system refuses it
	}
	return time.Duration(t.Nano())
}

// resident is how much memory a process holds, in bytes.
func resident(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(rest)), "kB")))
			return float64(kb) * 1024, err
		}
	}
	return 0, fmt.Errorf("process %d does not tell its memory", pid)
}

// share gives a process that has a session of its own the same share of the processors as this one has (sched(7), autogroup),
// where the kernel knows such and this process may.
func share(pid int) {
	own, err := os.ReadFile("/proc/self/autogroup")
	if err != nil {
		return
	}
	if _, nice, ok := bytes.Cut(own, []byte(" nice ")); ok {
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), bytes.TrimSpace(nice), 0)
	}
}
