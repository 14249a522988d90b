package rtsp

import (
	"bytes"
	"strings"
	"testing"
)

func TestFrames(t *testing.T) {
	f := newFrames(strings.NewReader("\r\n$\x02\x00\x03abcRTSP/1.0 200 OK\r\ncseq:  7 \r\nContent-Length: 2\r\n\r\nhi\n$\x00\x00\x00OPTIONS * RTSP/1.0\nCSeq: 1\n\n"))
	for i, check := range []func(frame) bool{
		func(f frame) bool { return f.message == nil && f.channel == 2 && string(f.packet) == "abc" },
		func(f frame) bool {
			return f.message.status == 200 && f.message.header.Get("CSeq") == "7" && string(f.message.body) == "hi"
		},
		func(f frame) bool { return f.message == nil && f.channel == 0 && len(f.packet) == 0 },
		func(f frame) bool { return f.message.status == 0 && f.message.method == "OPTIONS" },
	} {
		got, err := f.next()
		if err != nil || !check(got) {
			t.Fatalf("frame %d: %+v, %v", i, got, err)
		}
	}
	if got, err := f.next(); err == nil {
		t.Errorf("%+v after the end", got)
	}
}

func TestControlURL(t *testing.T) {
	for _, tc := range []struct{ base, control, want string }{
		{"rtsp://c/s", "*", "rtsp://c/s"},
		{"rtsp://c/s", "", "rtsp://c/s"},
		{"rtsp://c/s/", "track1", "rtsp://c/s/track1"},
		{"rtsp://c/s", "track1", "rtsp://c/s/track1"},
		{"rtsp://c/s?a=1", "track1", "rtsp://c/s?a=1/track1"},
		{"rtsp://c/s", "RTSP://d/t", "RTSP://d/t"},
	} {
		if got := controlURL(tc.base, tc.control); got != tc.want {
			t.Errorf("%q and %q: %q, want %q", tc.base, tc.control, got, tc.want)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc$\x00\x00\x02hi"))
	f.Add([]byte("$\x01\xff\xffshort"))
	f.Add([]byte("REDIRECT rtsp://x RTSP/1.0\r\n\r\n"))
	f.Add([]byte("RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm=\"a\"\r\nContent-Length: 99999999999\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newFrames(bytes.NewReader(b))
		for {
			got, err := r.next()
			if err != nil {
				return
			}
			if m := got.message; m != nil && (len(m.body) > len(b) || m.status == 0 && m.method == "") {
				t.Fatalf("%+v", m)
			}
		}
	})
}
