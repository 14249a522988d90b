package load

import (
	"errors"
	"time"
)

// Process is a server on this machine, with the capture processes that it started.
type Process struct{ pid int }

// ErrNotHere says that no process of this machine listens there, or that this system or user cannot tell which.
var ErrNotHere = errors.New("no process of this machine that can be seen listens there")

// Usage is what a server used while it was measured. Processor time is in percent: 100 is one processor.
type Usage struct {
	CPU     float64 `json:"cpu_percent"`
	Capture float64 `json:"capture_cpu_percent"` // of the capture processes
	Memory  float64 `json:"memory_mb"`           // of the server alone, at the end
}

// used is what a Process has used so far.
type used struct {
	at           time.Time
	cpu, capture time.Duration
	known        bool
}

// since tells what p used since then; nil if that is not known.
func (u used) since(p *Process) *Usage {
	now := p.used()
	if !u.known || !now.known {
		return nil
	}
	percent := func(d time.Duration) float64 { return 100 * d.Seconds() / now.at.Sub(u.at).Seconds() }
	return &Usage{CPU: percent(now.cpu - u.cpu), Capture: percent(max(0, now.capture-u.capture)), Memory: p.memory()}
}

// Meter begins to measure what p uses; what it returns tells what it has used since. Both are nil for what is not known.
func (p *Process) Meter() func() *Usage {
	from := p.used()
	return func() *Usage { return from.since(p) }
}
