package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// foreignLine is a record as another program reads it.
type foreignLine struct {
	Seq       uint64 `json:"seq"`
	Time      string `json:"time"`
	Event     string `json:"event"`
	Verdict   string `json:"verdict"`
	Reason    string `json:"reason"`
	Subject   string `json:"subject"`
	TokenID   string `json:"token_id"`
	Stream    string `json:"stream"`
	Action    string `json:"action"`
	Remote    string `json:"remote"`
	UserAgent string `json:"user_agent"`
	Session   string `json:"session"`
	Count     uint64 `json:"count"`
	First     string `json:"first"`
	Last      string `json:"last"`
	Number    uint64 `json:"number"`
	Log       string `json:"log"`
	Key       string `json:"key"`
	Prev      string `json:"prev"`
	Signature string `json:"signature"`
}

// read parses a whole file strictly, checks that the sequence has no gap, and returns all but the checkpoints.
func read(tb testing.TB, data []byte) []foreignLine {
	tb.Helper()
	if len(data) > 0 && data[len(data)-1] != '\n' {
		tb.Fatalf("the last line is unfinished: %q", data)
	}
	var lines []foreignLine
	for text := range strings.Lines(string(data)) {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.DisallowUnknownFields()
		var l foreignLine
		if err := dec.Decode(&l); err != nil {
			tb.Fatalf("line %q: %v", text, err)
		}
		if l.Event == "checkpoint" {
			continue
		}
		if l.Seq != uint64(len(lines)+1) {
			tb.Fatalf("line %d has seq %d", len(lines)+1, l.Seq)
		}
		lines = append(lines, l)
	}
	return lines
}

func readFile(tb testing.TB, path string) []foreignLine {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return read(tb, data)
}

// start runs l until the returned function is called, which waits for its end.
func start(tb testing.TB, l *Log) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("Run: %v", err)
		}
	})
}

// session opens the file, appends one record per subject and closes it.
func session(tb testing.TB, path string, subjects ...string) {
	tb.Helper()
	l, err := Open(path, Options{Key: testKey()})
	if err != nil {
		tb.Fatal(err)
	}
	stop := start(tb, l)
	defer stop()
	for _, s := range subjects {
		if err := l.Append(context.Background(), Record{Event: "login", Verdict: Granted, Subject: s}); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestAppend_WritesEveryField(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	at := time.Date(2026, 11, 22, 16, 5, 4, 123456789, time.FixedZone("CET", 3600))
	l, err := Open(path, Options{Key: testKey(), Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, l)
	defer stop()
	r := Record{
		Event: "watch", Verdict: Refused, Reason: "expired", Subject: "alice", TokenID: "t1", Stream: "site/door",
		Action: "view", Remote: "192.0.2.7:4711", UserAgent: "Mozilla/5.0 (X11; Linux)", Session: "s1",
	}
	if err := l.Append(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path) // while it runs: Append has returned, so it is there
	if err != nil {
		t.Fatal(err)
	}
	before, got, _ := strings.Cut(string(data), "\n") // a checkpoint begins the chain
	want := `{"seq":1,"time":"2026-11-22T15:05:04.123456Z","event":"watch","verdict":"refused","reason":"expired",` +
		`"subject":"alice","token_id":"t1","stream":"site/door","action":"view","remote":"192.0.2.7:4711",` +
		`"user_agent":"Mozilla/5.0 (X11; Linux)","session":"s1","prev":"` + fmt.Sprintf("%x", sha256.Sum256([]byte(before))) + `"}` + "\n"
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o, want 600", info.Mode().Perm())
	}
}

func TestAppend_RefusesEmptyRecords(t *testing.T) {
	l := fakeLog(&fakeFile{})
	for _, r := range []Record{{}, {Event: "login"}, {Verdict: Granted}, {Event: "login", Verdict: "maybe"}, {Event: "audit", Verdict: Ended}, {Event: "checkpoint", Verdict: Ended}} {
		if err := l.Append(context.Background(), r); err == nil || errors.Is(err, ErrUnavailable) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestOpen_GoesOnWhereItEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	session(t, path, "a", "b")
	session(t, path)
	session(t, path, "c")
	lines := readFile(t, path)
	if len(lines) != 3 || lines[2].Subject != "c" {
		t.Errorf("got %+v", lines)
	}
}

func TestOpen_MendsATornLine(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole.jsonl")
	session(t, whole, "a", "b", "c")
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	// Where a crash can cut the first line, the last record, and the checkpoint behind it: at their edges, and in them.
	lines := bytes.SplitAfter(data, []byte("\n"))
	last := len(data) - len(lines[4]) - len(lines[3])
	dir := t.TempDir()
	for cut := range data {
		edge := cut > 0 && (data[cut] == '\n' || data[cut-1] == '\n')
		if cut > len(lines[0]) && cut < last || cut%5 != 0 && !edge {
			continue
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.jsonl", cut))
		if err := os.WriteFile(path, data[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		session(t, path, "after")
		got := readFile(t, path)
		if subject := got[len(got)-1].Subject; subject != "after" {
			t.Fatalf("cut at %d: the last record is of %q", cut, subject)
		}
		begin := bytes.LastIndexByte(data[:cut], '\n') + 1
		kept := max(0, bytes.Count(data[:cut], []byte("\n"))-1)
		completed := data[cut] == '\n' && cut > 0
		if completed && !bytes.Contains(data[begin:cut], []byte(`"checkpoint"`)) {
			kept++
		}
		if torn := cut > begin && !completed; torn {
			mended := got[len(got)-2]
			if mended.Event != "audit" || mended.Action != "mend" || !strings.Contains(mended.Reason, `{"seq":`[:min(7, cut-begin)]) {
				t.Errorf("cut at %d: mended with %+v", cut, mended)
			}
			kept++
		}
		if len(got) != kept+1 {
			t.Errorf("cut at %d: %d records, want %d", cut, len(got), kept+1)
		}
		wantSound(t, path)
	}
}

// wantSound verifies a record that a test has written.
func wantSound(tb testing.TB, path string) Report {
	tb.Helper()
	report, err := Verify(path, VerifyOptions{Keys: []ed25519.PublicKey{testKey().Public().(ed25519.PublicKey)}})
	if err != nil {
		tb.Fatal(err)
	}
	if !report.Sound {
		data, _ := os.ReadFile(path)
		tb.Fatalf("not sound: %+v\n%s", report.Findings, data)
	}
	return report
}

func TestOpen_MendsZerosAfterAPowerCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	session(t, path, "a")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, 4000)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	session(t, path, "b")
	lines := readFile(t, path)
	if len(lines) != 3 || lines[1].Event != "audit" || !strings.Contains(lines[1].Reason, "4000 bytes") || lines[2].Subject != "b" {
		t.Errorf("got %+v", lines)
	}
	wantSound(t, path)
}

func TestOpen_RefusesAFileInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	first, err := Open(path, Options{Key: testKey()})
	if err != nil {
		t.Fatal(err)
	}
	if second, err := Open(path, Options{Key: testKey()}); !errors.Is(err, errInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("second: %v, %v", second, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	session(t, path, "after")
	if lines := readFile(t, path); len(lines) != 1 {
		t.Errorf("got %+v", lines)
	}
}

func TestOpen_LeavesOtherFilesAlone(t *testing.T) {
	for _, content := range []string{"hello", "hello\n", "[1,2]\n{}\n", "{\"seq\":0}\n", strings.Repeat("x", maxWindow+10)} {
		path := filepath.Join(t.TempDir(), "notes.txt")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(path, Options{Key: testKey()})
		if err == nil {
			t.Errorf("%.20q: opened", content)
			_ = l.Close()
		} else if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "audit.path") {
			t.Errorf("%.20q: %v", content, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%.20q: changed to %.20q, %v", content, got, err)
		}
	}
	if _, err := Open(t.TempDir(), Options{}); err == nil {
		t.Error("opened a directory")
	}
}

// fakeFile is a disk in the test's hand: durable is what a power cut would leave.
type fakeFile struct {
	mu              sync.Mutex
	data, durable   []byte
	writes, syncs   int
	writeErr        error // the write puts half of its bytes in the file and fails
	syncErr         error
	truncateErr     error
	beforeSync      func() // called without mu
	closed          bool
	tornWhenWriting bool // a write found bytes beyond the durable ones
}

func (f *fakeFile) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes++
	f.tornWhenWriting = f.tornWhenWriting || len(f.data) != len(f.durable)
	if f.writeErr != nil {
		f.data = append(f.data, b[:len(b)/2]...)
		return len(b) / 2, f.writeErr
	}
	f.data = append(f.data, b...)
	return len(b), nil
}

func (f *fakeFile) Sync() error {
	if f.beforeSync != nil {
		f.beforeSync()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.syncs++
	if f.syncErr != nil {
		return f.syncErr
	}
	f.durable = bytes.Clone(f.data)
	return nil
}

func (f *fakeFile) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.truncateErr != nil {
		return f.truncateErr
	}
	f.data = f.data[:size]
	return nil
}

func (f *fakeFile) Close() error { f.closed = true; return nil }

func (f *fakeFile) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func grant(subject string) Record { return Record{Event: "watch", Verdict: Granted, Subject: subject} }

func TestAppend_FailsWhenTheDiskFails(t *testing.T) {
	broken := errors.New("no space left on device")
	for _, tt := range []struct {
		name  string
		fault func(*fakeFile)
	}{
		{"write", func(f *fakeFile) { f.writeErr = broken }},
		{"sync", func(f *fakeFile) { f.syncErr = broken }},
		{"write and cut off", func(f *fakeFile) { f.writeErr, f.truncateErr = broken, broken }},
		{"sync and cut off", func(f *fakeFile) { f.syncErr, f.truncateErr = broken, broken }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeFile{}
			l := fakeLog(f)
			stop := start(t, l)
			defer stop()
			ctx := context.Background()
			if err := l.Append(ctx, grant("before")); err != nil {
				t.Fatal(err)
			}
			f.set(func() { tt.fault(f) })
			for range 3 {
				if err := l.Append(ctx, grant("lost")); !errors.Is(err, ErrUnavailable) || !errors.Is(err, broken) {
					t.Fatalf("got %v, want ErrUnavailable", err)
				}
			}
			f.set(func() { f.writeErr, f.syncErr, f.truncateErr = nil, nil, nil })
			if err := l.Append(ctx, grant("after")); err != nil {
				t.Fatalf("after the disk came back: %v", err)
			}
			stop()
			lines := read(t, f.durable)
			if len(lines) != 3 || lines[0].Subject != "before" || lines[2].Subject != "after" {
				t.Fatalf("durable: %+v", lines)
			}
			if gap := lines[1]; gap.Action != "gap" || !strings.HasPrefix(gap.Reason, "3 records ") || !strings.HasSuffix(gap.Reason, " watch/granted=3") {
				t.Errorf("the gap is recorded as %+v", gap)
			}
			if f.tornWhenWriting {
				t.Error("a record was written behind an unfinished one")
			}
		})
	}
}

// fakeDisk has one file, and is never rotated.
type fakeDisk struct {
	disk
	file *fakeFile
}

func (d fakeDisk) open(string) (file, error) { return d.file, nil }

func fakeLog(f *fakeFile) *Log {
	return newLog("fake", fakeDisk{file: f}, Options{Key: testKey()}.withDefaults())
}

// testKey is the same key in every test.
func testKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

func TestAppend_ReturnsOnlyAfterTheSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		f := &fakeFile{beforeSync: func() { <-gate }}
		l := fakeLog(f)
		stop := start(t, l)
		defer stop()
		returned := make(chan error, 1)
		go func() { returned <- l.Append(context.Background(), grant("a")) }()
		synctest.Wait()
		select {
		case err := <-returned:
			t.Fatalf("returned before the sync: %v", err)
		default:
		}
		close(gate)
		if err := <-returned; err != nil {
			t.Fatal(err)
		}
		if len(read(t, f.durable)) != 1 {
			t.Error("returned without a durable record")
		}
	})
}

func TestAppend_WaitersShareASync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		f := &fakeFile{beforeSync: func() { <-gate }}
		l := fakeLog(f)
		stop := start(t, l)
		defer stop()
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := l.Append(context.Background(), grant("first")); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // Run is in the first sync
		const n = 500
		for i := range n {
			wg.Go(func() {
				if err := l.Append(context.Background(), grant(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // all of them wait
		close(gate)
		wg.Wait()
		if got := len(read(t, f.durable)); got != n+1 {
			t.Errorf("%d records, want %d", got, n+1)
		}
		if f.syncs != 2 || f.writes != 2 {
			t.Errorf("%d writes and %d syncs for %d records, want 2 and 2", f.writes, f.syncs, n+1)
		}
	})
}

func TestAppend_DoesNotQueueWithoutBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		f := &fakeFile{beforeSync: func() { <-gate }}
		l := fakeLog(f)
		stop := start(t, l)
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _ = l.Append(ctx, grant("in the sync")) })
		synctest.Wait()
		for range maxWaiting {
			wg.Go(func() {
				if err := l.Append(ctx, grant("waits")); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		if err := l.Append(ctx, grant("too many")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		cancel()
		wg.Wait()
		close(gate)
		stop()
	})
}

func TestRun_WritesWhatWaitsAndThenRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeFile{}
		l := fakeLog(f)
		returned := make(chan error, 1)
		go func() { returned <- l.Append(context.Background(), grant("early")) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := l.Run(ctx); err != nil { // ctx has ended already
			t.Fatal(err)
		}
		if err := <-returned; err != nil {
			t.Errorf("a record that waited: %v", err)
		}
		if len(read(t, f.durable)) != 1 || !f.closed {
			t.Errorf("durable %q, closed %t", f.durable, f.closed)
		}
		if err := l.Append(context.Background(), grant("late")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("after Run: %v", err)
		}
	})
}

func TestEscaping_KeepsRecordsToOneVisibleLine(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "door äé 摄像头 😀", "door äé 摄像头 😀"},
		{"quote", `a"b\c`, `a\"b\\c`},
		{"newline", "a\r\nb\tc", `a\u000d\u000ab\u0009c`},
		{"forged record", "x\"}\n{\"seq\":9", `x\"}\u000a{\"seq\":9`},
		{"ANSI", "\x1b[31mred", `\u001b[31mred`},
		{"C1 CSI", "\u009b31m", `\u009b31m`},
		{"DEL", "\x7f", `\u007f`},
		{"NUL", "\x00", `\u0000`},
		{"bidi override", "a\u202eb\u2066", `a\u202eb\u2066`},
		{"separators", "\u2028\u2029", `\u2028\u2029`},
		{"zero width, BOM", "\u200b\ufeff", `\u200b\ufeff`},
		{"tag characters", "\U000e0041", `\udb40\udc41`},
		{"private use", "\ue000", `\ue000`},
		{"not UTF-8", "a\xffb", `a\ufffdb`},
		{"HTML", "<b>&", `\u003cb\u003e\u0026`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(appendEscaped(nil, tt.in, maxField)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("alice", "Mozilla/5.0")
	f.Add("\x1b[2J\n{\"seq\":1}\u202e\u2028\xff\"\\", "\x00")
	f.Add(strings.Repeat("é", 600), strings.Repeat("\x01", 300))
	f.Add(strings.Repeat("a", 1024), strings.Repeat("a", 256))
	f.Add(strings.Repeat("a", 1025), strings.Repeat("a", 257))
	f.Fuzz(func(t *testing.T, subject, agent string) {
		r := item{Record: Record{Event: "e", Verdict: Granted, Subject: subject, UserAgent: agent}, at: time.Unix(0, 0)}
		got := r.appendLine(nil, 1, "")
		if bytes.IndexByte(got, '\n') != len(got)-1 {
			t.Fatalf("not one line: %q", got)
		}
		for _, r := range string(got[:len(got)-1]) {
			if !unicode.IsPrint(r) || r == utf8.RuneError {
				t.Fatalf("%U is in the file: %q", r, got)
			}
		}
		l := read(t, got)[0]
		for _, field := range []struct {
			in, out string
			limit   int
		}{{subject, l.Subject, maxField}, {agent, l.UserAgent, maxUserAgent}} {
			encoded := appendEscaped(nil, field.in, field.limit)
			if len(encoded) > field.limit {
				t.Fatalf("%d bytes, limit %d", len(encoded), field.limit)
			}
			clean := strings.ToValidUTF8(field.in, "\ufffd")
			if len(appendEscaped(nil, field.in, 1<<30)) <= field.limit {
				// ToValidUTF8 makes one mark of a run of bad bytes, the encoder one of each.
				if utf8.ValidString(field.in) && field.out != clean {
					t.Fatalf("read back %q, want %q", field.out, clean)
				}
			} else if prefix, cut := strings.CutSuffix(field.out, cutMark); !cut || utf8.ValidString(field.in) && !strings.HasPrefix(clean, prefix) {
				t.Fatalf("cut to %q from %q", field.out, field.in)
			}
		}
	})
}
