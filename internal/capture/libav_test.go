//go:build cgo

package capture_test

import (
	"strings"
	"testing"
	"time"

	"sightline/internal/av"
	"sightline/internal/capture"
	"sightline/internal/media"
	"sightline/internal/timestrip"
	"sightline/internal/wire"
)

func source(t testing.TB, address string) capture.Source {
	t.Helper()
	src, err := capture.ParseSource(address)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestLibav_TestPatternIsPublished(t *testing.T) {
	s := start(t, capture.Options{Source: source(t, "test:?tag=7"), Renditions: capture.DefaultRenditions(), Agent: "t"}, capture.NewLibav())
	hello := get(t, "HELLO", s.hellos)
	if hello.Source != "test" || len(hello.Renditions) != 2 || hello.Renditions[0].Width != 1280 || hello.Renditions[1].Height != 544 {
		t.Fatalf("HELLO %+v", hello)
	}
	s.state(media.StateIdle)
	asked := s.epoch.Now()
	s.want(wire.WantedRendition{ID: 1})
	config := get(t, "CONFIG", s.configs)
	if config.Codec != media.CodecH264 || config.Width != 1280 || config.Height != 720 || !strings.HasPrefix(config.CodecString, "avc1.") {
		t.Fatalf("CONFIG %+v", config)
	}
	dec, err := av.NewDecoder("h264", true)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	frame := av.NewFrame()
	defer frame.Close()
	var seq uint32
	var counter uint16
	for i := range 60 {
		u := get(t, "MEDIA", s.units)
		if i == 0 {
			t.Logf("first picture %v after WANT", u.arrived.Sub(asked))
			if !u.Key() {
				t.Fatal("the first access unit is no keyframe")
			}
		} else if u.Key() || u.DepDelta != 1 || u.Seq != seq+1 {
			t.Fatalf("access unit %d: %+v after seq %d", i, u.MediaHeader, seq)
		}
		seq = u.Seq
		if age := u.arrived.Sub(u.Capture); age < 0 || age > time.Second {
			t.Fatalf("capture time %v before arrival", age)
		}
		if err := dec.SendBytes(u.data, int64(u.Capture)); err != nil {
			t.Fatal(err)
		}
		if err := dec.Receive(frame); err != nil {
			t.Fatalf("access unit %d is not decoded at once: %v", i, err)
		}
		luma, stride := frame.Plane(0)
		strip, err := timestrip.Read(luma, stride, frame.Width(), frame.Height())
		if err != nil || strip.Tag != 7 {
			t.Fatalf("picture %d: %+v, %v", i, strip, err)
		}
		if i > 0 && strip.Counter <= counter {
			t.Fatalf("picture %d after %d", strip.Counter, counter)
		}
		counter = strip.Counter
	}
	s.state(media.StateLive)
	s.want()
	s.state(media.StateIdle)
}
