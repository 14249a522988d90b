package viewer_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/viewer"
	"sightline/internal/wire"
)

// feedback acknowledges access unit seq of rendition id and everything before it, which arrived at t.
func (p *player) feedback(id media.RenditionID, seq, received uint32, t media.Timestamp) {
	p.t.Helper()
	p.send(wire.AppendFeedback(nil, wire.Feedback{Rendition: id, Seq: seq, Arrival: t, Received: received}))
}

// received counts the bytes of all that the session sent, from the first on. Read it while the session waits.
type received struct{ n uint32 }

func (r *received) count(p *player) {
	p.onWrite(func(b []byte) { r.n += uint32(len(b)) })
}

// onWrite has f see each message before it is taken.
func (p *player) onWrite(f func([]byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before = f
}

func TestServe_AFullWindowSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		var got received
		got.count(p)
		p.send(hello("h264"))
		p.publish(1, true, 0, 100_000)
		p.publish(1, false, 1, 20_000)
		p.take()
		p.publish(1, false, 2, 10)
		p.publish(1, false, 3, 10)
		p.expect("with 120 kB on the way and no word from the viewer")
		p.feedback(1, 0, got.n-20_000, p.epoch.Now())
		p.expect("when the viewer has the keyframe", "delta 2", "delta 3")
		p.leave()
	})
}

func TestServe_WhileTheWindowIsFullNoKeyframeIsWasted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		var got received
		got.count(p)
		p.send(hello("h264"))
		p.pub.Demand()
		p.publish(1, true, 0, 100_000)
		p.publish(1, false, 1, 20_000)
		p.take()
		for seq := range uint32(30) {
			time.Sleep(33 * time.Millisecond)
			p.publish(1, false, 2+seq, 10)
		}
		if keys := p.pub.Demand().Keys; len(keys) != 0 {
			t.Errorf("keyframes asked for: %v", keys)
		}
		p.feedback(1, 1, got.n, p.epoch.Now())
		if keys := p.pub.Demand().Keys; len(keys) != 1 {
			t.Errorf("keyframes asked for when there is room again: %v", keys)
		}
		p.publish(1, false, 32, 10)
		p.publish(1, true, 33, 10)
		if got := strings.Join(p.take(), "; "); !strings.Contains(got, "key 33") || strings.Contains(got, "delta") {
			t.Errorf("then: %s", got)
		}
		p.leave()
	})
}

// link acknowledges what the session sends as a link of bps would deliver it, 20 ms away, and publishes what is wanted
// of the renditions at 30 pictures a second meanwhile, each of so many bytes as it is to be encoded at. JPEGs are all of a
// size.
type link struct {
	p    *player
	seq  uint32 // of all renditions' next picture
	need map[media.RenditionID]bool

	mu      sync.Mutex // the session writes while run reads
	answers []answer
}

// answer is a FEEDBACK on its way.
type answer struct {
	at media.Timestamp
	b  []byte
}

func slowLink(p *player, bps float64) *link {
	l := &link{p: p, need: map[media.RenditionID]bool{}}
	var free media.Timestamp
	total := uint32(0)
	p.onWrite(func(b []byte) {
		l.mu.Lock()
		defer l.mu.Unlock()
		total += uint32(len(b))
		free = max(free, p.epoch.Now()).Add(time.Duration(float64(len(b)) * 8 / bps * 1e9))
		if wire.Type(b[0]) != wire.TypeMedia {
			return
		}
		h, _, err := wire.ParseMedia(b)
		if err != nil {
			p.t.Error(err)
		}
		if h.ChunkIndex+1 == h.ChunkCount {
			arrives := free.Add(20 * time.Millisecond)
			l.answers = append(l.answers, answer{arrives.Add(20 * time.Millisecond), wire.AppendFeedback(nil, wire.Feedback{
				Rendition: h.Rendition, Seq: h.Seq, Arrival: arrives, Received: total, ClockError: 20_000,
			})})
		}
	})
	return l
}

// due takes the oldest answer that has come; nil if none has.
func (l *link) due() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.answers) == 0 || l.answers[0].at > l.p.epoch.Now() {
		return nil
	}
	b := l.answers[0].b
	l.answers = l.answers[1:]
	return b
}

func (l *link) run(d time.Duration) {
	p := l.p
	for range int(d / (33 * time.Millisecond)) {
		demand := p.pub.Demand()
		for _, id := range demand.Keys {
			l.need[id] = true
		}
		for _, id := range demand.Renditions {
			if id == jpeg {
				p.publish(id, true, l.seq, jpegBps/8/30)
				continue
			}
			rate := demand.Targets[id]
			if rate == 0 {
				rate = ranged()[id-1].MaxBitrateBps
			}
			n, key := rate/8/30, l.seq == 0 || l.need[id]
			if key {
				n *= 3
			}
			l.need[id] = false
			p.publish(id, key, l.seq, n)
		}
		l.seq++
		for end := p.epoch.Now().Add(33 * time.Millisecond); p.epoch.Now() < end; time.Sleep(time.Millisecond) {
			for b := l.due(); b != nil; b = l.due() {
				p.send(b)
			}
			synctest.Wait()
		}
	}
}

// jpeg is a camera's own MJPEG, which comes to jpegBps.
const jpeg media.RenditionID = 3

const jpegBps = 6_000_000

// ranged is a ladder with ranges.
func ranged() []media.Rendition {
	return []media.Rendition{
		{ID: 1, Name: "720p", Codec: media.CodecH264, Height: 720, MinBitrateBps: 150_000, MaxBitrateBps: 2_500_000},
		{ID: 2, Name: "368p", Codec: media.CodecH264, Height: 368, MinBitrateBps: 100_000, MaxBitrateBps: 900_000},
	}
}

func TestServe_TheEncoderFollowsTheViewersNetwork(t *testing.T) {
	for _, tc := range []struct {
		name        string
		bps         float64
		rendition   media.RenditionID
		least, most int // of the target
	}{
		{"a good network", 20e6, 1, 0, 0},
		{"1 Mbit/s", 1e6, 1, 600_000, 1_100_000},
		{"300 kbit/s is better spent on fewer lines", 300e3, 2, 170_000, 350_000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := connect(t, viewer.Options{})
				p.pub.SetRenditions(ranged())
				p.send(hello("h264"))
				link := slowLink(p, tc.bps)
				link.run(8 * time.Second)
				p.take()
				link.run(2 * time.Second)
				d := p.pub.Demand()
				if len(d.Renditions) != 1 || d.Renditions[0] != tc.rendition {
					t.Fatalf("encoded are %v, want %d", d.Renditions, tc.rendition)
				}
				if got := d.Targets[tc.rendition]; got < tc.least || got > tc.most {
					t.Errorf("target %d bit/s, want %d to %d", got, tc.least, tc.most)
				}
				pictures := 0
				for _, word := range p.take() {
					if strings.HasPrefix(word, "key") || strings.HasPrefix(word, "delta") {
						pictures++
					}
				}
				if pictures < 50 {
					t.Errorf("%d pictures in 2 s", pictures)
				}
				p.leave()
			})
		})
	}
}

func TestServe_AStarvedViewerGetsStillsAndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.pub.SetRenditions(ranged())
		p.send(hello("h264"))
		link := slowLink(p, 64e3)
		link.run(12 * time.Second)
		got := strings.Join(p.take(), "; ")
		if !strings.Contains(got, "still pictures") {
			t.Errorf("the viewer was not told: %s", got)
		}
		link.run(8 * time.Second)
		keys, deltas := 0, 0
		for _, word := range p.take() {
			switch {
			case strings.HasPrefix(word, "key"):
				keys++
			case strings.HasPrefix(word, "delta"):
				deltas++
			}
		}
		if keys < 2 || deltas > 0 {
			t.Errorf("%d keyframes and %d deltas in 8 s, want keyframes alone, and some", keys, deltas)
		}
		p.leave()
	})
}

func TestServe_TheViewerIsToldWhatLimitsIt(t *testing.T) {
	for _, tc := range []struct {
		name        string
		bps         float64
		limit       wire.Limit
		least, most int // of what the network carries
		stills      bool
	}{
		{"a good network", 20e6, wire.LimitNone, 0, 0, false},
		{"1 Mbit/s", 1e6, wire.LimitNetwork, 600_000, 1_100_000, false},
		{"64 kbit/s", 64e3, wire.LimitNetwork, 20_000, 80_000, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := connect(t, viewer.Options{})
				p.pub.SetRenditions(ranged())
				p.send(hello("h264"))
				link := slowLink(p, tc.bps)
				link.run(10 * time.Second)
				s := p.status()
				if s.Limit != tc.limit || s.CarriesBps < tc.least || s.CarriesBps > tc.most || s.Stills != tc.stills {
					t.Errorf("limit %q, carries %d bit/s, stills %t; want %q, %d to %d, %t",
						s.Limit, s.CarriesBps, s.Stills, tc.limit, tc.least, tc.most, tc.stills)
				}
				statuses := 0
				for _, word := range p.take() {
					if strings.HasPrefix(word, "status") {
						statuses++
					}
				}
				if statuses > 25 {
					t.Errorf("%d STATUS in 10 s", statuses)
				}
				p.leave()
			})
		})
	}
}

func TestServe_Preferences(t *testing.T) {
	for _, tc := range []struct {
		name        string
		prefer      wire.Preference
		bps         float64
		rendition   media.RenditionID
		stills      bool
		least, most int // of the target; 0 for none
		frameRate   int
	}{
		{"the most lines", wire.PreferHigh, 300e3, 1, false, 150_000, 350_000, 0},
		{"the most lines, as stills", wire.PreferHigh, 100e3, 1, true, 150_000, 150_000, 0},
		{"the fewest lines", wire.PreferLow, 20e6, 2, false, 0, 0, 0},
		{"the fewest bytes", wire.PreferSaver, 20e6, 2, false, 100_000, 100_000, 10_000},
		{"detail where there is room", wire.PreferDetail, 20e6, 1, false, 0, 0, 0},
		{"detail in half the pictures", wire.PreferDetail, 1.1e6, 1, false, 800_000, 1_200_000, 15_000},
		{"motion in fewer lines", wire.PreferMotion, 1.1e6, 2, false, 0, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := connect(t, viewer.Options{})
				p.pub.SetRenditions(ranged())
				p.send(hello("h264"), ctrl(wire.CtrlPrefer, uint16(tc.prefer)))
				link := slowLink(p, tc.bps)
				link.run(15 * time.Second)
				if s := p.status(); s.Rendition != tc.rendition || s.Stills != tc.stills {
					t.Errorf("rendition %d, stills %t; want %d, %t", s.Rendition, s.Stills, tc.rendition, tc.stills)
				}
				d := p.pub.Demand()
				if got := d.Targets[tc.rendition]; got < tc.least || got > tc.most {
					t.Errorf("target %d bit/s, want %d to %d", got, tc.least, tc.most)
				}
				if got := d.FrameRates[tc.rendition]; got != tc.frameRate {
					t.Errorf("%d pictures in 1000 s are asked for, want %d", got, tc.frameRate)
				}
				p.send(ctrl(wire.CtrlPrefer, uint16(wire.PreferAuto)))
				if tc.bps > 10e6 {
					if s := p.status(); s.Rendition != 1 {
						t.Errorf("rendition %d when nothing is preferred any more", s.Rendition)
					}
				}
				p.leave()
			})
		})
	}
}

func TestServe_AThirdOfTheJPEGsEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.pub.SetRenditions([]media.Rendition{{ID: jpeg, Name: "mjpeg", Codec: media.CodecJPEG, Height: 720, FrameRateMilli: 30_000}})
		p.send(hello("jpeg"))
		link := slowLink(p, 2.6e6)
		link.run(20 * time.Second)
		p.take()
		link.run(10 * time.Second)
		if s := p.status(); s.Limit != wire.LimitNetwork || s.CarriesBps > 3_500_000 {
			t.Errorf("limit %q, carries %d bit/s", s.Limit, s.CarriesBps)
		}
		var seqs []int
		for _, word := range p.take() {
			var n, chunk, chunks int
			if got, _ := fmt.Sscanf(word, "key %d %d/%d", &n, &chunk, &chunks); got == 3 && chunk == 1 {
				seqs = append(seqs, n)
			}
		}
		uneven := 0
		for i := 2; i < len(seqs); i++ {
			if seqs[i]-seqs[i-1] != seqs[i-1]-seqs[i-2] {
				uneven++
			}
		}
		if len(seqs) < 70 || len(seqs) > 110 || uneven > 10 {
			t.Errorf("%d of 300 pictures, the distance between two changed %d times; want a third, evenly: %v", len(seqs), uneven, seqs)
		}
		if rates := p.pub.Demand().FrameRates[jpeg]; rates > 10_000 || rates < 7_000 {
			t.Errorf("%d pictures in 1000 s are asked for", rates)
		}
		p.leave()
	})
}

func TestServe_AViewerWhomOthersLimitIsToldWhenTheyComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.pub.SetRenditions(ranged()[:1])
		p.send(hello("h264"))
		link := slowLink(p, 20e6)
		link.run(3 * time.Second)
		var others []*hub.Subscription
		for range 2 { // the better half of three
			other, err := p.hub.Subscribe("door")
			if err != nil {
				t.Fatal(err)
			}
			if err := other.Select(1); err != nil {
				t.Fatal(err)
			}
			other.Hold(true) // nobody takes what it gets
			other.Needs(hub.Needs{CarriesBps: 1_000_000})
			others = append(others, other)
		}
		link.run(2 * time.Second)
		if s := p.status(); s.Limit != wire.LimitShared {
			t.Errorf("limit %q while others have it lowered", s.Limit)
		}
		for _, other := range others {
			other.Close()
		}
		link.run(2 * time.Second)
		if s := p.status(); s.Limit != wire.LimitNone {
			t.Errorf("limit %q when they have left", s.Limit)
		}
		p.leave()
	})
}

func TestServe_AWeakViewerOfTheSmallestLowersNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, viewer.Options{})
		p.pub.SetRenditions(ranged())
		other, err := p.hub.Subscribe("door")
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Select(2); err != nil {
			t.Fatal(err)
		}
		other.Hold(true) // nobody takes what it gets
		p.send(hello("h264"))
		link := slowLink(p, 300e3)
		link.run(12 * time.Second)
		if s := p.status(); s.Rendition != 2 || !s.Stills {
			t.Errorf("rendition %d, stills %t; want stills of the smallest", s.Rendition, s.Stills)
		}
		if got, lowered := p.pub.Demand().Targets[2]; lowered {
			t.Errorf("the others get %d bit/s", got)
		}
		p.take()
		link.run(8 * time.Second)
		if pictures := strings.Count(strings.Join(p.take(), "; "), "key"); pictures < 3 || pictures > 5 {
			t.Errorf("%d stills in 8 s, want one in two", pictures)
		}
		other.Close()
		link.run(12 * time.Second)
		if s := p.status(); s.Stills {
			t.Error("still pictures though it is alone now")
		}
		p.leave()
	})
}
