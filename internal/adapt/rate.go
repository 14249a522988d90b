package adapt

import (
	"math"
	"time"

	"sightline/internal/media"
)

const (
	// overuse is the standing queue from which the network is given too much, if it lasts for overuseFor.
	overuse    = 40 * time.Millisecond
	overuseFor = 60 * time.Millisecond
	// overuseUnsure is how long it must last where the link was not seen busy: what arrives in a burst was held up by a
	// loss.
	overuseUnsure = 300 * time.Millisecond
	// calm is the standing queue up to which more may be tried.
	calm = 15 * time.Millisecond
	// cutTo is what is left of goodput when the network is given too much.
	cutTo = 0.85
	// growth is how much faster a second of calm makes it.
	growth = 1.08
	// grownFrom is the share of the rate that must be used for it to grow: what others, or the encoder, leave unused is not tried.
	grownFrom = 0.8
	// restAfterCut is how long nothing is tried after a cut.
	restAfterCut = 500 * time.Millisecond
	// drainOver sets how hard a standing queue is drained: one of so long halves what is sent.
	drainOver, drainMost = 500 * time.Millisecond, 0.5
	// notOurs is how long a standing queue may resist being drained before it counts as the path's own length.
	notOurs = 4 * time.Second
	// stillGrowth is how much faster one still may make it.
	stillGrowth = 2
	// leastRate is where no cut goes below, bit/s.
	leastRate = 16_000

	// A probe sends padding until the whole is probeFactor times the rate, for probeFor.
	probeFactor = 1.5
	probeFor    = 250 * time.Millisecond
	// probeCalm is how long the path must have been calm before a probe.
	probeCalm = 1500 * time.Millisecond
	// probeAgain is the least time to the next probe after one that succeeded, and after one that failed: the first time
	// and at most.
	probeAgain, probeRetry, probeRetryMost = time.Second, 5 * time.Second, 10 * time.Second
	// probeFails is the queueing that ends a probe.
	probeFails = 25 * time.Millisecond
	// probeGain is what a probe that met no queue makes of the rate.
	probeGain = 1.35
)

// Rate finds how much one viewer's network carries: down at once when a queue stands on the way, up slowly while there is
// none, and up in a step when padding proved that there is room. The zero value is ready and knows nothing: a network is
// good until it shows otherwise. Not safe for concurrent use.
type Rate struct {
	bps     float64 // 0: not known to be limited
	factor  float64 // of bps while a queue drains; 0 like 1
	updated media.Timestamp

	overSince media.Timestamp // 0: no standing queue
	before    float64         // bps then
	stuckAt   time.Duration   // the standing queue that does not drain
	stuck     media.Timestamp // since when
	cutAt     media.Timestamp
	calmSince media.Timestamp // 0: not calm

	probe      probe
	probeAt    media.Timestamp // not before
	probeRetry time.Duration
}

// probe is one being sent or waited for.
type probe struct {
	began media.Timestamp // 0: none
	sent  uint32          // Path.sent then
	bps   float64
}

// Carries is what the viewer's network is believed to carry, bit/s; 0 while it is not known to be limited.
func (r *Rate) Carries() int { return int(r.bps) }

// Send is what to send now, bit/s: less than Carries while a queue drains; 0 for no limit.
func (r *Rate) Send() int {
	if r.factor == 0 {
		return int(r.bps)
	}
	return int(r.bps * r.factor)
}

// Update takes in what the path shows after an acknowledgement. most is the bit rate that the viewer could use at best.
func (r *Rate) Update(p *Path, most int, now media.Timestamp) {
	elapsed := min(now.Sub(r.updated), time.Second)
	r.updated = now
	standing := p.Standing()
	r.factor = 1 - min(drainMost, max(0, (standing-calm).Seconds())/drainOver.Seconds()*drainMost)
	if standing > overuse {
		r.over(p, standing, now)
	} else {
		r.overSince = 0
	}
	if standing > calm {
		r.calmSince = 0
	} else if r.calmSince == 0 {
		r.calmSince = now
	}
	r.judge(p, now)
	if r.bps > 0 && r.calmSince != 0 && now.Sub(r.cutAt) > restAfterCut {
		// What is not tried cannot be known: an idle stream does not make the network better.
		if delivered, _ := p.Goodput(); float64(delivered) > grownFrom*r.bps {
			r.bps *= math.Pow(growth, elapsed.Seconds())
		}
	}
	r.limit(most)
}

// Settled reports whether Update would change nothing: the network is not known to be limited, and shows no sign of it.
func (r *Rate) Settled(p *Path) bool {
	return r.bps == 0 && r.overSince == 0 && r.calmSince != 0 && r.probe.began == 0 && p.Standing() <= calm
}

// limit keeps the rate from growing far beyond what could ever be used, and so from being tried.
func (r *Rate) limit(most int) {
	if limit := 1.5 * float64(most); most > 0 && r.bps > limit {
		r.bps = limit
	}
}

// Still takes in what the path shows of a viewer that gets stills: each is a measurement of its own, since nothing else is
// on the way with it. most is the bit rate that the viewer could use at best.
func (r *Rate) Still(p *Path, most int, now media.Timestamp) {
	r.updated, r.factor, r.overSince, r.calmSince, r.probe.began = now, 0, 0, 0, 0
	bps, ok := p.still()
	if !ok {
		return
	}
	r.bps = min(max(leastRate, cutTo*bps), stillGrowth*r.bps)
	r.limit(most)
}

// over acts on a standing queue.
func (r *Rate) over(p *Path, standing time.Duration, now media.Timestamp) {
	if r.overSince == 0 {
		r.overSince, r.before = now, r.bps
		r.stuck, r.stuckAt = now, standing
	}
	if standing < r.stuckAt*4/5 || standing > r.stuckAt*5/4 {
		r.stuck, r.stuckAt = now, standing
	}
	lasted := now.Sub(r.overSince)
	goodput, busy := p.Goodput()
	if lasted < overuseFor || !busy && lasted < overuseUnsure {
		return
	}
	if now.Sub(r.stuck) > notOurs && p.Explained() < standing/2 {
		p.Rebase(now)
		r.overSince, r.bps = 0, r.before // what was cut was cut for nothing
		return
	}
	if (!busy || !p.Growing()) && r.cutAt > r.overSince {
		return // what arrives is what was sent, and that was cut: once more and there is no end to it
	}
	if to := max(leastRate, cutTo*float64(goodput)); goodput > 0 && (r.bps == 0 || to < r.bps) {
		r.bps = to
	}
	r.cutAt = now
}

// Padding is how many bytes of padding to send now to find out whether the network carries more; 0 for none. most is the
// bit rate that the viewer could use at best. Ask again each 10 ms while Probing.
func (r *Rate) Padding(p *Path, most int, now media.Timestamp) int {
	if r.probe.began == 0 {
		useful := r.bps > 0 && r.bps < float64(most)
		calm := r.calmSince != 0 && now.Sub(r.calmSince) >= probeCalm && now.Sub(r.cutAt) >= probeCalm
		if !useful || !calm || now < r.probeAt {
			return 0
		}
		r.probe = probe{began: now, sent: p.sent, bps: probeFactor * r.bps}
	}
	elapsed := now.Sub(r.probe.began)
	if elapsed > probeFor {
		return 0
	}
	due := int(r.probe.bps / 8 * elapsed.Seconds())
	return max(0, due-int(p.sent-r.probe.sent))
}

// Probing tells whether padding goes out.
func (r *Rate) Probing(now media.Timestamp) bool {
	return r.probe.began != 0 && now.Sub(r.probe.began) <= probeFor
}

// judge ends a probe that met a queue, or all of whose bytes arrived.
func (r *Rate) judge(p *Path, now media.Timestamp) {
	if r.probe.began == 0 {
		return
	}
	worst, seen := p.WorstSince(r.probe.began)
	switch end := r.probe.began.Add(probeFor); {
	case seen && worst > probeFails:
		r.probe.began = 0
		r.probeRetry = min(max(2*r.probeRetry, probeRetry), probeRetryMost)
		r.probeAt = now.Add(r.probeRetry)
	case now.Sub(end) > p.RTT()+ackEvery && seen:
		r.probe.began = 0
		r.probeRetry = 0
		r.probeAt = now.Add(probeAgain)
		r.bps = max(r.bps, r.probe.bps/probeFactor*probeGain)
	}
}
