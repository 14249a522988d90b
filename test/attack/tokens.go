//go:build linux

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"strings"
	"time"
)

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decode64(s string) []byte {
	b, _ := base64.RawURLEncoding.DecodeString(s)
	return b
}

// door is one way in that takes tokens.
type door struct {
	name, event string
	typ, action string
	request     request
	cookie      bool // carries the token, where a bearer header does elsewhere
}

func (d door) with(token string) request {
	r := d.request
	line := bearer(token)
	if d.cookie {
		line = "Cookie: __Host-sightline=" + token
	}
	r.header = append([]string{line}, r.header...)
	return r
}

func tokenDoors(t *target) []door {
	view, publish, admin, session := "sightline-view+jwt", "sightline-publish+jwt", "sightline-admin+jwt", "sightline-session+jwt"
	ours := "Origin: " + t.origin
	return []door{
		{name: "watch", event: "watch", typ: view, action: "view", request: upgrade("/ws/watch/door")},
		{name: "publish", event: "publish", typ: publish, action: "publish", request: upgrade("/ws/publish/pub/token")},
		{name: "session", event: "api", typ: view, action: "view", request: request{path: "/api/v1/session"}},
		{name: "streams", event: "api", typ: view, action: "view", request: request{path: "/api/v1/streams"}},
		{name: "tickets", event: "ticket", typ: view, action: "view", request: request{method: "POST", path: "/api/v1/tickets", body: `{"stream":"door","action":"view"}`}},
		{name: "codes", event: "code", typ: admin, action: "admin", request: request{method: "POST", path: "/api/v1/codes"}},
		{name: "mjpeg", event: "mjpeg", typ: view, action: "view", request: request{path: "/mjpeg/door"}},
		{name: "snapshot", event: "snapshot", typ: view, action: "view", request: request{path: "/api/v1/streams/door/snapshot.jpg"}},
		{name: "cookie", event: "api", typ: session, action: "view", request: request{path: "/api/v1/session"}, cookie: true},
		{name: "cookie-watch", event: "watch", typ: session, action: "view", request: upgrade("/ws/watch/door", ours), cookie: true},
	}
}

// forge makes one token that is wrong in one way.
type forge struct {
	t      *target
	door   door
	header map[string]any
	claims map[string]any
	key    ed25519.PrivateKey
	now    int64
}

func (t *target) forge(d door) *forge {
	now := time.Now().Unix()
	return &forge{
		t: t, door: d, key: t.key, now: now,
		header: map[string]any{"alg": "EdDSA", "kid": t.kid, "typ": d.typ},
		claims: map[string]any{
			"sub": "mallory", "aud": "sightline", "iat": now, "exp": now + 600, "jti": encode64(random(24)),
			"grants": []any{map[string]any{"actions": []string{d.action}, "streams": []string{"**"}}},
		},
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// sign puts raw header and payload into a token, signed as the key does.
func (f *forge) sign(header, payload []byte) string {
	signed := encode64(header) + "." + encode64(payload)
	return signed + "." + encode64(ed25519.Sign(f.key, []byte(signed)))
}

func (f *forge) whole() string { return f.sign(asJSON(f.header), asJSON(f.claims)) }

// hmacWith signs with a secret, as the header says no honest token is.
func (f *forge) hmacWith(secret []byte) string {
	f.header["alg"] = "HS256"
	signed := encode64(asJSON(f.header)) + "." + encode64(asJSON(f.claims))
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(signed))
	return signed + "." + encode64(m.Sum(nil))
}

func asJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own maps always can
	}
	return b
}

// mutator is one way in which a token is wrong, with the reason that is due for it.
type mutator struct {
	name, reason string
	cookie       string // the reason where a cookie carries it; "": the same
	make         func(f *forge) string
}

func header(name string, value any) func(*forge) string {
	return func(f *forge) string {
		h := maps.Clone(f.header)
		h[name] = value
		return f.sign(asJSON(h), asJSON(f.claims))
	}
}

func claim(name string, value func(f *forge) any) func(*forge) string {
	return func(f *forge) string {
		f.claims[name] = value(f)
		return f.whole()
	}
}

func fixed(v any) func(*forge) any { return func(*forge) any { return v } }

func without(name string) func(*forge) string {
	return func(f *forge) string {
		delete(f.claims, name)
		return f.whole()
	}
}

// payload signs a payload that replaces old by new in what an honest one would be.
func payload(change func(f *forge, s string) string) func(*forge) string {
	return func(f *forge) string {
		return f.sign(asJSON(f.header), []byte(change(f, string(asJSON(f.claims)))))
	}
}

func rawHeader(change func(f *forge, s string) string) func(*forge) string {
	return func(f *forge) string {
		return f.sign([]byte(change(f, string(asJSON(f.header)))), asJSON(f.claims))
	}
}

// addMember puts members in front of those of a JSON object.
func addMember(members string) func(*forge, string) string {
	return func(_ *forge, s string) string { return "{" + members + "," + s[1:] }
}

func whole(change func(f *forge, token string) string) func(*forge) string {
	return func(f *forge) string { return change(f, f.whole()) }
}

func parts(f *forge) (h, p, s string) {
	list := strings.Split(f.whole(), ".")
	return list[0], list[1], list[2]
}

func mutators() []mutator {
	der := func(f *forge) []byte {
		b, err := x509.MarshalPKIXPublicKey(f.key.Public())
		if err != nil {
			panic(err)
		}
		return b
	}
	raw := func(f *forge) []byte { return f.key.Public().(ed25519.PublicKey) }
	_, stranger, _ := ed25519.GenerateKey(rand.Reader)
	list := []mutator{
		{"alg none, no signature", "forged", "", func(f *forge) string {
			f.header["alg"] = "none"
			return encode64(asJSON(f.header)) + "." + encode64(asJSON(f.claims)) + "."
		}},
		{"alg none, two parts", "malformed", "", func(f *forge) string {
			f.header["alg"] = "none"
			return encode64(asJSON(f.header)) + "." + encode64(asJSON(f.claims))
		}},
		{"HS256 with the PEM", "forged", "", func(f *forge) string {
			return f.hmacWith(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der(f)}))
		}},
		{"HS256 with the DER", "forged", "", func(f *forge) string { return f.hmacWith(der(f)) }},
		{"HS256 with the raw key", "forged", "", func(f *forge) string { return f.hmacWith(raw(f)) }},
		{"HS256 with the JWK", "forged", "", func(f *forge) string {
			return f.hmacWith(asJSON(map[string]string{"kty": "OKP", "crv": "Ed25519", "x": encode64(raw(f))}))
		}},
		{"HS256 with nothing", "forged", "", func(f *forge) string { return f.hmacWith(nil) }},
		{"HS256 with the key's name", "forged", "", func(f *forge) string { return f.hmacWith([]byte(f.t.kid)) }},
		{"kid missing", "malformed", "", func(f *forge) string { delete(f.header, "kid"); return f.whole() }},
		{"alg missing", "malformed", "", func(f *forge) string { delete(f.header, "alg"); return f.whole() }},
		{"typ missing", "malformed", "", func(f *forge) string { delete(f.header, "typ"); return f.whole() }},
		{"crit", "forged", "", header("crit", []string{"b64"})},
		{"b64 false", "forged", "", header("b64", false)},
		{"jku", "forged", "", header("jku", "https://evil.example/jwks.json")},
		{"jku to itself", "forged", "", header("jku", "https://127.0.0.1/jwks.json")},
		{"x5u", "forged", "", header("x5u", "https://evil.example/cert.pem")},
		{"x5c", "forged", "", header("x5c", []string{"MIIB"})},
		{"x5t", "forged", "", header("x5t", "AAAA")},
		{"zip", "forged", "", header("zip", "DEF")},
		{"cty", "forged", "", header("cty", "JWT")},
		{"enc", "forged", "", header("enc", "A256GCM")},
		{"jwk of the stranger's key", "forged", "", func(f *forge) string {
			f.key = stranger
			f.header["jwk"] = map[string]string{"kty": "OKP", "crv": "Ed25519", "x": encode64(raw(f))}
			return f.whole()
		}},
		{"alg twice", "malformed", "", rawHeader(addMember(`"alg":"none"`))},
		{"kid twice", "malformed", "", rawHeader(addMember(`"kid":"other"`))},
		{"ALG beside alg", "malformed", "", rawHeader(addMember(`"ALG":"none"`))},
		{"Kid for kid", "malformed", "", rawHeader(func(_ *forge, s string) string { return strings.Replace(s, `"kid"`, `"Kid"`, 1) })},
		{"header with a second value", "malformed", "", rawHeader(func(_ *forge, s string) string { return s + "{}" })},
		{"header is a list", "malformed", "", rawHeader(func(_ *forge, s string) string { return "[" + s + "]" })},
		{"header is no JSON", "malformed", "", rawHeader(func(_ *forge, s string) string { return s[1:] })},
		{"header nests deeply", "malformed", "", rawHeader(addMember(`"x":` + strings.Repeat("[", 300) + strings.Repeat("]", 300)))},
		{"JSON serialisation", "malformed", "missing", func(f *forge) string {
			h, p, s := parts(f)
			return fmt.Sprintf(`{"payload":"%s","protected":"%s","signature":"%s"}`, p, h, s)
		}},
		{"five parts, as encrypted ones have", "malformed", "", whole(func(_ *forge, s string) string { return s + ".AAAA.AAAA" })},
		{"detached payload", "malformed", "", func(f *forge) string { h, _, s := parts(f); return h + ".." + s }},
		{"no signature", "malformed", "", func(f *forge) string { h, p, _ := parts(f); return h + "." + p + "." }},
		{"padding", "malformed", "", func(f *forge) string { h, p, s := parts(f); return h + "=." + p + "." + s + "==" }},
		{"base64 that is not for addresses", "malformed", "", whole(func(_ *forge, s string) string { return s[:len(s)-2] + "+/" })},
		{"a space inside", "malformed", "", whole(func(_ *forge, s string) string { return s[:20] + " " + s[20:] })},
		{"a tab inside", "malformed", "missing", whole(func(_ *forge, s string) string { return s[:20] + "\t" + s[20:] })},
		{"an escaped newline inside", "malformed", "", whole(func(_ *forge, s string) string { return s[:20] + "%0A" + s[20:] })},
		{"a letter that looks the same", "malformed", "missing", whole(func(_ *forge, s string) string { return s[:20] + "а" + s[21:] })},
		{"spare bits of the last letter set", "malformed", "", func(f *forge) string {
			h, p, s := parts(f)
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			return h + "." + p + "." + s[:len(s)-1] + string(alphabet[strings.IndexByte(alphabet, s[len(s)-1])|1])
		}},
		{"a trailing dot", "malformed", "", whole(func(_ *forge, s string) string { return s + "." })},
		{"a leading dot", "malformed", "", whole(func(_ *forge, s string) string { return "." + s })},
		{"two tokens", "malformed", "", whole(func(_ *forge, s string) string { return s + "," + s })},
		{"quoted", "malformed", "malformed", whole(func(_ *forge, s string) string { return "'" + s + "'" })},
		{"over 4 KiB", "malformed", "", func(f *forge) string { f.claims["x"] = strings.Repeat("x", 4096); return f.whole() }},
		{"10 KB of kid", "malformed", "", header("kid", strings.Repeat("k", 10_000))},
		{"truncated by one", "bad-signature", "", func(f *forge) string {
			// One byte, not one letter: what is left is well-formed.
			h, p, s := parts(f)
			return h + "." + p + "." + encode64(decode64(s)[:63])
		}},
		{"half of it", "malformed", "", whole(func(_ *forge, s string) string { return s[:len(s)/2] })},
		{"one bit of the signature", "bad-signature", "", func(f *forge) string {
			h, p, s := parts(f)
			b := decode64(s)
			b[10] ^= 4
			return h + "." + p + "." + encode64(b)
		}},
		{"one bit of the payload", "bad-signature", "", func(f *forge) string {
			h, p, s := parts(f)
			b := decode64(p)
			b[len(b)-20] ^= 1
			return h + "." + encode64(b) + "." + s
		}},
		{"signature of zeroes", "bad-signature", "", func(f *forge) string { h, p, _ := parts(f); return h + "." + p + "." + encode64(make([]byte, 64)) }},
		{"signature over the payload alone", "bad-signature", "", func(f *forge) string {
			h, p, _ := parts(f)
			return h + "." + p + "." + encode64(ed25519.Sign(f.key, []byte(p)))
		}},
		{"S beyond the order of the curve", "bad-signature", "", func(f *forge) string {
			h, p, s := parts(f)
			b := decode64(s)
			addOrder(b[32:])
			return h + "." + p + "." + encode64(b)
		}},
		{"signed by a stranger under our kid", "bad-signature", "", func(f *forge) string { f.key = stranger; return f.whole() }},
		{"another's kid", "unknown-key", "", header("kid", "another-key")},
		{"our kid and one letter", "unknown-key", "", func(f *forge) string { f.header["kid"] = f.t.kid + "A"; return f.whole() }},
		{"typ JWT", "wrong-kind", "", header("typ", "JWT")},
		{"typ at+jwt", "wrong-kind", "", header("typ", "at+jwt")},
		{"typ empty", "wrong-kind", "", header("typ", "")},
		{"typ in capitals", "wrong-kind", "", func(f *forge) string { f.header["typ"] = strings.ToUpper(f.door.typ); return f.whole() }},
		{"typ with a space", "wrong-kind", "", func(f *forge) string { f.header["typ"] = f.door.typ + " "; return f.whole() }},
		{"no audience", "malformed", "", without("aud")},
		{"another audience", "wrong-audience", "", claim("aud", fixed("other"))},
		{"audience in capitals", "wrong-audience", "", claim("aud", fixed("Sightline"))},
		{"empty audience", "wrong-audience", "", claim("aud", fixed(""))},
		{"a list of audiences", "malformed", "", claim("aud", fixed([]string{"sightline", "other"}))},
		{"no exp", "malformed", "", without("exp")},
		{"no iat", "malformed", "", without("iat")},
		{"no jti", "malformed", "", without("jti")},
		{"no sub", "malformed", "", without("sub")},
		{"no grants", "malformed", "", without("grants")},
		{"exp null", "malformed", "", claim("exp", fixed(nil))},
		{"exp a float", "malformed", "", claim("exp", func(f *forge) any { return float64(f.now) + 600.5 })},
		{"exp with an exponent", "malformed", "", claim("exp", fixed(json.RawMessage("9e9")))},
		{"exp as text", "malformed", "", claim("exp", func(f *forge) any { return fmt.Sprint(f.now + 600) })},
		{"exp true", "malformed", "", claim("exp", fixed(true))},
		{"exp negative", "malformed", "", claim("exp", fixed(-1))},
		{"exp over 64 bits", "malformed", "", claim("exp", fixed(json.RawMessage("18446744073709551616")))},
		{"exp with a leading zero", "malformed", "", payload(func(f *forge, s string) string {
			return strings.Replace(s, fmt.Sprintf(`"exp":%d`, f.now+600), fmt.Sprintf(`"exp":0%d`, f.now+600), 1)
		})},
		{"exp of today's year", "malformed", "", claim("exp", fixed(2026))},
		{"exp before iat", "malformed", "", claim("exp", func(f *forge) any { return f.now - 1 })},
		{"expired a second ago", "expired", "", func(f *forge) string { f.claims["iat"], f.claims["exp"] = f.now-600, f.now-1; return f.whole() }},
		{"expired now", "expired", "", func(f *forge) string { f.claims["iat"], f.claims["exp"] = f.now-600, f.now; return f.whole() }},
		{"expired within the leeway", "expired", "", func(f *forge) string { f.claims["iat"], f.claims["exp"] = f.now-600, f.now-20; return f.whole() }},
		{"lives a century", "lifetime", "", claim("exp", func(f *forge) any { return f.now + 100*365*86400 })},
		{"lives a second too long for any kind", "lifetime", "", claim("exp", func(f *forge) any { return f.now + 30*86400 + 1 })},
		{"exp in milliseconds", "lifetime", "", claim("exp", func(f *forge) any { return f.now * 10 })},
		{"nbf in an hour", "not-yet-valid", "", claim("nbf", func(f *forge) any { return f.now + 3600 })},
		{"nbf just beyond the leeway", "not-yet-valid", "", claim("nbf", func(f *forge) any { return f.now + 40 })},
		{"nbf as text", "malformed", "", claim("nbf", fixed("0"))},
		{"iat in an hour", "not-yet-valid", "", func(f *forge) string { f.claims["iat"], f.claims["exp"] = f.now+3600, f.now+4200; return f.whole() }},
		{"iat a float", "malformed", "", claim("iat", fixed(1.5))},
		{"iat negative", "malformed", "", claim("iat", fixed(-5))},
		{"jti too short", "malformed", "", claim("jti", fixed("1"))},
		{"jti a number", "malformed", "", claim("jti", fixed(12345678901234567))},
		{"jti of SQL", "malformed", "", claim("jti", fixed("' OR '1'='1' -- aaaaaaa"))},
		{"sub empty", "malformed", "", claim("sub", fixed(""))},
		{"sub a list", "malformed", "", claim("sub", fixed([]string{"a"}))},
		{"sub with a newline", "malformed", "", claim("sub", fixed("mallory\nadmin"))},
		{"sub of 257 bytes", "malformed", "", claim("sub", fixed(strings.Repeat("m", 257)))},
		{"sub twice", "malformed", "", payload(addMember(`"sub":"admin"`))},
		{"EXP beside exp", "malformed", "", payload(addMember(`"EXP":9999999999`))},
		{"exp twice", "malformed", "", payload(addMember(`"exp":9999999999`))},
		{"Grants beside grants", "malformed", "", payload(addMember(`"Grants":[]`))},
		{"a claim's letter escaped, twice", "malformed", "", payload(addMember(`"\u0065xp":9999999999`))},
		{"grants empty", "malformed", "", claim("grants", fixed([]any{}))},
		{"grants null", "malformed", "", claim("grants", fixed(nil))},
		{"grants an object", "malformed", "", claim("grants", fixed(map[string]any{"actions": []string{"view"}, "streams": []string{"**"}}))},
		{"grants every action", "malformed", "malformed", claim("grants", fixed([]any{map[string]any{"actions": []string{"view", "publish", "admin", "root"}, "streams": []string{"**"}}}))},
		{"grants the action *", "malformed", "", claim("grants", fixed([]any{map[string]any{"actions": []string{"*"}, "streams": []string{"**"}}}))},
		{"grants a path", "malformed", "", claim("grants", fixed([]any{map[string]any{"actions": []string{"view"}, "streams": []string{"../**"}}}))},
		{"grants no stream", "malformed", "", claim("grants", fixed([]any{map[string]any{"actions": []string{"view"}, "streams": []string{}}}))},
		{"payload no JSON", "malformed", "", payload(func(_ *forge, s string) string { return s[:len(s)-1] })},
		{"payload with a second value", "malformed", "", payload(func(_ *forge, s string) string { return s + s })},
		{"payload with a byte order mark", "malformed", "", payload(func(_ *forge, s string) string { return "\ufeff" + s })},
		{"payload no UTF-8", "malformed", "", payload(func(_ *forge, s string) string { return strings.Replace(s, "mallory", "mall\xffory", 1) })},
		{"payload nests deeply", "malformed", "", payload(addMember(`"x":` + strings.Repeat("[", 500) + strings.Repeat("]", 500)))},
		{"payload a list", "malformed", "", payload(func(_ *forge, s string) string { return "[" + s + "]" })},
		{"payload a text", "malformed", "", payload(func(*forge, string) string { return `"sub"` })},
		{"empty", "malformed", "missing", func(*forge) string { return "" }},
		{"null", "malformed", "", func(*forge) string { return "null" }},
		{"the word undefined", "malformed", "", func(*forge) string { return "undefined" }},
		{"a point of another curve", "bad-signature", "", func(f *forge) string {
			h, p, _ := parts(f)
			x, y := elliptic.P256().Params().Gx, elliptic.P256().Params().Gy
			return h + "." + p + "." + encode64(append(x.FillBytes(make([]byte, 32)), y.FillBytes(make([]byte, 32))...))
		}},
	}
	for _, alg := range []string{"nOnE", "NONE", "", "eddsa", "EdDSA ", "Ed25519", "HS384", "HS512", "RS256", "RS512", "PS256", "ES256", "ES256K", "ES384", "A128KW", "PBES2-HS256+A128KW", "dir"} {
		list = append(list, mutator{"alg " + fmt.Sprintf("%q", alg), "forged", "", header("alg", alg)})
	}
	for _, kid := range []string{
		"", "../../etc/passwd", "/dev/null", "' OR 1=1 --", "https://evil.example/key", "key;ls", "key|id", "$(id)", "key\x00", "key\n", "%2e%2e", strings.Repeat("k", 65), "ключ",
	} {
		list = append(list, mutator{"kid " + fmt.Sprintf("%.24q", kid), "forged", "", header("kid", kid)})
	}
	return list
}

// addOrder adds the order of Ed25519's group to a number in little endian: the same point, another signature (RFC 8032, section 8.4).
func addOrder(s []byte) {
	order := [32]byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10}
	carry := 0
	for i := range s {
		n := int(s[i]) + int(order[i]) + carry
		s[i], carry = byte(n), n>>8
	}
}

// tokenCases are all mutators at all doors.
func tokenCases(_ context.Context, t *target, _ plan) ([]*testCase, error) {
	var cases []*testCase
	for _, d := range tokenDoors(t) {
		for _, m := range mutators() {
			reason := m.reason
			if d.cookie && m.cookie != "" {
				reason = m.cookie
			}
			want := refused(d.event, reason)
			cases = append(cases, &testCase{class: "token", group: d.name, name: d.name + ": " + m.name, try: func(_ context.Context, v *visitor) (outcome, error) {
				token := m.make(t.forge(d))
				t.secret.add(token)
				a, err := v.ask(d.with(token))
				return judge(a, err, want)
			}})
		}
		for _, typ := range []string{"sightline-view+jwt", "sightline-publish+jwt", "sightline-admin+jwt", "sightline-session+jwt"} {
			if typ == d.typ || d.event == "api" && !d.cookie && typ != "sightline-session+jwt" || d.name == "tickets" && typ != "sightline-session+jwt" {
				continue
			}
			cases = append(cases, &testCase{class: "token", group: d.name, name: d.name + ": of kind " + typ, try: func(_ context.Context, v *visitor) (outcome, error) {
				f := t.forge(d)
				f.header["typ"] = typ
				token := f.whole()
				t.secret.add(token)
				a, err := v.ask(d.with(token))
				return judge(a, err, refused(d.event, "wrong-kind"))
			}})
		}
	}
	return cases, nil
}
