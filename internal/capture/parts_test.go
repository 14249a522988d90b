package capture

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sightline/internal/media"
)

func TestParseSource(t *testing.T) {
	for _, tc := range []struct{ in, scheme, shown, secret string }{
		{"test:", "test", "test:", ""},
		{"TEST:?size=640x360&fps=25&tag=255", "test", "test:", ""},
		{"file:clip.mp4", "file", "file:clip.mp4", "clip.mp4"},
		{"file:///srv/a b?c%20.mp4", "file", "file:/srv/a b?c%20.mp4", "/srv/a b?c%20.mp4"},
		{"rtsp://u:hunter2@cam.lan:8554/s/1?key=hunter2", "rtsp", "rtsp://cam.lan:8554/s/1", "rtsp://u:hunter2@cam.lan:8554/s/1?key=hunter2"},
		{"rtsps://u:hunter2@[fe80::1]/s#tls-verify=no", "rtsps", "rtsps://[fe80::1]/s", "rtsps://u:hunter2@[fe80::1]/s"},
		{"http://cam/video.mjpg", "http", "http://cam/video.mjpg", "http://cam/video.mjpg"},
		{"v4l2:/dev/video0?size=1280x720&fps=29.97&format=mjpeg", "v4l2", "v4l2:/dev/video0", "/dev/video0"},
	} {
		t.Run(tc.in, func(t *testing.T) {
			s, err := ParseSource(tc.in)
			if err != nil || s.Scheme() != tc.scheme || s.String() != tc.shown || s.secret != tc.secret {
				t.Fatalf("%+v, %v", s, err)
			}
			if s.LogValue().String() != tc.shown {
				t.Fatalf("logged as %v", s.LogValue())
			}
		})
	}
	s, err := ParseSource("test:?size=640x360&fps=30000/1001&tag=9")
	if want := (testOptions{640, 360, rate{30000, 1001}, 9}); err != nil || s.test != want {
		t.Fatalf("%+v, %v, want %+v", s.test, err, want)
	}
}

func TestParseSource_Refused(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "no scheme",
		"camera.lan":                   "no scheme",
		"gopher://x":                   "unknown scheme",
		"file:":                        "needs a path",
		"file://host/x":                "needs a path",
		"test:?size=10x10":             "size 10x10",
		"test:?size=641x361":           "even numbers",
		"test:?size=99999x10":          "want width x height",
		"test:?fps=0":                  "fps",
		"test:?fps=1/0":                "fps",
		"test:?fps=nan":                "fps",
		"test:?tag=256":                "tag",
		"test:?tag=1&tag=2":            "twice",
		"test:?colour=red":             "unknown option",
		"test:size=640x360":            "behind a ?",
		"v4l2:video0":                  "needs a device",
		"v4l2:/dev/../etc/passwd":      "needs a device",
		"v4l2:/dev/video0?size=big":    "size",
		"rtsp:///x":                    "needs a host",
		"rtsp://u:hunter2%@cam/x":      "needs a host",
		"rtsp://u:hunter2@cam/x#other": "unknown option behind #",
		"rtsp://u:hunter2@cam/\nx":     "control character",
	} {
		t.Run(in, func(t *testing.T) {
			_, err := ParseSource(in)
			if !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("%v, want ErrSource with %q and no password", err, want)
			}
		})
	}
}

func FuzzParseSource(f *testing.F) {
	for _, s := range []string{"test:?size=640x360&fps=30000/1001&tag=9", "file:///x", "rtsp://u:hunter2@cam/x?y#tls-verify=no", "v4l2:/dev/video0?size=1x1", "http://[::1]:80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s, err := ParseSource(in)
		if err != nil {
			if !errors.Is(err, ErrSource) {
				t.Fatalf("%v does not wrap ErrSource", err)
			}
			return
		}
		if !strings.HasPrefix(strings.ToLower(in), s.scheme+":") || !strings.HasPrefix(s.shown, s.scheme+":") {
			t.Fatalf("scheme %q of %q", s.scheme, in)
		}
		if _, rest, ok := strings.Cut(s.shown, "://"); ok && s.scheme != "file" {
			if authority, _, _ := strings.Cut(rest, "/"); strings.Contains(authority, "@") {
				t.Fatalf("%q is shown as %q", in, s.shown)
			}
		}
		if m := s.test.rate; s.scheme == "test" && (m.milli() < 100 || m.after(1) <= 0 || m.after(1<<29) <= 0) {
			t.Fatalf("rate %+v of %q", m, in)
		}
	})
}

func TestParseRendition(t *testing.T) {
	r, err := ParseRendition("name=720p,codec=h264,height=720,fps=30,bitrate=2500000,preset=superfast")
	if err != nil || r != step(720) {
		t.Fatalf("%+v, %v, want the default %+v", r, err, step(720))
	}
	r, err = ParseRendition("name=low,codec=jpeg,fps=29.97,bitrate=100000")
	if want := (Rendition{Name: "low", Codec: media.CodecJPEG, Height: 544, FrameRateMilli: 29970, BitrateBps: 100_000, MinBitrateBps: 100_000}); err != nil || r != want {
		t.Fatalf("%+v, %v, want %+v", r, err, want)
	}
	for in, want := range map[string]string{
		"":                                   "not key=value",
		"codec=h264":                         "needs a name",
		"name=x,codec=av1":                   "codec",
		"name=x,height=tall":                 "not a whole number",
		"name=x,height=10":                   "height 10",
		"name=x,bitrate=1":                   "bitrate 1",
		"name=x,preset=placebo":              "preset",
		"name=x,codec=jpeg,preset=superfast": "leave them out",
		"name=x,codec=jpeg,encoder=auto":     "leave them out",
		"name=x,encoder=h265_nvenc":          "encoder",
		"name=x,codec=source,height=720":     "give it a name and nothing else",
		"name=x,name=y":                      "twice",
		"name=x,size=1":                      "unknown key",
		"name=x,fps=-1":                      "fps",
		"name=x,min_bitrate=9000000":         "min_bitrate",
	} {
		if _, err := ParseRendition(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

func FuzzParseRendition(f *testing.F) {
	f.Add("name=720p,codec=h264,height=720,fps=30,bitrate=2500000,preset=superfast")
	f.Add("name=x,codec=jpeg,min_bitrate=50000")
	f.Fuzz(func(t *testing.T, in string) {
		r, err := ParseRendition(in)
		if err != nil {
			return
		}
		if err := r.Validate(); err != nil {
			t.Fatalf("%q gives an invalid rendition: %v", in, err)
		}
	})
}

func TestRendition_Size(t *testing.T) {
	for _, tc := range []struct{ height, sw, sh, w, h int }{
		{720, 1280, 720, 1280, 720},
		{720, 1920, 1080, 1280, 720},
		{720, 768, 576, 768, 576},  // never larger
		{540, 1280, 720, 968, 544}, // lines divisible by 16
		{360, 1280, 720, 654, 368},
		{1080, 1920, 1080, 1920, 1080}, // the source's own size stays
		{720, 641, 481, 640, 480},      // even
		{550, 736, 552, 726, 544},      // rounded up it would be larger than the source
		{720, 1080, 1920, 406, 720},    // upright
	} {
		if w, h := (Rendition{Height: tc.height}).size(tc.sw, tc.sh); w != tc.w || h != tc.h {
			t.Errorf("%d lines of %dx%d: %dx%d, want %dx%d", tc.height, tc.sw, tc.sh, w, h, tc.w, tc.h)
		}
	}
}

func TestKeyGate(t *testing.T) {
	var g keyGate
	now := time.Now()
	if g.due(now) {
		t.Fatal("due without a request")
	}
	g.ask()
	if !g.due(now) {
		t.Fatal("the first request is not met at once")
	}
	g.made(now)
	g.ask()
	g.ask()
	if g.due(now.Add(keyInterval - 1)) {
		t.Fatal("two keyframes within the interval")
	}
	if !g.due(now.Add(keyInterval)) {
		t.Fatal("a request is forgotten")
	}
	g.made(now.Add(keyInterval))
	if g.due(now.Add(10 * keyInterval)) {
		t.Fatal("one request met twice")
	}
}

func TestBackoff(t *testing.T) {
	b := backoff{min: 100 * time.Millisecond, max: 2 * time.Second}
	for i, full := range []time.Duration{100, 200, 400, 800, 1600, 2000, 2000} {
		full *= time.Millisecond
		if got := b.next(); got < full/2 || got > full {
			t.Fatalf("wait %d is %v, want %v to %v", i, got, full/2, full)
		}
	}
	b.reset()
	if got := b.next(); got > 100*time.Millisecond {
		t.Fatalf("after reset %v", got)
	}
}

func TestSentence(t *testing.T) {
	for in, want := range map[string]string{"it broke": "It broke.", "élan": "Élan."} {
		if got := sentence(errors.New(in)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := sentence(errors.New(strings.Repeat("é", 400))); len(got) > 500 || strings.ContainsRune(got, '�') {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func TestRate_NeverDrifts(t *testing.T) {
	r := rate{30000, 1001}
	for _, n := range []int64{0, 1, 30000, 30000 * 1e6, 30000*1e6 + 1} {
		want := float64(n) * 1001 / 30000
		if got := r.after(n).Seconds(); math.Abs(got-want) > 1e-6*max(1, want*1e-6) {
			t.Errorf("%d frames take %v s, want %v", n, got, want)
		}
	}
}

type paper struct{ planes [3][]byte }

func (p *paper) Width() int                { return minTestWidth }
func (p *paper) Height() int               { return minTestHeight }
func (p *paper) Close()                    {}
func (p *paper) Plane(i int) ([]byte, int) { return p.planes[i], minTestWidth }

func newPaper(int, int) (Canvas, error) {
	p := &paper{}
	for i := range p.planes {
		p.planes[i] = make([]byte, minTestWidth*minTestHeight)
	}
	return p, nil
}

func TestTestFeed_KeepsAnAbsoluteSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 0
		f := newTestFeed(testOptions{minTestWidth, minTestHeight, rate{30000, 1001}, 0}, func(w, h int) (Canvas, error) {
			made++
			return newPaper(w, h)
		})
		defer f.Close()
		ctx := context.Background()
		var first time.Time
		for n := range int64(300) {
			p, err := f.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				first = p.At
			}
			if got, want := p.At.Sub(first), f.o.rate.after(n); got != want {
				t.Fatalf("picture %d after %v, want %v", n, got, want)
			}
			p.Release()
			time.Sleep(time.Duration(n%7) * time.Millisecond) // the caller's own time does not count
		}
		// Too late for three pictures: they are left out, and the schedule stays.
		time.Sleep(f.o.rate.after(4))
		p, err := f.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		p.Release()
		if p, err = f.Next(ctx); err != nil {
			t.Fatal(err)
		}
		if frames := p.At.Sub(first).Seconds() * 30000 / 1001; math.Abs(frames-math.Round(frames)) > 1e-4 {
			t.Fatalf("%v frames after the first", frames)
		}
		p.Release()
		// After a rest the first picture comes at once.
		wanted := make(chan struct{})
		time.AfterFunc(777*time.Millisecond, func() { close(wanted) })
		if err := f.Rest(ctx, wanted); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		if p, err = f.Next(ctx); err != nil || p.At != now {
			t.Fatalf("first picture %v after the rest, %v", p.At.Sub(now), err)
		}
		p.Release()
		if made != 1 {
			t.Fatalf("%d pictures allocated for one at a time", made)
		}
	})
}
