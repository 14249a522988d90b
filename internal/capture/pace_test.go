package capture

import (
	"io"
	"testing"
	"time"
)

// endless gives bytes without end.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestPaced_ReadsNoFasterThanItsRate(t *testing.T) {
	begin := time.Unix(0, 0)
	now := begin
	p := paced(endless{})
	p.now, p.last = func() time.Time { return now }, begin
	p.sleep = func(d time.Duration) { now = now.Add(d) }
	const size = 512 << 20
	if _, err := io.CopyN(io.Discard, p, size); err != nil {
		t.Fatal(err)
	}
	took, want := now.Sub(begin), time.Duration(float64(size-paceBurst)/paceRate*float64(time.Second))
	if took < want*99/100 || took > want*101/100 {
		t.Errorf("%d bytes took %s, want %s", size, took, want)
	}
}

func TestPaced_LeavesASlowCameraAlone(t *testing.T) {
	begin := time.Unix(0, 0)
	now := begin
	p := paced(endless{})
	p.now, p.last = func() time.Time { return now }, begin
	p.sleep = func(d time.Duration) { t.Errorf("waited %s", d) }
	for range 1000 { // 30 pictures of 1 MB a second
		if _, err := io.CopyN(io.Discard, p, 1<<20); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second / 30)
	}
}
