package capture

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sightline/internal/media"
	"sightline/internal/wire"
)

// Rendition says how to encode the source once, or not to.
type Rendition struct {
	Name  string
	Codec media.Codec
	// Passthrough publishes the source's own access units untouched. Codec is then the source's, and nothing below counts. A source that cannot be passed
	// on is offered without this rendition.
	Passthrough    bool
	Height         int // lines at most; the source's if it has less
	FrameRateMilli int // frames a second × 1000 at most; 0: the source's
	BitrateBps     int // at most, and what it starts with
	MinBitrateBps  int // the least a viewer's network may bring it down to
	Preset         string
	// Encoder is libx264, one of hardware's by FFmpeg's name, or auto for the first of these that works here; empty: libx264. Where the one named does not work
	// libx264 takes its place, and the stream's status says so.
	Encoder string
}

// encoderNames are those an H.264 rendition may name.
func encoderNames() []string {
	return []string{"auto", "libx264", "h264_nvenc", "h264_qsv", "h264_vaapi", "h264_v4l2m2m"}
}

// presets are those of x264 that keep up with a camera.
func presets() []string {
	return []string{"ultrafast", "superfast", "veryfast", "faster", "fast", "medium"}
}

func defaults(codec media.Codec) Rendition {
	if codec == media.CodecJPEG {
		return Rendition{Codec: codec, Height: jpegHeight, FrameRateMilli: 10_000, BitrateBps: 6_000_000, MinBitrateBps: 500_000}
	}
	return Rendition{Codec: codec, Height: 720, FrameRateMilli: 30_000, BitrateBps: 2_500_000, MinBitrateBps: 150_000, Preset: "superfast"}
}

// ParseRendition reads "name=720p,codec=h264,height=720,fps=30,bitrate=2500000,min_bitrate=150000,preset=superfast,encoder=auto". All but the name
// may be left out. "name=source,codec=source" is the source's own coding.
func ParseRendition(s string) (Rendition, error) {
	values := map[string]string{}
	for field := range strings.SplitSeq(s, ",") {
		key, value, ok := strings.Cut(field, "=")
		if !ok || value == "" {
			return Rendition{}, fmt.Errorf("rendition %.80q: %.40q is not key=value", s, field)
		}
		if !slices.Contains([]string{"name", "codec", "height", "fps", "bitrate", "min_bitrate", "preset", "encoder"}, key) {
			return Rendition{}, fmt.Errorf("rendition %.80q: unknown key %.40q, known are name, codec, height, fps, bitrate, min_bitrate, preset and encoder", s, key)
		}
		if _, twice := values[key]; twice {
			return Rendition{}, fmt.Errorf("rendition %.80q: %s is given twice", s, key)
		}
		values[key] = value
	}
	codec := media.CodecH264
	switch values["codec"] {
	case "", "h264":
	case "jpeg":
		codec = media.CodecJPEG
	case "source":
		if len(values) > 2 || values["name"] == "" {
			return Rendition{}, fmt.Errorf("rendition %.80q: codec source passes the source's own coding on as it is; give it a name and nothing else", s)
		}
		r := Rendition{Name: values["name"], Passthrough: true}
		return r, r.Validate()
	default:
		return Rendition{}, fmt.Errorf("rendition %.80q: codec %.40q, want h264, jpeg or source", s, values["codec"])
	}
	r := defaults(codec)
	r.Name = values["name"]
	if v, ok := values["preset"]; ok {
		r.Preset = v
	}
	r.Encoder = values["encoder"]
	for key, into := range map[string]*int{"height": &r.Height, "bitrate": &r.BitrateBps, "min_bitrate": &r.MinBitrateBps} {
		v, ok := values[key]
		if !ok {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil {
			return Rendition{}, fmt.Errorf("rendition %.80q: %s %.40q is not a whole number", s, key, v)
		}
		*into = n
	}
	if v, ok := values["fps"]; ok {
		rate, err := parseRate(v)
		if err != nil {
			return Rendition{}, fmt.Errorf("rendition %.80q: %w", s, err)
		}
		r.FrameRateMilli = rate.milli()
	}
	if _, ok := values["min_bitrate"]; !ok {
		r.MinBitrateBps = min(r.MinBitrateBps, r.BitrateBps)
	}
	if err := r.Validate(); err != nil {
		return Rendition{}, err
	}
	return r, nil
}

// Validate says what is wrong with r in one sentence.
func (r Rendition) Validate() error {
	switch {
	case r.Name == "" || len(r.Name) > 64:
		return errors.New("a rendition needs a name of 1 to 64 bytes, such as name=720p")
	case r.Passthrough:
		return nil
	case !r.Codec.Valid():
		return fmt.Errorf("rendition %q: %v, want h264, jpeg or source", r.Name, r.Codec)
	case r.Height < 64 || r.Height > 4320:
		return fmt.Errorf("rendition %q: height %d, want 64 to 4320 lines", r.Name, r.Height)
	case r.FrameRateMilli < 0 || r.FrameRateMilli > maxRateMilli:
		return fmt.Errorf("rendition %q: fps %.3f, want at most %d", r.Name, float64(r.FrameRateMilli)/1000, maxRateMilli/1000)
	case r.BitrateBps < 50_000 || r.BitrateBps > 200_000_000:
		return fmt.Errorf("rendition %q: bitrate %d, want 50000 to 200000000 bit/s", r.Name, r.BitrateBps)
	case r.MinBitrateBps < 50_000 || r.MinBitrateBps > r.BitrateBps:
		return fmt.Errorf("rendition %q: min_bitrate %d, want 50000 to the bitrate of %d bit/s", r.Name, r.MinBitrateBps, r.BitrateBps)
	case r.Codec == media.CodecH264 && !slices.Contains(presets(), r.Preset):
		return fmt.Errorf("rendition %q: preset %.40q, want one of %s", r.Name, r.Preset, strings.Join(presets(), ", "))
	case r.Codec == media.CodecJPEG && (r.Preset != "" || r.Encoder != ""):
		return fmt.Errorf("rendition %q: preset and encoder are for h264, leave them out", r.Name)
	case r.Encoder != "" && !slices.Contains(encoderNames(), r.Encoder):
		return fmt.Errorf("rendition %q: encoder %.40q, want one of %s", r.Name, r.Encoder, strings.Join(encoderNames(), ", "))
	}
	return nil
}

// size is what the rendition makes of a source of sw by sh pixels as displayed: never larger, both even, and lines divisible by 16 where it
// scales, so that no coded line is hidden.
func (r Rendition) size(sw, sh int) (w, h int) {
	if sh <= r.Height || r.Passthrough {
		return sw &^ 1, sh &^ 1
	}
	h = (r.Height + 8) &^ 15
	if h > sh {
		h = r.Height &^ 15
	}
	return (sw*h/sh + 1) &^ 1, h
}

// passes tells whether the rendition of such a source is what the source itself codes.
func (r Rendition) passes(feed FeedInfo) bool {
	if feed.Native == 0 || r.Passthrough {
		return feed.Native != 0
	}
	return r.Codec == media.CodecJPEG && feed.Native == media.CodecJPEG && feed.Height <= r.Height
}

// encoderName is what makes the rendition of such a source.
func (r Rendition) encoderName(feed FeedInfo, here func(asked string) string) string {
	switch {
	case r.passes(feed):
		return "copy"
	case r.Codec == media.CodecJPEG:
		return "mjpeg"
	case r.Encoder == "" || r.Encoder == "libx264":
		return "libx264"
	case here == nil:
		return r.Encoder
	}
	return here(r.Encoder)
}

// unknownRateMilli is what the rate control counts on when a source does not tell its frame rate.
const unknownRateMilli = 25_000

// rateMilli is the frame rate that the rendition makes of a source's; cap is a further limit, 0 for none.
func (r Rendition) rateMilli(source, limit int) int {
	if source <= 0 {
		source = unknownRateMilli
	}
	for _, limit := range []int{r.FrameRateMilli, limit} {
		if limit > 0 {
			source = min(source, limit)
		}
	}
	return source
}

// hello lists the renditions as they are for a source; width and height are 0 while the source's size is not known.
func hello(opts Options, offers []offer, feed FeedInfo) wire.PublisherHello {
	h := wire.PublisherHello{Agent: opts.Agent, Source: opts.Source.Scheme(), Sandbox: clip(opts.Sandbox)}
	for _, o := range offers {
		r, codec := o.spec, o.spec.Codec
		if r.Passthrough {
			codec = feed.Native
		}
		info := wire.RenditionInfo{
			ID: o.id, Name: r.Name, Codec: codec.String(), FrameRateMilli: r.rateMilli(feed.FrameRateMilli, 0),
			MinBitrateBps: r.MinBitrateBps, MaxBitrateBps: r.BitrateBps, Encoder: r.encoderName(feed, opts.EncoderName),
		}
		if feed.Height > 0 {
			info.Width, info.Height = r.size(feed.Width, feed.Height)
		}
		h.Renditions = append(h.Renditions, info)
	}
	return h
}
