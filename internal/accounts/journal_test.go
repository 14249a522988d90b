package accounts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sightline/internal/auth"
)

// restarted is a Book of the same directory that remembers, as a server's does.
func (b *bench) restarted(tb testing.TB) *Book {
	tb.Helper()
	book, err := Open(b.dir, Options{Now: func() time.Time { return b.now }, Cost: cheap, Remember: true})
	if err != nil {
		tb.Fatal(err)
	}
	return book
}

func TestLogin_ARestartGivesNoNewTries(t *testing.T) {
	b := newBench(t)
	b.add(t, "alice", Viewer, "door")
	b.Book = b.restarted(t)
	if err := b.login("alice", secret, home); err != nil { // she is known there now, and it counts as no failure
		t.Fatal(err)
	}
	tries := 0
	for n := range 3 * accountBurst {
		b.Book = b.restarted(t) // crash after crash
		err := b.login("alice", fmt.Sprint("guess number ", n), netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}))
		switch {
		case errors.Is(err, auth.ErrLogin):
			tries++
		case !errors.Is(err, auth.ErrSlowDown):
			t.Fatal(err)
		}
	}
	if tries != accountBurst {
		t.Errorf("%d guesses were tried, want %d", tries, accountBurst)
	}
	if err := b.login("alice", secret, home); err != nil {
		t.Errorf("alice, from where she is known: %v", err)
	}
	b.now = b.now.Add(accountEvery)
	b.Book = b.restarted(t)
	if err := b.login("alice", "one more guess", cafe); !errors.Is(err, auth.ErrLogin) {
		t.Errorf("after the wait: %v", err)
	}
	if err := b.login("alice", "and another", cafe); !errors.Is(err, auth.ErrSlowDown) {
		t.Errorf("at once after that: %v", err)
	}
}

func TestJournal_AfterAPowerCut(t *testing.T) {
	b := newBench(t)
	b.Book = b.restarted(t)
	guess := func() error { return b.login("nobody", "guess", cafe) }
	for range accountBurst {
		_ = guess()
	}
	path := filepath.Join(b.dir, journalName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)-5], 0o600); err != nil { // half of the last line
		t.Fatal(err)
	}
	b.Book = b.restarted(t)
	if err := guess(); !errors.Is(err, auth.ErrLogin) {
		t.Errorf("the one try that was lost: %v", err)
	}
	b.Book = b.restarted(t)
	if err := guess(); !errors.Is(err, auth.ErrSlowDown) {
		t.Errorf("what follows half a line is not read: %v", err)
	}
}

func TestJournal_DoesNotGrow(t *testing.T) {
	dir := t.TempDir()
	l := newLimiter()
	if err := l.remember(dir, start); err != nil {
		t.Fatal(err)
	}
	l.journal.lines = maxJournalLines - 100
	now := start
	for n := range 200 {
		now = now.Add(time.Second)
		if _, err := l.begin(now, fmt.Sprint("name", n), netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 32), false); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	// Written anew after the fiftieth name: else there would be two lines for each of two hundred.
	if lines := bytes.Count(data, []byte("\n")); lines != l.journal.lines || lines >= 400 {
		t.Errorf("%d lines, known to be %d", lines, l.journal.lines)
	}
}

func TestLogin_WhatCannotBeCountedIsNotTried(t *testing.T) {
	b := newBench(t)
	b.add(t, "alice", Viewer, "door")
	b.Book = b.restarted(t)
	if err := os.Mkdir(filepath.Join(b.dir, journalName), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := b.login("alice", secret, home); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func FuzzJournal(f *testing.F) {
	good, err := appendEntry(nil, key{"alice", network(home)}, bucket{3, start})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"account":"a","left":1e308,"at":"2026-01-02T03:04:05Z"}` + "\n" + `{"source":"::/0","left":-1e308,"at":"9999-01-02T03:04:05Z"}` + "\n{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := newLimiter()
		readJournal(data, func(k key, b bucket) {
			burst, _ := k.pace()
			if b.left > burst || b.left < -burst {
				t.Errorf("%+v holds %g", k, b.left)
			}
			if _, err := json.Marshal(entry{k.account, k.source, b.left, b.at}); err != nil {
				t.Error(err)
			}
			l.put(k, b)
		})
		if len(l.buckets) > maxBuckets {
			t.Errorf("%d buckets", len(l.buckets))
		}
	})
}
