// Which language the pages and the player speak. Their words stand in a strings.ts beside what says them, with the same keys in
// each language. Pure but for the browser's own wish.

export const languages = ["en", "de"] as const;
export type Language = (typeof languages)[number];

/** The first of the wanted languages (BCP 47, the dearest first) that there are words in, or else English. */
export function pickLanguage(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    const found = languages.find((l) => l === tag.toLowerCase().split("-")[0]);
    if (found !== undefined) return found;
  }
  return "en";
}

const browser: { readonly navigator?: Navigator } = globalThis; // the tests' Node has none

/** What this browser's user prefers; in a worker too. */
export const language: Language = pickLanguage(browser.navigator?.languages ?? []);
