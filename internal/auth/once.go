package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"sightline/internal/media"
)

// The limits of one-time credentials.
const (
	// MaxCodeLifetime is the longest a one-time login code may wait to be used.
	MaxCodeLifetime = 10 * time.Minute
	// TicketLifetime is how long a ticket waits to be used.
	TicketLifetime = 30 * time.Second

	maxCodes             = 1000
	maxTickets           = 20_000
	maxTicketsPerSubject = 200
)

// ticket is what one connection was promised.
type ticket struct {
	principal Principal
	action    Action
	stream    media.StreamID
	origin    string
}

// NewCode makes a one-time code that logs its holder in as p, once, within ttl (at most MaxCodeLifetime).
// The session that follows ends with p.Expires. The error wraps ErrTooMany when too many wait.
func (a *Authenticator) NewCode(p Principal, ttl time.Duration) (string, error) {
	if ttl <= 0 || ttl > MaxCodeLifetime {
		return "", fmt.Errorf("make code: a lifetime of %s is out of bounds: want up to %s", ttl, MaxCodeLifetime)
	}
	if err := errors.Join(checkSubject(p.Subject), checkGrants(KindSession, p.Grants)); err != nil {
		return "", fmt.Errorf("make code: %w", err)
	}
	now := a.now()
	if !now.Before(p.Expires) {
		return "", fmt.Errorf("make code: %w", ErrExpired)
	}
	code, err := a.codes.put(p, p.Subject, now, now.Add(ttl))
	if err != nil {
		return "", fmt.Errorf("make code: %w", err)
	}
	return code, nil
}

// RedeemCode returns the principal a code was made for, to exactly one caller. The error wraps ErrMissing,
// ErrUsed or ErrExpired.
func (a *Authenticator) RedeemCode(code string) (Principal, error) {
	now := a.now()
	p, err := a.codes.take(code, now)
	if err != nil {
		return Principal{}, fmt.Errorf("code: %w", err)
	}
	if !now.Before(p.Expires) {
		return Principal{}, fmt.Errorf("code: %w", ErrExpired)
	}
	return p, nil
}

// NewTicket makes a ticket with which p opens one connection, for action on stream, from a page of origin,
// within TicketLifetime. origin is compared byte for byte; it is "" for clients that are no browsers. The
// error wraps ErrNotAllowed, ErrExpired or ErrTooMany.
func (a *Authenticator) NewTicket(p Principal, action Action, stream media.StreamID, origin string) (string, error) {
	if err := p.Allows(action, stream); err != nil {
		return "", fmt.Errorf("make ticket: %w", err)
	}
	now := a.now()
	if !now.Before(p.Expires) {
		return "", fmt.Errorf("make ticket: %w", ErrExpired)
	}
	secret, err := a.tickets.put(ticket{p, action, stream, origin}, p.Subject, now, now.Add(TicketLifetime))
	if err != nil {
		return "", fmt.Errorf("make ticket: %w", err)
	}
	return secret, nil
}

// RedeemTicket uses a ticket up and returns its principal when it was made for exactly this action, stream and
// origin. It is used up first and judged then: a ticket tried in the wrong place is dead, and of any number of
// concurrent callers exactly one gets past that point. The error wraps ErrMissing, ErrUsed, ErrExpired,
// ErrWrongOrigin or ErrNotAllowed.
func (a *Authenticator) RedeemTicket(secret string, action Action, stream media.StreamID, origin string) (Principal, error) {
	now := a.now()
	t, err := a.tickets.take(secret, now)
	switch {
	case err != nil:
		return Principal{}, fmt.Errorf("ticket: %w", err)
	case t.origin != origin:
		return Principal{}, fmt.Errorf("ticket: %w", ErrWrongOrigin)
	case t.action != action || t.stream != stream:
		return Principal{}, fmt.Errorf("ticket made for another action or stream: %w", ErrNotAllowed)
	case !now.Before(t.principal.Expires):
		return Principal{}, fmt.Errorf("ticket: %w", ErrExpired)
	}
	return t.principal, nil
}

// vault keeps values that can be taken out once, by a secret of which it keeps only the hash. Looking up by
// hash also leaves nothing to learn from how long a look-up takes.
type vault[T any] struct {
	limit           int // in all
	limitPerSubject int

	mu        sync.Mutex
	entries   map[[sha256.Size]byte]entry[T]
	bySubject map[string]int // how many entries each subject has
}

type entry[T any] struct {
	value   T
	subject string
	expires time.Time
}

func newVault[T any](limit, limitPerSubject int) *vault[T] {
	return &vault[T]{
		limit: limit, limitPerSubject: limitPerSubject,
		entries: map[[sha256.Size]byte]entry[T]{}, bySubject: map[string]int{},
	}
}

// put stores value until expires and returns its secret. The error is ErrTooMany.
func (v *vault[T]) put(value T, subject string, now, expires time.Time) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.full(subject) {
		for key, e := range v.entries {
			if !now.Before(e.expires) {
				v.remove(key, e)
			}
		}
		if v.full(subject) {
			return "", ErrTooMany
		}
	}
	secret := newSecret()
	v.entries[sha256.Sum256([]byte(secret))] = entry[T]{value, subject, expires}
	v.bySubject[subject]++
	return secret, nil
}

// take removes and returns the value of secret. The error is ErrMissing, ErrUsed or ErrExpired.
func (v *vault[T]) take(secret string, now time.Time) (T, error) {
	var none T
	if secret == "" {
		return none, ErrMissing
	}
	key := sha256.Sum256([]byte(secret))
	v.mu.Lock()
	defer v.mu.Unlock()
	e, ok := v.entries[key]
	if !ok {
		return none, ErrUsed
	}
	v.remove(key, e)
	if !now.Before(e.expires) {
		return none, ErrExpired
	}
	return e.value, nil
}

// full and remove are called with mu held.
func (v *vault[T]) full(subject string) bool {
	return len(v.entries) >= v.limit || v.bySubject[subject] >= v.limitPerSubject
}

func (v *vault[T]) remove(key [sha256.Size]byte, e entry[T]) {
	delete(v.entries, key)
	if v.bySubject[e.subject]--; v.bySubject[e.subject] == 0 {
		delete(v.bySubject, e.subject)
	}
}
