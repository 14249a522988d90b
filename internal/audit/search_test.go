package audit

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
)

func TestFollow_MissesNothingOverRotations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := Open(path, Options{Key: testKey(), RotateSize: 2000})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, l)
	defer stop()
	const n = 40
	write := func(from, to int) {
		for i := from; i < to; i++ {
			if err := l.Append(context.Background(), grant(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		}
	}
	write(0, 3)
	seen := make(chan string, n)
	enough := errors.New("enough")
	ended := make(chan error, 1)
	go func() {
		ended <- Follow(context.Background(), path, 1, Filter{Event: "watch"}, func(e Entry) error {
			seen <- e.Subject
			if e.Subject == fmt.Sprint(n-1) {
				return enough
			}
			return nil
		})
	}()
	if got := <-seen; got != "1" {
		t.Fatalf("begins with %s", got)
	}
	write(3, n)
	if err := <-ended; !errors.Is(err, enough) {
		t.Fatal(err)
	}
	for want := 2; want < n; want++ {
		if got := <-seen; got != fmt.Sprint(want) {
			t.Fatalf("got %s, want %d", got, want)
		}
	}
	if files, err := Files(path); err != nil || len(files) < 3 {
		t.Errorf("nothing was rotated: %v, %v", files, err)
	}
	last, err := Last(path, 15, Filter{Subject: "3*"})
	if err != nil || len(last) != 11 || last[0].Subject != "3" || last[10].Subject != "39" {
		t.Errorf("the last: %v, %v", last, err)
	}
}

func TestFilter_Remote(t *testing.T) {
	for _, tt := range []struct {
		want, got string
		match     bool
	}{
		{"", "192.0.2.7", true},
		{"192.0.2.7", "192.0.2.7:4711", true},
		{"192.0.2.0/24", "::ffff:192.0.2.7", true},
		{"192.0.2.0/24", "192.0.3.7", false},
		{"2001:db8::1", "2001:db8::/64", true}, // a roll-up
		{"2001:db8:1::1", "2001:db8::/64", false},
		{"pi*", "pipe", true},
		{"192.0.2.7", "pipe", false},
	} {
		f := Filter{Remote: tt.want}
		if got := f.Match(Entry{Record: Record{Event: "watch", Remote: tt.got}}); got != tt.match {
			t.Errorf("%q for %q: %t", tt.want, tt.got, got)
		}
	}
}
