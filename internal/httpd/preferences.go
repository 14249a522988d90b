package httpd

import (
	"encoding/json"
	"net/http"
)

// preferences tells what the caller chose for their pages.
func (s *Server) preferences(w http.ResponseWriter, _ *http.Request, c caller) {
	chosen, err := s.opts.Preferences.Get(c.principal.Subject)
	if err != nil {
		s.refuse(w, err)
		return
	}
	s.answer(w, http.StatusOK, chosen)
}

// setPreferences keeps what the caller chose. It opens nothing to anybody and is not on record.
func (s *Server) setPreferences(w http.ResponseWriter, r *http.Request, c caller) {
	var chosen json.RawMessage
	err := decode(r, &chosen)
	if err == nil {
		err = s.opts.Preferences.Put(c.principal.Subject, chosen)
	}
	if err != nil {
		s.refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
