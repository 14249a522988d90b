//go:build cgo

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"sightline/internal/av"
	"sightline/internal/capture"
	"sightline/internal/media"
	"sightline/internal/quality"
	"sightline/internal/timestrip"
)

// point is how good one way of coding is at one bit rate.
type point struct {
	Content  string  `json:"content"` // clip, pattern or noise
	Codec    string  `json:"codec"`
	Preset   string  `json:"preset,omitempty"`
	AskedBps int     `json:"asked_bps"`
	Bps      float64 `json:"bps"` // that came out
	PSNR     float64 `json:"psnr_db"`
	SSIM     float64 `json:"ssim"`
	EncodeMS float64 `json:"encode_p50_ms"`
	Pictures int     `json:"pictures"`
}

// qualityPoints codes the clip, the test pattern and noise in every way, and ends with a line of JSON. Few is less of everything.
func qualityPoints(ctx context.Context, clip string, few bool, seed uint64, w io.Writer) error {
	count, presets := 90, []string{"ultrafast", "superfast", "veryfast", "medium"}
	rates := []int{250_000, 500_000, 1_000_000, 2_000_000, 4_000_000}
	if few {
		count, presets, rates = 20, []string{"superfast"}, []int{500_000, 2_000_000}
	}
	var points []point
	for _, content := range []string{"clip", "pattern", "noise"} {
		n := count
		if content == "noise" {
			n /= 3 // it costs the most, and each picture tells the same
		}
		frames, rateMilli, err := pictures(ctx, content, clip, n, seed)
		if err != nil {
			closeAll(frames)
			return fmt.Errorf("%s: %w", content, err)
		}
		add := func(codec media.Codec, preset string, bps int) error {
			s, err := encodeScore(frames, rateMilli, bps, codec, preset)
			if err != nil {
				return fmt.Errorf("%s at %d bit/s: %w", content, bps, err)
			}
			p := point{content, codec.String(), preset, bps, s.bps, s.psnr, s.ssim, quantile(s.encode, 50), len(frames)}
			points = append(points, p)
			_, err = fmt.Fprintf(w, "%-8s %s %-10s %5d kbit/s asked, %6.0f came: %5.2f dB, SSIM %.4f, %.1f ms\n", content, p.Codec, preset, bps/1000, p.Bps/1000, p.PSNR, p.SSIM, p.EncodeMS)
			return err
		}
		for _, bps := range rates {
			for _, preset := range presets {
				err = errors.Join(err, add(media.CodecH264, preset, bps))
			}
			err = errors.Join(err, add(media.CodecJPEG, "", 4*bps)) // what JPEG needs for the same is far more
		}
		closeAll(frames)
		if err != nil {
			return err
		}
	}
	return json.NewEncoder(w).Encode(struct {
		Points []point `json:"points"`
	}{points})
}

// pictures gives the source's own pixels.
func pictures(ctx context.Context, content, clip string, count int, seed uint64) (frames []*av.Frame, rateMilli int, err error) {
	if content == "clip" {
		return footage(ctx, clip, count)
	}
	const w, h = 1280, 720
	pattern := capture.NewTestPattern(w, h, 0)
	random := rand.New(rand.NewPCG(seed, 0)) // the same noise each time
	for n := range count {
		f, err := av.NewPicture(w, h, av.I420)
		if err != nil {
			return frames, 0, err
		}
		frames = append(frames, f)
		if content == "pattern" {
			pattern.Draw(f, int64(n), time.Unix(0, int64(n)*int64(time.Second)/30))
			continue
		}
		for i := range 3 {
			pix, stride := f.Plane(i)
			width, height := w, h
			if i > 0 {
				width, height = w/2, h/2
			}
			for y := range height {
				for x := range width {
					pix[y*stride+x] = 16 + byte(random.Uint32N(220))
				}
			}
		}
	}
	return frames, 30_000, nil
}

// receivedFigures are how good pictures of the test pattern were that a viewer got.
type receivedFigures struct {
	Pictures   int         `json:"pictures"`
	PSNR       float64     `json:"psnr_db"` // of the mean error
	SSIM       float64     `json:"ssim"`    // mean
	SSIMLeast5 float64     `json:"ssim_p5"` // one picture in twenty is worse
	Lines      map[int]int `json:"lines"`   // pictures by their lines
	Unreadable int         `json:"unreadable"`
}

// receivedSettle is how much of the beginning does not count: the viewer's network is being found out.
const receivedSettle = 5 * time.Second

// received compares the pictures in a file of H.264, of any sizes, with those of a test: source of w by h pixels that they are of, which are drawn anew from the
// time and number in their strips. Smaller pictures are compared at the source's size, as a viewer's screen enlarges them.
func received(ctx context.Context, file string, w, h int, out io.Writer) error {
	scaler, err := av.NewScaler(w, h, av.I420)
	if err != nil {
		return err
	}
	defer scaler.Close()
	source, err := av.NewPicture(w, h, av.I420)
	if err != nil {
		return err
	}
	defer source.Close()
	pattern := capture.NewTestPattern(w, h, 0)
	figures := receivedFigures{Lines: map[int]int{}}
	var began time.Time
	var mse, sum float64
	var similar []float64
	now := time.Now()
	compare := func(f *av.Frame) error {
		pix, stride := f.Plane(0)
		strip, err := timestrip.Read(pix, stride, f.Width(), f.Height())
		if err != nil {
			figures.Unreadable++
			return nil //nolint:nilerr // it is counted
		}
		taken := now.Add(-strip.Age(now))
		if began.IsZero() {
			began = taken
		}
		if taken.Sub(began) < receivedSettle {
			return nil
		}
		pattern.Draw(source, int64(strip.Counter), taken)
		shown, err := scaler.Scale(f)
		if err != nil {
			return err
		}
		psnr, err := quality.PSNR(luma(source), luma(shown))
		if err != nil {
			return err
		}
		ssim, err := quality.SSIM(luma(source), luma(shown))
		if err != nil {
			return err
		}
		mse += 255 * 255 / math.Pow(10, psnr/10)
		sum += ssim
		similar = append(similar, ssim)
		figures.Lines[f.Height()]++
		return nil
	}
	_, err = decode(ctx, file, func(f *av.Frame) (bool, error) {
		defer f.Close()
		return true, compare(f)
	})
	if err != nil {
		return err
	}
	n := len(similar)
	if n == 0 {
		return fmt.Errorf("%s: no picture with a strip that can be read after the first %s", file, receivedSettle)
	}
	slices.Sort(similar)
	figures.Pictures, figures.SSIM, figures.SSIMLeast5 = n, sum/float64(n), similar[n/20]
	figures.PSNR = 10 * math.Log10(255*255/(mse/float64(n)))
	return json.NewEncoder(out).Encode(figures)
}
