package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"sightline/internal/auth"
	"sightline/internal/media"
)

// issue makes a certificate of template's, signed by parent, or by itself where that is nil.
func issue(t *testing.T, template *x509.Certificate, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func TestBind(t *testing.T) {
	b := newBench(t)
	authority := func() (*x509.Certificate, *ecdsa.PrivateKey) {
		return issue(t, &x509.Certificate{
			Subject: pkix.Name{CommonName: "Agents"}, NotBefore: b.now.Add(-time.Hour), NotAfter: b.now.Add(1000 * time.Hour),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}, nil, nil)
	}
	ca, caKey := authority()
	foreign, foreignKey := authority()
	agent := func(change func(*x509.Certificate)) *x509.Certificate {
		template := &x509.Certificate{
			Subject: pkix.Name{CommonName: "gate-agent"}, NotBefore: b.now.Add(-time.Hour), NotAfter: b.now.Add(time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		change(template)
		cert, _ := issue(t, template, ca, caKey)
		return cert
	}
	good := agent(func(*x509.Certificate) {})
	stranger, _ := issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "gate-agent"}, NotBefore: b.now.Add(-time.Hour), NotAfter: b.now.Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, foreign, foreignKey)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	optional := &auth.Certificates{Roots: roots}
	required := &auth.Certificates{Roots: roots, Required: true}
	named := &auth.Certificates{Roots: roots, Streams: map[string][]auth.Pattern{
		"gate-agent": {"gate/**"}, "other.example.org": {"**"},
	}}
	for _, c := range []struct {
		name   string
		policy *auth.Certificates
		shown  *x509.Certificate
		bound  *x509.Certificate // the token's, nil for none
		action auth.Action       // publish where it is empty
		want   error
	}{
		{name: "no policy, nothing shown"},
		{name: "no policy, shown all the same", shown: stranger},
		{name: "optional, nothing shown", policy: optional},
		{name: "optional, a good one", policy: optional, shown: good},
		{name: "optional, a foreign one", policy: optional, shown: stranger, want: auth.ErrBadCertificate},
		{name: "required, nothing shown", policy: required, want: auth.ErrNoCertificate},
		{name: "required, a good one", policy: required, shown: good},
		{name: "required, but it is a viewer", policy: required, action: auth.View},
		{name: "expired", policy: required, shown: agent(func(c *x509.Certificate) { c.NotAfter = b.now.Add(-time.Second) }), want: auth.ErrExpiredCertificate},
		{name: "not valid yet", policy: required, shown: agent(func(c *x509.Certificate) { c.NotBefore = b.now.Add(time.Minute) }), want: auth.ErrExpiredCertificate},
		{name: "for servers", policy: required, shown: agent(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), want: auth.ErrBadCertificate},
		{name: "named for the stream", policy: named, shown: good},
		{name: "named for another", policy: named, shown: agent(func(c *x509.Certificate) { c.Subject.CommonName = "yard-agent" }), want: auth.ErrOtherCertificate},
		{name: "named by its DNS name", policy: named, shown: agent(func(c *x509.Certificate) {
			c.Subject.CommonName, c.DNSNames = "x", []string{"other.example.org"}
		})},
		{name: "its common name means nothing beside DNS names", policy: named, shown: agent(func(c *x509.Certificate) {
			c.DNSNames = []string{"yard.example.org"}
		}), want: auth.ErrOtherCertificate},
		{name: "bound, and shown", policy: optional, shown: good, bound: good},
		{name: "bound, nothing shown", policy: optional, bound: good, want: auth.ErrNoCertificate},
		{name: "bound, another shown", policy: optional, shown: agent(func(*x509.Certificate) {}), bound: good, want: auth.ErrOtherCertificate},
		{name: "bound, without a policy", shown: good, bound: good, want: auth.ErrNoCertificate},
		{name: "bound, at another door", policy: optional, bound: good, action: auth.View, want: auth.ErrNoCertificate},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := auth.Principal{Subject: "agent", Expires: b.now.Add(24 * time.Hour)}
			if c.bound != nil {
				p.Certificate = auth.Thumbprint(c.bound)
			}
			var shown []*x509.Certificate
			if c.shown != nil {
				shown = []*x509.Certificate{c.shown}
			}
			action := auth.Publish
			if c.action != "" {
				action = c.action
			}
			got, err := b.Bind(p, c.policy, shown, action, media.StreamID("gate/north"))
			if !errors.Is(err, c.want) || err != nil && got.Subject != "" {
				t.Fatalf("got %+v, %v, want %v", got, err, c.want)
			}
			judged := c.shown != nil && c.policy != nil
			if err == nil && judged && !got.Expires.Equal(c.shown.NotAfter) {
				t.Errorf("the leave lasts until %s, the certificate until %s", got.Expires, c.shown.NotAfter)
			}
		})
	}
}

// A certificate alone publishes what it is listed with, where the policy says so, and nothing else.
func TestCertified(t *testing.T) {
	b := newBench(t)
	ca, caKey := issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Agents"}, NotBefore: b.now.Add(-time.Hour), NotAfter: b.now.Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	foreign, foreignKey := issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Agents"}, NotBefore: b.now.Add(-time.Hour), NotAfter: b.now.Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	agent := func(name string, until time.Duration, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
		cert, _ := issue(t, &x509.Certificate{
			Subject: pkix.Name{CommonName: name}, NotBefore: b.now.Add(-time.Hour), NotAfter: b.now.Add(until),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}, parent, key)
		return cert
	}
	good := agent("gate-agent", 900*time.Hour, ca, caKey)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	streams := map[string][]auth.Pattern{"gate-agent": {"gate/**"}, "yard-agent": {"yard"}}
	alone := &auth.Certificates{Roots: roots, Streams: streams, WithoutToken: true}
	for _, c := range []struct {
		name   string
		policy *auth.Certificates
		shown  []*x509.Certificate
		want   error
	}{
		{"a good one", alone, []*x509.Certificate{good}, nil},
		{"none", alone, nil, auth.ErrMissing},
		{"no policy", nil, []*x509.Certificate{good}, auth.ErrMissing},
		{"a policy that wants a token", &auth.Certificates{Roots: roots, Streams: streams}, []*x509.Certificate{good}, auth.ErrMissing},
		{"a policy that names nobody", &auth.Certificates{Roots: roots, WithoutToken: true}, []*x509.Certificate{good}, auth.ErrMissing},
		{"another stream's", alone, []*x509.Certificate{agent("yard-agent", time.Hour, ca, caKey)}, auth.ErrOtherCertificate},
		{"one that is not listed", alone, []*x509.Certificate{agent("mallory", time.Hour, ca, caKey)}, auth.ErrOtherCertificate},
		{"one without a name", alone, []*x509.Certificate{agent("", time.Hour, ca, caKey)}, auth.ErrOtherCertificate},
		{"an expired one", alone, []*x509.Certificate{agent("gate-agent", -time.Second, ca, caKey)}, auth.ErrExpiredCertificate},
		{"a stranger's of the same name", alone, []*x509.Certificate{agent("gate-agent", time.Hour, foreign, foreignKey)}, auth.ErrBadCertificate},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := b.Certified(c.policy, c.shown, "gate/north")
			if !errors.Is(err, c.want) || err != nil && len(p.Grants) > 0 {
				t.Fatalf("got %+v, %v, want %v", p, err, c.want)
			}
			if err != nil {
				return
			}
			if p.Subject != "certificate:gate-agent" || p.ID != "certificate:"+auth.Thumbprint(good) || !p.Expires.Equal(good.NotAfter) {
				t.Errorf("it speaks for %+v", p)
			}
			if p.Allows(auth.Publish, "gate/north") != nil || p.Allows(auth.Publish, "yard") == nil || p.Allows(auth.View, "gate/north") == nil {
				t.Errorf("it may %+v", p.Grants)
			}
		})
	}
}

func TestVerify_TokenOfACertificate(t *testing.T) {
	b := newBench(t)
	const thumbprint = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" // no SHA-256 ends so
	good := thumbprint[:42] + "0"
	token, made, err := b.Mint(auth.Claims{
		Kind: auth.KindPublish, Subject: "agent", Grants: []auth.Grant{auth.Allow(auth.Publish, "gate")}, Lifetime: time.Hour, Certificate: good,
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Verify(token, auth.KindPublish)
	if err != nil || p.Certificate != good || made.Certificate != good {
		t.Errorf("got %+v, %v", p, err)
	}
	for _, cnf := range []string{
		`{"jkt":"` + good + `"}`, `{"x5t#S256":"` + good + `","jkt":"x"}`, `{}`, `"x"`, `{"x5t#S256":""}`, `{"X5T#s256":"` + good + `"}`,
		`{"x5t#S256":"` + thumbprint + `"}`, `{"x5t#S256":"` + good + `="}`, `{"x5t#S256":7}`,
	} {
		payload := fmt.Sprintf(`{"sub":"a","aud":"sightline","iat":%d,"exp":%d,"jti":"0123456789abcdef","grants":[{"actions":["publish"],"streams":["gate"]}],"cnf":%s}`,
			b.now.Unix(), b.now.Unix()+60, cnf)
		header := fmt.Sprintf(`{"alg":"EdDSA","kid":%q,"typ":%q}`, b.KeyID(), auth.KindPublish)
		if p, err := b.Verify(b.seal(header, payload), auth.KindPublish); !errors.Is(err, auth.ErrMalformed) {
			t.Errorf("cnf %s: got %+v, %v", cnf, p, err)
		}
	}
}
