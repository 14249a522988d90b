package top_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"sightline/internal/top"
)

// figures are those of a server that has sent n pictures, and shown as many.
func figures(n int) string {
	return fmt.Sprintf(`# TYPE sightline_build_info gauge
sightline_build_info{version="v1"} 1
# TYPE sightline_stream_viewers gauge
sightline_stream_viewers{stream="door"} 2
sightline_stream_viewers{stream="yard"} 0
# TYPE sightline_stream_state gauge
sightline_stream_state{stream="door",state="live"} 1
sightline_stream_state{stream="door",state="idle"} 0
sightline_stream_state{stream="yard",state="idle"} 1
# TYPE sightline_viewers gauge
sightline_viewers{stream="door",rendition="720p"} 2
sightline_viewers{stream="door",rendition="360p"} 0
# TYPE sightline_frames_received_total counter
sightline_frames_received_total{stream="door",rendition="720p"} %[1]d
sightline_frames_received_total{stream="door",rendition="360p"} 7
# TYPE sightline_received_bytes_total counter
sightline_received_bytes_total{stream="door",rendition="720p"} %[1]d0000
# TYPE sightline_sent_bytes_total counter
sightline_sent_bytes_total{stream="door",rendition="720p"} %[1]d0000
# TYPE sightline_frames_dropped_total counter
sightline_frames_dropped_total{stream="door",rendition="720p",reason="queue"} %[1]d
sightline_frames_dropped_total{stream="door",rendition="720p",reason="reference"} %[1]d
# TYPE sightline_ssim_ratio gauge
sightline_ssim_ratio{stream="door",rendition="720p"} 0.98
# TYPE sightline_auth_attempts_total counter
sightline_auth_attempts_total{event="watch",verdict="granted",reason=""} %[1]d
sightline_auth_attempts_total{event="watch",verdict="refused",reason="expired"} %[1]d
# TYPE sightline_audit_lag_seconds gauge
sightline_audit_lag_seconds 0.5
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total %[1]d
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 5e7
# TYPE sightline_latency_seconds histogram
sightline_latency_seconds_bucket{stream="door",rendition="720p",stage="paint",le="0.02"} 0
sightline_latency_seconds_bucket{stream="door",rendition="720p",stage="paint",le="0.04"} %[1]d
sightline_latency_seconds_bucket{stream="door",rendition="720p",stage="paint",le="+Inf"} %[1]d
sightline_latency_seconds_sum{stream="door",rendition="720p",stage="paint"} 1
sightline_latency_seconds_count{stream="door",rendition="720p",stage="paint"} %[1]d
sightline_latency_seconds_bucket{stream="door",rendition="720p",stage="decode",le="0.02"} %[1]d
sightline_latency_seconds_bucket{stream="door",rendition="720p",stage="decode",le="+Inf"} %[1]d
sightline_latency_seconds_sum{stream="door",rendition="720p",stage="decode"} 1
sightline_latency_seconds_count{stream="door",rendition="720p",stage="decode"} %[1]d
`, n)
}

func read(t testing.TB, text string, at time.Duration) top.Reading {
	t.Helper()
	r, err := top.Read(strings.NewReader(text), time.Unix(0, 0).Add(at))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestBetween_TellsRates(t *testing.T) {
	v := top.Between(read(t, figures(100), 0), read(t, figures(160), 2*time.Second))
	if len(v.Streams) != 2 || v.Viewers != 2 || v.SentBps != 2.4e6 || v.Refused != 30 || v.CPU != 30 || v.Memory != 5e7 || v.AuditLag != .5 {
		t.Fatalf("got %+v", v)
	}
	door := v.Streams[0]
	if math.Abs(door.LatencyP50-30) > 1e-6 || math.Abs(door.LatencyP95-39) > 1e-6 {
		t.Errorf("latency %v, %v", door.LatencyP50, door.LatencyP95)
	}
	door.LatencyP50, door.LatencyP95 = 0, 0
	want := top.Stream{
		Name: "door", State: "live", Viewers: 2, FrameRate: 30, Bps: 2.4e6, SentBps: 2.4e6, Dropped: 60, SSIM: .98, Renditions: "720p:2",
	}
	if door != want {
		t.Errorf("got %+v, want %+v", door, want)
	}
	if yard := v.Streams[1]; yard.Name != "yard" || yard.State != "idle" {
		t.Errorf("got %+v", yard)
	}
}

// A server that was started anew counts from nothing.
func TestBetween_SurvivesARestart(t *testing.T) {
	v := top.Between(read(t, figures(1000), 0), read(t, figures(60), 2*time.Second))
	if s := v.Streams[0]; s.FrameRate != 30 || s.Dropped != 60 || s.LatencyP50 != 0 || v.Refused != 0 || v.CPU != 0 {
		t.Errorf("got %+v of %+v", s, v)
	}
}

func TestWrite_FitsTheScreen(t *testing.T) {
	evil := strings.ReplaceAll(figures(160), `stream="yard"`, `stream="yard\n[31mgate"`)
	evil = strings.ReplaceAll(evil, "[31m", "\x1b[31m")
	v := top.Between(read(t, figures(100), 0), read(t, evil, 2*time.Second))
	var all, cut strings.Builder
	if err := v.Write(&all, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := v.Write(&cut, 40, 7); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"viewers 2 ", "door ", "live", "30.0", "2.4 M ", "0.980", "720p:2", "yard??[31mgate"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no %q in\n%s", want, &all)
		}
	}
	lines := strings.Split(strings.TrimSuffix(cut.String(), "\n"), "\n")
	if len(lines) != 7 || lines[6] != "... 2 more" {
		t.Errorf("%d lines:\n%s", len(lines), &cut)
	}
	for _, line := range lines {
		if len([]rune(line)) > 40 {
			t.Errorf("too long: %q", line)
		}
	}
}

func TestWrite_KeepsWhatMattersOnANarrowScreen(t *testing.T) {
	text := strings.ReplaceAll(figures(160), `stream="yard"`, `stream="site/building-7/north-entrance/loading-dock-camera-3"`)
	v := top.Between(read(t, figures(100), 0), read(t, text, 2*time.Second))
	var out strings.Builder
	if err := v.Write(&out, 80, 24); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"refused 30.0/s", "audit record waits 0.5 s", "P95 ms", "…", "loading-dock-camera-3", "39.0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
			t.Errorf("%d wide: %q", n, line)
		}
	}
}

func TestBetween_WhatIsAwayStandsFirst(t *testing.T) {
	text := strings.ReplaceAll(figures(160), `stream="yard",state="idle"`, `stream="yard",state="offline"`)
	v := top.Between(read(t, figures(100), 0), read(t, text, 2*time.Second))
	if v.Away != 1 || v.Streams[0].Name != "yard" || v.Streams[0].State != "offline" {
		t.Errorf("got %+v", v)
	}
}

func TestRead_SaysWhatIsWrong(t *testing.T) {
	for name, text := range map[string]string{"a page": "<!doctype html>", "another program's": "# TYPE up gauge\nup 1\n", "nothing": ""} {
		if _, err := top.Read(strings.NewReader(text), time.Now()); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(figures(1))
	f.Add("sightline_build_info 1\nsightline_stream_viewers{stream=\"a\"} NaN\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := top.Read(strings.NewReader(text), time.Unix(2, 0))
		if err != nil {
			return
		}
		first, err := top.Read(strings.NewReader(figures(1)), time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := top.Between(first, r).Write(&out, 80, 24); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\n"); n > 24 || strings.ContainsRune(out.String(), '\x1b') {
			t.Errorf("%d lines: %q", n, &out)
		}
	})
}
