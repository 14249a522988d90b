// The C side of package av: what cgo cannot express (macros, callbacks, atomics) and what differs between FFmpeg's versions.
#ifndef SIGHTLINE_AV_SHIM_H
#define SIGHTLINE_AV_SHIM_H

#include <stdint.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/hwcontext.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

// Error numbers, which are macros in FFmpeg.
enum {
	SL_EAGAIN = AVERROR(EAGAIN),
	SL_ENOENT = AVERROR(ENOENT),
	SL_ENODEV = AVERROR(ENODEV),
	SL_EACCES = AVERROR(EACCES),
	SL_EBUSY = AVERROR(EBUSY),
	SL_ECONNREFUSED = AVERROR(ECONNREFUSED),
	SL_EHOSTUNREACH = AVERROR(EHOSTUNREACH),
	SL_ENETUNREACH = AVERROR(ENETUNREACH),
	SL_ETIMEDOUT = AVERROR(ETIMEDOUT),
	SL_EINVAL = AVERROR(EINVAL),
	SL_ENOMEM = AVERROR(ENOMEM),
	SL_EXIT = AVERROR_EXIT,
	SL_EOF = AVERROR_EOF,
	SL_INVALIDDATA = AVERROR_INVALIDDATA,
	SL_UNAUTHORIZED = AVERROR_HTTP_UNAUTHORIZED,
	SL_FORBIDDEN = AVERROR_HTTP_FORBIDDEN,
	SL_NOT_FOUND = AVERROR_HTTP_NOT_FOUND,
	SL_DECODER_NOT_FOUND = AVERROR_DECODER_NOT_FOUND,
	SL_DEMUXER_NOT_FOUND = AVERROR_DEMUXER_NOT_FOUND,
	SL_PROTOCOL_NOT_FOUND = AVERROR_PROTOCOL_NOT_FOUND,
	SL_STREAM_NOT_FOUND = AVERROR_STREAM_NOT_FOUND,
};

// sl_guard ends blocking calls of an input: at once after sl_guard_stop, or when its deadline has passed.
typedef struct sl_guard sl_guard;
sl_guard *sl_guard_new(void);
void sl_guard_free(sl_guard *g);
void sl_guard_stop(sl_guard *g);
void sl_guard_limit(sl_guard *g, int64_t us); // from now; 0: no limit
int sl_guard_stopped(sl_guard *g);
int sl_guard_expired(sl_guard *g); // the deadline, not the stop

// sl_open is avformat_open_input with the guard in place, and without a wait in the device where nonblock is set.
int sl_open(AVFormatContext **out, const char *url, const char *format, AVDictionary **opts, sl_guard *g, int nonblock);

// sl_log_setup sends FFmpeg's errors, a few a second, to standard error with everything that looks like a URL taken out.
void sl_log_setup(void);

// sl_memory_setup keeps glibc from giving each thread that allocates a heap of its own: Go moves calls between threads, and each heap keeps what its largest
// moment needed. Pictures go back to the system when they are freed.
void sl_memory_setup(void);

// sl_let_go drops the libraries' pages that are as in their files: most were read once, by the dynamic linker or to open something. Those in use come back
// from the file at the next touch.
void sl_let_go(void);

// sl_scaler makes a scaler with the ranges given (0 limited, 1 full); sws_getContext cannot.
struct SwsContext *sl_scaler(int sw, int sh, int sfmt, int sfull, int dw, int dh, int dfmt, int dfull);
int sl_scale(struct SwsContext *sws, AVFrame *dst, const AVFrame *src);

// sl_vaapi gives an encoder the first VA-API device and frames in its memory; sl_upload copies a frame into such a one, properties included.
int sl_vaapi(AVCodecContext *c);
int sl_upload(AVCodecContext *c, AVFrame *dst, const AVFrame *src);

#endif
