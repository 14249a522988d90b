// What is offered to the server for pictures of a size: renditions, rates and H.264 levels. Pure.

import type { Rendition } from "../player/wire.ts";

export const h264Id = 1;
export const jpegId = 2;

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** JPEG is for those who cannot decode video; it takes too many bits to be large or quick. */
const jpegLines = 720;
export const jpegFrameRate = 15;

const even = (n: number): number => Math.max(2, 2 * Math.floor(n / 2));

/** Sides that H.264's chroma can be halved in. */
export const evenSize = (s: Size): Size => ({ width: even(s.width), height: even(s.height) });

/** The size with the same proportions whose shorter side has at most so many pixels. */
export function within(s: Size, shorter: number): Size {
  const scale = Math.min(1, shorter / Math.min(s.width, s.height));
  return evenSize({ width: Math.round(s.width * scale), height: Math.round(s.height * scale) });
}

export const jpegSize = (s: Size): Size => within(s, jpegLines);

/** Bits a second that suit pictures of a size at a rate: 2.5 Mbit/s for 720p30. */
export function defaultBitrate(s: Size, frameRate: number): number {
  const bits = 2_500_000 * ((s.width * s.height) / (1280 * 720)) ** 0.8 * Math.sqrt(frameRate / 30);
  return Math.round(Math.min(Math.max(bits, 200_000), 12_000_000) / 10_000) * 10_000;
}

export const defaultJPEGBitrate = (s: Size, frameRate: number): number => 2 * defaultBitrate(jpegSize(s), Math.min(frameRate, jpegFrameRate));

/** [level_idc, macroblocks a second, macroblocks a picture], table A-1 of H.264. */
const levels: readonly (readonly [number, number, number])[] = [
  [30, 40_500, 1_620],
  [31, 108_000, 3_600],
  [32, 216_000, 5_120],
  [40, 245_760, 8_192],
  [42, 522_240, 8_704],
  [50, 589_824, 22_080],
  [51, 983_040, 36_864],
];

/** The codec strings to ask an encoder for, best first: constrained baseline, baseline, main, at the least level that fits. */
export function codecStrings(s: Size, frameRate: number): string[] {
  const picture = Math.ceil(s.width / 16) * Math.ceil(s.height / 16);
  const level = levels.find(([, perSecond, perPicture]) => picture <= perPicture && picture * frameRate <= perSecond)?.[0] ?? 52;
  return ["42e0", "4200", "4d00"].map((profile) => `avc1.${profile}${level.toString(16)}`);
}

export function renditions(s: Size, frameRate: number, h264: boolean): Rendition[] {
  const lines = (size: Size) => Math.min(size.width, size.height);
  const jpeg = jpegSize(s);
  const jpegRate = Math.min(frameRate, jpegFrameRate);
  const list: Rendition[] = [];
  if (h264) {
    const size = evenSize(s);
    list.push({
      id: h264Id,
      name: `${lines(size)}p`,
      codec: "h264",
      ...size,
      frame_rate_milli: Math.round(frameRate * 1000),
      min_bitrate_bps: 100_000,
      max_bitrate_bps: defaultBitrate(size, frameRate),
    });
  }
  list.push({
    id: jpegId,
    name: `jpeg-${lines(jpeg)}p`,
    codec: "jpeg",
    ...jpeg,
    frame_rate_milli: Math.round(jpegRate * 1000),
    min_bitrate_bps: 100_000,
    max_bitrate_bps: defaultJPEGBitrate(s, frameRate),
  });
  return list;
}
