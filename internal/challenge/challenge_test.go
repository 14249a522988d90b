package challenge_test

import (
	"net/url"
	"strings"
	"testing"

	"sightline/internal/challenge"
)

func TestAnswer_VectorsOfRFC7616(t *testing.T) {
	// Section 3.9.1, of which a field has both challenges.
	var fields []string
	for _, algorithm := range []string{"MD5", "SHA-256"} {
		fields = append(fields, `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=`+algorithm+
			`, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUo5tdS"`)
	}
	joined := []string{strings.Join(fields, ", ") + `, Basic realm="x"`}
	user := url.UserPassword("Mufasa", "Circle of Life")
	for _, tc := range []struct {
		fields []string
		want   string
	}{
		{fields[:1], `response="8ca523f5e9506fed4657c9700eebdbec"`},
		{fields, `response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"`},
		{joined, `response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"`},
		{[]string{`Basic realm="a, b"`}, "Basic TXVmYXNhOkNpcmNsZSBvZiBMaWZl"},
	} {
		c := challenge.Pick(tc.fields)
		if c == nil {
			t.Errorf("%v: no challenge", tc.fields)
			continue
		}
		if got := c.AnswerWith(user, "GET", "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", 1); !strings.Contains(got, tc.want) {
			t.Errorf("%s, want %s", got, tc.want)
		}
	}
	if c := challenge.Pick([]string{`Digest realm="x", nonce="n", algorithm=SHA-512-256`, "Bearer", `Digest realm="no nonce"`}); c != nil {
		t.Errorf("%+v, want none", c)
	}
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Digest realm="a\"b", nonce="n", qop="auth,auth-int", opaque=x, Basic realm=y`)
	f.Add(`Negotiate, NTLM abc==, Digest nonce=`)
	f.Add(`"`)
	f.Fuzz(func(t *testing.T, s string) {
		if c := challenge.Pick([]string{s}); c != nil {
			got := c.AnswerWith(url.UserPassword("u", "p"), "GET", "/", "x", 1)
			if !strings.HasPrefix(got, "Basic ") && !strings.HasPrefix(got, "Digest username=") {
				t.Fatalf("%q becomes %q", s, got)
			}
		}
	})
}
