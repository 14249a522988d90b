// Package preferences keeps what each person chose for their pages: one small JSON object for each, in a file of its own, which only
// the pages understand. It knows no HTTP, and nothing of what the objects say. It owns no goroutines.
package preferences

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"sightline/internal/datadir"
)

const (
	// MaxBytes is the largest object that is kept for one person.
	MaxBytes = 6 << 10
	// maxPeople bounds the disk that all of them take: subjects come from other issuers too, who may name any number.
	maxPeople = 10_000
)

// Sentinels of Put.
var (
	ErrMalformed = errors.New("no JSON object, or one that is too large")
	ErrFull      = errors.New("preferences of too many people are kept")
)

// Store is the preferences of all people. Safe for concurrent use.
type Store struct {
	dir string

	mu     sync.Mutex
	people int // whose preferences are kept; guarded by mu
}

// Open opens the store in the directory preferences below dir, which it makes where there is none.
func Open(dir string) (*Store, error) {
	s := &Store{dir: filepath.Join(dir, "preferences")}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("preferences: %w", err)
	}
	kept, err := filepath.Glob(filepath.Join(s.dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("preferences: %w", err)
	}
	s.people = len(kept)
	return s, nil
}

// name of the file of a person: subjects hold characters that file names cannot.
func name(subject string) string {
	sum := sha256.Sum256([]byte(subject))
	return hex.EncodeToString(sum[:16]) + ".json"
}

// Get gives what was last put for a person: an empty object where nothing was.
func (s *Store) Get(subject string) (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := os.ReadFile(filepath.Join(s.dir, name(subject)))
	if errors.Is(err, fs.ErrNotExist) {
		return json.RawMessage("{}"), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read preferences: %w", err)
	}
	if !json.Valid(data) {
		return json.RawMessage("{}"), nil // spoilt on disk: what was chosen is lost, and can be chosen again
	}
	return data, nil
}

// Put keeps an object for a person, in place of the one before, durably. The error wraps ErrMalformed or ErrFull where those are why.
func (s *Store) Put(subject string, object json.RawMessage) error {
	var small bytes.Buffer
	if err := json.Compact(&small, object); err != nil || small.Len() > MaxBytes || small.Bytes()[0] != '{' {
		return ErrMalformed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	file := name(subject)
	_, err := os.Stat(filepath.Join(s.dir, file))
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh && s.people >= maxPeople {
		return ErrFull
	}
	if err := datadir.Replace(s.dir, file, small.Bytes()); err != nil {
		return fmt.Errorf("preferences: %w", err)
	}
	if fresh {
		s.people++
	}
	return nil
}
