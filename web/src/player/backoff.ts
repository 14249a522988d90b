// How long to wait before the next attempt to connect. Pure: chance is an argument.

import { millis, type Millis } from "./units.ts";

const first = 250;
const most = 5_000;

export class Backoff {
  #next = first;

  /** The next wait: 0.25 s, doubling up to 5 s, less up to a quarter by chance, which is from 0 up to 1. */
  next(chance: number): Millis {
    const wait = this.#next;
    this.#next = Math.min(wait * 2, most);
    return millis(wait * (1 - chance / 4));
  }

  /** The last attempt worked. */
  reset(): void {
    this.#next = first;
  }
}
