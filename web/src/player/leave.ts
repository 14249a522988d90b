// When a viewer's leave is to be renewed: in its last fifth, or its last half minute where that is shorter. Pure.

import { type Micros, micros } from "./units.ts";

const longestMargin = micros(30_000_000);
/** How long an answer may take before it is asked for again. */
const patience = micros(5_000_000);

export class Leave {
  #until = micros(0);
  #margin = micros(0);
  #asked: Micros | undefined;

  /** Tells, at a time of the server's, whether to ask for a new ticket now. until is when leave ends; 0: it is not known to. */
  due(until: Micros, now: Micros): boolean {
    if (until !== this.#until) {
      this.#until = until;
      this.#margin = micros(Math.min((until - now) / 5, longestMargin));
      this.#asked = undefined;
    }
    if (until === 0 || until - now > this.#margin) return false;
    if (this.#asked !== undefined && now - this.#asked < patience) return false;
    this.#asked = now;
    return true;
  }
}
