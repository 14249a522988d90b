// Package clock maps one process's clock onto another's from exchanges of TIME_REQ and TIME_RESP (docs/protocol.md). It
// is pure: it knows no sockets, reads no clock and starts no goroutines.
package clock

import (
	"time"

	"sightline/internal/media"
	"sightline/internal/wire"
)

const (
	samples = 16
	// drift is how fast two computers' clocks may run apart: a sample gets so much less certain with its age.
	drift = 50e-6
)

// Sync maps this process's clock onto the server's epoch. All its int64 arguments are µs of this process's clock. The zero
// value is ready. Not safe for concurrent use.
type Sync struct {
	ring [samples]sample
	n    int // ever added
}

type sample struct {
	at     int64 // when the answer came
	offset int64 // epoch minus our clock
	err    int64 // half the round trip
}

// Add takes in an answer that arrived at t4. Answers that cannot be (from the future, or taking negative time) are
// ignored.
func (c *Sync) Add(r wire.TimeResp, t4 int64) {
	elapsed, served := t4-r.T1, int64(r.T3-r.T2)
	if r.T1 > t4 || r.T3 < r.T2 || elapsed < 0 || served < 0 || served > elapsed { // negative in spite of the order: overflow
		return
	}
	half := (elapsed - served) / 2
	c.ring[c.n%samples] = sample{at: t4, offset: int64(r.T2) - r.T1 - half, err: half + 1} // rounded to whole µs
	c.n++
}

// At maps t onto the epoch by the sample that is most certain now; ok is false before the first one. bound is how far off
// the result may be, as long as the clocks drift apart no faster than 50 ppm.
func (c *Sync) At(t, now int64) (ts media.Timestamp, bound time.Duration, ok bool) {
	var best sample
	least := int64(-1)
	for _, s := range c.ring[:min(c.n, samples)] {
		if e := s.err + int64(float64(now-s.at)*drift); least < 0 || e < least {
			best, least = s, e
		}
	}
	if least < 0 {
		return 0, 0, false
	}
	return media.Timestamp(t + best.offset), time.Duration(least) * time.Microsecond, true
}
