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

// own is the ladder below a camera's own coding, which came to so many bit/s.
func own(measured int) []adapt.Offer {
	return append([]adapt.Offer{{
		Rendition: media.Rendition{ID: 4, Codec: media.CodecH264, Height: 1080}, Measured: measured,
	}}, ladder()...)
}

// rates is the ladder with so many pictures in 1000 s on its H.264 rungs.
func rates(milli ...int) []adapt.Offer {
	l := ladder()
	for i, m := range milli {
		l[i].FrameRateMilli = m
	}
	return l
}

func TestChooser_First(t *testing.T) {
	both := []string{"h264", "jpeg"}
	motion := adapt.Wishes{Codecs: both, Prefer: adapt.PreferMotion}
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
		{"others on the smallest are not lowered either", adapt.Wishes{Codecs: both}, 300_000, watched(3, 0), adapt.Choice{Rendition: 3, Stills: true}, true},
		{"unless they have no more", adapt.Wishes{Codecs: both}, 300_000, watched(3, 250_000), adapt.Choice{Rendition: 3}, true},
		{"the most lines, however coarse", adapt.Wishes{Codecs: both, Prefer: adapt.PreferHigh, MaxHeight: 368}, 200_000, ladder(), adapt.Choice{Rendition: 1}, true},
		{"the most lines, and if need be as stills", adapt.Wishes{Codecs: both, Prefer: adapt.PreferHigh}, 100_000, ladder(), adapt.Choice{Rendition: 1, Stills: true}, true},
		{"the fewest lines", adapt.Wishes{Codecs: both, Prefer: adapt.PreferLow}, 0, ladder(), adapt.Choice{Rendition: 3}, true},
		{"the fewest bytes", adapt.Wishes{Codecs: both, Prefer: adapt.PreferSaver}, 0, ladder(), adapt.Choice{Rendition: 3}, true},
		{"detail", adapt.Wishes{Codecs: both, Prefer: adapt.PreferDetail}, 300_000, ladder(), adapt.Choice{Rendition: 1}, true},
		{"detail that others watch is not lowered", adapt.Wishes{Codecs: both, Prefer: adapt.PreferDetail}, 1_000_000, watched(1, 0), adapt.Choice{Rendition: 1, Stills: true}, true},
		{"motion where there is room", motion, 0, ladder(), adapt.Choice{Rendition: 1}, true},
		{"motion gives up lines before it blurs", motion, 1_000_000, ladder(), adapt.Choice{Rendition: 3}, true},
		{"motion blurs when nothing smaller is left", motion, 200_000, ladder(), adapt.Choice{Rendition: 3}, true},
		{"motion prefers pictures to lines", motion, 0, rates(15_000, 29_970, 30_000), adapt.Choice{Rendition: 2}, true},
		{"motion takes fewer pictures rather than none", motion, 300_000, rates(30_000, 30_000, 10_000), adapt.Choice{Rendition: 3}, true},
		{"motion in a tile needs no more lines", adapt.Wishes{Codecs: both, Prefer: adapt.PreferMotion, MaxHeight: 360}, 0, rates(30_000, 30_000, 30_000), adapt.Choice{Rendition: 3}, true},
		{"but keeps its pictures", adapt.Wishes{Codecs: both, Prefer: adapt.PreferMotion, MaxHeight: 360}, 0, rates(30_000, 30_000, 10_000), adapt.Choice{Rendition: 2}, true},
		{"a pin is a preference of its own", adapt.Wishes{Codecs: both, Pinned: true, Pin: 2, Prefer: adapt.PreferLow}, 0, ladder(), adapt.Choice{Rendition: 2}, true},
		{"a camera's own coding counts as measured", adapt.Wishes{Codecs: both}, 3_000_000, own(4_000_000), adapt.Choice{Rendition: 1}, true},
		{"and is taken where that fits", adapt.Wishes{Codecs: both}, 3_000_000, own(2_000_000), adapt.Choice{Rendition: 4}, true},
		{"or before it is known", adapt.Wishes{Codecs: both}, 3_000_000, own(0), adapt.Choice{Rendition: 4}, true},
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

// jpegs is a rendition of JPEG, ten pictures a second, that nobody steers and that comes to so many bit/s.
func jpegs(measured int) []adapt.Offer {
	return []adapt.Offer{{
		Rendition: media.Rendition{ID: 9, Codec: media.CodecJPEG, Height: 720, FrameRateMilli: 10_000}, Measured: measured,
	}}
}

func TestChooser_Needs(t *testing.T) {
	both := []string{"h264", "jpeg"}
	wish := func(p adapt.Preference) adapt.Wishes { return adapt.Wishes{Codecs: both, Prefer: p} }
	for _, tc := range []struct {
		name          string
		wishes        adapt.Wishes
		send, carries int
		ladder        []adapt.Offer
		want          adapt.Needs
	}{
		{"a good network", wish(0), 0, 0, ladder(), adapt.Needs{}},
		{"the encoder follows what is sent", wish(0), 900_000, 1_000_000, ladder(), adapt.Needs{CarriesBps: 900_000}},
		{"JPEG that fits", wish(0), 0, 4_000_000, jpegs(3_000_000), adapt.Needs{}},
		{"a third of the JPEGs", wish(0), 1_200_000, 1_200_000, jpegs(3_000_000), adapt.Needs{CarriesBps: 1_200_000, FrameRateMilli: 3333}},
		{"a tenth of them", wish(0), 340_000, 340_000, jpegs(3_000_000), adapt.Needs{CarriesBps: 340_000, FrameRateMilli: 1000}},
		{"JPEGs of unknown size", wish(0), 340_000, 340_000, jpegs(0), adapt.Needs{CarriesBps: 340_000}},
		{"JPEGs that can be coarser", wish(0), 700_000, 700_000, ladder()[3:], adapt.Needs{CarriesBps: 700_000}},
		{"but not for others", wish(0), 700_000, 700_000, watched(9, 1_800_000)[3:], adapt.Needs{CarriesBps: 700_000, FrameRateMilli: 10_000}}, // of 30
		{"the fewest bytes", wish(adapt.PreferSaver), 0, 0, ladder(), adapt.Needs{MostBps: 100_000, FrameRateMilli: 10_000}},
		{"detail that fits", wish(adapt.PreferDetail), 0, 1_700_000, ladder(), adapt.Needs{}},
		{"detail in half the pictures", wish(adapt.PreferDetail), 850_000, 850_000, ladder(), adapt.Needs{CarriesBps: 850_000, FrameRateMilli: 15_000}},
		{"a pin keeps its pictures", adapt.Wishes{Codecs: both, Pinned: true, Pin: 1, Prefer: adapt.PreferDetail}, 850_000, 850_000, ladder(), adapt.Needs{CarriesBps: 850_000}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c adapt.Chooser
			c.Choose(tc.wishes, tc.carries, tc.ladder, 0)
			if got := c.Needs(tc.wishes, tc.send, tc.carries, tc.ladder); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestChooser_NeedsDoNotChangeForLittle(t *testing.T) {
	var c adapt.Chooser
	w := adapt.Wishes{Codecs: []string{"jpeg"}}
	c.Choose(w, 1_000_000, jpegs(3_000_000), 0)
	for _, tc := range []struct{ carries, want int }{
		{1_120_000, 3333}, {1_100_000, 2500}, {1_150_000, 2500}, {1_300_000, 3333}, {1_120_000, 3333}, {20_000_000, 0},
	} {
		if got := c.Needs(w, 0, tc.carries, jpegs(3_000_000)).FrameRateMilli; got != tc.want {
			t.Errorf("with %d bit/s: %d pictures in 1000 s, want %d", tc.carries, got, tc.want)
		}
	}
}

func TestChooser_Limit(t *testing.T) {
	wish := func(p adapt.Preference) adapt.Wishes { return adapt.Wishes{Codecs: []string{"h264"}, Prefer: p} }
	for _, tc := range []struct {
		name    string
		wishes  adapt.Wishes
		carries int
		ladder  []adapt.Offer
		want    adapt.Limit
	}{
		{"a good network", wish(0), 0, ladder(), adapt.LimitNone},
		{"one that was worse", wish(0), 3_000_000, ladder(), adapt.LimitNone},
		{"fewer bits", wish(0), 2_000_000, ladder(), adapt.LimitNetwork},
		{"fewer lines", wish(0), 500_000, ladder(), adapt.LimitNetwork},
		{"stills", wish(0), 50_000, ladder(), adapt.LimitNetwork},
		{"fewer pictures", adapt.Wishes{Codecs: []string{"jpeg"}}, 1_000_000, jpegs(3_000_000), adapt.LimitNetwork},
		{"a tile", adapt.Wishes{Codecs: []string{"h264"}, MaxHeight: 368}, 0, ladder(), adapt.LimitSize},
		{"a pin", adapt.Wishes{Codecs: []string{"h264"}, Pinned: true, Pin: 2}, 0, ladder(), adapt.LimitSize},
		{"the fewest lines", wish(adapt.PreferLow), 0, ladder(), adapt.LimitSize},
		{"the fewest bytes", wish(adapt.PreferSaver), 0, ladder()[2:], adapt.LimitSize},
		{"others are slower", wish(0), 2_000_000, watched(1, 1_000_000), adapt.LimitShared},
		{"and so is the network", wish(0), 1_120_000, watched(1, 1_000_000), adapt.LimitNetwork},
		{"others with the best", wish(0), 0, watched(1, 0), adapt.LimitNone},
		{"nothing to choose", wish(0), 0, nil, adapt.LimitNone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c adapt.Chooser
			c.Choose(tc.wishes, tc.carries, tc.ladder, 0)
			c.Needs(tc.wishes, tc.carries, tc.carries, tc.ladder)
			if got := c.Limit(tc.wishes, tc.carries, tc.ladder); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func TestChooser_LimitDoesNotChangeForLittle(t *testing.T) {
	var c adapt.Chooser
	w := adapt.Wishes{Codecs: []string{"h264"}}
	c.Choose(w, 2_600_000, ladder(), 0)
	for _, tc := range []struct {
		carries int
		want    adapt.Limit
	}{{2_600_000, adapt.LimitNone}, {2_400_000, adapt.LimitNetwork}, {2_600_000, adapt.LimitNetwork}, {2_900_000, adapt.LimitNone}, {2_600_000, adapt.LimitNone}} {
		if got := c.Limit(w, tc.carries, ladder()); got != tc.want {
			t.Errorf("with %d bit/s: %d, want %d", tc.carries, got, tc.want)
		}
	}
}

func TestChooser_StillsLastLongerEachTimeThatAMovingPictureDoesNot(t *testing.T) {
	var c adapt.Chooser
	wishes := adapt.Wishes{Codecs: []string{"h264"}}
	var waits []time.Duration
	now, carries, moved := media.Timestamp(1), 60_000, media.Timestamp(0)
	choice, _ := c.Choose(wishes, carries, ladder(), now)
	for began := now; len(waits) < 8; now = now.Add(100 * time.Millisecond) {
		before := choice.Stills
		lasts := time.Second
		if len(waits) == 7 {
			lasts = 20 * time.Second // the network is a better one for once
		}
		switch {
		case before:
			carries = 140_000 // as stills measure it
		case now.Sub(moved) > lasts:
			carries = 60_000
		}
		choice, _ = c.Choose(wishes, carries, ladder(), now)
		switch {
		case before && !choice.Stills:
			waits = append(waits, now.Sub(began).Round(time.Second))
			moved = now
		case !before && choice.Stills:
			began = now
		}
	}
	want := []time.Duration{3, 3, 6, 12, 24, 48, 60, 3}
	for i := range want {
		if waits[i] != want[i]*time.Second {
			t.Fatalf("stills lasted %v, want the %d-th to last %d s", waits, i+1, want[i])
		}
	}
}
