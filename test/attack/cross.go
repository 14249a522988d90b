//go:build linux

package main

import (
	"context"
	"fmt"
)

// crossCases are requests that a hostile page has a browser send, which adds the cookie. Each lacks what our own page's have.
func crossCases(_ context.Context, t *target, _ plan) ([]*testCase, error) {
	cookie := "Cookie: " + t.cookie
	targets := []struct {
		event  string
		r      request
		unsafe bool
	}{
		{"watch", upgrade("/ws/watch/door"), true},
		{"watch", upgrade("/ws/watch/site/door"), true},
		{"publish", upgrade("/ws/publish/pub/cross"), true},
		{"api", request{path: "/api/v1/session"}, false},
		{"api", request{path: "/api/v1/streams"}, false},
		{"snapshot", request{path: "/api/v1/streams/door/snapshot.jpg"}, false},
		{"mjpeg", request{path: "/mjpeg/door"}, false},
		{"ticket", request{method: "POST", path: "/api/v1/tickets", body: `{"stream":"door","action":"view"}`}, true},
		{"code", request{method: "POST", path: "/api/v1/codes"}, true},
		{"logout", request{method: "POST", path: "/api/v1/logout"}, true},
	}
	var cases []*testCase
	for _, target := range targets {
		add := func(name, reason string, lines ...string) {
			r := target.r
			r.header = append(append([]string{cookie}, lines...), r.header...)
			cases = append(cases, plain("cross-site", target.event, r.method+r.path+" "+name, r, refused(target.event, reason)))
		}
		add("from a hostile page", "wrong-origin", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "X-Sightline: 1")
		add("from a frame without an origin", "wrong-origin", "Origin: null", "Sec-Fetch-Site: cross-site", "X-Sightline: 1")
		add("from another port", "wrong-origin", "Origin: https://127.0.0.1:1", "Sec-Fetch-Site: same-site", "X-Sightline: 1")
		add("from the same host without TLS", "wrong-origin", fmt.Sprintf("Origin: http://%s", t.host), "X-Sightline: 1")
		if target.unsafe {
			add("with the origin held back", "wrong-origin", "Sec-Fetch-Site: cross-site", "X-Sightline: 1")
		}
		if target.r.method == "POST" {
			add("from a form", "wrong-origin", "Origin: https://evil.example", "Content-Type: text/plain")
			add("from our own page without its header", "no-csrf-header", "Origin: "+t.origin)
		}
	}
	return cases, nil
}
