package capture

import (
	"context"
	"sync"
	"testing"
	"time"
)

// plain is a picture that knows its size and what it was made from.
type plain struct{ w, h, from int }

func (p plain) Width() int  { return p.w }
func (p plain) Height() int { return p.h }
func (plain) Close()        {}

// scaleEngine counts scalings and the pictures alive.
type scaleEngine struct {
	mu           sync.Mutex
	made, alive  int
	open, closed int
}

func (*scaleEngine) Open(context.Context, Source) (Feed, error) { panic("not asked for") }
func (*scaleEngine) NewEncoder(EncoderOptions) (Encoder, error) { panic("not asked for") }
func (e *scaleEngine) NewScaler(w, h int) (Scaler, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open++
	return &plainScaler{e, w, h}, nil
}

func (e *scaleEngine) picture(w, h, from int, at time.Time) *Picture {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.alive++
	return NewPicture(plain{w, h, from}, at, func(Image) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.alive--
	})
}

type plainScaler struct {
	e    *scaleEngine
	w, h int
}

func (s *plainScaler) Scale(p *Picture) (*Picture, error) {
	if p.Image.Width() == s.w && p.Image.Height() == s.h {
		p.refs.Add(1)
		return p, nil
	}
	s.e.mu.Lock()
	s.e.made++
	s.e.mu.Unlock()
	return s.e.picture(s.w, s.h, p.Image.Height(), p.At), nil
}

func (s *plainScaler) Close() {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.e.closed++
}

func TestScaleChain_MakesEachSizeOnceFromTheNextLarger(t *testing.T) {
	e := &scaleEngine{}
	c := newScaleChain(e)
	var done []func()
	for _, size := range [][2]int{{654, 368}, {1280, 720}, {968, 544}, {654, 368}, {1920, 1080}} {
		d, err := c.use(size[0], size[1])
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, d)
	}
	for n := range 3 {
		source := e.picture(1920, 1080, 0, time.Now())
		for _, tc := range []struct{ w, h, from int }{{654, 368, 544}, {968, 544, 720}, {654, 368, 544}, {1280, 720, 1080}, {1920, 1080, 0}} {
			p, err := c.get(source, tc.w, tc.h)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Image.(plain); got != (plain{tc.w, tc.h, tc.from}) {
				t.Fatalf("%+v, want %dx%d made from %d lines", got, tc.w, tc.h, tc.from)
			}
			p.Release()
		}
		source.Release()
		if e.made != 3*(n+1) || e.open != 4 {
			t.Fatalf("%d scalings by %d scalers after %d pictures in 3 smaller sizes", e.made, e.open, n+1)
		}
	}
	done[2]() // 544 lines
	source := e.picture(1920, 1080, 0, time.Now())
	p, err := c.get(source, 654, 368)
	if err != nil || p.Image.(plain).from != 720 {
		t.Fatalf("%+v, %v, want one made from 720 lines", p.Image, err)
	}
	p.Release()
	source.Release()
	for _, i := range []int{0, 1, 3, 4} {
		done[i]()
	}
	if e.alive != 0 || e.closed != e.open {
		t.Fatalf("%d pictures alive, %d of %d scalers closed", e.alive, e.closed, e.open)
	}
}

func TestScaleChain_SafeForManyRenditions(t *testing.T) {
	e := &scaleEngine{}
	c := newScaleChain(e)
	s := newSlot()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, size := range [][2]int{{1280, 720}, {968, 544}, {654, 368}} {
		wg.Go(func() {
			var seen uint64
			for ctx.Err() == nil {
				done, err := c.use(size[0], size[1])
				if err != nil {
					t.Error(err)
					return
				}
				for range 3 {
					p, n := s.next(ctx, seen)
					if p == nil {
						break
					}
					seen = n
					if scaled, err := c.get(p, size[0], size[1]); err != nil || scaled.Image.Height() != size[1] {
						t.Errorf("%+v, %v", scaled, err)
					} else {
						scaled.Release()
					}
					p.Release()
				}
				done()
			}
		})
	}
	for range 2000 {
		s.put(e.picture(1920, 1080, 0, time.Now()))
	}
	cancel()
	wg.Wait()
	s.clear()
	if e.alive != 0 {
		t.Fatalf("%d pictures alive", e.alive)
	}
}
