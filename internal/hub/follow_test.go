package hub_test

import (
	"testing"
	"time"

	"sightline/internal/hub"
	"sightline/internal/media"
)

// ranged gives the camera's renditions bitrate ranges, which Demand's targets need.
func ranged(cam *camera) {
	cam.pub.SetRenditions([]media.Rendition{
		{ID: tall, Codec: media.CodecH264, Height: 720, MinBitrateBps: 150_000, MaxBitrateBps: 2_500_000},
		{ID: tiny, Codec: media.CodecH264, Height: 368, MinBitrateBps: 100_000, MaxBitrateBps: 900_000},
	})
}

func TestSelect_TheOldRenditionGoesOnUntilTheNewOnesKeyframe(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	drain(sub)
	cam.clock.advance(time.Second)
	selectRendition(t, sub, tiny)
	want(t, "both are encoded", cam.pub.Demand().Renditions, []media.RenditionID{tall, tiny})
	old := cam.send(tall, false)
	cam.send(tiny, false)
	want(t, "before the keyframe", drain(sub), []int{int(old.Seq)})
	cam.send(tall, false) // queued, and not worth sending once the other is there
	key := cam.send(tiny, true)
	delta := cam.send(tiny, false)
	cam.send(tall, false)
	want(t, "after the keyframe", drain(sub), []int{-int(key.Seq), int(delta.Seq)})
	cam.clock.advance(3 * time.Second)
	cam.pub.Demand()
	cam.clock.advance(3 * time.Second)
	want(t, "then the old one ends", cam.pub.Demand().Renditions, []media.RenditionID{tiny})
}

func TestSelect_BackBeforeTheKeyframeMissesNothing(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	drain(sub)
	selectRendition(t, sub, tiny)
	first := cam.send(tall, false)
	selectRendition(t, sub, tall)
	cam.send(tiny, true)
	second := cam.send(tall, false)
	want(t, "queue", drain(sub), []int{int(first.Seq), int(second.Seq)})
	if v := sub.Look(); v.Chosen != tall || !v.Attached {
		t.Errorf("chosen %d, attached %t", v.Chosen, v.Attached)
	}
}

func TestSelect_WhicheverRenditionGoesTheOtherStays(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	drain(sub)
	info := func(id media.RenditionID) []media.Rendition {
		return []media.Rendition{{ID: id, Codec: media.CodecH264}}
	}
	selectRendition(t, sub, tiny)
	cam.pub.SetRenditions(info(tall))
	au := cam.send(tall, false)
	want(t, "the new one goes", drain(sub), []int{int(au.Seq)})
	if v := sub.Look(); v.Chosen != tall || !v.Attached {
		t.Errorf("chosen %d, attached %t; want the old one", v.Chosen, v.Attached)
	}
	cam.pub.SetRenditions(append(info(tall), info(tiny)...))
	selectRendition(t, sub, tiny)
	cam.pub.SetRenditions(info(tiny))
	cam.ready[tiny] = false
	if v := sub.Look(); v.Chosen != tiny || !v.Attached {
		t.Errorf("chosen %d, attached %t; want the new one", v.Chosen, v.Attached)
	}
	cam.send(tiny, true)
	cam.send(tiny, false)
	want(t, "the old one goes", len(drain(sub)), 2)
}

func TestStills_KeyframesAlone(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	drain(sub)
	cam.clock.advance(time.Second)
	sub.Stills(true)
	cam.send(tall, false)
	want(t, "a delta", drain(sub), []int(nil))
	want(t, "is no reason to ask", cam.pub.Demand().Keys, []media.RenditionID(nil))
	cam.send(tall, true)
	newest := cam.send(tall, true)
	want(t, "the newest keyframe", drain(sub), []int{-int(newest.Seq)})
	want(t, "deltas not sent", sub.Dropped()[hub.DropStills], 1)
	sub.Stills(false)
	cam.send(tall, false)
	want(t, "a delta behind the keyframe that was sent", len(drain(sub)), 1)
}

func TestStills_NoDeltaBehindOneThatWasNotSent(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	drain(sub)
	sub.Stills(true)
	cam.send(tall, false)
	sub.Stills(false)
	cam.send(tall, false)
	want(t, "queue", drain(sub), []int(nil))
	key := cam.send(tall, true)
	want(t, "queue", drain(sub), []int{-int(key.Seq)})
}

func TestHold_NoKeyframeIsAskedForThatCannotGoOut(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	cam.clock.advance(time.Second)
	sub.Hold(true)
	for range 10 { // 330 ms, more than the queue may hold
		cam.clock.advance(33 * ms)
		cam.send(tall, false)
	}
	want(t, "keyframes asked for", cam.pub.Demand().Keys, []media.RenditionID(nil))
	sub.Hold(false)
	want(t, "when it can go out", cam.pub.Demand().Keys, []media.RenditionID{tall})
}

func TestDemand_Targets(t *testing.T) {
	const mega = 1_000_000
	for _, tc := range []struct {
		name    string
		carries []int // of the viewers on the tall rendition
		want    map[media.RenditionID]int
	}{
		{"nobody is limited", []int{0, 0}, nil},
		{"one viewer is followed", []int{mega}, map[media.RenditionID]int{tall: mega}},
		{"not below the range", []int{20_000}, map[media.RenditionID]int{tall: 150_000}},
		{"nor above", []int{3 * mega}, nil},
		{"of two the better, with something to spare", []int{mega, 2 * mega}, map[media.RenditionID]int{tall: 1.5 * mega}},
		{"one weak viewer lowers nobody", []int{0, mega, 0, 0}, nil},
		{"a minority lowers nobody", []int{mega, mega, 2 * mega, 2 * mega, 2 * mega}, map[media.RenditionID]int{tall: 1.5 * mega}},
		{"a majority is served", []int{mega, mega, mega, 2 * mega}, map[media.RenditionID]int{tall: 0.75 * mega}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, c := newHub(hub.Options{})
			cam := newCamera(t, h, c, ladder())
			ranged(cam)
			for _, bps := range tc.carries {
				sub := subscribe(t, h)
				selectRendition(t, sub, tall)
				sub.Needs(hub.Needs{CarriesBps: bps})
			}
			paused := subscribe(t, h)
			selectRendition(t, paused, tall)
			paused.Needs(hub.Needs{CarriesBps: 50_000})
			paused.Pause(true)
			want(t, "targets", cam.pub.Demand().Targets, tc.want)
		})
	}
}

func TestNeeds_WakesThePublisherForNotableChangesAlone(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	ranged(cam)
	sub.Needs(hub.Needs{CarriesBps: 1_000_000})
	cam.pub.Demand()
	awake := func() bool {
		select {
		case <-cam.pub.Wake():
			return true
		default:
			return false
		}
	}
	awake()
	for _, tc := range []struct {
		bps  int
		want bool
	}{{1_040_000, false}, {960_000, false}, {1_051_000, true}, {949_000, true}, {0, true}} {
		sub.Needs(hub.Needs{CarriesBps: tc.bps})
		if got := awake(); got != tc.want {
			t.Errorf("%d bit/s after 1000000: woken %t, want %t", tc.bps, got, tc.want)
		}
	}
}

func TestLook_Shared(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	ranged(cam)
	want(t, "alone", sub.Look().Shared, map[media.RenditionID]int(nil))
	other := subscribe(t, cam.hub)
	selectRendition(t, other, tall)
	sub.Needs(hub.Needs{CarriesBps: 1_000_000})
	other.Needs(hub.Needs{CarriesBps: 800_000})
	cam.pub.Demand()
	want(t, "with another", sub.Look().Shared, map[media.RenditionID]int{tall: 750_000})
	other.Pause(true)
	want(t, "who is paused", sub.Look().Shared, map[media.RenditionID]int(nil))
}

func TestDemand_TheWeakOnTheSmallestLowerNobody(t *testing.T) {
	h, c := newHub(hub.Options{})
	cam := newCamera(t, h, c, ladder())
	ranged(cam)
	var subs []*hub.Subscription
	for _, bps := range []int{0, 300_000, 0} {
		sub := subscribe(t, h)
		selectRendition(t, sub, tiny)
		sub.Needs(hub.Needs{CarriesBps: bps})
		subs = append(subs, sub)
	}
	want(t, "one of three is weak", cam.pub.Demand().Targets, map[media.RenditionID]int(nil))
	subs[0].Close()
	subs[2].Close()
	want(t, "it is alone", cam.pub.Demand().Targets, map[media.RenditionID]int{tiny: 300_000})
}

func TestDemand_NoMoreThanAnybodyWants(t *testing.T) {
	h, c := newHub(hub.Options{})
	cam := newCamera(t, h, c, ladder())
	ranged(cam)
	saver := hub.Needs{MostBps: 200_000, FrameRateMilli: 10_000}
	one, other := subscribe(t, h), subscribe(t, h)
	selectRendition(t, one, tall)
	one.Needs(saver)
	d := cam.pub.Demand()
	want(t, "target for one who saves", d.Targets, map[media.RenditionID]int{tall: 200_000})
	want(t, "frame rate for one who saves", d.FrameRates, map[media.RenditionID]int{tall: 10_000})
	selectRendition(t, other, tall)
	d = cam.pub.Demand()
	want(t, "target with one who does not", d.Targets, map[media.RenditionID]int(nil))
	want(t, "frame rate with one who does not", d.FrameRates, map[media.RenditionID]int(nil))
	other.Needs(hub.Needs{FrameRateMilli: 15_000})
	want(t, "the higher of two frame rates", cam.pub.Demand().FrameRates, map[media.RenditionID]int{tall: 15_000})
	other.Pause(true)
	want(t, "frame rate while the other is away", cam.pub.Demand().FrameRates, map[media.RenditionID]int{tall: 10_000})
	one.Needs(hub.Needs{CarriesBps: 180_000, MostBps: 200_000})
	d = cam.pub.Demand()
	want(t, "target on a network that carries less", d.Targets, map[media.RenditionID]int{tall: 180_000})
	want(t, "all pictures", d.FrameRates, map[media.RenditionID]int(nil))
}

func TestNeeds_JPEGsComeEvenly(t *testing.T) {
	h, c := newHub(hub.Options{})
	cam := newCamera(t, h, c, ladder())
	all, some := subscribe(t, h), subscribe(t, h)
	selectRendition(t, all, jpeg)
	selectRendition(t, some, jpeg)
	some.Needs(hub.Needs{FrameRateMilli: 10_000}) // one in three
	var got []int
	jitter := []time.Duration{0, 5 * ms, -4 * ms, 3 * ms, -5 * ms, 1 * ms}
	for n := range 60 {
		c.advance(33*ms + jitter[n%len(jitter)])
		au := cam.send(jpeg, true)
		want(t, "who needs all", drain(all), []int{-int(au.Seq)})
		if len(drain(some)) > 0 {
			got = append(got, n)
		}
	}
	if len(got) < 19 || len(got) > 21 {
		t.Errorf("%d of 60 pictures, want one in three", len(got))
	}
	for i := 1; i < len(got); i++ {
		if got[i]-got[i-1] < 2 || got[i]-got[i-1] > 4 {
			t.Errorf("pictures %d and %d in a row", got[i-1], got[i])
		}
	}
	want(t, "pictures left out", int(some.Dropped()[hub.DropThinned]), 60-len(got))
	some.Needs(hub.Needs{FrameRateMilli: 100}) // one in ten seconds
	cam.send(jpeg, true)
	c.advance(time.Second)
	cam.send(jpeg, true)
	drain(some)
	some.Needs(hub.Needs{FrameRateMilli: 10_000})
	c.advance(100 * ms)
	cam.send(jpeg, true)
	want(t, "at once when more are needed", len(drain(some)), 1)
}

func TestLook_Measured(t *testing.T) {
	h, c := newHub(hub.Options{})
	cam := newCamera(t, h, c, ladder())
	cam.pub.SetRenditions([]media.Rendition{
		{ID: tall, Codec: media.CodecH264, MinBitrateBps: 150_000, MaxBitrateBps: 2_500_000},
		{ID: jpeg, Codec: media.CodecJPEG, FrameRateMilli: 10_000},
	})
	sub := subscribe(t, h)
	selectRendition(t, sub, jpeg)
	run := func(pictures int, every time.Duration) {
		for range pictures {
			cam.send(jpeg, true) // 1000 bytes
			cam.send(tall, true)
			c.advance(every)
		}
	}
	run(10, 100*ms)
	want(t, "too soon to tell", sub.Look().Measured, map[media.RenditionID]int(nil))
	run(40, 100*ms)
	want(t, "of the one that nobody steers", sub.Look().Measured, map[media.RenditionID]int{jpeg: 80_000})
	sub.Needs(hub.Needs{FrameRateMilli: 5000})
	cam.pub.Demand()
	run(20, 200*ms)
	want(t, "while only half of its pictures are made", sub.Look().Measured, map[media.RenditionID]int{jpeg: 80_000})
	c.advance(time.Hour)
	run(2, 100*ms)
	want(t, "after a while without", sub.Look().Measured, map[media.RenditionID]int{jpeg: 80_000})
}
