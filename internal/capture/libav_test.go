//go:build cgo

package capture_test

import (
	"bytes"
	"os"
	"path/filepath"
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
	s := start(t, capture.Options{Source: source(t, "test:?tag=7"), Renditions: capture.Ladder(capture.FeedInfo{}), Agent: "t"}, capture.NewLibav())
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

// record codes count pictures of the test pattern into a raw H.264 file, numbered from 0.
func record(t *testing.T, count int) string {
	t.Helper()
	engine := capture.NewLibav()
	feed, err := engine.Open(t.Context(), source(t, "test:?size=640x360&fps=50"))
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	enc, err := engine.NewEncoder(capture.EncoderOptions{Codec: media.CodecH264, Width: 640, Height: 360, FrameRateMilli: 25_000, BitrateBps: 4_000_000, Preset: "superfast"})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	var file []byte
	for n := range count {
		p, err := feed.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		au, _, err := enc.Encode(p.Image, int64(n)*40_000, false)
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, au...)
		p.Release()
	}
	path := filepath.Join(t.TempDir(), "pattern.h264")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLibav_FileLoopsFromItsFirstPicture(t *testing.T) {
	const count = 10
	feed, err := capture.NewLibav().Open(t.Context(), source(t, "file:"+record(t, count)))
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	info := feed.Info()
	if info.Width != 640 || info.Height != 360 || info.FrameRateMilli != 25_000 {
		t.Fatalf("%+v", info)
	}
	var first time.Time
	var before uint16
	for n := range 3 * count {
		p, err := feed.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		luma, stride := p.Image.(*av.Frame).Plane(0)
		strip, err := timestrip.Read(luma, stride, 640, 360)
		if err != nil {
			t.Fatal(err)
		}
		// Each round begins with the file's first picture and leaves none out.
		if n%count == 0 && strip.Counter != 0 || n%count > 0 && strip.Counter <= before {
			t.Fatalf("picture %d shows number %d after %d", n, strip.Counter, before)
		}
		before = strip.Counter
		if n == 0 {
			first = p.At
		}
		// Never early. How late is this machine's affair, which has others.
		if d := p.At.Sub(first) - time.Duration(n)*40*time.Millisecond; d < -time.Millisecond {
			t.Fatalf("picture %d is %v early", n, -d)
		}
		p.Release()
	}
}

func TestLibav_SourceErrorsAreSentences(t *testing.T) {
	dir := t.TempDir()
	notes := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(notes, bytes.Repeat([]byte("no video at all\n"), 500), 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"file:" + dir + "/absent.mp4":     "does not exist; check the path",
		"file:" + dir:                     "is a directory; name a video file in it",
		"file:" + notes:                   "is not video that can be decoded; check that it is a video and whole",
		"rtsp://u:hunter2@127.0.0.1:1/x":  "the source rtsp://127.0.0.1:1/x does not accept connections; check address, port and whether the camera is on",
		"http://u:hunter2@127.0.0.1:1/x":  "the source http://127.0.0.1:1/x does not accept connections",
		"v4l2:/dev/sightline-no-such-one": "is not there; plug the camera in, or name another device",
	} {
		feed, err := capture.NewLibav().Open(t.Context(), source(t, address))
		if err == nil {
			feed.Close()
			t.Errorf("%s opens", address)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q and no password", address, err, want)
		}
	}
}

func TestLibav_JPEGHoldsItsBitrate(t *testing.T) {
	s := start(t, capture.Options{
		Source:     source(t, "test:?size=640x360&fps=30"),
		Renditions: []capture.Rendition{{Name: "j", Codec: media.CodecJPEG, Height: 360, FrameRateMilli: 15_000, BitrateBps: 3_000_000, MinBitrateBps: 100_000}},
	}, capture.NewLibav())
	s.want(wire.WantedRendition{ID: 1})
	var from, to unit
	bits := 0
	for n := range 45 {
		u := get(t, "MEDIA", s.units)
		if !u.Key() || u.data[0] != 0xff || u.data[1] != 0xd8 {
			t.Fatalf("%+v begins with % x", u.MediaHeader, u.data[:2])
		}
		switch {
		case n == 15:
			from = u
		case n > 15:
			to = u
			bits += 8 * len(u.data)
		}
	}
	seconds := to.Capture.Sub(from.Capture).Seconds()
	if rate := 29 / seconds; rate > 16 {
		t.Errorf("%.1f pictures a second, want at most 15", rate)
	}
	if bps := float64(bits) / 29 * 15; bps > 3_600_000 || bps < 1_000_000 {
		t.Errorf("%.0f bit/s, want about 3000000", bps)
	}
}

// What the capture process says of its own output is measured on what a viewer decodes.
func TestLibav_QualityIsReported(t *testing.T) {
	s := start(t, capture.Options{Source: source(t, "file:"+street), Renditions: []capture.Rendition{
		{Name: "h", Codec: media.CodecH264, Height: 368, BitrateBps: 1_000_000, MinBitrateBps: 50_000, Preset: "superfast"},
		{Name: "j", Codec: media.CodecJPEG, Height: 368, BitrateBps: 3_000_000, MinBitrateBps: 50_000},
	}}, capture.NewLibav())
	s.want(wire.WantedRendition{ID: 1}, wire.WantedRendition{ID: 2})
	for {
		stats := get(t, "STATS", s.stats)
		if len(stats.Renditions) < 2 || stats.Renditions[0].SSIM == 0 || stats.Renditions[1].SSIM == 0 {
			continue
		}
		for _, r := range stats.Renditions {
			t.Logf("%+v", r)
			if r.PSNR < 30 || r.PSNR > 55 || r.SSIM < 0.9 || r.SSIM >= 1 {
				t.Errorf("%+v: no quality that such a rendition can have", r)
			}
		}
		return
	}
}

// The machines that run this have no hardware encoder; where one has, what is checked is that it works.
func TestLibav_HardwareEncoderOrItsSubstitute(t *testing.T) {
	engine := capture.NewLibav()
	feed, err := engine.Open(t.Context(), source(t, "test:?size=640x360"))
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	p, err := feed.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	for _, name := range []string{"auto", "h264_nvenc", "h264_qsv", "h264_vaapi", "h264_v4l2m2m", "libx264"} {
		enc, err := engine.NewEncoder(capture.EncoderOptions{
			Codec: media.CodecH264, Width: 640, Height: 360, FrameRateMilli: 30_000, BitrateBps: 1_000_000, Preset: "superfast", Encoder: name,
		})
		if err != nil {
			t.Fatal(err)
		}
		instead := enc.(capture.Substitute).Instead()
		t.Logf("%s: %s", name, instead)
		if (name == "auto" || name == "libx264") && instead != "" || instead != "" && !strings.Contains(instead, name) {
			t.Errorf("%s: %q", name, instead)
		}
		if au, key, err := enc.Encode(p.Image, 0, false); err != nil || !key || len(au) == 0 {
			t.Errorf("%s: key %t, %d bytes, %v", name, key, len(au), err)
		}
		enc.Close()
	}
}

// A new bitrate and a lower frame rate show in the second picture after WANT at the latest, without a keyframe or a new CONFIG.
func TestLibav_WantChangesRatesWithinTwoPictures(t *testing.T) {
	s := start(t, capture.Options{Source: source(t, "test:?size=1280x720&fps=30"), Renditions: []capture.Rendition{
		{Name: "h", Codec: media.CodecH264, Height: 720, BitrateBps: 8_000_000, MinBitrateBps: 50_000, Preset: "superfast"},
	}}, capture.NewLibav())
	s.want(wire.WantedRendition{ID: 1})
	get(t, "CONFIG", s.configs)
	for range 60 {
		get(t, "MEDIA", s.units)
	}
	mean := func(n int) (bytes float64, from, to unit) {
		for i := range n {
			u := get(t, "MEDIA", s.units)
			if u.Key() {
				t.Fatalf("%+v: a keyframe", u.MediaHeader)
			}
			if i == 0 {
				from = u
			}
			to = u
			bytes += float64(len(u.data)) / float64(n)
		}
		return bytes, from, to
	}
	before, _, _ := mean(15)
	for len(s.units) > 0 { // what was coded before the server spoke
		<-s.units
	}
	s.want(wire.WantedRendition{ID: 1, BitrateBps: 800_000})
	get(t, "MEDIA", s.units)
	get(t, "MEDIA", s.units)
	after, _, _ := mean(10)
	t.Logf("%.0f bytes a picture, then %.0f", before, after)
	if after > before/2 {
		t.Errorf("%.0f bytes a picture at 8 Mbit/s, %.0f at 0.8", before, after)
	}
	s.want(wire.WantedRendition{ID: 1, BitrateBps: 800_000, MaxFrameRateMilli: 10_000})
	get(t, "MEDIA", s.units)
	get(t, "MEDIA", s.units)
	_, from, to := mean(10)
	if rate := 9 / to.Capture.Sub(from.Capture).Seconds(); rate > 10.5 {
		t.Errorf("%.1f pictures a second, want at most 10", rate)
	}
	if len(s.configs) != 0 {
		t.Error("a rate that changed made a new generation")
	}
}

// A rendition that starts beside another does not disturb it.
func TestLibav_RenditionsStartBesideOthers(t *testing.T) {
	s := start(t, capture.Options{Source: source(t, "test:?size=1280x720&fps=30")}, capture.NewLibav())
	id, hello := s.find("720p")
	small := hello.Renditions[2].ID
	s.want(wire.WantedRendition{ID: id})
	for range 10 {
		get(t, "MEDIA", s.units)
	}
	s.want(wire.WantedRendition{ID: id}, wire.WantedRendition{ID: small})
	for {
		u := get(t, "MEDIA", s.units)
		if u.Rendition == id && u.Key() {
			t.Fatal("the running rendition begins anew")
		}
		if u.Rendition == small {
			if !u.Key() {
				t.Fatalf("%+v comes first", u.MediaHeader)
			}
			return
		}
	}
}
