//go:build cgo

package av_test

import (
	"bytes"
	"errors"
	"testing"

	"sightline/internal/av"
)

func TestRaw_FillTakesStridesAndRefusesShortBlocks(t *testing.T) {
	for _, tc := range []struct {
		format       string
		stride, size int
	}{
		{"bgr24", 0, 64 * 48 * 3},
		{"gray", 0, 64 * 48},
		{"nv12", 0, 64 * 48 * 3 / 2},
		{"yuv420p", 0, 64 * 48 * 3 / 2},
		{"yuyv422", 0, 64 * 48 * 2},
		{"yuyv422", 160, 160 * 48},
		{"yuv420p", 80, 80 * 48 * 3 / 2},
		{"nv12", 80, 80 * 48 * 3 / 2},
	} {
		format, err := av.RawFormat(tc.format)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := av.RawSize(64, 48, format, tc.stride); err != nil || n != tc.size {
			t.Errorf("%s with stride %d: %d bytes, %v, want %d", tc.format, tc.stride, n, err, tc.size)
		}
		frame, err := av.NewRaw(64, 48, format)
		if err != nil {
			t.Fatal(err)
		}
		block := bytes.Repeat([]byte{200}, tc.size)
		if err := frame.Fill(block, tc.stride); err != nil {
			t.Errorf("%s: %v", tc.format, err)
		}
		if pixels, stride := frame.Plane(0); pixels[0] != 200 || pixels[47*stride+63] != 200 {
			t.Errorf("%s: not filled", tc.format)
		}
		for _, short := range [][]byte{nil, block[:tc.size-1]} {
			if err := frame.Fill(short, tc.stride); !errors.Is(err, av.ErrInvalidData) {
				t.Errorf("%s with %d bytes: %v, want ErrInvalidData", tc.format, len(short), err)
			}
		}
		frame.Close()
	}
	if _, err := av.RawFormat("no-such"); !errors.Is(err, av.ErrUnsupported) {
		t.Errorf("%v, want ErrUnsupported", err)
	}
	gray, err := av.RawFormat("gray")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := av.RawSize(64, 48, gray, 63); err == nil {
		t.Error("rows that overlap are taken")
	}
}

func TestRaw_GreyKeepsItsFullRange(t *testing.T) {
	gray, err := av.RawFormat("gray")
	if err != nil {
		t.Fatal(err)
	}
	frame, err := av.NewRaw(64, 64, gray)
	if err != nil {
		t.Fatal(err)
	}
	defer frame.Close()
	if err := frame.Fill(bytes.Repeat([]byte{255}, 64*64), 0); err != nil {
		t.Fatal(err)
	}
	for format, want := range map[av.Format]byte{av.I420: 235, av.I420Full: 255} {
		s, err := av.NewScaler(64, 64, format)
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Scale(frame)
		if err != nil {
			t.Fatal(err)
		}
		if luma, _ := out.Plane(0); luma[0] != want {
			t.Errorf("white becomes %d, want %d", luma[0], want)
		}
		s.Close()
	}
}
