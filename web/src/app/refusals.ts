// What a refusal of the server says, by its code. English is the server's own; a refusal without words here, such as one that names
// what somebody typed, stays in that.

import type { Language } from "../language.ts";
import de from "./refusals.de.json";

const words: Record<Exclude<Language, "en">, ReadonlyMap<string, string>> = { de: new Map(Object.entries({ ...de.auth, ...de.httpd })) };

/** The sentence for a code; message is the server's own. */
export function refusal(l: Language, code: string, message: string): string {
  return (l === "en" ? undefined : words[l].get(code)) ?? message;
}
