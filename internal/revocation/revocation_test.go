package revocation_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sightline/internal/auth"
	"sightline/internal/media"
	"sightline/internal/revocation"
)

// victimDir has this test binary revoke tokens in that directory until it is killed.
const victimDir = "SIGHTLINE_TEST_REVOKE_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		l, err := revocation.Open(dir, revocation.Options{})
		for n := 0; err == nil; n++ {
			id := fmt.Sprintf("%d-%d", os.Getpid(), n)
			if err = l.Add(revocation.Entry{Kind: revocation.Token, Value: id}); err == nil {
				fmt.Println(id)
			}
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

var start = time.Date(2026, 3, 4, 5, 6, 7, 890e6, time.UTC) //nolint:gochecknoglobals // a constant that Go cannot say

func mustOpen(tb testing.TB, dir string) *revocation.List {
	tb.Helper()
	l, err := revocation.Open(dir, revocation.Options{Now: func() time.Time { return start }})
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func mustAdd(tb testing.TB, l *revocation.List, entries ...revocation.Entry) {
	tb.Helper()
	for _, e := range entries {
		if err := l.Add(e); err != nil {
			tb.Fatal(err)
		}
	}
}

func alice() auth.Principal {
	return auth.Principal{Subject: "alice", ID: "token-1", KeyID: "key-1", Issued: start.Truncate(time.Second)}
}

func TestCheck(t *testing.T) {
	tomorrow := start.Add(24 * time.Hour)
	for _, tt := range []struct {
		name   string
		entry  revocation.Entry
		change func(*auth.Principal)
		stream media.StreamID
		barred bool
	}{
		{"its token", revocation.Entry{Kind: revocation.Token, Value: "token-1"}, nil, "", true},
		{"its token, made later", revocation.Entry{Kind: revocation.Token, Value: "token-1"}, func(p *auth.Principal) { p.Issued = tomorrow }, "", true},
		{"another token", revocation.Entry{Kind: revocation.Token, Value: "token-2"}, nil, "", false},
		{"its key", revocation.Entry{Kind: revocation.Key, Value: "key-1"}, func(p *auth.Principal) { p.Issued = tomorrow }, "", true},
		{"another key", revocation.Entry{Kind: revocation.Key, Value: "key-2"}, nil, "", false},
		{"no key", revocation.Entry{Kind: revocation.Key, Value: "key-1"}, func(p *auth.Principal) { p.KeyID = "" }, "", false},
		{"its subject, in the same second", revocation.Entry{Kind: revocation.Subject, Value: "alice"}, nil, "", true},
		{"its subject, made later", revocation.Entry{Kind: revocation.Subject, Value: "alice"}, func(p *auth.Principal) { p.Issued = p.Issued.Add(time.Second) }, "", false},
		{"its subject, to be barred from tomorrow too", revocation.Entry{Kind: revocation.Subject, Value: "alice", Before: tomorrow}, func(p *auth.Principal) { p.Issued = start.Add(time.Hour) }, "", true},
		{"its subject, up to yesterday", revocation.Entry{Kind: revocation.Subject, Value: "alice", Before: start.Add(-time.Hour)}, nil, "", false},
		{"another subject", revocation.Entry{Kind: revocation.Subject, Value: "Alice"}, nil, "", false},
		{"made at no time", revocation.Entry{Kind: revocation.Subject, Value: "alice"}, func(p *auth.Principal) { p.Issued = time.Time{} }, "", true},
		{"all", revocation.Entry{Kind: revocation.All}, nil, "", true},
		{"all, made later", revocation.Entry{Kind: revocation.All}, func(p *auth.Principal) { p.Issued = tomorrow }, "", false},
		{"the stream", revocation.Entry{Kind: revocation.Stream, Value: "door"}, nil, "door", true},
		{"the group", revocation.Entry{Kind: revocation.Stream, Value: "site/**"}, nil, "site/a/b", true},
		{"another stream", revocation.Entry{Kind: revocation.Stream, Value: "door"}, nil, "yard", false},
		{"no stream yet", revocation.Entry{Kind: revocation.Stream, Value: "**"}, nil, "", false},
		{"the stream, made later", revocation.Entry{Kind: revocation.Stream, Value: "door"}, func(p *auth.Principal) { p.Issued = tomorrow }, "door", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			l := mustOpen(t, dir)
			p := alice()
			if tt.change != nil {
				tt.change(&p)
			}
			if err := l.Check(p, tt.stream); err != nil {
				t.Fatalf("barred from the start: %v", err)
			}
			changed := l.Changed()
			mustAdd(t, l, tt.entry)
			select {
			case <-changed:
			default:
				t.Error("nobody was told")
			}
			for name, l := range map[string]*revocation.List{"here": l, "after a restart": mustOpen(t, dir)} {
				err := l.Check(p, tt.stream)
				if errors.Is(err, auth.ErrRevoked) != tt.barred || (err != nil) != tt.barred {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestAdd_RefusesNonsense(t *testing.T) {
	l := mustOpen(t, t.TempDir())
	for _, e := range []revocation.Entry{
		{},
		{Kind: "everything"},
		{Kind: revocation.Token},
		{Kind: revocation.Token, Value: strings.Repeat("a", 600)},
		{Kind: revocation.Subject, Value: "a\nb"},
		{Kind: revocation.Subject, Value: "a\u202eb"},
		{Kind: revocation.Key, Value: "\xff"},
		{Kind: revocation.Stream, Value: "d*r"},
		{Kind: revocation.Stream},
		{Kind: revocation.All, Value: "x"},
		{Kind: revocation.Token, Value: "a", Before: start},
	} {
		if err := l.Add(e); err == nil {
			t.Errorf("%+v accepted", e)
		}
	}
}

func TestRun_SeesWhatAnotherProcessRevokes(t *testing.T) {
	dir := t.TempDir()
	server, tool := mustOpen(t, dir), mustOpen(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	for n := range 3 {
		changed := server.Changed()
		mustAdd(t, tool, revocation.Entry{Kind: revocation.Token, Value: fmt.Sprintf("token-%d", n)})
		<-changed
		p := alice()
		p.ID = fmt.Sprintf("token-%d", n)
		if err := server.Check(p, ""); !errors.Is(err, auth.ErrRevoked) {
			t.Errorf("%d: %v", n, err)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAdd_FromManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	lists := []*revocation.List{mustOpen(t, dir), mustOpen(t, dir), mustOpen(t, dir)}
	var wg sync.WaitGroup
	for n := range 30 {
		wg.Go(func() {
			if err := lists[n%3].Add(revocation.Entry{Kind: revocation.Token, Value: fmt.Sprint(n)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	l := mustOpen(t, dir)
	for n := range 30 {
		if err := l.Check(auth.Principal{ID: fmt.Sprint(n)}, ""); err == nil {
			t.Errorf("%d was lost", n)
		}
	}
}

func TestAdd_MendsATornLine(t *testing.T) {
	const whole = `{"at":"2026-03-04T05:06:07Z","kind":"token","value":"first"}`
	for name, tt := range map[string]struct {
		tail  string
		count bool // the torn line too
	}{
		"cut":                      {`{"at":"2026-03-04T05:06:08Z","kind":"tok`, false},
		"whole but for its end":    {`{"at":"2026-03-04T05:06:08Z","kind":"token","value":"second"}`, true},
		"zeros, as of a power cut": {strings.Repeat("\x00", 100), false},
		"one byte":                 {"{", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "revocations.jsonl")
			if err := os.WriteFile(path, []byte(whole+"\n"+tt.tail), 0o600); err != nil {
				t.Fatal(err)
			}
			l := mustOpen(t, dir)
			mustAdd(t, l, revocation.Entry{Kind: revocation.Token, Value: "third"})
			for _, l := range []*revocation.List{l, mustOpen(t, dir)} {
				for id, want := range map[string]bool{"first": true, "second": tt.count, "third": true} {
					if got := l.Check(auth.Principal{ID: id}, "") != nil; got != want {
						t.Errorf("%s barred: %t, want %t", id, got, want)
					}
				}
			}
		})
	}
}

func TestUnreadable_LetsNobodyIn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "revocations.jsonl")
	l := mustOpen(t, dir)
	mustAdd(t, l, revocation.Entry{Kind: revocation.Token, Value: "token-1"})
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func() error{
		"a line that is none": func() error { return os.WriteFile(path, append([]byte("canary\n"), good...), 0o600) },
		"an unknown kind": func() error {
			return os.WriteFile(path, append(good, `{"at":"2026-03-04T05:06:07Z","kind":"door","value":"a"}`+"\n"...), 0o600)
		},
		"gone": func() error { return os.Remove(path) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			_ = l.Add(revocation.Entry{Kind: revocation.Token, Value: "other"}) // reads the file; it may or may not work
			if err := l.Check(alice(), ""); !errors.Is(err, auth.ErrRevoked) {
				t.Errorf("what was barred: %v", err)
			}
			bob := alice()
			bob.ID = "token-2"
			if err := l.Check(bob, ""); !errors.Is(err, auth.ErrUnavailable) || strings.Contains(err.Error(), "canary") {
				t.Errorf("what was not: %v", err)
			}
			if name != "gone" {
				if _, err := revocation.Open(dir, revocation.Options{}); err == nil || !strings.Contains(err.Error(), path) {
					t.Errorf("opened: %v", err)
				}
			}
			if err := os.WriteFile(path+".new", good, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
			mustAdd(t, l, revocation.Entry{Kind: revocation.Token, Value: "other"})
			if err := l.Check(bob, ""); err != nil {
				t.Errorf("once it is whole again: %v", err)
			}
		})
	}
}

func TestOpen_CompactsWhatIsOver(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "revocations.jsonl")
	var b strings.Builder
	for n := range 1500 {
		fmt.Fprintf(&b, `{"at":"2025-01-01T00:00:00Z","kind":"token","value":"old-%d"}`+"\n", n)
	}
	b.WriteString(`{"at":"2025-01-01T00:00:00Z","kind":"key","value":"key-1"}` + "\n")
	b.WriteString(`{"at":"2025-01-01T00:00:00Z","kind":"subject","value":"alice","before":"2027-01-01T00:00:00Z"}` + "\n")
	b.WriteString(`{"at":"2026-03-03T00:00:00Z","kind":"token","value":"new"}` + "\n")
	// Certificates are not over with tokens, so neither is what bars them.
	b.WriteString(`{"at":"2025-01-01T00:00:00Z","kind":"token","value":"certificate:abc"}` + "\n")
	b.WriteString(`{"at":"2025-01-01T00:00:00Z","kind":"subject","value":"certificate:gate","before":"2025-01-01T00:00:00Z"}` + "\n")
	b.WriteString(`{"at":"2025-01-01T00:00:00Z","kind":"all","before":"2025-01-01T00:00:00Z"}` + "\n")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, dir)
	data, err := os.ReadFile(path)
	if err != nil || strings.Count(string(data), "\n") != 6 {
		t.Errorf("%d lines are left, %v", strings.Count(string(data), "\n"), err)
	}
	for _, p := range []auth.Principal{{KeyID: "key-1"}, {Subject: "alice", Issued: start}, {ID: "new"}, {ID: "certificate:abc", Issued: start}, {Subject: "certificate:gate", Issued: time.Unix(1_700_000_000, 0)}, {ID: "any", Issued: time.Unix(1_700_000_000, 0)}} {
		if l.Check(p, "") == nil {
			t.Errorf("%+v is free", p)
		}
	}
	if runtime.GOOS != "windows" {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
}

// What was acknowledged is there after kill -9, whenever that comes.
func TestKilled_NothingAcknowledgedIsLost(t *testing.T) {
	dir := t.TempDir()
	var acknowledged []string
	for round := range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), victimDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			acknowledged = append(acknowledged, lines.Text())
			if n == 3+round*5 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // it was killed
	}
	if len(acknowledged) < 50 {
		t.Fatalf("only %d were acknowledged", len(acknowledged))
	}
	l := mustOpen(t, dir)
	for _, id := range acknowledged {
		if l.Check(auth.Principal{ID: id}, "") == nil {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	l := mustOpen(b, b.TempDir())
	for n := range 100 {
		mustAdd(b, l, revocation.Entry{Kind: revocation.Token, Value: fmt.Sprint(n)}, revocation.Entry{Kind: revocation.Stream, Value: fmt.Sprintf("a/%d", n)})
	}
	p := alice()
	for b.Loop() {
		if err := l.Check(p, "door"); err != nil {
			b.Fatal(err)
		}
	}
}
