//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sightline/internal/media"
	"sightline/internal/wire"
)

// starts is how long a second rendition takes from the wish for it to its first whole access unit, and from the wish's end to its last, while a first one goes
// on, which must not notice.
func (b *bench) starts(ctx context.Context) error {
	const cycles = 25
	c, err := startChild(ctx, b.program, "test:?size=1280x720&fps=30", "--rendition", "name=first,height=720", "--rendition", "name=second,height=544,bitrate=1600000")
	if err != nil {
		return err
	}
	defer func() { _, _ = c.end() }()
	s := starter{child: c, first: 1, second: 2}
	if err := s.settle(); err != nil {
		return err
	}
	for range cycles {
		if err := s.cycle(); err != nil {
			return err
		}
	}
	if s.configs > 1 || s.disturbed > 0 {
		return fmt.Errorf("the first rendition began anew: %d configurations, %d keyframes out of turn", s.configs, s.disturbed)
	}
	b.set("rendition_start_p95_ms", quantile(s.took, 95))
	b.set("rendition_stop_p95_ms", quantile(s.ended, 95))
	fmt.Printf("  the other rendition's longest pause meanwhile: %v\n", s.pause.Round(time.Millisecond))
	return nil
}

// group is how many access units there are from a keyframe to the next that nobody asked for.
const group = 300

// starter starts and stops the second rendition while the first goes on.
type starter struct {
	*child
	first, second media.RenditionID
	took, ended   []time.Duration
	configs       int // of the first
	sinceKey      int // its access units since its last keyframe
	disturbed     int // its keyframes sooner than at the end of a group of pictures
	seen          time.Time
	pause         time.Duration // the first's longest
}

// settle has the first rendition come to speed.
func (s *starter) settle() error {
	wanted := false
	for seen := 0; seen < warmUp; {
		b, _, err := s.next()
		if err != nil {
			return err
		}
		if !wanted && wire.Type(b[0]) == wire.TypeHello {
			wanted = true
			if err := s.want(s.first); err != nil {
				return err
			}
		}
		if _, _, err := s.note(b); err != nil {
			return err
		}
		if wire.Type(b[0]) == wire.TypeMedia {
			seen++
		}
	}
	return nil
}

func (s *starter) cycle() error {
	began := time.Now()
	if err := s.want(s.first, s.second); err != nil {
		return err
	}
	if err := s.until(func(id media.RenditionID) bool { return id == s.second }); err != nil {
		return err
	}
	s.took = append(s.took, time.Since(began))
	const enough = 5 // of the first's access units, in which the second has none after it was stopped
	stopped, last, others := time.Now(), time.Duration(0), 0
	if err := s.want(s.first); err != nil {
		return err
	}
	if err := s.until(func(id media.RenditionID) bool {
		if id == s.second {
			last, others = time.Since(stopped), 0
		} else {
			others++
		}
		return others == enough
	}); err != nil {
		return err
	}
	s.ended = append(s.ended, last)
	return nil
}

// until reads whole access units until one of a rendition is the one looked for.
func (s *starter) until(found func(media.RenditionID) bool) error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		b, _, err := s.next()
		if err != nil {
			return err
		}
		if id, whole, err := s.note(b); err != nil || whole && found(id) {
			return err
		}
	}
	return errors.New("a rendition does not come")
}

// note counts what the first rendition does, and gives the rendition of an access unit that is now whole.
func (s *starter) note(b []byte) (id media.RenditionID, whole bool, err error) {
	switch wire.Type(b[0]) {
	case wire.TypeConfig:
		config, err := wire.ParseConfig(b)
		if err == nil && config.Rendition == s.first {
			s.configs++
		}
		return 0, false, err
	case wire.TypeMedia:
		h, _, err := wire.ParseMedia(b)
		if err != nil || h.ChunkIndex+1 != h.ChunkCount {
			return 0, false, err
		}
		if h.Rendition == s.first {
			now := time.Now()
			s.sinceKey++
			if h.Flags&wire.FlagKey != 0 {
				if !s.seen.IsZero() && s.sinceKey < group {
					s.disturbed++
				}
				s.sinceKey = 0
			}
			if !s.seen.IsZero() {
				s.pause = max(s.pause, now.Sub(s.seen))
			}
			s.seen = now
		}
		return h.Rendition, true, nil
	}
	return 0, false, nil
}
