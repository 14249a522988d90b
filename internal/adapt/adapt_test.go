package adapt_test

import (
	"testing"

	"sightline/internal/adapt"
	"sightline/internal/media"
)

func TestChoose(t *testing.T) {
	h264 := func(id media.RenditionID, height int) media.Rendition {
		return media.Rendition{ID: id, Codec: media.CodecH264, Height: height}
	}
	ladder := []media.Rendition{h264(1, 720), h264(2, 544), h264(3, 368), {ID: 9, Codec: media.CodecJPEG, Height: 544}}
	both := []string{"h264", "jpeg"}
	for _, tc := range []struct {
		name   string
		wishes adapt.Wishes
		ladder []media.Rendition
		want   media.RenditionID
		ok     bool
	}{
		{"no limit takes the tallest", adapt.Wishes{Codecs: both}, ladder, 1, true},
		{"a limit takes the tallest that fits", adapt.Wishes{Codecs: both, MaxHeight: 600}, ladder, 2, true},
		{"nothing fits: the smallest", adapt.Wishes{Codecs: both, MaxHeight: 100}, ladder, 3, true},
		{"only JPEG decodes", adapt.Wishes{Codecs: []string{"jpeg"}}, ladder, 9, true},
		{"codec order is the viewer's", adapt.Wishes{Codecs: []string{"jpeg", "h264"}}, ladder, 9, true},
		{"the first codec is absent", adapt.Wishes{Codecs: both}, ladder[3:], 9, true},
		{"a pin wins", adapt.Wishes{Codecs: both, Pinned: true, Pin: 3}, ladder, 3, true},
		{"a pin to nothing is ignored", adapt.Wishes{Codecs: both, Pinned: true, Pin: 7}, ladder, 1, true},
		{"a pin to what it cannot decode is ignored", adapt.Wishes{Codecs: []string{"jpeg"}, Pinned: true, Pin: 1}, ladder, 9, true},
		{"nothing to decode", adapt.Wishes{Codecs: []string{"av1"}}, ladder, 0, false},
		{"no renditions", adapt.Wishes{Codecs: both}, nil, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := adapt.Choose(tc.wishes, tc.ladder)
			if got != tc.want || ok != tc.ok {
				t.Errorf("got %d %t, want %d %t", got, ok, tc.want, tc.ok)
			}
		})
	}
}
