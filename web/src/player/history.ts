// What the player measured in the last minute, second by second. Pure.

import type { PlayerStats } from "./player.d.ts";
import type { Millis } from "./units.ts";

const seconds = 60;

/** A second. Figures that are not known are null. */
export interface Sample {
  /** When, on the page's clock. */
  readonly at_ms: number;
  readonly encode_ms: number | null;
  readonly network_ms: number | null;
  readonly decode_ms: number | null;
  readonly show_ms: number | null;
  readonly painted_fps: number;
  readonly bitrate_bps: number;
  readonly lines: number | null;
  /** In this second, here and by the server. */
  readonly dropped: number;
}

export class History {
  #samples: Sample[] = [];
  #droppedBefore: number | undefined;

  /** Takes what is measured now, if a second has gone by since it last did; says whether. */
  add(now: Millis, s: PlayerStats): boolean {
    const last = this.#samples.at(-1);
    if (last !== undefined && now - last.at_ms < 1_000) return false;
    const dropped = s.dropped_total + s.dropped_by_server_total;
    this.#samples.push({
      at_ms: now,
      encode_ms: s.encode_p50_ms,
      network_ms: s.network_p50_ms,
      decode_ms: s.decode_p50_ms,
      show_ms: s.show_p50_ms,
      painted_fps: s.painted_fps,
      bitrate_bps: s.bitrate_bps,
      lines: s.height,
      dropped: Math.max(0, dropped - (this.#droppedBefore ?? dropped)),
    });
    this.#droppedBefore = dropped;
    while ((this.#samples[0]?.at_ms ?? now) < now - seconds * 1_000) this.#samples.shift();
    return true;
  }

  /** The oldest first. */
  get samples(): readonly Sample[] {
    return this.#samples;
  }
}
