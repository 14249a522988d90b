package auth_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sightline/internal/auth"
	"sightline/internal/auth/authtest"
	"sightline/internal/media"
)

// openAt opens the keys in dir with the bench's clock: a second process with the same data directory.
func (b *bench) openAt(tb testing.TB, dir string) *auth.Authenticator {
	tb.Helper()
	a, err := auth.Open(dir, auth.Options{Now: func() time.Time { return b.now }, MaxPublishLifetime: auth.LongestPublish})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func mustMint(tb testing.TB, a *auth.Authenticator, life time.Duration) string {
	tb.Helper()
	token, _, err := a.Mint(auth.Claims{Kind: auth.KindPublish, Subject: "agent", Grants: []auth.Grant{auth.Allow(auth.Publish, "door")}, Lifetime: life})
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func TestKeys_RotationEndsNoToken(t *testing.T) {
	b := newBench(t)
	server, tool := b.openAt(t, b.dir), b.openAt(t, b.dir)
	old := mustMint(t, server, 30*24*time.Hour)
	first := server.KeyID()

	made, err := tool.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	if made.ID == first || !made.Retired.IsZero() || !made.Made.Equal(b.now) {
		t.Fatalf("new key %+v", made)
	}
	// The server sees it at once, both for what it reads and for what it makes, though its clock stands still.
	if _, err := server.Verify(mustMint(t, tool, time.Hour), auth.KindPublish); err != nil {
		t.Errorf("token of the new key: %v", err)
	}
	if server.KeyID() != made.ID {
		t.Error("the server signs with the old key")
	}
	for _, a := range []*auth.Authenticator{server, tool} {
		p, err := a.Verify(old, auth.KindPublish)
		if err != nil || p.KeyID != first {
			t.Errorf("token of the old key: %+v, %v", p, err)
		}
		keys := a.Keys()
		if len(keys) != 2 || keys[0].ID != made.ID || keys[1].ID != first || !keys[1].Retired.Equal(b.now) {
			t.Errorf("keys %+v", keys)
		}
	}
	for _, name := range []string{"signing-key.pem", "retired-key-" + first + ".pem"} {
		info, err := os.Stat(filepath.Join(b.dir, name))
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if data, err := os.ReadFile(filepath.Join(b.dir, "retired-key-"+first+".pem")); err != nil || strings.Contains(string(data), "PRIVATE") {
		t.Errorf("the retired key's private half was kept: %v", err)
	}

	// When the last token can have expired, the key is nothing any more, and the next rotation removes its file.
	b.now = b.now.Add(30*24*time.Hour + auth.Leeway - time.Second)
	if _, err := server.Verify(old, auth.KindPublish); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("at the end: %v", err)
	}
	b.now = b.now.Add(time.Second)
	if _, err := server.Verify(old, auth.KindPublish); !errors.Is(err, auth.ErrUnknownKey) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := tool.Rotate(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "retired-key-"+first+".pem")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead key's file: %v", err)
	}
}

func TestKeys_ARetiredKeySignsNothingNew(t *testing.T) {
	b := newBench(t)
	stolen := b.maker(auth.KindView)
	if _, err := b.Rotate(); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(auth.Leeway)
	stolen.Now = b.now
	if _, err := b.Verify(stolen.Good(), auth.KindView); err != nil {
		t.Errorf("made within the leeway: %v", err)
	}
	b.now = b.now.Add(time.Second)
	stolen.Now = b.now
	if _, err := b.Verify(stolen.Good(), auth.KindView); !errors.Is(err, auth.ErrUnknownKey) {
		t.Errorf("made after the key was retired: %v", err)
	}
}

func TestKeys_RemovedIsRefusedASecondLater(t *testing.T) {
	b := newBench(t)
	server, tool := b.openAt(t, b.dir), b.openAt(t, b.dir)
	old := mustMint(t, server, time.Hour)
	first := server.KeyID()
	if err := tool.RemoveKey(first); err == nil || !strings.Contains(err.Error(), "rotate first") {
		t.Errorf("the key that signs: %v", err)
	}
	if _, err := tool.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := server.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := tool.RemoveKey(first); err != nil {
		t.Fatal(err)
	}
	if err := tool.RemoveKey(first); !errors.Is(err, auth.ErrUnknownKey) {
		t.Errorf("removed twice: %v", err)
	}
	b.now = b.now.Add(time.Second)
	if _, err := server.Verify(old, auth.KindPublish); !errors.Is(err, auth.ErrUnknownKey) {
		t.Errorf("token of a removed key: %v", err)
	}
}

// A rotation that a crash cut short between its two files leaves the old key signing, and nothing lost.
func TestKeys_RotationCutShort(t *testing.T) {
	b := newBench(t)
	before, err := os.ReadFile(filepath.Join(b.dir, "signing-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	token := mustMint(t, b.Authenticator, time.Hour)
	first := b.KeyID()
	if _, err := b.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "signing-key.pem"), before, 0o600); err != nil {
		t.Fatal(err)
	}
	again := b.openAt(t, b.dir)
	if keys := again.Keys(); again.KeyID() != first || len(keys) != 1 || !keys[0].Retired.IsZero() {
		t.Errorf("keys %+v", keys)
	}
	if _, err := again.Verify(token, auth.KindPublish); err != nil {
		t.Error(err)
	}
	if _, err := again.Rotate(); err != nil || len(again.Keys()) != 2 {
		t.Errorf("rotated anew: %+v, %v", again.Keys(), err)
	}
}

func TestKeys_DamagedRetiredKeyIsRefused(t *testing.T) {
	b := newBench(t)
	if _, err := b.Rotate(); err != nil {
		t.Fatal(err)
	}
	other := newBench(t)
	public, err := x509.MarshalPKIXPublicKey(other.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	block := func(typ string, headers map[string]string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: public, Headers: headers}))
	}
	retired := map[string]string{"Retired": "2026-01-02T03:04:05Z"}
	name := "retired-key-" + b.Keys()[1].ID + ".pem"
	for why, content := range map[string]string{
		"empty": "", "canary": "canary", "another type": block("CERTIFICATE", retired), "never retired": block("PUBLIC KEY", nil),
		"no time": block("PUBLIC KEY", map[string]string{"Retired": "canary"}), "another key": block("PUBLIC KEY", retired),
	} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := auth.Open(b.dir, auth.Options{})
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", why, err)
		}
		// A server that runs goes on with what it knows.
		if _, err := b.Verify(mustMint(t, b.Authenticator, time.Hour), auth.KindPublish); err != nil {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func TestCheck_IsAskedEverywhere(t *testing.T) {
	b := newBench(t)
	var barred error
	var asked []string
	a, err := auth.Open(b.dir, auth.Options{
		Now: func() time.Time { return b.now },
		Check: func(p auth.Principal, s media.StreamID) error {
			asked = append(asked, p.Subject+":"+string(s))
			return barred
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := alice(b)
	ticket, err := a.NewTicket(p, auth.View, "door", origin)
	if err != nil {
		t.Fatal(err)
	}
	code, err := a.NewCode(p, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := a.MintSession(p)
	if err != nil {
		t.Fatal(err)
	}
	barred = fmt.Errorf("by the test: %w", auth.ErrRevoked)
	for name, do := range map[string]func() error{
		"token":      func() error { _, err := a.Verify(token, auth.KindSession); return err },
		"new ticket": func() error { _, err := a.NewTicket(p, auth.View, "door", origin); return err },
		"ticket":     func() error { _, err := a.RedeemTicket(ticket, auth.View, "door", origin); return err },
		"ticketless": func() error { return a.Authorize(p, auth.View, "door") },
		"code":       func() error { _, err := a.RedeemCode(code); return err },
		"session":    func() error { _, _, err := a.MintSession(p); return err },
	} {
		asked = nil
		if err := do(); !errors.Is(err, auth.ErrRevoked) {
			t.Errorf("%s: %v", name, err)
		}
		want := "alice:"
		if strings.Contains(name, "ticket") {
			want = "alice:door"
		}
		if len(asked) != 1 || asked[0] != want {
			t.Errorf("%s: asked about %v", name, asked)
		}
	}
}

func TestAuthorize_NeedsAGrantToo(t *testing.T) {
	b := newBench(t)
	if err := b.Authorize(alice(b), auth.View, "door"); err != nil {
		t.Error(err)
	}
	for _, s := range []media.StreamID{"vault", ""} {
		if err := b.Authorize(alice(b), auth.View, s); !errors.Is(err, auth.ErrNotAllowed) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestForeign_IsToldByItsType(t *testing.T) {
	b := newBench(t)
	m := b.maker(auth.KindView)
	for header, want := range map[string]bool{
		m.Header(): false, `{"alg":"EdDSA","typ":"sightline-other+jwt"}`: false, `{}`: true, `{"typ":"JWT","alg":"none"}`: true,
		`{"typ":1}`: false, `[]`: false,
	} {
		if got := auth.Foreign(m.Seal(header, m.Claims())); got != want {
			t.Errorf("%s: %t", header, got)
		}
	}
	for _, bad := range []string{"", "a.b", strings.Repeat("a", 1<<20)} {
		if auth.Foreign(bad) {
			t.Errorf("%.10q is foreign", bad)
		}
	}
	mutations, err := authtest.Maker{Key: b.key, KeyID: b.KeyID(), Kind: auth.KindView, Now: b.now}.Mutations()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range mutations { // whatever is called foreign is surely none of ours
		if auth.Foreign(tt.Token) {
			if _, err := b.Verify(tt.Token, allKinds()...); err == nil {
				t.Errorf("%s: foreign, and yet accepted", tt.Name)
			}
		}
	}
}
