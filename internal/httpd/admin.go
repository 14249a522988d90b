package httpd

import (
	"crypto/ed25519"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/revocation"
)

var (
	errQuery = errors.New("the address's parameters are not what it takes")
	errBusy  = errors.New("being done already")
)

const (
	// auditPage is how many records are shown at once where nobody asks for another number, maxAuditPage the most.
	auditPage    = 200
	maxAuditPage = 500
	// auditReach is how many bytes of the record are read for one page: some twenty thousand records.
	auditReach = 8 << 20
	// verifyTimeout is how long a check of the whole record may take.
	verifyTimeout = 10 * time.Minute
)

// loginWays tells what there is to log in by, beside links and passwords.
func (s *Server) loginWays(w http.ResponseWriter, _ *http.Request, _ caller) {
	s.answer(w, http.StatusOK, map[string]string{"oidc": s.access.Load().LoginWith})
}

// logoutEverywhere ends all that the caller has: sessions, tokens and what runs with them. It is for people in the server's
// page: who found a token of theirs shall not end everything.
func (s *Server) logoutEverywhere(w http.ResponseWriter, r *http.Request, c caller) {
	rec := audit.Record{
		Event: "logout", Action: "everywhere", Verdict: audit.Ended,
		Subject: c.principal.Subject, TokenID: c.principal.ID, Session: c.principal.ID,
	}
	err := auth.ErrWrongKind
	if c.byCookie {
		// It takes access and gives none: in effect first, on record then.
		if err = s.opts.Revoke(revocation.Entry{Kind: revocation.Subject, Value: c.principal.Subject}); err != nil {
			s.log.Error("sessions that were logged out of are not revoked", "error", err)
			err = auth.ErrUnavailable
		}
	}
	err = s.settle(r, rec, err)
	if err != nil {
		s.refuse(w, err)
		return
	}
	forgetSession(w)
	w.WriteHeader(http.StatusNoContent)
}

// forgetSession has a browser drop the cookie of its session.
func forgetSession(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// recordJSON is an audit record as it is shown.
type recordJSON struct {
	Seq     uint64        `json:"seq"`
	Time    time.Time     `json:"time"`
	Event   string        `json:"event"`
	Verdict audit.Verdict `json:"verdict"`
	Reason  string        `json:"reason"`
	Subject string        `json:"subject"`
	TokenID string        `json:"token_id"`
	Stream  string        `json:"stream"`
	Action  string        `json:"action"`
	Remote  string        `json:"remote"`
	Session string        `json:"session"`
	Count   uint64        `json:"count,omitempty"` // how many attempts it stands for, where it is a roll-up
}

// auditTrail shows the newest records that are asked for.
func (s *Server) auditTrail(w http.ResponseWriter, r *http.Request, _ caller) {
	f, n, err := auditQuery(r.URL.RawQuery)
	if err != nil {
		s.refuse(w, err)
		return
	}
	s.auditReading.Lock() // one after another: each is short
	page, err := audit.Recent(s.opts.AuditPath, n, auditReach, f)
	s.auditReading.Unlock()
	if err != nil {
		s.refuse(w, err)
		return
	}
	list := make([]recordJSON, 0, len(page.Entries))
	for _, e := range page.Entries {
		list = append(list, recordJSON{
			e.Seq, e.Time, e.Event, e.Verdict, e.Reason, e.Subject, e.TokenID, e.Stream, e.Action, e.Remote, e.Session, e.Count,
		})
	}
	s.answer(w, http.StatusOK, map[string]any{"records": list, "from": page.From, "all": page.All})
}

// auditQuery reads which records are asked for, and how many. The error is errQuery.
func auditQuery(raw string) (f audit.Filter, n int, err error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return f, 0, errQuery
	}
	n = auditPage
	for name, values := range query {
		fields := map[string]*string{"stream": &f.Stream, "subject": &f.Subject, "event": &f.Event, "verdict": &f.Verdict}
		field, known := fields[name]
		switch {
		case len(values) != 1:
			return f, 0, errQuery
		case known:
			*field = values[0]
		case name == "limit":
			if n, err = strconv.Atoi(values[0]); err != nil || n < 1 || n > maxAuditPage {
				return f, 0, errQuery
			}
		default:
			return f, 0, errQuery
		}
	}
	verdicts := []string{"", string(audit.Granted), string(audit.Refused), string(audit.Ended)}
	if !slices.Contains(verdicts, f.Verdict) {
		return f, 0, errQuery
	}
	return f, n, nil
}

// auditVerify checks the whole record, for one caller at a time.
func (s *Server) auditVerify(w http.ResponseWriter, r *http.Request, _ caller) {
	if !s.auditVerifying.TryLock() {
		s.refuse(w, errBusy)
		return
	}
	defer s.auditVerifying.Unlock()
	// The deadline for reading would end the request's context, by which the check is stopped when nobody waits any more.
	control := http.NewResponseController(w)
	err := control.SetReadDeadline(time.Time{})
	if err == nil {
		err = control.SetWriteDeadline(time.Now().Add(verifyTimeout))
	}
	if err != nil {
		s.refuse(w, err)
		return
	}
	report, err := audit.Verify(s.opts.AuditPath, audit.VerifyOptions{
		Keys: []ed25519.PublicKey{s.opts.AuditKey}, Live: true, Stop: r.Context().Done(),
	})
	if errors.Is(err, audit.ErrStopped) {
		return // nobody is there to be told
	}
	if err != nil {
		s.refuse(w, err)
		return
	}
	s.answer(w, http.StatusOK, report)
}
