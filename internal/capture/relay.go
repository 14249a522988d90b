package capture

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sightline/internal/media"
	"sightline/internal/wire"
)

const (
	// relayAge is the oldest access unit of a source's own that is worth sending: a connection that is further behind goes on from the next keyframe, and
	// who begins is given what came since the last one if that is no older.
	relayAge = 2 * time.Second
	// repeatBytes bounds what is sent again for a viewer who comes later, since all viewers get it.
	repeatBytes = 256 << 10

	// What is kept since a source's last keyframe, for who begins to watch.
	maxKeptPackets = 600
	maxKeptBytes   = 16 << 20
)

// relay holds a source's own access units since its last keyframe, at most those of relayAge, for any number of readers that each have their own pace.
type relay struct {
	mu      sync.Mutex
	units   []passed // the first is a keyframe, or older than relayAge was when the last came
	bytes   int
	first   uint64 // number of units[0]; numbers rise by one for each unit put
	next    uint64
	changed chan struct{} // closed and replaced by put
	meter   meter
}

// meterSpan is the time over which a source's own bitrate is measured: some groups of pictures of most cameras, so that keyframes do not show.
const meterSpan = 4 * time.Second

// meter measures the bitrate of what arrives.
type meter struct {
	since, until time.Time // the arrivals counted
	bytes        int       // behind the first of them
	bps          int       // of the last whole span
}

func (m *meter) add(bytes int, at time.Time) {
	if m.since.IsZero() {
		m.since, m.until = at, at
		return
	}
	m.bytes += bytes
	m.until = at
	if over := m.until.Sub(m.since); over >= meterSpan {
		m.bps = int(float64(8*m.bytes) / over.Seconds())
		m.since, m.bytes = at, 0
	}
}

// rate is in bit/s, 0 if not known or if nothing has arrived for longer than a span. Before the first span is over it is that of its part so far.
func (m *meter) rate(now time.Time) int {
	over := m.until.Sub(m.since)
	switch {
	case now.Sub(m.until) > meterSpan:
		return 0
	case m.bps == 0 && over >= meterSpan/4:
		return int(float64(8*m.bytes) / over.Seconds())
	}
	return m.bps
}

func newRelay() *relay { return &relay{next: 1, changed: make(chan struct{})} }

func (r *relay) put(u passed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u.came = time.Now()
	r.meter.add(len(u.data), u.at)
	if u.key || r.bytes > maxKeptBytes || len(r.units) >= maxKeptPackets {
		r.units, r.bytes = nil, 0
	}
	// Past relayAge nobody begins with the keyframe any more, and who is further behind waits for the next one.
	for len(r.units) > 1 && u.came.Sub(r.units[0].at) > relayAge {
		r.bytes -= len(r.units[0].data)
		r.units[0] = passed{}
		r.units = r.units[1:]
		r.first++
	}
	if u.key || len(r.units) > 0 {
		if len(r.units) == 0 {
			r.first = r.next
		}
		r.units = append(r.units, u)
		r.bytes += len(u.data)
	}
	r.next++
	close(r.changed)
	r.changed = make(chan struct{})
}

// clear drops what is held, so that nobody begins with what was before a rest.
func (r *relay) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.units, r.bytes = nil, 0
	r.meter = meter{}
}

// rate is the source's own bitrate in bit/s, 0 if it is not known.
func (r *relay) rate() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.meter.rate(time.Now())
}

// after gives the unit behind the one numbered n, or the newest keyframe where that is further on, and its number; 0 if there is none yet. With
// key only a keyframe will do. The channel closes with the next unit.
func (r *relay) after(n uint64, key bool) (u passed, number uint64, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.units) == 0 || n+1 >= r.next || key && (r.first <= n || !r.units[0].key) {
		return passed{}, 0, r.changed
	}
	number = max(n+1, r.first)
	if key {
		number = r.first
	}
	return r.units[number-r.first], number, r.changed
}

// group is the newest keyframe's number and age, and the bytes since; 0 if there is none.
func (r *relay) group() (first uint64, age time.Duration, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.units) == 0 || !r.units[0].key {
		return 0, 0, 0
	}
	return r.first, time.Since(r.units[0].at), r.bytes
}

// relayWhile sends the source's own access units until ctx ends or the rendition has to be encoded. It begins with what came since the last keyframe if
// that is young enough. A source makes no keyframe on request; the nearest thing is to send its last one again with all that followed, once.
func (st *stream) relayWhile(ctx context.Context) error {
	var sent, repeated uint64
	needKey := true
	st.mu.Lock()
	st.gate = keyGate{} // whoever asked gets the beginning
	st.mu.Unlock()
	st.configured = false
	st.lastAt, st.due = time.Time{}, time.Time{}
	for {
		_, feed, feedChanged := st.c.current()
		if !st.spec.Passthrough && !st.spec.passes(feed) {
			return nil
		}
		if st.repeat(&repeated) {
			sent, needKey = repeated-1, true
		}
		u, number, more := st.c.relay.after(sent, needKey)
		if number == 0 {
			select {
			case <-ctx.Done():
				return nil
			case <-more:
			case <-feedChanged:
			case <-st.kick:
			}
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if !u.key && number != sent+1 || time.Since(u.at) > relayAge {
			needKey, sent = true, number
			continue
		}
		sent = number
		capture, ok := st.s.epoch(u.at)
		if !ok { // the server's clock is not known yet, for a round trip more
			needKey, sent = true, number-1
			sleep(ctx, clockWait)
			continue
		}
		needKey = false
		if feed.Native == media.CodecJPEG {
			st.adoptTarget()
			if !st.onTime(u.at, feed) {
				continue
			}
		}
		if err := st.forward(u, capture, feed); err != nil {
			return err
		}
	}
}

// clockWait is how often to look whether the server's clock is known.
const clockWait = 5 * time.Millisecond

// repeat tells whether a KEYREQ is to be answered now, by sending again from the keyframe whose number it puts into repeated.
func (st *stream) repeat(repeated *uint64) bool {
	first, age, size := st.c.relay.group()
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.gate.due(time.Now()) || first == 0 || first == *repeated || age > relayAge || size > repeatBytes {
		return false
	}
	*repeated = first
	st.gate.made(time.Now())
	return true
}

// forward sends one access unit of the source's own.
func (st *stream) forward(u passed, capture media.Timestamp, feed FeedInfo) error {
	began := time.Now()
	if u.key {
		st.mu.Lock()
		st.gate.made(began)
		st.mu.Unlock()
		if u.width == 0 {
			u.width, u.height = feed.Width, feed.Height
		}
		c := wire.Config{
			Codec: feed.Native, Rendition: st.id, Width: u.width, Height: u.height, FrameRateMilli: uint32(st.spec.rateMilli(feed.FrameRateMilli, 0)), CodecString: u.codec,
		}
		if !st.configured || c != st.config {
			if err := st.sendConfig(c); err != nil {
				return err
			}
		}
	}
	h := wire.MediaHeader{
		Rendition: st.id, Generation: st.generation, Capture: capture, EncodeDelay: uint32(max(0, began.Sub(u.at)/time.Microsecond)),
	}
	switch {
	case feed.Native == media.CodecJPEG:
		h.Flags = wire.FlagKey | wire.FlagDiscardable
	case u.key:
		h.Flags = wire.FlagKey
	default:
		h.DepDelta = 1
	}
	if !st.lastAt.IsZero() && (u.at.Before(st.lastAt) || u.at.Sub(st.lastAt) > jump) {
		h.Flags |= wire.FlagDiscontinuity
	}
	st.lastAt = u.at
	if err := st.send(h, u.data); err != nil {
		return fmt.Errorf("pass on: %w", err)
	}
	st.count(func(s *streamStats) {
		s.encoded++
		s.bytes += len(u.data)
		s.delays = append(s.delays, time.Since(u.came))
	})
	return nil
}
