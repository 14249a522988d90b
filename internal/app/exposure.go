package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sightline/internal/accounts"
	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/config"
	"sightline/internal/datadir"
)

const (
	exposureFile = "exposure.json"
	// exposureEvery is how often somebody looks whether the server is more open than before: accounts and keys are changed by
	// other programs too.
	exposureEvery = 2 * time.Second
)

// exposure is how open the server is: what lets somebody in, or lets more of them in, each with its measure. More of anything is
// weaker.
type exposure map[string]int

// exposureOf tells how open a server is with this configuration, these accounts and these keys.
func exposureOf(cfg config.Config, people []accounts.Account, keys []auth.Key) exposure {
	e := exposure{
		"viewers at once":                      cfg.Limits.Viewers,
		"viewers of a stream at once":          cfg.Limits.ViewersPerStream,
		"length of a login in seconds":         int(cfg.Auth.SessionTTL / time.Second),
		"length of a publish token in seconds": int(cfg.Auth.PublishTTL / time.Second),
	}
	add := func(format string, args ...any) { e[fmt.Sprintf(format, args...)] = 1 }
	for _, p := range people {
		if p.Role == accounts.Admin && !p.Disabled {
			add("administrator %s of %s", p.Name, strings.Trim(fmt.Sprint(p.Streams), "[]"))
		}
	}
	for _, k := range keys {
		add("signing key %s", k.ID)
	}
	for _, o := range cfg.Auth.Origins {
		add("origin %s", o)
	}
	for _, p := range cfg.Proxies {
		add("proxy %s", p)
	}
	for _, h := range cfg.Hosts {
		add("host %s", h)
	}
	for _, i := range append(slices.Clone(cfg.Auth.Issuers), cfg.Auth.OIDC.Issuer) {
		if i.Name == "" {
			continue
		}
		add("issuer %s, which is %s with keys from %s, for %s, known by %q", i.Name, i.Issuer, i.JWKS, i.Audience, i.CA)
		for _, r := range i.Roles {
			for _, action := range r.Actions {
				for _, s := range r.Streams {
					add("role %s of issuer %s: %s %s", r.Name, i.Name, action, s)
				}
			}
		}
		if i.GrantsClaim != nil {
			add("grants by the claim %s of issuer %s", strings.Join(i.GrantsClaim, "."), i.Name)
		}
	}
	if c := cfg.Auth.Certificates; !c.Required {
		add("publishers without a certificate")
	} else if len(c.Streams) == 0 {
		add("publishers with any certificate of the authority")
	}
	if cfg.Auth.Certificates.WithoutToken {
		add("publishing by a certificate without a token")
	}
	for name, streams := range cfg.Auth.Certificates.Streams {
		for _, s := range streams {
			add("certificate %s for %s", name, s)
		}
	}
	if cfg.Audit.OnFailure == "continue" {
		add("access without a record while none can be written")
	}
	return e
}

// weaker lists what of e is new or more than before, as sentences for the record.
func (e exposure) weaker(before exposure) []string {
	var list []string
	for what, measure := range e {
		switch was := before[what]; {
		case measure <= was:
		case measure == 1:
			list = append(list, "new: "+what)
		default:
			list = append(list, fmt.Sprintf("more: %s, %d instead of %d", what, measure, was))
		}
	}
	slices.Sort(list)
	return list
}

// readExposure is how open the server was when it was last looked at; nil where it never was.
func readExposure(dir string) (exposure, error) {
	path := filepath.Join(dir, exposureFile)
	data, err := datadir.ReadSecret(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("what was allowed before: %w", err)
	}
	var e exposure
	if err := json.Unmarshal(data, &e); err != nil || e == nil {
		return nil, fmt.Errorf("what was allowed before: %s is damaged: delete it, and look at the configuration and the accounts yourself", path)
	}
	return e, nil
}

// exposedBefore is what the first look compares with: how open the server was when it was last looked at, or is now where it never
// was. It is known before the server runs: what is changed from then on is a change, however soon.
func (a *App) exposedBefore() (exposure, error) {
	before, err := readExposure(a.cfg.DataDir)
	if before != nil || err != nil {
		return before, err
	}
	now, err := a.exposure()
	if err != nil {
		return nil, err
	}
	return now, a.keepExposure(now)
}

// watchExposure has on record whatever makes the server more open than it was, whoever changed it: the configuration, accounts or
// keys; also what was changed while it did not run. It returns when ctx is done.
func (a *App) watchExposure(ctx context.Context) error {
	before := a.exposed
	ticker := time.NewTicker(exposureEvery)
	defer ticker.Stop()
	for {
		if now, err := a.exposure(); err != nil {
			a.log.Error("not known who may do what", "error", err)
		} else if before, err = a.tellExposure(ctx, before, now); err != nil {
			a.log.Error("what is allowed now is not on record", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (a *App) exposure() (exposure, error) {
	people, err := a.accounts.List()
	if err != nil {
		return nil, err
	}
	a.reloading.Lock()
	cfg := a.live
	a.reloading.Unlock()
	return exposureOf(cfg, people, a.auth.Keys()), nil
}

// tellExposure puts what is weaker on record and returns what to compare with the next time: what could not be recorded is
// told then.
func (a *App) tellExposure(ctx context.Context, before, now exposure) (exposure, error) {
	for _, what := range now.weaker(before) {
		a.log.Warn("more is allowed than before", "what", what)
		if err := a.audit.Append(context.WithoutCancel(ctx), audit.Record{Event: "weakened", Verdict: audit.Granted, Reason: what}); err != nil {
			return before, err
		}
	}
	if maps.Equal(before, now) {
		return now, nil
	}
	return now, a.keepExposure(now)
}

// keepExposure writes e for the next start.
func (a *App) keepExposure(e exposure) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("what is allowed: %w", err)
	}
	return datadir.Replace(a.cfg.DataDir, exposureFile, append(data, '\n'))
}
