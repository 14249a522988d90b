// What the parts of the administrator's page have in common.

import { el } from "../dom.ts";
import type { Navigation } from "../page.ts";
import { words } from "./strings.ts";

/** One part of the page: what is shown under one tab. */
export interface Part {
  readonly element: HTMLElement;
  /** Asks the server for what it shows. Throws APIError. Called when it is shown and every few seconds then. */
  look(): Promise<void>;
  /** Safe to call twice. */
  close(): void;
}

/** What the page does for its parts. */
export interface Desk {
  readonly navigation: Navigation;
  /** A button that does something, says what it did, and has the part look what came of it. */
  button(label: string, name: string, act: () => Promise<string>): HTMLButtonElement;
  /** Does something, as such a button does; says whether it went well. */
  act(what: () => Promise<string>): Promise<boolean>;
  /** Has the part look now. */
  look(): Promise<void>;
}

/** A box with a heading. Focus that has lost its place comes back to it. */
export function section(name: string, ...content: Node[]): HTMLElement {
  const s = el("section", "", el("h2", "", name), ...content);
  s.tabIndex = -1;
  s.setAttribute("aria-label", name);
  return s;
}

let fields = 0;

/** A field under its label, with a hint below it if there is one. */
export function field(name: string, input: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement, hint = ""): HTMLElement {
  input.id = `admin-${fields++}`;
  const label = el("label", "", name);
  label.htmlFor = input.id;
  const box = el("div", "field", label, input);
  if (hint !== "") {
    const words = el("p", "hint", hint);
    words.id = `${input.id}-hint`;
    input.setAttribute("aria-describedby", words.id);
    box.append(words);
  }
  return box;
}

export function textInput(placeholder = ""): HTMLInputElement {
  const input = el("input", "");
  input.type = "text";
  input.autocomplete = "off";
  input.autocapitalize = "none";
  input.spellcheck = false;
  input.placeholder = placeholder;
  return input;
}

/** A choice among values, each with the words for it. */
export function choice(options: readonly (readonly [value: string, words: string])[]): HTMLSelectElement {
  const select = el("select", "");
  select.append(...options.map(([value, words]) => new Option(words, value)));
  return select;
}

/** A form whose button does one thing at a time. What send gives is whether it went well: then the form is emptied. */
export function form(action: string, content: readonly Node[], send: () => Promise<boolean>): HTMLFormElement {
  const button = el("button", "primary", action);
  button.type = "submit";
  const f = el("form", "entry-form", ...content, el("div", "actions", button));
  f.addEventListener("submit", (e) => {
    e.preventDefault();
    button.disabled = true;
    void send()
      .then((well) => well && f.reset())
      .finally(() => (button.disabled = false));
  });
  return f;
}

/** A choice of how long something is good for, in seconds. */
export function lifetimes(): HTMLSelectElement {
  const hour = 3600;
  const select = choice([hour, 8 * hour, 24 * hour, 7 * 24 * hour, 30 * 24 * hour].map((s) => [String(s), words.lifetimes(s / hour)] as const));
  select.name = "lifetime";
  return select;
}

/** Names that stand in one field, apart by spaces or commas. */
export const namesIn = (text: string): string[] => text.split(/[\s,]+/).filter((name) => name !== "");
