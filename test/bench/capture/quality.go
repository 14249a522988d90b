//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"sightline/internal/av"
	"sightline/internal/capture"
	"sightline/internal/media"
	"sightline/internal/quality"
)

// footage decodes the first pictures of a file.
func footage(ctx context.Context, path string, count int) (frames []*av.Frame, rateMilli int, err error) {
	rateMilli, err = decode(ctx, path, func(f *av.Frame) (bool, error) {
		frames = append(frames, f)
		return len(frames) < count, nil
	})
	return frames, rateMilli, err
}

// decode decodes a file and gives each picture to take, which closes it and says whether it takes more.
func decode(ctx context.Context, path string, take func(*av.Frame) (bool, error)) (rateMilli int, err error) {
	in, err := av.OpenInput(ctx, "file:"+path, av.InputOptions{})
	if err != nil {
		return 0, err
	}
	defer in.Close()
	dec, err := in.NewDecoder(false)
	if err != nil {
		return 0, err
	}
	defer dec.Close()
	packet := av.NewPacket()
	defer packet.Close()
	v := in.Video()
	rateMilli = v.RateNum * 1000 / v.RateDen
	for {
		f := av.NewFrame()
		if err := dec.Receive(f); err == nil {
			if more, err := take(f); err != nil || !more {
				return rateMilli, err
			}
			continue
		}
		f.Close()
		if err := in.Read(packet, 0); errors.Is(err, av.ErrEOF) {
			return rateMilli, nil
		} else if err != nil {
			return rateMilli, err
		}
		if err := dec.Send(packet); err != nil {
			return rateMilli, err
		}
	}
}

func closeAll(frames []*av.Frame) {
	for _, f := range frames {
		f.Close()
	}
}

// score is the mean over all pictures: of SSIM, and of the error for PSNR, as FFmpeg's filters have it.
type score struct {
	ssim, psnr float64
	encode     []time.Duration
	bps        float64
}

// encodeScore encodes the footage as the capture process would and decodes it again.
func encodeScore(frames []*av.Frame, rateMilli, bitrate int, codec media.Codec, preset string) (score, error) {
	engine := capture.NewLibav()
	w, h := frames[0].Width(), frames[0].Height()
	enc, err := engine.NewEncoder(capture.EncoderOptions{
		Codec: codec, Width: w, Height: h, FrameRateMilli: rateMilli, BitrateBps: bitrate, Preset: preset,
	})
	if err != nil {
		return score{}, err
	}
	defer enc.Close()
	dec, err := engine.NewDecoder(codec)
	if err != nil {
		return score{}, err
	}
	defer dec.Close()
	scaler, err := av.NewScaler(w, h, av.I420) // JPEG's luma uses the full range, the sources' does not
	if err != nil {
		return score{}, err
	}
	defer scaler.Close()
	var s score
	var mse float64
	bits := 0
	for i, f := range frames {
		began := time.Now()
		au, _, err := enc.Encode(f, int64(i)*1e9/int64(rateMilli), false)
		if err != nil {
			return score{}, err
		}
		s.encode = append(s.encode, time.Since(began))
		bits += 8 * len(au)
		shown, err := dec.Decode(au)
		if err != nil {
			return score{}, err
		}
		same, err := scaler.Scale(shown.(*av.Frame))
		if err != nil {
			return score{}, err
		}
		a, b := luma(f), luma(same)
		psnr, err := quality.PSNR(a, b)
		if err != nil {
			return score{}, err
		}
		ssim, err := quality.SSIM(a, b)
		if err != nil {
			return score{}, err
		}
		mse += 255 * 255 / math.Pow(10, psnr/10)
		s.ssim += ssim
	}
	n := float64(len(frames))
	s.ssim /= n
	s.psnr = 10 * math.Log10(255*255/(mse/n))
	s.bps = float64(bits) * float64(rateMilli) / 1000 / n
	return s, nil
}

func luma(c capture.Canvas) quality.Plane {
	pix, stride := c.Plane(0)
	return quality.Plane{Pix: pix, Stride: stride, Width: c.Width(), Height: c.Height()}
}

// quality is that of the default preset at 1 Mbit/s on the street footage at its own rate.
func (b *bench) quality(ctx context.Context) error {
	frames, rateMilli, err := footage(ctx, b.clip, 300)
	defer closeAll(frames)
	if err != nil {
		return err
	}
	s, err := encodeScore(frames, rateMilli, 1_000_000, media.CodecH264, "superfast")
	if err != nil {
		return err
	}
	fmt.Printf("  %d pictures at %.0f kbit/s\n", len(frames), s.bps/1000)
	b.set("ssim_1mbit", s.ssim)
	b.set("psnr_1mbit", s.psnr)
	return nil
}

// presetTable writes quality against bitrate for each preset, as a table for docs/capture.md.
func presetTable(ctx context.Context, clip string, w io.Writer) error {
	frames, rateMilli, err := footage(ctx, clip, 150)
	defer closeAll(frames)
	if err != nil {
		return err
	}
	rates := []int{250_000, 500_000, 1_000_000, 2_000_000}
	head, rule := "| preset | median encode |", "|---|---|"
	for _, r := range rates {
		head += fmt.Sprintf(" %d kbit/s |", r/1000)
		rule += "---|"
	}
	if _, err := fmt.Fprintln(w, head+"\n"+rule); err != nil {
		return err
	}
	for _, preset := range []string{"ultrafast", "superfast", "veryfast", "faster", "medium"} {
		cells := ""
		var times []time.Duration
		for _, r := range rates {
			s, err := encodeScore(frames, rateMilli, r, media.CodecH264, preset)
			if err != nil {
				return err
			}
			cells += fmt.Sprintf(" %.3f, %.1f dB |", s.ssim, s.psnr)
			times = append(times, s.encode...)
		}
		if _, err := fmt.Fprintf(w, "| `%s` | %.1f ms |%s\n", preset, quantile(times, 50), cells); err != nil {
			return err
		}
	}
	return nil
}
