package hub

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

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
	DropStills    DropReason = "stills"    // the viewer's network carries keyframes alone
	DropThinned   DropReason = "thinned"   // the viewer needs fewer pictures than there are (JPEG)
)

// DropReasons lists them all.
func DropReasons() []DropReason {
	return []DropReason{DropQueue, DropReference, DropStale, DropReplaced, DropStills, DropThinned}
}

// Subscription is one viewer's place at a stream. Its methods are safe for concurrent use; only one goroutine takes
// what Next gives, since the order counts. Nothing may be called after Close but Close.
//
// What each picture needs of it stands first and together: with very many viewers none of it is in a cache.
type Subscription struct {
	s        *stream
	mu       sync.Mutex
	stills   bool
	held     bool
	needKey  bool
	paused   bool
	attached bool
	chosen   media.RenditionID
	queue    []queued  // oldest first
	first    [1]queued // where the queue is while it is that short
	bytes    int
	out      tally           // since the rendition counted it last
	next     *rendition      // the one it goes over to with its next keyframe; nil for none; guarded by s.mu
	notify   func(more bool) // instead of ready, if not nil

	dropped map[DropReason]uint64 // guarded by mu
	settled map[DropReason]uint64 // of dropped, what its renditions have counted; nil while that is nothing; guarded by mu
	ready   chan struct{}

	// Guarded by s.mu.
	rendition *rendition // the one this subscription is attached to
	needs     Needs
	due       media.Timestamp // when the next picture is, if it needs fewer than there are
	closed    bool
}

// Needs is what a viewer would have its rendition encoded at.
type Needs struct {
	CarriesBps     int // bit/s that its network takes; 0: whatever there is
	MostBps        int // it wants no more than so many bit/s; 0: it wants all
	FrameRateMilli int // it needs no more than so many pictures a second, in thousandths; 0: it needs all
}

// queued is an access unit that waits since a moment: since it came, or since the viewer did.
type queued struct {
	au    *AccessUnit
	since media.Timestamp
}

// Notify has f called when Ready would be signalled, and Ready not signalled any more; more tells that another subscription's f is called right after for
// the same picture. f is called with locks of the hub held, so that it must be quick, must not wait and must not call the hub. Call it once, before anything else.
func (sub *Subscription) Notify(f func(more bool)) {
	sub.s.mu.Lock()
	defer sub.s.mu.Unlock()
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.notify = f
}

// Ready is signalled when Next may have something, or when Status or Renditions changed.
func (sub *Subscription) Ready() <-chan struct{} { return sub.ready }

func (sub *Subscription) wake(more bool) {
	if sub.notify != nil {
		sub.notify(more)
		return
	}
	select {
	case sub.ready <- struct{}{}:
	default:
	}
}

// Prefetch has what Next needs on its way from memory, without waiting for it: a word of each of its two lines of the cache, neither of which changes any more.
func (sub *Subscription) Prefetch() {
	runtime.KeepAlive(sub.s)
	runtime.KeepAlive(sub.notify)
}

// Next takes the oldest queued access unit, nil if there is none, and tells whether more are queued.
func (sub *Subscription) Next() (au *AccessUnit, more bool) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if len(sub.queue) == 0 {
		return nil, false
	}
	au = sub.queue[0].au
	sub.cut(1)
	sub.out.frames++
	sub.out.bytes += uint64(au.Bytes)
	return au, len(sub.queue) > 0
}

// cut takes the n oldest out of the queue. sub.mu is held.
func (sub *Subscription) cut(n int) {
	for _, q := range sub.queue[:n] {
		sub.bytes -= q.au.Bytes
	}
	rest := copy(sub.queue, sub.queue[n:])
	clear(sub.queue[rest:])
	sub.queue = sub.queue[:rest]
}

// enqueue appends au. sub.mu is held.
func (sub *Subscription) enqueue(au *AccessUnit, since media.Timestamp) {
	sub.queue = append(sub.queue, queued{au, since})
	sub.bytes += au.Bytes
}

// push queues an access unit of rendition r, if the viewer can be sent it, and reports whether a keyframe must be asked for. s.mu is held.
func (sub *Subscription) push(r *rendition, au *AccessUnit) (queued, askKey bool) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if sub.paused {
		return false, false
	}
	if au.Config.Rendition.Codec == media.CodecJPEG && !sub.isDue(au.Capture) {
		sub.dropped[DropThinned]++
		return false, false
	}
	if sub.next == r {
		if !au.Key {
			return false, !sub.held
		}
		sub.dropAll(DropReplaced)
		sub.goOver()
	}
	if sub.stills && !au.Key {
		sub.dropped[DropStills]++
		sub.needKey = true
		return false, false
	}
	if sub.needKey && !au.Key {
		sub.dropped[DropReference]++
		return false, !sub.held
	}
	opts := sub.s.hub.opts
	switch {
	case len(sub.queue) == 0:
	case sub.stills || au.Config.Rendition.Codec == media.CodecJPEG:
		sub.dropAll(DropReplaced)
	case au.Received.Sub(sub.queue[0].since) > opts.QueueBudget || sub.bytes+au.Bytes > opts.QueueBytes:
		sub.dropAll(DropQueue)
		if !au.Key {
			sub.dropped[DropReference]++
			sub.needKey = true
			return false, !sub.held
		}
	}
	sub.needKey = false
	sub.enqueue(au, au.Received)
	return true, false
}

// isDue tells whether the viewer needs a picture that was captured then, and counts on its being sent. s.mu is held.
func (sub *Subscription) isDue(capture media.Timestamp) bool {
	if sub.needs.FrameRateMilli == 0 {
		return true
	}
	period := 1000 * time.Second / time.Duration(sub.needs.FrameRateMilli)
	late := capture.Sub(sub.due)
	if late < -period/4 && late > -2*period { // a camera is not a clock; and a time that far ahead is none of this camera's
		return false
	}
	if late > period || late < -period {
		sub.due = capture
	}
	sub.due = sub.due.Add(period)
	return true
}

// dropAll empties the queue. sub.mu is held.
func (sub *Subscription) dropAll(why DropReason) { sub.drop(len(sub.queue), why) }

// drop takes the n oldest out of the queue and counts them as not sent. sub.mu is held.
func (sub *Subscription) drop(n int, why DropReason) {
	if n > 0 {
		sub.dropped[why] += uint64(n)
		sub.cut(n)
	}
}

// awaitKey empties the queue: what comes next refers to nothing sent before. s.mu is held.
func (sub *Subscription) awaitKey() {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.dropAll(DropReference)
	sub.needKey = true
}

// goOver takes the subscription from its rendition to the next. s.mu and sub.mu are held.
func (sub *Subscription) goOver() {
	sub.settle()
	sub.leave(sub.rendition)
	sub.rendition, sub.next = sub.next, nil
}

// detached tells the subscription that r, its rendition or its next, is gone. s.mu is held.
func (sub *Subscription) detached(r *rendition) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if sub.next == r {
		sub.next = nil
		sub.chosen = sub.rendition.info.ID
		return
	}
	sub.dropAll(DropReference)
	sub.settle()
	if sub.next != nil {
		sub.rendition, sub.next = sub.next, nil
		sub.needKey = true
	} else {
		sub.rendition, sub.attached = nil, false
	}
}

// Abandon tells that the access unit taken last was not sent whole, for the reason why: nothing that refers to it goes
// out, and a keyframe is asked for.
func (sub *Subscription) Abandon(why DropReason) {
	sub.mu.Lock()
	sub.dropped[why]++
	sub.mu.Unlock()
	sub.RequestKey()
}

// RequestKey has the viewer go on from a keyframe: the newest one that is queued, or one that the publisher is asked for.
// Everything before it is dropped.
func (sub *Subscription) RequestKey() {
	s := sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !sub.skipToKey() && sub.rendition != nil {
		sub.rendition.keyWanted = true
		s.pokePublisher()
	}
}

// skipToKey drops what is queued before the newest keyframe and reports whether there was one.
func (sub *Subscription) skipToKey() bool {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	for i, q := range slices.Backward(sub.queue) {
		if q.au.Key {
			sub.drop(i, DropReference)
			return true
		}
	}
	sub.dropAll(DropReference)
	sub.needKey = true
	return false
}

func (s *stream) pokePublisher() {
	if s.publisher != nil {
		s.publisher.poke()
	}
}

// Select attaches the viewer to a rendition, from which it gets the pictures since the last keyframe if they are fresh,
// and otherwise a new keyframe. A viewer that gets pictures goes on getting them until the other rendition's next
// keyframe, so that it misses nothing. It reports an error for a rendition that the publisher does not list.
func (sub *Subscription) Select(id media.RenditionID) error {
	s := sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(id)
	if r == nil {
		return fmt.Errorf("stream %s has no rendition %d", s.id, id)
	}
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if sub.next != nil && sub.next != r {
		sub.leave(sub.next)
		sub.next = nil
	}
	sub.chosen, sub.attached = id, true
	switch {
	case sub.rendition == r || sub.next == r:
		return nil
	case sub.rendition == nil || sub.needKey: // nothing to miss
		sub.dropAll(DropReplaced)
		sub.settle()
		sub.leave(sub.rendition)
		sub.rendition = r
		sub.startFrom(r)
	default:
		sub.next = r
		r.keyWanted = true
	}
	r.subs = append(r.subs, sub)
	s.pokePublisher()
	return nil
}

// startFrom queues the group of pictures at hand, or waits for a keyframe. s.mu and sub.mu are held.
func (sub *Subscription) startFrom(r *rendition) {
	sub.dropAll(DropReplaced)
	sub.needKey = true
	age, _ := r.keeps()
	if now := sub.s.hub.now(); len(r.gop) > 0 && now.Sub(r.gop[0].Received) <= age {
		for _, au := range r.gop {
			sub.enqueue(au, now)
		}
		sub.needKey = false
		sub.wake(false)
		return
	}
	r.keyWanted = true
}

// leave takes the subscription off r's list. s.mu is held.
func (sub *Subscription) leave(r *rendition) {
	if r == nil {
		return
	}
	if i := slices.Index(r.subs, sub); i >= 0 {
		r.subs = slices.Delete(r.subs, i, i+1)
	}
	r.idleSince = sub.s.hub.now()
	sub.s.pokePublisher()
}

// Needs says what the viewer would have its rendition encoded at. The renditions it watches may follow.
func (sub *Subscription) Needs(needs Needs) {
	s := sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.needs = needs
	for _, r := range []*rendition{sub.rendition, sub.next} {
		if r != nil && (apart(s.target(r), r.told) || r.frameRate() != r.toldRate) {
			s.pokePublisher()
		}
	}
}

// Hold says that the viewer can be sent nothing for now, so that no keyframe is asked for on its behalf; at the end of it
// one is, if it needs one.
func (sub *Subscription) Hold(on bool) {
	s := sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.held = on
	if !on && sub.needKey && !sub.stills && sub.rendition != nil {
		sub.rendition.keyWanted = true
		s.pokePublisher()
	}
}

// Stills has the viewer get keyframes alone, the newest each time, which RequestKey asks for; or everything again.
func (sub *Subscription) Stills(on bool) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.stills = on
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
	if paused {
		sub.dropAll(DropReplaced)
	}
	for _, r := range []*rendition{sub.rendition, sub.next} {
		switch {
		case r == nil:
		case paused:
			r.idleSince = s.hub.now()
		case r == sub.rendition:
			sub.startFrom(r)
		default:
			r.keyWanted = true
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
	// Shared holds, for each of Renditions that others watch, the bit/s it is encoded at for them; 0 for its most.
	Shared map[media.RenditionID]int
	// Measured holds, for those of Renditions whose bit rate nobody sets, what they came to lately with all their pictures,
	// where that is known, bit/s.
	Measured map[media.RenditionID]int
	Chosen   media.RenditionID
	Attached bool // to Chosen; false until Select and after the rendition went away
}

// Version is the Version of the View that Look would return now.
func (sub *Subscription) Version() uint64 { return sub.s.version.Load() }

// Rendition is the one this subscription is attached to; false for none.
func (sub *Subscription) Rendition() (media.Rendition, bool) {
	sub.s.mu.Lock()
	defer sub.s.mu.Unlock()
	if sub.rendition == nil {
		return media.Rendition{}, false
	}
	return sub.rendition.info, true
}

// Look returns the stream's status and renditions.
func (sub *Subscription) Look() View {
	s := sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return View{
		Version: s.version.Load(), Status: s.status, Renditions: s.list(), Shared: s.shared(sub),
		Measured: s.measured(), Chosen: sub.chosen, Attached: sub.attached,
	}
}

// Dropped counts access units not sent to this viewer, by reason.
func (sub *Subscription) Dropped() map[DropReason]uint64 {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return maps.Clone(sub.dropped)
}

// Drops is how many they are in all.
func (sub *Subscription) Drops() (n uint64) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	for _, d := range sub.dropped {
		n += d
	}
	return n
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
	sub.mu.Lock()
	sub.settle()
	sub.mu.Unlock()
	sub.leave(sub.rendition)
	sub.leave(sub.next)
	sub.rendition, sub.next = nil, nil
	delete(s.subs, sub)
	s.pokePublisher()
	s.mu.Unlock()
	s.hub.mu.Lock()
	s.hub.viewers--
	s.hub.mu.Unlock()
	s.hub.release(s)
}
