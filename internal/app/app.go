// Package app builds the server from a checked configuration, runs its rooms and stops them in order. With config it is
// the only room that knows all the others. Run owns every goroutine.
package app

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"sightline/internal/accounts"
	"sightline/internal/acme"
	"sightline/internal/alerts"
	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/authority"
	"sightline/internal/build"
	"sightline/internal/config"
	"sightline/internal/datadir"
	"sightline/internal/detect"
	"sightline/internal/history"
	"sightline/internal/httpd"
	"sightline/internal/hub"
	"sightline/internal/ingest"
	"sightline/internal/invitations"
	"sightline/internal/media"
	"sightline/internal/metrics"
	"sightline/internal/notify"
	"sightline/internal/onvif"
	"sightline/internal/preferences"
	"sightline/internal/revocation"
	"sightline/internal/sessions"
	"sightline/internal/tracing"
	"sightline/internal/trust"
	"sightline/internal/walltime"
	"sightline/internal/witness"
	"sightline/web"
)

// App is a server that is ready to run. Make one with New.
type App struct {
	cfg      config.Config
	log      *slog.Logger
	listener net.Listener
	clock    *walltime.Clock
	revoked  *revocation.List
	auth     *auth.Authenticator
	accounts *accounts.Book
	invited  *invitations.Book
	sessions *sessions.Registry
	ca       *authority.Authority // nil with a certificate from elsewhere
	acme     *acme.Certificates   // nil with a certificate from elsewhere
	alerts   *alerts.Center
	webhook  *notify.Webhook
	metrics  *metrics.Metrics
	figures  net.Listener // of metrics; nil where nobody asks for them
	history  *history.Store
	tracing  *tracing.Tracing // nil where nobody is told
	audit    *audit.Log
	auditKey ed25519.PublicKey
	witness  *witness.Witness // nil where nobody is told of the record
	hub      *hub.Hub
	streams  *streams
	epoch    media.Epoch
	httpd    *httpd.Server
	exposed  exposure // how open it was before it runs

	reloading sync.Mutex
	live      config.Config // as taken up last; cfg is that of the start; guarded by reloading
	access    httpd.Access  // made of live; guarded by reloading
}

// New opens everything a server needs, its port included, so that what is wrong is known before it says that it runs.
// Close an App that is not run. load reads the configuration anew, for cameras that are added while the server runs; nil where none
// can be.
func New(cfg config.Config, load func() (config.Config, error), log *slog.Logger) (*App, error) {
	if err := CheckPolicy(cfg); err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, live: cfg, log: log, epoch: media.NewEpoch()}
	if err := datadir.Make(cfg.DataDir); err != nil {
		return nil, err
	}
	if err := a.openAuth(); err != nil {
		return nil, err
	}
	source, err := a.certificates()
	if err != nil {
		return nil, err
	}
	program, err := captureProgram(cfg.Streams)
	if err != nil {
		return nil, err
	}
	a.metrics = a.newMetrics()
	a.hub = hub.New(hub.Options{
		MaxViewers: cfg.Limits.Viewers, MaxStreamViewers: cfg.Limits.ViewersPerStream, Arrived: a.metrics.Arrived,
	}, a.epoch.Now)
	a.streams = newStreams(a, cfg, program)
	files, err := web.Files()
	if err != nil {
		return nil, err
	}
	if err := a.openAudit(); err != nil {
		return nil, err
	}
	if err := a.listen(source, files, &cameras{app: a, load: load, finder: onvif.NewFinder(), asker: onvif.NewAsker(time.Now)}); err != nil {
		return nil, errors.Join(err, a.audit.Close())
	}
	if a.exposed, err = a.exposedBefore(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// openAuth opens all that says who may do what, by a clock that never goes back.
func (a *App) openAuth() (err error) {
	dir, ttl := a.cfg.DataDir, a.cfg.Auth.SessionTTL
	if a.clock, err = walltime.Open(dir, time.Now, a.log.With("room", "walltime")); err != nil {
		return err
	}
	if a.revoked, err = revocation.Open(dir, revocation.Options{Now: a.clock.Now, Log: a.log.With("room", "revocation")}); err != nil {
		return err
	}
	if a.auth, err = auth.Open(dir, auth.Options{Now: a.clock.Now, Check: a.revoked.Check, MaxSessionLifetime: ttl, MaxPublishLifetime: a.cfg.Auth.PublishTTL}); err != nil {
		return err
	}
	if a.accounts, err = accounts.Open(dir, accounts.Options{Now: a.clock.Now, SessionTTL: ttl, Remember: true}); err != nil {
		return err
	}
	if a.invited, err = invitations.Open(dir, invitations.Options{Now: a.clock.Now, SessionTTL: ttl}); err != nil {
		return err
	}
	a.sessions = sessions.New(a.clock.Now, a.revoked)
	a.access, err = a.newAccess(a.cfg)
	return err
}

// openAudit opens the audit record, and the way to its witness.
func (a *App) openAudit() error {
	key, err := audit.OpenKey(a.cfg.DataDir)
	if err != nil {
		return err
	}
	a.auditKey = key.Public().(ed25519.PublicKey) //nolint:forcetypeassert // it is of this type
	c := a.cfg.Audit
	a.audit, err = audit.Open(c.Path, audit.Options{
		Key: key, RotateSize: int64(c.RotateBytes), RotateAge: c.RotateAge, Keep: c.Keep,
		OnFailure: audit.Policy(c.OnFailure), Log: a.log.With("room", "audit"),
	})
	if err != nil {
		return err
	}
	if err := a.openAlerts(); err != nil {
		return errors.Join(err, a.audit.Close())
	}
	if c.Syslog.Network == "" {
		return nil
	}
	a.witness, err = witness.New(witness.Options(c.Syslog), a.audit.Subscribe(witness.Queue), a.log.With("room", "witness"))
	if err != nil {
		return errors.Join(err, a.audit.Close())
	}
	return nil
}

// openAlerts has the rules look at the audit record, and somebody told of what they find.
func (a *App) openAlerts() error {
	to, err := receiver(a.cfg.Alerts.Webhook)
	if err != nil {
		return err
	}
	a.webhook = notify.New(notify.Options{Receiver: to}, a.log.With("room", "notify"))
	a.alerts = alerts.New(a.audit.Subscribe(alerts.Queue), site(a.cfg.Alerts), a.webhook.Send, a.log.With("room", "alerts"))
	return nil
}

// receiver is who is told of alerts, with the secret and the authority that are in their files now.
func receiver(c config.Webhook) (notify.Receiver, error) {
	if c.URL == "" {
		return notify.Receiver{}, nil
	}
	secret, err := datadir.ReadSecret(c.SecretFile)
	if err != nil {
		return notify.Receiver{}, fmt.Errorf("alerts.webhook.secret-file: %w", err)
	}
	if secret = bytes.TrimSpace(secret); len(secret) < minSecret {
		return notify.Receiver{}, fmt.Errorf("alerts.webhook.secret-file: %s holds %d bytes: at least %d are needed, such as `openssl rand -hex 32` makes",
			c.SecretFile, len(secret), minSecret)
	}
	to := notify.Receiver{URL: c.URL, Secret: secret}
	if c.CA != "" {
		pool, err := trust.Pool(c.CA)
		if err != nil {
			return notify.Receiver{}, fmt.Errorf("alerts.webhook.ca: %w", err)
		}
		to.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	return to, nil
}

// site is what the rules are told of the place.
func site(c config.Alerts) detect.Options {
	return detect.Options{Sensitive: c.Sensitive, OpenFrom: c.OpenFrom, OpenUntil: c.OpenUntil, Walls: c.Walls}
}

// minSecret is the shortest secret that signs a webhook's messages, in bytes.
const minSecret = 16

// listen takes the port and makes the HTTP server for it.
func (a *App) listen(source authority.Source, files fs.FS, cameras *cameras) error {
	hosts, err := authority.Hosts(slices.Concat(a.cfg.Hosts, a.cfg.TLS.ACME.Domains))
	if err != nil {
		return err
	}
	chosen, err := preferences.Open(a.cfg.DataDir)
	if err != nil {
		return err
	}
	if a.history, err = history.Open(a.cfg.DataDir, a.log.With("room", "history")); err != nil {
		return err
	}
	var tracer trace.Tracer
	if endpoint := a.cfg.Tracing.Endpoint; endpoint != "" {
		if a.tracing, err = tracing.New(endpoint, build.Read().Version, a.log.With("room", "tracing")); err != nil {
			return err
		}
		tracer = a.tracing.Tracer()
	}
	a.httpd, err = httpd.New(httpd.Options{
		TLS: authority.TLSConfig(source), Auth: a.auth, Audit: recorder{a.audit, a.metrics}, Metrics: a.metrics, History: a.history, Tracer: tracer, Hub: a.hub, Epoch: a.epoch,
		Files: files, Hosts: hosts, Access: a.access, Padding: ingest.Padding(a.cfg.Padding), MayPublish: a.streams.mayPublish, Groups: a.streams.groups, Preferences: chosen,
		NewCode: a.newCode, Cameras: cameras, Configuration: &configuration{a, cameras.load}, Restarts: a.streams.restartsOf, Alerts: a.alerts, Sessions: a.sessions, Revoke: a.revoked.Add, Accounts: a.accounts, Invitations: a.invited,
		AuditPath: a.cfg.Audit.Path, AuditKey: a.auditKey,
	}, a.log.With("room", "httpd"))
	if err != nil {
		return err
	}
	a.listener, err = net.Listen("tcp", a.cfg.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s: the port is in use: stop the program that has it, or choose another with --listen",
			a.cfg.Listen)
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", a.cfg.Listen, err)
	}
	if err := a.listenForFigures(); err != nil {
		return errors.Join(err, a.listener.Close())
	}
	return nil
}

func (a *App) certificates() (authority.Source, error) {
	if a.cfg.TLS.Cert != "" {
		return authority.Files(a.cfg.TLS.Cert, a.cfg.TLS.Key, time.Now, a.log.With("room", "authority"))
	}
	if o := a.cfg.TLS.ACME; len(o.Domains) > 0 {
		certificates, err := acme.New(acme.Options{
			Dir: filepath.Join(a.cfg.DataDir, "acme"), Domains: o.Domains, Email: o.Email, Directory: o.Directory, CA: o.CA,
		}, a.log.With("room", "authority"))
		a.acme = certificates
		return certificates, err
	}
	ca, err := authority.Open(a.cfg.DataDir, a.cfg.Hosts, time.Now)
	if err != nil {
		return nil, err
	}
	a.ca = ca
	return ca, nil
}

// Addr is the address the server listens on.
func (a *App) Addr() net.Addr { return a.listener.Addr() }

// Authority is the server's own certificate authority, nil when it uses the operator's certificate.
func (a *App) Authority() *authority.Authority { return a.ca }

// newCode makes a one-time code that logs its holder in as the operator.
func (a *App) newCode() (string, error) {
	return a.auth.NewCode(auth.Principal{
		Subject: "operator",
		Grants:  []auth.Grant{{Actions: []auth.Action{auth.View, auth.Publish, auth.Admin}, Streams: []auth.Pattern{"**"}}},
		Expires: a.clock.Now().Add(a.cfg.Auth.SessionTTL),
	}, auth.MaxCodeLifetime)
}

// Link makes a link with a one-time code that logs its first user in as the operator.
func (a *App) Link() (string, error) {
	code, err := a.newCode()
	if err != nil {
		return "", err
	}
	return "https://" + a.linkHost() + "/#" + code, nil
}

// linkHost is how a browser on this machine, or on another if the server is not bound to this one, reaches the server.
func (a *App) linkHost() string {
	host, port, err := net.SplitHostPort(a.listener.Addr().String())
	if err != nil {
		return a.listener.Addr().String()
	}
	if domains := a.cfg.TLS.ACME.Domains; len(domains) > 0 {
		return net.JoinHostPort(domains[0], port)
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
		if len(a.cfg.Hosts) > 0 {
			host = a.cfg.Hosts[0]
		}
	}
	return net.JoinHostPort(host, port)
}

// Close frees what an App holds that is not run.
func (a *App) Close() error {
	err := errors.Join(a.listener.Close(), a.audit.Close())
	if a.figures != nil {
		err = errors.Join(err, a.figures.Close())
	}
	if a.tracing != nil {
		over, stop := context.WithCancel(context.Background())
		stop()
		a.tracing.Run(over)
	}
	return err
}

// witnessGrace is how long the witness may take for the last lines of the record.
const witnessGrace = 2 * time.Second

// Run serves until ctx is done or the listener fails. Everything it started has ended when it returns.
func (a *App) Run(ctx context.Context) error {
	// The audit log outlives all that writes to it.
	auditCtx, stopAudit := context.WithCancel(context.WithoutCancel(ctx))
	audited := make(chan error, 1)
	go func() { audited <- a.audit.Run(auditCtx) }()
	witnessCtx, stopWitness := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWitness()
	var witnessed sync.WaitGroup
	if a.witness != nil {
		witnessed.Go(func() { a.witness.Run(witnessCtx) })
	}

	// Captures end after the viewers have gone, who would else be told that their cameras are being restarted.
	captureCtx, stopCaptures := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	group.Go(func() error {
		defer stopCaptures()
		return a.httpd.Serve(ctx, a.listener)
	})
	group.Go(func() error { a.alerts.Run(captureCtx); return nil })
	group.Go(func() error { return a.clock.Run(captureCtx) })
	group.Go(func() error { return a.revoked.Run(captureCtx) })
	group.Go(func() error { return a.sessions.Run(captureCtx) })
	group.Go(func() error { return a.watchExposure(captureCtx) })
	group.Go(func() error { return a.webhook.Run(captureCtx) })
	group.Go(func() error { a.sample(captureCtx); return nil })
	if a.tracing != nil {
		group.Go(func() error { a.tracing.Run(captureCtx); return nil })
	}
	if a.figures != nil {
		group.Go(func() error { return a.serveFigures(captureCtx) })
	}
	if a.acme != nil {
		group.Go(func() error { return a.acme.Run(captureCtx) })
	}
	group.Go(func() error { a.streams.run(captureCtx); return nil })
	err := group.Wait()
	stopAudit()
	if auditErr := <-audited; auditErr != nil && !errors.Is(auditErr, context.Canceled) {
		err = errors.Join(err, auditErr)
	}
	// A receiver that is away does not hold up the end.
	giveUp := time.AfterFunc(witnessGrace, stopWitness)
	witnessed.Wait()
	giveUp.Stop()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // asked to stop
	}
	return err
}

func captureArgs(s config.Stream, level slog.Level) []string {
	args := []string{"--publish", "fd:3", "--log-level", strings.ToLower(level.String()), "--log-format", "json"}
	if s.Origin == config.OriginPage {
		args = append(args, "--guard")
	}
	for _, r := range s.Renditions {
		args = append(args, "--rendition", renditionSpec(r))
	}
	return args
}

// renditionSpec writes r as sightline-capture reads it.
func renditionSpec(r config.Rendition) string {
	if r.Passthrough {
		return "name=" + r.Name + ",codec=source"
	}
	spec := fmt.Sprintf("name=%s,codec=%s,height=%d,fps=%s",
		r.Name, r.Codec, r.Height, strconv.FormatFloat(float64(r.FrameRateMilli)/1000, 'f', -1, 64))
	if r.BitrateBps > 0 {
		spec += ",bitrate=" + strconv.Itoa(r.BitrateBps)
	}
	if r.Preset != "" {
		spec += ",preset=" + r.Preset
	}
	if r.Encoder != "" {
		spec += ",encoder=" + r.Encoder
	}
	return spec
}

// captureProgram finds sightline-capture: beside this program, or on the PATH.
func captureProgram(streams []config.Stream) (string, error) {
	needed := false
	for _, s := range streams {
		needed = needed || !s.Source.IsZero()
	}
	if !needed {
		return "", nil
	}
	return FindCapture()
}

// FindCapture gives the path of the program that reads cameras. The error says what to do where there is none.
func FindCapture() (string, error) {
	const name = "sightline-capture"
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if info, err := os.Stat(beside); err == nil && !info.IsDir() {
			return beside, nil
		}
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is neither beside this program nor on the PATH: build it with `make capture`, "+
			"or configure streams with publish: true only", name)
	}
	return found, nil
}
