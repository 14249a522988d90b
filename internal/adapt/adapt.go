// Package adapt decides what a viewer is sent. It is pure: what was measured and a time go in, a decision comes out. It
// knows no sockets and starts no goroutines.
package adapt

import (
	"cmp"
	"math"
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
	Prefer    Preference        // while nothing is pinned
}

// Preference is what a viewer would rather have where it cannot have everything.
type Preference uint8

// The preferences. Each but PreferAuto and PreferMotion settles the rendition, whatever lines the viewer shows.
const (
	PreferAuto   Preference = iota // a picture in motion, as sharp as the network carries
	PreferHigh                     // the most lines, whatever they look like
	PreferLow                      // the fewest lines
	PreferSaver                    // the fewest bytes
	PreferDetail                   // the most lines at their best: rather fewer pictures than blurred ones
	PreferMotion                   // the most pictures a second: rather fewer lines than fewer or blurred pictures
)

// Offer is a rendition that a viewer may be put on.
type Offer struct {
	media.Rendition
	// Others tells that other viewers watch it, who keep it at Bitrate bit/s. 0: at its most.
	Others  bool
	Bitrate int
	// Measured is what it came to lately with all its pictures, bit/s; 0 while that is not known. It counts where nobody
	// sets the bit rate.
	Measured int
}

// steered tells whether its bit rate can be set.
func (o Offer) steered() bool { return o.MinBitrateBps < o.MaxBitrateBps }

// top is its bit rate at its best, 0 if not known.
func (o Offer) top() int {
	if !o.steered() && o.Measured > 0 {
		return o.Measured
	}
	return o.MaxBitrateBps
}

// takes is the bit rate of all its pictures as one more viewer gets them: alone, at their coarsest.
func (o Offer) takes() int {
	switch {
	case !o.steered() || o.Others && o.Bitrate == 0:
		return o.top()
	case o.Others:
		return o.Bitrate
	}
	return o.MinBitrateBps
}

// frameRate is how many pictures a second it has, in thousandths.
func (o Offer) frameRate() int {
	if o.FrameRateMilli > 0 {
		return o.FrameRateMilli
	}
	return usualFrameRate
}

// pictures is frameRate in whole pictures: 29.97 are no fewer than 30.
func (o Offer) pictures() int { return (o.frameRate() + 500) / 1000 }

// Choice is what a viewer gets.
type Choice struct {
	Rendition media.RenditionID
	// Stills tells that the network carries no moving picture of it: keyframes alone go out, each when the one before has
	// arrived.
	Stills bool
}

// Needs is what a viewer would have its rendition encoded at.
type Needs struct {
	CarriesBps     int // bit/s that its network takes now; 0: whatever there is
	MostBps        int // it wants no more than so many bit/s; 0: it wants all
	FrameRateMilli int // it needs no more than so many pictures a second, in thousandths; 0: it needs all
}

// Limit is what keeps a viewer from more than it gets.
type Limit uint8

// The limits.
const (
	LimitNone    Limit = iota // it gets the best there is
	LimitNetwork              // the path to it
	LimitSize                 // the lines it shows, or its own wish
	LimitShared               // others watch the same rendition, over slower networks
)

const (
	// headroom is how much of what a network carries may be asked of it.
	headroom = 0.9
	// upMargin is how much more than enough it must carry to go up, and upAfter how long after the last change.
	upMargin, upAfter = 1.15, 3 * time.Second
	// motionLeast is how long a moving picture must have lasted to have been worth it: when it did not, stills go on for twice as
	// long as before, stillsMost at most. What a still measures may be too much, where a link takes a little at once.
	motionLeast, stillsMost = 3 * time.Second, time.Minute
	// detail is the share of a rendition's best bit rate below which a viewer who prefers detail gets fewer pictures instead,
	// and one who prefers motion fewer lines.
	detail = 0.6
	// saverFrameRate is how many pictures a second, in thousandths, are enough for a viewer who saves bytes, and
	// usualFrameRate how many a rendition has that does not say.
	saverFrameRate, usualFrameRate = 10_000, 30_000
)

// Chooser chooses for one viewer, and does not change its mind for little. The zero value is ready. Not safe for
// concurrent use.
type Chooser struct {
	made    bool
	choice  Choice
	changed media.Timestamp
	every   int // of the pictures one in so many is what the network carries; 0 like 1
	limit   Limit
	stay    time.Duration // for so long stills go on at least; 0 like upAfter
}

// Choose gives the best of ladder for a viewer whose network carries so many bit/s (0: not known to be limited): the
// pinned rendition while it exists; else, of the first codec in the viewer's list that the stream has, the one it prefers,
// or the tallest that the network carries and the viewer's lines can show; or stills of the smallest of these. ok is false
// when the stream has nothing the viewer can decode.
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
		if enough(float64(carries), need(w, rungs, i), better) && (!better || now.Sub(c.changed) >= c.patience()) {
			next = Choice{Rendition: rungs[i].ID}
			break
		}
	}
	if !c.made || next != c.choice {
		c.learn(next, now)
		c.made, c.choice, c.changed = true, next, now
	}
	return c.choice, true
}

// patience is how long what was chosen last stays, at least, where there is better.
func (c *Chooser) patience() time.Duration {
	if c.choice.Stills {
		return max(upAfter, c.stay)
	}
	return upAfter
}

// learn takes in that next is chosen now.
func (c *Chooser) learn(next Choice, now media.Timestamp) {
	switch {
	case !c.made || c.choice.Stills || !next.Stills:
	case c.stay > 0 && now.Sub(c.changed) < motionLeast:
		c.stay = min(2*c.stay, stillsMost)
	default:
		c.stay = upAfter
	}
}

// Needs says what the rendition chosen last should be encoded at for a viewer whose network is to be given send bit/s now
// and carries so many (0 for both: not known to be limited). Where the network does not carry every picture of a rendition
// whose pictures do not refer to each other, or not sharp enough for who prefers detail, it is one in two of them, one in
// three and so on, so that they come evenly.
func (c *Chooser) Needs(w Wishes, send, carries int, ladder []Offer) Needs {
	needs := Needs{CarriesBps: send}
	at := slices.IndexFunc(ladder, func(o Offer) bool { return o.ID == c.choice.Rendition })
	if at < 0 {
		return needs
	}
	o := ladder[at]
	prefer := w.prefers()
	whole := 0 // bit/s that all the pictures would take
	if o.Codec == media.CodecJPEG {
		whole = o.takes()
	}
	if prefer == PreferDetail && o.steered() {
		whole = max(whole, int(detail*float64(o.MaxBitrateBps)))
	}
	c.every = thinned(c.every, float64(whole), float64(carries))
	every := c.every
	if prefer == PreferSaver {
		every = max(every, (o.frameRate()+saverFrameRate-1)/saverFrameRate)
		if o.steered() {
			needs.MostBps = o.MinBitrateBps
		}
	}
	if every > 1 {
		needs.FrameRateMilli = max(1, o.frameRate()/every)
	}
	return needs
}

// thinned is of how many pictures one may be sent, after it was one in before, where all of them take whole bit/s.
func thinned(before int, whole, carries float64) int {
	if carries == 0 {
		return 1
	}
	every := max(1, int(math.Ceil(whole/(carries*headroom))))
	if every < before {
		return min(before, max(1, int(math.Ceil(whole*upMargin/(carries*headroom)))))
	}
	return every
}

// Limit says what keeps the viewer from more than what Choose and Needs gave it last, and does not change its word for
// little either.
func (c *Chooser) Limit(w Wishes, carries int, ladder []Offer) Limit {
	rungs := rungs(w, ladder)
	at := slices.IndexFunc(rungs, func(o Offer) bool { return o.ID == c.choice.Rendition })
	if at < 0 {
		return LimitNone
	}
	o := rungs[at]
	full := float64(o.top())
	if c.limit == LimitNetwork {
		full *= upMargin
	}
	taller := func(other Offer) bool {
		return other.Codec == o.Codec && other.Height > o.Height && slices.Contains(w.Codecs, other.Codec.String())
	}
	switch {
	case at > 0 || c.choice.Stills || c.every > 1:
		c.limit = LimitNetwork
	case o.Others && o.steered() && o.Bitrate > 0 && (carries == 0 || float64(carries) > upMargin*float64(o.Bitrate)):
		c.limit = LimitShared
	case carries > 0 && float64(carries) < full && w.prefers() != PreferSaver:
		c.limit = LimitNetwork
	case w.prefers() == PreferSaver || slices.ContainsFunc(ladder, taller):
		c.limit = LimitSize
	default:
		c.limit = LimitNone
	}
	return c.limit
}

// Best is the bit rate that the viewer could use on a network without limits, 0 if not known.
func Best(w Wishes, ladder []Offer) int {
	rungs := rungs(w, ladder)
	switch {
	case len(rungs) == 0:
		return 0
	case w.prefers() == PreferSaver:
		return rungs[0].takes() // what it will not use is not worth finding out
	}
	return rungs[0].top()
}

// prefers is the preference that counts: a pin is one of its own.
func (w Wishes) prefers() Preference {
	if w.Pinned {
		return PreferAuto
	}
	return w.Prefer
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
// it is worth its lines from half of what the next smaller one takes at its best. Who prefers motion does not want them blurred.
func need(w Wishes, rungs []Offer, i int) float64 {
	o := rungs[i]
	if w.prefers() == PreferMotion && o.steered() && i+1 < len(rungs) {
		return max(float64(o.takes()), detail*float64(o.MaxBitrateBps))
	}
	if !o.Others && o.steered() && i+1 < len(rungs) {
		return max(float64(o.MinBitrateBps), float64(rungs[i+1].top())/2)
	}
	return float64(o.takes())
}

// rungs lists what a viewer could use, the tallest first: the one it prefers, or nothing taller than the smallest that has
// all the lines it can show.
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
	list := make([]Offer, 0, len(ladder))
	for _, o := range ladder {
		if o.Codec.String() == w.Codecs[codec] {
			list = append(list, o)
		}
	}
	slices.SortStableFunc(list, func(a, b Offer) int { return cmp.Compare(b.Height, a.Height) })
	switch w.prefers() {
	case PreferHigh, PreferDetail:
		return list[:1]
	case PreferLow, PreferSaver:
		return list[len(list)-1:]
	case PreferMotion:
		list = fastest(list)
	}
	if w.MaxHeight > 0 {
		for len(list) > 1 && list[1].Height >= w.MaxHeight && (w.prefers() != PreferMotion || list[1].pictures() >= list[0].pictures()) {
			list = list[1:]
		}
	}
	return list
}

// fastest gives those of list, the tallest first, that have no fewer pictures a second than a smaller one. It uses list's memory.
func fastest(list []Offer) []Offer {
	most, kept := 0, len(list)
	for _, o := range slices.Backward(list) {
		if o.pictures() >= most {
			kept--
			most, list[kept] = o.pictures(), o
		}
	}
	return list[kept:]
}
