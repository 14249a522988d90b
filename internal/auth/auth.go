package auth

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"sightline/internal/datadir"
	"sightline/internal/media"
)

// Kind is what a credential is for. Its value for tokens is the JWT's typ header.
type Kind string

// The kinds of tokens.
const (
	KindView    Kind = "sightline-view+jwt"    // may hold the action view only
	KindPublish Kind = "sightline-publish+jwt" // may hold the action publish only
	KindAdmin   Kind = "sightline-admin+jwt"   // may hold the action admin only
	KindSession Kind = "sightline-session+jwt" // the session cookie's value: may hold every action
)

// KindForeign is the kind of principals that another issuer's token made: it may hold every action, and is no typ of a
// token of this package.
const KindForeign Kind = "foreign"

// KindFor is the kind of token that carries action a.
func KindFor(a Action) Kind {
	switch a {
	case View:
		return KindView
	case Publish:
		return KindPublish
	case Admin:
		return KindAdmin
	}
	return ""
}

// carries reports whether tokens of kind k may hold action a.
func (k Kind) carries(a Action) bool { return k == KindSession || k == KindForeign || k == KindFor(a) }

// The fixed limits of tokens.
const (
	// MaxTokenBytes is the longest token read or made.
	MaxTokenBytes = 4096
	// MaxForeignBytes is the longest token of another issuer that is read: theirs hold more.
	MaxForeignBytes = 8192
	// Leeway is how far a token's iat and nbf may lie ahead of this clock. There is none for exp.
	Leeway = 30 * time.Second

	// LongestPublish is the longest that a policy may let publish tokens live: they lie in files beside cameras.
	LongestPublish = 30 * 24 * time.Hour

	audience        = "sightline"
	maxSubjectBytes = 256
)

// Options are the policy of an Authenticator. Zero values stand for the defaults named beside them.
type Options struct {
	Now func() time.Time // time.Now; a server gives a clock that never goes back
	// Check is asked about every principal before it is given to the caller, with the stream it is for where that is known
	// and "" where not. It refuses what was revoked; its error wraps one of this package's sentinels. None by default.
	Check func(p Principal, s media.StreamID) error

	// The longest life a token may have, from iat to exp, when made and when read.
	MaxViewLifetime    time.Duration // 24 h
	MaxPublishLifetime time.Duration // 24 h; at most LongestPublish
	MaxAdminLifetime   time.Duration // 24 h
	MaxSessionLifetime time.Duration // 12 h
}

// withDefaults fills in what is zero.
func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.MaxViewLifetime, 24 * time.Hour},
		{&o.MaxPublishLifetime, 24 * time.Hour},
		{&o.MaxAdminLifetime, 24 * time.Hour},
		{&o.MaxSessionLifetime, 12 * time.Hour},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.Check == nil {
		o.Check = func(Principal, media.StreamID) error { return nil }
	}
	return o
}

// Authenticator makes and checks credentials. Safe for concurrent use.
type Authenticator struct {
	now      func() time.Time
	check    func(p Principal, s media.StreamID) error
	lifetime map[Kind]time.Duration // not written after Open
	madeKey  bool

	keys    keyring
	codes   *Vault[Principal]
	tickets *Vault[ticket]
}

// Open reads the signing keys in dir, an existing directory, and makes the first one at the first call. The keys are
// shared: tokens that another process makes from them are accepted here, and a key that another process makes,
// retires or removes is so here too, without a restart.
func Open(dir string, opts Options) (*Authenticator, error) {
	opts = opts.withDefaults()
	a := &Authenticator{
		now:   opts.Now,
		check: opts.Check,
		lifetime: map[Kind]time.Duration{
			KindView:    opts.MaxViewLifetime,
			KindPublish: opts.MaxPublishLifetime,
			KindAdmin:   opts.MaxAdminLifetime,
			KindSession: opts.MaxSessionLifetime,
		},
		codes:   NewVault[Principal](maxCodes, maxCodes),
		tickets: NewVault[ticket](maxTickets, maxTicketsPerSubject),
	}
	longest := max(LongestPublish, slices.Max(slices.Collect(maps.Values(a.lifetime)))) // whatever another process that rotates keys is told
	_, made, err := datadir.Secret(dir, activeKeyFile, func() ([]byte, error) { return newKeyPEM(opts.Now()) })
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	a.madeKey = made
	if err := a.keys.open(dir, opts.Now, longest); err != nil {
		return nil, err
	}
	return a, nil
}

// KeyID is the RFC 7638 thumbprint of the key that signs, which its tokens carry as kid.
func (a *Authenticator) KeyID() string { return a.keys.signer().id }

// MadeKey tells that Open made the signing key since there was none.
func (a *Authenticator) MadeKey() bool { return a.madeKey }

// Claims say what token to mint.
type Claims struct {
	Kind     Kind
	Subject  string        // 1 to 256 bytes without control characters
	Grants   []Grant       // at least one; only actions that Kind carries
	Lifetime time.Duration // whole seconds count, at least one; at most the policy of Kind
	// Certificate is the Thumbprint of the client certificate that must be shown with the token; "" for none.
	Certificate string
}

// claimSet is a token's payload.
type claimSet struct {
	Subject  *string  `json:"sub"`
	Audience *string  `json:"aud"`
	Expires  *seconds `json:"exp"`
	Issued   *seconds `json:"iat"`
	Begins   *seconds `json:"nbf,omitempty"`
	ID       *string  `json:"jti"`
	Grants   []Grant  `json:"grants"`

	Confirmation *Confirmation `json:"cnf,omitempty"`
}

// Confirmation is the claim that binds a token to a client certificate (RFC 8705, section 3.1). Whoever reads one with other
// members refuses the token: it is bound to what is not looked at here.
type Confirmation struct {
	Thumbprint string `json:"x5t#S256"`
}

// UnmarshalJSON accepts an object with a thumbprint and nothing else.
func (c *Confirmation) UnmarshalJSON(b []byte) error {
	var all map[string]string
	if err := json.Unmarshal(b, &all); err != nil || len(all) != 1 || !thumbprintGrammar.MatchString(all["x5t#S256"]) {
		return errors.New("cnf holds something else than a certificate's thumbprint")
	}
	c.Thumbprint = all["x5t#S256"]
	return nil
}

// Mint makes a token, and tells what Verify will make of it. Its errors are about c, one sentence for people.
func (a *Authenticator) Mint(c Claims) (string, Principal, error) {
	longest, known := a.lifetime[c.Kind]
	if !known {
		return "", Principal{}, fmt.Errorf("mint token: unknown kind %.40q", c.Kind)
	}
	lifetime := c.Lifetime.Truncate(time.Second)
	if lifetime < time.Second || lifetime > longest {
		return "", Principal{}, fmt.Errorf("mint token: a lifetime of %s is out of bounds: want 1s to %s", c.Lifetime, longest)
	}
	if err := CheckSubject(c.Subject); err != nil {
		return "", Principal{}, fmt.Errorf("mint token: %w", err)
	}
	if err := CheckGrants(c.Kind, c.Grants); err != nil {
		return "", Principal{}, fmt.Errorf("mint token: %w", err)
	}
	return a.mint(c, seconds(a.now().Unix()), lifetime)
}

func (a *Authenticator) mint(c Claims, issued seconds, lifetime time.Duration) (string, Principal, error) {
	aud, id := audience, newSecret()
	exp := issued + seconds(lifetime/time.Second)
	set := claimSet{Subject: &c.Subject, Audience: &aud, Expires: &exp, Issued: &issued, ID: &id, Grants: c.Grants}
	if c.Certificate != "" {
		set.Confirmation = &Confirmation{c.Certificate}
	}
	payload, err := json.Marshal(set)
	if err != nil {
		return "", Principal{}, fmt.Errorf("mint token: %w", err)
	}
	key := a.keys.signer()
	token, err := key.sign(c.Kind, payload)
	if err != nil {
		return "", Principal{}, fmt.Errorf("mint token: %w", err)
	}
	if len(token) > MaxTokenBytes {
		return "", Principal{}, fmt.Errorf("mint token: %d bytes are over the limit of %d: name fewer streams, or a pattern such as site/**", len(token), MaxTokenBytes)
	}
	return token, Principal{
		Subject: c.Subject, ID: id, Kind: c.Kind, KeyID: key.id, Grants: c.Grants, Issued: issued.time(), Expires: exp.time(),
		Certificate: c.Certificate,
	}, nil
}

// MintSession makes the session token for a login as p: its subject and grants, until p ends or the longest
// session is over, whichever is first. The error wraps ErrExpired when p has ended, and is that of Options.Check when it
// was revoked.
func (a *Authenticator) MintSession(p Principal) (string, Principal, error) {
	now := a.now()
	lifetime := min(p.Expires.Sub(now.Truncate(time.Second)), a.lifetime[KindSession])
	if lifetime < time.Second {
		return "", Principal{}, fmt.Errorf("session for %q: %w", p.Subject, ErrExpired)
	}
	if err := a.check(p, ""); err != nil {
		return "", Principal{}, fmt.Errorf("session for %q: %w", p.Subject, err)
	}
	return a.Mint(Claims{Kind: KindSession, Subject: p.Subject, Grants: p.Grants, Lifetime: lifetime, Certificate: p.Certificate})
}

// CheckSubject accepts what may be a principal's subject: 1 to 256 bytes of visible characters and spaces.
func CheckSubject(s string) error {
	if s == "" || len(s) > maxSubjectBytes || !utf8.ValidString(s) {
		return fmt.Errorf("the subject has %d bytes: want 1 to %d bytes of UTF-8", len(s), maxSubjectBytes)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("the subject holds the character %U: want visible characters and spaces only", r)
		}
	}
	return nil
}

// CheckGrants accepts grants that a credential of kind k may carry: at least one, whole, and with k's actions only.
func CheckGrants(k Kind, grants []Grant) error {
	if len(grants) == 0 {
		return errors.New("no grants: name at least one action and one stream")
	}
	for _, g := range grants {
		if err := g.validate(); err != nil {
			return err
		}
		for _, act := range g.Actions {
			if !k.carries(act) {
				return fmt.Errorf("a %s token cannot carry the action %s", k, act)
			}
		}
	}
	return nil
}

// newSecret is 192 bits of randomness in 32 characters of base64url: a whole number of characters, so that
// no two spellings mean the same secret.
func newSecret() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}
