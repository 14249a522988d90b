package httpd

import (
	"errors"
	"math"
	"net/http"
	"time"

	"sightline/internal/audit"
)

// InputError is what somebody asked for that cannot be done, in a sentence for them.
type InputError struct{ Sentence string }

// Error gives the sentence.
func (e *InputError) Error() string { return e.Sentence }

// effect is what is done once it is on record, and what it answers; nil for no content.
type effect func() (answer any, err error)

// act does what an administrator asks for. prepare checks it, notes in the record what it is about, and gives what is left to be
// done when that is on record: all that lets anybody do more than before, and the disclosure of whatever was made.
func (s *Server) act(w http.ResponseWriter, r *http.Request, c caller, event string, prepare func(rec *audit.Record) (effect, error)) {
	rec := audit.Record{
		Event: event, Verdict: audit.Granted, Subject: c.principal.Subject, TokenID: c.principal.ID, Session: c.principal.ID,
	}
	do, err := prepare(&rec)
	err = s.settle(r, rec, err)
	var answer any
	if err == nil {
		answer, err = do()
	}
	switch {
	case err != nil:
		s.refuse(w, err)
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		s.answer(w, http.StatusOK, answer)
	}
}

// done is the effect of what is done already.
func done(answer any) effect { return func() (any, error) { return answer, nil } }

// seconds is a duration that somebody asked for.
func seconds(n int) time.Duration { return time.Duration(min(n, math.MaxInt32)) * time.Second }

// asInput turns an error whose text is for the person who asked into one that is told to them.
func asInput(err error) error {
	if err == nil {
		return nil
	}
	return &InputError{"This cannot be done: " + err.Error() + "."}
}

// asInputIf does so where err is one of those.
func asInputIf(err error, those ...error) error {
	for _, e := range those {
		if errors.Is(err, e) {
			return asInput(err)
		}
	}
	return err
}
