package hub

import (
	"fmt"
	"math"
	"slices"
	"time"

	"sightline/internal/media"
)

// Publisher feeds one stream. Its methods are for one goroutine, but Wake and Demand, which may be another's.
type Publisher struct {
	s    *stream
	wake chan struct{}
}

// SetRenditions says what the publisher can make, each ID once. Viewers of a rendition that is no longer there, or is
// in another codec now, choose again.
func (p *Publisher) SetRenditions(list []media.Rendition) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Equal(s.list(), list) {
		return
	}
	s.order = s.order[:0]
	for _, info := range list {
		s.order = append(s.order, info.ID)
		r := s.renditions[info.ID]
		if r == nil {
			r = &rendition{}
			s.renditions[info.ID] = r
		} else if r.info.Codec != info.Codec {
			r.withdraw()
		}
		r.info, r.listed = info, true
	}
	for id, r := range s.renditions {
		if !slices.Contains(s.order, id) {
			r.withdraw()
		}
	}
	s.changed()
	p.poke()
}

// withdraw takes a rendition out of use and sends its viewers away. s.mu is held.
func (r *rendition) withdraw() {
	for _, sub := range r.subs {
		sub.detached(r)
	}
	clear(r.subs)
	r.subs = r.subs[:0]
	r.listed, r.started, r.active, r.keyWanted, r.config, r.figures = false, false, false, false, nil, Figures{}
	r.clearGOP()
}

// SetOrigin says what the publisher is.
func (p *Publisher) SetOrigin(o Origin) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.s.origin = o
}

// SetFigures says what was measured of a rendition. It does nothing for one that SetRenditions did not name.
func (p *Publisher) SetFigures(id media.RenditionID, f Figures) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if r := p.s.find(id); r != nil {
		r.figures = f
		r.skipped += uint64(max(0, f.Skipped))
	}
}

// SetStatus says what the source is doing, in one sentence for people and, if there is one, the word for it.
func (p *Publisher) SetStatus(state media.State, cause media.Cause, detail string) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.s.setStatus(state, cause, detail)
}

// Configure starts a new generation of a rendition, of whose c it fills in the rendition's ID and name, the generation,
// and Framed, as frame makes it of the rest. It reports an error for a rendition that SetRenditions did not name. The
// next access unit must be a keyframe.
func (p *Publisher) Configure(id media.RenditionID, c Config, frame func(Config) []byte) error {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(id)
	if r == nil {
		return fmt.Errorf("configuration of rendition %d, which was not announced", id)
	}
	c.Rendition.ID, c.Rendition.Name = id, r.info.Name
	c.Generation = r.generation
	r.generation++
	c.Framed = frame(c)
	r.config = &c
	r.clearGOP()
	return nil
}

// Stamp gives the server's generation and sequence number for an access unit that the publisher numbered seq. ok is
// false while the rendition has no configuration of this publisher's.
func (p *Publisher) Stamp(id media.RenditionID, seq uint32) (config *Config, stamped uint32, ok bool) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(id)
	if r == nil || r.config == nil {
		return nil, 0, false
	}
	if !r.started {
		r.started = true
		r.seqOffset = r.nextSeq - seq
	}
	return r.config, seq + r.seqOffset, true
}

// Publish hands au to all viewers of its rendition and returns at once. It takes over au. A rendition that is no longer
// listed has no viewers.
func (p *Publisher) Publish(au *AccessUnit) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(au.Config.Rendition.ID)
	if r == nil {
		return
	}
	r.nextSeq = au.Seq + 1
	r.meter.add(au.Bytes, r.toldRate > 0, au.Received)
	r.framesIn++
	r.bytesIn += uint64(au.Bytes)
	if s.hub.opts.Arrived != nil {
		s.hub.opts.Arrived(s.id, r.info, au.Received.Sub(au.Capture))
	}
	if au.Key {
		r.keyframes++
		r.clearGOP()
		r.keyWanted = false
	}
	if au.Config.Rendition.Codec == media.CodecJPEG {
		r.gop = append(r.gop[:0], au)
	} else if au.Key || len(r.gop) > 0 {
		r.gop = append(r.gop, au)
		r.gopBytes += au.Bytes
		if age, bytes := r.keeps(); r.gopBytes > bytes || au.Received.Sub(r.gop[0].Received) > age {
			r.clearGOP()
		}
	}
	var ready *Subscription // to be woken, the last one when all have the picture
	ask := false
	for i := 0; i < len(r.subs); i++ { // a viewer that goes over to this rendition leaves another's list
		sub := r.subs[i]
		queued, key := sub.push(r, au)
		ask = ask || key
		if !queued {
			continue
		}
		if ready != nil {
			ready.wake(true)
		}
		ready = sub
	}
	if ready != nil {
		ready.wake(false)
	}
	if ask {
		r.keyWanted = true
		p.poke()
	}
}

func (r *rendition) clearGOP() {
	clear(r.gop)
	r.gop, r.gopBytes = r.gop[:0], 0
}

// Close ends the publisher and leaves the stream in the given state. Viewers stay.
func (p *Publisher) Close(state media.State, cause media.Cause, detail string) {
	p.close(func() { p.s.setStatus(state, cause, detail) })
}

// Abandon ends a publisher that has said nothing, and leaves the stream in the state in which it was. Viewers stay.
func (p *Publisher) Abandon() { p.close(func() {}) }

// close ends the publisher; left is called with s.mu held.
func (p *Publisher) close(left func()) {
	s := p.s
	s.mu.Lock()
	if s.publisher != p {
		s.mu.Unlock()
		return
	}
	s.publisher, s.origin = nil, Origin{}
	for _, r := range s.renditions {
		r.started, r.active, r.keyWanted, r.config, r.figures = false, false, false, nil, Figures{}
		r.clearGOP()
		for _, sub := range r.subs {
			sub.awaitKey()
		}
	}
	left()
	s.mu.Unlock()
	s.hub.release(s)
}

// Demand is what the viewers need of a publisher now.
type Demand struct {
	Renditions []media.RenditionID // to encode; sorted as announced
	Keys       []media.RenditionID // to send a keyframe of, now
	// Targets are the bit/s to encode at, of those that are not to be encoded at their most; nil for none.
	Targets map[media.RenditionID]int
	// FrameRates are the pictures a second, in thousandths, that are enough, of those that are not to be encoded whole; nil for
	// none.
	FrameRates map[media.RenditionID]int
	// Again is when to ask again though nothing changed; zero for never.
	Again media.Timestamp
}

// Wake is signalled when Demand may have changed.
func (p *Publisher) Wake() <-chan struct{} { return p.wake }

// Demand says what to encode now. A rendition lingers after its last viewer, and keyframe requests are at least
// half a second apart. Keys reported once are not reported again unless wanted anew.
func (p *Publisher) Demand() Demand {
	s := p.s
	now := s.hub.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var d Demand
	again := func(t media.Timestamp) {
		if d.Again == 0 || t < d.Again {
			d.Again = t
		}
	}
	for _, id := range s.order {
		r := s.renditions[id]
		watched := slices.ContainsFunc(r.subs, func(sub *Subscription) bool { return !sub.isPaused() })
		switch {
		case watched:
			if !r.active {
				r.active, r.keyWanted = true, false // an encoder that starts starts with a keyframe
				r.keyAsked = now
			}
			r.idleSince = now
		case r.active && now.Sub(r.idleSince) >= s.hub.opts.Linger:
			r.active = false
			r.clearGOP()
		case r.active:
			again(r.idleSince.Add(s.hub.opts.Linger))
		}
		if !r.active {
			continue
		}
		d.Renditions = append(d.Renditions, id)
		if r.told = s.target(r); r.told > 0 {
			if d.Targets == nil {
				d.Targets = map[media.RenditionID]int{}
			}
			d.Targets[id] = r.told
		}
		if r.toldRate = r.frameRate(); r.toldRate > 0 {
			if d.FrameRates == nil {
				d.FrameRates = map[media.RenditionID]int{}
			}
			d.FrameRates[id] = r.toldRate
		}
		r.keyWanted = r.keyWanted && watched
		if !r.keyWanted {
			continue
		}
		if due := r.keyAsked.Add(keyframeSpacing); now < due {
			again(due)
			continue
		}
		r.keyWanted, r.keyAsked = false, now
		d.Keys = append(d.Keys, id)
		// If the keyframe does not come, whoever still waits asks again with the next delta that reaches them.
	}
	return d
}

// sharedPart is how much of what the better half of several viewers can take a rendition is encoded at for them: what each
// network is believed to carry goes up and down, and who cannot take a rendition leaves it.
const sharedPart = 0.75

// target is the bit rate at which r serves its viewers best, 0 for its most: what at least half of them can take with
// something to spare, so that no minority lowers the others, and no more than anybody wants. One viewer alone is followed.
// s.mu is held.
func (s *stream) target(r *rendition) int {
	carries := make([]int, 0, 16)
	wanted := 0
	unless0 := func(bps int) int {
		if bps == 0 {
			return math.MaxInt
		}
		return bps
	}
	for _, sub := range r.subs {
		if !sub.isPaused() {
			carries = append(carries, unless0(sub.needs.CarriesBps))
			wanted = max(wanted, unless0(sub.needs.MostBps))
		}
	}
	if len(carries) == 0 || r.info.MinBitrateBps == r.info.MaxBitrateBps {
		return 0
	}
	slices.Sort(carries)
	takes := carries[len(carries)/2]
	if len(carries) > 1 {
		takes = int(sharedPart * float64(takes))
	}
	bps := max(min(takes, wanted), r.info.MinBitrateBps)
	if bps >= r.info.MaxBitrateBps {
		return 0
	}
	return bps
}

// frameRate is the pictures a second, in thousandths, that are enough for all of r's viewers; 0 for all there are. s.mu is
// held.
func (r *rendition) frameRate() int {
	most := 0
	for _, sub := range r.subs {
		switch {
		case sub.isPaused():
		case sub.needs.FrameRateMilli == 0:
			return 0
		default:
			most = max(most, sub.needs.FrameRateMilli)
		}
	}
	return most
}

// apart reports whether two targets differ so much that a publisher should know.
func apart(a, b int) bool {
	const notable = 20 // one part in so many
	return a != b && (a == 0 || b == 0 || max(a-b, b-a) >= b/notable)
}

// shared gives what the renditions that others than sub watch are encoded at. s.mu is held, and so is sub.mu.
func (s *stream) shared(sub *Subscription) map[media.RenditionID]int {
	var shared map[media.RenditionID]int
	for _, id := range s.order {
		r := s.renditions[id]
		others := func(other *Subscription) bool { return other != sub && !other.isPaused() }
		if slices.ContainsFunc(r.subs, others) {
			if shared == nil {
				shared = map[media.RenditionID]int{}
			}
			shared[id] = r.told
		}
	}
	return shared
}

// measured gives what the renditions came to lately whose bit rate nobody sets. s.mu is held.
func (s *stream) measured() map[media.RenditionID]int {
	var measured map[media.RenditionID]int
	for _, id := range s.order {
		r := s.renditions[id]
		bps := r.meter.bps()
		if bps == 0 || r.info.MinBitrateBps < r.info.MaxBitrateBps {
			continue
		}
		if measured == nil {
			measured = map[media.RenditionID]int{}
		}
		measured[id] = bps
	}
	return measured
}

// meter measures what a rendition comes to, over windows of about meterOver. The rate of its pictures counts only while none
// are left out for the viewers' sake, their size always.
type meter struct {
	since        media.Timestamp
	bytes, units int
	thinned      bool    // during this window
	size         float64 // bytes of a picture
	rate         float64 // pictures a second; 0 before the first window is over
}

const meterOver = 2 * time.Second

func (m *meter) add(n int, thinned bool, now media.Timestamp) {
	over := now.Sub(m.since)
	switch {
	case m.since == 0 || over > 3*meterOver: // it was not encoded meanwhile
		*m = meter{since: now, size: m.size, rate: m.rate}
	case over >= meterOver:
		rate := float64(m.units) / over.Seconds()
		m.size = float64(m.bytes) / float64(m.units)
		if !m.thinned || rate > m.rate {
			m.rate = rate
		}
		*m = meter{since: now, size: m.size, rate: m.rate}
	}
	m.bytes += n
	m.units++
	m.thinned = m.thinned || thinned
}

func (m *meter) bps() int { return int(m.size * 8 * m.rate) }

func (p *Publisher) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Until is how long to wait from now for t, at least 0.
func (h *Hub) Until(t media.Timestamp) time.Duration { return max(0, t.Sub(h.now())) }
