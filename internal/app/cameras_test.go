package app

import (
	"errors"
	"strings"
	"testing"

	"sightline/internal/httpd"
)

func TestPageSource_WhatThePageMayName(t *testing.T) {
	for _, text := range []string{
		"rtsp://admin:secret@192.0.2.5/a", "rtsps://cam.example/a#transport=udp", "http://192.0.2.5/mjpg", " https://192.0.2.5/ ", "test:?fps=10",
		"v4l2:/dev/video0", "v4l2:/dev/video12?fps=30", "v4l2:/dev/v4l/by-id/usb-cam-video-index0",
	} {
		if _, err := pageSource(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"192.0.2.5", " cam.example ", "192.0.2.5:554"} {
		_, err := pageSource(text)
		if input := (*httpd.InputError)(nil); !errors.As(err, &input) || !strings.Contains(input.Sentence, "write rtsp://"+strings.TrimSpace(text)+"/ ") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		"", "file:/etc/passwd", "file:/var/lib/sightline/signing-key.pem", "images:/srv", "screen:", "pipe:", "exec:reboot", "concat:a|b", "ftp://x/",
		"v4l2:/etc/passwd", "v4l2:/dev/mem", "v4l2:/dev/video0/../mem", "v4l2:/dev/v4l/by-id/../../mem", "rtsp://", "http:///x", "rtsp:x", "http://192.0.2.5:99999/", "gopher://127.0.0.1/",
	} {
		_, err := pageSource(text)
		if input := (*httpd.InputError)(nil); !errors.As(err, &input) || !strings.HasSuffix(input.Sentence, ".") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
