//go:build cgo

package capture_test

import (
	"testing"
	"time"

	"sightline/internal/capture"
	"sightline/internal/media"
)

// coder encodes the test pattern, one picture after the other, as fast as it can.
type coder struct {
	t    *testing.T
	feed capture.Feed
	enc  capture.Encoder
	pts  int64 // µs
}

func newCoder(t *testing.T, bitrateBps int) *coder {
	t.Helper()
	engine := capture.NewLibav()
	feed, err := engine.Open(t.Context(), source(t, "test:?size=640x360&fps=240"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(feed.Close)
	enc, err := engine.NewEncoder(capture.EncoderOptions{
		Codec: media.CodecH264, Width: 640, Height: 360, FrameRateMilli: 30_000, BitrateBps: bitrateBps, Preset: "superfast",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(enc.Close)
	return &coder{t: t, feed: feed, enc: enc}
}

// sizes are those, in bits, of the next n pictures, which are so far apart. None but the very first may be a keyframe.
func (c *coder) sizes(n int, apart time.Duration) []int {
	c.t.Helper()
	list := make([]int, n)
	for i := range list {
		p, err := c.feed.Next(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		au, key, err := c.enc.Encode(p.Image, c.pts, false)
		p.Release()
		if err != nil {
			c.t.Fatal(err)
		}
		if key != (c.pts == 0) {
			c.t.Fatalf("keyframe %t at %v", key, time.Duration(c.pts)*time.Microsecond)
		}
		list[i] = 8 * len(au)
		c.pts += apart.Microseconds()
	}
	return list
}

func mean(list []int) float64 {
	sum := 0
	for _, n := range list {
		sum += n
	}
	return float64(sum) / float64(len(list))
}

const thirtieth = time.Second / 30

func TestEncoder_ANewBitrateShowsInTheSecondPicture(t *testing.T) {
	const high, low = 4_000_000, 400_000
	c := newCoder(t, high)
	before := mean(c.sizes(90, thirtieth)[60:])
	c.enc.SetRate(low, 30_000)
	down := c.sizes(60, thirtieth)
	t.Logf("%.0f bits a picture at %d bit/s, then %v at %d", before, high, down[:4], low)
	if float64(down[1]) > before/2 {
		t.Errorf("the second picture has %d bits, want less than half of %.0f", down[1], before)
	}
	before = mean(down[30:])
	c.enc.SetRate(high, 30_000)
	up := c.sizes(10, thirtieth)
	t.Logf("%.0f bits a picture at %d bit/s, then %v at %d", before, low, up[:4], high)
	if float64(up[1]) < before*2 {
		t.Errorf("the second picture has %d bits, want more than twice %.0f", up[1], before)
	}
}

// What is skipped before the encoder leaves the others more bits: as many as the rate control's buffer, which is one of pictures, has room for.
func TestEncoder_FewerPicturesKeepTheBitrate(t *testing.T) {
	const bps = 300_000
	for _, fps := range []int{24, 15, 10, 5} {
		c := newCoder(t, bps)
		c.sizes(60, thirtieth)
		c.enc.SetRate(bps, 1000*fps)
		apart := time.Second / time.Duration(fps)
		list := c.sizes(120, apart)
		late, most := 0.0, 0.0 // bits that a network of just this bitrate has not carried yet
		for _, n := range list {
			late = max(0, late+float64(n)-bps*apart.Seconds())
			most = max(most, late)
		}
		got := mean(list[40:]) / apart.Seconds()
		t.Logf("%d a second: %.0f bit/s, at most %.2f pictures late", fps, got, most/(bps*apart.Seconds()))
		if got < 0.75*bps || got > 1.05*bps {
			t.Errorf("%d pictures a second have %.0f bit/s, want %d", fps, got, bps)
		}
		if most > 3*bps*apart.Seconds() {
			t.Errorf("%d pictures a second: %.0f bits wait, want at most three pictures of %.0f", fps, most, bps*apart.Seconds())
		}
	}
}
