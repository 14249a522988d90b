package capture

import (
	"time"

	"sightline/internal/media"
	"sightline/internal/wire"
)

const (
	clockSamples = 16
	// clockDrift is how fast two computers' clocks may run apart: a sample gets so much less certain with its age.
	clockDrift = 50e-6
)

// clockSync maps this process's clock onto the server's epoch, from the exchanges of TIME_REQ and TIME_RESP. It knows no sockets
// and reads no clock itself; all arguments are µs of this process's clock. The zero value is ready.
type clockSync struct {
	samples [clockSamples]clockSample
	n       int // ever added
}

type clockSample struct {
	at     int64 // when the answer came
	offset int64 // epoch minus our clock
	err    int64 // half the round trip
}

// add takes in an answer that arrived at t4. Answers that cannot be (from the future, or taking negative time) are ignored.
func (c *clockSync) add(r wire.TimeResp, t4 int64) {
	rtt := (t4 - r.T1) - int64(r.T3-r.T2)
	if r.T1 > t4 || r.T3 < r.T2 || rtt < 0 {
		return
	}
	c.samples[c.n%clockSamples] = clockSample{at: t4, offset: (int64(r.T2) - r.T1 + int64(r.T3) - t4) / 2, err: rtt / 2}
	c.n++
}

// at maps t onto the epoch by the sample that is most certain now; ok is false before the first one. bound is how far off
// the result may be.
func (c *clockSync) at(t, now int64) (ts media.Timestamp, bound time.Duration, ok bool) {
	var best clockSample
	least := int64(-1)
	for _, s := range c.samples[:min(c.n, clockSamples)] {
		if e := s.err + int64(float64(now-s.at)*clockDrift); least < 0 || e < least {
			best, least = s, e
		}
	}
	if least < 0 {
		return 0, 0, false
	}
	return media.Timestamp(t + best.offset), time.Duration(least) * time.Microsecond, true
}
