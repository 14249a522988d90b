//go:build linux

package main

import (
	"context"
	"embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed data
var data embed.FS

// payloads reads a file of data/: one to a line, as Go writes a string, or plain; # begins a remark. {host}, {port} and {origin} stand for the server's.
func payloads(t *target, name string) ([]string, error) {
	text, err := data.ReadFile("data/" + name)
	if err != nil {
		return nil, err
	}
	_, port, _ := strings.Cut(t.host, ":")
	fill := strings.NewReplacer("{host}", t.host, "{port}", port, "{origin}", t.origin)
	var list []string
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "# ") {
			continue
		}
		if strings.HasPrefix(line, `"`) {
			if line, err = strconv.Unquote(line); err != nil {
				return nil, fmt.Errorf("data/%s:%d: %w", name, n+1, err)
			}
		}
		list = append(list, fill.Replace(line))
	}
	return list, nil
}

// originCases are pages and names that are not the server's own.
func originCases(ctx context.Context, t *target, _ plan) ([]*testCase, error) {
	origins, err := payloads(t, "origins.txt")
	if err != nil {
		return nil, err
	}
	hosts, err := payloads(t, "hosts.txt")
	if err != nil {
		return nil, err
	}
	view, err := newHolder(ctx, t, "view")
	if err != nil {
		return nil, err
	}
	var cases []*testCase
	for n, origin := range origins {
		lines := strings.Split("Origin: "+origin, "\n") // two headers, where the file says so
		name := func(door string) string { return fmt.Sprintf("%s from %q", door, origin) }
		unreadable := unread(400) // a header's value that no header may have
		cases = append(cases,
			plain("origin", "watch", name("watching with the cookie"), upgrade("/ws/watch/door", append(lines, "Cookie: "+t.cookie)...), refused("watch", "wrong-origin"), unreadable),
			plain("origin", "login", name("logging in"), request{method: "POST", path: "/api/v1/login", header: lines, body: `{"code":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`}, refused("login", "wrong-origin"), unreadable),
			&testCase{class: "origin", name: name("watching with a ticket"), once: true, try: func(_ context.Context, v *visitor) (outcome, error) {
				ticket, err := view.ticket(t, n, "door", "view", t.origin)
				if err != nil {
					return outcome{}, err
				}
				a, err := v.ask(upgrade("/ws/watch/door", append(lines, ticketLine(ticket))...))
				return judge(a, err, refused("watch", "wrong-origin"), unreadable)
			}})
	}
	for _, host := range hosts {
		r := request{path: "/api/v1/session", host: host, header: []string{"Cookie: " + t.cookie}}
		cases = append(cases,
			plain("host", "session", fmt.Sprintf("the session under %q", host), r, refused("request", "unknown-host"), unread(400)),
			plain("host", "page", fmt.Sprintf("the page under %q", host), request{path: "/", host: host}, refused("request", "unknown-host"), unread(400)),
			plain("host", "watch", fmt.Sprintf("watching under %q", host), func() request {
				r := upgrade("/ws/watch/door", "Cookie: "+t.cookie, "Origin: https://"+host)
				r.host = host
				return r
			}(), refused("request", "unknown-host"), unread(400)))
	}
	cases = append(cases,
		plain("host", "session", "two Host headers", request{path: "/api/v1/session", header: []string{"Host: evil.example"}}, unread(400)),
		plain("host", "session", "the whole address of another host", request{path: "https://evil.example/api/v1/session"}, refused("request", "unknown-host")),
	)
	return cases, nil
}
