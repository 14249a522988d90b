package httpd

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

// outcome is what must come of a credential: a status, and the code of its error.
type outcome struct {
	status int
	code   string
}

func (o outcome) String() string { return fmt.Sprintf("%d %s", o.status, o.code) }

// TestPolicy tries every route with every kind of credential.
func TestPolicy(t *testing.T) {
	s := newSite(t)
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	cookie := func(token string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Cookie", sessionCookie+"="+token)
			r.Header.Set("Origin", s.origin())
			r.Header.Set("X-Sightline", "1")
		}
	}
	ticket := func(action auth.Action) func(*http.Request) {
		return func(r *http.Request) { // a new one for each request
			r.Header.Add("Sec-WebSocket-Protocol", ticketPrefix+s.ticket(action, "door", ""))
		}
	}
	other := newSite(t)
	ok, refused := outcome{200, ""}, func(code string) outcome { return outcome{401, code} }
	upgraded, forbidden := outcome{101, ""}, outcome{403, "not-allowed"}
	same := func(o outcome) [4]outcome { return [4]outcome{o, o, o, o} }
	viewToken := func(o outcome) [4]outcome { return [4]outcome{o, o, o, refused("wrong-kind")} }
	credentials := []struct {
		name  string
		apply func(*http.Request)
		// what comes of it where a login is asked for, at the tickets (for viewing door), at the watch and the publish door
		want [4]outcome
	}{
		{"none", func(*http.Request) {}, same(refused("missing"))},
		{"view token", bearer(s.token(auth.View, "door")), [4]outcome{ok, ok, upgraded, refused("wrong-kind")}},
		{"view token for all", bearer(s.token(auth.View, "**")), [4]outcome{ok, ok, upgraded, refused("wrong-kind")}},
		{"view token for another stream", bearer(s.token(auth.View, "yard")), [4]outcome{ok, forbidden, forbidden, refused("wrong-kind")}},
		{"publish token", bearer(s.token(auth.Publish, "door")), [4]outcome{ok, forbidden, refused("wrong-kind"), upgraded}},
		{"publish token for another stream", bearer(s.token(auth.Publish, "yard")), [4]outcome{ok, forbidden, refused("wrong-kind"), forbidden}},
		{"admin token", bearer(s.token(auth.Admin, "**")), [4]outcome{ok, forbidden, refused("wrong-kind"), refused("wrong-kind")}},
		{"session cookie", func(r *http.Request) { cookie(s.cookie("door"))(r) }, [4]outcome{ok, ok, upgraded, upgraded}},
		{"session cookie for another stream", func(r *http.Request) { cookie(s.cookie("yard"))(r) }, [4]outcome{ok, forbidden, forbidden, forbidden}},
		{"session token as bearer", bearer(s.cookie("door")), same(refused("wrong-kind"))},
		{"view token as cookie", cookie(s.token(auth.View, "door")), same(refused("wrong-kind"))},
		{"ticket to view", ticket(auth.View), [4]outcome{refused("missing"), refused("missing"), upgraded, forbidden}},
		{"ticket to publish", ticket(auth.Publish), [4]outcome{refused("missing"), refused("missing"), forbidden, upgraded}},
		{"ticket that nobody made", func(r *http.Request) {
			r.Header.Add("Sec-WebSocket-Protocol", ticketPrefix+"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
		}, [4]outcome{refused("missing"), refused("missing"), refused("used"), refused("used")}},
		{"expired", bearer(s.forge(func(c map[string]any) { c["iat"] = 1; c["exp"] = 3600 })), viewToken(refused("expired"))},
		{"not yet valid", bearer(s.forge(func(c map[string]any) { c["nbf"] = time.Now().Unix() + 600 })), viewToken(refused("not-yet-valid"))},
		{"lives too long", bearer(s.forge(func(c map[string]any) { c["exp"] = time.Now().Unix() + 25*3600 })), viewToken(refused("lifetime"))},
		{"wrong audience", bearer(s.forge(func(c map[string]any) { c["aud"] = "other" })), viewToken(refused("wrong-audience"))},
		{"no expiry", bearer(s.forge(func(c map[string]any) { delete(c, "exp") })), viewToken(refused("malformed"))},
		{"of another server", bearer(other.token(auth.View, "door")), same(refused("unknown-key"))},
		{"bad signature", bearer(func() string { k := s.token(auth.View, "door"); return s.secret(k[:len(k)-8] + "AAAAAAAA") }()), same(refused("bad-signature"))},
		{"garbage", bearer("x"), same(refused("malformed"))},
		{"another scheme", func(r *http.Request) { r.SetBasicAuth("alice", "secret") }, same(refused("malformed"))},
		{"in the address", func(r *http.Request) { r.URL.RawQuery = "token=" + s.token(auth.View, "door") }, same(outcome{400, "credential-in-url"})},
		{"in the address, beside a good one", func(r *http.Request) {
			bearer(s.token(auth.View, "door"))(r)
			r.URL.RawQuery = "access_token="
		}, same(outcome{400, "credential-in-url"})},
	}
	for _, rt := range routes() {
		method, pattern, _ := strings.Cut(rt.pattern, " ")
		path := strings.NewReplacer("{$}", "", "{stream...}", "door", "{stream}", "door", "{file}", "app.js", "{id}", "nobody", "{part}", "people", "{rule}", "D15", "{name}", "nobody").Replace(pattern)
		for _, c := range credentials {
			t.Run(rt.pattern+"/"+c.name, func(t *testing.T) {
				want, body := ok, ""
				records := 0 // of a grant; a refusal always has one
				switch {
				case rt.pattern == "GET /api/v1/login":
				case path == "/api/v1/login":
					want, body, records = refused("missing"), `{"code":""}`, 1
				case strings.HasPrefix(path, "/oidc/"):
					want = outcome{404, "not-found"} // there is no provider
				case path == "/api/v1/logout":
					want, records = outcome{403, "wrong-origin"}, 1
					if strings.Contains(c.name, "cookie") {
						want, records = outcome{204, ""}, 1
					}
					if c.name == "view token as cookie" {
						records = 0 // nobody was logged in
					}
				case path == "/api/v1/logout/everywhere":
					switch {
					case strings.HasPrefix(c.name, "session cookie"):
						t.Skip("it would end all that follows") // see TestLogoutEverywhere
					case c.want[0] == ok:
						want = refused("wrong-kind")
					default:
						want = c.want[0]
					}
				case path == "/api/v1/tickets":
					want, body, records = c.want[1], `{"stream":"door","action":"view"}`, 1
				case path == "/api/v1/sessions/nobody":
					if want = c.want[0]; want == ok {
						want = outcome{404, "no-session"}
					}
				case method == "PUT" && path == "/api/v1/preferences":
					body = "{}"
					if want = c.want[0]; want == ok {
						want = outcome{204, ""}
					}
				case method == "POST" && path == "/api/v1/session": // nobody here has an account: see TestRenewSession
					if want = c.want[0]; want == ok {
						want = forbidden
					}
				case rt.rule.kind == ruleLogin:
					want = c.want[0]
				case rt.rule.kind == ruleServer: // the admin token alone is for all streams
					want, records = c.want[3], 1 // as for publishing, but ...
					if rt.rule.quiet {
						records = 0
					}
					switch {
					case c.name == "admin token" && path == "/api/v1/alerts/mute":
						want, body = outcome{204, ""}, `{"rule":"D15","hours":1}`
					case c.name == "admin token" && path == "/api/v1/alerts/mute/D15":
						want = outcome{204, ""}
					case c.name == "admin token" && path == "/api/v1/revocations":
						want, body = outcome{204, ""}, `{"kind":"subject","value":"mallory"}`
					case c.name == "admin token":
						want = ok
						if o, other := map[string]outcome{ // without a body, or of what there is not
							"POST /api/v1/users": {400, "bad-json"}, "PATCH /api/v1/users/{name}": {400, "bad-json"},
							"DELETE /api/v1/users/{name}": {404, "no-user"}, "POST /api/v1/users/{name}/link": {404, "no-user"},
							"POST /api/v1/invitations": {400, "bad-json"}, "DELETE /api/v1/invitations/{name}": {404, "no-invitation"},
							"POST /api/v1/alerts/{id}/end-sessions": {404, "no-alert"}, "DELETE /api/v1/keys/{id}": {404, "no-key"}, "POST /api/v1/tokens": {400, "bad-json"},
							"POST /api/v1/cameras": {400, "bad-json"}, "POST /api/v1/trials": {400, "bad-json"}, "POST /api/v1/discoveries/profiles": {400, "bad-json"},
							"DELETE /api/v1/cameras/{stream...}": {400, "bad-input"}, "DELETE /api/v1/trials/{id}": {204, ""},
						}[rt.pattern]; other {
							want = o
						}
					case strings.HasPrefix(c.name, "publish token"):
						want = refused("wrong-kind")
					case strings.HasPrefix(c.name, "ticket"):
						want = refused("missing")
					case strings.HasPrefix(c.name, "session cookie"):
						want = forbidden
					}
				case rt.rule.kind == ruleStream: // a ticket opens WebSockets only; nobody publishes JPEG here
					want, records = c.want[2], 1
					switch {
					case strings.HasPrefix(c.name, "ticket"):
						want = refused("missing")
					case want.status == 101:
						want = outcome{404, "no-jpeg"}
					}
				case rt.rule.action == auth.View && rt.rule.kind == ruleSocket:
					want, records = c.want[2], 1
				case rt.rule.action == auth.Publish && rt.rule.kind == ruleSocket:
					want, records = c.want[3], 1
				case rt.rule.kind != rulePublic:
					t.Fatal("this test knows nothing of this route")
				}
				if rt.rule.kind == ruleStream {
					pub, err := s.hub.Publish("door")
					if err != nil {
						t.Fatal(err)
					}
					defer pub.Close(media.StateWaiting, "", "")
					pub.SetRenditions([]media.Rendition{{ID: 1, Name: "main", Codec: media.CodecH264}})
				}
				r := s.request(method, path, body)
				if rt.rule.kind == ruleSocket {
					asWebSocket(r, wire.Subprotocol)
				}
				c.apply(r)
				s.audit.attempts()
				a := s.do(r)
				if got := (outcome{a.status, a.code}); got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
				list := s.audit.attempts()
				if want.status >= 400 {
					records = 1
				}
				if len(list) != records {
					t.Fatalf("%d audit records, want %d: %+v", len(list), records, list)
				}
				if records == 0 {
					return
				}
				rec := list[0]
				switch {
				case want.code == "no-jpeg": // let in, and there was nothing to see
					if rec.Verdict != audit.Granted || rec.Subject != "alice" || rec.Stream != "door" {
						t.Errorf("recorded as %+v", rec)
					}
				case want.status >= 400 && (rec.Verdict != audit.Refused || rec.Reason != a.code):
					t.Errorf("recorded as %s %q, want refused %q", rec.Verdict, rec.Reason, a.code)
				case want.status < 400 && rec.Verdict == audit.Refused:
					t.Errorf("recorded as %s %q", rec.Verdict, rec.Reason)
				case want.status == 101 && (rec.Subject != "alice" || rec.TokenID == "" || rec.Stream != "door" || rec.Action != string(rt.rule.action)):
					t.Errorf("recorded as %+v", rec)
				case rec.Remote != "127.0.0.1" || rec.Event == "":
					t.Errorf("recorded as %+v", rec)
				}
			})
		}
	}
}

func TestAlerts_AreSeenAndMuted(t *testing.T) {
	s := newSite(t)
	admin := func(method, path, body string) answer {
		r := s.request(method, path, body)
		r.Header.Set("Authorization", "Bearer "+s.token(auth.Admin, "**"))
		return s.do(r)
	}
	if a := admin("GET", "/api/v1/alerts", ""); a.status != 200 || strings.TrimSpace(a.body) != `{"alerts":[],"muted":{}}` {
		t.Errorf("got %d %s", a.status, a.body)
	}
	for _, body := range []string{"", `{"rule":"D99","hours":1}`, `{"rule":"D01","hours":0}`, `{"rule":"D01","hours":169}`, `{"rule":"D01"}`} {
		if a := admin("POST", "/api/v1/alerts/mute", body); a.status != 400 || a.code != "bad-json" {
			t.Errorf("%s: got %d %s", body, a.status, a.code)
		}
	}
	if a := admin("POST", "/api/v1/alerts/mute", `{"rule":"D01","hours":168}`); a.status != 204 {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if a := admin("GET", "/api/v1/alerts", ""); !strings.HasPrefix(a.body, `{"alerts":[],"muted":{"D01":"20`) {
		t.Errorf("not told what is mute: %s", a.body)
	}
	for _, want := range []int{204, 404} { // the second time it is mute no longer
		if a := admin("DELETE", "/api/v1/alerts/mute/D01", ""); a.status != want {
			t.Errorf("got %d %s, want %d", a.status, a.body, want)
		}
	}
	if a := admin("GET", "/api/v1/alerts", ""); strings.TrimSpace(a.body) != `{"alerts":[],"muted":{}}` {
		t.Errorf("still mute: %s", a.body)
	}
}

func TestNew_RouteWithoutARule(t *testing.T) {
	for _, rt := range routes() {
		if rt.rule.kind == ruleUnset || rt.rule.onStream() && (rt.rule.action == "" || rt.rule.event == "" || rt.rule.quiet) {
			t.Errorf("%s: %+v", rt.pattern, rt.rule)
		}
	}
	if _, err := New(Options{Files: fstest.MapFS{}}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a server without pages starts")
	}
}

func TestWebSocket_Origin(t *testing.T) {
	s := newSite(t)
	_, port, _ := net.SplitHostPort(s.addr)
	for _, tc := range []struct {
		name    string
		origins []string
		cookie  outcome // the same for watch and publish
		bearer  outcome
		ticket  outcome // one made for no origin
	}{
		{"our own", []string{s.origin()}, outcome{101, ""}, outcome{101, ""}, outcome{401, "wrong-origin"}},
		{"missing", nil, outcome{403, "wrong-origin"}, outcome{101, ""}, outcome{101, ""}},
		{"null", []string{"null"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}},
		{"another port", []string{"https://127.0.0.1:1"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}},
		{"no port", []string{"https://127.0.0.1"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}},
		{"another scheme", []string{"http://" + s.addr}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}},
		{"another of our names", []string{"https://localhost:" + port}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}},
		{"ours as a prefix", []string{s.origin() + ".evil.example"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}},
		{"ours as a suffix", []string{"https://evil.example/" + s.addr}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}},
		{"ours with a path", []string{s.origin() + "/"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}},
		{"twice", []string{s.origin(), s.origin()}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}},
		{"ours and another", []string{s.origin(), "https://evil.example"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}},
		{"one that may use tickets", []string{"https://portal.example"}, outcome{403, "wrong-origin"}, outcome{403, "wrong-origin"}, outcome{401, "wrong-origin"}},
	} {
		for _, path := range []string{"/ws/watch/door", "/ws/publish/door"} {
			action := auth.View
			if strings.Contains(path, "publish") {
				action = auth.Publish
			}
			for _, c := range []struct {
				name  string
				apply func(*http.Request)
				want  outcome
			}{
				{"cookie", func(r *http.Request) { r.Header.Set("Cookie", sessionCookie+"="+s.cookie("door")) }, tc.cookie},
				{"bearer", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+s.token(action, "door")) }, tc.bearer},
				{"ticket", func(r *http.Request) {
					r.Header.Add("Sec-WebSocket-Protocol", ticketPrefix+s.ticket(action, "door", ""))
				}, tc.ticket},
			} {
				t.Run(tc.name+path+"/"+c.name, func(t *testing.T) {
					r := s.request("GET", path, "")
					asWebSocket(r, wire.Subprotocol)
					for _, o := range tc.origins {
						r.Header.Add("Origin", o)
					}
					c.apply(r)
					a := s.do(r)
					if got := (outcome{a.status, a.code}); got != c.want {
						t.Errorf("got %s, want %s", got, c.want)
					}
				})
			}
		}
	}
}

func TestCookie_ChangesComeFromOurOwnPageOnly(t *testing.T) {
	s := newSite(t)
	for _, tc := range []struct {
		name, origin, csrf string
		want               outcome
	}{
		{"as our page does", s.origin(), "1", outcome{200, ""}},
		{"without the header", s.origin(), "", outcome{403, "no-csrf-header"}},
		{"without an origin", "", "1", outcome{403, "wrong-origin"}},
		{"from elsewhere", "https://portal.example", "1", outcome{403, "wrong-origin"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := s.request("POST", "/api/v1/tickets", `{"stream":"door","action":"view"}`)
			r.Header.Set("Cookie", sessionCookie+"="+s.cookie("door"))
			if tc.origin != "" {
				r.Header.Set("Origin", tc.origin)
			}
			if tc.csrf != "" {
				r.Header.Set("X-Sightline", tc.csrf)
			}
			a := s.do(r)
			if got := (outcome{a.status, a.code}); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if tc.want.status == 200 {
				return
			}
			get := s.request("GET", "/api/v1/streams", "")
			get.Header = r.Header.Clone()
			wantRead := outcome{200, ""}
			if tc.origin != "" && tc.origin != s.origin() {
				wantRead = outcome{403, "wrong-origin"}
			}
			if a := s.do(get); a.status != wantRead.status {
				t.Errorf("reading: got %d, want %d", a.status, wantRead.status)
			}
		})
	}
}

func TestTicket_FromMakingToUse(t *testing.T) {
	s := newSite(t)
	const portal = "https://portal.example"
	made := func(body string, want outcome) string {
		t.Helper()
		r := s.request("POST", "/api/v1/tickets", body)
		r.Header.Set("Authorization", "Bearer "+s.token(auth.View, "door"))
		a := s.do(r)
		if got := (outcome{a.status, a.code}); got != want {
			t.Fatalf("%s: got %s, want %s", body, got, want)
		}
		_, rest, _ := strings.Cut(a.body, `"ticket":"`)
		ticket, _, _ := strings.Cut(rest, `"`)
		if want.status == 200 {
			s.secret(ticket)
		}
		return ticket
	}
	use := func(ticket, path, origin string, want outcome) {
		t.Helper()
		r := s.request("GET", path, "")
		asWebSocket(r, wire.Subprotocol, ticketPrefix+ticket)
		r.Header.Set("Origin", origin)
		a := s.do(r)
		if got := (outcome{a.status, a.code}); got != want {
			t.Errorf("%s from %s: got %s, want %s", path, origin, got, want)
		}
		if a.status == 101 && a.header.Get("Sec-WebSocket-Protocol") != wire.Subprotocol {
			t.Errorf("the server answers with subprotocol %q", a.header.Get("Sec-WebSocket-Protocol"))
		}
	}
	good := made(`{"stream":"door","action":"view","origin":"`+portal+`"}`, outcome{200, ""})
	use(good, "/ws/watch/door", portal, outcome{101, ""})
	use(good, "/ws/watch/door", portal, outcome{401, "used"})
	tried := made(`{"stream":"door","action":"view","origin":"`+portal+`"}`, outcome{200, ""})
	use(tried, "/ws/watch/yard", portal, outcome{403, "not-allowed"})
	use(tried, "/ws/watch/door", portal, outcome{401, "used"}) // a ticket tried in the wrong place is dead
	stolen := made(`{"stream":"door","action":"view","origin":"`+portal+`"}`, outcome{200, ""})
	use(stolen, "/ws/watch/door", s.origin(), outcome{401, "wrong-origin"})

	made(`{"stream":"door","action":"view","origin":"https://evil.example"}`, outcome{403, "wrong-origin"})
	made(`{"stream":"yard","action":"view"}`, outcome{403, "not-allowed"})
	made(`{"stream":"door","action":"publish"}`, outcome{403, "not-allowed"})
	made(`{"stream":"door","action":"dance"}`, outcome{403, "not-allowed"})
	made(`{"stream":"../door","action":"view"}`, outcome{404, "bad-stream-name"})
	made(`{"stream":"`+s.token(auth.View, "door")+`","action":"view"}`, outcome{404, "bad-stream-name"}) // must not be recorded
	made(`{"stream":"door","action":"view","more":1}`, outcome{400, "bad-json"})
	made(`{"stream":"door","action":"view"}{}`, outcome{400, "bad-json"})
	made(`[]`, outcome{400, "bad-json"})
	made(``, outcome{400, "bad-json"})
	made(`{"stream":"`+strings.Repeat("x", maxBody)+`"}`, outcome{413, "too-large"})
}

func TestLogin(t *testing.T) {
	s := newSite(t)
	login := func(code, origin string) answer {
		r := s.request("POST", "/api/v1/login", `{"code":"`+code+`"}`)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		return s.do(r)
	}
	code := s.code()
	if a := login(code, "https://evil.example"); a.code != "wrong-origin" {
		t.Errorf("from a foreign page: %d %s", a.status, a.code)
	}
	a := login(code, s.origin()) // the refused one has not used it up
	if a.status != http.StatusNoContent {
		t.Fatalf("got %d %s", a.status, a.code)
	}
	set := a.header.Get("Set-Cookie")
	value, _, _ := strings.Cut(strings.TrimPrefix(set, sessionCookie+"="), ";")
	s.secret(value)
	for _, want := range []string{"__Host-", "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Strict", "; Expires="} {
		if !strings.Contains(set, want) {
			t.Errorf("the cookie lacks %q", want)
		}
	}
	if strings.Contains(set, "Domain") {
		t.Error("the cookie names a domain")
	}
	if a := login(code, s.origin()); a.status != 401 || a.code != "used" || a.header.Get("Set-Cookie") != "" {
		t.Errorf("a code used twice: %d %s", a.status, a.code)
	}
	list := s.audit.attempts()
	if len(list) != 3 || list[0].Reason != "wrong-origin" || list[1].Verdict != audit.Granted || list[1].Subject != "alice" || list[2].Reason != "used" {
		t.Errorf("recorded: %+v", list)
	}

	r := s.request("GET", "/api/v1/session", "")
	r.Header.Set("Cookie", sessionCookie+"="+value)
	if a := s.do(r); a.status != 200 || !strings.Contains(a.body, `"subject":"alice"`) || strings.Contains(a.body, value) {
		t.Errorf("session: %d %s", a.status, a.body)
	}
	out := s.request("POST", "/api/v1/logout", "")
	out.Header.Set("Cookie", sessionCookie+"="+value)
	out.Header.Set("Origin", s.origin())
	if a := s.do(out); a.code != "no-csrf-header" {
		t.Errorf("logout without the header: %d %s", a.status, a.code)
	}
	out.Header.Set("X-Sightline", "1")
	if a := s.do(out); a.status != 204 || !strings.Contains(a.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("logout: %d %s", a.status, a.header.Get("Set-Cookie"))
	}
}

func TestAudit_NoRecordNoAccess(t *testing.T) {
	s := newSite(t)
	s.camera()
	s.audit.fail = true
	for _, tc := range []struct {
		name    string
		request func() *http.Request
	}{
		{"watch", func() *http.Request {
			r := s.request("GET", "/ws/watch/door", "")
			asWebSocket(r, wire.Subprotocol)
			r.Header.Set("Authorization", "Bearer "+s.token(auth.View, "door"))
			return r
		}},
		{"publish", func() *http.Request {
			r := s.request("GET", "/ws/publish/door", "")
			asWebSocket(r, wire.Subprotocol)
			r.Header.Set("Authorization", "Bearer "+s.token(auth.Publish, "door"))
			return r
		}},
		{"ticket", func() *http.Request {
			r := s.request("POST", "/api/v1/tickets", `{"stream":"door","action":"view"}`)
			r.Header.Set("Authorization", "Bearer "+s.token(auth.View, "door"))
			return r
		}},
		{"login", func() *http.Request { return s.request("POST", "/api/v1/login", `{"code":"`+s.code()+`"}`) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := s.do(tc.request())
			if a.status != http.StatusServiceUnavailable || a.code != "audit" {
				t.Errorf("got %d %s", a.status, a.code)
			}
			if a.header.Get("Set-Cookie") != "" || strings.Contains(a.body, `"ticket"`) {
				t.Errorf("access in spite of it: %s %s", a.header, a.body)
			}
		})
	}
}

// dial opens a WebSocket.
func (s *site) dial(path, token string) *ws.Conn {
	s.t.Helper()
	c, err := ws.Dial(s.t.Context(), "wss://"+s.addr+path, http.Header{"Authorization": {"Bearer " + token}},
		[]string{wire.Subprotocol}, s.tls.Clone(), ws.Options{ReadLimit: wire.MaxMessageLen, IdleTimeout: patience})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close(transport.CodeNormal, "") }) // or one that the test keeps no hold of is closed by the garbage collector
	return c
}

func TestWatch_RecordFirstThenPictures(t *testing.T) {
	s := newSite(t)
	s.camera()
	viewers := -1 // when the grant was recorded
	s.audit.before = func(r audit.Record) {
		if r.Event == "watch" {
			viewers = s.hub.Streams()[0].Viewers
		}
	}
	c := s.dial("/ws/watch/door", s.token(auth.View, "door"))
	if err := c.WriteMessage(wire.AppendJSON(nil, wire.TypeHello, wire.ViewerHello{Player: "test/1", Codecs: []string{"jpeg"}})); err != nil {
		t.Fatal(err)
	}
	pictures := 0
	for pictures < 5 {
		b, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if wire.Type(b[0]) == wire.TypeMedia {
			pictures++
		}
	}
	if viewers != 0 {
		t.Errorf("%d viewers when the grant was recorded, want 0", viewers)
	}
	_ = c.Close(transport.CodeNormal, "")
	_, _ = c.ReadMessage()
	if r := s.sessionEnd(); r.Event != "watch-end" || r.Reason != "left" || r.Stream != "door" || r.Subject != "alice" {
		t.Errorf("the end is recorded as %+v", r)
	}
}

func (s *site) sessionEnd() audit.Record {
	s.t.Helper()
	select {
	case r := <-s.audit.ended:
		return r
	case <-time.After(patience):
		s.t.Fatal("no record of the session's end")
		return audit.Record{}
	}
}

// closeError reads until the connection ends.
func closeError(t *testing.T, c *ws.Conn) *transport.CloseError {
	t.Helper()
	for {
		_, err := c.ReadMessage()
		var closed *transport.CloseError
		switch {
		case errors.As(err, &closed):
			return closed
		case err != nil:
			t.Fatal(err)
		}
	}
}

func TestSessions_HowTheyEnd(t *testing.T) {
	soon := func(s *site) string {
		token, _, err := s.auth.Mint(auth.Claims{
			Kind: auth.KindView, Subject: "alice", Grants: []auth.Grant{auth.Allow(auth.View, "door")}, Lifetime: 2 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		return s.secret(token)
	}
	for _, tc := range []struct {
		name   string
		token  func(s *site) string
		send   []byte
		stop   bool
		code   transport.Code
		reason string // in the audit record
	}{
		{"its token expires", soon, nil, false, transport.CodeExpired, "expired"},
		{"it breaks the protocol", nil, []byte{byte(wire.TypeCtrl)}, false, transport.CodeMalformed, "malformed"},
		{"it sends too long a message", nil, make([]byte, wire.MaxViewerMessage+1), false, transport.CodeTooLarge, "message longer than 4096 bytes"},
		{"the server stops", nil, nil, true, transport.CodeGoingAway, "server-stopped"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t)
			if tc.token == nil {
				tc.token = func(s *site) string { return s.token(auth.View, "door") }
			}
			c := s.dial("/ws/watch/door", tc.token(s))
			if tc.send != nil {
				if err := c.WriteMessage(tc.send); err != nil {
					t.Fatal(err)
				}
			}
			stopped := make(chan error, 1)
			if tc.stop {
				go func() { stopped <- s.stop() }()
			}
			if got := closeError(t, c); got.Code != tc.code || !got.Remote || got.Reason == "" && tc.code != transport.CodeTooLarge {
				t.Errorf("the viewer is told %v, want %d", got, tc.code)
			}
			if r := s.sessionEnd(); r.Reason != tc.reason {
				t.Errorf("recorded as %q, want %q", r.Reason, tc.reason)
			}
			if tc.stop {
				if err := <-stopped; !errors.Is(err, context.Canceled) {
					t.Errorf("Serve: %v", err)
				}
			}
		})
	}
}

func TestStreams_OnlyWhatOneMayWatch(t *testing.T) {
	s := newSite(t)
	for _, tc := range []struct{ stream, want string }{
		{"door", `"id":"door"`}, {"yard", `"id":"yard"`}, {"attic", `"streams":[]`}, {"site/*", `"streams":[]`},
	} {
		r := s.request("GET", "/api/v1/streams", "")
		r.Header.Set("Authorization", "Bearer "+s.token(auth.View, auth.Pattern(tc.stream)))
		a := s.do(r)
		if a.status != 200 || !strings.Contains(a.body, tc.want) || strings.Count(a.body, `"id"`) > 1 {
			t.Errorf("%s: %d %s", tc.stream, a.status, a.body)
		}
	}
	pub, err := s.hub.Publish("door")
	if err != nil {
		t.Fatal(err)
	}
	pub.SetOrigin(hub.Origin{Source: "rtsp", Sandbox: "Confined."})
	pub.SetRenditions([]media.Rendition{{ID: 1, Name: "main", Codec: media.CodecH264, Encoder: "libx264"}})
	r := s.request("GET", "/api/v1/streams", "")
	r.Header.Set("Authorization", "Bearer "+s.token(auth.View, "door"))
	if a := s.do(r); !strings.Contains(a.body, `"source":"rtsp","sandbox":"Confined."`) || !strings.Contains(a.body, `"encoder":"libx264"`) {
		t.Errorf("not told what the publisher is: %s", a.body)
	}
	r = s.request("GET", "/api/v1/streams", "")
	r.Header.Set("Authorization", "Bearer "+s.token(auth.Publish, "**"))
	if a := s.do(r); !strings.Contains(a.body, `"streams":[]`) {
		t.Errorf("leave to publish shows streams: %s", a.body)
	}
}

func TestDoors_StreamsThatAreNotThere(t *testing.T) {
	s := newSite(t)
	for _, tc := range []struct {
		path  string
		token string
		want  outcome
	}{
		{"/ws/watch/attic", s.token(auth.View, "**"), outcome{404, "no-stream"}},
		{"/ws/watch/attic", s.token(auth.View, "door"), outcome{403, "not-allowed"}}, // no word on whether it exists
		{"/ws/watch/yard", s.token(auth.View, "door"), outcome{403, "not-allowed"}},
		{"/ws/watch/UPPER", s.token(auth.View, "**"), outcome{404, "bad-stream-name"}},
		{"/ws/watch/", s.token(auth.View, "**"), outcome{404, "bad-stream-name"}},
		{"/ws/watch/a%2fb%00", s.token(auth.View, "**"), outcome{404, "bad-stream-name"}},
		{"/ws/publish/yard", s.token(auth.Publish, "**"), outcome{409, "has-source"}},
		{"/ws/publish/new", s.token(auth.Publish, "**"), outcome{101, ""}},
	} {
		r := s.request("GET", tc.path, "")
		asWebSocket(r, wire.Subprotocol)
		r.Header.Set("Authorization", "Bearer "+tc.token)
		a := s.do(r)
		if got := (outcome{a.status, a.code}); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.path, got, tc.want)
		}
	}
	for _, offered := range [][]string{nil, {"sightline.v2"}, {"SIGHTLINE.V1"}} {
		r := s.request("GET", "/ws/watch/door", "")
		asWebSocket(r, offered...)
		r.Header.Set("Authorization", "Bearer "+s.token(auth.View, "door"))
		if a := s.do(r); a.code != "no-subprotocol" {
			t.Errorf("offering %q: %d %s", offered, a.status, a.code)
		}
	}
}

func TestHost(t *testing.T) {
	s := newSite(t)
	_, port, _ := net.SplitHostPort(s.addr)
	for _, tc := range []struct {
		host  string
		known bool
	}{
		{"127.0.0.1:" + port, true},
		{"localhost:" + port, true},
		{"LOCALHOST", true},
		{"[::1]:" + port, true},
		{"[::1]", true},
		{"evil.example", false},
		{"evil.example:" + port, false},
		{"localhost.evil.example", false},
		{"127.0.0.1.", false},
		{"127.0.0.2", false},
	} {
		r := s.request("GET", "/", "")
		r.Host = tc.host
		s.audit.attempts()
		a := s.do(r)
		want := outcome{200, ""}
		if !tc.known {
			want = outcome{421, "unknown-host"}
		}
		if got := (outcome{a.status, a.code}); got != want {
			t.Errorf("%s: got %s, want %s", tc.host, got, want)
		}
		if n := len(s.audit.attempts()); (n == 0) != tc.known {
			t.Errorf("%s: %d audit records", tc.host, n)
		}
	}
}

func TestHeaders_OnEveryAnswer(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/", "/watch/door", "/assets/app.js", "/favicon.ico", "/player.js", "/healthz", "/api/v1/streams", "/ws/watch/door", "/nowhere"} {
		h := s.do(s.request("GET", path, "")).header
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000", "Cache-Control": "no-",
		} {
			if !strings.HasPrefix(h.Get(name), want) {
				t.Errorf("%s: %s is %q, want %q", path, name, h.Get(name), want)
			}
		}
		if !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestHeaders_LocalhostIsNotHeldToTLS(t *testing.T) {
	s := newSite(t)
	r := s.request("GET", "/", "")
	r.Host = "localhost"
	if got := s.do(r).header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("localhost gets %q, which would bind every program on it", got)
	}
}

func TestPlayer_ForOtherSites(t *testing.T) {
	s := newSite(t)
	for _, tc := range []struct {
		name    string
		origins []string
		want    string // of Access-Control-Allow-Origin
	}{
		{"one that may use tickets", []string{"https://portal.example"}, "https://portal.example"},
		{"our own", []string{s.origin()}, s.origin()},
		{"no page", nil, ""},
		{"none that may", []string{"https://evil.example"}, ""},
		{"null", []string{"null"}, ""},
		{"one that may, twice", []string{"https://portal.example", "https://portal.example"}, ""},
		{"one that may as a prefix", []string{"https://portal.example.evil.example"}, ""},
	} {
		r := s.request("GET", "/player.js", "")
		for _, o := range tc.origins {
			r.Header.Add("Origin", o)
		}
		a := s.do(r)
		if got := a.header.Get("Access-Control-Allow-Origin"); a.status != 200 || got != tc.want {
			t.Errorf("%s: status %d, allowed %q, want %q", tc.name, a.status, got, tc.want)
		}
		if vary := a.header.Values("Vary"); !slices.Contains(vary, "Origin") || a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", tc.name, a.header)
		}
	}
	r := s.request("GET", "/assets/player.js", "")
	r.Header.Set("Origin", "https://portal.example")
	if got := s.do(r).header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("other files are allowed to %q", got)
	}
}

func TestFiles(t *testing.T) {
	s := newSite(t)
	for path, want := range map[string]string{
		"/": "text/html; charset=utf-8", "/watch/door": "text/html; charset=utf-8",
		"/assets/app.js": "text/javascript; charset=utf-8", "/favicon.ico": "image/svg+xml",
	} {
		if a := s.do(s.request("GET", path, "")); a.status != 200 || a.header.Get("Content-Type") != want || a.body == "" {
			t.Errorf("%s: %d %q", path, a.status, a.header.Get("Content-Type"))
		}
	}
	plain := s.do(s.request("GET", "/assets/app.js", ""))
	etag := plain.header.Get("ETag")
	if etag == "" || plain.header.Get("Content-Encoding") != "" || plain.header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("headers: %v", plain.header)
	}
	r := s.request("GET", "/assets/app.js", "")
	r.Header.Set("Accept-Encoding", "br, gzip")
	zipped := s.do(r)
	z, err := gzip.NewReader(strings.NewReader(zipped.body))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || string(b) != plain.body || len(zipped.body) >= len(plain.body) {
		t.Errorf("zipped: %d bytes, %v", len(zipped.body), err)
	}
	r = s.request("GET", "/assets/app.js", "")
	r.Header.Set("If-None-Match", etag)
	if a := s.do(r); a.status != http.StatusNotModified || a.body != "" {
		t.Errorf("unchanged: %d", a.status)
	}
	for _, path := range []string{"/assets/.hidden", "/assets/none.js", "/assets/..%2fsigning-key.pem", "/assets/", "/api/v1/nothing"} {
		if a := s.do(s.request("GET", path, "")); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

func TestTLS_NothingElse(t *testing.T) {
	s := newSite(t)
	old := s.tls.Clone()
	old.MaxVersion = tls.VersionTLS12
	if c, err := tls.Dial("tcp", s.addr, old); err == nil {
		_ = c.Close()
		t.Error("TLS 1.2 is accepted")
	}
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", s.addr); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Location") != "" {
		t.Errorf("plain HTTP: %s, Location %q", resp.Status, resp.Header.Get("Location"))
	}
}
