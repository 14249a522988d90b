// When a second connection is worth opening beside one that brings nothing any more. After an outage TCP waits, up to seconds,
// before it tries again, and so does a connection whose first packet was lost: new attempts, one after another, need not. Each way waits
// for itself: what comes does not tell that anything gets through to the server, but an answer does. `sightline watch` keeps to the same
// rules (internal/watch), and both are tested by testdata/blackout.json. Pure: times and chance are arguments, and times must not go
// backwards.

import { micros, type Micros } from "./units.ts";
import { Window } from "./window.ts";

/** So long a silence is suspicious on any path. */
const silent = micros(1_000_000);
/** Never wait longer; soon after it the connection is given up anyway. */
const mostPatience = micros(5_000_000);
/** How long the two ends themselves take over an attempt, besides the round trips. */
const attemptTakes = micros(80_000);
/** An attempt's own bits on a slow path: certificates, mostly. */
const attemptBits = 4_000 * 8;
/** For each round trip that an attempt takes it is given this share of the silence at least, so that tries grow rarer. */
const share = 1 / 30;
/** Who looks ten times a second acts this much too early rather than a whole look too late. */
const early = micros(40_000);
/** One message of the largest kind, in bits: while it is under way on a slow path, nothing is heard. */
const messageBits = 16_400 * 8;
/** Silences shorter than this teach nothing. */
const notable = micros(300_000);

/** What is known of the path. */
export interface Path {
  /** Whether pictures are due: the stream is live, and somebody looks. */
  readonly expects: boolean;
  readonly rtt: Micros;
  /** What it carries, bit/s; 0 if more than is sent. */
  readonly carriesBps: number;
  /** When that was asked what the server answered last. */
  readonly askedAt: Micros;
  /** Whether the second connection was answered: what it brings is worth waiting for. */
  readonly answered: boolean;
}

/**
 * ask: send something that is answered at once. connect: open a second connection, in place of the last one that was. stop: a
 * second one is not needed any more.
 */
export type Advice = "wait" | "ask" | "connect" | "stop";

export class Blackout {
  /** Silences that ended. A path that was that silent may be so again. */
  readonly #lately = new Window(micros(30_000_000));
  #heardAt = micros(0);
  #lookedAt = micros(0);
  /** Whether pictures were due when last looked at. */
  #expects = false;
  #asked = false;
  #next: Micros | undefined;
  readonly #trips: number;

  /** trips: how many round trips an attempt takes until it is known to be answered. A page is told of its WebSocket alone, behind TCP and TLS. */
  constructor(trips = 3) {
    this.#trips = trips;
  }

  /** Anything arrived. Once the server was asked, only its answer counts. */
  heard(now: Micros): void {
    if (!this.#asked) this.over(now);
  }

  /** The silence ended, or another connection is watched from now on. */
  over(now: Micros): void {
    if (this.#expects && now - this.#lookedAt < silent && now - this.#heardAt > notable) this.#lately.add(now, now - this.#heardAt);
    this.#begin(now);
  }

  /** To be asked ten times a second or so. chance is from 0 up to 1. */
  look(now: Micros, path: Path, chance: number): Advice {
    const slept = now - this.#lookedAt > silent;
    this.#lookedAt = now;
    const resumed = path.expects && !this.#expects;
    this.#expects = path.expects;
    if (!path.expects || resumed || slept) {
      this.#begin(now);
      return "wait";
    }
    if (this.#asked && path.askedAt > this.#heardAt) {
      this.over(now);
      return "stop";
    }
    const silence = now - this.#heardAt;
    const patience = this.#patience(now, path);
    if (!this.#asked && silence > patience / 2) {
      // Slow cameras and still pictures are silent too, but not when they are spoken to.
      this.#asked = true;
      this.#next = micros(this.#heardAt + patience * (1 + chance / 4));
      return "ask";
    }
    if (this.#next === undefined || now + early < this.#next || path.answered) return "wait";
    const handshake = this.#trips * path.rtt + attemptTakes + bitsTake(attemptBits, path.carriesBps);
    this.#next = micros(now + Math.max(handshake, this.#trips * share * silence));
    return "connect";
  }

  #patience(now: Micros, path: Path): number {
    const message = bitsTake(messageBits, path.carriesBps);
    const worst = this.#lately.quantile(1, now) ?? 0;
    return Math.min(Math.max(silent, 4 * path.rtt, 1.5 * message, 1.5 * worst), mostPatience);
  }

  #begin(now: Micros): void {
    this.#heardAt = now;
    this.#asked = false;
    this.#next = undefined;
  }
}

/** How long so many bits take, in µs; 0 on a path that carries more than is sent. */
const bitsTake = (bits: number, carriesBps: number): number => (carriesBps > 0 ? (bits / carriesBps) * 1e6 : 0);
