package hub_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"sightline/internal/hub"
	"sightline/internal/media"
)

// decoder checks what one viewer is given: a keyframe first, and then each delta right after what it refers to.
type decoder struct {
	t      *testing.T
	config *hub.Config
	last   uint32
	broken bool // the last one was not sent whole
}

func (d *decoder) take(au *hub.AccessUnit) {
	switch {
	case au.Key:
		// Whoever comes back to a rendition may get its last keyframe again, but never one of an older generation.
		last := d.config
		if last != nil && last != au.Config && last.Rendition.ID == au.Config.Rendition.ID && int32(au.Seq-d.last) <= 0 {
			d.t.Errorf("keyframe %d of a new configuration after %d", au.Seq, d.last)
		}
	case d.broken || au.Config != d.config || au.Seq-uint32(au.DepDelta) != d.last:
		d.t.Errorf("delta %d without its reference %d: last was %d (abandoned: %t)", au.Seq, au.Seq-uint32(au.DepDelta), d.last, d.broken)
	}
	d.config, d.last, d.broken = au.Config, au.Seq, false
}

// FuzzNoDeltaWithoutReference runs a random life of a stream, as its bytes say: one action each.
func FuzzNoDeltaWithoutReference(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		b := make([]byte, 500)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		h, c := newHub(hub.Options{QueueBudget: 100 * ms, QueueBytes: 20_000})
		h.Declare("door")
		cam := newCamera(t, h, c, ladder())
		const viewers = 3
		var subs [viewers]*hub.Subscription
		var decoders [viewers]*decoder
		for i := range subs {
			subs[i], decoders[i] = subscribe(t, h), &decoder{t: t}
		}
		ids := []media.RenditionID{tall, tiny, jpeg}
		needKey := map[media.RenditionID]bool{tall: true, tiny: true}
		for _, op := range script {
			arg := int(op >> 4)
			i, id := arg%viewers, ids[arg%len(ids)]
			switch op & 15 {
			case 0, 1, 2, 3, 4: // a picture, mostly deltas
				if cam.pub == nil {
					continue
				}
				key := id == jpeg || needKey[id] || arg == 15
				needKey[id] = false
				cam.pub.Publish(cam.unit(id, key, 100*arg+1))
			case 5, 6, 7:
				if au, _ := subs[i].Next(); au != nil {
					decoders[i].take(au)
				}
			case 8:
				c.advance(time.Duration(arg) * 10 * ms)
			case 9:
				_ = subs[i].Select(ids[arg/viewers%len(ids)]) // an error while it is not listed
			case 10:
				subs[i].Pause(arg&4 != 0)
			case 11:
				if au, _ := subs[i].Next(); au != nil {
					decoders[i].take(au)
					decoders[i].broken = true
					subs[i].Abandon(hub.DropStale)
				}
			case 12:
				switch arg % 4 {
				case 0:
					subs[i].RequestKey()
				case 1:
					subs[i].Needs(hub.Needs{CarriesBps: 1000 * arg, FrameRateMilli: 1000 * (arg & 12)})
				case 2:
					subs[i].Stills(arg&4 != 0)
				case 3:
					subs[i].Hold(arg&4 != 0)
				}
			case 13:
				if cam.pub != nil {
					cam.configure(id)
					needKey[id] = true
				}
			case 14:
				if cam.pub == nil {
					cam = newCamera(t, h, c, ladder())
				} else {
					cam.pub.Close(media.StateRestarting, "", "")
					cam.pub = nil
				}
				needKey = map[media.RenditionID]bool{tall: true, tiny: true}
			case 15:
				if cam.pub == nil {
					continue
				}
				cam.pub.SetRenditions(ladder()[1:])
				cam.pub.SetRenditions(ladder())
				delete(cam.ready, tall)
				needKey[tall] = true
				for _, key := range cam.pub.Demand().Keys {
					needKey[key] = true
				}
			}
		}
	})
}

func TestHub_ManyAtOnce(t *testing.T) {
	epoch := media.NewEpoch()
	h := hub.New(hub.Options{QueueBudget: ms}, epoch.Now)
	h.Declare("door")
	var publishers, viewers sync.WaitGroup
	done := make(chan struct{})
	publishers.Go(func() {
		for range 20 {
			pub, err := h.Publish("door")
			if err != nil {
				t.Error(err)
				return
			}
			pub.SetRenditions(ladder())
			cam := camera{t: t, hub: h, pub: pub, seq: map[media.RenditionID]uint32{}, ready: map[media.RenditionID]bool{}, clock: &clock{}}
			for n := range 200 {
				cam.clock.t.Store(int64(epoch.Now()))
				cam.send(tall, n%20 == 0)
				cam.send(tiny, n%30 == 0)
				pub.Demand()
				pub.SetStatus(media.StateLive, "", "")
			}
			pub.Close(media.StateRestarting, "", "")
		}
		close(done)
	})
	for n := range 8 {
		viewers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				sub, err := h.Subscribe("door")
				if err != nil {
					t.Error(err)
					return
				}
				d := decoder{t: t}
				var asker sync.WaitGroup
				asker.Go(func() { // the session's reader
					sub.RequestKey()
					sub.Pause(true)
					sub.Pause(false)
				})
				for i := range 50 {
					_ = sub.Select([]media.RenditionID{tall, tiny}[(n+i/10)%2]) // an error while nobody publishes
					for au, _ := sub.Next(); au != nil; au, _ = sub.Next() {
						d.take(au)
					}
					_, _ = sub.Look(), sub.Dropped()
					h.Streams()
				}
				asker.Wait()
				sub.Close()
			}
		})
	}
	publishers.Wait()
	viewers.Wait()
	if got := h.Streams()[0].Viewers; got != 0 {
		t.Errorf("%d viewers left behind", got)
	}
}

// fanOut is a camera with n viewers that take what they get.
func fanOut(t testing.TB, n int) (publish func()) {
	h, c := newHub(hub.Options{})
	cam := newCamera(t, h, c, ladder())
	var subs []*hub.Subscription
	for range n {
		sub := subscribe(t, h)
		selectRendition(t, sub, tall)
		subs = append(subs, sub)
	}
	au := cam.unit(tall, true, 1000)
	return func() {
		cam.pub.Publish(au)
		for _, sub := range subs {
			for more := true; more; {
				_, more = sub.Next()
			}
		}
	}
}

func TestFanOut_AllocatesNothing(t *testing.T) {
	publish := fanOut(t, 100)
	if n := testing.AllocsPerRun(100, publish); n != 0 {
		t.Errorf("%v allocations to bring one access unit to 100 viewers, want 0", n)
	}
}

func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(map[int]string{1: "1 viewer", 100: "100 viewers", 1000: "1000 viewers"}[n], func(b *testing.B) {
			publish := fanOut(b, n)
			b.ReportAllocs()
			for b.Loop() {
				publish()
			}
		})
	}
}
