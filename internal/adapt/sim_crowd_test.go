package adapt_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"sightline/internal/adapt"
	"sightline/internal/hub"
	"sightline/internal/media"
)

// Several viewers share what one publisher encodes: here the hub is the real one, its clock the simulation's.

// member is one of several viewers, and does what internal/viewer does between hub, decisions and connection.
type member struct {
	lane
	path    adapt.Path
	rate    adapt.Rate
	chooser adapt.Chooser
	choice  adapt.Choice
	sub     *hub.Subscription
	view    hub.View
	best    int
	held    bool
	asked   time.Duration
}

var crowdWishes = adapt.Wishes{Codecs: []string{"h264"}} //nolint:gochecknoglobals // nobody writes to it

// look chooses anew.
func (m *member) look(t *testing.T, now time.Duration) {
	m.view = m.sub.Look()
	offers := make([]adapt.Offer, 0, len(m.view.Renditions))
	for _, r := range m.view.Renditions {
		bitrate, others := m.view.Shared[r.ID]
		offers = append(offers, adapt.Offer{Rendition: r, Others: others, Bitrate: bitrate})
	}
	choice, ok := m.chooser.Choose(crowdWishes, m.rate.Carries(), offers, at(now))
	if !ok {
		t.Fatal("nothing to choose from")
	}
	m.best = adapt.Best(crowdWishes, offers)
	if choice.Stills != m.choice.Stills {
		m.sub.Stills(choice.Stills)
		if !choice.Stills {
			m.sub.RequestKey()
		}
	}
	if m.view.Attached && choice.Rendition != m.choice.Rendition {
		m.score.changes++
	}
	m.choice = choice
	m.sub.Needs(hub.Needs(m.chooser.Needs(crowdWishes, m.rate.Send(), m.rate.Carries(), offers)))
	if !m.view.Attached || m.view.Chosen != choice.Rendition {
		if err := m.sub.Select(choice.Rendition); err != nil {
			t.Fatal(err)
		}
	}
}

// acknowledged takes in what came back.
func (m *member) acknowledged(t *testing.T, now time.Duration) {
	for ack, ok := m.answer(now); ok; ack, ok = m.answer(now) {
		m.path.Acked(ack, at(now))
		if m.choice.Stills {
			m.rate.Still(&m.path, m.best, at(now))
		} else {
			m.rate.Update(&m.path, m.best, at(now))
		}
		m.look(t, now)
	}
	every := stillEvery
	if _, others := m.view.Shared[m.choice.Rendition]; others {
		every = 2 * time.Second // as the session has it
	}
	if m.choice.Stills && m.path.Empty() && now-m.asked >= every {
		m.asked = now
		m.sub.RequestKey()
	}
}

// send sends what the window lets through and the bottleneck's buffer takes.
func (m *member) send(now time.Duration) {
	for m.room() {
		carries := m.rate.Carries()
		if carries == 0 {
			carries = m.best
		}
		room := m.path.Room(carries, at(now))
		if room == m.held {
			m.held = !room
			m.sub.Hold(m.held)
		}
		if !room {
			break
		}
		au, _ := m.sub.Next()
		if au == nil {
			break
		}
		m.put(sent{
			rendition: au.Config.Rendition.ID, seq: au.Seq, capture: time.Duration(au.Capture) * time.Microsecond, bytes: au.Bytes, key: au.Key,
		}, &m.path, now)
	}
	if n := m.rate.Padding(&m.path, m.best, at(now)); n > 0 && !m.choice.Stills {
		m.put(sent{bytes: n, pad: true}, &m.path, now)
	}
}

// encoder makes a rendition as long as it is wanted.
type encoder struct {
	info    media.Rendition
	yield   adapt.Yield
	targets [encoding]float64 // the next first
	running bool
	seq     uint32
}

// publish makes the next picture, if the rendition is wanted.
func (e *encoder) publish(t *testing.T, pub *hub.Publisher, d hub.Demand, now time.Duration, r *rand.Rand) {
	wanted, key := false, false
	for _, id := range d.Renditions {
		wanted = wanted || id == e.info.ID
	}
	for _, id := range d.Keys {
		key = key || id == e.info.ID
	}
	if !wanted {
		e.running = false
		return
	}
	target := float64(e.info.MaxBitrateBps)
	if ask := e.yield.Ask(d.Targets[e.info.ID]); ask > 0 {
		target = min(target, float64(ask))
	}
	if !e.running {
		if err := pub.Configure(e.info.ID, hub.Config{Rendition: e.info}, func(hub.Config) []byte { return nil }); err != nil {
			t.Fatal(err)
		}
		e.running, key = true, true
		e.targets = [encoding]float64{target, target}
	}
	size := makes * e.targets[0] / 8 * interval.Seconds() * math.Exp(0.15*r.NormFloat64())
	e.targets = [encoding]float64{e.targets[1], target}
	if key {
		size *= keyTimes
	}
	config, seq, ok := pub.Stamp(e.info.ID, e.seq)
	if !ok {
		t.Fatal("not configured")
	}
	e.seq++
	au := &hub.AccessUnit{Config: config, Key: key, Seq: seq, Capture: at(now), Received: at(now), Bytes: int(size) + 1}
	if !key {
		au.DepDelta = 1
	}
	e.yield.Made(au.Bytes, at(now))
	pub.Publish(au)
}

// together has viewers watch one stream, each over its own link.
func together(t *testing.T, links []link, d time.Duration, seed uint64) []score {
	var now time.Duration
	h := hub.New(hub.Options{}, func() media.Timestamp { return at(now) })
	pub, err := h.Publish("door")
	if err != nil {
		t.Fatal(err)
	}
	encoders := make([]*encoder, 0, 3)
	list := make([]media.Rendition, 0, 3)
	for _, o := range ladder()[:3] {
		encoders = append(encoders, &encoder{info: o.Rendition})
		list = append(list, o.Rendition)
	}
	pub.SetRenditions(list)
	members := make([]*member, len(links))
	for i, l := range links {
		sub, err := h.Subscribe("door")
		if err != nil {
			t.Fatal(err)
		}
		members[i] = &member{sub: sub, lane: lane{link: l, r: rand.New(rand.NewPCG(seed, uint64(i))), least: time.Hour}}
	}
	r := rand.New(rand.NewPCG(seed, 1000))
	next, keys := time.Duration(0), map[media.RenditionID]bool{}
	for now = tick; now < d; now += tick {
		for _, m := range members {
			m.carry(now)
			if m.view.Version == 0 {
				m.look(t, now)
			}
			m.acknowledged(t, now)
		}
		demand := pub.Demand()
		for _, id := range demand.Keys {
			keys[id] = true
		}
		if now >= next {
			next += interval
			demand.Keys = demand.Keys[:0]
			for id := range keys {
				demand.Keys = append(demand.Keys, id)
			}
			clear(keys)
			for _, e := range encoders {
				e.publish(t, pub, demand, now, r)
			}
		}
		for _, m := range members {
			m.send(now)
			m.passed()
		}
	}
	scores := make([]score, len(members))
	for i, m := range members {
		scores[i] = m.result(d)
	}
	return scores
}

// of is n links of one kind.
func of(n int, rate func() func(time.Duration, *rand.Rand) float64) []link {
	links := make([]link, n)
	for i := range links {
		links[i] = link{rate: rate(), rtt: 40 * time.Millisecond, buffer: 128 << 10}
	}
	return links
}

// crowds are viewers of one stream, the weak ones first.
func crowds() []struct {
	name   string
	weak   []link
	strong []link
} {
	type rate = func(time.Duration, *rand.Rand) float64
	constant := func(bps float64) func() rate { return func() rate { return steps(time.Hour, bps) } }
	walks := func() rate { return walk(4e6, 200e3, 20e6, 0.12) }
	return []struct {
		name         string
		weak, strong []link
	}{
		{"nobody among 9 of 10M", nil, of(9, constant(10e6))},
		{"one of 1M among 9 of 10M", of(1, constant(1e6)), of(9, constant(10e6))},
		{"one of 300k among 9 of 10M", of(1, constant(300e3)), of(9, constant(10e6))},
		{"one of 64k among 9 of 10M", of(1, constant(64e3)), of(9, constant(10e6))},
		{"one LTE walk among 9 of 10M", of(1, walks), of(9, constant(10e6))},
		{"4 of 1M among 5 of 4M", of(4, constant(1e6)), of(5, constant(4e6))},
		{"nobody among 6 of 1M", nil, of(6, constant(1e6))},
		{"nobody among 5 LTE walks", nil, of(5, walks)},
	}
}

// shared scores crowds, a line for the weak of each and one for the others.
func shared(t *testing.T) (lines []string, quality map[string]float64) {
	quality = map[string]float64{}
	for i, c := range crowds() {
		scores := together(t, append(append([]link{}, c.weak...), c.strong...), time.Duration(*minutes)*time.Minute, uint64(1000+i))
		for _, part := range []struct {
			name   string
			scores []score
		}{{"weak", scores[:len(c.weak)]}, {"others", scores[len(c.weak):]}} {
			if len(part.scores) == 0 {
				continue
			}
			var all score
			for _, s := range part.scores {
				all.delays = append(all.delays, s.delays...)
				all.frozen += s.frozen
				all.over += s.over
				all.quality += s.quality / float64(len(part.scores))
				all.changes += s.changes
			}
			if part.name == "others" {
				quality[c.name] = all.quality
			}
			lines = append(lines, fmt.Sprintf("%-32s %6s | %7.0f %8.2f %8.3f %9.1f\n", c.name, part.name, all.p95(),
				100*all.frozen.Seconds()/all.over.Seconds(), all.quality, float64(all.changes)/all.over.Minutes()))
		}
	}
	return lines, quality
}

// TestSimulator_OneWeakViewerNeverLowersTheOthers scores viewers who share renditions, and compares with what is on
// record, as TestSimulator does.
func TestSimulator_OneWeakViewerNeverLowersTheOthers(t *testing.T) {
	lines, quality := shared(t)
	alone := quality["nobody among 9 of 10M"]
	for name, q := range quality {
		if strings.HasPrefix(name, "one ") && q < alone-0.01 {
			t.Errorf("%s: the others' quality is %.3f, and %.3f without", name, q, alone)
		}
	}
	header := fmt.Sprintf("%-32s %6s | %7s %8s %8s %9s\n", "viewers of one stream", "", "p95 ms", "frozen %", "quality", "changes/m")
	record(t, "shared.txt", header+strings.Join(lines, ""))
}
