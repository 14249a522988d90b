package auth

import (
	"errors"
	"testing"
	"time"
)

// Whatever step of a rotation fails, tokens made before it are accepted, the server can sign, and a later try works.
func TestKeys_FaultsOfTheDisk(t *testing.T) {
	fault := errors.New("no space left")
	for failing := 1; failing <= 3; failing++ {
		now := time.Unix(1_800_000_000, 0)
		dir := t.TempDir()
		a, err := Open(dir, Options{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		if failing == 3 { // the third step is there only when an old key is to be removed
			if _, err := a.Rotate(); err != nil {
				t.Fatal(err)
			}
			now = now.Add(40 * 24 * time.Hour)
		}
		token, _, err := a.Mint(Claims{Kind: KindView, Subject: "a", Grants: []Grant{Allow(View, "door")}, Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		sound := a.keys.disk
		step := 0
		fail := func() error {
			if step++; step == failing {
				return fault
			}
			return nil
		}
		a.keys.disk = keyDisk{
			replace: func(dir, name string, data []byte) error {
				if err := fail(); err != nil {
					return err
				}
				return sound.replace(dir, name, data)
			},
			remove: func(path string) error {
				if err := fail(); err != nil {
					return err
				}
				return sound.remove(path)
			},
		}
		if _, err := a.Rotate(); !errors.Is(err, fault) {
			t.Fatalf("step %d: %v", failing, err)
		}
		for _, b := range []*Authenticator{a, mustOpen(t, dir, now)} {
			if _, err := b.Verify(token, KindView); err != nil {
				t.Errorf("step %d: %v", failing, err)
			}
			if _, _, err := b.Mint(Claims{Kind: KindView, Subject: "a", Grants: []Grant{Allow(View, "door")}, Lifetime: time.Hour}); err != nil {
				t.Errorf("step %d: %v", failing, err)
			}
		}
		a.keys.disk = sound
		if _, err := a.Rotate(); err != nil {
			t.Errorf("step %d, once the disk is well: %v", failing, err)
		}
		if _, err := a.Verify(token, KindView); err != nil {
			t.Errorf("step %d, after it: %v", failing, err)
		}
	}
}

func mustOpen(t *testing.T, dir string, now time.Time) *Authenticator {
	t.Helper()
	a, err := Open(dir, Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
