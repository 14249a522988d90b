package viewer

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"sightline/internal/hub"
	"sightline/internal/transport/ws"
)

// Fan sends what is new to many sessions from a few goroutines, one for each processor, as long as no connection makes them wait.
// Waking a goroutine for each viewer and picture would cost as much as half of the write. What cannot go out at once, and all that is rare, is
// left to the session's own goroutine. Make one with NewFan and Run it as long as sessions have it.
type Fan struct {
	blades []*blade
	next   atomic.Uint32 // blade for the next session
}

// blade is one of a fan's goroutines.
type blade struct {
	due chan struct{} // todo is not empty

	mu   sync.Mutex
	todo []*writer // whose subscription is ready; guarded by mu
}

// NewFan makes a fan.
func NewFan() *Fan {
	f := &Fan{}
	for range runtime.GOMAXPROCS(0) {
		f.blades = append(f.blades, &blade{due: make(chan struct{}, 1)})
	}
	return f
}

// Run sends until ctx is done.
func (f *Fan) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, b := range f.blades {
		all.Go(func() { b.run(ctx) })
	}
}

// blade is the one that serves one session more.
func (f *Fan) blade() *blade { return f.blades[int(f.next.Add(1))%len(f.blades)] }

// add has w looked at soon. It does not wait.
func (b *blade) add(w *writer) {
	if w.due.Swap(true) {
		return
	}
	b.mu.Lock()
	b.todo = append(b.todo, w)
	first := len(b.todo) == 1
	b.mu.Unlock()
	if first {
		wake(b.due)
	}
}

func (b *blade) run(ctx context.Context) {
	var batch []*writer
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.due:
		}
		b.mu.Lock()
		batch, b.todo = b.todo, batch[:0]
		b.mu.Unlock()
		for _, w := range batch {
			w.due.Store(false)
			w.fanned()
		}
		clear(batch) // sessions that have ended are not kept
	}
}

// fanned sends what is queued, if that needs no waiting, and leaves the rest to the session's own goroutine.
func (w *writer) fanned() {
	if !w.turn.TryLock() {
		wake(w.ready)
		return
	}
	defer w.turn.Unlock()
	for w.fits() {
		if !w.room() {
			break
		}
		au := w.sub.Next()
		if au == nil {
			return
		}
		if !w.tryMedia(au) {
			break
		}
	}
	wake(w.ready)
}

// fits tells whether the session is in a state in which pictures may go out at once. w.turn is held.
func (w *writer) fits() bool {
	return w.live && w.left == nil && !w.unflushed && w.sub.Version() == w.view.Version
}

// tryMedia sends au if that needs no waiting, and else leaves it, or what is not sent of it, to the session's goroutine. w.turn is held.
func (w *writer) tryMedia(au *hub.AccessUnit) (whole bool) {
	if au.Config != w.config || len(au.Chunks) != 1 {
		w.left = au
		return false
	}
	began := w.opts.Epoch.Now()
	sent, whole := w.conn.TryWriteFramed(au.Chunks[0])
	if !sent {
		w.left = au
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.path.Sent(ws.PayloadLen(au.Chunks[0]))
	w.path.SentUnit(au.Config.Rendition.ID, au.Seq, au.Bytes, began, began)
	w.unflushed = !whole
	return whole
}
