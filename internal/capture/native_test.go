package capture

import (
	"bytes"
	"encoding/hex"
	"errors"
	"image"
	"image/jpeg"
	"strings"
	"testing"
	"time"

	"sightline/internal/h264"
	"sightline/internal/media"
)

const (
	reorderSPS    = "6764001eacd940a02ff97011000003000100000300320f162d96" // 640x360, bitstream_restriction with reordering
	interlacedSPS = "6764001eace402818fcf808800000300080000030190f8a15240"
	high10SPS     = "676e001eacd940a02ff97011000003000100000300320f162d96"
)

// annexB makes a byte stream of NAL units in hexadecimal.
func annexB(t testing.TB, units ...string) []byte {
	t.Helper()
	var out []byte
	for _, u := range units {
		b, err := hex.DecodeString(u)
		if err != nil {
			t.Fatal(err)
		}
		out = h264.AppendUnit(out, b)
	}
	return out
}

const (
	pps, idr, pSlice, bSlice, aud, sei = "68ebe3cb22c0", "65888040", "41c012", "01a012", "0910", "0605"
)

func TestPassage_KeyframesCarryTheirParametersAndHoldNothingBack(t *testing.T) {
	for _, tc := range []struct {
		name    string
		headers []byte
		au      []byte
		kinds   string
	}{
		{"in band", nil, annexB(t, aud, reorderSPS, pps, sei, idr), "9 7 8 6 5"},
		{"apart", annexB(t, reorderSPS, pps), annexB(t, aud, sei, idr), "9 7 8 6 5"},
		{"apart, without a delimiter", annexB(t, reorderSPS, pps), annexB(t, idr, idr), "7 8 5 5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := passage{codec: media.CodecH264}
			if err := p.learn(tc.headers); err != nil {
				t.Fatal(err)
			}
			got, err := p.pass(&Unit{Data: tc.au})
			if err != nil || !got.key || got.codec != "avc1.64001e" || got.width != 640 || got.height != 360 {
				t.Fatalf("%+v, %v", got, err)
			}
			var kinds []string
			for n := range h264.Units(got.data) {
				kinds = append(kinds, string('0'+rune(n.Type())))
				if n.Type() == h264.TypeSPS {
					if sps, err := h264.ParseSPS(n); err != nil || sps.HoldsBack() {
						t.Fatalf("%+v, %v holds pictures back", sps, err)
					}
				}
			}
			if s := strings.Join(kinds, " "); s != tc.kinds {
				t.Fatalf("NAL units %s, want %s", s, tc.kinds)
			}
			delta := annexB(t, aud, pSlice, pSlice)
			if got, err := p.pass(&Unit{Data: delta}); err != nil || got.key || &got.data[0] != &delta[0] {
				t.Fatalf("%+v, %v, want the delta untouched", got, err)
			}
		})
	}
}

func TestPassage_RefusesWhatCannotBeShownAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		au   []byte
		want string
	}{
		"B pictures": {annexB(t, pSlice, bSlice), "B pictures, which cannot be shown without delay, so it is encoded anew."},
		"interlaced": {annexB(t, interlacedSPS, pps, idr), "interlaced, so it"},
		"profile":    {annexB(t, high10SPS, pps, idr), "profile 110, which browsers do not decode"},
	} {
		t.Run(name, func(t *testing.T) {
			p := passage{codec: media.CodecH264}
			_, err := p.pass(&Unit{Data: tc.au})
			var no *unfitError
			if !errors.As(err, &no) || !strings.Contains(no.sentence, tc.want) {
				t.Fatalf("%v, want a refusal with %q", err, tc.want)
			}
		})
	}
	p := passage{codec: media.CodecH264}
	var err error
	for n := 0; err == nil && n < 10000; n++ {
		_, err = p.pass(&Unit{Data: annexB(t, pSlice)})
	}
	if err == nil || !strings.Contains(err.Error(), "no IDR pictures") {
		t.Fatalf("%v, want a refusal of a stream without IDR pictures", err)
	}
}

func FuzzPassage(f *testing.F) {
	f.Add(annexB(f, aud, reorderSPS, pps, sei, idr), annexB(f, pSlice), false)
	f.Add([]byte{0xff, 0xd8, 0xff, 0xda, 0, 2, 1}, []byte{}, true)
	f.Fuzz(func(t *testing.T, first, second []byte, isJPEG bool) {
		p := passage{codec: media.CodecH264}
		if isJPEG {
			p.codec = media.CodecJPEG
		}
		for _, b := range [][]byte{first, second} {
			u, err := p.pass(&Unit{Data: b})
			var no *unfitError
			if err != nil && !errors.As(err, &no) && !errors.Is(err, errDamaged) {
				t.Fatalf("%v is neither a refusal nor damage", err)
			}
			if err == nil && (len(u.data) == 0 || u.key && u.codec == "") {
				t.Fatalf("%+v", u)
			}
		}
	})
}

func TestPassage_JPEGGetsItsTables(t *testing.T) {
	src := &bytes.Buffer{}
	if err := jpeg.Encode(src, testImage(), nil); err != nil {
		t.Fatal(err)
	}
	whole := src.Bytes()
	i := bytes.Index(whole, []byte{0xff, 0xc4})
	bare := append(bytes.Clone(whole[:i]), whole[i+2+int(whole[i+2])<<8+int(whole[i+3]):]...)
	if _, err := jpeg.Decode(bytes.NewReader(bare)); err == nil {
		t.Fatal("the picture without tables can be decoded: the test proves nothing")
	}
	p := passage{codec: media.CodecJPEG}
	got, err := p.pass(&Unit{Data: bare})
	if err != nil || !got.key {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := jpeg.Decode(bytes.NewReader(got.data)); err != nil {
		t.Fatal(err)
	}
	if got, err := p.pass(&Unit{Data: whole}); err != nil || &got.data[0] != &whole[0] {
		t.Fatalf("%v, want a whole picture untouched", err)
	}
	for _, b := range [][]byte{nil, {0xff, 0xd8}, whole[:20], []byte("not a picture")} {
		if _, err := p.pass(&Unit{Data: b}); !errors.Is(err, errDamaged) {
			t.Errorf("% x: %v, want errDamaged", b, err)
		}
	}
}

func TestRelay_GivesWhatCameSinceTheKeyframe(t *testing.T) {
	r := newRelay()
	if _, n, _ := r.after(0, true); n != 0 {
		t.Fatalf("number %d from an empty relay", n)
	}
	put := func(key bool) { r.put(passed{data: []byte{1}, key: key, at: time.Now()}) }
	put(false) // refers to what nobody has
	if _, n, _ := r.after(0, true); n != 0 {
		t.Fatalf("number %d without a keyframe", n)
	}
	put(true)
	put(false)
	put(false)
	var got []uint64
	for n, needKey := uint64(0), true; ; needKey = false {
		u, number, _ := r.after(n, needKey)
		if number == 0 {
			break
		}
		if u.key != (number == 2) {
			t.Fatalf("unit %d: key %t", number, u.key)
		}
		got, n = append(got, number), number
	}
	if len(got) != 3 || got[0] != 2 || got[2] != 4 {
		t.Fatalf("units %v, want 2 3 4", got)
	}
	_, _, more := r.after(4, false)
	put(true)
	select {
	case <-more:
	default:
		t.Fatal("a reader is not woken")
	}
	// Who has fallen behind goes on with the new keyframe, and who needs one does not get the old.
	if u, n, _ := r.after(3, false); n != 5 || !u.key {
		t.Fatalf("unit %d, key %t, want the keyframe 5", n, u.key)
	}
	if _, n, _ := r.after(5, true); n != 0 {
		t.Fatalf("unit %d, want none", n)
	}
}

func TestLadder(t *testing.T) {
	for _, tc := range []struct {
		name string
		feed FeedInfo
		want string
	}{
		{"not known", FeedInfo{}, "720p mjpeg-544p"},
		{"full HD that passes", FeedInfo{Width: 1920, Height: 1080, Native: media.CodecH264}, "source 1080p 720p 544p 368p mjpeg-544p"},
		{"720", FeedInfo{Width: 1280, Height: 720}, "720p 544p 368p mjpeg-544p"},
		{"576", FeedInfo{Width: 768, Height: 576}, "576p 368p mjpeg-544p"},
		{"4K", FeedInfo{Width: 3840, Height: 2160}, "1080p 720p 544p 368p mjpeg-544p"},
		{"small JPEG camera", FeedInfo{Width: 640, Height: 480, Native: media.CodecJPEG}, "source 480p 368p"},
		{"tiny", FeedInfo{Width: 160, Height: 120}, "120p mjpeg-544p"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var names []string
			for _, r := range Ladder(tc.feed) {
				names = append(names, r.Name)
				if err := r.Validate(); err != nil {
					t.Error(err)
				}
				if _, h := r.size(tc.feed.Width, tc.feed.Height); h%16 != 0 && h != tc.feed.Height && r.Height != maxLadderHeight {
					t.Errorf("%s has %d lines", r.Name, h)
				}
			}
			if got := strings.Join(names, " "); got != tc.want {
				t.Fatalf("%s, want %s", got, tc.want)
			}
		})
	}
}

func testImage() image.Image {
	img := image.NewYCbCr(image.Rect(0, 0, 64, 48), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = byte(i * 7)
	}
	return img
}
