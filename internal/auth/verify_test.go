package auth_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/auth"
	"sightline/internal/auth/authtest"
	"sightline/internal/media"
)

// bench is an Authenticator with a clock in the test's hand and a copy of its key, to make tokens that Mint would not.
type bench struct {
	*auth.Authenticator
	now time.Time
	dir string
	key ed25519.PrivateKey
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	dir := tb.TempDir()
	b := &bench{now: time.Unix(1_800_000_000, 0), dir: dir}
	a, err := auth.Open(dir, auth.Options{Now: func() time.Time { return b.now }})
	if err != nil {
		tb.Fatal(err)
	}
	b.Authenticator = a
	data, err := os.ReadFile(filepath.Join(dir, "signing-key.pem"))
	if err != nil {
		tb.Fatal(err)
	}
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		tb.Fatal(err)
	}
	b.key = key.(ed25519.PrivateKey)
	return b
}

// maker makes tokens of one kind.
func (b *bench) maker(k auth.Kind) authtest.Maker {
	return authtest.Maker{Key: b.key, KeyID: b.KeyID(), Kind: k, Now: b.now}
}

func (b *bench) seal(header, payload string) string {
	return b.maker(auth.KindView).Seal(header, payload)
}

func (b *bench) header() string { return b.maker(auth.KindView).Header() }

func (b *bench) claims(changes ...string) string { return b.maker(auth.KindView).Claims(changes...) }

func allKinds() []auth.Kind {
	return []auth.Kind{auth.KindView, auth.KindPublish, auth.KindAdmin, auth.KindSession}
}

func TestVerify_AcceptsWhatTheBenchMakes(t *testing.T) {
	b := newBench(t)
	// All mutations below start from this token: were it refused, they would prove nothing.
	p, err := b.Verify(b.seal(b.header(), b.claims()), auth.KindView)
	if err != nil {
		t.Fatal(err)
	}
	if p.Subject != "alice" || p.Kind != auth.KindView || !p.Expires.Equal(b.now.Add(time.Hour)) || p.ID != "0123456789abcdef" {
		t.Errorf("got %+v", p)
	}
	if err := p.Allows(auth.View, "door"); err != nil {
		t.Error(err)
	}
}

// Each kind's mutations are offered to each reader of each kind, and as codes and tickets too.
func TestVerify_RefusesMutations(t *testing.T) {
	b := newBench(t)
	for _, kind := range allKinds() {
		m := b.maker(kind)
		if p, err := b.Verify(m.Good(), kind); err != nil || p.Allows(m.Action(), "door") != nil {
			t.Fatalf("%s: all mutations start from a token that must be accepted: %+v, %v", kind, p, err)
		}
		mutations, err := m.Mutations()
		if err != nil {
			t.Fatal(err)
		}
		if len(mutations) < 60 {
			t.Fatalf("%d mutations", len(mutations))
		}
		for _, tt := range mutations {
			t.Run(string(kind)+"/"+tt.Name, func(t *testing.T) {
				for _, reader := range allKinds() {
					p, err := b.Verify(tt.Token, reader)
					if reader == kind && !errors.Is(err, tt.Want) {
						t.Errorf("got %v, want %v", err, tt.Want)
					}
					checkRefused(t, p, err)
				}
				p, err := b.RedeemTicket(tt.Token, m.Action(), "door", "")
				checkRefused(t, p, err)
				p, err = b.RedeemCode(tt.Token)
				checkRefused(t, p, err)
			})
		}
	}
}

func checkRefused(t *testing.T, p auth.Principal, err error) {
	t.Helper()
	if p.Subject != "" || p.Grants != nil {
		t.Errorf("refused, and yet a principal: %+v", p)
	}
	if reason := auth.Reason(err); reason == "internal" || reason == "" {
		t.Errorf("reason %q of %v", reason, err)
	}
}

func TestVerify_RefusesGrantsBeyondTheKind(t *testing.T) {
	b := newBench(t)
	for name, tt := range map[string]struct {
		claims string
		want   error
	}{
		"admin":                {b.claims("grants", `[{"actions":["admin"],"streams":["**"]}]`), auth.ErrMalformed},
		"publish beside":       {b.claims("grants", `[{"actions":["view","publish"],"streams":["**"]}]`), auth.ErrMalformed},
		"over three centuries": {b.claims("exp", fmt.Sprint(b.now.Unix()*10)), auth.ErrLifetime},
		"over 24 h":            {b.claims("exp", fmt.Sprint(b.now.Unix()+24*3600+1)), auth.ErrLifetime},
		"24 h are accepted":    {b.claims("exp", fmt.Sprint(b.now.Unix()+24*3600)), nil},
		"a foreign audience":   {b.claims("aud", `"sightline-b"`), auth.ErrWrongAudience},
	} {
		if _, err := b.Verify(b.seal(b.header(), tt.claims), auth.KindView); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestVerify_TimeBounds(t *testing.T) {
	b := newBench(t)
	for _, kind := range allKinds() {
		for _, tt := range b.maker(kind).Times() {
			t.Run(string(kind)+"/"+tt.Name, func(t *testing.T) {
				if _, err := b.Verify(tt.Token, kind); !errors.Is(err, tt.Want) {
					t.Errorf("got %v, want %v", err, tt.Want)
				}
			})
		}
	}
}

func TestVerify_ExpiresBetweenSeconds(t *testing.T) {
	b := newBench(t)
	token, p, err := b.Mint(auth.Claims{Kind: auth.KindView, Subject: "a", Grants: []auth.Grant{auth.Allow(auth.View, "door")}, Lifetime: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	b.now = p.Expires.Add(-time.Nanosecond)
	if _, err := b.Verify(token, auth.KindView); err != nil {
		t.Errorf("just before exp: %v", err)
	}
	b.now = p.Expires
	if _, err := b.Verify(token, auth.KindView); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("at exp: %v", err)
	}
}

func TestVerify_KindsAreNeverInterchangeable(t *testing.T) {
	b := newBench(t)
	actions := map[auth.Kind]auth.Action{
		auth.KindView: auth.View, auth.KindPublish: auth.Publish, auth.KindAdmin: auth.Admin, auth.KindSession: auth.View,
	}
	for _, made := range allKinds() {
		token, _, err := b.Mint(auth.Claims{Kind: made, Subject: "a", Grants: []auth.Grant{auth.Allow(actions[made], "**")}, Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Verify(token); !errors.Is(err, auth.ErrWrongKind) {
			t.Errorf("%s with no kind accepted: %v", made, err)
		}
		for _, wanted := range allKinds() {
			var want error
			if made != wanted {
				want = auth.ErrWrongKind
			}
			if _, err := b.Verify(token, wanted); !errors.Is(err, want) {
				t.Errorf("%s for %s: %v", made, wanted, err)
			}
		}
		if _, err := b.Verify(token, allKinds()...); err != nil {
			t.Errorf("%s for all kinds: %v", made, err)
		}
		for _, a := range []auth.Action{auth.View, auth.Publish, auth.Admin} {
			_, _, err := b.Mint(auth.Claims{Kind: made, Subject: "a", Grants: []auth.Grant{auth.Allow(a, "**")}, Lifetime: time.Hour})
			if allowed := made == auth.KindSession || auth.KindFor(a) == made; allowed != (err == nil) {
				t.Errorf("mint %s with %s: %v", made, a, err)
			}
		}
	}
}

// Every kind made, read as every kind, for every action on every stream, against rules written down a second time.
func TestVerify_WhoMayDoWhat(t *testing.T) {
	b := newBench(t)
	selects := map[auth.Pattern]string{"door": "door", "site/door": "site/door", "*": "door", "site/*": "site/door", "site/**": "site/door site/a/b", "**": "door site/door site/a/b"}
	streams := []media.StreamID{"door", "site/door", "site/a/b"}
	cells := 0
	for _, made := range allKinds() {
		for _, granted := range []auth.Action{auth.View, auth.Publish, auth.Admin} {
			for pattern, names := range selects {
				m := b.maker(made)
				token := m.Seal(m.Header(), m.Claims("grants", fmt.Sprintf(`[{"actions":[%q],"streams":[%q]}]`, granted, pattern)))
				for _, read := range allKinds() {
					p, err := b.Verify(token, read)
					carried := made == auth.KindSession || strings.HasPrefix(string(made), "sightline-"+string(granted))
					if accepted := made == read && carried; accepted != (err == nil) {
						t.Errorf("%s with %s read as %s: %v", made, granted, read, err)
					}
					for _, asked := range []auth.Action{auth.View, auth.Publish, auth.Admin} {
						for _, s := range streams {
							want := made == read && carried && asked == granted && slices.Contains(strings.Fields(names), string(s))
							if got := p.Allows(asked, s) == nil; got != want {
								t.Errorf("%s with %s on %s, read as %s, may %s %s: %t", made, granted, pattern, read, asked, s, got)
							}
							cells++
						}
					}
				}
			}
		}
	}
	if cells < 240 {
		t.Errorf("only %d cells", cells)
	}
}

func TestMint_RefusesWhatVerifyWould(t *testing.T) {
	b := newBench(t)
	good := auth.Claims{Kind: auth.KindView, Subject: "alice", Grants: []auth.Grant{auth.Allow(auth.View, "door")}, Lifetime: time.Hour}
	long := make([]auth.Pattern, 100)
	for i := range long {
		long[i] = auth.Pattern(fmt.Sprintf("group-with-a-long-name/stream-%050d", i))
	}
	for _, tt := range []struct {
		name   string
		change func(*auth.Claims)
		says   string
	}{
		{"kind", func(c *auth.Claims) { c.Kind = "JWT" }, "kind"},
		{"no life", func(c *auth.Claims) { c.Lifetime = 0 }, "1s to 24h"},
		{"negative life", func(c *auth.Claims) { c.Lifetime = -time.Hour }, "1s to 24h"},
		{"half a second", func(c *auth.Claims) { c.Lifetime = time.Second / 2 }, "1s to 24h"},
		{"long life", func(c *auth.Claims) { c.Lifetime = 24*time.Hour + time.Second }, "1s to 24h"},
		{"no subject", func(c *auth.Claims) { c.Subject = "" }, "subject"},
		{"odd subject", func(c *auth.Claims) { c.Subject = "a\x1b[2J" }, "U+001B"},
		{"no grants", func(c *auth.Claims) { c.Grants = nil }, "grants"},
		{"too many streams", func(c *auth.Claims) { c.Grants = []auth.Grant{auth.Allow(auth.View, long...)} }, "fewer streams"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			if token, _, err := b.Mint(c); err == nil || !strings.Contains(err.Error(), tt.says) || token != "" {
				t.Errorf("got %q, %v; want an error with %q", token, err, tt.says)
			}
		})
	}
	token, minted, err := b.Mint(good)
	if err != nil {
		t.Fatal(err)
	}
	read, err := b.Verify(token, auth.KindView)
	if err != nil || fmt.Sprint(read) != fmt.Sprint(minted) {
		t.Errorf("minted %v, read %v, %v", minted, read, err)
	}
}

func TestMintSession_EndsWithItsLogin(t *testing.T) {
	b := newBench(t)
	b.now = b.now.Add(300 * time.Millisecond)
	for _, tt := range []struct {
		life, want time.Duration
		err        error
	}{
		{time.Hour, time.Hour, nil},
		{100 * time.Hour, 12 * time.Hour, nil},
		{0, 0, auth.ErrExpired},
		{-time.Hour, 0, auth.ErrExpired},
	} {
		start := b.now.Truncate(time.Second)
		p := auth.Principal{Subject: "a", Expires: start.Add(tt.life), Grants: []auth.Grant{auth.Allow(auth.View, "*"), auth.Allow(auth.Admin, "**")}}
		token, s, err := b.MintSession(p)
		if !errors.Is(err, tt.err) {
			t.Fatalf("%s: %v", tt.life, err)
		}
		if err != nil {
			continue
		}
		if got := s.Expires.Sub(start); got != tt.want {
			t.Errorf("login of %s: session of %s, want %s", tt.life, got, tt.want)
		}
		read, err := b.Verify(token, auth.KindSession)
		if err != nil || read.AllowsEverywhere(auth.Admin) != nil || read.Allows(auth.View, "door") != nil {
			t.Errorf("session reads as %+v, %v", read, err)
		}
	}
}

func TestOpen_SharesItsKey(t *testing.T) {
	dir := t.TempDir()
	one, err := auth.Open(dir, auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	two, err := auth.Open(dir, auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !one.MadeKey() || two.MadeKey() || one.KeyID() != two.KeyID() || len(one.KeyID()) != 43 {
		t.Errorf("made %t, %t; kid %q, %q", one.MadeKey(), two.MadeKey(), one.KeyID(), two.KeyID())
	}
	token, _, err := two.Mint(auth.Claims{Kind: auth.KindView, Subject: "a", Grants: []auth.Grant{auth.Allow(auth.View, "door")}, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.Verify(token, auth.KindView); err != nil {
		t.Error(err)
	}
}

func TestOpen_RefusesADamagedKey(t *testing.T) {
	rsaLike := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("damaged canary")})
	for _, content := range []string{"", "canary", string(rsaLike), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "signing-key.pem"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := auth.Open(dir, auth.Options{})
		if err == nil || !strings.Contains(err.Error(), "signing-key.pem") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestReasons_AreOneWordOneSentence(t *testing.T) {
	seen := map[string]bool{}
	for _, err := range []error{
		auth.ErrMissing, auth.ErrMalformed, auth.ErrForged, auth.ErrUnknownKey, auth.ErrSignature, auth.ErrExpired,
		auth.ErrNotYetValid, auth.ErrLifetime, auth.ErrWrongKind, auth.ErrWrongAudience, auth.ErrNotAllowed, auth.ErrUsed,
		auth.ErrWrongOrigin, auth.ErrTooMany, auth.ErrRevoked, auth.ErrUnavailable, auth.ErrLogin, auth.ErrSlowDown,
		errors.New("other"),
	} {
		reason, sentence := auth.Reason(fmt.Errorf("a: %w", err)), auth.Sentence(fmt.Errorf("a: %w", err))
		if reason == "" || strings.ContainsAny(reason, " .") || seen[reason] {
			t.Errorf("%v: reason %q", err, reason)
		}
		seen[reason] = true
		if strings.Count(sentence, ".") != 1 || !strings.HasSuffix(sentence, ".") {
			t.Errorf("%v: sentence %q", err, sentence)
		}
	}
	if auth.Reason(nil) != "" || auth.Sentence(nil) != "" {
		t.Error("nil has a reason")
	}
}

func TestPattern_Matches(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		yes, no string // streams, separated by spaces
	}{
		{"door", "door", "doo doors door/a a/door Door"},
		{"site/door", "site/door", "site door site/door/a"},
		{"*", "door a.b", "site/door a/b/c"},
		{"site/*", "site/door site/a", "site sites/door site/door/inner door"},
		{"site/**", "site/door site/door/inner site/a/b/c", "site sites/door a/site/door"},
		{"**", "door site/door a/b/c/d", ""},
	} {
		p, err := auth.ParsePattern(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range strings.Fields(tt.yes) {
			if !p.Matches(media.StreamID(s)) {
				t.Errorf("%s does not match %s", tt.pattern, s)
			}
		}
		for _, s := range strings.Fields(tt.no) {
			if p.Matches(media.StreamID(s)) {
				t.Errorf("%s matches %s", tt.pattern, s)
			}
		}
		if p.Matches("") {
			t.Errorf("%s matches the empty name", tt.pattern)
		}
	}
	for _, bad := range []string{"", "/", "/*", "/**", "***", "*/door", "a*", "**/a", "site/", "Site/*", "../*", "site//*", "a b", "site/*/*", "site/***"} {
		if _, err := auth.ParsePattern(bad); err == nil {
			t.Errorf("pattern %q accepted", bad)
		}
	}
}

// FuzzVerify signs whatever header and payload the fuzzer finds with the real key, so that the readers behind
// the signature are reached, and asks the reader in front of it with the raw text as well.
func FuzzVerify(f *testing.F) {
	b := newBench(f)
	f.Add(b.header(), b.claims())
	f.Add(`{"alg":"none"}`, `{}`)
	f.Add(b.header(), b.claims("exp", "1e9", "EXP", "1"))
	f.Add(b.header(), b.claims("grants", `[{"actions":["view"],"streams":["a/**","*"]}]`))
	f.Fuzz(func(t *testing.T, header, payload string) {
		for _, token := range []string{header, payload, header + "." + payload + ".", b.seal(header, payload)} {
			p, err := b.Verify(token, allKinds()...)
			if err != nil {
				if r := auth.Reason(err); r == "internal" || r == "" {
					t.Fatalf("%q: unclassified error %v", token, err)
				}
				continue
			}
			if p.Subject == "" || p.ID == "" || len(p.Grants) == 0 || !p.Expires.After(b.now) || p.Expires.Sub(b.now) > 31*24*time.Hour {
				t.Fatalf("%q accepted as %+v", token, p)
			}
			var loose map[string]any // what another reader would see
			if err := json.Unmarshal([]byte(payload), &loose); err != nil || loose["sub"] != p.Subject || loose["aud"] != "sightline" {
				t.Fatalf("%q read otherwise by another reader: %v, %v", payload, loose, err)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	bench := newBench(b)
	good := bench.maker(auth.KindView).Good()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bench.Verify(good, auth.KindView); err != nil {
			b.Fatal(err)
		}
	}
}
