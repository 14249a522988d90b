// The menu of what can be chosen for the wall.

import { type Choice, turns } from "./choice.ts";
import { button, dropdown, el, icon } from "./dom.ts";
import { layouts } from "./grid.ts";
import { t } from "./strings.ts";
import type { Walls, WallsHost } from "./walls.ts";

export interface ViewEvents {
  chosen(change: Partial<Choice>): void;
  arrange(): void;
  statistics(): void;
  fullScreen(): void;
  /** The address of the same wall for a screen that nobody sits at. */
  kioskPath(): string;
  readonly walls: WallsHost;
}

export class View {
  readonly element: HTMLElement;
  readonly #panel = el("div", "view");
  readonly #layouts = el("fieldset", "chips", el("legend", "", t.wall.layout));
  readonly #turn = el("select", "");
  readonly #kiosk = el("a", "entry", t.wall.kiosk);
  #walls: Walls | undefined;

  constructor(events: ViewEvents) {
    for (const name of layouts) {
      const input = el("input", "");
      input.type = "radio";
      input.name = "layout";
      input.value = name;
      input.addEventListener("change", () => events.chosen({ layout: name }));
      this.#layouts.append(el("label", "", input, el("span", "", name === "auto" ? t.wall.auto : name.replace("x", " × ").replace("+", " + "))));
    }
    const label = el("label", "", t.wall.turn);
    this.#turn.id = label.htmlFor = "turn";
    for (const seconds of turns) this.#turn.append(new Option(seconds === 0 ? t.wall.never : t.wall.everySeconds(seconds), String(seconds)));
    this.#turn.addEventListener("change", () => events.chosen({ turn: Number(this.#turn.value) }));
    const entry = (words: string, act: () => void): HTMLButtonElement =>
      button("entry", () => {
        this.#panel.hidePopover();
        act();
      }, words);
    this.#panel.id = "view";
    this.#panel.append(
      this.#layouts,
      el("div", "field", label, this.#turn),
      entry(t.wall.arrange, events.arrange),
      entry(t.statistics, events.statistics),
      entry(t.fullScreen, events.fullScreen),
      this.#kiosk,
    );
    const opener = button("plain round", () => undefined, icon("M4 5h7v6H4zM14 5h6v6h-6zM4 14h7v5H4zM14 14h6v5h-6z"), t.wall.view);
    dropdown(opener, this.#panel, () => {
      this.#kiosk.href = events.kioskPath();
      void this.#showWalls(events.walls);
    });
    this.element = el("div", "", opener, this.#panel);
  }

  async #showWalls(host: WallsHost): Promise<void> {
    if (this.#walls === undefined) {
      const { Walls } = await import("./walls.ts");
      if (this.#walls !== undefined) return; // it was opened twice meanwhile
      this.#walls = new Walls(host, () => this.#panel.hidePopover());
      this.#panel.append(this.#walls.element);
    }
    this.#walls.show();
  }

  show({ layout, turn }: Choice): void {
    for (const input of this.#layouts.querySelectorAll("input")) input.checked = input.value === layout;
    if (![...this.#turn.options].some((o) => o.value === String(turn))) this.#turn.append(new Option(t.wall.everySeconds(turn), String(turn)));
    this.#turn.value = String(turn);
  }
}
