// What a person chose, kept by their browser for this site.

import { isQuality, type Quality } from "./quality.ts";
import { modes, type Mode } from "./playout.ts";

const prefix = "sightline.";

export function rememberedQuality(): Quality | undefined {
  const text = recall("quality") ?? null;
  return isQuality(text) ? text : undefined;
}

export function rememberedMode(): Mode | undefined {
  const text = recall("mode");
  return modes.find((m) => m === text);
}

export const rememberQuality = (q: Quality): void => remember("quality", q);
export const rememberMode = (m: Mode): void => remember("mode", m);

export function recall(key: string): string | undefined {
  try {
    return localStorage.getItem(prefix + key) ?? undefined;
  } catch {
    return undefined; // a browser may keep nothing for this site
  }
}

/** undefined forgets. */
export function remember(key: string, value: string | undefined): void {
  try {
    if (value === undefined) localStorage.removeItem(prefix + key);
    else localStorage.setItem(prefix + key, value);
  } catch {
    // It holds for this page then.
  }
}
