// What happened to the cameras while the wall was open, read from one list of the streams after the other. Pure.

import type { Stream } from "./api.ts";

export interface Happening {
  readonly stream: string;
  readonly what: "lost" | "back" | "added" | "removed";
  readonly at: Date;
  /** For "back": how long it was away, in ms. */
  readonly away?: number;
}

/** So many are kept, the newest. */
const most = 50;

/** A camera with its picture, or at rest since nobody looks. */
const fine: ReadonlySet<string> = new Set(["live", "idle"]);
/** One that had a picture has none any more. All other states are on the way to one of these. */
const lost: ReadonlySet<string> = new Set(["offline", "stalled", "restarting", "waiting"]);

export class Happenings {
  /** The newest first. */
  list: readonly Happening[] = [];
  /** Of each stream: fine, lost since then, or never seen to be fine. */
  readonly #known = new Map<string, "fine" | "never" | Date>();
  #begun = false;

  /** Takes in how the streams are now, and tells what is new. What is the case from the start is no event. */
  update(streams: readonly Pick<Stream, "id" | "state">[], now: Date): readonly Happening[] {
    const fresh: Happening[] = [];
    const names = new Set(streams.map((s) => s.id));
    for (const id of [...this.#known.keys()]) {
      if (names.has(id)) continue;
      this.#known.delete(id);
      fresh.push({ stream: id, what: "removed", at: now });
    }
    for (const { id, state } of streams) {
      const before = this.#known.get(id);
      if (before === undefined && this.#begun) fresh.push({ stream: id, what: "added", at: now });
      if (fine.has(state)) {
        if (before instanceof Date) fresh.push({ stream: id, what: "back", at: now, away: now.getTime() - before.getTime() });
        this.#known.set(id, "fine");
      } else if (lost.has(state) && before === "fine") {
        fresh.push({ stream: id, what: "lost", at: now });
        this.#known.set(id, now);
      } else {
        this.#known.set(id, before ?? "never");
      }
    }
    this.#begun = true;
    this.list = [...fresh.reverse(), ...this.list].slice(0, most);
    return fresh;
  }
}
