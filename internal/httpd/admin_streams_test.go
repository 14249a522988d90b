package httpd

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"sightline/internal/auth"
	"sightline/internal/wire"
)

func TestAdminStreams(t *testing.T) {
	s := newSite(t)
	s.camera()
	a := s.as(s.tokenOf("root", auth.Admin, "**"), http.MethodGet, "/api/v1/admin/streams", "")
	var body struct{ Streams []adminStreamJSON }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	if len(body.Streams) != 2 || body.Streams[0].ID != "door" || body.Streams[0].State != "live" || len(body.Streams[0].Renditions) != 1 {
		t.Fatalf("got %+v", body.Streams)
	}
	if r := body.Streams[0].Renditions[0]; r.Active || r.Name != "mjpeg" || r.Codec != "jpeg" {
		t.Errorf("a rendition that nobody has: %+v", r)
	}
	if r := body.Streams[0].Restarts; r != nil {
		t.Errorf("started again: %+v", r)
	}
	if r := body.Streams[1].Restarts; r == nil || r.Count != 3 || r.Why != "it fell over" || !r.Last.Equal(time.Unix(1e9, 0)) {
		t.Errorf("the one that was started again: %+v", r)
	}
}

func TestSessions_SayHowTheViewerFares(t *testing.T) {
	s := newSite(t)
	s.camera()
	token := s.token(auth.View, "door")
	c := s.dial("/ws/watch/door", token)
	// say sends messages, and returns when all of them are taken: they are so in their order.
	say := func(messages ...[]byte) {
		t.Helper()
		for _, m := range append(messages, wire.AppendTimeReq(nil, wire.TimeReq{ID: 7})) {
			if err := c.WriteMessage(m); err != nil {
				t.Fatal(err)
			}
		}
		for {
			b, err := c.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			if wire.Type(b[0]) == wire.TypeTimeResp {
				return
			}
		}
	}
	say(wire.AppendJSON(nil, wire.TypeHello, wire.ViewerHello{Player: "test/1", Codecs: []string{"jpeg"}}))
	if list := s.running(token); len(list) != 1 || list[0].Figures != nil {
		t.Fatalf("before it said anything: %+v", list)
	}
	say(wire.AppendJSON(nil, wire.TypeStats, wire.ViewerStats{PaintP50: 25_000, PaintP95: 40_000, Dropped: 2, BitrateBps: 1000}))
	list := s.running(token)
	if len(list) != 1 || list[0].Figures == nil {
		t.Fatalf("afterwards: %+v", list)
	}
	if f := *list[0].Figures; f.PaintP50 != 25_000 || f.PaintP95 != 40_000 || f.Dropped != 2 || f.BitrateBps != 1000 {
		t.Errorf("got %+v", f)
	}
}
