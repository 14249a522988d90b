package httpd

import (
	"fmt"
	"html"
	"net/http"

	"sightline/internal/audit"
	"sightline/internal/oidc"
)

// loginCookie names the login at the provider that a browser has begun. It must come along from the provider's site, so it is not
// as strict as the session's.
const loginCookie = "__Host-sightline-login"

// providerLogin sends the browser to the provider to log in there.
func (s *Server) providerLogin(w http.ResponseWriter, r *http.Request, _ caller) {
	provider := s.access.Load().Provider
	if provider == nil {
		s.notFound(w, r)
		return
	}
	address, browser, err := provider.Begin(r.Context(), s.remote(r))
	if err != nil {
		s.record(r, audit.Record{Event: "login", Verdict: audit.Refused, Reason: reason(err), Action: "oidc"})
		s.failPage(w, find(err))
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: loginCookie, Value: browser, Path: "/", MaxAge: int(oidc.LoginLifetime.Seconds()),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, address, http.StatusSeeOther) //nolint:gosec // to the provider that is configured
}

// providerCallback takes the browser back from the provider and gives it its session.
func (s *Server) providerCallback(w http.ResponseWriter, r *http.Request, _ caller) {
	provider := s.access.Load().Provider
	if provider == nil {
		s.notFound(w, r)
		return
	}
	var browser string
	if cookie, err := r.Cookie(loginCookie); err == nil {
		browser = cookie.Value
	}
	http.SetCookie(w, &http.Cookie{
		Name: loginCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	p, err := provider.Finish(r.Context(), browser, r.URL.Query())
	var token string
	if err == nil {
		token, p, err = s.mintSession(r.Context(), p)
	}
	rec := audit.Record{Event: "login", Verdict: audit.Granted, Subject: p.Subject, TokenID: p.ID, Session: p.ID, Action: "oidc"}
	err = s.settle(r, rec, err)
	if err != nil {
		s.failPage(w, find(err))
		return
	}
	admit(r.Context())
	setSession(w, token, p)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// refusedPage is written around a sentence. Not by html/template: it looks methods up by their names, so that a program with it keeps all
// methods of all its packages, 4.7 MB of this one.
const refusedPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sightline</title>
<link rel="stylesheet" href="/assets/app.css"><main class="door"><div class="card"><p>%s</p><a class="elsewhere" href="/">Back to the login</a></div></main></html>
`

// failPage tells a person who came by a link why they were refused.
func (s *Server) failPage(w http.ResponseWriter, r refusal) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(r.status)
	if _, err := fmt.Fprintf(w, refusedPage, html.EscapeString(r.message)); err != nil {
		s.log.Debug("page not written", "error", err)
	}
}
