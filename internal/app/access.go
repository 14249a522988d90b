package app

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sightline/internal/auth"
	"sightline/internal/config"
	"sightline/internal/datadir"
	"sightline/internal/httpd"
	"sightline/internal/issuer"
	"sightline/internal/oidc"
	"sightline/internal/sessions"
	"sightline/internal/trust"
)

// newAccess makes what httpd is told of others who have a say. Nobody is asked yet. Issuers that are configured as before stay,
// with the keys that they know and the logins that are under way. New calls it, or the holder of reloading.
func (a *App) newAccess(cfg config.Config) (httpd.Access, error) {
	access := httpd.Access{Proxies: cfg.Proxies, Origins: cfg.Auth.Origins, LoginWith: cfg.Auth.OIDC.Name}
	for _, c := range cfg.Auth.Issuers {
		if at := slices.IndexFunc(a.live.Auth.Issuers, func(old config.Issuer) bool { return reflect.DeepEqual(old, c) }); at >= 0 && a.access.Issuers != nil {
			access.Issuers = append(access.Issuers, a.access.Issuers[at])
			continue
		}
		o, err := a.issuerOptions(c)
		if err != nil {
			return access, err
		}
		i, err := issuer.New(o)
		if err != nil {
			return access, fmt.Errorf("auth.issuers: %s: %w", c.Name, err)
		}
		access.Issuers = append(access.Issuers, i)
	}
	var err error
	switch c := cfg.Auth.OIDC; {
	case c.Name == "":
	case a.access.Provider != nil && reflect.DeepEqual(a.live.Auth.OIDC, c):
		access.Provider = a.access.Provider
	default:
		if access.Provider, err = a.newProvider(c); err != nil {
			return access, err
		}
	}
	access.Certificates, err = publisherCertificates(cfg.Auth.Certificates)
	return access, err
}

func (a *App) newProvider(c config.OIDC) (*oidc.Flow, error) {
	o, err := a.issuerOptions(c.Issuer)
	if err != nil {
		return nil, err
	}
	o.Audience = c.ClientID
	var secret []byte
	if c.SecretFile != "" {
		if secret, err = datadir.ReadSecret(c.SecretFile); err != nil {
			return nil, fmt.Errorf("auth.oidc.client-secret-file: %w", err)
		}
	}
	flow, err := oidc.New(oidc.Options{
		Issuer: o, ClientID: c.ClientID, ClientSecret: string(bytes.TrimSpace(secret)), Scopes: c.Scopes,
		RedirectURL: "https://" + c.RedirectHost + "/oidc/callback", SessionTTL: a.cfg.Auth.SessionTTL,
	})
	if err != nil {
		return nil, fmt.Errorf("auth.oidc: %w", err)
	}
	return flow, nil
}

func (a *App) issuerOptions(c config.Issuer) (issuer.Options, error) {
	o := issuer.Options{
		Name: c.Name, Issuer: c.Issuer, JWKSURL: c.JWKS, Audience: c.Audience, Algorithms: c.Algorithms,
		GrantsClaim: c.GrantsClaim, RolesClaim: c.RolesClaim, Roles: map[string][]auth.Grant{},
		Now: a.clock.Now, Check: a.revoked.Check,
	}
	for _, role := range c.Roles {
		g, err := grant(role)
		if err != nil {
			return o, fmt.Errorf("role %s of %s: %w", role.Name, c.Name, err)
		}
		o.Roles[role.Name] = []auth.Grant{g}
	}
	if c.CA == "" {
		return o, nil
	}
	pool, err := trust.Pool(c.CA)
	if err != nil {
		return o, fmt.Errorf("ca of %s: %w", c.Name, err)
	}
	o.Roots = pool
	return o, nil
}

// publisherCertificates is nil where certificates mean nothing.
func publisherCertificates(c config.Certificates) (*auth.Certificates, error) {
	if c.CA == "" {
		return nil, nil
	}
	pool, err := trust.Pool(c.CA)
	if err != nil {
		return nil, fmt.Errorf("auth.publisher-certificates.ca: %w", err)
	}
	policy := &auth.Certificates{Roots: pool, Required: c.Required, WithoutToken: c.WithoutToken, Streams: map[string][]auth.Pattern{}}
	for name, streams := range c.Streams {
		for _, s := range streams {
			policy.Streams[name] = append(policy.Streams[name], auth.Pattern(s)) // CheckPolicy has read it
		}
	}
	return policy, nil
}

// endWhoseLeaveChanged ends what runs by the word of issuers that then says nothing more of, or something else than now: who
// still has leave can come back. What publishes ends too where certificates mean something else.
func (a *App) endWhoseLeaveChanged(now, then config.Auth) {
	issuers := func(c config.Auth) []config.Issuer { return append(slices.Clone(c.Issuers), c.OIDC.Issuer) }
	var changed []string
	for _, old := range issuers(now) {
		if !slices.ContainsFunc(issuers(then), func(i config.Issuer) bool { return reflect.DeepEqual(i, old) }) {
			changed = append(changed, old.Name+":")
		}
	}
	certificates := !reflect.DeepEqual(now.Certificates, then.Certificates)
	for _, x := range a.sessions.List(func(x sessions.Session) bool {
		return certificates && x.Kind == "publish" ||
			slices.ContainsFunc(changed, func(name string) bool { return strings.HasPrefix(x.Subject, name) })
	}) {
		a.sessions.End(x.ID)
	}
}
