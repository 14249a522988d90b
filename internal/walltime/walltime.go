// Package walltime is the time of day that never goes back: not while the server runs, whatever is done to the system's
// clock, and not over restarts, since the latest time is kept in a file. What has expired once stays expired. It knows
// nothing of what the time is used for. It starts no goroutines but what the caller of Run gives it.
package walltime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"sightline/internal/datadir"
)

const (
	file = "latest-time"
	// writeEvery is how much of the latest time a crash may lose: a clock set back then revives what expired within it.
	writeEvery = 2 * time.Second
	// tellFrom is how far the system's clock must have been set back to be told.
	tellFrom = 2 * time.Second
)

// Clock tells the time. Safe for concurrent use.
type Clock struct {
	// static after construction
	dir     string
	system  func() time.Time
	replace func(dir, name string, data []byte) error
	log     *slog.Logger

	mu     sync.Mutex
	latest time.Time // ever told
	seen   time.Time // what the system said then, with its monotonic reading
	told   bool      // that the system's clock is behind
	onDisk time.Time
}

// Open reads the latest time in dir and makes its file where there is none. system is time.Now; its values must carry
// monotonic readings for time to go on while the system's clock is behind.
func Open(dir string, system func() time.Time, log *slog.Logger) (*Clock, error) {
	now := system()
	data, _, err := datadir.File(dir, file, func() ([]byte, error) { return format(now), nil })
	if err != nil {
		return nil, fmt.Errorf("latest time: %w", err)
	}
	latest, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("latest time: %s %w: if this system's clock is right, delete the file", filepath.Join(dir, file), err)
	}
	c := &Clock{dir: dir, system: system, replace: datadir.Replace, log: log, latest: now.Round(0), seen: now, onDisk: latest}
	if latest.After(c.latest) {
		c.latest = latest
	}
	return c, nil
}

// Now is the system's time, or where that has been set back, the latest time ever told and what has passed since.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

// now is called with mu held.
func (c *Clock) now() time.Time {
	system := c.system()
	c.latest = c.latest.Add(max(0, system.Sub(c.seen))) // monotonic: what has passed, whatever the wall says
	if wall := system.Round(0); wall.After(c.latest) {
		c.latest = wall // set forward, or a suspended machine that woke
	}
	c.seen = system
	return c.latest
}

// Behind is how far the system's clock is behind the latest time: zero when all is well.
func (c *Clock) Behind() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now().Sub(c.seen.Round(0))
}

// Run keeps the latest time on disk until ctx is done, and then writes it once more.
func (c *Clock) Run(ctx context.Context) error {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return errors.Join(c.Save(), ctx.Err())
		case <-tick.C:
		}
		if err := c.Save(); err != nil {
			c.log.Error("the latest time cannot be kept: a clock set back over a restart would not be noticed", "error", err)
		}
		c.tell()
	}
}

// Save writes the latest time if it is later than what is on disk.
func (c *Clock) Save() error {
	c.mu.Lock()
	defer c.mu.Unlock() // also over the write: it is rare, and an older time must not overwrite a later one
	now := c.now()
	if !now.After(c.onDisk) {
		return nil
	}
	if err := c.replace(c.dir, file, format(now)); err != nil {
		return fmt.Errorf("keep the latest time: %w", err)
	}
	c.onDisk = now
	return nil
}

// tell says once that the system's clock is behind, and once that it no longer is.
func (c *Clock) tell() {
	behind := c.Behind()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch is := behind > tellFrom; {
	case is && !c.told:
		c.log.Error("the system's clock was set back: the server goes on from the latest time it knew; where that one was wrong, "+
			"stop the server and delete the file", "behind", behind, "file", filepath.Join(c.dir, file))
		c.told = true
	case !is && c.told:
		c.log.Info("the system's clock is right again")
		c.told = false
	}
}

func format(t time.Time) []byte { return []byte(t.UTC().Format(time.RFC3339Nano) + "\n") }

func parse(data []byte) (time.Time, error) {
	text, ok := bytes.CutSuffix(data, []byte("\n"))
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil || !ok || !bytes.Equal(format(t), data) {
		return time.Time{}, errors.New("is damaged")
	}
	return t, nil
}
