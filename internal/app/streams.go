package app

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"sightline/internal/config"
	"sightline/internal/httpd"
	"sightline/internal/ingest"
	"sightline/internal/media"
	"sightline/internal/sessions"
	"sightline/internal/supervise"
	"sightline/internal/transport/pipe"
	"sightline/internal/wire"
)

// streams are those of the configuration, with a capture process for each that has a source. Its methods are safe for
// concurrent use.
type streams struct {
	app *App

	mu      sync.Mutex
	list    []config.Stream             // as configured now; guarded by mu
	level   slog.Level                  // of the logs of processes that start; guarded by mu
	running map[media.StreamID]*process // guarded by mu
	trials  map[media.StreamID]*process // of cameras that are tried out; guarded by mu
	program string                      // of capture, "" while no stream needs it; guarded by mu
	ctx     context.Context             //nolint:containedctx // of all processes: those of streams that come later too. Nil before run; guarded by mu

	// A process that ends notes it here while change waits for that end with mu: it has a lock of its own.
	noting   sync.Mutex
	restarts map[media.StreamID]httpd.Restarts // guarded by noting
}

// process is a capture process that is kept running.
type process struct {
	stop context.CancelFunc
	done chan struct{}
}

func newStreams(a *App, cfg config.Config, program string) *streams {
	for _, s := range cfg.Streams {
		a.hub.Declare(s.ID)
	}
	return &streams{
		app: a, list: cfg.Streams, program: program, level: cfg.Log.Level, running: map[media.StreamID]*process{}, trials: map[media.StreamID]*process{}, restarts: map[media.StreamID]httpd.Restarts{},
	}
}

// run keeps the capture processes running until ctx is done and all have ended.
func (m *streams) run(ctx context.Context) {
	m.mu.Lock()
	m.ctx = ctx
	for _, s := range m.list {
		m.start(s)
	}
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock()
	ending := slices.Collect(maps.Values(m.running))
	ending = slices.AppendSeq(ending, maps.Values(m.trials))
	m.mu.Unlock()
	for _, p := range ending { // nothing begins any more
		<-p.done
	}
}

// start starts the capture process of a stream that has a source. mu is held.
func (m *streams) start(s config.Stream) {
	if s.Source.IsZero() || m.ctx == nil || m.ctx.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(m.ctx)
	p := &process{stop, make(chan struct{})}
	m.running[s.ID] = p
	program, level := m.program, m.level
	go func() {
		defer close(p.done)
		m.app.runCapture(ctx, program, s, level)
	}()
}

// change goes on with the streams of another configuration, and the program that captures them. Those that are in both, the same, do not notice; of those that are not,
// whatever runs is ended first.
func (m *streams) change(cfg config.Config, program string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := cfg.Streams
	m.level, m.program = cfg.Log.Level, program
	same := map[media.StreamID]bool{}
	stay := map[media.StreamID]bool{}
	for _, s := range list {
		stay[s.ID] = true
		for _, old := range m.list {
			old.Groups = s.Groups // are for the pages: no picture changes with them
			if old.ID == s.ID && reflect.DeepEqual(old, s) {
				same[s.ID] = true
			}
		}
	}
	var ended []*process
	for _, old := range m.list {
		if same[old.ID] {
			continue
		}
		if p := m.running[old.ID]; p != nil {
			p.stop()
			ended = append(ended, p)
			delete(m.running, old.ID)
		}
		// A publisher of a stream that has a source now, or is gone, may not go on; viewers only of one that is gone.
		for _, x := range m.app.sessions.List(func(x sessions.Session) bool {
			return x.Stream == old.ID && (x.Kind == "publish" || !stay[old.ID])
		}) {
			m.app.sessions.End(x.ID)
		}
		if !stay[old.ID] {
			m.app.hub.Withdraw(old.ID)
		}
		m.forgetRestarts(old.ID)
	}
	for _, p := range ended {
		<-p.done
	}
	m.list = list
	for _, s := range list {
		if !same[s.ID] {
			m.app.hub.Declare(s.ID)
			m.start(s)
		}
	}
}

// capture is the program that captures, "" while none was needed.
func (m *streams) capture() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.program
}

// mayPublish tells whether a stream is open to publishers over the network: those configured so, and any that is not
// configured at all, for which a publish token is leave enough.
func (m *streams) mayPublish(id media.StreamID) bool {
	if strings.HasPrefix(string(id), httpd.TrialPrefix) {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.list {
		if s.ID == id {
			return s.Publish
		}
	}
	return true
}

// restarted notes that the capture process of a stream ended without being asked to, and why.
func (m *streams) restarted(id media.StreamID, why string) {
	m.noting.Lock()
	defer m.noting.Unlock()
	m.restarts[id] = httpd.Restarts{Count: m.restarts[id].Count + 1, Last: time.Now(), Why: why}
}

// restartsOf tells how often the capture process of a stream had to be started again.
func (m *streams) restartsOf(id media.StreamID) httpd.Restarts {
	m.noting.Lock()
	defer m.noting.Unlock()
	return m.restarts[id]
}

func (m *streams) forgetRestarts(id media.StreamID) {
	m.noting.Lock()
	defer m.noting.Unlock()
	delete(m.restarts, id)
}

// groups are those that the configuration names for a stream; without any, the part of its name before the last slash.
func (m *streams) groups(id media.StreamID) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.list {
		if s.ID == id && len(s.Groups) > 0 {
			return s.Groups
		}
	}
	if i := strings.LastIndexByte(string(id), '/'); i > 0 {
		return []string{string(id[:i])}
	}
	return []string{}
}

// runCapture keeps the capture process of one stream running until ctx is done.
func (a *App) runCapture(ctx context.Context, program string, s config.Stream, level slog.Level) {
	log := a.log.With("stream", s.ID)
	err := supervise.Run(ctx, supervise.Options{
		Program: program,
		Args:    captureArgs(s, level),
		Env:     []string{"SIGHTLINE_SOURCE=" + s.Source.Reveal(), "PATH=/usr/bin:/bin", "LC_ALL=C"},
		Serve: func(ctx context.Context, conn net.Conn) error {
			return ingest.Serve(ctx, s.ID, pipe.New(conn, wire.MaxMessageLen), a.hub, ingest.Options{
				Epoch: a.epoch, LeftState: media.StateRestarting, LeftCause: media.CauseRestarted,
				LeftDetail: "The capture process ended; it is being started again.", Padding: ingest.Padding(a.cfg.Padding),
			}, log)
		},
		Restarting: func(why error) {
			a.streams.restarted(s.ID, redactor(s.Source)(why.Error()))
			var gaveUp *supervise.GaveUpError
			if errors.As(why, &gaveUp) { // the words say more than any cause does
				a.hub.SetStatus(s.ID, media.StateOffline, "", "This camera cannot be read: "+gaveUp.Words+".")
				return
			}
			a.hub.SetStatus(s.ID, media.StateRestarting, media.CauseRestarted, "The capture process ended unexpectedly; it is being started again.")
		},
		Redact: redactor(s.Source),
	}, log)
	if !errors.Is(err, context.Canceled) {
		log.Error("capture process is kept running no longer", "error", err)
	}
}

// redactor hides a source's login, in the whole address and alone.
func redactor(source config.Source) func(string) string {
	pairs := []string{source.Reveal(), source.String()}
	if u, err := url.Parse(source.Reveal()); err == nil && u.User != nil {
		if password, _ := u.User.Password(); password != "" {
			pairs = append(pairs, u.User.String(), "***", password, "***")
		}
	}
	return strings.NewReplacer(pairs...).Replace
}
