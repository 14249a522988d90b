package config_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"sightline/internal/config"
	"sightline/internal/media"
)

var update = flag.Bool("update", false, "rewrite the golden files") //nolint:gochecknoglobals // flags of a test binary are

func none(string) string { return "" }

// TestGolden reads every file of testdata: bad-*.yaml must give exactly the errors in its .golden file, and
// good-*.yaml the value in it.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d files, %v", len(files), err)
	}
	position := regexp.MustCompile(`^[a-z0-9-]+\.yaml:[1-9][0-9]*:[1-9][0-9]*: .`)
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			c, err := config.Parse(name, data)
			if strings.HasPrefix(name, "bad-") {
				if err == nil {
					t.Fatal("accepted")
				}
				got = err.Error() + "\n"
				for line := range strings.Lines(got) {
					if !position.MatchString(line) {
						t.Errorf("an error without its place: %q", line)
					}
				}
			} else {
				if err != nil {
					t.Fatal(err)
				}
				text, err := json.MarshalIndent(c, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				got = string(text) + "\n"
			}
			if strings.Contains(got, "canary") {
				t.Errorf("a secret is shown:\n%s", got)
			}
			golden := strings.TrimSuffix(path, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestParse_ErrorsAreTyped(t *testing.T) {
	_, err := config.Parse("x.yaml", []byte("listen: 1\n\n  \nlog:\n  level: 2\n"))
	var e *config.Error
	if !errors.As(err, &e) || e.File != "x.yaml" || e.Line != 1 || e.Column != 9 {
		t.Errorf("got %#v", e)
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 2 {
		t.Errorf("%d errors, want both: %v", n, err)
	}
}

func TestLoad_FlagsWinOverEnvironmentOverFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sightline.yaml")
	text := "listen: \":1\"\ndata-dir: data\nlog: {level: warn}\ntls: {cert: c.pem, key: k.pem}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"SIGHTLINE_LISTEN": ":2", "SIGHTLINE_DATA_DIR": "/env", "SIGHTLINE_LOG_LEVEL": "error"}
	for _, tt := range []struct {
		name         string
		o            config.Options
		listen, data string
		level        slog.Level
	}{
		{"file", config.Options{Getenv: none}, ":1", filepath.Join(dir, "data"), slog.LevelWarn},
		{"environment", config.Options{Getenv: func(s string) string { return env[s] }}, ":2", "/env", slog.LevelError},
		{
			"flags",
			config.Options{Getenv: func(s string) string { return env[s] }, Listen: ":3", DataDir: "/flag", LogLevel: "debug"},
			":3", "/flag", slog.LevelDebug,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.File = file
			c, err := config.Load(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if c.Listen != tt.listen || c.DataDir != tt.data || c.Log.Level != tt.level {
				t.Errorf("got %s, %s, %s", c.Listen, c.DataDir, c.Log.Level)
			}
			if want := filepath.Join(tt.data, "audit.jsonl"); c.Audit.Path != want {
				t.Errorf("audit file %s, want %s", c.Audit.Path, want)
			}
			if c.TLS.Cert != filepath.Join(dir, "c.pem") || c.TLS.Key != filepath.Join(dir, "k.pem") {
				t.Errorf("tls %+v", c.TLS)
			}
		})
	}
}

func TestLoad_SaysWhereAWrongValueCameFrom(t *testing.T) {
	env := map[string]string{"SIGHTLINE_LISTEN": "8443", "SIGHTLINE_LOG_LEVEL": "loud"}
	_, err := config.Load(config.Options{Getenv: func(s string) string { return env[s] }, Listen: "x:y", DataDir: "/d"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"SIGHTLINE_LISTEN", "SIGHTLINE_LOG_LEVEL", "--listen"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if _, err := config.Load(config.Options{Getenv: none, File: filepath.Join(t.TempDir(), "none.yaml")}); err == nil || !strings.Contains(err.Error(), "none.yaml") || !strings.Contains(err.Error(), "--config") {
		t.Errorf("missing file: %v", err)
	}
	huge := filepath.Join(t.TempDir(), "huge.yaml")
	if err := os.WriteFile(huge, []byte(strings.Repeat("#\n", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(config.Options{Getenv: none, File: huge}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("huge file: %v", err)
	}
}

func TestLoad_FiguresNeedAPortOfTheirOwn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sightline.yaml")
	if err := os.WriteFile(file, []byte("metrics: {listen: \"127.0.0.1:8443\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(config.Options{File: file, Getenv: none, DataDir: t.TempDir()})
	if want := "metrics.listen: port 8443 is that of the server itself: choose another, such as 9464"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := config.Load(config.Options{File: file, Getenv: none, DataDir: t.TempDir(), Listen: ":8444"}); err != nil {
		t.Error(err)
	}
}

func TestLoad_DefaultDataDir(t *testing.T) {
	if os.Geteuid() == 0 {
		c, err := config.Load(config.Options{Getenv: none})
		if err != nil || c.DataDir != "/var/lib/sightline" {
			t.Errorf("as root: %s, %v", c.DataDir, err)
		}
		return
	}
	for _, tt := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"state home", map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/sightline"},
		{"relative state home", map[string]string{"XDG_STATE_HOME": "s", "HOME": "/h"}, "/h/.local/state/sightline"},
		{"home", map[string]string{"HOME": "/h"}, "/h/.local/state/sightline"},
		{"nothing", nil, ""},
	} {
		c, err := config.Load(config.Options{Getenv: func(s string) string { return tt.env[s] }})
		if filepath.ToSlash(c.DataDir) != tt.want || (tt.want == "") != (err != nil) {
			t.Errorf("%s: %s, %v", tt.name, c.DataDir, err)
		}
	}
}

func TestRenditions_Defaults(t *testing.T) {
	c, err := config.Parse("x", []byte("streams: {a: {source: 'test:'}, b: {source: 'test:', renditions: "+
		"[{name: x, codec: h264, encoder: auto}, {name: y, codec: jpeg}, {name: z, codec: source}]}}"))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Streams[0].Renditions; got != nil {
		t.Errorf("a stream that names none has %+v: its capture process knows better", got)
	}
	want := []config.Rendition{
		{Name: "x", Codec: media.CodecH264, Height: 720, FrameRateMilli: 30000, BitrateBps: 2500000, Preset: "superfast", Encoder: "auto"},
		{Name: "y", Codec: media.CodecJPEG, Height: 544, FrameRateMilli: 10000},
		{Name: "z", Passthrough: true},
	}
	if got := c.Streams[1].Renditions; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v", got)
	}
	_, err = config.Parse("x", []byte("streams: {a: {source: 'test:', renditions: [{name: z, codec: source, height: 720}]}}"))
	if err == nil || !strings.Contains(err.Error(), "no meaning for the source's own coding") {
		t.Errorf("a height for the source's own coding: %v", err)
	}
	if c.Auth.SessionTTL != 12*time.Hour || c.Listen != ":8443" || c.Limits.Viewers != 2000 {
		t.Errorf("defaults: %+v", c)
	}
}

func TestSource_NeverShowsItsLogin(t *testing.T) {
	for _, tt := range []struct{ in, shown string }{
		{"rtsp://user:canary@10.0.0.5/stream1", "rtsp://***@10.0.0.5/stream1"},
		{"rtsps://canary@host:322/a/b", "rtsps://***@host:322/a/b"},
		{"rtsp://user:ca%40nary@host/", "rtsp://***@host/"},
		{"rtsp://user:ca@nary@host/", "rtsp://***@host/"},
		{"http://host/snap.mjpg?user=a&password=canary", "http://host/snap.mjpg?***"},
		{"https://u:canary@host/x?pw=canary#canary", "https://***@host/x?***"},
		{"http://host/a@canary?b", "http://***@canary?***"}, // hides too much rather than too little
		{"rtsp://10.0.0.5/stream1", "rtsp://10.0.0.5/stream1"},
		{"test:", "test:"},
		{"file:/srv/a@b.mp4", "file:/srv/a@b.mp4"},
		{"v4l2:/dev/video0", "v4l2:/dev/video0"},
		{"screen:", "screen:"},
	} {
		s, err := config.ParseSource(tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if s.Reveal() != tt.in || s.String() != tt.shown {
			t.Errorf("%s: reveals %s, shows %s, want %s", tt.in, s.Reveal(), s, tt.shown)
		}
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "source", s, "config", config.Stream{Source: s})
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		all := fmt.Sprintf("%v %+v %#v %s %q %s %s", s, s, s, s, s, text, log.String())
		if secret := strings.Contains(tt.in, "canary") && !strings.Contains(tt.shown, "canary"); secret && strings.Contains(all, "canary") {
			t.Errorf("%s is shown in %s", tt.in, all)
		}
		nested := fmt.Sprintf("%v %+v %#v", config.Stream{Source: s}, []config.Stream{{Source: s}}, config.Stream{Source: s})
		if !strings.Contains(tt.shown, "canary") && strings.Contains(nested, "canary") {
			t.Errorf("%s is shown in %s", tt.in, nested)
		}
	}
}

// FuzzParse checks that no text makes the decoder panic, and that what it accepts keeps the rules.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("f", data)
		if err != nil {
			var e *config.Error
			if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 || e.Text == "" {
				t.Fatalf("an error without its place: %v", err)
			}
			return
		}
		seen := map[media.StreamID]bool{}
		for _, s := range c.Streams {
			if _, err := media.ParseStreamID(string(s.ID)); err != nil || seen[s.ID] {
				t.Fatalf("stream %q: %v", s.ID, err)
			}
			seen[s.ID] = true
			if s.Publish != s.Source.IsZero() || s.Publish && len(s.Renditions) > 0 {
				t.Fatalf("stream %+v", s)
			}
			for _, r := range s.Renditions {
				if r.Passthrough && (r != config.Rendition{Name: r.Name, Passthrough: true}) {
					t.Fatalf("rendition %+v", r)
				}
				if r.Passthrough {
					continue
				}
				if r.Name == "" || !r.Codec.Valid() || r.Height <= 0 || r.Height%2 != 0 || r.FrameRateMilli <= 0 || (r.BitrateBps > 0) != (r.Codec == media.CodecH264) {
					t.Fatalf("rendition %+v", r)
				}
			}
		}
		if c.Auth.SessionTTL <= 0 || c.Limits.Viewers <= 0 || (c.TLS.Cert == "") != (c.TLS.Key == "") {
			t.Fatalf("got %+v", c)
		}
	})
}

// The example in the documentation has every key there is, and is right.
func TestLoad_TheDocumentedExample(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("there is no example")
	}
	file := filepath.Join(t.TempDir(), "sightline.yaml")
	if err := os.WriteFile(file, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Options{File: file, Getenv: none})
	if err != nil {
		t.Fatal(err)
	}
	// Each part of the configuration is spoken of.
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("the example has nothing of %s", v.Type().Field(i).Name)
		}
	}
}
