package capture

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
	"os"

	"golang.org/x/image/tiff"
)

// maxStillFile is the largest file that is read as a still, in bytes: 33 million pixels of 16 bit in four channels, uncompressed.
const maxStillFile = 8*maxStill + 1<<20

// pixels is a decoded still: one block of 8-bit pixels, and FFmpeg's name of their format.
type pixels struct {
	format        string // gray, rgba, or one of yuvj420p, yuvj422p and yuvj444p
	width, height int
	data          []byte
}

// decodeStill reads one JPEG, PNG or TIFF by its content, whatever its name. Its size is looked at before any memory is asked for it.
// The decoders are Go's, in which a broken file is an error and no more.
func decodeStill(path string, win window) (pixels, error) {
	f, err := os.Open(path)
	if err != nil {
		return pixels{}, err
	}
	defer func() { _ = f.Close() }() // only read
	if info, err := f.Stat(); err != nil {
		return pixels{}, err
	} else if info.Size() > maxStillFile {
		return pixels{}, fmt.Errorf("%d bytes are more than the %d that are taken", info.Size(), int64(maxStillFile))
	}
	return decodePixels(f, win)
}

func decodePixels(f io.ReadSeeker, win window) (pixels, error) {
	config, decode, err := sniff(f)
	if err != nil {
		return pixels{}, err
	}
	if config.Width < minSourceSide || config.Height < minSourceSide {
		return pixels{}, fmt.Errorf("%dx%d pixels, at least %dx%d are needed", config.Width, config.Height, minSourceSide, minSourceSide)
	}
	if config.Width > maxStill/config.Height {
		return pixels{}, fmt.Errorf("%dx%d pixels are more than the %d that are taken", config.Width, config.Height, maxStill)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return pixels{}, err
	}
	img, err := decode(f)
	if err != nil {
		return pixels{}, err
	}
	return flatten(img, win), nil
}

// errNoStill is the error of a file that is none of the formats known.
var errNoStill = errors.New("neither JPEG nor PNG nor TIFF")

func sniff(f io.ReadSeeker) (image.Config, func(io.Reader) (image.Image, error), error) {
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil {
		return image.Config{}, nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return image.Config{}, nil, err
	}
	switch string(magic[:]) {
	case "\x89PNG":
		c, err := png.DecodeConfig(bufio.NewReader(f))
		return c, func(r io.Reader) (image.Image, error) { return png.Decode(bufio.NewReader(r)) }, err
	case "II*\x00", "MM\x00*":
		c, err := tiff.DecodeConfig(f)
		return c, tiff.Decode, err
	}
	if magic[0] == 0xff && magic[1] == 0xd8 {
		c, err := jpeg.DecodeConfig(bufio.NewReader(f))
		return c, func(r io.Reader) (image.Image, error) { return jpeg.Decode(bufio.NewReader(r)) }, err
	}
	return image.Config{}, nil, errNoStill
}

// flatten makes 8-bit pixels of any image: grey through the window, JPEG's planes as they are, everything else as RGB over black.
func flatten(img image.Image, win window) pixels {
	b := img.Bounds()
	p := pixels{width: b.Dx(), height: b.Dy()}
	switch img := img.(type) {
	case *image.Gray16:
		p.format, p.data = "gray", grey16(img, win)
	case *image.Gray:
		p.format, p.data = "gray", grey8(img, win)
	case *image.YCbCr:
		if format, ok := planar(img.SubsampleRatio); ok {
			p.format, p.data = format, planes(img)
			return p
		}
		p.format, p.data = "rgba", rgb(img)
	default:
		p.format, p.data = "rgba", rgb(img)
	}
	return p
}

func rgb(img image.Image) []byte {
	b := img.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(out, out.Rect, image.NewUniform(color.Black), image.Point{}, draw.Src)
	draw.Draw(out, out.Rect, img, b.Min, draw.Over)
	return out.Pix
}

func grey8(img *image.Gray, win window) []byte {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out := make([]byte, 0, w*h)
	for y := range h {
		out = append(out, img.Pix[y*img.Stride:y*img.Stride+w]...)
	}
	if win.width > 0 { // 8 bits are shown as they are unless one asks for a window
		table := win.table(255)
		for i, v := range out {
			out[i] = table[v]
		}
	}
	return out
}

func grey16(img *image.Gray16, win window) []byte {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	value := func(row []byte, x int) int { return int(row[2*x])<<8 | int(row[2*x+1]) }
	low, high := 65535, 0
	for y := 0; y < h && win.width == 0; y++ {
		row := img.Pix[y*img.Stride:]
		for x := range w {
			v := value(row, x)
			low, high = min(low, v), max(high, v)
		}
	}
	var table []byte
	if win.width > 0 {
		table = win.table(65535)
	} else {
		table = spread(low, high, 65535)
	}
	out := make([]byte, w*h)
	for y := range h {
		row := img.Pix[y*img.Stride:]
		for x := range w {
			out[y*w+x] = table[value(row, x)]
		}
	}
	return out
}

func planar(r image.YCbCrSubsampleRatio) (string, bool) {
	switch r {
	case image.YCbCrSubsampleRatio420:
		return "yuvj420p", true
	case image.YCbCrSubsampleRatio422:
		return "yuvj422p", true
	case image.YCbCrSubsampleRatio444:
		return "yuvj444p", true
	}
	return "", false
}

// planes puts the planes one after the other.
func planes(img *image.YCbCr) []byte {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	cw, ch := w, h
	if img.SubsampleRatio != image.YCbCrSubsampleRatio444 {
		cw = (w + 1) / 2
	}
	if img.SubsampleRatio == image.YCbCrSubsampleRatio420 {
		ch = (h + 1) / 2
	}
	out := make([]byte, 0, w*h+2*cw*ch)
	for y := range h {
		out = append(out, img.Y[y*img.YStride:y*img.YStride+w]...)
	}
	for _, plane := range [][]byte{img.Cb, img.Cr} {
		for y := range ch {
			out = append(out, plane[y*img.CStride:y*img.CStride+cw]...)
		}
	}
	return out
}
