// Brightness and contrast, as the CSS filters of these names have them (Filter Effects, section 10). Pure.

export interface Adjustment {
  /** 1: as it is. */
  readonly brightness: number;
  readonly contrast: number;
}

export const unadjusted: Adjustment = { brightness: 1, contrast: 1 };

export const isAdjusted = (a: Adjustment): boolean => a.brightness !== 1 || a.contrast !== 1;

export const filter = (a: Adjustment): string => (isAdjusted(a) ? `brightness(${a.brightness}) contrast(${a.contrast})` : "none");

/** The same on pixels, each four bytes: red, green, blue, and one that stays. */
export function adjust(pixels: Uint8ClampedArray, a: Adjustment): void {
  const table = Uint8ClampedArray.from({ length: 256 }, (_, v) => (Math.min(v * a.brightness, 255) - 127.5) * a.contrast + 127.5);
  for (let i = 0; i < pixels.length; i++) if (i % 4 !== 3) pixels[i] = table[pixels[i] ?? 0] ?? 0;
}
