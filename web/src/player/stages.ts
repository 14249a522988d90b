// Where the time between capture and paint goes. Pure: times are arguments.

import { micros, type Micros } from "./units.ts";
import { Window } from "./window.ts";

export const stageNames = ["encode", "network", "decode", "show"] as const;
export type StageName = (typeof stageNames)[number];

/** Medians of the last second. decode has the time in it that pictures are held back. */
export type StageFigures = Readonly<Record<StageName, Micros>>;

/** One picture's way: its stages, and when it was painted, local clock. */
export interface PictureStages extends StageFigures {
  /** On the server's epoch; identifies the picture. */
  readonly capture: Micros;
  readonly at: Micros;
}

/** Pictures under way; one that is never painted is forgotten after as many others. */
const most = 240;

interface Underway {
  readonly encode: number;
  readonly network: number;
  readonly arrived: Micros;
  decoded?: Micros;
}

export class Stages {
  readonly #underway = new Map<Micros, Underway>();
  readonly #windows: Readonly<Record<StageName, Window>> = {
    encode: new Window(micros(1_000_000)),
    network: new Window(micros(1_000_000)),
    decode: new Window(micros(1_000_000)),
    show: new Window(micros(1_000_000)),
  };

  #painted: PictureStages[] = [];

  /** The last of a picture is here. server is the same time on the clock that it was captured by. */
  arrived(capture: Micros, encode: Micros, at: Micros, server: Micros): void {
    this.#underway.set(capture, { encode, network: Math.max(0, server - capture - encode), arrived: at });
    for (const oldest of this.#underway.keys()) {
      if (this.#underway.size <= most) break;
      this.#underway.delete(oldest);
    }
  }

  decoded(capture: Micros, at: Micros): void {
    const u = this.#underway.get(capture);
    if (u !== undefined) u.decoded = at;
  }

  painted(capture: Micros, at: Micros): void {
    const u = this.#underway.get(capture);
    this.#underway.delete(capture);
    if (u?.decoded === undefined) return;
    const stages = { encode: micros(u.encode), network: micros(u.network), decode: micros(u.decoded - u.arrived), show: micros(at - u.decoded) };
    for (const name of stageNames) this.#windows[name].add(at, stages[name]);
    if (this.#painted.length === most) this.#painted.shift();
    this.#painted.push({ capture, at, ...stages });
  }

  /** The pictures painted since the last call. */
  take(): readonly PictureStages[] {
    const painted = this.#painted;
    this.#painted = [];
    return painted;
  }

  /** Undefined while nothing was painted for a second. */
  figures(now: Micros): StageFigures | undefined {
    const half = (name: StageName) => this.#windows[name].quantile(0.5, now) as Micros | undefined;
    const [encode, network, decode, show] = stageNames.map(half);
    if (encode === undefined || network === undefined || decode === undefined || show === undefined) return undefined;
    return { encode, network, decode, show };
  }
}
