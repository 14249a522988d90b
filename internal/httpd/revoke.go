package httpd

import (
	"errors"
	"net/http"
	"time"

	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/revocation"
	"sightline/internal/sessions"
)

type sessionJSON struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Stream  string `json:"stream"`
	Subject string `json:"subject"`
	Remote  string `json:"remote"`
	Since   string `json:"since"`
	Expires string `json:"expires"`
	// Figures are how a viewer fares, left out for what has not said so lately.
	Figures *figuresJSON `json:"figures,omitempty"`
}

// figuresJSON is how a viewer fares, in its own words but for the rendition and what limits it.
type figuresJSON struct {
	Rendition  string  `json:"rendition"`
	Height     int     `json:"height"`
	Limit      string  `json:"limit,omitempty"`
	Stills     bool    `json:"stills,omitempty"`
	PaintP50   int64   `json:"paint_p50_us"`
	PaintP95   int64   `json:"paint_p95_us"`
	FrameRate  float64 `json:"frame_rate"`
	Dropped    int     `json:"dropped"`
	BitrateBps int     `json:"bitrate_bps"`
}

func viewOfFigures(f sessions.Figures) *figuresJSON {
	if f.At.IsZero() {
		return nil
	}
	return &figuresJSON{
		Rendition: f.Rendition.Name, Height: f.Rendition.Height, Limit: f.Limit, Stills: f.Stills,
		PaintP50: f.PaintP50.Microseconds(), PaintP95: f.PaintP95.Microseconds(),
		FrameRate: f.FrameRate, Dropped: f.Dropped, BitrateBps: f.BitrateBps,
	}
}

// mayEnd tells whether a session is the caller's own, or one of a server that the caller administers.
func (c caller) mayEnd(s sessions.Session) bool {
	return s.Subject == c.principal.Subject || c.principal.AllowsEverywhere(auth.Admin) == nil
}

// listSessions lists what runs with the caller's leave, and for an administrator all that runs.
func (s *Server) listSessions(w http.ResponseWriter, _ *http.Request, c caller) {
	list := []sessionJSON{}
	for _, x := range s.opts.Sessions.List(c.mayEnd) {
		list = append(list, sessionJSON{
			ID: x.ID, Kind: x.Kind, Stream: string(x.Stream), Subject: x.Subject, Remote: x.Remote,
			Since: x.Since.UTC().Format(time.RFC3339), Expires: x.Expires.UTC().Format(time.RFC3339),
			Figures: viewOfFigures(x.Figures),
		})
	}
	s.answer(w, http.StatusOK, map[string]any{"sessions": list})
}

// endSession ends one.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request, c caller) {
	id := r.PathValue("id")
	rec := audit.Record{
		Event: "end-session", Verdict: audit.Granted, Subject: c.principal.Subject, TokenID: c.principal.ID, Session: c.principal.ID,
	}
	found := s.opts.Sessions.List(func(x sessions.Session) bool { return x.ID == id && c.mayEnd(x) })
	if len(found) == 0 {
		rec.Verdict, rec.Reason = audit.Refused, reason(errNoSession)
		s.record(r, rec)
		s.refuse(w, errNoSession)
		return
	}
	rec.Stream, rec.Action, rec.Reason = string(found[0].Stream), found[0].Kind, "of "+found[0].Subject
	if !s.record(r, rec) {
		s.refuse(w, errNotRecorded)
		return
	}
	s.opts.Sessions.End(id)
	w.WriteHeader(http.StatusNoContent)
}

// revoke ends credentials before their time.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request, c caller) {
	rec := audit.Record{
		Event: "revoke", Verdict: audit.Granted, Subject: c.principal.Subject, TokenID: c.principal.ID, Session: c.principal.ID,
	}
	var body struct {
		Kind  string `json:"kind"`
		Value string `json:"value"`
	}
	err := decode(r, &body)
	if err == nil {
		// It takes access and gives none: in effect first, on record then.
		err = s.opts.Revoke(revocation.Entry{Kind: revocation.Kind(body.Kind), Value: body.Value})
		switch {
		case errors.Is(err, revocation.ErrInvalid):
			err = errBody
		case err != nil:
			s.log.Error("revocation not written", "error", err)
			err = auth.ErrUnavailable
		default:
			rec.Action, rec.Reason = body.Kind, body.Value
		}
	}
	err = s.settle(r, rec, err)
	if err != nil {
		s.refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
