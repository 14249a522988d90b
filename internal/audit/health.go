package audit

import "time"

// Health is how the record keeps up with what is to be written.
type Health struct {
	Waiting int           // records whose callers wait for the disk
	Lag     time.Duration // for how long the one that has waited longest has
	Records uint64        // that are durable, over the life of the record
	Durable time.Time     // when something became durable last; zero if nothing did since Open
	Failing bool          // what was to be written last could not be
}

// Health tells how the record keeps up. Safe for concurrent use.
func (l *Log) Health() Health {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.health
	h.Waiting = len(l.waiting)
	oldest := l.writing
	if oldest.IsZero() && len(l.waiting) > 0 {
		oldest = l.waiting[0].at
	}
	if !oldest.IsZero() {
		h.Lag = max(0, l.opts.Now().Sub(oldest))
	}
	return h
}
