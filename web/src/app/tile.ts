// One camera on the wall: its picture, what is known of it, and while tiles are arranged the buttons for that.

import type { SightlinePlayer } from "../player/element.ts";
import type { Stream } from "./api.ts";
import { button, el, icon, setText } from "./dom.ts";
import type { Happening } from "./happenings.ts";
import { socketPath, watchPath } from "./route.ts";
import { t } from "./strings.ts";

/** What somebody asks of a tile. */
export interface TileEvents {
  /** To see it large. */
  opened(tile: Tile): void;
  moved(tile: Tile, by: -1 | 1): void;
  sized(tile: Tile, by: -1 | 1): void;
  /** A login may be needed. */
  barred(): void;
}

const badgeFor = 60_000; // ms
/** What is over is begun anew after so long: where another login may have helped, or the stream goes on after all. */
const patience = 10_000; // ms
/** The same where somebody ended the session, for screens that nobody sits at. */
const longPatience = 60_000; // ms

export class Tile {
  readonly stream: string;
  readonly element: HTMLElement;
  readonly link: HTMLAnchorElement;
  readonly player = document.createElement("sightline-player") as SightlinePlayer;
  readonly #meta = el("span", "meta");
  readonly #badge = el("span", "badge");
  readonly #events: TileEvents;
  #badgeUntil = 0;
  #described = "";
  #overSince: number | undefined;
  /** Whether the session was ended by a person, not by a lack of leave. */
  #ended = false;

  constructor(stream: string, events: TileEvents) {
    this.stream = stream;
    this.#events = events;
    this.link = el("a", "tile", el("span", "name", stream), this.#meta);
    this.link.href = watchPath(stream);
    const handles = el(
      "div",
      "handles",
      button("handle", () => events.moved(this, -1), icon("M14 6l-6 6 6 6"), t.arranging.earlier(stream)),
      button("handle", () => events.moved(this, 1), icon("M10 6l6 6-6 6"), t.arranging.later(stream)),
      button("handle", () => events.sized(this, -1), icon("M6 12h12"), t.arranging.smaller(stream)),
      button("handle", () => events.sized(this, 1), icon("M6 12h12M12 6v12"), t.arranging.larger(stream)),
    );
    this.#badge.hidden = true;
    this.element = el("div", "cell", this.player, this.link, this.#badge, handles, el("span", "corner"));
    this.element.setAttribute("role", "listitem");
    this.element.dataset["stream"] = stream;
    this.element.addEventListener("click", (e) => this.#clicked(e));
    this.player.setAttribute("aria-label", t.watch.label(stream));
    this.player.addEventListener("statechange", (e) => {
      const login = e instanceof CustomEvent && e.detail.login === true;
      this.#ended = this.player.state === "denied" && !login;
      if (login) events.barred();
    });
  }

  /** Begins to watch, once. */
  start(): void {
    if (!this.player.hasAttribute("src")) this.player.setAttribute("src", socketPath(this.stream));
  }

  /** Takes in how the stream is now; tireless is for screens that nobody sits at. */
  update(s: Stream, tireless: boolean): void {
    const best = s.renditions.reduce((a, r) => Math.max(a, r.height), 0);
    this.#described = [best === 0 ? "" : `${best}p`, s.viewers > 1 ? t.wall.watching(s.viewers) : ""].filter((x) => x !== "").join(" · ");
    const now = performance.now();
    if (now > this.#badgeUntil) this.#badge.hidden = true;
    this.tick();
    const over = this.player.state === "denied" || (this.player.state === "ended" && s.state !== "ended");
    if (!over || (this.#ended && !tireless)) {
      this.#overSince = undefined;
      return;
    }
    this.#overSince ??= now;
    if (now - this.#overSince > (this.#ended ? longPatience : patience)) this.#again();
  }

  /** Says how old the pictures are. */
  tick(): void {
    const stats = this.player.stats();
    const age = stats.state === "live" && stats.paint_p50_ms !== null ? `${Math.round(stats.paint_p50_ms)} ms` : "";
    setText(this.#meta, [age, this.#described].filter((x) => x !== "").join(" · "));
  }

  /** Says for a while what happened. */
  tell(what: Happening["what"], words: string): void {
    this.#badge.dataset["what"] = what;
    setText(this.#badge, words);
    this.#badge.hidden = what !== "back"; // of what is lost the player itself says more
    this.#badgeUntil = performance.now() + badgeFor;
  }

  #again(): void {
    this.#overSince = undefined;
    this.player.remove();
    this.element.prepend(this.player);
  }

  #clicked(e: MouseEvent): void {
    if (e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0) return;
    if (e.composedPath().some((x) => x instanceof HTMLButtonElement)) return;
    if (e.target === this.link || this.link.contains(e.target as Node)) e.preventDefault();
    this.#events.opened(this);
  }
}
