package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
)

// maxDepth is how deep a token's JSON may nest; grants need 4.
const maxDepth = 5

var (
	kidGrammar    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	secretGrammar = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)
	// thumbprintGrammar is a SHA-256 in base64url: 43 characters, of which the last holds 4 bits.
	thumbprintGrammar = regexp.MustCompile(`^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$`)
	secondsGrammar    = regexp.MustCompile(`^(0|[1-9][0-9]{0,11})$`)
)

// headerNames are the only header parameters accepted.
func headerNames() []string { return []string{"alg", "kid", "typ"} }

// claimNames are the members of a payload that mean something here, at whatever depth.
func claimNames() []string {
	return []string{"sub", "aud", "exp", "iat", "nbf", "jti", "grants", "actions", "streams", "cnf", "x5t#S256"}
}

// seconds is a JWT NumericDate, of which only whole, non-negative numbers are accepted.
type seconds int64

// UnmarshalJSON refuses quotes, fractions, exponents, signs and numbers beyond 12 digits.
func (s *seconds) UnmarshalJSON(b []byte) error {
	if !secondsGrammar.Match(b) {
		return errors.New("a time is not in whole seconds")
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	*s = seconds(n)
	return err
}

func (s seconds) time() time.Time { return time.Unix(int64(s), 0).UTC() }

// Verify checks a token and returns whom it speaks for. The token must be of one of kinds; with none given
// every token is refused. All errors wrap one of the package's sentinels, or are those of Options.Check, and hold
// nothing of the token's contents but the names of faulty claims.
func (a *Authenticator) Verify(token string, kinds ...Kind) (Principal, error) {
	if token == "" {
		return Principal{}, fmt.Errorf("token: %w", ErrMissing)
	}
	h, err := readHeader(token)
	if err != nil {
		return Principal{}, fmt.Errorf("token: %w", err)
	}
	key, ok := a.keys.verifier(*h.KeyID)
	if !ok {
		return Principal{}, fmt.Errorf("token: %w", ErrUnknownKey)
	}
	// The algorithm comes from the key, never from the token: the keys are Ed25519.
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return Principal{}, fmt.Errorf("token: %w", ErrMalformed) // the cause may quote the token
	}
	payload, err := signed.Verify(key.public)
	if err != nil {
		return Principal{}, fmt.Errorf("token: %w", ErrSignature)
	}
	// The kind is judged before the claims: rules for claims depend on it.
	kind := Kind(*h.Type)
	if _, known := a.lifetime[kind]; !known || !slices.Contains(kinds, kind) {
		return Principal{}, fmt.Errorf("token: %w", ErrWrongKind)
	}
	p, err := a.readClaims(kind, payload)
	if err != nil {
		return Principal{}, fmt.Errorf("token: %w", err)
	}
	if key.signedAfterItsTime(p.Issued) {
		return Principal{}, fmt.Errorf("token made after its key was retired: %w", ErrUnknownKey)
	}
	p.KeyID = *h.KeyID
	if err := a.check(p, ""); err != nil {
		return Principal{}, fmt.Errorf("token: %w", err)
	}
	return p, nil
}

type header struct {
	Algorithm *string `json:"alg"`
	KeyID     *string `json:"kid"`
	Type      *string `json:"typ"`
}

// CheckCompact accepts what has the outer form of a signed JWT (RFC 7515, section 7.1): at most limit bytes, three parts
// of canonical base64url, and returns the first one decoded, the header. Payload and signature may be empty here, as
// those of "alg":"none" are: CheckBody judges them. Errors wrap ErrMalformed.
func CheckCompact(token string, limit int) (header []byte, err error) {
	if len(token) > limit {
		return nil, fmt.Errorf("%d bytes, over %d: %w", len(token), limit, ErrMalformed)
	}
	for i := range len(token) {
		c := token[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return nil, fmt.Errorf("a character that is not base64url at byte %d: %w", i, ErrMalformed)
		}
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%d parts, want 3: %w", len(parts), ErrMalformed)
	}
	header, err = base64.RawURLEncoding.Strict().DecodeString(parts[0])
	if err != nil {
		return nil, fmt.Errorf("header is not canonical base64url: %w", ErrMalformed)
	}
	return header, nil
}

// CheckBody accepts a token that passed CheckCompact and whose payload and signature are canonical base64url too, and not
// empty. Errors wrap ErrMalformed.
func CheckBody(token string) error {
	for _, part := range strings.Split(token, ".")[1:] {
		if b, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil || len(b) == 0 {
			return fmt.Errorf("payload or signature is not canonical base64url: %w", ErrMalformed)
		}
	}
	return nil
}

// Foreign reports whether a token says of itself that it is none of this package's kinds: it is well formed outside, and
// its typ is another. Such a token may be another issuer's; Verify refuses it for sure.
func Foreign(token string) bool {
	raw, err := CheckCompact(token, MaxForeignBytes)
	if err != nil {
		return false
	}
	var h header
	if json.Unmarshal(raw, &h) != nil {
		return false
	}
	return h.Type == nil || !strings.HasPrefix(*h.Type, "sightline-")
}

// readHeader checks the token's outside and its header, before any key is touched.
func readHeader(token string) (header, error) {
	// The signature's own form is judged last: "alg":"none" comes with an empty one and shall be known for what it is.
	raw, err := CheckCompact(token, MaxTokenBytes)
	if err != nil {
		return header{}, err
	}
	if err := CheckJSON(raw, headerNames()); err != nil {
		return header{}, fmt.Errorf("header: %w: %w", err, ErrMalformed)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return header{}, fmt.Errorf("header: %w", ErrMalformed)
	}
	for name := range all {
		if !slices.Contains(headerNames(), name) {
			return header{}, fmt.Errorf("header has parameters besides alg, kid and typ: %w", ErrForged)
		}
	}
	var h header
	if err := json.Unmarshal(raw, &h); err != nil {
		return header{}, fmt.Errorf("header parameters are not strings: %w", ErrMalformed)
	}
	switch {
	case h.Algorithm != nil && *h.Algorithm != string(jose.EdDSA):
		return header{}, fmt.Errorf("algorithm is not EdDSA: %w", ErrForged)
	case h.Algorithm == nil || h.KeyID == nil || h.Type == nil:
		return header{}, fmt.Errorf("header lacks alg, kid or typ: %w", ErrMalformed)
	case !kidGrammar.MatchString(*h.KeyID):
		return header{}, fmt.Errorf("kid is no key's name: %w", ErrForged)
	}
	return h, CheckBody(token)
}

// readClaims judges a payload whose signature is good.
func (a *Authenticator) readClaims(kind Kind, payload []byte) (Principal, error) {
	if err := CheckJSON(payload, claimNames()); err != nil {
		return Principal{}, fmt.Errorf("claims: %w: %w", err, ErrMalformed)
	}
	var c claimSet
	if err := json.Unmarshal(payload, &c); err != nil {
		return Principal{}, fmt.Errorf("claims: one has a wrong type: %w", ErrMalformed)
	}
	for _, claim := range []struct {
		name    string
		missing bool
	}{
		{"sub", c.Subject == nil},
		{"aud", c.Audience == nil},
		{"exp", c.Expires == nil},
		{"iat", c.Issued == nil},
		{"jti", c.ID == nil},
		{"grants", c.Grants == nil},
	} {
		if claim.missing {
			return Principal{}, fmt.Errorf("claims lack %s: %w", claim.name, ErrMalformed)
		}
	}
	if *c.Audience != audience {
		return Principal{}, ErrWrongAudience
	}
	if CheckSubject(*c.Subject) != nil {
		return Principal{}, fmt.Errorf("sub: %w", ErrMalformed)
	}
	if !secretGrammar.MatchString(*c.ID) {
		return Principal{}, fmt.Errorf("jti: %w", ErrMalformed)
	}
	if CheckGrants(kind, c.Grants) != nil {
		return Principal{}, fmt.Errorf("grants: %w", ErrMalformed)
	}
	now := a.now()
	begins := *c.Issued
	if c.Begins != nil {
		begins = max(begins, *c.Begins)
	}
	switch {
	case *c.Expires <= *c.Issued:
		return Principal{}, fmt.Errorf("exp is not after iat: %w", ErrMalformed)
	case !now.Before(c.Expires.time()):
		return Principal{}, ErrExpired
	case now.Add(Leeway).Before(begins.time()):
		return Principal{}, ErrNotYetValid
	case *c.Expires-*c.Issued > seconds(a.lifetime[kind]/time.Second): // in seconds: three centuries of nanoseconds overflow
		return Principal{}, ErrLifetime
	}
	p := Principal{Subject: *c.Subject, ID: *c.ID, Kind: kind, Grants: c.Grants, Issued: c.Issued.time(), Expires: c.Expires.time()}
	if c.Confirmation != nil {
		p.Certificate = c.Confirmation.Thumbprint
	}
	return p, nil
}

// CheckJSON accepts exactly one JSON object in which, at every depth, no two members have names that are equal
// but for case, and none is a known name in other case: encoding/json would take the last of them, and
// another reader the first (RFC 7519, section 4). It nests no deeper than 5. Errors hold nothing of b.
func CheckJSON(b []byte, known []string) error {
	if nesting(b) > maxDepth { // before anything reads it and keeps track of that
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	if !utf8.Valid(b) || !json.Valid(b) {
		return errors.New("not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	if err := checkObject(dec, known); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// ReadJSON reads into v one JSON object that CheckJSON accepts and that has no member which v has not. Errors hold nothing of b.
func ReadJSON(b []byte, known []string, v any) error {
	if err := CheckJSON(b, known); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return errors.New("a member is unknown or of a wrong type")
	}
	return nil
}

// nesting is how deep b nests, if it is JSON.
func nesting(b []byte) int {
	deepest, depth, text := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case text && c == '\\':
			i++ // whatever is escaped
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// checkObject reads members up to the closing brace.
func checkObject(dec *json.Decoder, known []string) error {
	var seen []string
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return errors.New("not JSON")
		}
		name, ok := t.(string)
		if !ok {
			return errors.New("not JSON")
		}
		if slices.ContainsFunc(seen, func(s string) bool { return strings.EqualFold(s, name) }) {
			return errors.New("a member stands twice")
		}
		if slices.ContainsFunc(known, func(s string) bool { return s != name && strings.EqualFold(s, name) }) {
			return errors.New("a member's name is in the wrong case")
		}
		seen = append(seen, name)
		if err := checkValue(dec, known); err != nil {
			return err
		}
	}
	_, err := dec.Token() // the closing brace: json.Valid saw it
	return err
}

// checkValue reads one value of any type.
func checkValue(dec *json.Decoder, known []string) error {
	t, err := dec.Token()
	if err != nil {
		return errors.New("not JSON")
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if delim == '{' {
		return checkObject(dec, known)
	}
	for dec.More() {
		if err := checkValue(dec, known); err != nil {
			return err
		}
	}
	_, err = dec.Token() // the closing bracket
	return err
}
