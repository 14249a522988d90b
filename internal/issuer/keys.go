package issuer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sightline/internal/auth"
)

const (
	fetchTimeout = 5 * time.Second
	maxBody      = 64 << 10
	maxRedirects = 3
	maxKeys      = 100

	keysTTL      = 10 * time.Minute // fetched again after that
	keysDieAfter = 24 * time.Hour   // since they were last fetched
	tryEvery     = 30 * time.Second // at the earliest

	minRSABits = 2048
	maxRSABits = 8192
)

// keySet is the keys at an address.
type keySet struct {
	// static after construction
	url    string
	client *http.Client
	algs   []jose.SignatureAlgorithm
	now    func() time.Time

	state    atomic.Pointer[fetched] // nil before the first success
	fetching chan struct{}           // held by who fetches, and guards what follows
	tried    time.Time
	fault    error // of the last try
}

// fetched is the keys of one time. It is not written after it was made.
type fetched struct {
	keys map[string]key // by kid
	at   time.Time
}

// key is one that may verify, by these algorithms.
type key struct {
	public crypto.PublicKey
	algs   []jose.SignatureAlgorithm
}

// find returns the key named kid. It fetches the keys when it has none, when they are old, and when it does not know kid.
// The error wraps auth.ErrUnknownKey or auth.ErrUnavailable.
func (s *keySet) find(ctx context.Context, kid string) (key, error) {
	state := s.state.Load()
	if k, ok := state.key(kid); ok && s.age(state) < keysTTL {
		return k, nil
	} else if ok && s.age(state) < keysDieAfter {
		// It is good for now: whoever comes first fetches, and the others need not wait.
		select {
		case s.fetching <- struct{}{}:
			_ = s.fetch(ctx) // the old keys are as good as they were
			<-s.fetching
		default:
			return k, nil
		}
	} else {
		select {
		case s.fetching <- struct{}{}:
			err := s.fetch(ctx)
			<-s.fetching
			if err != nil {
				return key{}, fmt.Errorf("%w: %w", auth.ErrUnavailable, err)
			}
		case <-ctx.Done():
			return key{}, fmt.Errorf("%w: %w", auth.ErrUnavailable, ctx.Err())
		}
	}
	state = s.state.Load()
	if s.age(state) >= keysDieAfter {
		return key{}, fmt.Errorf("keys are too old: %w", auth.ErrUnavailable)
	}
	k, ok := state.key(kid)
	if !ok {
		return key{}, auth.ErrUnknownKey
	}
	return k, nil
}

func (f *fetched) key(kid string) (key, bool) {
	if f == nil {
		return key{}, false
	}
	k, ok := f.keys[kid]
	return k, ok
}

func (s *keySet) age(f *fetched) time.Duration {
	if f == nil {
		return keysDieAfter
	}
	return s.now().Sub(f.at)
}

// fetch gets the keys, unless that was tried a moment ago: then it returns what came of it. fetching is held.
func (s *keySet) fetch(ctx context.Context) error {
	now := s.now()
	if !s.tried.IsZero() && now.Sub(s.tried) < tryEvery {
		return s.fault
	}
	s.tried = now
	// Who hangs up must not keep the others from their keys.
	keys, err := s.get(context.WithoutCancel(ctx))
	if s.fault = err; err != nil {
		return err
	}
	s.state.Store(&fetched{keys, now})
	return nil
}

func (s *keySet) get(ctx context.Context) (map[string]key, error) {
	body, err := Fetch(ctx, s.client, s.url)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(body, s.algs)
	if err != nil {
		return nil, fmt.Errorf("keys at %s: %w", s.url, err)
	}
	return keys, nil
}

// NewClient makes the only kind of client that fetches something from an issuer: TLS, no connection kept, and redirects to
// the same host only. roots are the authorities it trusts, nil for the system's.
func NewClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy:              http.ProxyFromEnvironment,
			TLSClientConfig:    &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:  true, // it is asked once in a while
			DisableCompression: true,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			first := via[0].URL
			if req.URL.Scheme != "https" || req.URL.Host != first.Host || len(via) > maxRedirects {
				return errors.New("it redirects to another place")
			}
			return nil
		},
	}
}

// Fetch gets a small document with a client of NewClient: at most 64 KiB within 5 s, with status 200.
func Fetch(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch %s: status %d", url, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", url, err)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("fetch %s: over %d bytes", url, maxBody)
	}
	return body, nil
}

// parseKeys reads a JWK set (RFC 7517, section 5) and keeps the keys that can verify by one of algs. A set in which two keys
// have one name is refused as a whole: nobody knows which of them is meant. A set without any key of use is one: what its
// issuer no longer publishes is no longer accepted.
func parseKeys(body []byte, algs []jose.SignatureAlgorithm) (map[string]key, error) {
	names := []string{"keys", "kty", "kid", "use", "alg", "key_ops", "crv", "x", "y", "n", "e", "d", "k"}
	if err := auth.CheckJSON(body, names); err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil || set.Keys == nil {
		return nil, errors.New("it is no JWK set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("it holds %d keys, over %d", len(set.Keys), maxKeys)
	}
	keys := map[string]key{}
	seen := map[string]bool{}
	for _, raw := range set.Keys {
		kid, k, ok := parseKey(raw, algs)
		if kid != "" && seen[kid] {
			return nil, errors.New("two of its keys have the same kid")
		}
		seen[kid] = true
		if ok {
			keys[kid] = k
		}
	}
	return keys, nil
}

// parseKey reads one key; ok is false for one that is not for us, or that must not be used.
func parseKey(raw json.RawMessage, allowed []jose.SignatureAlgorithm) (kid string, k key, ok bool) {
	var head struct {
		Type       string          `json:"kty"`
		ID         string          `json:"kid"`
		Use        string          `json:"use"`
		Algorithm  string          `json:"alg"`
		Operations []string        `json:"key_ops"`
		Private    json.RawMessage `json:"d"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return "", key{}, false
	}
	if !kidGrammar.MatchString(head.ID) || head.Private != nil || head.Use != "" && head.Use != "sig" ||
		len(head.Operations) > 0 && !slices.Contains(head.Operations, "verify") {
		return head.ID, key{}, false
	}
	if !slices.Contains([]string{"OKP", "EC", "RSA"}, head.Type) { // not oct above all: those are secrets
		return head.ID, key{}, false
	}
	// Certificates that come with a key say nothing here.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return head.ID, key{}, false
	}
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool { return strings.HasPrefix(name, "x5") })
	bare, err := json.Marshal(members)
	if err != nil {
		return head.ID, key{}, false
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(bare); err != nil || !jwk.Valid() || !jwk.IsPublic() {
		return head.ID, key{}, false
	}
	for _, alg := range fitting(jwk.Key) {
		if slices.Contains(allowed, alg) && (head.Algorithm == "" || head.Algorithm == string(alg)) {
			k.algs = append(k.algs, alg)
		}
	}
	k.public = jwk.Key
	return head.ID, k, len(k.algs) > 0
}

// fitting is the algorithms that a key can verify by, none for a key that is too weak.
func fitting(public any) []jose.SignatureAlgorithm {
	switch k := public.(type) {
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return []jose.SignatureAlgorithm{jose.ES256}
		}
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits >= minRSABits && bits <= maxRSABits && k.E >= 65537 && k.E%2 == 1 {
			return []jose.SignatureAlgorithm{jose.RS256, jose.PS256}
		}
	}
	return nil
}
