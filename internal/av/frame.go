//go:build cgo

package av

/*
#include "shim.h"
*/
import "C"

import "unsafe"

// Format is a pixel format.
type Format int

// The formats that encoders are fed with: planar 4:2:0 of limited range (16 to 235), of full range for JPEG, and with the two chroma planes in
// one for hardware. Gray is luma alone.
const (
	I420     Format = C.AV_PIX_FMT_YUV420P
	NV12     Format = C.AV_PIX_FMT_NV12
	I420Full Format = C.AV_PIX_FMT_YUVJ420P
	Gray     Format = C.AV_PIX_FMT_GRAY8
)

// Frame is one raw picture in memory of FFmpeg's. Its pixels may be shared with other frames, so they are written only by who
// has just made them. Reading one frame from several goroutines is safe.
type Frame struct{ f *C.AVFrame }

// NewFrame makes an empty frame, for a decoder to fill. Close frees it.
func NewFrame() *Frame {
	f := C.av_frame_alloc()
	if f == nil {
		panic("av: out of memory") // of a few hundred bytes: nothing sensible can follow
	}
	return &Frame{f: f}
}

// NewPicture makes a frame with memory for w by h pixels, of undefined colour.
func NewPicture(w, h int, format Format) (*Frame, error) {
	fr := NewFrame()
	if err := fr.alloc(w, h, format); err != nil {
		fr.Close()
		return nil, err
	}
	return fr, nil
}

func (fr *Frame) alloc(w, h int, format Format) error {
	fr.f.width, fr.f.height, fr.f.format = C.int(w), C.int(h), C.int(format)
	fr.f.color_range = C.AVCOL_RANGE_MPEG
	if format == I420Full {
		fr.f.color_range = C.AVCOL_RANGE_JPEG
	}
	if e := C.av_frame_get_buffer(fr.f, 0); e < 0 {
		return fail("allocate picture", e)
	}
	return nil
}

// Width in pixels.
func (fr *Frame) Width() int { return int(fr.f.width) }

// Height in pixels.
func (fr *Frame) Height() int { return int(fr.f.height) }

// Format is the frame's pixel format.
func (fr *Frame) Format() Format { return Format(fr.f.format) }

// PTS is the frame's presentation time in the units of the packets it came from; ok is false if it has none.
func (fr *Frame) PTS() (pts int64, ok bool) {
	return int64(fr.f.pts), fr.f.pts != C.AV_NOPTS_VALUE
}

// full tells whether luma uses all of 0 to 255.
func (fr *Frame) full() bool {
	switch fr.f.format {
	case C.AV_PIX_FMT_YUVJ420P, C.AV_PIX_FMT_YUVJ422P, C.AV_PIX_FMT_YUVJ444P, C.AV_PIX_FMT_YUVJ440P, C.AV_PIX_FMT_YUVJ411P:
		return true
	}
	return fr.f.color_range == C.AVCOL_RANGE_JPEG
}

// Plane is the memory of plane i (0 luma, 1 and 2 chroma) of a planar 4:2:0 frame, with its rows stride bytes apart. It is valid
// until the frame is closed or filled anew.
func (fr *Frame) Plane(i int) (pixels []byte, stride int) {
	stride = int(fr.f.linesize[i])
	rows := int(fr.f.height)
	if i > 0 {
		rows = (rows + 1) / 2
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(fr.f.data[i])), stride*rows), stride
}

// Unref lets go of the pixels; the frame is then empty.
func (fr *Frame) Unref() { C.av_frame_unref(fr.f) }

// Close frees the frame. Further calls do nothing.
func (fr *Frame) Close() { C.av_frame_free(&fr.f) }

// Scaler brings pictures of one size and format to another.
type Scaler struct {
	sws    *C.struct_SwsContext
	sw, sh C.int
	sfmt   C.int
	sfull  bool
	dst    *Frame
}

// NewScaler makes a scaler to w by h pixels of format; what it scales from it learns from the pictures.
func NewScaler(w, h int, format Format) (*Scaler, error) {
	dst, err := NewPicture(w, h, format)
	if err != nil {
		return nil, err
	}
	return &Scaler{dst: dst}, nil
}

// Fits tells whether src has the scaler's size and format already.
func (s *Scaler) Fits(src *Frame) bool {
	same := src.Format() == s.dst.Format() || s.dst.Format() != NV12 && (src.Format() == I420 || src.Format() == I420Full)
	return same && src.full() == (s.dst.Format() == I420Full) && src.Width() == s.dst.Width() && src.Height() == s.dst.Height()
}

// Scale gives src in the scaler's size and format: src itself if it is so already, otherwise a frame that belongs to the scaler
// and holds until the next call.
func (s *Scaler) Scale(src *Frame) (*Frame, error) {
	if s.Fits(src) {
		return src, nil
	}
	if err := s.ScaleTo(s.dst, src); err != nil {
		return nil, err
	}
	return s.dst, nil
}

// ScaleTo puts src, scaled, into dst, which is of the scaler's size and format.
func (s *Scaler) ScaleTo(dst, src *Frame) error {
	full := src.full()
	if s.sws == nil || src.f.width != s.sw || src.f.height != s.sh || src.f.format != s.sfmt || full != s.sfull {
		C.sws_freeContext(s.sws)
		s.sw, s.sh, s.sfmt, s.sfull = src.f.width, src.f.height, src.f.format, full
		s.sws = C.sl_scaler(s.sw, s.sh, s.sfmt, flag(full), s.dst.f.width, s.dst.f.height, s.dst.f.format, flag(s.dst.Format() == I420Full))
		if s.sws == nil {
			return &Error{Act: "scale", Code: int(C.SL_INVALIDDATA), kind: ErrInvalidData}
		}
	}
	// An encoder may still hold what dst has.
	if e := C.av_frame_make_writable(dst.f); e < 0 {
		return fail("scale", e)
	}
	if e := C.sl_scale(s.sws, dst.f, src.f); e < 0 {
		return fail("scale", e)
	}
	return nil
}

// Close frees the scaler and its last result.
func (s *Scaler) Close() {
	C.sws_freeContext(s.sws)
	s.sws = nil
	s.dst.Close()
}

func flag(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
