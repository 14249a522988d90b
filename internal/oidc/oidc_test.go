package oidc

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"sightline/internal/auth"
	"sightline/internal/auth/authtest"
	"sightline/internal/issuer"
	"sightline/internal/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	clientID     = "sightline-web"
	clientSecret = "canary-secret"
	redirect     = "https://cam.example.org/login/corp"
)

// fake is an OpenID provider over real TLS.
type fake struct {
	server *httptest.Server
	key    ed25519.PrivateKey
	now    time.Time

	mu      sync.Mutex
	codes   map[string]url.Values // what the browser came with, by code
	token   http.HandlerFunc      // in place of the token endpoint
	mangle  func(string) string   // of its description
	claims  []string              // changes to ID tokens
	public  bool                  // the client has no secret
	barred  error
	visited int
}

func newFake(tb testing.TB) *fake {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	p := &fake{key: key, now: time.Unix(1_800_000_000, 0), codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wellKnown, p.describe)
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{KeyID: "k1", Key: key.Public()}}})
	})
	mux.HandleFunc("POST /token", p.exchange)
	p.server = httptest.NewUnstartedServer(mux)
	p.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	p.server.StartTLS()
	tb.Cleanup(p.server.Close)
	return p
}

func (p *fake) describe(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.visited++
	u := p.server.URL
	text := fmt.Sprintf(`{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q,"jwks_uri":%q,"response_types_supported":["code"]}`,
		u, u+"/authorize", u+"/token", u+"/keys")
	if p.mangle != nil {
		text = p.mangle(text)
	}
	_, _ = w.Write([]byte(text))
}

// visit is what the provider and the browser do with the address: log in, and come back with these parameters.
func (p *fake) visit(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": clientID, "redirect_uri": redirect, "code_challenge_method": "S256", "scope": "openid email",
	} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	if len(q.Get("state")) < 22 || len(q.Get("nonce")) < 22 || len(q.Get("code_challenge")) != 43 || strings.Contains(address, clientSecret) {
		t.Errorf("address %s", address)
	}
	code := rand.Text()
	p.mu.Lock()
	p.codes[code] = q
	p.mu.Unlock()
	return url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.server.URL}, "session_state": {"x"}}
}

func (p *fake) exchange(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.token != nil {
		p.token(w, r)
		return
	}
	code := r.PostFormValue("code")
	q, ok := p.codes[code]
	delete(p.codes, code)
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	id, secret, basic := r.BasicAuth()
	authenticated := basic && id == clientID && secret == clientSecret
	if p.public {
		authenticated = !basic && r.PostFormValue("client_id") == clientID && !r.PostForm.Has("client_secret")
	}
	if !ok || !authenticated || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || r.PostFormValue("redirect_uri") != redirect {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant","error_description":"canary-answer"}`))
		return
	}
	m := authtest.Maker{Key: p.key, KeyID: "k1", Kind: "JWT", Now: p.now, Issuer: p.server.URL}
	claims := append([]string{"aud", fmt.Sprintf("%q", clientID), "nonce", fmt.Sprintf("%q", q.Get("nonce"))}, p.claims...)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": "canary-access", "token_type": "Bearer", "expires_in": 300, "id_token": m.Seal(m.Header(), m.Claims(claims...)),
	})
}

func (p *fake) flow(t *testing.T) *Flow {
	t.Helper()
	f, err := New(p.options())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (p *fake) options() Options {
	roots := x509.NewCertPool()
	roots.AddCert(p.server.Certificate())
	o := Options{
		Issuer: issuer.Options{
			Name: "corp", Issuer: p.server.URL, Algorithms: []string{"EdDSA"}, GrantsClaim: []string{"grants"}, Roots: roots,
			Now:   func() time.Time { return p.now },
			Check: func(auth.Principal, media.StreamID) error { return p.barred },
		},
		ClientID: clientID, ClientSecret: clientSecret, RedirectURL: redirect, Scopes: []string{"email"},
	}
	if p.public {
		o.ClientSecret = ""
	}
	return o
}

func mustBegin(t *testing.T, f *Flow) (address, browser string) {
	t.Helper()
	address, browser, err := f.Begin(t.Context(), "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	return address, browser
}

func TestFlow_LogsIn(t *testing.T) {
	for _, public := range []bool{false, true} {
		p := newFake(t)
		p.public = public
		f := p.flow(t)
		address, browser := mustBegin(t, f)
		back := p.visit(t, address)
		p.now = p.now.Add(time.Minute)
		who, err := f.Finish(t.Context(), browser, back)
		if err != nil {
			t.Fatal(err)
		}
		if who.Subject != "corp:alice" || who.Allows(auth.View, "door") != nil || !who.Issued.Equal(p.now) || !who.Expires.Equal(p.now.Add(12*time.Hour)) {
			t.Errorf("%+v", who)
		}
		if _, err := f.Finish(t.Context(), browser, back); !errors.Is(err, auth.ErrUsed) {
			t.Errorf("a second time: %v", err)
		}
		if p.visited != 1 {
			t.Errorf("the provider was asked %d times what it is", p.visited)
		}
	}
}

func TestFlow_RefusesWhatIsNotItsLogin(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(p *fake, browser string, back url.Values) string // returns the cookie
		want error
	}{
		"no cookie":        {func(_ *fake, _ string, _ url.Values) string { return "" }, auth.ErrMissing},
		"another browser":  {func(_ *fake, _ string, _ url.Values) string { return "AAAA" }, auth.ErrUsed},
		"another state":    {func(_ *fake, b string, q url.Values) string { q.Set("state", "x"); return b }, auth.ErrUsed},
		"no state":         {func(_ *fake, b string, q url.Values) string { q.Del("state"); return b }, auth.ErrUsed},
		"state twice":      {func(_ *fake, b string, q url.Values) string { q.Add("state", q.Get("state")); return b }, auth.ErrMalformed},
		"long code":        {func(_ *fake, b string, q url.Values) string { q.Set("code", strings.Repeat("x", 5000)); return b }, auth.ErrMalformed},
		"another provider": {func(_ *fake, b string, q url.Values) string { q.Set("iss", "https://evil.example"); return b }, auth.ErrForged},
		"refused there":    {func(_ *fake, b string, q url.Values) string { q.Set("error", "access_denied"); return b }, auth.ErrLogin},
		"no code":          {func(_ *fake, b string, q url.Values) string { q.Del("code"); return b }, auth.ErrLogin},
		"another code":     {func(_ *fake, b string, q url.Values) string { q.Set("code", "x"); return b }, auth.ErrLogin},
		"too late": {func(p *fake, b string, _ url.Values) string {
			p.now = p.now.Add(LoginLifetime)
			return b
		}, auth.ErrExpired},
		"a code of another login": {func(p *fake, b string, q url.Values) string {
			p.codes[q.Get("code")].Set("code_challenge", "another")
			return b
		}, auth.ErrLogin},
		"another nonce":    {func(p *fake, b string, _ url.Values) string { p.claims = []string{"nonce", `"x"`}; return b }, auth.ErrUsed},
		"no nonce":         {func(p *fake, b string, _ url.Values) string { p.claims = []string{"nonce", ""}; return b }, auth.ErrUsed},
		"another audience": {func(p *fake, b string, _ url.Values) string { p.claims = []string{"aud", `"x"`}; return b }, auth.ErrWrongAudience},
		"no grants":        {func(p *fake, b string, _ url.Values) string { p.claims = []string{"grants", ""}; return b }, auth.ErrNotAllowed},
		"revoked":          {func(p *fake, b string, _ url.Values) string { p.barred = auth.ErrRevoked; return b }, auth.ErrRevoked},
		"another's key": {func(p *fake, b string, _ url.Values) string {
			_, p.key, _ = ed25519.GenerateKey(rand.Reader)
			return b
		}, auth.ErrSignature},
		"a fault there": {func(p *fake, b string, _ url.Values) string {
			p.token = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
			return b
		}, auth.ErrUnavailable},
		"garbage": {func(p *fake, b string, _ url.Values) string {
			p.token = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("canary-answer")) }
			return b
		}, auth.ErrUnavailable},
		"no ID token": {func(p *fake, b string, _ url.Values) string {
			p.token = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"access_token":"canary-access","token_type":"Bearer"}`))
			}
			return b
		}, auth.ErrUnavailable},
		"the code sent elsewhere": {func(p *fake, b string, _ url.Values) string {
			p.token = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://evil.invalid/token", http.StatusTemporaryRedirect)
			}
			return b
		}, auth.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			p := newFake(t)
			f := p.flow(t)
			address, browser := mustBegin(t, f)
			back := p.visit(t, address)
			who, err := f.Finish(t.Context(), tt.do(p, browser, back), back)
			if !errors.Is(err, tt.want) || who.Subject != "" {
				t.Errorf("%+v, %v, want %v", who, err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), back.Get("code")) && back.Get("code") != "x" && back.Get("code") != "") {
				t.Errorf("a secret is told: %v", err)
			}
		})
	}
}

func TestFlow_WhenTheProviderLies(t *testing.T) {
	for name, mangle := range map[string]func(string) string{
		"another name": func(s string) string {
			return strings.Replace(s, `"issuer":"https`, `"issuer":"https://evil.example/https`, 1)
		},
		"no TLS": func(s string) string {
			return strings.Replace(s, `"token_endpoint":"https`, `"token_endpoint":"http`, 1)
		},
		"script": func(s string) string {
			return strings.Replace(s, `"authorization_endpoint":"https`, `"authorization_endpoint":"javascript`, 1)
		},
		"a login in it": func(s string) string {
			return strings.Replace(s, `"jwks_uri":"https://`, `"jwks_uri":"https://a:b@`, 1)
		},
		"twice":             func(s string) string { return strings.Replace(s, `{`, `{"issuer":"x",`, 1) },
		"garbage":           func(string) string { return "garbage" },
		"huge":              func(s string) string { return s + strings.Repeat(" ", 1<<17) },
		"nothing":           func(string) string { return "{}" },
		"a list in a place": func(s string) string { return strings.Replace(s, `"jwks_uri":`, `"jwks_uri":[],"x":`, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newFake(t)
			p.mangle = mangle
			f := p.flow(t)
			for range 3 {
				if _, _, err := f.Begin(t.Context(), ""); !errors.Is(err, auth.ErrUnavailable) {
					t.Fatalf("got %v", err)
				}
			}
			if p.visited != 1 {
				t.Errorf("asked %d times at once", p.visited)
			}
			p.mu.Lock()
			p.mangle = nil
			p.mu.Unlock()
			p.now = p.now.Add(retryAfter)
			mustBegin(t, f)
			// And when it begins to lie later, what it said before is good.
			p.mu.Lock()
			p.mangle = mangle
			p.mu.Unlock()
			p.now = p.now.Add(discoveryTTL)
			address, browser := mustBegin(t, f)
			if _, err := f.Finish(t.Context(), browser, p.visit(t, address)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBegin_OneSourceCannotCrowdOutOthers(t *testing.T) {
	p := newFake(t)
	f := p.flow(t)
	for range maxLoginsPerSource {
		mustBegin(t, f)
	}
	if _, _, err := f.Begin(t.Context(), "192.0.2.1"); !errors.Is(err, auth.ErrTooMany) {
		t.Errorf("got %v", err)
	}
	if _, _, err := f.Begin(t.Context(), "192.0.2.2"); err != nil {
		t.Errorf("another source: %v", err)
	}
}

func TestNew_RefusesNonsense(t *testing.T) {
	p := newFake(t)
	for name, change := range map[string]func(*Options){
		"no client":      func(o *Options) { o.ClientID = "" },
		"HMAC":           func(o *Options) { o.Issuer.Algorithms = []string{"HS256"} },
		"no TLS":         func(o *Options) { o.Issuer.Issuer = "http://id.example.org" },
		"redirect":       func(o *Options) { o.RedirectURL = "http://cam.example.org/" },
		"redirect with#": func(o *Options) { o.RedirectURL = "https://cam.example.org/#a" },
	} {
		o := p.options()
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParseDiscovery(f *testing.F) {
	f.Add([]byte(`{"issuer":"https://a","authorization_endpoint":"https://a/b","token_endpoint":"https://a/c","jwks_uri":"https://a/d"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := parseDiscovery(body, "https://a")
		if err == nil && (d.Issuer != "https://a" || checkURL(d.Token) != nil || checkURL(d.Keys) != nil) {
			t.Errorf("%q reads as %+v", body, d)
		}
	})
}
