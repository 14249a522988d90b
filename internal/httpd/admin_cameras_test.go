package httpd

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"sightline/internal/auth"
	"sightline/internal/media"
	"sightline/internal/onvif"
)

// shelf is Cameras in memory: those it was told to add.
type shelf struct {
	mu    sync.Mutex
	list  []Camera
	tried []string
}

func (c *shelf) List() []Camera {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.list)
}

func (c *shelf) Check(source string) (string, error) {
	if !strings.HasPrefix(source, "rtsp:") {
		return "", &InputError{"It is no camera."}
	}
	return "rtsp:***", nil
}

func (c *shelf) Try(source string) (media.StreamID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tried = append(c.tried, source)
	return TrialPrefix + "abc", nil
}

func (c *shelf) EndTrial(id media.StreamID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tried = append(c.tried, "ended "+string(id))
}

func (c *shelf) Add(_ context.Context, id media.StreamID, source string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, Camera{ID: id, Source: source, Origin: "page"})
	return nil
}

func (c *shelf) Remove(_ context.Context, id media.StreamID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.list)
	if c.list = slices.DeleteFunc(c.list, func(x Camera) bool { return x.ID == id }); len(c.list) == n {
		return &InputError{"It was not added here."}
	}
	return nil
}

func (*shelf) Find(context.Context) ([]onvif.Device, error) {
	return []onvif.Device{{Address: netip.MustParseAddr("192.0.2.5"), Service: "http://192.0.2.5/onvif", Name: "Yard"}}, nil
}

func (*shelf) Profiles(_ context.Context, service, user, password string) ([]onvif.Profile, error) {
	if password == "" {
		return nil, &InputError{"It wants a password."}
	}
	return []onvif.Profile{{Name: service, Coding: user, Source: "rtsp://192.0.2.5/a"}}, nil
}

func TestCameras_AreFoundAndAsked(t *testing.T) {
	s := newSite(t)
	var found struct{ Cameras []onvif.Device }
	if rec := s.ask(http.MethodPost, "/api/v1/discoveries", "{}", &found); rec.Event != "camera" || rec.Action != "find" || len(found.Cameras) != 1 || found.Cameras[0].Name != "Yard" {
		t.Errorf("%+v, recorded as %+v", found, rec)
	}
	var had struct{ Profiles []onvif.Profile }
	body := `{"service":"http://192.0.2.5/onvif","user":"operator","password":"` + s.secret("pass-word") + `"}`
	if rec := s.ask(http.MethodPost, "/api/v1/discoveries/profiles", body, &had); rec.Action != "ask" || rec.Reason != "http://192.0.2.5/onvif" || len(had.Profiles) != 1 || had.Profiles[0].Source != "rtsp://192.0.2.5/a" {
		t.Errorf("%+v, recorded as %+v", had, rec)
	}
	if a := s.as(s.tokenOf("root", auth.Admin, "**"), http.MethodPost, "/api/v1/discoveries/profiles", `{"service":"http://192.0.2.5/onvif"}`); a.status != http.StatusBadRequest || !strings.Contains(a.body, "wants a password") {
		t.Errorf("%+v", a)
	}
	s.refused(http.MethodPost, "/api/v1/discoveries/profiles", `{"service":"http://camera.example/"}`, "bad-input", "must have a number")
}

func TestCameras_AreTriedAddedAndRemoved(t *testing.T) {
	s := newSite(t)
	source := "rtsp://admin:" + s.secret("pass-word") + "@192.0.2.5/a"
	var trial struct{ Stream string }
	if rec := s.ask(http.MethodPost, "/api/v1/trials", `{"source":"`+source+`"}`, &trial); rec.Event != "camera" || rec.Action != "try" || rec.Reason != "rtsp:***" || trial.Stream != "trial/abc" {
		t.Errorf("%+v, recorded as %+v", trial, rec)
	}
	if rec := s.ask(http.MethodPost, "/api/v1/cameras", `{"stream":"site/gate","source":"`+source+`"}`, nil); rec.Action != "add" || rec.Stream != "site/gate" || rec.Reason != "rtsp:***" {
		t.Errorf("recorded as %+v", rec)
	}
	var list struct{ Cameras []Camera }
	s.ask(http.MethodGet, "/api/v1/cameras", "", &list)
	if len(list.Cameras) != 1 || list.Cameras[0].ID != "site/gate" {
		t.Errorf("listed as %+v", list)
	}
	if rec := s.ask(http.MethodDelete, "/api/v1/cameras/site/gate", "", nil); rec.Action != "remove" || rec.Stream != "site/gate" {
		t.Errorf("recorded as %+v", rec)
	}
	s.refused(http.MethodPost, "/api/v1/trials", `{"source":"file:/etc/passwd"}`, "bad-input", "no camera")
	s.refused(http.MethodPost, "/api/v1/cameras", `{"stream":"trial/x","source":"test:"}`, "bad-input", "choose another")
	s.refused(http.MethodPost, "/api/v1/cameras", `{"stream":"No Name","source":"test:"}`, "bad-input", "This cannot be done")
	s.refused(http.MethodDelete, "/api/v1/cameras/site/gate", "", "bad-input", "not added")
}

func TestStreams_TrialsAreOnNobodysList(t *testing.T) {
	s := newSite(t)
	s.hub.Declare(TrialPrefix + "abc")
	if a := s.as(s.token(auth.View, "**"), http.MethodGet, "/api/v1/streams", ""); strings.Contains(a.body, TrialPrefix) || !strings.Contains(a.body, `"door"`) {
		t.Errorf("listed: %s", a.body)
	}
}
