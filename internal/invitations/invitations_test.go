package invitations

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/auth"
)

// book opens one in dir, with a clock in the test's hand.
func book(t *testing.T, dir string) (*Book, *time.Time) {
	t.Helper()
	now := time.Unix(1_800_000_000, 0)
	b, err := Open(dir, Options{Now: func() time.Time { return now }, SessionTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return b, &now
}

func TestRedeem_AsManyAsThereAreUses(t *testing.T) {
	dir := t.TempDir()
	b, now := book(t, dir)
	code, made, err := b.Make("lobby", []auth.Pattern{"site/**"}, 3, 30*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var in []auth.Principal
	for range 10 {
		wg.Go(func() {
			p, err := b.Redeem(code)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				in = append(in, p)
			} else if !errors.Is(err, auth.ErrUsed) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(in) != 3 {
		t.Fatalf("%d were let in, want 3", len(in))
	}
	p := in[0]
	if p.Subject != "guest/lobby" || p.Subject != made.Subject() || p.ID == in[1].ID || !p.Expires.Equal(made.Expires) || !p.Issued.Equal(*now) {
		t.Errorf("let in as %+v", p)
	}
	if p.Allows(auth.View, "site/door") != nil || p.Allows(auth.View, "yard") == nil || p.Allows(auth.Publish, "site/door") == nil || p.Allows(auth.Admin, "site/door") == nil {
		t.Errorf("may do %+v", p.Grants)
	}
	// It is so after a new start, too.
	again, _ := book(t, dir)
	if _, err := again.Redeem(code); !errors.Is(err, auth.ErrUsed) {
		t.Errorf("after a new start: %v", err)
	}
	if list := again.List(); len(list) != 1 || list[0].Used != 3 || list[0].Uses != 3 {
		t.Errorf("after a new start: %+v", list)
	}
}

func TestRedeem_ASessionIsNoLongerThanTheLongest(t *testing.T) {
	b, now := book(t, t.TempDir())
	code, _, err := b.Make("week", []auth.Pattern{"**"}, 1, 7*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := b.Redeem(code); err != nil || !p.Expires.Equal(now.Add(time.Hour)) {
		t.Errorf("until %s: %v", p.Expires, err)
	}
}

func TestRedeem_WhatIsOverOrUnknown(t *testing.T) {
	b, now := book(t, t.TempDir())
	make := func(name string) string {
		t.Helper()
		code, _, err := b.Make(name, []auth.Pattern{"door"}, 2, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	expired, removed := make("expired"), make("removed")
	if _, err := b.Remove("removed"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Remove("removed"); !errors.Is(err, ErrUnknown) {
		t.Errorf("removed twice: %v", err)
	}
	for code, want := range map[string]error{"": auth.ErrUsed, "nobody's": auth.ErrUsed, removed: auth.ErrUsed} {
		if _, err := b.Redeem(code); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", code, err, want)
		}
	}
	*now = now.Add(time.Minute)
	if _, err := b.Redeem(expired); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("at the end: %v", err)
	}
	if list := b.List(); len(list) != 0 {
		t.Errorf("listed: %+v", list)
	}
	if _, _, err := b.Make("expired", []auth.Pattern{"door"}, 1, time.Minute); err != nil {
		t.Errorf("the name of one that is over: %v", err)
	}
}

func TestRedeem_NobodyIsLetInByAUseThatIsNotWritten(t *testing.T) {
	b, _ := book(t, t.TempDir())
	code, _, err := b.Make("lobby", []auth.Pattern{"door"}, 1, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	whole := b.replace
	b.replace = func(string, string, []byte) error { return errors.New("the disk is full") }
	if _, err := b.Redeem(code); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	b.replace = whole
	if _, err := b.Redeem(code); err != nil {
		t.Errorf("when it can be written: %v", err)
	}
}

func TestMake_Refuses(t *testing.T) {
	b, _ := book(t, t.TempDir())
	streams := []auth.Pattern{"door"}
	if _, _, err := b.Make("taken", streams, 1, time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name     string
		call     string
		streams  []auth.Pattern
		uses     int
		lifetime time.Duration
		want     error
	}{
		{"no name", "", streams, 1, time.Hour, ErrInvalid},
		{"a name with a slash", "a/b", streams, 1, time.Hour, ErrInvalid},
		{"no streams", "a", nil, 1, time.Hour, ErrInvalid},
		{"nobody", "a", streams, 0, time.Hour, ErrInvalid},
		{"too many", "a", streams, MaxUses + 1, time.Hour, ErrInvalid},
		{"too short", "a", streams, 1, time.Second, ErrInvalid},
		{"too long", "a", streams, 1, MaxLifetime + 1, ErrInvalid},
		{"taken", "taken", streams, 1, time.Hour, ErrExists},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, _, err := b.Make(tc.call, tc.streams, tc.uses, tc.lifetime); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestOpen_ADamagedFileIsNamed(t *testing.T) {
	for _, text := range []string{"", "{}", "x", `{"version":1,"invitations":[{"name":"a"}]}`, `{"version":1,"invitations":[]}x`, `{"version":2,"invitations":[]}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), fileName) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version":1,"invitations":[]}`))
	f.Add([]byte(`{"version":1,"invitations":[{"name":"a","streams":["**"],"made":"2026-01-01T00:00:00Z","expires":"2026-01-01T00:00:00Z","uses":1,"used":0,"hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parse(data)
		if err != nil {
			return
		}
		b, err := format(list)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(b); err != nil {
			t.Errorf("what was read cannot be read again: %v", err)
		}
	})
}
