package adapt

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"sightline/internal/media"
)

const (
	// budget is how much queueing on the way the window allows for.
	budget = 60 * time.Millisecond
	// ackEvery is how long a viewer may hold an acknowledgement back while its pictures come on time.
	ackEvery = 100 * time.Millisecond
	// hurried is the queueing from which a viewer acknowledges every access unit at once.
	hurried = 15 * time.Millisecond
	// firstWindow is how much may be on the way, in bytes, besides the largest access unit, before anything was
	// acknowledged: half a tenth of a second of a good picture.
	firstWindow = 16 << 10
	// boundSlack is how much longer than the clocks allow the way may seem at its least, and the time from one access unit to
	// the next where that is longer: a picture is no TIME_RESP, and a link that is used well takes all that time for it.
	boundSlack = 30 * time.Millisecond
	// rttMost is the longest round trip that the window believes: the first one is measured with a whole keyframe.
	rttMost = 700 * time.Millisecond
	// silence is how long the window stays closed without any acknowledgement: then one access unit more goes out, so that
	// a forgetful viewer does not stop itself for ever.
	silence = 5 * time.Second
	// standingOver is the time over which the least queueing counts as standing: shorter rises are the path's noise, and
	// losses that TCP mended.
	standingOver = 100 * time.Millisecond
	// goodputOver is the time over which goodput is measured, and goodputLeast the shortest, besides two round trips, in
	// which TCP mends a loss; where access units are further apart than goodputOver it is from one to the next, up to
	// goodputMost.
	goodputOver, goodputLeast, goodputMost = 500 * time.Millisecond, 40 * time.Millisecond, 5 * time.Second
	// unitsMost is how many access units on the way are known, at most.
	unitsMost = 256
	// arrivalsOver is for how long arrivals are known, and arrivalsMost how many at most: longer than anything is measured.
	arrivalsOver, arrivalsMost = 2 * time.Second, 64
	// startTrips is how many round trips TCP may take over the first access unit on a link that carries far more, and
	// startLeast how long a page may that begins.
	startTrips, startLeast = 4, time.Second
)

// Path is what is known of the way to one viewer, from what was sent and what the viewer acknowledged. It sees through
// proxies, since the viewer itself speaks. The zero value is ready. Not safe for concurrent use.
type Path struct {
	sent, acked uint32 // bytes of messages, wrapping as FEEDBACK's do

	units    ring[unit] // sent last
	nAcked   int        // of which so many were acknowledged
	largest  int        // bytes of the largest on the way
	lastSent media.Timestamp
	lastAck  media.Timestamp
	measured struct { // Goodput, as it was when the viewer last spoke
		done, busy bool
		bps        int
	}
	rtt least

	// Above is what each access unit needs, below what an acknowledgement does.
	arrivals ring[arrival] // in the order of arrival
	judged   int           // of which still has judged so many
	base     least         // of the way's time
	empty    time.Duration // what the way's time should be at its least, by the viewer's clock; 0: not known
	rebased  bool          // the viewer's clock was found to be no help
}

// unit is an access unit that was sent.
type unit struct {
	rendition media.RenditionID
	alone     bool // nothing else was on the way
	seq       uint32
	end       uint32 // Path.sent behind it
	bytes     uint32
	began     media.Timestamp // when its first chunk was handed to the socket
}

// arrival is an access unit that was acknowledged.
type arrival struct {
	at    media.Timestamp
	began media.Timestamp
	end   uint32
	bytes uint32
	alone bool
}

// way is how long it took.
func (a arrival) way() time.Duration { return a.at.Sub(a.began) }

// ring keeps the last of what is put into it. The zero value is ready, and takes no more memory than it has been asked to keep.
type ring[T any] struct {
	items []T // the i-th ever put in is at i modulo their number, a power of two
	n     int // ever put in
}

// put adds v, and keeps at least the last keep.
func (r *ring[T]) put(v T, keep int) {
	if keep > len(r.items) {
		more := make([]T, max(8, 1<<bits.Len(uint(keep-1))))
		for i := r.oldest(); i < r.n; i++ {
			more[i%len(more)] = r.items[i%len(r.items)]
		}
		r.items = more
	}
	r.items[r.n%len(r.items)] = v
	r.n++
}

// oldest is the number of the oldest that is kept.
func (r *ring[T]) oldest() int { return max(0, r.n-len(r.items)) }

// at is the i-th ever put in, which is still kept.
func (r *ring[T]) at(i int) *T { return &r.items[i%len(r.items)] }

// Sent takes in that a message of n bytes was handed to the socket.
func (p *Path) Sent(n int) { p.sent += uint32(n) }

// SentUnit takes in that an access unit was handed over whole, its n bytes by Sent already.
func (p *Path) SentUnit(id media.RenditionID, seq uint32, n int, began, now media.Timestamp) {
	keep := min(max(p.units.n-p.nAcked, few)+1, unitsMost)
	p.units.put(unit{rendition: id, seq: seq, began: began, end: p.sent, bytes: uint32(n), alone: p.Empty()}, keep)
	p.largest = max(p.largest, n)
	p.lastSent = now
}

// few is over how many access units the interval is taken.
const few = 5

// interval is the time between the last few access units, the middle one of them; 0 if not known.
func (p *Path) interval() time.Duration {
	if p.units.n <= few {
		return 0
	}
	var gaps [few]time.Duration
	for i := range gaps {
		gaps[i] = p.units.at(p.units.n - 1 - i).began.Sub(p.units.at(p.units.n - 2 - i).began)
	}
	slices.Sort(gaps[:])
	return gaps[few/2]
}

// Ack is what a FEEDBACK message says of arrivals.
type Ack struct {
	Rendition media.RenditionID
	Seq       uint32
	Arrival   media.Timestamp // of the access unit, on the server's epoch; 0 while the viewer does not know it
	Error     time.Duration   // of Arrival: half of the best round trip there was; 0 if not known
	Received  uint32          // bytes since the connection opened, wrapping
}

// Acked takes in an acknowledgement that came now. One for something that was not sent, or was acknowledged before, counts
// as a sign of life and no more.
func (p *Path) Acked(a Ack, now media.Timestamp) {
	p.lastAck, p.measured.done = now, false
	if int32(a.Received-p.acked) > 0 && int32(p.sent-a.Received) >= 0 {
		p.acked = a.Received
	}
	oldest := max(p.nAcked, p.units.oldest())
	for i := p.units.n - 1; i >= oldest; i-- {
		u := p.units.at(i)
		if u.rendition != a.Rendition || u.seq != a.Seq {
			continue
		}
		p.nAcked = i + 1
		p.largest = 0
		for j := p.nAcked; j < p.units.n; j++ {
			p.largest = max(p.largest, int(p.units.at(j).bytes))
		}
		p.rtt.add(now.Sub(u.began), now)
		if a.Arrival != 0 {
			p.base.add(a.Arrival.Sub(u.began), now)
			if a.Error > 0 && !p.rebased {
				p.empty = a.Error
			}
			p.arrived(arrival{at: a.Arrival, began: u.began, end: u.end, bytes: u.bytes, alone: u.alone})
		}
		return
	}
}

// arrived takes in an arrival.
func (p *Path) arrived(a arrival) {
	keep := p.arrivals.n - p.arrivals.oldest()
	if keep == 0 || keep < arrivalsMost && a.at.Sub(p.arrivals.at(p.arrivals.oldest()).at) < arrivalsOver {
		keep++
	}
	p.arrivals.put(a, keep)
}

// arrival gives the n-th arrival from the last, 0 being the last itself; ok is false when it is not known any more.
func (p *Path) arrival(n int) (a arrival, ok bool) {
	i := p.arrivals.n - 1 - n
	if i < p.arrivals.oldest() {
		return arrival{}, false
	}
	return *p.arrivals.at(i), true
}

func (p *Path) queue(a arrival) time.Duration { return a.way() - p.least() }

// least is the way's time without a queue. The viewer's clock bounds it: it was set so that the way there and the way back
// took the same, half of the least round trip, whatever they took in truth. That tells a queue from a long way even on a
// path that never was without one.
func (p *Path) least() time.Duration {
	if p.empty > 0 {
		return min(p.base.value(), p.empty+max(boundSlack, p.interval()))
	}
	return p.base.value()
}

// Standing is the queueing on the way that lasts: the least of the last tenth of a second, and of two access units at
// least.
func (p *Path) Standing() time.Duration {
	last, ok := p.arrival(0)
	if !ok {
		return 0
	}
	standing := p.queue(last)
	for n := 1; ; n++ {
		a, ok := p.arrival(n)
		if !ok || n > 1 && last.at.Sub(a.at) > standingOver {
			return standing
		}
		standing = min(standing, p.queue(a))
	}
}

// WorstSince is the longest queueing of any access unit handed over at t or later; ok is false when none was
// acknowledged.
func (p *Path) WorstSince(t media.Timestamp) (worst time.Duration, ok bool) {
	for n := 0; ; n++ {
		a, known := p.arrival(n)
		if !known || a.began < t {
			return worst, ok
		}
		worst, ok = max(worst, p.queue(a)), true
	}
}

// Goodput is what arrived lately, bit/s; busy tells that the link had more to carry all the time, so that this is all it
// carries. 0 when there is too little to tell.
func (p *Path) Goodput() (bps int, busy bool) {
	if !p.measured.done {
		p.measured.done = true
		p.measured.bps, p.measured.busy = p.measure()
	}
	return p.measured.bps, p.measured.busy
}

func (p *Path) measure() (bps int, busy bool) {
	shortest := min(goodputLeast+2*p.RTT(), goodputOver*4/5)
	if bps := p.rate(shortest, goodputOver, true); bps > 0 {
		return bps, true
	}
	return p.rate(shortest, 2*goodputOver, false), false
}

// rate measures over the arrivals of the last while, no shorter than shortest; if so wanted, of a busy link alone.
func (p *Path) rate(shortest, longest time.Duration, busy bool) int {
	last, ok := p.arrival(0)
	if !ok {
		return 0
	}
	first := last
	for n := 1; ; n++ {
		a, ok := p.arrival(n)
		if !ok || busy && !p.behind(first, a) {
			break
		}
		if span := last.at.Sub(a.at); span > longest && (n > 1 || span > goodputMost) {
			break
		}
		first = a
	}
	over, bytes := last.at.Sub(first.at), last.end-first.end
	if began := p.queue(first); busy && over < shortest && first.alone && p.empty > 0 && began > max(startTrips*2*p.empty, startLeast) {
		over += began // the link was busy with the first one as well, and with nothing else
		bytes += first.bytes
	}
	if over < shortest {
		return 0
	}
	return int(float64(bytes) * 8 / over.Seconds())
}

// Growing tells whether the last access units came further apart than they went out: only then is the link given more than
// it carries. A delay that stays as it is may have other reasons, such as a busy machine.
func (p *Path) Growing() bool {
	last, ok := p.arrival(0)
	if !ok {
		return false
	}
	first := last
	for n := 1; last.at.Sub(first.at) < goodputOver; n++ {
		a, ok := p.arrival(n)
		if !ok || !p.behind(first, a) {
			break
		}
		first = a
	}
	const notable = 1.05
	return float64(last.at.Sub(first.at)) > notable*float64(last.began.Sub(first.began))
}

// behind tells whether b, which came after a, had to wait behind it: without it b would have been there before a was.
func (p *Path) behind(b, a arrival) bool { return b.began.Add(p.least()) < a.at }

// still is the bit rate at which the last access unit arrived, that had the way to itself; ok is false when there is none
// that was not judged before.
func (p *Path) still() (bps float64, ok bool) {
	last, known := p.arrival(0)
	if !known || p.judged == p.arrivals.n {
		return 0, false
	}
	p.judged = p.arrivals.n
	if !last.alone {
		return 0, false
	}
	took := p.queue(last)
	if p.empty > 0 {
		took = max(took, last.way()-p.empty) // where nothing but stills goes out, the least way is a still's
	}
	return float64(last.bytes) * 8 / max(took, time.Millisecond).Seconds(), true
}

// Empty reports whether everything that was sent whole has been acknowledged.
func (p *Path) Empty() bool { return p.nAcked == p.units.n }

// Rebase takes the way's present time for the least it can be: what looked like a queue does not drain, so it is none.
func (p *Path) Rebase(now media.Timestamp) {
	way := p.least() + p.Standing()
	p.base, p.empty, p.rebased, p.measured.done = least{}, 0, true, false
	p.base.add(way, now)
}

// Explained is how much queueing what is on the way accounts for: what takes longer than a round trip and the viewer's
// patience.
func (p *Path) Explained() time.Duration {
	goodput, _ := p.Goodput()
	if goodput == 0 {
		return math.MaxInt64
	}
	onTheWay := time.Duration(float64(p.InFlight()) * 8 / float64(goodput) * float64(time.Second))
	return onTheWay - p.RTT() - ackEvery
}

// RTT is the least time from handing an access unit over to its acknowledgement; 0 if not known.
func (p *Path) RTT() time.Duration { return p.rtt.value() }

// InFlight is how many bytes of messages were sent and not acknowledged.
func (p *Path) InFlight() int { return int(p.sent - p.acked) }

// Room reports whether an access unit may go out now to a viewer whose network is believed to carry bps (0: not known).
// Two may always be on the way.
func (p *Path) Room(bps int, now media.Timestamp) bool {
	if p.units.n-p.nAcked < 2 {
		return true
	}
	if now.Sub(max(p.lastAck, p.lastSent)) > silence {
		return true
	}
	return p.InFlight() < p.window(bps)
}

// window is how many bytes may be on the way.
func (p *Path) window(bps int) int {
	goodput, busy := p.Goodput()
	if goodput == 0 {
		return p.largest + firstWindow
	}
	rtt := min(p.RTT(), rttMost)
	over := rtt + budget
	room := 0
	if !busy || p.Standing() <= hurried {
		// Nothing says that the network is at its limit: what the viewer has not told yet is not queued either, and a
		// loss may hold everything up for a round trip.
		goodput = max(goodput, bps) * 3 / 2
		over += ackEvery + rtt
		room = p.largest
	}
	return room + int(float64(goodput)/8*over.Seconds())
}

// least is the least of the values of the last 15 to 30 seconds. The zero value has none.
type least struct {
	since         media.Timestamp
	current, past time.Duration
	has, hasPast  bool
}

const leastAge = 15 * time.Second

func (l *least) add(v time.Duration, now media.Timestamp) {
	switch {
	case !l.has:
		l.since, l.current, l.has = now, v, true
	case now.Sub(l.since) > leastAge:
		l.past, l.hasPast = l.current, true
		l.since, l.current = now, v
	default:
		l.current = min(l.current, v)
	}
}

func (l *least) value() time.Duration {
	if l.hasPast {
		return min(l.current, l.past)
	}
	return l.current
}
