package metrics_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"sightline/internal/audit"
	"sightline/internal/build"
	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/metrics"
	"sightline/internal/sessions"
	"sightline/internal/viewer"
	"sightline/internal/wire"
)

// site is what figures are asked of.
type site struct {
	streams  []hub.StreamTotals
	sessions []sessions.Session
}

func (s *site) metrics() *metrics.Metrics {
	return metrics.New(metrics.Sources{
		Streams:  func() []hub.StreamTotals { return s.streams },
		Sessions: func() []sessions.Session { return s.sessions },
		Restarts: func(media.StreamID) int { return 2 },
		Audit: func() audit.Health {
			return audit.Health{Waiting: 1, Lag: 250 * time.Millisecond, Records: 7, Durable: time.Unix(1000, 500e6)}
		},
		Alerts: func() map[string]uint64 { return map[string]uint64{"D01": 3} },
	}, build.Info{Version: "v1", Revision: "abc"})
}

func scrape(t *testing.T, m *metrics.Metrics, accept string) string {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	m.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("answered %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func door() hub.StreamTotals {
	return hub.StreamTotals{ID: "door", State: media.StateLive, Published: true, Viewers: 2, Renditions: []hub.Totals{{
		Rendition: media.Rendition{ID: 1, Name: "720p"}, FramesIn: 100, Keyframes: 3, BytesIn: 5000, Skipped: 4, FramesOut: 180, BytesOut: 9000,
		Dropped: map[hub.DropReason]uint64{hub.DropQueue: 5}, Viewers: 2, Queued: 1, QueueAge: 30 * time.Millisecond, Active: true,
		Figures: hub.Figures{EncodeP50: 4 * time.Millisecond, EncodeP95: 6 * time.Millisecond, PSNR: 41, SSIM: .98},
	}}}
}

func figures() viewer.Figures {
	return viewer.Figures{
		Rendition: media.Rendition{Name: "720p"}, PaintP50: 22 * time.Millisecond, Painted: 30, Dropped: 1,
		Stages: &wire.ViewerStages{Encode: 4000, Network: 1000, Decode: 3000, Show: 14000},
	}
}

func TestMetrics_WriteWhatIsAskedForAndTold(t *testing.T) {
	s := &site{streams: []hub.StreamTotals{door()}, sessions: []sessions.Session{
		{Info: sessions.Info{Kind: "watch", Stream: "door", Remote: "192.0.2.7:5"}, Subject: "alice", TokenID: "jti-1", Figures: sessions.Figures{Limit: "network"}},
	}}
	m := s.metrics()
	m.Viewed("door", figures())
	m.Arrived("door", media.Rendition{Name: "720p"}, 5*time.Millisecond)
	m.Admitted("watch", 3*time.Millisecond, "0af7651916cd43dd8448eb211c80319c")
	m.Began(80*time.Millisecond, "")
	m.Recorded(audit.Record{Event: "watch", Verdict: audit.Refused, Reason: "expired", Subject: "alice"}, time.Millisecond, nil)
	m.Recorded(audit.Record{Event: "watch", Verdict: audit.Granted, Reason: "a sentence", Subject: "alice"}, time.Millisecond, errors.New("disk full"))
	text := scrape(t, m, "")
	for _, want := range []string{
		`sightline_build_info{revision="abc",version="v1"} 1`,
		`sightline_streams 1`,
		`sightline_sessions{kind="watch"} 1`,
		`sightline_sessions{kind="publish"} 0`,
		`sightline_stream_state{state="live",stream="door"} 1`,
		`sightline_stream_state{state="idle",stream="door"} 0`,
		`sightline_viewers_limited{limit="network",stream="door"} 1`,
		`sightline_capture_restarts_total{stream="door"} 2`,
		`sightline_frames_received_total{rendition="720p",stream="door"} 100`,
		`sightline_frames_sent_total{rendition="720p",stream="door"} 180`,
		`sightline_frames_dropped_total{reason="queue",rendition="720p",stream="door"} 5`,
		`sightline_frames_dropped_total{reason="stale",rendition="720p",stream="door"} 0`,
		`sightline_viewers{rendition="720p",stream="door"} 2`,
		`sightline_queue_age_seconds{rendition="720p",stream="door"} 0.03`,
		`sightline_encode_seconds{percentile="95",rendition="720p",stream="door"} 0.006`,
		`sightline_psnr_decibels{rendition="720p",stream="door"} 41`,
		`sightline_frames_shown_total{rendition="720p",stream="door"} 30`,
		`sightline_latency_seconds_bucket{rendition="720p",stage="paint",stream="door",le="0.025"} 1`,
		`sightline_latency_seconds_count{rendition="720p",stage="arrive",stream="door"} 1`,
		`sightline_auth_attempts_total{event="watch",reason="expired",verdict="refused"} 1`,
		`sightline_auth_attempts_total{event="watch",reason="",verdict="granted"} 1`,
		`sightline_audit_append_seconds_count 1`,
		`sightline_audit_lag_seconds 0.25`,
		`sightline_audit_last_durable_timestamp_seconds 1000.5`,
		`sightline_alerts_total{rule="D01"} 3`,
		`sightline_first_picture_seconds_count 1`,
		`go_goroutines `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %s", want)
		}
	}
	for _, secret := range []string{"alice", "192.0.2.7", "jti-1", "sentence"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q stands in the figures", secret)
		}
	}
	open := scrape(t, m, "application/openmetrics-text; version=1.0.0")
	if want := `# {trace_id="0af7651916cd43dd8448eb211c80319c"} 0.003`; !strings.Contains(open, want) {
		t.Errorf("OpenMetrics has no exemplar %s", want)
	}
}

func TestMetrics_AreNamedAsPrometheusAsks(t *testing.T) {
	s := &site{streams: []hub.StreamTotals{door()}}
	m := s.metrics()
	m.Viewed("door", figures())
	m.Admitted("watch", time.Millisecond, "")
	m.Recorded(audit.Record{Event: "watch", Verdict: audit.Granted}, time.Millisecond, nil)
	text := scrape(t, m, "")
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "sightline_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for _, name := range metrics.Names() {
		if !strings.Contains(text, "# TYPE "+name+" ") {
			t.Errorf("%s is named and not written", name)
		}
	}
}

func TestMetrics_ForgetWhatIsGone(t *testing.T) {
	s := &site{streams: []hub.StreamTotals{door()}}
	m := s.metrics()
	m.Viewed("door", figures())
	if text := scrape(t, m, ""); !strings.Contains(text, `stream="door"`) {
		t.Fatal("nothing of the stream")
	}
	m.Tidy()
	if text := scrape(t, m, ""); !strings.Contains(text, `sightline_frames_shown_total{rendition="720p",stream="door"} 30`) {
		t.Error("series of a stream that is there are gone")
	}
	s.streams = nil
	m.Tidy()
	if text := scrape(t, m, ""); strings.Contains(text, `stream="door"`) {
		t.Error("series of a stream that is gone")
	}
}

func TestMetrics_AreBounded(t *testing.T) {
	s := &site{}
	for i := range metrics.MaxStreams + 5 {
		s.streams = append(s.streams, hub.StreamTotals{ID: media.StreamID(fmt.Sprintf("s%04d", i))})
	}
	twice := door()
	twice.ID = "a"
	twice.Renditions = append(twice.Renditions, twice.Renditions[0])
	twice.Renditions[1].Rendition.ID = 2
	s.streams[0] = twice
	m := s.metrics()
	for i := range 1000 {
		m.Recorded(audit.Record{Event: "watch", Verdict: audit.Refused, Reason: fmt.Sprintf("reason-%d", i)}, 0, nil)
	}
	m.Recorded(audit.Record{Event: "watch", Verdict: audit.Refused, Reason: "Alice's own words"}, 0, nil)
	for i := range 10_000 {
		m.Arrived("door", media.Rendition{Name: fmt.Sprint(i)}, time.Millisecond)
	}
	text := scrape(t, m, "")
	for _, want := range []string{
		`sightline_streams_left_out 5`, `stream="s1000"`, `sightline_viewers{rendition="720p",stream="a"} 2`, `sightline_viewers{rendition="720p#2",stream="a"} 2`,
	} {
		if want == `stream="s1000"` {
			if strings.Contains(text, want) {
				t.Errorf("%s is one too many", want)
			}
		} else if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if n := strings.Count(text, "\nsightline_auth_attempts_total{"); n > 65 {
		t.Errorf("%d reasons", n)
	}
	if strings.Contains(text, "Alice") {
		t.Error("a reason that is no word stands in the figures")
	}
	if n := strings.Count(text, `sightline_latency_seconds_count{`); n > 6*4096 {
		t.Errorf("%d latency histograms", n)
	}
}
