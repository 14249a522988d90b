package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sightline/internal/audit"
)

// newRecord makes a data directory with an audit record in it, as a server that ended leaves it.
func newRecord(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	key, err := audit.OpenKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(filepath.Join(dir, "audit.jsonl"), audit.Options{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	for _, r := range []audit.Record{
		{Event: "login", Verdict: audit.Granted, Subject: "alice", Remote: "192.0.2.7"},
		{Event: "watch", Verdict: audit.Granted, Subject: "alice", Stream: "site/door", Remote: "192.0.2.7"},
		{Event: "watch", Verdict: audit.Refused, Reason: "not-allowed", Subject: "mallory\x1b[31m", Stream: "site/vault", Remote: "2001:db8::1"},
		{Event: "watch-end", Verdict: audit.Ended, Reason: "left", Subject: "alice", Stream: "site/door", Remote: "192.0.2.7"},
	} {
		if err := l.Append(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return dir
}

// sightline runs a command line in this process.
func sightline(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("TZ", "UTC")
	var out, errs bytes.Buffer
	root := newRootCmd()
	root.SetOut(&out)
	root.SetErr(&errs)
	code = run(context.Background(), root, args)
	return code, out.String(), errs.String()
}

func TestAuditVerify(t *testing.T) {
	dir := newRecord(t)
	path := filepath.Join(dir, "audit.jsonl")
	code, out, errs := sightline(t, "audit", "verify", "--data-dir", dir)
	if code != 0 || !strings.Contains(out, "records 1 to 4, of 4 attempts, and 2 checkpoints; signed to record 4\nsound\n") {
		t.Fatalf("%d, %s%s", code, out, errs)
	}
	_, key, _ := sightline(t, "audit", "key", "--data-dir", dir)
	_, head, _ := strings.Cut(strings.TrimSpace(out), "head ")
	code, out, errs = sightline(t, "audit", "verify", "--data-dir", dir, "--key", strings.TrimSpace(key), "--head", head, "--json")
	var report audit.Report
	if code != 0 || json.Unmarshal([]byte(strings.Replace(out, `"head":"`+head+`"`, `"head":{}`, 1)), &report) != nil || !report.Sound {
		t.Fatalf("%d, %s%s", code, out, errs)
	}

	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(data, []byte("not-allowed"), []byte("not-allowec"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs = sightline(t, "audit", "verify", "--data-dir", dir)
	if code != 1 || !strings.HasPrefix(out, "changed: audit.jsonl line 4: record 3 is not as it was written\n") || strings.Contains(out, "sound\n") || !strings.Contains(errs, "not sound") {
		t.Errorf("changed: %d, %s%s", code, out, errs)
	}
	code, out, _ = sightline(t, "audit", "verify", "--data-dir", dir, "--json")
	if code != 1 || !strings.HasPrefix(out, `{"sound":false,`) || !strings.Contains(out, `"kind":"changed"`) || !strings.Contains(out, `"line":4,"seq":3`) {
		t.Errorf("changed, as JSON: %d, %s", code, out)
	}

	// Put back to what it was before its last line: only the witness's head tells.
	earlier := data[:bytes.LastIndexByte(data[:len(data)-1], '\n')+1]
	if err := os.WriteFile(path, earlier, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ = sightline(t, "audit", "verify", "--data-dir", dir); code != 0 {
		t.Errorf("put back, without a head: %d, %s", code, out)
	}
	if code, out, _ = sightline(t, "audit", "verify", "--data-dir", dir, "--head", head); code != 1 || !strings.HasPrefix(out, "cut: ") {
		t.Errorf("put back: %d, %s", code, out)
	}
}

func TestAudit_WrongUse(t *testing.T) {
	dir := newRecord(t)
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"audit"}, 2, "verify, tail, search, export or key"},
		{[]string{"audit", "frob"}, 2, "frob"},
		{[]string{"audit", "verify", "--key", "x"}, 2, "--key"},
		{[]string{"audit", "verify", "--head", "4711"}, 2, "SEQ:HASH"},
		{[]string{"audit", "search", "--verdict", "maybe"}, 2, "granted, refused or ended"},
		{[]string{"audit", "search", "--since", "yesterday"}, 2, "--since"},
		{[]string{"audit", "tail", "-n", "-1"}, 2, "--lines"},
		{[]string{"audit", "verify", "--data-dir", t.TempDir()}, 1, "audit key"},
		{[]string{"audit", "verify", "--data-dir", filepath.Join(dir, "none"), "--key", "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}, 1, "audit file"},
	} {
		code, out, errs := sightline(t, tt.args...)
		if code != tt.code || out != "" || !strings.Contains(errs, tt.want) {
			t.Errorf("%v: %d, %s%s", tt.args, code, out, errs)
		}
	}
}

func TestAuditSearch(t *testing.T) {
	dir := newRecord(t)
	for _, tt := range []struct {
		args []string
		want string // seqs
	}{
		{nil, "1 2 3 4"},
		{[]string{"--subject", "alice"}, "1 2 4"},
		{[]string{"--subject", "al*", "--event", "watch"}, "2"},
		{[]string{"--stream", "site/*"}, "2 3 4"},
		{[]string{"--stream", "site"}, ""},
		{[]string{"--verdict", "refused"}, "3"},
		{[]string{"--remote", "192.0.2.0/24"}, "1 2 4"},
		{[]string{"--remote", "2001:db8::/32"}, "3"},
		{[]string{"--since", "1h"}, "1 2 3 4"},
		{[]string{"--until", "1h"}, ""},
		{[]string{"--since", "2026-01-01", "--until", "2999-01-01T00:00:00Z"}, "1 2 3 4"},
	} {
		for _, command := range []string{"search", "export"} {
			args := append([]string{"audit", command, "--data-dir", dir}, tt.args...)
			if command == "search" {
				args = append(args, "--json")
			}
			code, out, errs := sightline(t, args...)
			var seqs []string
			for text := range strings.Lines(out) {
				var r struct{ Seq json.Number }
				if err := json.Unmarshal([]byte(text), &r); err != nil {
					t.Fatalf("%q: %v", text, err)
				}
				seqs = append(seqs, r.Seq.String())
			}
			if got := strings.Join(seqs, " "); code != 0 || got != tt.want {
				t.Errorf("%v: %d, %q, want %q; %s", args, code, got, tt.want, errs)
			}
		}
	}
}

func TestAuditTail_IsATableForPeople(t *testing.T) {
	dir := newRecord(t)
	code, out, errs := sightline(t, "audit", "tail", "--data-dir", dir, "-n", "2")
	lines := strings.Split(out, "\n")
	if code != 0 || len(lines) != 4 || !strings.HasPrefix(lines[0], "SEQ  TIME ") || !strings.HasPrefix(lines[1], "3 ") {
		t.Fatalf("%d, %s%s", code, out, errs)
	}
	if strings.Index(lines[0], "REMOTE") != strings.Index(lines[1], "2001:db8::1") {
		t.Errorf("the columns do not stand below each other:\n%s", out)
	}
	if strings.Contains(out, "\x1b") || !strings.Contains(lines[1], `mallory\x1b[31m`) {
		t.Errorf("not harmless: %q", out)
	}
}
