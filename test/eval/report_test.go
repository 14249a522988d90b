//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sightline/internal/load"
	"sightline/test/figures"
)

// found is a little of everything, as the chapters' programs tell it.
func found() map[string]any {
	got := load.Figures{Kind: load.Plain, Viewers: 10, FPSMedian: 30, FPSLeast: 24, Age: load.Spread{P50: 5, P95: 9, P99: 12}, Gap: load.Spread{P99: 40}}
	return map[string]any{
		"latency": latencyFound{Runs: []latencyRun{{
			Browser: "chromium", Version: "Chrome/1.2", Height: 720, Codec: "h264", FPS: 30, Seen: 2,
			Pictures: [][4]float64{{5, 1, 3, 9}, {6, 1, 3, 10}}, Both: [][3]float64{{18, 18.1, 30}, {19, 23, 30}, {19, 23.5, 30}},
		}}},
		"viewers": viewersFound{
			Levels: []level{{Viewers: 10, Got: got, Server: &load.Usage{CPU: 3, Memory: 50}}},
			Scale: &figures.Scale{Points: []figures.ScalePoint{
				{Streams: 1, Viewers: 1, Frames: 30, Cores: 0.01},
				{Streams: 1, Viewers: 100, Frames: 3000, Cores: 0.1},
				{Streams: 1, Viewers: 200, Frames: 6000, Cores: 0.4},
				{Streams: 4, Viewers: 4, Frames: 120, Cores: 0.02},
				{Streams: 4, Viewers: 200, Frames: 6000, Cores: 0.2},
			}},
			Limit: load.Limit{Bounds: load.Bounds{FPS: 25, GapMS: 100, LatencyMS: 200}, Viewers: 320, Broke: "too little", Probes: []load.Probe{{Viewers: 320, Got: got}, {Viewers: 640, Got: got, Broke: "too little"}}},
		},
		"quality": qualityFound{
			Points:   []coded{{Content: "clip", Codec: "h264", Preset: "superfast", AskedBps: 2_000_000, Bps: 1.9e6, PSNR: 29, SSIM: 0.96}, {Content: "clip", Codec: "jpeg", Bps: 5e6, PSNR: 35, SSIM: 0.95}},
			Received: []receivedFound{{Network: "300 kbit/s", Pictures: 4, PSNR: 26, SSIM: 0.9, Lines: map[string]int{"368": 3, "272": 1}}},
		},
		"networks": figures.Networks{Cases: []figures.NetworkCase{{
			Name: "steady 1 Mbit/s", Pass: true, Figures: map[string]float64{"p95_ms": 80, "fps": 30}, Most: map[string]float64{"p95_ms": 200}, Least: map[string]float64{"fps": 24},
			Series: &figures.Series{Step: 0.25, Kbps: []float64{0, 900}, FPS: []float64{0, 30}, AgeMedian: []float64{-1, 40}, AgeMost: []float64{-1, 60}, Lines: []float64{-1, 544}, LinkKbps: []float64{1000, 1000}, QueueKB: []float64{0, 3}},
		}}},
		"access": figures.Attack{Cases: 2, Attempts: 100, Refused: 99, Recorded: 100, Honest: 5, Misses: 1, Classes: []figures.AttackClass{{Name: "origin", Cases: 2, Attempts: 100, Refused: 99, Recorded: 100, Misses: 1}}, Said: []string{"MISS <b>"}},
		"faults": faultsFound{Faults: []fault{{Name: "capture process killed", From: "the kill", MS: []float64{400, 2000, 2100}, Said: "nobody left"}, {Name: "disk full", LeftOut: "it takes root"}}},
	}
}

func TestReport_TellsOfEachChapterAndOfWhatFailed(t *testing.T) {
	dir := t.TempDir()
	data, plots := filepath.Join(dir, "data"), filepath.Join(dir, "plots")
	for _, d := range []string{data, plots} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(plots, "of-old.svg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range chapters() {
		raw, err := json.Marshal(found()[c.name])
		if err != nil {
			t.Fatal(err)
		}
		r := record{Chapter: c.name, Began: time.Unix(1e9, 0).UTC(), Seconds: 3, Machine: map[string]string{"processor": "Testium"}, Versions: map[string]string{"commit": "abc"}, Result: raw}
		if c.name == "faults" {
			r.Failure = "the cat <pulled> the plug"
		}
		if err := writeJSON(filepath.Join(data, c.name+".json"), r); err != nil {
			t.Fatal(err)
		}
	}
	failed, err := report(dir, chapters())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(failed, []string{"faults"}) {
		t.Errorf("failed: %v, want the faults alone", failed)
	}
	html, md := read(t, dir, "report.html"), read(t, dir, "report.md")
	for _, want := range []string{"the cat &lt;pulled&gt; the plug", "MISS &lt;b&gt;", "Testium", "99 of 100", "more got too little", "368 (75 %)", "left out, it takes root", `id="latency"`, "latency p95 80 ms (≤ 200); pictures a second 30.0 (≥ 24)", "6 of 13 figures hold"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(html, "<script") || strings.Contains(html, "src=") || strings.Contains(html, "url(") {
		t.Error("the page loads something")
	}
	for figure, mark := range map[string]string{
		"Capture to paint, Chromium, 720p, H.264": "holds", "The two readings": "DOES NOT HOLD", "Pictures a second with 10 viewers": "DOES NOT HOLD", "Viewers until": "holds", "The server's cost": "DOES NOT HOLD",
		"PSNR and SSIM of the clip": "DOES NOT HOLD", "PSNR and SSIM of what came over 300 kbit/s": "told", "Latency p95 over 1 Mbit/s": "holds", "Unauthorised attempts refused": "DOES NOT HOLD",
		"Honest viewers refused": "holds", "Next picture, median: capture process killed": "DOES NOT HOLD",
	} {
		row := line(md, "| "+figure)
		if !strings.HasSuffix(row, "| "+mark+" |") {
			t.Errorf("%q, want that it %s", row, mark)
		}
	}
	for _, name := range []string{"latency-chromium-720", "viewers", "scale", "quality-clip", "network-steady-1-mbit-s"} {
		if !strings.Contains(md, "plots/"+name+".svg") || !strings.HasPrefix(read(t, filepath.Join(dir, "plots"), name+".svg"), "<?xml") {
			t.Errorf("there is no plot %s", name)
		}
	}
	if _, err := os.Stat(filepath.Join(plots, "of-old.svg")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a plot of another report stays: %v", err)
	}
	if n := strings.Count(html, "<svg"); n != 5 {
		t.Errorf("%d plots in the page, want 5", n)
	}
}

func TestReport_OfAChapterThatFoundNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := record{Chapter: "latency", Failure: "no browser", Result: json.RawMessage("null")}
	if err := writeJSON(filepath.Join(dir, "data", "latency.json"), r); err != nil {
		t.Fatal(err)
	}
	if failed, err := report(dir, chapters()); err != nil || len(failed) != 1 {
		t.Fatalf("failed %v, error %v", failed, err)
	}
	if md := read(t, dir, "report.md"); !strings.Contains(md, "no browser") {
		t.Errorf("it does not say why:\n%s", md)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// line is the first that begins so.
func line(text, begin string) string {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, begin) {
			return strings.TrimSpace(l)
		}
	}
	return ""
}
