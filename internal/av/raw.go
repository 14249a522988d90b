//go:build cgo

package av

/*
#include "raw.h"
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// RawFormat finds a pixel format by FFmpeg's name of it, such as bgr24, gray, nv12 or yuyv422. Safe for concurrent use.
func RawFormat(name string) (Format, error) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	f := C.av_get_pix_fmt(cname)
	if f < 0 {
		return 0, fmt.Errorf("pixel format %q: %w", name, ErrUnsupported)
	}
	return Format(f), nil
}

// RawSize is how many bytes a picture of w by h pixels takes in one block, its planes one after the other, with the rows of the
// first plane stride bytes apart (0: without a gap) and those of chroma in proportion. Safe for concurrent use.
func RawSize(w, h int, format Format, stride int) (int, error) {
	n := C.sl_raw_size(C.int(format), C.int(w), C.int(h), C.int(stride))
	if n < 0 {
		return 0, fail("lay out picture", n)
	}
	return int(n), nil
}

// NewRaw makes a frame with memory for w by h pixels of any format, for Fill. Grey and RGB use the full range.
func NewRaw(w, h int, format Format) (*Frame, error) {
	fr, err := NewPicture(w, h, format)
	if err == nil && C.sl_full_range(C.int(format)) != 0 {
		fr.f.color_range = C.AVCOL_RANGE_JPEG
	}
	return fr, err
}

// Fill copies a picture of the frame's size and format out of one block, laid out as RawSize says. Only who has just made the
// frame may do so.
func (fr *Frame) Fill(pixels []byte, stride int) error {
	if len(pixels) == 0 {
		return &Error{Act: "fill picture", Code: int(C.SL_INVALIDDATA), kind: ErrInvalidData}
	}
	if n := C.sl_raw_fill(fr.f, (*C.uint8_t)(unsafe.Pointer(&pixels[0])), C.int(len(pixels)), C.int(stride)); n < 0 {
		return fail("fill picture", n)
	}
	return nil
}
