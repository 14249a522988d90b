package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// levels is the house plan: a room may import those of earlier lines, and nothing of its own line or below.
var levels = [][]string{ //nolint:gochecknoglobals // a table nobody writes to
	{"media", "build", "top", "tracing", "datadir", "reach", "transport", "timestrip", "quality", "h264", "av", "sandbox", "v4l2", "challenge", "notify", "trust", "chart", "web"},
	{"wire", "acme", "auth", "audit", "walltime", "authority", "hub", "adapt", "demo", "onvif", "rtsp", "transport/ws", "transport/pipe", "transport/transporttest"},
	{"clock", "witness", "supervise", "ingest", "viewer", "mjpeg", "detect", "rtsp/rtsptest", "auth/authtest", "revocation", "sessions", "accounts", "invitations", "issuer", "preferences"},
	{"oidc", "alerts", "metrics", "history"},
	{"capture", "watch", "httpd", "config"},
	{"app", "load"},
}

// pkg is what the go command tells of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Standard   bool
	Imports    []string // of the package itself, tests not counted
	CgoFiles   []string
}

// list runs go list in the module's root.
func list(t *testing.T, env []string, args ...string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Dir,Standard,Imports,CgoFiles"}, args...)...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("go list %s: %v\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
		if strings.HasPrefix(p.ImportPath, "sightline/") {
			// The cache of test results must know what this test depends on: files that another process read it does not see.
			if _, err := os.ReadDir(p.Dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(pkgs) == 0 {
		t.Fatalf("go list %s listed nothing", strings.Join(args, " "))
	}
	return pkgs
}

// room gives the name of one of our rooms, "" for any other package.
func room(path string) string {
	if path == "sightline/web" {
		return "web"
	}
	name, _ := strings.CutPrefix(path, "sightline/internal/")
	if name == path {
		return ""
	}
	return name
}

func TestWalls_ArrowsPointDown(t *testing.T) {
	level := map[string]int{}
	for i, names := range levels {
		for _, name := range names {
			level[name] = i
		}
	}
	for _, p := range list(t, []string{"CGO_ENABLED=1"}, "./internal/...", "./web") {
		from := room(p.ImportPath)
		if _, ok := level[from]; !ok {
			t.Errorf("room %s has no place in the house plan: give it a line in levels", from)
			continue
		}
		for _, path := range p.Imports {
			to := room(path)
			switch {
			case to == "" && strings.HasPrefix(path, "sightline/"):
				t.Errorf("room %s imports %s, which is no room", from, path)
			case to != "" && level[to] >= level[from]:
				t.Errorf("room %s imports %s, which is not below it", from, to)
			}
		}
	}
}

func TestWalls_TheHousePlanIsWritten(t *testing.T) {
	plan, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, names := range levels {
		_, row, _ := strings.Cut(string(plan), fmt.Sprintf("\n| %d |", i+1))
		row, _, _ = strings.Cut(row, "\n")
		for _, name := range names {
			if !strings.HasSuffix(name, "test") && !strings.Contains(row, "`"+name+"`") {
				t.Errorf("docs/architecture.md does not name %s on line %d of the house", name, i+1)
			}
		}
	}
}

func TestWalls_WhatARoomNeverReaches(t *testing.T) {
	tests := []struct {
		name    string
		pattern string
		never   []string
		why     string
	}{
		{"hub", "./internal/hub", []string{"net", "net/http"}, "it is handed bytes and hands them on"},
		{"adapt", "./internal/adapt", []string{"net", "net/http"}, "it decides, and does nothing"},
		{"wire", "./internal/wire", []string{"net", "net/http"}, "it knows bytes, not sockets"},
		{"media", "./internal/media", []string{"net"}, "it holds nouns"},
		{"auth", "./internal/auth", []string{"net/http"}, "it knows no HTTP"},
		{"authority", "./internal/authority", []string{"net/http"}, "it knows no HTTP"},
		{"revocation", "./internal/revocation", []string{"net/http"}, "it keeps a list"},
		{"accounts", "./internal/accounts", []string{"net/http"}, "it knows no HTTP"},
		{"invitations", "./internal/invitations", []string{"net/http"}, "it knows no HTTP"},
		{"sessions", "./internal/sessions", []string{"net/http"}, "it knows no sockets"},
		{"audit", "./internal/audit", []string{"net", "net/http"}, "it writes a file"},
		{"supervise", "./internal/supervise", []string{"sightline/internal/media", "sightline/internal/hub"}, "it knows no frames"},
		{"capture", "./internal/capture", []string{"sightline/internal/hub", "sightline/internal/auth", "sightline/internal/httpd"}, "cameras are where attackers come in: it holds nothing of the server"},
		{"the capture program", "./cmd/sightline-capture", []string{"sightline/internal/hub", "sightline/internal/auth", "sightline/internal/authority", "sightline/internal/audit", "sightline/internal/httpd", "sightline/internal/app"}, "it holds nothing of the server"},
		{"the server", "./cmd/sightline", []string{"sightline/internal/av", "sightline/internal/capture"}, "it never touches a picture"},
		{"the server's size", "./cmd/sightline", []string{"html/template", "google.golang.org/grpc"}, "either makes the program several MB larger, the first by keeping all methods of all packages (docs/decisions/0112)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, p := range list(t, []string{"CGO_ENABLED=1"}, "-deps", test.pattern) {
				if slices.Contains(test.never, p.ImportPath) {
					t.Errorf("%s reaches %s; it must not: %s", test.pattern, p.ImportPath, test.why)
				}
			}
		})
	}
}

// The server is built with CGO_ENABLED=0 for all these; a dependency with C in it would change what it does there, or break it.
func TestWalls_ServerHasNoC(t *testing.T) {
	harmless := map[string]string{
		"github.com/prometheus/client_golang/prometheus": "on macOS it reads the process's own memory by C; built without, it leaves that figure out",
	}
	for _, system := range []string{"linux", "darwin", "windows"} {
		t.Run(system, func(t *testing.T) {
			for _, p := range list(t, []string{"CGO_ENABLED=0", "GOOS=" + system}, "-deps", "./cmd/sightline") {
				if p.ImportPath == "runtime/cgo" {
					t.Error("the server reaches runtime/cgo")
				}
			}
			for _, p := range list(t, []string{"CGO_ENABLED=1", "GOOS=" + system}, "-deps", "./cmd/sightline") {
				if !p.Standard && len(p.CgoFiles) > 0 && harmless[p.ImportPath] == "" {
					t.Errorf("the server reaches %s, which has C in it: %v", p.ImportPath, p.CgoFiles)
				}
			}
		})
	}
}

func TestWalls_OneRoomSpeaksC(t *testing.T) {
	for _, p := range list(t, []string{"CGO_ENABLED=1"}, "./...") {
		if len(p.CgoFiles) > 0 && room(p.ImportPath) != "av" {
			t.Errorf("%s imports C: only internal/av may", p.ImportPath)
		}
	}
}

func TestWalls_MediaKnowsTheStandardLibraryOnly(t *testing.T) {
	for _, p := range list(t, nil, "-deps", "./internal/media") {
		if !p.Standard && room(p.ImportPath) != "media" {
			t.Errorf("internal/media reaches %s", p.ImportPath)
		}
	}
}
