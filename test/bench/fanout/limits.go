//go:build linux

package main

import (
	"errors"
	"fmt"
)

// limits are what figures must hold.
type limits struct {
	ratio, kb, fps, gap, admitted float64
	moved, memoryMB               float64 // by viewers that are stalled or slow: part of the others' p99, and memory
}

// limitsOf are those of the product, or, quick, wide ones for machines that do other things at the same time.
func limitsOf(quick bool) limits {
	if quick {
		return limits{ratio: 4, kb: 150, fps: 20, gap: 500, admitted: 20, moved: 2, memoryMB: 100}
	}
	return limits{ratio: 1.3, kb: 50, fps: 29, gap: 60, admitted: 10, moved: 0.10, memoryMB: 25}
}

// check tells which limits f does not hold.
func (l limits) check(f figures) error {
	var err error
	most := func(what string, got, limit float64) {
		if got > limit {
			err = errors.Join(err, fmt.Errorf("%d viewers: %s is %.2f, limit %.2f", f.Viewers, what, got, limit))
		}
	}
	most("the ratio to the bare writer", f.FloorRatio, l.ratio)
	most("memory a viewer in KB", f.KBPerView, l.kb)
	most("the p99 gap in ms", f.GapP99, l.gap)
	most("the time until all are in, in s,", f.AdmittedIn, l.admitted)
	if f.FPSMedian < l.fps {
		err = errors.Join(err, fmt.Errorf("%d viewers: the median of pictures a second is %.1f, limit %.1f", f.Viewers, f.FPSMedian, l.fps))
	}
	return err
}
