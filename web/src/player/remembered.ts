// What a person chose, kept by their browser for all streams of this site.

import { isQuality, type Quality } from "./quality.ts";
import { modes, type Mode } from "./playout.ts";

const qualityKey = "sightline.quality";
const modeKey = "sightline.mode";

export function rememberedQuality(): Quality | undefined {
  const text = read(qualityKey);
  return isQuality(text) ? text : undefined;
}

export function rememberedMode(): Mode | undefined {
  const text = read(modeKey);
  return modes.find((m) => m === text);
}

export const rememberQuality = (q: Quality): void => write(qualityKey, q);
export const rememberMode = (m: Mode): void => write(modeKey, m);

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // a browser may keep nothing for this site
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // It holds for this page then.
  }
}
