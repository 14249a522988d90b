// What package av needs to fill frames with pixels that come from elsewhere than a decoder.
#ifndef SIGHTLINE_AV_RAW_H
#define SIGHTLINE_AV_RAW_H

#include "shim.h"

// sl_raw_size is how many bytes w by h pixels of format take, with rows of the first plane stride bytes apart (0: no gap).
int sl_raw_size(int format, int w, int h, int stride);

// sl_raw_fill copies pixels into f, which has its own memory, and returns how many bytes it took from src.
int sl_raw_fill(AVFrame *f, const uint8_t *src, int size, int stride);

// sl_full_range tells whether a format that is not told its range uses all of 0 to 255: grey and RGB do.
int sl_full_range(int format);

#endif
