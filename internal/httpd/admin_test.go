package httpd

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/transport"
)

// writeAudit makes an audit record on disk, beside the one in memory, for what reads it: three attempts by alice, one by bob.
func (s *site) writeAudit() ed25519.PublicKey {
	s.t.Helper()
	key, err := audit.OpenKey(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	log, err := audit.Open(filepath.Join(s.dir, "audit.jsonl"), audit.Options{Key: key})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- log.Run(ctx) }()
	for _, r := range []audit.Record{
		{Event: "login", Verdict: audit.Granted, Subject: "alice", Remote: "192.0.2.1"},
		{Event: "watch", Verdict: audit.Granted, Subject: "alice", Stream: "door", Action: "view", Remote: "192.0.2.1"},
		{Event: "watch", Verdict: audit.Refused, Subject: "bob", Stream: "yard", Reason: "not-allowed"},
		{Event: "watch-end", Verdict: audit.Ended, Subject: "alice", Stream: "door", Reason: "left"},
	} {
		if err := log.Append(ctx, r); err != nil {
			s.t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		s.t.Fatal(err)
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		s.t.Fatal("the key is of another type")
	}
	return public
}

func TestLoginWays(t *testing.T) {
	s := newSite(t)
	if a := s.do(s.request(http.MethodGet, "/api/v1/login", "")); a.status != http.StatusOK || strings.TrimSpace(a.body) != `{"oidc":""}` {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if list := s.audit.attempts(); len(list) != 0 {
		t.Errorf("on record: %+v", list)
	}
}

func TestSession_SaysWhetherOneAdministers(t *testing.T) {
	s := newSite(t)
	for credential, want := range map[string]string{
		s.tokenOf("root", auth.Admin, "**"): `"admin":true`, s.tokenOf("root", auth.Admin, "door"): `"admin":false`,
		s.token(auth.View, "**"): `"admin":false`, "cookie " + s.cookie("door"): `"admin":false`,
	} {
		if a := s.as(credential, http.MethodGet, "/api/v1/session", ""); a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("got %d %s, want %s", a.status, a.body, want)
		}
	}
}

func TestLogoutEverywhere(t *testing.T) {
	s := newSite(t)
	cookie, other, token := "cookie "+s.cookie("door"), "cookie "+s.cookie("yard"), s.token(auth.View, "door")
	watching := s.dial("/ws/watch/door", token)
	s.audit.attempts()
	a := s.as(cookie, http.MethodPost, "/api/v1/logout/everywhere", "")
	if a.status != http.StatusNoContent || !strings.Contains(a.header.Get("Set-Cookie"), sessionCookie+"=; Path=/; Max-Age=0") {
		t.Fatalf("%d %s, cookie %q", a.status, a.body, a.header.Get("Set-Cookie"))
	}
	list := s.audit.attempts()
	if len(list) != 1 || list[0].Event != "logout" || list[0].Action != "everywhere" || list[0].Verdict != audit.Ended || list[0].Subject != "alice" {
		t.Errorf("recorded as %+v", list)
	}
	if got := closeError(t, watching); got.Code != transport.CodeExpired {
		t.Errorf("who watches is told %v", got)
	}
	for _, credential := range []string{cookie, other, token} {
		if a := s.as(credential, http.MethodGet, "/api/v1/streams", ""); a.code != "revoked" {
			t.Errorf("afterwards: %d %s", a.status, a.code)
		}
	}
	if a := s.as(s.tokenOf("bob", auth.View, "door"), http.MethodGet, "/api/v1/streams", ""); a.status != http.StatusOK {
		t.Errorf("somebody else: %d %s", a.status, a.code)
	}
}

func TestAuditTrail(t *testing.T) {
	s := newSite(t)
	admin := s.tokenOf("root", auth.Admin, "**")
	for _, tc := range []struct {
		query string
		want  []string // event, verdict and subject of each
	}{
		{"", []string{"watch-end ended alice", "watch refused bob", "watch granted alice", "login granted alice"}},
		{"?limit=1", []string{"watch-end ended alice"}},
		{"?subject=bob", []string{"watch refused bob"}},
		{"?event=watch&verdict=granted", []string{"watch granted alice"}},
		{"?event=watch*&stream=door&subject=&limit=500", []string{"watch-end ended alice", "watch granted alice"}},
		{"?subject=mallory", nil},
	} {
		a := s.as(admin, http.MethodGet, "/api/v1/audit"+tc.query, "")
		var body struct {
			Records []recordJSON
			From    *uint64
			All     *bool
		}
		if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != http.StatusOK || body.From == nil || body.All == nil {
			t.Fatalf("%s: %d %s: %v", tc.query, a.status, a.body, err)
		}
		var got []string
		for _, r := range body.Records {
			if r.Event != "audit" { // the record's own
				got = append(got, r.Event+" "+string(r.Verdict)+" "+r.Subject)
			}
		}
		if strings.Join(got, ", ") != strings.Join(tc.want, ", ") {
			t.Errorf("%s: got %q, want %q", tc.query, got, tc.want)
		}
	}
	for _, query := range []string{"?limit=0", "?limit=501", "?limit=x", "?limit=1&limit=2", "?verdict=maybe", "?stream=a&stream=b", "?nonsense=1", "?a=%zz", "?a;b"} {
		if a := s.as(admin, http.MethodGet, "/api/v1/audit"+query, ""); a.status != http.StatusBadRequest || a.code != "bad-query" {
			t.Errorf("%s: %d %s", query, a.status, a.code)
		}
	}
}

func TestAuditVerify(t *testing.T) {
	s := newSite(t)
	admin := s.tokenOf("root", auth.Admin, "**")
	s.audit.attempts()
	a := s.as(admin, http.MethodPost, "/api/v1/audit/verify", "")
	var report struct {
		Sound        bool
		Last, Signed uint64
	}
	if err := json.Unmarshal([]byte(a.body), &report); err != nil || a.status != http.StatusOK || !report.Sound || report.Last < 4 || report.Signed != report.Last {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	if list := s.audit.attempts(); len(list) != 1 || list[0].Event != "audit-verify" || list[0].Verdict != audit.Granted {
		t.Errorf("recorded as %+v", list)
	}
}

func TestAuditVerify_OneAtATime(t *testing.T) {
	s := &Server{}
	s.auditVerifying.Lock()
	w := httptest.NewRecorder()
	s.auditVerify(w, nil, caller{})
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), `"busy"`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
