// When an access unit is played by a browser that plays by a file's times. Pure. The times of capture will not do: after a gap of
// more than two pictures' time such a browser waits for a keyframe. So units follow each other without gaps, each for as long as
// there was between captures lately, and at stands for a capture by being looked up.

import { micros, type Micros } from "./units.ts";

/** How much of the newest gap goes into the mean. */
const weight = 1 / 8;
/** A gap of so many frame intervals is none between pictures, but something else. */
const most = 8;

export interface Slot {
  readonly at: Micros;
  readonly duration: Micros;
}

export class Timeline {
  #next = 0;
  #mean: number | undefined;
  #last: Micros | undefined;

  /** The place of the next unit; interval is what is said to be between two pictures. */
  add(capture: Micros, interval: Micros): Slot {
    const gap = this.#last === undefined ? interval : capture - this.#last;
    this.#last = capture;
    this.#mean ??= interval;
    if (gap > 0 && gap < most * interval) this.#mean += weight * (gap - this.#mean);
    const slot = { at: micros(this.#next), duration: micros(Math.round(this.#mean)) };
    this.#next += slot.duration;
    return slot;
  }
}
