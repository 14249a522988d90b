// The panel in which a person chooses quality and playback: groups of radio buttons, which keyboards and screen readers know.

import { el, iconButton, setText } from "./dom.ts";
import type { Mode } from "./playout.ts";
import { choices, type Choice, type Quality } from "./quality.ts";
import type { Rendition } from "./wire.ts";

export interface SettingsEvents {
  quality(q: Quality): void;
  mode(m: Mode): void;
}

const playbacks: readonly { readonly mode: Mode; readonly title: string; readonly hint: string }[] = [
  { mode: "live", title: "Live", hint: "Always the newest picture" },
  { mode: "smooth", title: "Smooth", hint: "Even motion, up to 0.15 s older" },
];

export class Settings {
  readonly button = iconButton("Quality", "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4");
  readonly element = el("div", "settings");
  readonly #limit = el("p", "limit");
  readonly #qualities: Group;
  readonly #playbacks: Group;
  #choices: readonly Choice[] = [];

  constructor(events: SettingsEvents) {
    const id = "settings";
    this.element.id = id;
    this.element.setAttribute("role", "dialog");
    this.element.setAttribute("aria-label", "Quality");
    this.element.hidden = true;
    this.button.setAttribute("aria-haspopup", "dialog");
    this.button.setAttribute("aria-controls", id);
    this.button.setAttribute("aria-expanded", "false");
    this.button.addEventListener("click", () => this.toggle());
    this.#qualities = new Group("quality", "Quality", (value) => {
      const chosen = this.#choices.find((c) => c.quality === value);
      if (chosen !== undefined) events.quality(chosen.quality);
    });
    this.#playbacks = new Group("mode", "Playback", (value) => {
      const chosen = playbacks.find((p) => p.mode === value);
      if (chosen !== undefined) events.mode(chosen.mode);
    });
    this.#playbacks.offer(playbacks.map((p) => ({ value: p.mode, title: p.title, hint: p.hint })));
    this.element.append(this.#qualities.element, this.#playbacks.element, this.#limit);
    this.element.addEventListener("keydown", (e) => {
      if (e.key !== "Escape") return;
      e.stopPropagation(); // the page has its own use for it
      e.preventDefault();
      this.toggle(false);
      this.button.focus();
    });
    this.element.addEventListener("dblclick", (e) => e.stopPropagation());
  }

  get open(): boolean {
    return !this.element.hidden;
  }

  toggle(open = !this.open): void {
    if (open === this.open) return;
    this.element.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (open) this.#qualities.focus();
  }

  /** limit is a sentence, or empty. */
  show(renditions: readonly Rendition[], quality: Quality, mode: Mode, limit: string): void {
    this.#offer(choices(renditions));
    this.#qualities.check(this.#choices.some((c) => c.quality === quality) ? quality : "auto");
    this.#playbacks.check(mode);
    setText(this.#limit, limit);
  }

  #offer(all: readonly Choice[]): void {
    if (JSON.stringify(all) === JSON.stringify(this.#choices)) return;
    this.#choices = all;
    this.#qualities.offer(all.map((c) => ({ value: c.quality, title: c.title, hint: c.hint })));
  }
}

interface Option {
  readonly value: string;
  readonly title: string;
  readonly hint: string;
}

/** One choice of several. */
class Group {
  readonly element = el("fieldset");
  readonly #name: string;
  readonly #legend: HTMLLegendElement;

  constructor(name: string, legend: string, chosen: (value: string) => void) {
    this.#name = name;
    this.#legend = el("legend", "", legend);
    this.element.append(this.#legend);
    this.element.addEventListener("change", (e) => {
      if (e.target instanceof HTMLInputElement) chosen(e.target.value);
    });
  }

  offer(options: readonly Option[]): void {
    const focused = this.element.matches(":focus-within");
    this.element.replaceChildren(
      this.#legend,
      ...options.map((o) => {
        const label = el("label");
        const radio = el("input");
        radio.type = "radio";
        radio.name = this.#name;
        radio.value = o.value;
        label.append(radio, el("span", "title", o.title), el("span", "hint", o.hint));
        return label;
      }),
    );
    if (focused) this.focus();
  }

  check(value: string): void {
    for (const radio of this.#radios()) radio.checked = radio.value === value;
  }

  focus(): void {
    const radios = this.#radios();
    (radios.find((r) => r.checked) ?? radios[0])?.focus();
  }

  #radios(): HTMLInputElement[] {
    return [...this.element.querySelectorAll("input")];
  }
}
