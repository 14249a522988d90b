package hub

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"sightline/internal/media"
)

// DropReason says why an access unit was not sent to a viewer. It is the label in metrics and in STATUS messages.
type DropReason string

// The reasons.
const (
	DropQueue     DropReason = "queue"     // the viewer's queue was over its budget
	DropReference DropReason = "reference" // it refers to one that was dropped
	DropStale     DropReason = "stale"     // a part was sent, the rest was too old to be worth it
	DropReplaced  DropReason = "replaced"  // a newer picture took its place before it was sent (JPEG)
)

// Subscription is one viewer's place at a stream. Ready, Next, Select, Pause and the rest are for the goroutines of its owner and safe for
// concurrent use. Close it once.
type Subscription struct {
	s     *stream
	ready chan struct{}

	// Guarded by s.mu.
	rendition *rendition // the one this subscription is attached to
	closed    bool

	mu       sync.Mutex
	queue    []*AccessUnit // oldest first
	bytes    int
	needKey  bool
	paused   bool
	chosen   media.RenditionID
	attached bool
	dropped  map[DropReason]uint64
}

// Ready is signalled when Next may have something, or when Status or Renditions changed.
func (sub *Subscription) Ready() <-chan struct{} { return sub.ready }

func (sub *Subscription) wake() {
	select {
	case sub.ready <- struct{}{}:
	default:
	}
}

// Next takes the oldest queued access unit; nil if there is none.
func (sub *Subscription) Next() *AccessUnit {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if len(sub.queue) == 0 {
		return nil
	}
	au := sub.queue[0]
	copy(sub.queue, sub.queue[1:])
	sub.queue[len(sub.queue)-1] = nil
	sub.queue = sub.queue[:len(sub.queue)-1]
	sub.bytes -= au.Bytes
	return au
}

// push queues au and reports whether a keyframe must be asked for. s.mu is held.
func (sub *Subscription) push(au *AccessUnit) (askKey bool) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if sub.paused {
		return false
	}
	if sub.needKey && !au.Key {
		sub.dropped[DropReference]++
		return true
	}
	switch {
	case len(sub.queue) == 0:
	case au.Config.Rendition.Codec == media.CodecJPEG:
		sub.dropAll(DropReplaced)
	case au.Received.Sub(sub.queue[0].Received) > sub.s.hub.opts.QueueBudget || sub.bytes+au.Bytes > sub.s.hub.opts.QueueBytes:
		sub.dropAll(DropQueue)
		if !au.Key {
			sub.dropped[DropReference]++
			sub.needKey = true
			return true
		}
	}
	sub.needKey = false
	sub.queue = append(sub.queue, au)
	sub.bytes += au.Bytes
	sub.wake()
	return false
}

// dropAll empties the queue. sub.mu is held.
func (sub *Subscription) dropAll(why DropReason) {
	sub.dropped[why] += uint64(len(sub.queue))
	clear(sub.queue)
	sub.queue, sub.bytes = sub.queue[:0], 0
}

// awaitKey empties the queue: what comes next refers to nothing sent before. s.mu is held.
func (sub *Subscription) awaitKey() {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.dropAll(DropReference)
	sub.needKey = true
}

// detached tells the subscription that its rendition is gone. s.mu is held.
func (sub *Subscription) detached() {
	sub.rendition = nil
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.attached = false
	sub.dropAll(DropReference)
}

// Abandon tells that au was not sent whole, for the reason why: nothing that refers to it goes out, and a keyframe is asked for.
func (sub *Subscription) Abandon(why DropReason) {
	sub.mu.Lock()
	sub.dropped[why]++
	sub.mu.Unlock()
	sub.RequestKey()
}

// RequestKey asks for a keyframe and drops everything before it.
func (sub *Subscription) RequestKey() {
	s := sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.awaitKey()
	if sub.rendition != nil {
		sub.rendition.keyWanted = true
		s.pokePublisher()
	}
}

func (s *stream) pokePublisher() {
	if s.publisher != nil {
		s.publisher.poke()
	}
}

// Select attaches the viewer to a rendition. It gets the pictures since the last keyframe if they are fresh, and otherwise a new keyframe.
func (sub *Subscription) Select(id media.RenditionID) error {
	s := sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.renditions[id]
	if r == nil {
		return fmt.Errorf("stream %s has no rendition %d", s.id, id)
	}
	if sub.rendition == r {
		return nil
	}
	sub.detach()
	sub.rendition = r
	r.subs = append(r.subs, sub)
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.chosen, sub.attached = id, true
	sub.startFrom(r)
	s.pokePublisher()
	return nil
}

// startFrom queues the group of pictures at hand, or waits for a keyframe. s.mu and sub.mu are held.
func (sub *Subscription) startFrom(r *rendition) {
	sub.dropAll(DropReplaced)
	sub.needKey = true
	if n := len(r.gop); n > 0 && sub.s.hub.now().Sub(r.gop[0].Received) <= cachedGOPAge {
		for _, au := range r.gop {
			sub.queue = append(sub.queue, au)
			sub.bytes += au.Bytes
		}
		sub.needKey = false
		sub.wake()
		return
	}
	r.keyWanted = true
}

// detach takes the subscription off its rendition. s.mu is held.
func (sub *Subscription) detach() {
	r := sub.rendition
	if r == nil {
		return
	}
	sub.rendition = nil
	if i := slices.Index(r.subs, sub); i >= 0 {
		r.subs = slices.Delete(r.subs, i, i+1)
	}
	r.idleSince = sub.s.hub.now()
}

// Pause stops or resumes the viewer's pictures; they resume from a keyframe.
func (sub *Subscription) Pause(paused bool) {
	s := sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if sub.paused == paused {
		return
	}
	sub.paused = paused
	if sub.rendition != nil {
		if paused {
			sub.dropAll(DropReplaced)
			sub.rendition.idleSince = s.hub.now()
		} else {
			sub.startFrom(sub.rendition)
		}
	}
	s.pokePublisher()
}

func (sub *Subscription) isPaused() bool {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return sub.paused
}

// View is what a viewer's session needs to know of its stream at one moment.
type View struct {
	Version    uint64 // changes whenever Status or Renditions do
	Status     Status
	Renditions []media.Rendition
	Chosen     media.RenditionID
	Attached   bool // to Chosen; false until Select and after the rendition went away
}

// Version is the Version of the View that Look would return now.
func (sub *Subscription) Version() uint64 { return sub.s.version.Load() }

// Look returns the stream's status and renditions.
func (sub *Subscription) Look() View {
	s := sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return View{Version: s.version.Load(), Status: s.status, Renditions: s.list(), Chosen: sub.chosen, Attached: sub.attached}
}

// Dropped counts access units not sent to this viewer, by reason.
func (sub *Subscription) Dropped() map[DropReason]uint64 {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return maps.Clone(sub.dropped)
}

// Close ends the subscription.
func (sub *Subscription) Close() {
	s := sub.s
	s.mu.Lock()
	if sub.closed {
		s.mu.Unlock()
		return
	}
	sub.closed = true
	sub.detach()
	delete(s.subs, sub)
	s.pokePublisher()
	s.mu.Unlock()
	s.hub.mu.Lock()
	s.hub.viewers--
	s.hub.mu.Unlock()
	s.hub.release(s)
}
