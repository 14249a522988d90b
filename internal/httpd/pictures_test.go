package httpd

import (
	"bufio"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"

	"sightline/internal/auth"
)

func TestPictures(t *testing.T) {
	s := newSite(t)
	s.camera()
	bearer := "Bearer " + s.token(auth.View, "door")
	t.Run("snapshot", func(t *testing.T) {
		r := s.request("GET", "/api/v1/streams/door/snapshot.jpg", "")
		r.Header.Set("Authorization", bearer)
		if a := s.do(r); a.status != 200 || a.body != "\x01\x02\x03" || a.header.Get("Content-Type") != "image/jpeg" {
			t.Errorf("got %d, %q of type %s", a.status, a.body, a.header.Get("Content-Type"))
		}
	})
	t.Run("mjpeg", func(t *testing.T) {
		r := s.request("GET", "/mjpeg/door", "")
		r.Header.Set("Authorization", bearer)
		r.Header.Set("Range", "bytes=0-") // as libavformat sends
		resp, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if err != nil || resp.StatusCode != 200 || kind != "multipart/x-mixed-replace" {
			t.Fatalf("got %d of type %s (%v)", resp.StatusCode, kind, err)
		}
		parts := multipart.NewReader(bufio.NewReader(resp.Body), params["boundary"])
		for range 5 {
			part, err := parts.NextRawPart()
			if err != nil {
				t.Fatal(err)
			}
			picture := make([]byte, 3)
			if _, err := io.ReadFull(part, picture); err != nil || string(picture) != "\x01\x02\x03" {
				t.Fatalf("part holds %q (%v)", picture, err)
			}
		}
	})
	t.Run("no such stream", func(t *testing.T) {
		for _, path := range []string{"/api/v1/streams/cellar/snapshot.jpg", "/mjpeg/cellar"} {
			r := s.request("GET", path, "")
			r.Header.Set("Authorization", "Bearer "+s.token(auth.View, "**"))
			if a := s.do(r); a.status != 404 || a.code != "no-stream" {
				t.Errorf("%s: got %d %s", path, a.status, a.code)
			}
		}
	})
	t.Run("a group's slash may be escaped", func(t *testing.T) {
		r := s.request("GET", "/api/v1/streams/site%2Fdoor/snapshot.jpg", "")
		r.Header.Set("Authorization", "Bearer "+s.token(auth.View, "**"))
		if a := s.do(r); a.code != "no-stream" || strings.Contains(a.body, "bad-stream-name") {
			t.Errorf("got %d %s", a.status, a.code)
		}
	})
}
