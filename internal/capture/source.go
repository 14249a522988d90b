package capture

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sightline/internal/reach"
	"sightline/internal/timestrip"
)

// Source says where pictures come from. It may hold credentials, so it prints and logs without them. Make one with ParseSource.
type Source struct {
	scheme string
	secret string // what the libraries open, credentials included
	shown  string // the same for people
	test   testOptions
	device deviceOptions
	pipe   pipeOptions
	images imagesOptions
	http   httpOptions
	rtsp   rtspOptions
	screen screenOptions
	// trustAnyone leaves a camera's certificate unchecked.
	trustAnyone bool
	// guarded allows connections only where package reach does.
	guarded bool
}

// Guarded is the same source, which may not lead to this machine or to its own link: for one that somebody named on a page. Sources
// that are read by no connection are as they were.
func (s Source) Guarded() Source {
	s.guarded = true
	return s
}

// control is what looks at the addresses of connections; nil allows all.
func (s Source) control() func(network, address string, c syscall.RawConn) error {
	if s.guarded {
		return reach.Control
	}
	return nil
}

// testOptions are those of a test: source.
type testOptions struct {
	width, height int
	rate          rate
	tag           uint8
}

// deviceOptions are those of a v4l2: source, each empty for the device's own choice.
type deviceOptions struct {
	size, fps, format string
	controls          map[string]string
}

// rate is frames a second as a fraction.
type rate struct{ num, den int }

const (
	maxRateMilli = 240_000
	maxRatePart  = 90_000 // of a fraction, so that after cannot overflow
)

func (r rate) milli() int { return int(int64(r.num) * 1000 / int64(r.den)) }

// after is how long n frames take, exactly, for any n.
func (r rate) after(n int64) time.Duration {
	num, den := int64(r.num), int64(r.den)
	return time.Duration(n/num*den)*time.Second + time.Duration(n%num*den*int64(time.Second)/num)
}

// Scheme is the kind of source: test, file, rtsp, rtsps, http, https, v4l2, images, screen or pipe.
func (s Source) Scheme() string { return s.scheme }

// String names the source for people, without credentials.
func (s Source) String() string { return s.shown }

// LogValue implements slog.LogValuer.
func (s Source) LogValue() slog.Value { return slog.StringValue(s.shown) }

// known is what can be told of the source before it is opened.
func (s Source) known() FeedInfo {
	switch s.scheme {
	case "test":
		return FeedInfo{Width: s.test.width, Height: s.test.height, FrameRateMilli: s.test.rate.milli()}
	case "pipe":
		return FeedInfo{Width: s.pipe.width, Height: s.pipe.height, FrameRateMilli: s.pipe.rate.milliOrZero()}
	}
	return FeedInfo{}
}

// ErrSource is wrapped by every error of ParseSource.
var ErrSource = errors.New("invalid source")

const sourceHelp = "want test:, file:PATH, rtsp://…, rtsps://…, http://…, https://…, v4l2:/dev/video0, images:DIR, screen: or pipe:"

// ParseSource reads a source's address:
//
//	test:?size=1280x720&fps=30000/1001&tag=0   the test pattern; every part of the query may be left out
//	file:PATH                                  a video file, over and over
//	rtsp://user:password@host/path             a network camera, over TCP or with #transport=udp in datagrams
//	rtsps://user:password@host/path            the same encrypted; with #tls-fingerprint=… the camera has this certificate
//	http://user:password@host/path             Motion JPEG and the like, also https; with #fps=5 single JPEGs are asked for so often
//	                                           With #tls-verify=no the camera's certificate is not checked.
//	v4l2:/dev/video0?size=1280x720&fps=30&format=mjpeg&power_line_frequency=1
//	                                           a camera of this machine, and the controls it has
//	images:DIR?window=4000&level=2000          the newest still of a folder; with mode=play&fps=2 all of them in order
//	screen::0.0?size=1280x720&fps=30           an X11 screen of this machine, or its upper left part; screen: is $DISPLAY
//	pipe:?format=mjpeg                         JPEGs on standard input, one after the other
//	pipe:?format=bgr24&size=1280x720&fps=30    raw pictures there; also rgb24, gray8, yuv420p and nv12
//
// Errors wrap ErrSource and show no credentials.
func ParseSource(s string) (Source, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	scheme = strings.ToLower(scheme)
	if !ok {
		return Source{}, fmt.Errorf("%w: no scheme, %s", ErrSource, sourceHelp)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return Source{}, fmt.Errorf("%w: it holds a control character", ErrSource)
	}
	switch scheme {
	case "test":
		return parseTest(rest)
	case "file":
		if strings.HasPrefix(rest, "///") {
			rest = rest[2:]
		}
		if rest == "" || strings.HasPrefix(rest, "//") {
			return Source{}, fmt.Errorf("%w: file: needs a path, such as file:/srv/clip.mp4", ErrSource)
		}
		return Source{scheme: scheme, secret: rest, shown: "file:" + rest}, nil
	case "v4l2":
		return parseDevice(rest)
	case "pipe":
		return parsePipe(rest)
	case "images":
		return parseImages(rest)
	case "screen":
		return parseScreen(rest)
	case "rtsp", "rtsps", "http", "https":
		return parseNetwork(scheme, s)
	}
	return Source{}, fmt.Errorf("%w: unknown scheme %.20q, %s", ErrSource, scheme, sourceHelp)
}

func parseTest(rest string) (Source, error) {
	s := Source{scheme: "test", shown: "test:", test: testOptions{width: 1280, height: 720, rate: rate{30000, 1001}}}
	query, err := parseQuery(rest, "size", "fps", "tag")
	if err != nil {
		return Source{}, fmt.Errorf("%w: test: %w", ErrSource, err)
	}
	if v := query.Get("size"); v != "" {
		w, h, err := parseSize(v)
		if err != nil {
			return Source{}, fmt.Errorf("%w: test: %w", ErrSource, err)
		}
		if w < minTestWidth || h < minTestHeight || w%2 != 0 || h%2 != 0 || w < timestrip.MinWidth || h < timestrip.MinHeight {
			return Source{}, fmt.Errorf("%w: test: size %dx%d, want even numbers from %dx%d", ErrSource, w, h, minTestWidth, minTestHeight)
		}
		s.test.width, s.test.height = w, h
	}
	if v := query.Get("fps"); v != "" {
		if s.test.rate, err = parseRate(v); err != nil {
			return Source{}, fmt.Errorf("%w: test: %w", ErrSource, err)
		}
	}
	if v := query.Get("tag"); v != "" {
		tag, err := strconv.ParseUint(v, 10, 8)
		if err != nil {
			return Source{}, fmt.Errorf("%w: test: tag %.40q, want 0 to 255", ErrSource, v)
		}
		s.test.tag = uint8(tag)
	}
	return s, nil
}

// parseNetwork keeps the address as it is, since cameras are particular about it, and shows only host and path.
func parseNetwork(scheme, s string) (Source, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return Source{}, fmt.Errorf("%w: %s: needs a host and maybe a path, such as %s://camera.lan/stream; write special characters in user name and password as %%40 and the like", ErrSource, scheme, scheme)
	}
	src := Source{scheme: scheme, shown: scheme + "://" + u.Host + u.EscapedPath()}
	if err := parseNetworkOptions(&src, u.Fragment); err != nil {
		return Source{}, fmt.Errorf("%w: %s: %w", ErrSource, scheme, err)
	}
	src.secret, _, _ = strings.Cut(s, "#")
	return src, nil
}

func parseQuery(rest string, known ...string) (url.Values, error) {
	if rest == "" || rest == "?" {
		return nil, nil
	}
	if rest[0] != '?' {
		return nil, fmt.Errorf("%.40q, options come behind a ?", rest)
	}
	query, err := url.ParseQuery(rest[1:])
	if err != nil {
		return nil, fmt.Errorf("options %.80q, want %s", rest[1:], strings.Join(known, "=…&")+"=…")
	}
next:
	for key, values := range query {
		if len(values) > 1 {
			return nil, fmt.Errorf("%.40q is given twice", key)
		}
		for _, k := range known {
			if key == k {
				continue next
			}
		}
		return nil, fmt.Errorf("unknown option %.40q, known are %s", key, strings.Join(known, ", "))
	}
	return query, nil
}

func parseSize(s string) (w, h int, err error) {
	ws, hs, ok := strings.Cut(s, "x")
	if w, err = strconv.Atoi(ws); err == nil {
		h, err = strconv.Atoi(hs)
	}
	if !ok || err != nil || w < 1 || h < 1 || w > 7680 || h > 4320 {
		return 0, 0, fmt.Errorf("size %.40q, want width x height up to 7680x4320, such as 1280x720", s)
	}
	return w, h, nil
}

// parseRate reads frames a second: 30, 29.97 or 30000/1001.
func parseRate(s string) (rate, error) {
	bad := fmt.Errorf("fps %.40q, want frames a second up to %d, such as 25, 29.97 or 30000/1001", s, maxRateMilli/1000)
	var r rate
	if ns, ds, ok := strings.Cut(s, "/"); ok {
		num, err1 := strconv.Atoi(ns)
		den, err2 := strconv.Atoi(ds)
		if err1 != nil || err2 != nil || num < 1 || den < 1 || num > maxRatePart || den > maxRatePart {
			return r, bad
		}
		r = rate{num, den}
	} else {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || !(f > 0 && f <= maxRateMilli) {
			return r, bad
		}
		r = rate{int(math.Round(f * 1000)), 1000}
	}
	if m := r.milli(); m < 100 || m > maxRateMilli {
		return rate{}, bad
	}
	return r, nil
}
