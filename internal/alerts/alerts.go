// Package alerts has the rules of package detect look at the audit record as it is written, and keeps what they find: for the
// log, for the operator's page, and for whoever else is to be told. It knows no HTTP. Its one goroutine is the caller's: the
// one that calls Run.
package alerts

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"sightline/internal/audit"
	"sightline/internal/detect"
)

const (
	// Queue is how many lines wait for the rules at most: the size of the subscription to run with.
	Queue = 4096
	// kept is how many alerts are remembered, the newest.
	kept = 500
	// tickEvery is how often rules look that need time alone.
	tickEvery = 5 * time.Second
)

// Alert is a finding with its number, which rises by one for each.
type Alert struct {
	ID uint64 `json:"id"`
	detect.Alert
}

// Center keeps alerts. Make one with New. Newest, Find, Muted, Mute and SetSite are safe for concurrent use.
type Center struct {
	lines *audit.Subscription
	tell  func(body []byte) // nil: nobody
	log   *slog.Logger

	mu       sync.Mutex
	detector *detect.Detector  // guarded by mu
	list     []Alert           // oldest first; guarded by mu
	last     uint64            // guarded by mu
	raised   map[string]uint64 // by rule; guarded by mu
}

// New makes a center that looks at what lines delivers. Each alert that is more than information goes to tell as JSON,
// which must not wait; nil tells nobody.
func New(lines *audit.Subscription, opts detect.Options, tell func([]byte), log *slog.Logger) *Center {
	return &Center{lines: lines, tell: tell, log: log, detector: detect.New(opts), raised: map[string]uint64{}}
}

// Run looks at records until there are no more, or ctx is done.
func (c *Center) Run(ctx context.Context) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	missed := uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			c.take(func(d *detect.Detector) []detect.Alert { return d.Tick(now) })
			if n := c.lines.Dropped(); n > missed {
				c.log.Error("the rules could not keep up with the audit record and have not seen all of it", "lines", n-missed)
				missed = n
			}
		case line, ok := <-c.lines.Entries():
			if !ok {
				return
			}
			if line.Event == "checkpoint" {
				continue
			}
			c.take(func(d *detect.Detector) []detect.Alert {
				return d.Observe(detect.Event{Seq: line.Seq, At: line.Time, Count: line.Count, Record: line.Record})
			})
		}
	}
}

func (c *Center) take(look func(*detect.Detector) []detect.Alert) {
	c.mu.Lock()
	var fresh []Alert
	for _, found := range look(c.detector) {
		c.last++
		c.raised[found.Rule]++
		fresh = append(fresh, Alert{c.last, found})
	}
	c.list = append(c.list, fresh...)
	c.list = slices.Delete(c.list, 0, max(0, len(c.list)-kept))
	c.mu.Unlock()
	for _, a := range fresh {
		level := slog.LevelWarn
		if a.Level == detect.Info {
			level = slog.LevelInfo
		}
		c.log.Log(context.Background(), level, "alert", "rule", a.Rule, "title", a.Title, "detail", a.Detail, "records", a.Evidence)
		if c.tell == nil || a.Level == detect.Info {
			continue
		}
		if body, err := json.Marshal(a); err == nil { // it always can be JSON
			c.tell(body)
		}
	}
}

// SetSite tells the rules other things of the place. What they have learned stays.
func (c *Center) SetSite(o detect.Options) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.detector.SetSite(o)
}

// Newest lists what is remembered, newest first.
func (c *Center) Newest() []Alert {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]Alert, 0, len(c.list)) // never nil: as JSON it is a list
	for _, a := range slices.Backward(c.list) {
		list = append(list, a)
	}
	return list
}

// Find gives the alert of that number, if it is remembered.
func (c *Center) Find(id uint64) (Alert, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := slices.BinarySearchFunc(c.list, id, func(a Alert, id uint64) int { return cmp.Compare(a.ID, id) })
	if !ok {
		return Alert{}, false
	}
	return c.list[at], true
}

// Raised counts the alerts of each rule since the center was made, of all rules there are.
func (c *Center) Raised() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	raised := map[string]uint64{}
	for _, rule := range detect.Rules() {
		raised[rule] = c.raised[rule]
	}
	return raised
}

// Muted tells until when rules are mute, by rule, of those that are.
func (c *Center) Muted(now time.Time) map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.detector.Muted(now)
}

// Mute keeps a rule from raising alerts until then; a time that is over lets it raise them again.
func (c *Center) Mute(rule string, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.detector.Mute(rule, until)
}
