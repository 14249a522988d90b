package capture

import (
	"context"
	"sync"
)

// slot holds the newest picture and nothing else: who is late gets what is new, never what waited.
type slot struct {
	mu      sync.Mutex
	picture *Picture
	n       uint64        // pictures put so far
	changed chan struct{} // closed and replaced by put
}

func newSlot() *slot { return &slot{changed: make(chan struct{})} }

// put takes over the caller's reference.
func (s *slot) put(p *Picture) {
	s.mu.Lock()
	old := s.picture
	s.picture = p
	s.n++
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	if old != nil {
		old.Release()
	}
}

// clear drops the picture, so that nobody who comes later starts with a stale one.
func (s *slot) clear() {
	s.mu.Lock()
	old := s.picture
	s.picture = nil
	s.mu.Unlock()
	if old != nil {
		old.Release()
	}
}

// next waits for a picture newer than the one numbered after, and gives a reference to it with its number. Numbers rise by one for
// each picture put. A nil picture means that ctx ended.
func (s *slot) next(ctx context.Context, after uint64) (*Picture, uint64) {
	for {
		s.mu.Lock()
		p, n, changed := s.picture, s.n, s.changed
		if p != nil && n > after {
			p.refs.Add(1)
			s.mu.Unlock()
			return p, n
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, 0
		case <-changed:
		}
	}
}

// demand counts the renditions wanted now, and those of them that need decoded pictures.
type demand struct {
	mu          sync.Mutex
	n, pictures int
	changed     chan struct{} // closed and replaced when n becomes or leaves 0
}

func newDemand() *demand { return &demand{changed: make(chan struct{})} }

func (d *demand) add(delta int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.n > 0
	d.n += delta
	if was != (d.n > 0) {
		close(d.changed)
		d.changed = make(chan struct{})
	}
}

// addPictures counts those that need decoded pictures.
func (d *demand) addPictures(delta int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pictures += delta
}

// now tells whether anything is wanted and whether that needs decoded pictures, and gives a channel that closes when the former changes.
func (d *demand) now() (wanted, pictures bool, changed <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.n > 0, d.pictures > 0, d.changed
}
