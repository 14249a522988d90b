package capture_test

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sightline/internal/capture"
	"sightline/internal/h264"
	"sightline/internal/media"
	"sightline/internal/wire"
)

// nativeEngine is a fakeEngine whose camera codes H.264 itself, a keyframe each gop pictures, with slice(n) as the others.
type nativeEngine struct {
	fakeEngine
	gop     int
	slice   func(n int) byte
	decodes atomic.Int64
}

func (e *nativeEngine) Open(ctx context.Context, src capture.Source) (capture.Feed, error) {
	feed, err := e.fakeEngine.Open(ctx, src)
	if err != nil {
		return nil, err
	}
	return &nativeFeed{fakeFeed: feed.(*fakeFeed), e: e}, nil
}

type nativeFeed struct {
	*fakeFeed
	e *nativeEngine
}

func (f *nativeFeed) Info() capture.FeedInfo {
	info := f.fakeFeed.Info()
	info.Native = media.CodecH264
	return info
}

func (f *nativeFeed) Headers() []byte { return nil }

func (f *nativeFeed) NextUnit(ctx context.Context, decode bool) (*capture.Unit, *capture.Picture, error) {
	p, err := f.Next(ctx)
	if err != nil {
		return nil, nil, err
	}
	n := p.Image.(*fakeImage).n - 1
	u := &capture.Unit{At: p.At}
	if n%f.e.gop == 0 {
		for _, s := range []string{"6764001eacd940a02ff97011000003000100000300320f162d96", "68ebe3cb22c0", "65888040"} {
			b, _ := hex.DecodeString(s)
			u.Data = h264.AppendUnit(u.Data, b)
		}
	} else {
		slice := byte(0xc0) // P
		if f.e.slice != nil {
			slice = f.e.slice(n)
		}
		u.Data = h264.AppendUnit(nil, []byte{0x41, slice, byte(n), 1})
	}
	if !decode {
		p.Release()
		return u, nil, nil
	}
	f.e.decodes.Add(1)
	return u, p, nil
}

func ownLadder(t *testing.T) capture.Options {
	o := cameraOptions(t)
	o.Renditions = nil
	return o
}

// find waits for a HELLO once the source is known and gives the id of a rendition by its name, 0 if it is not there.
func (s *server) find(name string) (media.RenditionID, wire.PublisherHello) {
	s.t.Helper()
	for {
		h := get(s.t, "HELLO", s.hellos)
		if h.Renditions[0].Height == 0 {
			continue
		}
		for _, r := range h.Renditions {
			if r.Name == name {
				return r.ID, h
			}
		}
		return 0, h
	}
}

func TestPassthrough_IsSentUntouchedAndNothingIsDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &nativeEngine{fakeEngine: fakeEngine{interval: interval}, gop: 25}
		s := start(t, ownLadder(t), e)
		id, hello := s.find("source")
		if id == 0 || hello.Renditions[0].Name != "source" || hello.Renditions[0].Codec != "h264" {
			t.Fatalf("HELLO %+v", hello)
		}
		s.want(wire.WantedRendition{ID: id})
		c := get(t, "CONFIG", s.configs)
		if c.Rendition != id || c.CodecString != "avc1.64001e" || c.Width != 640 || c.Height != 360 {
			t.Fatalf("CONFIG %+v", c)
		}
		for n := range 60 {
			u := get(t, "MEDIA", s.units)
			if u.Key() != (n%25 == 0) || !u.Key() && u.DepDelta != 1 {
				t.Fatalf("access unit %d: %+v", n, u.MediaHeader)
			}
			if age := u.arrived.Sub(u.Capture); age != 0 {
				t.Fatalf("age %v", age)
			}
		}
		if e.decodes.Load() != 0 || e.alive() != 0 || len(s.configs) != 0 {
			t.Fatalf("%d pictures decoded, %d encoders, %d more CONFIGs", e.decodes.Load(), e.alive(), len(s.configs))
		}
		other := hello.Renditions[2].ID
		s.want(wire.WantedRendition{ID: id}, wire.WantedRendition{ID: other})
		for get(t, "MEDIA", s.units).Rendition != other {
		}
		s.want(wire.WantedRendition{ID: id})
		time.Sleep(3 * interval)
		decoded := e.decodes.Load()
		time.Sleep(10*interval + interval/2) // between two pictures of the source
		if e.decodes.Load() != decoded || e.alive() != 0 || e.images.Load() != 0 {
			t.Fatalf("%d pictures decoded for nobody, %d encoders, %d pictures held", e.decodes.Load()-decoded, e.alive(), e.images.Load())
		}
	})
}

func TestPassthrough_KeyRequestRepeatsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &nativeEngine{fakeEngine: fakeEngine{interval: interval}, gop: 100}
		s := start(t, ownLadder(t), e)
		id, _ := s.find("source")
		s.want(wire.WantedRendition{ID: id})
		var seq uint32
		take := func() unit {
			u := get(t, "MEDIA", s.units)
			if seq != 0 && u.Seq != seq+1 {
				t.Fatalf("seq %d after %d", u.Seq, seq)
			}
			seq = u.Seq
			return u
		}
		var first unit
		for n := range 20 {
			if u := take(); n == 0 {
				first = u
			}
		}
		time.Sleep(interval / 2) // between two pictures
		for len(s.units) > 0 {
			take()
		}
		asked := s.epoch.Now()
		s.askKey(id)
		u := take()
		if !u.Key() || u.Capture != first.Capture || u.arrived != asked {
			t.Fatalf("%+v at %d after KEYREQ at %d, want the keyframe again at once", u.MediaHeader, u.arrived, asked)
		}
		for range 19 {
			if u := take(); u.Key() || u.arrived.Sub(u.Capture) > time.Second {
				t.Fatalf("%+v", u.MediaHeader)
			}
		}
		for range 10 { // a viewer who goes on asking does not make the others see it all again
			s.askKey(id)
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		for len(s.units) > 0 {
			if u := take(); u.Key() && u.arrived.Sub(u.Capture) > interval {
				t.Fatalf("%+v is sent a third time", u.MediaHeader)
			}
		}
	})
}

func TestPassthrough_BPicturesLeadToTranscoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &nativeEngine{fakeEngine: fakeEngine{interval: interval}, gop: 25, slice: func(n int) byte {
			if n >= 30 {
				return 0xa0 // B
			}
			return 0xc0
		}}
		s := start(t, ownLadder(t), e)
		id, hello := s.find("source")
		s.want(wire.WantedRendition{ID: id})
		get(t, "MEDIA", s.units)
		gone, after := s.find("source")
		if gone != 0 {
			t.Fatalf("HELLO %+v still has the source's own", after)
		}
		if after.Renditions[0].ID != hello.Renditions[1].ID || after.Renditions[0].Name != hello.Renditions[1].Name {
			t.Fatalf("HELLO %+v after %+v: ids moved", after, hello)
		}
		for !strings.Contains(s.state(media.StateLive).Detail, "B pictures, which cannot be shown without delay, so it is encoded anew.") {
		}
		s.want(wire.WantedRendition{ID: after.Renditions[0].ID})
		for get(t, "MEDIA", s.units).Rendition != after.Renditions[0].ID {
		}
	})
}

func TestPassthrough_ComesBackWithAConnectionThatIsFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bPictures atomic.Bool
		bPictures.Store(true)
		lost := make(chan struct{}, 1)
		e := &nativeEngine{fakeEngine: fakeEngine{interval: interval, nextErr: func(int) error {
			select {
			case <-lost:
				return errors.New("the camera has closed the connection")
			default:
				return nil
			}
		}}, gop: 25, slice: func(int) byte {
			if bPictures.Load() {
				return 0xa0
			}
			return 0xc0
		}}
		s := start(t, ownLadder(t), e)
		id, hello := s.find("source")
		s.want(wire.WantedRendition{ID: hello.Renditions[1].ID})
		if gone, _ := s.find("source"); gone != 0 {
			t.Fatal("B pictures are passed on")
		}
		// A connection that is no better leaves it withdrawn, and says nothing to the server meanwhile.
		lost <- struct{}{}
		time.Sleep(10 * time.Second)
		if len(s.hellos) != 0 {
			t.Fatal("the list of renditions was sent again for a source that has not changed")
		}
		bPictures.Store(false)
		lost <- struct{}{}
		back, again := s.find("source")
		if back != id {
			t.Fatalf("HELLO %+v, want rendition %d back", again, id)
		}
		for s.state(media.StateLive).Detail != "" {
		}
		s.want(wire.WantedRendition{ID: id})
		for get(t, "MEDIA", s.units).Rendition != id {
		}
	})
}

// The camera's own bitrate is no choice of ours: it is told whenever the camera is read, so that the server knows it before somebody goes there.
func TestPassthrough_BitrateIsToldBeforeItIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &nativeEngine{fakeEngine: fakeEngine{interval: interval}, gop: 25}
		s := start(t, ownLadder(t), e)
		id, hello := s.find("source")
		s.want(wire.WantedRendition{ID: hello.Renditions[1].ID})
		for {
			stats := get(t, "STATS", s.stats)
			i := slices.IndexFunc(stats.Renditions, func(r wire.RenditionStats) bool { return r.ID == id })
			if i < 0 {
				continue
			}
			// 24 units of 8 bytes and one of 45 each second.
			if r := stats.Renditions[i]; r.Encoded != 0 || r.BitrateBps < 1700 || r.BitrateBps > 2100 {
				t.Fatalf("%+v", r)
			}
			return
		}
	})
}

func TestPassthrough_RestAndReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &nativeEngine{fakeEngine: fakeEngine{interval: interval}, gop: 10}
		s := start(t, ownLadder(t), e)
		id, _ := s.find("source")
		for range 20 {
			s.want(wire.WantedRendition{ID: id})
			for !get(t, "MEDIA", s.units).Key() {
			}
			s.want()
			time.Sleep(time.Second)
			for len(s.units) > 0 {
				<-s.units
			}
		}
		if e.images.Load() != 0 || e.alive() != 0 {
			t.Fatalf("%d pictures and %d encoders left", e.images.Load(), e.alive())
		}
	})
}
