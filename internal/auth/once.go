package auth

import (
	"errors"
	"fmt"
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
	if err := errors.Join(CheckSubject(p.Subject), CheckGrants(KindSession, p.Grants)); err != nil {
		return "", fmt.Errorf("make code: %w", err)
	}
	now := a.now()
	if !now.Before(p.Expires) {
		return "", fmt.Errorf("make code: %w", ErrExpired)
	}
	p.Issued = now
	code, err := a.codes.Put(p, p.Subject, now, now.Add(ttl))
	if err != nil {
		return "", fmt.Errorf("make code: %w", err)
	}
	return code, nil
}

// RedeemCode returns the principal a code was made for, to exactly one caller. The error wraps ErrMissing,
// ErrUsed or ErrExpired, or is that of Options.Check.
func (a *Authenticator) RedeemCode(code string) (Principal, error) {
	now := a.now()
	p, err := a.codes.Take(code, now)
	if err != nil {
		return Principal{}, fmt.Errorf("code: %w", err)
	}
	if !now.Before(p.Expires) {
		return Principal{}, fmt.Errorf("code: %w", ErrExpired)
	}
	if err := a.check(p, ""); err != nil {
		return Principal{}, fmt.Errorf("code: %w", err)
	}
	return p, nil
}

// NewTicket makes a ticket with which p opens one connection, for action on stream, from a page of origin,
// within TicketLifetime. origin is compared byte for byte; it is "" for clients that are no browsers. The
// error wraps ErrNotAllowed, ErrExpired or ErrTooMany, or is that of Options.Check.
func (a *Authenticator) NewTicket(p Principal, action Action, stream media.StreamID, origin string) (string, error) {
	if err := a.Authorize(p, action, stream); err != nil {
		return "", fmt.Errorf("make ticket: %w", err)
	}
	now := a.now()
	if !now.Before(p.Expires) {
		return "", fmt.Errorf("make ticket: %w", ErrExpired)
	}
	secret, err := a.tickets.Put(ticket{p, action, stream, origin}, p.Subject, now, now.Add(TicketLifetime))
	if err != nil {
		return "", fmt.Errorf("make ticket: %w", err)
	}
	return secret, nil
}

// RedeemTicket uses a ticket up and returns its principal when it was made for exactly this action, stream and
// origin. It is used up first and judged then: a ticket tried in the wrong place is dead, and of any number of
// concurrent callers exactly one gets past that point. The error wraps ErrMissing, ErrUsed, ErrExpired,
// ErrWrongOrigin or ErrNotAllowed, or is that of Options.Check.
func (a *Authenticator) RedeemTicket(secret string, action Action, stream media.StreamID, origin string) (Principal, error) {
	now := a.now()
	t, err := a.tickets.Take(secret, now)
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
	if err := a.check(t.principal, stream); err != nil {
		return Principal{}, fmt.Errorf("ticket: %w", err)
	}
	return t.principal, nil
}
