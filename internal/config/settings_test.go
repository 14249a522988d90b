package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sightline/internal/config"
)

func TestSettings_SayWhereTheyComeFrom(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sightline.yaml")
	secret := "hunter2-canary"
	write := func(text string) config.Config {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(config.Options{File: file, DataDir: dir, Getenv: func(name string) string {
			return map[string]string{"SIGHTLINE_LISTEN": ":9443", "SIGHTLINE_LOG_LEVEL": "warn"}[name]
		}, LogLevel: "debug"})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := write("listen: :7443\n\nlimits:\n  viewers: 10\naudit: {rotate-size: 1M, rotate-age: 36h}\nalerts:\n  webhook:\n    url: https://desk.example.org/" + secret + "\n    secret-file: s\n" +
		"streams:\n  door: {source: \"rtsp://admin:" + secret + "@192.0.2.5/a\"}\n  yard: {publish: true}\n")
	got := map[string]config.Setting{}
	for _, s := range c.Settings() {
		if strings.Contains(s.Value, secret) {
			t.Errorf("a secret is shown: %+v", s)
		}
		got[s.Name] = s
	}
	for name, want := range map[string][3]string{
		"listen":                    {":9443", "environment", "SIGHTLINE_LISTEN"},
		"log.level":                 {"debug", "flag", "--log-level"},
		"limits.viewers":            {"10", "file", "sightline.yaml:4"},
		"limits.viewers-per-stream": {"1000", "default", ""},
		"audit.rotate-size":         {"1M", "file", "sightline.yaml:5"},
		"audit.rotate-age":          {"36h", "file", "sightline.yaml:5"},
		"auth.session-ttl":          {"12h", "default", ""},
		"alerts.webhook.url":        {"https://desk.example.org/***", "file", "sightline.yaml:8"},
		"streams.door":              {"rtsp://***@192.0.2.5/a", "file", "sightline.yaml:11"},
		"streams.yard":              {"publish", "file", "sightline.yaml:12"},
	} {
		if s := got[name]; [3]string{s.Value, string(s.Origin), s.Where} != want {
			t.Errorf("%s: %+v, want %v", name, s, want)
		}
	}
	// A line that moved is no change; a password that is not shown is one.
	then := write("# moved\nlimits: {viewers: 20, viewers-per-stream: 1000}\nstreams:\n  door: {source: \"rtsp://admin:other@192.0.2.5/a\"}\n  shed: {publish: true}\n")
	want := []config.Change{
		{Name: "limits.viewers", From: "10", To: "20"},
		{Name: "audit.rotate-size", From: "1M", To: "64M"},
		{Name: "audit.rotate-age", From: "36h"},
		{Name: "alerts.webhook.url", From: "https://desk.example.org/***"},
		{Name: "alerts.webhook.secret-file", From: filepath.Join(dir, "s")},
		{Name: "streams.door", From: "rtsp://***@192.0.2.5/a", To: "rtsp://***@192.0.2.5/a"},
		{Name: "streams.shed", To: "publish"},
		{Name: "streams.yard", From: "publish"},
	}
	if changes := config.Changes(c, then); !reflect.DeepEqual(changes, want) {
		t.Errorf("%+v,\nwant %+v", changes, want)
	}
	if changes := config.Changes(then, then); len(changes) != 0 {
		t.Errorf("%+v of nothing", changes)
	}
}

// TestSettings_NoneIsLeftOut holds every key of every good file against the list.
func TestSettings_NoneIsLeftOut(t *testing.T) {
	files, err := filepath.Glob("testdata/good-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := config.Parse(file, data)
		if err != nil {
			t.Fatal(err)
		}
		for key := range c.Places {
			listed := false
			for _, s := range c.Settings() {
				listed = listed || s.Name == key || strings.HasPrefix(s.Name, key+".") || strings.HasPrefix(key, s.Name+".")
			}
			if !listed && key != "streams" {
				t.Errorf("%s: %s is in no setting", file, key)
			}
		}
	}
}
