//go:build !fifo

package hub

import "time"

const (
	queueBudget = 150 * time.Millisecond
	queueBytes  = 4 << 20
)
