package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"sightline/internal/auth"
	"sightline/internal/auth/authtest"
	"sightline/internal/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const iss = "https://id.example.org/realms/site"

// provider is an issuer's JWKS address, over real TLS.
type provider struct {
	server *httptest.Server
	hits   atomic.Int32

	mu     sync.Mutex
	answer http.HandlerFunc
}

func newProvider(tb testing.TB) *provider {
	tb.Helper()
	p := &provider{}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.hits.Add(1)
		p.mu.Lock()
		answer := p.answer
		p.mu.Unlock()
		answer(w, r)
	}))
	p.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	p.server.StartTLS()
	tb.Cleanup(p.server.Close)
	return p
}

func (p *provider) set(answer http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// publish answers with these keys.
func (p *provider) publish(keys ...any) { p.set(says(jwks(keys...))) }

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// jwks writes a set of keys: jose.JSONWebKey values, or text as it is.
func jwks(keys ...any) string {
	var parts []string
	for _, k := range keys {
		if text, ok := k.(string); ok {
			parts = append(parts, text)
			continue
		}
		b, err := json.Marshal(k)
		if err != nil {
			panic(err)
		}
		parts = append(parts, string(b))
	}
	return `{"keys":[` + strings.Join(parts, ",") + `]}`
}

func public(kid string, k crypto.Signer) jose.JSONWebKey {
	return jose.JSONWebKey{KeyID: kid, Key: k.Public(), Use: "sig"}
}

type bench struct {
	*provider
	Set
	now  time.Time
	key  ed25519.PrivateKey
	opts Options
}

func newBench(tb testing.TB, change func(*Options)) *bench {
	tb.Helper()
	b := &bench{provider: newProvider(tb), now: time.Unix(1_800_000_000, 0)}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	b.key = key
	b.publish(public("k1", key))
	roots := x509.NewCertPool()
	roots.AddCert(b.server.Certificate())
	b.opts = Options{
		Name: "corp", Issuer: iss, JWKSURL: b.server.URL + "/keys", Audience: "sightline", Algorithms: []string{"EdDSA"},
		GrantsClaim: []string{"grants"}, RolesClaim: []string{"realm_access", "roles"},
		Roles: map[string][]auth.Grant{
			"guard": {auth.Allow(auth.View, "site/**")}, "boss": {{Actions: []auth.Action{auth.View, auth.Admin}, Streams: []auth.Pattern{"**"}}},
		},
		Roots: roots, Now: func() time.Time { return b.now },
	}
	if change != nil {
		change(&b.opts)
	}
	i, err := New(b.opts)
	if err != nil {
		tb.Fatal(err)
	}
	i.keys.client.Timeout = time.Minute // a busy machine is no fault of the issuer's
	b.Set = Set{i}
	return b
}

func (b *bench) maker() authtest.Maker {
	return authtest.Maker{Key: b.key, KeyID: "k1", Kind: "JWT", Now: b.now, Issuer: iss}
}

func TestVerify_MapsClaims(t *testing.T) {
	b := newBench(t, nil)
	m := b.maker()
	roles := func(names string) []string {
		return []string{"grants", "", "realm_access", `{"roles":[` + names + `]}`}
	}
	for name, tt := range map[string]struct {
		claims []string
		want   string // what is allowed: action:stream
		err    error
	}{
		"grants":             {nil, "view:door", nil},
		"a role":             {roles(`"guard"`), "view:site/a", nil},
		"roles":              {roles(`"guard","boss","unknown"`), "view:door view:site/a view:x admin:door admin:site/a admin:x", nil},
		"both":               {[]string{"realm_access", `{"roles":["guard"]}`}, "view:door view:site/a", nil},
		"no role of use":     {roles(`"unknown"`), "", auth.ErrNotAllowed},
		"none":               {[]string{"grants", ""}, "", auth.ErrNotAllowed},
		"roles of no list":   {[]string{"realm_access", `{"roles":"boss"}`}, "", auth.ErrMalformed},
		"path leads nowhere": {[]string{"grants", "", "realm_access", `"boss"`}, "", auth.ErrNotAllowed},
		"an audience list":   {[]string{"aud", `["account","sightline"]`}, "view:door", nil},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := b.Verify(t.Context(), m.Seal(m.Header(), m.Claims(tt.claims...)))
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if p.Subject != "corp:alice" || p.ID != "corp:0123456789abcdef" || p.KeyID != "corp:k1" || p.Kind != auth.KindForeign ||
				!p.Expires.Equal(b.now.Add(time.Hour)) || !p.Issued.Equal(b.now.Add(-auth.Leeway)) {
				t.Errorf("%+v", p)
			}
			for _, a := range []auth.Action{auth.View, auth.Publish, auth.Admin} {
				for _, s := range []media.StreamID{"door", "site/a", "x"} {
					if got, want := p.Allows(a, s) == nil, slices.Contains(strings.Fields(tt.want), string(a)+":"+string(s)); got != want {
						t.Errorf("%s:%s allowed: %t", a, s, got)
					}
				}
			}
		})
	}
}

func TestVerify_WithoutATokenID(t *testing.T) {
	b := newBench(t, nil)
	m := b.maker()
	ids := map[string]bool{}
	for _, sub := range []string{`"alice"`, `"bob"`, `"alice"`} {
		p, err := b.Verify(t.Context(), m.Seal(m.Header(), m.Claims("jti", "", "sub", sub)))
		if err != nil || len(p.ID) != len("corp:")+43 {
			t.Fatalf("%+v, %v", p, err)
		}
		ids[p.ID] = true
	}
	if len(ids) != 2 {
		t.Errorf("%d IDs for two tokens", len(ids))
	}
}

// All that auth refuses is refused here too, with a word for the record; but for what is no fault in tokens of others.
func TestVerify_RefusesMutations(t *testing.T) {
	b := newBench(t, nil)
	m := b.maker()
	fine := []string{"typ JWT", "typ missing", "typ empty", "aud list", "no jti", "jti short", "jti odd", "over 4 KiB"}
	mutations, err := m.Mutations()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Verify(t.Context(), m.Good()); err != nil {
		t.Fatalf("all mutations start from a token that must be accepted: %v", err)
	}
	for _, tt := range mutations {
		t.Run(tt.Name, func(t *testing.T) {
			p, err := b.Verify(t.Context(), tt.Token)
			if slices.Contains(fine, tt.Name) {
				if err != nil {
					t.Errorf("no fault here: %v", err)
				}
				return
			}
			if r := auth.Reason(err); r == "" || r == "internal" || p.Subject != "" {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
	own := authtest.Maker{Key: b.key, KeyID: "k1", Kind: auth.KindAdmin, Now: b.now, Issuer: iss}
	if _, err := b.Verify(t.Context(), own.Good()); !errors.Is(err, auth.ErrWrongKind) {
		t.Errorf("a kind of our own, signed by another: %v", err)
	}
	for _, tt := range m.Times() {
		if _, err := b.Verify(t.Context(), tt.Token); !errors.Is(err, tt.Want) {
			t.Errorf("%s: %v, want %v", tt.Name, err, tt.Want)
		}
	}
	for name, tt := range map[string]struct {
		claims []string
		want   error
	}{
		"another issuer":     {[]string{"iss", `"https://evil.example"`}, auth.ErrUnknownKey},
		"no issuer":          {[]string{"iss", ""}, auth.ErrUnknownKey},
		"a list of issuers":  {[]string{"iss", `["` + iss + `"]`}, auth.ErrMalformed},
		"ISS beside iss":     {[]string{"ISS", `"https://evil.example"`}, auth.ErrMalformed},
		"an ID token":        {[]string{"nonce", `"abc"`}, auth.ErrWrongKind},
		"a day and a second": {[]string{"exp", fmt.Sprint(b.now.Unix() + 24*3600 + 1)}, auth.ErrLifetime},
		"long subject":       {[]string{"sub", `"` + strings.Repeat("a", 252) + `"`}, auth.ErrMalformed},
	} {
		if _, err := b.Verify(t.Context(), m.Seal(m.Header(), m.Claims(tt.claims...))); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// signed makes a token by any algorithm.
func (b *bench) signed(tb testing.TB, alg jose.SignatureAlgorithm, kid string, key any) string {
	tb.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", kid))
	if err != nil {
		tb.Fatal(err)
	}
	s, err := signer.Sign([]byte(b.maker().Claims()))
	if err != nil {
		tb.Fatal(err)
	}
	token, err := s.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func TestVerify_EachAlgorithmWithItsKeyOnly(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(o *Options) { o.Algorithms = []string{"EdDSA", "ES256", "RS256", "PS256"} })
	only := public("only-ps", big)
	only.Algorithm = "PS256"
	b.publish(public("ed", b.key), public("ec", ec), public("rsa", big), only)
	for _, tt := range []struct {
		alg  jose.SignatureAlgorithm
		kid  string
		key  any
		want error
	}{
		{jose.EdDSA, "ed", b.key, nil},
		{jose.ES256, "ec", ec, nil},
		{jose.RS256, "rsa", big, nil},
		{jose.PS256, "rsa", big, nil},
		{jose.PS256, "only-ps", big, nil},
		{jose.RS256, "only-ps", big, auth.ErrForged},
		{jose.RS256, "ec", big, auth.ErrForged},
		{jose.ES256, "ed", ec, auth.ErrForged},
		{jose.PS512, "rsa", big, auth.ErrForged},
		{jose.HS256, "ed", []byte(strings.Repeat("k", 32)), auth.ErrForged},
		{jose.HS256, "rsa", x509.MarshalPKCS1PublicKey(&big.PublicKey), auth.ErrForged},
		{jose.EdDSA, "ec", b.key, auth.ErrForged},
	} {
		if _, err := b.Verify(t.Context(), b.signed(t, tt.alg, tt.kid, tt.key)); !errors.Is(err, tt.want) {
			t.Errorf("%s with %s: %v, want %v", tt.alg, tt.kid, err, tt.want)
		}
	}
	narrow := newBench(t, nil) // EdDSA alone
	narrow.publish(public("ed", narrow.key), public("rsa", big))
	if _, err := narrow.Verify(t.Context(), narrow.signed(t, jose.RS256, "rsa", big)); !errors.Is(err, auth.ErrForged) {
		t.Errorf("an algorithm that is not configured: %v", err)
	}
}

func TestKeys_Rotate(t *testing.T) {
	b := newBench(t, nil)
	_, second, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	one, two := b.signed(t, jose.EdDSA, "k1", b.key), b.signed(t, jose.EdDSA, "k2", second)
	verify := func(token string, want error) {
		t.Helper()
		if _, err := b.Verify(t.Context(), token); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	verify(one, nil)
	b.publish(public("k2", second))
	for range 100 { // unknown keys do not make this server hammer the other
		verify(two, auth.ErrUnknownKey)
	}
	if n := b.hits.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	b.now = b.now.Add(tryEvery)
	verify(two, nil)
	verify(one, auth.ErrUnknownKey) // it is no longer published
	if n := b.hits.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
	b.now = b.now.Add(keysTTL)
	verify(two, nil)
	if n := b.hits.Load(); n != 3 {
		t.Errorf("asked %d times when the keys were old", n)
	}
	b.publish() // an issuer that withdraws all its keys is heard too
	b.now = b.now.Add(keysTTL)
	verify(two, auth.ErrUnknownKey)
}

// However the address fails, keys are good for a day, and then nobody is let in.
func TestKeys_WhenTheAddressFails(t *testing.T) {
	blocked := make(chan struct{})
	elsewhere := newProvider(t)
	for name, answer := range map[string]http.HandlerFunc{
		"500":        status(500),
		"404":        status(404),
		"204":        status(204),
		"garbage":    says("\x00\xff{"),
		"empty":      says(""),
		"a list":     says("[]"),
		"no keys":    says("{}"),
		"null keys":  says(`{"keys":null}`),
		"HTML":       says("<html>log in</html>"),
		"keys twice": says(`{"keys":[],"keys":[]}`),
		"KEYS":       says(`{"KEYS":[]}`),
		"deep":       says(`{"keys":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`),
		"huge":       says(`{"keys":[],"x":"` + strings.Repeat("x", maxBody) + `"}`),
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write([]byte(strings.Repeat(" ", 4096))); err != nil {
					return
				}
			}
		},
		"too many": says(`{"keys":[` + strings.TrimSuffix(strings.Repeat("{},", maxKeys+1), ",") + `]}`),
		"silence": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-blocked:
			case <-r.Context().Done():
			}
		},
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"keys":[`))
		},
		"another host": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.server.URL+"/keys", http.StatusFound)
		},
		"no TLS": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+r.Host+"/keys", http.StatusFound)
		},
		"round and round": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			failing := func() {
				b.set(answer)
				if name == "silence" {
					b.Set[0].keys.client.Timeout = 50 * time.Millisecond // of the real five seconds
				}
			}
			working := func() {
				b.publish(public("k1", b.key))
				b.Set[0].keys.client.Timeout = time.Minute
			}
			elsewhere.publish(public("k1", b.key))
			token := b.signed(t, jose.EdDSA, "k1", b.key)
			failing()
			if _, err := b.Verify(t.Context(), token); !errors.Is(err, auth.ErrUnavailable) {
				t.Fatalf("without any keys: %v", err)
			}
			working()
			b.now = b.now.Add(tryEvery)
			if _, err := b.Verify(t.Context(), b.signed(t, jose.EdDSA, "k1", b.key)); err != nil {
				t.Fatal(err)
			}
			failing()
			b.now = b.now.Add(keysDieAfter - time.Second)
			if _, err := b.Verify(t.Context(), b.signed(t, jose.EdDSA, "k1", b.key)); err != nil {
				t.Errorf("within a day: %v", err)
			}
			if _, err := b.Verify(t.Context(), b.signed(t, jose.EdDSA, "k9", b.key)); !errors.Is(err, auth.ErrUnavailable) {
				t.Errorf("a key that may be new: %v", err)
			}
			b.now = b.now.Add(time.Second)
			if _, err := b.Verify(t.Context(), b.signed(t, jose.EdDSA, "k1", b.key)); !errors.Is(err, auth.ErrUnavailable) {
				t.Errorf("after a day: %v", err)
			}
			working()
			b.now = b.now.Add(tryEvery)
			if _, err := b.Verify(t.Context(), b.signed(t, jose.EdDSA, "k1", b.key)); err != nil {
				t.Errorf("once it answers again: %v", err)
			}
		})
	}
	close(blocked)
	if n := elsewhere.hits.Load(); n != 0 {
		t.Errorf("another host was asked %d times", n)
	}
}

func TestKeys_OnTheSameHostMayMove(t *testing.T) {
	b := newBench(t, nil)
	body := jwks(public("k1", b.key))
	b.set(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			http.Redirect(w, r, "/new/keys", http.StatusFound)
			return
		}
		_, _ = w.Write([]byte(body))
	})
	if _, err := b.Verify(t.Context(), b.maker().Good()); err != nil {
		t.Error(err)
	}
}

func TestKeys_AnotherCertificateIsNotTrusted(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Roots = x509.NewCertPool() })
	if _, err := b.Verify(t.Context(), b.maker().Good()); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// Keys that lie about themselves are not used, and do not keep the good ones from being used.
func TestKeys_Lies(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Algorithms = []string{"EdDSA", "ES256", "RS256", "PS256"} })
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good, err := json.Marshal(public("k1", b.key))
	if err != nil {
		t.Fatal(err)
	}
	named := func(old, now string) string { return strings.Replace(string(good), old, now, 1) }
	enc := public("k1", b.key)
	enc.Use = "enc"
	other := public("k1", b.key)
	other.Algorithm = "ES256"
	hs := `{"kty":"oct","kid":"k1","alg":"HS256","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`
	for name, lie := range map[string]any{
		"HS": hs, "oct named EdDSA": strings.Replace(hs, "HS256", "EdDSA", 1),
		"weak RSA": public("k1", weak), "P-384": public("k1", p384), "for encryption": enc, "another algorithm": other,
		"private": jose.JSONWebKey{KeyID: "k1", Key: b.key}, "wrong kty": named(`"OKP"`, `"EC"`), "unknown kty": named(`"OKP"`, `"AKP"`),
		"wrong curve": named("Ed25519", "Ed448"), "short x": `{"kty":"OKP","kid":"k1","crv":"Ed25519","x":"AAAA"}`, "no x": `{"kty":"OKP","kid":"k1","crv":"Ed25519"}`,
		"no kid": named(`"kid":"k1",`, ""), "empty kid": named(`"k1"`, `""`), "kid with a space": named(`"k1"`, `"k 1"`), "to sign": named(`"use":"sig"`, `"key_ops":["sign"]`),
		"a number": "7", "null": "null", "a list": "[]",
		"point off the curve": `{"kty":"EC","kid":"k1","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}`,
		"RSA of e=1":          `{"kty":"RSA","kid":"k1","n":"` + strings.Repeat("_", 342) + `","e":"AQ"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if text, ok := lie.(string); ok && text == string(good) {
				t.Fatal("nothing was changed")
			}
			i, err := New(b.opts)
			if err != nil {
				t.Fatal(err)
			}
			s := Set{i}
			b.publish(lie, public("k2", b.key))
			if _, err := s.Verify(t.Context(), b.signed(t, jose.EdDSA, "k1", b.key)); !errors.Is(err, auth.ErrUnknownKey) {
				t.Errorf("by the lie: %v", err)
			}
			if _, err := s.Verify(t.Context(), b.signed(t, jose.EdDSA, "k2", b.key)); err != nil {
				t.Errorf("by the good key beside it: %v", err)
			}
		})
	}
	b.publish(public("k1", b.key), public("k1", p384)) // which of them?
	if _, err := b.Verify(t.Context(), b.signed(t, jose.EdDSA, "k1", b.key)); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("two keys of one name: %v", err)
	}
}

// One fetch serves all that wait for it.
func TestKeys_AreFetchedOnceForMany(t *testing.T) {
	b := newBench(t, nil)
	token := b.maker().Good()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := b.Verify(t.Context(), token); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := b.hits.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestVerify_AsksWhatWasRevoked(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.Check = func(p auth.Principal, _ media.StreamID) error {
			if p.Subject == "corp:alice" && p.ID == "corp:0123456789abcdef" && p.KeyID == "corp:k1" {
				return fmt.Errorf("by the test: %w", auth.ErrRevoked)
			}
			return nil
		}
	})
	m := b.maker()
	if p, err := b.Verify(t.Context(), m.Good()); !errors.Is(err, auth.ErrRevoked) || p.Subject != "" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := b.Verify(t.Context(), m.Seal(m.Header(), m.Claims("sub", `"bob"`))); err != nil {
		t.Error(err)
	}
}

func TestVerifyID(t *testing.T) {
	b := newBench(t, nil)
	m := b.maker()
	for name, tt := range map[string]struct {
		claims []string
		want   error
	}{
		"good":                 {[]string{"nonce", `"n-1"`}, nil},
		"no nonce":             {nil, auth.ErrUsed},
		"another nonce":        {[]string{"nonce", `"n-2"`}, auth.ErrUsed},
		"its party":            {[]string{"nonce", `"n-1"`, "azp", `"sightline"`, "aud", `["sightline","other"]`}, nil},
		"another party":        {[]string{"nonce", `"n-1"`, "azp", `"other"`}, auth.ErrWrongAudience},
		"two and no party":     {[]string{"nonce", `"n-1"`, "aud", `["sightline","other"]`}, auth.ErrWrongAudience},
		"nonce of no text":     {[]string{"nonce", `1`}, auth.ErrMalformed},
		"another audience":     {[]string{"nonce", `"n-1"`, "aud", `"other"`}, auth.ErrWrongAudience},
		"expired":              {[]string{"nonce", `"n-1"`, "exp", fmt.Sprint(b.now.Unix()), "iat", fmt.Sprint(b.now.Unix() - 60)}, auth.ErrExpired},
		"without any mapping":  {[]string{"nonce", `"n-1"`, "grants", ""}, auth.ErrNotAllowed},
		"an access token type": {nil, auth.ErrWrongKind},
	} {
		header := m.Header()
		if name == "an access token type" {
			header = strings.Replace(header, "JWT", "at+jwt", 1)
		}
		if _, err := b.Set[0].VerifyID(t.Context(), m.Seal(header, m.Claims(tt.claims...)), "n-1"); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestNew_RefusesNonsense(t *testing.T) {
	b := newBench(t, nil)
	for name, change := range map[string]func(*Options){
		"name":            func(o *Options) { o.Name = "Corp:1" },
		"no algorithms":   func(o *Options) { o.Algorithms = nil },
		"HS256":           func(o *Options) { o.Algorithms = []string{"HS256"} },
		"none":            func(o *Options) { o.Algorithms = []string{"none"} },
		"no issuer":       func(o *Options) { o.Issuer = "" },
		"no audience":     func(o *Options) { o.Audience = "" },
		"http":            func(o *Options) { o.JWKSURL = "http://id.example.org/keys" },
		"no URL":          func(o *Options) { o.JWKSURL = ":" },
		"a login in it":   func(o *Options) { o.JWKSURL = "https://me:canary@id.example.org/keys" },
		"nothing to map":  func(o *Options) { o.GrantsClaim, o.RolesClaim = nil, nil },
		"a role of bad g": func(o *Options) { o.Roles = map[string][]auth.Grant{"x": {{}}} },
	} {
		o := b.opts
		change(&o)
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(jwks(public("a", ed), public("b", ec))))
	f.Add([]byte(`{"keys":[{"kty":"oct","kid":"a","k":"AAAA"},{"kty":"RSA","kid":"b","n":"AQAB","e":"AQAB"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, err := parseKeys(body, algorithms())
		if err != nil {
			return
		}
		for kid, k := range keys {
			if !kidGrammar.MatchString(kid) || len(k.algs) == 0 || k.public == nil {
				t.Errorf("%q: %q %+v", body, kid, k)
			}
		}
	})
}

func FuzzVerify(f *testing.F) {
	b := newBench(f, nil)
	m := b.maker()
	f.Add(m.Header(), m.Claims())
	f.Add(m.Header(), m.Claims("aud", `["a","sightline"]`, "realm_access", `{"roles":["boss"]}`))
	f.Fuzz(func(t *testing.T, header, payload string) {
		for _, token := range []string{header, header + "." + payload + ".", m.Seal(header, payload)} {
			p, err := b.Verify(t.Context(), token)
			if err != nil {
				if r := auth.Reason(err); r == "internal" || r == "" {
					t.Fatalf("%q: unclassified error %v", token, err)
				}
				continue
			}
			if !strings.HasPrefix(p.Subject, "corp:") || len(p.Grants) == 0 || !p.Expires.After(b.now) {
				t.Fatalf("%q accepted as %+v", token, p)
			}
		}
	})
}
