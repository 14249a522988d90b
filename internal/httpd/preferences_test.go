package httpd

import (
	"net/http"
	"strings"
	"testing"

	"sightline/internal/accounts"
	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/revocation"
)

func TestPreferences_AreEachPersonsOwn(t *testing.T) {
	s := newSite(t)
	alice, bob := s.tokenOf("alice", auth.View, "door"), s.tokenOf("bob", auth.View, "door")
	if a := s.as(alice, http.MethodGet, "/api/v1/preferences", ""); a.status != http.StatusOK || strings.TrimSpace(a.body) != "{}" {
		t.Fatalf("before anything: %d %s", a.status, a.body)
	}
	if a := s.as(alice, http.MethodPut, "/api/v1/preferences", `{"wall":{"layout":"3x3"}}`); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := s.as(alice, http.MethodGet, "/api/v1/preferences", ""); strings.TrimSpace(a.body) != `{"wall":{"layout":"3x3"}}` {
		t.Errorf("alice gets %s", a.body)
	}
	if a := s.as(bob, http.MethodGet, "/api/v1/preferences", ""); strings.TrimSpace(a.body) != "{}" {
		t.Errorf("bob gets %s", a.body)
	}
	for body, want := range map[string]string{
		"": "bad-json", "{": "bad-json", "{} {}": "bad-json", "[]": "bad-preferences", `{"a":"` + strings.Repeat("x", 7000) + `"}`: "bad-preferences",
		`{"a":"` + strings.Repeat("x", maxBody) + `"}`: "too-large",
	} {
		if a := s.as(alice, http.MethodPut, "/api/v1/preferences", body); a.code != want {
			t.Errorf("%.10q: got %d %s, want %s", body, a.status, a.code, want)
		}
	}
}

// login gives the cookie of a login with the set-up code of a new account.
func (s *site) login(name string, role accounts.Role) string {
	s.t.Helper()
	if err := s.accounts.Add(name, role, []auth.Pattern{"door"}); err != nil {
		s.t.Fatal(err)
	}
	code, _, err := s.accounts.Invite(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.cookieOf(s.do(s.request(http.MethodPost, "/api/v1/login", `{"code":"`+s.secret(code)+`","password":"correct horse battery"}`)))
}

// cookieOf is the session that an answer sets, as as() takes it.
func (s *site) cookieOf(a answer) string {
	s.t.Helper()
	value, found := strings.CutPrefix(strings.Split(a.header.Get("Set-Cookie"), ";")[0], sessionCookie+"=")
	if !found || value == "" {
		s.t.Fatalf("no session: %d %s", a.status, a.body)
	}
	return "cookie " + s.secret(value)
}

func TestRenewSession(t *testing.T) {
	s := newSite(t)
	hall, desk := s.login("hall", accounts.Viewer), s.login("desk", accounts.Operator)
	renew := func(cookie string) (answer, audit.Record) {
		t.Helper()
		s.audit.attempts()
		a := s.as(cookie, http.MethodPost, "/api/v1/session", "")
		list := s.audit.attempts()
		if len(list) != 1 || list[0].Event != "renew" {
			t.Fatalf("recorded as %+v", list)
		}
		return a, list[0]
	}
	for cookie, want := range map[string]string{hall: `"renews":true`, desk: `"renews":false`} {
		if a := s.as(cookie, http.MethodGet, "/api/v1/session", ""); !strings.Contains(a.body, want) {
			t.Errorf("told of the session: %s, want %s", a.body, want)
		}
	}
	a, r := renew(hall)
	if a.status != http.StatusOK || !strings.Contains(a.body, `"expires":"20`) || r.Verdict != audit.Granted || r.Subject != "hall" {
		t.Fatalf("%d %s, recorded as %+v", a.status, a.body, r)
	}
	next := s.cookieOf(a)
	if next == hall {
		t.Fatal("it is the same session")
	}
	if a := s.as(next, http.MethodGet, "/api/v1/streams", ""); a.status != http.StatusOK || !strings.Contains(a.body, `"groups":["of door"]`) || strings.Contains(a.body, `"yard"`) {
		t.Errorf("the new session sees %d %s", a.status, a.body)
	}
	if a, r := renew(desk); a.status != http.StatusForbidden || r.Verdict != audit.Refused || r.Reason != "not-allowed" {
		t.Errorf("who may do more than look: %d %s, recorded as %+v", a.status, a.code, r)
	}
	if a, _ := renew(s.tokenOf("hall", auth.View, "door")); a.status != http.StatusForbidden {
		t.Errorf("a token: %d %s", a.status, a.code)
	}
	if err := s.revoked.Add(revocation.Entry{Kind: revocation.Subject, Value: "hall"}); err != nil {
		t.Fatal(err)
	}
	if a, _ := renew(next); a.status != http.StatusUnauthorized || a.code != "revoked" {
		t.Errorf("a revoked one: %d %s", a.status, a.code)
	}
}
