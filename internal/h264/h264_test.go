package h264

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

const (
	baselineSPS   = "6742c01ed900a02ff97011000003000100000300328f162e48"
	reorderSPS    = "6764001eacd940a02ff97011000003000100000300320f162d96"
	interlacedSPS = "6764001eace402818fcf808800000300080000030190f8a15240"
)

func nal(t testing.TB, text string) NAL {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// craft writes a baseline set of 640x360 at 25 frames a second, as a camera's encoder that says little would.
func craft(vui func(*bitWriter)) NAL {
	var w bitWriter
	w.u(8, 66)
	w.u(8, 0xc0)
	w.u(8, 30)
	w.ue(0)  // seq_parameter_set_id
	w.ue(0)  // log2_max_frame_num_minus4
	w.ue(0)  // pic_order_cnt_type
	w.ue(2)  // log2_max_pic_order_cnt_lsb_minus4
	w.ue(4)  // max_num_ref_frames
	w.bit(0) // gaps
	w.ue(39) // pic_width_in_mbs_minus1
	w.ue(22) // pic_height_in_map_units_minus1
	w.bit(1) // frame_mbs_only_flag
	w.bit(1) // direct_8x8_inference_flag
	w.bit(1) // frame_cropping_flag
	w.ue(0)
	w.ue(0)
	w.ue(0)
	w.ue(4)
	if vui == nil {
		w.bit(0)
	} else {
		w.bit(1)
		vui(&w)
	}
	w.trailing()
	return append(NAL{0x67}, escape(w.b)...)
}

func timingOnly(w *bitWriter) {
	w.u(4, 0) // no aspect ratio, overscan, signal type, chroma location
	w.bit(1)  // timing
	w.u(32, 1)
	w.u(32, 50)
	w.bit(1)
	w.bit(1) // NAL HRD
	w.ue(0)
	w.u(8, 0)
	w.ue(1)
	w.ue(1)
	w.bit(0)
	w.u(20, 0)
	w.bit(0) // VCL HRD
	w.bit(0) // low_delay_hrd_flag
	w.bit(1) // pic_struct_present_flag
	w.bit(0) // bitstream_restriction_flag
}

func TestParseSPS(t *testing.T) {
	for _, tc := range []struct {
		name  string
		nal   NAL
		want  SPS
		codec string
	}{
		// The first three are x264's, made by `ffmpeg -f lavfi -i testsrc=s=640x360:r=25,format=yuv420p -c:v libx264`; the expected
		// values are those that `-bsf:v trace_headers` prints.
		{"x264 -tune zerolatency -profile:v baseline", nal(t, baselineSPS), SPS{
			Profile: 66, Constraints: 0xc0, Level: 30, Width: 640, Height: 360, RefFrames: 3, POCType: 2, FrameRateMilli: 25000, Restricted: true, DecBuffering: 3,
		}, "avc1.42c01e"},
		{"x264 -bf 2 -profile:v high", nal(t, reorderSPS), SPS{
			Profile: 100, Level: 30, Width: 640, Height: 360, RefFrames: 4, FrameRateMilli: 25000, Restricted: true, Reorder: 2, DecBuffering: 4,
		}, "avc1.64001e"},
		{"x264 interlaced", nal(t, interlacedSPS), SPS{
			Profile: 100, Level: 30, Width: 640, Height: 360, RefFrames: 3, FrameRateMilli: 25000, Restricted: true, DecBuffering: 3, Interlaced: true,
		}, "avc1.64001e"},
		{"no VUI", craft(nil), SPS{Profile: 66, Constraints: 0xc0, Level: 30, Width: 640, Height: 360, RefFrames: 4}, "avc1.42c01e"},
		{"VUI with timing and HRD only", craft(timingOnly), SPS{
			Profile: 66, Constraints: 0xc0, Level: 30, Width: 640, Height: 360, RefFrames: 4, FrameRateMilli: 25000,
		}, "avc1.42c01e"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseSPS(tc.nal)
			if err != nil {
				t.Fatal(err)
			}
			if !same(*got, tc.want) {
				t.Errorf("got  %+v\nwant %+v", public(*got), tc.want)
			}
			if got.CodecString() != tc.codec {
				t.Errorf("codec string %s, want %s", got.CodecString(), tc.codec)
			}
			if want := !tc.want.Restricted || tc.want.Reorder > 0; got.HoldsBack() != want {
				t.Errorf("holds back %t, want %t", got.HoldsBack(), want)
			}
		})
	}
}

// public is s without what only the package sees.
func public(s SPS) SPS {
	s.body, s.vuiFlag, s.hasVUI, s.restriction, s.reorderAt, s.header = nil, 0, false, 0, 0, 0
	return s
}

func same(a, b SPS) bool {
	a, b = public(a), public(b)
	return a.Profile == b.Profile && a.Constraints == b.Constraints && a.Level == b.Level && a.Width == b.Width && a.Height == b.Height &&
		a.RefFrames == b.RefFrames && a.POCType == b.POCType && a.Interlaced == b.Interlaced && a.FrameRateMilli == b.FrameRateMilli &&
		a.Restricted == b.Restricted && a.Reorder == b.Reorder && a.DecBuffering == b.DecBuffering
}

func TestWithoutReordering_ChangesNothingElse(t *testing.T) {
	for name, n := range map[string]NAL{
		"no VUI": craft(nil), "VUI without restriction": craft(timingOnly), "reordering": nal(t, reorderSPS), "nothing to do": nal(t, baselineSPS),
	} {
		t.Run(name, func(t *testing.T) {
			before, err := ParseSPS(n)
			if err != nil {
				t.Fatal(err)
			}
			after, err := ParseSPS(before.WithoutReordering())
			if err != nil {
				t.Fatal(err)
			}
			want := *before
			want.Restricted, want.Reorder, want.DecBuffering = true, 0, before.RefFrames
			if !same(*after, want) || after.HoldsBack() {
				t.Errorf("got  %+v\nwant %+v", public(*after), public(want))
			}
		})
	}
}

func TestParseSPS_RefusesEveryTruncation(t *testing.T) {
	for _, n := range []NAL{craft(nil), craft(timingOnly), nal(t, reorderSPS)} {
		for i := range len(n) - 1 {
			if s, err := ParseSPS(n[:i]); err == nil && s.Restricted && s.Width == 640 && len(n)-i > 2 {
				t.Errorf("%d of %d bytes parse to %+v", i, len(n), public(*s))
			} else if err != nil && !errors.Is(err, ErrSPS) {
				t.Errorf("error %v does not wrap ErrSPS", err)
			}
		}
	}
}

func TestUnits(t *testing.T) {
	stream := []byte{0xff, 0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 4, 5, 0, 0, 1}
	var got []NAL
	for u := range Units(stream) {
		got = append(got, u)
	}
	want := []NAL{{0x67, 1, 2}, {0x68, 3}, {0x65, 4, 5}}
	if len(got) != len(want) {
		t.Fatalf("%d units %x, want %x", len(got), got, want)
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("unit %d is %x, want %x", i, got[i], want[i])
		}
	}
}

func TestSlice(t *testing.T) {
	slice := func(header byte, kind uint32) NAL {
		var w bitWriter
		w.ue(3) // first_mb_in_slice
		w.ue(kind)
		w.u(16, 0xaaaa)
		return append(NAL{header}, escape(w.b)...)
	}
	for kind, want := range map[uint32]SliceKind{0: SliceP, 1: SliceB, 2: SliceI, 3: SliceP, 4: SliceI, 5: SliceP, 6: SliceB, 7: SliceI} {
		if got, err := Slice(slice(0x41, kind)); err != nil || got != want {
			t.Errorf("slice_type %d: got %d, %v; want %d", kind, got, err, want)
		}
	}
	if _, err := Slice(NAL{0x67, 1, 2, 3}); !errors.Is(err, ErrNotSlice) {
		t.Errorf("a parameter set: %v, want ErrNotSlice", err)
	}
	for _, n := range []NAL{{0x65}, {0x65, 0}, slice(0x41, 10)} {
		if _, err := Slice(n); err == nil {
			t.Errorf("%x is taken for a slice", n)
		}
	}
}

func FuzzParseSPS(f *testing.F) {
	for _, n := range []NAL{craft(nil), craft(timingOnly), nal(f, reorderSPS), nal(f, baselineSPS), nal(f, interlacedSPS)} {
		f.Add([]byte(n))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSPS(b)
		if err != nil {
			return
		}
		if s.Width <= 0 || s.Height <= 0 || s.Width > maxDimension || s.Height > maxDimension {
			t.Fatalf("%dx%d pixels", s.Width, s.Height)
		}
		again, err := ParseSPS(s.WithoutReordering())
		if err != nil {
			t.Fatalf("rewritten set: %v", err)
		}
		want := *s
		want.Restricted, want.Reorder, want.DecBuffering = true, 0, s.RefFrames
		if !same(*again, want) {
			t.Fatalf("rewritten %+v\nwant %+v", public(*again), public(want))
		}
	})
}

func FuzzUnits(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0x67, 0, 0, 1, 0x65, 0x88})
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		for u := range Units(b) {
			if len(u) == 0 || bytes.Contains(u, []byte{0, 0, 1}) {
				t.Fatalf("unit %x", u)
			}
			_, _ = Slice(u)
			total += len(u) + 3
		}
		if total > len(b) {
			t.Fatalf("units of %d bytes from %d", total, len(b))
		}
	})
}
