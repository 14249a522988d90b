// When to acknowledge what arrived. Normally with the regular FEEDBACK; at once while access units take longer than they
// need to, since the sender then sends little and must know soon how little. Pure: times are arguments.

import { Least } from "./least.ts";
import { micros, type Micros } from "./units.ts";

/** How much the way of an access unit must have grown above its least. */
const eager = micros(15_000);
/** These are acknowledged at once on a new connection, whose way nobody knows yet. */
const firstUnits = 10;

export class Pace {
  #seen = 0;
  readonly #least = new Least();

  /**
   * Takes in an access unit that was complete at now, by this side's clock, and captured at capture, by a clock of
   * whatever offset. Answers whether to acknowledge it at once.
   */
  arrived(now: Micros, capture: Micros): boolean {
    const way = now - capture;
    const least = this.#least.add(now, way);
    this.#seen++;
    return this.#seen <= firstUnits || way - least > eager;
  }
}
