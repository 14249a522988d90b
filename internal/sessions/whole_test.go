package sessions_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"sightline/internal/auth"
	"sightline/internal/revocation"
	"sightline/internal/sessions"
	"sightline/internal/walltime"
)

// server is the rooms that judge credentials, put together as a server does.
type server struct {
	auth     *auth.Authenticator
	revoked  *revocation.List
	running  *sessions.Registry
	clock    *walltime.Clock
	stop     context.CancelFunc
	finished sync.WaitGroup
}

func start(tb testing.TB, dir string, system func() time.Time) *server {
	tb.Helper()
	s := &server{}
	var err error
	if s.clock, err = walltime.Open(dir, system, slog.New(slog.DiscardHandler)); err != nil {
		tb.Fatal(err)
	}
	if s.revoked, err = revocation.Open(dir, revocation.Options{Now: s.clock.Now}); err != nil {
		tb.Fatal(err)
	}
	if s.auth, err = auth.Open(dir, auth.Options{Now: s.clock.Now, Check: s.revoked.Check}); err != nil {
		tb.Fatal(err)
	}
	s.running = sessions.New(s.clock.Now, s.revoked)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	for _, run := range []func(context.Context) error{s.clock.Run, s.revoked.Run, s.running.Run} {
		s.finished.Go(func() {
			if err := run(ctx); !errors.Is(err, context.Canceled) {
				tb.Error(err)
			}
		})
	}
	return s
}

func (s *server) close() {
	s.stop()
	s.finished.Wait()
}

func mint(tb testing.TB, a *auth.Authenticator) (string, auth.Principal) {
	tb.Helper()
	token, p, err := a.Mint(auth.Claims{Kind: auth.KindView, Subject: "alice", Grants: []auth.Grant{auth.Allow(auth.View, "door", "yard")}, Lifetime: time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	return token, p
}

// A command beside the server revokes; the server ends what runs, and refuses the rest, and so after a restart.
func TestWhole_RevokedByAnotherProcess(t *testing.T) {
	for name, entry := range map[string]func(auth.Principal) revocation.Entry{
		"token": func(p auth.Principal) revocation.Entry { return revocation.Entry{Kind: revocation.Token, Value: p.ID} },
		"key":   func(p auth.Principal) revocation.Entry { return revocation.Entry{Kind: revocation.Key, Value: p.KeyID} },
		"subject": func(auth.Principal) revocation.Entry {
			return revocation.Entry{Kind: revocation.Subject, Value: "alice"}
		},
		"all": func(auth.Principal) revocation.Entry { return revocation.Entry{Kind: revocation.All} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := start(t, dir, time.Now)
			token, p := mint(t, s.auth)
			ticket, err := s.auth.NewTicket(p, auth.View, "door", "")
			if err != nil {
				t.Fatal(err)
			}
			ctx, _, done, err := s.running.Watch(t.Context(), p, sessions.Info{Kind: "watch", Stream: "door"})
			if err != nil {
				t.Fatal(err)
			}
			tool, err := revocation.Open(dir, revocation.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := tool.Add(entry(p)); err != nil {
				t.Fatal(err)
			}
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), auth.ErrRevoked) {
				t.Errorf("ended by %v", context.Cause(ctx))
			}
			done()
			if _, err := s.auth.RedeemTicket(ticket, auth.View, "door", ""); !errors.Is(err, auth.ErrRevoked) {
				t.Errorf("its ticket: %v", err)
			}
			s.close()
			s = start(t, dir, time.Now)
			defer s.close()
			if _, err := s.auth.Verify(token, auth.KindView); !errors.Is(err, auth.ErrRevoked) {
				t.Errorf("its token, after a restart: %v", err)
			}
		})
	}
}

func TestWhole_RevokedStreamLeavesTheOthers(t *testing.T) {
	s := start(t, t.TempDir(), time.Now)
	defer s.close()
	_, p := mint(t, s.auth)
	door, _, done, err := s.running.Watch(t.Context(), p, sessions.Info{Stream: "door"})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	yard, _, done, err := s.running.Watch(t.Context(), p, sessions.Info{Stream: "yard"})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if err := s.revoked.Add(revocation.Entry{Kind: revocation.Stream, Value: "door"}); err != nil {
		t.Fatal(err)
	}
	<-door.Done()
	if yard.Err() != nil {
		t.Errorf("the other stream ended: %v", context.Cause(yard))
	}
	if _, err := s.auth.NewTicket(p, auth.View, "door", ""); !errors.Is(err, auth.ErrRevoked) {
		t.Errorf("a ticket for it: %v", err)
	}
	if _, err := s.auth.NewTicket(p, auth.View, "yard", ""); err != nil {
		t.Errorf("a ticket for the other: %v", err)
	}
}

// A clock set back by hours revives no token, neither while the server runs nor after a restart.
func TestWhole_AClockSetBackRevivesNothing(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	system := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	set := func(to time.Time) {
		mu.Lock()
		defer mu.Unlock()
		now = to
	}
	s := start(t, dir, system)
	token, p := mint(t, s.auth)
	refused := func(when string) {
		t.Helper()
		if _, err := s.auth.Verify(token, auth.KindView); !errors.Is(err, auth.ErrExpired) {
			t.Errorf("%s: %v", when, err)
		}
		if _, _, _, err := s.running.Watch(t.Context(), p, sessions.Info{}); !errors.Is(err, auth.ErrExpired) {
			t.Errorf("%s, a session: %v", when, err)
		}
	}
	set(p.Expires)
	refused("at its end")
	set(p.Expires.Add(-time.Hour))
	refused("set back")
	s.close()
	s = start(t, dir, system)
	defer s.close()
	refused("set back, after a restart")
}

// From a command's return until what runs has ended: the server polls four times a second.
func BenchmarkRevokedByAnotherProcess(b *testing.B) {
	dir := b.TempDir()
	s := start(b, dir, time.Now)
	defer s.close()
	tool, err := revocation.Open(dir, revocation.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var worst time.Duration
	for b.Loop() {
		_, p := mint(b, s.auth)
		ctx, _, done, err := s.running.Watch(b.Context(), p, sessions.Info{})
		if err != nil {
			b.Fatal(err)
		}
		if err := tool.Add(revocation.Entry{Kind: revocation.Token, Value: p.ID}); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		<-ctx.Done()
		worst = max(worst, time.Since(began))
		done()
	}
	b.ReportMetric(float64(worst.Milliseconds()), "ms-worst")
}
