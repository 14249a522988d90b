package httpd

import (
	"context"
	"net/http"

	"sightline/internal/audit"
)

// Setting is one value of the configuration as those who run the server see it: without anything secret.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"` // default, file, environment, flag, and page or demo for a stream
	Where  string `json:"where"`  // file:line, or the name of a variable or flag
}

// ConfigChange is a setting that differs on disk from what holds. From and To are the same where what differs is not shown.
type ConfigChange struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
}

// ConfigReport is what there is to say of the configuration on disk.
type ConfigReport struct {
	Changes  []ConfigChange `json:"changes"`
	Problems []string       `json:"problems"` // why it cannot be taken up: none, if it can
	TakenUp  bool           `json:"taken_up"`
}

// Configuration is what the page does with the configuration.
type Configuration interface {
	// Show lists what holds.
	Show() []Setting
	// Check looks at what is on disk, and Reload goes on with it, all or nothing.
	Check() ConfigReport
	Reload(ctx context.Context) ConfigReport
}

// configuration lists what holds.
func (s *Server) configuration(w http.ResponseWriter, _ *http.Request, _ caller) {
	s.answer(w, http.StatusOK, map[string]any{"settings": s.opts.Configuration.Show()})
}

// checkConfiguration looks at what is on disk.
func (s *Server) checkConfiguration(w http.ResponseWriter, _ *http.Request, _ caller) {
	s.answer(w, http.StatusOK, s.opts.Configuration.Check())
}

// reloadConfiguration goes on with what is on disk.
func (s *Server) reloadConfiguration(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "config", func(rec *audit.Record) (effect, error) {
		rec.Action = "reload"
		return func() (any, error) { return s.opts.Configuration.Reload(r.Context()), nil }, nil
	})
}
