package revocation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sightline/internal/auth"
	"sightline/internal/media"
)

// Kind is what a revocation is by.
type Kind string

// The kinds of revocations.
const (
	Token   Kind = "token"   // one token, by its ID (jti), and the tickets made with it
	Key     Kind = "key"     // all tokens signed with a key, by its ID, for ever
	Subject Kind = "subject" // all credentials of one subject that were made up to a time
	Stream  Kind = "stream"  // the use of streams, by a pattern, with credentials made up to a time
	All     Kind = "all"     // all credentials made up to a time
)

// Entry is one revocation.
type Entry struct {
	At    time.Time // when it was made; Add fills it in
	Kind  Kind
	Value string // the token's ID, the key's ID, the subject or the stream pattern; "" for All
	// Before is up to when credentials were made that Subject, Stream and All bar: those made in the same second too, as
	// tokens know no finer time. It is zero for the others. Zero stands for At.
	Before time.Time
}

// maxValue is the longest Value in bytes: subjects have up to 256, and the name of their issuer.
const maxValue = 512

// normal fills in Before, and cuts times to what the file keeps.
func (e Entry) normal() Entry {
	e.At = e.At.UTC().Truncate(time.Millisecond)
	if e.Before.IsZero() && e.timed() {
		e.Before = e.At
	}
	if !e.Before.IsZero() {
		e.Before = e.Before.UTC().Truncate(time.Second)
	}
	return e
}

func (e Entry) timed() bool { return e.Kind == Subject || e.Kind == Stream || e.Kind == All }

// Validate returns one sentence about what is wrong with e, if anything is.
func (e Entry) Validate() error {
	switch e.Kind {
	case Token, Key, Subject:
		if e.Value == "" || len(e.Value) > maxValue || !utf8.ValidString(e.Value) || strings.ContainsFunc(e.Value, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("the %s has %d bytes: want 1 to %d visible characters", e.Kind, len(e.Value), maxValue)
		}
	case Stream:
		if _, err := auth.ParsePattern(e.Value); err != nil {
			return err
		}
	case All:
		if e.Value != "" {
			return errors.New("a revocation of all has no value")
		}
	default:
		return fmt.Errorf("unknown kind of revocation %.40q: want token, key, subject, stream or all", e.Kind)
	}
	if e.At.IsZero() || e.timed() == e.Before.IsZero() {
		return errors.New("a time is missing, or stands where none belongs")
	}
	return nil
}

// over tells that all that e bars has expired by itself, where no token lives longer than keep. Certificates may live for years: what may bar
// one is never over.
func (e Entry) over(now time.Time, keep time.Duration) bool {
	latest := e.At
	if e.Before.After(latest) {
		latest = e.Before
	}
	barsTokensAlone := e.Kind == Token || e.Kind == Subject
	return barsTokensAlone && !strings.HasPrefix(e.Value, auth.CertificatePrefix) && now.After(latest.Add(keep))
}

// entryJSON is a line of the file.
type entryJSON struct {
	At     time.Time  `json:"at"`
	Kind   Kind       `json:"kind"`
	Value  string     `json:"value,omitempty"`
	Before *time.Time `json:"before,omitempty"`
}

// line is e as a line of the file, with its newline.
func (e Entry) line() []byte {
	j := entryJSON{At: e.At, Kind: e.Kind, Value: e.Value}
	if !e.Before.IsZero() {
		j.Before = &e.Before
	}
	b, err := json.Marshal(j)
	if err != nil {
		panic(err) // times and strings: only years beyond 9999 fail, which no clock of ours tells
	}
	return append(b, '\n')
}

// parseLine reads one line, without its newline.
func parseLine(line []byte) (Entry, error) {
	var j entryJSON
	if err := auth.ReadJSON(line, []string{"at", "kind", "value", "before"}, &j); err != nil {
		return Entry{}, err
	}
	e := Entry{At: j.At, Kind: j.Kind, Value: j.Value}
	if j.Before != nil {
		e.Before = *j.Before
	}
	e = e.normal()
	if err := e.Validate(); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// parse reads whole lines.
func parse(data []byte) ([]Entry, error) {
	var entries []Entry
	n := 0
	for line := range bytes.Lines(data) {
		n++
		e, err := parseLine(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// bars is what a list of entries comes to.
type bars struct {
	tokens   map[string]struct{}
	keys     map[string]struct{}
	subjects map[string]time.Time
	streams  map[auth.Pattern]time.Time
	all      time.Time
}

func newBars() bars {
	return bars{map[string]struct{}{}, map[string]struct{}{}, map[string]time.Time{}, map[auth.Pattern]time.Time{}, time.Time{}}
}

func (b *bars) add(e Entry) {
	switch e.Kind {
	case Token:
		b.tokens[e.Value] = struct{}{}
	case Key:
		b.keys[e.Value] = struct{}{}
	case Subject:
		b.subjects[e.Value] = later(b.subjects[e.Value], e.Before)
	case Stream:
		b.streams[auth.Pattern(e.Value)] = later(b.streams[auth.Pattern(e.Value)], e.Before)
	case All:
		b.all = later(b.all, e.Before)
	}
}

// of is what kind of revocation bars p from s, "" when none does.
func (b *bars) of(p auth.Principal, s media.StreamID) Kind {
	if _, ok := b.tokens[p.ID]; ok {
		return Token
	}
	if _, ok := b.keys[p.KeyID]; ok {
		return Key
	}
	if before, ok := b.subjects[p.Subject]; ok && !p.Issued.After(before) {
		return Subject
	}
	if !b.all.IsZero() && !p.Issued.After(b.all) {
		return All
	}
	for pattern, before := range b.streams {
		if !p.Issued.After(before) && pattern.Matches(s) {
			return Stream
		}
	}
	return ""
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
