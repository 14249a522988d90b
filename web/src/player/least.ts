// The least of the values of the last 15 to 30 seconds. Pure: times are arguments and must not go backwards.

import { micros, type Micros } from "./units.ts";

/** The age at which a value is forgotten, at the latest after twice that. */
const age = micros(15_000_000);

export class Least {
  #since: Micros | undefined;
  #now = Infinity;
  #before = Infinity;

  /** Takes a value in, and gives the least. */
  add(now: Micros, value: number): number {
    if (this.#since === undefined || now - this.#since > age) {
      this.#before = this.#now;
      this.#since = now;
      this.#now = value;
    }
    this.#now = Math.min(this.#now, value);
    return Math.min(this.#now, this.#before);
  }
}
