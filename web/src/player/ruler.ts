// How long a line in the picture is. Pure. Its ends are in parts of the picture's width and height, so that they stay where they are
// when another rendition comes.

import type { Point, Size } from "./view.ts";

export interface Line {
  readonly from: Point;
  readonly to: Point;
}

/** What a pixel stands for, in a picture of that width. */
export interface Calibration {
  readonly mmPerPixel: number;
  readonly width: number;
}

export const pixels = (l: Line, picture: Size): number => Math.hypot((l.to.x - l.from.x) * picture.width, (l.to.y - l.from.y) * picture.height);

export const millimetres = (l: Line, picture: Size, c: Calibration): number => (pixels(l, picture) * c.mmPerPixel * c.width) / picture.width;

/** Of a line that is so long; undefined where that makes no sense. */
export function calibrated(l: Line, picture: Size, mm: number): Calibration | undefined {
  const length = pixels(l, picture);
  return mm > 0 && Number.isFinite(mm) && length >= 1 ? { mmPerPixel: mm / length, width: picture.width } : undefined;
}

/** What was kept by calibrationText; undefined for anything else. */
export function parseCalibration(text: string | undefined): Calibration | undefined {
  const [mmPerPixel, width] = (text ?? "").split(" ").map(Number);
  const fit = (n: number | undefined): n is number => n !== undefined && n > 0 && Number.isFinite(n);
  return fit(mmPerPixel) && fit(width) ? { mmPerPixel, width } : undefined;
}

export const calibrationText = (c: Calibration): string => `${c.mmPerPixel} ${c.width}`;

/** Moved by pixels of the picture, and kept in it. */
export const moved = (p: Point, dx: number, dy: number, picture: Size): Point => inside({ x: p.x + dx / picture.width, y: p.y + dy / picture.height });

export const inside = (p: Point): Point => ({ x: Math.min(Math.max(p.x, 0), 1), y: Math.min(Math.max(p.y, 0), 1) });
