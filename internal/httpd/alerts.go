package httpd

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"sightline/internal/audit"
	"sightline/internal/detect"
	"sightline/internal/sessions"
)

// maxMute is the longest that a rule is muted, in hours: nobody forgets it for good.
const maxMute = 7 * 24

// alerts lists what the rules over the audit record found, newest first, and which of them are mute until when.
func (s *Server) alerts(w http.ResponseWriter, _ *http.Request, _ caller) {
	s.answer(w, http.StatusOK, map[string]any{"alerts": s.opts.Alerts.Newest(), "muted": s.opts.Alerts.Muted(time.Now())})
}

// endSessionsOf ends what runs of that which an alert is about, and answers how many sessions that were. Nobody loses leave by it.
func (s *Server) endSessionsOf(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "end-session", func(rec *audit.Record) (effect, error) {
		id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
		a, ok := s.opts.Alerts.Find(id)
		if err != nil || !ok {
			return nil, errNoAlert
		}
		rec.Action, rec.Stream, rec.Reason = a.Rule, a.Stream, fmt.Sprintf("of alert %d", id)
		if a.Ends == detect.EndsNothing {
			return nil, asInput(fmt.Errorf("alert %d is about no sessions", id))
		}
		return func() (any, error) {
			ended := 0
			for _, x := range s.opts.Sessions.List(func(x sessions.Session) bool { return isOf(a.Alert, x) }) {
				if s.opts.Sessions.End(x.ID) {
					ended++
				}
			}
			return map[string]int{"ended": ended}, nil
		}, nil
	})
}

// isOf tells whether a is about the session x.
func isOf(a detect.Alert, x sessions.Session) bool {
	switch a.Ends {
	case detect.EndsToken:
		return x.TokenID == a.TokenID
	case detect.EndsSubject:
		return x.Subject == a.Subject
	case detect.EndsStream:
		return x.Kind != "publish" && string(x.Stream) == a.Stream
	}
	return false
}

// mute keeps one rule from raising alerts for some hours.
func (s *Server) mute(w http.ResponseWriter, r *http.Request, c caller) {
	rec := audit.Record{
		Event: "mute", Verdict: audit.Granted, Subject: c.principal.Subject, TokenID: c.principal.ID, Session: c.principal.ID,
	}
	var body struct {
		Rule  string `json:"rule"`
		Hours int    `json:"hours"`
	}
	err := decode(r, &body)
	if err == nil && (body.Hours < 1 || body.Hours > maxMute || !detect.IsRule(body.Rule)) {
		err = errBody
	}
	if err == nil {
		rec.Action, rec.Reason = body.Rule, fmt.Sprintf("%d h", body.Hours)
	}
	err = s.settle(r, rec, err)
	if err != nil {
		s.refuse(w, err)
		return
	}
	s.opts.Alerts.Mute(body.Rule, time.Now().Add(time.Duration(body.Hours)*time.Hour))
	w.WriteHeader(http.StatusNoContent)
}

// unmute ends that before its time.
func (s *Server) unmute(w http.ResponseWriter, r *http.Request, c caller) {
	rec := audit.Record{
		Event: "unmute", Verdict: audit.Granted, Subject: c.principal.Subject, TokenID: c.principal.ID, Session: c.principal.ID,
	}
	var err error
	name := r.PathValue("rule")
	if _, mute := s.opts.Alerts.Muted(time.Now())[name]; mute {
		rec.Action = name
	} else {
		err = errNoRule
	}
	err = s.settle(r, rec, err)
	if err != nil {
		s.refuse(w, err)
		return
	}
	s.opts.Alerts.Mute(name, time.Time{})
	w.WriteHeader(http.StatusNoContent)
}
