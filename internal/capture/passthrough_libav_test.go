//go:build cgo

package capture_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"testing"
	"time"

	"sightline/internal/av"
	"sightline/internal/capture"
	"sightline/internal/h264"
	"sightline/internal/media"
	"sightline/internal/wire"
)

const street = "../demo/street.mp4"

// The clip is H.264 with length prefixes and its parameter sets in the header; a decoder that has not been told to hurry must show each
// access unit at once.
func TestLibav_FileIsPassedOn(t *testing.T) {
	s := start(t, capture.Options{Source: source(t, "file:"+street), Agent: "t"}, capture.NewLibav())
	id, hello := s.find("source")
	if id == 0 {
		t.Fatalf("HELLO %+v", hello)
	}
	s.state(media.StateIdle)
	asked := s.epoch.Now()
	s.want(wire.WantedRendition{ID: id})
	if c := get(t, "CONFIG", s.configs); c.Width != 768 || c.Height != 576 || c.FrameRateMilli != 10_000 || c.CodecString == "" {
		t.Fatalf("CONFIG %+v", c)
	}
	dec, err := av.NewDecoder("h264", false)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	frame := av.NewFrame()
	defer frame.Close()
	for n := range 25 {
		u := get(t, "MEDIA", s.units)
		if n == 0 {
			t.Logf("first picture %v after WANT", u.arrived.Sub(asked))
		}
		if u.Key() != (n%20 == 0) {
			t.Fatalf("access unit %d: key %t", n, u.Key())
		}
		for nal := range h264.Units(u.data) {
			if nal.Type() == h264.TypeSPS {
				if sps, err := h264.ParseSPS(nal); err != nil || sps.HoldsBack() {
					t.Fatalf("%+v, %v", sps, err)
				}
			}
		}
		if err := dec.SendBytes(u.data, int64(n)); err != nil {
			t.Fatal(err)
		}
		if err := dec.Receive(frame); err != nil {
			t.Fatalf("access unit %d is not decoded at once: %v", n, err)
		}
	}
}

// A camera that is watched after it rested in the middle of its group of pictures begins with a keyframe, encoded or not.
func TestLibav_AfterARestAKeyframeComesFirst(t *testing.T) {
	s := start(t, capture.Options{Source: source(t, "file:"+street), Agent: "t"}, capture.NewLibav())
	own, hello := s.find("source")
	encoded := hello.Renditions[1].ID
	s.want(wire.WantedRendition{ID: own})
	for range 8 {
		get(t, "MEDIA", s.units)
	}
	seen := map[media.RenditionID]uint8{own: 1} // generations
	for _, id := range []media.RenditionID{encoded, own, encoded} {
		s.want()
		s.state(media.StateIdle)
		s.want(wire.WantedRendition{ID: id})
		u := get(t, "MEDIA", s.units)
		for u.Rendition != id || u.Generation == seen[id] { // what was on its way
			u = get(t, "MEDIA", s.units)
		}
		if !u.Key() {
			t.Fatalf("%+v comes first", u.MediaHeader)
		}
		seen[id] = u.Generation
	}
}

// jpegPicture is what jpegCamera sends over and over.
func jpegPicture(t *testing.T) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 320, 240))
	img.SetGray(7, 7, color.Gray{200})
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, img, nil); err != nil {
		t.Fatal(err)
	}
	return picture.Bytes()
}

// jpegCamera serves Motion JPEG, 25 pictures a second, until the test ends.
func jpegCamera(t *testing.T) (address string) {
	t.Helper()
	picture := jpegPicture(t)
	camera := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := multipart.NewWriter(w)
		w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary="+m.Boundary())
		for {
			part, err := m.CreatePart(textproto.MIMEHeader{"Content-Type": {"image/jpeg"}})
			if err != nil {
				return
			}
			if _, err := part.Write(picture); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(40 * time.Millisecond):
			}
		}
	}))
	t.Cleanup(camera.Close)
	return camera.URL
}

func TestLibav_JPEGCameraIsPassedOn(t *testing.T) {
	picture, camera := jpegPicture(t), jpegCamera(t)
	s := start(t, capture.Options{Source: source(t, camera+"/video.mjpg"), Agent: "t"}, capture.NewLibav())
	id, hello := s.find("source")
	if id == 0 || hello.Renditions[0].Codec != "jpeg" {
		t.Fatalf("HELLO %+v", hello)
	}
	s.want(wire.WantedRendition{ID: id, MaxFrameRateMilli: 10_000})
	var times []media.Timestamp
	for range 12 {
		u := get(t, "MEDIA", s.units)
		if !u.Key() || !bytes.Equal(u.data, picture) {
			t.Fatalf("%+v: %d bytes, want the camera's %d untouched", u.MediaHeader, len(u.data), len(picture))
		}
		times = append(times, u.Capture)
	}
	if rate := 11 / times[11].Sub(times[0]).Seconds(); rate > 11.5 {
		t.Fatalf("%.1f pictures a second, want at most 10", rate)
	}
}
