// When a picture is played. Pure: times are arguments. Both modes play a picture once the time from capture is the least one
// seen lately and a delay: live holds nothing back, and at most one picture's time after pictures came too late twice; smooth
// holds back what evens out 95 of 100 pictures. What is overdue is never caught up with: a picture that a much fresher one has
// overtaken is not shown, and one that is much later than the one before it waits for a fresher one.

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
/** How much later than the one shown last a picture may be and still be shown at once, in frame intervals and at least. */
const laterBy = 3;
const laterByLeast = micros(100_000);
/** The longest that one which is later than that waits for a fresher one. */
const mostPatience = micros(1_000_000);
/** Capture times that go back by more have begun anew. */
const jump = micros(1_000_000);

/** wait: not to be shown unless nothing fresher comes until `waitsUntil`. */
export type Verdict = "show" | "wait" | "drop";

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
  /** How overdue the one shown last was. */
  #shown = Infinity;
  #waiting: { readonly picture: AtHand; readonly until: Micros } | undefined;

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

  /**
   * What to do with the decoded picture of that capture time. The older ones are done with. After an outage the path brings what
   * was on it before, and only then what is new; but a path that has become slower brings nothing else any more. So a picture
   * that is much later than the one shown before it waits for half of that time.
   */
  judge(now: Micros, capture: Micros): Verdict {
    const i = this.#atHand.findIndex((p) => p.capture >= capture);
    const picture = this.#atHand[i];
    const newest = this.#atHand.at(-1);
    if (picture === undefined || newest === undefined) return "show";
    this.#atHand.splice(0, i + 1);
    if (picture.overdue - newest.overdue > Math.max(overtakenBy * this.#interval, overtakenByLeast)) return "drop";
    const later = picture.overdue - this.#shown;
    const until = this.#waiting?.until ?? micros(now + Math.min(later / 2, mostPatience));
    if (later > Math.max(laterBy * this.#interval, laterByLeast) && now < until) {
      this.#waiting = { picture, until };
      return "wait";
    }
    this.#shows(picture);
    return "show";
  }

  /** When the picture that waits is to be shown after all; undefined where none does. */
  get waitsUntil(): Micros | undefined {
    return this.#waiting?.until;
  }

  /** The picture that waits is shown. */
  waited(): void {
    if (this.#waiting !== undefined) this.#shows(this.#waiting.picture);
  }

  /** What was taken in will not be decoded. */
  forget(): void {
    this.#atHand = [];
    this.#waiting = undefined;
  }

  /** Capture times begin anew. */
  reset(): void {
    this.#least = new Least();
    this.#variation = new Window(micros(5_000_000));
    this.#underruns = new Window(micros(2_000_000));
    this.#delay = 0;
    this.#last = undefined;
    this.#shown = Infinity;
    this.forget();
  }

  #shows(picture: AtHand): void {
    this.#shown = picture.overdue;
    this.#waiting = undefined;
  }

  #wanted(now: Micros, interval: Micros): number {
    if (this.#mode === "live" && this.#underruns.count(now) < 2) return 0;
    return Math.min(this.#variation.quantile(0.95, now) ?? 0, this.#mode === "live" ? interval : most);
  }
}
