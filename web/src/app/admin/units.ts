// Figures in words. Pure.

import { language } from "../../language.ts";

const number = (digits: number): Intl.NumberFormat => new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const whole = number(0);
const tenths = number(1);

/** Bits a second; empty for none. */
export function bitrate(bps: number): string {
  if (bps <= 0) return "";
  return bps < 1e6 ? `${whole.format(bps / 1e3)} kbit/s` : `${tenths.format(bps / 1e6)} Mbit/s`;
}

/** Median and 95th percentile, given in microseconds; empty for none. */
export function percentiles(p50: number, p95: number): string {
  if (p95 <= 0) return "";
  const ms = (us: number): string => (us < 10_000 ? tenths : whole).format(us / 1e3);
  return `${ms(p50)} / ${ms(p95)} ms`;
}

/** A figure with one digit after the point; empty for none. */
export const decimal = (n: number, unit: string): string => (n === 0 ? "" : `${tenths.format(n)} ${unit}`);

export const similarity = (ssim: number): string => (ssim === 0 ? "" : number(3).format(ssim));

/** How long something has been so, given in seconds. */
export function duration(seconds: number): string {
  const steps = [[86_400, "d"], [3600, "h"], [60, "min"]] as const;
  for (const [size, unit] of steps) if (seconds >= size) return `${whole.format(Math.floor(seconds / size))} ${unit}`;
  return `${whole.format(Math.max(0, seconds))} s`;
}
