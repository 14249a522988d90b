package httpd

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/revocation"
)

// keyJSON is a signing key as it is shown. Times that are not known, or do not apply, are left out.
type keyJSON struct {
	ID      string     `json:"id"`
	Made    *time.Time `json:"made,omitempty"`
	Retired *time.Time `json:"retired,omitempty"`
	Until   *time.Time `json:"until,omitempty"` // the last of its tokens has expired then
}

func viewOfKey(k auth.Key) keyJSON {
	maybe := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC().Truncate(time.Second)
		return &t
	}
	return keyJSON{k.ID, maybe(k.Made), maybe(k.Retired), maybe(k.Until)}
}

// keys lists the keys whose tokens are accepted, the one that signs first.
func (s *Server) keys(w http.ResponseWriter, _ *http.Request, _ caller) {
	list := []keyJSON{}
	for _, k := range s.opts.Auth.Keys() {
		list = append(list, viewOfKey(k))
	}
	s.answer(w, http.StatusOK, map[string]any{"keys": list})
}

// rotateKey makes a new key to sign with.
func (s *Server) rotateKey(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "key", func(rec *audit.Record) (effect, error) {
		rec.Action = "rotate"
		key, err := s.opts.Auth.Rotate()
		if err != nil {
			return nil, err
		}
		rec.Reason = key.ID
		return done(viewOfKey(key)), nil
	})
}

// removeKey takes away a retired key, and ends what runs by it.
func (s *Server) removeKey(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "key", func(rec *audit.Record) (effect, error) {
		id := r.PathValue("id")
		for _, k := range s.opts.Auth.Keys() {
			switch {
			case k.ID != id:
			case k.Retired.IsZero():
				return nil, &InputError{"This key signs: make a new one first, then remove it."}
			default:
				rec.Action, rec.Reason = "remove", id
				if err := s.opts.Auth.RemoveKey(id); err != nil {
					return nil, err
				}
				if err := s.opts.Revoke(revocation.Entry{Kind: revocation.Key, Value: id}); err != nil {
					s.log.Error("a key is removed, and what runs by it goes on", "key", id, "error", err)
					return nil, auth.ErrUnavailable
				}
				return done(nil), nil
			}
		}
		return nil, errNoKey
	})
}

// issue makes a token, which is shown once.
func (s *Server) issue(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "token", func(rec *audit.Record) (effect, error) {
		var body struct {
			Subject string   `json:"subject"`
			Action  string   `json:"action"`
			Streams []string `json:"streams"`
			Seconds int      `json:"seconds"`
		}
		if err := decode(r, &body); err != nil {
			return nil, err
		}
		action, err := auth.ParseAction(body.Action)
		if err != nil {
			return nil, asInput(err)
		}
		streams, err := parsePatterns(body.Streams)
		if err != nil {
			return nil, err
		}
		token, p, err := s.opts.Auth.Mint(auth.Claims{
			Kind: auth.KindFor(action), Subject: body.Subject, Grants: []auth.Grant{auth.Allow(action, streams...)},
			Lifetime: seconds(body.Seconds),
		})
		if err != nil {
			return nil, asInput(err)
		}
		rec.Action = string(action)
		rec.Reason = fmt.Sprintf("%s for %s on %s until %s", p.ID, p.Subject, strings.Join(body.Streams, " "), p.Expires.UTC().Format(time.RFC3339))
		return done(map[string]any{"token": token, "id": p.ID, "expires": p.Expires.UTC()}), nil
	})
}
