package hub_test

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sightline/internal/hub"
	"sightline/internal/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// clock is a time that a test sets.
type clock struct{ t atomic.Int64 }

func (c *clock) now() media.Timestamp    { return media.Timestamp(c.t.Load()) }
func (c *clock) advance(d time.Duration) { c.t.Add(d.Microseconds()) }

// camera is a publisher that numbers what it sends and checks nothing.
type camera struct {
	t     testing.TB
	clock *clock
	hub   *hub.Hub
	pub   *hub.Publisher
	seq   map[media.RenditionID]uint32
	ready map[media.RenditionID]bool
}

const (
	tall media.RenditionID = 1
	tiny media.RenditionID = 2
	jpeg media.RenditionID = 9
)

func ladder() []media.Rendition {
	return []media.Rendition{
		{ID: tall, Name: "720p", Codec: media.CodecH264, Height: 720, MaxBitrateBps: 2_500_000},
		{ID: tiny, Name: "360p", Codec: media.CodecH264, Height: 360, MaxBitrateBps: 600_000},
		{ID: jpeg, Name: "mjpeg", Codec: media.CodecJPEG, Height: 544},
	}
}

// newHub makes a hub whose clock stands well after its epoch.
func newHub(opts hub.Options) (*hub.Hub, *clock) {
	c := &clock{}
	c.advance(time.Hour)
	return hub.New(opts, c.now), c
}

func newCamera(t testing.TB, h *hub.Hub, c *clock, list []media.Rendition) *camera {
	t.Helper()
	pub, err := h.Publish("door")
	if err != nil {
		t.Fatal(err)
	}
	pub.SetRenditions(list)
	cam := &camera{t: t, clock: c, hub: h, pub: pub, seq: map[media.RenditionID]uint32{}, ready: map[media.RenditionID]bool{}}
	return cam
}

func codecOf(id media.RenditionID) media.Codec {
	if id == jpeg {
		return media.CodecJPEG
	}
	return media.CodecH264
}

func (c *camera) configure(id media.RenditionID) {
	c.t.Helper()
	err := c.pub.Configure(id, hub.Config{Rendition: media.Rendition{Codec: codecOf(id)}}, func(hub.Config) []byte { return []byte{byte(id)} })
	if err != nil {
		c.t.Fatal(err)
	}
	c.ready[id] = true
}

// unit makes the next access unit of size bytes.
func (c *camera) unit(id media.RenditionID, key bool, size int) *hub.AccessUnit {
	c.t.Helper()
	if !c.ready[id] {
		c.configure(id)
	}
	config, seq, ok := c.pub.Stamp(id, c.seq[id])
	if !ok {
		c.t.Fatalf("rendition %d has no configuration", id)
	}
	c.seq[id]++
	au := &hub.AccessUnit{Config: config, Key: key, Seq: seq, Capture: c.clock.now(), Received: c.clock.now(), Bytes: size}
	if !key {
		au.DepDelta = 1
	}
	return au
}

func (c *camera) send(id media.RenditionID, key bool) *hub.AccessUnit {
	c.t.Helper()
	au := c.unit(id, key, 1000)
	c.pub.Publish(au)
	return au
}

func subscribe(t testing.TB, h *hub.Hub) *hub.Subscription {
	t.Helper()
	sub, err := h.Subscribe("door")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Close)
	return sub
}

func selectRendition(t testing.TB, sub *hub.Subscription, id media.RenditionID) {
	t.Helper()
	if err := sub.Select(id); err != nil {
		t.Fatal(err)
	}
}

// watching is a camera with one viewer on the tall rendition, which has its first keyframe.
func watching(t testing.TB, opts hub.Options) (*camera, *hub.Subscription) {
	t.Helper()
	h, c := newHub(opts)
	cam := newCamera(t, h, c, ladder())
	sub := subscribe(t, h)
	selectRendition(t, sub, tall)
	cam.pub.Demand()
	cam.send(tall, true)
	drain(sub)
	return cam, sub
}

// drain takes all that is queued and gives the sequence numbers, keyframes negative.
func drain(sub *hub.Subscription) (seqs []int) {
	for au, _ := sub.Next(); au != nil; au, _ = sub.Next() {
		if n := int(au.Seq); au.Key {
			seqs = append(seqs, -n)
		} else {
			seqs = append(seqs, n)
		}
	}
	return seqs
}

func want(t testing.TB, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestQueue_FullDropsToKeyframe(t *testing.T) {
	for _, tc := range []struct {
		name string
		opts hub.Options
		gap  time.Duration // between access units
		size int
		n    int // deltas sent without the viewer taking any
		// what the viewer gets then, without and with a keyframe after them
		queued []int
	}{
		{"under budget keeps all", hub.Options{QueueBudget: 100 * ms}, 25 * ms, 10, 5, []int{1, 2, 3, 4, 5}},
		{"over the time budget drops all", hub.Options{QueueBudget: 100 * ms}, 25 * ms, 10, 6, nil},
		{"under the byte budget keeps all", hub.Options{QueueBytes: 1000}, 0, 250, 4, []int{1, 2, 3, 4}},
		{"over the byte budget drops all", hub.Options{QueueBytes: 1000}, 0, 250, 5, nil},
		{"one larger than the budget is taken alone", hub.Options{QueueBytes: 1000}, 0, 5000, 1, []int{1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cam, sub := watching(t, tc.opts)
			for range tc.n {
				cam.pub.Publish(cam.unit(tall, false, tc.size))
				cam.clock.advance(tc.gap)
			}
			want(t, "queue", drain(sub), tc.queued)
			cam.clock.advance(time.Second)
			next := cam.send(tall, false)
			keys := cam.pub.Demand().Keys
			if tc.queued != nil {
				want(t, "the next delta", drain(sub), []int{int(next.Seq)})
				want(t, "keyframes asked for", keys, []media.RenditionID(nil))
				return
			}
			want(t, "a delta after the cut", drain(sub), []int(nil))
			want(t, "keyframes asked for", keys, []media.RenditionID{tall})
			key := cam.send(tall, true)
			want(t, "the keyframe", drain(sub), []int{-int(key.Seq)})
			if d := sub.Dropped(); d[hub.DropQueue] != uint64(tc.n-1) || d[hub.DropReference] != 2 {
				t.Errorf("dropped %v, want %d by queue and 2 by reference", d, tc.n-1)
			}
		})
	}
}

func TestQueue_KeyframeReplacesAFullQueue(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	cam.send(tall, false)
	cam.clock.advance(200 * ms)
	key := cam.send(tall, true)
	want(t, "queue", drain(sub), []int{-int(key.Seq)})
	want(t, "keyframes asked for", cam.pub.Demand().Keys, []media.RenditionID(nil))
}

func TestSelect_LateJoiner(t *testing.T) {
	for _, tc := range []struct {
		name   string
		age    time.Duration // of the keyframe when the viewer comes
		deltas int
		size   int
		cached bool
	}{
		{"a fresh group of pictures is given at once", 400 * ms, 8, 1000, true},
		{"just fresh enough", 500 * ms, 1, 1000, true},
		{"an old one is not, a keyframe is asked for", 501 * ms, 8, 1000, false},
		{"nor is one of too many bytes", 100 * ms, 8, 40 << 10, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cam, early := watching(t, hub.Options{})
			cam.clock.advance(time.Second)
			seqs := []int{-int(cam.send(tall, true).Seq)}
			drain(early)
			for range tc.deltas {
				cam.clock.advance(tc.age / time.Duration(tc.deltas))
				au := cam.unit(tall, false, tc.size)
				cam.pub.Publish(au)
				drain(early)
				seqs = append(seqs, int(au.Seq))
			}
			cam.clock.advance(tc.age % time.Duration(tc.deltas))
			late := subscribe(t, cam.hub)
			selectRendition(t, late, tall)
			keys := cam.pub.Demand().Keys
			if tc.cached {
				// The next access unit must not push out what the joiner has had no time to take.
				cam.clock.advance(33 * ms)
				seqs = append(seqs, int(cam.send(tall, false).Seq))
				want(t, "queue", drain(late), seqs)
				want(t, "keyframes asked for", keys, []media.RenditionID(nil))
				return
			}
			want(t, "queue", drain(late), []int(nil))
			want(t, "keyframes asked for", keys, []media.RenditionID{tall})
			cam.send(tall, false)
			want(t, "queue before the keyframe", drain(late), []int(nil))
			key := cam.send(tall, true)
			want(t, "queue after the keyframe", drain(late), []int{-int(key.Seq)})
		})
	}
}

func TestSelect_LateJoinerOfACamerasOwnCoding(t *testing.T) {
	for age, cached := range map[time.Duration]bool{1900 * ms: true, 2100 * ms: false} {
		h, c := newHub(hub.Options{})
		cam := newCamera(t, h, c, []media.Rendition{{ID: tall, Name: "source", Codec: media.CodecH264, Height: 720}})
		early := subscribe(t, h)
		selectRendition(t, early, tall)
		cam.pub.Demand()
		seqs := []int{-int(cam.send(tall, true).Seq)}
		for range 10 {
			c.advance(age / 10)
			seqs = append(seqs, int(cam.send(tall, false).Seq))
			drain(early)
		}
		late := subscribe(t, h)
		selectRendition(t, late, tall)
		if !cached {
			seqs = nil
		}
		want(t, age.String(), drain(late), seqs)
	}
}

func TestDemand_KeyRequestsAreSpacedAndCancelled(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	cam.clock.advance(time.Second)
	sub.RequestKey()
	want(t, "first request", cam.pub.Demand().Keys, []media.RenditionID{tall})
	sub.RequestKey()
	cam.clock.advance(499 * ms)
	d := cam.pub.Demand()
	want(t, "second request within half a second", d.Keys, []media.RenditionID(nil))
	want(t, "time until it is due", d.Again.Sub(cam.clock.now()), ms)
	want(t, "Until", cam.hub.Until(d.Again), ms)
	cam.clock.advance(ms)
	want(t, "second request when due", cam.pub.Demand().Keys, []media.RenditionID{tall})
	want(t, "a request is told once", cam.pub.Demand().Keys, []media.RenditionID(nil))

	cam.clock.advance(time.Second)
	sub.RequestKey()
	cam.send(tall, true)
	want(t, "a request that a keyframe satisfied", cam.pub.Demand().Keys, []media.RenditionID(nil))

	drain(sub)
	sub.RequestKey()
	sub.Close()
	want(t, "a request of a viewer who left", cam.pub.Demand().Keys, []media.RenditionID(nil))
}

func TestRequestKey_GoesOnFromAQueuedKeyframe(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	cam.clock.advance(time.Second)
	cam.send(tall, false)
	cam.send(tall, true)
	cam.send(tall, false)
	key := cam.send(tall, true)
	delta := cam.send(tall, false)
	sub.RequestKey()
	want(t, "queue", drain(sub), []int{-int(key.Seq), int(delta.Seq)})
	want(t, "keyframes asked for", cam.pub.Demand().Keys, []media.RenditionID(nil))
	want(t, "dropped", sub.Dropped()[hub.DropReference], 3)
}

func TestAbandon_NextIsAKeyframe(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	cam.clock.advance(time.Second)
	cam.send(tall, false)
	cam.send(tall, false)
	if au, _ := sub.Next(); au == nil {
		t.Fatal("nothing queued")
	}
	sub.Abandon(hub.DropStale)
	cam.send(tall, false)
	want(t, "queue", drain(sub), []int(nil))
	want(t, "keyframes asked for", cam.pub.Demand().Keys, []media.RenditionID{tall})
	d := sub.Dropped()
	if d[hub.DropStale] != 1 || d[hub.DropReference] != 2 {
		t.Errorf("dropped %v, want 1 stale, 2 reference", d)
	}
}

func TestDemand_RenditionLingers(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	want(t, "while watched", cam.pub.Demand(), hub.Demand{Renditions: []media.RenditionID{tall}})
	sub.Close()
	cam.clock.advance(1999 * ms)
	d := cam.pub.Demand()
	want(t, "before the linger ends", d.Renditions, []media.RenditionID{tall})
	want(t, "when to ask again", d.Again.Sub(cam.clock.now()), ms)
	cam.clock.advance(ms)
	want(t, "when the linger ends", cam.pub.Demand(), hub.Demand{})
	again := subscribe(t, cam.hub)
	selectRendition(t, again, tall)
	// An encoder that starts starts with a keyframe, nobody needs to ask.
	want(t, "when somebody comes back", cam.pub.Demand(), hub.Demand{Renditions: []media.RenditionID{tall}})
}

func TestDemand_SomebodyElseWatches(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	other := subscribe(t, cam.hub)
	selectRendition(t, other, tiny)
	want(t, "both", cam.pub.Demand().Renditions, []media.RenditionID{tall, tiny})
	sub.Close()
	cam.clock.advance(2 * time.Second)
	want(t, "one left", cam.pub.Demand().Renditions, []media.RenditionID{tiny})
}

func TestWake(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	for _, tc := range []struct {
		name string
		do   func()
	}{
		{"a request for a keyframe", sub.RequestKey},
		{"another rendition", func() { selectRendition(t, sub, tiny) }},
		{"a pause", func() { sub.Pause(true) }},
		{"a resumption", func() { sub.Pause(false) }},
		{"a viewer who leaves", sub.Close},
	} {
		select {
		case <-cam.pub.Wake():
		default:
		}
		tc.do()
		select {
		case <-cam.pub.Wake():
		default:
			t.Errorf("%s does not wake the publisher", tc.name)
		}
	}
}

func TestPause(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	cam.send(tall, false)
	sub.Pause(true)
	want(t, "queue at once", drain(sub), []int(nil))
	cam.send(tall, false)
	want(t, "queue while paused", drain(sub), []int(nil))
	cam.clock.advance(3 * time.Second)
	want(t, "demand of a paused viewer", cam.pub.Demand(), hub.Demand{})
	sub.Pause(false)
	want(t, "demand when it resumes", cam.pub.Demand(), hub.Demand{Renditions: []media.RenditionID{tall}})
	cam.send(tall, false)
	want(t, "a delta after resuming", drain(sub), []int(nil))
	key := cam.send(tall, true)
	want(t, "a keyframe after resuming", drain(sub), []int{-int(key.Seq)})
	// Within the age that is kept, resuming needs no keyframe.
	sub.Pause(true)
	delta := cam.send(tall, false)
	sub.Pause(false)
	want(t, "after a short pause", drain(sub), []int{-int(key.Seq), int(delta.Seq)})
	want(t, "keyframes asked for", cam.pub.Demand().Keys, []media.RenditionID(nil))
}

func TestJPEG_NewestWins(t *testing.T) {
	cam, _ := watching(t, hub.Options{})
	sub := subscribe(t, cam.hub)
	selectRendition(t, sub, jpeg)
	cam.send(jpeg, true)
	cam.send(jpeg, true)
	last := cam.send(jpeg, true)
	want(t, "queue", drain(sub), []int{-int(last.Seq)})
	want(t, "dropped", sub.Dropped(), map[hub.DropReason]uint64{hub.DropReplaced: 2})
	late := subscribe(t, cam.hub)
	selectRendition(t, late, jpeg)
	want(t, "a late viewer gets the newest", drain(late), []int{-int(last.Seq)})
}

func TestPublisher_ReplacedGoesOnCounting(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	old := cam.send(tall, false)
	cam.pub.Close(media.StateRestarting, "", "Again.")
	want(t, "queue after the publisher left", drain(sub), []int(nil))
	next := newCamera(t, cam.hub, cam.clock, ladder())
	next.seq[tall] = 4_000_000_000 // numbers of its own
	if _, _, ok := next.pub.Stamp(tall, 0); ok {
		t.Error("a new publisher can send without a configuration of its own")
	}
	want(t, "demand", next.pub.Demand(), hub.Demand{Renditions: []media.RenditionID{tall}})
	key := next.send(tall, true)
	if key.Seq != old.Seq+1 {
		t.Errorf("sequence number %d after %d", key.Seq, old.Seq)
	}
	if key.Config.Generation != old.Config.Generation+1 {
		t.Errorf("generation %d after %d", key.Config.Generation, old.Config.Generation)
	}
	want(t, "queue", drain(sub), []int{-int(key.Seq)})
}

func TestSetRenditions_Removed(t *testing.T) {
	for _, tc := range []struct {
		name string
		list []media.Rendition
	}{
		{"gone", ladder()[1:]},
		{"in another codec", []media.Rendition{{ID: tall, Name: "now jpeg", Codec: media.CodecJPEG}, ladder()[1]}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cam, sub := watching(t, hub.Options{})
			version := sub.Version()
			old := cam.send(tall, false)
			cam.pub.SetRenditions(tc.list)
			view := sub.Look()
			if view.Attached || view.Version == version || !slices.Equal(view.Renditions, tc.list) {
				t.Errorf("the viewer sees %+v", view)
			}
			want(t, "queue", drain(sub), []int(nil))
			if _, _, ok := cam.pub.Stamp(tall, 99); ok {
				t.Error("the old configuration is still good")
			}
			cam.pub.Publish(old) // late: nobody gets it
			want(t, "queue after a late one", drain(sub), []int(nil))
			want(t, "demand", cam.pub.Demand(), hub.Demand{})

			cam.pub.SetRenditions(ladder())
			cam.configure(tall)
			selectRendition(t, sub, tall)
			cam.seq[tall] = 0 // it counts anew
			key := cam.send(tall, true)
			if key.Seq != old.Seq+1 || key.Config.Generation == old.Config.Generation {
				t.Errorf("came back as seq %d generation %d after %d, %d", key.Seq, key.Config.Generation, old.Seq, old.Config.Generation)
			}
			want(t, "queue when it is back", drain(sub), []int{-int(key.Seq)})
		})
	}
}

func TestSelect_UnknownRendition(t *testing.T) {
	cam, sub := watching(t, hub.Options{})
	if err := sub.Select(77); err == nil {
		t.Error("no error for a rendition that is not there")
	}
	if err := cam.pub.Configure(77, hub.Config{}, nil); err == nil {
		t.Error("no error for configuring a rendition that is not there")
	}
	want(t, "the viewer stays where it was", sub.Look().Chosen, tall)
}

func TestSubscribe_Limits(t *testing.T) {
	h, _ := newHub(hub.Options{MaxViewers: 3, MaxStreamViewers: 2})
	h.Declare("door")
	h.Declare("yard")
	if _, err := h.Subscribe("attic"); !errors.Is(err, hub.ErrNoStream) {
		t.Errorf("unknown stream: %v", err)
	}
	var subs []*hub.Subscription
	for _, tc := range []struct {
		id   media.StreamID
		want error
	}{{"door", nil}, {"door", nil}, {"door", hub.ErrFull}, {"yard", nil}, {"yard", hub.ErrFull}} {
		sub, err := h.Subscribe(tc.id)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.id, err, tc.want)
		}
		if sub != nil {
			subs = append(subs, sub)
		}
	}
	subs[0].Close()
	subs[0].Close() // twice counts once
	if _, err := h.Subscribe("yard"); err != nil {
		t.Errorf("after one left: %v", err)
	}
	if _, err := h.Subscribe("door"); !errors.Is(err, hub.ErrFull) {
		t.Errorf("closing twice freed two places: %v", err)
	}
}

func TestPublish_SecondIsRefused(t *testing.T) {
	h, _ := newHub(hub.Options{})
	first, err := h.Publish("door")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Publish("door"); !errors.Is(err, hub.ErrTaken) {
		t.Errorf("second publisher: %v", err)
	}
	first.Close(media.StateWaiting, "", "")
	second, err := h.Publish("door")
	if err != nil {
		t.Fatalf("after the first left: %v", err)
	}
	first.Close(media.StateOffline, "", "late") // must not end the second
	if _, err := h.Publish("door"); !errors.Is(err, hub.ErrTaken) {
		t.Errorf("a late Close of the first publisher ended the second: %v", err)
	}
	second.Close(media.StateWaiting, "", "")
}

func TestRelease(t *testing.T) {
	h, c := newHub(hub.Options{})
	h.Declare("kept")
	cam := newCamera(t, h, c, ladder())
	sub, err := h.Subscribe("door")
	if err != nil {
		t.Fatal(err)
	}
	cam.pub.Close(media.StateWaiting, "", "")
	if !h.Has("door") {
		t.Error("forgotten while watched")
	}
	sub.Close()
	if h.Has("door") {
		t.Error("an undeclared stream stays when nobody holds it")
	}
	if !h.Has("kept") {
		t.Error("a declared stream is forgotten")
	}
}

func TestStatus(t *testing.T) {
	h, c := newHub(hub.Options{})
	h.Declare("door")
	h.SetStatus("nowhere", media.StateLive, "", "") // unknown: nothing to do
	sub := subscribe(t, h)
	if got := sub.Look().Status; got.State != media.StateWaiting || got.Detail == "" {
		t.Errorf("a stream nobody publishes: %+v", got)
	}
	c.advance(time.Second)
	h.SetStatus("door", media.StateRestarting, "", "one")
	began := c.now()
	c.advance(time.Second)
	version := sub.Version()
	h.SetStatus("door", media.StateRestarting, "", "two")
	if got := sub.Look().Status; got != (hub.Status{State: media.StateRestarting, Detail: "two", Since: began}) {
		t.Errorf("a new detail of the same state: %+v, want it since %d", got, began)
	}
	if sub.Version() == version {
		t.Error("a new detail has the same version")
	}
	select {
	case <-sub.Ready():
	default:
		t.Error("the viewer was not woken")
	}
	version = sub.Version()
	h.SetStatus("door", media.StateRestarting, "", "two")
	if sub.Version() != version {
		t.Error("the same status again is told as news")
	}
	cam := newCamera(t, h, c, ladder())
	cam.pub.SetStatus(media.StateLive, "", "")
	h.SetStatus("door", media.StateRestarting, "", "late")
	if got := sub.Look().Status.State; got != media.StateLive {
		t.Errorf("a late word about the last publisher made it %s", got)
	}
	infos := h.Streams()
	if len(infos) != 1 || infos[0].ID != "door" || infos[0].Viewers != 1 || !slices.Equal(infos[0].Renditions, ladder()) || infos[0].Status.State != media.StateLive {
		t.Errorf("Streams: %+v", infos)
	}
}
