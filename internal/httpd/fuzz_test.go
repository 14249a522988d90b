package httpd

import (
	"bufio"
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"sightline/internal/accounts"
	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/hub"
	"sightline/internal/media"
)

// FuzzStranger holds that whatever bytes a stranger sends as a request, he gets what is anybody's or is refused, and that a refusal is on record
// once, with the address of his socket.
func FuzzStranger(f *testing.F) {
	host := "\r\nHost: localhost\r\n"
	for _, seed := range []string{
		"GET / HTTP/1.1" + host + "\r\n",
		"GET /watch/door HTTP/1.1" + host + "\r\n",
		"GET /ws/watch/door HTTP/1.1" + host + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: sightline.v1, ticket.x\r\n\r\n",
		"POST /api/v1/login HTTP/1.1" + host + "Content-Length: 12\r\n\r\n{\"code\":\"x\"}",
		"POST /api/v1/login HTTP/1.1" + host + "Content-Length: 30\r\n\r\n{\"name\":\"a\",\"password\":\"bbbbb\"}",
		"GET /api/v1/session HTTP/1.1" + host + "Cookie: __Host-sightline=a.b.c\r\nOrigin: https://localhost\r\n\r\n",
		"GET /api/v1/streams HTTP/1.1" + host + "Authorization: Bearer a.b.c\r\nX-Forwarded-For: 192.0.2.1, 10.0.0.1\r\n\r\n",
		"GET /api/v1/streams/door/snapshot.jpg?token=x HTTP/1.1" + host + "\r\n",
		"GET /assets/..%2fapp.js HTTP/1.1" + host + "\r\n",
		"POST /api/v1/logout HTTP/1.1" + host + "Origin: null\r\n\r\n",
		"DELETE /api/v1/sessions/x HTTP/1.1\r\nHost: evil.example\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	tokens, err := auth.Open(dir, auth.Options{})
	if err != nil {
		f.Fatal(err)
	}
	people, err := accounts.Open(dir, accounts.Options{Cost: accounts.Cost{MemoryKiB: 64, Passes: 1, Threads: 1}})
	if err != nil {
		f.Fatal(err)
	}
	epoch := media.NewEpoch()
	h := hub.New(hub.Options{}, epoch.Now)
	h.Declare("door")
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		const remote = "192.0.2.7"
		r.RemoteAddr = remote + ":1"
		records := &recorder{ended: make(chan audit.Record, 100)}
		s, err := New(Options{
			Auth: tokens, Accounts: people, Audit: records, Hub: h, Epoch: epoch, Hosts: []string{"localhost"}, Access: Access{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
			Files: fstest.MapFS{"index.html": {Data: []byte("page")}, "app.js": {Data: []byte("script")}, "favicon.svg": {Data: []byte("icon")}},
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, r)
		got := records.attempts()
		for _, rec := range got {
			if rec.Remote != remote {
				t.Fatalf("the record names %q", rec.Remote)
			}
		}
		switch body := w.Body.String(); {
		case w.Code == http.StatusOK || w.Code == http.StatusNotModified:
			if open := body == "" || body == "page" || body == "script" || body == "icon" || strings.HasPrefix(body, `{"status":"ok"}`) || w.Header().Get("Content-Encoding") == "gzip"; !open || len(got) != 0 {
				t.Fatalf("status %d, %d records: %.100q", w.Code, len(got), body)
			}
		case w.Code < 400 || w.Code >= 500:
			t.Fatalf("status %d: %.100q", w.Code, body)
		case len(got) != 1 || got[0].Verdict != audit.Refused:
			t.Fatalf("status %d %.100q, and the records %+v", w.Code, body, got)
		}
	})
}
