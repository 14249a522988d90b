package auth

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

// FuzzKeyPEM holds that what is taken for a key is one, and that no error tells what the file holds.
func FuzzKeyPEM(f *testing.F) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pem.EncodeToMemory(&pem.Block{Type: privateKeyType, Bytes: der, Headers: map[string]string{madeHeader: now.Format(time.RFC3339)}}))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: privateKeyType, Bytes: der[:20]}))
	v, err := newVerifier(private.Public())
	if err != nil {
		f.Fatal(err)
	}
	retired, err := retiredPEM(v, now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(retired)
	f.Fuzz(func(t *testing.T, data []byte) {
		key, _, err := parseKeyPEM(data)
		switch {
		case err != nil:
			quotesNone(t, data, err)
		case !ed25519.Verify(key.Public().(ed25519.PublicKey), []byte("x"), ed25519.Sign(key, []byte("x"))):
			t.Fatalf("%q is taken for a key and signs nothing", data)
		}
		v, err := parseRetiredPEM(data, time.Hour)
		if err != nil {
			quotesNone(t, data, err)
			return
		}
		again, err := retiredPEM(v, v.Retired)
		if err != nil {
			t.Fatal(err)
		}
		if w, err := parseRetiredPEM(again, time.Hour); err != nil || w.ID != v.ID || !w.public.Equal(v.public) {
			t.Fatalf("%q is read as %+v, and what that is written as, as %+v, %v", data, v, w, err)
		}
	})
}

// quotesNone holds that err does not hold a long word of data.
func quotesNone(t *testing.T, data []byte, err error) {
	for word := range strings.FieldsSeq(string(data)) {
		if len(word) > 20 && strings.Contains(err.Error(), word) {
			t.Fatalf("the error %q quotes %q", err, word)
		}
	}
}
