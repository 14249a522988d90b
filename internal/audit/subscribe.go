package audit

import (
	"sync/atomic"
	"time"
)

// Entry is one line of the record as it stands on disk.
type Entry struct {
	Record
	Seq  uint64 // of the record; of the last record before it for a checkpoint, whose Event is "checkpoint"
	Time time.Time
	// A roll-up stands for Count refusals between First and Last; Count is 0 in any other record.
	Count       uint64
	First, Last time.Time
	Line        string // without the newline
	Hash        string // SHA-256 of Line, in hexadecimal digits
}

// Subscription is a bounded queue of durable lines. Its methods are safe for concurrent use.
type Subscription struct {
	log     *Log
	entries chan Entry // closed by the Log's Run at its end
	dropped atomic.Uint64
}

// Subscribe returns a queue that gets every line from now on, once it is durable, and holds size of them; before Run,
// also those that Open wrote. The log never waits for it: what does not fit is dropped and counted. Close it when it
// is no longer read.
func (l *Log) Subscribe(size int) *Subscription {
	s := &Subscription{log: l, entries: make(chan Entry, size)}
	l.subMu.Lock()
	defer l.subMu.Unlock()
	if l.subs == nil { // Run has ended
		close(s.entries)
		return s
	}
	l.subs[s] = true
	s.add(l.opening)
	return s
}

// Entries is closed when the log's Run has ended, after the last line.
func (s *Subscription) Entries() <-chan Entry { return s.entries }

// Dropped is how many lines did not fit until now.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Close ends the subscription; Entries stays open, and silent.
func (s *Subscription) Close() {
	s.log.subMu.Lock()
	defer s.log.subMu.Unlock()
	if s.log.subs != nil {
		delete(s.log.subs, s)
	}
}

// add queues entries, as far as they fit.
func (s *Subscription) add(entries []Entry) {
	for _, e := range entries {
		select {
		case s.entries <- e:
		default:
			s.dropped.Add(1)
		}
	}
}

// beginPublishing ends the time in which what Open wrote is kept.
func (l *Log) beginPublishing() {
	l.subMu.Lock()
	defer l.subMu.Unlock()
	l.running, l.opening = true, nil
}

// publish hands durable lines to all subscriptions. With last, it is the end.
func (l *Log) publish(entries []Entry, last bool) {
	l.subMu.Lock()
	defer l.subMu.Unlock()
	if !l.running {
		l.opening = append(l.opening, entries...)
	}
	for s := range l.subs {
		s.add(entries)
		if last {
			close(s.entries)
		}
	}
	if last {
		l.subs = nil
	}
}
