package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"sightline/internal/datadir"
)

// keyFile holds the private key that signs checkpoints, and nothing else.
const keyFile = "audit-key.pem"

// pkcs8 is what stands before the 32 bytes of an Ed25519 seed in a private key's DER (RFC 8410, section 7).
const pkcs8 = "\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"

const pemType = "PRIVATE KEY"

// OpenKey reads the key that signs checkpoints from the data directory dir, and makes it there, with mode 0600, where
// there is none.
func OpenKey(dir string) (ed25519.PrivateKey, error) {
	data, _, err := datadir.Secret(dir, keyFile, func() ([]byte, error) {
		seed := make([]byte, ed25519.SeedSize)
		if _, err := rand.Read(seed); err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: append([]byte(pkcs8), seed...)}), nil
	})
	if err != nil {
		return nil, fmt.Errorf("audit key: %w", err)
	}
	return parsePrivateKey(dir, data)
}

// PublicKey reads the public part of the key in the data directory dir.
func PublicKey(dir string) (ed25519.PublicKey, error) {
	data, _, err := datadir.Secret(dir, keyFile, func() ([]byte, error) {
		return nil, errors.New("there is none yet: the server makes it at its first start; or name a public key with --key")
	})
	if err != nil {
		return nil, fmt.Errorf("audit key: %w", err)
	}
	key, err := parsePrivateKey(dir, data)
	if err != nil {
		return nil, err
	}
	return key.Public().(ed25519.PublicKey), nil
}

func parsePrivateKey(dir string, data []byte) (ed25519.PrivateKey, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != pemType || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("audit key: %s in %s is no PEM file with one private key: restore it from a backup, or move it away for a new one", keyFile, dir)
	}
	seed, ok := bytes.CutPrefix(block.Bytes, []byte(pkcs8))
	if !ok || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("audit key: %s in %s is no Ed25519 key: restore it from a backup, or move it away for a new one", keyFile, dir)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

const keyPrefix = "ed25519:"

// FormatKey writes a public key as one word, which ParseKey reads.
func FormatKey(key ed25519.PublicKey) string {
	return keyPrefix + base64.RawURLEncoding.EncodeToString(key)
}

// ParseKey reads what FormatKey wrote.
func ParseKey(s string) (ed25519.PublicKey, error) {
	text, ok := strings.CutPrefix(s, keyPrefix)
	key, err := decode64(text)
	if !ok || err != nil || len(key) != ed25519.PublicKeySize {
		return nil, errors.New("it is no public key as `sightline audit key` prints it: ed25519: and 43 characters")
	}
	return key, nil
}

// decode64 reads what has one spelling alone: encoding/base64 passes over line ends, also where it is strict.
func decode64(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("a line end")
	}
	return base64.RawURLEncoding.Strict().DecodeString(text)
}

// KeyID is the short name of a public key in checkpoints: 16 characters of its SHA-256, in base64url.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
