// Package challenge answers what a camera's server asks before it shows anything: Basic and Digest credentials, of HTTP and of RTSP alike (RFC 9110
// section 11, RFC 7616, RFC 7617, and RFC 2617 for older ones). It knows header fields, and nothing of connections.
package challenge

import (
	"crypto/md5" //nolint:gosec // most cameras offer nothing else (RFC 2617)
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/url"
	"strings"
)

// Challenge is what a server wants to know. One goroutine uses it.
type Challenge struct {
	basic                           bool
	realm, nonce, opaque, algorithm string
	auth                            bool // quality of protection: a count and a nonce of our own go in
	count                           int
}

// Pick takes the strongest challenge that can be met of a WWW-Authenticate header's values, nil if there is none. Digest goes before Basic, which sends
// the password.
func Pick(values []string) *Challenge {
	var best *Challenge
	rank := func(c *Challenge) int {
		switch {
		case c == nil:
			return 0
		case c.basic:
			return 1
		case strings.HasPrefix(strings.ToUpper(c.algorithm), "SHA-256"):
			return 3
		}
		return 2
	}
	for _, value := range values {
		for _, c := range parse(value) {
			if rank(&c) > rank(best) {
				best = &c
			}
		}
	}
	return best
}

// parse reads the challenges of one header field that we can meet.
func parse(s string) []Challenge {
	var list []Challenge
	var c *Challenge
	finish := func() {
		if c != nil && (c.basic || c.nonce != "" && c.hash() != nil) {
			list = append(list, *c)
		}
		c = nil
	}
	for s != "" {
		s = strings.TrimLeft(s, " \t,")
		n := strings.IndexAny(s, " \t,=")
		if n <= 0 {
			break
		}
		word, rest := s[:n], strings.TrimLeft(s[n:], " \t")
		if !strings.HasPrefix(rest, "=") { // the name of a scheme
			finish()
			switch strings.ToLower(word) {
			case "basic":
				c = &Challenge{basic: true}
			case "digest":
				c = &Challenge{}
			}
			s = rest
			continue
		}
		var value string
		value, s = fieldValue(strings.TrimLeft(rest[1:], " \t"))
		if c == nil {
			continue
		}
		switch strings.ToLower(word) {
		case "realm":
			c.realm = value
		case "nonce":
			c.nonce = value
		case "opaque":
			c.opaque = value
		case "algorithm":
			c.algorithm = value
		case "qop":
			for q := range strings.SplitSeq(value, ",") {
				c.auth = c.auth || strings.EqualFold(strings.TrimSpace(q), "auth")
			}
		}
	}
	finish()
	return list
}

// fieldValue reads a token or a quoted string and gives what follows.
func fieldValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		n := strings.IndexAny(s, " \t,")
		if n < 0 {
			return s, ""
		}
		return s[:n], s[n:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

// hash is that of the challenge's algorithm, nil if we do not have it.
func (c *Challenge) hash() hash.Hash {
	switch strings.ToUpper(c.algorithm) {
	case "", "MD5", "MD5-SESS":
		return md5.New() //nolint:gosec // as above
	case "SHA-256", "SHA-256-SESS":
		return sha256.New()
	}
	return nil
}

// Answer is the Authorization field for one request, with a nonce of ours that is new for each.
func (c *Challenge) Answer(user *url.Userinfo, method, uri string) string {
	c.count++
	return c.AnswerWith(user, method, uri, rand.Text(), c.count)
}

// AnswerWith is Answer with a given nonce and count of requests, for who checks one.
func (c *Challenge) AnswerWith(user *url.Userinfo, method, uri, ours string, requests int) string {
	name := user.Username()
	password, _ := user.Password()
	if c.basic {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
	}
	sum := func(parts ...string) string {
		h := c.hash()
		_, _ = h.Write([]byte(strings.Join(parts, ":"))) // a hash takes everything
		return hex.EncodeToString(h.Sum(nil))
	}
	ha1 := sum(name, c.realm, password)
	if strings.HasSuffix(strings.ToUpper(c.algorithm), "-SESS") {
		ha1 = sum(ha1, c.nonce, ours)
	}
	count := fmt.Sprintf("%08x", requests)
	response := sum(ha1, c.nonce, sum(method, uri))
	if c.auth {
		response = sum(ha1, c.nonce, count, ours, "auth", sum(method, uri))
	}
	quote := func(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
	field := fmt.Sprintf("Digest username=%s, realm=%s, nonce=%s, uri=%s, response=%s", quote(name), quote(c.realm), quote(c.nonce), quote(uri), quote(response))
	if c.algorithm != "" {
		field += ", algorithm=" + c.algorithm
	}
	if c.opaque != "" {
		field += ", opaque=" + quote(c.opaque)
	}
	if c.auth || strings.HasSuffix(strings.ToUpper(c.algorithm), "-SESS") {
		field += ", cnonce=" + quote(ours)
	}
	if c.auth {
		field += ", qop=auth, nc=" + count
	}
	return field
}
