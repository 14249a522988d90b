//go:build !fifo

package viewer

import "time"

const (
	// windowed has what is on the way to a viewer bounded by what it acknowledged.
	windowed = true
	// staleAfter is how old a delta may get while its chunks go out before the rest is abandoned. The rest of a keyframe
	// is always sent: where the path takes longer than this for one, abandoning it for the next would never end.
	staleAfter = 500 * time.Millisecond
)
