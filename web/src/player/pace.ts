// When to acknowledge what arrived. Normally with the regular FEEDBACK; at once while access units take longer than they
// need to, since the sender then sends little and must know soon how little. Pure: times are arguments.

import { micros, type Micros } from "./units.ts";

/** How much the way of an access unit must have grown above its least. */
const eager = micros(15_000);
/** The age at which a least value is forgotten, at the latest after twice that. */
const baseAge = micros(15_000_000);
/** These are acknowledged at once on a new connection, whose way nobody knows yet. */
const firstUnits = 10;

export class Pace {
  #seen = 0;
  #since = micros(0);
  #least = Infinity;
  #leastBefore = Infinity;

  /**
   * Takes in an access unit that was complete at now, by this side's clock, and captured at capture, by a clock of
   * whatever offset. Answers whether to acknowledge it at once.
   */
  arrived(now: Micros, capture: Micros): boolean {
    const way = now - capture;
    if (this.#seen === 0 || now - this.#since > baseAge) {
      this.#leastBefore = this.#least;
      this.#since = now;
      this.#least = way;
    }
    this.#least = Math.min(this.#least, way);
    this.#seen++;
    return this.#seen <= firstUnits || way - Math.min(this.#least, this.#leastBefore) > eager;
  }
}
