//go:build cgo

package av_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sightline/internal/av"
)

func TestMain(m *testing.M) {
	av.Setup()
	goleak.VerifyTestMain(m)
}

const (
	width, height = 640, 368
	fps           = 30
)

func h264(t testing.TB, bitrate int) *av.Encoder {
	t.Helper()
	enc, err := av.NewH264(av.H264Options{
		Width: width, Height: height, FrameRateMilli: fps * 1000, BitrateBps: bitrate, Preset: "superfast", GOPFrames: 300, BufferBits: 3 * bitrate / fps, Threads: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(enc.Close)
	return enc
}

// picture is one of a moving texture that costs bits.
func picture(t testing.TB, n int) *av.Frame {
	t.Helper()
	f, err := av.NewPicture(width, height, av.I420)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	luma, stride := f.Plane(0)
	for y := range height {
		for x := range width {
			u, v := float64(x+3*n), float64(y-2*n)
			luma[y*stride+x] = byte(126 + 40*math.Sin(u/5)*math.Cos(v/7) + 40*math.Sin((u*v)/900+float64(n)/3))
		}
	}
	for i := 1; i < 3; i++ {
		pix, _ := f.Plane(i)
		for j := range pix {
			pix[j] = 128
		}
	}
	return f
}

func pictures(t testing.TB, count int) []*av.Frame {
	t.Helper()
	list := make([]*av.Frame, count)
	for i := range list {
		list[i] = picture(t, i)
	}
	return list
}

func TestEncoder_ForcedKeyframesAreExactlyTheAskedOnes(t *testing.T) {
	enc := h264(t, 1_000_000)
	asked := map[int]bool{0: true, 7: true, 8: true, 29: true}
	frames := pictures(t, 40)
	for i, f := range frames {
		au, key, err := enc.Encode(f, int64(i)*1e6/fps, asked[i] && i > 0)
		if err != nil {
			t.Fatal(err)
		}
		kinds := nalTypes(au)
		if key != asked[i] || key != strings.Contains(kinds, "7 8") || key != strings.Contains(kinds, " 5") {
			t.Fatalf("access unit %d: key %t, NAL types %s, asked %t", i, key, kinds, asked[i])
		}
	}
}

// nalTypes lists the types of the NAL units of an Annex B access unit, as "7 8 5 5".
func nalTypes(au []byte) string {
	var kinds []string
	for i := 0; i+3 < len(au); i++ {
		if au[i] == 0 && au[i+1] == 0 && au[i+2] == 1 {
			kinds = append(kinds, string('0'+rune(au[i+3]&0x1f)))
		}
	}
	return strings.Join(kinds, " ")
}

// A decoder that has not been told to hurry gives each picture at once only if the stream says in its parameter set that nothing
// is reordered.
func TestEncoder_StreamHoldsNoPictureBack(t *testing.T) {
	enc := h264(t, 1_000_000)
	dec, err := av.NewDecoder("h264", false)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	out := av.NewFrame()
	defer out.Close()
	for i, f := range pictures(t, 20) {
		au, _, err := enc.Encode(f, int64(i)*1e6/fps, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := dec.SendBytes(au, int64(i)); err != nil {
			t.Fatal(err)
		}
		if err := dec.Receive(out); err != nil {
			t.Fatalf("picture %d: %v", i, err)
		}
		if pts, ok := out.PTS(); !ok || pts != int64(i) {
			t.Fatalf("picture %d came out as %d", i, pts)
		}
	}
}

func TestEncoder_BitrateChangesWhileRunning(t *testing.T) {
	enc := h264(t, 2_000_000)
	frames := pictures(t, 30)
	second := func(n int) (bits, keys int) {
		for i := range fps {
			au, key, err := enc.Encode(frames[i%len(frames)], int64(n*fps+i)*1e6/fps, false)
			if err != nil {
				t.Fatal(err)
			}
			bits += 8 * len(au)
			if key {
				keys++
			}
		}
		return bits, keys
	}
	second(0)
	before, _ := second(1)
	enc.SetBitrate(400_000, 3*400_000/fps)
	second(2)
	after, keys := second(3)
	t.Logf("%d bit/s, then %d", before, after)
	if before < 1_500_000 || before > 2_500_000 || after > 500_000 || after < 200_000 || keys != 0 {
		t.Fatalf("%d bit/s at 2 Mbit/s, then %d at 400 kbit/s with %d keyframes", before, after, keys)
	}
}

func TestEncoder_KeyframeStaysWithinTheBuffer(t *testing.T) {
	const bitrate = 1_500_000
	enc := h264(t, bitrate)
	for i, f := range pictures(t, 60) {
		au, key, err := enc.Encode(f, int64(i)*1e6/fps, i == 30)
		if err != nil {
			t.Fatal(err)
		}
		// 3 frames of buffer, and a fifth for headers and for x264 taking its limit as a wish.
		if most := bitrate / 8 / fps * 3 * 6 / 5; key && i > 0 && len(au) > most {
			t.Fatalf("keyframe of %d bytes, want at most %d", len(au), most)
		}
	}
}

func TestEncoder_FreesItsMemory(t *testing.T) {
	f := picture(t, 0)
	cycle := func() {
		enc, err := av.NewH264(av.H264Options{Width: width, Height: height, FrameRateMilli: 30000, BitrateBps: 1e6, Preset: "superfast", GOPFrames: 300, BufferBits: 1e5, Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		scaler, err := av.NewScaler(width/2, height/2, av.I420)
		if err != nil {
			t.Fatal(err)
		}
		jpeg, err := av.NewMJPEG(width/2, height/2)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := enc.Encode(f, 0, false); err != nil {
			t.Fatal(err)
		}
		small, err := scaler.Scale(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := jpeg.Encode(small, 0, false); err != nil {
			t.Fatal(err)
		}
		enc.Close()
		jpeg.Close()
		scaler.Close()
	}
	for range 30 { // until the allocator's arenas have their size
		cycle()
	}
	before := resident(t)
	for range 200 {
		cycle()
	}
	// One leaked encoder would be some 10 MB, one leaked picture 0.35 MB.
	if grown := resident(t) - before; grown > 20<<20 {
		t.Fatalf("200 encoders started and stopped left %d KiB behind", grown>>10)
	}
}

// resident is this process's memory in bytes.
func resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Skip("memory is not told here")
	}
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Anonymous:" {
			n := 0
			for _, c := range fields[1] {
				n = n*10 + int(c-'0')
			}
			return n << 10
		}
	}
	t.Fatal("no Anonymous line")
	return 0
}

func TestMJPEG_FullRangeIsStretched(t *testing.T) {
	f := picture(t, 0)
	luma, _ := f.Plane(0)
	for i := range luma {
		luma[i] = 16
	}
	for i := range luma[:len(luma)/2] {
		luma[i] = 235
	}
	scaler, err := av.NewScaler(width, height, av.I420Full)
	if err != nil {
		t.Fatal(err)
	}
	defer scaler.Close()
	full, err := scaler.Scale(f)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := av.NewMJPEG(width, height)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	au, key, err := enc.Encode(full, 0, false)
	if err != nil || !key || au[0] != 0xff || au[1] != 0xd8 {
		t.Fatalf("key %t, % x, %v", key, au[:2], err)
	}
	dec, err := av.NewDecoder("mjpeg", true)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	out := av.NewFrame()
	defer out.Close()
	if err := dec.SendBytes(au, 0); err != nil {
		t.Fatal(err)
	}
	if err := dec.Receive(out); err != nil {
		t.Fatal(err)
	}
	pix, stride := out.Plane(0)
	white, black := pix[20*stride+20], pix[(height-20)*stride+20]
	if white < 250 || black > 5 {
		t.Fatalf("white is %d, black %d, want 255 and 0", white, black)
	}
}

func TestMJPEG_QualityDecidesTheSize(t *testing.T) {
	f := picture(t, 0)
	scaler, err := av.NewScaler(width, height, av.I420Full)
	if err != nil {
		t.Fatal(err)
	}
	defer scaler.Close()
	full, err := scaler.Scale(f)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := av.NewMJPEG(width, height)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	last := math.MaxInt
	for i, q := range []float64{2, 5, 12, 31} {
		enc.SetQuality(q)
		au, _, err := enc.Encode(full, int64(i), false)
		if err != nil {
			t.Fatal(err)
		}
		if len(au) >= last {
			t.Fatalf("quality %v: %d bytes, the better one before had %d", q, len(au), last)
		}
		last = len(au)
	}
}

func TestScaler_PassesOnWhatFits(t *testing.T) {
	f := picture(t, 0)
	scaler, err := av.NewScaler(width, height, av.I420)
	if err != nil {
		t.Fatal(err)
	}
	defer scaler.Close()
	if got, err := scaler.Scale(f); err != nil || got != f {
		t.Fatalf("got %p, %v, want the same frame %p", got, err, f)
	}
}

func TestOpenInput_Errors(t *testing.T) {
	dir := t.TempDir()
	clip, err := os.ReadFile("../demo/street.mp4")
	if err != nil {
		t.Fatal(err)
	}
	cut, text := filepath.Join(dir, "cut.mp4"), filepath.Join(dir, "notes.txt")
	for path, content := range map[string][]byte{cut: clip[:2000], text: bytes.Repeat([]byte("no video at all\n"), 500)} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name, url string
		want      error
	}{
		{"absent", "file:" + filepath.Join(dir, "absent.mp4"), av.ErrNotFound},
		{"cut short", "file:" + cut, av.ErrInvalidData},
		{"a format not allowed", "file:" + text, av.ErrUnsupported},
		{"nobody listens", "http://127.0.0.1:1/x", av.ErrUnreachable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in, err := av.OpenInput(t.Context(), tc.url, av.InputOptions{Timeout: 5 * time.Second, Options: map[string]string{"format_whitelist": "mov"}})
			if !errors.Is(err, tc.want) {
				t.Fatalf("%v, %v, want %v", in, err, tc.want)
			}
		})
	}
}

func TestOpenInput_ContextEndsTheWait(t *testing.T) {
	address := silentServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := av.OpenInput(ctx, address, av.InputOptions{})
		done <- err
	}()
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, av.ErrStopped) {
			t.Fatalf("%v, want ErrStopped", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("open does not end with its context")
	}
}

func TestOpenInput_TimeoutEndsTheWait(t *testing.T) {
	_, err := av.OpenInput(t.Context(), silentServer(t), av.InputOptions{Timeout: 100 * time.Millisecond})
	if !errors.Is(err, av.ErrTimeout) {
		t.Fatalf("%v, want ErrTimeout", err)
	}
}

func TestNewH264_WithoutTheEncoderSaysSo(t *testing.T) {
	if !av.HasEncoder(av.EncoderH264) || !av.HasEncoder(av.EncoderMJPEG) || av.HasEncoder("no such encoder") {
		t.Fatal("HasEncoder is wrong about libx264, mjpeg or one that cannot be")
	}
}

func TestVersion_NamesEachLibrary(t *testing.T) {
	for _, name := range []string{"libavformat ", "libavcodec ", "libavutil ", "libswscale "} {
		if !strings.Contains(av.Version(), name) {
			t.Errorf("%q does not name %s", av.Version(), name)
		}
	}
}
