//go:build cgo

package av

/*
#include "shim.h"
#include <stdlib.h>
*/
import "C"

import (
	"context"
	"time"
	"unsafe"
)

// InputOptions tell how to open an input.
type InputOptions struct {
	Format  string            // demuxer or input device; empty: found out
	Options map[string]string // for the demuxer and its protocol
	// NoWait makes Read return ErrAgain where a device would wait, since a wait in a device cannot be ended.
	NoWait bool
	// Timeout bounds opening and finding out about the streams; 0: no bound.
	Timeout time.Duration
}

// Input is an open source of packets of one video stream.
type Input struct {
	ctx    *C.AVFormatContext
	guard  *C.sl_guard
	stop   func() bool
	stream *C.AVStream
}

// OpenInput opens url and picks its best video stream. When ctx ends, now or later, calls that block return an error
// that wraps ErrStopped. Other errors wrap the sentinels; a source without video ErrNoVideo.
func OpenInput(ctx context.Context, url string, opts InputOptions) (*Input, error) {
	in := &Input{guard: C.sl_guard_new()}
	if in.guard == nil {
		return nil, fail("open", C.SL_ENOMEM)
	}
	guard := in.guard
	stopped := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() { C.sl_guard_stop(guard); close(stopped) })
	in.stop = func() bool { // the guard is freed after this, so a stop that has begun must be over
		if cancel() {
			return true
		}
		<-stopped
		return false
	}
	in.limit(opts.Timeout)

	var dict *C.AVDictionary
	for k, v := range opts.Options {
		setOption(&dict, k, v)
	}
	defer C.av_dict_free(&dict)
	curl, cformat := C.CString(url), C.CString(opts.Format)
	defer C.free(unsafe.Pointer(curl))
	defer C.free(unsafe.Pointer(cformat))
	if e := C.sl_open(&in.ctx, curl, cformat, &dict, in.guard, flag(opts.NoWait)); e < 0 {
		err := in.fail("open", e)
		in.Close()
		return nil, err
	}
	if e := C.avformat_find_stream_info(in.ctx, nil); e < 0 {
		err := in.fail("find streams", e)
		in.Close()
		return nil, err
	}
	i := C.av_find_best_stream(in.ctx, C.AVMEDIA_TYPE_VIDEO, -1, -1, nil, 0)
	if i < 0 {
		err := in.fail("find video", C.SL_STREAM_NOT_FOUND)
		in.Close()
		return nil, err
	}
	streams := unsafe.Slice(in.ctx.streams, in.ctx.nb_streams)
	for n, s := range streams {
		if n != int(i) {
			s.discard = C.AVDISCARD_ALL
		}
	}
	in.stream = streams[i]
	return in, nil
}

func (in *Input) limit(d time.Duration) { C.sl_guard_limit(in.guard, C.int64_t(d/time.Microsecond)) }

// fail finds out whether a call failed because it was ended; FFmpeg may report that as any other failure.
func (in *Input) fail(act string, e C.int) error {
	if C.sl_guard_stopped(in.guard) != 0 {
		return fail(act, C.SL_EXIT)
	}
	if C.sl_guard_expired(in.guard) != 0 {
		return &Error{Act: act, Code: int(e), kind: ErrTimeout}
	}
	return fail(act, e)
}

// VideoInfo describes the video stream as far as the source tells.
type VideoInfo struct {
	Width, Height int // stored pixels; 0 if not known yet
	// AspectNum and AspectDen are the shape of one pixel, 1 and 1 if it is not told.
	AspectNum, AspectDen int
	// RateNum and RateDen are frames a second; 0 and 1 if not known.
	RateNum, RateDen int
	// TickNum and TickDen are the length in seconds of one unit of PTS.
	TickNum, TickDen int
	// Codec is FFmpeg's name of how the stream is coded, such as "h264" or "mjpeg".
	Codec string
	// Reorders tells that pictures are shown in another order than they come in.
	Reorders bool
	// Headers are the codec's parameters that are not in the packets, in the form of the container. The caller owns them.
	Headers []byte
}

// Video describes the stream that Read gives packets of.
func (in *Input) Video() VideoInfo {
	p := in.stream.codecpar
	aspect := C.av_guess_sample_aspect_ratio(in.ctx, in.stream, nil)
	if aspect.num <= 0 || aspect.den <= 0 {
		aspect.num, aspect.den = 1, 1
	}
	rate := C.av_guess_frame_rate(in.ctx, in.stream, nil)
	if rate.num <= 0 || rate.den <= 0 {
		rate.num, rate.den = 0, 1
	}
	return VideoInfo{
		Width: int(p.width), Height: int(p.height),
		AspectNum: int(aspect.num), AspectDen: int(aspect.den), RateNum: int(rate.num), RateDen: int(rate.den),
		TickNum: int(in.stream.time_base.num), TickDen: int(in.stream.time_base.den),
		Codec: C.GoString(C.avcodec_get_name(p.codec_id)), Reorders: p.video_delay > 0,
		Headers: C.GoBytes(unsafe.Pointer(p.extradata), p.extradata_size),
	}
}

// Read waits for the next packet of the video stream, at most for limit (0: for ever), and puts it into p. Errors: ErrEOF,
// ErrTimeout when limit has passed, ErrStopped when the context of OpenInput ended, ErrAgain with NoWait, or others.
func (in *Input) Read(p *Packet, limit time.Duration) error {
	in.limit(limit)
	for {
		C.av_packet_unref(p.p)
		if e := C.av_read_frame(in.ctx, p.p); e < 0 {
			return in.fail("read", e)
		}
		if p.p.stream_index == in.stream.index {
			return nil
		}
	}
}

// Rewind goes back to the first packet.
func (in *Input) Rewind() error {
	if e := C.avformat_seek_file(in.ctx, -1, C.INT64_MIN, in.ctx.start_time, in.ctx.start_time, C.AVSEEK_FLAG_BACKWARD); e < 0 {
		return in.fail("rewind", e)
	}
	return nil
}

// Close ends the input and frees it. Further calls do nothing.
func (in *Input) Close() {
	if in.guard == nil {
		return
	}
	in.stop()
	in.limit(time.Second) // for a last word over the network
	C.avformat_close_input(&in.ctx)
	C.sl_guard_free(in.guard)
	in.guard = nil
}

// Packet is one access unit as the source coded it.
type Packet struct{ p *C.AVPacket }

// NewPacket makes an empty packet. Close frees it.
func NewPacket() *Packet {
	p := C.av_packet_alloc()
	if p == nil {
		panic("av: out of memory") // of a few dozen bytes: nothing sensible can follow
	}
	return &Packet{p: p}
}

// Key reports whether decoding can begin here.
func (p *Packet) Key() bool { return p.p.flags&C.AV_PKT_FLAG_KEY != 0 }

// Size in bytes.
func (p *Packet) Size() int { return int(p.p.size) }

// Fill puts one access unit that is already in memory into p, with the time 0; key tells that decoding can begin there.
func (p *Packet) Fill(au []byte, key bool) error {
	C.av_packet_unref(p.p)
	if e := C.av_new_packet(p.p, C.int(len(au))); e < 0 {
		return fail("fill packet", e)
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(p.p.data)), len(au)), au)
	if key {
		p.p.flags |= C.AV_PKT_FLAG_KEY
	}
	return nil
}

// Bytes are the access unit, in the form of its container. They are valid until the packet is filled anew or closed.
func (p *Packet) Bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(p.p.data)), int(p.p.size))
}

// Clone gives another packet with the same content, which the two share.
func (p *Packet) Clone() (*Packet, error) {
	q := NewPacket()
	if e := C.av_packet_ref(q.p, p.p); e < 0 {
		q.Close()
		return nil, fail("keep packet", e)
	}
	return q, nil
}

// PTS is the packet's presentation time in the units of VideoInfo; ok is false if it has none.
func (p *Packet) PTS() (pts int64, ok bool) { return int64(p.p.pts), p.p.pts != C.AV_NOPTS_VALUE }

// SetPTS replaces the packet's times; the frame decoded from it gets the same.
func (p *Packet) SetPTS(pts int64) { p.p.pts, p.p.dts = C.int64_t(pts), C.int64_t(pts) }

// Close frees the packet. Further calls do nothing.
func (p *Packet) Close() { C.av_packet_free(&p.p) }

// maxPixels is the largest picture a decoder accepts: 8K. A source that claims more is after our memory.
const maxPixels = 7680 * 4320

// Decoder turns packets into frames.
type Decoder struct {
	ctx *C.AVCodecContext
	pkt *C.AVPacket // for Send of bytes
}

// NewDecoder makes a decoder for the input's video stream. With lowDelay it gives each picture as early as the stream allows.
func (in *Input) NewDecoder(lowDelay bool) (*Decoder, error) {
	return openDecoder(C.avcodec_find_decoder(in.stream.codecpar.codec_id), in.stream.codecpar, lowDelay)
}

// NewDecoder makes a decoder by FFmpeg's name of it, for SendBytes.
func NewDecoder(name string, lowDelay bool) (*Decoder, error) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	return openDecoder(C.avcodec_find_decoder_by_name(cname), nil, lowDelay)
}

func openDecoder(codec *C.AVCodec, par *C.AVCodecParameters, lowDelay bool) (*Decoder, error) {
	if codec == nil {
		return nil, fail("find decoder", C.SL_DECODER_NOT_FOUND)
	}
	d := &Decoder{ctx: C.avcodec_alloc_context3(codec), pkt: C.av_packet_alloc()}
	if d.ctx == nil || d.pkt == nil {
		d.Close()
		return nil, fail("open decoder", C.SL_ENOMEM)
	}
	if par != nil {
		if e := C.avcodec_parameters_to_context(d.ctx, par); e < 0 {
			d.Close()
			return nil, fail("open decoder", e)
		}
	}
	d.ctx.max_pixels = maxPixels
	d.ctx.thread_type = C.FF_THREAD_SLICE // threads over frames hold frames back
	if lowDelay {
		d.ctx.flags |= C.AV_CODEC_FLAG_LOW_DELAY
	}
	if e := C.avcodec_open2(d.ctx, codec, nil); e < 0 {
		d.Close()
		return nil, fail("open decoder", e)
	}
	return d, nil
}

// Send gives the decoder a packet; nil says that no more will come. Then Receive until ErrAgain or ErrEOF.
func (d *Decoder) Send(p *Packet) error {
	var pkt *C.AVPacket
	if p != nil {
		pkt = p.p
	}
	if e := C.avcodec_send_packet(d.ctx, pkt); e < 0 {
		return fail("decode", e)
	}
	return nil
}

// Video is what the decoder has learnt of its stream from the first picture on. It knows no time base and gives no headers.
func (d *Decoder) Video() VideoInfo {
	v := VideoInfo{
		Width: int(d.ctx.width), Height: int(d.ctx.height), AspectNum: 1, AspectDen: 1, RateDen: 1,
		Codec: C.GoString(C.avcodec_get_name(d.ctx.codec_id)), Reorders: d.ctx.has_b_frames > 0,
	}
	if a := d.ctx.sample_aspect_ratio; a.num > 0 && a.den > 0 {
		v.AspectNum, v.AspectDen = int(a.num), int(a.den)
	}
	if r := d.ctx.framerate; r.num > 0 && r.den > 0 {
		v.RateNum, v.RateDen = int(r.num), int(r.den)
	}
	return v
}

// SendBytes is Send for one access unit that is already in memory, with its time.
func (d *Decoder) SendBytes(au []byte, pts int64) error {
	if e := C.av_new_packet(d.pkt, C.int(len(au))); e < 0 {
		return fail("decode", e)
	}
	defer C.av_packet_unref(d.pkt)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(d.pkt.data)), len(au)), au)
	d.pkt.pts, d.pkt.dts = C.int64_t(pts), C.int64_t(pts)
	if e := C.avcodec_send_packet(d.ctx, d.pkt); e < 0 {
		return fail("decode", e)
	}
	return nil
}

// Receive puts the next decoded picture into f: ErrAgain when another packet is needed, ErrEOF after the last.
func (d *Decoder) Receive(f *Frame) error {
	if e := C.avcodec_receive_frame(d.ctx, f.f); e < 0 {
		return fail("decode", e)
	}
	return nil
}

// Flush forgets all that was sent, before a jump.
func (d *Decoder) Flush() { C.avcodec_flush_buffers(d.ctx) }

// Close frees the decoder. Further calls do nothing.
func (d *Decoder) Close() {
	C.avcodec_free_context(&d.ctx)
	C.av_packet_free(&d.pkt)
}
