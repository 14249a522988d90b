// Package oidc logs people in at an OpenID provider: by authorization code (RFC 6749, section 4.1) with PKCE (RFC 7636,
// S256), state and nonce. It makes the address to send a browser to, and turns what the browser comes back with into a
// Principal. It knows no cookies and serves nothing; the tokens it gets are forgotten at once. It owns no goroutines.
package oidc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"sightline/internal/auth"
	"sightline/internal/issuer"
	"sightline/internal/media"
)

const (
	// LoginLifetime is how long a person may take to log in at the provider.
	LoginLifetime = 10 * time.Minute

	maxLogins          = 50_000
	maxLoginsPerSource = 100
	discoveryTTL       = time.Hour
	retryAfter         = 5 * time.Second // when the provider could not be asked
	wellKnown          = "/.well-known/openid-configuration"
	maxParameter       = 4096
)

// Options say where people log in. All fields up to RedirectURL are required.
type Options struct {
	// Issuer is who signs the ID tokens, and how their claims are mapped. Its Audience is the client's ID; its JWKSURL is found
	// out from the provider and left empty.
	Issuer       issuer.Options
	ClientID     string
	ClientSecret string // "" for a public client: PKCE alone protects it
	RedirectURL  string // of this server, as it is registered at the provider
	Scopes       []string
	SessionTTL   time.Duration // how long a login is good for, whatever the ID token says; 12 h
}

// Flow logs people in at one provider. Safe for concurrent use.
type Flow struct {
	// static after construction
	opts   Options
	now    func() time.Time
	check  func(p auth.Principal, s media.StreamID) error
	client *http.Client
	logins *auth.Vault[login]

	finding  chan struct{} // held by who asks the provider, and guards what follows
	provider *provider     // nil until it answered
	answered time.Time
	failed   time.Time // when it last did not answer, and why
	fault    error
}

// login is one that was begun.
type login struct {
	state    string
	nonce    string
	verifier string
}

// provider is what discovery tells (OpenID Connect Discovery, section 4).
type provider struct {
	oauth  oauth2.Config
	issuer *issuer.Issuer
}

// New checks opts. It asks the provider nothing yet. The error is one sentence.
func New(opts Options) (*Flow, error) {
	if opts.SessionTTL == 0 {
		opts.SessionTTL = 12 * time.Hour
	}
	if opts.Issuer.Now == nil {
		opts.Issuer.Now = time.Now
	}
	opts.Issuer.Audience = opts.ClientID
	check := opts.Issuer
	check.JWKSURL = "https://unknown.invalid" // until the provider is asked
	if _, err := issuer.New(check); err != nil {
		return nil, err
	}
	for what, address := range map[string]string{"its address": opts.Issuer.Issuer, "the redirect address": opts.RedirectURL} {
		if err := checkURL(address); err != nil {
			return nil, fmt.Errorf("login at %s: %s %w", opts.Issuer.Name, what, err)
		}
	}
	f := &Flow{
		opts: opts, now: opts.Issuer.Now, check: opts.Issuer.Check, client: issuer.NewClient(opts.Issuer.Roots),
		logins: auth.NewVault[login](maxLogins, maxLoginsPerSource), finding: make(chan struct{}, 1),
	}
	if f.check == nil {
		f.check = func(auth.Principal, media.StreamID) error { return nil }
	}
	f.opts.Issuer.Check = nil // it would take the ID token for older than the login is
	return f, nil
}

// Begin starts a login. Send the browser to address, and give it browser as a cookie (__Host-, Secure, HttpOnly,
// SameSite=Lax, for LoginLifetime): only the browser that began a login can finish it. source is the network address that
// asks: one of them cannot crowd out the others. The error wraps auth.ErrUnavailable when the provider cannot be asked, or
// auth.ErrTooMany.
func (f *Flow) Begin(ctx context.Context, source string) (address, browser string, err error) {
	p, err := f.find(ctx)
	if err != nil {
		return "", "", err
	}
	l := login{state: rand.Text(), nonce: rand.Text(), verifier: oauth2.GenerateVerifier()}
	now := f.now()
	browser, err = f.logins.Put(l, source, now, now.Add(LoginLifetime))
	if err != nil {
		return "", "", fmt.Errorf("login at %s: %w", f.opts.Issuer.Name, err)
	}
	return p.oauth.AuthCodeURL(l.state, oauth2.S256ChallengeOption(l.verifier), oauth2.SetAuthURLParam("nonce", l.nonce)), browser, nil
}

// Finish ends the login that the browser's cookie names, with the parameters it came back with, and returns who logged in.
// A login can be finished once, whether that succeeds or not. The error wraps one of auth's sentinels: ErrMissing (no
// cookie), ErrUsed (unknown or used, or another login's parameters), ErrExpired, ErrLogin (the provider refused),
// ErrUnavailable (it could not be asked), or one of those of issuer.Issuer.VerifyID.
func (f *Flow) Finish(ctx context.Context, browser string, parameters url.Values) (auth.Principal, error) {
	fail := func(err error) (auth.Principal, error) {
		return auth.Principal{}, fmt.Errorf("login at %s: %w", f.opts.Issuer.Name, err)
	}
	l, err := f.logins.Take(browser, f.now())
	if err != nil {
		return fail(err)
	}
	for _, values := range parameters {
		if len(values) != 1 || len(values[0]) > maxParameter {
			return fail(fmt.Errorf("a parameter stands twice or is too long: %w", auth.ErrMalformed))
		}
	}
	if subtle.ConstantTimeCompare([]byte(parameters.Get("state")), []byte(l.state)) != 1 {
		return fail(fmt.Errorf("state: %w", auth.ErrUsed))
	}
	if iss := parameters.Get("iss"); iss != "" && iss != f.opts.Issuer.Issuer { // RFC 9207
		return fail(fmt.Errorf("answer of another provider: %w", auth.ErrForged))
	}
	if parameters.Has("error") || parameters.Get("code") == "" {
		return fail(fmt.Errorf("the provider refused: %w", auth.ErrLogin))
	}
	p, err := f.find(ctx)
	if err != nil {
		return auth.Principal{}, err
	}
	raw, err := f.exchange(ctx, p, parameters.Get("code"), l.verifier)
	if err != nil {
		return fail(err)
	}
	who, err := p.issuer.VerifyID(ctx, raw, l.nonce)
	if err != nil {
		return auth.Principal{}, err
	}
	// The ID token says who logged in just now; how long that is good for is this server's policy.
	who.Issued = f.now()
	who.Expires = who.Issued.Add(f.opts.SessionTTL)
	if err := f.check(who, ""); err != nil {
		return fail(err)
	}
	return who, nil
}

// exchange gets the ID token for a code. Its errors hold nothing of what the provider answered.
func (f *Flow) exchange(ctx context.Context, p *provider, code, verifier string) (string, error) {
	token, err := p.oauth.Exchange(context.WithValue(ctx, oauth2.HTTPClient, f.client), code, oauth2.VerifierOption(verifier))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response.StatusCode < http.StatusInternalServerError:
		return "", fmt.Errorf("the provider does not take the code: %w", auth.ErrLogin)
	case err != nil:
		return "", fmt.Errorf("the code cannot be exchanged: %w", auth.ErrUnavailable)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok || raw == "" {
		return "", fmt.Errorf("the provider gave no ID token: is the scope openid allowed there? %w", auth.ErrUnavailable)
	}
	return raw, nil
}

// find is what the provider says of itself, asked again after an hour. When that fails, the last answer is good: its keys
// have a limit of their own.
func (f *Flow) find(ctx context.Context) (*provider, error) {
	select {
	case f.finding <- struct{}{}:
		defer func() { <-f.finding }()
	case <-ctx.Done():
		return nil, fmt.Errorf("login at %s: %w: %w", f.opts.Issuer.Name, auth.ErrUnavailable, ctx.Err())
	}
	now := f.now()
	if f.provider != nil && now.Sub(f.answered) < discoveryTTL {
		return f.provider, nil
	}
	if f.fault == nil || now.Sub(f.failed) >= retryAfter {
		p, err := f.discover(context.WithoutCancel(ctx)) // who hangs up must not keep the others from it
		f.fault, f.failed = err, now
		if err == nil {
			f.answered = now
			f.keep(p)
		}
	}
	if f.provider == nil {
		return nil, fmt.Errorf("login at %s: %w: %w", f.opts.Issuer.Name, auth.ErrUnavailable, f.fault)
	}
	return f.provider, nil
}

// keep takes p for what the provider is now. Keys that were fetched are kept as long as their address is the same.
func (f *Flow) keep(p *provider) {
	if f.provider != nil && f.provider.issuer.JWKSURL() == p.issuer.JWKSURL() {
		p.issuer = f.provider.issuer
	}
	f.provider = p
}

func (f *Flow) discover(ctx context.Context) (*provider, error) {
	body, err := issuer.Fetch(ctx, f.client, strings.TrimSuffix(f.opts.Issuer.Issuer, "/")+wellKnown)
	if err != nil {
		return nil, err
	}
	doc, err := parseDiscovery(body, f.opts.Issuer.Issuer)
	if err != nil {
		return nil, err
	}
	opts := f.opts.Issuer
	opts.JWKSURL = doc.Keys
	i, err := issuer.New(opts)
	if err != nil {
		return nil, err
	}
	return &provider{
		oauth: oauth2.Config{
			ClientID: f.opts.ClientID, ClientSecret: f.opts.ClientSecret, RedirectURL: f.opts.RedirectURL,
			Scopes:   append([]string{"openid"}, f.opts.Scopes...),
			Endpoint: oauth2.Endpoint{AuthURL: doc.Authorize, TokenURL: doc.Token, AuthStyle: f.style(doc)},
		},
		issuer: i,
	}, nil
}

// discovery is a provider's description of itself, as far as it is looked at.
type discovery struct {
	Issuer    string   `json:"issuer"`
	Authorize string   `json:"authorization_endpoint"`
	Token     string   `json:"token_endpoint"`
	Keys      string   `json:"jwks_uri"`
	Methods   []string `json:"token_endpoint_auth_methods_supported"`
}

// style is how the client's secret is sent: in a header, unless there is none or the provider takes it in the body only.
func (f *Flow) style(d discovery) oauth2.AuthStyle {
	if f.opts.ClientSecret == "" || slices.Contains(d.Methods, "client_secret_post") && !slices.Contains(d.Methods, "client_secret_basic") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// parseDiscovery reads the description that the provider called want gives of itself.
func parseDiscovery(body []byte, want string) (discovery, error) {
	if err := auth.CheckJSON(body, []string{"issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"}); err != nil {
		return discovery{}, fmt.Errorf("the provider's description: %w", err)
	}
	var d discovery
	if err := json.Unmarshal(body, &d); err != nil {
		return discovery{}, errors.New("the provider's description: a member is of a wrong type")
	}
	if d.Issuer != want {
		return discovery{}, errors.New("the provider calls itself otherwise than it is configured")
	}
	for _, address := range []string{d.Authorize, d.Token, d.Keys} {
		if err := checkURL(address); err != nil {
			return discovery{}, fmt.Errorf("an address of the provider %w", err)
		}
	}
	return d, nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("must begin with https:// and hold no login and no fragment")
	}
	return nil
}
