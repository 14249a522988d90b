package httpd

import (
	"context"
	"net/http"
	"testing"
)

// settled is a Configuration that stays as it is.
type settled struct{}

func (settled) Show() []Setting {
	return []Setting{{Name: "listen", Value: ":8443", Origin: "file", Where: "sightline.yaml:1"}}
}

func (settled) Check() ConfigReport {
	return ConfigReport{Changes: []ConfigChange{{"listen", ":8443", ":9443"}}, Problems: []string{"listen changed"}}
}

func (settled) Reload(context.Context) ConfigReport {
	return ConfigReport{Changes: []ConfigChange{}, Problems: []string{}, TakenUp: true}
}

func TestConfiguration_IsShownCheckedAndReloaded(t *testing.T) {
	s := newSite(t)
	var shown struct{ Settings []Setting }
	s.ask(http.MethodGet, "/api/v1/config", "", &shown)
	if len(shown.Settings) != 1 || shown.Settings[0] != (settled{}).Show()[0] {
		t.Errorf("%+v", shown)
	}
	var report ConfigReport
	if rec := s.ask(http.MethodPost, "/api/v1/config/check", "{}", &report); rec.Event != "config-check" || report.TakenUp || len(report.Problems) != 1 || len(report.Changes) != 1 {
		t.Errorf("%+v, recorded as %+v", report, rec)
	}
	if rec := s.ask(http.MethodPost, "/api/v1/config/reload", "{}", &report); rec.Event != "config" || rec.Action != "reload" || !report.TakenUp {
		t.Errorf("%+v, recorded as %+v", report, rec)
	}
}
