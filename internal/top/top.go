// Package top makes a live table of a server's figures for a terminal: it reads what the server gives Prometheus, and sets two readings
// against each other. It knows no sockets and no terminals, and owns no goroutines.
package top

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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
	Away     int       `json:"away"` // streams whose camera shows nothing, though it should
	SentBps  float64   `json:"sent_bps"`
	CPU      float64   `json:"cpu"` // processors in use; 0 where the system does not tell
	Memory   int64     `json:"memory_bytes"`
	Refused  float64   `json:"refused_per_second"`
	AuditLag float64   `json:"audit_lag_seconds"`
	Streams  []Stream  `json:"streams"` // those that are away, the most watched, then by name
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

// away reports whether the stream's camera shows nothing, though it should.
func (s Stream) away() bool {
	return slices.Contains([]string{"offline", "stalled", "restarting"}, s.State)
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
		if s.away() {
			v.Away++
		}
	}
	slices.SortFunc(v.Streams, func(a, b Stream) int {
		if a.away() != b.away() {
			if a.away() {
				return -1
			}
			return 1
		}
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

// column is one of the table's.
type column struct {
	head string
	// leave is when it is left out where there is no room for all: the largest first, 0 never.
	leave int
	cell  func(Stream) string
}

func columns() []column {
	return []column{
		{"STREAM", 0, func(s Stream) string { return s.Name }},
		{"STATE", 0, func(s Stream) string { return s.State }},
		{"VIEWERS", 0, func(s Stream) string { return strconv.Itoa(s.Viewers) }},
		{"FPS", 0, func(s Stream) string { return fmt.Sprintf("%.1f", s.FrameRate) }},
		{"BIT/s", 1, func(s Stream) string { return prefixed(s.Bps) }},
		{"SENT/s", 2, func(s Stream) string { return prefixed(s.SentBps) }},
		{"DROPPED/s", 3, func(s Stream) string { return fmt.Sprintf("%.1f", s.Dropped) }},
		{"P50 ms", 4, func(s Stream) string { return known(s.LatencyP50, 1) }},
		{"P95 ms", 0, func(s Stream) string { return known(s.LatencyP95, 1) }},
		{"SSIM", 5, func(s Stream) string { return known(s.SSIM, 3) }},
		{"RENDITIONS", 6, func(s Stream) string { return s.Renditions }},
	}
}

// leastName is how wide names are at least while there are columns that can be left out for them.
const leastName = 24

// Write writes v as a table of at most height lines of at most width; 0: as many and as long as they come. Where there is no room, columns
// are left out and names lose their beginning.
func (v View) Write(to io.Writer, width, height int) error {
	lines := wrap(width,
		v.At.Format(time.TimeOnly), fmt.Sprintf("viewers %d", v.Viewers), fmt.Sprintf("away %d", v.Away), "sent "+prefixed(v.SentBps)+"bit/s", fmt.Sprintf("CPU %.2f", v.CPU),
		fmt.Sprintf("memory %.0f MB", float64(v.Memory)/1e6), fmt.Sprintf("refused %.1f/s", v.Refused), fmt.Sprintf("audit record waits %.1f s", v.AuditLag))
	lines = append(lines, "")
	table := v.table(width)
	if room := height - len(lines); height > 0 && len(table) > room {
		room = max(1, room) // for the heads
		more := len(table) - room + 1
		table = append(table[:room-1], fmt.Sprintf("... %d more", more))
	}
	lines = append(lines, table...)
	if height > 0 {
		lines = lines[:min(height, len(lines))]
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

// wrap puts parts on lines of at most width; 0: on one.
func wrap(width int, parts ...string) []string {
	lines := []string{parts[0]}
	for _, part := range parts[1:] {
		if longer := lines[len(lines)-1] + "   " + part; width == 0 || len(longer) <= width {
			lines[len(lines)-1] = longer
		} else {
			lines = append(lines, part)
		}
	}
	return lines
}

// table is the heads and a line for each stream.
func (v View) table(width int) []string {
	cols := columns()
	wide := func(c column) int {
		w := len(c.head)
		for _, s := range v.Streams {
			w = max(w, utf8.RuneCountInString(c.cell(s)))
		}
		return w
	}
	name := wide(cols[0])
	// The columns behind the name, with two blanks before each.
	others := func() (w int) {
		for _, c := range cols[1:] {
			w += 2 + wide(c)
		}
		return w
	}
	for leave := len(cols); width > 0 && leave > 0 && others()+min(name, leastName) > width; leave-- {
		cols = slices.DeleteFunc(cols, func(c column) bool { return c.leave == leave })
	}
	if width > 0 {
		name = min(name, max(width-others(), len(cols[0].head)))
	}
	lines := make([]string, 1+len(v.Streams))
	for i, c := range cols {
		w, between := wide(c), "  "
		if i == 0 {
			w, between = name, ""
		}
		lines[0] += fmt.Sprintf("%s%-*s", between, w, c.head)
		for k, s := range v.Streams {
			lines[k+1] += fmt.Sprintf("%s%-*s", between, w, last(c.cell(s), w))
		}
	}
	return lines
}

// last is the end of a text that is longer than width.
func last(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return "…" + string(runes[len(runes)-width+1:])
	}
	return text
}

// known is a figure with so many digits behind the point, and a dash where it is not known.
func known(v float64, digits int) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, v)
}

// prefixed is a rate with three digits or so, and a prefix of the SI.
func prefixed(bps float64) string {
	switch {
	case bps >= 1e9:
		return fmt.Sprintf("%.2f G", bps/1e9)
	case bps >= 1e6:
		return fmt.Sprintf("%.1f M", bps/1e6)
	}
	return fmt.Sprintf("%.0f k", bps/1e3)
}
