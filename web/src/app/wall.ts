// The wall: a live tile for each stream one may watch. A tile is seen large without being connected anew: its own player fills the
// window then. ?kiosk is for a screen that nobody sits at; group, layout and turn in the address come before what was chosen.

import { account } from "./account.ts";
import { APIError, preferences, self, setPreferences, streams, ticket, type Self, type Stream } from "./api.ts";
import { Arranging } from "./arranging.ts";
import { choiceBy, choiceIn, inOrder, moved, untouched, type Choice } from "./choice.ts";
import { brand, button, el, icon, place, setText } from "./dom.ts";
import { eventWords, EventsMenu } from "./events.ts";
import { largestSpan, layout, nextTile, pages, type Direction, type Page as Part, type Room } from "./grid.ts";
import { Happenings } from "./happenings.ts";
import { Kiosk } from "./kiosk.ts";
import { NameDialog } from "./name.ts";
import type { Navigation, Page } from "./page.ts";
import { publishPath, watchPath, type Route } from "./route.ts";
import { Single } from "./single.ts";
import { t } from "./strings.ts";
import { Tile } from "./tile.ts";
import { View } from "./view.ts";
import { welcome } from "./welcome.ts";

const pollEvery = 3_000; // ms
const tickEvery = 1_000; // ms
const keptAfter = 600; // ms after the last change
/** The pictures of the next page are asked for so long before it is shown. */
const turnAhead = 1_500; // ms
/** Fewer cameras are found by a look. */
const searchFrom = 7;
/** A server's own picture, where it has no camera. */
const testPattern = "test";

const directions: Readonly<Record<string, Direction>> = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

export class Wall implements Page {
  readonly element: HTMLElement;
  readonly #navigation: Navigation;
  readonly #parameters = new URLSearchParams(location.search);
  readonly #kiosk = this.#parameters.has("kiosk") ? new Kiosk() : undefined;

  readonly #grid = el("div", "grid");
  readonly #note = el("div", "note");
  readonly #count = el("p", "count");
  readonly #problem = el("p", "problem");
  readonly #search = el("input", "");
  readonly #groups = el("select", "");
  readonly #pager = el("nav", "pager");
  readonly #pageWords = el("span", "");
  readonly #hold: HTMLButtonElement;
  readonly #banner: HTMLElement;
  readonly #said = el("p", "unseen");
  readonly #view: View;
  readonly #events: EventsMenu;
  readonly #name: NameDialog;

  readonly #happenings = new Happenings();
  readonly #tiles = new Map<string, Tile>();
  #list: readonly Stream[] = [];
  /** Whether the server has told the streams, and what was chosen. */
  #known = false;
  #admin = false;
  /** All that the server keeps for this person. */
  #kept: object = {};
  #choice: Choice = choiceBy(this.#parameters, untouched);
  #group = this.#parameters.get("group") ?? "";
  /** The streams that are wanted, in their order, and the pages they are parted into. */
  #wanted: readonly string[] = [];
  #parts: readonly Part[] = [];
  #page = 0;
  #held = false;
  #large: { readonly tile: Tile; readonly single: Single } | undefined;
  #arranging: Arranging | undefined;
  /** The stream whose tile gets the focus when it appears. */
  #focus: string | undefined;

  #pollTimer: ReturnType<typeof setTimeout> | undefined;
  #tickTimer: ReturnType<typeof setInterval> | undefined;
  #turnTimer: ReturnType<typeof setTimeout> | undefined;
  #keepTimer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  readonly #resize = new ResizeObserver(() => this.#layOut());

  constructor(navigation: Navigation, focus: string | undefined) {
    this.#navigation = navigation;
    this.#focus = focus;
    this.#name = new NameDialog((name) => navigation.go(publishPath(name)));
    this.#events = new EventsMenu(navigation);
    this.#view = new View({
      chosen: (change) => this.#choose(change),
      arrange: () => this.#arrange(true),
      statistics: () => this.#toggleStatistics(),
      fullScreen: toggleFullScreen,
      walls: {
        kept: () => this.#kept,
        now: () => ({ ...this.#choice, group: this.#group }),
        open: ({ group, ...choice }) => {
          this.#chooseGroup(group);
          this.#choose(choice);
          this.#showGroups();
        },
        keep: (walls) => {
          this.#kept = { ...this.#kept, walls };
          void this.#keep();
        },
      },
      kioskPath: () => `/?kiosk${this.#group === "" ? "" : `&group=${encodeURIComponent(this.#group)}`}`,
    });
    this.#count.setAttribute("role", "status");
    this.#problem.setAttribute("role", "alert");
    this.#said.setAttribute("role", "status");
    this.#problem.hidden = this.#note.hidden = true;
    this.#grid.setAttribute("role", "list");
    this.#grid.setAttribute("aria-label", t.cameras);
    this.#grid.addEventListener("contextmenu", (e) => this.#openMenu(e));

    this.#search.type = "search";
    this.#search.placeholder = t.wall.search;
    this.#search.setAttribute("aria-label", t.wall.search);
    this.#search.addEventListener("input", () => this.#turnTo(0));
    this.#search.addEventListener("keydown", (e) => {
      if (e.key === "Escape") this.#search.blur();
    });
    this.#groups.setAttribute("aria-label", t.wall.group);
    this.#groups.addEventListener("change", () => this.#chooseGroup(this.#groups.value));
    const find = el("div", "find", this.#search, this.#groups);

    this.#hold = button("plain round", () => this.#holdStill(!this.#held), "");
    this.#pager.setAttribute("aria-label", t.wall.pages);
    this.#pager.append(
      button("plain round", () => this.#turnBy(-1), icon("M14 6l-6 6 6 6"), t.wall.before),
      this.#pageWords,
      button("plain round", () => this.#turnBy(1), icon("M10 6l6 6-6 6"), t.wall.next),
      this.#hold,
    );
    this.#banner = el(
      "div",
      "banner",
      el("p", "", t.arranging.hint),
      button("plain", () => this.#choose({ order: [], spans: {} }), t.arranging.reset),
      button("primary", () => this.#arrange(false), t.done),
    );
    this.#banner.hidden = true;
    this.#holdStill(false);

    const header = el(
      "header",
      "bar",
      brand(),
      find,
      this.#count,
      this.#pager,
      this.#publishButton("plain lens"),
      this.#view.element,
      this.#events.element,
      account(navigation),
    );
    this.element = el("main", "wall", el("h1", "unseen", t.cameras), header, this.#banner, this.#problem, this.#grid, this.#note, this.#name.element, this.#said);
    if (this.#kiosk !== undefined) this.element.classList.add("kiosk");
  }

  get title(): string {
    return this.#large === undefined ? "Sightline" : `${this.#large.tile.stream} · Sightline`;
  }

  shown(): void {
    this.#resize.observe(document.documentElement);
    this.#tickTimer = setInterval(() => this.#tick(), tickEvery);
    void this.#poll();
    this.#kiosk?.start();
    addEventListener("pagehide", this.#onLeave);
  }

  /** What was chosen just now is kept though the page goes away. */
  readonly #onLeave = (): void => {
    if (this.#keepTimer !== undefined) void this.#keep();
  };

  close(): void {
    this.#closed = true;
    removeEventListener("pagehide", this.#onLeave);
    this.#kiosk?.close();
    this.#events.close();
    this.#arranging?.close();
    this.#large?.single.close();
    clearTimeout(this.#pollTimer);
    clearTimeout(this.#turnTimer);
    clearInterval(this.#tickTimer);
    this.#onLeave();
    this.#resize.disconnect();
  }

  follow(route: Route): boolean {
    if (route.page === "wall") {
      // Another wall by its address, such as a kiosk's, is another page.
      if (new URLSearchParams(location.search).has("kiosk") !== (this.#kiosk !== undefined)) return false;
      this.#shrink();
      return true;
    }
    const tile = route.page === "watch" ? this.#tiles.get(route.stream) : undefined;
    if (tile === undefined) return false;
    this.#shrink();
    this.#enlarge(tile);
    return true;
  }

  key(e: KeyboardEvent): boolean {
    if (this.#large !== undefined) return this.#large.single.key(e);
    if (this.#kiosk !== undefined) {
      if (e.key === "Escape") this.#navigation.go("/");
      return e.key === "Escape";
    }
    if (this.#arranging !== undefined && this.#arrangeByKey(e)) return true;
    const direction = directions[e.key];
    if (direction !== undefined) return this.#moveFocus(direction);
    switch (e.key) {
      case "i":
        this.#toggleStatistics();
        return true;
      case "f":
        toggleFullScreen();
        return true;
      case "/":
        if (this.#search.checkVisibility()) this.#search.focus();
        return true;
      case "PageDown":
      case "PageUp":
        if (this.#parts.length < 2) return false;
        this.#turnBy(e.key === "PageDown" ? 1 : -1);
        return true;
      default:
        return false;
    }
  }

  // --- what the server tells ---

  async #poll(): Promise<void> {
    clearTimeout(this.#pollTimer);
    try {
      const [list, kept, me] = await Promise.all([streams(), ...(this.#known ? [] : [preferences(), self()] as const)]);
      if (this.#closed) return;
      if (me !== undefined) this.#learn(kept, me);
      if (!this.#problem.hidden) this.#kiosk?.serverIsBack();
      this.#problem.hidden = true;
      this.#update(list);
    } catch (cause) {
      if (this.#closed) return;
      if (!(cause instanceof APIError)) throw cause;
      if (cause.status === 401) return this.#navigation.loggedOut("");
      this.#complain(cause.message);
    }
    this.#pollTimer = setTimeout(() => void this.#poll(), pollEvery);
  }

  #learn(kept: unknown, me: Self): void {
    this.#known = true;
    this.#admin = me.admin;
    if (me.admin && this.#kiosk === undefined) this.#events.start();
    if (typeof kept === "object" && kept !== null) this.#kept = kept;
    this.#choice = choiceBy(this.#parameters, choiceIn(kept));
    this.#view.show(this.#choice);
    this.#keepTurning();
  }

  #update(list: readonly Stream[]): void {
    this.#list = list;
    const names = new Set(list.map((s) => s.id));
    for (const [name, tile] of this.#tiles) {
      if (names.has(name)) continue;
      if (this.#large?.tile === tile) this.#navigation.go("/");
      tile.element.remove();
      this.#tiles.delete(name);
    }
    for (const s of list) this.#tileOf(s.id).update(s, this.#kiosk !== undefined);
    const fresh = this.#happenings.update(list, new Date());
    for (const e of fresh) this.#tiles.get(e.stream)?.tell(e.what, eventWords(e));
    this.#events.update(this.#happenings.list, fresh.length);
    this.#showGroups();
    this.#showNote();
    this.#layOut();
    if (this.#focus !== undefined) this.#tiles.get(this.#focus)?.link.focus();
    this.#focus = undefined;
  }

  #tileOf(stream: string): Tile {
    let tile = this.#tiles.get(stream);
    if (tile === undefined) {
      tile = new Tile(stream, {
        opened: (x) => {
          if (this.#arranging === undefined && this.#large === undefined && this.#kiosk === undefined) this.#navigation.go(watchPath(x.stream));
        },
        moved: (x, by) => this.#moveTile(x.stream, by),
        sized: (x, by) => this.#sizeTile(x.stream, this.#spanOf(x.stream) + by),
        barred: () => {
          if (!this.#closed) void this.#poll();
        },
      });
      // Tickets carry a new login to the connections there are.
      if (this.#kiosk !== undefined) tile.player.ticket = () => ticket(stream);
      this.#tiles.set(stream, tile);
    }
    return tile;
  }

  #tick(): void {
    for (const part of this.#visible()) this.#tiles.get(part)?.tick();
  }

  #complain(words: string): void {
    setText(this.#problem, words);
    this.#problem.hidden = false;
  }

  // --- what is chosen ---

  #choose(change: Partial<Choice>): void {
    this.#choice = { ...this.#choice, ...change };
    this.#view.show(this.#choice);
    if (change.layout !== undefined) this.#page = 0;
    this.#layOut();
    if (change.turn !== undefined) this.#holdStill(false);
    this.#kept = { ...this.#kept, wall: this.#choice }; // a wall of an address is kept only once something of it is chosen
    clearTimeout(this.#keepTimer);
    this.#keepTimer = setTimeout(() => void this.#keep(), keptAfter);
  }

  async #keep(): Promise<void> {
    clearTimeout(this.#keepTimer);
    this.#keepTimer = undefined;
    try {
      await setPreferences(this.#kept);
    } catch (cause) {
      if (!(cause instanceof APIError)) throw cause;
      if (!this.#closed) this.#complain(`${t.wall.notKept} ${cause.message}`);
    }
  }

  #chooseGroup(group: string): void {
    this.#group = group;
    const parameters = new URLSearchParams(location.search);
    if (group === "") parameters.delete("group");
    else parameters.set("group", group);
    history.replaceState(null, "", parameters.size === 0 ? location.pathname : `?${parameters}`);
    this.#turnTo(0);
  }

  #showGroups(): void {
    const groups = [...new Set(this.#list.flatMap((s) => s.groups))].sort();
    const options = [["", t.wall.allGroups], ...groups.map((g) => [g, g])];
    this.#groups.hidden = groups.length === 0 && this.#group === "";
    this.#search.hidden = this.#list.length < searchFrom && this.#search.value === "";
    if (this.#group !== "" && !groups.includes(this.#group)) options.push([this.#group, this.#group]);
    if (options.map(([value]) => value).join("\n") !== [...this.#groups.options].map((o) => o.value).join("\n")) {
      this.#groups.replaceChildren(...options.map(([value, words]) => new Option(words, value)));
    }
    this.#groups.value = this.#group;
  }

  // --- where tiles are ---

  #spanOf = (stream: string): number => this.#choice.spans[stream] ?? 1;

  #visible(): readonly string[] {
    const part = this.#parts[this.#page];
    return part === undefined ? [] : this.#wanted.slice(part.from, part.to);
  }

  #room(): Room {
    const { paddingLeft, paddingRight, paddingTop, paddingBottom } = getComputedStyle(this.element);
    const above = this.#kiosk === undefined ? this.#grid.offsetTop : parseFloat(paddingTop); // the kiosk's grid stands in the middle
    const gap = parseFloat(getComputedStyle(this.#grid).columnGap);
    const below = this.#note.hidden ? 0 : this.#note.offsetHeight;
    return {
      width: this.element.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight),
      height: innerHeight - above - parseFloat(paddingBottom) - below,
      gap,
    };
  }

  #layOut(): void {
    if (this.#large !== undefined || !this.#known) return;
    const query = this.#search.value.trim().toLowerCase();
    const wanted = this.#list.filter((s) => (this.#group === "" || s.groups.includes(this.#group)) && s.id.includes(query));
    this.#wanted = inOrder(wanted.map((s) => s.id), this.#choice.order);
    const room = this.#room();
    const spans = this.#wanted.map(this.#spanOf);
    this.#parts = pages(this.#choice.layout, spans, room, this.#choice.turn > 0 || this.#kiosk !== undefined);
    this.#page = Math.min(this.#page, this.#parts.length - 1);
    const visible = this.#visible();
    const to = layout(this.#choice.layout, visible.map(this.#spanOf), room);

    this.#grid.style.setProperty("--columns", String(to.columns));
    this.#grid.style.setProperty("--width", `${to.width}px`);
    this.#grid.style.setProperty("--row", `${to.row}px`);
    let before = this.#grid.firstElementChild;
    for (const [i, name] of [...visible, ...this.#others(visible)].entries()) {
      const tile = this.#tileOf(name);
      if (tile.element === before) before = before.nextElementSibling;
      else place(this.#grid, tile.element, before);
      this.#present(tile, i < visible.length);
      tile.element.style.setProperty("--span", String(to.spans[i] ?? 1));
    }
    const all = this.#list.length;
    const found = this.#wanted.length;
    setText(this.#count, all === 0 ? "" : found === 0 ? t.wall.nothingFound : found === all ? t.wall.count(all) : t.wall.some(found, all));
    this.#pager.hidden = this.#parts.length < 2;
    setText(this.#pageWords, `${this.#page + 1} / ${this.#parts.length}`);
    this.#pageWords.setAttribute("aria-label", t.wall.page(this.#page + 1, this.#parts.length));
    this.#keepTurning();
  }

  #others(visible: readonly string[]): string[] {
    const shown = new Set(visible);
    return this.#list.map((s) => s.id).filter((id) => !shown.has(id));
  }

  /** What is not shown stays connected, which costs nothing but that, and comes back at once. */
  #present(tile: Tile, shown: boolean): void {
    tile.element.hidden = !shown;
    tile.element.classList.remove("soon");
    tile.element.inert = false;
    if (shown) tile.start();
  }

  // --- pages ---

  #turnBy(by: number): void {
    this.#turnTo((this.#page + by + this.#parts.length) % this.#parts.length);
  }

  #turnTo(page: number): void {
    this.#page = page;
    this.#layOut();
    clearTimeout(this.#turnTimer);
    this.#turnTimer = undefined;
    this.#keepTurning();
  }

  #holdStill(held: boolean): void {
    this.#held = held;
    const words = held ? t.wall.turnAgain : t.wall.holdStill;
    this.#hold.replaceChildren(icon(held ? "M9 6l8 6-8 6z" : "M9 6v12M15 6v12"));
    this.#hold.title = words;
    this.#hold.setAttribute("aria-label", words);
    clearTimeout(this.#turnTimer);
    this.#turnTimer = undefined;
    this.#keepTurning();
  }

  /** Turns to the next page when it is time, unless somebody is at this one. */
  #keepTurning(): void {
    const { turn } = this.#choice;
    this.#hold.hidden = turn === 0;
    if (turn === 0 || this.#held || this.#parts.length < 2 || this.#turnTimer !== undefined || this.#closed) return;
    this.#turnTimer = setTimeout(() => {
      if (this.#mayTurn()) this.#announce((this.#page + 1) % this.#parts.length);
      this.#turnTimer = setTimeout(() => {
        this.#turnTimer = undefined;
        if (this.#mayTurn()) this.#turnBy(1);
        else this.#keepTurning();
      }, turnAhead);
    }, turn * 1000 - turnAhead);
  }

  #mayTurn(): boolean {
    if (this.#large !== undefined || this.#arranging !== undefined || document.visibilityState !== "visible") return false;
    return this.#kiosk !== undefined || !this.#grid.matches(":hover, :focus-within");
  }

  /** Has the tiles of a page ask for pictures, without showing them. */
  #announce(page: number): void {
    const part = this.#parts[page];
    if (part === undefined) return;
    for (const name of this.#wanted.slice(part.from, part.to)) {
      const tile = this.#tileOf(name);
      if (!tile.element.hidden) continue;
      tile.element.hidden = false;
      tile.element.inert = true;
      tile.element.classList.add("soon");
      tile.start();
    }
  }

  // --- one of them large ---

  #enlarge(tile: Tile): void {
    this.#arrange(false);
    const single = new Single(this.#navigation, tile.stream, tile.player, this.element);
    this.#large = { tile, single };
    for (const x of this.#tiles.values()) x.element.hidden = x !== tile;
    tile.element.classList.remove("soon");
    tile.element.inert = false;
    tile.element.classList.add("large");
    this.element.classList.add("enlarged");
    this.element.append(single.element);
    tile.start();
    single.stir();
    document.title = this.title;
  }

  #shrink(): void {
    const large = this.#large;
    if (large === undefined) return;
    this.#large = undefined;
    large.single.close();
    large.tile.element.classList.remove("large");
    this.element.classList.remove("enlarged");
    this.#layOut();
    large.tile.link.focus();
    document.title = this.title;
  }

  // --- arranging ---

  #arrange(on: boolean): void {
    if (on === (this.#arranging !== undefined)) return;
    this.#arranging?.close();
    this.#arranging = on
      ? new Arranging(this.#grid, {
          movedTo: (stream, other) => this.#moveTo(stream, this.#wanted.indexOf(other)),
          sizedTo: (stream, span) => this.#sizeTile(stream, span),
        })
      : undefined;
    this.element.classList.toggle("arranging", on);
    this.#banner.hidden = !on;
    this.#layOut();
    if (on) this.#tiles.get(this.#visible()[0] ?? "")?.link.focus();
  }

  #arrangeByKey(e: KeyboardEvent): boolean {
    if (e.key === "Escape") {
      this.#arrange(false);
      return true;
    }
    const tile = [...this.#tiles.values()].find((x) => x.link === document.activeElement);
    if (tile === undefined) return false;
    const direction = directions[e.key];
    if (direction !== undefined) {
      const visible = this.#visible();
      const to = nextTile(visible.map((s) => this.#tileOf(s).element.getBoundingClientRect()), visible.indexOf(tile.stream), direction);
      this.#moveTo(tile.stream, (this.#parts[this.#page]?.from ?? 0) + to);
      return true;
    }
    if (e.key !== "+" && e.key !== "-") return false;
    this.#sizeTile(tile.stream, this.#spanOf(tile.stream) + (e.key === "+" ? 1 : -1));
    return true;
  }

  #moveTile(stream: string, by: number): void {
    this.#moveTo(stream, this.#wanted.indexOf(stream) + by);
  }

  /** Moves a tile to a place among those that are wanted; the others keep their order. */
  #moveTo(stream: string, to: number): void {
    if (to < 0 || to >= this.#wanted.length || this.#wanted[to] === stream) return;
    const neighbour = this.#wanted[to] ?? "";
    const all = inOrder(this.#list.map((s) => s.id), this.#choice.order);
    this.#choose({ order: moved(all, stream, all.indexOf(neighbour)) });
    setText(this.#said, t.arranging.moved(stream, to + 1, this.#wanted.length));
  }

  #sizeTile(stream: string, span: number): void {
    const held = Math.min(Math.max(span, 1), largestSpan);
    if (held === this.#spanOf(stream)) return;
    const { [stream]: _, ...others } = this.#choice.spans;
    // A layout by name has sizes of its own.
    this.#choose({ layout: "auto", spans: held === 1 ? others : { ...others, [stream]: held } });
    setText(this.#said, t.arranging.sized(stream, held));
  }

  // --- the rest ---

  #publishButton(className: string): HTMLButtonElement {
    const b = button(className, () => this.#name.ask(), icon("M3 7h3l2-3h8l2 3h3v13H3zM12 17a4 4 0 1 0 0-8 4 4 0 0 0 0 8z"), t.wall.publish);
    b.append(el("span", "", t.wall.publish));
    return b;
  }

  /** Says what to do where there is no camera. */
  #showNote(): void {
    const news = this.#list.length === 1 && this.#list[0]?.id === testPattern && this.#admin && this.#kiosk === undefined;
    const empty = this.#list.length === 0;
    this.#note.hidden = !news && !empty;
    const what = news ? "welcome" : empty ? "empty" : "";
    if (this.#note.dataset["what"] === what) return;
    this.#note.dataset["what"] = what;
    if (news) this.#note.replaceChildren(welcome(this.#navigation, () => this.#name.ask()));
    if (empty) this.#note.replaceChildren(el("h1", "", t.wall.emptyTitle), el("p", "", t.wall.empty), el("p", "", this.#publishButton("plain lens")));
  }

  #toggleStatistics(): void {
    const on = [...this.#tiles.values()].some((x) => x.player.hasAttribute("stats"));
    for (const x of this.#tiles.values()) x.player.toggleAttribute("stats", !on);
  }

  #openMenu(e: MouseEvent): void {
    const cell = e.target instanceof Element ? e.target.closest<HTMLElement>(".cell") : null;
    const tile = this.#tiles.get(cell?.dataset["stream"] ?? "");
    // With Shift it is the browser's own.
    if (tile === undefined || e.shiftKey || this.#arranging !== undefined || this.#large !== undefined || this.#kiosk !== undefined) return;
    e.preventDefault();
    const box = tile.element.getBoundingClientRect();
    const byKey = e.clientX === 0 && e.clientY === 0;
    const at = byKey ? { x: box.left + box.width / 2, y: box.top + box.height / 2 } : { x: e.clientX, y: e.clientY };
    const { stream, player, link } = tile;
    void import("./tilemenu.ts").then(({ openTileMenu }) => openTileMenu({ stream, player, link, enlarge: () => this.#navigation.go(watchPath(stream)) }, at));
  }

  #moveFocus(direction: Direction): boolean {
    const links = this.#visible().map((s) => this.#tileOf(s).link);
    const current = links.findIndex((l) => l === document.activeElement);
    const cells = links.map((l) => (l.parentElement ?? l).getBoundingClientRect());
    const link = links[nextTile(cells, current, direction)];
    link?.focus();
    return link !== undefined;
  }
}

function toggleFullScreen(): void {
  const done = document.fullscreenElement === null ? document.documentElement.requestFullscreen() : document.exitFullscreen();
  done.catch(() => undefined); // refused by the browser, which shows as much
}
