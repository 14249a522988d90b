package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sightline/internal/auth"
	"sightline/internal/media"
	"sightline/internal/sessions"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// list is Revocations in the test's hand.
type list struct {
	mu      sync.Mutex
	barred  map[string]error // by subject
	changed chan struct{}
}

func newList() *list { return &list{barred: map[string]error{}, changed: make(chan struct{})} }

func (l *list) Check(p auth.Principal, _ media.StreamID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.barred[p.Subject]
}

func (l *list) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *list) bar(subject string, err error, tell bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.barred[subject] = err
	if tell {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

func person(name string, left time.Duration) auth.Principal {
	return auth.Principal{Subject: name, ID: name + "'s token", Expires: time.Now().Add(left)}
}

// in runs f beside a Registry with its Run, in a bubble with a clock of its own.
func in(t *testing.T, f func(t *testing.T, r *sessions.Registry, l *list)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newList()
		r := sessions.New(time.Now, l)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		f(t, r, l)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func mustWatch(t *testing.T, r *sessions.Registry, p auth.Principal) (ctx context.Context, id string) {
	t.Helper()
	ctx, id, done, err := r.Watch(t.Context(), p, sessions.Info{Kind: "watch", Stream: "door", Remote: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	return ctx, id
}

func TestWatch_EndsAtExpiryToTheMoment(t *testing.T) {
	in(t, func(t *testing.T, r *sessions.Registry, _ *list) {
		began := time.Now()
		ctx, _ := mustWatch(t, r, person("alice", 1500*time.Millisecond))
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), auth.ErrExpired) || time.Since(began) != 1500*time.Millisecond {
			t.Errorf("ended after %s by %v", time.Since(began), context.Cause(ctx))
		}
	})
}

func TestWatch_EndsWhenRevoked(t *testing.T) {
	in(t, func(t *testing.T, r *sessions.Registry, l *list) {
		alice, _ := mustWatch(t, r, person("alice", time.Hour))
		bob, _ := mustWatch(t, r, person("bob", time.Hour))
		began := time.Now()
		l.bar("alice", fmt.Errorf("by subject: %w", auth.ErrRevoked), true)
		<-alice.Done()
		if !errors.Is(context.Cause(alice), auth.ErrRevoked) || time.Since(began) != 0 {
			t.Errorf("ended after %s by %v", time.Since(began), context.Cause(alice))
		}
		if bob.Err() != nil {
			t.Error("another one ended too")
		}
		if _, _, _, err := r.Watch(t.Context(), person("alice", time.Hour), sessions.Info{}); !errors.Is(err, auth.ErrRevoked) {
			t.Errorf("a new session: %v", err)
		}
		if n := len(r.List(nil)); n != 2 {
			t.Errorf("%d in the register: only done takes one out", n)
		}
	})
}

func TestWatch_RefusesWhatIsOver(t *testing.T) {
	in(t, func(t *testing.T, r *sessions.Registry, l *list) {
		l.bar("carol", auth.ErrUnavailable, false)
		for p, want := range map[*auth.Principal]error{
			new(person("alice", 0)): auth.ErrExpired, new(person("alice", -time.Hour)): auth.ErrExpired, {}: auth.ErrExpired,
			new(person("carol", time.Hour)): auth.ErrUnavailable,
		} {
			if _, _, _, err := r.Watch(t.Context(), *p, sessions.Info{}); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		if n := len(r.List(nil)); n != 0 {
			t.Errorf("%d registered", n)
		}
	})
}

// A list that cannot be read lets nobody in, and ends nobody.
func TestWatch_GoesOnWhenRevocationsCannotBeRead(t *testing.T) {
	in(t, func(t *testing.T, r *sessions.Registry, l *list) {
		ctx, _ := mustWatch(t, r, person("alice", time.Hour))
		l.bar("alice", auth.ErrUnavailable, true)
		time.Sleep(10 * time.Second) // of the bubble
		synctest.Wait()
		if ctx.Err() != nil {
			t.Errorf("ended by %v", context.Cause(ctx))
		}
	})
}

// The wall clock alone says that it is over: the machine slept, and its timers with it.
func TestRun_LooksAtTheWall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var slept time.Duration
		now := func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(slept)
		}
		r := sessions.New(now, newList())
		stop, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(stop) }()
		ctx, _ := mustWatch(t, r, person("alice", time.Hour))
		mu.Lock()
		slept = 2 * time.Hour
		mu.Unlock()
		began := time.Now()
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), auth.ErrExpired) || time.Since(began) > time.Second {
			t.Errorf("ended after %s by %v", time.Since(began), context.Cause(ctx))
		}
		cancel()
		_ = <-done // its error is the context's
	})
}

func TestRenew_GoesOnWithoutABreak(t *testing.T) {
	in(t, func(t *testing.T, r *sessions.Registry, l *list) {
		began := time.Now()
		ctx, id := mustWatch(t, r, person("alice", time.Minute))
		time.Sleep(50 * time.Second) // of the bubble
		if err := r.Renew(id, person("bob", time.Hour)); !errors.Is(err, auth.ErrNotAllowed) {
			t.Errorf("as another: %v", err)
		}
		if err := r.Renew(id, person("alice", 0)); !errors.Is(err, auth.ErrExpired) {
			t.Errorf("by what has expired: %v", err)
		}
		if err := r.Renew("none", person("alice", time.Hour)); !errors.Is(err, auth.ErrNotAllowed) {
			t.Errorf("no such session: %v", err)
		}
		if err := r.Renew(id, person("alice", time.Minute)); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
		if got := time.Since(began); got != 110*time.Second || !errors.Is(context.Cause(ctx), auth.ErrExpired) {
			t.Errorf("ended after %s by %v", got, context.Cause(ctx))
		}
		ctx, id = mustWatch(t, r, person("alice", time.Minute))
		l.bar("alice", auth.ErrUnavailable, false)
		if err := r.Renew(id, person("alice", time.Hour)); !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("while nothing can be checked: %v", err)
		}
		l.bar("alice", nil, false)
		if ctx.Err() != nil {
			t.Error("a renewal that was refused ended the session")
		}
	})
}

func TestList_AndEnd(t *testing.T) {
	in(t, func(t *testing.T, r *sessions.Registry, _ *list) {
		alice, id := mustWatch(t, r, person("alice", time.Hour))
		time.Sleep(time.Second) // of the bubble
		bob, _ := mustWatch(t, r, person("bob", time.Hour))
		all := r.List(nil)
		if len(all) != 2 || all[0].Subject != "alice" || all[0].ID != id || all[0].Remote != "192.0.2.1" || all[0].Kind != "watch" ||
			all[0].Stream != "door" || all[0].TokenID != "alice's token" || all[0].Expires.Sub(all[0].Since) != time.Hour {
			t.Errorf("%+v", all)
		}
		if some := r.List(func(s sessions.Session) bool { return s.Subject == "bob" }); len(some) != 1 {
			t.Errorf("%+v", some)
		}
		if !r.End(id) || r.End("none") {
			t.Error("End tells otherwise than it does")
		}
		<-alice.Done()
		if !errors.Is(context.Cause(alice), sessions.ErrEnded) || bob.Err() != nil {
			t.Errorf("alice ended by %v, bob by %v", context.Cause(alice), context.Cause(bob))
		}
	})
}

func TestWatch_DoneTakesItOut(t *testing.T) {
	in(t, func(t *testing.T, r *sessions.Registry, _ *list) {
		ctx, _, done, err := r.Watch(t.Context(), person("alice", time.Minute), sessions.Info{})
		if err != nil {
			t.Fatal(err)
		}
		done()
		done() // may be called twice
		if len(r.List(nil)) != 0 || !errors.Is(context.Cause(ctx), context.Canceled) {
			t.Errorf("%v, %v", r.List(nil), context.Cause(ctx))
		}
		time.Sleep(2 * time.Minute) // of the bubble: its timer does nothing more
	})
}

func TestWatch_ManyAtOnce(t *testing.T) {
	in(t, func(t *testing.T, r *sessions.Registry, l *list) {
		var wg sync.WaitGroup
		for n := range 500 {
			wg.Go(func() {
				name := fmt.Sprint("user", n%50)
				ctx, _, done, err := r.Watch(t.Context(), person(name, time.Duration(1+n%5)*time.Second), sessions.Info{Kind: "watch"})
				if err != nil {
					if !errors.Is(err, auth.ErrRevoked) {
						t.Error(err)
					}
					return
				}
				defer done()
				<-ctx.Done()
				if cause := context.Cause(ctx); !errors.Is(cause, auth.ErrExpired) && !errors.Is(cause, auth.ErrRevoked) {
					t.Error(cause)
				}
			})
		}
		for n := range 10 {
			l.bar(fmt.Sprint("user", n), auth.ErrRevoked, true)
		}
		wg.Wait()
		if n := len(r.List(nil)); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

func TestNote_FiguresAreListedWhileTheyAreNew(t *testing.T) {
	in(t, func(t *testing.T, r *sessions.Registry, _ *list) {
		_, id := mustWatch(t, r, person("alice", time.Hour))
		figures := func() sessions.Figures { return r.List(nil)[0].Figures }
		if f := figures(); f != (sessions.Figures{}) {
			t.Errorf("before it said any: %+v", f)
		}
		r.Note(id, sessions.Figures{Limit: "network", PaintP50: 25 * time.Millisecond}, 30, 2)
		if f := figures(); f.Limit != "network" || f.PaintP50 != 25*time.Millisecond || f.FrameRate != 0 || f.Dropped != 2 {
			t.Errorf("the first: %+v", f)
		}
		time.Sleep(2 * time.Second)
		r.Note(id, sessions.Figures{}, 50, 3)
		if f := figures(); f.FrameRate != 25 || f.Dropped != 5 || f.Limit != "" {
			t.Errorf("the second: %+v", f)
		}
		time.Sleep(11 * time.Second)
		if f := figures(); f != (sessions.Figures{}) {
			t.Errorf("long after: %+v", f)
		}
		r.Note("nobody", sessions.Figures{}, 1, 1)
	})
}
