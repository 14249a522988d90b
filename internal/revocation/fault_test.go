package revocation

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"sightline/internal/auth"
)

// faulty fails at one of a file's acts.
type faulty struct {
	*os.File
	write, sync, close error
	cut                int // how much of a write that fails reaches the disk
}

func (f faulty) Write(b []byte) (int, error) {
	if f.write == nil {
		return f.File.Write(b)
	}
	n, err := f.File.Write(b[:f.cut])
	return n, errors.Join(err, f.write)
}

func (f faulty) Sync() error  { return errors.Join(f.File.Sync(), f.sync) }
func (f faulty) Close() error { return errors.Join(f.File.Close(), f.close) }

// Whatever fails, Add says so, what was revoked before stays revoked, and the next Add works.
func TestAdd_FaultsOfTheDisk(t *testing.T) {
	fault := errors.New("no space left")
	for name, f := range map[string]faulty{
		"write": {write: fault}, "torn write": {write: fault, cut: 20}, "torn before the newline": {write: fault, cut: 64},
		"sync": {sync: fault}, "close": {close: fault},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l, err := Open(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Add(Entry{Kind: Token, Value: "first"}); err != nil {
				t.Fatal(err)
			}
			sound := l.disk.open
			l.disk.open = func(path string) (file, error) {
				disk, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o600)
				f.File = disk
				return f, err
			}
			if err := l.Add(Entry{Kind: Token, Value: "second"}); !errors.Is(err, fault) {
				t.Fatalf("got %v", err)
			}
			l.disk.open = sound
			if err := l.Add(Entry{Kind: Token, Value: "third"}); err != nil {
				t.Fatal(err)
			}
			again, err := Open(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range []*List{l, again} {
				for _, id := range []string{"first", "third"} {
					if !errors.Is(l.Check(auth.Principal{ID: id}, ""), auth.ErrRevoked) {
						t.Errorf("%s is free", id)
					}
				}
			}
		})
	}
	t.Run("open", func(t *testing.T) {
		l, err := Open(t.TempDir(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		l.disk.open = func(string) (file, error) { return nil, fault }
		if err := l.Add(Entry{Kind: Token, Value: "a"}); !errors.Is(err, fault) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("compact", func(t *testing.T) {
		dir := t.TempDir()
		l, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		old := Entry{Kind: Token, Value: "old", At: time.Unix(1_000_000_000, 0)}
		full := append(bytes.Repeat(old.normal().line(), compactFrom), Entry{Kind: Key, Value: "k", At: time.Unix(1_800_000_000, 0)}.line()...)
		if err := os.WriteFile(l.path, full, 0o600); err != nil {
			t.Fatal(err)
		}
		l.disk.replace = func(string, string, []byte) error { return fault }
		if err := l.compact(); !errors.Is(err, fault) {
			t.Errorf("got %v", err)
		}
		if data, err := os.ReadFile(l.path); err != nil || !bytes.Equal(data, full) {
			t.Errorf("the file has changed, %v", err)
		}
	})
	t.Run("replace", func(t *testing.T) {
		dir := t.TempDir()
		l, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(l.path, []byte("torn"), 0o600); err != nil {
			t.Fatal(err)
		}
		l.disk.replace = func(string, string, []byte) error { return fault }
		if err := l.Add(Entry{Kind: Token, Value: "a"}); !errors.Is(err, fault) {
			t.Errorf("got %v", err)
		}
	})
}

func FuzzParseLine(f *testing.F) {
	for _, e := range []Entry{{Kind: Token, Value: "a"}, {Kind: Key, Value: "k"}, {Kind: Subject, Value: "alice"}, {Kind: Stream, Value: "a/**"}, {Kind: All}} {
		e.At = time.Unix(1_800_000_000, 0)
		f.Add(bytes.TrimSuffix(e.normal().line(), []byte("\n")))
	}
	f.Add([]byte(`{"at":"2026-03-04T05:06:07Z","At":"2026-03-04T05:06:07Z","kind":"all"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parseLine(line)
		if err != nil {
			return
		}
		again, err := parseLine(bytes.TrimSuffix(e.line(), []byte("\n")))
		if err != nil || again != e {
			t.Fatalf("%q reads as %+v, which reads as %+v, %v", line, e, again, err)
		}
		b := newBars()
		b.add(e)
	})
}
