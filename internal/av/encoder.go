//go:build cgo

package av

/*
#include "shim.h"
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Names of the encoders. Those but libx264 and mjpeg are hardware's.
const (
	EncoderH264    = "libx264"
	EncoderNVENC   = "h264_nvenc"
	EncoderQSV     = "h264_qsv"
	EncoderVAAPI   = "h264_vaapi"
	EncoderV4L2M2M = "h264_v4l2m2m"
	EncoderMJPEG   = "mjpeg"
)

// H264Options describe an H.264 encoder.
type H264Options struct {
	Width, Height  int // even
	FrameRateMilli int // frames a second × 1000, which the rate control counts on
	BitrateBps     int
	Preset         string // of x264: "ultrafast" to "placebo"
	GOPFrames      int    // longest distance between two keyframes
	BufferBits     int    // size of the rate control's buffer (VBV), which bounds a keyframe
	Threads        int    // each picture is cut into so many slices, coded at once
}

// Encoder turns frames into access units, one in, one out.
type Encoder struct {
	ctx    *C.AVCodecContext
	frame  *C.AVFrame // refers to the caller's frame while it is encoded
	upload *C.AVFrame // the same in the hardware's memory; nil for encoders that read ours
	pkt    *C.AVPacket
}

// NewH264 makes an H.264 encoder without reordering or lookahead. What it gives is Annex B with parameter sets in every keyframe. Without libx264
// in the libraries the error wraps ErrNoEncoder.
func NewH264(o H264Options) (*Encoder, error) {
	e, codec, err := newEncoder(EncoderH264, o.Width, o.Height, I420)
	if err != nil {
		return nil, err
	}
	e.ctx.framerate = C.AVRational{num: C.int(o.FrameRateMilli), den: 1000}
	e.ctx.gop_size = C.int(o.GOPFrames)
	e.ctx.max_b_frames = 0
	e.ctx.thread_count = C.int(o.Threads)
	e.SetBitrate(o.BitrateBps, o.BufferBits)
	return e.open(codec, map[string]string{
		"preset":     o.Preset,
		"tune":       "zerolatency",
		"forced-idr": "1",
		// sc_threshold 0: a cut costs bits in a delta, not a keyframe that nobody asked for.
		"sc_threshold": "0",
	})
}

// NewHardware makes an H.264 encoder that hardware runs, by its name. Frames for it are NV12. It may not put parameter sets into every keyframe, and takes a
// new bitrate while running only if its driver does. Without such hardware the error says so in FFmpeg's words.
func NewHardware(name string, o H264Options) (*Encoder, error) {
	e, codec, err := newEncoder(name, o.Width, o.Height, NV12)
	if err != nil {
		return nil, err
	}
	e.ctx.framerate = C.AVRational{num: C.int(o.FrameRateMilli), den: 1000}
	e.ctx.gop_size = C.int(o.GOPFrames)
	e.ctx.max_b_frames = 0
	e.SetBitrate(o.BitrateBps, o.BufferBits)
	options := map[string]string{}
	switch name {
	case EncoderNVENC:
		options = map[string]string{"preset": "p3", "tune": "ull", "zerolatency": "1", "delay": "0", "forced-idr": "1", "rc": "cbr"}
	case EncoderQSV:
		options = map[string]string{"async_depth": "1", "forced_idr": "1", "look_ahead": "0"}
	case EncoderVAAPI:
		if c := C.sl_vaapi(e.ctx); c < 0 {
			e.Close()
			return nil, fail("open encoder", c)
		}
		if e.upload = C.av_frame_alloc(); e.upload == nil {
			e.Close()
			return nil, fail("open encoder", C.SL_ENOMEM)
		}
	}
	return e.open(codec, options)
}

// NewMJPEG makes an encoder of baseline JPEG pictures, full range. Its quality is that of the last SetQuality.
func NewMJPEG(w, h int) (*Encoder, error) {
	e, codec, err := newEncoder(EncoderMJPEG, w, h, I420Full)
	if err != nil {
		return nil, err
	}
	e.ctx.color_range = C.AVCOL_RANGE_JPEG
	e.ctx.flags |= C.AV_CODEC_FLAG_QSCALE
	e.ctx.thread_count = 1
	e.SetQuality(5)
	// Standard tables: tables made to measure need every picture coded twice.
	return e.open(codec, map[string]string{"huffman": "default"})
}

func newEncoder(name string, w, h int, format Format) (*Encoder, *C.AVCodec, error) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	codec := C.avcodec_find_encoder_by_name(cname)
	if codec == nil {
		return nil, nil, fmt.Errorf("%s: %w", name, ErrNoEncoder)
	}
	e := &Encoder{ctx: C.avcodec_alloc_context3(codec), frame: C.av_frame_alloc(), pkt: C.av_packet_alloc()}
	if e.ctx == nil || e.frame == nil || e.pkt == nil {
		e.Close()
		return nil, nil, fail("open encoder", C.SL_ENOMEM)
	}
	e.ctx.width, e.ctx.height = C.int(w), C.int(h)
	e.ctx.pix_fmt = int32(format)
	e.ctx.time_base = C.AVRational{num: 1, den: 1_000_000}
	return e, codec, nil
}

func (e *Encoder) open(codec *C.AVCodec, options map[string]string) (*Encoder, error) {
	var dict *C.AVDictionary
	for k, v := range options {
		setOption(&dict, k, v)
	}
	defer C.av_dict_free(&dict)
	if c := C.avcodec_open2(e.ctx, codec, &dict); c < 0 {
		e.Close()
		return nil, fail("open encoder", c)
	}
	return e, nil
}

// SetBitrate changes the target of an H.264 encoder from the next frame on, without a keyframe. Mean, peak and buffer change together:
// x264 takes a new mean only with them.
func (e *Encoder) SetBitrate(bps, bufferBits int) {
	e.ctx.bit_rate = C.int64_t(bps)
	e.ctx.rc_max_rate = C.int64_t(bps)
	e.ctx.rc_buffer_size = C.int(bufferBits)
}

// SetQuality sets the quantizer of a JPEG encoder from the next frame on: 2 (best) to 31.
func (e *Encoder) SetQuality(q float64) { e.ctx.global_quality = C.int(q * C.FF_QP2LAMBDA) }

// Encode codes f, which it neither changes nor keeps, as presented at pts (µs, rising). key asks for a keyframe. The bytes are valid until the
// next call; key is whether they are a keyframe.
func (e *Encoder) Encode(f *Frame, pts int64, key bool) (au []byte, isKey bool, err error) {
	C.av_packet_unref(e.pkt)
	if c := C.av_frame_ref(e.frame, f.f); c < 0 {
		return nil, false, fail("encode", c)
	}
	e.frame.pts = C.int64_t(pts)
	e.frame.quality = e.ctx.global_quality
	e.frame.pict_type = C.AV_PICTURE_TYPE_NONE // a decoded frame brings the source's type along
	if key {
		e.frame.pict_type = C.AV_PICTURE_TYPE_I
	}
	send := e.frame
	var c C.int
	if e.upload != nil {
		c = C.sl_upload(e.ctx, e.upload, e.frame)
		send = e.upload
	}
	if c >= 0 {
		c = C.avcodec_send_frame(e.ctx, send)
	}
	C.av_frame_unref(e.frame)
	C.av_frame_unref(send)
	if c < 0 {
		return nil, false, fail("encode", c)
	}
	if c := C.avcodec_receive_packet(e.ctx, e.pkt); c < 0 {
		return nil, false, fail("encode", c)
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(e.pkt.data)), int(e.pkt.size)), e.pkt.flags&C.AV_PKT_FLAG_KEY != 0, nil
}

// Close frees the encoder. Further calls do nothing.
func (e *Encoder) Close() {
	C.avcodec_free_context(&e.ctx)
	C.av_frame_free(&e.frame)
	C.av_frame_free(&e.upload)
	C.av_packet_free(&e.pkt)
}
