//go:build !race

package auth_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"runtime"
	"strings"
	"testing"

	"sightline/internal/auth"
	"sightline/internal/auth/authtest"
)

// A token that is refused costs little memory, however it is made. The race detector allocates too.
func TestVerify_RefusalsAreCheap(t *testing.T) {
	const limit = 32 << 10 // of which the library takes most, for a token of nearly 4 KiB that is well formed
	b := newBench(t)
	m := b.maker(auth.KindView)
	mutations, err := m.Mutations()
	if err != nil {
		t.Fatal(err)
	}
	stranger := m
	_, stranger.Key, err = ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long := stranger.Seal(m.Header(), m.Claims("pad", `"`+strings.Repeat("x", 2600)+`"`))
	mutations = append(mutations, authtest.Mutation{Name: "long, and signed by another key", Token: long, Want: auth.ErrSignature})
	for _, tt := range mutations {
		var before, after runtime.MemStats
		const runs = 20
		runtime.ReadMemStats(&before)
		for range runs {
			if _, err := b.Verify(tt.Token, auth.KindView); !errors.Is(err, tt.Want) {
				t.Fatalf("%s: %v", tt.Name, err)
			}
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / runs; each > limit {
			t.Errorf("%s: %d bytes are allocated, over %d", tt.Name, each, limit)
		}
	}
}
