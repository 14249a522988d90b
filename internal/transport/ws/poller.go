package ws

import (
	"context"
	"time"
)

// turnEvery is how long a Poller goes without a turn at most.
const turnEvery = 100 * time.Millisecond

// Poller reads from very many connections in one goroutine, as Conn.Watch has it, between turns at something else. Go's own poller wakes a goroutine for each of them,
// and, what costs more, a sleeping processor for whatever arrives first. Make one with NewPoller, and Run it for as long as there are connections.
type Poller struct {
	pause  time.Duration
	wanted chan struct{} // a turn, before there is a connection

	polling
}

// NewPoller makes a poller. What comes after something was read waits for more for as long as pause: a processor that sleeps costs as much to wake as
// several connections to read. It takes nothing of the system before the first connection.
func NewPoller(pause time.Duration) *Poller {
	return &Poller{pause: pause, wanted: make(chan struct{}, 1), polling: newPolling()}
}

// Poke has turn called soon. It does not wait, and is safe for concurrent use.
func (p *Poller) Poke() {
	if p.poke() {
		return
	}
	select {
	case p.wanted <- struct{}{}:
	default:
	}
}

// Run reads until ctx is done; then no connection may be left. It calls turn after each Poke, and each turnEvery or more often.
func (p *Poller) Run(ctx context.Context, turn func()) error {
	defer p.end()
	tick := time.NewTicker(turnEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.begun:
			tick.Stop()
			return p.poll(ctx, turn)
		case <-p.wanted:
		case <-tick.C:
		}
		turn()
	}
}
