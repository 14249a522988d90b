package quality_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"sightline/internal/quality"
)

// picture is a plane of smooth shapes, like a camera's.
func picture(w, h, stride int) quality.Plane {
	p := quality.Plane{Pix: make([]byte, stride*h), Stride: stride, Width: w, Height: h}
	for y := range h {
		for x := range w {
			p.Pix[y*stride+x] = byte(128 + 60*math.Sin(float64(x)/9) + 50*math.Cos(float64(y)/7))
		}
	}
	return p
}

func noisy(p quality.Plane, amplitude int, seed uint64) quality.Plane {
	r := rand.New(rand.NewPCG(seed, 1))
	q := p
	q.Pix = append([]byte(nil), p.Pix...)
	for y := range p.Height {
		for x := range p.Width {
			i := y*p.Stride + x
			q.Pix[i] = byte(min(255, max(0, int(q.Pix[i])+r.IntN(2*amplitude+1)-amplitude)))
		}
	}
	return q
}

func must(t *testing.T, f func(a, b quality.Plane) (float64, error), a, b quality.Plane) float64 {
	t.Helper()
	v, err := f(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSamePicture(t *testing.T) {
	p := picture(64, 48, 70)
	if got := must(t, quality.PSNR, p, p); got != quality.MaxPSNR {
		t.Errorf("PSNR %v, want %v", got, quality.MaxPSNR)
	}
	if got := must(t, quality.SSIM, p, p); math.Abs(got-1) > 1e-9 {
		t.Errorf("SSIM %v, want 1", got)
	}
}

func TestPSNR_OfAKnownError(t *testing.T) {
	a := picture(64, 48, 64)
	b := a
	b.Pix = append([]byte(nil), a.Pix...)
	for i := range b.Pix {
		b.Pix[i] += 5 // the picture stays below 250: MSE is 25
	}
	if got, want := must(t, quality.PSNR, a, b), 10*math.Log10(255*255/25.0); math.Abs(got-want) > 1e-9 {
		t.Errorf("PSNR %v, want %v", got, want)
	}
}

func TestMoreNoiseIsWorse(t *testing.T) {
	p := picture(160, 120, 160)
	lastPSNR, lastSSIM := math.Inf(1), math.Inf(1)
	for _, amplitude := range []int{1, 4, 16, 64} {
		q := noisy(p, amplitude, 7)
		psnr, ssim := must(t, quality.PSNR, p, q), must(t, quality.SSIM, p, q)
		if psnr >= lastPSNR || ssim >= lastSSIM {
			t.Errorf("amplitude %d: PSNR %v after %v, SSIM %v after %v", amplitude, psnr, lastPSNR, ssim, lastSSIM)
		}
		lastPSNR, lastSSIM = psnr, ssim
	}
}

func TestRefusesWhatCannotBeCompared(t *testing.T) {
	p := picture(64, 48, 64)
	small, short := picture(64, 40, 64), p
	short.Pix = short.Pix[:len(short.Pix)-1]
	for name, q := range map[string]quality.Plane{"other size": small, "too few bytes": short, "empty": {}, "stride below width": {Pix: p.Pix, Stride: 10, Width: 64, Height: 48}} {
		for _, f := range []func(a, b quality.Plane) (float64, error){quality.PSNR, quality.SSIM} {
			if _, err := f(p, q); !errors.Is(err, quality.ErrSize) {
				t.Errorf("%s: %v, want ErrSize", name, err)
			}
		}
	}
}

// TestAgreesWithFFmpeg compares with FFmpeg's psnr and ssim filters, an implementation that is not ours.
func TestAgreesWithFFmpeg(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("NOT RUN: ffmpeg is not installed, so there is nothing to compare with")
	}
	a := picture(320, 240, 320)
	for _, amplitude := range []int{2, 9, 40} {
		b := noisy(a, amplitude, uint64(amplitude))
		dir := t.TempDir()
		for name, p := range map[string]quality.Plane{"a": a, "b": b} {
			if err := os.WriteFile(filepath.Join(dir, name), p.Pix, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		raw := func(name string) []string {
			return []string{"-f", "rawvideo", "-pix_fmt", "gray", "-s", "320x240", "-i", filepath.Join(dir, name)}
		}
		figure := func(filter, pattern string) float64 {
			args := append(append([]string{"-nostdin", "-hide_banner"}, append(raw("a"), raw("b")...)...), "-lavfi", filter, "-f", "null", "-")
			out, err := exec.Command("ffmpeg", args...).CombinedOutput()
			if err != nil {
				t.Fatalf("ffmpeg: %v\n%s", err, out)
			}
			m := regexp.MustCompile(pattern).FindSubmatch(out)
			if m == nil {
				t.Fatalf("no figure in\n%s", out)
			}
			v, err := strconv.ParseFloat(string(m[1]), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		if got, want := must(t, quality.PSNR, a, b), figure("psnr", `average:([0-9.]+)`); math.Abs(got-want) > 0.001 {
			t.Errorf("amplitude %d: PSNR %v, FFmpeg has %v", amplitude, got, want)
		}
		if got, want := must(t, quality.SSIM, a, b), figure("ssim", `All:([0-9.]+)`); math.Abs(got-want) > 0.0005 {
			t.Errorf("amplitude %d: SSIM %v, FFmpeg has %v", amplitude, got, want)
		}
	}
}

func BenchmarkPSNR720p(b *testing.B) { bench(b, quality.PSNR) }
func BenchmarkSSIM720p(b *testing.B) { bench(b, quality.SSIM) }

func bench(b *testing.B, f func(a, b quality.Plane) (float64, error)) {
	p := picture(1280, 720, 1280)
	q := noisy(p, 3, 1)
	for b.Loop() {
		if _, err := f(p, q); err != nil {
			b.Fatal(err)
		}
	}
}
