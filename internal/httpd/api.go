package httpd

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/media"
)

// sessionCookie carries the session token. The prefix has browsers hold it to this host, Secure and Path=/ (RFC 6265bis section 4.1.3.2).
const sessionCookie = "__Host-sightline"

// decode reads a small JSON body into v, strictly. On an error the answer has been written.
func (s *Server) decode(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		s.fail(w, http.StatusBadRequest, "bad-json", "The request's body is not the JSON object that this address takes.")
		return false
	}
	return true
}

// login exchanges a one-time code for a session cookie.
func (s *Server) login(w http.ResponseWriter, r *http.Request, _ caller) {
	if origin := r.Header.Get("Origin"); origin != "" && !sameOrigin(r, origin) {
		s.record(r, audit.Record{Event: "login", Verdict: audit.Refused, Reason: reason(errOrigin)})
		s.refuse(w, errOrigin)
		return
	}
	var body struct {
		Code string `json:"code"`
	}
	if !s.decode(w, r, &body) {
		s.record(r, audit.Record{Event: "login", Verdict: audit.Refused, Reason: "bad-json"})
		return
	}
	p, err := s.opts.Auth.RedeemCode(body.Code)
	var token string
	if err == nil {
		token, p, err = s.opts.Auth.MintSession(p)
	}
	rec := audit.Record{Event: "login", Subject: p.Subject, TokenID: p.ID, Session: p.ID}
	if err != nil {
		rec.Verdict, rec.Reason = audit.Refused, reason(err)
		s.record(r, rec)
		s.refuse(w, err)
		return
	}
	rec.Verdict = audit.Granted
	if !s.record(r, rec) {
		s.fail(w, http.StatusServiceUnavailable, "audit", "The server cannot record this login and therefore gives none; ask its operator.")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: token, Path: "/", Expires: p.Expires,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	w.WriteHeader(http.StatusNoContent)
}

// logout forgets the cookie.
func (s *Server) logout(w http.ResponseWriter, r *http.Request, _ caller) {
	if !sameOrigin(r, r.Header.Get("Origin")) || r.Header.Get("X-Sightline") == "" {
		s.refuse(w, errOrigin)
		return
	}
	rec := audit.Record{Event: "logout", Verdict: audit.Ended}
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		if p, err := s.opts.Auth.Verify(cookie.Value, auth.KindSession); err == nil {
			rec.Subject, rec.TokenID, rec.Session = p.Subject, p.ID, p.ID
			s.record(r, rec)
		}
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) session(w http.ResponseWriter, _ *http.Request, c caller) {
	s.answer(w, http.StatusOK, map[string]any{"subject": c.principal.Subject, "expires": c.principal.Expires.UTC().Format(time.RFC3339)})
}

type streamJSON struct {
	ID         media.StreamID  `json:"id"`
	State      media.State     `json:"state"`
	Detail     string          `json:"detail"`
	Viewers    int             `json:"viewers"`
	Renditions []renditionJSON `json:"renditions"`
}

type renditionJSON struct {
	ID             media.RenditionID `json:"id"`
	Name           string            `json:"name"`
	Codec          string            `json:"codec"`
	Width          int               `json:"width"`
	Height         int               `json:"height"`
	FrameRateMilli int               `json:"frame_rate_milli"`
}

// streams lists what the caller may watch.
func (s *Server) streams(w http.ResponseWriter, _ *http.Request, c caller) {
	list := []streamJSON{}
	for _, info := range s.opts.Hub.Streams() {
		if c.principal.Allows(auth.View, info.ID) != nil {
			continue
		}
		j := streamJSON{ID: info.ID, State: info.Status.State, Detail: info.Status.Detail, Viewers: info.Viewers, Renditions: []renditionJSON{}}
		for _, r := range info.Renditions {
			j.Renditions = append(j.Renditions, renditionJSON{r.ID, r.Name, r.Codec.String(), r.Width, r.Height, r.FrameRateMilli})
		}
		list = append(list, j)
	}
	s.answer(w, http.StatusOK, map[string]any{"streams": list})
}

// ticket gives the caller a ticket to open one stream once, from one origin.
func (s *Server) ticket(w http.ResponseWriter, r *http.Request, c caller) {
	var body struct {
		Stream string `json:"stream"`
		Action string `json:"action"`
		Origin string `json:"origin"`
	}
	if !s.decode(w, r, &body) {
		return
	}
	rec := audit.Record{
		Event: "ticket", Stream: body.Stream, Action: body.Action,
		Subject: c.principal.Subject, TokenID: c.principal.ID, Session: c.principal.ID,
	}
	ticket, err := s.newTicket(r, c, body.Stream, body.Action, body.Origin)
	if err != nil {
		rec.Verdict, rec.Reason = audit.Refused, reason(err)
		s.record(r, rec)
		s.refuse(w, err)
		return
	}
	rec.Verdict = audit.Granted
	if !s.record(r, rec) {
		s.fail(w, http.StatusServiceUnavailable, "audit", "The server cannot record this ticket and therefore gives none; ask its operator.")
		return
	}
	s.answer(w, http.StatusOK, map[string]any{"ticket": ticket, "expires_in": int(auth.TicketLifetime / time.Second)})
}

func (s *Server) newTicket(r *http.Request, c caller, stream, action, origin string) (string, error) {
	id, err := media.ParseStreamID(stream)
	if err != nil {
		return "", errStreamName
	}
	a, err := auth.ParseAction(action)
	if err != nil {
		return "", fmt.Errorf("%w: %w", auth.ErrNotAllowed, err)
	}
	if c.byCookie {
		origin = r.Header.Get("Origin") // our own page's, checked already
	} else if origin != "" && !s.allowedOrigin(r, origin) {
		return "", errOrigin
	}
	return s.opts.Auth.NewTicket(c.principal, a, id, origin)
}

func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request, _ caller) {
	s.answer(w, http.StatusOK, map[string]string{"status": "ok"})
}
