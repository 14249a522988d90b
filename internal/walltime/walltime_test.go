package walltime

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// system is a clock whose wall can be set while its monotonic reading goes on, as the kernel's are.
type system struct {
	base   time.Time
	passed time.Duration // monotonic
}

func (s *system) now() time.Time { return s.base.Add(s.passed) }

var quiet = slog.New(slog.DiscardHandler) //nolint:gochecknoglobals // has no state

func mustOpen(t *testing.T, dir string, now func() time.Time) *Clock {
	t.Helper()
	c, err := Open(dir, now, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClock_IsTheSystemsWhileThatGoesOn(t *testing.T) {
	s := &system{base: time.Now()}
	c := mustOpen(t, t.TempDir(), s.now)
	for range 5 {
		s.passed += time.Second
		if got := c.Now(); !got.Equal(s.now()) || c.Behind() != 0 {
			t.Errorf("%s, want %s", got, s.now())
		}
	}
	s.passed += 48 * time.Hour
	if got := c.Now(); !got.Equal(s.now()) {
		t.Errorf("set forward: %s, want %s", got, s.now())
	}
}

// A wall set back has no monotonic reading in tests: the time stands, and never goes back.
func TestClock_NeverGoesBack(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := mustOpen(t, t.TempDir(), func() time.Time { return now })
	first := c.Now()
	for _, step := range []time.Duration{-time.Second, -time.Hour, -1000 * time.Hour, 10 * time.Minute} {
		now = first.Add(step)
		if got := c.Now(); got.Before(first) {
			t.Errorf("by %s: %s, before %s", step, got, first)
		}
	}
	now = first.Add(-time.Hour)
	if b := c.Behind(); b < time.Hour {
		t.Errorf("behind by %s", b)
	}
}

func TestClock_SurvivesARestartWithTheClockSetBack(t *testing.T) {
	dir := t.TempDir()
	s := &system{base: time.Now()}
	c := mustOpen(t, dir, s.now)
	s.passed = time.Minute
	latest := c.Now()
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	back := &system{base: s.base.Add(-time.Hour)}
	again := mustOpen(t, dir, back.now)
	if got := again.Now(); !got.Equal(latest) {
		t.Errorf("%s after the restart, want %s", got, latest)
	}
	back.passed = 5 * time.Second // time goes on by the monotonic clock
	if got := again.Now(); !got.Equal(latest.Add(5 * time.Second)) {
		t.Errorf("%s five seconds later, want %s", got, latest.Add(5*time.Second))
	}
	if b := again.Behind(); b != time.Hour+time.Minute {
		t.Errorf("behind by %s", b)
	}
}

func TestRun_WritesAndTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		future := time.Now().Add(time.Hour)
		if err := os.WriteFile(filepath.Join(dir, file), format(future), 0o600); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		c, err := Open(dir, time.Now, slog.New(slog.NewTextHandler(&said, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		time.Sleep(10*time.Second + 1) // of the bubble
		synctest.Wait()
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if at, err := parse(data); err != nil || at.Sub(future) < 8*time.Second {
			t.Errorf("on disk %s, %v: want what has passed too", at.Sub(future), err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if n := strings.Count(said.String(), "set back"); n != 1 {
			t.Errorf("told %d times: %s", n, said.String())
		}
	})
}

func TestSave_FaultOfTheDisk(t *testing.T) {
	now := time.Now()
	c := mustOpen(t, t.TempDir(), func() time.Time { return now })
	fault := errors.New("no space left")
	sound := c.replace
	c.replace = func(string, string, []byte) error { return fault }
	now = now.Add(time.Minute)
	if err := c.Save(); !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
	c.replace = sound
	if err := c.Save(); err != nil || !c.onDisk.Equal(now.Round(0)) {
		t.Errorf("once the disk is well: %v, %s", err, c.onDisk)
	}
}

func TestOpen_RefusesADamagedFile(t *testing.T) {
	for _, content := range []string{"", "canary", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z\n\n", "2026-01-02T03:04:05+01:00\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, time.Now, quiet); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("2026-01-02T03:04:05.000000006Z\n"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if at, err := parse(data); err == nil && !bytes.Equal(format(at), data) {
			t.Errorf("%q reads as %s", data, at)
		}
	})
}
