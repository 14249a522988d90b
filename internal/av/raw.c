//go:build cgo

#include "raw.h"

// layout finds where the planes of a picture lie that is one block of memory. It returns the block's size.
static int layout(uint8_t *data[4], int linesize[4], const uint8_t *src, int format, int w, int h, int stride) {
	int err = av_image_fill_linesizes(linesize, format, w);
	if (err < 0)
		return err;
	if (stride) {
		if (stride < linesize[0] || stride > 64 * (w + 64))
			return AVERROR(EINVAL);
		int tight = linesize[0];
		for (int i = 3; i >= 0; i--) // chroma keeps its share of the first plane's rows
			linesize[i] = (int)((int64_t)stride * linesize[i] / tight);
	}
	return av_image_fill_pointers(data, format, h, (uint8_t *)src, linesize);
}

int sl_raw_size(int format, int w, int h, int stride) {
	uint8_t *data[4];
	int linesize[4];
	return layout(data, linesize, NULL, format, w, h, stride);
}

int sl_raw_fill(AVFrame *f, const uint8_t *src, int size, int stride) {
	uint8_t *data[4];
	int linesize[4];
	int need = layout(data, linesize, src, f->format, f->width, f->height, stride);
	if (need < 0)
		return need;
	if (need > size)
		return AVERROR_INVALIDDATA;
	av_image_copy(f->data, f->linesize, (const uint8_t **)data, linesize, f->format, f->width, f->height);
	return need;
}

int sl_full_range(int format) {
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
	return d && (d->nb_components < 3 || (d->flags & AV_PIX_FMT_FLAG_RGB));
}
