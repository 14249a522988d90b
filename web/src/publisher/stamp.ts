// When a picture was taken, from the timestamp it carries and the moment it was handed over. Pure.

import { micros, type Micros } from "../player/units.ts";

/** How long the quickest delivery counts. Longer, and the drift of two clocks would show; shorter, and the jitter would. */
const remember = micros(10_000_000);
/** The timestamps began anew, or stood still, when a picture seems to have taken so much longer than the quickest. */
const jump = micros(1_000_000);

/**
 * A track's timestamps count from some origin of its own. The picture that was handed over soonest after it was taken tells
 * where that origin is; what the others took longer is delay on their way here.
 */
export class CaptureClock {
  #offsets: { readonly at: Micros; readonly offset: Micros }[] = [];

  /** The capture time, on the clock of arrived and never after it, of a picture that carries timestamp. */
  toLocal(timestamp: Micros, arrived: Micros): Micros {
    const offset = micros(arrived - timestamp);
    const best = this.#offsets[0];
    if (best !== undefined && Math.abs(offset - best.offset) > jump) this.#offsets = [];
    // Offsets rise from the first on: one that is not below a later one can never be the least again.
    while ((this.#offsets.at(-1)?.offset ?? Number.NEGATIVE_INFINITY) >= offset) this.#offsets.pop();
    this.#offsets.push({ at: arrived, offset });
    while ((this.#offsets[0]?.at ?? arrived) < arrived - remember) this.#offsets.shift();
    return micros(timestamp + (this.#offsets[0]?.offset ?? offset));
  }
}

/** capture where the browser told one that can be right, which it must be by a second; else what the timestamp says. */
export function captureTime(told: Micros | undefined, timestamp: Micros, arrived: Micros, clock: CaptureClock): Micros {
  const byTimestamp = clock.toLocal(timestamp, arrived);
  const plausible = told !== undefined && told <= arrived && arrived - told < jump;
  return plausible ? told : byTimestamp;
}
