package capture

import (
	"strings"
	"testing"
	"time"
)

func TestFrozen(t *testing.T) {
	f := newFrozen()
	img := ramp(t, 0)
	at := time.Now()
	second := func(n int) string { return f.see(img, at.Add(time.Duration(n)*time.Second)) }
	for n := range 5 {
		if s := second(n); s != "" {
			t.Fatalf("after %d s: %s", n, s)
		}
	}
	if s := second(5); !strings.Contains(s, "the same for 5 s") {
		t.Fatalf("after 5 s: %q", s)
	}
	img.planes[0][16*minTestWidth+3]++ // noise
	if s := second(6); s != "" {
		t.Fatalf("a living camera: %s", s)
	}
	if s := second(10); s != "" {
		t.Fatalf("4 s after noise: %s", s)
	}
	if s := second(11); s == "" {
		t.Fatal("frozen again, and not told")
	}
}

func TestSource_Sensor(t *testing.T) {
	for address, want := range map[string]bool{"rtsp://cam/x": true, "http://cam/x": true, "v4l2:/dev/video0": true, "test:": false, "file:x": false} {
		src, err := ParseSource(address)
		if err != nil || src.sensor() != want {
			t.Errorf("%s: %t, %v, want %t", address, src.sensor(), err, want)
		}
	}
}
