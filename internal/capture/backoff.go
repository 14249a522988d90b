package capture

import (
	"math/rand/v2"
	"time"
)

// backoff gives growing waits: each twice the one before, from min to max, and each shortened at random by up to a half so
// that many who lost the same thing do not all come back at once.
type backoff struct {
	min, max time.Duration
	last     time.Duration
}

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, b.min), b.max)
	return b.last/2 + rand.N(b.last/2+1)
}

func (b *backoff) reset() { b.last = 0 }
