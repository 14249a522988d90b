package timestrip_test

import (
	"errors"
	"testing"
	"time"

	"sightline/internal/timestrip"
)

func TestDrawRead_RoundTrip(t *testing.T) {
	when := time.Date(2026, 3, 4, 5, 6, 7, 891_234_000, time.UTC)
	for _, tc := range []struct {
		name         string
		w, h, stride int
	}{
		{"720p", 1280, 720, 1280},
		{"padded rows", 854, 480, 896},
		{"odd cells", 427, 239, 427},
		{"smallest", timestrip.MinWidth, timestrip.MinHeight, timestrip.MinWidth},
		{"4K", 3840, 2160, 3840},
	} {
		t.Run(tc.name, func(t *testing.T) {
			luma := make([]byte, tc.stride*tc.h)
			want := timestrip.At(when, 65535, 7)
			timestrip.Draw(luma, tc.stride, tc.w, tc.h, want)
			got, err := timestrip.Read(luma, tc.stride, tc.w, tc.h)
			if err != nil || got != want {
				t.Fatalf("Read = %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

// The vector was worked out bit by bit outside this package (CRC-12, polynomial 0x80F), so that readers in other languages can
// be held to the same bits.
func TestDraw_Vector(t *testing.T) {
	const want = "10100000000100100011010001010110011110001001101010111100110111101111101000111001"
	luma := make([]byte, 80*48)
	timestrip.Draw(luma, 80, 80, 48, timestrip.Strip{Time: 0x0123456789, Counter: 0xABCD, Tag: 0xEF})
	var got []byte
	for row := range timestrip.Rows {
		for col := range timestrip.Columns {
			bit := byte('0')
			if luma[row*2*80+col*2] == 235 {
				bit = '1'
			}
			got = append(got, bit)
		}
	}
	if string(got) != want {
		t.Fatalf("bits\n%s, want\n%s", got, want)
	}
}

func TestRead_DamageIsFound(t *testing.T) {
	const w, h = 640, 360
	luma := make([]byte, w*h)
	timestrip.Draw(luma, w, w, h, timestrip.At(time.Unix(1_700_000_000, 0), 1, 2))
	for cell := range timestrip.Bits {
		x0, y0 := cell%timestrip.Columns*16, cell/timestrip.Columns*15
		damaged := append([]byte(nil), luma...)
		for y := y0; y < y0+15; y++ {
			for x := x0; x < x0+16; x++ {
				damaged[y*w+x] = 251 - damaged[y*w+x]
			}
		}
		if s, err := timestrip.Read(damaged, w, w, h); !errors.Is(err, timestrip.ErrUnreadable) {
			t.Fatalf("cell %d flipped: %+v, %v, want ErrUnreadable", cell, s, err)
		}
	}
}

func TestStrip_Age(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	wrap := time.UnixMicro(int64(1<<timestrip.TimeBits) * 100 * 16)
	for _, tc := range []struct {
		name       string
		drawn, now time.Time
		want       time.Duration
	}{
		{"later", start, start.Add(25 * time.Millisecond), 25 * time.Millisecond},
		{"earlier", start.Add(3 * time.Millisecond), start, -3 * time.Millisecond},
		{"across the wrap", wrap.Add(-time.Millisecond), wrap.Add(time.Millisecond), 2 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := timestrip.At(tc.drawn, 0, 0).Age(tc.now); got != tc.want {
				t.Fatalf("Age = %v, want %v", got, tc.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	luma := make([]byte, 80*48)
	timestrip.Draw(luma, 80, 80, 48, timestrip.Strip{Time: 1, Counter: 2, Tag: 3})
	f.Add(luma, 80, 80, 48)
	f.Add([]byte{}, 0, 0, 0)
	f.Add(luma, 80, 80, 4800)
	f.Fuzz(func(t *testing.T, luma []byte, stride, w, h int) {
		s, err := timestrip.Read(luma, stride, w, h)
		if err != nil {
			if !errors.Is(err, timestrip.ErrUnreadable) {
				t.Fatalf("error %v does not wrap ErrUnreadable", err)
			}
			return
		}
		again := make([]byte, stride*h)
		timestrip.Draw(again, stride, w, h, s)
		if got, err := timestrip.Read(again, stride, w, h); err != nil || got != s {
			t.Fatalf("drawn again: %+v, %v, want %+v", got, err, s)
		}
	})
}
