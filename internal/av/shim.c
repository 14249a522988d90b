//go:build cgo

#define _GNU_SOURCE // dl_iterate_phdr

#include "shim.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <libavdevice/version.h>
#include <libavutil/log.h>
#include <libavutil/time.h>

struct sl_guard {
	atomic_int stop;
	_Atomic int64_t deadline;
};

sl_guard *sl_guard_new(void) { return calloc(1, sizeof(sl_guard)); }
void sl_guard_free(sl_guard *g) { free(g); }
void sl_guard_stop(sl_guard *g) { atomic_store(&g->stop, 1); }
void sl_guard_limit(sl_guard *g, int64_t us) { atomic_store(&g->deadline, us ? av_gettime_relative() + us : 0); }

int sl_guard_stopped(sl_guard *g) { return atomic_load(&g->stop); }

int sl_guard_expired(sl_guard *g) {
	int64_t d = atomic_load(&g->deadline);
	return d && av_gettime_relative() > d;
}

static int interrupted(void *opaque) {
	sl_guard *g = opaque;
	return atomic_load(&g->stop) || sl_guard_expired(g);
}

// find_format knows input devices too. They are in a library of their own that brings some seventy others along, so it is loaded only for who needs one.
static const AVInputFormat *find_format(const char *name) {
	const AVInputFormat *in = av_find_input_format(name);
	if (in)
		return in;
	void *lib = dlopen("libavdevice.so." AV_STRINGIFY(LIBAVDEVICE_VERSION_MAJOR), RTLD_NOW | RTLD_LOCAL);
	void (*register_all)(void) = lib ? (void (*)(void))dlsym(lib, "avdevice_register_all") : NULL;
	if (!register_all)
		return NULL;
	register_all();
	return av_find_input_format(name);
}

int sl_open(AVFormatContext **out, const char *url, const char *format, AVDictionary **opts, sl_guard *g, int nonblock) {
	// Up to FFmpeg 4 av_find_input_format returned a pointer to non-const; the macro-free way to take both is a cast.
	AVInputFormat *in = NULL;
	if (format && format[0] && !(in = (AVInputFormat *)find_format(format)))
		return AVERROR_DEMUXER_NOT_FOUND;
	AVFormatContext *c = avformat_alloc_context();
	if (!c)
		return AVERROR(ENOMEM);
	c->interrupt_callback.callback = interrupted;
	c->interrupt_callback.opaque = g;
	if (nonblock)
		c->flags |= AVFMT_FLAG_NONBLOCK;
	int err = avformat_open_input(&c, url, in, opts); // frees c when it fails
	if (err >= 0)
		*out = c;
	return err;
}

enum { LOG_LINES_PER_SECOND = 5 };

static void log_line(void *ctx, int level, const char *fmt, va_list args) {
	static _Atomic int64_t second;
	static atomic_int lines;
	if (level > AV_LOG_ERROR)
		return;
	int64_t now = av_gettime_relative() / 1000000;
	if (atomic_exchange(&second, now) != now)
		atomic_store(&lines, 0);
	if (atomic_fetch_add(&lines, 1) >= LOG_LINES_PER_SECOND)
		return;
	char line[512], clean[512];
	int prefix = 1;
	av_log_format_line2(ctx, level, fmt, args, line, sizeof line, &prefix);
	size_t n = 0;
	for (const char *p = line; *p && *p != '\n';) {
		if (!strncmp(p, "://", 3)) { // user names, passwords and keys live behind this
			memcpy(clean + n, "://...", n + 6 < sizeof clean ? 6 : 0);
			n += n + 6 < sizeof clean ? 6 : 0;
			while (*p && !strchr(" '\"\n", *p))
				p++;
			continue;
		}
		if (n + 1 < sizeof clean)
			clean[n++] = (unsigned char)*p < ' ' ? ' ' : *p;
		p++;
	}
	if (n)
		fprintf(stderr, "ffmpeg: %.*s\n", (int)n, clean);
}

void sl_log_setup(void) {
	av_log_set_level(AV_LOG_ERROR);
	av_log_set_callback(log_line);
}

// relocates_text tells whether a library has been written to where it is not writable.
static int relocates_text(const ElfW(Dyn) *d) {
	for (; d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && d->d_un.d_val & DF_TEXTREL))
			return 1;
	return 0;
}

// let_go drops the pages of a library that are as in its file.
static int let_go(struct dl_phdr_info *lib, size_t size, void *unused) {
	(void)size;
	(void)unused;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	for (int i = 0; i < lib->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &lib->dlpi_phdr[i];
		if (p->p_type == PT_DYNAMIC && relocates_text((const ElfW(Dyn) *)(lib->dlpi_addr + p->p_vaddr)))
			return 0;
	}
	for (int i = 0; i < lib->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &lib->dlpi_phdr[i];
		if (p->p_type != PT_LOAD || p->p_flags & PF_W)
			continue;
		uintptr_t from = (lib->dlpi_addr + p->p_vaddr) & ~(page - 1);
		madvise((void *)from, lib->dlpi_addr + p->p_vaddr + p->p_memsz - from, MADV_DONTNEED);
	}
	return 0;
}

void sl_let_go(void) { dl_iterate_phdr(let_go, NULL); }

void sl_memory_setup(void) {
#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, 2);
	// Without this each picture that is freed has glibc keep the like of it in its heaps from then on, where small things pin it.
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
#endif
}

struct SwsContext *sl_scaler(int sw, int sh, int sfmt, int sfull, int dw, int dh, int dfmt, int dfull) {
	struct SwsContext *c = sws_alloc_context();
	if (!c)
		return NULL;
	av_opt_set_int(c, "srcw", sw, 0);
	av_opt_set_int(c, "srch", sh, 0);
	av_opt_set_pixel_fmt(c, "src_format", sfmt, 0);
	av_opt_set_int(c, "src_range", sfull, 0);
	av_opt_set_int(c, "dstw", dw, 0);
	av_opt_set_int(c, "dsth", dh, 0);
	av_opt_set_pixel_fmt(c, "dst_format", dfmt, 0);
	av_opt_set_int(c, "dst_range", dfull, 0);
	av_opt_set_int(c, "sws_flags", SWS_BILINEAR, 0);
	if (sws_init_context(c, NULL, NULL) < 0) {
		sws_freeContext(c);
		return NULL;
	}
	return c;
}

int sl_scale(struct SwsContext *sws, AVFrame *dst, const AVFrame *src) {
	return sws_scale(sws, (const uint8_t *const *)src->data, src->linesize, 0, src->height, dst->data, dst->linesize);
}

int sl_vaapi(AVCodecContext *c) {
	AVBufferRef *device = NULL, *frames = NULL;
	int err = av_hwdevice_ctx_create(&device, AV_HWDEVICE_TYPE_VAAPI, NULL, NULL, 0);
	if (err < 0)
		return err;
	frames = av_hwframe_ctx_alloc(device);
	av_buffer_unref(&device); // frames holds one of its own
	if (!frames)
		return AVERROR(ENOMEM);
	AVHWFramesContext *f = (AVHWFramesContext *)frames->data;
	f->format = AV_PIX_FMT_VAAPI;
	f->sw_format = c->pix_fmt;
	f->width = c->width;
	f->height = c->height;
	f->initial_pool_size = 8;
	if ((err = av_hwframe_ctx_init(frames)) < 0) {
		av_buffer_unref(&frames);
		return err;
	}
	c->pix_fmt = AV_PIX_FMT_VAAPI;
	c->hw_frames_ctx = frames;
	return 0;
}

int sl_upload(AVCodecContext *c, AVFrame *dst, const AVFrame *src) {
	int err = av_hwframe_get_buffer(c->hw_frames_ctx, dst, 0);
	if (err >= 0)
		err = av_hwframe_transfer_data(dst, src, 0);
	if (err >= 0)
		err = av_frame_copy_props(dst, src);
	if (err >= 0)
		dst->pict_type = src->pict_type;
	return err;
}
