// How often, and for how long, the picture stood still. Pure: times are arguments. A freeze is what W3C's WebRTC statistics
// call one: a gap between two pictures of more than three times the mean of the last 30 gaps, and of 150 ms more than it.

import { micros, type Micros } from "./units.ts";

const keep = 30;
const least = micros(150_000);

export interface FreezeFigures {
  readonly count: number;
  readonly longest: Micros;
  readonly total: Micros;
}

export class Freezes {
  #gaps: number[] = [];
  #last: Micros | undefined;
  #over: FreezeFigures = { count: 0, longest: micros(0), total: micros(0) };

  painted(at: Micros): void {
    this.#over = this.figures(at);
    if (this.#last !== undefined) {
      this.#gaps.push(at - this.#last);
      if (this.#gaps.length > keep) this.#gaps.shift();
    }
    this.#last = at;
  }

  /** No pictures are wanted until the next one is painted. */
  pause(now: Micros): void {
    this.#over = this.figures(now);
    this.#last = undefined;
  }

  /** Those that are over, and the one that goes on now. */
  figures(now: Micros): FreezeFigures {
    const gap = this.#last === undefined ? 0 : now - this.#last;
    if (this.#gaps.length === 0) return this.#over;
    const mean = this.#gaps.reduce((sum, g) => sum + g, 0) / this.#gaps.length;
    if (gap <= Math.max(3 * mean, mean + least)) return this.#over;
    const { count, longest, total } = this.#over;
    return { count: count + 1, longest: micros(Math.max(longest, gap)), total: micros(total + gap) };
  }
}
