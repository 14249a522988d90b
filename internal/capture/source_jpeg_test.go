package capture

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"testing"
	"testing/iotest"
)

// stillJPEG codes a picture of one grey.
func stillJPEG(t testing.TB, w, h int, level uint8) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = level
	}
	img.SetGray(w/2, h/2, color.Gray{Y: 255 - level}) // so that the entropy-coded data is not all alike
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestJPEGReader_CutsAtPictures(t *testing.T) {
	a, b := stillJPEG(t, 64, 64, 10), stillJPEG(t, 128, 96, 200)
	thumbnail := append([]byte{0xff, 0xd8, 0xff, 0xe1, 0x00, 0x06, 0xff, 0xd8, 0xff, 0xd9}, a[2:]...) // a picture within a segment
	for _, tc := range []struct {
		name   string
		stream []byte
		want   [][]byte
		end    error
	}{
		{"nothing", nil, nil, io.EOF},
		{"one after the other", bytes.Join([][]byte{a, b, a}, nil), [][]byte{a, b, a}, io.EOF},
		{"parts", bytes.Join([][]byte{[]byte("--f\r\nContent-Type: image/jpeg\r\n\r\n"), a, []byte("\r\n--f\r\n\r\n"), b, []byte("\r\n--f--")}, nil), [][]byte{a, b}, io.EOF},
		{"a thumbnail inside", thumbnail, [][]byte{thumbnail}, io.EOF},
		{"cut off", append(append([]byte{}, a...), b[:len(b)-3]...), [][]byte{a}, io.ErrUnexpectedEOF},
		{"damage between", bytes.Join([][]byte{a, b[:40], a, b}, nil), [][]byte{a, b}, io.EOF},
		{"no JPEG", bytes.Repeat([]byte("\xff\xd8no picture"), 50), nil, io.EOF},
	} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "by bytes": iotest.OneByteReader} {
			t.Run(tc.name+" "+name, func(t *testing.T) {
				r := newJPEGReader(wrap(bytes.NewReader(tc.stream)))
				var got [][]byte
				want := tc.want
				for {
					p, err := r.next()
					if err != nil {
						if !errors.Is(err, tc.end) {
							t.Fatalf("ends with %v, want %v", err, tc.end)
						}
						break
					}
					got = append(got, bytes.Clone(p))
				}
				if tc.name == "damage between" { // where a damaged picture ends is a guess, but the one after the next is whole
					got, want = got[len(got)-1:], want[1:]
				}
				if len(got) != len(want) {
					t.Fatalf("%d pictures, want %d", len(got), len(want))
				}
				for i := range got {
					if !bytes.Equal(got[i], want[i]) {
						t.Errorf("picture %d differs", i)
					}
				}
			})
		}
	}
}

func TestJPEGReader_PictureWithoutEndIsGivenUp(t *testing.T) {
	a := stillJPEG(t, 64, 64, 10)
	endless := io.MultiReader(bytes.NewReader(a[:len(a)-2]), io.LimitReader(zeros{}, maxJPEG), bytes.NewReader(a))
	p, err := newJPEGReader(endless).next()
	if err != nil || !bytes.Equal(p, a) {
		t.Fatalf("%d bytes, %v, want the picture after the endless one", len(p), err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestJPEGSize_RefusesBombs(t *testing.T) {
	frame := func(w, h int) []byte {
		return []byte{0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), 3}
	}
	if w, h, err := jpegSize(frame(1920, 1080)); err != nil || w != 1920 || h != 1080 {
		t.Errorf("%dx%d, %v", w, h, err)
	}
	for _, bad := range [][]byte{frame(65500, 65500), frame(0, 10), frame(10, 0), nil, []byte("GIF89a"), {0xff, 0xd8, 0xff, 0xda, 0, 2}} {
		if w, h, err := jpegSize(bad); err == nil {
			t.Errorf("% x is taken for %dx%d", bad, w, h)
		}
	}
}

func FuzzJPEGReader(f *testing.F) {
	a := stillJPEG(f, 64, 64, 10)
	f.Add(a)
	f.Add(append([]byte("--frame\r\n\r\n"), a...))
	f.Add(a[:len(a)/2])
	f.Add([]byte{0xff, 0xd8, 0xff, 0xff, 0xff, 0xd9})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newJPEGReader(bytes.NewReader(b))
		total := 0
		for {
			p, err := r.next()
			if err != nil {
				return
			}
			if total += len(p); total > len(b) || !bytes.HasPrefix(p, []byte{0xff, 0xd8}) || !bytes.HasSuffix(p, []byte{0xff, 0xd9}) {
				t.Fatalf("% x out of % x", p, b)
			}
			// A picture is cut the same way when it stands alone.
			if again, err := newJPEGReader(bytes.NewReader(p)).next(); err != nil || !bytes.Equal(again, p) {
				t.Fatalf("% x alone becomes % x, %v", p, again, err)
			}
			if w, h, err := jpegSize(p); err == nil && (w < 1 || h < 1 || w*h > maxStill) {
				t.Fatalf("size %dx%d", w, h)
			}
		}
	})
}
