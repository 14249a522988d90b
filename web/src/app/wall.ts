// The wall: a live tile for each stream one may watch.

import type { SightlinePlayer } from "../player/element.ts";
import { account } from "./account.ts";
import { APIError, streams, type Stream } from "./api.ts";
import { brand, el, icon, setText } from "./dom.ts";
import { layout, nextTile, type Direction } from "./grid.ts";
import type { Navigation, Page } from "./page.ts";
import { NameDialog } from "./name.ts";
import { publishPath, socketPath, watchPath } from "./route.ts";

const pollEvery = 3_000; // ms

interface Tile {
  readonly link: HTMLAnchorElement;
  readonly player: SightlinePlayer;
  readonly meta: HTMLElement;
}

const directions: Readonly<Record<string, Direction>> = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

export class Wall implements Page {
  readonly title = "Sightline";
  readonly element: HTMLElement;
  readonly #navigation: Navigation;
  readonly #grid = el("div", "grid");
  readonly #note = el("div", "note");
  readonly #count = el("p", "count");
  readonly #problem = el("p", "problem");
  readonly #name: NameDialog;
  readonly #tiles = new Map<string, Tile>();
  /** The stream whose tile gets the focus when it appears. */
  #focus: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  readonly #resize = new ResizeObserver(() => this.#layOut());

  constructor(navigation: Navigation, focus: string | undefined) {
    this.#navigation = navigation;
    this.#focus = focus;
    this.#name = new NameDialog((name) => navigation.go(publishPath(name)));
    this.#count.setAttribute("role", "status");
    this.#problem.setAttribute("role", "alert");
    this.#problem.hidden = true;
    this.#note.hidden = true;
    this.#grid.setAttribute("role", "list");
    this.#grid.setAttribute("aria-label", "Cameras");
    const header = el("header", "bar", brand(), this.#count, this.#publishButton(), account(navigation));
    this.element = el("main", "wall", header, this.#problem, this.#grid, this.#note, this.#name.element);
  }

  shown(): void {
    this.#resize.observe(document.documentElement);
    void this.#poll();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#resize.disconnect();
  }

  key(e: KeyboardEvent): boolean {
    const direction = directions[e.key];
    if (direction !== undefined) return this.#move(direction);
    if (e.key === "i") {
      const on = [...this.#tiles.values()].some((t) => t.player.hasAttribute("stats"));
      for (const t of this.#tiles.values()) t.player.toggleAttribute("stats", !on);
      return true;
    }
    if (e.key === "f") {
      const done = document.fullscreenElement === null ? document.documentElement.requestFullscreen() : document.exitFullscreen();
      done.catch(() => undefined); // refused by the browser, which shows as much
      return true;
    }
    return false;
  }

  async #poll(): Promise<void> {
    try {
      const list = await streams();
      if (this.#closed) return;
      this.#problem.hidden = true;
      this.#update(list);
    } catch (cause) {
      if (this.#closed) return;
      if (!(cause instanceof APIError)) throw cause;
      if (cause.status === 401) {
        this.#navigation.loggedOut("");
        return;
      }
      setText(this.#problem, cause.message);
      this.#problem.hidden = false;
    }
    this.#timer = setTimeout(() => void this.#poll(), pollEvery);
  }

  #update(list: readonly Stream[]): void {
    const names = new Set(list.map((s) => s.id));
    for (const [name, tile] of this.#tiles) {
      if (names.has(name)) continue;
      tile.link.parentElement?.remove();
      this.#tiles.delete(name);
    }
    let before: Element | null = this.#grid.firstElementChild;
    for (const s of list) {
      let tile = this.#tiles.get(s.id);
      if (tile === undefined) {
        tile = this.#newTile(s.id);
        this.#grid.insertBefore(tile.link.parentElement ?? tile.link, before);
      } else {
        before = tile.link.parentElement?.nextElementSibling ?? null;
      }
      setText(tile.meta, describe(s));
    }
    setText(this.#count, list.length === 1 ? "1 camera" : list.length === 0 ? "" : `${list.length} cameras`);
    this.#layOut();
    this.#showEmpty(list.length === 0);
    if (this.#focus !== undefined) this.#tiles.get(this.#focus)?.link.focus();
    this.#focus = undefined;
  }

  #layOut(): void {
    const room = this.#grid.parentElement;
    if (room === null) return;
    const { paddingLeft, paddingRight, paddingBottom } = getComputedStyle(room);
    const width = room.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
    const height = innerHeight - this.#grid.offsetTop - parseFloat(paddingBottom);
    const to = layout(this.#tiles.size, width, height, parseFloat(getComputedStyle(this.#grid).columnGap));
    this.#grid.style.setProperty("--columns", String(to.columns));
    this.#grid.style.setProperty("--width", `${to.width}px`);
  }

  #newTile(stream: string): Tile {
    const player = document.createElement("sightline-player") as SightlinePlayer;
    const meta = el("span", "meta");
    const link = el("a", "tile", player, el("span", "caption", el("span", "name", stream), meta));
    link.href = watchPath(stream);
    link.addEventListener("click", (e) => {
      if (e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0) return;
      e.preventDefault();
      this.#navigation.go(link.pathname);
    });
    player.addEventListener("statechange", (e) => {
      const login = e instanceof CustomEvent && e.detail.login === true;
      if (login && !this.#closed) void this.#poll();
    });
    player.setAttribute("src", socketPath(stream));
    const item = el("div", "cell", link);
    item.setAttribute("role", "listitem");
    const tile = { link, player, meta };
    this.#tiles.set(stream, tile);
    return tile;
  }

  #publishButton(): HTMLButtonElement {
    const label = "Use this device's camera";
    const lens = icon("M3 7h3l2-3h8l2 3h3v13H3zM12 17a4 4 0 1 0 0-8 4 4 0 0 0 0 8z");
    const b = el("button", "plain lens", lens, el("span", "", label));
    b.type = "button";
    b.title = label;
    b.setAttribute("aria-label", label);
    b.addEventListener("click", () => this.#name.ask());
    return b;
  }

  #showEmpty(empty: boolean): void {
    this.#note.hidden = !empty;
    if (!empty || this.#note.hasChildNodes()) return;
    this.#note.append(
      el("h1", "", "No cameras yet"),
      el("p", "", "There is no stream that you may watch. When one is added, or you are allowed to see one, it appears here by itself."),
    );
    const own = this.#publishButton();
    this.#note.append(el("p", "", own));
  }

  #move(direction: Direction): boolean {
    const links = [...this.#tiles.values()].map((t) => t.link);
    links.sort((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
    const current = links.findIndex((l) => l === document.activeElement);
    const next = nextTile(
      links.map((l) => l.getBoundingClientRect()),
      current,
      direction,
    );
    const link = links[next];
    link?.focus();
    return link !== undefined;
  }
}

function describe(s: Stream): string {
  const best = s.renditions.reduce<Stream["renditions"][number] | undefined>((a, b) => (a === undefined || b.height > a.height ? b : a), undefined);
  const viewers = s.viewers > 1 ? `${s.viewers} watching` : "";
  return [best === undefined ? "" : `${best.height}p`, viewers].filter((t) => t !== "").join(" · ");
}
