package capture

import (
	"fmt"

	"sightline/internal/media"
)

// Ladder is what a camera offers when it is not told: its own coding untouched where it has one, H.264 in its own size and in smaller ones for networks
// and screens that are smaller, and JPEG for programs and browsers without a video decoder. While the source is not known, so that its size is 0, it is what
// most sources have.
func Ladder(feed FeedInfo) []Rendition {
	var list []Rendition
	if feed.Native != 0 {
		list = append(list, Rendition{Name: "source", Codec: feed.Native, Passthrough: true})
	}
	if feed.Height == 0 {
		return append(list, step(720), jpegStep())
	}
	top := feed.Height &^ 1
	if top > maxLadderHeight {
		top = maxLadderHeight
	}
	list = append(list, step(top))
	for _, lines := range []int{720, 544, 368} {
		if 5*lines <= 4*list[len(list)-1].Height { // nearer ones are not worth an encoder
			list = append(list, step(lines))
		}
	}
	if feed.Native == media.CodecJPEG && feed.Height <= jpegHeight {
		return list
	}
	return append(list, jpegStep())
}

const (
	// maxLadderHeight is the largest picture that is encoded unasked; more costs more than most machines have.
	maxLadderHeight = 1080
	jpegHeight      = 544
)

// step is the default H.264 rendition of so many lines.
func step(lines int) Rendition {
	r := defaults(media.CodecH264)
	r.Name, r.Height = fmt.Sprintf("%dp", lines), lines
	for _, s := range []struct{ lines, most, least int }{
		{320, 600_000, 80_000}, {400, 900_000, 100_000}, {600, 1_600_000, 120_000}, {800, 2_500_000, 150_000}, {maxLadderHeight, 4_500_000, 300_000},
	} {
		if lines <= s.lines {
			r.BitrateBps, r.MinBitrateBps = s.most, s.least
			return r
		}
	}
	return r
}

func jpegStep() Rendition {
	r := defaults(media.CodecJPEG)
	r.Name = fmt.Sprintf("mjpeg-%dp", r.Height)
	return r
}

// offer is a rendition with the id it keeps for the life of the process.
type offer struct {
	id   media.RenditionID
	spec Rendition
}

// offers are the renditions that a source of this kind can be had in.
func (c *Capture) offers(feed FeedInfo) []offer {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []Rendition
	for _, r := range c.opts.Renditions {
		if !r.Passthrough || feed.Native != 0 {
			list = append(list, r)
		}
	}
	if len(list) == 0 {
		list = Ladder(feed)
	}
	out := make([]offer, len(list))
	for i, r := range list {
		id, ok := c.ids[r.Name]
		if !ok {
			id = media.RenditionID(len(c.ids) + 1)
			c.ids[r.Name] = id
		}
		out[i] = offer{id, r}
	}
	return out
}
