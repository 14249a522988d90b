package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// schemes are the kinds of sources a capture process opens. Nothing that runs a program is among them.
func schemes() []string {
	return []string{"test", "file", "rtsp", "rtsps", "http", "https", "v4l2", "images", "screen"}
}

// Source is where a camera's pictures come from: a URL that may hold a login. It shows itself without the
// login wherever it is printed, logged or marshalled; only Reveal gives all of it. The zero value is no source.
type Source struct{ text string }

// ParseSource checks s. Its errors hold nothing of s but the scheme.
func ParseSource(s string) (Source, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !isWord(scheme) {
		return Source{}, fmt.Errorf("a source begins with its scheme and a colon: want one of %s", strings.Join(schemes(), ", "))
	}
	if scheme == "pipe" {
		return Source{}, errors.New("a pipe source needs a standard input, which the server's capture processes do not have: run sightline-capture --source pipe:… --publish wss://… beside the program that writes to it, and write publish: true here in place of the source")
	}
	if !slices.Contains(schemes(), scheme) {
		return Source{}, fmt.Errorf("unknown source scheme %.20q%s: want one of %s", scheme, didYouMean(scheme, schemes()), strings.Join(schemes(), ", "))
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return Source{}, fmt.Errorf("the %s source holds a control character: remove it", scheme)
	}
	switch scheme {
	case "rtsp", "rtsps", "http", "https":
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" { // the error may quote the login
			return Source{}, fmt.Errorf("the %s source is no URL with a host: write %s://host/path, with special characters of a password as %%XX", scheme, scheme)
		}
		if _, err := strconv.ParseUint(cmp.Or(u.Port(), "0"), 10, 16); err != nil {
			return Source{}, fmt.Errorf("the %s source names port %.20s: want 1 to 65535, or none", scheme, u.Port())
		}
	case "file", "images", "v4l2":
		if strings.TrimPrefix(rest, "//") == "" {
			return Source{}, fmt.Errorf("the %s source names no path: write %s:/path", scheme, scheme)
		}
	}
	return Source{s}, nil
}

// Reveal is the source as configured, with its login: for the one that opens it, and nobody else.
func (s Source) Reveal() string { return s.text }

// IsZero reports whether there is no source.
func (s Source) IsZero() bool { return s.text == "" }

// Scheme is the part before the first colon.
func (s Source) Scheme() string {
	scheme, _, _ := strings.Cut(s.text, ":")
	return scheme
}

// String is the source with "***" for the login and for the query, where cameras take passwords too. It
// hides too much rather than too little: all up to the last @.
func (s Source) String() string {
	switch s.Scheme() {
	case "rtsp", "rtsps", "http", "https":
	default:
		return s.text
	}
	scheme, rest, _ := strings.Cut(s.text, "://")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = "***" + rest[i:]
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i+1] + "***"
	}
	return scheme + "://" + rest
}

// GoString keeps %#v from showing the login.
func (s Source) GoString() string { return fmt.Sprintf("config.Source(%q)", s.String()) }

// LogValue is String.
func (s Source) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON gives String.
func (s Source) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}
