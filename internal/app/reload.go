package app

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/config"
	"sightline/internal/media"
)

// Reload goes on with another configuration, all of it or nothing: its streams change while the others go on undisturbed.
// What only a new start can change is an error that names it, and so is a policy whose tests fail. One call at a time.
func (a *App) Reload(ctx context.Context, cfg config.Config) error {
	err := a.reload(cfg)
	rec := audit.Record{Event: "config", Verdict: audit.Granted}
	if err != nil {
		rec.Verdict, rec.Reason = audit.Refused, err.Error()
	}
	return errors.Join(err, a.audit.Append(ctx, rec))
}

func (a *App) reload(cfg config.Config) error {
	if err := CheckPolicy(cfg); err != nil {
		return err
	}
	now, then := reflect.ValueOf(a.cfg), reflect.ValueOf(cfg)
	var fixed []string
	for i := range now.NumField() {
		name := now.Type().Field(i).Name
		if name != "Streams" && name != "Policy" && !reflect.DeepEqual(now.Field(i).Interface(), then.Field(i).Interface()) {
			fixed = append(fixed, strings.ToLower(name))
		}
	}
	if len(fixed) > 0 {
		return fmt.Errorf("%s changed, which only a new start takes up: restart the server, or change it back", strings.Join(fixed, ", "))
	}
	if a.capture == "" {
		capture, err := captureProgram(cfg.Streams)
		if err != nil {
			return err
		}
		a.capture = capture
	}
	a.streams.change(cfg.Streams)
	return nil
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
