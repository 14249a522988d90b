package capture

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// controlWord is the name of a device's control.
var controlWord = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

// deviceFormats are the formats of devices that can be asked for, and their four letters.
func deviceFormats() map[string]string {
	return map[string]string{
		"mjpeg": "MJPG", "yuyv": "YUYV", "yuyv422": "YUYV", "uyvy": "UYVY", "nv12": "NV12", "yuv420p": "YU12", "gray8": "GREY", "rgb24": "RGB3", "bgr24": "BGR3", "h264": "H264",
	}
}

// parseDevice reads v4l2:/dev/video0?size=1280x720&fps=30&format=mjpeg, and behind these the device's own controls, such as
// power_line_frequency=1.
func parseDevice(rest string) (Source, error) {
	fail := func(err error) (Source, error) { return Source{}, fmt.Errorf("%w: v4l2: %w", ErrSource, err) }
	path, tail, _ := strings.Cut(rest, "?")
	if !strings.HasPrefix(path, "/dev/") || strings.Contains(path, "..") {
		return fail(errors.New("needs a device, such as v4l2:/dev/video0"))
	}
	known := []string{"size", "fps", "format"}
	var controls []string
	for field := range strings.SplitSeq(tail, "&") {
		if key, _, _ := strings.Cut(field, "="); controlWord.MatchString(key) && !slices.Contains(known, key) {
			controls = append(controls, key)
		}
	}
	query, err := parseQuery("?"+tail, append(known, controls...)...)
	if err != nil {
		return fail(err)
	}
	d := deviceOptions{size: query.Get("size"), fps: query.Get("fps"), format: query.Get("format"), controls: map[string]string{}}
	if d.size != "" {
		if _, _, err := parseSize(d.size); err != nil {
			return fail(err)
		}
	}
	if d.fps != "" {
		if _, err := parseRate(d.fps); err != nil {
			return fail(err)
		}
	}
	if d.format != "" && deviceFormats()[d.format] == "" {
		return fail(fmt.Errorf("format %.40q is none of %s", d.format, strings.Join(slices.Sorted(maps.Keys(deviceFormats())), ", ")))
	}
	for _, key := range controls {
		d.controls[key] = query.Get(key)
	}
	return Source{scheme: "v4l2", secret: path, shown: "v4l2:" + path, device: d}, nil
}
