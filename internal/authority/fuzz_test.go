package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/pem"
	"errors"
	"testing"
)

// FuzzParseKey holds that what is taken for the authority's key is one, and that every error says what to do.
func FuzzParseKey(f *testing.F) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	good, err := keyPEM(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	block, _ := pem.Decode(good)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: block.Bytes[:40]}))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: block.Bytes}))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := parseKey(data)
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Fatalf("%q: the error does not say what to do: %v", data, err)
			}
			return
		}
		text, err := keyPEM(key)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseKey(text); err != nil || !again.Equal(key) {
			t.Fatalf("%q is read otherwise when it is written: %v", data, err)
		}
	})
}
