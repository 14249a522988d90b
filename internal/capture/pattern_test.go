//go:build cgo

package capture

import (
	"testing"
	"time"

	"sightline/internal/av"
	"sightline/internal/media"
	"sightline/internal/timestrip"
)

func canvas(t testing.TB, w, h int) *av.Frame {
	t.Helper()
	f, err := av.NewPicture(w, h, av.I420)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func TestPattern_AnySizeAndTime(t *testing.T) {
	for _, size := range [][2]int{{minTestWidth, minTestHeight}, {640, 360}, {1280, 720}, {722, 578}, {720, 1280}, {1920, 1080}} {
		f := canvas(t, size[0], size[1])
		p := newPattern(size[0], size[1], 3)
		luma, stride := f.Plane(0)
		for _, n := range []int64{0, 1, 511, 512, 99_999, 1 << 40} {
			at := time.Now()
			p.draw(f, n, at)
			got, err := timestrip.Read(luma, stride, size[0], size[1])
			if want := timestrip.At(at, uint16(n), 3); err != nil || got != want {
				t.Fatalf("%v, picture %d: %+v, %v, want %+v", size, n, got, err, want)
			}
		}
	}
}

// The strip must be readable at the far end of a bad network: 500 kbit/s, and on a screen that shows the picture at a third of
// its size.
func TestPattern_StripSurvivesCodingAndScaling(t *testing.T) {
	const w, h, fps = 1280, 720, 30
	p := newPattern(w, h, 9)
	enc, err := Libav{}.NewEncoder(EncoderOptions{Codec: media.CodecH264, Width: w, Height: h, FrameRateMilli: fps * 1000, BitrateBps: 500_000, Preset: "ultrafast"})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	dec, err := av.NewDecoder("h264", true)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	third, err := av.NewScaler(w/3, h/3, av.I420)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	out := av.NewFrame()
	defer out.Close()
	start, bytes := time.Now(), 0
	const count = 5 * fps
	for n := range int64(count) {
		f := canvas(t, w, h)
		at := start.Add(rate{fps, 1}.after(n))
		p.draw(f, n, at)
		au, _, err := enc.Encode(f, n*1e6/fps, n == 60)
		if err != nil {
			t.Fatal(err)
		}
		bytes += len(au)
		if err := dec.SendBytes(au, n); err != nil {
			t.Fatal(err)
		}
		if err := dec.Receive(out); err != nil {
			t.Fatal(err)
		}
		small, err := third.Scale(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, shown := range []*av.Frame{out, small} {
			luma, stride := shown.Plane(0)
			got, err := timestrip.Read(luma, stride, shown.Width(), shown.Height())
			if want := timestrip.At(at, uint16(n), 9); err != nil || got != want {
				t.Fatalf("picture %d at %dx%d: %+v, %v, want %+v", n, shown.Width(), shown.Height(), got, err, want)
			}
		}
		f.Close()
	}
	if bps := bytes * 8 * fps / count; bps > 600_000 || bps < 250_000 {
		t.Fatalf("coded at %d bit/s: not the 500 kbit/s that this test is about", bps)
	}
}

func BenchmarkPattern720p(b *testing.B) {
	f := canvas(b, 1280, 720)
	p := newPattern(1280, 720, 0)
	now := time.Now()
	for n := int64(0); b.Loop(); n++ {
		p.draw(f, n, now)
	}
}

func BenchmarkNewPattern720p(b *testing.B) {
	for b.Loop() {
		newPattern(1280, 720, 0)
	}
}

func BenchmarkEncode720p(b *testing.B) {
	for _, o := range []EncoderOptions{
		{Codec: media.CodecH264, Width: 1280, Height: 720, Preset: "ultrafast"},
		{Codec: media.CodecH264, Width: 1280, Height: 720, Preset: "superfast"},
		{Codec: media.CodecH264, Width: 854, Height: 480, Preset: "superfast"},
		{Codec: media.CodecJPEG, Width: 968, Height: 544},
	} {
		b.Run(o.Codec.String()+" "+o.Preset, func(b *testing.B) {
			o.FrameRateMilli, o.BitrateBps = 30_000, 2_500_000
			enc, err := Libav{}.NewEncoder(o)
			if err != nil {
				b.Fatal(err)
			}
			defer enc.Close()
			p := newPattern(1280, 720, 0)
			frames := make([]*av.Frame, 60)
			for i := range frames {
				frames[i] = canvas(b, 1280, 720)
				p.draw(frames[i], int64(i), time.Now())
			}
			bytes := 0
			n := 0
			for ; b.Loop(); n++ {
				au, _, err := enc.Encode(frames[n%len(frames)], int64(n)*1e6/30, false)
				if err != nil {
					b.Fatal(err)
				}
				bytes += len(au)
			}
			b.ReportMetric(float64(bytes*8*30)/float64(n), "bit/s")
		})
	}
}
