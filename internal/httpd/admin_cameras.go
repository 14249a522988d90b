package httpd

import (
	"context"
	"net/http"
	"strings"

	"sightline/internal/audit"
	"sightline/internal/media"
	"sightline/internal/onvif"
)

// TrialPrefix begins the names of streams that show a camera which somebody tries out. They are on nobody's list.
const TrialPrefix = "trial/"

// Camera is a stream of the configuration as those who run the server see it.
type Camera struct {
	ID      media.StreamID `json:"id"`
	Source  string         `json:"source"`  // without its login
	Publish bool           `json:"publish"` // it is published from elsewhere
	Origin  string         `json:"origin"`  // "file", "demo", or "page" for one that was added there, and can be removed there
}

// Cameras are what the page does with cameras. Errors that are for the person who asked are *InputError.
type Cameras interface {
	List() []Camera
	// Check gives an address without its login, for the record. The error is an *InputError where no camera may be named so.
	Check(source string) (shown string, err error)
	// Try shows a camera for a while under a name of its own, which begins with TrialPrefix.
	Try(source string) (media.StreamID, error)
	// EndTrial ends that before its time.
	EndTrial(id media.StreamID)
	// Add makes a camera a stream of the configuration, and Remove takes one away again that was added so.
	Add(ctx context.Context, id media.StreamID, source string) error
	Remove(ctx context.Context, id media.StreamID) error
	// Find looks for cameras on the networks of this machine, which takes some seconds, and Profiles asks the one with that device service for its video.
	Find(ctx context.Context) ([]onvif.Device, error)
	Profiles(ctx context.Context, service, user, password string) ([]onvif.Profile, error)
}

// cameras lists the streams of the configuration.
func (s *Server) cameras(w http.ResponseWriter, _ *http.Request, _ caller) {
	s.answer(w, http.StatusOK, map[string]any{"cameras": s.opts.Cameras.List()})
}

// tryCamera shows a camera for a while.
func (s *Server) tryCamera(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "camera", func(rec *audit.Record) (effect, error) {
		var body struct {
			Source string `json:"source"`
		}
		if err := decode(r, &body); err != nil {
			return nil, err
		}
		var err error
		rec.Action = "try"
		rec.Reason, err = s.opts.Cameras.Check(body.Source)
		return func() (any, error) {
			id, err := s.opts.Cameras.Try(body.Source)
			return map[string]any{"stream": id}, err
		}, err
	})
}

// endTrial ends that before its time.
func (s *Server) endTrial(w http.ResponseWriter, r *http.Request, _ caller) {
	s.opts.Cameras.EndTrial(media.StreamID(TrialPrefix + r.PathValue("id")))
	w.WriteHeader(http.StatusNoContent)
}

// addCamera makes a camera a stream of the configuration.
func (s *Server) addCamera(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "camera", func(rec *audit.Record) (effect, error) {
		var body struct {
			Stream string `json:"stream"`
			Source string `json:"source"`
		}
		if err := decode(r, &body); err != nil {
			return nil, err
		}
		id, err := media.ParseStreamID(body.Stream)
		if err != nil {
			return nil, asInput(err)
		}
		if strings.HasPrefix(string(id), TrialPrefix) {
			return nil, &InputError{"Names under " + TrialPrefix + " are for cameras that are tried out: choose another."}
		}
		rec.Action, rec.Stream = "add", string(id)
		rec.Reason, err = s.opts.Cameras.Check(body.Source)
		return func() (any, error) { return nil, s.opts.Cameras.Add(r.Context(), id, body.Source) }, err
	})
}

// removeCamera takes away one that was added so.
func (s *Server) removeCamera(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "camera", func(rec *audit.Record) (effect, error) {
		id, err := media.ParseStreamID(r.PathValue("stream"))
		if err != nil {
			return nil, errStreamName
		}
		rec.Action, rec.Stream = "remove", string(id)
		return done(nil), s.opts.Cameras.Remove(r.Context(), id)
	})
}

// findCameras looks for cameras on the networks of this machine, for one caller at a time.
func (s *Server) findCameras(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "camera", func(rec *audit.Record) (effect, error) {
		rec.Action = "find"
		return s.oneFinds(func() (any, error) {
			list, err := s.opts.Cameras.Find(r.Context())
			return map[string]any{"cameras": list}, err
		}), nil
	})
}

// cameraProfiles asks a camera for its video, with its login.
func (s *Server) cameraProfiles(w http.ResponseWriter, r *http.Request, c caller) {
	s.act(w, r, c, "camera", func(rec *audit.Record) (effect, error) {
		var body struct {
			Service  string `json:"service"`
			User     string `json:"user"`
			Password string `json:"password"`
		}
		rec.Action = "ask"
		if err := decode(r, &body); err != nil {
			return nil, err
		}
		service, err := onvif.ParseService(body.Service)
		if err != nil {
			return nil, asInput(err)
		}
		rec.Reason = service.String()
		return s.oneFinds(func() (any, error) {
			list, err := s.opts.Cameras.Profiles(r.Context(), service.String(), body.User, body.Password)
			return map[string]any{"profiles": list}, err
		}), nil
	})
}

// oneFinds has one caller at a time look for cameras; the error of the others is errBusy.
func (s *Server) oneFinds(do effect) effect {
	return func() (any, error) {
		if !s.finding.TryLock() {
			return nil, errBusy
		}
		defer s.finding.Unlock()
		return do()
	}
}
