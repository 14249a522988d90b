//go:build cgo

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sightline/internal/media"
	"sightline/internal/sandbox"
	"sightline/internal/transport"
	"sightline/internal/transport/pipe"
	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

// envRunMain makes the test binary be the program.
const envRunMain = "SIGHTLINE_CAPTURE_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(envRunMain) != "" || sandbox.Inside() {
		main()
	}
	os.Exit(m.Run())
}

// unconfined stands for a sandbox in tests that run the program in their own process.
func unconfined(sandbox.Options) (sandbox.Report, error) { return sandbox.Report{}, nil }

func program(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), envRunMain+"=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	return cmd, &stderr
}

// exitCode waits for cmd, but not long.
func exitCode(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	select {
	case <-done:
		return cmd.ProcessState.ExitCode()
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		<-done
		t.Fatal("the program does not end")
		return -1
	}
}

func TestUsage(t *testing.T) {
	t.Setenv(envSource, "")
	t.Setenv(envToken, "")
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no source", []string{"--publish", "fd:3"}, exitUsage, "no source; give --source"},
		{"bad source", []string{"--source", "gopher:", "--publish", "fd:3"}, exitUsage, "unknown scheme"},
		{"no door", []string{"--source", "test:"}, exitUsage, "want wss://HOST/ws/publish/STREAM"},
		{"plain door", []string{"--source", "test:", "--publish", "ws://h/x"}, exitUsage, "want wss://"},
		{"secret in the door", []string{"--source", "test:", "--publish", "wss://u:hunter2@h/x"}, exitUsage, "no credentials in the address"},
		{"no token", []string{"--source", "test:", "--publish", "wss://h/x"}, exitUsage, "no usable publish token"},
		{"standard output as socket", []string{"--source", "test:", "--publish", "fd:1"}, exitUsage, "want fd:3 or higher"},
		{"nothing there", []string{"--source", "test:", "--publish", "fd:9999"}, exitUsage, "not a connected stream socket"},
		{"bad rendition", []string{"--source", "test:", "--publish", "fd:3", "--rendition", "name=x,codec=av1"}, exitUsage, "want h264, jpeg or source"},
		{"pipe and source on one input", []string{"--source", "-", "--publish", "fd:3"}, exitUsage, "cannot hold both"},
		{"bad level", []string{"--source", "test:", "--log-level", "loud"}, exitUsage, "want debug, info"},
		{"screen confined", []string{"--source", "screen::7", "--publish", "fd:3", "--sandbox", "require"}, exitUsage, "cannot be confined"},
		{"bad sandbox", []string{"--source", "test:", "--publish", "fd:3", "--sandbox", "maybe"}, exitUsage, "want auto, require or off"},
		{"unknown flag", []string{"--frobnicate"}, exitUsage, "unknown flag"},
		{"stray word", []string{"stray"}, exitUsage, "stray"},
		{"version", []string{"version"}, exitDone, "libavcodec "},
		{"encoders", []string{"--list-encoders"}, exitDone, "libx264\tavailable"},
		{"devices as JSON", []string{"--list-devices", "--json"}, exitDone, "["},
		{"help", []string{"--help"}, exitDone, "v4l2:/dev/video0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			code := run(t.Context(), tc.args, strings.NewReader("pipe:?format=mjpeg"), &out, &out, unconfined)
			if code != tc.code || !strings.Contains(out.String(), tc.want) || strings.Contains(out.String(), "hunter2") {
				t.Fatalf("code %d, want %d with %q:\n%s", code, tc.code, tc.want, &out)
			}
		})
	}
}

// socketPair gives two connected sockets: one for the program, as a file, and one for the test.
func socketPair(t *testing.T) (*os.File, net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours := os.NewFile(uintptr(fds[0]), "ours")
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	_ = ours.Close()
	return os.NewFile(uintptr(fds[1]), "theirs"), conn
}

// wantFirst answers a HELLO: it wants the first rendition there is now.
func wantFirst(t *testing.T, conn transport.Conn, b []byte) {
	t.Helper()
	var hello wire.PublisherHello
	if err := wire.ParseJSON(b, wire.TypeHello, &hello); err != nil {
		t.Fatal(err)
	}
	if err := conn.WriteMessage(wire.AppendJSON(nil, wire.TypeWant, wire.Want{Renditions: []wire.WantedRendition{{ID: hello.Renditions[0].ID}}})); err != nil {
		t.Fatal(err)
	}
}

// firstKey wants a publisher's first rendition and waits for a keyframe.
func firstKey(t *testing.T, conn transport.Conn) {
	t.Helper()
	epoch := media.NewEpoch()
	write := func(b []byte) {
		if err := conn.WriteMessage(b); err != nil {
			t.Fatal(err)
		}
	}
	for {
		b, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		switch wire.Type(b[0]) {
		case wire.TypeTimeReq:
			r, err := wire.ParseTimeReq(b)
			if err != nil {
				t.Fatal(err)
			}
			write(wire.AppendTimeResp(nil, wire.TimeResp{ID: r.ID, T1: r.T1, T2: epoch.Now(), T3: epoch.Now()}))
		case wire.TypeHello:
			wantFirst(t, conn, b)
		case wire.TypeMedia:
			if h, _, err := wire.ParseMedia(b); err != nil || !h.Key() {
				t.Fatalf("%+v, %v, want a keyframe", h, err)
			}
			return
		}
	}
}

func TestChild_PublishesAndEndsWithItsServer(t *testing.T) {
	theirs, ours := socketPair(t)
	cmd, stderr := program(t, "--publish", "fd:3")
	cmd.Env = append(cmd.Env, envSource+"=test:?size=320x180")
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	conn := pipe.New(ours, wire.MaxMessageLen)
	firstKey(t, conn)
	_ = conn.Close(transport.CodeNormal, "")
	if code := exitCode(t, cmd); code != exitDone {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
}

func TestChild_EndsOnSIGTERM(t *testing.T) {
	theirs, ours := socketPair(t)
	cmd, stderr := program(t, "--publish", "fd:3", "--source", "-")
	cmd.Stdin = strings.NewReader("test:?size=320x180\n")
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	conn := pipe.New(ours, wire.MaxMessageLen)
	defer func() { _ = conn.Close(transport.CodeNormal, "") }()
	firstKey(t, conn)
	go func() { // a server goes on reading
		for {
			if _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(t, cmd); code != exitDone {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
}

func TestChild_PipeIsPublishedAndEndsWithIt(t *testing.T) {
	theirs, ours := socketPair(t)
	cmd, stderr := program(t, "--publish", "fd:3", "--source", "pipe:?format=gray8&size=320x192&fps=30")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	enough := make(chan struct{})
	wrote := make(chan error, 1)
	go func() { // a program that never waits: were the input not read, it would hang
		picture := make([]byte, 320*192)
		for {
			select {
			case <-enough:
				wrote <- stdin.Close()
				return
			default:
			}
			if _, err := stdin.Write(picture); err != nil {
				wrote <- err
				return
			}
		}
	}()
	conn := pipe.New(ours, wire.MaxMessageLen)
	defer func() { _ = conn.Close(transport.CodeNormal, "") }()
	firstKey(t, conn)
	close(enough)
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	var last wire.PublisherStatus
	for {
		b, err := conn.ReadMessage()
		if err != nil {
			break
		}
		if wire.Type(b[0]) == wire.TypeStatus {
			if err := wire.ParseJSON(b, wire.TypeStatus, &last); err != nil {
				t.Fatal(err)
			}
		}
	}
	if last.State != media.StateEnded || !strings.Contains(last.Detail, "The source pipe: has ended") {
		t.Errorf("the last status is %+v", last)
	}
	if code := exitCode(t, cmd); code != exitDone {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
}

func TestRemote_PublishesWithItsToken(t *testing.T) {
	conns := make(chan *ws.Conn, 1)
	refuse := make(chan struct{}, 1)
	refuse <- struct{}{} // the first attempt
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-refuse:
			http.Error(w, "The token has expired.", http.StatusUnauthorized)
			return
		default:
		}
		if r.URL.Path != "/ws/publish/door" || r.Header.Get("Authorization") != "Bearer tok-hunter2" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		conn, err := ws.Upgrade(w, r, wire.Subprotocol, ws.Options{ReadLimit: wire.MaxMessageLen})
		if err != nil {
			t.Error(err)
			return
		}
		conns <- conn
	}))
	srv.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	srv.StartTLS()
	defer srv.Close()
	dir := t.TempDir()
	ca, token := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")
	for path, content := range map[string][]byte{
		ca:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}),
		token: []byte("tok-hunter2\n"),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var stderr bytes.Buffer
	ran := make(chan int, 1)
	go func() {
		ran <- run(ctx, []string{
			"--source", "test:?size=320x180", "--publish", "wss://" + srv.Listener.Addr().String() + "/ws/publish/door", "--token-file", token, "--ca", ca,
		}, strings.NewReader(""), &bytes.Buffer{}, &stderr, unconfined)
	}()
	for range 2 { // it comes back after the server has hung up
		select {
		case conn := <-conns:
			firstKey(t, conn)
			_ = conn.Close(transport.CodeGoingAway, "restart")
		case <-time.After(10 * time.Second):
			t.Fatal("no connection")
		}
	}
	cancel()
	if code := <-ran; code != exitDone {
		t.Fatalf("code %d", code)
	}
	for _, want := range []string{"the server does not accept the token for this stream", "The token has expired."} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("log lacks %q:\n%s", want, &stderr)
		}
	}
	if strings.Contains(stderr.String(), "hunter2") {
		t.Errorf("the token is in the log:\n%s", &stderr)
	}
}
