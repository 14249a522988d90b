//go:build cgo

package capture

import (
	"errors"
	"testing"

	"sightline/internal/media"
)

// What HELLO says makes each rendition: the source itself, or the encoder that there is on this machine.
func TestHello_EncoderNames(t *testing.T) {
	engine := NewLibav()
	engine.broken.reasons["h264_vaapi"] = errors.New("no such device")
	opts := Options{Sandbox: "Confined.", EncoderName: engine.EncoderName}
	offers := []offer{
		{1, Rendition{Name: "source", Passthrough: true}},
		{2, Rendition{Name: "720p", Codec: media.CodecH264, Height: 720, Encoder: "h264_vaapi"}},
		{3, Rendition{Name: "mjpeg", Codec: media.CodecJPEG, Height: 544}},
		{4, Rendition{Name: "368p", Codec: media.CodecH264, Height: 368}},
	}
	h := hello(opts, offers, FeedInfo{Width: 1280, Height: 720, Native: media.CodecH264})
	if h.Sandbox != "Confined." {
		t.Errorf("the sandbox is told as %q", h.Sandbox)
	}
	for i, want := range []string{"copy", "libx264", "mjpeg", "libx264"} {
		if got := h.Renditions[i]; got.Encoder != want {
			t.Errorf("%s is made by %q, want %q", got.Name, got.Encoder, want)
		}
	}
	opts.EncoderName = nil
	if h := hello(opts, offers, FeedInfo{Width: 1280, Height: 720}); h.Renditions[1].Encoder != "h264_vaapi" {
		t.Errorf("made by %q where nobody knows better", h.Renditions[1].Encoder)
	}
}
