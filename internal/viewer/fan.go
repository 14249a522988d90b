package viewer

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

// Fan sends what is new to many sessions from a few goroutines, one for each two processors, as long as no connection makes them wait, and reads what they say.
// Waking a goroutine for each viewer and picture would cost as much as half of the write. What cannot go out at once, and all that is rare, is
// left to the session's own goroutine. Make one with NewFan and Run it as long as sessions have it.
type Fan struct {
	blades []*blade
	next   atomic.Uint32 // blade for the next session
}

// readPause is how long what one viewer says waits for others: they speak when a picture has come, all at about the same time.
const readPause = 3 * time.Millisecond

// ahead is for how many sessions at a time memory is read ahead: with very many none of theirs is in a cache, and each of their turns would wait for it again and again.
const ahead = 8

// Each session is looked after once a second, some of them at each turn.
const (
	newsEvery = time.Second
	newsTurns = 10
)

// blade is one of a fan's goroutines.
type blade struct {
	poller *ws.Poller // reads what its viewers say, and has it send between
	batch  []*writer  // owned by its goroutine
	looked time.Time  // when it looked after sessions last; owned by its goroutine

	mu      sync.Mutex
	todo    []*writer // whose subscription is ready; guarded by mu
	members []*writer // all that it serves; guarded by mu
	last    int       // turn, of newsTurns; guarded by mu
}

// NewFan makes a fan.
func NewFan() *Fan {
	f := &Fan{}
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		f.blades = append(f.blades, &blade{poller: ws.NewPoller(readPause), looked: time.Now()})
	}
	return f
}

// Run sends until ctx is done.
func (f *Fan) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, b := range f.blades {
		all.Go(func() { _ = b.poller.Run(ctx, b.turn) }) // ends with ctx alone
	}
}

// join has one of the blades serve w, until leave is called.
func (f *Fan) join(w *writer) (b *blade, leave func()) {
	b = f.blades[int(f.next.Add(1))%len(f.blades)]
	b.mu.Lock()
	defer b.mu.Unlock()
	b.members = append(b.members, w)
	return b, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		i, last := slices.Index(b.members, w), len(b.members)-1
		b.members[i] = b.members[last]
		b.members = slices.Delete(b.members, last, last+1)
	}
}

// add has b look at w soon. It does not wait. Where more are to follow for the same picture, nobody is woken before the last: who is would take its work from
// under the hands of the one who gives it, and all that they share with it.
func (f *Fan) add(b *blade, w *writer, more bool) {
	if !w.due.Swap(true) {
		b.mu.Lock()
		b.todo = append(b.todo, w)
		b.mu.Unlock()
	}
	if more {
		return
	}
	for _, b := range f.blades {
		b.mu.Lock()
		some := len(b.todo) > 0
		b.mu.Unlock()
		if some {
			b.poller.Poke()
		}
	}
}

// turn does what there is to do.
func (b *blade) turn() {
	b.mu.Lock()
	b.batch, b.todo = b.todo, b.batch[:0]
	b.mu.Unlock()
	for i, w := range b.batch {
		if i%ahead == 0 {
			for _, w := range b.batch[i:min(i+ahead, len(b.batch))] {
				w.prefetch()
			}
		}
		w.due.Store(false)
		w.fanned()
	}
	clear(b.batch) // sessions that have ended are not kept
	if now := time.Now(); now.Sub(b.looked) >= newsEvery/newsTurns {
		b.looked = now
		for _, w := range b.some() {
			w.lookAfter()
		}
	}
}

// prefetch has what fanned needs on its way from memory, without waiting for it. It reads only what never changes, or is atomic.
func (w *writer) prefetch() {
	w.due.Load()
	w.sub.Prefetch()
	w.conn.Prefetch()
}

// some gives the sessions that are to be looked after now: one in newsTurns.
func (b *blade) some() (now []*writer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = (b.last + 1) % newsTurns
	for i := b.last; i < len(b.members); i += newsTurns {
		now = append(now, b.members[i])
	}
	return now
}

// lookAfter leaves it to the session's own goroutine to tell the viewer what is new, if anything may be.
func (w *writer) lookAfter() {
	if w.turn.TryLock() {
		defer w.turn.Unlock()
		if !w.live {
			return
		}
		if w.idle() {
			w.view.Shared = w.sub.Look().Shared
			if !w.hasNews() {
				return
			}
		}
	}
	wake(w.news)
}

// fanned sends what is queued, if that needs no waiting, and leaves the rest to the session's own goroutine.
func (w *writer) fanned() {
	if !w.turn.TryLock() {
		wake(w.ready)
		return
	}
	defer w.turn.Unlock()
	now := w.epoch.Now()
	for w.fits() {
		if !w.room(now) {
			break
		}
		au, more := w.sub.Next()
		if au == nil {
			return
		}
		if !w.tryMedia(au, now) {
			break
		}
		if !more {
			return
		}
	}
	wake(w.ready)
}

// fits tells whether the session is in a state in which pictures may go out at once. w.turn is held.
func (w *writer) fits() bool {
	return w.live && w.left == nil && !w.unflushed && w.sub.Version() == w.view.Version
}

// tryMedia sends au if that needs no waiting, and else leaves it, or what is not sent of it, to the session's goroutine. w.turn is held.
func (w *writer) tryMedia(au *hub.AccessUnit, now media.Timestamp) (whole bool) {
	if au.Config != w.config {
		w.left, w.leftFrom = au, 0
		return false
	}
	i, bytes := 0, 0
	for ; i < len(au.Chunks) && w.try(au.Chunks[i]); i++ {
		bytes += ws.PayloadLen(au.Chunks[i])
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.path.Sent(bytes)
	if i < len(au.Chunks) {
		w.left, w.leftFrom = au, i
		return false
	}
	w.path.SentUnit(au.Config.Rendition.ID, au.Seq, au.Bytes, now, now)
	return !w.unflushed
}

// try sends a message behind its frame header, if that needs no waiting. w.turn is held.
func (w *writer) try(framed []byte) (sent bool) {
	sent, whole := w.conn.TryWriteFramed(framed)
	if sent {
		w.unflushed = !whole
	}
	return sent
}

// tellTime answers TIME_REQ at once, if nobody else is sending and that needs no waiting, and else leaves it to who is.
func (w *writer) tellTime(r wire.TimeResp) {
	if w.turn.TryLock() {
		defer w.turn.Unlock()
		if w.fits() {
			r.T3 = w.epoch.Now()
			message := wire.AppendTimeResp(nil, r)
			if w.try(append(ws.AppendFrameHeader(nil, len(message)), message...)) {
				w.mu.Lock()
				w.path.Sent(len(message))
				w.mu.Unlock()
				if w.unflushed {
					wake(w.ready)
				}
				return
			}
		}
	}
	w.send(wire.AppendTimeResp(nil, r))
}
