package app_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/accounts"
	"sightline/internal/app"
	"sightline/internal/auth"
	"sightline/internal/config"
)

// weakened waits until n things are on record that are allowed and were not, and gives them.
func weakened(t *testing.T, path string, n int) []string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for line := range strings.Lines(string(text)) {
			var r struct{ Event, Reason string }
			if json.Unmarshal([]byte(line), &r) == nil && r.Event == "weakened" {
				list = append(list, r.Reason)
			}
		}
		if len(list) >= n {
			slices.Sort(list)
			return list
		}
		if time.Now().After(deadline) {
			t.Fatalf("on record are %q, want %d", list, n)
		}
	}
}

func TestWeakening_IsOnRecordWhoeverChangedIt(t *testing.T) {
	cfg := configure(t)
	t.Run("while it runs", func(t *testing.T) {
		a, err := app.New(cfg, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		book, err := accounts.Open(cfg.DataDir, accounts.Options{Cost: accounts.Cost{MemoryKiB: 8, Passes: 1, Threads: 1}})
		if err != nil {
			t.Fatal(err)
		}
		add := func(name string, role accounts.Role) { // as the command line does
			if err := book.Add(name, role, []auth.Pattern{"**"}); err != nil {
				t.Fatal(err)
			}
		}
		add("bob", accounts.Admin) // before anybody looks
		serve(t, a, cfg)
		weakened(t, cfg.Audit.Path, 1)
		add("carol", accounts.Viewer)
		add("dave", accounts.Admin)
		next := cfg
		next.Limits.Viewers = 20
		next.Auth.Origins = []string{"https://portal.example"}
		if err := a.Reload(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		want := []string{"more: viewers at once, 20 instead of 10", "new: administrator bob of **", "new: administrator dave of **", "new: origin https://portal.example"}
		if got := weakened(t, cfg.Audit.Path, 4); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("while it did not", func(t *testing.T) {
		cfg.Limits.Viewers, cfg.Auth.Origins = 20, []string{"https://portal.example"}
		cfg.Auth.Issuers = []config.Issuer{{
			Name: "portal", Issuer: "https://id.example", JWKS: "https://id.example/keys", Audience: "me", Algorithms: []string{"ES256"},
			RolesClaim: []string{"roles"}, Roles: []config.Role{{Name: "guards", Actions: []string{"view"}, Streams: []string{"**"}}},
		}}
		a, err := app.New(cfg, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		serve(t, a, cfg)
		want := []string{
			`new: issuer portal, which is https://id.example with keys from https://id.example/keys, for me, known by ""`,
			"new: role guards of issuer portal: view **",
		}
		if got := weakened(t, cfg.Audit.Path, 6); len(got) != 6 || !slices.Contains(got, want[0]) || !slices.Contains(got, want[1]) {
			t.Errorf("got %q, want %q among them", got, want)
		}
	})
}
