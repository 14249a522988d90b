package app_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"sightline/internal/app"
	"sightline/internal/auth"
	"sightline/internal/config"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

func roles() config.Config {
	return config.Config{Auth: config.Auth{Issuers: []config.Issuer{{Name: "portal", Roles: []config.Role{
		{Name: "guards", Actions: []string{"view"}, Streams: []string{"site/**"}},
	}}}}}
}

func TestCheckPolicy(t *testing.T) {
	for _, c := range []struct {
		test config.PolicyTest
		want string // in the error; "" for none
	}{
		{config.PolicyTest{Who: "portal/guards", Action: "view", Stream: "site/door", May: true}, ""},
		{config.PolicyTest{Who: "portal/guards", Action: "publish", Stream: "site/door"}, ""},
		{config.PolicyTest{Who: "portal/guards", Action: "view", Stream: "vault"}, ""},
		{config.PolicyTest{Who: "portal/guards", Action: "view", Stream: "vault", May: true}, "portal/guards may not view vault, and must be able to"},
		{config.PolicyTest{Who: "portal/guards", Action: "view", Stream: "site/door"}, "portal/guards may view site/door, and must not"},
		{config.PolicyTest{Who: "portal/thieves", Action: "view", Stream: "site/door"}, "no role portal/thieves"},
	} {
		cfg := roles()
		cfg.Policy = []config.PolicyTest{c.test}
		err := app.CheckPolicy(cfg)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: got %v, want %q", c.test, err, c.want)
		}
	}
}

func TestReload_StreamsComeAndGoWhileOthersGoOn(t *testing.T) {
	var logged log
	cfg := configure(t)
	cfg.Streams = append(cfg.Streams, config.Stream{ID: "gate", Publish: true})
	a, err := app.New(cfg, nil, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, a, cfg)
	staying, leaving := s.open("/ws/watch/yard"), s.open("/ws/watch/gate")

	next := cfg
	next.Streams = []config.Stream{cfg.Streams[1], {ID: "porch", Publish: true}} // yard stays; door and gate go
	if err := a.Reload(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	var closed *transport.CloseError
	for err = nil; err == nil; {
		_, err = leaving.ReadMessage()
	}
	if !errors.As(err, &closed) || closed.Code != transport.CodeForbidden && closed.Code != transport.CodeNoStream { // or it came too late
		t.Errorf("a viewer of a stream that is gone is told %v", err)
	}
	// A stream is gone when its last viewer is, who is told so before.
	deadline := time.Now().Add(patience)
	for got, want := s.streams(), []string{"porch", "yard"}; !slices.Equal(got, want); got = s.streams() {
		if time.Now().After(deadline) {
			t.Fatalf("streams %v, want %v", got, want)
		}
	}
	hello := wire.AppendJSON(nil, wire.TypeHello, wire.ViewerHello{Player: "test/1", Codecs: []string{"jpeg"}})
	if err := staying.WriteMessage(hello); err != nil {
		t.Errorf("a viewer of a stream that stays: %v", err)
	}
	if b, err := staying.ReadMessage(); err != nil || wire.Type(b[0]) != wire.TypeStatus {
		t.Errorf("a viewer of a stream that stays gets %.20q, %v", b, err)
	}

	fixed := next
	fixed.Listen, fixed.DataDir, fixed.Limits.Viewers = "127.0.0.1:1", "/elsewhere", 3
	fixed.Auth.SessionTTL = time.Minute
	fixed.Streams = nil
	if err := a.Reload(t.Context(), fixed); err == nil || !strings.Contains(err.Error(), "listen, data-dir, auth.session-ttl or auth.publish-ttl changed") {
		t.Errorf("what only a new start changes: %v", err)
	}
	failing := next
	failing.Policy = []config.PolicyTest{{Who: "nobody/nothing"}}
	failing.Streams = nil
	if err := a.Reload(t.Context(), failing); err == nil {
		t.Error("a policy whose tests fail is taken up")
	}
	if got := s.streams(); len(got) != 2 {
		t.Errorf("a configuration that was not taken up changed the streams: %v", got)
	}
}

// site is a server that runs until its test ends, and somebody who may watch all of it.
type site struct {
	t      *testing.T
	addr   string
	tls    *tls.Config
	header http.Header
}

func serve(t *testing.T, a *app.App, cfg config.Config) *site {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	minter, err := auth.Open(cfg.DataDir, auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := minter.Mint(auth.Claims{Kind: auth.KindView, Subject: "alice", Grants: []auth.Grant{auth.Allow(auth.View, "**")}, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.Authority().CAPEM())
	return &site{
		t: t, addr: a.Addr().String(), tls: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13},
		header: http.Header{"Authorization": {"Bearer " + token}},
	}
}

// open opens a WebSocket that is closed when the test ends.
func (s *site) open(path string) *ws.Conn {
	s.t.Helper()
	conn, err := ws.Dial(s.t.Context(), "wss://"+s.addr+path, s.header, []string{wire.Subprotocol}, s.tls.Clone(), ws.Options{ReadLimit: wire.MaxMessageLen})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close(transport.CodeNormal, "") })
	return conn
}

// streams lists the names of those that the server knows.
func (s *site) streams() (names []string) {
	s.t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: s.tls.Clone()}, Timeout: patience}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "https://"+s.addr+"/api/v1/streams", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = s.header
	resp, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	var body struct {
		Streams []struct{ ID string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		s.t.Fatal(err)
	}
	for _, x := range body.Streams {
		names = append(names, x.ID)
	}
	slices.Sort(names)
	return names
}

// Reloads, requests and sessions that begin and end at the same time neither wait for each other for ever nor leave anything behind.
func TestReload_ManyAtOnce(t *testing.T) {
	var logged log
	cfg := configure(t)
	a, err := app.New(cfg, nil, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, a, cfg)
	group, ctx := errgroup.WithContext(t.Context())
	for i := range 4 {
		group.Go(func() error {
			for n := range 25 {
				next := cfg
				next.Limits.ViewersPerStream = 10 + n
				next.Streams = append(slices.Clone(cfg.Streams), config.Stream{ID: media.StreamID(fmt.Sprintf("extra/%d", (i+n)%3)), Publish: true})
				if err := a.Reload(ctx, next); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for range 25 {
		if got := s.streams(); len(got) < len(cfg.Streams) {
			t.Errorf("streams %v", got)
		}
		if err := s.open("/ws/watch/yard").Close(transport.CodeNormal, ""); err != nil {
			t.Error(err)
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for got := s.streams(); len(got) != len(cfg.Streams); got = s.streams() {
		if time.Now().After(deadline) {
			t.Fatalf("streams %v are left", got)
		}
	}
}

func TestReload_WhoIsLetIn(t *testing.T) {
	var logged log
	cfg := configure(t)
	a, err := app.New(cfg, nil, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, a, cfg)
	s.open("/ws/watch/yard")

	next := cfg
	next.Limits.ViewersPerStream = 1
	if err := a.Reload(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	var closed *transport.CloseError
	if _, err := s.open("/ws/watch/yard").ReadMessage(); !errors.As(err, &closed) || closed.Code != transport.CodePolicy {
		t.Errorf("the second viewer of one is told %v", err)
	}

	next.Auth.Certificates = config.Certificates{CA: a.Authority().CAFile(), Required: true}
	if err := a.Reload(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	minter, err := auth.Open(cfg.DataDir, auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := minter.Mint(auth.Claims{Kind: auth.KindPublish, Subject: "agent", Grants: []auth.Grant{auth.Allow(auth.Publish, "**")}, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var refused *ws.RefusedError
	_, err = ws.Dial(t.Context(), "wss://"+s.addr+"/ws/publish/yard", http.Header{"Authorization": {"Bearer " + token}}, []string{wire.Subprotocol}, s.tls.Clone(), ws.Options{})
	if !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized || !strings.Contains(refused.Body, "no-certificate") {
		t.Errorf("a publisher without the certificate that is required now: %v", err)
	}

	// Who is told of alerts: another one gets the next.
	told := make(chan string, 10)
	desk := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told <- r.URL.Path }))
	t.Cleanup(desk.Close)
	ca, secret := filepath.Join(t.TempDir(), "desk.pem"), filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(
		os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: desk.Certificate().Raw}), 0o600),
		os.WriteFile(secret, []byte("0123456789abcdef"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	next.Alerts.Webhook = config.Webhook{URL: desk.URL + "/hook", CA: ca, SecretFile: secret}
	next.Auth.Origins = []string{"https://portal.example"} // more is allowed than before: an alert
	if err := a.Reload(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	select {
	case path := <-told:
		if path != "/hook" {
			t.Errorf("the desk is told at %s", path)
		}
	case <-time.After(patience):
		t.Error("the new receiver is not told")
	}
	mute := next
	mute.Alerts.Webhook.SecretFile = "/nonexistent/secret"
	if err := a.Reload(t.Context(), mute); err == nil || !strings.Contains(err.Error(), "alerts.webhook.secret-file") {
		t.Errorf("a secret that cannot be read: %v", err)
	}

	broken := next
	broken.Auth.Certificates.CA = "/nonexistent/ca.pem"
	broken.Auth.Origins = []string{"https://evil.example"}
	if err := a.Reload(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "/nonexistent/ca.pem") {
		t.Errorf("an authority that cannot be read: %v", err)
	}
}
