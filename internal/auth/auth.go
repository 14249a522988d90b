package auth

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"sightline/internal/datadir"
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
func (k Kind) carries(a Action) bool { return k == KindSession || k == KindFor(a) }

// The fixed limits of tokens.
const (
	// MaxTokenBytes is the longest token read or made.
	MaxTokenBytes = 4096
	// Leeway is how far a token's iat and nbf may lie ahead of this clock. There is none for exp.
	Leeway = 30 * time.Second

	audience        = "sightline"
	maxSubjectBytes = 256
	keyFile         = "signing-key.pem"
)

// Options are the policy of an Authenticator. Zero values stand for the defaults named beside them.
type Options struct {
	Now func() time.Time // time.Now; tests set their own

	// The longest life a token may have, from iat to exp, when made and when read.
	MaxViewLifetime    time.Duration // 24 h
	MaxPublishLifetime time.Duration // 30 days
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
		{&o.MaxPublishLifetime, 30 * 24 * time.Hour},
		{&o.MaxAdminLifetime, 24 * time.Hour},
		{&o.MaxSessionLifetime, 12 * time.Hour},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

// Authenticator makes and checks credentials. Safe for concurrent use.
type Authenticator struct {
	now      func() time.Time
	lifetime map[Kind]time.Duration // not written after Open
	kid      string
	keys     map[string]ed25519.PublicKey // by kid; not written after Open
	private  ed25519.PrivateKey
	madeKey  bool

	codes   *vault[Principal]
	tickets *vault[ticket]
}

// Open reads the signing key in dir, an existing directory, and makes it at the first call. The key file is
// shared: tokens that another process makes from it are accepted here.
func Open(dir string, opts Options) (*Authenticator, error) {
	opts = opts.withDefaults()
	path := filepath.Join(dir, keyFile)
	data, made, err := datadir.Secret(dir, keyFile, newKeyPEM)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	private, err := parseKeyPEM(data)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("signing key %s: no public half", path)
	}
	thumbprint, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("thumbprint of signing key %s: %w", path, err)
	}
	kid := base64.RawURLEncoding.EncodeToString(thumbprint)
	return &Authenticator{
		now: opts.Now,
		lifetime: map[Kind]time.Duration{
			KindView:    opts.MaxViewLifetime,
			KindPublish: opts.MaxPublishLifetime,
			KindAdmin:   opts.MaxAdminLifetime,
			KindSession: opts.MaxSessionLifetime,
		},
		kid:     kid,
		keys:    map[string]ed25519.PublicKey{kid: public},
		private: private,
		madeKey: made,
		codes:   newVault[Principal](maxCodes, maxCodes),
		tickets: newVault[ticket](maxTickets, maxTicketsPerSubject),
	}, nil
}

// KeyID is the RFC 7638 thumbprint of the signing key, which its tokens carry as kid.
func (a *Authenticator) KeyID() string { return a.kid }

// MadeKey tells that Open made the signing key since there was none.
func (a *Authenticator) MadeKey() bool { return a.madeKey }

func newKeyPEM() ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// parseKeyPEM reads one PKCS #8 Ed25519 key. Its errors hold nothing of the file's contents.
func parseKeyPEM(data []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("no PEM block PRIVATE KEY in it: restore the file from a backup, or delete it to have a new key made (which ends all tokens)")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("its PKCS #8 contents are damaged: restore the file from a backup, or delete it to have a new key made (which ends all tokens)")
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it holds a %T, want an Ed25519 key", key)
	}
	return private, nil
}

// Claims say what token to mint.
type Claims struct {
	Kind     Kind
	Subject  string        // 1 to 256 bytes without control characters
	Grants   []Grant       // at least one; only actions that Kind carries
	Lifetime time.Duration // whole seconds count, at least one; at most the policy of Kind
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
	if err := checkSubject(c.Subject); err != nil {
		return "", Principal{}, fmt.Errorf("mint token: %w", err)
	}
	if err := checkGrants(c.Kind, c.Grants); err != nil {
		return "", Principal{}, fmt.Errorf("mint token: %w", err)
	}
	return a.mint(c.Kind, c.Subject, c.Grants, seconds(a.now().Unix()), lifetime)
}

func (a *Authenticator) mint(k Kind, subject string, grants []Grant, issued seconds, lifetime time.Duration) (string, Principal, error) {
	aud, id := audience, newSecret()
	exp := issued + seconds(lifetime/time.Second)
	payload, err := json.Marshal(claimSet{
		Subject: &subject, Audience: &aud, Expires: &exp, Issued: &issued, ID: &id, Grants: grants,
	})
	if err != nil {
		return "", Principal{}, fmt.Errorf("mint token: %w", err)
	}
	token, err := a.sign(k, payload)
	if err != nil {
		return "", Principal{}, fmt.Errorf("mint token: %w", err)
	}
	if len(token) > MaxTokenBytes {
		return "", Principal{}, fmt.Errorf("mint token: %d bytes are over the limit of %d: name fewer streams, or a pattern such as site/**", len(token), MaxTokenBytes)
	}
	return token, Principal{Subject: subject, ID: id, Kind: k, Grants: grants, Expires: exp.time()}, nil
}

func (a *Authenticator) sign(k Kind, payload []byte) (string, error) {
	opts := (&jose.SignerOptions{}).WithType(jose.ContentType(k)).WithHeader("kid", a.kid)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: a.private}, opts)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// MintSession makes the session token for a login as p: its subject and grants, until p ends or the longest
// session is over, whichever is first. The error wraps ErrExpired when p has ended.
func (a *Authenticator) MintSession(p Principal) (string, Principal, error) {
	now := a.now()
	lifetime := min(p.Expires.Sub(now.Truncate(time.Second)), a.lifetime[KindSession])
	if lifetime < time.Second {
		return "", Principal{}, fmt.Errorf("session for %q: %w", p.Subject, ErrExpired)
	}
	return a.Mint(Claims{Kind: KindSession, Subject: p.Subject, Grants: p.Grants, Lifetime: lifetime})
}

func checkSubject(s string) error {
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

func checkGrants(k Kind, grants []Grant) error {
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
