package httpd

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/audit"
	"sightline/internal/auth"
)

// ask has an administrator ask for something that must go well, and gives the answer in v and what is on record of it.
func (s *site) ask(method, path, body string, v any) audit.Record {
	s.t.Helper()
	s.audit.attempts()
	a := s.as(s.tokenOf("root", auth.Admin, "**"), method, path, body)
	if v == nil && a.status != http.StatusNoContent || v != nil && a.status != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	if v != nil {
		if err := json.Unmarshal([]byte(a.body), v); err != nil {
			s.t.Fatal(err)
		}
	}
	list := s.audit.attempts()
	if method == http.MethodGet {
		return audit.Record{}
	}
	if len(list) != 1 || list[0].Verdict != audit.Granted || list[0].Subject != "root" {
		s.t.Fatalf("%s %s: recorded as %+v", method, path, list)
	}
	return list[0]
}

// refused has an administrator ask for something that must be refused with a sentence.
func (s *site) refused(method, path, body, code, sentence string) {
	s.t.Helper()
	s.audit.attempts()
	a := s.as(s.tokenOf("root", auth.Admin, "**"), method, path, body)
	if a.code != code || !strings.Contains(a.body, sentence) {
		s.t.Errorf("%s %s %s: %d %s, want %s with %q", method, path, body, a.status, a.body, code, sentence)
	}
	if list := s.audit.attempts(); len(list) != 1 || list[0].Verdict != audit.Refused || list[0].Reason != code {
		s.t.Errorf("%s %s: recorded as %+v", method, path, list)
	}
}

// enter logs in and gives the status, the code of the error, and the session's credential.
func (s *site) enter(body map[string]string) (a answer, credential string) {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	a = s.do(s.request(http.MethodPost, "/api/v1/login", string(text)))
	if a.status == http.StatusNoContent {
		value, _, _ := strings.Cut(strings.TrimPrefix(a.header.Get("Set-Cookie"), sessionCookie+"="), ";")
		credential = "cookie " + s.secret(value)
	}
	return a, credential
}

// codeOf is what stands behind # in a link, which is a secret.
func (s *site) codeOf(l linkJSON) string {
	s.t.Helper()
	base, code, ok := strings.Cut(l.Link, "/#")
	if !ok || base != s.origin() {
		s.t.Fatalf("link %s", l.Link)
	}
	_, bare, _ := strings.Cut(code, ".")
	s.secret(bare)
	var image struct {
		XMLName xml.Name
	}
	if err := xml.Unmarshal([]byte(l.QR), &image); err != nil || image.XMLName.Local != "svg" {
		s.t.Errorf("the QR code is no SVG: %v", err)
	}
	return code
}

func TestUsers_FromTheFirstLinkToTheLastSession(t *testing.T) {
	s := newSite(t)
	const password = "a password of some length"
	var link linkJSON
	if rec := s.ask(http.MethodPost, "/api/v1/users", `{"name":"bob","role":"viewer","streams":["door"]}`, &link); rec.Event != "user" || rec.Action != "add" || rec.Reason != "bob, viewer on door" {
		t.Errorf("recorded as %+v", rec)
	}
	code, _ := strings.CutPrefix(s.codeOf(link), setUpPrefix)
	a, credential := s.enter(map[string]string{"code": code, "password": s.secret(password)})
	if a.status != http.StatusNoContent {
		t.Fatalf("set up: %d %s", a.status, a.body)
	}
	sees := func(credential string) string { return s.as(credential, http.MethodGet, "/api/v1/streams", "").code }
	var list struct{ Users []userJSON }
	s.ask(http.MethodGet, "/api/v1/users", "", &list)
	if len(list.Users) != 1 || list.Users[0].Name != "bob" || !list.Users[0].Password || list.Users[0].Disabled || list.Users[0].Invited != nil {
		t.Errorf("listed as %+v", list.Users)
	}

	// Another role and other streams end what runs by the old ones.
	if rec := s.ask(http.MethodPatch, "/api/v1/users/bob", `{"role":"operator","streams":["yard","site/**"]}`, nil); rec.Action != "change" || rec.Reason != "bob, operator on yard site/**" {
		t.Errorf("recorded as %+v", rec)
	}
	if got := sees(credential); got != "revoked" {
		t.Errorf("the session goes on: %q", got)
	}
	list.Users = nil
	s.ask(http.MethodGet, "/api/v1/users", "", &list)
	if u := list.Users[0]; u.Role != "operator" || !slices.Equal(u.Streams, []auth.Pattern{"yard", "site/**"}) {
		t.Errorf("listed as %+v", u)
	}

	// Disabled, nobody logs in; enabled, they do.
	login := map[string]string{"name": "bob", "password": password}
	if rec := s.ask(http.MethodPatch, "/api/v1/users/bob", `{"disabled":true}`, nil); rec.Action != "disable" || rec.Reason != "bob" {
		t.Errorf("recorded as %+v", rec)
	}
	if a, _ := s.enter(login); a.code != "bad-login" {
		t.Errorf("disabled: %d %s", a.status, a.code)
	}
	s.ask(http.MethodPatch, "/api/v1/users/bob", `{"disabled":false}`, nil)
	if a, _ := s.enter(login); a.status != http.StatusNoContent {
		t.Errorf("enabled: %d %s", a.status, a.code)
	}

	// A new link for a password that was forgotten.
	if rec := s.ask(http.MethodPost, "/api/v1/users/bob/link", "", &link); rec.Action != "link" || rec.Reason != "bob" {
		t.Errorf("recorded as %+v", rec)
	}
	code, _ = strings.CutPrefix(s.codeOf(link), setUpPrefix)
	if a, _ := s.enter(map[string]string{"code": code, "password": s.secret("another password")}); a.status != http.StatusNoContent {
		t.Errorf("reset: %d %s", a.status, a.code)
	}

	if rec := s.ask(http.MethodDelete, "/api/v1/users/bob", "", nil); rec.Action != "remove" || rec.Reason != "bob" {
		t.Errorf("recorded as %+v", rec)
	}
	if a, _ := s.enter(map[string]string{"name": "bob", "password": "another password"}); a.code != "bad-login" {
		t.Errorf("removed: %d %s", a.status, a.code)
	}
}

func TestUsers_Refuses(t *testing.T) {
	s := newSite(t)
	s.ask(http.MethodPost, "/api/v1/users", `{"name":"root","role":"admin","streams":["**"]}`, &linkJSON{})
	s.refused(http.MethodPost, "/api/v1/users", `{"name":"root","role":"viewer","streams":["**"]}`, "bad-input", "there is such an account already")
	s.refused(http.MethodPost, "/api/v1/users", `{"name":"No Name","role":"viewer","streams":["**"]}`, "bad-input", "lower-case")
	s.refused(http.MethodPost, "/api/v1/users", `{"name":"bob","role":"king","streams":["**"]}`, "bad-input", "viewer, operator or admin")
	s.refused(http.MethodPost, "/api/v1/users", `{"name":"bob","role":"viewer","streams":[]}`, "bad-input", "no streams")
	s.refused(http.MethodPost, "/api/v1/users", `{"name":"bob","role":"viewer","streams":["a**"]}`, "bad-input", "This cannot be done")
	s.refused(http.MethodPatch, "/api/v1/users/root", `{"disabled":true}`, "bad-input", "logged in with")
	s.refused(http.MethodDelete, "/api/v1/users/root", "", "bad-input", "logged in with")
	s.refused(http.MethodPatch, "/api/v1/users/root", `{"disabled":true,"role":"viewer","streams":["**"]}`, "bad-json", "")
	s.refused(http.MethodPatch, "/api/v1/users/nobody", `{"disabled":true}`, "no-user", "")
}

func TestInvitations_LetSoManyInAndAreTakenBack(t *testing.T) {
	s := newSite(t)
	var link linkJSON
	rec := s.ask(http.MethodPost, "/api/v1/invitations", `{"name":"lobby","streams":["door"],"uses":2,"seconds":3600}`, &link)
	if rec.Event != "invitation" || rec.Action != "make" || !strings.HasPrefix(rec.Reason, "lobby, for 2 on door until 20") {
		t.Errorf("recorded as %+v", rec)
	}
	code := s.codeOf(link)
	_, first := s.enter(map[string]string{"code": code})
	_, second := s.enter(map[string]string{"code": code})
	if first == "" || second == "" {
		t.Fatal("not let in")
	}
	if list := s.audit.attempts(); len(list) != 2 || list[1].Event != "login" || list[1].Subject != "guest/lobby" {
		t.Errorf("recorded as %+v", list)
	}
	if a, _ := s.enter(map[string]string{"code": code}); a.code != "used" {
		t.Errorf("the third: %d %s", a.status, a.code)
	}
	if a := s.as(first, http.MethodGet, "/api/v1/streams", ""); !strings.Contains(a.body, `"door"`) || strings.Contains(a.body, `"yard"`) {
		t.Errorf("a guest sees %s", a.body)
	}
	if a := s.as(first, http.MethodPost, "/api/v1/tickets", `{"stream":"door","action":"publish"}`); a.code != "not-allowed" {
		t.Errorf("a guest publishes: %d %s", a.status, a.code)
	}
	var list struct {
		Invitations []struct {
			Name       string
			Uses, Used int
		}
	}
	s.ask(http.MethodGet, "/api/v1/invitations", "", &list)
	if len(list.Invitations) != 1 || list.Invitations[0].Used != 2 || list.Invitations[0].Uses != 2 {
		t.Errorf("listed as %+v", list)
	}
	if rec := s.ask(http.MethodDelete, "/api/v1/invitations/lobby", "", nil); rec.Action != "withdraw" || rec.Reason != "lobby" {
		t.Errorf("recorded as %+v", rec)
	}
	if a := s.as(second, http.MethodGet, "/api/v1/streams", ""); a.code != "revoked" {
		t.Errorf("afterwards: %d %s", a.status, a.code)
	}
	s.refused(http.MethodPost, "/api/v1/invitations", `{"name":"a","streams":["door"],"uses":0,"seconds":3600}`, "bad-input", "0 people")
	s.refused(http.MethodPost, "/api/v1/invitations", `{"name":"a","streams":["door"],"uses":1,"seconds":99999999999}`, "bad-input", "30 days")
	s.refused(http.MethodDelete, "/api/v1/invitations/lobby", "", "no-invitation", "")
}

func TestKeys_AreRotatedAndRemoved(t *testing.T) {
	s := newSite(t)
	token := s.token(auth.View, "door")
	var keys struct{ Keys []keyJSON }
	s.ask(http.MethodGet, "/api/v1/keys", "", &keys)
	if len(keys.Keys) != 1 || keys.Keys[0].Made == nil || keys.Keys[0].Retired != nil {
		t.Fatalf("listed as %+v", keys)
	}
	old := keys.Keys[0].ID
	s.refused(http.MethodDelete, "/api/v1/keys/"+old, "", "bad-input", "This key signs")
	var made keyJSON
	if rec := s.ask(http.MethodPost, "/api/v1/keys", "", &made); rec.Event != "key" || rec.Action != "rotate" || rec.Reason != made.ID || made.ID == old {
		t.Errorf("recorded as %+v", rec)
	}
	keys.Keys = nil
	s.ask(http.MethodGet, "/api/v1/keys", "", &keys)
	if len(keys.Keys) != 2 || keys.Keys[0].ID != made.ID || keys.Keys[1].ID != old || keys.Keys[1].Retired == nil || keys.Keys[1].Until == nil {
		t.Errorf("listed as %+v", keys)
	}
	if a := s.as(token, http.MethodGet, "/api/v1/streams", ""); a.status != http.StatusOK {
		t.Errorf("a token of the old key: %d %s", a.status, a.code)
	}
	if rec := s.ask(http.MethodDelete, "/api/v1/keys/"+old, "", nil); rec.Action != "remove" || rec.Reason != old {
		t.Errorf("recorded as %+v", rec)
	}
	if a := s.as(token, http.MethodGet, "/api/v1/streams", ""); a.status != http.StatusUnauthorized {
		t.Errorf("a token of the removed key: %d %s", a.status, a.code)
	}
	s.refused(http.MethodDelete, "/api/v1/keys/"+old, "", "no-key", "")
}

func TestTokens_AreMadeAndShownOnce(t *testing.T) {
	s := newSite(t)
	var made struct {
		Token, ID string
		Expires   time.Time
	}
	rec := s.ask(http.MethodPost, "/api/v1/tokens", `{"subject":"recorder","action":"view","streams":["door"],"seconds":3600}`, &made)
	s.secret(made.Token)
	if want := fmt.Sprintf("%s for recorder on door until %s", made.ID, made.Expires.Format(time.RFC3339)); rec.Event != "token" || rec.Action != "view" || rec.Reason != want {
		t.Errorf("recorded as %+v", rec)
	}
	if left := time.Until(made.Expires); left < 59*time.Minute || left > time.Hour {
		t.Errorf("it lasts for %s", left)
	}
	if a := s.as(made.Token, http.MethodGet, "/api/v1/streams", ""); a.status != http.StatusOK || !strings.Contains(a.body, `"door"`) || strings.Contains(a.body, `"yard"`) {
		t.Errorf("it is good for %d %s", a.status, a.body)
	}
	for body, sentence := range map[string]string{
		`{"subject":"","action":"view","streams":["door"],"seconds":60}`:        "the subject has 0 bytes",
		`{"subject":"a","action":"drive","streams":["door"],"seconds":60}`:      "drive",
		`{"subject":"a","action":"view","streams":["door"],"seconds":0}`:        "a lifetime of 0s",
		`{"subject":"a","action":"view","streams":["door"],"seconds":99999999}`: "out of bounds",
		`{"subject":"a","action":"view","streams":[],"seconds":60}`:             "no streams",
	} {
		s.refused(http.MethodPost, "/api/v1/tokens", body, "bad-input", sentence)
	}
}
