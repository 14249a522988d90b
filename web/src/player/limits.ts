// What keeps the picture from being better. Pure.

import type { Quality } from "./quality.ts";
import type { Strings } from "./strings.ts";
import type { Limit } from "./wire.ts";

export type LimitName = Limit | "tab" | "decoder" | "encoder";

export interface Limits {
  /** The player is not in view. */
  readonly hidden: boolean;
  /** The decoder is behind. */
  readonly overloaded: boolean;
  /** Pictures a second. */
  readonly decodedFps: number;
  readonly paintedFps: number;
  /** From capture to the end of encoding, and between two pictures, in the same unit; 0 if not known. */
  readonly encoding: number;
  readonly interval: number;
  readonly quality: Quality;
  /** What the server says. */
  readonly server: { readonly limit: Limit; readonly carriesBps: number; readonly stills: boolean } | undefined;
}

export interface Limiting {
  readonly name: LimitName;
  /** Which sentence says it; empty where nothing limits. */
  readonly words: keyof Strings["limit"];
  /** What the network is known to carry; 0: more than is sent. */
  readonly carriesBps: number;
}

export const unlimited: Limiting = { name: "", words: "", carriesBps: 0 };

/** A screen may refresh at half the rate of the pictures; a tab that is held back paints fewer. */
const heldBack = 2.5;

export function limiting(l: Limits): Limiting {
  const carriesBps = l.server?.carriesBps ?? 0;
  const by = (name: LimitName, words: Limiting["words"]): Limiting => ({ name, words, carriesBps });
  if (l.hidden) return by("tab", "hidden");
  if (l.overloaded) return by("decoder", "decoder");
  if (l.server?.stills === true) return by("network", "stills");
  if (l.server?.limit === "network") return by("network", "network");
  if (l.decodedFps > heldBack * l.paintedFps) return by("tab", "tab");
  if (l.interval > 0 && l.encoding > l.interval) return by("encoder", "encoder");
  if (l.server?.limit === "shared") return by("shared", "shared");
  if (l.server?.limit === "size") return by("size", l.quality === "auto" ? "size" : "chosen");
  return unlimited;
}

/** The sentence that a person understands; empty where nothing limits. */
export const limitWords = (s: Strings, l: Limiting): string => s.limit[l.words](l.carriesBps > 0 ? rate(l.carriesBps) : "");

/** A bit rate in words. */
export function rate(bps: number): string {
  return bps < 1e6 ? `${Math.round(bps / 1e3)} kbit/s` : `${(bps / 1e6).toFixed(1)} Mbit/s`;
}
