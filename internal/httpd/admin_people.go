package httpd

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sightline/internal/accounts"
	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/invitations"
	"sightline/internal/revocation"
)

// Marks of what stands behind # in a link, apart from a code that logs in as the operator: the set-up code of an account, which
// the page asks a password for, and the code of an invitation.
const (
	setUpPrefix = "invite."
	guestPrefix = "guest."
)

// linkJSON is a link that lets somebody in, which is shown once.
type linkJSON struct {
	Name    string    `json:"name"`
	Link    string    `json:"link"`
	QR      string    `json:"qr"` // the same as an SVG image
	Expires time.Time `json:"expires"`
}

// newLink makes a link to this server, under the name that the request knows it by.
func newLink(r *http.Request, name, code string, expires time.Time) (linkJSON, error) {
	link := "https://" + r.Host + "/#" + code
	image, err := qrSVG(link)
	return linkJSON{name, link, image, expires.UTC()}, err
}

// userJSON is an account as it is shown.
type userJSON struct {
	Name     string         `json:"name"`
	Role     accounts.Role  `json:"role"`
	Streams  []auth.Pattern `json:"streams"`
	Disabled bool           `json:"disabled"`
	Password bool           `json:"password"` // it has one
	Made     time.Time      `json:"made"`
	Invited  *time.Time     `json:"invited_until,omitempty"` // until when its set-up link works
}

// users lists the accounts.
func (s *Server) users(w http.ResponseWriter, _ *http.Request, _ caller) {
	list, err := s.opts.Accounts.List()
	if err != nil {
		s.refuse(w, err)
		return
	}
	users := []userJSON{}
	for _, a := range list {
		u := userJSON{Name: a.Name, Role: a.Role, Streams: a.Streams, Disabled: a.Disabled, Password: a.HasPassword, Made: a.Made}
		if !a.Invited.IsZero() {
			u.Invited = &a.Invited
		}
		users = append(users, u)
	}
	s.answer(w, http.StatusOK, map[string]any{"users": users})
}

// accountErrors are those of accounts that are for the person who keeps them.
func accountErrors(err error) error {
	if errors.Is(err, accounts.ErrUnknown) {
		return errNoUser
	}
	return asInputIf(err, accounts.ErrExists)
}

// roleAndStreams reads what an account may do. The error is an *InputError.
func roleAndStreams(role string, streams []string) (accounts.Role, []auth.Pattern, error) {
	r, err := accounts.ParseRole(role)
	if err != nil {
		return "", nil, asInput(err)
	}
	patterns, err := parsePatterns(streams)
	return r, patterns, err
}

// parsePatterns reads the streams something is for. The error is an *InputError.
func parsePatterns(streams []string) ([]auth.Pattern, error) {
	if len(streams) == 0 {
		return nil, &InputError{"It is for no streams: name one, a group such as site/**, or ** for all."}
	}
	var patterns []auth.Pattern
	for _, text := range streams {
		p, err := auth.ParsePattern(text)
		if err != nil {
			return nil, asInput(err)
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

// addUser makes an account and a link by which its holder chooses a password.
func (s *Server) addUser(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "user", func(rec *audit.Record) (effect, error) {
		var body struct {
			Name    string   `json:"name"`
			Role    string   `json:"role"`
			Streams []string `json:"streams"`
		}
		if err := decode(r, &body); err != nil {
			return nil, err
		}
		if !accounts.IsName(body.Name) {
			return nil, &InputError{"That is no name for an account: want lower-case letters, digits and ._@+- after a letter or digit, at most 64."}
		}
		role, streams, err := roleAndStreams(body.Role, body.Streams)
		if err != nil {
			return nil, err
		}
		rec.Action, rec.Reason = "add", fmt.Sprintf("%s, %s on %s", body.Name, role, strings.Join(body.Streams, " "))
		if err := s.opts.Accounts.Add(body.Name, role, streams); err != nil {
			return nil, accountErrors(err)
		}
		return func() (any, error) { return s.setUpLink(r, body.Name) }, nil
	})
}

// setUpLink makes a link by which an account's holder chooses a password.
func (s *Server) setUpLink(r *http.Request, name string) (any, error) {
	code, expires, err := s.opts.Accounts.Invite(name)
	if err != nil {
		return nil, accountErrors(err)
	}
	return newLink(r, name, setUpPrefix+code, expires)
}

// inviteUser makes such a link for an account that there is: for a password that was forgotten.
func (s *Server) inviteUser(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "user", func(rec *audit.Record) (effect, error) {
		name, err := s.user(r)
		if err != nil {
			return nil, err
		}
		rec.Action, rec.Reason = "link", name
		return func() (any, error) { return s.setUpLink(r, name) }, nil
	})
}

// user is the account that the path names.
func (s *Server) user(r *http.Request) (string, error) {
	list, err := s.opts.Accounts.List()
	if err != nil {
		return "", err
	}
	name := r.PathValue("name")
	if !slices.ContainsFunc(list, func(a accounts.Account) bool { return a.Name == name }) {
		return "", errNoUser
	}
	return name, nil
}

// otherUser is the same, which must be another one than the caller's: nobody shall lock themselves out.
func (s *Server) otherUser(r *http.Request, c caller) (string, error) {
	name, err := s.user(r)
	if err == nil && name == c.principal.Subject {
		err = &InputError{"This is the account that you are logged in with: have another administrator do this."}
	}
	return name, err
}

// changeUser changes an account's role and streams, or whether it may be used, and ends what it has running.
func (s *Server) changeUser(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "user", func(rec *audit.Record) (effect, error) {
		var body struct {
			Role     string   `json:"role"`
			Streams  []string `json:"streams"`
			Disabled *bool    `json:"disabled"`
		}
		if err := decode(r, &body); err != nil {
			return nil, err
		}
		if (body.Disabled == nil) == (body.Role == "" && body.Streams == nil) {
			return nil, errBody // one thing at a time
		}
		name, err := s.otherUser(r, c)
		if err != nil {
			return nil, err
		}
		var change func() error
		if body.Disabled != nil {
			rec.Action = "enable"
			if *body.Disabled {
				rec.Action = "disable"
			}
			rec.Reason = name
			change = func() error { return s.opts.Accounts.Disable(name, *body.Disabled) }
		} else {
			role, streams, err := roleAndStreams(body.Role, body.Streams)
			if err != nil {
				return nil, err
			}
			rec.Action, rec.Reason = "change", fmt.Sprintf("%s, %s on %s", name, role, strings.Join(body.Streams, " "))
			change = func() error { return s.opts.Accounts.Change(name, role, streams) }
		}
		return func() (any, error) {
			if err := change(); err != nil {
				return nil, accountErrors(err)
			}
			// What it has running was let in by what it could do before.
			return nil, s.endAll(name)
		}, nil
	})
}

// endAll ends all that a subject has.
func (s *Server) endAll(subject string) error {
	if err := s.opts.Revoke(revocation.Entry{Kind: revocation.Subject, Value: subject}); err != nil {
		s.log.Error("sessions of an account that was changed are not ended", "subject", subject, "error", err)
		return auth.ErrUnavailable
	}
	return nil
}

// removeUser forgets an account and ends what it has running.
func (s *Server) removeUser(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "user", func(rec *audit.Record) (effect, error) {
		name, err := s.otherUser(r, c)
		if err != nil {
			return nil, err
		}
		rec.Action, rec.Reason = "remove", name
		// It takes access and gives none: in effect first, on record then.
		if err := s.opts.Accounts.Remove(name); err != nil {
			return nil, accountErrors(err)
		}
		return done(nil), s.endAll(name)
	})
}

// listInvitations lists those that let somebody in.
func (s *Server) listInvitations(w http.ResponseWriter, _ *http.Request, _ caller) {
	s.answer(w, http.StatusOK, map[string]any{"invitations": s.opts.Invitations.List()})
}

// invite makes a link by which people without an account may view streams.
func (s *Server) invite(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "invitation", func(rec *audit.Record) (effect, error) {
		var body struct {
			Name    string   `json:"name"`
			Streams []string `json:"streams"`
			Uses    int      `json:"uses"`
			Seconds int      `json:"seconds"`
		}
		if err := decode(r, &body); err != nil {
			return nil, err
		}
		streams, err := parsePatterns(body.Streams)
		if err != nil {
			return nil, err
		}
		code, i, err := s.opts.Invitations.Make(body.Name, streams, body.Uses, seconds(body.Seconds))
		if err != nil {
			return nil, asInputIf(err, invitations.ErrExists, invitations.ErrInvalid)
		}
		rec.Action, rec.Reason = "make", fmt.Sprintf("%s, for %d on %s until %s", i.Name, i.Uses, strings.Join(body.Streams, " "), i.Expires.Format(time.RFC3339))
		return func() (any, error) { return newLink(r, i.Name, guestPrefix+code, i.Expires) }, nil
	})
}

// withdraw takes an invitation back and ends what its guests have running.
func (s *Server) withdraw(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "invitation", func(rec *audit.Record) (effect, error) {
		i, err := s.opts.Invitations.Remove(r.PathValue("name"))
		if errors.Is(err, invitations.ErrUnknown) {
			return nil, errNoInvitation
		}
		if err != nil {
			return nil, err
		}
		rec.Action, rec.Reason = "withdraw", i.Name
		return done(nil), s.endAll(i.Subject())
	})
}
