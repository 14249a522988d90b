package hub_test

import (
	"maps"
	"testing"
	"time"

	"sightline/internal/hub"
	"sightline/internal/media"
)

// totals gives those of a rendition of door.
func totals(t *testing.T, h *hub.Hub, name string) hub.Totals {
	t.Helper()
	for _, s := range h.Totals() {
		for _, r := range s.Renditions {
			if s.ID == "door" && r.Rendition.Name == name {
				return r
			}
		}
	}
	t.Fatalf("no totals of %s", name)
	return hub.Totals{}
}

func TestTotals_CountEachRenditionsOwn(t *testing.T) {
	var arrived []time.Duration
	h, c := newHub(hub.Options{Arrived: func(id media.StreamID, r media.Rendition, took time.Duration) {
		if id != "door" || r.Name == "" {
			t.Errorf("arrived at %s: %+v", id, r)
		}
		arrived = append(arrived, took)
	}})
	cam := newCamera(t, h, c, ladder())
	first, second := subscribe(t, h), subscribe(t, h)
	for _, sub := range []*hub.Subscription{first, second} {
		if err := sub.Select(tall); err != nil {
			t.Fatal(err)
		}
	}
	cam.pub.Demand()
	au := cam.unit(tall, true, 1000)
	au.Capture = au.Received.Add(-7 * ms)
	cam.pub.Publish(au)
	cam.send(tall, false)
	first.Next()
	first.Next()
	second.Next()
	c.advance(40 * ms)
	cam.pub.SetFigures(tall, hub.Figures{Skipped: 2})
	cam.pub.SetFigures(tall, hub.Figures{Skipped: 3})
	got := totals(t, h, "720p")
	if got.FramesIn != 2 || got.Keyframes != 1 || got.BytesIn != 2000 || got.Skipped != 5 || got.FramesOut != 3 || got.BytesOut != 3000 ||
		got.Viewers != 2 || got.Queued != 1 || got.QueueAge != 40*ms || !got.Active {
		t.Errorf("totals %+v", got)
	}
	if len(arrived) != 2 || arrived[0] != 7*ms {
		t.Errorf("arrived after %v", arrived)
	}

	// One goes over to another rendition, and the other leaves: what they were sent and were not stays where it was.
	if err := second.Select(tiny); err != nil {
		t.Fatal(err)
	}
	cam.send(tiny, true)
	second.Next()
	first.Close()
	got = totals(t, h, "720p")
	if got.FramesOut != 3 || got.Viewers != 0 || got.Queued != 0 || !maps.Equal(got.Dropped, map[hub.DropReason]uint64{hub.DropReplaced: 1}) {
		t.Errorf("totals of the one that was left: %+v", got)
	}
	if got = totals(t, h, "360p"); got.FramesIn != 1 || got.FramesOut != 1 || len(got.Dropped) != 0 || got.Viewers != 1 {
		t.Errorf("totals of the other: %+v", got)
	}

	// They outlive the publisher.
	cam.pub.Close(media.StateWaiting, "", "gone")
	newCamera(t, h, c, ladder())
	if got = totals(t, h, "720p"); got.FramesIn != 2 || got.FramesOut != 3 {
		t.Errorf("totals after a new publisher: %+v", got)
	}
}

// Whatever viewers do, each access unit that was given them was sent, was dropped or waits.
func TestTotals_LoseNothing(t *testing.T) {
	h, c := newHub(hub.Options{})
	cam := newCamera(t, h, c, ladder())
	const viewers, rounds = 5, 400
	subs := make([]*hub.Subscription, viewers)
	for i := range subs {
		subs[i] = subscribe(t, h)
	}
	var taken uint64
	for i := range rounds {
		c.advance(33 * ms)
		sub := subs[i%viewers]
		if err := sub.Select([]media.RenditionID{tall, tiny}[i/7%2]); err != nil {
			t.Fatal(err)
		}
		sub.Pause(i%11 == 0)
		cam.pub.Demand()
		cam.send(tall, i%10 == 0)
		cam.send(tiny, i%15 == 0)
		if i%3 != 0 {
			continue
		}
		if au, _ := sub.Next(); au != nil {
			taken++
		}
	}
	var sent, dropped, told uint64
	for _, name := range []string{"720p", "360p"} {
		r := totals(t, h, name)
		sent += r.FramesOut
		for _, n := range r.Dropped {
			dropped += n
		}
	}
	for _, sub := range subs {
		for _, n := range sub.Dropped() {
			told += n
		}
	}
	if sent != taken || taken == 0 {
		t.Errorf("%d sent, and %d were taken", sent, taken)
	}
	if dropped != told || told == 0 {
		t.Errorf("%d dropped, and viewers were told of %d", dropped, told)
	}
}
