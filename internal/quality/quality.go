// Package quality compares two pictures' luma, as what a viewer sees of what a camera gave. It knows planes of 8-bit samples and
// nothing of codecs; it is pure and starts no goroutines.
package quality

import (
	"errors"
	"math"
)

// Plane is one plane of 8-bit samples: Height rows of Width samples, Stride bytes apart. It does not own Pix.
type Plane struct {
	Pix           []byte
	Stride        int
	Width, Height int
}

// ErrSize is returned for planes that cannot be compared: of different size, smaller than a window of 8 by 8, or with fewer
// bytes than their size needs.
var ErrSize = errors.New("planes of different or impossible size")

func check(a, b Plane) error {
	for _, p := range []Plane{a, b} {
		if p.Width < window || p.Height < window || p.Stride < p.Width || len(p.Pix) < p.Stride*(p.Height-1)+p.Width {
			return ErrSize
		}
	}
	if a.Width != b.Width || a.Height != b.Height {
		return ErrSize
	}
	return nil
}

// MaxPSNR is what PSNR gives for planes that are the same, in dB: the true value is without limit.
const MaxPSNR = 100

// PSNR is the peak signal-to-noise ratio in dB, 10 log10(255² / MSE), over all samples; at most MaxPSNR.
func PSNR(a, b Plane) (float64, error) {
	if err := check(a, b); err != nil {
		return 0, err
	}
	var sum uint64
	for y := range a.Height {
		ra, rb := a.Pix[y*a.Stride:][:a.Width], b.Pix[y*b.Stride:][:a.Width]
		var row uint32
		for x, v := range ra {
			d := int32(v) - int32(rb[x])
			row += uint32(d * d)
		}
		sum += uint64(row)
	}
	if sum == 0 {
		return MaxPSNR, nil
	}
	mse := float64(sum) / float64(a.Width*a.Height)
	return min(MaxPSNR, 10*math.Log10(255*255/mse)), nil
}

const (
	window = 8 // samples on a side
	step   = 4 // between windows
	n      = window * window
	// c1 and c2 are those of the definition, (0.01·255)² and (0.03·255)², scaled by n² and n·(n-1) since the sums below are not divided.
	c1 = 0.01 * 255 * 0.01 * 255 * n * n
	c2 = 0.03 * 255 * 0.03 * 255 * n * (n - 1)
)

// sums of a block of 4 by 4 samples.
type sums struct{ a, b, squares, products uint32 }

// SSIM is the structural similarity index, from -1 to 1 for the same (Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
// structural similarity", IEEE Trans. Image Processing 13(4), 2004, equation 13), as the mean over uniform windows of 8 by 8 samples
// every 4 samples in both directions: the form that x264's and FFmpeg's figures have.
func SSIM(a, b Plane) (float64, error) {
	if err := check(a, b); err != nil {
		return 0, err
	}
	columns, rows := a.Width/step, a.Height/step
	above, below := make([]sums, columns), make([]sums, columns)
	blockRow(above, a, b, 0)
	var total float64
	for y := 1; y < rows; y++ {
		blockRow(below, a, b, y)
		for x := 1; x < columns; x++ {
			total += similarity(above[x-1], above[x], below[x-1], below[x])
		}
		above, below = below, above
	}
	return total / float64((rows-1)*(columns-1)), nil
}

func blockRow(out []sums, a, b Plane, y int) {
	for x := range out {
		var s sums
		for dy := range step {
			ra := a.Pix[(y*step+dy)*a.Stride+x*step:][:step]
			rb := b.Pix[(y*step+dy)*b.Stride+x*step:][:step]
			for i, v := range ra {
				va, vb := uint32(v), uint32(rb[i])
				s.a += va
				s.b += vb
				s.squares += va*va + vb*vb
				s.products += va * vb
			}
		}
		out[x] = s
	}
}

// similarity is the index of one window, from the sums of its four blocks.
func similarity(blocks ...sums) float64 {
	var s sums
	for _, k := range blocks {
		s.a += k.a
		s.b += k.b
		s.squares += k.squares
		s.products += k.products
	}
	fa, fb := float64(s.a), float64(s.b)
	variances := float64(s.squares)*n - fa*fa - fb*fb
	covariance := float64(s.products)*n - fa*fb
	return (2*fa*fb + c1) * (2*covariance + c2) / ((fa*fa + fb*fb + c1) * (variances + c2))
}
