package watch

import "time"

// How a viewer decides when to acknowledge. The page's player keeps to the same rules.
const (
	// eager is how much the way of an access unit must have grown above its least for the next ones to be acknowledged at
	// once: the sender needs to know soon, and it sends little.
	eager = 15 * time.Millisecond
	// baseAge is the age at which a least value is forgotten, at the latest after twice that.
	baseAge = 15 * time.Second
	// firstUnits are acknowledged at once on a new connection, whose way nobody knows yet.
	firstUnits = 10
)

// pace tells after each access unit whether to acknowledge it at once or with the next regular FEEDBACK. It is pure. The
// zero value is ready.
type pace struct {
	seen     int
	since    time.Duration // when the current least was begun
	now, old time.Duration // the least since then, and of the time before
	aged     bool          // old is meaningful
}

// Arrived takes in an access unit that was complete at now and took way since its capture, by a clock of whatever
// offset.
func (p *pace) Arrived(now, way time.Duration) (atOnce bool) {
	switch {
	case p.seen == 0:
		p.since, p.now = now, way
	case now-p.since > baseAge:
		p.old, p.aged = p.now, true
		p.since, p.now = now, way
	default:
		p.now = min(p.now, way)
	}
	p.seen++
	base := p.now
	if p.aged {
		base = min(base, p.old)
	}
	return p.seen <= firstUnits || way-base > eager
}
