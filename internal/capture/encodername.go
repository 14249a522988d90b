//go:build cgo

package capture

import (
	"sightline/internal/av"
	"sightline/internal/media"
)

// EncoderName tells what an H.264 encoder asked for by that name, or by auto, is on this machine: itself if it codes a picture, else
// libx264. The first call for one of hardware's tries it.
func (l Libav) EncoderName(asked string) string {
	trial := EncoderOptions{Codec: media.CodecH264, Width: 1280, Height: 720, FrameRateMilli: 30_000, BitrateBps: 2_500_000, Encoder: asked}
	for _, hw := range hardware() {
		if asked != "auto" && asked != hw.name {
			continue
		}
		if enc, err := l.tryHardware(hw, trial); err == nil {
			enc.Close()
			return hw.name
		}
	}
	return av.EncoderH264
}
