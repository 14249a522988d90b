// Package metrics holds the server's figures and writes them for Prometheus: per stream and rendition, never per person. What others count
// already is asked for when somebody looks; the rest is told by Recorded, Admitted, Began, Arrived and Viewed. Names, addresses and
// credentials are not among what it is given. It owns no goroutines; all its methods are safe for concurrent use.
//
// How many series there are is bounded: by MaxStreams, by the renditions that a publisher may have, and by fixed lists of reasons and stages.
package metrics

import (
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sightline/internal/audit"
	"sightline/internal/build"
	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/sessions"
	"sightline/internal/viewer"
)

const (
	// MaxStreams bounds the streams that have series of their own: the first by name. How many are left out is a figure too.
	MaxStreams = 1000
	// maxPairs bounds the renditions that have histograms at one time, maxReasons the words for refusals.
	maxPairs, maxReasons = 4096, 64
	// otherReason stands for what is no word, and for words beyond maxReasons.
	otherReason = "other"
)

var reasonGrammar = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Sources are asked when somebody looks. All are required.
type Sources struct {
	Streams  func() []hub.StreamTotals // sorted by name
	Sessions func() []sessions.Session
	Restarts func(media.StreamID) int // how often its capture process was started again
	Audit    func() audit.Health
	Alerts   func() map[string]uint64 // raised, by rule
}

// Metrics are a server's figures. Make them with New.
type Metrics struct {
	sources  Sources
	registry *prometheus.Registry

	attempts  *prometheus.CounterVec
	admission *prometheus.HistogramVec
	first     prometheus.Histogram
	appended  prometheus.Histogram
	latency   *prometheus.HistogramVec
	shown     *prometheus.CounterVec
	discarded *prometheus.CounterVec

	refused atomic.Uint64

	mu      sync.Mutex
	pairs   map[pair]*paired  // guarded by mu
	reasons map[string]string // every word that has been seen, and what it is called; guarded by mu
}

// pair is what most series belong to.
type pair struct {
	stream    media.StreamID
	rendition string // its name
}

// paired are the series of a pair that are told and not asked for.
type paired struct {
	latency          [stageCount]prometheus.Observer // by stage
	shown, discarded prometheus.Counter
}

// The stages of latency.
const (
	arrive = iota
	encode
	network
	decode
	show
	paint
	stageCount
)

// stages names them.
func stages() [stageCount]string {
	return [stageCount]string{arrive: "arrive", encode: "encode", network: "network", decode: "decode", show: "show", paint: "paint"}
}

// Buckets are in seconds.
func latencyBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .015, .02, .025, .03, .04, .06, .08, .12, .2, .4, .8, 2}
}

func waitBuckets() []float64 {
	return []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .3, .5, 1, 2, 5, 10}
}

// New makes a server's figures.
func New(sources Sources, from build.Info) *Metrics {
	m := &Metrics{
		sources: sources, registry: prometheus.NewRegistry(), pairs: map[pair]*paired{}, reasons: map[string]string{},
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: attemptsName, Help: "Attempts that were recorded, by what was tried and how it ended; reason is set for those that were refused.",
		}, []string{"event", "verdict", "reason"}),
		admission: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: admissionName, Help: "Time from a request until it was let in, its record on disk, by what it asked for.", Buckets: waitBuckets(),
		}, []string{"event"}),
		first: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: firstPictureName, Help: "Time from a viewer's request until its first picture was on its way.", Buckets: waitBuckets(),
		}),
		appended: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: appendName, Help: "Time until an audit record was on disk.", Buckets: waitBuckets(),
		}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: latencyName, Buckets: latencyBuckets(),
			Help: "Where the time goes between capture and screen. Stage arrive is from capture until the server had the picture, of every one; " +
				"encode, network, decode, show and their sum, paint, are medians as viewers say, one for each viewer and second.",
		}, []string{"stream", "rendition", "stage"}),
		shown: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: shownName, Help: "Pictures that viewers showed, as they say.",
		}, []string{"stream", "rendition"}),
		discarded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: discardedName, Help: "Pictures that arrived at viewers and were not shown, as they say.",
		}, []string{"stream", "rendition"}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: buildName, Help: "Always 1; the labels say what the server was built from.",
		ConstLabels: prometheus.Labels{"version": from.Version, "revision": from.Revision},
	})
	info.Set(1)
	m.registry.MustRegister(
		info, m.attempts, m.admission, m.first, m.appended, m.latency, m.shown, m.discarded, asked{m},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Handler writes all figures, as text or as OpenMetrics, whichever the asker prefers.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4})
}

// Recorded takes in that an attempt was recorded, or could not be, and how long that took.
func (m *Metrics) Recorded(r audit.Record, took time.Duration, err error) {
	reason := ""
	if r.Verdict == audit.Refused {
		reason = m.word(r.Reason)
		m.refused.Add(1)
	}
	m.attempts.WithLabelValues(r.Event, string(r.Verdict), reason).Inc()
	if err == nil {
		m.appended.Observe(took.Seconds())
	}
}

// Refused counts the attempts that Recorded was told of and that were refused.
func (m *Metrics) Refused() uint64 { return m.refused.Load() }

// word is reason as a label: what is no word, or one too many, is another's.
func (m *Metrics) word(reason string) string {
	if !reasonGrammar.MatchString(reason) {
		return otherReason
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.reasons[reason]; !known && len(m.reasons) >= maxReasons {
		return otherReason
	}
	m.reasons[reason] = reason
	return reason
}

// Admitted takes in that a request was let in. trace names the trace of it, "" where there is none.
func (m *Metrics) Admitted(event string, took time.Duration, trace string) {
	observe(m.admission.WithLabelValues(event), took, trace)
}

// Began takes in that a viewer's first picture is on its way, and how long after its request. trace is as for Admitted.
func (m *Metrics) Began(took time.Duration, trace string) { observe(m.first, took, trace) }

// observe adds to a histogram, with the trace as an exemplar where there is one.
func observe(to prometheus.Observer, took time.Duration, trace string) {
	if with, ok := to.(prometheus.ExemplarObserver); ok && trace != "" {
		with.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": trace})
		return
	}
	to.Observe(took.Seconds())
}

// Arrived takes in that the server has an access unit, and how long after its capture: it is a hub.Options.Arrived.
func (m *Metrics) Arrived(id media.StreamID, r media.Rendition, took time.Duration) {
	if p := m.pair(id, r.Name); p != nil {
		p.latency[arrive].Observe(max(0, took.Seconds()))
	}
}

// maxShown bounds what is believed of a viewer for one report of its own.
const maxShown = 1000

// Viewed takes in what a viewer says of the last second or so.
func (m *Metrics) Viewed(id media.StreamID, f viewer.Figures) {
	p := m.pair(id, f.Rendition.Name)
	if p == nil {
		return
	}
	p.shown.Add(float64(min(max(0, f.Painted), maxShown)))
	p.discarded.Add(float64(min(max(0, f.Dropped), maxShown)))
	if f.Painted <= 0 || f.PaintP50 <= 0 {
		return
	}
	p.latency[paint].Observe(f.PaintP50.Seconds())
	if f.Stages == nil {
		return
	}
	for stage, us := range map[int]int64{encode: f.Stages.Encode, network: f.Stages.Network, decode: f.Stages.Decode, show: f.Stages.Show} {
		p.latency[stage].Observe(max(0, float64(us)/1e6))
	}
}

// pair gives the series of a rendition; nil for a rendition without a name, or one too many.
func (m *Metrics) pair(id media.StreamID, rendition string) *paired {
	key := pair{id, rendition}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pairs[key]
	if p != nil || rendition == "" || len(m.pairs) >= maxPairs {
		return p
	}
	p = &paired{
		shown: m.shown.WithLabelValues(string(id), rendition), discarded: m.discarded.WithLabelValues(string(id), rendition),
	}
	for i, stage := range stages() {
		p.latency[i] = m.latency.WithLabelValues(string(id), rendition, stage)
	}
	m.pairs[key] = p
	return p
}

// Tidy drops the series of renditions that are no longer there. Call it every minute or so.
func (m *Metrics) Tidy() {
	there := map[pair]bool{}
	for _, s := range m.sources.Streams() {
		for _, r := range s.Renditions {
			there[pair{s.ID, r.Rendition.Name}] = true
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.pairs {
		if there[key] {
			continue
		}
		delete(m.pairs, key)
		stream, rendition := string(key.stream), key.rendition
		for _, stage := range stages() {
			m.latency.DeleteLabelValues(stream, rendition, stage)
		}
		m.shown.DeleteLabelValues(stream, rendition)
		m.discarded.DeleteLabelValues(stream, rendition)
	}
}
