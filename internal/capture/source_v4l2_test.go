//go:build cgo && linux

package capture

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// envDevice names a device of the driver vivid, which test/v4l2/run sets in its guest.
const envDevice = "SIGHTLINE_V4L2"

func device(t *testing.T) string {
	t.Helper()
	path := os.Getenv(envDevice)
	if path == "" {
		t.Skip("no device: test/v4l2/run starts a guest that has one")
	}
	return "v4l2:" + path
}

// onceFeed can be closed by a test and by its end.
type onceFeed struct {
	Feed
	once *sync.Once
}

func (f onceFeed) Close() { f.once.Do(f.Feed.Close) }

// openNow opens a device for one test.
func openNow(t *testing.T, address string) (Feed, error) {
	t.Helper()
	src, err := ParseSource(address)
	if err != nil {
		t.Fatal(err)
	}
	feed, err := NewLibav().Open(t.Context(), src)
	if err != nil {
		return nil, err
	}
	once := onceFeed{feed, new(sync.Once)}
	t.Cleanup(once.Close)
	return once, nil
}

func pictureOf(t *testing.T, feed Feed) *Picture {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p, err := feed.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDevice_FormatsSizesAndDriverTimes(t *testing.T) {
	address := device(t)
	for _, query := range []string{"size=640x360&format=yuyv&fps=10", "size=320x180&format=nv12&fps=10", "size=640x360&format=gray8", "size=320x180&format=bgr24", "size=320x180&format=yuv420p"} {
		t.Run(query, func(t *testing.T) {
			feed, err := openNow(t, address+"?"+query)
			if err != nil {
				t.Fatal(err)
			}
			if info := feed.Info(); !strings.Contains(query, "size="+sizeText(info)) || info.FrameRateMilli < 1000 {
				t.Errorf("%+v", info)
			}
			last := time.Time{}
			for range 5 {
				p := pictureOf(t, feed)
				age := time.Since(p.At)
				if !p.At.After(last) || age < 0 || age > 5*time.Second {
					t.Errorf("a picture of %v, %v old, after one of %v", p.At, age, last)
				}
				last = p.At
				p.Release()
			}
			feed.Close()
		})
	}
}

func sizeText(info FeedInfo) string {
	if info.Width == 640 && info.Height == 360 {
		return "640x360"
	}
	return "320x180"
}

func TestDevice_RestsAndGoesOn(t *testing.T) {
	feed, err := openNow(t, device(t)+"?size=320x180&fps=10")
	if err != nil {
		t.Fatal(err)
	}
	pictureOf(t, feed).Release()
	wanted := make(chan struct{})
	time.AfterFunc(3*time.Second, func() { close(wanted) })
	if err := feed.Rest(t.Context(), wanted); err != nil {
		t.Fatal(err)
	}
	p := pictureOf(t, feed)
	defer p.Release()
	if age := time.Since(p.At); age > 2*time.Second {
		t.Errorf("the first picture after a rest is %v old", age)
	}
}

func TestDevice_ControlsAreSet(t *testing.T) {
	address := device(t)
	feed, err := openNow(t, address+"?size=320x180&brightness=77&contrast=33")
	if err != nil {
		t.Fatal(err)
	}
	feed.Close()
	out, err := exec.CommandContext(t.Context(), "v4l2-ctl", "-d", os.Getenv(envDevice), "-C", "brightness,contrast").Output()
	if err != nil || !strings.Contains(string(out), "brightness: 77") || !strings.Contains(string(out), "contrast: 33") {
		t.Errorf("%s %v", out, err)
	}
	for query, want := range map[string]string{
		"brightness=1000": "want 0 to 255",
		"no_such_thing=1": "control no_such_thing is not offered; there are brightness",
		"size=321x123":    "does not offer the size, rate or format asked for",
		"format=h264":     "does not offer the size, rate or format asked for",
	} {
		if _, err := openNow(t, address+"?"+query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
}

func TestDevice_InUseAndNotACamera(t *testing.T) {
	address := device(t)
	feed, err := openNow(t, address+"?size=320x180")
	if err != nil {
		t.Fatal(err)
	}
	pictureOf(t, feed).Release()
	if _, err := openNow(t, address+"?size=320x180"); err == nil || !strings.Contains(err.Error(), "in use by another program") {
		t.Errorf("%v, want that it is in use", err)
	}
	feed.Close()
	if _, err := openNow(t, "v4l2:/dev/null"); err == nil || !strings.Contains(err.Error(), "is not a camera") {
		t.Errorf("%v, want that it is not a camera", err)
	}
}

func TestDevice_PulledOutAndPluggedInAgain(t *testing.T) {
	address := device(t)
	feed, err := openNow(t, address+"?size=320x180&fps=10")
	if err != nil {
		t.Fatal(err)
	}
	pictureOf(t, feed).Release()
	// The driver acts as if its cable were pulled, until all who have it open have closed it.
	if out, err := exec.CommandContext(t.Context(), "v4l2-ctl", "-d", os.Getenv(envDevice), "-c", "disconnect=1").CombinedOutput(); err != nil {
		t.Logf("v4l2-ctl: %s", out) // it may lose the device while it sets it
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for err = nil; err == nil; {
		var p *Picture
		if p, err = feed.Next(ctx); err == nil {
			p.Release()
		}
	}
	if !strings.Contains(err.Error(), "was pulled out; plug the camera in again") {
		t.Errorf("%v, want that it was pulled out", err)
	}
	feed.Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if feed, err = openNow(t, address+"?size=320x180&fps=10"); err == nil {
			break
		}
		if time.Now().After(deadline) || errors.Is(err, unix.EBUSY) {
			t.Fatal(err)
		}
		sleep(t.Context(), 100*time.Millisecond)
	}
	pictureOf(t, feed).Release()
}
