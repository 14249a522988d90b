//go:build cgo

package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/image/tiff"
)

func stillPNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func stillTIFF(t testing.TB, img image.Image, c tiff.CompressionType) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tiff.Encode(&b, img, &tiff.Options{Compression: c}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// grey16Of is a still of one 16-bit grey with a darkest and a brightest corner.
func grey16Of(low, level, high uint16) *image.Gray16 {
	img := image.NewGray16(image.Rect(0, 0, 128, 96))
	for y := range 96 {
		for x := range 128 {
			img.SetGray16(x, y, color.Gray16{Y: level})
		}
	}
	img.SetGray16(0, 0, color.Gray16{Y: low})
	img.SetGray16(127, 95, color.Gray16{Y: high})
	return img
}

// greyOf is a still of one grey.
func greyOf(level uint8) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, 128, 96))
	for i := range img.Pix {
		img.Pix[i] = level
	}
	return img
}

func colourOf(c color.Color) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, 128, 96))
	for y := range 96 {
		for x := range 128 {
			img.Set(x, y, c)
		}
	}
	return img
}

// put writes a file and gives it an age.
func put(t *testing.T, dir, name string, content []byte, age time.Duration) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-age)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestStill_EveryFormatAndWindow(t *testing.T) {
	for _, tc := range []struct {
		name  string
		file  []byte
		query string
		want  byte
	}{
		{"JPEG grey", stillJPEG(t, 128, 96, 90), "", 90},
		{"PNG grey", stillPNG(t, greyOf(90)), "", 90},
		{"PNG colour", stillPNG(t, colourOf(color.NRGBA{90, 90, 90, 255})), "", 90},
		{"PNG transparent", stillPNG(t, colourOf(color.NRGBA{200, 200, 200, 128})), "", 100},
		{"TIFF grey", stillTIFF(t, greyOf(90), tiff.Deflate), "", 90},
		{"TIFF colour", stillTIFF(t, colourOf(color.NRGBA{90, 90, 90, 255}), tiff.Uncompressed), "", 90},
		{"TIFF 16 bit, from darkest to brightest", stillTIFF(t, grey16Of(1000, 2000, 3000), tiff.Uncompressed), "", 128},
		{"PNG 16 bit, from darkest to brightest", stillPNG(t, grey16Of(1000, 1500, 3000)), "", 64},
		{"16 bit, one grey", stillPNG(t, grey16Of(0x4040, 0x4040, 0x4040)), "", 0x40},
		{"window", stillTIFF(t, grey16Of(0, 2000, 65535), tiff.Deflate), "?window=4000&level=2000", 128},
		{"below the window", stillTIFF(t, grey16Of(0, 2000, 65535), tiff.Deflate), "?window=100&level=5000", 0},
		{"above the window", stillTIFF(t, grey16Of(0, 2000, 65535), tiff.Deflate), "?window=100&level=500", 255},
		{"window of 8 bits", stillPNG(t, greyOf(100)), "?window=100&level=100", 128},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, "a.PNG", tc.file, time.Minute) // what it is is told by its content
			luma, info := nextLuma(t, openSource(t, NewLibav(), "images:"+dir+tc.query))
			if !near(luma, tc.want) || info.Width != 128 || info.Height != 96 {
				t.Errorf("luma %d, want %d; %+v", luma, tc.want, info)
			}
		})
	}
}

func TestWindow_IsThatOfDICOM(t *testing.T) {
	// PS3.3 C.11.2.1.2.1, its examples for an output from 0 to 255.
	for _, tc := range []struct {
		width, level float64
		want         map[int]byte
	}{
		{4096, 2048, map[int]byte{0: 0, 2047: 127, 4095: 255, 5000: 255}},
		{1, 2048, map[int]byte{2047: 0, 2048: 255}},
		{100, 100, map[int]byte{50: 0, 149: 255}},
	} {
		table := window{tc.width, tc.level}.table(65535)
		for x, want := range tc.want {
			if table[x] != want {
				t.Errorf("window %v level %v: %d becomes %d, want %d", tc.width, tc.level, x, table[x], want)
			}
		}
		for x := 1; x < len(table); x++ {
			if table[x] < table[x-1] {
				t.Fatalf("window %v level %v falls at %d", tc.width, tc.level, x)
			}
		}
	}
}

// bombPNG claims a size in a header that is otherwise right.
func bombPNG(w, h uint32) []byte {
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
	b = binary.BigEndian.AppendUint32(b, w)
	b = binary.BigEndian.AppendUint32(b, h)
	b = append(b, 8, 2, 0, 0, 0)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[12:]))
}

func TestStill_BombsAreRefusedBeforeDecoding(t *testing.T) {
	big := stillTIFF(t, greyOf(1), tiff.Uncompressed)
	i := bytes.Index(big, []byte{0, 1, 3, 0, 1, 0, 0, 0, 128, 0}) // ImageWidth
	if i < 0 {
		t.Fatal("the TIFF has another shape")
	}
	binary.LittleEndian.PutUint16(big[i+8:], 65535)
	j := bytes.Index(big, []byte{1, 1, 3, 0, 1, 0, 0, 0, 96, 0}) // ImageLength
	binary.LittleEndian.PutUint16(big[j+8:], 65535)
	jpg := stillJPEG(t, 128, 96, 1)
	k := bytes.Index(jpg, []byte{0xff, 0xc0})
	copy(jpg[k+5:], []byte{0xff, 0xf0, 0xff, 0xf0})
	for name, file := range map[string][]byte{"png": bombPNG(60000, 60000), "tiff": big, "jpeg": jpg} {
		allocated := testing.AllocsPerRun(1, func() {
			_, err := decodePixels(bytes.NewReader(file), window{})
			if err == nil || !strings.Contains(err.Error(), "pixels are more than the 33177600 that are taken") {
				t.Errorf("%s: %v", name, err)
			}
		})
		if allocated > 1000 {
			t.Errorf("%s: %v allocations", name, allocated)
		}
	}
}

// logBook keeps what is logged. Safe for concurrent use.
type logBook struct {
	mu    sync.Mutex
	lines []string
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, string(p))
	return len(p), nil
}

func TestImages_NewestIsShownHalfWrittenIsAwaitedBrokenIsSkipped(t *testing.T) {
	dir := t.TempDir()
	book := &logBook{}
	engine := NewLibav()
	engine.Log = slog.New(slog.NewTextHandler(book, nil))
	put(t, dir, "z-old.png", stillPNG(t, greyOf(20)), time.Hour)
	put(t, dir, "b-broken.png", []byte("\x89PNG and no more"), time.Minute)
	put(t, dir, "a-new.png", stillPNG(t, greyOf(60)), 30*time.Minute)
	put(t, dir, ".hidden.png", stillPNG(t, greyOf(250)), 0)
	put(t, dir, "notes.txt", []byte("nothing"), 0)
	feed := openSource(t, engine, "images:"+dir)
	if luma, info := nextLuma(t, feed); !near(luma, 60) || info.FrameRateMilli != 2000 {
		t.Fatalf("luma %d, %+v, want the newest whole one", luma, info)
	}
	began := time.Now()
	if luma, _ := nextLuma(t, feed); !near(luma, 60) {
		t.Fatalf("luma %d, want the same again", luma)
	}
	if d := time.Since(began); d < 300*time.Millisecond {
		t.Errorf("a still that stays is sent again after %v", d)
	}

	file := stillJPEG(t, 128, 96, 140)
	put(t, dir, "half.jpg", file[:len(file)-20], 0)
	if luma, _ := nextLuma(t, feed); !near(luma, 60) {
		t.Fatalf("luma %d while the newer one is half written", luma)
	}
	put(t, dir, "half.jpg", file, 0)
	await(t, feed, 140)

	put(t, dir, "half.jpg", stillJPEG(t, 128, 96, 180), -time.Second) // written over
	await(t, feed, 180)

	wanted := make(chan struct{})
	close(wanted)
	if err := feed.Rest(t.Context(), wanted); err != nil {
		t.Fatal(err)
	}
	if luma, _ := nextLuma(t, feed); !near(luma, 180) {
		t.Fatalf("luma %d after a rest", luma)
	}
	if n := strings.Count(strings.Join(book.lines, ""), "still left out"); n != 1 || !strings.Contains(book.lines[0], "b-broken.png") {
		t.Errorf("log: %q, want one line", book.lines)
	}
}

// await takes pictures until one has this luma.
func await(t *testing.T, feed Feed, want byte) {
	t.Helper()
	for range 20 {
		if luma, _ := nextLuma(t, feed); near(luma, want) {
			return
		}
	}
	t.Fatalf("no picture of luma %d", want)
}

func TestImages_PlayGoesByNameAndRoundAgain(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "2.png", stillPNG(t, greyOf(80)), time.Minute)
	put(t, dir, "1.png", stillPNG(t, greyOf(40)), 0)
	put(t, dir, "3.tif", stillTIFF(t, grey16Of(0, 0x7878, 0xffff), tiff.Deflate), time.Hour)
	put(t, dir, "4.jpg", []byte{0xff, 0xd8, 0xff}, time.Hour)
	feed := openSource(t, NewLibav(), "images:"+dir+"?mode=play&fps=20")
	began := time.Now()
	for i := range 9 {
		if luma, info := nextLuma(t, feed); !near(luma, byte(40*(i%3+1))) || info.FrameRateMilli != 20_000 {
			t.Fatalf("picture %d: luma %d, %+v", i, luma, info)
		}
	}
	if d := time.Since(began); d < 350*time.Millisecond {
		t.Errorf("9 pictures at 20 a second took %v", d)
	}
}

func TestImages_EmptyFolderIsToldAndFilledLater(t *testing.T) {
	dir := t.TempDir()
	feed := openSource(t, NewLibav(), "images:"+dir)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := feed.Next(ctx); !errors.Is(err, ErrPaused) || !strings.Contains(err.Error(), "no pictures: no JPEG, PNG or TIFF") {
		t.Fatalf("%v, want ErrPaused", err)
	}
	put(t, dir, "a.png", stillPNG(t, greyOf(60)), 0)
	if luma, _ := nextLuma(t, feed); !near(luma, 60) {
		t.Fatalf("luma %d", luma)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := feed.Next(ctx); err != nil {
			if !strings.Contains(err.Error(), "does not exist; check the path") {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("nobody notices that the folder is gone")
}

func TestImages_BadOptionsAreSentences(t *testing.T) {
	for address, want := range map[string]string{
		"images:":                          "needs a folder",
		"images:/x?mode=backwards":         "want newest or play",
		"images:/x?fps=2":                  "fps is for mode=play",
		"images:/x?mode=play&fps=-1":       "want frames a second",
		"images:/x?window=100":             "come together",
		"images:/x?window=0&level=1":       "window is 1 to 65536",
		"images:/x?window=nan&level=1":     "window is 1 to 65536",
		"images:/x?window=100&level=wrong": "window is 1 to 65536",
		"images:/x?size=1":                 "unknown option",
	} {
		if _, err := ParseSource(address); !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	src, err := ParseSource("images:/no/such/folder")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewLibav().Open(t.Context(), src); err == nil || !strings.Contains(err.Error(), "does not exist; check the path") {
		t.Error(err)
	}
}

func FuzzStill(f *testing.F) {
	f.Add(stillJPEG(f, 128, 96, 90))
	f.Add(stillPNG(f, greyOf(3)))
	f.Add(stillPNG(f, grey16Of(1, 2, 3)))
	f.Add(stillTIFF(f, grey16Of(1, 2, 3), tiff.Deflate))
	f.Add(stillTIFF(f, colourOf(color.White), tiff.Uncompressed))
	f.Add(bombPNG(1<<31-1, 1<<31-1))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePixels(bytes.NewReader(b), window{})
		if err != nil {
			return
		}
		if p.width < minSourceSide || p.height < minSourceSide || p.width*p.height > maxStill || len(p.data) < p.width*p.height {
			t.Fatalf("%s of %dx%d in %d bytes", p.format, p.width, p.height, len(p.data))
		}
	})
}
