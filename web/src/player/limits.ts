// What keeps the picture from being better, in a sentence that a person understands. Pure.

import type { Quality } from "./quality.ts";
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
  /** Empty where nothing limits. */
  readonly words: string;
}

/** A screen may refresh at half the rate of the pictures; a tab that is held back paints fewer. */
const heldBack = 2.5;

export function limiting(l: Limits): Limiting {
  const carries = l.server?.carriesBps ?? 0;
  const network = carries > 0 ? `Your network carries ${rate(carries)}` : "Your network carries no more";
  if (l.hidden) return { name: "tab", words: "This player is out of sight, so nothing is sent to it." };
  if (l.overloaded) return { name: "decoder", words: "This device decodes more slowly than pictures arrive." };
  if (l.server?.stills === true) return { name: "network", words: `${network}: too little for a moving picture.` };
  if (l.server?.limit === "network") return { name: "network", words: `${network}.` };
  if (l.decodedFps > heldBack * l.paintedFps) return { name: "tab", words: "The browser paints fewer pictures here than arrive." };
  if (l.interval > 0 && l.encoding > l.interval) return { name: "encoder", words: "The camera's side encodes more slowly than pictures come." };
  if (l.server?.limit === "shared") return { name: "shared", words: "Others watch the same picture over slower networks." };
  if (l.server?.limit === "size") {
    return { name: "size", words: l.quality === "auto" ? "More lines than this would not be seen at this size." : "You chose this quality." };
  }
  return { name: "", words: "" };
}

/** A bit rate in words. */
export function rate(bps: number): string {
  return bps < 1e6 ? `${Math.round(bps / 1e3)} kbit/s` : `${(bps / 1e6).toFixed(1)} Mbit/s`;
}
