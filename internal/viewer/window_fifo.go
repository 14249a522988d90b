//go:build fifo

package viewer

import "time"

// With the tag fifo, with which test/networks measures what these rules are worth, nothing bounds what is on the way, and
// nothing is too old to be sent.
const (
	windowed   = false
	staleAfter = time.Hour
)
