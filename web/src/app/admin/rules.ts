// What the server's alerts are called, by their rules. English is the server's own, and so is what happened, which names who and where.

import { language, type Language } from "../../language.ts";
import type { Alert } from "../api.ts";
import de from "./rules.de.json";

interface Words {
  readonly title: Readonly<Record<string, string>>;
  readonly threshold: Readonly<Record<string, string>>;
  readonly level: Readonly<Record<string, string>>;
}

const translated: Record<Exclude<Language, "en">, Words> = { de };

export function ruleWords(a: Alert): { readonly title: string; readonly threshold: string; readonly level: string } {
  const { title, threshold, level } = a;
  if (language === "en") return { title, threshold, level };
  const words = translated[language];
  return { title: words.title[a.rule] ?? title, threshold: words.threshold[a.rule] ?? threshold, level: words.level[level] ?? level };
}
