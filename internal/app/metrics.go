package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"sightline/internal/audit"
	"sightline/internal/authority"
	"sightline/internal/build"
	"sightline/internal/history"
	"sightline/internal/httpd"
	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/metrics"
	"sightline/internal/sessions"
)

// newMetrics makes the server's figures. What it asks for need not be there yet.
func (a *App) newMetrics() *metrics.Metrics {
	return metrics.New(metrics.Sources{
		Streams:  a.streamTotals,
		Sessions: func() []sessions.Session { return a.sessions.List(nil) },
		Restarts: func(id media.StreamID) int { return a.streams.restartsOf(id).Count },
		Audit:    func() audit.Health { return a.audit.Health() },
		Alerts:   func() map[string]uint64 { return a.alerts.Raised() },
	}, build.Read())
}

// streamTotals are those of all streams but cameras that are tried out, whose names are good for once.
func (a *App) streamTotals() []hub.StreamTotals {
	return slices.DeleteFunc(a.hub.Totals(), func(s hub.StreamTotals) bool {
		return strings.HasPrefix(string(s.ID), httpd.TrialPrefix)
	})
}

// recorder counts what is recorded.
type recorder struct {
	log     *audit.Log
	metrics *metrics.Metrics
}

// Append implements httpd.Recorder.
func (r recorder) Append(ctx context.Context, rec audit.Record) error {
	began := time.Now()
	err := r.log.Append(ctx, rec)
	r.metrics.Recorded(rec, time.Since(began), err)
	return err
}

// sample keeps the charts going until ctx is done, and the figures tidy.
func (a *App) sample(ctx context.Context) {
	history.NewSampler(a.history, history.Sources{
		Now: a.clock.Now,
		Streams: func() []hub.StreamTotals {
			a.metrics.Tidy()
			return a.streamTotals()
		},
		Sessions: func() []sessions.Session { return a.sessions.List(nil) },
		Refused:  a.metrics.Refused,
	}, a.log.With("room", "history")).Run(ctx)
}

// listenForFigures takes the port of the metrics, where they have one.
func (a *App) listenForFigures() (err error) {
	if a.cfg.Metrics.Listen == "" {
		return nil
	}
	if a.figures, err = net.Listen("tcp", a.cfg.Metrics.Listen); err != nil {
		return fmt.Errorf("metrics.listen: %w: choose another port, or stop the program that has it", err)
	}
	return nil
}

const (
	// figuresTimeout bounds each part of a request for figures.
	figuresTimeout   = 10 * time.Second
	figuresMaxHeader = 8 << 10
)

// serveFigures answers on the port of the metrics until ctx is done.
func (a *App) serveFigures(ctx context.Context) error {
	log := a.log.With("room", "metrics")
	hosts, err := authority.Hosts(a.cfg.Hosts)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metrics.Handler())
	server := &http.Server{
		Handler: calledByName(hosts, mux), ReadTimeout: figuresTimeout, WriteTimeout: figuresTimeout, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: figuresMaxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	log.Info("figures for Prometheus", "address", "http://"+a.figures.Addr().String()+"/metrics")
	served := make(chan error, 1)
	go func() { served <- server.Serve(a.figures) }()
	select {
	case err := <-served:
		return fmt.Errorf("metrics on %s: %w", a.figures.Addr(), err)
	case <-ctx.Done():
	}
	err = server.Close()
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// calledByName refuses requests that are meant for another name than an address or one of hosts: a page that has its own name lead to this
// machine (DNS rebinding) gets nothing.
func calledByName(hosts []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if net.ParseIP(authority.HostName(r.Host)) == nil && !authority.Named(hosts, r.Host) {
			http.Error(w, "This server does not answer to that name; add it to hosts in its configuration.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
