// Package httpd is the one listener: TLS, the table of routes with who may use each, middleware in its order, the table of
// errors, the API and the player's files. It knows tokens only through auth, writes every attempt to audit before it
// gives access, and owns the goroutines of the connections it accepted, all of which have ended when Serve returns.
package httpd

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"sightline/internal/accounts"
	"sightline/internal/alerts"
	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/authority"
	"sightline/internal/history"
	"sightline/internal/hub"
	"sightline/internal/ingest"
	"sightline/internal/invitations"
	"sightline/internal/issuer"
	"sightline/internal/media"
	"sightline/internal/metrics"
	"sightline/internal/oidc"
	"sightline/internal/preferences"
	"sightline/internal/revocation"
	"sightline/internal/sessions"
	"sightline/internal/transport/ws"
	"sightline/internal/viewer"
)

// Recorder writes audit records; *audit.Log is one. Append returns nil only when the record is durable.
type Recorder interface {
	Append(ctx context.Context, r audit.Record) error
}

// Access is who is let in on whose word, as far as that may change while the server runs. The zero value trusts nobody.
type Access struct {
	// Proxies are the networks of reverse proxies whose X-Forwarded-For is believed. None: nobody's is.
	Proxies []netip.Prefix
	// Origins are other sites ("https://portal.example.org") whose pages may open streams with tickets.
	Origins []string
	// Issuers are others whose tokens are accepted, beside Auth's own.
	Issuers issuer.Set
	// Provider is where people log in, nil where there is none; LoginWith is what they know it by.
	Provider  *oidc.Flow
	LoginWith string
	// Certificates are what publishers show beside their tokens, nil where that means nothing.
	Certificates *auth.Certificates
}

// Options are what a Server needs. All fields but Access, Padding and Tracer are required.
type Options struct {
	TLS   *tls.Config
	Auth  *auth.Authenticator
	Audit Recorder
	Hub   *hub.Hub
	Epoch media.Epoch
	Files fs.FS // the built player: index.html and its assets
	// AuditPath is where the audit record is, for those who may read it, and AuditKey what signs it.
	AuditPath string
	AuditKey  ed25519.PublicKey
	// Hosts are the names and addresses, without port, under which the server may be called.
	Hosts    []string
	Access   Access // at the start; SetAccess changes it
	Sessions *sessions.Registry
	// Revoke ends what is revoked, and returns when that is on disk.
	Revoke func(revocation.Entry) error
	// Padding hides what pictures come to.
	Padding ingest.Padding
	// Accounts are the people who log in by password.
	Accounts *accounts.Book
	// Preferences are what each chose for their pages.
	Preferences *preferences.Store
	// Invitations let people in who have no account.
	Invitations *invitations.Book
	// Alerts are what the rules over the audit record found.
	Alerts *alerts.Center
	// NewCode makes a one-time code that logs its holder in as the operator.
	NewCode func() (string, error)
	// Metrics is told how long who is let in waits, and what viewers say.
	Metrics *metrics.Metrics
	// Tracer is told of admissions and first pictures. Nil: nobody is.
	Tracer trace.Tracer
	// History is a day of figures.
	History *history.Store
	// Cameras are those of the configuration.
	Cameras Cameras
	// Configuration is what holds, and what is on disk.
	Configuration Configuration
	// Restarts tells how often the capture process of a stream had to be started again.
	Restarts func(media.StreamID) Restarts
	// Groups names the groups that a stream stands in, by configuration or by its name.
	Groups func(media.StreamID) []string
	// MayPublish tells whether a stream may be published over the network.
	MayPublish func(media.StreamID) bool
}

const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	answerTimeout = time.Minute // for all of an answer: files are the longest
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	maxBody       = 8 << 10
	shutdownGrace = 3 * time.Second
)

// Server answers HTTPS requests and WebSockets.
type Server struct {
	opts   Options
	log    *slog.Logger
	files  *files
	access atomic.Pointer[Access]
	fan    *viewer.Fan

	auditReading, auditVerifying, finding sync.Mutex // held by the one caller at a time that does so

	mu       sync.Mutex
	closing  bool           // no request begins any more; guarded by mu
	requests sync.WaitGroup // handlers at work, those of WebSockets too, which net/http does not wait for
}

// New checks the options and loads the player's files.
func New(opts Options, log *slog.Logger) (*Server, error) {
	files, err := loadFiles(opts.Files)
	if err != nil {
		return nil, err
	}
	for _, r := range routes() {
		if r.rule.kind == ruleUnset {
			return nil, fmt.Errorf("route %s has no rule that says who may use it", r.pattern)
		}
	}
	if opts.Tracer == nil {
		opts.Tracer = noop.NewTracerProvider().Tracer("")
	}
	s := &Server{opts: opts, log: log, files: files, fan: viewer.NewFan()}
	s.SetAccess(opts.Access)
	return s, nil
}

// SetAccess goes on with another Access, for requests that come from now on. Sessions that run are not looked at. Safe for
// concurrent use.
func (s *Server) SetAccess(a Access) { s.access.Store(&a) }

// servingKey is where the context of all requests has itself.
type servingKey struct{}

// errStopping is why requests end with their server.
var errStopping = errors.New("the server stops")

// Serve answers on l until ctx is done, then ends all sessions and returns. It takes over l. Call it once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	// All requests have this context. Of a WebSocket, net/http ends it when the handler returns and not before.
	base, end := context.WithCancelCause(context.WithoutCancel(ctx))
	cancel := func() { end(errStopping) }
	defer cancel()
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.With("from", "http").Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return context.WithValue(base, servingKey{}, base) },
		ConnContext:       withGuest,
		Protocols:         new(http.Protocols), // by default net/http offers HTTP/2, and then speaks it past every limit set here
	}
	server.Protocols.SetHTTP1(true)
	crowd := newCrowd()
	server.ConnState = crowd.watch
	door := newDoor(ws.Listener{Listener: l})
	server.TLSConfig = door.guarded(s.opts.TLS)
	var told sync.WaitGroup
	telling, hush := context.WithCancel(context.WithoutCancel(ctx)) // until the last connection is closed
	told.Go(func() { crowd.tell(telling, s.opts.Audit, s.log) })
	told.Go(func() { s.fan.Run(telling) })
	defer told.Wait()
	defer hush()
	defer crowd.open.Wait()
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(door, "", "") }()
	select {
	case err := <-served:
		cancel()
		_ = server.Close()
		s.finish()
		return fmt.Errorf("listen on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	cancel()
	grace, stop := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer stop()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		s.log.Warn("http server", "error", err)
	}
	s.finish()
	return ctx.Err()
}

// finish waits for the handlers at work, and lets no other begin.
func (s *Server) finish() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.requests.Wait()
}

// begin reports whether a request may begin; whoever got true calls requests.Done.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.requests.Add(1)
	}
	return !s.closing
}

// handler is the middleware in its order, with the routes at its heart.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes() {
		mux.Handle(r.pattern, s.guard(r))
		if above, ok := strings.CutSuffix(r.pattern, "/{stream...}"); ok { // net/http would redirect from there, unasked and unrecorded
			_, above, _ = strings.Cut(above, " ")
			mux.Handle(above, http.HandlerFunc(s.notFound))
		}
	}
	mux.Handle("/", http.HandlerFunc(s.notFound))
	return s.countRequests(s.recoverPanics(s.secureHeaders(s.checkHost(s.checkPath(mux)))))
}

func (s *Server) countRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.begin() {
			panic(http.ErrAbortHandler) // the connection is closed already
		}
		defer s.requests.Done()
		heard(r.Context())
		next.ServeHTTP(w, r)
	})
}

func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.recovered(r.URL.Path, func() {
			s.fail(w, http.StatusInternalServerError, "internal", "The server made a mistake; its log says more.")
		})
		next.ServeHTTP(w, r)
	})
}

// recovered is deferred where a panic must cost no more than one request for path; answer, if not nil, says so to whoever asked.
func (s *Server) recovered(path string, answer func()) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { //nolint:errorlint // the value itself is the signal, see net/http
		panic(v)
	}
	s.log.Error("panic in a handler", "panic", fmt.Sprint(v), "path", path)
	if answer != nil {
		answer()
	}
}

const contentPolicy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
	"media-src 'self' blob: mediastream:; connect-src 'self'; font-src 'self'; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func (s *Server) secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !strings.EqualFold(authority.HostName(r.Host), "localhost") {
			// For localhost browsers would hold every other program there, on any port, to TLS.
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// checkHost refuses requests meant for another name: a page that rebinds its own name to this address (DNS rebinding)
// gets nothing.
func (s *Server) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !authority.Named(s.opts.Hosts, r.Host) {
			s.record(r, audit.Record{Event: "request", Verdict: audit.Refused, Reason: "unknown-host"})
			s.refuse(w, errHost)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkPath answers paths that net/http would clean up and redirect from (//, /./, /../), and what is none at all (*), as what they are: no
// address of this server.
func (s *Server) checkPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clean := path.Clean(r.URL.Path)
		if clean != r.URL.Path && clean+"/" != r.URL.Path || !strings.HasPrefix(clean, "/") {
			s.notFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// sameOrigin reports whether origin is that of the server itself, as the request names it.
func sameOrigin(r *http.Request, origin string) bool { return origin == "https://"+r.Host }

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	s.record(r, audit.Record{Event: "request", Verdict: audit.Refused, Reason: "not-found"})
	s.refuse(w, errNothing)
}

// record appends an audit record about r and reports whether it is durable.
func (s *Server) record(r *http.Request, rec audit.Record) bool {
	rec.Remote, rec.UserAgent = s.remote(r), r.UserAgent()
	// The record must be written even when the asker has hung up meanwhile.
	if err := s.opts.Audit.Append(context.WithoutCancel(r.Context()), rec); err != nil {
		s.log.Error("audit record not written, access refused", "error", err)
		return false
	}
	return true
}

// settle records rec, as refused where err is not nil, and gives what the asker is to be told: err, or that what was granted could not be recorded
// and so does not take place.
func (s *Server) settle(r *http.Request, rec audit.Record, err error) error {
	if err != nil {
		rec.Verdict, rec.Reason = audit.Refused, reason(err)
	}
	if recorded := s.record(r, rec); err == nil && !recorded {
		return errNotRecorded
	}
	return err
}
