// Package top makes a live table of a server's figures for a terminal: it reads what the server gives Prometheus, and sets two readings
// against each other. It knows no sockets and no terminals, and owns no goroutines.
package top

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// maxBytes is far beyond what a server of a thousand streams writes.
const maxBytes = 128 << 20

// Reading is what a server's figures were at one moment.
type Reading struct {
	at       time.Time
	families map[string]*dto.MetricFamily
}

// Read reads figures in Prometheus' text format, as they were at that moment. The error says in a sentence why they are none.
func Read(from io.Reader, at time.Time) (Reading, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(from, maxBytes))
	if err != nil {
		return Reading{}, fmt.Errorf("no figures in Prometheus' text format: %w", err)
	}
	if families["sightline_build_info"] == nil {
		return Reading{}, fmt.Errorf("these are no figures of a Sightline server: sightline_build_info is not among them")
	}
	return Reading{at, families}, nil
}

// View is what came of a server between two readings.
type View struct {
	At       time.Time `json:"at"`
	Seconds  float64   `json:"seconds"` // that rates are of
	Viewers  int       `json:"viewers"`
	SentBps  float64   `json:"sent_bps"`
	CPU      float64   `json:"cpu"` // processors in use; 0 where the system does not tell
	Memory   int64     `json:"memory_bytes"`
	Refused  float64   `json:"refused_per_second"`
	AuditLag float64   `json:"audit_lag_seconds"`
	Streams  []Stream  `json:"streams"` // the most watched first, then by name
}

// Stream is one of them. What is not known is 0.
type Stream struct {
	Name       string  `json:"name"`
	State      string  `json:"state"`
	Viewers    int     `json:"viewers"`
	FrameRate  float64 `json:"frame_rate"` // of the rendition that has most
	Bps        float64 `json:"bitrate_bps"`
	SentBps    float64 `json:"sent_bps"`
	Dropped    float64 `json:"dropped_per_second"`
	LatencyP50 float64 `json:"latency_p50_ms"`
	LatencyP95 float64 `json:"latency_p95_ms"`
	SSIM       float64 `json:"ssim"` // the worst of its renditions
	Renditions string  `json:"renditions"`
}

// Between sets a later reading of the same server against an earlier one.
func Between(before, now Reading) View {
	v := View{At: now.at, Seconds: now.at.Sub(before.at).Seconds(), Streams: []Stream{}}
	if v.Seconds <= 0 {
		return v
	}
	streams := map[string]*Stream{}
	for _, m := range now.metrics("sightline_stream_viewers") {
		name := label(m, "stream")
		streams[name] = &Stream{Name: plain(name), Viewers: int(value(m))}
		v.Viewers += int(value(m))
	}
	each := func(family string, do func(s *Stream, m *dto.Metric)) {
		for _, m := range now.metrics(family) {
			if s := streams[label(m, "stream")]; s != nil {
				do(s, m)
			}
		}
	}
	rates := func(family string, do func(s *Stream, rate float64)) {
		was := before.values(family)
		each(family, func(s *Stream, m *dto.Metric) {
			if rose := value(m) - was[key(m)]; rose >= 0 {
				do(s, rose/v.Seconds)
			} else { // it began anew
				do(s, value(m)/v.Seconds)
			}
		})
	}
	each("sightline_stream_state", func(s *Stream, m *dto.Metric) {
		if value(m) == 1 {
			s.State = plain(label(m, "state"))
		}
	})
	rates("sightline_frames_received_total", func(s *Stream, rate float64) { s.FrameRate = max(s.FrameRate, rate) })
	rates("sightline_received_bytes_total", func(s *Stream, rate float64) { s.Bps += 8 * rate })
	rates("sightline_sent_bytes_total", func(s *Stream, rate float64) { s.SentBps += 8 * rate; v.SentBps += 8 * rate })
	rates("sightline_frames_dropped_total", func(s *Stream, rate float64) { s.Dropped += rate })
	each("sightline_ssim_ratio", func(s *Stream, m *dto.Metric) {
		if s.SSIM == 0 || value(m) < s.SSIM {
			s.SSIM = value(m)
		}
	})
	each("sightline_viewers", func(s *Stream, m *dto.Metric) {
		if n := int(value(m)); n > 0 {
			s.Renditions = strings.TrimSpace(fmt.Sprintf("%s %s:%d", s.Renditions, plain(label(m, "rendition")), n))
		}
	})
	for name, buckets := range latencies(before, now) {
		if s := streams[name]; s != nil {
			s.LatencyP50, s.LatencyP95 = 1000*buckets.quantile(.5), 1000*buckets.quantile(.95)
		}
	}
	v.CPU = max(0, now.sum("process_cpu_seconds_total")-before.sum("process_cpu_seconds_total")) / v.Seconds
	v.Memory = int64(now.sum("process_resident_memory_bytes"))
	v.AuditLag = now.sum("sightline_audit_lag_seconds")
	refused := func(m *dto.Metric) bool { return label(m, "verdict") == "refused" }
	const attempts = "sightline_auth_attempts_total"
	v.Refused = max(0, now.sum(attempts, refused)-before.sum(attempts, refused)) / v.Seconds
	for _, s := range streams {
		v.Streams = append(v.Streams, *s)
	}
	slices.SortFunc(v.Streams, func(a, b Stream) int {
		if a.Viewers != b.Viewers {
			return b.Viewers - a.Viewers
		}
		return strings.Compare(a.Name, b.Name)
	})
	return v
}

// metrics gives the series of a family.
func (r Reading) metrics(family string) []*dto.Metric { return r.families[family].GetMetric() }

// values gives the values of a family by their labels.
func (r Reading) values(family string) map[string]float64 {
	all := map[string]float64{}
	for _, m := range r.metrics(family) {
		all[key(m)] = value(m)
	}
	return all
}

// sum adds up the values of a family, of those that all of which select.
func (r Reading) sum(family string, which ...func(*dto.Metric) bool) (sum float64) {
	for _, m := range r.metrics(family) {
		if !slices.ContainsFunc(which, func(is func(*dto.Metric) bool) bool { return !is(m) }) {
			sum += value(m)
		}
	}
	return sum
}

func value(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.GetCounter().GetValue()
	case m.Gauge != nil:
		return m.GetGauge().GetValue()
	}
	return m.GetUntyped().GetValue()
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// key tells the series of a family apart.
func key(m *dto.Metric) string {
	var b strings.Builder
	for _, l := range m.GetLabel() {
		fmt.Fprintf(&b, "%q=%q,", l.GetName(), l.GetValue())
	}
	return b.String()
}

// plain keeps what a server says from steering the terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// buckets are a histogram's: how many values were at most so large.
type buckets map[float64]float64

// latencies are the times from capture to screen of what was shown between two readings, by stream.
func latencies(before, now Reading) map[string]buckets {
	all := map[string]buckets{}
	add := func(r Reading, sign float64) {
		for _, m := range r.metrics("sightline_latency_seconds") {
			if label(m, "stage") != "paint" {
				continue
			}
			name := label(m, "stream")
			if all[name] == nil {
				all[name] = buckets{}
			}
			for _, b := range m.GetHistogram().GetBucket() {
				all[name][b.GetUpperBound()] += sign * float64(b.GetCumulativeCount())
			}
		}
	}
	add(now, 1)
	add(before, -1)
	return all
}

// quantile is the value below which q of all are, as far as buckets tell: within one they are taken to lie evenly. 0 where there are none.
func (b buckets) quantile(q float64) float64 {
	bounds := slices.Sorted(maps.Keys(b))
	if len(bounds) == 0 || b[bounds[len(bounds)-1]] <= 0 {
		return 0
	}
	rank := q * b[bounds[len(bounds)-1]]
	low, below := 0.0, 0.0
	for i, high := range bounds {
		if b[high] < rank {
			low, below = high, b[high]
			continue
		}
		if i == len(bounds)-1 { // without an end
			return low
		}
		return low + (high-low)*(rank-below)/(b[high]-below)
	}
	return low
}

// Write writes v as a table of at most height lines; 0: all of it. Lines that are longer than width are cut; 0: none is.
func (v View) Write(to io.Writer, width, height int) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s   viewers %d   sent %s   CPU %.2f   memory %.0f MB   refused %.1f/s   audit record waits %.1f s\n\n",
		v.At.Format(time.TimeOnly), v.Viewers, bits(v.SentBps), v.CPU, float64(v.Memory)/1e6, v.Refused, v.AuditLag)
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "STREAM\tSTATE\tVIEWERS\tFPS\tBITRATE\tSENT\tDROPPED/s\tP50 ms\tP95 ms\tSSIM\tRENDITIONS")
	for _, s := range v.Streams {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%.1f\t%s\t%s\t%.1f\t%s\t%s\t%s\t%s\n", s.Name, s.State, s.Viewers, s.FrameRate, bits(s.Bps), bits(s.SentBps),
			s.Dropped, known(s.LatencyP50, 1), known(s.LatencyP95, 1), known(s.SSIM, 3), s.Renditions)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	if height > 0 && len(lines) > height {
		more := len(lines) - height + 1
		lines = append(lines[:max(0, height-1)], fmt.Sprintf("... %d more", more))
	}
	for i, line := range lines {
		if runes := []rune(line); width > 0 && len(runes) > width {
			line = string(runes[:width])
		}
		lines[i] = strings.TrimRight(line, " ")
	}
	_, err := io.WriteString(to, strings.Join(lines, "\n")+"\n")
	return err
}

// known is a figure with so many digits behind the point, and a dash where it is not known.
func known(v float64, digits int) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, v)
}

func bits(bps float64) string {
	if bps >= 1e6 {
		return fmt.Sprintf("%.1f Mbit/s", bps/1e6)
	}
	return fmt.Sprintf("%.0f kbit/s", bps/1e3)
}
