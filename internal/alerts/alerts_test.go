package alerts

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sightline/internal/audit"
	"sightline/internal/detect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is an audit record with a center that looks at it, until its test ends.
func site(t *testing.T, tell func([]byte)) (*audit.Log, *Center, *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	key, err := audit.OpenKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(filepath.Join(dir, "audit.jsonl"), audit.Options{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	said := &bytes.Buffer{}
	c := New(log.Subscribe(Queue), detect.Options{}, tell, slog.New(slog.NewTextHandler(said, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	recorded, looked := make(chan struct{}), make(chan struct{})
	go func() { defer close(recorded); _ = log.Run(ctx) }()
	go func() { defer close(looked); c.Run(context.Background()) }()
	t.Cleanup(func() {
		cancel()
		<-recorded
		<-looked // the record's end is the center's
	})
	return log, c, said
}

func TestRun_WhatTheRulesFindIsKeptLoggedAndTold(t *testing.T) {
	told := make(chan []byte, 10)
	log, c, said := site(t, func(b []byte) { told <- b })
	for _, r := range []audit.Record{
		{Event: "login", Verdict: audit.Granted, Subject: "alice", Remote: "192.0.2.1"},
		{Event: "watch", Verdict: audit.Refused, Reason: "forged", Stream: "door", Remote: "198.51.100.9"},
	} {
		if err := log.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	var a Alert
	if err := json.Unmarshal(<-told, &a); err != nil {
		t.Fatal(err)
	}
	if a.ID != 1 || a.Rule != "D01" || a.Source != "198.51.100.9" || a.Stream != "door" || len(a.Evidence) != 1 {
		t.Errorf("told %+v", a)
	}
	if list := c.Newest(); len(list) != 1 || list[0].Rule != "D01" {
		t.Errorf("kept %+v", list)
	}
	if !bytes.Contains(said.Bytes(), []byte("rule=D01")) {
		t.Errorf("logged %s", said)
	}
}

func TestMute_IsToldUntilItIsOver(t *testing.T) {
	_, c, _ := site(t, nil)
	now := time.Now()
	c.Mute("D01", now.Add(time.Hour))
	c.Mute("D99", now.Add(time.Hour)) // there is none
	if m := c.Muted(now); len(m) != 1 || !m["D01"].Equal(now.Add(time.Hour)) {
		t.Errorf("muted: %v", m)
	}
	if m := c.Muted(now.Add(time.Hour)); len(m) != 0 {
		t.Errorf("muted an hour later: %v", m)
	}
}

func TestTake_OnlyTheNewestAreKept(t *testing.T) {
	c := New(nil, detect.Options{}, nil, slog.New(slog.DiscardHandler))
	for range kept + 7 {
		c.take(func(*detect.Detector) []detect.Alert { return []detect.Alert{{Rule: "D01"}} })
	}
	if list := c.Newest(); len(list) != kept || list[0].ID != kept+7 {
		t.Errorf("%d kept, the newest has number %d", len(list), list[0].ID)
	}
}
