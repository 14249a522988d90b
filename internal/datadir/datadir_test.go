package datadir_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"sightline/internal/datadir"
)

func TestMake_IsPrivateAndRepeatable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		if err := datadir.Make(dir); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("mode %o, want 700", info.Mode().Perm())
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestMake_SaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file, filepath.Join(file, "below"), "/proc/sightline"} {
		err := datadir.Make(dir)
		if err == nil {
			t.Errorf("Make(%q) succeeded", dir)
			continue
		}
		if !strings.Contains(err.Error(), "--data-dir") || !strings.Contains(err.Error(), dir) {
			t.Errorf("Make(%q): %q does not name the directory and the way out", dir, err)
		}
	}
}

func TestSecret_RacingMakersAgree(t *testing.T) {
	dir := t.TempDir()
	const racers = 16
	got := make([][]byte, racers)
	makers := make([]bool, racers)
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			data, made, err := datadir.Secret(dir, "key", func() ([]byte, error) {
				b := make([]byte, 32)
				_, err := rand.Read(b)
				return b, err
			})
			if err != nil {
				t.Error(err)
			}
			got[i], makers[i] = data, made
		})
	}
	wg.Wait()
	made := 0
	for i := range racers {
		if !bytes.Equal(got[i], got[0]) || len(got[i]) != 32 {
			t.Errorf("racer %d read another secret", i)
		}
		if makers[i] {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d makers, want 1", made)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("directory holds %v, %v: want the key alone", entries, err)
	}
	info, err := os.Stat(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o, want 600", info.Mode().Perm())
	}
}

func TestSecret_OpenToOthersIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no owner bits on Windows")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	_, _, err := datadir.Secret(dir, "key", func() ([]byte, error) { t.Error("made anew"); return nil, nil })
	if err == nil || !strings.Contains(err.Error(), "0640") || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("got %v", err)
	}
}

func TestReplace_Replaces(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []string{"one", "two"} {
		if err := datadir.Replace(dir, "f", []byte(want)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "f"))
		if err != nil || string(got) != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

func TestLock_OneAtATime(t *testing.T) {
	dir := t.TempDir()
	counter := filepath.Join(dir, "n")
	if err := datadir.Replace(dir, "n", []byte{0}); err != nil {
		t.Fatal(err)
	}
	const racers = 50
	var wg sync.WaitGroup
	for range racers {
		wg.Go(func() {
			unlock, err := datadir.Lock(dir, "n.lock")
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			b, err := os.ReadFile(counter)
			if err == nil {
				b[0]++
				err = datadir.Replace(dir, "n", b)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if b, err := os.ReadFile(counter); err != nil || b[0] != racers {
		t.Errorf("counted %v, %v; want %d", b, err, racers)
	}
	if _, err := datadir.Lock(filepath.Join(dir, "none"), "l"); err == nil {
		t.Error("locked in a directory that is not there")
	}
}
