package auth

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sightline/internal/media"
)

// Action is something a principal may be allowed to do to a stream.
type Action string

// The actions there are. None implies another.
const (
	View    Action = "view"    // receive the stream's pictures and see that it exists
	Publish Action = "publish" // send the stream's pictures
	Admin   Action = "admin"   // change and inspect the server, as far as it concerns the stream
)

// ParseAction reads an action's name. The error lists the names there are.
func ParseAction(s string) (Action, error) {
	switch a := Action(s); a {
	case View, Publish, Admin:
		return a, nil
	}
	return "", fmt.Errorf("unknown action %.40q: want view, publish or admin", s)
}

// Pattern selects streams by name: an exact name ("site/door"), all names one segment below a group
// ("site/*", or "*" for names without a group), or all names at any depth below one ("site/**", or "**" for
// every stream). Make one with ParsePattern.
type Pattern string

// ParsePattern checks s against the grammar of Pattern.
func ParsePattern(s string) (Pattern, error) {
	if s == "*" || s == "**" {
		return Pattern(s), nil
	}
	name := s
	if group, ok := strings.CutSuffix(s, "/**"); ok {
		name = group
	} else if group, ok := strings.CutSuffix(s, "/*"); ok {
		name = group
	}
	if _, err := media.ParseStreamID(name); err != nil {
		return "", fmt.Errorf("stream pattern: %w; a pattern is a name, or a group followed by /* or /**, or ** for all", err)
	}
	return Pattern(s), nil
}

// Matches reports whether the pattern selects s.
func (p Pattern) Matches(s media.StreamID) bool {
	name, pattern := string(s), string(p)
	if name == "" {
		return false
	}
	if group, ok := strings.CutSuffix(pattern, "**"); ok {
		return strings.HasPrefix(name, group) && len(name) > len(group)
	}
	if group, ok := strings.CutSuffix(pattern, "*"); ok {
		rest, below := strings.CutPrefix(name, group)
		return below && rest != "" && !strings.Contains(rest, "/")
	}
	return name == pattern
}

// Grant allows each of its actions on each stream that one of its patterns selects.
type Grant struct {
	Actions []Action  `json:"actions"`
	Streams []Pattern `json:"streams"`
}

// Allow is the grant of one action on the given streams.
func Allow(a Action, streams ...Pattern) Grant {
	return Grant{Actions: []Action{a}, Streams: streams}
}

// validate checks names and that nothing is empty: an empty grant is a mistake, not a permission to do nothing.
func (g Grant) validate() error {
	if len(g.Actions) == 0 || len(g.Streams) == 0 {
		return fmt.Errorf("a grant needs at least one action and one stream pattern")
	}
	for _, a := range g.Actions {
		if _, err := ParseAction(string(a)); err != nil {
			return err
		}
	}
	for _, p := range g.Streams {
		if _, err := ParsePattern(string(p)); err != nil {
			return err
		}
	}
	return nil
}

// Principal is who a valid credential speaks for and what it may do. It is a value: share and keep it freely,
// but do not change the slices it holds.
type Principal struct {
	Subject string    // who, as the token's maker named them
	ID      string    // the token's jti; for codes and tickets that of the token they came from
	Kind    Kind      // the kind of token the principal proved itself with; "" for logins by code or password
	KeyID   string    // the kid of the key that signed the token; "" where none did
	Grants  []Grant   // what it may do
	Issued  time.Time // when the credential was made
	Expires time.Time // when all of this ends; the caller ends the session then
	// Certificate is the Thumbprint of the client certificate without which it is worth nothing; "" for none. See Certificates.Bind.
	Certificate string
}

// Authorize returns nil when a grant of p covers action on stream, and Options.Check does not bar p from that stream: ask this
// where a stream is used by a token or a session itself. The error wraps ErrNotAllowed, or is that of Options.Check.
func (a *Authenticator) Authorize(p Principal, action Action, stream media.StreamID) error {
	if err := p.Allows(action, stream); err != nil {
		return err
	}
	return a.check(p, stream)
}

// Allows returns nil when a grant covers action a on stream s, and otherwise an error that wraps
// ErrNotAllowed. It does not look at Expires.
func (p Principal) Allows(a Action, s media.StreamID) error {
	for _, g := range p.Grants {
		if slices.Contains(g.Actions, a) && slices.ContainsFunc(g.Streams, func(pt Pattern) bool { return pt.Matches(s) }) {
			return nil
		}
	}
	return fmt.Errorf("%s %s: %w", a, s, ErrNotAllowed)
}

// AllowsEverywhere returns nil when a grant covers action a on every stream (pattern "**"), as things that
// concern the whole server need, and otherwise an error that wraps ErrNotAllowed.
func (p Principal) AllowsEverywhere(a Action) error {
	for _, g := range p.Grants {
		if slices.Contains(g.Actions, a) && slices.Contains(g.Streams, "**") {
			return nil
		}
	}
	return fmt.Errorf("%s on all streams: %w", a, ErrNotAllowed)
}
