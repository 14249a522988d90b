//go:build cgo

package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"time"

	"sightline/internal/av"
	"sightline/internal/media"
)

const (
	openTimeout = 5 * time.Second
	// firstPicture is how long an open source may take to its first picture: a camera's longest usual distance between keyframes.
	firstPicture = 10 * time.Second
	minStall     = 2 * time.Second
	stallFrames  = 10

	gopSeconds = 10 // between keyframes that nobody asked for

	// The rate control's buffer bounds a keyframe to about three mean frames, but leaves it a bit for every twelve pixels: with less
	// x264 gives up on parts of the picture and leaves them grey.
	bufferFrames     = 3
	pixelsForEachBit = 12

	maxSlices = 2 // more cost bits, and some hardware decoders fail on them

	tapePoll = time.Millisecond
)

// Libav is the Engine over FFmpeg's libraries and, for test:, the pattern of this package.
type Libav struct {
	Stdin *os.File     // what pipe: reads
	Log   *slog.Logger // for what a source leaves out, one line each

	broken *brokenEncoders
}

// NewLibav readies FFmpeg's libraries. Call it once in a process.
func NewLibav() Libav {
	av.Setup()
	return Libav{Stdin: os.Stdin, Log: slog.New(slog.DiscardHandler), broken: &brokenEncoders{reasons: map[string]error{}}}
}

// Open implements Engine.
func (l Libav) Open(ctx context.Context, src Source) (Feed, error) {
	switch src.scheme {
	case "pipe":
		return openPipe(ctx, src, l.Stdin)
	case "images":
		return openImages(src, l.Log)
	case "v4l2":
		if feed, err := openDevice(ctx, src); feed != nil || err != nil {
			return feed, err
		}
	case "screen":
		return openScreen(ctx, src)
	case "rtsp", "rtsps":
		return openRTSP(ctx, src)
	case "http", "https":
		if feed, err := openHTTP(ctx, src); feed != nil || err != nil {
			return feed, err
		}
	}
	if src.scheme == "test" {
		return newTestFeed(src.test, func(w, h int) (Canvas, error) { return av.NewPicture(w, h, av.I420) }), nil
	}
	if src.scheme == "file" {
		switch info, err := os.Stat(src.secret); {
		case errors.Is(err, os.ErrNotExist):
			return nil, because{fmt.Errorf("the source %s does not exist; check the path", src), media.CauseNotFound}
		case err != nil:
			return nil, fmt.Errorf("the source %s cannot be read: %w", src, err)
		case info.IsDir():
			return nil, fmt.Errorf("the source %s is a directory; name a video file in it", src)
		}
	}
	in, dec, err := openInput(ctx, src)
	if err != nil {
		return nil, err
	}
	t, err := newTape(src, in.Video(), dec)
	if err != nil {
		in.Close()
		return nil, err
	}
	if src.scheme == "file" {
		return &fileFeed{tape: t, in: in}, nil
	}
	return &liveFeed{tape: t, in: arrivals{in, src}}, nil
}

func openInput(ctx context.Context, src Source) (*av.Input, *av.Decoder, error) {
	in, err := av.OpenInput(ctx, address(src), inputOptions(src))
	if err != nil {
		return nil, nil, explain(src, err)
	}
	dec, err := in.NewDecoder(src.scheme != "file" || !in.Video().Reorders)
	if err != nil {
		in.Close()
		return nil, nil, explain(src, err)
	}
	return in, dec, nil
}

func address(src Source) string {
	if src.scheme == "file" {
		return "file:" + src.secret
	}
	return src.secret
}

// inputOptions keep a source to the protocols it needs, so that what it sends cannot make us open something else, and take the waiting out of live
// ones.
func inputOptions(src Source) av.InputOptions {
	o := av.InputOptions{Timeout: openTimeout}
	switch src.scheme {
	case "file":
		// FFmpeg knows formats that are no video but become it (text, modules of music), and lists that name other files.
		o.Options = map[string]string{
			"protocol_whitelist": "file",
			"format_whitelist":   "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,dv,ivf,h264,hevc,m4v,mjpeg,yuv4mpegpipe,image2,jpeg_pipe,png_pipe",
		}
	case "http", "https":
		verify := "1"
		if src.trustAnyone {
			verify = "0"
		}
		o.Options = map[string]string{
			"protocol_whitelist": "http,https,tcp,tls,crypto", "format_whitelist": "mpjpeg,mjpeg,mpegts,mov,matroska,flv,h264,image2,jpeg_pipe", "tls_verify": verify,
			"probesize": "65536", "analyzeduration": "0",
		}
	case "v4l2":
		o.Format, o.NoWait = "v4l2", true
		o.Options = map[string]string{}
		for key, value := range map[string]string{"video_size": src.device.size, "framerate": src.device.fps, "input_format": src.device.format} {
			if value != "" {
				o.Options[key] = value
			}
		}
	}
	return o
}

// plausibleRate is frames a second × 1000, 0 where the source says nothing or nonsense.
func plausibleRate(v av.VideoInfo) int {
	if v.RateNum <= 0 || v.RateDen <= 0 {
		return 0
	}
	if m := int64(v.RateNum) * 1000 / int64(v.RateDen); m >= 100 && m <= maxRateMilli {
		return int(m)
	}
	return 0
}

// explain makes one sentence of what went wrong with src: what, where, what to do.
func explain(src Source, err error) error {
	switch {
	case errors.Is(err, av.ErrNotFound) && src.scheme == "v4l2":
		return because{fmt.Errorf("the source %s is not there; plug the camera in, or name another device", src), media.CauseUnplugged}
	case errors.Is(err, av.ErrNotFound):
		return because{fmt.Errorf("the source %s does not exist there; check the path", src), media.CauseNotFound}
	case errors.Is(err, av.ErrDenied):
		return because{fmt.Errorf("the source %s may not be read by this user; change its permissions or the user's groups", src), media.CauseForbidden}
	case errors.Is(err, av.ErrBusy):
		return because{fmt.Errorf("the source %s is in use by another program; end that one", src), media.CauseInUse}
	case errors.Is(err, av.ErrUnauthorized):
		return fmt.Errorf("the source %s %w; correct them in the source's address", src, ErrRefused)
	case errors.Is(err, av.ErrUnreachable):
		return because{fmt.Errorf("the source %s does not accept connections; check address, port and whether the camera is on", src), media.CauseClosed}
	case errors.Is(err, av.ErrTimeout):
		return because{fmt.Errorf("the source %s does not answer; check address, network and whether the camera is on", src), media.CauseSilent}
	case errors.Is(err, av.ErrNoVideo):
		return because{fmt.Errorf("the source %s has no video in it; name a source with pictures", src), media.CauseNoVideo}
	case errors.Is(err, av.ErrUnsupported) && src.scheme == "v4l2":
		return because{fmt.Errorf("the source %s does not offer the size, rate or format asked for; leave them out, or pick from what v4l2-ctl --list-formats-ext shows", src), media.CauseFormat}
	case errors.Is(err, av.ErrInvalidData), errors.Is(err, av.ErrUnsupported):
		return because{fmt.Errorf("the source %s is not video that can be decoded; check that it is a video and whole", src), media.CauseUndecodable}
	case errors.Is(err, av.ErrEOF):
		return fmt.Errorf("the source %s has ended", src)
	}
	return fmt.Errorf("the source %s cannot be used (%w); check the address and whether the camera is on", src, err)
}

// NewEncoder implements Engine.
func (l Libav) NewEncoder(o EncoderOptions) (Encoder, error) {
	if o.Codec == media.CodecH264 {
		return l.newH264(o)
	}
	scaler, err := av.NewScaler(o.Width, o.Height, av.I420Full)
	if err != nil {
		return nil, err
	}
	enc, err := av.NewMJPEG(o.Width, o.Height)
	if err != nil {
		scaler.Close()
		return nil, missing(err)
	}
	e := &jpegEncoder{scaler: scaler, enc: enc, quality: 5}
	e.SetRate(o.BitrateBps, o.FrameRateMilli)
	return e, nil
}

func missing(err error) error {
	if errors.Is(err, av.ErrNoEncoder) {
		return fmt.Errorf("%w; install an FFmpeg whose libavcodec has it (%s)", err, strings.SplitN(av.Version(), ", ", 3)[1])
	}
	return err
}

// NewScaler implements Scalers.
func (Libav) NewScaler(w, h int) (Scaler, error) {
	s, err := av.NewScaler(w, h, av.I420)
	if err != nil {
		return nil, err
	}
	return &scaler{w: w, h: h, scaler: s}, nil
}

// scaler implements Scaler.
type scaler struct {
	w, h   int
	scaler *av.Scaler
	pool   imagePool
}

// Scale implements Scaler.
func (s *scaler) Scale(p *Picture) (*Picture, error) {
	src := p.Image.(*av.Frame)
	if s.scaler.Fits(src) {
		p.refs.Add(1)
		return p, nil
	}
	img := s.pool.get()
	if img == nil {
		frame, err := av.NewPicture(s.w, s.h, av.I420)
		if err != nil {
			return nil, err
		}
		img = frame
	}
	if err := s.scaler.ScaleTo(img.(*av.Frame), src); err != nil {
		s.pool.put(img)
		return nil, err
	}
	return NewPicture(img, p.At, s.pool.put), nil
}

// Close implements Scaler.
func (s *scaler) Close() {
	s.scaler.Close()
	s.pool.close()
}

// NewDecoder implements Decoders.
func (Libav) NewDecoder(codec media.Codec) (Decoder, error) {
	name := "h264"
	if codec == media.CodecJPEG {
		name = "mjpeg"
	}
	dec, err := av.NewDecoder(name, true)
	if err != nil {
		return nil, err
	}
	return &decoder{dec: dec, frame: av.NewFrame()}, nil
}

// CopyLuma implements Decoders.
func (Libav) CopyLuma(c Canvas) (Canvas, error) {
	dst, err := av.NewPicture(c.Width(), c.Height(), av.Gray)
	if err != nil {
		return nil, err
	}
	to, toStride := dst.Plane(0)
	from, fromStride := c.Plane(0)
	for y := range c.Height() {
		copy(to[y*toStride:][:c.Width()], from[y*fromStride:])
	}
	return dst, nil
}

// decoder implements Decoder.
type decoder struct {
	dec   *av.Decoder
	frame *av.Frame
}

// Decode implements Decoder.
func (d *decoder) Decode(au []byte) (Canvas, error) {
	if err := d.dec.SendBytes(au, 0); err != nil {
		return nil, err
	}
	if err := d.dec.Receive(d.frame); err != nil {
		return nil, err
	}
	return d.frame, nil
}

// Close implements Decoder.
func (d *decoder) Close() {
	d.dec.Close()
	d.frame.Close()
}

// jpegEncoder scales, codes and finds the quality that its bitrate allows: JPEG's coder has no rate control of its own.
type jpegEncoder struct {
	input   *av.Frame // coded last
	scaler  *av.Scaler
	enc     *av.Encoder
	quality float64 // 2 (best) to 31
	target  float64 // bytes a picture
}

// Encode implements Encoder.
func (e *jpegEncoder) Encode(img Image, pts int64, _ bool) ([]byte, bool, error) {
	frame, err := e.scaler.Scale(img.(*av.Frame))
	if err != nil {
		return nil, false, err
	}
	e.input = frame
	e.enc.SetQuality(e.quality)
	au, _, err := e.enc.Encode(frame, pts, false)
	if err != nil {
		return nil, false, err
	}
	// Size goes about with 1/quality: a step of half the error, on a logarithmic scale, settles in a few pictures and does not swing.
	e.quality = min(max(e.quality*sqrtRatio(float64(len(au))/e.target), bestJPEG), worstJPEG)
	return au, true, nil
}

// The range of a JPEG's quantizer; finer than 3 costs much and shows nothing.
const (
	bestJPEG  = 3
	worstJPEG = 31
)

// sqrtRatio is the square root of r, which is kept from running away on one odd picture.
func sqrtRatio(r float64) float64 { return math.Sqrt(min(max(r, 0.25), 4)) }

// Input implements Comparable.
func (e *jpegEncoder) Input() Canvas { return e.input }

// SetRate implements Encoder.
func (e *jpegEncoder) SetRate(bitrateBps, frameRateMilli int) {
	e.target = float64(bitrateBps) * 1000 / 8 / float64(max(1, frameRateMilli))
}

// Close implements Encoder.
func (e *jpegEncoder) Close() {
	e.enc.Close()
	e.scaler.Close()
}
