package capture

import (
	"fmt"
	"hash/maphash"
	"time"
)

const (
	// frozenAfter is how long a sensor's pictures may all be the same: real ones have noise.
	frozenAfter = 5 * time.Second
	frozenRows  = 8 // every so many are looked at
)

// sensor tells whether pictures of the source come from a camera, whose noise makes no two alike.
func (s Source) sensor() bool {
	switch s.scheme {
	case "rtsp", "rtsps", "http", "https", "v4l2":
		return true
	}
	return false
}

// frozen notices a camera that sends the same picture over and over.
type frozen struct {
	seed  maphash.Seed
	sum   uint64
	since time.Time // of the first picture like the newest
}

func newFrozen() *frozen { return &frozen{seed: maphash.MakeSeed()} }

// see takes in a picture and gives a sentence if the source is frozen, otherwise an empty one.
func (f *frozen) see(img Canvas, at time.Time) string {
	luma, stride := img.Plane(0)
	var h maphash.Hash
	h.SetSeed(f.seed)
	for y := 0; y+stride <= len(luma); y += frozenRows * stride {
		_, _ = h.Write(luma[y : y+min(stride, img.Width())]) // never fails
	}
	if sum := h.Sum64(); sum != f.sum || f.since.IsZero() {
		f.sum, f.since = sum, at
	}
	if at.Sub(f.since) < frozenAfter {
		return ""
	}
	return fmt.Sprintf("The camera is frozen: its pictures have been the same for %.0f s; restart it if this stays.", frozenAfter.Seconds())
}
