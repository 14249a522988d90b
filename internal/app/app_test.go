package app_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sightline/internal/app"
	"sightline/internal/auth"
	"sightline/internal/config"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/pipe"
	"sightline/internal/transport/ws"
	"sightline/internal/watch"
	"sightline/internal/wire"
)

const (
	captureName = "sightline-capture"
	// patience is how long a test waits for what must happen.
	patience = 10 * time.Second
	password = "hunter2-of-the-camera"
)

// TestMain also plays the capture program: the server under test finds this program under its name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == captureName {
		os.Exit(playCapture())
	}
	goleak.VerifyTestMain(m)
}

// playCapture publishes some pictures on descriptor 3 and dies, as a capture process might.
func playCapture() int {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	log.Warn("opening", "source", os.Getenv("SIGHTLINE_SOURCE"), "arguments", strings.Join(os.Args[1:], " "))
	file := os.NewFile(3, "publish")
	conn, err := net.FileConn(file)
	if err != nil {
		log.Error("no socket", "error", err)
		return 2
	}
	if err := publish(pipe.New(conn, wire.MaxMessageLen), 30); err != nil {
		log.Error("publish", "error", err)
		return 2
	}
	return 7
}

// publish sends n JPEG pictures, 10 ms apart, once somebody wants them; n of 0 sends until the connection ends.
func publish(conn transport.Conn, n int) error {
	err := errors.Join(
		conn.WriteMessage(wire.AppendJSON(nil, wire.TypeHello, wire.PublisherHello{Agent: "test/1", Source: "test", Renditions: []wire.RenditionInfo{
			{ID: 1, Name: "mjpeg", Codec: "jpeg", Width: 16, Height: 16, FrameRateMilli: 100_000},
		}})),
		conn.WriteMessage(wire.AppendJSON(nil, wire.TypeStatus, wire.PublisherStatus{State: media.StateLive})),
		conn.WriteMessage(wire.AppendConfig(nil, wire.Config{Codec: media.CodecJPEG, Rendition: 1, Width: 16, Height: 16, CodecString: "jpeg"})),
	)
	for wanted := false; err == nil && !wanted; {
		var b []byte
		var want wire.Want
		if b, err = conn.ReadMessage(); err == nil && wire.Type(b[0]) == wire.TypeWant {
			err = wire.ParseJSON(b, wire.TypeWant, &want)
			wanted = len(want.Renditions) > 0
		}
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for seq := uint32(0); err == nil && (n == 0 || int(seq) < n); seq++ {
		<-tick.C
		err = conn.WriteMessage(wire.AppendChunk(nil, wire.MediaHeader{Flags: wire.FlagKey, Rendition: 1, Seq: seq}, []byte("picture"), 0))
	}
	return err
}

// log takes in what the server logs.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func configure(t *testing.T) config.Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, captureName)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	source, err := config.ParseSource("rtsp://admin:" + password + "@127.0.0.1:1/door")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return config.Config{
		Listen: "127.0.0.1:0", DataDir: dir, Auth: config.Auth{SessionTTL: time.Hour}, Limits: config.Limits{Viewers: 10, ViewersPerStream: 10},
		Audit: config.Audit{Path: filepath.Join(dir, "audit.jsonl"), RotateBytes: 64 << 20, Keep: 1, OnFailure: "refuse"},
		Streams: []config.Stream{
			{ID: "door", Source: source},
			{ID: "yard", Publish: true},
		},
	}
}

func TestApp_FromTheLinkToThePictures(t *testing.T) {
	var logged log
	cfg := configure(t)
	a, err := app.New(cfg, nil, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ran:
			return err
		case <-time.After(patience):
			return errors.New("Run does not end")
		}
	})
	defer func() { _ = stop() }()

	link, err := a.Link()
	if err != nil {
		t.Fatal(err)
	}
	page, err := url.Parse(link)
	if err != nil || page.Scheme != "https" || page.Host != a.Addr().String() || page.Fragment == "" || page.RawQuery != "" {
		t.Fatalf("link %s, %v", link, err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.Authority().CAPEM())
	tlsConfig := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}
	origin := "https://" + page.Host
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: tlsConfig.Clone()}, Timeout: patience}
	defer client.CloseIdleConnections()

	// Log in by the link's code.
	login, err := http.NewRequestWithContext(ctx, http.MethodPost, origin+"/api/v1/login", strings.NewReader(fmt.Sprintf(`{"code":%q}`, page.Fragment)))
	if err != nil {
		t.Fatal(err)
	}
	login.Header.Set("Origin", origin)
	resp, err := client.Do(login)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent || len(resp.Cookies()) != 1 {
		t.Fatalf("login: %s", resp.Status)
	}
	header := http.Header{"Cookie": {resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value}, "Origin": {origin}}

	// See the streams.
	list, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+"/api/v1/streams", nil)
	if err != nil {
		t.Fatal(err)
	}
	list.Header = header
	resp, err = client.Do(list)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || !strings.Contains(string(body), `"id":"door"`) || !strings.Contains(string(body), `"id":"yard"`) {
		t.Fatalf("streams: %s, %v", body, err)
	}

	dial := func(path string, header http.Header) *ws.Conn {
		conn, err := ws.Dial(ctx, "wss://"+page.Host+path, header, []string{wire.Subprotocol}, tlsConfig.Clone(), ws.Options{ReadLimit: wire.MaxMessageLen})
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}

	// An agent publishes yard with a token that was made elsewhere with the same key.
	minter, err := auth.Open(cfg.DataDir, auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := minter.Mint(auth.Claims{Kind: auth.KindPublish, Subject: "agent", Grants: []auth.Grant{auth.Allow(auth.Publish, "**")}, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	bearer := http.Header{"Authorization": {"Bearer " + token}}
	agent := dial("/ws/publish/yard", bearer)
	published := make(chan error, 1)
	go func() { published <- publish(agent, 0) }()
	defer func() {
		_ = agent.Close(transport.CodeNormal, "")
		_, _ = agent.ReadMessage()
		if err := <-published; err == nil {
			t.Error("the agent ended before anybody asked it to")
		}
	}()
	if _, err := ws.Dial(ctx, "wss://"+page.Host+"/ws/publish/door", bearer, []string{wire.Subprotocol}, tlsConfig.Clone(), ws.Options{}); err == nil {
		t.Error("a stream with a source of its own can be published over the network")
	}

	// Watch both. The capture process of door dies after 30 pictures, again and again: nobody is cut off.
	watching := make(chan error, 2)
	for stream, pictures := range map[string]int{"yard": 50, "door": 75} {
		seen := make(chan struct{}, 1000)
		v := watch.New(dial("/ws/watch/"+stream, header), watch.Options{Player: "test/1", Sink: func(_ wire.Config, _ wire.MediaHeader, b []byte) error {
			if string(b) != "picture" {
				return fmt.Errorf("picture %q", b)
			}
			seen <- struct{}{}
			return nil
		}})
		go func() { watching <- v.Run(ctx) }()
		deadline := time.After(patience)
		for n := range pictures {
			select {
			case <-seen:
			case err := <-watching:
				t.Fatalf("%s after %d pictures: %v", stream, n, err)
			case <-deadline:
				t.Fatalf("%s: %d pictures, %+v\n%s", stream, n, v.Stats(), logged.String())
			}
		}
		if st := v.Stats(); st.Undecodable != 0 || st.Codec != "jpeg" || st.Frames < pictures || st.FPS <= 0 {
			t.Errorf("%s: %+v", stream, st)
		}
	}

	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	for range 2 {
		if err := <-watching; err == nil {
			t.Error("watching goes on")
		}
	}
	text := logged.String()
	for _, want := range []string{
		`msg="capture: opening" stream=door capture.source=rtsp://***@127.0.0.1:1/door`, "--log-format json", "exit status 7",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q:\n%s", want, text)
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.Count(line, " stream=") > 1 {
			t.Errorf("the stream is named twice: %s", line)
		}
	}
	record, err := os.ReadFile(cfg.Audit.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"event":"login","verdict":"granted"`, `"event":"watch","verdict":"granted"`, `"event":"publish","verdict":"granted"`, `"event":"watch-end"`, `"event":"publish-end"`} {
		if !strings.Contains(string(record), want) {
			t.Errorf("the audit record lacks %s", want)
		}
	}
	for _, secret := range []string{password, page.Fragment, token, header.Get("Cookie")} {
		if strings.Contains(text, secret) || strings.Contains(string(record), secret) {
			t.Errorf("a credential shows in the log or in the audit record: %.8s...", secret)
		}
	}
}

func TestNew_WhatIsWrongIsSaid(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for _, tc := range []struct {
		name   string
		change func(*testing.T, *config.Config)
		want   string
	}{
		{"port in use", func(_ *testing.T, c *config.Config) { c.Listen = taken.Addr().String() }, "the port is in use: stop the program that has it, or choose another with --listen"},
		{"no such address", func(_ *testing.T, c *config.Config) { c.Listen = "203.0.113.1:0" }, "listen on 203.0.113.1:0"},
		{"no capture program", func(t *testing.T, _ *config.Config) { t.Setenv("PATH", "/nonexistent") }, "neither beside this program nor on the PATH"},
		{"a file where the data directory should be", func(t *testing.T, c *config.Config) {
			c.DataDir = filepath.Join(c.DataDir, "file")
			if err := os.WriteFile(c.DataDir, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "file"},
		{"a certificate that is not there", func(_ *testing.T, c *config.Config) {
			c.TLS = config.TLS{Cert: "/nonexistent/cert.pem", Key: "/nonexistent/key.pem"}
		}, "/nonexistent/cert.pem"},
		{"an audit file that cannot be", func(_ *testing.T, c *config.Config) { c.Audit.Path = "/nonexistent/audit" }, "/nonexistent/audit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := configure(t)
			tc.change(t, &cfg)
			a, err := app.New(cfg, nil, slog.New(slog.DiscardHandler))
			if err == nil {
				_ = a.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, want %q in it", err, tc.want)
			}
		})
	}
}

func TestClose_FreesWhatNewTook(t *testing.T) {
	cfg := configure(t)
	for range 2 { // the audit file is locked: a second server is possible only when the first let go
		a, err := app.New(cfg, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		cfg.Listen = a.Addr().String()
	}
}
