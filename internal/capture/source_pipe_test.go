//go:build cgo

package capture

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"sightline/internal/av"
	"sightline/internal/media"
)

func openSource(t *testing.T, engine Libav, address string) Feed {
	t.Helper()
	src, err := ParseSource(address)
	if err != nil {
		t.Fatal(err)
	}
	feed, err := engine.Open(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(feed.Close)
	return feed
}

// pipeEngine gives an engine whose standard input is what is written to the file.
func pipeEngine(t *testing.T) (Libav, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	e := NewLibav()
	e.Stdin = r
	return e, w
}

// nextLuma gives the mean luma of the next picture, in its own range.
func nextLuma(t *testing.T, feed Feed) (luma byte, info FeedInfo) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	p, err := feed.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	return lumaOf(t, p), feed.Info()
}

// lumaOf brings a picture to full-range 4:2:0, as an encoder does, and reads a pixel off its middle.
func lumaOf(t *testing.T, p *Picture) byte {
	t.Helper()
	s, err := av.NewScaler(p.Image.Width()&^1, p.Image.Height()&^1, av.I420Full)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Scale(p.Image.(*av.Frame))
	if err != nil {
		t.Fatal(err)
	}
	pixels, stride := out.Plane(0)
	return pixels[out.Height()/4*stride+out.Width()/4]
}

func write(t *testing.T, w *os.File, b []byte) {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
}

func near(got, want byte) bool { return max(got, want)-min(got, want) <= 3 }

func TestPipe_RawPicturesOfEveryFormat(t *testing.T) {
	for name, size := range map[string]int{"bgr24": 64 * 48 * 3 * 4, "rgb24": 64 * 48 * 3 * 4, "gray8": 64 * 48 * 4} {
		t.Run(name, func(t *testing.T) {
			engine, w := pipeEngine(t)
			feed := openSource(t, engine, "pipe:?format="+name+"&size=128x96&fps=30")
			for _, level := range []byte{40, 200} {
				write(t, w, bytes.Repeat([]byte{level}, size))
				luma, info := nextLuma(t, feed)
				if !near(luma, level) || info != (FeedInfo{Width: 128, Height: 96, FrameRateMilli: 30_000}) {
					t.Errorf("luma %d of %d, %+v", luma, level, info)
				}
			}
		})
	}
	for _, name := range []string{"yuv420p", "nv12"} { // limited range: 16 is black, 235 white
		t.Run(name, func(t *testing.T) {
			engine, w := pipeEngine(t)
			feed := openSource(t, engine, "pipe:?format="+name+"&size=128x96")
			block := append(bytes.Repeat([]byte{235}, 128*96), bytes.Repeat([]byte{128}, 128*96/2)...)
			write(t, w, block)
			if luma, _ := nextLuma(t, feed); luma < 252 {
				t.Errorf("luma %d of white", luma)
			}
		})
	}
}

func TestPipe_ProducerNeverWaitsAndTheNewestIsShown(t *testing.T) {
	engine, w := pipeEngine(t)
	feed := openSource(t, engine, "pipe:?format=gray8&size=640x360")
	wanted := make(chan struct{})
	rested := make(chan error, 1)
	go func() { rested <- feed.Rest(t.Context(), wanted) }()
	// Far more than a pipe holds, with nobody watching: were it not read, this would never end.
	for level := range byte(50) {
		write(t, w, bytes.Repeat([]byte{4 * level}, 640*360))
	}
	close(wanted)
	if err := <-rested; err != nil {
		t.Fatal(err)
	}
	write(t, w, bytes.Repeat([]byte{250}, 640*360))
	for range 3 { // what was written just before may come first
		if luma, _ := nextLuma(t, feed); near(luma, 250) {
			return
		} else if !near(luma, 4*49) && !near(luma, 4*48) {
			t.Fatalf("luma %d, want one of the newest pictures", luma)
		}
	}
	t.Fatal("the newest picture does not come")
}

func TestPipe_JPEGsOfChangingSizeAndDamage(t *testing.T) {
	engine, w := pipeEngine(t)
	a, b := stillJPEG(t, 128, 96, 60), stillJPEG(t, 320, 240, 180)
	write(t, w, a)
	feed := openSource(t, engine, "pipe:?format=mjpeg")
	if info := feed.Info(); info.Height != 96 || info.Native != media.CodecJPEG {
		t.Errorf("%+v before the first picture is taken", info)
	}
	if luma, info := nextLuma(t, feed); !near(luma, 60) || info.Width != 128 || info.Height != 96 {
		t.Errorf("luma %d, %+v", luma, info)
	}
	bomb := bytes.Clone(a)
	at := bytes.Index(bomb, []byte{0xff, 0xc0})
	copy(bomb[at+5:], []byte{0xff, 0xff, 0xff, 0xff})
	write(t, w, bomb)
	write(t, w, []byte("noise between pictures"))
	write(t, w, b)
	if luma, info := nextLuma(t, feed); !near(luma, 180) || info.Width != 320 || info.Height != 240 {
		t.Errorf("luma %d, %+v", luma, info)
	}
}

func TestPipe_EndAndSilenceAreTold(t *testing.T) {
	for name, tc := range map[string]struct {
		tail []byte
		want string
	}{
		"between pictures": {nil, "the source pipe: has ended"},
		"within a picture": {[]byte("half"), "has ended within a picture; check format and size"},
	} {
		t.Run(name, func(t *testing.T) {
			engine, w := pipeEngine(t)
			feed := openSource(t, engine, "pipe:?format=gray8&size=64x64")
			write(t, w, make([]byte, 64*64))
			nextLuma(t, feed)
			write(t, w, tc.tail)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			_, err := feed.Next(t.Context())
			if !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("%v, want %q", err, tc.want)
			}
		})
	}
	t.Run("silence", func(t *testing.T) {
		engine, w := pipeEngine(t)
		feed := openSource(t, engine, "pipe:?format=gray8&size=64x64&fps=30")
		write(t, w, make([]byte, 64*64))
		nextLuma(t, feed)
		write(t, w, make([]byte, 1000)) // the beginning of the next picture
		if _, err := feed.Next(t.Context()); !errors.Is(err, ErrStalled) || !errors.Is(err, ErrPaused) {
			t.Fatalf("%v, want ErrPaused", err)
		}
		write(t, w, bytes.Repeat([]byte{9}, 64*64-1000)) // and its rest: nothing was lost
		nextLuma(t, feed)
	})
}

func TestPipe_BadOptionsAreSentences(t *testing.T) {
	for address, want := range map[string]string{
		"pipe:":                                     `format "" is none of bgr24, gray8, mjpeg, nv12, rgb24, yuv420p`,
		"pipe:?format=h264":                         "is none of",
		"pipe:?format=bgr24":                        "raw pictures do not tell their size",
		"pipe:?format=bgr24&size=99999x99999":       "want width x height up to 7680x4320",
		"pipe:?format=nv12&size=641x480":            "nv12 needs even numbers",
		"pipe:?format=gray8&size=10x10":             "at least 64x64",
		"pipe:?format=mjpeg&size=640x480":           "leave size out",
		"pipe:?format=gray8&size=64x64&fps=nothing": "want frames a second",
		"pipe:?form=gray8":                          "unknown option",
	} {
		_, err := ParseSource(address)
		if !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}
