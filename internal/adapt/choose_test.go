package adapt_test

import (
	"testing"
	"time"

	"sightline/internal/adapt"
	"sightline/internal/media"
)

func h264(id media.RenditionID, height, least, most int) adapt.Offer {
	return adapt.Offer{Rendition: media.Rendition{
		ID: id, Codec: media.CodecH264, Height: height, MinBitrateBps: least, MaxBitrateBps: most,
	}}
}

// ladder is of three rungs and JPEG.
func ladder() []adapt.Offer {
	return []adapt.Offer{
		h264(1, 720, 150_000, 2_500_000), h264(2, 544, 120_000, 1_600_000), h264(3, 368, 100_000, 900_000),
		{Rendition: media.Rendition{ID: 9, Codec: media.CodecJPEG, Height: 544, MinBitrateBps: 500_000, MaxBitrateBps: 6_000_000}},
	}
}

// watched is the ladder with others on rung id, for whom it is encoded at bps.
func watched(id media.RenditionID, bps int) []adapt.Offer {
	l := ladder()
	for i := range l {
		if l[i].ID == id {
			l[i].Others, l[i].Bitrate = true, bps
		}
	}
	return l
}

func TestChooser_First(t *testing.T) {
	both := []string{"h264", "jpeg"}
	native := append([]adapt.Offer{{Rendition: media.Rendition{
		ID: 4, Codec: media.CodecH264, Height: 1080, MinBitrateBps: 4_000_000, MaxBitrateBps: 4_000_000,
	}}}, ladder()...)
	for _, tc := range []struct {
		name    string
		wishes  adapt.Wishes
		carries int
		ladder  []adapt.Offer
		want    adapt.Choice
		ok      bool
	}{
		{"no limit takes the tallest", adapt.Wishes{Codecs: both}, 0, ladder(), adapt.Choice{Rendition: 1}, true},
		{"a tile gets no less than its lines", adapt.Wishes{Codecs: both, MaxHeight: 540}, 0, ladder(), adapt.Choice{Rendition: 2}, true},
		{"between two rungs the larger", adapt.Wishes{Codecs: both, MaxHeight: 600}, 0, ladder(), adapt.Choice{Rendition: 1}, true},
		{"a thumbnail gets the smallest", adapt.Wishes{Codecs: both, MaxHeight: 100}, 0, ladder(), adapt.Choice{Rendition: 3}, true},
		{"more lines than there are", adapt.Wishes{Codecs: both, MaxHeight: 2160}, 0, ladder(), adapt.Choice{Rendition: 1}, true},
		{"only JPEG decodes", adapt.Wishes{Codecs: []string{"jpeg"}}, 0, ladder(), adapt.Choice{Rendition: 9}, true},
		{"JPEG needs no stills", adapt.Wishes{Codecs: []string{"jpeg"}}, 50_000, ladder(), adapt.Choice{Rendition: 9}, true},
		{"codec order is the viewer's", adapt.Wishes{Codecs: []string{"jpeg", "h264"}}, 0, ladder(), adapt.Choice{Rendition: 9}, true},
		{"the first codec is absent", adapt.Wishes{Codecs: both}, 0, ladder()[3:], adapt.Choice{Rendition: 9}, true},
		{"a pin wins", adapt.Wishes{Codecs: both, Pinned: true, Pin: 3}, 0, ladder(), adapt.Choice{Rendition: 3}, true},
		{"a pin keeps its lines and gives up pictures", adapt.Wishes{Codecs: both, Pinned: true, Pin: 1}, 90_000, ladder(), adapt.Choice{Rendition: 1, Stills: true}, true},
		{"a pin to nothing is ignored", adapt.Wishes{Codecs: both, Pinned: true, Pin: 7}, 0, ladder(), adapt.Choice{Rendition: 1}, true},
		{"a pin to what it cannot decode is ignored", adapt.Wishes{Codecs: []string{"jpeg"}, Pinned: true, Pin: 1}, 0, ladder(), adapt.Choice{Rendition: 9}, true},
		{"nothing to decode", adapt.Wishes{Codecs: []string{"av1"}}, 0, ladder(), adapt.Choice{}, false},
		{"no renditions", adapt.Wishes{Codecs: both}, 0, nil, adapt.Choice{}, false},
		{"1 Mbit/s carries 720 lines alone", adapt.Wishes{Codecs: both}, 1_000_000, ladder(), adapt.Choice{Rendition: 1}, true},
		{"800 kbit/s are better spent on 544", adapt.Wishes{Codecs: both}, 800_000, ladder(), adapt.Choice{Rendition: 2}, true},
		{"300 kbit/s on 368", adapt.Wishes{Codecs: both}, 300_000, ladder(), adapt.Choice{Rendition: 3}, true},
		{"64 kbit/s carries stills", adapt.Wishes{Codecs: both}, 64_000, ladder(), adapt.Choice{Rendition: 3, Stills: true}, true},
		{"others are not lowered", adapt.Wishes{Codecs: both}, 1_000_000, watched(1, 0), adapt.Choice{Rendition: 2}, true},
		{"others who have no more are joined", adapt.Wishes{Codecs: both}, 1_000_000, watched(1, 850_000), adapt.Choice{Rendition: 1}, true},
		{"no rung below, others on it", adapt.Wishes{Codecs: both}, 1_000_000, watched(1, 0)[:1], adapt.Choice{Rendition: 1, Stills: true}, true},
		{"the smallest is joined by whom it must serve", adapt.Wishes{Codecs: both}, 300_000, watched(3, 0), adapt.Choice{Rendition: 3}, true},
		{"a camera's own coding where it fits", adapt.Wishes{Codecs: both}, 5_000_000, native, adapt.Choice{Rendition: 4}, true},
		{"a camera's own coding cannot follow", adapt.Wishes{Codecs: both}, 4_000_000, native, adapt.Choice{Rendition: 1}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c adapt.Chooser
			if got, ok := c.Choose(tc.wishes, tc.carries, tc.ladder, 0); got != tc.want || ok != tc.ok {
				t.Errorf("got %+v %t, want %+v %t", got, ok, tc.want, tc.ok)
			}
		})
	}
}

func TestChooser_Later(t *testing.T) {
	w := adapt.Wishes{Codecs: []string{"h264"}}
	type look struct {
		at      time.Duration
		carries int
		want    adapt.Choice
	}
	for _, tc := range []struct {
		name  string
		looks []look
	}{
		{"down at once, again at once", []look{
			{0, 2_000_000, adapt.Choice{Rendition: 1}},
			{100 * time.Millisecond, 700_000, adapt.Choice{Rendition: 2}},
			{200 * time.Millisecond, 300_000, adapt.Choice{Rendition: 3}},
			{300 * time.Millisecond, 60_000, adapt.Choice{Rendition: 3, Stills: true}},
		}},
		{"up after a while", []look{
			{0, 700_000, adapt.Choice{Rendition: 2}},
			{time.Second, 2_000_000, adapt.Choice{Rendition: 2}},
			{3 * time.Second, 2_000_000, adapt.Choice{Rendition: 1}},
			{4 * time.Second, 700_000, adapt.Choice{Rendition: 2}},
			{6 * time.Second, 2_000_000, adapt.Choice{Rendition: 2}},
			{7 * time.Second, 2_000_000, adapt.Choice{Rendition: 1}},
		}},
		{"not up for little", []look{
			{0, 880_000, adapt.Choice{Rendition: 2}},
			{10 * time.Second, 900_000, adapt.Choice{Rendition: 2}},
			{20 * time.Second, 1_030_000, adapt.Choice{Rendition: 1}},
			{30 * time.Second, 900_000, adapt.Choice{Rendition: 1}},
		}},
		{"moving again when there is enough for it", []look{
			{0, 90_000, adapt.Choice{Rendition: 3, Stills: true}},
			{10 * time.Second, 115_000, adapt.Choice{Rendition: 3, Stills: true}},
			{20 * time.Second, 130_000, adapt.Choice{Rendition: 3}},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c adapt.Chooser
			for _, l := range tc.looks {
				now := media.Timestamp(0).Add(l.at)
				if got, _ := c.Choose(w, l.carries, ladder(), now); got != l.want {
					t.Errorf("after %s with %d bit/s: %+v, want %+v", l.at, l.carries, got, l.want)
				}
			}
		})
	}
}

func TestChooser_AGoneRenditionIsLeft(t *testing.T) {
	var c adapt.Chooser
	w := adapt.Wishes{Codecs: []string{"h264"}}
	c.Choose(w, 300_000, ladder(), 0)
	if got, ok := c.Choose(w, 300_000, ladder()[:2], 1); !ok || got != (adapt.Choice{Rendition: 2}) && got != (adapt.Choice{Rendition: 1}) {
		t.Errorf("got %+v %t, want a rendition that exists", got, ok)
	}
}

func TestBest(t *testing.T) {
	if got := adapt.Best(adapt.Wishes{Codecs: []string{"h264"}, MaxHeight: 540}, ladder()); got != 1_600_000 {
		t.Errorf("got %d, want what the rung of 544 lines takes at most", got)
	}
	if got := adapt.Best(adapt.Wishes{Codecs: []string{"av1"}}, ladder()); got != 0 {
		t.Errorf("got %d for a viewer that decodes nothing", got)
	}
}
