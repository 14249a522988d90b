package adapt

import (
	"math"
	"time"

	"sightline/internal/media"
)

const (
	// yieldOver is the time over which it is measured what an encoder makes, and yieldLeast the least that tells anything.
	yieldOver, yieldLeast = 2 * time.Second, time.Second
	// leastYield and mostYield bound what is made good: of an easy scene an encoder makes less because there is no more to say, and
	// a scene does not stay easy.
	leastYield, mostYield = 0.8, 1.25
)

// Yield is what an encoder makes of the bit rate that it is asked for: with a buffer of few pictures always somewhat less.
// The zero value is ready and takes it to make what is asked. Not safe for concurrent use.
type Yield struct {
	bps         float64 // asked for; 0: its most
	last        media.Timestamp
	asked, made float64 // bits, fading
	over        float64 // seconds, fading: how much they stand for
}

// Ask gives the bit rate to ask the encoder for so that it makes bps, and takes it that this is done. 0 is for its most.
func (y *Yield) Ask(bps int) int {
	y.bps = float64(bps)
	if y.over >= yieldLeast.Seconds() {
		y.bps /= min(max(y.made/y.asked, leastYield), mostYield)
	}
	return int(y.bps)
}

// Made takes in that a picture of n bytes was made.
func (y *Yield) Made(n int, now media.Timestamp) {
	elapsed := now.Sub(y.last)
	y.last = now
	if y.bps == 0 || elapsed <= 0 || elapsed > yieldLeast {
		return // nothing was asked for, or nothing was encoded for a while
	}
	fade := math.Exp(-elapsed.Seconds() / yieldOver.Seconds())
	y.asked = y.asked*fade + y.bps*elapsed.Seconds()
	y.made = y.made*fade + float64(n)*8
	y.over = y.over*fade + elapsed.Seconds()
}
