// What happened lately: values and counts over a sliding time window. Pure: times are arguments and must not go backwards.

import type { Micros } from "./units.ts";

interface Entry {
  readonly at: Micros;
  readonly value: number;
}

export class Window {
  readonly #span: Micros;
  #entries: Entry[] = [];

  constructor(span: Micros) {
    this.#span = span;
  }

  add(at: Micros, value: number): void {
    this.#entries.push({ at, value });
    this.#trim(at);
  }

  /** The q-quantile (0 to 1, nearest rank) of the values of the window that ends now; undefined when there are none. */
  quantile(q: number, now: Micros): number | undefined {
    this.#trim(now);
    const sorted = this.#entries.map((e) => e.value).sort((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];
  }

  count(now: Micros): number {
    this.#trim(now);
    return this.#entries.length;
  }

  /**
   * The sum of the values per second, over the window or since the first value where that is nearer. It is counted up to the
   * last value while they come regularly, and up to now when the next one is overdue.
   */
  perSecond(now: Micros): number {
    this.#trim(now);
    const first = this.#entries[0];
    const last = this.#entries.at(-1);
    if (first === undefined || last === undefined || first === last) return 0;
    // The first value opens the interval, so it does not count into it.
    let sum = -first.value;
    for (const e of this.#entries) sum += e.value;
    const interval = (last.at - first.at) / (this.#entries.length - 1);
    const end = now - last.at > 2 * interval ? now : last.at;
    return end > first.at ? (sum * 1e6) / (end - first.at) : 0;
  }

  #trim(now: Micros): void {
    const oldest = now - this.#span;
    let n = 0;
    for (const e of this.#entries) {
      if (e.at > oldest) break;
      n++;
    }
    if (n > 0) this.#entries.splice(0, n);
  }
}
