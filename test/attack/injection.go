//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// injectionCases are bytes that mean more than they seem to: to paths, logs, proxies, and parsers that disagree.
func injectionCases(ctx context.Context, t *target, _ plan) ([]*testCase, error) {
	var cases []*testCase
	for _, part := range []func(context.Context, *target) ([]*testCase, error){traversals, logInjections, forwardings, addressCredentials, methods, smugglings, streamNames} {
		list, err := part(ctx, t)
		if err != nil {
			return nil, err
		}
		cases = append(cases, list...)
	}
	return cases, nil
}

// traversals are paths that lead out, asked for by somebody who may see every stream.
func traversals(ctx context.Context, t *target) ([]*testCase, error) {
	paths, err := payloads(t, "paths.txt")
	if err != nil {
		return nil, err
	}
	token, err := t.token(ctx, "view", "**", "traversal")
	if err != nil {
		return nil, err
	}
	var cases []*testCase
	for _, path := range paths {
		for _, place := range []struct{ prefix, suffix, event string }{
			{"/assets/", "", ""}, {"/mjpeg/", "", "mjpeg"}, {"/api/v1/streams/", "/snapshot.jpg", "snapshot"}, {"/ws/watch/", "", "watch"},
		} {
			r := request{path: place.prefix + path + place.suffix, header: []string{bearer(token)}}
			if place.event == "watch" {
				r = upgrade(r.path, bearer(token))
			}
			may := []outcome{refused("request", "not-found"), unread(400)}
			if place.event != "" {
				may = append(may, refused(place.event, "bad-stream-name"))
			}
			cases = append(cases, plain("traversal", place.prefix, fmt.Sprintf("%s%.80q", place.prefix, path), r, may...))
		}
	}
	return cases, nil
}

// logInjections are texts that would be more than one line of a log, or more than text in a terminal, in every field that a stranger can fill.
func logInjections(_ context.Context, t *target) ([]*testCase, error) {
	texts, err := payloads(t, "logs.txt")
	if err != nil {
		return nil, err
	}
	var cases []*testCase
	add := func(field, text string, r request, may ...outcome) {
		cases = append(cases, plain("log", field, fmt.Sprintf("%s of %d bytes %.60q", field, len(text), text), r, append(may, unread(400))...))
	}
	for _, text := range texts {
		missing := refused("api", "missing")
		add("User-Agent", text, request{path: "/api/v1/session", header: []string{"User-Agent: " + text}}, missing)
		add("Referer", text, request{path: "/api/v1/session", header: []string{"Referer: " + text}}, missing)
		add("stream", text, upgrade("/ws/watch/"+url.PathEscape(text)), refused("watch", "bad-stream-name"), refused("request", "not-found"))
		add("ticket's stream", text, request{method: "POST", path: "/api/v1/tickets", header: []string{"Cookie: " + t.cookie, "Origin: " + t.origin, "X-Sightline: 1"}, body: string(asJSON(map[string]string{"stream": text, "action": "view"}))}, refused("ticket", "bad-stream-name"))
		add("ticket's action", text, request{method: "POST", path: "/api/v1/tickets", header: []string{"Cookie: " + t.cookie, "Origin: " + t.origin, "X-Sightline: 1"}, body: string(asJSON(map[string]string{"stream": "door", "action": text}))}, refused("ticket", "not-allowed"))
		add("login", text, request{method: "POST", path: "/api/v1/login", body: string(asJSON(map[string]string{"code": text}))}, refused("login", "used"))
		add("Host", text, request{path: "/", host: text}, refused("request", "unknown-host"))
		// The subject of a token that is signed well: a kind one is on record as it is, another never gets so far.
		cases = append(cases, &testCase{class: "log", group: "subject", name: fmt.Sprintf("subject of %d bytes %.60q", len(text), text), try: func(_ context.Context, v *visitor) (outcome, error) {
			f := t.forge(tokenDoors(t)[0])
			f.claims["sub"] = text
			f.claims["grants"] = []any{map[string]any{"actions": []string{"view"}, "streams": []string{"nobody/knows"}}}
			token := f.whole()
			t.secret.add(token)
			a, err := v.ask(upgrade("/ws/watch/door", bearer(token)))
			return judge(a, err, refused("watch", "not-allowed"), refused("watch", "malformed"))
		}})
	}
	return cases, nil
}

// forwardings say that somebody else asks. The record must name the socket's address: that is how it is found.
func forwardings(_ context.Context, t *target) ([]*testCase, error) {
	lines, err := payloads(t, "forwarded.txt")
	if err != nil {
		return nil, err
	}
	var cases []*testCase
	for _, line := range lines {
		headers := strings.Split(line, "\n")
		cases = append(cases,
			plain("forwarded", "session", fmt.Sprintf("session, %q", line), request{path: "/api/v1/session", header: headers}, refused("api", "missing"), unread(400)),
			plain("forwarded", "watch", fmt.Sprintf("watching, %q", line), upgrade("/ws/watch/door", headers...), refused("watch", "missing"), unread(400)))
	}
	return cases, nil
}

// addressCredentials are good credentials in the one place where they must not be.
func addressCredentials(ctx context.Context, t *target) ([]*testCase, error) {
	token, err := t.token(ctx, "view", "**", "address")
	if err != nil {
		return nil, err
	}
	var cases []*testCase
	for _, door := range []struct {
		event string
		r     request
	}{
		{"watch", upgrade("/ws/watch/door")},
		{"publish", upgrade("/ws/publish/pub/address")},
		{"api", request{path: "/api/v1/session"}},
		{"api", request{path: "/api/v1/streams"}},
		{"mjpeg", request{path: "/mjpeg/door"}},
		{"snapshot", request{path: "/api/v1/streams/door/snapshot.jpg"}},
		{"ticket", request{method: "POST", path: "/api/v1/tickets", body: "{}"}},
		{"code", request{method: "POST", path: "/api/v1/codes"}},
	} {
		for _, name := range []string{"token", "access_token", "ticket", "jwt", "code"} {
			for _, form := range []string{"?%s=%s", "?a=b&%s=%s", "?%s=%s&token="} {
				r := door.r
				r.path += fmt.Sprintf(form, name, token)
				cases = append(cases, plain("address", door.event, r.method+door.r.path+strings.ReplaceAll(form, "%s=%s", name), r, refused(door.event, "credential-in-url")))
			}
		}
		for _, form := range []string{"?Authorization=Bearer%20" + token, "?TOKEN=" + token, "?%74oken=" + token} {
			r := door.r
			r.path += form
			name, _, _ := strings.Cut(form, "=")
			cases = append(cases, plain("address", door.event, r.method+door.r.path+name, r, refused(door.event, "missing"), refused(door.event, "credential-in-url")))
		}
		r := door.r
		r.header = slices.Concat(r.header, []string{"Authorization: Basic " + token})
		cases = append(cases, plain("address", door.event, r.method+r.path+" by Basic", r, refused(door.event, "malformed")))
		r.header = slices.Concat(door.r.header, []string{"X-Access-Token: " + token, "Cookie: token=" + token})
		cases = append(cases, plain("address", door.event, r.method+r.path+" by other headers", r, refused(door.event, "missing")))
	}
	return cases, nil
}

// methods are all that no route has, on every route.
func methods(ctx context.Context, t *target) ([]*testCase, error) {
	rules, err := readPolicy(ctx)
	if err != nil {
		return nil, err
	}
	place := strings.NewReplacer("{stream...}", "door", "{stream}", "door", "{file}", "app.js", "{$}", "", "{id}", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	taken := map[string]bool{} // routes, and cases
	for _, rule := range rules {
		taken[place.Replace(rule.Route)] = true
	}
	var cases []*testCase
	for _, rule := range rules {
		own, path, _ := strings.Cut(place.Replace(rule.Route), " ")
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "DEBUG", "get", "GETT"} {
			if taken[method+" "+path] {
				continue
			}
			taken[method+" "+path] = true
			cases = append(cases, plain("method", "", method+" "+path, request{method: method, path: path, header: []string{"Cookie: " + t.cookie, "X-HTTP-Method-Override: " + own}}, refused("request", "not-found"), unread(400)))
		}
		if own == http.MethodGet && rule.Who != "anybody" {
			r := request{method: "HEAD", path: path}
			if strings.HasPrefix(path, "/ws/") {
				r.header = upgrade("").header
			}
			want := refused(rule.Event, "missing")
			want.code = "" // an answer to HEAD has no body
			cases = append(cases, plain("method", "", "HEAD "+path, r, want))
		}
	}
	return cases, nil
}

// smugglings are requests of which two parsers could see a different number. The hidden one has no credential: at worst it is refused by itself.
func smugglings(_ context.Context, t *target) ([]*testCase, error) {
	hidden := "GET /api/v1/session HTTP/1.1\r\nHost: " + t.host + "\r\nX: "
	var cases []*testCase
	for _, s := range []struct {
		name, head, body string
	}{
		{"length and chunks", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"},
		{"chunks and length", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "5c\r\n" + hidden + "\r\n0\r\n\r\n"},
		{"two lengths", "Content-Length: 2\r\nContent-Length: 40\r\n", "{}" + hidden},
		{"two lengths in one", "Content-Length: 2, 40\r\n", "{}" + hidden},
		{"a length with a sign", "Content-Length: +2\r\n", "{}" + hidden},
		{"a length in hexadecimal", "Content-Length: 0x2\r\n", "{}" + hidden},
		{"a length with a space", "Content-Length: 2 2\r\n", "{}" + hidden},
		{"a negative length", "Content-Length: -1\r\n", "{}" + hidden},
		{"a length of underscores", "Content-Length: 1_0\r\n", "{}" + hidden},
		{"a space before the colon", "Content-Length : 2\r\n", "{}" + hidden},
		{"a tab before the colon", "Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n" + hidden},
		{"chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"},
		{"chunked, chunked", "Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"},
		{"xchunked", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"},
		{"identity, chunked", "Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"},
		{"gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"},
		{"chunked behind a vertical tab", "Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"},
		{"a folded line", "Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"},
		{"a bare newline in a header", "X: y\nTransfer-Encoding: xchunked\r\n", "0\r\n\r\n"},
		{"a bare return in a header", "X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"},
		{"a zero byte in a header", "X: y\x00\r\n", ""},
		{"a header without a name", ": y\r\nTransfer-Encoding: xchunked\r\n", ""},
		{"a header without a colon", "GET /api/v1/session HTTP/1.1\r\n", ""},
		{"a chunk's size with a sign", "Transfer-Encoding: chunked\r\n", "+2\r\n{}\r\n0\r\n\r\n"},
		{"a chunk's size with 0x", "Transfer-Encoding: chunked\r\n", "0x2\r\n{}\r\n0\r\n\r\n"},
		{"a chunk's size over 64 bits", "Transfer-Encoding: chunked\r\n", "10000000000000002\r\n{}\r\n0\r\n\r\n"},
		{"a chunk that is longer than it says", "Transfer-Encoding: chunked\r\n", "1\r\n{}\r\n0\r\n\r\n"},
	} {
		raw := "POST /api/v1/login HTTP/1.1\r\nHost: " + t.host + "\r\n" + s.head + "Connection: close\r\n\r\n" + s.body
		cases = append(cases, &testCase{class: "smuggling", name: s.name, try: func(_ context.Context, v *visitor) (outcome, error) {
			v.leave()
			a, err := v.say(raw, "POST")
			return judge(a, err, refused("login", "bad-json"), unread(400), unread(501))
		}})
	}
	cases = append(cases, &testCase{
		class: "smuggling", name: "behind a good request", once: true,
		try: func(_ context.Context, v *visitor) (outcome, error) {
			v.keeps = true
			defer v.leave()
			if a, err := v.ask(request{path: "/healthz"}); err != nil || a.status != http.StatusOK {
				return outcome{}, fmt.Errorf("the good request: status %d: %w", a.status, err)
			}
			a, err := v.ask(request{method: "POST", path: "/api/v1/login", header: []string{"Content-Length: -1"}})
			return judge(a, err, unread(400))
		},
	})
	for _, version := range []string{"HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/1.1 ", "HTTP/11", "http/1.1", "", "HTTP/1.1\x00", "RTSP/1.0"} {
		raw := "GET /api/v1/session " + version + "\r\nHost: " + t.host + "\r\n\r\n"
		cases = append(cases, &testCase{class: "smuggling", name: fmt.Sprintf("version %q", version), try: func(_ context.Context, v *visitor) (outcome, error) {
			v.leave()
			a, err := v.say(raw, "GET")
			return judge(a, err, unread(400), unread(505), refused("api", "missing"))
		}})
	}
	return cases, nil
}

// streamNames are what a capture process, a shell or a URL library would take for more than a name, by somebody who may publish anything.
func streamNames(ctx context.Context, t *target) ([]*testCase, error) {
	names, err := payloads(t, "streams.txt")
	if err != nil {
		return nil, err
	}
	token, err := t.token(ctx, "publish", "**", "names")
	if err != nil {
		return nil, err
	}
	var cases []*testCase
	for _, name := range names {
		cases = append(cases, plain("stream name", "", fmt.Sprintf("publishing %d bytes %.60q", len(name), name), upgrade("/ws/publish/"+url.PathEscape(name), bearer(token)),
			refused("publish", "bad-stream-name"), refused("request", "not-found"), unread(400)))
	}
	return cases, nil
}
