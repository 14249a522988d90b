package httpd

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"sightline/internal/alerts"
	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/detect"
	"sightline/internal/media"
	"sightline/internal/sessions"
	"sightline/internal/transport"
	"sightline/internal/transport/ws"
)

// watchedLog is a record with rules that look at it until the test ends. Its alerts come from told as the webhook would get them.
func watchedLog(t *testing.T) (log *audit.Log, center *alerts.Center, told chan alerts.Alert) {
	t.Helper()
	dir := t.TempDir()
	key, err := audit.OpenKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	if log, err = audit.Open(filepath.Join(dir, "audit.jsonl"), audit.Options{Key: key}); err != nil {
		t.Fatal(err)
	}
	told = make(chan alerts.Alert, 10)
	center = alerts.New(log.Subscribe(alerts.Queue), detect.Options{}, func(body []byte) {
		var a alerts.Alert
		if err := json.Unmarshal(body, &a); err != nil {
			t.Error(err)
		}
		told <- a
	}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	recorded, looked := make(chan struct{}), make(chan struct{})
	go func() { defer close(recorded); _ = log.Run(ctx) }()
	go func() { defer close(looked); center.Run(context.Background()) }()
	t.Cleanup(func() {
		cancel()
		<-recorded
		<-looked // the record's end is the center's
	})
	return log, center, told
}

// What an alert is about is ended, and nothing else; what is ended has lost no leave.
func TestEndSessionsOf_EndsWhatTheAlertIsAbout(t *testing.T) {
	log, center, told := watchedLog(t)
	s := newSite(t, func(o *Options) { o.Alerts = center })
	root := s.tokenOf("root", auth.Admin, "**")
	alice, bob := s.token(auth.View, "**"), s.tokenOf("bob", auth.View, "**")
	hers := []*ws.Conn{s.dial("/ws/watch/door", alice), s.dial("/ws/watch/yard", alice)}
	s.dial("/ws/watch/door", bob)
	for deadline := time.Now().Add(patience); len(s.running(root)) < 3; { // they begin after the handshake
		if time.Now().After(deadline) {
			t.Fatal("the sessions do not begin")
		}
	}
	for i := range 9 { // bulk viewing, of which the record tells the rules
		r := audit.Record{Event: "watch", Verdict: audit.Granted, Subject: "alice", TokenID: "t", Stream: fmt.Sprint("camera", i), Remote: "192.0.2.1"}
		if err := log.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	bulk := <-told
	if bulk.Rule != "D15" || bulk.Ends != detect.EndsSubject {
		t.Fatalf("told %+v", bulk)
	}
	s.audit.attempts()
	path := fmt.Sprintf("/api/v1/alerts/%d/end-sessions", bulk.ID)
	if a := s.as(root, http.MethodPost, path, ""); a.status != http.StatusOK || a.body != `{"ended":2}`+"\n" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if list := s.audit.attempts(); len(list) != 1 || list[0].Event != "end-session" || list[0].Action != "D15" || list[0].Reason != fmt.Sprintf("of alert %d", bulk.ID) || list[0].Subject != "root" {
		t.Errorf("recorded as %+v", list)
	}
	for _, c := range hers {
		if got := closeError(t, c); got.Code != transport.CodeForbidden {
			t.Errorf("a viewer is told %v", got)
		}
	}
	if list := s.running(bob); len(list) != 1 {
		t.Errorf("bob's run: %+v", list)
	}
	if a := s.as(alice, http.MethodGet, "/api/v1/streams", ""); a.status != http.StatusOK {
		t.Errorf("afterwards: %d %s", a.status, a.code)
	}

	if err := log.Append(t.Context(), audit.Record{Event: "watch", Verdict: audit.Refused, Reason: "forged", Stream: "door", Remote: "192.0.2.2"}); err != nil {
		t.Fatal(err)
	}
	if a := s.as(root, http.MethodPost, fmt.Sprintf("/api/v1/alerts/%d/end-sessions", (<-told).ID), ""); a.status != http.StatusBadRequest || a.code != "bad-input" {
		t.Errorf("an alert about no sessions: %d %s", a.status, a.code)
	}
	for _, id := range []string{"99", "0", "-1", "x", "18446744073709551616"} {
		if a := s.as(root, http.MethodPost, "/api/v1/alerts/"+id+"/end-sessions", ""); a.status != http.StatusNotFound || a.code != "no-alert" {
			t.Errorf("alert %s: %d %s", id, a.status, a.code)
		}
	}
}

func TestIsOf(t *testing.T) {
	session := func(kind, token, subject, stream string) sessions.Session {
		return sessions.Session{Info: sessions.Info{Kind: kind, Stream: media.StreamID(stream)}, TokenID: token, Subject: subject}
	}
	watch := func(token, subject, stream string) sessions.Session { return session("watch", token, subject, stream) }
	for _, c := range []struct {
		name  string
		alert detect.Alert
		of    sessions.Session
		want  bool
	}{
		{"its token", detect.Alert{Ends: detect.EndsToken, TokenID: "t", Subject: "a"}, watch("t", "b", "door"), true},
		{"another token of its subject", detect.Alert{Ends: detect.EndsToken, TokenID: "t", Subject: "a"}, watch("u", "a", "door"), false},
		{"its subject", detect.Alert{Ends: detect.EndsSubject, Subject: "a", TokenID: "t"}, watch("u", "a", "door"), true},
		{"another subject", detect.Alert{Ends: detect.EndsSubject, Subject: "a", TokenID: "t"}, watch("t", "b", "door"), false},
		{"a viewer of its stream", detect.Alert{Ends: detect.EndsStream, Stream: "door", Subject: "a"}, watch("u", "b", "door"), true},
		{"its stream's publisher", detect.Alert{Ends: detect.EndsStream, Stream: "door"}, session("publish", "t", "a", "door"), false},
		{"a viewer of another stream", detect.Alert{Ends: detect.EndsStream, Stream: "door", Subject: "a"}, watch("t", "a", "yard"), false},
		{"of nothing", detect.Alert{Stream: "door", Subject: "a", TokenID: "t"}, watch("t", "a", "door"), false},
	} {
		if got := isOf(c.alert, c.of); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
