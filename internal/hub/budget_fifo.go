//go:build fifo

package hub

import "time"

// With the tag fifo, with which test/networks measures what a bounded queue is worth, every picture waits for its turn.
const (
	queueBudget = time.Hour
	queueBytes  = 1 << 30
)
