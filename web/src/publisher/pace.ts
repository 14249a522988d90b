// Which pictures are encoded when there may be fewer than come, and how finely. Pure.

import { micros, type Micros } from "../player/units.ts";

/** Lets through at most so many pictures a second, as evenly as they come. */
export class Pace {
  #due = micros(Number.NEGATIVE_INFINITY);

  /** Whether the picture taken at t is among them. maxFrameRateMilli 0: all are. */
  admit(t: Micros, maxFrameRateMilli: number): boolean {
    if (maxFrameRateMilli === 0) return true;
    const interval = 1e9 / maxFrameRateMilli;
    // Pictures that come a little early are taken: a source at the very rate of the cap loses none to its jitter.
    if (t < this.#due - interval / 4 && t > this.#due - 4 * interval) return false;
    this.#due = micros(Math.max(this.#due, t - interval / 4) + interval);
    if (this.#due > t + 1.25 * interval) this.#due = micros(t + interval); // time went back
    return true;
  }
}

const least = 0.2;
const most = 0.85;

/** The JPEG quality (0 to 1) for the next picture, after one at a quality came to so many bytes where so many were meant. */
export function nextQuality(quality: number, bytes: number, budget: number): number {
  // Bytes grow about with the square of the quality in this range; half the way each time does not swing.
  const wanted = quality * Math.sqrt(budget / Math.max(bytes, 1));
  return Math.min(most, Math.max(least, quality + (wanted - quality) / 2));
}
