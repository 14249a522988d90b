// The menu of what happened while the wall was open, with a mark for what nobody has looked at yet. Administrators are told there
// of alerts too.

import { alerts, APIError } from "./api.ts";
import { button, dropdown, el, icon, link, setText } from "./dom.ts";
import type { Happening } from "./happenings.ts";
import type { Navigation } from "./page.ts";
import { timeWords } from "./rows.ts";
import { t } from "./strings.ts";

const alertsEvery = 30_000; // ms

/** What an event is called. */
export const eventWords = (e: Happening): string => (e.what === "back" && e.away !== undefined ? t.events.backAfter(awayWords(e.away)) : t.events[e.what]);

const awayWords = (ms: number): string => (ms < 90_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`);

export class EventsMenu {
  readonly element: HTMLElement;
  readonly #panel = el("div", "events");
  readonly #mark = el("span", "mark-count");
  readonly #opener: HTMLButtonElement;
  readonly #alerts: HTMLAnchorElement;
  readonly #list = el("ol", "");
  readonly #none = el("p", "hint", t.events.none);
  #unseen = 0;
  #alertCount = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(navigation: Navigation) {
    this.#alerts = link(navigation, "entry alert", "", "/admin");
    this.#alerts.hidden = true;
    this.#panel.id = "events";
    this.#panel.append(el("h2", "", t.events.title), this.#alerts, this.#none, this.#list);
    this.#opener = button("plain round", () => undefined, icon("M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 20.5h4"), t.events.title);
    this.#opener.append(this.#mark);
    dropdown(this.#opener, this.#panel, () => {
      this.#unseen = 0;
      this.#show();
    });
    this.element = el("div", "", this.#opener, this.#panel);
    this.#show();
  }

  /** Begins to look for alerts, which administrators may. */
  start(): void {
    void this.#look();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Tells the whole list, the newest first, of which so many are new. */
  update(list: readonly Happening[], fresh: number): void {
    if (fresh === 0) return;
    if (!this.#panel.matches(":popover-open")) this.#unseen += fresh;
    this.#list.replaceChildren(
      ...list.map((e) => {
        const item = el("li", "", el("time", "", timeWords(e.at)), el("strong", "", e.stream), el("span", "", eventWords(e)));
        item.dataset["what"] = e.what;
        return item;
      }),
    );
    this.#show();
  }

  async #look(): Promise<void> {
    try {
      this.#alertCount = (await alerts()).alerts.filter((a) => a.level === "alert").length;
      this.#show();
    } catch (cause) {
      if (!(cause instanceof APIError)) throw cause;
      // The wall says what is wrong.
    }
    if (!this.#closed) this.#timer = setTimeout(() => void this.#look(), alertsEvery);
  }

  #show(): void {
    const count = this.#unseen + this.#alertCount;
    this.#mark.hidden = count === 0;
    setText(this.#mark, String(count));
    this.#mark.classList.toggle("alert", this.#alertCount > 0);
    const words = [this.#alertCount > 0 ? t.events.alerts(this.#alertCount) : "", this.#unseen > 0 ? t.events.unseen(this.#unseen) : ""];
    this.#opener.setAttribute("aria-label", [t.events.title, ...words.filter((w) => w !== "")].join(", "));
    this.#alerts.hidden = this.#alertCount === 0;
    setText(this.#alerts, t.events.alerts(this.#alertCount));
    this.#none.hidden = this.#list.childElementCount > 0 || this.#alertCount > 0;
  }
}
