// Package adapt decides what a viewer is sent. It is pure: what was measured and a time go in, a decision comes out. It
// knows no sockets and starts no goroutines.
package adapt

import (
	"cmp"
	"slices"
	"time"

	"sightline/internal/media"
)

// Wishes are what a viewer can use.
type Wishes struct {
	Codecs    []string          // best first, names as media.Codec.String gives them
	MaxHeight int               // lines; 0: no limit
	Pinned    bool              // the viewer chose Pin itself
	Pin       media.RenditionID // meaningful if Pinned
}

// Offer is a rendition that a viewer may be put on.
type Offer struct {
	media.Rendition
	// Others tells that other viewers watch it, who keep it at Bitrate bit/s. 0: at its most.
	Others  bool
	Bitrate int
}

// Choice is what a viewer gets.
type Choice struct {
	Rendition media.RenditionID
	// Stills tells that the network carries no moving picture of it: keyframes alone go out, each when the one before has
	// arrived.
	Stills bool
}

const (
	// headroom is how much of what a network carries may be asked of it.
	headroom = 0.9
	// upMargin is how much more than enough it must carry to go up, and upAfter how long after the last change.
	upMargin, upAfter = 1.15, 3 * time.Second
)

// Chooser chooses for one viewer, and does not change its mind for little. The zero value is ready. Not safe for
// concurrent use.
type Chooser struct {
	made    bool
	choice  Choice
	changed media.Timestamp
}

// Choose gives the best of ladder for a viewer whose network carries so many bit/s (0: not known to be limited): the
// pinned rendition while it exists; else, of the first codec in the viewer's list that the stream has, the tallest that
// the network carries and the viewer's lines can show, or stills of the smallest. ok is false when the stream has nothing
// the viewer can decode.
func (c *Chooser) Choose(w Wishes, carries int, ladder []Offer, now media.Timestamp) (choice Choice, ok bool) {
	rungs := rungs(w, ladder)
	if len(rungs) == 0 {
		return Choice{}, false
	}
	at := slices.IndexFunc(rungs, func(o Offer) bool { return o.ID == c.choice.Rendition })
	if !c.made || at < 0 {
		c.choice, c.changed, at = Choice{}, now.Add(-upAfter), len(rungs)
	}
	next := Choice{Rendition: rungs[len(rungs)-1].ID, Stills: rungs[0].Codec != media.CodecJPEG}
	for i := range rungs {
		better := c.made && (i < at || i == at && c.choice.Stills)
		if enough(float64(carries), need(rungs, i), better) && (!better || now.Sub(c.changed) >= upAfter) {
			next = Choice{Rendition: rungs[i].ID}
			break
		}
	}
	if !c.made || next != c.choice {
		c.made, c.choice, c.changed = true, next, now
	}
	return c.choice, true
}

// Best is the bit rate that the viewer could use on a network without limits, 0 if not known.
func Best(w Wishes, ladder []Offer) int {
	if rungs := rungs(w, ladder); len(rungs) > 0 {
		return rungs[0].MaxBitrateBps
	}
	return 0
}

func enough(carries, need float64, better bool) bool {
	if carries == 0 {
		return true
	}
	if better {
		need *= upMargin
	}
	return carries*headroom >= need
}

// need is the bit rate from which the i-th of rungs is the better one. Alone on it, a viewer has it follow its network:
// it is worth its lines from half of what the next smaller one takes at its best.
func need(rungs []Offer, i int) float64 {
	o := rungs[i]
	switch {
	case i > 0 && i == len(rungs)-1 && o.MinBitrateBps < o.MaxBitrateBps:
		return float64(o.MinBitrateBps) // it follows the weakest of its viewers, who have nowhere else to go
	case o.Others && o.Bitrate > 0:
		return float64(o.Bitrate)
	case o.Others || o.MinBitrateBps == o.MaxBitrateBps:
		return float64(o.MaxBitrateBps)
	case i+1 < len(rungs):
		return max(float64(o.MinBitrateBps), float64(rungs[i+1].MaxBitrateBps)/2)
	}
	return float64(o.MinBitrateBps)
}

// rungs lists what a viewer could use, the tallest first: nothing taller than the smallest that has all the lines it can
// show.
func rungs(w Wishes, ladder []Offer) []Offer {
	codec := slices.IndexFunc(w.Codecs, func(codec string) bool {
		return slices.ContainsFunc(ladder, func(o Offer) bool { return o.Codec.String() == codec })
	})
	if w.Pinned {
		for _, o := range ladder {
			if o.ID == w.Pin && slices.Contains(w.Codecs, o.Codec.String()) {
				return []Offer{o}
			}
		}
	}
	if codec < 0 {
		return nil
	}
	var list []Offer
	for _, o := range ladder {
		if o.Codec.String() == w.Codecs[codec] {
			list = append(list, o)
		}
	}
	slices.SortStableFunc(list, func(a, b Offer) int { return cmp.Compare(b.Height, a.Height) })
	if w.MaxHeight > 0 {
		for len(list) > 1 && list[1].Height >= w.MaxHeight {
			list = list[1:]
		}
	}
	return list
}
