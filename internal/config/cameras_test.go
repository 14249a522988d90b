package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sightline/internal/config"
)

func source(t *testing.T, text string) config.Source {
	t.Helper()
	s, err := config.ParseSource(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCameras_AreAddedReadAndRemoved(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sightline.yaml")
	if err := os.WriteFile(file, []byte("streams:\n  door: {publish: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func() (config.Config, error) {
		return config.Load(config.Options{File: file, DataDir: dir, Getenv: func(string) string { return "" }})
	}
	const secret = `rtsp://admin:p%23s:w'rd@192.0.2.5/stream#transport=udp`
	if err := config.AddCamera(dir, "yard", source(t, "rtsp://192.0.2.4/a")); err != nil {
		t.Fatal(err)
	}
	if err := config.AddCamera(dir, "site/gate", source(t, secret)); err != nil {
		t.Fatal(err)
	}
	if err := config.AddCamera(dir, "yard", source(t, "test:")); !errors.Is(err, config.ErrCamera) {
		t.Errorf("added twice: %v", err)
	}
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Streams) != 3 || c.Streams[0].Origin != config.OriginFile || c.Streams[1].ID != "yard" || c.Streams[1].Origin != config.OriginPage || c.Streams[2].Source.Reveal() != secret {
		t.Errorf("read as %+v", c.Streams)
	}
	if info, err := os.Stat(filepath.Join(dir, "cameras.yaml")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}

	// What somebody wrote into the file by hand stays.
	path := filepath.Join(dir, "cameras.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(data, "    door2:\n        publish: true # by hand\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := config.RemoveCamera(dir, "yard"); err != nil {
		t.Fatal(err)
	}
	if err := config.RemoveCamera(dir, "door"); !errors.Is(err, config.ErrCamera) {
		t.Errorf("one of the configuration file: %v", err)
	}
	if data, err = os.ReadFile(path); err != nil || !strings.Contains(string(data), "# by hand") || !strings.HasPrefix(string(data), "# Cameras that were added") || strings.Contains(string(data), "yard") {
		t.Errorf("%v: the file is now\n%s", err, data)
	}

	// A name that stands in both is told at once, and not guessed about.
	if err := config.AddCamera(dir, "door", source(t, "test:")); err != nil {
		t.Fatal(err)
	}
	if _, err := load(); err == nil || !strings.Contains(err.Error(), "stream door was added on the page and stands in the configuration file too") {
		t.Errorf("got %v", err)
	}
}

func TestCameras_AFileThatCannotBeReadIsNotWritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cameras.yaml")
	for _, text := range []string{"listen: [", "streams: {door: {sorce: x}}\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := config.AddCamera(dir, "yard", source(t, "test:")); err == nil {
			t.Errorf("%q: written", text)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != text {
			t.Errorf("%q is now %q (%v)", text, data, err)
		}
	}
	if err := os.WriteFile(path, []byte("listen: :1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(config.Options{DataDir: dir, Getenv: func(string) string { return "" }})
	if err == nil || !strings.Contains(err.Error(), "cameras.yaml:1:1: unknown key \"listen\"") {
		t.Errorf("another key: %v", err)
	}
}
