package capture

import (
	"fmt"
	"slices"
	"strings"
)

// pipeOptions are those of a pipe: source.
type pipeOptions struct {
	format        string // FFmpeg's name of the pixel format, empty for MJPEG
	width, height int    // of raw pictures
	rate          rate   // zero: not told
}

// pipeFormats are the formats of standard input, as people write them, and FFmpeg's names for those that are raw.
func pipeFormats() map[string]string {
	return map[string]string{"mjpeg": "", "bgr24": "bgr24", "rgb24": "rgb24", "gray8": "gray", "yuv420p": "yuv420p", "nv12": "nv12"}
}

const pipeHelp = "want pipe:?format=mjpeg, or pipe:?format=bgr24&size=1280x720&fps=30"

func parsePipe(rest string) (Source, error) {
	s := Source{scheme: "pipe", shown: "pipe:"}
	fail := func(format string, args ...any) (Source, error) {
		return Source{}, fmt.Errorf("%w: pipe: %w, %s", ErrSource, fmt.Errorf(format, args...), pipeHelp)
	}
	query, err := parseQuery(rest, "format", "size", "fps")
	if err != nil {
		return fail("%w", err)
	}
	name := query.Get("format")
	format, ok := pipeFormats()[name]
	if !ok {
		known := []string{}
		for k := range pipeFormats() {
			known = append(known, k)
		}
		slices.Sort(known)
		return fail("format %.40q is none of %s", name, strings.Join(known, ", "))
	}
	s.pipe.format = format
	if v := query.Get("fps"); v != "" {
		if s.pipe.rate, err = parseRate(v); err != nil {
			return fail("%w", err)
		}
	}
	size := query.Get("size")
	switch {
	case format == "" && size != "":
		return fail("JPEG pictures tell their size, leave size out")
	case format == "":
		return s, nil
	}
	w, h, err := parseSize(size)
	if err != nil {
		return fail("raw pictures do not tell their size: %w", err)
	}
	if w < minSourceSide || h < minSourceSide || w*h > maxStill {
		return fail("size %dx%d, at least %dx%d pixels are needed and at most %d taken", w, h, minSourceSide, minSourceSide, maxStill)
	}
	if strings.HasSuffix(format, "420p") || format == "nv12" {
		if w%2 != 0 || h%2 != 0 {
			return fail("size %dx%d, %s needs even numbers", w, h, name)
		}
	}
	s.pipe.width, s.pipe.height = w, h
	return s, nil
}

// milliOrZero is the rate in frames a second × 1000, 0 when it is not told.
func (r rate) milliOrZero() int {
	if r.den == 0 {
		return 0
	}
	return r.milli()
}
