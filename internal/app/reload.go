package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/config"
	"sightline/internal/httpd"
	"sightline/internal/media"
	"sightline/internal/notify"
)

// Reload goes on with another configuration, all of it or nothing: its streams change while the others go on undisturbed, and
// who is let in is judged by it from then on. What only a new start can change is an error that names it, and so is a policy whose
// tests fail. The log's level is the caller's to change. Safe for concurrent use.
func (a *App) Reload(ctx context.Context, cfg config.Config) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	err := a.reload(cfg)
	rec := audit.Record{Event: "config", Verdict: audit.Granted}
	if err != nil {
		rec.Verdict, rec.Reason = audit.Refused, err.Error()
	}
	return errors.Join(err, a.audit.Append(ctx, rec))
}

// made is what is made of a configuration before it is taken up.
type made struct {
	access  httpd.Access
	alerts  notify.Receiver
	capture string
}

// ready makes that, or says why the configuration cannot be taken up. Nothing changes by it. The holder of reloading calls it.
func (a *App) ready(cfg config.Config) (m made, err error) {
	if err := CheckPolicy(cfg); err != nil {
		return m, err
	}
	if fixed := changedForGood(a.live, cfg); len(fixed) > 0 {
		return m, fmt.Errorf("%s changed, which only a new start takes up: restart the server, or change it back", strings.Join(fixed, ", "))
	}
	if m.access, err = a.newAccess(cfg); err != nil {
		return m, err
	}
	if m.alerts, err = receiver(cfg.Alerts.Webhook); err != nil {
		return m, err
	}
	if m.capture = a.streams.capture(); m.capture == "" {
		m.capture, err = captureProgram(cfg.Streams)
	}
	return m, err
}

func (a *App) reload(cfg config.Config) error {
	m, err := a.ready(cfg)
	if err != nil {
		return err
	}
	a.httpd.SetAccess(m.access)
	a.endWhoseLeaveChanged(a.live.Auth, cfg.Auth)
	a.hub.SetLimits(cfg.Limits.Viewers, cfg.Limits.ViewersPerStream)
	a.alerts.SetSite(site(cfg.Alerts))
	a.webhook.SetReceiver(m.alerts)
	a.streams.change(cfg, m.capture)
	a.live, a.access = cfg, m.access
	return nil
}

// changedForGood names what differs of what a server does not change while it runs. Whatever is not said here to change does not.
func changedForGood(now, then config.Config) []string {
	then.Places = now.Places // says nothing of what holds
	then.Streams, then.Policy, then.Limits, then.Proxies, then.Log, then.Alerts = now.Streams, now.Policy, now.Limits, now.Proxies, now.Log, now.Alerts
	session, publish := then.Auth.SessionTTL, then.Auth.PublishTTL
	then.Auth = now.Auth
	then.Auth.SessionTTL, then.Auth.PublishTTL = session, publish
	names := map[string]string{"DataDir": "data-dir", "Auth": "auth.session-ttl or auth.publish-ttl"}
	var changed []string
	for i := range reflect.TypeFor[config.Config]().NumField() {
		field := reflect.TypeFor[config.Config]().Field(i).Name
		if !reflect.DeepEqual(reflect.ValueOf(now).Field(i).Interface(), reflect.ValueOf(then).Field(i).Interface()) {
			changed = append(changed, cmp.Or(names[field], strings.ToLower(field)))
		}
	}
	return changed
}

// CheckPolicy runs the policy's tests: who may do what, and who may not, by what the configuration says of roles. The error
// names each that fails.
func CheckPolicy(cfg config.Config) error {
	roles := map[string][]auth.Grant{}
	for _, i := range append(append([]config.Issuer(nil), cfg.Auth.Issuers...), cfg.Auth.OIDC.Issuer) {
		for _, r := range i.Roles {
			g, err := grant(r)
			if err != nil {
				return fmt.Errorf("role %s of %s: %w", r.Name, i.Name, err)
			}
			roles[i.Name+"/"+r.Name] = append(roles[i.Name+"/"+r.Name], g)
		}
	}
	var errs []error
	for name, streams := range cfg.Auth.Certificates.Streams {
		for _, s := range streams {
			if _, err := auth.ParsePattern(s); err != nil {
				errs = append(errs, fmt.Errorf("streams of the publishers' certificate %s: %w", name, err))
			}
		}
	}
	for _, t := range cfg.Policy {
		grants, ok := roles[t.Who]
		if !ok {
			errs = append(errs, fmt.Errorf("policy test: there is no role %s: write issuer/role", t.Who))
			continue
		}
		may := auth.Principal{Grants: grants}.Allows(auth.Action(t.Action), media.StreamID(t.Stream)) == nil
		switch {
		case may && !t.May:
			errs = append(errs, fmt.Errorf("policy test fails: %s may %s %s, and must not", t.Who, t.Action, t.Stream))
		case !may && t.May:
			errs = append(errs, fmt.Errorf("policy test fails: %s may not %s %s, and must be able to", t.Who, t.Action, t.Stream))
		}
	}
	return errors.Join(errs...)
}

// grant is what a role is worth.
func grant(r config.Role) (g auth.Grant, err error) {
	for _, name := range r.Actions {
		action, err := auth.ParseAction(name)
		if err != nil {
			return g, err
		}
		g.Actions = append(g.Actions, action)
	}
	for _, text := range r.Streams {
		pattern, err := auth.ParsePattern(text)
		if err != nil {
			return g, err
		}
		g.Streams = append(g.Streams, pattern)
	}
	return g, nil
}
