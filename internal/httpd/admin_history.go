package httpd

import (
	"net/http"
	"net/url"
	"time"

	"sightline/internal/history"
)

// seriesJSON is a day of one figure, a value for each minute; null where it is not known, as while the server was off.
type seriesJSON []*float64

// historyJSON is a day of a stream, or of the server.
type historyJSON struct {
	From    int64                 `json:"from"`   // of the first value, Unix seconds
	Step    int                   `json:"step_s"` // from one value to the next
	Streams []string              `json:"streams"`
	Series  map[string]seriesJSON `json:"series"`
}

// figure is one of the series: what a minute says of it, and false where it does not.
type figure[T any] struct {
	name string
	of   func(T) (value float64, known bool)
}

func streamFigures() []figure[history.Stream] {
	measured := func(v float64) (float64, bool) { return v, v > 0 } // what is not known is 0 there
	return []figure[history.Stream]{
		{"viewers", func(s history.Stream) (float64, bool) { return float64(s.Viewers), true }},
		{"frame_rate", func(s history.Stream) (float64, bool) { return s.FrameRate, true }},
		{"bitrate_bps", func(s history.Stream) (float64, bool) { return s.Bps, true }},
		{"latency_p50_ms", func(s history.Stream) (float64, bool) { return measured(s.LatencyP50) }},
		{"latency_p95_ms", func(s history.Stream) (float64, bool) { return measured(s.LatencyP95) }},
		{"dropped", func(s history.Stream) (float64, bool) { return float64(s.Dropped), true }},
		{"psnr_db", func(s history.Stream) (float64, bool) { return measured(s.PSNR) }},
		{"ssim", func(s history.Stream) (float64, bool) { return measured(s.SSIM) }},
	}
}

func serverFigures() []figure[history.Server] {
	return []figure[history.Server]{
		{"viewers", func(s history.Server) (float64, bool) { return float64(s.Viewers), true }},
		{"sent_bps", func(s history.Server) (float64, bool) { return s.SentBps, true }},
		{"refused", func(s history.Server) (float64, bool) { return float64(s.Refused), true }},
		{"memory_bytes", func(s history.Server) (float64, bool) { return float64(s.Memory), true }},
	}
}

// history shows a day of the stream that is asked for, or of the server where none is.
func (s *Server) history(w http.ResponseWriter, r *http.Request, _ caller) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	name, streams := query["stream"]
	if err != nil || len(name) > 1 || len(query) > 1 || len(query) == 1 && !streams {
		s.refuse(w, &InputError{"This address takes stream, the name of one, and nothing else."})
		return
	}
	until := time.Now().Truncate(time.Minute)
	from := until.Add(-(history.Kept - 1) * time.Minute)
	minutes := s.opts.History.Since(from)
	j := historyJSON{From: from.Unix(), Step: int(time.Minute / time.Second), Streams: history.Names(minutes)}
	if j.Streams == nil {
		j.Streams = []string{}
	}
	first := from.Unix() / 60
	if streams {
		j.Series = series(minutes, first, streamFigures(), func(m history.Minute) (history.Stream, bool) {
			f, ok := m.Streams[name[0]]
			return f, ok
		})
	} else {
		j.Series = series(minutes, first, serverFigures(), func(m history.Minute) (history.Server, bool) { return m.Server, true })
	}
	s.answer(w, http.StatusOK, j)
}

// series has a place for each minute of a day that begins with first.
func series[T any](minutes []history.Minute, first int64, figures []figure[T], pick func(history.Minute) (T, bool)) map[string]seriesJSON {
	all := map[string]seriesJSON{}
	for _, f := range figures {
		all[f.name] = make(seriesJSON, history.Kept)
	}
	for _, m := range minutes {
		at := m.At - first
		of, ok := pick(m)
		if !ok || at < 0 || at >= history.Kept {
			continue
		}
		for _, f := range figures {
			if v, known := f.of(of); known {
				all[f.name][at] = &v
			}
		}
	}
	return all
}
