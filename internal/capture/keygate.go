package capture

import "time"

// keyInterval is the least time between two keyframes that were asked for.
const keyInterval = 500 * time.Millisecond

// keyGate turns requests for keyframes into at most one each keyInterval, the first at once. The caller guards it.
type keyGate struct {
	pending bool
	last    time.Time // of the last keyframe
}

// ask notes a request.
func (g *keyGate) ask() { g.pending = true }

// due tells whether the next picture should be a keyframe.
func (g *keyGate) due(now time.Time) bool {
	return g.pending && (g.last.IsZero() || now.Sub(g.last) >= keyInterval)
}

// made notes that a keyframe was coded, asked for or not: it answers every request so far.
func (g *keyGate) made(now time.Time) { g.pending, g.last = false, now }
