//go:build cgo && linux && (amd64 || arm64)

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/media"
	"sightline/internal/sandbox"
	"sightline/internal/transport"
	"sightline/internal/transport/pipe"
	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

// lines is a standard error that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lacksSandbox skips the test, aloud, where this system cannot confine the program in full.
func lacksSandbox(t *testing.T, stderr *lines) {
	t.Helper()
	if strings.Contains(stderr.String(), sandbox.ErrIncomplete.Error()) {
		t.Skip(stderr)
	}
}

// confined checks, from outside, that the process is what it says. With ownUser it is
// of a user of its own; else it may be root by name, and no more.
func confined(t *testing.T, cmd *exec.Cmd, ownUser bool) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	status := map[string][]string{}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			status[name] = strings.Fields(value)
		}
	}
	wants := map[string]string{"Seccomp": "2", "NoNewPrivs": "1"}
	if !ownUser {
		wants["CapEff"] = "0000000000000000"
	}
	for name, want := range wants {
		if got := status[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %v, want %s", name, got, want)
		}
	}
	if uid := status["Uid"]; len(uid) == 0 || ownUser && uid[0] == "0" {
		t.Errorf("runs as user %v", uid)
	}
}

// saysSo checks the log of a program that has ended.
func saysSo(t *testing.T, stderr *lines) {
	t.Helper()
	if !t.Skipped() && !strings.Contains(stderr.String(), "msg=confined ") {
		t.Errorf("the log does not say that the program is confined:\n%s", stderr)
	}
}

// child runs the program as the server does, until its first keyframe.
func child(t *testing.T, source string) {
	t.Helper()
	theirs, ours := socketPair(t)
	cmd, _ := program(t, "--publish", "fd:3", "--sandbox", "require")
	var stderr lines
	cmd.Stderr = &stderr
	cmd.Env = append(cmd.Env, envSource+"="+source)
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	if err := ours.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn := pipe.New(ours, wire.MaxMessageLen)
	defer func() {
		_ = conn.Close(transport.CodeNormal, "")
		if code := exitCode(t, cmd); code != exitDone && !t.Skipped() {
			t.Errorf("code %d:\n%s", code, &stderr)
		}
		saysSo(t, &stderr)
	}()
	b, err := conn.ReadMessage() // nothing comes from a program that could not start
	if err != nil {
		_ = exitCode(t, cmd)
		lacksSandbox(t, &stderr)
		t.Fatal(err)
	}
	if wire.Type(b[0]) == wire.TypeHello {
		wantFirst(t, conn, b)
	}
	firstKey(t, conn)
	confined(t, cmd, true)
}

func TestSandbox_TestPattern(t *testing.T) { child(t, "test:?size=320x180") }

func TestSandbox_Device(t *testing.T) {
	path := os.Getenv("SIGHTLINE_V4L2")
	if path == "" {
		t.Skip("no device: test/v4l2/run starts a guest that has one")
	}
	child(t, "v4l2:"+path+"?size=320x180")
}

func TestSandbox_Stills(t *testing.T) {
	dir := t.TempDir()
	var still bytes.Buffer
	if err := png.Encode(&still, image.NewGray(image.Rect(0, 0, 320, 180))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.png"), still.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	child(t, "images:"+dir)
}

func TestSandbox_PrivateFile(t *testing.T) {
	clip, err := os.ReadFile("../../internal/demo/street.mp4")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "private.mp4")
	if err := os.WriteFile(path, clip, 0o600); err != nil {
		t.Fatal(err)
	}
	child(t, "file:"+path)
}

// camera is an MJPEG camera on the loopback interface.
func camera(t *testing.T) *httptest.Server {
	t.Helper()
	img := image.NewYCbCr(image.Rect(0, 0, 320, 192), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = uint8(i)
	}
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, img, nil); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "multipart/x-mixed-replace;boundary=frame")
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for {
			_, err := fmt.Fprintf(w, "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", picture.Len(), picture.Bytes())
			if err == nil {
				err = http.NewResponseController(w).Flush()
			}
			if err != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv
}

func TestSandbox_NetworkCamera(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost"} {
		t.Run(host, func(t *testing.T) {
			_, port, err := net.SplitHostPort(camera(t).Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			child(t, "http://"+net.JoinHostPort(host, port)+"/video.mjpg")
		})
	}
}

// An agent far from its server has read its token before it gave up the right to.
func TestSandbox_Agent(t *testing.T) {
	conns := make(chan *ws.Conn, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer tok-hunter2" {
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
	cmd, _ := program(t, "--source", "-", "--publish", "wss://"+srv.Listener.Addr().String()+"/ws/publish/door",
		"--token-file", token, "--ca", ca, "--sandbox", "require")
	var stderr lines
	cmd.Stdin, cmd.Stderr = strings.NewReader("test:?size=320x180\n"), &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Error("the program does not end on an interrupt")
			_ = cmd.Process.Kill()
			<-ended
		}
		saysSo(t, &stderr)
		if strings.Contains(stderr.String(), "hunter2") {
			t.Errorf("the token is in the log:\n%s", &stderr)
		}
	}()
	select {
	case conn := <-conns:
		firstKey(t, conn)
		confined(t, cmd, true)
		_ = conn.Close(transport.CodeGoingAway, "restart")
	case <-ended:
		lacksSandbox(t, &stderr)
		t.Fatal(&stderr)
	case <-time.After(20 * time.Second):
		t.Fatalf("no connection:\n%s", &stderr)
	}
}

func TestNeeds(t *testing.T) {
	tests := []struct {
		scheme, address string
		want            sandbox.Options
	}{
		{"test", "test:?size=320x180", sandbox.Options{}},
		{"file", "file:/srv/a.mp4", sandbox.Options{Files: []string{"/srv/a.mp4"}}},
		{"file", "FILE:///srv/a?b.mp4", sandbox.Options{Files: []string{"/srv/a?b.mp4"}}},
		{"file", "file:clip.mp4", sandbox.Options{Files: []string{"clip.mp4"}}},
		{"images", "images:///srv/stills?mode=play", sandbox.Options{Files: []string{"/srv/stills"}}},
		{"v4l2", "v4l2:/dev/video0?size=640x480", sandbox.Options{Devices: []string{"/dev/video0"}}},
		{"rtsp", "rtsp://u:p@10.0.0.7/s", sandbox.Options{Ports: []uint16{554}}},
		{"rtsp", "rtsp://10.0.0.7:8554/s", sandbox.Options{Ports: []uint16{8554}}},
		{"rtsp", "rtsp://10.0.0.7/s#transport=udp", sandbox.Options{Ports: []uint16{554}, Datagrams: true}},
		{"rtsps", "rtsps://[fe80::1]/s", sandbox.Options{Ports: []uint16{322}}},
		{"http", "http://cam.lan/v", sandbox.Options{Ports: []uint16{80, 53}, Datagrams: true}},
		{"https", "https://cam.lan:8443/v", sandbox.Options{Ports: []uint16{8443, 53}, Datagrams: true}},
	}
	for _, test := range tests {
		if got := needs(test.scheme, test.address); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s needs %+v, want %+v", test.address, got, test.want)
		}
	}
}

func TestNeeds_Screen(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv(envDisplay, ":5")
	for _, test := range []struct{ address, key, socket, display string }{
		{"screen::12.1?fps=5", "", "/tmp/.X11-unix/X12", ":12.1"},
		{"screen:", "/run/key", "/tmp/.X11-unix/X5", ":5"},
	} {
		want := sandbox.Options{Socket: test.socket, Env: []string{envDisplay + "=" + test.display}}
		if test.key != "" {
			t.Setenv(envXAuthority, test.key)
			want.Env, want.Files = append(want.Env, envXAuthority+"="+test.key), []string{test.key}
		}
		if got := needs("screen", test.address); !reflect.DeepEqual(got, want) {
			t.Errorf("%s needs %+v, want %+v", test.address, got, want)
		}
	}
}

// A rendition that names no hardware gets no device; what one that does would get is there or not.
func TestAddHardware(t *testing.T) {
	for _, test := range []struct {
		encoders []string
		patterns map[string]string // by type of request
	}{
		{[]string{"", "libx264"}, nil},
		{[]string{"h264_vaapi"}, map[string]string{"d": "/dev/dri/renderD*"}},
		{[]string{"libx264", "auto"}, map[string]string{"d": "/dev/dri/renderD*", "F\x00": "/dev/nvidia*", "V": "/dev/video*"}},
	} {
		var got, want sandbox.Options
		for _, requests := range []string{"d", "F\x00", "V"} {
			if nodes, err := filepath.Glob(test.patterns[requests]); err == nil && len(nodes) > 0 {
				want.Nodes, want.Requests = append(want.Nodes, nodes...), append(want.Requests, requests...)
			}
		}
		if addHardware(&got, test.encoders); !reflect.DeepEqual(got, want) {
			t.Errorf("%q are given %+v, want %+v", test.encoders, got, want)
		}
	}
}

// Who reads a screen keeps the user that the X server knows, and loses all else; it says what that is worth.
func TestSandbox_Screen(t *testing.T) {
	xvfb, err := exec.LookPath("Xvfb")
	if err != nil {
		t.Skip("Xvfb is not installed")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	x := exec.CommandContext(t.Context(), xvfb, "-displayfd", "3", "-screen", "0", "320x240x24", "-nolisten", "tcp")
	x.ExtraFiles = []*os.File{w}
	if err := x.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	defer func() {
		_ = x.Process.Signal(os.Interrupt)
		_ = x.Wait() // it ends by our signal
	}()
	display, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	theirs, ours := socketPair(t)
	cmd, stderr := program(t, "--publish", "fd:3", "--source", "screen::"+strings.TrimSpace(display)+"?fps=10")
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	if err := ours.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn := pipe.New(ours, wire.MaxMessageLen)
	defer func() {
		_ = conn.Close(transport.CodeNormal, "")
		if code := exitCode(t, cmd); code != exitDone {
			t.Errorf("code %d:\n%s", code, stderr)
		}
	}()
	for told := false; ; {
		b, err := conn.ReadMessage()
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		switch wire.Type(b[0]) {
		case wire.TypeHello:
			var hello wire.PublisherHello
			if err := wire.ParseJSON(b, wire.TypeHello, &hello); err != nil {
				t.Fatal(err)
			}
			if told = strings.Contains(hello.Sandbox, "may also type into it"); !told {
				t.Errorf("the server is told %q", hello.Sandbox)
			}
		case wire.TypeStatus:
			var status wire.PublisherStatus
			if err := wire.ParseJSON(b, wire.TypeStatus, &status); err != nil {
				t.Fatal(err)
			}
			switch status.State {
			case media.StateIdle: // it has read the screen's size through its socket
				confined(t, cmd, false)
				if !told {
					t.Error("there was no HELLO")
				}
				return
			case media.StateConnecting:
			default:
				t.Fatalf("%s: %s\n%s", status.State, status.Detail, stderr)
			}
		}
	}
}

// What the program hands to the sandbox, and that it opens nothing before.
func TestSandbox_IsAskedForTheLeast(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want sandbox.Options
	}{
		{"child", []string{"--source", "test:", "--publish", "fd:9"}, sandbox.Options{Env: []string{envSource + "=test:"}, Inherit: []int{9}, EndWithParent: true}},
		{
			"agent",
			[]string{"--source", "rtsp://10.0.0.7/s", "--publish", "wss://10.0.0.1/ws/publish/door", "--ca", "/ca.pem", "--sandbox", "require"},
			sandbox.Options{
				Require: true, Env: []string{envSource + "=rtsp://10.0.0.7/s", envToken + "=tok"}, Ports: []uint16{554, 443}, Files: []string{"/ca.pem"},
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(envToken, "tok")
			t.Setenv("TZ", "")
			if err := os.Unsetenv("TZ"); err != nil {
				t.Fatal(err)
			}
			var got *sandbox.Options
			var out bytes.Buffer
			code := run(context.Background(), test.args, strings.NewReader(""), &out, &out, func(o sandbox.Options) (sandbox.Report, error) {
				got = &o
				return sandbox.Report{}, sandbox.ErrIncomplete
			})
			if code != exitFailure || !strings.Contains(out.String(), sandbox.ErrIncomplete.Error()) {
				t.Errorf("code %d: %s", code, &out)
			}
			if got == nil || !reflect.DeepEqual(*got, test.want) {
				t.Errorf("asked for %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestCertificateFiles_DirectoryIsOpenOnlyIfNothingOfOthersIsInIt(t *testing.T) {
	write := func(path string) string {
		t.Helper()
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	own, shared := t.TempDir(), t.TempDir()
	certificate, ca, key := write(filepath.Join(own, "agent.pem")), write(filepath.Join(own, "ca.pem")), write(filepath.Join(own, "agent-key.pem"))
	elsewhere := write(filepath.Join(shared, "agent-key.pem"))
	write(filepath.Join(shared, "diary.txt"))
	for _, tc := range []struct {
		name   string
		flags  flags
		want   []string
		warned bool
	}{
		{"a directory of its own", flags{certificate: certificate, key: key, ca: ca}, []string{certificate, key, own}, false},
		{"with an authority that was not given", flags{certificate: certificate, key: key}, []string{certificate, key}, true},
		{"a key among others' files", flags{certificate: certificate, key: elsewhere, ca: ca, tokenFile: key}, []string{certificate, elsewhere, own}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log bytes.Buffer
			got := tc.flags.certificateFiles(slog.New(slog.NewTextHandler(&log, nil)))
			if !slices.Equal(got, tc.want) {
				t.Errorf("open are %q, want %q", got, tc.want)
			}
			if warned := strings.Contains(log.String(), "a renewed certificate"); warned != tc.warned {
				t.Errorf("warned: %v, want %v: %s", warned, tc.warned, &log)
			}
		})
	}
}
