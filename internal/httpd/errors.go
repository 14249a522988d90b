package httpd

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"sightline/internal/accounts"
	"sightline/internal/auth"
	"sightline/internal/hub"
	"sightline/internal/mjpeg"
	"sightline/internal/preferences"
	"sightline/internal/wire"
)

// refusal is how one error looks from outside.
type refusal struct {
	err     error
	status  int
	reason  string // for the audit record and the answer's code
	message string
}

// refusals are this room's own errors; those of auth have their words there.
func refusals() []refusal {
	return []refusal{
		{errOrigin, http.StatusForbidden, "wrong-origin", "This page may not use this server; add its address to " +
			"auth.origins in the configuration, or open the server's own page."},
		{errQueryToken, http.StatusBadRequest, "credential-in-url", "Credentials do not belong in the address; " +
			"send a token in the Authorization header."},
		{errSubprotocol, http.StatusBadRequest, "no-subprotocol", "This address speaks WebSocket with the subprotocol " +
			wire.Subprotocol + "; ask for it in the handshake."},
		{errStreamName, http.StatusNotFound, "bad-stream-name", "That is no stream's name."},
		{errCSRF, http.StatusForbidden, "no-csrf-header", "Requests that change something need the header X-Sightline."},
		{errBody, http.StatusBadRequest, "bad-json", "The request's body is not the JSON object that this address takes."},
		{errQuery, http.StatusBadRequest, "bad-query", "This address takes stream, subject, event, verdict (granted, refused or " +
			"ended) and limit (1 to 500), each once at most."},
		{errBusy, http.StatusConflict, "busy", "This is being done already, for somebody else or for you: wait for its end."},
		{preferences.ErrMalformed, http.StatusBadRequest, "bad-preferences", fmt.Sprintf("Preferences are one JSON object of at most %d bytes.",
			preferences.MaxBytes)},
		{preferences.ErrFull, http.StatusInsufficientStorage, "too-many-people", "The server keeps the preferences of no more people; ask its operator " +
			"to remove old files from the directory preferences."},
		{errNoUser, http.StatusNotFound, "no-user", "There is no such account."},
		{errNoInvitation, http.StatusNotFound, "no-invitation", "There is no such invitation, or it has expired."},
		{errNoKey, http.StatusNotFound, "no-key", "There is no such key, or it is gone already."},
		{errTooLarge, http.StatusRequestEntityTooLarge, "too-large", "The request's body is longer than any that this " +
			"address takes."},
		{errNotRecorded, http.StatusServiceUnavailable, "audit", "The server cannot record this access and therefore " +
			"gives none; ask its operator."},
		{auth.ErrNotAllowed, http.StatusForbidden, "not-allowed", "You are not allowed to do this with this stream, or " +
			"there is no such stream."},
		{errNoSession, http.StatusNotFound, "no-session", "There is no such session, or it is not yours to end."},
		{errNoAlert, http.StatusNotFound, "no-alert", "There is no such alert, or newer ones have taken its place."},
		{errNoRule, http.StatusNotFound, "no-rule", "No rule of that name is mute."},
		{hub.ErrNoStream, http.StatusNotFound, "no-stream", "There is no such stream."},
		{hub.ErrFull, http.StatusServiceUnavailable, "full", "This server has as many viewers as it may have; try again later."},
		{mjpeg.ErrNoJPEG, http.StatusNotFound, "no-jpeg", "This stream has no JPEG rendition; add one to its renditions in the configuration."},
		{errNoPicture, http.StatusServiceUnavailable, "no-picture", "The stream gives no picture now; its state in /api/v1/streams says why."},
		{errHasSource, http.StatusConflict, "has-source", "This stream has a source of its own in the server's configuration; publish " +
			"under another name."},
		{errHost, http.StatusMisdirectedRequest, "unknown-host", "This server does not answer to that name; add it to hosts in its " +
			"configuration."},
		{errNothing, http.StatusNotFound, "not-found", "There is nothing here."},
		{auth.ErrTooMany, http.StatusTooManyRequests, "too-many", auth.Sentence(auth.ErrTooMany)},
		{accounts.ErrPassword, http.StatusBadRequest, "bad-password", fmt.Sprintf("A password has %d to %d characters; choose another one.",
			accounts.MinPassword, accounts.MaxPassword)},
		{auth.ErrSlowDown, http.StatusTooManyRequests, "slow-down", auth.Sentence(auth.ErrSlowDown)},
		{auth.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", auth.Sentence(auth.ErrUnavailable)},
	}
}

func find(err error) refusal {
	for _, r := range refusals() {
		if errors.Is(err, r.err) {
			return r
		}
	}
	if input := (*InputError)(nil); errors.As(err, &input) {
		return refusal{err, http.StatusBadRequest, "bad-input", input.Sentence}
	}
	if word := auth.Reason(err); word != "internal" {
		return refusal{err, http.StatusUnauthorized, word, auth.Sentence(err)}
	}
	return refusal{err, http.StatusInternalServerError, "internal", "The server made a mistake; its log says more."}
}

// reason is the word for err in the audit record.
func reason(err error) string { return find(err).reason }

func (s *Server) refuse(w http.ResponseWriter, err error) {
	r := find(err)
	if r.status == http.StatusInternalServerError {
		s.log.Error("request failed", "error", err)
	}
	s.fail(w, r.status, r.reason, r.message)
}

// fail answers with an error object: {"error":{"code","message"}}.
func (s *Server) fail(w http.ResponseWriter, status int, code, message string) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="sightline"`)
	}
	s.answer(w, status, map[string]any{"error": map[string]string{"code": code, "message": message}})
}

func (s *Server) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.log.Debug("answer not written", "error", err)
	}
}
