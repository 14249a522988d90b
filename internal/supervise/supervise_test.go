//go:build unix

package supervise_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sightline/internal/supervise"
)

// secretName is what a child says and nobody is to read.
const secretName = "hunter2"

// childMode in the environment makes this test's program the child.
const childMode = "SUPERVISE_TEST_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		os.Exit(child(mode))
	}
	goleak.VerifyTestMain(m)
}

func child(mode string) int {
	socket := os.NewFile(3, "publish")
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(socket, format+"\n", args...) }
	switch mode {
	case "fail":
		fmt.Fprintln(os.Stderr, "the camera is on fire")
		return 3
	case "give up":
		fmt.Fprintf(os.Stderr, "%s: there is no %s:/%s\n", filepath.Base(os.Args[0]), secretName, "camera")
		return 2
	case "cry": // and then crash
		fmt.Fprintf(os.Stderr, "%s: words\n", filepath.Base(os.Args[0]))
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "stay": // until the socket closes
		say("%d", os.Getpid())
		_, _ = io.Copy(io.Discard, socket)
		return 0
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		say("%d", os.Getpid())
		select {}
	case "environment":
		say("%q %q", os.Environ(), os.Args[1:])
		_, _ = io.Copy(io.Discard, socket)
		return 0
	case "orphan": // leaves a process behind that holds its standard error
		cmd := exec.Command("/bin/sleep", "60")
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return 1
		}
		say("%d", cmd.Process.Pid)
		return 4
	}
	return 99
}

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// kept is a child that Run keeps running.
type kept struct {
	t          *testing.T
	said       chan string    // first lines of children on their socket
	restarting chan time.Time // when Restarting was called
	cancel     context.CancelFunc
	ran        chan error
	log        lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func keep(t *testing.T, mode string, change func(*supervise.Options)) *kept {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	k := &kept{t: t, said: make(chan string, 100), restarting: make(chan time.Time, 100), ran: make(chan error, 1)}
	o := supervise.Options{
		Program: self, Env: []string{childMode + "=" + mode},
		Serve: func(ctx context.Context, conn net.Conn) error {
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			defer func() { _ = conn.Close() }()
			r := bufio.NewReader(conn)
			if line, err := r.ReadString('\n'); err == nil {
				k.said <- strings.TrimSpace(line)
			}
			_, _ = io.Copy(io.Discard, r)
			return errors.New("the conversation is over")
		},
		Restarting: func(why error) {
			if why == nil {
				t.Error("it is not said why")
			}
			k.restarting <- time.Now()
		},
	}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	k.cancel = cancel
	go func() { k.ran <- supervise.Run(ctx, o, slog.New(slog.NewTextHandler(&k.log, nil))) }()
	t.Cleanup(cancel)
	return k
}

// end stops the child and gives how long that took.
func (k *kept) end() time.Duration {
	k.t.Helper()
	begin := time.Now()
	k.cancel()
	if err := get(k.t, "the end of Run", k.ran); !errors.Is(err, context.Canceled) {
		k.t.Errorf("Run: %v", err)
	}
	return time.Since(begin)
}

func get[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waiting for %s", what)
		panic("unreachable")
	}
}

// alive tells whether the process whose id is in text lives.
func alive(t *testing.T, text string) bool {
	t.Helper()
	var pid int
	if _, err := fmt.Sscan(text, &pid); err != nil || pid <= 1 {
		t.Fatalf("no process: %q", text)
	}
	return syscall.Kill(pid, 0) == nil
}

func TestRun_FailingChildIsStartedAgainLaterAndLater(t *testing.T) {
	k := keep(t, "fail", nil)
	last := get(t, "a restart", k.restarting)
	for _, delay := range []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond} {
		at := get(t, "a restart", k.restarting)
		if gap := at.Sub(last); gap < delay*4/5 {
			t.Errorf("%s between two starts, want at least %s", gap, delay*4/5)
		}
		last = at
	}
	k.end()
	for _, want := range []string{"level=WARN", "exit status 3", "the conversation is over", `line="the camera is on fire"`} {
		if !strings.Contains(k.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, k.log.String())
		}
	}
}

// why gives the reason with which a child of a mode is started again first.
func why(t *testing.T, mode string) error {
	t.Helper()
	reasons := make(chan error, 100)
	k := keep(t, mode, func(o *supervise.Options) {
		o.Restarting = func(why error) { reasons <- why }
		o.Redact = func(s string) string { return strings.ReplaceAll(s, secretName, "***") }
	})
	defer k.end()
	return get(t, "a restart", reasons)
}

func TestRun_WhyAChildGaveUpIsSaidInItsOwnWords(t *testing.T) {
	var gaveUp *supervise.GaveUpError
	if err := why(t, "give up"); !errors.As(err, &gaveUp) || gaveUp.Words != "there is no ***:/camera" || !strings.Contains(gaveUp.Err.Error(), "exit status 2") {
		t.Errorf("got %v, with the words %+v", err, gaveUp)
	}
	for _, mode := range []string{"fail", "cry"} { // words of a program that does not say its name, and of one that was killed, are not why
		if err := why(t, mode); errors.As(err, &gaveUp) {
			t.Errorf("%s: got %v", mode, err)
		}
	}
}

func TestRun_ProgramThatDoesNotExist(t *testing.T) {
	k := keep(t, "", func(o *supervise.Options) { o.Program = "/nonexistent/sightline-capture" })
	get(t, "a try", k.restarting)
	get(t, "another", k.restarting)
	k.end()
	if !strings.Contains(k.log.String(), "/nonexistent/sightline-capture: no such file") {
		t.Errorf("the log does not say what is missing:\n%s", k.log.String())
	}
}

func TestRun_StopsTheChild(t *testing.T) {
	k := keep(t, "stay", nil)
	pid := get(t, "the child", k.said)
	if !alive(t, pid) {
		t.Fatal("the child does not run")
	}
	if took := k.end(); took > 2*time.Second {
		t.Errorf("a child that obeys took %s", took)
	}
	if alive(t, pid) {
		t.Error("the child outlives Run")
	}
	if n := len(k.restarting); n != 0 {
		t.Errorf("a child that was asked to end is told as restarting %d times", n)
	}
}

func TestRun_KillsAChildThatIgnoresSIGTERM(t *testing.T) {
	k := keep(t, "stubborn", nil)
	pid := get(t, "the child", k.said)
	if took := k.end(); took < 1500*time.Millisecond || took > 5*time.Second {
		t.Errorf("killed after %s, want 2 s of grace", took)
	}
	if alive(t, pid) {
		t.Error("the child outlives Run")
	}
}

func TestRun_KilledChildIsReplaced(t *testing.T) {
	k := keep(t, "stay", nil)
	first := get(t, "the child", k.said)
	var pid int
	if _, err := fmt.Sscan(first, &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if next := get(t, "another child", k.said); next == first {
		t.Error("the same child again")
	}
	k.end()
}

func TestRun_ChildWithoutASocketEnds(t *testing.T) {
	k := keep(t, "stubborn", func(o *supervise.Options) {
		serve := o.Serve
		once := false
		o.Serve = func(ctx context.Context, conn net.Conn) error {
			if once {
				return serve(ctx, conn)
			}
			once = true
			return errors.Join(errors.New("malformed nonsense"), conn.Close())
		}
	})
	get(t, "a restart", k.restarting)
	get(t, "another child", k.said)
	k.end()
	if !strings.Contains(k.log.String(), "malformed nonsense") {
		t.Errorf("the log does not say why:\n%s", k.log.String())
	}
}

func TestRun_GrandchildThatHoldsStandardError(t *testing.T) {
	k := keep(t, "orphan", nil)
	var pid int
	if _, err := fmt.Sscan(get(t, "the grandchild", k.said), &pid); err != nil {
		t.Fatal(err)
	}
	get(t, "a restart in spite of it", k.restarting)
	k.cancel()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("kill the grandchild: %v", err)
	}
	if err := get(t, "the end of Run", k.ran); !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	for len(k.said) > 0 { // another one may have been started meanwhile
		if _, err := fmt.Sscan(<-k.said, &pid); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func TestRun_ChildGetsItsEnvironmentAndNothingElse(t *testing.T) {
	t.Setenv("SIGHTLINE_CANARY", "of the server")
	k := keep(t, "environment", func(o *supervise.Options) {
		o.Env = append(o.Env, "SIGHTLINE_SOURCE=test:")
		o.Args = []string{"--publish", "fd:3"}
	})
	want := fmt.Sprintf("%q %q", []string{childMode + "=environment", "SIGHTLINE_SOURCE=test:"}, []string{"--publish", "fd:3"})
	if got := get(t, "the child", k.said); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	k.end()
}
