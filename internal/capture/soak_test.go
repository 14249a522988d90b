//go:build cgo

package capture_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"sightline/internal/av"
	"sightline/internal/capture"
	"sightline/internal/media"
	"sightline/internal/wire"
)

// resident is this process's memory in bytes, without that of files.
func resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Skip("memory is not told here")
	}
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Anonymous:" {
			kib, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no Anonymous line")
	return 0
}

// Many more, of the real program, are "make soak-capture". A leak of an encoder, a scaler or a decoder would be half a megabyte each time, one of a picture 0.1.
func TestSoak_StartsAndStopsLeaveNothing(t *testing.T) {
	s := start(t, capture.Options{Source: source(t, "test:?size=320x180&fps=240"), Renditions: []capture.Rendition{
		{Name: "h", Codec: media.CodecH264, Height: 180, BitrateBps: 500_000, MinBitrateBps: 50_000, Preset: "ultrafast"},
		{Name: "l", Codec: media.CodecH264, Height: 96, BitrateBps: 300_000, MinBitrateBps: 50_000, Preset: "ultrafast"},
	}}, capture.NewLibav())
	cycle := func() {
		s.want(wire.WantedRendition{ID: 1})
		get(t, "CONFIG", s.configs)
		s.want(wire.WantedRendition{ID: 2})
		get(t, "CONFIG", s.configs)
		for len(s.units) > 0 {
			<-s.units
		}
		for len(s.statuses) > 0 {
			<-s.statuses
		}
	}
	for range 100 {
		cycle()
	}
	const count = 500
	before := resident(t)
	for range count {
		cycle()
	}
	grown := resident(t) - before
	t.Logf("%d starts and stops: %d KiB", 2*count, grown>>10)
	if grown > 16<<20 {
		t.Fatalf("%d starts and stops left %d KiB behind", 2*count, grown>>10)
	}
}

func TestSoak_ReconnectsLeaveNothing(t *testing.T) {
	engine := capture.NewLibav()
	camera := jpegCamera(t)
	cycle := func() {
		for _, address := range []string{"file:" + street, camera + "/video.mjpg"} {
			feed, err := engine.Open(t.Context(), source(t, address))
			if err != nil {
				t.Fatal(err)
			}
			u, p, err := feed.(capture.Native).NextUnit(t.Context(), true)
			if err != nil || u == nil || p == nil || p.Image.(*av.Frame).Width() == 0 {
				t.Fatalf("%v, %v, %v", u, p, err)
			}
			p.Release()
			feed.Close()
		}
	}
	for range 20 {
		cycle()
	}
	const count = 100
	before := resident(t)
	for range count {
		cycle()
	}
	grown := resident(t) - before
	t.Logf("%d reconnects: %d KiB", 2*count, grown>>10)
	if grown > 16<<20 {
		t.Fatalf("%d reconnects left %d KiB behind", 2*count, grown>>10)
	}
}
