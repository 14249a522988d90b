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
		{"of two the better", []int{mega, 2 * mega}, map[media.RenditionID]int{tall: 2 * mega}},
		{"one weak viewer lowers nobody", []int{0, mega, 0, 0}, nil},
		{"a minority lowers nobody", []int{mega, mega, 2 * mega, 2 * mega, 2 * mega}, map[media.RenditionID]int{tall: 2 * mega}},
		{"a majority is served", []int{mega, mega, mega, 2 * mega}, map[media.RenditionID]int{tall: mega}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, c := newHub(hub.Options{})
			cam := newCamera(t, h, c, ladder())
			ranged(cam)
			for _, bps := range tc.carries {
				sub := subscribe(t, h)
				selectRendition(t, sub, tall)
				sub.Carries(bps)
			}
			paused := subscribe(t, h)
			selectRendition(t, paused, tall)
			paused.Carries(50_000)
			paused.Pause(true)
			want(t, "targets", cam.pub.Demand().Targets, tc.want)
		})
	}
}

func TestCarries_WakesThePublisherForNotableChangesAlone(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	ranged(cam)
	sub.Carries(1_000_000)
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
		sub.Carries(tc.bps)
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
	sub.Carries(1_000_000)
	other.Carries(800_000)
	cam.pub.Demand()
	want(t, "with another", sub.Look().Shared, map[media.RenditionID]int{tall: 1_000_000})
	other.Pause(true)
	want(t, "who is paused", sub.Look().Shared, map[media.RenditionID]int(nil))
}

func TestDemand_TheSmallestServesTheWeakest(t *testing.T) {
	h, c := newHub(hub.Options{})
	cam := newCamera(t, h, c, ladder())
	ranged(cam)
	for _, bps := range []int{0, 300_000, 0} {
		sub := subscribe(t, h)
		selectRendition(t, sub, tiny)
		sub.Carries(bps)
	}
	want(t, "targets", cam.pub.Demand().Targets, map[media.RenditionID]int{tiny: 300_000})
}
