package hub

import (
	"maps"
	"slices"
	"strings"
	"time"

	"sightline/internal/media"
)

// Totals are what a rendition has come to since its stream is known. They only rise, but for Queued, QueueAge and Viewers, which are of this
// moment.
type Totals struct {
	Rendition media.Rendition
	FramesIn  uint64
	Keyframes uint64 // of FramesIn
	BytesIn   uint64 // padding counted, headers not
	Skipped   uint64 // pictures that the publisher's encoder did not take, since newer ones had come
	// FramesOut and BytesOut are what viewers' sessions took to send, each viewer's copy counted.
	FramesOut, BytesOut uint64
	Dropped             map[DropReason]uint64 // access units that were not sent to a viewer
	Viewers             int                   // who have it, those that are paused too
	Queued              int                   // access units that wait for viewers' connections
	QueueAge            time.Duration         // of the one that waits longest
	Active              bool                  // it is being encoded
	Figures             Figures
}

// StreamTotals are those of a stream's renditions, in the publisher's order; without the ones that it does not list now.
type StreamTotals struct {
	ID         media.StreamID
	State      media.State
	Published  bool
	Viewers    int
	Renditions []Totals
}

// tally is what left for viewers. Each subscription has its own, under the lock that Next holds anyway, and adds it to its rendition's when
// it goes over to another: no figure is shared by all viewers.
type tally struct{ frames, bytes uint64 }

// settle adds what the subscription was sent, and was not, to its rendition. s.mu and sub.mu are held.
func (sub *Subscription) settle() {
	r := sub.rendition
	if r == nil {
		return
	}
	r.out.frames += sub.out.frames
	r.out.bytes += sub.out.bytes
	sub.out = tally{}
	for reason, n := range sub.dropped {
		if n == sub.settled[reason] {
			continue
		}
		if r.dropped == nil {
			r.dropped = map[DropReason]uint64{}
		}
		r.dropped[reason] += n - sub.settled[reason]
		if sub.settled == nil {
			sub.settled = map[DropReason]uint64{}
		}
		sub.settled[reason] = n
	}
}

// Totals lists all streams by name with what they came to. It takes each viewer's lock for a moment: once every few seconds is fine.
func (h *Hub) Totals() []StreamTotals {
	h.mu.Lock()
	all := slices.Collect(maps.Values(h.streams))
	h.mu.Unlock()
	list := make([]StreamTotals, 0, len(all))
	now := h.now()
	for _, s := range all {
		list = append(list, s.totals(now))
	}
	slices.SortFunc(list, func(a, b StreamTotals) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return list
}

func (s *stream) totals(now media.Timestamp) StreamTotals {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := StreamTotals{ID: s.id, State: s.status.State, Published: s.publisher != nil, Viewers: len(s.subs)}
	queues := map[*rendition]*Totals{}
	t.Renditions = make([]Totals, len(s.order))
	for i, id := range s.order {
		queues[s.renditions[id]] = &t.Renditions[i]
	}
	for sub := range s.subs {
		sub.mu.Lock()
		sub.settle()
		if at := queues[sub.rendition]; at != nil && len(sub.queue) > 0 {
			at.Queued += len(sub.queue)
			at.QueueAge = max(at.QueueAge, now.Sub(sub.queue[0].since))
		}
		sub.mu.Unlock()
	}
	for r, at := range queues {
		at.Rendition, at.Active, at.Figures, at.Viewers = r.info, r.active, r.figures, len(r.subs)
		at.FramesIn, at.Keyframes, at.BytesIn, at.Skipped = r.framesIn, r.keyframes, r.bytesIn, r.skipped
		at.FramesOut, at.BytesOut, at.Dropped = r.out.frames, r.out.bytes, maps.Clone(r.dropped)
	}
	return t
}
