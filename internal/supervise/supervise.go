// Package supervise owns capture children: it starts one process per camera, gives it a socket to publish on, sends its
// standard error to the log, starts it again when it ends and kills it when it must. It knows no frames: what comes over
// the socket is somebody else's. Run owns its goroutines.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"time"
)

// Options describe one child.
type Options struct {
	// Program is the path of the capture program, Args its arguments. The child finds its publish socket as file
	// descriptor 3. Lines of its standard error that are JSON as log/slog writes it keep their level and attributes.
	Program string
	Args    []string
	// Env is the child's whole environment: the source's URL travels here, where `ps` does not show it.
	Env []string
	// Serve speaks with the child over conn until the conversation ends, and closes conn.
	Serve func(ctx context.Context, conn net.Conn) error
	// Restarting is called each time the child ended without being asked to, with the reason, which may hold words of the
	// child's: a *GaveUpError where it said why. Nil for nobody.
	Restarting func(why error)
	// Redact removes secrets from a text that the child wrote to its standard error. Nil removes nothing.
	Redact func(string) string
}

// GaveUpError tells that a child ended by itself and said why, as programs do: in a line of its standard error that begins with its name.
type GaveUpError struct {
	// Words are the child's own, redacted, without its name and without a full stop.
	Words string
	// Err is how it ended.
	Err error
}

func (e *GaveUpError) Error() string { return e.Words }

func (e *GaveUpError) Unwrap() error { return e.Err }

const (
	backoffMin = 50 * time.Millisecond
	backoffMax = 2 * time.Second
	// steadyAfter is how long a child must have run for the back-off to start anew.
	steadyAfter = 5 * time.Second
	// killAfter is how long a child may take to end when asked.
	killAfter = 2 * time.Second
)

// Run keeps the child running until ctx is done, and returns ctx's error after it ended. A program that cannot be started
// at all is tried again for ever, since it may be under repair; each failure is logged.
func Run(ctx context.Context, o Options, log *slog.Logger) error {
	delay := backoffMin
	for {
		started := time.Now()
		err := runOnce(ctx, o, log)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(started) >= steadyAfter {
			delay = backoffMin
		}
		log.Warn("capture process ended, starting it again",
			"error", err, "after", time.Since(started).Round(time.Millisecond), "delay", delay)
		if o.Restarting != nil {
			o.Restarting(err)
		}
		timer := time.NewTimer(jitter(delay))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		delay = min(delay*2, backoffMax)
	}
}

// jitter spreads d by a fifth either way, so that children that died together do not come back together.
func jitter(d time.Duration) time.Duration { return d*4/5 + rand.N(d*2/5+1) }

func runOnce(ctx context.Context, o Options, log *slog.Logger) error {
	ours, theirs, err := socketPair()
	if err != nil {
		return fmt.Errorf("make a socket for the capture process: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.Program, o.Args...)
	cmd.Env = o.Env
	cmd.ExtraFiles = append(cmd.ExtraFiles, theirs)
	cmd.Cancel = func() error { return terminate(cmd.Process) }
	cmd.WaitDelay = killAfter
	isolate(cmd)
	stderr := &lineLogger{redact: o.Redact, log: log, name: filepath.Base(o.Program) + ": "}
	cmd.Stderr = stderr
	err = cmd.Start()
	closeErr := theirs.Close() // the child has its own now
	if err != nil {
		return errors.Join(fmt.Errorf("start the capture process: %w", err), ours.Close())
	}
	if closeErr != nil {
		log.Warn("close the child's end of its socket", "error", closeErr)
	}
	log.Info("capture process started", "pid", cmd.Process.Pid)
	served := make(chan error, 1)
	go func() {
		served <- o.Serve(ctx, ours)
		cancel() // a child that lost its socket has nothing left to do
	}()
	waitErr := cmd.Wait() // at most killAfter longer than the child, should something else hold its standard error
	stderr.flush()
	cancel()
	serveErr := <-served
	var exit *exec.ExitError
	switch {
	case waitErr == nil:
		return serveErr
	case stderr.words != "" && errors.As(waitErr, &exit) && exit.Exited():
		return &GaveUpError{Words: stderr.words, Err: fmt.Errorf("capture process: %w", waitErr)}
	case serveErr == nil:
		return fmt.Errorf("capture process: %w", waitErr)
	}
	return fmt.Errorf("capture process: %w (%w)", waitErr, serveErr)
}
