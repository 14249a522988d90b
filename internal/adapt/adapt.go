// Package adapt decides what a viewer is sent. It is pure: what was measured and a time go in, a decision comes out. It
// knows no sockets and starts no goroutines.
package adapt

import (
	"slices"

	"sightline/internal/media"
)

// Wishes are what a viewer can use.
type Wishes struct {
	Codecs    []string          // best first, names as media.Codec.String gives them
	MaxHeight int               // lines; 0: no limit
	Pinned    bool              // the viewer chose Pin itself
	Pin       media.RenditionID // meaningful if Pinned
}

// Choose picks the rendition for a viewer: the pinned one while it exists; else, of the first codec in its list that the
// stream has, the tallest that fits its lines, or the smallest if none fits. ok is false when the stream has nothing the
// viewer can decode.
func Choose(w Wishes, ladder []media.Rendition) (id media.RenditionID, ok bool) {
	decodes := func(r media.Rendition) bool { return slices.Contains(w.Codecs, r.Codec.String()) }
	if w.Pinned {
		if i := slices.IndexFunc(ladder, func(r media.Rendition) bool { return r.ID == w.Pin && decodes(r) }); i >= 0 {
			return w.Pin, true
		}
	}
	for _, codec := range w.Codecs {
		var best *media.Rendition
		for i := range ladder {
			if ladder[i].Codec.String() == codec && (best == nil || better(ladder[i], *best, w.MaxHeight)) {
				best = &ladder[i]
			}
		}
		if best != nil {
			return best.ID, true
		}
	}
	return 0, false
}

// better reports whether a suits a viewer of at most lines lines more than b.
func better(a, b media.Rendition, lines int) bool {
	fits := func(r media.Rendition) bool { return lines == 0 || r.Height <= lines }
	switch {
	case fits(a) != fits(b):
		return fits(a)
	case fits(a):
		return a.Height > b.Height
	default:
		return a.Height < b.Height
	}
}
