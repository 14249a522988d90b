//go:build cgo

package capture

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// xServer starts an X server without a screen of glass and gives the name of its display.
func xServer(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("Xvfb")
	if err != nil {
		t.Skip("Xvfb is not installed")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	cmd := exec.CommandContext(t.Context(), path, "-displayfd", "3", "-screen", "0", "640x480x24", "-nolisten", "tcp", "-br")
	cmd.ExtraFiles = []*os.File{w}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // it ends by our signal
	})
	if err := r.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return ":" + strings.TrimSpace(line)
}

func TestScreen_IsReadWhileWatched(t *testing.T) {
	name := xServer(t)
	feed := openSource(t, NewLibav(), "screen:"+name+"?fps=20")
	luma, info := nextLuma(t, feed)
	if luma > 3 || info.Width != 640 || info.Height != 480 || info.FrameRateMilli != 20_000 {
		t.Fatalf("luma %d of a black screen, %+v", luma, info)
	}
	began := time.Now()
	for range 20 {
		nextLuma(t, feed)
	}
	if d := time.Since(began); d < 600*time.Millisecond { // what was missed while it was opened comes at once
		t.Errorf("20 pictures at 20 a second took %v", d)
	}
	wanted := make(chan struct{})
	time.AfterFunc(500*time.Millisecond, func() { close(wanted) })
	if err := feed.Rest(t.Context(), wanted); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	for range 5 { // what was missed in the rest is not made up for
		nextLuma(t, feed)
	}
	if d := time.Since(began); d < 150*time.Millisecond {
		t.Errorf("5 pictures after a rest took %v, want 200 ms at least", d)
	}

	part := openSource(t, NewLibav(), "screen:"+name+"?size=320x240")
	if _, info := nextLuma(t, part); info.Width != 320 || info.Height != 240 {
		t.Errorf("%+v, want the part asked for", info)
	}
}

func TestScreen_BadOnesAreSentences(t *testing.T) {
	t.Setenv("DISPLAY", "")
	for address, want := range map[string]string{
		"screen:":            "or set DISPLAY",
		"screen:host:0":      "want one of this machine",
		"screen::0?size=big": "want width x height",
		"screen::0?fps=0":    "want frames a second",
		"screen::0?mouse=no": "unknown option",
	} {
		if _, err := ParseSource(address); !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	src, err := ParseSource("screen::65000")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewLibav().Open(t.Context(), src); err == nil || !strings.Contains(err.Error(), "the source screen::65000 cannot be read") {
		t.Error(err)
	}
}
