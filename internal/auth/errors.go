package auth

import "errors"

// The ways a credential is refused. Every error of this package that concerns a credential wraps exactly one
// of them. Reason gives each its word for the record, Sentence its text for people.
var (
	ErrMissing       = errors.New("no credential")
	ErrMalformed     = errors.New("malformed token")
	ErrForged        = errors.New("token no honest client has") // another algorithm, a key or crit in the header
	ErrUnknownKey    = errors.New("unknown signing key")
	ErrSignature     = errors.New("bad signature")
	ErrExpired       = errors.New("expired")
	ErrNotYetValid   = errors.New("not yet valid")
	ErrLifetime      = errors.New("lifetime over policy")
	ErrWrongKind     = errors.New("wrong kind of token")
	ErrWrongAudience = errors.New("wrong audience")
	ErrNotAllowed    = errors.New("not allowed")
	ErrUsed          = errors.New("unknown or used")
	ErrWrongOrigin   = errors.New("wrong origin")
	ErrTooMany       = errors.New("too many outstanding")
	ErrRevoked       = errors.New("revoked")
	ErrUnavailable   = errors.New("cannot be checked now") // keys or revocations cannot be read: nobody is let in
	ErrLogin         = errors.New("wrong name or password")
	ErrSlowDown      = errors.New("too many failed logins")

	ErrNoCertificate      = errors.New("no client certificate")
	ErrBadCertificate     = errors.New("client certificate of an unknown authority, or not for this use")
	ErrExpiredCertificate = errors.New("client certificate outside of its dates")
	ErrOtherCertificate   = errors.New("another client certificate is needed")
)

type refusal struct {
	err      error
	reason   string
	sentence string
}

// refusals is read only. Its sentences tell a caller nothing about keys, names or whether a stream exists.
var refusals = []refusal{ //nolint:gochecknoglobals // a table nobody writes to
	{ErrMissing, "missing", "No credential was sent: open the link you were given, or send a token."},
	{ErrMalformed, "malformed", "The token is damaged: copy it again as a whole, or ask for a new one."},
	{ErrForged, "forged", "The token was not made by this server: ask for a new one."},
	{ErrUnknownKey, "unknown-key", "The token was signed with a key this server does not have: ask this server's operator for a new one."},
	{ErrSignature, "bad-signature", "The token's signature is wrong: copy it again as a whole, or ask for a new one."},
	{ErrExpired, "expired", "The credential has expired: ask for a new one."},
	{ErrNotYetValid, "not-yet-valid", "The token is not valid yet: check the clocks of this server and of the machine that made it."},
	{ErrLifetime, "lifetime", "The token is valid for longer than this server accepts: ask for one with a shorter life."},
	{ErrWrongKind, "wrong-kind", "This kind of token is not accepted here: ask for one made for this action."},
	{ErrWrongAudience, "wrong-audience", "The token was made for another service: ask for one made for this server."},
	{ErrNotAllowed, "not-allowed", "You are not allowed to do this: ask the operator for leave."},
	{ErrUsed, "used", "This one-time link or ticket is unknown or was used before: ask for a new one."},
	{ErrWrongOrigin, "wrong-origin", "The request came from a page that is not trusted here: open the camera on this server's own page."},
	{ErrTooMany, "too-many", "Too many one-time credentials are waiting to be used: try again in half a minute."},
	{ErrRevoked, "revoked", "The credential was revoked: log in again, or ask for a new one."},
	{ErrUnavailable, "unavailable", "The server cannot check this credential at the moment: try again in a minute."},
	{ErrLogin, "bad-login", "The name or the password is wrong, or the account may not be used: try again, or ask the operator."},
	{ErrSlowDown, "slow-down", "Too many logins at the moment, or too many that failed: wait a minute and try again."},
	{ErrNoCertificate, "no-certificate", "This needs a client certificate: give the publisher the one that it was issued, with its key."},
	{ErrBadCertificate, "bad-certificate", "The client certificate is from an authority that this server does not know, or not for clients: ask its operator for one."},
	{ErrExpiredCertificate, "expired-certificate", "The client certificate has expired or is not valid yet: renew it, and check the clocks."},
	{ErrOtherCertificate, "other-certificate", "The client certificate is not the one that this token or stream is bound to: use that one."},
}

// Reason is the one short word for err in the audit record: "" for nil, "internal" for an error that is none
// of this package's refusals. Words do not change between versions.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return "internal"
}

// Sentence is the one sentence that tells a person why they were refused and what to do; it holds nothing
// that was in the credential. It is "" for nil.
func Sentence(err error) string {
	if err == nil {
		return ""
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.sentence
		}
	}
	return "The server could not check the credential: try again, and tell the operator if it stays so."
}
