package capture

import (
	"slices"
	"sync"
)

// Scalers is an Engine that can scale apart from encoding, so that renditions share the work.
type Scalers interface {
	Engine
	// NewScaler makes a scaler to w by h pixels.
	NewScaler(w, h int) (Scaler, error)
}

// Scaler brings pictures to one size. One goroutine uses it at a time.
type Scaler interface {
	// Scale gives p in the scaler's size, which the caller releases: p itself, with one more reference, if it has that size and needs no change.
	Scale(p *Picture) (*Picture, error)
	Close()
}

// scaleChain makes each picture's smaller sizes once for all renditions: each size from the next larger one that is in use, the largest from the picture
// itself. Safe for concurrent use.
type scaleChain struct {
	engine Scalers // nil: encoders scale for themselves

	mu    sync.Mutex
	steps []*scaleStep // the largest first
}

// scaleStep is one size in use.
type scaleStep struct {
	w, h  int
	users int // guarded by the chain's mu

	mu     sync.Mutex
	scaler Scaler
	of     *Picture // the picture that result was made of
	result *Picture
}

func newScaleChain(e Engine) *scaleChain {
	s, _ := e.(Scalers)
	return &scaleChain{engine: s}
}

// use has the chain ready for a size until done is called.
func (c *scaleChain) use(w, h int) (done func(), err error) {
	if c.engine == nil {
		return func() {}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.steps, func(s *scaleStep) bool { return s.w == w && s.h == h })
	if i < 0 {
		scaler, err := c.engine.NewScaler(w, h)
		if err != nil {
			return nil, err
		}
		i, _ = slices.BinarySearchFunc(c.steps, w*h, func(s *scaleStep, pixels int) int { return pixels - s.w*s.h })
		c.steps = slices.Insert(c.steps, i, &scaleStep{w: w, h: h, scaler: scaler})
	}
	step := c.steps[i]
	step.users++
	return func() { c.leave(step) }, nil
}

func (c *scaleChain) leave(step *scaleStep) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if step.users--; step.users > 0 {
		return
	}
	c.steps = slices.DeleteFunc(c.steps, func(s *scaleStep) bool { return s == step })
	step.mu.Lock() // a smaller size may be made of it at this moment
	defer step.mu.Unlock()
	if step.result != nil {
		step.result.Release()
	}
	step.of, step.result = nil, nil
	step.scaler.Close()
	step.scaler = nil
}

// get gives p in a size in use, which the caller releases.
func (c *scaleChain) get(p *Picture, w, h int) (*Picture, error) {
	c.mu.Lock()
	steps := slices.Clone(c.steps)
	c.mu.Unlock()
	i := slices.IndexFunc(steps, func(s *scaleStep) bool { return s.w == w && s.h == h })
	if i < 0 {
		p.refs.Add(1)
		return p, nil
	}
	return get(steps[:i+1], p)
}

// get makes p in the size of the last of steps. A step is locked before those larger than it, and never after.
func get(steps []*scaleStep, p *Picture) (*Picture, error) {
	if len(steps) == 0 {
		p.refs.Add(1)
		return p, nil
	}
	step, larger := steps[len(steps)-1], steps[:len(steps)-1]
	step.mu.Lock()
	defer step.mu.Unlock()
	if step.scaler == nil { // nobody uses it any more
		return get(larger, p)
	}
	if step.of != p {
		from, err := get(larger, p)
		if err != nil {
			return nil, err
		}
		result, err := step.scaler.Scale(from)
		from.Release()
		if step.result != nil {
			step.result.Release()
			step.of, step.result = nil, nil
		}
		if err != nil || result == p { // p is not for this to hold on to
			return result, err
		}
		step.of, step.result = p, result
	}
	step.result.refs.Add(1)
	return step.result, nil
}
