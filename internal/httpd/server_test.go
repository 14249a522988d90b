package httpd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"sightline/internal/accounts"
	"sightline/internal/alerts"
	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/authority"
	"sightline/internal/build"
	"sightline/internal/detect"
	"sightline/internal/history"
	"sightline/internal/hub"
	"sightline/internal/invitations"
	"sightline/internal/media"
	"sightline/internal/metrics"
	"sightline/internal/preferences"
	"sightline/internal/revocation"
	"sightline/internal/sessions"
	"sightline/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// recorder keeps audit records in memory.
type recorder struct {
	mu      sync.Mutex
	records []audit.Record
	fail    bool
	before  func(audit.Record) // runs before a record is durable; may be nil
	ended   chan audit.Record  // those of sessions that ended
}

func (rec *recorder) Append(_ context.Context, r audit.Record) error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.before != nil {
		rec.before(r)
	}
	if rec.fail {
		return audit.ErrUnavailable
	}
	rec.records = append(rec.records, r)
	if r.Verdict == audit.Ended && strings.HasSuffix(r.Event, "-end") {
		select {
		case rec.ended <- r:
		default:
		}
	}
	return nil
}

// attempts gives the records since the last call, but those of sessions that ended.
func (rec *recorder) attempts() (list []audit.Record) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, r := range rec.records {
		if !strings.HasSuffix(r.Event, "-end") {
			list = append(list, r)
		}
	}
	rec.records = nil
	return list
}

// site is a server that runs until its test ends.
type site struct {
	t        testing.TB
	dir      string
	server   *Server
	auth     *auth.Authenticator
	revoked  *revocation.List
	accounts *accounts.Book
	audit    *recorder
	history  *history.Store
	hub      *hub.Hub
	epoch    media.Epoch
	addr     string
	tls      *tls.Config // a client's
	client   *http.Client
	stop     func() error // ends the server and gives what Serve returned

	mu      sync.Mutex
	secrets []string
	seen    bytes.Buffer // the log
}

// Write takes in the log.
func (s *site) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.Write(p)
}

// secret notes what must never show in a record or in the log.
func (s *site) secret(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets = append(s.secrets, text)
	return text
}

func newSite(t testing.TB, change ...func(*Options)) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), audit: &recorder{ended: make(chan audit.Record, 100)}, epoch: media.NewEpoch()}
	var err error
	if s.revoked, err = revocation.Open(s.dir, revocation.Options{}); err != nil {
		t.Fatal(err)
	}
	if s.accounts, err = accounts.Open(s.dir, accounts.Options{Cost: accounts.Cost{MemoryKiB: 64, Passes: 1, Threads: 1}}); err != nil {
		t.Fatal(err)
	}
	if s.auth, err = auth.Open(s.dir, auth.Options{Check: s.revoked.Check}); err != nil {
		t.Fatal(err)
	}
	invited, err := invitations.Open(s.dir, invitations.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := authority.Open(s.dir, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s.hub = hub.New(hub.Options{}, s.epoch.Now)
	s.hub.Declare("door")
	s.hub.Declare("yard")
	running := sessions.New(time.Now, s.revoked)
	if s.history, err = history.Open(s.dir, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	chosen, err := preferences.Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		TLS: authority.TLSConfig(ca), Auth: s.auth, Audit: s.audit, Hub: s.hub, Epoch: s.epoch,
		Files: fstest.MapFS{
			"index.html":  {Data: []byte("<!doctype html><title>page</title>")},
			"app.js":      {Data: bytes.Repeat([]byte("let a = 1;\n"), 1000)},
			"player.js":   {Data: []byte("export {};")},
			"favicon.svg": {Data: []byte("<svg/>")},
			".hidden":     {Data: []byte("not to be served")},
		},
		Hosts: []string{"127.0.0.1", "localhost", "::1"}, Access: Access{Origins: []string{"https://portal.example"}},
		AuditPath: filepath.Join(s.dir, "audit.jsonl"), AuditKey: s.writeAudit(),
		MayPublish:  func(id media.StreamID) bool { return id != "yard" },
		History:     s.history,
		Metrics:     metrics.New(metrics.Sources{}, build.Info{}),
		NewCode:     func() (string, error) { return s.code(), nil },
		Sessions:    running,
		Revoke:      s.revoked.Add,
		Accounts:    s.accounts,
		Invitations: invited,
		Cameras:     &shelf{},

		Configuration: settled{},
		Restarts: func(id media.StreamID) Restarts {
			if id == "yard" {
				return Restarts{Count: 3, Last: time.Unix(1e9, 0), Why: "it fell over"}
			}
			return Restarts{}
		},
		Groups:      func(id media.StreamID) []string { return []string{"of " + string(id)} },
		Preferences: chosen,
		Alerts:      alerts.New(nil, detect.Options{}, nil, slog.New(slog.DiscardHandler)),
	}
	for _, f := range change {
		f(&o)
	}
	server, err := New(o, slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	s.server = server
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.CAPEM())
	s.tls = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	transport := &http.Transport{TLSClientConfig: s.tls.Clone(), DisableCompression: true}
	s.client = &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }()
	var watching sync.WaitGroup
	watching.Go(func() { _ = running.Run(ctx) })
	t.Cleanup(watching.Wait)
	s.stop = sync.OnceValue(func() error {
		cancel()
		transport.CloseIdleConnections()
		select {
		case err := <-served:
			return err
		case <-time.After(patience):
			return errors.New("the server does not end")
		}
	})
	t.Cleanup(func() {
		if err := s.stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("Serve: %v", err)
		}
		for _, secret := range s.secrets {
			if strings.Contains(s.seen.String(), secret) {
				t.Errorf("a credential is in the log: %.10s...", secret)
			}
			if strings.Contains(fmt.Sprintf("%+v", s.audit.records), secret) {
				t.Errorf("a credential is in the audit record: %.10s...", secret)
			}
		}
	})
	return s
}

func (s *site) origin() string { return "https://" + s.addr }

// token makes a token of the kind for action.
func (s *site) token(action auth.Action, stream auth.Pattern) string {
	s.t.Helper()
	return s.tokenOf("alice", action, stream)
}

func (s *site) tokenOf(subject string, action auth.Action, stream auth.Pattern) string {
	s.t.Helper()
	token, _, err := s.auth.Mint(auth.Claims{
		Kind: auth.KindFor(action), Subject: subject, Grants: []auth.Grant{auth.Allow(action, stream)}, Lifetime: time.Hour,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.secret(token)
}

func (s *site) principal(stream auth.Pattern) auth.Principal {
	return auth.Principal{
		Subject: "alice", ID: "0123456789abcdef", Expires: time.Now().Add(time.Hour),
		Grants: []auth.Grant{{Actions: []auth.Action{auth.View, auth.Publish}, Streams: []auth.Pattern{stream}}},
	}
}

// cookie makes a session's token.
func (s *site) cookie(stream auth.Pattern) string {
	s.t.Helper()
	token, _, err := s.auth.MintSession(s.principal(stream))
	if err != nil {
		s.t.Fatal(err)
	}
	return s.secret(token)
}

func (s *site) ticket(action auth.Action, stream media.StreamID, origin string) string {
	s.t.Helper()
	ticket, err := s.auth.NewTicket(s.principal("**"), action, stream, origin)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.secret(ticket)
}

func (s *site) code() string {
	s.t.Helper()
	code, err := s.auth.NewCode(s.principal("**"), time.Minute)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.secret(code)
}

// forge signs a view token for door with the server's own key, after edit has changed its claims.
func (s *site) forge(edit func(claims map[string]any)) string {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, "signing-key.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		s.t.Fatal(err)
	}
	now := time.Now().Unix()
	claims := map[string]any{
		"sub": "alice", "aud": "sightline", "iat": now, "exp": now + 3600, "jti": "0123456789abcdef",
		"grants": []auth.Grant{auth.Allow(auth.View, "door")},
	}
	edit(claims)
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			s.t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	signed := part(map[string]string{"alg": "EdDSA", "kid": s.auth.KeyID(), "typ": string(auth.KindView)}) + "." + part(claims)
	signature := ed25519.Sign(key.(ed25519.PrivateKey), []byte(signed))
	return s.secret(signed + "." + base64.RawURLEncoding.EncodeToString(signature))
}

// request makes one; bodies are JSON.
func (s *site) request(method, path, body string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.origin()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// asWebSocket turns r into a handshake that offers subprotocols.
func asWebSocket(r *http.Request, subprotocols ...string) {
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
	if len(subprotocols) > 0 {
		r.Header.Set("Sec-WebSocket-Protocol", strings.Join(subprotocols, ", "))
	}
}

// answer is a response with its body; that of a WebSocket is closed at once.
type answer struct {
	status int
	header http.Header
	body   string
	code   string // of an error object
}

func (s *site) do(r *http.Request) answer {
	s.t.Helper()
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return a
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	a.body = string(b)
	if resp.StatusCode >= 400 {
		var e struct {
			Error struct{ Code, Message string }
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		err := d.Decode(&e)
		if err != nil || e.Error.Code == "" || !strings.HasSuffix(e.Error.Message, ".") || resp.Header.Get("Content-Type") != "application/json" {
			s.t.Errorf("%s %s: %d is no error object with code and sentence: %s", r.Method, r.URL.Path, resp.StatusCode, b)
		}
		a.code = e.Error.Code
	}
	return a
}

// camera publishes pictures to door until its test ends.
func (s *site) camera() {
	s.t.Helper()
	pub, err := s.hub.Publish("door")
	if err != nil {
		s.t.Fatal(err)
	}
	pub.SetRenditions([]media.Rendition{{ID: 1, Name: "mjpeg", Codec: media.CodecJPEG, Height: 16, Width: 16}})
	pub.SetStatus(media.StateLive, "", "")
	err = pub.Configure(1, hub.Config{Rendition: media.Rendition{Codec: media.CodecJPEG}}, func(hc hub.Config) []byte {
		return frame(wire.AppendConfig(nil, wire.Config{
			Codec: media.CodecJPEG, Rendition: 1, Generation: hc.Generation, Width: 16, Height: 16, CodecString: "jpeg",
		}))
	})
	if err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for seq := uint32(0); ; seq++ {
			config, stamped, _ := pub.Stamp(1, seq)
			h := wire.MediaHeader{Flags: wire.FlagKey, Rendition: 1, Generation: config.Generation, Seq: stamped, Capture: s.epoch.Now()}
			pub.Publish(&hub.AccessUnit{
				Config: config, Key: true, Seq: stamped, Capture: h.Capture, Received: h.Capture, Bytes: 3,
				Chunks: [][]byte{frame(wire.AppendChunk(nil, h, []byte{1, 2, 3}, 0))},
			})
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	s.t.Cleanup(func() { close(done); wg.Wait() })
}

func frame(m []byte) []byte { return append([]byte{0x82, byte(len(m))}, m...) } // shorter than 126 bytes
