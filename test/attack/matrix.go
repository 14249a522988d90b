//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
)

// rule is one line of the policy, as the command line prints it.
type rule struct {
	Route, Who, Action, Event string
	Grants                    bool
}

func readPolicy(ctx context.Context) ([]rule, error) {
	out, err := exec.CommandContext(ctx, program("sightline"), "config", "check", "--policy", "--json").Output()
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	var rules []rule
	return rules, json.Unmarshal(out, &rules)
}

// role is a credential to try on every route. pattern and kind are "" for nobody.
type role struct{ name, kind, pattern string }

// matrixCases are every route, with every role, on a stream that is its own, on another, and on one of a group.
func matrixCases(ctx context.Context, t *target, _ plan) ([]*testCase, error) {
	rules, err := readPolicy(ctx)
	if err != nil {
		return nil, err
	}
	roles := []role{{name: "nobody"}, {"the operator's session", "session", "**"}}
	for _, kind := range []string{"view", "publish", "admin"} {
		for _, pattern := range []string{"door", "other", "site/*", "site/**", "**"} {
			roles = append(roles, role{kind + " " + pattern, kind, pattern})
		}
	}
	var cases []*testCase
	for _, rule := range rules {
		streams := []string{""}
		if strings.Contains(rule.Route, "{stream") {
			streams = []string{"door", "site/door", "nobody/knows"}
		}
		for _, r := range roles {
			token := ""
			if r.kind != "" && r.kind != "session" {
				if token, err = t.token(ctx, r.kind, r.pattern, "matrix"); err != nil {
					return nil, err
				}
			}
			for _, stream := range streams {
				if c := matrixCase(t, rule, r, stream, token); c != nil {
					cases = append(cases, c)
				}
			}
		}
	}
	return cases, nil
}

// matrixCase is one cell; nil where the policy says that anybody may.
func matrixCase(t *target, rule rule, r role, stream, token string) *testCase {
	method, pattern, _ := strings.Cut(rule.Route, " ")
	if strings.Contains(pattern, "{stream}") {
		stream = strings.ReplaceAll(stream, "/", "%2F")
	}
	path := strings.NewReplacer("{stream...}", stream, "{stream}", stream, "{file}", "app.js", "{$}", "", "{id}", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").Replace(pattern)
	request := request{method: method, path: path}
	socket := strings.HasPrefix(path, "/ws/")
	if socket {
		request = upgrade(path)
	}
	switch r.kind {
	case "":
	case "session":
		request.header = append(request.header, "Cookie: "+t.cookie, "Origin: "+t.origin, "X-Sightline: 1")
	default:
		request.header = append(request.header, bearer(token))
	}
	if rule.Event == "ticket" {
		request.body = `{"stream":"door","action":"view"}`
	}
	reason := refusalOf(rule, r, strings.ReplaceAll(stream, "%2F", "/"))
	c := &testCase{class: "matrix", group: rule.Event, name: fmt.Sprintf("%s %s as %s", rule.Route, stream, r.name)}
	switch {
	case rule.Who == "anybody", reason == "" && method != http.MethodGet && rule.Event != "ticket" && rule.Event != "code":
		return nil // the second is allowed to do what this request does not say
	case reason != "":
		c.try = func(_ context.Context, v *visitor) (outcome, error) {
			a, err := v.ask(request)
			return judge(a, err, refused(rule.Event, reason))
		}
	default:
		// What is allowed must be: a server that refuses all would pass otherwise.
		c.allowed, c.once = true, true
		c.try = func(_ context.Context, v *visitor) (outcome, error) {
			a, err := v.ask(request)
			v.leave()
			var o outcome
			if rule.Grants {
				o.entries = []entry{{rule.Event, "granted", ""}}
			}
			if err == nil && a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
				err = fmt.Errorf("status %d %s, though the policy allows it", a.status, a.code)
			}
			switch {
			case socket && a.status == http.StatusSwitchingProtocols:
				o.entries = append(o.entries, entry{rule.Event + "-end", "ended", "left"})
			case socket:
				o.entries = append(o.entries, entry{rule.Event + "-end", "ended", "fault"}) // no such stream, or one with a source
			case rule.Event == "mjpeg":
				o.entries = append(o.entries, entry{"mjpeg-end", "ended", "*"})
			}
			return o, err
		}
	}
	return c
}

// refusalOf is the reason that a cell is refused for, by the policy's own words; "" for one that is allowed.
func refusalOf(rule rule, r role, stream string) string {
	matches := r.pattern == "**" || r.pattern == stream || strings.HasPrefix(stream, "site/") && strings.HasPrefix(r.pattern, "site/")
	switch {
	case rule.Who == "anybody":
		return ""
	case r.kind == "":
		return "missing"
	case r.kind == "session":
		return ""
	case rule.Who == "whoever is logged in" && rule.Event == "ticket":
		if r.kind != "view" || r.pattern != "door" && r.pattern != "**" {
			return "not-allowed"
		}
		return ""
	case rule.Who == "whoever is logged in":
		return ""
	case r.kind != rule.Action:
		return "wrong-kind"
	case rule.Who == "leave for the stream" && !matches, rule.Who == "leave for every stream" && r.pattern != "**":
		return "not-allowed"
	}
	return ""
}
