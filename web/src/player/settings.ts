// The panel in which a person chooses quality and playback: groups of radio buttons, which keyboards and screen readers know.

import { el, setText } from "./dom.ts";
import { modes, type Mode } from "./playout.ts";
import { Popup } from "./popup.ts";
import { choices, type Choice, type Quality } from "./quality.ts";
import type { Strings } from "./strings.ts";
import type { Rendition } from "./wire.ts";

export interface SettingsEvents {
  quality(q: Quality): void;
  mode(m: Mode): void;
}

export class Settings extends Popup {
  readonly #strings: Strings;
  readonly #limit = el("p", "limit");
  readonly #qualities: Group;
  readonly #playbacks: Group;
  #choices: readonly Choice[] = [];

  constructor(s: Strings, events: SettingsEvents) {
    super(s.quality.title, "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4");
    this.#strings = s;
    this.#qualities = new Group("quality", s.quality.title, (value) => {
      const chosen = this.#choices.find((c) => c.quality === value);
      if (chosen !== undefined) events.quality(chosen.quality);
    });
    this.#playbacks = new Group("mode", s.playback.title, (value) => {
      const chosen = modes.find((m) => m === value);
      if (chosen !== undefined) events.mode(chosen);
    });
    this.#playbacks.offer(modes.map((m) => ({ value: m, title: s.playback[m][0], hint: s.playback[m][1] })));
    this.element.classList.add("settings");
    this.element.append(this.#qualities.element, this.#playbacks.element, this.#limit);
  }

  /** limit is a sentence, or empty. */
  show(renditions: readonly Rendition[], quality: Quality, mode: Mode, limit: string): void {
    this.#offer(choices(this.#strings, renditions));
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
  /** All that were ever offered, by their value: Chromium keeps radio buttons that were thrown away. */
  readonly #options = new Map<string, { readonly label: HTMLLabelElement; readonly title: HTMLElement; readonly hint: HTMLElement }>();

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
        const option = this.#options.get(o.value) ?? this.#newOption(o.value);
        setText(option.title, o.title);
        setText(option.hint, o.hint);
        return option.label;
      }),
    );
    if (focused) this.focus();
  }

  #newOption(value: string): { readonly label: HTMLLabelElement; readonly title: HTMLElement; readonly hint: HTMLElement } {
    const option = { label: el("label"), title: el("span", "title"), hint: el("span", "hint") };
    const radio = el("input");
    radio.type = "radio";
    radio.name = this.#name;
    radio.value = value;
    option.label.append(radio, option.title, option.hint);
    this.#options.set(value, option);
    return option;
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
