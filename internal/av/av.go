//go:build cgo

// Package av binds the parts of FFmpeg's libraries that a capture process needs, one type for each of their things: Input,
// Packet, Decoder, Frame, Scaler, Encoder. It decides nothing: which source, which size, which rate is its caller's business.
// It is the only package that imports "C". It starts no goroutines; but for Version and the functions that say otherwise, nothing
// here may be called on one value by two goroutines at once.
package av

/*
#cgo pkg-config: libavformat libavcodec libavutil libswscale
#cgo LDFLAGS: -ldl
#cgo CFLAGS: -Wall -Wno-deprecated-declarations
#include "shim.h"
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// Errors of FFmpeg that a caller may have to tell apart. An *Error wraps the one that fits.
var (
	ErrAgain        = errors.New("nothing yet")
	ErrEOF          = errors.New("end of stream")
	ErrNotFound     = errors.New("not found")
	ErrDenied       = errors.New("permission denied")
	ErrBusy         = errors.New("in use")
	ErrUnreachable  = errors.New("unreachable")
	ErrUnauthorized = errors.New("credentials refused")
	ErrTimeout      = errors.New("timed out")
	ErrStopped      = errors.New("stopped")
	ErrInvalidData  = errors.New("not valid media")
	ErrUnsupported  = errors.New("asked for what it does not offer")
	ErrNoVideo      = errors.New("no video stream")
	ErrNoEncoder    = errors.New("encoder not available")
)

// Error is a call into FFmpeg that failed.
type Error struct {
	Act  string // "open", "decode"
	Code int    // FFmpeg's, negative
	kind error  // one of the sentinels, or nil
}

// Error implements error.
func (e *Error) Error() string {
	if e.kind != nil {
		return e.Act + ": " + e.kind.Error()
	}
	buf := make([]byte, 128)
	C.av_strerror(C.int(e.Code), (*C.char)(unsafe.Pointer(&buf[0])), C.size_t(len(buf)))
	return e.Act + ": " + C.GoString((*C.char)(unsafe.Pointer(&buf[0])))
}

// Unwrap gives the sentinel that fits, if there is one.
func (e *Error) Unwrap() error { return e.kind }

func fail(act string, code C.int) error {
	return &Error{Act: act, Code: int(code), kind: kindOf(code)}
}

func kindOf(code C.int) error {
	switch code {
	case C.SL_EAGAIN:
		return ErrAgain
	case C.SL_EOF:
		return ErrEOF
	case C.SL_ENOENT, C.SL_ENODEV, C.SL_NOT_FOUND:
		return ErrNotFound
	case C.SL_EACCES:
		return ErrDenied
	case C.SL_EBUSY:
		return ErrBusy
	case C.SL_ECONNREFUSED, C.SL_EHOSTUNREACH, C.SL_ENETUNREACH:
		return ErrUnreachable
	case C.SL_UNAUTHORIZED, C.SL_FORBIDDEN:
		return ErrUnauthorized
	case C.SL_ETIMEDOUT:
		return ErrTimeout
	case C.SL_EXIT:
		return ErrStopped
	case C.SL_INVALIDDATA, C.SL_DECODER_NOT_FOUND, C.SL_DEMUXER_NOT_FOUND:
		return ErrInvalidData
	case C.SL_EINVAL:
		return ErrUnsupported
	case C.SL_STREAM_NOT_FOUND:
		return ErrNoVideo
	}
	return nil
}

// Version names the libraries that this process runs with, as "libavformat 59.27.100, ...". Safe for concurrent use.
func Version() string {
	part := func(name string, v C.uint) string {
		return fmt.Sprintf("%s %d.%d.%d", name, v>>16, v>>8&0xff, v&0xff)
	}
	return part("libavformat", C.avformat_version()) + ", " + part("libavcodec", C.avcodec_version()) + ", " +
		part("libavutil", C.avutil_version()) + ", " + part("libswscale", C.swscale_version())
}

// Setup readies the libraries: the memory allocator, and the log, of which only errors go to standard error, a few a second and without
// anything behind a "://". Call it once, before anything else.
func Setup() {
	C.sl_memory_setup()
	LetGo()
	C.sl_log_setup()
	C.avformat_network_init()
}

// LetGo gives the memory back that holds what was read of the libraries but is not in use, such as after opening something. What is needed again comes from the
// file. It takes a fraction of a millisecond. Safe for concurrent use.
func LetGo() { C.sl_let_go() }

// HasEncoder tells whether the libraries were built with the encoder of this name. Safe for concurrent use.
func HasEncoder(name string) bool {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	return C.avcodec_find_encoder_by_name(cname) != nil
}

func setOption(dict **C.AVDictionary, key, value string) {
	ckey, cvalue := C.CString(key), C.CString(value)
	defer C.free(unsafe.Pointer(ckey))
	defer C.free(unsafe.Pointer(cvalue))
	C.av_dict_set(dict, ckey, cvalue, 0)
}
