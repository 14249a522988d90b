package audit

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errInjected = errors.New("injected fault")

// faultyDisk is the system's, but that its calls from number from to number to fail, and that none waits for the disk.
type faultyDisk struct {
	systemDisk
	mu       sync.Mutex
	calls    int
	from, to int
}

func (d *faultyDisk) fault() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if d.calls >= d.from && d.calls <= d.to {
		return errInjected
	}
	return nil
}

func (d *faultyDisk) open(path string) (file, error) {
	if err := d.fault(); err != nil {
		return nil, err
	}
	f, err := d.systemDisk.open(path)
	return faultyFile{f, d}, err
}

func (d *faultyDisk) rename(from, to string) error {
	return errors.Join(d.fault(), d.systemDisk.rename(from, to)) // it may have happened nevertheless
}

func (d *faultyDisk) remove(path string) error {
	if err := d.fault(); err != nil {
		return err
	}
	return d.systemDisk.remove(path)
}

func (d *faultyDisk) syncDir(string) error { return d.fault() }

type faultyFile struct {
	file
	disk *faultyDisk
}

func (f faultyFile) Write(b []byte) (int, error) {
	if err := f.disk.fault(); err != nil {
		n, _ := f.file.Write(b[:len(b)/2])
		return n, err
	}
	return f.file.Write(b)
}

func (f faultyFile) Sync() error { return f.disk.fault() }

func (f faultyFile) Truncate(size int64) error {
	if err := f.disk.fault(); err != nil {
		return err
	}
	return f.file.Truncate(size)
}

func (f faultyFile) Close() error { return errors.Join(f.disk.fault(), f.file.Close()) }

// trial appends records to a log on a faulty disk, and returns the errors by subject.
func trial(t *testing.T, path string, d *faultyDisk, policy Policy, keep int) map[string]error {
	t.Helper()
	l := newLog(path, d, Options{Key: testKey(), RotateSize: 2000, Keep: keep, OnFailure: policy}.withDefaults())
	if err := l.open(); err != nil {
		_ = l.Close()
		return nil // a server that does not start grants nothing
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	outcome := map[string]error{}
	for i := range 30 {
		subject := fmt.Sprint("user-", i)
		outcome[subject] = l.Append(context.Background(), grant(subject))
	}
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, errInjected) {
		t.Error(err)
	}
	return outcome
}

// TestLog_EveryFault lets each call to the disk fail in turn, alone and with those behind it. What was granted is on
// record, what is not on record was refused and is counted, and the record is sound after the next start. What was
// refused may be on record if the disk never let it be cut off again.
func TestLog_EveryFault(t *testing.T) {
	clean := &faultyDisk{}
	trial(t, filepath.Join(t.TempDir(), "audit.jsonl"), clean, Refuse, 1000)
	if clean.calls < 80 {
		t.Fatalf("a run without faults makes %d calls only", clean.calls)
	}
	refusals := 0
	for from := 1; from <= clean.calls; from++ {
		for _, run := range []int{1, 2, 7} {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			name := fmt.Sprintf("calls %d to %d", from, from+run-1)
			d := &faultyDisk{from: from, to: from + run - 1}
			outcome := trial(t, path, d, Refuse, 1000)
			lostAtStop := d.calls <= d.to+1 // but for closing: then no later commit could count them
			session(t, path, "healed")
			wantSound(t, path)
			written, lost := map[string]bool{}, uint64(0)
			for e, err := range Entries(path) {
				if err != nil {
					t.Fatal(err)
				}
				written[e.Subject] = true
				lost += gapCount(t, e)
			}
			var refused uint64
			for subject, err := range outcome {
				switch {
				case err == nil && !written[subject]:
					t.Fatalf("%s: %s was granted without a record", name, subject)
				case err != nil && (written[subject] && !lostAtStop || !errors.Is(err, ErrUnavailable)):
					t.Fatalf("%s: %s was refused (%v) and is on record as granted: %t", name, subject, err, written[subject])
				case err != nil:
					refused++
				}
			}
			if lost != refused && !lostAtStop {
				t.Fatalf("%s: %d records were refused, the gaps count %d", name, refused, lost)
			}
			refusals += int(refused)
		}
	}
	if refusals == 0 {
		t.Error("no fault ever refused anything: the trial tries nothing")
	}
}

// gapCount is how many records a gap record counts, 0 for any other.
func gapCount(t *testing.T, e Entry) (n uint64) {
	t.Helper()
	if e.Action != actionGap {
		return 0
	}
	_, counts, _ := strings.Cut(e.Reason, "refused: ")
	if _, on, ok := strings.Cut(e.Reason, "went on: "); ok {
		counts = on
	}
	for word := range strings.FieldsSeq(counts) {
		var k uint64
		if _, err := fmt.Sscanf(word[strings.LastIndexByte(word, '=')+1:], "%d", &k); err != nil {
			t.Fatalf("gap %q: %v", e.Reason, err)
		}
		n += k
	}
	return n
}

func TestLog_FaultsWhileFilesAreRemoved(t *testing.T) {
	clean := &faultyDisk{}
	trial(t, filepath.Join(t.TempDir(), "audit.jsonl"), clean, Refuse, 2)
	for from := 1; from <= clean.calls; from++ {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		trial(t, path, &faultyDisk{from: from, to: from}, Refuse, 2)
		session(t, path, "healed")
		wantSound(t, path)
	}
}

func TestAppend_ContinuesByPolicyAndCountsTheGap(t *testing.T) {
	f := &fakeFile{}
	l := newLog("fake", fakeDisk{file: f}, Options{Key: testKey(), OnFailure: Continue}.withDefaults())
	stop := start(t, l)
	defer stop()
	ctx := context.Background()
	f.set(func() { f.writeErr = errInjected })
	for range 5 {
		if err := l.Append(ctx, grant("unrecorded")); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Append(ctx, Record{Event: "login", Verdict: Refused, Reason: "used"}); err != nil {
		t.Fatal(err)
	}
	f.set(func() { f.writeErr = nil })
	if err := l.Append(ctx, grant("after")); err != nil {
		t.Fatal(err)
	}
	stop()
	lines := read(t, f.durable)
	if len(lines) != 2 || !strings.HasSuffix(lines[0].Reason, "access went on: login/refused=1 watch/granted=5") {
		t.Errorf("got %+v", lines)
	}
}

func TestLog_WritesTheGapWithoutWaitingForARecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeFile{writeErr: errInjected}
		l := fakeLog(f)
		stop := start(t, l)
		defer stop()
		if err := l.Append(context.Background(), grant("lost")); !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
		f.set(func() { f.writeErr = nil })
		time.Sleep(retryAfter) // of the bubble's clock
		synctest.Wait()
		if lines := read(t, f.durable); len(lines) != 1 || lines[0].Action != actionGap {
			t.Errorf("got %+v", lines)
		}
	})
}

func TestLog_SignsWhileRecordsComeAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeFile{}
		l := fakeLog(f)
		stop := start(t, l)
		var last time.Time
		checkpoints := 0
		sub := l.Subscribe(1000)
		for range 61 {
			if err := l.Append(context.Background(), grant("a")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(time.Hour) // nothing comes, nothing is signed
		stop()
		var unsigned time.Time
		for e := range sub.Entries() {
			switch {
			case e.Event == eventCheckpoint:
				checkpoints++
				last, unsigned = e.Time, time.Time{}
			case unsigned.IsZero():
				unsigned = e.Time
			case e.Time.Sub(unsigned) > checkpointEvery:
				t.Errorf("a record of %s is not signed at %s", unsigned, e.Time)
			}
		}
		if !unsigned.IsZero() || checkpoints < 7 || checkpoints > 8 || last.IsZero() {
			t.Errorf("%d checkpoints, the last record signed: %t", checkpoints, unsigned.IsZero())
		}
	})
}

func TestLog_RotatesByAge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	now := time.Now()
	l, err := Open(path, Options{Key: testKey(), RotateAge: time.Hour, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := l.commitNow(grant("a"), now); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if files, err := Files(path); err != nil || len(files) != 3 {
		t.Errorf("%v, %v", files, err)
	}
	if report := wantSound(t, path); report.Records != 3 {
		t.Errorf("%+v", report)
	}
}

// commitNow writes one record as Run does.
func (l *Log) commitNow(r Record, now time.Time) error {
	return l.write([]item{{Record: r, at: now}}, false, now)
}

func TestLog_RotatesAndRemovesAndSaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	now := time.Now()
	open := func() *Log {
		l, err := Open(path, Options{Key: testKey(), RotateSize: 2000, Keep: 3})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := open()
	for i := range 60 {
		if i == 30 { // a start in between changes nothing
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open()
		}
		if err := l.commitNow(grant(fmt.Sprint(i)), now); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := Files(path)
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	report := wantSound(t, path)
	if report.First < 2 || report.Removed != report.First-1 || report.Last != report.First+report.Records-1 {
		t.Errorf("%+v", report)
	}
	// One file less than rotation left is one too many.
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	report, err = Verify(path, VerifyOptions{Keys: []ed25519.PublicKey{testKey().Public().(ed25519.PublicKey)}})
	if err != nil || report.Sound || report.Findings[0].Kind != Missing {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestOpen_BeginsAChainBehindAnOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	var old []byte
	for seq := range uint64(5) {
		old = item{Record: grant("old"), at: time.Now()}.appendLine(old, seq+1, "")
	}
	for _, cut := range []int{0, 1, 20} { // whole, without its last newline, torn
		if err := os.WriteFile(path, old[:len(old)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		session(t, path, "new")
		session(t, path, "newer")
		unchained := uint64(5)
		if cut > 1 {
			unchained = 4
		}
		if report := wantSound(t, path); report.Unchained != unchained {
			t.Errorf("cut by %d: %+v", cut, report)
		}
		chains := 0
		for _, l := range readFile(t, path) {
			if l.Action == actionChain {
				chains++
			}
		}
		if chains != 1 {
			t.Errorf("cut by %d: %d records say that the chain begins", cut, chains)
		}
	}
	// A chain that was taken off from the front is not an old file.
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var stripped []byte
	for text := range strings.Lines(string(data)) {
		if !strings.Contains(text, `"action":"chain"`) {
			stripped = append(stripped, text...)
		}
	}
	if err := os.WriteFile(path, stripped, 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := Verify(path, VerifyOptions{Keys: []ed25519.PublicKey{testKey().Public().(ed25519.PublicKey)}})
	if err != nil || report.Sound {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestVerify_KnowsWhichKeySigned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	session(t, path, "a", "b")
	other := ed25519.NewKeyFromSeed([]byte("another key of just 32 bytes ..."))
	report, err := Verify(path, VerifyOptions{Keys: []ed25519.PublicKey{other.Public().(ed25519.PublicKey)}})
	if err != nil || report.Sound || !strings.Contains(report.Findings[0].Text, "another key") {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestVerify_NamesWhatWasWrittenAnew: without the key, one who changes a record and mends the chain behind it comes as
// far as the next checkpoint.
func TestVerify_NamesWhatWasWrittenAnew(t *testing.T) {
	r := makeRecord(30)
	parent := r[0][0]
	for f := range r {
		for row, text := range r[f] {
			if f == 0 && row == 0 {
				continue
			}
			l, err := parseLine([]byte(strings.TrimSuffix(string(text), "\n")))
			if err != nil {
				t.Fatal(err)
			}
			mended := strings.Replace(string(text), l.prev, digestOf(parent[:len(parent)-1]).String(), 1)
			r[f][row] = []byte(strings.Replace(mended, "user-3", "nobody", 1))
			parent = r[f][row]
		}
	}
	report := r.verify(t, nil)
	if report.Sound || report.Findings[0].Kind != Unsigned || !strings.Contains(report.Findings[0].Text, "records 1 to 6 ") {
		t.Errorf("%+v", report.Findings)
	}
}

func TestVerify_LetsARunningServerFinishItsLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	session(t, path, "a", "b")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	keys := []ed25519.PublicKey{testKey().Public().(ed25519.PublicKey)}
	for _, live := range []bool{false, true} {
		report, err := Verify(path, VerifyOptions{Keys: keys, Live: live})
		if err != nil || report.Sound != live {
			t.Errorf("live %t: %+v, %v", live, report, err)
		}
	}
}

func TestSubscribe_NeverHoldsUpTheLog(t *testing.T) {
	f := &fakeFile{}
	l := fakeLog(f)
	stop := start(t, l)
	defer stop()
	full, roomy, left := l.Subscribe(2), l.Subscribe(100), l.Subscribe(0)
	left.Close()
	for i := range 10 {
		if err := l.Append(context.Background(), grant(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	var got []string
	for e := range roomy.Entries() {
		if e.Hash != digestOf([]byte(e.Line)).String() {
			t.Errorf("the hash of %s is not of its line", e.Line)
		}
		if e.Event != eventCheckpoint {
			got = append(got, e.Subject)
		}
	}
	if strings.Join(got, "") != "0123456789" || roomy.Dropped() != 0 {
		t.Errorf("got %q, %d dropped", got, roomy.Dropped())
	}
	if full.Dropped() != 10 || len(full.Entries()) != 2 { // 10 records and 2 checkpoints
		t.Errorf("%d dropped, %d held", full.Dropped(), len(full.Entries()))
	}
	if _, open := <-l.Subscribe(1).Entries(); open {
		t.Error("a subscription to a log that has ended is open")
	}
}

func TestInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	want := func(want bool) {
		t.Helper()
		if got, err := InUse(path); got != want || err != nil {
			t.Errorf("got %t, %v", got, err)
		}
	}
	want(false)
	l, err := Open(path, Options{Key: testKey()})
	if err != nil {
		t.Fatal(err)
	}
	want(true)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	want(false)
}

func TestKey_IsMadeOnceAndReadBack(t *testing.T) {
	dir := t.TempDir()
	first, err := OpenKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenKey(dir)
	if err != nil || !first.Equal(again) {
		t.Fatalf("another key: %v", err)
	}
	public := first.Public().(ed25519.PublicKey)
	if parsed, err := ParseKey(FormatKey(public)); err != nil || !public.Equal(parsed) {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "ed25519:", "ed25519:AAAA", strings.TrimPrefix(FormatKey(public), "ed25519:"), FormatKey(public) + "A"} {
		if _, err := ParseKey(bad); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, keyFile), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKey(dir); err == nil || !strings.Contains(err.Error(), keyFile) {
		t.Errorf("damaged key: %v", err)
	}
}
