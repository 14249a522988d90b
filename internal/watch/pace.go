package watch

import "time"

// How a viewer decides when to acknowledge. The page's player keeps to the same rules.
const (
	// eager is how much the way of an access unit must have grown above its least for the next ones to be acknowledged at
	// once: the sender needs to know soon, and it sends little.
	eager = 15 * time.Millisecond
	// baseAge is the age at which a least value is forgotten, at the latest after twice that.
	baseAge = 15 * time.Second
	// firstUnits are acknowledged at once on a new connection, and after a pause: nobody knows the way yet.
	firstUnits = 10
	// regular is how long the last acknowledgement must be ago for one when nothing is late: three pictures of 30 a second and a
	// bit less. It goes with an arrival, not with a clock: the sender has just sent to all its viewers, and hears of all of them while it is awake.
	regular = 95 * time.Millisecond
	// rare is the same once no two in a row were late for a time of calm: six pictures and a bit less. The sender's window has room for it.
	rare, calm = 195 * time.Millisecond, time.Second
	// pause is the time without any from which the way counts as unknown.
	pause = time.Second
	// overdue is how long something may stay unacknowledged when nothing else arrives.
	overdue = 250 * time.Millisecond
)

// pace tells after each access unit whether to acknowledge it now. It is pure. The zero value is ready.
type pace struct {
	acked time.Duration // when the last acknowledgement was due
	urged bool          // the last one was late, or one of the first
	late  time.Duration // when two in a row were so last
	last  time.Duration // when the last access unit came
	run   int           // access units since the start or the last pause

	begun    bool
	since    time.Duration // when the current least was begun
	now, old time.Duration // the least since then, and of the time before
	aged     bool          // old is meaningful
}

// Arrived takes in an access unit that was complete at now and took way since its capture, by a clock of whatever
// offset.
func (p *pace) Arrived(now, way time.Duration) (acknowledge bool) {
	switch {
	case !p.begun:
		p.begun, p.since, p.now = true, now, way
	case now-p.since > baseAge:
		p.old, p.aged = p.now, true
		p.since, p.now = now, way
	default:
		p.now = min(p.now, way)
	}
	if now-p.last > pause {
		p.run = 0
	}
	p.last = now
	p.run++
	base := p.now
	if p.aged {
		base = min(base, p.old)
	}
	before := p.urged
	p.urged = p.run <= firstUnits || way-base > eager
	if p.urged && before {
		p.late = now
	}
	spacing := regular
	switch {
	case p.urged:
		spacing = 0
	case now-p.late > calm:
		spacing = rare
	}
	if now-p.acked < spacing {
		return false
	}
	p.acked = now
	return true
}

// Overdue tells whether to acknowledge what arrived though nothing arrives now.
func (p *pace) Overdue(now time.Duration) bool {
	if now-p.acked < overdue {
		return false
	}
	p.acked = now
	return true
}
