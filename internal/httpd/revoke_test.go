package httpd

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"sightline/internal/accounts"
	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/revocation"
	"sightline/internal/transport"
	"sightline/internal/wire"
)

// as makes a request with a token, or with a session's cookie from the own page.
func (s *site) as(credential, method, path, body string) answer {
	s.t.Helper()
	r := s.request(method, path, body)
	if bare, ok := strings.CutPrefix(credential, "cookie "); ok {
		r.Header.Set("Cookie", sessionCookie+"="+bare)
		r.Header.Set("Origin", s.origin())
		r.Header.Set("X-Sightline", "1")
	} else {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	return s.do(r)
}

// running lists what a caller sees of what runs.
func (s *site) running(credential string) []sessionJSON {
	s.t.Helper()
	a := s.as(credential, http.MethodGet, "/api/v1/sessions", "")
	var body struct{ Sessions []sessionJSON }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != http.StatusOK {
		s.t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return body.Sessions
}

func TestRevoke_EndsWhatRunsAndLetsNobodyInAgain(t *testing.T) {
	s := newSite(t)
	token := s.token(auth.View, "door")
	c := s.dial("/ws/watch/door", token)
	if a := s.as(s.token(auth.Admin, "**"), http.MethodPost, "/api/v1/revocations", `{"kind":"subject","value":"alice"}`); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if got := closeError(t, c); got.Code != transport.CodeExpired || !strings.Contains(got.Reason, "revoked") {
		t.Errorf("the viewer is told %v", got)
	}
	if r := s.sessionEnd(); r.Reason != "revoked" || r.Subject != "alice" {
		t.Errorf("recorded as %+v", r)
	}
	if a := s.as(token, http.MethodGet, "/api/v1/streams", ""); a.status != http.StatusUnauthorized || a.code != "revoked" {
		t.Errorf("afterwards: %d %s", a.status, a.code)
	}
	for _, body := range []string{"", `{"kind":"subject"}`, `{"kind":"everything","value":""}`} {
		if a := s.as(s.tokenOf("root", auth.Admin, "**"), http.MethodPost, "/api/v1/revocations", body); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", body, a.status, a.code)
		}
	}
}

func TestRevoke_AStreamIsBarredAtEveryDoor(t *testing.T) {
	s := newSite(t)
	token := s.token(auth.View, "door")
	if a := s.as(s.tokenOf("root", auth.Admin, "**"), http.MethodPost, "/api/v1/revocations", `{"kind":"stream","value":"door"}`); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, path := range []string{"/mjpeg/door", "/api/v1/streams/door/snapshot.jpg", "/ws/watch/door"} {
		r := s.request(http.MethodGet, path, "")
		r.Header.Set("Authorization", "Bearer "+token)
		if strings.HasPrefix(path, "/ws") {
			asWebSocket(r, wire.Subprotocol)
		}
		s.audit.attempts()
		if a := s.do(r); a.status != http.StatusUnauthorized || a.code != "revoked" {
			t.Errorf("%s: %d %s", path, a.status, a.code)
		}
		if list := s.audit.attempts(); len(list) != 1 || list[0].Verdict != audit.Refused {
			t.Errorf("%s: recorded as %+v", path, list)
		}
	}
}

func TestSessions_TheirOwnerAndTheAdministratorSeeAndEndThem(t *testing.T) {
	for _, who := range []string{"owner", "administrator"} {
		t.Run(who, func(t *testing.T) {
			s := newSite(t)
			token := s.token(auth.View, "door")
			c := s.dial("/ws/watch/door", token)
			by := token
			if who == "administrator" {
				by = s.tokenOf("root", auth.Admin, "**")
			}
			list := s.running(by)
			for deadline := time.Now().Add(patience); len(list) == 0 && time.Now().Before(deadline); { // it begins after the handshake
				list = s.running(by)
			}
			if len(list) != 1 || list[0].Kind != "watch" || list[0].Stream != "door" || list[0].Subject != "alice" || list[0].Remote != "127.0.0.1" {
				t.Fatalf("running: %+v", list)
			}
			bob := s.tokenOf("bob", auth.View, "**")
			if others := s.running(bob); len(others) != 0 {
				t.Errorf("bob sees %+v", others)
			}
			if a := s.as(bob, http.MethodDelete, "/api/v1/sessions/"+list[0].ID, ""); a.status != http.StatusNotFound || a.code != "no-session" {
				t.Errorf("bob: %d %s", a.status, a.code)
			}
			s.audit.attempts()
			if a := s.as(by, http.MethodDelete, "/api/v1/sessions/"+list[0].ID, ""); a.status != http.StatusNoContent {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if got := closeError(t, c); got.Code != transport.CodeForbidden {
				t.Errorf("the viewer is told %v", got)
			}
			if r := s.sessionEnd(); r.Reason != "ended" {
				t.Errorf("recorded as %+v", r)
			}
			if list := s.audit.attempts(); len(list) != 1 || list[0].Event != "end-session" || list[0].Reason != "of alice" || list[0].Stream != "door" {
				t.Errorf("recorded as %+v", list)
			}
		})
	}
}

func TestLogout_RevokesTheSession(t *testing.T) {
	s := newSite(t)
	cookie := "cookie " + s.cookie("door")
	if a := s.as(cookie, http.MethodPost, "/api/v1/logout", ""); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := s.as(cookie, http.MethodGet, "/api/v1/streams", ""); a.status != http.StatusUnauthorized || a.code != "revoked" {
		t.Errorf("afterwards: %d %s", a.status, a.code)
	}
}

func TestLogin_ByPassword(t *testing.T) {
	s := newSite(t)
	const password = "correct horse battery"
	if err := s.accounts.Add("carol", accounts.Viewer, []auth.Pattern{"door"}); err != nil {
		t.Fatal(err)
	}
	code, _, err := s.accounts.Invite("carol")
	if err != nil {
		t.Fatal(err)
	}
	login := func(body map[string]string) (answer, audit.Record) {
		t.Helper()
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		s.audit.attempts()
		a := s.do(s.request(http.MethodPost, "/api/v1/login", string(b)))
		list := s.audit.attempts()
		if len(list) != 1 {
			t.Fatalf("%d records", len(list))
		}
		return a, list[0]
	}
	s.secret(password)
	s.secret(code)
	if a, r := login(map[string]string{"code": code, "password": "short"}); a.status != http.StatusBadRequest || a.code != "bad-password" || r.Reason != "bad-password" {
		t.Fatalf("too short a password: %d %s, recorded as %+v", a.status, a.body, r)
	}
	if a, r := login(map[string]string{"code": code, "password": password}); a.status != http.StatusNoContent || r.Subject != "carol" {
		t.Fatalf("setting the password: %d %s, recorded as %+v", a.status, a.body, r)
	}
	a, r := login(map[string]string{"name": "carol", "password": password})
	if a.status != http.StatusNoContent || r.Verdict != audit.Granted || r.Subject != "carol" {
		t.Fatalf("%d %s, recorded as %+v", a.status, a.body, r)
	}
	cookie := "cookie " + strings.TrimPrefix(strings.Split(a.header.Get("Set-Cookie"), ";")[0], sessionCookie+"=")
	if a := s.as(cookie, http.MethodGet, "/api/v1/streams", ""); a.status != http.StatusOK || !strings.Contains(a.body, `"door"`) || strings.Contains(a.body, `"yard"`) {
		t.Errorf("carol sees %d %s", a.status, a.body)
	}
	wrong, r := login(map[string]string{"name": "carol", "password": "wrong wrong wrong"})
	if wrong.status != http.StatusUnauthorized || wrong.code != "bad-login" || r.Verdict != audit.Refused || r.Subject != "carol" {
		t.Errorf("%d %s, recorded as %+v", wrong.status, wrong.code, r)
	}
	unknown, r := login(map[string]string{"name": "nobody", "password": "wrong wrong wrong"})
	if unknown.status != wrong.status || unknown.body != wrong.body || r.Subject != "nobody" {
		t.Errorf("a name that is not there is told from one that is: %d %s", unknown.status, unknown.body)
	}
	if a, r := login(map[string]string{"name": s.secret("My Password!"), "password": "x"}); a.code != "bad-login" || r.Subject != "" {
		t.Errorf("%d %s, recorded as %+v", a.status, a.code, r)
	}
	if a, _ := login(map[string]string{"name": "carol", "code": "x"}); a.status != http.StatusBadRequest {
		t.Errorf("a name and a code: %d", a.status)
	}
	if err := s.revoked.Add(revocation.Entry{Kind: revocation.Subject, Value: "carol"}); err != nil {
		t.Fatal(err)
	}
	a, _ = login(map[string]string{"name": "carol", "password": password})
	again := "cookie " + strings.TrimPrefix(strings.Split(a.header.Get("Set-Cookie"), ";")[0], sessionCookie+"=")
	if a := s.as(again, http.MethodGet, "/api/v1/streams", ""); a.status != http.StatusOK {
		t.Errorf("who logs in in the second of a revocation: %d %s", a.status, a.body)
	}
	if a := s.as(cookie, http.MethodGet, "/api/v1/streams", ""); a.code != "revoked" {
		t.Errorf("the session from before it: %d %s", a.status, a.code)
	}
}

func TestRenew_ASessionGoesOnWithoutABreak(t *testing.T) {
	s := newSite(t)
	s.camera()
	short, _, err := s.auth.Mint(auth.Claims{
		Kind: auth.KindView, Subject: "alice", Grants: []auth.Grant{auth.Allow(auth.View, "door")}, Lifetime: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := s.dial("/ws/watch/door", s.secret(short))
	send := func(m []byte) {
		t.Helper()
		if err := c.WriteMessage(m); err != nil {
			t.Fatal(err)
		}
	}
	send(wire.AppendJSON(nil, wire.TypeHello, wire.ViewerHello{Player: "test/1", Codecs: []string{"jpeg"}}))
	// next reads on to the next STATUS or to the end, and counts the pictures that went before it.
	pictures := 0
	var last uint32
	next := func() (st wire.ViewerStatus) {
		t.Helper()
		for {
			b, err := c.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			switch wire.Type(b[0]) {
			case wire.TypeMedia:
				h, _, err := wire.ParseMedia(b)
				if err != nil {
					t.Fatal(err)
				}
				pictures++
				last = h.Seq
			case wire.TypeStatus:
				if err := wire.ParseJSON(b, wire.TypeStatus, &st); err != nil {
					t.Fatal(err)
				}
				return st
			}
		}
	}
	first := next()
	send(wire.AppendJSON(nil, wire.TypeRenew, wire.Renew{Ticket: s.ticket(auth.View, "door", "")}))
	renewed := next()
	for renewed.Until == first.Until {
		renewed = next()
	}
	if gained := renewed.Until - first.Until; gained < 3_000_000_000 {
		t.Errorf("leave was renewed by %d us", gained)
	}
	// Pictures go on well after the first leave's end.
	for s.epoch.Now() < first.Until.Add(500*time.Millisecond) {
		b, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("after %d pictures, the last number %d: %v", pictures, last, err)
		}
		if wire.Type(b[0]) == wire.TypeMedia {
			pictures++
		}
		if pictures%10 == 0 { // the server sends no more than is acknowledged
			send(wire.AppendFeedback(nil, wire.Feedback{Rendition: 1, Seq: last, Arrival: s.epoch.Now()}))
		}
		if h, _, err := wire.ParseMedia(b); err == nil {
			last = h.Seq
		}
	}
	granted := 0
	for _, r := range s.audit.attempts() {
		if r.Event == "renew" && r.Verdict == audit.Granted && r.Subject == "alice" && r.Stream == "door" {
			granted++
		}
	}
	if granted != 1 {
		t.Errorf("%d renewals on record, want 1", granted)
	}
}
