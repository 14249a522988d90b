// Package authtest makes tokens that must be refused, and says with which error: for the tests of everything that reads
// tokens, and for programs that attack a server. It owns no goroutines and opens nothing.
package authtest

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sightline/internal/auth"
)

// Maker makes tokens that auth.Authenticator.Mint would not: it signs any text. A copy with another Kind makes tokens of
// that kind.
type Maker struct {
	Key   ed25519.PrivateKey // the server's
	KeyID string
	Kind  auth.Kind // of the tokens it makes
	Now   time.Time // of the server's clock
	// Issuer makes tokens of another issuer: with that claim iss, and Kind as their typ. Not all mutations spoil those: what
	// auth asks of a token's ID, audience and size it asks of its own.
	Issuer string
}

// Mutation is a token, and what must become of it.
type Mutation struct {
	Name  string
	Token string
	Want  error // what the refusal wraps; nil where the token must be accepted
}

// Action is what the tokens of m allow.
func (m Maker) Action() auth.Action {
	for _, a := range []auth.Action{auth.View, auth.Publish, auth.Admin} {
		if auth.KindFor(a) == m.Kind {
			return a
		}
	}
	return auth.View
}

// Seal signs any header and payload text.
func (m Maker) Seal(header, payload string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	return signed + "." + b64(ed25519.Sign(m.Key, []byte(signed)))
}

// Header is a valid header.
func (m Maker) Header() string {
	return fmt.Sprintf(`{"alg":"EdDSA","kid":%q,"typ":%q}`, m.KeyID, m.Kind)
}

// Claims is a valid payload of an hour's life for the stream door, with members replaced, added (by new names) or removed
// (by an empty value): names and JSON values in turn.
func (m Maker) Claims(changes ...string) string {
	now := m.Now.Unix()
	members := []string{
		"sub", `"alice"`, "aud", `"sightline"`, "exp", num(now + 3600), "iat", num(now),
		"jti", `"0123456789abcdef"`, "grants", fmt.Sprintf(`[{"actions":[%q],"streams":["door"]}]`, m.Action()),
	}
	if m.Issuer != "" {
		members = append(members, "iss", fmt.Sprintf("%q", m.Issuer))
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

// Good is the token that all mutations start from: were it refused, they would prove nothing.
func (m Maker) Good() string { return m.Seal(m.Header(), m.Claims()) }

// Mutations are well over a hundred ways to spoil Good. Each must be refused by every reader of tokens: with the error it
// names by the one whose kind it is, and with any of the refusals by others.
func (m Maker) Mutations() ([]Mutation, error) {
	now := m.Now.Unix()
	action := string(m.Action())
	good := m.Good()
	parts := strings.Split(good, ".")
	public, ok := m.Key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the public half is a %T", m.Key.Public())
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("another key: %w", err)
	}
	stranger := m
	stranger.Key = other
	flat, err := json.Marshal(map[string]string{"protected": parts[0], "payload": parts[1], "signature": parts[2]})
	if err != nil {
		return nil, fmt.Errorf("JSON form: %w", err)
	}
	kid := m.KeyID
	head := func(format string, args ...any) string { return m.Seal(fmt.Sprintf(format, args...), m.Claims()) }
	claims := func(changes ...string) string { return m.Seal(m.Header(), m.Claims(changes...)) }
	withText := func(payload string) string { return m.Seal(m.Header(), payload) }
	hs256 := func(secret []byte) string {
		signed := b64(fmt.Appendf(nil, `{"alg":"HS256","kid":%q,"typ":%q}`, kid, m.Kind)) + "." + parts[1]
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		return signed + "." + b64(mac.Sum(nil))
	}
	return []Mutation{
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
		{"signature spelled otherwise", otherwise(good), auth.ErrMalformed},
		{"signature cut", good[:len(good)-2], auth.ErrSignature},
		{"signature of zeros", parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)), auth.ErrSignature},
		{"first signature bit", parts[0] + "." + parts[1] + "." + flipFirst(parts[2]), auth.ErrSignature},
		{"payload changed", parts[0] + "." + b64([]byte(m.Claims("sub", `"mallory"`))) + "." + parts[2], auth.ErrSignature},
		{"other key, our kid", stranger.Seal(m.Header(), m.Claims()), auth.ErrSignature},
		{"other key, its own kid", stranger.Seal(fmt.Sprintf(`{"alg":"EdDSA","kid":"AAAA","typ":%q}`, m.Kind), m.Claims()), auth.ErrUnknownKey},

		{"alg none", b64(fmt.Appendf(nil, `{"alg":"none","kid":%q,"typ":%q}`, kid, m.Kind)) + "." + parts[1] + ".", auth.ErrForged},
		{"alg none, bare", b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", auth.ErrForged},
		{"alg nOnE", head(`{"alg":"nOnE","kid":%q,"typ":%q}`, kid, m.Kind), auth.ErrForged},
		{"alg eddsa", head(`{"alg":"eddsa","kid":%q,"typ":%q}`, kid, m.Kind), auth.ErrForged},
		{"alg Ed25519", head(`{"alg":"Ed25519","kid":%q,"typ":%q}`, kid, m.Kind), auth.ErrForged},
		{"alg ES256", head(`{"alg":"ES256","kid":%q,"typ":%q}`, kid, m.Kind), auth.ErrForged},
		{"alg empty", head(`{"alg":"","kid":%q,"typ":%q}`, kid, m.Kind), auth.ErrForged},
		{"alg null", head(`{"alg":null,"kid":%q,"typ":%q}`, kid, m.Kind), auth.ErrMalformed},
		{"alg missing", head(`{"kid":%q,"typ":%q}`, kid, m.Kind), auth.ErrMalformed},
		{"alg number", head(`{"alg":1,"kid":%q,"typ":%q}`, kid, m.Kind), auth.ErrMalformed},
		{"alg list", head(`{"alg":["EdDSA"],"kid":%q,"typ":%q}`, kid, m.Kind), auth.ErrMalformed},
		{"alg twice", head(`{"alg":"EdDSA","alg":"none","kid":%q,"typ":%q}`, kid, m.Kind), auth.ErrMalformed},
		{"ALG beside alg", head(`{"ALG":"none","alg":"EdDSA","kid":%q,"typ":%q}`, kid, m.Kind), auth.ErrMalformed},
		{"HS256 with public key bytes", hs256(public), auth.ErrForged},
		{"HS256 with public key DER", hs256(spki), auth.ErrForged},
		{"HS256 with public key PEM", hs256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})), auth.ErrForged},

		{"kid missing", head(`{"alg":"EdDSA","typ":%q}`, m.Kind), auth.ErrMalformed},
		{"kid unknown", head(`{"alg":"EdDSA","kid":"other","typ":%q}`, m.Kind), auth.ErrUnknownKey},
		{"kid empty", head(`{"alg":"EdDSA","kid":"","typ":%q}`, m.Kind), auth.ErrForged},
		{"kid path", head(`{"alg":"EdDSA","kid":"../../dev/null","typ":%q}`, m.Kind), auth.ErrForged},
		{"kid SQL", head(`{"alg":"EdDSA","kid":"' or 1=1","typ":%q}`, m.Kind), auth.ErrForged},
		{"kid URL", head(`{"alg":"EdDSA","kid":"https://evil.example/k","typ":%q}`, m.Kind), auth.ErrForged},
		{"kid with NUL", head(`{"alg":"EdDSA","kid":"%s\u0000","typ":%q}`, kid, m.Kind), auth.ErrForged},
		{"kid long", head(`{"alg":"EdDSA","kid":%q,"typ":%q}`, strings.Repeat("k", 65), m.Kind), auth.ErrForged},
		{"kid number", head(`{"alg":"EdDSA","kid":7,"typ":%q}`, m.Kind), auth.ErrMalformed},

		{"jku", head(`{"alg":"EdDSA","kid":%q,"typ":%q,"jku":"https://evil.example"}`, kid, m.Kind), auth.ErrForged},
		{"jwk", head(`{"alg":"EdDSA","kid":%q,"typ":%q,"jwk":{"kty":"OKP","crv":"Ed25519","x":%q}}`, kid, m.Kind, b64(public)), auth.ErrForged},
		{"x5u", head(`{"alg":"EdDSA","kid":%q,"typ":%q,"x5u":"https://evil.example"}`, kid, m.Kind), auth.ErrForged},
		{"x5c", head(`{"alg":"EdDSA","kid":%q,"typ":%q,"x5c":["AA"]}`, kid, m.Kind), auth.ErrForged},
		{"b64", head(`{"alg":"EdDSA","kid":%q,"typ":%q,"b64":false}`, kid, m.Kind), auth.ErrForged},
		{"crit", head(`{"alg":"EdDSA","kid":%q,"typ":%q,"crit":["exp"]}`, kid, m.Kind), auth.ErrForged},
		{"crit empty", head(`{"alg":"EdDSA","kid":%q,"typ":%q,"crit":[]}`, kid, m.Kind), auth.ErrForged},
		{"cty", head(`{"alg":"EdDSA","kid":%q,"typ":%q,"cty":"JWT"}`, kid, m.Kind), auth.ErrForged},
		{"zip", head(`{"alg":"EdDSA","kid":%q,"typ":%q,"zip":"DEF"}`, kid, m.Kind), auth.ErrForged},

		{"typ missing", head(`{"alg":"EdDSA","kid":%q}`, kid), auth.ErrMalformed},
		{"typ JWT", head(`{"alg":"EdDSA","kid":%q,"typ":"JWT"}`, kid), auth.ErrWrongKind},
		{"typ other case", head(`{"alg":"EdDSA","kid":%q,"typ":"Sightline-View+JWT"}`, kid), auth.ErrWrongKind},
		{"typ empty", head(`{"alg":"EdDSA","kid":%q,"typ":""}`, kid), auth.ErrWrongKind},
		{"header list", head(`[]`), auth.ErrMalformed},
		{"header null", head(`null`), auth.ErrMalformed},
		{"header with a tail", head(`%s{}`, m.Header()), auth.ErrMalformed},
		{"header not UTF-8", head("%s", "{\"alg\":\"EdDSA\",\"kid\":\"\xff\",\"typ\":\"x\"}"), auth.ErrMalformed},
		{"header with BOM", head("\ufeff%s", m.Header()), auth.ErrMalformed},

		{"payload empty object", withText(`{}`), auth.ErrMalformed},
		{"payload null", withText(`null`), auth.ErrMalformed},
		{"payload string", withText(`"sub"`), auth.ErrMalformed},
		{"payload with a tail", withText(m.Claims() + `{}`), auth.ErrMalformed},
		{"payload comment", withText(`/**/` + m.Claims()), auth.ErrMalformed},
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

		{"exp twice", withText(strings.Replace(m.Claims(), `"exp":`, `"exp":1,"exp":`, 1)), auth.ErrMalformed},
		{"EXP beside exp", claims("EXP", num(now+99999)), auth.ErrMalformed},
		{"Exp instead of exp", claims("exp", "", "Exp", num(now+10)), auth.ErrMalformed},
		{"long s in sub", claims("ſub", `"root"`), auth.ErrMalformed},
		{"escaped second exp", withText(strings.Replace(m.Claims(), `"exp":`, `"\u0065xp":1,"exp":`, 1)), auth.ErrMalformed},
		{"unknown name twice", withText(strings.Replace(m.Claims(), `"sub":`, `"x":1,"x":2,"sub":`, 1)), auth.ErrMalformed},
		{"actions twice", claims("grants", `[{"actions":["`+action+`"],"actions":["admin"],"streams":["door"]}]`), auth.ErrMalformed},
		{"Actions beside actions", claims("grants", `[{"actions":["`+action+`"],"Actions":["admin"],"streams":["door"]}]`), auth.ErrMalformed},

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
		{"life over every policy", claims("exp", num(now+400*24*3600)), auth.ErrLifetime},
		{"lifetime beyond an int64 of nanoseconds", claims("exp", "999999999999"), auth.ErrLifetime},

		{"grants null", claims("grants", "null"), auth.ErrMalformed},
		{"grants empty", claims("grants", "[]"), auth.ErrMalformed},
		{"grants object", claims("grants", "{}"), auth.ErrMalformed},
		{"grant empty", claims("grants", "[{}]"), auth.ErrMalformed},
		{"grant null", claims("grants", "[null]"), auth.ErrMalformed},
		{"no actions", claims("grants", `[{"actions":[],"streams":["door"]}]`), auth.ErrMalformed},
		{"no streams", claims("grants", `[{"actions":["`+action+`"],"streams":[]}]`), auth.ErrMalformed},
		{"unknown action", claims("grants", `[{"actions":["own"],"streams":["door"]}]`), auth.ErrMalformed},
		{"action in other case", claims("grants", `[{"actions":["View"],"streams":["door"]}]`), auth.ErrMalformed},
		{"bad pattern", claims("grants", `[{"actions":["`+action+`"],"streams":["d*r"]}]`), auth.ErrMalformed},
	}, nil
}

// Times are tokens whose times lie within 31 s of the bounds, on either side: iat, nbf and exp each second.
func (m Maker) Times() []Mutation {
	now := m.Now.Unix()
	var list []Mutation
	for shift := int64(-31); shift <= 31; shift++ {
		for _, claim := range []string{"iat", "nbf", "exp"} {
			changes := []string{claim, num(now + shift)}
			var want error
			switch {
			case claim == "exp":
				changes = append(changes, "iat", num(now-60))
				if shift <= 0 {
					want = auth.ErrExpired
				}
			case shift > int64(auth.Leeway/time.Second):
				want = auth.ErrNotYetValid
			}
			list = append(list, Mutation{fmt.Sprintf("%s%+d", claim, shift), m.Seal(m.Header(), m.Claims(changes...)), want})
		}
	}
	return list
}

// otherwise is another spelling of the same bytes: the spare bits of the last character set.
func otherwise(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[i^1])
}

func flipFirst(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func num(n int64) string { return strconv.FormatInt(n, 10) }
