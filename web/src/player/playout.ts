// When a picture is played. Pure: times are arguments. Both modes play a picture once the time from capture is the least one
// seen lately and a delay: live holds nothing back, and at most one picture's time after pictures came too late twice; smooth
// holds back what evens out 95 of 100 pictures. What is overdue is never caught up with: a picture that a much fresher one has
// overtaken is not shown.

import { Least } from "./least.ts";
import { micros, type Micros } from "./units.ts";
import { Window } from "./window.ts";

export const modes = ["live", "smooth"] as const;
export type Mode = (typeof modes)[number];

/** The most that smooth mode holds back. */
const most = micros(150_000);
/** How fast the delay shrinks when less would do, µs a second: unseen, or in live mode soon. It grows at once. */
const decay = { smooth: 2_000, live: 15_000 };
/** How much staler than the newest one at hand a picture may be and still be shown, in frame intervals and at least. */
const overtakenBy = 1.5;
const overtakenByLeast = micros(50_000);
/** Capture times that go back by more have begun anew. */
const jump = micros(1_000_000);

interface AtHand {
  readonly capture: Micros;
  /** How much after its time to play it came. */
  readonly overdue: number;
}

export class Playout {
  #mode: Mode;
  #least = new Least();
  /** How much longer than the least time each access unit took. */
  #variation = new Window(micros(5_000_000));
  #underruns = new Window(micros(2_000_000));
  #delay = 0;
  #last: { readonly at: Micros; readonly capture: Micros; readonly late: number } | undefined;
  #interval = 0;
  /** What was taken in and not yet shown, oldest first. */
  #atHand: AtHand[] = [];

  constructor(mode: Mode) {
    this.#mode = mode;
  }

  get mode(): Mode {
    return this.#mode;
  }

  set mode(mode: Mode) {
    this.#mode = mode;
    this.#delay = 0;
  }

  /** How long a picture that came as fast as any is held back. */
  get delay(): Micros {
    return micros(this.#delay);
  }

  /**
   * Takes in an access unit that was complete at now, by this side's clock, and captured at capture, by a clock of whatever
   * offset; interval is that between two pictures. Gives the time to decode and show it, which may be past.
   */
  arrived(now: Micros, capture: Micros, interval: Micros): Micros {
    if (this.#last !== undefined && capture < this.#last.capture - jump) this.reset();
    const least = this.#least.add(now, now - capture);
    const late = now - capture - least;
    const last = this.#last;
    // Late by itself, that is, and not because all of them take longer now: that no delay mends.
    if (last !== undefined && late - Math.max(last.late, this.#delay) > interval / 2) this.#underruns.add(now, 1);
    this.#variation.add(now, late);
    const decayed = this.#delay - (last === undefined ? 0 : ((now - last.at) / 1e6) * decay[this.#mode]);
    this.#delay = Math.max(decayed, this.#wanted(now, interval), 0);
    this.#last = { at: now, capture, late };
    this.#interval = interval;
    this.#atHand.push({ capture, overdue: Math.max(late - this.#delay, 0) });
    return micros(capture + least + this.#delay);
  }

  /** Whether to show the decoded picture of that capture time. The older ones are done with. */
  shows(capture: Micros): boolean {
    const i = this.#atHand.findIndex((p) => p.capture >= capture);
    const picture = this.#atHand[i];
    const newest = this.#atHand.at(-1);
    if (picture === undefined || newest === undefined) return true;
    this.#atHand.splice(0, i + 1);
    return picture.overdue - newest.overdue <= Math.max(overtakenBy * this.#interval, overtakenByLeast);
  }

  /** What was taken in will not be decoded. */
  forget(): void {
    this.#atHand = [];
  }

  /** Capture times begin anew. */
  reset(): void {
    this.#least = new Least();
    this.#variation = new Window(micros(5_000_000));
    this.#underruns = new Window(micros(2_000_000));
    this.#delay = 0;
    this.#last = undefined;
    this.#atHand = [];
  }

  #wanted(now: Micros, interval: Micros): number {
    if (this.#mode === "live" && this.#underruns.count(now) < 2) return 0;
    return Math.min(this.#variation.quantile(0.95, now) ?? 0, this.#mode === "live" ? interval : most);
  }
}
