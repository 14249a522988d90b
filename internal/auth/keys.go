package auth

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sightline/internal/datadir"
)

// The files of the keys. Only the key that signs is there with its private half: what a retired key would sign is not
// wanted, so it cannot be stolen either.
const (
	activeKeyFile  = "signing-key.pem"
	retiredPrefix  = "retired-key-" // the key's ID follows
	retiredSuffix  = ".pem"
	keyLock        = "signing-key.lock"
	privateKeyType = "PRIVATE KEY" // PKCS #8
	publicKeyType  = "PUBLIC KEY"  // PKIX
	madeHeader     = "Made"        // PEM headers: RFC 3339, UTC
	retiredHeader  = "Retired"

	// keysMaxAge is how old what is known of the key files may be: a removed key is refused after so long.
	keysMaxAge = time.Second
)

// Key is one of this server's own signing keys, without its secret.
type Key struct {
	ID      string    // RFC 7638 thumbprint
	Made    time.Time // zero where it is not known
	Retired time.Time // zero for the key that signs
	Until   time.Time // a retired key's last token has expired by then; zero for the key that signs
}

// Keys lists the keys whose tokens are accepted, the one that signs first, then the others, last retired first.
func (a *Authenticator) Keys() []Key {
	var list []Key
	for _, k := range a.keys.current().keys {
		list = append(list, k.Key)
	}
	slices.SortFunc(list, func(x, y Key) int {
		switch {
		case x.Retired.IsZero():
			return -1
		case y.Retired.IsZero():
			return 1
		}
		return y.Retired.Compare(x.Retired)
	})
	return list
}

// Rotate makes a new key to sign with. Tokens of the one before are accepted until the last of them has expired; keys
// whose time is over are removed. On an error everything is as it was, or the new key is in place.
func (a *Authenticator) Rotate() (Key, error) { return a.keys.rotate() }

// RemoveKey takes away a retired key: none of its tokens is accepted from now on. Connections that are open already are
// not this room's to end: revoke the key for that. The error wraps ErrUnknownKey when there is no such key.
func (a *Authenticator) RemoveKey(id string) error { return a.keys.remove(id) }

// Reload reads the key files again. It happens by itself, at the latest a second after they changed, as soon as a token
// is made or read. On an error the keys stay as they were.
func (a *Authenticator) Reload() error { return a.keys.reload() }

// keyring is the keys in a directory.
type keyring struct {
	// static after open
	dir     string
	now     func() time.Time
	longest time.Duration // the longest life of any token
	disk    keyDisk

	mu    sync.Mutex // held while files are read or written
	state atomic.Pointer[keys]
}

// keyDisk is what changes files; tests let it fail.
type keyDisk struct {
	replace func(dir, name string, data []byte) error
	remove  func(path string) error
}

// keys is what the files held at one time. It is not written after it was made.
type keys struct {
	signer signer
	keys   map[string]verifier // by ID
	file   os.FileInfo         // of the key that signs
	readAt time.Time
}

type signer struct {
	id      string
	private ed25519.PrivateKey
}

type verifier struct {
	Key
	public ed25519.PublicKey
}

// signedAfterItsTime tells that a token says it was made when its key signed no more: its private half was stolen.
func (v verifier) signedAfterItsTime(issued time.Time) bool {
	return !v.Retired.IsZero() && issued.After(v.Retired.Add(Leeway))
}

func (s signer) sign(k Kind, payload []byte) (string, error) {
	opts := (&jose.SignerOptions{}).WithType(jose.ContentType(k)).WithHeader("kid", s.id)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: s.private}, opts)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (r *keyring) open(dir string, now func() time.Time, longest time.Duration) error {
	r.dir, r.now, r.longest = dir, now, longest
	r.disk = keyDisk{replace: datadir.Replace, remove: os.Remove}
	return r.reload()
}

// signer is the key to sign with, looked at anew when its file is another.
func (r *keyring) signer() signer {
	state := r.state.Load()
	if r.changed(state) && r.reload() == nil {
		state = r.state.Load()
	}
	return state.signer
}

// verifier finds the key of a token.
func (r *keyring) verifier(id string) (verifier, bool) {
	state := r.current()
	key, ok := state.keys[id]
	// A key that is not known may have been made this moment. Whoever makes one replaces the file of the one that signs.
	if !ok && r.changed(state) && r.reload() == nil {
		key, ok = r.state.Load().keys[id]
	}
	return key, ok && (key.Retired.IsZero() || r.now().Before(key.Until))
}

// current is what is known of the keys, read again when it is old. Where they cannot be read it stays as it is: keys
// that were good do not become bad by a fault of the disk, and a new one is not known.
func (r *keyring) current() *keys {
	state := r.state.Load()
	if age := r.now().Sub(state.readAt); age < keysMaxAge && age >= 0 || !r.mu.TryLock() {
		return state // fresh, or somebody is at it
	}
	defer r.mu.Unlock()
	if fresh, err := r.read(); err == nil {
		r.state.Store(fresh)
		return fresh
	}
	return state
}

// changed reports whether the file of the key that signs is another than when it was read.
func (r *keyring) changed(state *keys) bool {
	info, err := os.Stat(filepath.Join(r.dir, activeKeyFile))
	return err == nil && (!os.SameFile(info, state.file) || !info.ModTime().Equal(state.file.ModTime()))
}

func (r *keyring) reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	state, err := r.read()
	if err != nil {
		return err
	}
	r.state.Store(state)
	return nil
}

// read reads all key files. mu is held.
func (r *keyring) read() (*keys, error) {
	path := filepath.Join(r.dir, activeKeyFile)
	info, err := os.Stat(path) // before the contents: a change in between is seen the next time
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	data, err := datadir.ReadSecret(path)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	private, made, err := parseKeyPEM(data)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	active, err := newVerifier(private.Public())
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	active.Made = made
	state := &keys{
		signer: signer{active.ID, private}, keys: map[string]verifier{}, file: info, readAt: r.now(),
	}
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	for _, e := range entries {
		id, ok := retiredID(e.Name())
		if !ok {
			continue
		}
		path := filepath.Join(r.dir, e.Name())
		data, err := datadir.ReadSecret(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // removed this moment
		}
		if err != nil {
			return nil, fmt.Errorf("retired key: %w", err)
		}
		v, err := parseRetiredPEM(data, r.longest)
		if err == nil && v.ID != id {
			err = errors.New("it holds another key than its name says: delete it (which ends that key's tokens)")
		}
		if err != nil {
			return nil, fmt.Errorf("retired key %s: %w", path, err)
		}
		state.keys[id] = v
	}
	state.keys[active.ID] = active // over its own retired file, where a rotation was cut short
	return state, nil
}

func retiredID(name string) (string, bool) {
	id, ok := strings.CutPrefix(name, retiredPrefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(id, retiredSuffix)
}

func retiredName(id string) string { return retiredPrefix + id + retiredSuffix }

func (r *keyring) rotate() (Key, error) {
	state, unlock, err := r.lock()
	if err != nil {
		return Key{}, fmt.Errorf("rotate the signing key: %w", err)
	}
	defer unlock()
	now := r.now().UTC().Truncate(time.Second)
	data, err := newKeyPEM(now)
	if err != nil {
		return Key{}, fmt.Errorf("rotate the signing key: %w", err)
	}
	old := state.keys[state.signer.id]
	retired, err := retiredPEM(old, now)
	if err != nil {
		return Key{}, fmt.Errorf("rotate the signing key: %w", err)
	}
	// The old key is kept first: whatever happens between the two, its tokens are accepted.
	if err := r.disk.replace(r.dir, retiredName(old.ID), retired); err != nil {
		return Key{}, fmt.Errorf("keep the old signing key: %w", err)
	}
	if err := r.disk.replace(r.dir, activeKeyFile, data); err != nil {
		return Key{}, fmt.Errorf("put the new signing key in its place: %w", err)
	}
	for id, k := range state.keys {
		if !k.Retired.IsZero() && !now.Before(k.Until) {
			if err := r.disk.remove(filepath.Join(r.dir, retiredName(id))); err != nil {
				return Key{}, fmt.Errorf("remove a key whose last token has expired: %w", err)
			}
		}
	}
	if state, err = r.read(); err != nil {
		return Key{}, err
	}
	r.state.Store(state)
	return state.keys[state.signer.id].Key, nil
}

func (r *keyring) remove(id string) error {
	state, unlock, err := r.lock()
	if err != nil {
		return fmt.Errorf("remove a key: %w", err)
	}
	defer unlock()
	switch key, ok := state.keys[id]; {
	case !ok:
		return fmt.Errorf("remove key %.64q: %w", id, ErrUnknownKey)
	case key.Retired.IsZero():
		return fmt.Errorf("key %s signs: rotate first, then remove it", id)
	}
	if err := r.disk.remove(filepath.Join(r.dir, retiredName(id))); err != nil {
		return fmt.Errorf("remove a key: %w", err)
	}
	if state, err = r.read(); err != nil {
		return err
	}
	r.state.Store(state)
	return nil
}

// lock takes the key files for this caller alone, and reads them.
func (r *keyring) lock() (*keys, func(), error) {
	unlock, err := datadir.Lock(r.dir, keyLock)
	if err != nil {
		return nil, nil, err
	}
	r.mu.Lock()
	state, err := r.read()
	if err != nil {
		r.mu.Unlock()
		unlock()
		return nil, nil, err
	}
	return state, func() { r.mu.Unlock(); unlock() }, nil
}

func newVerifier(public crypto.PublicKey) (verifier, error) {
	key, ok := public.(ed25519.PublicKey)
	if !ok {
		return verifier{}, fmt.Errorf("it holds a %T, want an Ed25519 key", public)
	}
	thumbprint, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
	if err != nil {
		return verifier{}, fmt.Errorf("its thumbprint: %w", err)
	}
	return verifier{Key{ID: base64.RawURLEncoding.EncodeToString(thumbprint)}, key}, nil
}

func newKeyPEM(now time.Time) ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{
		Type: privateKeyType, Bytes: der, Headers: map[string]string{madeHeader: now.UTC().Format(time.RFC3339)},
	}), nil
}

// parseKeyPEM reads one PKCS #8 Ed25519 key and when it was made, zero where that is not said. Its errors hold nothing of
// the file's contents.
func parseKeyPEM(data []byte) (ed25519.PrivateKey, time.Time, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != privateKeyType {
		return nil, time.Time{}, errors.New("no PEM block PRIVATE KEY in it: restore the file from a backup, or delete it to have a new key made (which ends all tokens)")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, time.Time{}, errors.New("its PKCS #8 contents are damaged: restore the file from a backup, or delete it to have a new key made (which ends all tokens)")
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, time.Time{}, fmt.Errorf("it holds a %T, want an Ed25519 key", key)
	}
	made, _ := time.Parse(time.RFC3339, block.Headers[madeHeader]) // only shown
	return private, made, nil
}

func retiredPEM(v verifier, now time.Time) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(v.public)
	if err != nil {
		return nil, err
	}
	headers := map[string]string{retiredHeader: now.Format(time.RFC3339)}
	if !v.Made.IsZero() {
		headers[madeHeader] = v.Made.UTC().Format(time.RFC3339)
	}
	return pem.EncodeToMemory(&pem.Block{Type: publicKeyType, Bytes: der, Headers: headers}), nil
}

// parseRetiredPEM reads what retiredPEM wrote; longest is the longest life of a token.
func parseRetiredPEM(data []byte, longest time.Duration) (verifier, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != publicKeyType {
		return verifier{}, errors.New("no PEM block PUBLIC KEY in it: restore the file from a backup, or delete it (which ends that key's tokens)")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return verifier{}, errors.New("its PKIX contents are damaged: restore the file from a backup, or delete it (which ends that key's tokens)")
	}
	v, err := newVerifier(public)
	if err != nil {
		return verifier{}, err
	}
	retired, err := time.Parse(time.RFC3339, block.Headers[retiredHeader])
	if err != nil {
		return verifier{}, errors.New("it does not say when it was retired: restore the file from a backup, or delete it (which ends that key's tokens)")
	}
	v.Made, _ = time.Parse(time.RFC3339, block.Headers[madeHeader]) // only shown
	v.Retired, v.Until = retired, retired.Add(longest+Leeway)
	return v, nil
}
