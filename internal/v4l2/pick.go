package v4l2

import (
	"cmp"
	"slices"
)

// Raw gives FFmpeg's name of a format of uncompressed pictures, empty if it is none or not one that we take.
func Raw(fourcc string) string {
	switch fourcc {
	case "YUYV":
		return "yuyv422"
	case "UYVY":
		return "uyvy422"
	case "YU12":
		return "yuv420p"
	case "NV12":
		return "nv12"
	case "GREY":
		return "gray"
	case "RGB3":
		return "rgb24"
	case "BGR3":
		return "bgr24"
	}
	return ""
}

// What a device is asked for when nobody says otherwise.
const (
	usualWidth, usualHeight = 1280, 720
	usualRateMilli          = 30_000
)

// Pick chooses what a device is to send: the size asked for, or the largest up to 1280x720; in it the formats that reach the rate asked for (or 30
// a second), or else come nearest; and of these the one with the least work and delay. Pictures without compression need none of either, JPEG
// has to be decoded, and H.264 also waited for in the camera's encoder, and begins only with its keyframes. Empty fields of wish are free. ok is
// false if nothing offered fits.
func Pick(formats []Format, wish Setting) (best Setting, ok bool) {
	rate := wish.RateMilli
	if rate == 0 {
		rate = usualRateMilli
	}
	var list []Setting
	for _, f := range formats {
		if rank(f.FourCC) == unknown || wish.FourCC != "" && f.FourCC != wish.FourCC {
			continue
		}
		if len(f.Sizes) == 0 { // it does not tell
			list = append(list, Setting{FourCC: f.FourCC, Width: cmp.Or(wish.Width, usualWidth), Height: cmp.Or(wish.Height, usualHeight), RateMilli: rate})
		}
		for _, s := range f.Sizes {
			if wish.Width != 0 && (s.Width != wish.Width || s.Height != wish.Height) {
				continue
			}
			list = append(list, Setting{FourCC: f.FourCC, Width: s.Width, Height: s.Height, RateMilli: reach(s.RatesMilli, rate)})
		}
	}
	if len(list) == 0 {
		return Setting{}, false
	}
	fits := func(s Setting) bool { return s.Width <= usualWidth && s.Height <= usualHeight }
	return slices.MinFunc(list, func(a, b Setting) int {
		if wish.Width == 0 {
			switch {
			case fits(a) != fits(b):
				if fits(a) {
					return -1
				}
				return 1
			case a.Width*a.Height != b.Width*b.Height && fits(a):
				return b.Width*b.Height - a.Width*a.Height
			case a.Width*a.Height != b.Width*b.Height:
				return a.Width*a.Height - b.Width*b.Height // all are larger: the smallest
			}
		}
		return cmp.Or(cmp.Compare(distance(a.RateMilli, rate), distance(b.RateMilli, rate)), cmp.Compare(rank(a.FourCC), rank(b.FourCC)))
	}), true
}

const unknown = 100

// rank orders formats by work and delay.
func rank(fourcc string) int {
	switch {
	case fourcc == "NV12", fourcc == "YU12":
		return 0 // what encoders take
	case Raw(fourcc) != "" && fourcc != "GREY":
		return 1
	case fourcc == "MJPG", fourcc == "JPEG":
		return 2
	case fourcc == "H264":
		return 3
	case fourcc == "GREY":
		return 4 // rather colour
	}
	return unknown
}

// reach is the offered rate nearest to the one wanted; without an offer the wish is taken for granted.
func reach(offered []int, rate int) int {
	if len(offered) == 0 {
		return rate
	}
	return slices.MinFunc(offered, func(a, b int) int { return cmp.Compare(distance(a, rate), distance(b, rate)) })
}

// distance counts rates below the wish three times: too many pictures can be left out. A hundredth of difference is none.
func distance(rate, wish int) int {
	switch d := rate - wish; {
	case d < -wish/100:
		return -3 * d
	case d > wish/100:
		return d
	}
	return 0
}
