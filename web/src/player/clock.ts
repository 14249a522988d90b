// Maps the local clock onto the server's epoch, as NTP does it. Pure: times are arguments.

import { micros, type Micros } from "./units.ts";

const keep = 16;
/** While there are no more samples than this, a better estimate is taken over at once. */
const settling = 5;
const maxStep = micros(50_000);
const slewPerSecond = micros(1_000);

interface Sample {
  readonly offset: Micros;
  readonly rtt: Micros;
}

export class Clock {
  #samples: Sample[] = [];
  #count = 0;
  #target = micros(0);
  #offset = micros(0);
  #slewedAt = micros(0);

  /** Whether the server's epoch is known at all. */
  get known(): boolean {
    return this.#count > 0;
  }

  /** How wrong the offset can be: half the best round trip. An asymmetric path cannot be seen from here. */
  get error(): Micros {
    return micros(this.known ? Math.min(...this.#samples.map((s) => s.rtt)) / 2 : 0);
  }

  /** Takes one exchange: asked at t1 and answered at t4 on the local clock, received at t2 and sent at t3 on the server's. */
  add(t1: Micros, t2: Micros, t3: Micros, t4: Micros): void {
    const rtt = micros(t4 - t1 - (t3 - t2));
    if (rtt < 0 || t3 < t2) return;
    this.#samples.push({ offset: micros((t2 - t1 + (t3 - t4)) / 2), rtt });
    if (this.#samples.length > keep) this.#samples.shift();
    this.#count++;
    this.#target = this.#best();
    const first = this.#count <= settling;
    if (first || Math.abs(this.#target - this.#offset) > maxStep) this.#offset = this.#target;
    else this.#slew(t4);
    this.#slewedAt = t4;
  }

  /** The local time t on the server's epoch. */
  toServer(t: Micros): Micros {
    this.#slew(t);
    return micros(t + this.#offset);
  }

  /** The server's time t on the local clock. */
  toLocal(t: Micros): Micros {
    return micros(t - this.#offset);
  }

  #slew(now: Micros): void {
    const elapsed = now - this.#slewedAt;
    if (elapsed <= 0) return;
    const most = (elapsed / 1e6) * slewPerSecond;
    const wanted = this.#target - this.#offset;
    this.#offset = micros(this.#offset + Math.max(-most, Math.min(most, wanted)));
    this.#slewedAt = now;
  }

  /** The median offset of the samples that travelled nearly as fast as the fastest. */
  #best(): Micros {
    const fastest = Math.min(...this.#samples.map((s) => s.rtt));
    const limit = fastest * 1.1 + 1_000;
    const offsets = this.#samples.filter((s) => s.rtt <= limit).map((s) => s.offset);
    offsets.sort((a, b) => a - b);
    const middle = offsets.length >> 1;
    const upper = offsets[middle] ?? micros(0);
    return offsets.length % 2 === 1 ? upper : micros((upper + (offsets[middle - 1] ?? upper)) / 2);
  }
}
