// Package sessions is the register of what is running with somebody's leave: viewers, publishers, pictures that follow one
// another. Each ends by itself when its leave does: expired, revoked, or ended by a person. The package knows no sockets
// and no HTTP: it cancels a context, and the cause says why. Its one goroutine is the caller's: the one that calls Run.
package sessions

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sightline/internal/auth"
	"sightline/internal/media"
)

// ErrEnded is the cause of a session that End ended.
var ErrEnded = errors.New("ended by a person")

// lookEvery is how often sessions are compared with the wall clock. Their own timers do not run while a machine sleeps.
const lookEvery = time.Second

// Revocations says who is barred; *revocation.List is one.
type Revocations interface {
	// Check returns nil, or an error that wraps auth.ErrRevoked or auth.ErrUnavailable.
	Check(p auth.Principal, s media.StreamID) error
	// Changed is closed when something more is revoked.
	Changed() <-chan struct{}
}

// Info is what a session is, as the one who starts it knows.
type Info struct {
	Kind   string // "watch", "publish", ...
	Stream media.StreamID
	Remote string
}

// Session is one that runs.
type Session struct {
	Info
	ID      string // names it; opens nothing
	Subject string
	TokenID string
	Since   time.Time
	Expires time.Time
	Figures Figures
}

// figuresLast is for how long figures count: viewers tell them once a second, and none while they are paused.
const figuresLast = 10 * time.Second

// Figures are how a viewer fares, as it said last. At is zero for what has not said so lately.
type Figures struct {
	At         time.Time
	Rendition  media.Rendition // the one it has
	Limit      string          // what keeps it from more, as the watch protocol says it
	Stills     bool            // its network carries still pictures alone
	PaintP50   time.Duration   // from capture to the screen
	PaintP95   time.Duration
	FrameRate  float64 // pictures shown a second
	Dropped    int     // pictures that came and were not shown, in all
	BitrateBps int
}

// Registry holds the running sessions. Safe for concurrent use.
type Registry struct {
	now         func() time.Time
	revocations Revocations

	mu      sync.Mutex
	running map[string]*running
}

type running struct {
	Session
	principal auth.Principal
	cancel    context.CancelCauseFunc
	// The monotonic clock's end of it.
	deadline time.Time
	timer    *time.Timer
}

// New makes a Registry. now is the wall clock; a server gives one that never goes back.
func New(now func() time.Time, revocations Revocations) *Registry {
	return &Registry{now: now, revocations: revocations, running: map[string]*running{}}
}

// Watch registers a session of p, and returns its ID and a context for all that it does: that ends with the cause
// auth.ErrExpired, auth.ErrRevoked or ErrEnded (context.Cause; errors.Is). Call done when the session is over, always.
// The error wraps auth.ErrExpired, auth.ErrRevoked or auth.ErrUnavailable, and then nothing was registered.
func (r *Registry) Watch(ctx context.Context, p auth.Principal, info Info) (watched context.Context, id string, done func(), err error) {
	now := r.now()
	left := p.Expires.Sub(now)
	if left <= 0 {
		return nil, "", nil, fmt.Errorf("%s %s: %w", info.Kind, info.Stream, auth.ErrExpired)
	}
	watched, cancel := context.WithCancelCause(ctx)
	s := &running{
		Session:   Session{Info: info, ID: rand.Text(), Subject: p.Subject, TokenID: p.ID, Since: now, Expires: p.Expires},
		principal: p,
		cancel:    cancel,
		deadline:  time.Now().Add(left),
	}
	r.mu.Lock()
	s.timer = time.AfterFunc(left, func() { r.expire(s) })
	r.running[s.ID] = s
	r.mu.Unlock()
	done = func() {
		r.mu.Lock()
		delete(r.running, s.ID)
		s.timer.Stop()
		r.mu.Unlock()
		cancel(context.Canceled)
	}
	// Registered first and checked then: a revocation in between finds it in the register.
	if err := r.revocations.Check(p, info.Stream); err != nil {
		done()
		return nil, "", nil, fmt.Errorf("%s %s: %w", info.Kind, info.Stream, err)
	}
	return watched, s.ID, done, nil
}

// Renew goes on with a session as p, from a newer credential, without a break. p must be of the same subject and be
// allowed what the session does: the caller has checked that. The error wraps auth.ErrExpired, auth.ErrRevoked,
// auth.ErrUnavailable or auth.ErrNotAllowed (another subject, or the session has ended), and then nothing has changed.
func (r *Registry) Renew(id string, p auth.Principal) error {
	r.mu.Lock()
	s, ok := r.running[id]
	r.mu.Unlock()
	if !ok || s.principal.Subject != p.Subject {
		return fmt.Errorf("renew a session: %w", auth.ErrNotAllowed)
	}
	left := p.Expires.Sub(r.now())
	if left <= 0 {
		return fmt.Errorf("renew a session: %w", auth.ErrExpired)
	}
	if err := r.revocations.Check(p, s.Stream); err != nil {
		return fmt.Errorf("renew a session: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.principal, s.TokenID, s.Expires = p, p.ID, p.Expires
	s.deadline = time.Now().Add(left)
	s.timer.Reset(left)
	return nil
}

// Note takes down how the viewer of a session fares: the pictures it has shown and dropped since it last said so.
func (r *Registry) Note(id string, f Figures, shown, dropped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.running[id]
	if !ok {
		return
	}
	before := s.Figures
	f.At, f.Dropped = r.now(), before.Dropped+max(0, dropped)
	if over := f.At.Sub(before.At); !before.At.IsZero() && over > 0 {
		f.FrameRate = float64(max(0, shown)) / over.Seconds()
	}
	s.Figures = f
}

// List is the sessions that keep selects, the oldest first; all of them where keep is nil.
func (r *Registry) List(keep func(Session) bool) []Session {
	r.mu.Lock()
	var list []Session
	now := r.now()
	for _, s := range r.running {
		x := s.Session
		if now.Sub(x.Figures.At) > figuresLast {
			x.Figures = Figures{}
		}
		if keep == nil || keep(x) {
			list = append(list, x)
		}
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b Session) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// End ends a session; false when there is none of that name.
func (r *Registry) End(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.running[id]
	if ok {
		s.cancel(ErrEnded)
	}
	return ok
}

// Run ends sessions as they expire and are revoked, until ctx is done. It leaves those that run then alone.
func (r *Registry) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		changed := r.revocations.Changed()
		r.look() // after asking for the channel: nothing is missed
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-changed:
		}
	}
}

// look ends the sessions whose leave is over.
func (r *Registry) look() {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.running {
		if !now.Before(s.Expires) {
			s.cancel(auth.ErrExpired)
		} else if err := r.revocations.Check(s.principal, s.Stream); errors.Is(err, auth.ErrRevoked) {
			s.cancel(err)
		}
	}
}

// expire ends a session whose timer ran out, unless it was renewed at that moment.
func (r *Registry) expire(s *running) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !time.Now().Before(s.deadline) {
		s.cancel(auth.ErrExpired)
	}
}
