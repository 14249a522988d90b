package rtsp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sightline/internal/h264"
)

// Codec is how a camera codes its video.
type Codec string

// The codecs that are read.
const (
	H264 Codec = "H264"
	H265 Codec = "H265"
	JPEG Codec = "JPEG"
)

// Video is what a camera says about its video.
type Video struct {
	Codec Codec
	// FrameRateMilli is frames a second × 1000, 0 if the camera does not tell.
	FrameRateMilli int
}

// ErrNoVideo is wrapped by the error for a camera that offers no video, or none that is read. Then its text ends with the names of what it offers.
var ErrNoVideo = errors.New("no video that is known here")

// track is a video stream of a session description.
type track struct {
	Video
	payload       uint8
	rate          uint32 // RTP timestamps a second
	control       string
	sets          []byte // parameter sets, with start codes
	width, height int    // of JPEG
	feedback      bool   // the camera makes a keyframe on request (RFC 4585)
}

// parseSDP finds the first video stream that is read (RFC 8866, and what cameras make of it). base is what the session as a whole is controlled by; empty: the address it was
// asked at.
func parseSDP(text []byte) (t track, base string, err error) {
	var offered []string
	var found *track
	var media *description
	session := true // before the first section
	finish := func() {
		if media == nil || found != nil {
			return
		}
		if t, err := media.track(); err == nil {
			found = &t
		} else {
			offered = append(offered, err.Error())
		}
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		kind, value, ok := strings.Cut(line, "=")
		if !ok || len(kind) != 1 {
			continue
		}
		switch kind {
		case "m":
			finish()
			media, session = nil, false
			if fields := strings.Fields(value); len(fields) >= 4 && fields[0] == "video" {
				media = &description{profile: fields[2], payload: fields[3], attributes: map[string][]string{}}
			}
		case "a":
			name, value, _ := strings.Cut(value, ":")
			switch {
			case media != nil:
				media.attributes[name] = append(media.attributes[name], strings.TrimSpace(value))
			case session && name == "control":
				base = strings.TrimSpace(value)
			}
		}
	}
	finish()
	if found == nil {
		if offered == nil {
			return t, "", fmt.Errorf("%w: it offers none", ErrNoVideo)
		}
		slices.Sort(offered)
		return t, "", fmt.Errorf("%w: it offers %s", ErrNoVideo, strings.Join(slices.Compact(offered), ", "))
	}
	return *found, base, nil
}

// description is one m= section.
type description struct {
	profile, payload string
	attributes       map[string][]string
}

// of gives what stands behind the payload type in the first such attribute that is about it.
func (d *description) of(name string) string {
	for _, v := range d.attributes[name] {
		if kind, rest, _ := strings.Cut(v, " "); kind == d.payload {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// first gives the first value of an attribute.
func (d *description) first(name string) string {
	if v := d.attributes[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// track reads the section. The error is the name of what is not read.
func (d *description) track() (track, error) {
	name, rest, _ := strings.Cut(d.of("rtpmap"), "/")
	if name == "" && d.payload == "26" { // RFC 3551
		name, rest = "JPEG", "90000"
	}
	shown := printable(name)
	if name == "" {
		shown = "payload type " + printable(d.payload)
	}
	if d.profile != "RTP/AVP" && d.profile != "RTP/AVPF" {
		return track{}, fmt.Errorf("%s over %s", shown, printable(d.profile))
	}
	payload, err := strconv.ParseUint(d.payload, 10, 7)
	if err != nil {
		return track{}, errors.New(shown)
	}
	clock, _, _ := strings.Cut(rest, "/")
	rate, err := strconv.ParseUint(clock, 10, 31)
	if err != nil || rate == 0 {
		rate = 90000 // as it is for all video that is read here
	}
	t := track{Video: Video{Codec: Codec(strings.ToUpper(name))}, payload: uint8(payload), rate: uint32(rate), control: d.first("control")}
	params := parameters(d.of("fmtp"))
	switch t.Codec {
	case H264:
		if params["packetization-mode"] == "2" {
			return track{}, fmt.Errorf("%s interleaved", shown)
		}
		t.sets = parameterSets(params["sprop-parameter-sets"])
	case H265, "HEVC":
		if n := params["sprop-max-don-diff"]; n != "" && n != "0" {
			return track{}, fmt.Errorf("%s interleaved", shown)
		}
		t.Codec = H265
		t.sets = parameterSets(params["sprop-vps"], params["sprop-sps"], params["sprop-pps"])
	case JPEG:
		w, h, _ := strings.Cut(d.first("x-dimensions"), ",")
		t.width, t.height = dimension(w), dimension(h)
	default:
		return track{}, errors.New(shown)
	}
	if rate, err := strconv.ParseFloat(d.first("framerate"), 64); err == nil && rate >= 0.1 && rate <= 240 {
		t.FrameRateMilli = int(rate * 1000)
	}
	for _, v := range d.attributes["rtcp-fb"] {
		fields := strings.Fields(v)
		t.feedback = t.feedback || len(fields) == 3 && (fields[0] == d.payload || fields[0] == "*") && fields[1] == "nack" && fields[2] == "pli"
	}
	return t, nil
}

// parameters reads "a=1;b=2"; names are in lower case.
func parameters(s string) map[string]string {
	m := map[string]string{}
	for field := range strings.SplitSeq(s, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		m[strings.ToLower(key)] = value
	}
	return m
}

// parameterSets makes Annex B of lists of NAL units in base64; those that cannot be read are left out, since most cameras send them again in band.
func parameterSets(lists ...string) (out []byte) {
	for _, list := range lists {
		for text := range strings.SplitSeq(list, ",") {
			if n, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "=")); err == nil && len(n) > 1 {
				out = h264.AppendUnit(out, n)
			}
		}
	}
	return out
}

func dimension(s string) int {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

// printable makes a camera's word fit for a message.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 40)]
}
