package httpd

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/media"
	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

// Whatever a route gives, it gives nothing and does nothing while no record can be written. Only what takes access away does without.
func TestAudit_NoRouteGivesAnythingWithoutItsRecord(t *testing.T) {
	cameras := &shelf{}
	s := newSite(t, func(o *Options) { o.Cameras = cameras })
	s.camera()
	root := s.tokenOf("root", auth.Admin, "**")
	s.audit.mu.Lock()
	s.audit.fail = true
	s.audit.mu.Unlock()
	bodies := map[string]string{
		"POST /api/v1/login":       `{"code":"` + s.code() + `"}`,
		"POST /api/v1/tickets":     `{"stream":"door","action":"view"}`,
		"POST /api/v1/users":       `{"name":"dave","role":"viewer","streams":["door"]}`,
		"POST /api/v1/invitations": `{"name":"party","streams":["door"],"uses":3,"seconds":3600}`,
		"POST /api/v1/tokens":      `{"subject":"dave","action":"view","streams":["door"],"seconds":60}`,
		"POST /api/v1/alerts/mute": `{"rule":"D15","hours":1}`,
		"POST /api/v1/trials":      `{"source":"rtsp://192.0.2.5/a"}`,
		"POST /api/v1/cameras":     `{"stream":"gate","source":"rtsp://192.0.2.5/a"}`,
	}
	// These need something that is not there, and say so, or take access away.
	without := []string{"POST /api/v1/logout", "POST /api/v1/logout/everywhere", "DELETE /api/v1/trials/{id}", "POST /api/v1/revocations"}
	recorded := 0
	for _, rt := range routes() {
		method, pattern, _ := strings.Cut(rt.pattern, " ")
		if rt.rule.kind == rulePublic && !rt.rule.own || rt.rule.quiet || slices.Contains(without, rt.pattern) {
			continue
		}
		path := strings.NewReplacer("{stream...}", "door", "{stream}", "door", "{id}", "nobody", "{rule}", "D15", "{name}", "nobody").Replace(pattern)
		credential := root
		switch {
		case rt.rule.kind == ruleLogin:
			credential = "cookie " + s.cookie("door")
		case rt.rule.onStream():
			credential = s.token(rt.rule.action, "door")
		}
		var a answer
		if rt.rule.kind == ruleSocket {
			r := s.request(method, path, "")
			asWebSocket(r, wire.Subprotocol)
			r.Header.Set("Authorization", "Bearer "+credential)
			a = s.do(r)
		} else {
			a = s.as(credential, method, path, bodies[rt.pattern])
		}
		if a.status < 400 || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s answers %d %s %s", rt.pattern, a.status, a.header, a.body)
		}
		if a.code == "audit" {
			recorded++
		} else if bodies[rt.pattern] != "" || rt.rule.onStream() {
			t.Errorf("%s is refused for another reason than its record: %d %s", rt.pattern, a.status, a.code)
		}
	}
	if recorded < len(bodies)+4 {
		t.Errorf("%d routes were refused for want of a record", recorded)
	}
	s.audit.mu.Lock()
	s.audit.fail = false
	s.audit.mu.Unlock()
	if a := s.as(root, http.MethodGet, "/api/v1/alerts", ""); strings.TrimSpace(a.body) != `{"alerts":[],"muted":{}}` {
		t.Errorf("a rule is mute: %s", a.body)
	}
	if len(cameras.list)+len(cameras.tried) > 0 {
		t.Errorf("cameras are asked: %v %v", cameras.list, cameras.tried)
	}
	// An account may be there now, which nobody was told a way into.
	if a := s.as(root, http.MethodGet, "/api/v1/users", ""); strings.Contains(a.body, `"password":true`) {
		t.Errorf("an account that one can log in to: %s", a.body)
	}
}

// Whether a stream is there is not for those to learn who may not use it: not by any byte of the answer, and not by the record's kind.
func TestDoors_WhatIsNotThereAndWhatIsNotYoursAnswerAlike(t *testing.T) {
	s := newSite(t)
	s.camera()
	view, publish := s.token(auth.View, "yard"), s.token(auth.Publish, "yard")
	ask := func(method, path, body, token string) (answer, audit.Record) {
		r := s.request(method, path, body)
		if strings.HasPrefix(path, "/ws") {
			asWebSocket(r, wire.Subprotocol)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		s.audit.attempts()
		a := s.do(r)
		a.header.Del("Date")
		list := s.audit.attempts()
		if len(list) != 1 {
			t.Fatalf("%s: %d records", path, len(list))
		}
		rec := list[0]
		rec.Stream = ""
		return a, rec
	}
	for _, door := range []struct{ method, path, body, token string }{
		{"GET", "/ws/watch/STREAM", "", view},
		{"GET", "/ws/publish/STREAM", "", publish},
		{"GET", "/mjpeg/STREAM", "", view},
		{"GET", "/api/v1/streams/STREAM/snapshot.jpg", "", view},
		{"POST", "/api/v1/tickets", `{"stream":"STREAM","action":"view"}`, view},
		{"POST", "/api/v1/tickets", `{"stream":"STREAM","action":"publish"}`, publish},
	} {
		at := func(stream string) (answer, audit.Record) {
			return ask(door.method, strings.ReplaceAll(door.path, "STREAM", stream), strings.ReplaceAll(door.body, "STREAM", stream), door.token)
		}
		there, recordThere := at("door")
		for _, name := range []string{"none", "yard2", "a.b_c-d"} {
			not, recordNot := at(name)
			if there.status != http.StatusForbidden || not.status != there.status || not.body != there.body || !sameHeader(not.header, there.header) || recordNot != recordThere {
				t.Errorf("%s %s: of %s: %d %s %v, %+v; of one that is there: %d %s %v, %+v",
					door.method, door.path, name, not.status, not.body, not.header, recordNot, there.status, there.body, there.header, recordThere)
			}
		}
	}
}

func sameHeader(a, b http.Header) bool {
	if len(a) != len(b) {
		return false
	}
	for name := range a {
		if !slices.Equal(a[name], b[name]) {
			return false
		}
	}
	return true
}

// A fault of ours in one request ends that request and nothing else.
func TestPanic_EndsOneRequestAlone(t *testing.T) {
	s := newSite(t, func(o *Options) {
		o.Groups = func(media.StreamID) []string { panic("groups") }
		o.MayPublish = func(media.StreamID) bool { panic("publish") }
	})
	s.camera()
	in := s.dial("/ws/watch/door", s.token(auth.View, "door"))
	if err := in.WriteMessage(wire.AppendJSON(nil, wire.TypeHello, wire.ViewerHello{Player: "test/1", Codecs: []string{"jpeg"}})); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if a := s.as(s.token(auth.View, "door"), http.MethodGet, "/api/v1/streams", ""); a.status != http.StatusInternalServerError || a.code != "internal" || strings.Contains(a.body, "groups") {
			t.Errorf("answered %d %s", a.status, a.body)
		}
		r := s.request(http.MethodGet, "/ws/publish/door", "")
		asWebSocket(r, wire.Subprotocol)
		r.Header.Set("Authorization", "Bearer "+s.token(auth.Publish, "door"))
		if a := s.do(r); a.status != http.StatusInternalServerError {
			t.Errorf("answered %d %s", a.status, a.body)
		}
	}
	for pictures := 0; pictures < 5; {
		b, err := in.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if wire.Type(b[0]) == wire.TypeMedia {
			pictures++
		}
	}
}

// A disk that hangs holds up whoever wants in, and nobody who is in.
func TestWatch_ADiskThatHangsHoldsUpNobodyWhoIsIn(t *testing.T) {
	s := newSite(t)
	s.camera()
	in := s.dial("/ws/watch/door", s.token(auth.View, "door"))
	if err := in.WriteMessage(wire.AppendJSON(nil, wire.TypeHello, wire.ViewerHello{Player: "test/1", Codecs: []string{"jpeg"}})); err != nil {
		t.Fatal(err)
	}
	hangs, heals := make(chan struct{}), make(chan struct{})
	s.audit.mu.Lock()
	s.audit.before = func(r audit.Record) {
		if r.Subject == "bob" && r.Verdict == audit.Granted {
			close(hangs)
			<-heals
		}
	}
	s.audit.mu.Unlock()
	bob := s.tokenOf("bob", auth.View, "door")
	let := make(chan error, 1)
	go func() {
		c, err := ws.Dial(t.Context(), "wss://"+s.addr+"/ws/watch/door", http.Header{"Authorization": {"Bearer " + bob}},
			[]string{wire.Subprotocol}, s.tls.Clone(), ws.Options{ReadLimit: wire.MaxMessageLen, IdleTimeout: patience})
		if err == nil {
			err = c.Close(1000, "")
		}
		let <- err
	}()
	<-hangs
	for pictures := 0; pictures < 20; {
		b, err := in.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if wire.Type(b[0]) == wire.TypeMedia {
			pictures++
		}
	}
	select {
	case err := <-let:
		t.Errorf("let in while the disk hangs: %v", err)
	default:
	}
	close(heals)
	select {
	case err := <-let:
		if err != nil {
			t.Errorf("after the disk came back: %v", err)
		}
	case <-time.After(patience):
		t.Error("not let in after the disk came back")
	}
}

// BenchmarkNotThereAndNotYours asks in turn for a stream that is there, and for one that is not, with leave for neither. How far the medians of
// the answers' times are apart is what an enumerator could learn.
func BenchmarkNotThereAndNotYours(b *testing.B) {
	s := newSite(b)
	token := s.token(auth.View, "yard")
	took := map[string][]time.Duration{}
	for b.Loop() {
		for _, name := range []string{"door", "none"} {
			r := s.request(http.MethodGet, "/mjpeg/"+name, "")
			r.Header.Set("Authorization", "Bearer "+token)
			begin := time.Now()
			if a := s.do(r); a.status != http.StatusForbidden {
				b.Fatalf("answered %d", a.status)
			}
			took[name] = append(took[name], time.Since(begin))
		}
	}
	median := func(list []time.Duration) time.Duration { slices.Sort(list); return list[len(list)/2] }
	there, not := median(took["door"]), median(took["none"])
	b.ReportMetric(float64(there.Microseconds()), "p50-there-us")
	b.ReportMetric(float64((there-not).Nanoseconds())/1000, "p50-apart-us")
}
