package auth_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sightline/internal/auth"
	"sightline/internal/media"
)

// bench is an Authenticator with a clock in the test's hand and a copy of its key, to make tokens that Mint would not.
type bench struct {
	*auth.Authenticator
	now time.Time
	key ed25519.PrivateKey
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	b := &bench{now: time.Unix(1_800_000_000, 0)}
	dir := tb.TempDir()
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

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// seal signs any header and payload text.
func (b *bench) seal(header, payload string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	return signed + "." + b64(ed25519.Sign(b.key, []byte(signed)))
}

func (b *bench) header() string {
	return fmt.Sprintf(`{"alg":"EdDSA","kid":%q,"typ":"sightline-view+jwt"}`, b.KeyID())
}

const goodGrants = `[{"actions":["view"],"streams":["door"]}]`

// claims is a valid payload, with members replaced, added (by new names) or removed (by an empty value).
func (b *bench) claims(changes ...string) string {
	now := b.now.Unix()
	members := []string{
		"sub", `"alice"`, "aud", `"sightline"`, "exp", fmt.Sprint(now + 3600), "iat", fmt.Sprint(now),
		"jti", `"0123456789abcdef"`, "grants", goodGrants,
	}
	for i := 0; i < len(changes); i += 2 {
		at := -1
		for j := 0; j < len(members); j += 2 {
			if members[j] == changes[i] {
				at = j
			}
		}
		switch {
		case at < 0:
			members = append(members, changes[i], changes[i+1])
		case changes[i+1] == "":
			members = append(members[:at:at], members[at+2:]...)
		default:
			members[at+1] = changes[i+1]
		}
	}
	var parts []string
	for i := 0; i < len(members); i += 2 {
		parts = append(parts, fmt.Sprintf("%q:%s", members[i], members[i+1]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

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

func TestVerify_RefusesMutations(t *testing.T) {
	b := newBench(t)
	now := b.now.Unix()
	num := func(n int64) string { return fmt.Sprint(n) }
	good := b.seal(b.header(), b.claims())
	parts := strings.Split(good, ".")
	public := b.key.Public().(ed25519.PublicKey)
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	head := func(format string, args ...any) string { return b.seal(fmt.Sprintf(format, args...), b.claims()) }
	kid := b.KeyID()
	hs256 := func(secret []byte) string {
		signed := b64([]byte(fmt.Sprintf(`{"alg":"HS256","kid":%q,"typ":"sightline-view+jwt"}`, kid))) + "." + parts[1]
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		return signed + "." + b64(mac.Sum(nil))
	}
	last := func(s string) string { // another spelling of the same bytes: the spare bits of the last character set
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		i := strings.IndexByte(alphabet, s[len(s)-1])
		return s[:len(s)-1] + string(alphabet[i^1])
	}
	flat, err := json.Marshal(map[string]string{"protected": parts[0], "payload": parts[1], "signature": parts[2]})
	if err != nil {
		t.Fatal(err)
	}
	claims := func(changes ...string) string { return b.seal(b.header(), b.claims(changes...)) }
	withText := func(payload string) string { return b.seal(b.header(), payload) }

	for _, tt := range []struct {
		name, token string
		want        error
	}{
		{"empty", "", auth.ErrMissing},
		{"word", "door", auth.ErrMalformed},
		{"dots", "..", auth.ErrMalformed},
		{"two parts", parts[0] + "." + parts[1], auth.ErrMalformed},
		{"four parts", good + "." + parts[2], auth.ErrMalformed},
		{"JWE's five parts", good + "." + parts[1] + "." + parts[2], auth.ErrMalformed},
		{"trailing dot", good + ".", auth.ErrMalformed},
		{"leading space", " " + good, auth.ErrMalformed},
		{"trailing newline", good + "\n", auth.ErrMalformed},
		{"newline inside", parts[0] + ".\n" + parts[1] + "." + parts[2], auth.ErrMalformed},
		{"carriage return inside", parts[0] + "." + parts[1] + "\r." + parts[2], auth.ErrMalformed},
		{"padding", good + "=", auth.ErrMalformed},
		{"padding in header", parts[0] + "==." + parts[1] + "." + parts[2], auth.ErrMalformed},
		{"standard alphabet", parts[0] + "." + parts[1] + ".+/" + parts[2][2:], auth.ErrMalformed},
		{"NUL", good + "\x00", auth.ErrMalformed},
		{"not ASCII", good + "é", auth.ErrMalformed},
		{"bearer in front", "Bearer " + good, auth.ErrMalformed},
		{"JSON JWS", string(flat), auth.ErrMalformed},
		{"over 4 KiB", claims("pad", `"`+strings.Repeat("x", 4096)+`"`), auth.ErrMalformed},
		{"1 MB", strings.Repeat("a", 1<<20), auth.ErrMalformed},

		{"empty signature", parts[0] + "." + parts[1] + ".", auth.ErrMalformed},
		{"empty payload", parts[0] + ".." + parts[2], auth.ErrMalformed},
		{"empty header", "." + parts[1] + "." + parts[2], auth.ErrMalformed},
		{"signature spelled otherwise", last(good), auth.ErrMalformed},
		{"signature cut", good[:len(good)-2], auth.ErrSignature},
		{"signature of zeros", parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)), auth.ErrSignature},
		{"first signature bit", parts[0] + "." + parts[1] + "." + flipFirst(parts[2]), auth.ErrSignature},
		{"payload changed", parts[0] + "." + b64([]byte(b.claims("sub", `"mallory"`))) + "." + parts[2], auth.ErrSignature},
		{"other key, our kid", sealWith(other, b.header(), b.claims()), auth.ErrSignature},
		{"other key, its own kid", sealWith(other, `{"alg":"EdDSA","kid":"AAAA","typ":"sightline-view+jwt"}`, b.claims()), auth.ErrUnknownKey},

		{"alg none", b64([]byte(fmt.Sprintf(`{"alg":"none","kid":%q,"typ":"sightline-view+jwt"}`, kid))) + "." + parts[1] + ".", auth.ErrForged},
		{"alg none, bare", b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", auth.ErrForged},
		{"alg nOnE", head(`{"alg":"nOnE","kid":%q,"typ":"sightline-view+jwt"}`, kid), auth.ErrForged},
		{"alg eddsa", head(`{"alg":"eddsa","kid":%q,"typ":"sightline-view+jwt"}`, kid), auth.ErrForged},
		{"alg Ed25519", head(`{"alg":"Ed25519","kid":%q,"typ":"sightline-view+jwt"}`, kid), auth.ErrForged},
		{"alg ES256", head(`{"alg":"ES256","kid":%q,"typ":"sightline-view+jwt"}`, kid), auth.ErrForged},
		{"alg empty", head(`{"alg":"","kid":%q,"typ":"sightline-view+jwt"}`, kid), auth.ErrForged},
		{"alg null", head(`{"alg":null,"kid":%q,"typ":"sightline-view+jwt"}`, kid), auth.ErrMalformed},
		{"alg missing", head(`{"kid":%q,"typ":"sightline-view+jwt"}`, kid), auth.ErrMalformed},
		{"alg number", head(`{"alg":1,"kid":%q,"typ":"sightline-view+jwt"}`, kid), auth.ErrMalformed},
		{"alg list", head(`{"alg":["EdDSA"],"kid":%q,"typ":"sightline-view+jwt"}`, kid), auth.ErrMalformed},
		{"alg twice", head(`{"alg":"EdDSA","alg":"none","kid":%q,"typ":"sightline-view+jwt"}`, kid), auth.ErrMalformed},
		{"ALG beside alg", head(`{"ALG":"none","alg":"EdDSA","kid":%q,"typ":"sightline-view+jwt"}`, kid), auth.ErrMalformed},
		{"HS256 with public key bytes", hs256(public), auth.ErrForged},
		{"HS256 with public key DER", hs256(spki), auth.ErrForged},
		{"HS256 with public key PEM", hs256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})), auth.ErrForged},

		{"kid missing", head(`{"alg":"EdDSA","typ":"sightline-view+jwt"}`), auth.ErrMalformed},
		{"kid unknown", head(`{"alg":"EdDSA","kid":"other","typ":"sightline-view+jwt"}`), auth.ErrUnknownKey},
		{"kid empty", head(`{"alg":"EdDSA","kid":"","typ":"sightline-view+jwt"}`), auth.ErrForged},
		{"kid path", head(`{"alg":"EdDSA","kid":"../../dev/null","typ":"sightline-view+jwt"}`), auth.ErrForged},
		{"kid SQL", head(`{"alg":"EdDSA","kid":"' or 1=1","typ":"sightline-view+jwt"}`), auth.ErrForged},
		{"kid URL", head(`{"alg":"EdDSA","kid":"https://evil.example/k","typ":"sightline-view+jwt"}`), auth.ErrForged},
		{"kid with NUL", head(`{"alg":"EdDSA","kid":"%s\u0000","typ":"sightline-view+jwt"}`, kid), auth.ErrForged},
		{"kid long", head(`{"alg":"EdDSA","kid":%q,"typ":"sightline-view+jwt"}`, strings.Repeat("k", 65)), auth.ErrForged},
		{"kid number", head(`{"alg":"EdDSA","kid":7,"typ":"sightline-view+jwt"}`), auth.ErrMalformed},

		{"jku", head(`{"alg":"EdDSA","kid":%q,"typ":"sightline-view+jwt","jku":"https://evil.example"}`, kid), auth.ErrForged},
		{"jwk", head(`{"alg":"EdDSA","kid":%q,"typ":"sightline-view+jwt","jwk":{"kty":"OKP","crv":"Ed25519","x":%q}}`, kid, b64(public)), auth.ErrForged},
		{"x5u", head(`{"alg":"EdDSA","kid":%q,"typ":"sightline-view+jwt","x5u":"https://evil.example"}`, kid), auth.ErrForged},
		{"x5c", head(`{"alg":"EdDSA","kid":%q,"typ":"sightline-view+jwt","x5c":["AA"]}`, kid), auth.ErrForged},
		{"b64", head(`{"alg":"EdDSA","kid":%q,"typ":"sightline-view+jwt","b64":false}`, kid), auth.ErrForged},
		{"crit", head(`{"alg":"EdDSA","kid":%q,"typ":"sightline-view+jwt","crit":["exp"]}`, kid), auth.ErrForged},
		{"crit empty", head(`{"alg":"EdDSA","kid":%q,"typ":"sightline-view+jwt","crit":[]}`, kid), auth.ErrForged},
		{"cty", head(`{"alg":"EdDSA","kid":%q,"typ":"sightline-view+jwt","cty":"JWT"}`, kid), auth.ErrForged},
		{"zip", head(`{"alg":"EdDSA","kid":%q,"typ":"sightline-view+jwt","zip":"DEF"}`, kid), auth.ErrForged},

		{"typ missing", head(`{"alg":"EdDSA","kid":%q}`, kid), auth.ErrMalformed},
		{"typ JWT", head(`{"alg":"EdDSA","kid":%q,"typ":"JWT"}`, kid), auth.ErrWrongKind},
		{"typ other case", head(`{"alg":"EdDSA","kid":%q,"typ":"Sightline-View+JWT"}`, kid), auth.ErrWrongKind},
		{"typ empty", head(`{"alg":"EdDSA","kid":%q,"typ":""}`, kid), auth.ErrWrongKind},
		{"header list", head(`[]`), auth.ErrMalformed},
		{"header null", head(`null`), auth.ErrMalformed},
		{"header with a tail", head(`%s{}`, b.header()), auth.ErrMalformed},
		{"header not UTF-8", head("{\"alg\":\"EdDSA\",\"kid\":\"\xff\",\"typ\":\"x\"}"), auth.ErrMalformed},
		{"header with BOM", head("\ufeff%s", b.header()), auth.ErrMalformed},

		{"payload empty object", withText(`{}`), auth.ErrMalformed},
		{"payload null", withText(`null`), auth.ErrMalformed},
		{"payload string", withText(`"sub"`), auth.ErrMalformed},
		{"payload with a tail", withText(b.claims() + `{}`), auth.ErrMalformed},
		{"payload comment", withText(`/**/` + b.claims()), auth.ErrMalformed},
		{"payload deep", claims("x", `[[[[[[1]]]]]]`), auth.ErrMalformed},
		{"payload very deep", withText(strings.Repeat("[", 700) + strings.Repeat("]", 700)), auth.ErrMalformed},
		{"no sub", claims("sub", ""), auth.ErrMalformed},
		{"no aud", claims("aud", ""), auth.ErrMalformed},
		{"no exp", claims("exp", ""), auth.ErrMalformed},
		{"no iat", claims("iat", ""), auth.ErrMalformed},
		{"no jti", claims("jti", ""), auth.ErrMalformed},
		{"no grants", claims("grants", ""), auth.ErrMalformed},
		{"sub null", claims("sub", "null"), auth.ErrMalformed},
		{"exp null", claims("exp", "null"), auth.ErrMalformed},
		{"sub empty", claims("sub", `""`), auth.ErrMalformed},
		{"sub number", claims("sub", `1`), auth.ErrMalformed},
		{"sub newline", claims("sub", `"a\nb"`), auth.ErrMalformed},
		{"sub right-to-left override", claims("sub", `"a\u202eb"`), auth.ErrMalformed},
		{"sub long", claims("sub", `"`+strings.Repeat("a", 257)+`"`), auth.ErrMalformed},
		{"aud other", claims("aud", `"elsewhere"`), auth.ErrWrongAudience},
		{"aud other case", claims("aud", `"Sightline"`), auth.ErrWrongAudience},
		{"aud empty", claims("aud", `""`), auth.ErrWrongAudience},
		{"aud list", claims("aud", `["sightline","elsewhere"]`), auth.ErrMalformed},
		{"jti short", claims("jti", `"1"`), auth.ErrMalformed},
		{"jti odd", claims("jti", `"0123456789abcde/"`), auth.ErrMalformed},

		{"exp twice", withText(strings.Replace(b.claims(), `"exp":`, `"exp":1,"exp":`, 1)), auth.ErrMalformed},
		{"EXP beside exp", claims("EXP", num(now+99999)), auth.ErrMalformed},
		{"Exp instead of exp", claims("exp", "", "Exp", num(now+10)), auth.ErrMalformed},
		{"long s in sub", claims("ſub", `"root"`), auth.ErrMalformed},
		{"escaped second exp", withText(strings.Replace(b.claims(), `"exp":`, `"\u0065xp":1,"exp":`, 1)), auth.ErrMalformed},
		{"unknown name twice", withText(strings.Replace(b.claims(), `"sub":`, `"x":1,"x":2,"sub":`, 1)), auth.ErrMalformed},
		{"actions twice", claims("grants", `[{"actions":["view"],"actions":["admin"],"streams":["door"]}]`), auth.ErrMalformed},
		{"Actions beside actions", claims("grants", `[{"actions":["view"],"Actions":["admin"],"streams":["door"]}]`), auth.ErrMalformed},

		{"exp float", claims("exp", num(now+10)+".5"), auth.ErrMalformed},
		{"exp whole float", claims("exp", num(now+10)+".0"), auth.ErrMalformed},
		{"exp exponent", claims("exp", "1.8e9"), auth.ErrMalformed},
		{"exp string", claims("exp", `"`+num(now+10)+`"`), auth.ErrMalformed},
		{"exp negative", claims("exp", "-1"), auth.ErrMalformed},
		{"exp zero", claims("exp", "0"), auth.ErrMalformed},
		{"exp huge", claims("exp", "99999999999999999999"), auth.ErrMalformed},
		{"exp 13 digits, milliseconds", claims("exp", num((now+10)*1000)), auth.ErrMalformed},
		{"exp bool", claims("exp", "true"), auth.ErrMalformed},
		{"exp before iat", claims("exp", num(now-1)), auth.ErrMalformed},
		{"iat float", claims("iat", num(now)+".1"), auth.ErrMalformed},
		{"nbf string", claims("nbf", `"soon"`), auth.ErrMalformed},
		{"expired now", claims("iat", num(now-10), "exp", num(now)), auth.ErrExpired},
		{"expired a second ago", claims("iat", num(now-10), "exp", num(now-1)), auth.ErrExpired},
		{"iat beyond leeway", claims("iat", num(now+31)), auth.ErrNotYetValid},
		{"nbf beyond leeway", claims("nbf", num(now+31)), auth.ErrNotYetValid},
		{"view over 24 h", claims("exp", num(now+24*3600+1)), auth.ErrLifetime},
		{"lifetime beyond an int64 of nanoseconds", claims("exp", "999999999999"), auth.ErrLifetime},

		{"grants null", claims("grants", "null"), auth.ErrMalformed},
		{"grants empty", claims("grants", "[]"), auth.ErrMalformed},
		{"grants object", claims("grants", "{}"), auth.ErrMalformed},
		{"grant empty", claims("grants", "[{}]"), auth.ErrMalformed},
		{"grant null", claims("grants", "[null]"), auth.ErrMalformed},
		{"no actions", claims("grants", `[{"actions":[],"streams":["door"]}]`), auth.ErrMalformed},
		{"no streams", claims("grants", `[{"actions":["view"],"streams":[]}]`), auth.ErrMalformed},
		{"unknown action", claims("grants", `[{"actions":["own"],"streams":["door"]}]`), auth.ErrMalformed},
		{"action in other case", claims("grants", `[{"actions":["View"],"streams":["door"]}]`), auth.ErrMalformed},
		{"bad pattern", claims("grants", `[{"actions":["view"],"streams":["d*r"]}]`), auth.ErrMalformed},
		{"view token with admin", claims("grants", `[{"actions":["admin"],"streams":["**"]}]`), auth.ErrMalformed},
		{"view token with publish beside view", claims("grants", `[{"actions":["view","publish"],"streams":["**"]}]`), auth.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := b.Verify(tt.token, auth.KindView)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if p.Subject != "" || p.Grants != nil {
				t.Errorf("refused, and yet a principal: %+v", p)
			}
			if reason := auth.Reason(err); reason != auth.Reason(tt.want) || reason == "internal" || reason == "" {
				t.Errorf("reason %q", reason)
			}
		})
	}
}

func sealWith(key ed25519.PrivateKey, header, payload string) string {
	return (&bench{key: key}).seal(header, payload)
}

func flipFirst(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

func TestVerify_TimeBounds(t *testing.T) {
	b := newBench(t)
	now := b.now.Unix()
	for shift := int64(-31); shift <= 31; shift++ {
		for _, claim := range []string{"iat", "nbf", "exp"} {
			t.Run(fmt.Sprintf("%s%+d", claim, shift), func(t *testing.T) {
				changes := []string{claim, fmt.Sprint(now + shift)}
				var want error
				switch claim {
				case "exp":
					changes = append(changes, "iat", fmt.Sprint(now-60))
					if shift <= 0 {
						want = auth.ErrExpired
					}
				default:
					if shift > 30 {
						want = auth.ErrNotYetValid
					}
				}
				if _, err := b.Verify(b.seal(b.header(), b.claims(changes...)), auth.KindView); !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
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
		auth.ErrWrongOrigin, auth.ErrTooMany, errors.New("other"),
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
