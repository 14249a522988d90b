// What a person would rather have where not everything is carried. Pure.

import type { Strings } from "./strings.ts";
import { CtrlOp, Preference, type Rendition } from "./wire.ts";

type PreferenceName = keyof typeof Preference;

/** A preference, or one rendition by its name. */
export type Quality = PreferenceName | `rendition:${string}`;

export function isQuality(text: string | null): text is Quality {
  return text !== null && (Object.hasOwn(Preference, text) || /^rendition:./.test(text));
}

export const rendition = (name: string): Quality => `rendition:${name}`;

/** The name of the rendition that is asked for, if one is. */
export const pinned = (q: Quality): string | undefined => (q.startsWith("rendition:") ? q.slice("rendition:".length) : undefined);

export interface Order {
  readonly op: CtrlOp;
  readonly argument: number;
}

/** What to tell the server, which takes back what it was told before. A rendition that the stream does not have is as auto. */
export function orders(q: Quality, renditions: readonly Rendition[]): readonly Order[] {
  const name = pinned(q);
  const pin = renditions.find((r) => r.name === name);
  const preference = name === undefined ? Preference[q as PreferenceName] : Preference.auto;
  return [pin === undefined ? { op: CtrlOp.auto, argument: 0 } : { op: CtrlOp.rendition, argument: pin.id }, { op: CtrlOp.prefer, argument: preference }];
}

export interface Choice {
  readonly quality: Quality;
  readonly title: string;
  readonly hint: string;
}

const preferences = ["auto", "high", "detail", "motion", "low", "saver"] as const;

/** All that there is to choose from, the tallest rendition first. */
export function choices(s: Strings, renditions: readonly Rendition[]): readonly Choice[] {
  const tallest = [...renditions].sort((a, b) => b.height - a.height || b.max_bitrate_bps - a.max_bitrate_bps);
  const preferred = preferences.map((p) => ({ quality: p, title: s.quality[p][0], hint: s.quality[p][1] }));
  return [...preferred, ...tallest.map((r) => ({ quality: rendition(r.name), title: r.name, hint: s.quality.always(`${r.width} × ${r.height}${r.codec === "jpeg" ? ", JPEG" : ""}`) }))];
}
