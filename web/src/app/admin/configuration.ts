// The configuration: what holds and where it was said, and what is on disk now.

import { el, setText } from "../dom.ts";
import { Table } from "../rows.ts";
import { checkConfiguration, configuration, reloadConfiguration, type ConfigChange, type ConfigReport, type Setting } from "./api.ts";
import { section, type Desk, type Part } from "./part.ts";
import { words } from "./strings.ts";

export class Configuration implements Part {
  readonly element: HTMLElement;
  readonly #verdict = el("p", "verdict");
  readonly #problems = el("ul", "findings");
  readonly #changes: Table<ConfigChange>;
  readonly #said: Table<Setting>;
  readonly #defaults: Table<Setting>;

  constructor(desk: Desk) {
    const value = (s: Setting): string => s.value || words.nothing;
    const name = { name: words.setting, text: (s: Setting) => s.name };
    this.#said = new Table<Setting>(words.said, [name, { name: words.value, text: value, long: true }, { name: words.from, text: saidWhere, long: true }], (s) => s.name);
    this.#defaults = new Table<Setting>(words.defaults, [name, { name: words.value, text: value, long: true }], (s) => s.name);
    this.#changes = new Table<ConfigChange>(
      words.changes,
      [
        { name: words.setting, text: (c) => c.name },
        { name: words.was, text: (c) => c.from || words.nothing },
        { name: words.becomes, text: (c) => (c.from === c.to ? words.differsUnseen : c.to || words.nothing) },
      ],
      (c) => c.name,
    );
    this.#changes.update([]);
    this.#verdict.setAttribute("role", "status");
    this.#problems.hidden = true;
    const actions = el(
      "div",
      "actions",
      desk.button(words.check, words.check, () => this.#tell(checkConfiguration)),
      desk.button(words.reload, words.reload, () => this.#tell(reloadConfiguration)),
    );
    const more = el("details", "", el("summary", "", words.defaults), this.#defaults.element);
    this.element = el(
      "div",
      "board",
      section(words.onDisk, el("p", "hint", words.onDiskHint), actions, this.#verdict, this.#problems, this.#changes.element),
      section(words.said, el("p", "hint", words.saidHint), this.#said.element, more),
    );
  }

  async look(): Promise<void> {
    const all = await configuration();
    this.#said.update(all.filter((s) => s.origin !== "default"));
    this.#defaults.update(all.filter((s) => s.origin === "default"));
  }

  close(): void {
    // Nothing runs.
  }

  /** Has the server look at what is on disk, and says what came of it. */
  async #tell(ask: () => Promise<ConfigReport>): Promise<string> {
    const report = await ask();
    const bad = report.problems.length > 0;
    this.#verdict.dataset["tone"] = bad ? "warn" : "good";
    setText(this.#verdict, bad ? words.cannotBeTaken : report.takenUp ? words.takenUp(report.changes.length) : words.canBeTaken(report.changes.length));
    this.#problems.replaceChildren(...report.problems.map((p) => el("li", "", p)));
    this.#problems.hidden = !bad;
    this.#changes.update(report.changes);
    return "";
  }
}

const saidWhere = (s: Setting): string => [words.origins[s.origin] ?? s.origin, s.where].filter((w) => w !== "").join(" · ");
