package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Vault keeps values that can be taken out once, by a secret of which it keeps only the hash. Looking up by
// hash also leaves nothing to learn from how long a look-up takes. It is bounded, and safe for concurrent use.
type Vault[T any] struct {
	limit           int // in all
	limitPerSubject int

	mu        sync.Mutex
	entries   map[[sha256.Size]byte]entry[T]
	bySubject map[string]int // how many entries each subject has
}

type entry[T any] struct {
	value   T
	subject string
	expires time.Time
}

// NewVault makes a Vault for at most limit values, and limitPerSubject of one subject.
func NewVault[T any](limit, limitPerSubject int) *Vault[T] {
	return &Vault[T]{
		limit: limit, limitPerSubject: limitPerSubject,
		entries: map[[sha256.Size]byte]entry[T]{}, bySubject: map[string]int{},
	}
}

// Put stores value until expires and returns its secret. The error is ErrTooMany.
func (v *Vault[T]) Put(value T, subject string, now, expires time.Time) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.full(subject) {
		for key, e := range v.entries {
			if !now.Before(e.expires) {
				v.remove(key, e)
			}
		}
		if v.full(subject) {
			return "", ErrTooMany
		}
	}
	secret := newSecret()
	v.entries[sha256.Sum256([]byte(secret))] = entry[T]{value, subject, expires}
	v.bySubject[subject]++
	return secret, nil
}

// Take removes and returns the value of secret. The error is ErrMissing, ErrUsed or ErrExpired.
func (v *Vault[T]) Take(secret string, now time.Time) (T, error) {
	var none T
	if secret == "" {
		return none, ErrMissing
	}
	key := sha256.Sum256([]byte(secret))
	v.mu.Lock()
	defer v.mu.Unlock()
	e, ok := v.entries[key]
	if !ok {
		return none, ErrUsed
	}
	v.remove(key, e)
	if !now.Before(e.expires) {
		return none, ErrExpired
	}
	return e.value, nil
}

// full and remove are called with mu held.
func (v *Vault[T]) full(subject string) bool {
	return len(v.entries) >= v.limit || v.bySubject[subject] >= v.limitPerSubject
}

func (v *Vault[T]) remove(key [sha256.Size]byte, e entry[T]) {
	delete(v.entries, key)
	if v.bySubject[e.subject]--; v.bySubject[e.subject] == 0 {
		delete(v.bySubject, e.subject)
	}
}
