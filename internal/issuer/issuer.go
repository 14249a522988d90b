// Package issuer accepts tokens of other issuers (OpenID providers such as Keycloak), signed with keys that they publish
// at a JWKS address (RFC 7517), and maps their claims to grants. It is as strict a reader as auth: an allow list of
// algorithms, which the key decides on and not the token; no keys in headers; no claim twice or in other case. It owns no
// goroutines: keys are fetched by whoever needs them.
//
// # When keys cannot be had
//
// The keys that were fetched last are good for a day, however their address fails. After that nobody is let in by them.
package issuer

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sightline/internal/auth"
	"sightline/internal/media"
)

// Options say whose tokens are accepted and what they are worth. All fields up to RolesClaim are required, but that one of
// GrantsClaim and RolesClaim is enough.
type Options struct {
	// Name is what this server calls the issuer: [a-z0-9-]{1,32}. It stands before subjects, token IDs and key IDs, with a
	// colon, so that alice of one issuer is not alice of another.
	Name     string
	Issuer   string // the iss claim, exactly
	JWKSURL  string // https only
	Audience string // one of the aud claim
	// Algorithms are those accepted: EdDSA, ES256, RS256, PS256.
	Algorithms []string

	// GrantsClaim is the path of a claim that holds grants as this server's own tokens do.
	GrantsClaim []string
	// RolesClaim is the path of a claim that holds role names, such as realm_access, roles. Roles maps them to grants; others
	// are worth nothing.
	RolesClaim []string
	Roles      map[string][]auth.Grant

	SubjectClaim string        // sub
	MaxLifetime  time.Duration // the longest from iat to exp; 24 h
	Roots        *x509.CertPool
	Now          func() time.Time // time.Now; a server gives a clock that never goes back
	// Check refuses what was revoked, as that of auth.Options does. None by default.
	Check func(p auth.Principal, s media.StreamID) error
}

// Issuer verifies one issuer's tokens. Safe for concurrent use.
type Issuer struct {
	opts Options
	algs []jose.SignatureAlgorithm
	keys *keySet
}

// algorithms are all that can be allowed. There is no HMAC: who can check such a token can make one.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256, jose.RS256, jose.PS256}
}

var (
	nameGrammar    = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	kidGrammar     = regexp.MustCompile(`^[!-~]{1,256}$`)
	secondsGrammar = regexp.MustCompile(`^(0|[1-9][0-9]{0,11})$`)
)

// New checks opts. It fetches nothing yet. The error is one sentence.
func New(opts Options) (*Issuer, error) {
	if opts.SubjectClaim == "" {
		opts.SubjectClaim = "sub"
	}
	if opts.MaxLifetime == 0 {
		opts.MaxLifetime = 24 * time.Hour
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Check == nil {
		opts.Check = func(auth.Principal, media.StreamID) error { return nil }
	}
	if !nameGrammar.MatchString(opts.Name) {
		return nil, fmt.Errorf("issuer name %.40q: want 1 to 32 lower-case letters, digits and dashes", opts.Name)
	}
	i := &Issuer{opts: opts}
	for _, a := range opts.Algorithms {
		alg := jose.SignatureAlgorithm(a)
		if !slices.Contains(algorithms(), alg) {
			return nil, fmt.Errorf("issuer %s: algorithm %.20q: want EdDSA, ES256, RS256 or PS256", opts.Name, a)
		}
		i.algs = append(i.algs, alg)
	}
	switch u, err := url.Parse(opts.JWKSURL); {
	case len(i.algs) == 0:
		return nil, fmt.Errorf("issuer %s: no algorithms: name those its keys are for, such as ES256", opts.Name)
	case opts.Issuer == "" || opts.Audience == "":
		return nil, fmt.Errorf("issuer %s: the values of the claims iss and aud must be set", opts.Name)
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil:
		return nil, fmt.Errorf("issuer %s: its key address must begin with https:// and hold no login", opts.Name)
	case len(opts.GrantsClaim) == 0 && len(opts.RolesClaim) == 0:
		return nil, fmt.Errorf("issuer %s: no claim is named for grants or roles: its tokens would be worth nothing", opts.Name)
	}
	for role, grants := range opts.Roles {
		if err := auth.CheckGrants(auth.KindForeign, grants); err != nil {
			return nil, fmt.Errorf("issuer %s, role %.64q: %w", opts.Name, role, err)
		}
	}
	i.keys = &keySet{
		url: opts.JWKSURL, client: NewClient(opts.Roots), algs: i.algs, now: opts.Now, fetching: make(chan struct{}, 1),
	}
	return i, nil
}

// JWKSURL is where the keys are.
func (i *Issuer) JWKSURL() string { return i.opts.JWKSURL }

// Set is the issuers whose tokens are accepted.
type Set []*Issuer

// Verify checks a token and returns whom it speaks for, by the issuer it names. It may have to fetch keys, for 5 s at most.
// All errors wrap one of auth's sentinels, or are those of Options.Check, and hold nothing of the token's contents.
func (s Set) Verify(ctx context.Context, token string) (auth.Principal, error) {
	if token == "" {
		return auth.Principal{}, fmt.Errorf("token: %w", auth.ErrMissing)
	}
	h, err := readHeader(token)
	if err != nil {
		return auth.Principal{}, fmt.Errorf("token: %w", err)
	}
	var named struct { // not trusted: the issuer checks it with its signature
		Issuer string `json:"iss"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil || auth.CheckJSON(payload, []string{"iss"}) != nil || json.Unmarshal(payload, &named) != nil {
		return auth.Principal{}, fmt.Errorf("token: claims: %w", auth.ErrMalformed)
	}
	for _, i := range s {
		if i.opts.Issuer == named.Issuer {
			p, _, err := i.verify(ctx, token, h, false)
			return p, err
		}
	}
	return auth.Principal{}, fmt.Errorf("token of an unknown issuer: %w", auth.ErrUnknownKey)
}

// VerifyID checks the ID token of a login (OpenID Connect Core, section 3.1.3.7) that was begun with nonce, and returns
// who logged in. The audience is the client's ID. Errors are as those of Set.Verify.
func (i *Issuer) VerifyID(ctx context.Context, token, nonce string) (auth.Principal, error) {
	h, err := readHeader(token)
	if err != nil {
		return auth.Principal{}, fmt.Errorf("ID token: %w", err)
	}
	p, c, err := i.verify(ctx, token, h, true)
	if err != nil {
		return auth.Principal{}, err
	}
	if c.nonce == "" || subtle.ConstantTimeCompare([]byte(c.nonce), []byte(nonce)) != 1 {
		return auth.Principal{}, fmt.Errorf("ID token of another login: %w", auth.ErrUsed)
	}
	if c.party != "" && c.party != i.opts.Audience || c.party == "" && len(c.audience) > 1 {
		return auth.Principal{}, fmt.Errorf("ID token: azp: %w", auth.ErrWrongAudience)
	}
	return p, nil
}

type header struct {
	alg jose.SignatureAlgorithm
	kid string
	typ string
}

// readHeader checks a token's outside and its header, before any key is touched.
func readHeader(token string) (header, error) {
	raw, err := auth.CheckCompact(token, auth.MaxForeignBytes)
	if err != nil {
		return header{}, err
	}
	names := []string{"alg", "kid", "typ", "x5t", "x5t#S256"} // the last two name a certificate, and are not looked at
	if err := auth.CheckJSON(raw, names); err != nil {
		return header{}, fmt.Errorf("header: %w: %w", err, auth.ErrMalformed)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return header{}, fmt.Errorf("header: %w", auth.ErrMalformed)
	}
	for name := range all {
		if !slices.Contains(names, name) {
			return header{}, fmt.Errorf("header has parameters that are not for tokens of issuers: %w", auth.ErrForged)
		}
	}
	var h struct {
		Algorithm *string `json:"alg"`
		KeyID     *string `json:"kid"`
		Type      string  `json:"typ"`
	}
	if err := json.Unmarshal(raw, &h); err != nil {
		return header{}, fmt.Errorf("header parameters are not strings: %w", auth.ErrMalformed)
	}
	switch {
	case h.Algorithm != nil && !slices.Contains(algorithms(), jose.SignatureAlgorithm(*h.Algorithm)):
		return header{}, fmt.Errorf("algorithm is none that is ever allowed: %w", auth.ErrForged)
	case h.Algorithm == nil || h.KeyID == nil:
		return header{}, fmt.Errorf("header lacks alg or kid: %w", auth.ErrMalformed)
	case !kidGrammar.MatchString(*h.KeyID):
		return header{}, fmt.Errorf("kid is no key's name: %w", auth.ErrForged)
	}
	return header{jose.SignatureAlgorithm(*h.Algorithm), *h.KeyID, h.Type}, auth.CheckBody(token)
}

// claims is what the mapping and an ID token's checks need beyond the principal.
type claims struct {
	nonce    string
	party    string // azp
	audience []string
}

// verify verifies an access token, or the ID token of a login.
func (i *Issuer) verify(ctx context.Context, token string, h header, id bool) (auth.Principal, claims, error) {
	fail := func(err error) (auth.Principal, claims, error) {
		return auth.Principal{}, claims{}, fmt.Errorf("token of issuer %s: %w", i.opts.Name, err)
	}
	switch strings.ToLower(strings.TrimPrefix(h.typ, "application/")) {
	case "", "jwt":
	case "at+jwt": // RFC 9068
		if id {
			return fail(auth.ErrWrongKind)
		}
	default:
		return fail(auth.ErrWrongKind)
	}
	if !slices.Contains(i.algs, h.alg) {
		return fail(fmt.Errorf("algorithm is not allowed: %w", auth.ErrForged))
	}
	key, err := i.keys.find(ctx, h.kid)
	if err != nil {
		return fail(err)
	}
	if !slices.Contains(key.algs, h.alg) {
		return fail(fmt.Errorf("algorithm is not the key's: %w", auth.ErrForged))
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{h.alg})
	if err != nil {
		return fail(auth.ErrMalformed) // the cause may quote the token
	}
	payload, err := signed.Verify(key.public)
	if err != nil {
		return fail(auth.ErrSignature)
	}
	p, c, err := i.readClaims(payload, id)
	if err != nil {
		return fail(err)
	}
	p.KeyID = i.opts.Name + ":" + h.kid
	if p.ID == "" {
		// The signature is left out: some can be written in two ways.
		sum := sha256.Sum256([]byte(token[:strings.LastIndexByte(token, '.')]))
		p.ID = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	p.ID = i.opts.Name + ":" + p.ID
	if err := i.opts.Check(p, ""); err != nil {
		return fail(err)
	}
	return p, c, nil
}

// readClaims judges a payload whose signature is good.
func (i *Issuer) readClaims(payload []byte, id bool) (auth.Principal, claims, error) {
	fail := func(what string, err error) (auth.Principal, claims, error) {
		return auth.Principal{}, claims{}, fmt.Errorf("%s: %w", what, err)
	}
	known := []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "azp", "cnf", "x5t#S256", i.opts.SubjectClaim}
	known = append(append(known, i.opts.GrantsClaim...), i.opts.RolesClaim...)
	if err := auth.CheckJSON(payload, append(known, "actions", "streams")); err != nil {
		return fail("claims", fmt.Errorf("%w: %w", err, auth.ErrMalformed))
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(payload, &all); err != nil {
		return fail("claims", auth.ErrMalformed)
	}
	text := func(name string) (string, error) {
		var s string
		if all[name] == nil {
			return "", nil
		}
		if err := json.Unmarshal(all[name], &s); err != nil || string(all[name]) == "null" {
			return "", fmt.Errorf("claim %s: %w", name, auth.ErrMalformed)
		}
		return s, nil
	}
	var texts [5]string
	for n, name := range []string{"iss", i.opts.SubjectClaim, "jti", "nonce", "azp"} {
		var err error
		if texts[n], err = text(name); err != nil {
			return auth.Principal{}, claims{}, err
		}
	}
	c := claims{nonce: texts[3], party: texts[4], audience: audience(all["aud"])}
	exp, hasExp := seconds(all["exp"])
	iat, hasIat := seconds(all["iat"])
	begins := iat
	if all["nbf"] != nil {
		nbf, ok := seconds(all["nbf"])
		if !ok {
			return fail("nbf", auth.ErrMalformed)
		}
		if nbf.After(begins) {
			begins = nbf
		}
	}
	subject := i.opts.Name + ":" + texts[1]
	now := i.opts.Now()
	switch {
	case texts[0] != i.opts.Issuer:
		return fail("iss", auth.ErrUnknownKey)
	case !slices.Contains(c.audience, i.opts.Audience):
		return fail("aud", auth.ErrWrongAudience)
	case !hasExp || !hasIat || !exp.After(iat):
		return fail("exp or iat", auth.ErrMalformed)
	case !now.Before(exp):
		return fail("exp", auth.ErrExpired)
	case now.Add(auth.Leeway).Before(begins):
		return fail("iat or nbf", auth.ErrNotYetValid)
	case exp.Sub(iat) > i.opts.MaxLifetime:
		return fail("exp", auth.ErrLifetime)
	case texts[1] == "" || auth.CheckSubject(subject) != nil:
		return fail("subject", auth.ErrMalformed)
	case texts[2] != "" && !kidGrammar.MatchString(texts[2]):
		return fail("jti", auth.ErrMalformed)
	case !id && c.nonce != "":
		return fail("an ID token is for logging in", auth.ErrWrongKind)
	}
	var bound auth.Confirmation
	if raw := all["cnf"]; raw != nil {
		if err := bound.UnmarshalJSON(raw); err != nil {
			return fail("cnf", auth.ErrMalformed)
		}
	}
	grants, err := i.grants(all)
	if err != nil {
		return auth.Principal{}, claims{}, err
	}
	return auth.Principal{
		Subject: subject, ID: texts[2], Kind: auth.KindForeign, Grants: grants, Expires: exp,
		// The issuer's clock may be ahead of this one by so much: a revocation up to a time must not miss what was made before.
		Issued: iat.Add(-auth.Leeway), Certificate: bound.Thumbprint,
	}, c, nil
}

// grants maps claims. The error wraps auth.ErrMalformed, or auth.ErrNotAllowed when they are worth nothing.
func (i *Issuer) grants(all map[string]json.RawMessage) ([]auth.Grant, error) {
	var grants []auth.Grant
	if raw := at(all, i.opts.GrantsClaim); raw != nil {
		if err := json.Unmarshal(raw, &grants); err != nil || auth.CheckGrants(auth.KindForeign, grants) != nil {
			return nil, fmt.Errorf("the claim of grants: %w", auth.ErrMalformed)
		}
	}
	if raw := at(all, i.opts.RolesClaim); raw != nil {
		var roles []string
		if err := json.Unmarshal(raw, &roles); err != nil {
			return nil, fmt.Errorf("the claim of roles: %w", auth.ErrMalformed)
		}
		for _, role := range roles {
			grants = append(grants, i.opts.Roles[role]...)
		}
	}
	if len(grants) == 0 {
		return nil, fmt.Errorf("no grant, and no role that is mapped: %w", auth.ErrNotAllowed)
	}
	return grants, nil
}

// at follows a path into objects, nil where it leads nowhere.
func at(all map[string]json.RawMessage, path []string) json.RawMessage {
	for n, name := range path {
		raw, ok := all[name]
		if !ok || n == len(path)-1 {
			return raw
		}
		all = nil
		if err := json.Unmarshal(raw, &all); err != nil {
			return nil
		}
	}
	return nil
}

// seconds reads a NumericDate, of which only whole, non-negative numbers are accepted.
func seconds(raw json.RawMessage) (time.Time, bool) {
	if !secondsGrammar.Match(raw) {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return time.Unix(n, 0).UTC(), err == nil
}

// audience reads one name or a list of names (RFC 7519, section 4.1.3); nil for anything else.
func audience(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil && one != "" {
		return []string{one}
	}
	var list []string
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	return list
}
