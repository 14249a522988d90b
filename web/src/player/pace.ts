// When to acknowledge what arrived. Normally five times a second; at once while access units take longer than they need to,
// since the sender then sends little and must know soon how little. Pure: times are arguments.

import { Least } from "./least.ts";
import { micros, type Micros } from "./units.ts";

/** How much the way of an access unit must have grown above its least. */
const eager = micros(15_000);
/** These are acknowledged at once on a new connection, and after a pause: nobody knows the way yet. */
const firstUnits = 10;
/**
 * How long the last acknowledgement must be ago for one when nothing is late: three pictures of 30 a second and a bit less. It goes with
 * an arrival, not with a clock: the sender has just sent to all its viewers, and hears of all of them while it is awake.
 */
const regular = micros(95_000);
/** The same once no two in a row were late for a time of calm: six pictures and a bit less. The sender's window has room for it. */
const rare = micros(195_000);
const calm = micros(1_000_000);
/** The time without any access unit from which the way counts as unknown. */
const pause = micros(1_000_000);
/** How long something may stay unacknowledged when nothing else arrives. */
const overdue = micros(250_000);

export class Pace {
  /** Access units since the start or the last pause. */
  #run = 0;
  #acked = micros(0);
  /** The last one was late, or one of the first. */
  #urged = false;
  /** When two in a row were so last. */
  #late = micros(0);
  #last = micros(0);
  readonly #least = new Least();

  /**
   * Takes in an access unit that was complete at now, by this side's clock, and captured at capture, by a clock of
   * whatever offset. Answers whether to acknowledge it now.
   */
  arrived(now: Micros, capture: Micros): boolean {
    const way = now - capture;
    const least = this.#least.add(now, way);
    if (now - this.#last > pause) this.#run = 0;
    this.#last = now;
    this.#run++;
    const urged = this.#run <= firstUnits || way - least > eager;
    if (urged && this.#urged) this.#late = now;
    this.#urged = urged;
    if (!urged && now - this.#acked < (now - this.#late > calm ? rare : regular)) return false;
    this.#acked = now;
    return true;
  }

  /** Whether to acknowledge what arrived though nothing arrives now. */
  overdue(now: Micros): boolean {
    if (now - this.#acked < overdue) return false;
    this.#acked = now;
    return true;
  }
}
