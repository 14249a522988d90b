package httpd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"sightline/internal/accounts"
	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/media"
	"sightline/internal/revocation"
)

// sessionCookie carries the session token. The prefix has browsers hold it to this host, Secure and Path=/ (RFC 6265bis
// section 4.1.3.2).
const sessionCookie = "__Host-sightline"

// decode reads a body that is one small JSON object into v, strictly. The error wraps errBody or errTooLarge.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return errTooLarge
	}
	return errBody // the cause may quote a credential
}

// login exchanges a one-time code for a session cookie.
func (s *Server) login(w http.ResponseWriter, r *http.Request, _ caller) {
	token, p, name, err := s.newSession(r)
	rec := audit.Record{Event: "login", Verdict: audit.Granted, Subject: p.Subject, TokenID: p.ID, Session: p.ID}
	if err != nil {
		rec.Subject = name
	}
	err = s.settle(r, rec, err)
	if err != nil {
		s.refuse(w, err)
		return
	}
	admit(r.Context())
	setSession(w, token, p)
	w.WriteHeader(http.StatusNoContent)
}

// setSession gives a browser the cookie of a session.
func setSession(w http.ResponseWriter, token string, p auth.Principal) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: token, Path: "/", Expires: p.Expires,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// newSession makes the session token for a request to log in: with a one-time code, with that of an invitation, with a name and
// a password, or with the set-up code of an account and the password that it shall have. name is the one that was tried, as far as it can be one.
func (s *Server) newSession(r *http.Request) (token string, p auth.Principal, name string, err error) {
	if origins := r.Header.Values("Origin"); len(origins) > 1 || len(origins) == 1 && !sameOrigin(r, origins[0]) {
		return "", p, "", errOrigin
	}
	var body struct {
		Code     string `json:"code"`
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	if err := decode(r, &body); err != nil {
		return "", p, "", err
	}
	source, _ := netip.ParseAddr(s.remote(r)) // the zero address is a source too
	switch {
	case body.Name != "" && body.Code == "":
		if accounts.IsName(body.Name) { // anything else may be a password in the wrong field
			name = body.Name
		}
		p, err = s.opts.Accounts.Login(r.Context(), body.Name, body.Password, source)
	case body.Name == "" && body.Password != "":
		p, err = s.opts.Accounts.Accept(r.Context(), body.Code, body.Password, source)
	case body.Name == "" && strings.HasPrefix(body.Code, guestPrefix):
		p, err = s.opts.Invitations.Redeem(strings.TrimPrefix(body.Code, guestPrefix))
	case body.Name == "":
		p, err = s.opts.Auth.RedeemCode(body.Code)
	default:
		err = errBody
	}
	if err != nil {
		return "", p, name, err
	}
	token, p, err = s.mintSession(r.Context(), p)
	return token, p, name, err
}

// mintSession makes the session token for a login as p. Tokens know whole seconds, and what revokes those made up to now bars the whole
// second: a login that comes after it waits for the next one, or its session would be refused at its first use.
func (s *Server) mintSession(ctx context.Context, p auth.Principal) (string, auth.Principal, error) {
	token, session, err := s.opts.Auth.MintSession(p)
	if err != nil {
		return "", p, err
	}
	if _, err := s.opts.Auth.Verify(token, auth.KindSession); !errors.Is(err, auth.ErrRevoked) {
		return token, session, err
	}
	next := time.NewTimer(min(time.Second, time.Until(session.Issued.Add(time.Second))))
	defer next.Stop()
	select {
	case <-ctx.Done():
		return "", p, context.Cause(ctx)
	case <-next.C:
	}
	return s.opts.Auth.MintSession(p)
}

// logout revokes the session and forgets the cookie.
func (s *Server) logout(w http.ResponseWriter, r *http.Request, _ caller) {
	rec := audit.Record{Event: "logout", Verdict: audit.Ended}
	var err error
	switch {
	case !sameOrigin(r, r.Header.Get("Origin")):
		err = errOrigin
	case r.Header.Get("X-Sightline") == "":
		err = errCSRF
	}
	if err != nil {
		rec.Verdict, rec.Reason = audit.Refused, reason(err)
		s.record(r, rec)
		s.refuse(w, err)
		return
	}
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		if p, err := s.opts.Auth.Verify(cookie.Value, auth.KindSession); err == nil {
			rec.Subject, rec.TokenID, rec.Session = p.Subject, p.ID, p.ID
			s.record(r, rec)
			if err := s.opts.Revoke(revocation.Entry{Kind: revocation.Token, Value: p.ID}); err != nil {
				s.log.Error("a session that was logged out of is not revoked", "error", err)
				s.refuse(w, auth.ErrUnavailable)
				return
			}
		}
	}
	forgetSession(w)
	w.WriteHeader(http.StatusNoContent)
}

// session tells who the caller is.
func (s *Server) session(w http.ResponseWriter, _ *http.Request, c caller) {
	_, err := s.opts.Accounts.Renew(c.principal)
	s.answer(w, http.StatusOK, map[string]any{
		"subject": c.principal.Subject, "expires": c.principal.Expires.UTC().Format(time.RFC3339),
		"admin": c.principal.AllowsEverywhere(auth.Admin) == nil, "renews": c.byCookie && err == nil,
	})
}

// renewSession gives who watches on a screen of their own a new session before theirs ends, without the password: only to accounts
// that may look and nothing else, as they are now. What barred the old session bars the new one.
func (s *Server) renewSession(w http.ResponseWriter, r *http.Request, c caller) {
	rec := audit.Record{Event: "renew", Verdict: audit.Granted, Subject: c.principal.Subject, TokenID: c.principal.ID, Session: c.principal.ID}
	var token string
	var p auth.Principal
	err := auth.ErrNotAllowed
	if c.byCookie {
		p, err = s.opts.Accounts.Renew(c.principal)
	}
	if err == nil {
		token, p, err = s.mintSession(r.Context(), p)
	}
	if err == nil {
		_, err = s.identify(r, rule{kind: ruleLogin}) // whatever was revoked meanwhile does not bar what was made since
	}
	if err == nil {
		rec.TokenID = p.ID
	}
	err = s.settle(r, rec, err)
	if err != nil {
		s.refuse(w, err)
		return
	}
	setSession(w, token, p)
	s.answer(w, http.StatusOK, map[string]any{"expires": p.Expires.UTC().Format(time.RFC3339)})
}

type streamJSON struct {
	ID         media.StreamID  `json:"id"`
	State      media.State     `json:"state"`
	Cause      media.Cause     `json:"cause,omitempty"`
	Detail     string          `json:"detail"`
	Viewers    int             `json:"viewers"`
	Source     string          `json:"source,omitempty"`  // the kind of it, while there is a publisher
	Sandbox    string          `json:"sandbox,omitempty"` // what confines the publisher, in its own words
	Groups     []string        `json:"groups"`
	Renditions []renditionJSON `json:"renditions"`
}

type renditionJSON struct {
	ID             media.RenditionID `json:"id"`
	Name           string            `json:"name"`
	Codec          string            `json:"codec"`
	Width          int               `json:"width"`
	Height         int               `json:"height"`
	FrameRateMilli int               `json:"frame_rate_milli"`
	Encoder        string            `json:"encoder,omitempty"`
}

func viewOfRendition(r media.Rendition) renditionJSON {
	return renditionJSON{r.ID, r.Name, r.Codec.String(), r.Width, r.Height, r.FrameRateMilli, r.Encoder}
}

// streams lists what the caller may watch.
func (s *Server) streams(w http.ResponseWriter, _ *http.Request, c caller) {
	list := []streamJSON{}
	for _, info := range s.opts.Hub.Streams() {
		if c.principal.Allows(auth.View, info.ID) != nil || strings.HasPrefix(string(info.ID), TrialPrefix) {
			continue
		}
		j := streamJSON{
			ID: info.ID, State: info.Status.State, Cause: info.Status.Cause, Detail: info.Status.Detail, Viewers: info.Viewers,
			Source: info.Origin.Source, Sandbox: info.Origin.Sandbox, Groups: s.opts.Groups(info.ID), Renditions: []renditionJSON{},
		}
		for _, r := range info.Renditions {
			j.Renditions = append(j.Renditions, viewOfRendition(r))
		}
		list = append(list, j)
	}
	s.answer(w, http.StatusOK, map[string]any{"streams": list})
}

// ticket gives the caller a ticket to open one stream once, from one origin.
func (s *Server) ticket(w http.ResponseWriter, r *http.Request, c caller) {
	rec := audit.Record{
		Event: "ticket", Verdict: audit.Granted,
		Subject: c.principal.Subject, TokenID: c.principal.ID, Session: c.principal.ID,
	}
	ticket, err := s.newTicket(r, c, &rec)
	err = s.settle(r, rec, err)
	if err != nil {
		s.refuse(w, err)
		return
	}
	s.answer(w, http.StatusOK, map[string]any{"ticket": ticket, "expires_in": int(auth.TicketLifetime / time.Second)})
}

// newTicket makes the ticket that r asks for, and tells rec what it is for as far as that makes sense: what does not may
// be anything, a credential too.
func (s *Server) newTicket(r *http.Request, c caller, rec *audit.Record) (string, error) {
	var body struct {
		Stream string `json:"stream"`
		Action string `json:"action"`
		Origin string `json:"origin"`
	}
	if err := decode(r, &body); err != nil {
		return "", err
	}
	id, err := media.ParseStreamID(body.Stream)
	if err != nil {
		return "", errStreamName
	}
	rec.Stream = string(id)
	action, err := auth.ParseAction(body.Action)
	if err != nil {
		return "", fmt.Errorf("%w: %w", auth.ErrNotAllowed, err)
	}
	rec.Action = string(action)
	origin := body.Origin
	if c.byCookie {
		origin = r.Header.Get("Origin") // our own page's, checked already
	} else if origin != "" && !s.allowedOrigin(r, origin) {
		return "", errOrigin
	}
	return s.opts.Auth.NewTicket(c.principal, action, id, origin)
}

// code gives an administrator a one-time code, which behind # makes a link that logs its first user in as the operator.
func (s *Server) code(w http.ResponseWriter, _ *http.Request, _ caller) {
	code, err := s.opts.NewCode()
	if err != nil {
		s.refuse(w, err)
		return
	}
	s.answer(w, http.StatusOK, map[string]any{"code": code, "expires_in": int(auth.MaxCodeLifetime / time.Second)})
}

func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request, _ caller) {
	s.answer(w, http.StatusOK, map[string]string{"status": "ok"})
}
