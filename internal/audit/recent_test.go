package audit

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// written makes a record of n grants to "0", "1", ... over several files.
func written(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := Open(path, Options{Key: testKey(), RotateSize: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, l)
	defer stop()
	for i := range n {
		if err := l.Append(t.Context(), grant(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestRecent(t *testing.T) {
	const all = 200
	path := written(t, all)
	if files, err := Files(path); err != nil || len(files) < 3 {
		t.Fatalf("nothing was rotated: %v, %v", files, err)
	}
	for _, tc := range []struct {
		name        string
		n           int
		filter      Filter
		first, last string
		found       int
		all         bool
	}{
		{"the newest", 5, Filter{}, "199", "195", 5, false},
		{"over files", 150, Filter{}, "199", "50", 150, false},
		{"all there are", all + 1, Filter{}, "199", "0", all, true},
		{"some", 100, Filter{Subject: "1*"}, "199", "100", 100, false},
		{"the oldest", 2, Filter{Subject: "0"}, "0", "0", 1, true},
		{"none", 1, Filter{Subject: "nobody"}, "", "", 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			page, err := Recent(path, tc.n, math.MaxInt64, tc.filter)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Entries) != tc.found || page.All != tc.all {
				t.Fatalf("found %d, all %t", len(page.Entries), page.All)
			}
			if tc.found > 0 && (page.Entries[0].Subject != tc.first || page.Entries[tc.found-1].Subject != tc.last) {
				t.Errorf("from %s to %s", page.Entries[0].Subject, page.Entries[tc.found-1].Subject)
			}
			if !slices.IsSortedFunc(page.Entries, func(a, b Entry) int { return int(b.Seq) - int(a.Seq) }) {
				t.Error("not the newest first")
			}
		})
	}
}

func TestRecent_ReadsNoMoreThanItMay(t *testing.T) {
	path := written(t, 200)
	page, err := Recent(path, 1, 30_000, Filter{Subject: "0"})
	if err != nil || len(page.Entries) != 0 || page.All || page.From < 20 || page.From > 190 {
		t.Errorf("got %+v, %v", page, err)
	}
}

func TestRecent_SkipsWhatIsNoLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	session(t, path, "alice", "bob")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = append([]byte("nonsense\n\n"), text...)
	if err := os.WriteFile(path, append(text, `{"seq":3,"half`...), 0o600); err != nil {
		t.Fatal(err)
	}
	page, err := Recent(path, 10, math.MaxInt64, Filter{})
	if err != nil || len(page.Entries) != 2 || page.Entries[0].Subject != "bob" || !page.All {
		t.Errorf("got %+v, %v", page, err)
	}
}

// BenchmarkRecent looks for what is not there, in as much of a long record as a page's question may read.
func BenchmarkRecent(b *testing.B) {
	path := filepath.Join(b.TempDir(), "audit.jsonl")
	const reach = 8 << 20
	var text []byte
	for seq := uint64(1); len(text) < 2*reach; seq++ {
		r := Record{
			Event: "watch", Verdict: Granted, Subject: "alice", TokenID: "0123456789abcdef", Stream: "site/door", Action: "view",
			Remote: "192.0.2.1", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", Session: "0123456789abcdef",
		}
		text = item{Record: r, at: time.Unix(1_800_000_000, 0)}.appendLine(text, seq, digest{}.String())
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if page, err := Recent(path, 200, reach, Filter{Subject: "nobody"}); err != nil || page.All || len(page.Entries) > 0 {
			b.Fatal(page, err)
		}
	}
}

func TestVerify_StopsWhenTold(t *testing.T) {
	path := written(t, 3)
	stop := make(chan struct{})
	close(stop)
	if _, err := Verify(path, VerifyOptions{Stop: stop}); !errors.Is(err, ErrStopped) {
		t.Errorf("got %v", err)
	}
}
