package httpd

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"sightline/internal/auth"
	"sightline/internal/history"
)

func TestHistory(t *testing.T) {
	s := newSite(t)
	now := time.Now().Unix() / 60
	for _, m := range []history.Minute{
		{At: now - 2*history.Kept, Server: history.Server{Viewers: 99}},
		{At: now - 2, Server: history.Server{Viewers: 4, Memory: 1e6}, Streams: map[string]history.Stream{"door": {Viewers: 2, FrameRate: 29.9, LatencyP50: 21}}},
		{At: now - 1, Streams: map[string]history.Stream{"yard": {}}},
	} {
		if err := s.history.Add(m); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(query string, status int) (answer historyJSON) {
		t.Helper()
		res := s.as(s.token(auth.Admin, "**"), http.MethodGet, "/api/v1/admin/history"+query, "")
		if res.status != status {
			t.Fatalf("%q: status %d, %s", query, res.status, res.body)
		}
		if status == http.StatusOK {
			if err := json.Unmarshal([]byte(res.body), &answer); err != nil {
				t.Fatal(err)
			}
		}
		return answer
	}
	at := func(h historyJSON, name string, minute int64) *float64 {
		t.Helper()
		list := h.Series[name]
		i := minute - h.From/60
		if len(list) != history.Kept || h.Step != 60 || i < 0 || i >= history.Kept {
			t.Fatalf("%s has %d values from %d, %d s apart", name, len(list), h.From, h.Step)
		}
		return list[i]
	}
	is := func(v *float64, want float64) bool { return v != nil && *v == want }
	server := ask("", http.StatusOK)
	if !is(at(server, "viewers", now-2), 4) || !is(at(server, "memory_bytes", now-2), 1e6) || at(server, "viewers", now-3) != nil || !is(at(server, "refused", now-1), 0) {
		t.Errorf("the server: %v", server.Series)
	}
	if len(server.Streams) != 2 || server.Streams[0] != "door" {
		t.Errorf("streams %v", server.Streams)
	}
	door := ask("?stream=door", http.StatusOK)
	if !is(at(door, "frame_rate", now-2), 29.9) || !is(at(door, "latency_p50_ms", now-2), 21) || at(door, "ssim", now-2) != nil || at(door, "viewers", now-1) != nil {
		t.Errorf("door: %v", door.Series)
	}
	for _, query := range []string{"?stream=a&stream=b", "?limit=3", "?stream=a&limit=3", "?%zz"} {
		ask(query, http.StatusBadRequest)
	}
}
