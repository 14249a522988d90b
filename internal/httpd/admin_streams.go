package httpd

import (
	"net/http"
	"time"

	"sightline/internal/media"
)

// Restarts tell how often the capture process of a stream had to be started again since the server began, when last, and
// why. The reason holds nothing secret.
type Restarts struct {
	Count int       `json:"count"`
	Last  time.Time `json:"last"`
	Why   string    `json:"why"`
}

// adminStreamJSON is a stream as who runs the server sees it.
type adminStreamJSON struct {
	ID         media.StreamID       `json:"id"`
	State      media.State          `json:"state"`
	Cause      media.Cause          `json:"cause,omitempty"`
	Detail     string               `json:"detail"`
	Seconds    int                  `json:"state_s"` // it has been in this state for so long
	Viewers    int                  `json:"viewers"`
	Source     string               `json:"source,omitempty"`
	Sandbox    string               `json:"sandbox,omitempty"`
	Renditions []adminRenditionJSON `json:"renditions"`
	Restarts   *Restarts            `json:"restarts,omitempty"`
}

// adminRenditionJSON is a rendition with what it comes to while it is encoded; the figures are left out while it is not.
type adminRenditionJSON struct {
	renditionJSON
	Active     bool    `json:"active"`
	Viewers    int     `json:"viewers"`
	BitrateBps int     `json:"bitrate_bps,omitempty"`
	EncodeP50  int64   `json:"encode_p50_us,omitempty"`
	EncodeP95  int64   `json:"encode_p95_us,omitempty"`
	PSNR       float64 `json:"psnr_db,omitempty"`
	SSIM       float64 `json:"ssim,omitempty"`
}

// adminStreams lists all streams, with what who runs the server must know of them.
func (s *Server) adminStreams(w http.ResponseWriter, _ *http.Request, _ caller) {
	list := []adminStreamJSON{}
	now := s.opts.Epoch.Now()
	for _, info := range s.opts.Hub.Streams() {
		j := adminStreamJSON{
			ID: info.ID, State: info.Status.State, Cause: info.Status.Cause, Detail: info.Status.Detail, Seconds: int(now.Sub(info.Status.Since) / time.Second),
			Viewers: info.Viewers, Source: info.Origin.Source, Sandbox: info.Origin.Sandbox, Renditions: []adminRenditionJSON{},
		}
		if restarts := s.opts.Restarts(info.ID); restarts.Count > 0 {
			j.Restarts = &restarts
		}
		for _, r := range info.Renditions {
			e, active := info.Encoding[r.ID]
			j.Renditions = append(j.Renditions, adminRenditionJSON{
				renditionJSON: viewOfRendition(r), Active: active, Viewers: e.Viewers, BitrateBps: e.BitrateBps,
				EncodeP50: e.EncodeP50.Microseconds(), EncodeP95: e.EncodeP95.Microseconds(), PSNR: e.PSNR, SSIM: e.SSIM,
			})
		}
		list = append(list, j)
	}
	s.answer(w, http.StatusOK, map[string]any{"streams": list})
}
