package history

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"math"
	"runtime/metrics"
	"slices"
	"time"

	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/sessions"
)

// Sources are what is sampled. All are required.
type Sources struct {
	Now      func() time.Time
	Streams  func() []hub.StreamTotals
	Sessions func() []sessions.Session
	Refused  func() uint64 // attempts that were, since the start
}

// Sampler takes a sample each minute. Make one with NewSampler.
type Sampler struct {
	store   *Store
	sources Sources
	log     *slog.Logger

	before snapshot // owned by Run
}

// snapshot is what has risen since the start, at one moment.
type snapshot struct {
	at      time.Time
	streams map[media.StreamID]hub.StreamTotals
	refused uint64
}

// NewSampler makes a sampler that keeps what it takes in store.
func NewSampler(store *Store, sources Sources, log *slog.Logger) *Sampler {
	return &Sampler{store: store, sources: sources, log: log}
}

// Run takes samples until ctx is done. Each is of the time since the one before.
func (s *Sampler) Run(ctx context.Context) {
	s.before, _ = s.look()
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := s.store.Add(s.sample()); err != nil {
				s.log.Error("a minute of the charts' figures is not on disk", "error", err)
			}
		}
	}
}

// look gives what has risen since the start, and the order of streams.
func (s *Sampler) look() (snapshot, []hub.StreamTotals) {
	list := s.sources.Streams()
	now := snapshot{at: s.sources.Now(), streams: map[media.StreamID]hub.StreamTotals{}, refused: s.sources.Refused()}
	for _, t := range list {
		now.streams[t.ID] = t
	}
	return now, list
}

func (s *Sampler) sample() Minute {
	now, list := s.look()
	before := s.before
	s.before = now
	over := now.at.Sub(before.at).Seconds()
	m := Minute{At: now.at.Unix() / 60, Streams: map[string]Stream{}}
	m.Server = Server{Refused: int(now.refused - min(before.refused, now.refused)), Memory: memory()}
	latencies := s.latencies()
	slices.SortStableFunc(list, func(a, b hub.StreamTotals) int { return cmp.Compare(b.Viewers, a.Viewers) })
	for i, t := range list {
		f, sent := between(before.streams[t.ID], t, over)
		f.LatencyP50, f.LatencyP95 = latencies[t.ID].of()
		m.Server.Viewers += t.Viewers
		m.Server.SentBps += sent
		if i < MaxStreams {
			m.Streams[string(t.ID)] = f
		}
	}
	m.Server.SentBps = math.Round(m.Server.SentBps)
	return m
}

// between is what came of a stream in between, and what was sent of it, bit/s.
func between(before, now hub.StreamTotals, over float64) (f Stream, sent float64) {
	f.Viewers = now.Viewers
	if over <= 0 {
		return f, 0
	}
	was := map[media.RenditionID]hub.Totals{}
	for _, r := range before.Renditions {
		was[r.Rendition.ID] = r
	}
	most := -1
	for _, r := range now.Renditions {
		b := was[r.Rendition.ID]
		if b.FramesIn > r.FramesIn || b.BytesOut > r.BytesOut { // the stream was forgotten meanwhile, and counts anew
			b = hub.Totals{}
		}
		f.FrameRate = max(f.FrameRate, round(float64(r.FramesIn-b.FramesIn)/over, 2))
		f.Bps += 8 * float64(r.BytesIn-min(b.BytesIn, r.BytesIn)) / over
		sent += 8 * float64(r.BytesOut-b.BytesOut) / over
		for reason, n := range r.Dropped {
			f.Dropped += int(n - min(b.Dropped[reason], n))
		}
		if r.Figures.SSIM > 0 && r.Viewers > most {
			most, f.PSNR, f.SSIM = r.Viewers, round(r.Figures.PSNR, 1), round(r.Figures.SSIM, 4)
		}
	}
	f.Bps = math.Round(f.Bps)
	return f, sent
}

func round(v float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(v*p) / p
}

// latency is how late viewers of a stream see it.
type latency struct {
	medians []time.Duration
	latest  time.Duration
}

// of is the median of medians and the latest, in ms.
func (l latency) of() (p50, p95 float64) {
	if len(l.medians) == 0 {
		return 0, 0
	}
	ms := func(d time.Duration) float64 { return round(float64(d.Microseconds())/1000, 1) }
	slices.Sort(l.medians)
	return ms(l.medians[len(l.medians)/2]), ms(l.latest)
}

// latencies are those that viewers told last.
func (s *Sampler) latencies() map[media.StreamID]latency {
	all := map[media.StreamID]latency{}
	for _, x := range s.sources.Sessions() {
		if x.Figures.PaintP50 > 0 {
			l := all[x.Stream]
			all[x.Stream] = latency{append(l.medians, x.Figures.PaintP50), max(l.latest, x.Figures.PaintP95)}
		}
	}
	return all
}

// memory is what the Go runtime holds of the system's, bytes.
func memory() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	if slices.ContainsFunc(samples, func(s metrics.Sample) bool { return s.Value.Kind() != metrics.KindUint64 }) {
		return 0
	}
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

// Names lists the streams that minutes are about, by name.
func Names(minutes []Minute) []string {
	names := map[string]bool{}
	for _, m := range minutes {
		for name := range m.Streams {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
