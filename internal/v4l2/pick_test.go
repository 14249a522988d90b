package v4l2

import "testing"

func TestPick_LeastWorkAndDelay(t *testing.T) {
	// A usual webcam: raw pictures are slow where USB is too narrow.
	webcam := []Format{
		{FourCC: "YUYV", Sizes: []Size{{640, 480, []int{30_000, 15_000}}, {1280, 720, []int{10_000}}, {1920, 1080, []int{5_000}}}},
		{FourCC: "MJPG", Sizes: []Size{{640, 480, []int{30_000}}, {1280, 720, []int{60_000, 30_000}}, {1920, 1080, []int{30_000}}}},
		{FourCC: "H264", Sizes: []Size{{1280, 720, []int{30_000}}, {1920, 1080, []int{60_000, 30_000}}}},
		{FourCC: "Z16 ", Sizes: []Size{{640, 480, []int{90_000}}}},
	}
	for _, tc := range []struct {
		name    string
		formats []Format
		wish    Setting
		want    Setting
	}{
		{"unasked", webcam, Setting{}, Setting{FourCC: "MJPG", Width: 1280, Height: 720, RateMilli: 30_000}},
		{"small: raw is fast enough", webcam, Setting{Width: 640, Height: 480}, Setting{FourCC: "YUYV", Width: 640, Height: 480, RateMilli: 30_000}},
		{"slow: raw is fast enough", webcam, Setting{RateMilli: 10_000}, Setting{FourCC: "YUYV", Width: 1280, Height: 720, RateMilli: 10_000}},
		{"only H.264 is fast enough", webcam, Setting{Width: 1920, Height: 1080, RateMilli: 60_000}, Setting{FourCC: "H264", Width: 1920, Height: 1080, RateMilli: 60_000}},
		{"asked for a format", webcam, Setting{FourCC: "YUYV", Width: 1280, Height: 720}, Setting{FourCC: "YUYV", Width: 1280, Height: 720, RateMilli: 10_000}},
		{"all larger than usual", []Format{{FourCC: "YUYV", Sizes: []Size{{3840, 2160, nil}, {1920, 1080, nil}}}}, Setting{}, Setting{FourCC: "YUYV", Width: 1920, Height: 1080, RateMilli: 30_000}},
		{"nothing told", []Format{{FourCC: "MJPG"}, {FourCC: "YUYV"}}, Setting{}, Setting{FourCC: "YUYV", Width: 1280, Height: 720, RateMilli: 30_000}},
		{"NTSC is 30", []Format{{FourCC: "YUYV", Sizes: []Size{{640, 480, []int{29_970}}}}, {FourCC: "MJPG", Sizes: []Size{{640, 480, []int{30_000}}}}}, Setting{}, Setting{FourCC: "YUYV", Width: 640, Height: 480, RateMilli: 29_970}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok := Pick(tc.formats, tc.wish); !ok || got != tc.want {
				t.Errorf("%+v, %t, want %+v", got, ok, tc.want)
			}
		})
	}
	for _, wish := range []Setting{{Width: 123, Height: 45}, {FourCC: "NV12"}, {FourCC: "Z16 "}} {
		if got, ok := Pick(webcam, wish); ok {
			t.Errorf("%+v for %+v, want nothing", got, wish)
		}
	}
}
