package preferences

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore_KeepsOneObjectForEach(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for _, put := range []struct{ subject, object string }{
		{"alice", `{"wall": {"layout": "3x3"}}`},
		{"portal:bob/../x", `{"wall":{"layout":"auto"}}`},
		{"alice", `{"wall":  {"layout": "2x2"}}`},
	} {
		if err := s.Put(put.subject, json.RawMessage(put.object)); err != nil {
			t.Fatalf("%s: %v", put.subject, err)
		}
	}
	s = open(t, dir)
	for subject, want := range map[string]string{"alice": `{"wall":{"layout":"2x2"}}`, "portal:bob/../x": `{"wall":{"layout":"auto"}}`, "carol": `{}`} {
		if got, err := s.Get(subject); err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v; want %s", subject, got, err, want)
		}
	}
	if s.people != 2 {
		t.Errorf("%d people are counted, want 2", s.people)
	}
}

func TestStore_RefusesWhatIsNoSmallObject(t *testing.T) {
	s := open(t, t.TempDir())
	for _, object := range []string{"", "[]", "7", "null", `"x"`, "{", `{"a":1} {}`, `{"a":"` + strings.Repeat("x", MaxBytes) + `"}`} {
		if err := s.Put("alice", json.RawMessage(object)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.20s: got %v, want ErrMalformed", object, err)
		}
	}
	if err := s.Put("alice", json.RawMessage("{}"+strings.Repeat(" ", MaxBytes))); err != nil {
		t.Errorf("spaces are not kept, and yet: %v", err)
	}
}

func TestStore_BoundsTheDisk(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Put("alice", json.RawMessage("{}")); err != nil {
		t.Fatal(err)
	}
	s.people = maxPeople
	if err := s.Put("bob", json.RawMessage("{}")); !errors.Is(err, ErrFull) {
		t.Errorf("one more: got %v, want ErrFull", err)
	}
	if err := s.Put("alice", json.RawMessage(`{"a":1}`)); err != nil {
		t.Errorf("a change: %v", err)
	}
}

func TestStore_SpoiltFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "preferences", name("alice")), []byte(`{"wall"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get("alice"); err != nil || string(got) != "{}" {
		t.Errorf("got %s, %v", got, err)
	}
}
