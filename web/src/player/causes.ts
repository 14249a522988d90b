// Why a stream is in its state, by the server's word for it. English is the server's own sentence, which says more: it names the source.

import type { Language } from "../language.ts";
import de from "./causes.de.json";

/** The sentence for a cause; detail is the server's own, which stays where there are no words. */
export function causeWords(l: Language, cause: string, detail: string): string {
  if (l === "en") return detail;
  const words: Readonly<Record<string, string>> = { de }[l].causes;
  return (Object.hasOwn(words, cause) ? words[cause] : undefined) ?? detail;
}
