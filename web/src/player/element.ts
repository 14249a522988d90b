// <sightline-player src="/ws/watch/door">: watches one stream. Attributes: src; renderer="track|canvas" forces a way to the
// screen; stats shows the figures; controls gives buttons for quality, figures and full screen; quiet hides these until they
// have the focus. quality="auto|high|detail|low|saver|rendition:NAME" and mode="live|smooth" say what is wanted; without them
// holds what was chosen last in this browser, and a browser that is to spare data gets quality="saver". Event: statechange,
// with detail.state. Method: stats(). Property: surface; ticket, to be set before src where no cookie speaks for the viewer.

import { el, iconButton, setText } from "./dom.ts";
import { Figures, figuresOf } from "./figures.ts";
import type { FromWorker, Report, ToWorker, Wishes } from "./messages.ts";
import type * as api from "./player.d.ts";
import type { PlayerState, PlayerStats, StateChange } from "./player.d.ts";
import { modes, type Mode } from "./playout.ts";
import { isQuality, pinned, type Quality } from "./quality.ts";
import { rememberedMode, rememberedQuality, rememberMode, rememberQuality } from "./remembered.ts";
import { Settings } from "./settings.ts";
import { ageWords, tell, type Told } from "./state.ts";
import { style } from "./style.ts";
import { bestRenderer, newShown, type Shown } from "./surface.ts";
import { localNow, micros } from "./units.ts";
import { lines, worthTelling } from "./viewport.ts";

const tellEvery = 250; // ms
const hiddenFor = 250; // ms before the server is told; a reload hides the page for less
/** Decoded but unpainted for so long: the track stalled. */
const unpaintedLimit = 1_500; // ms

const unheard: Report = {
  phase: { name: "opening" },
  server: undefined,
  rendition: undefined,
  renderer: undefined,
  paused: false,
  renditions: [],
  limit: { name: "", words: "" },
  mode: "live",
  playoutDelay: micros(0),
  freezes: { count: 0, longest: micros(0), total: micros(0) },
  takeovers: 0,
  firstPaintAt: undefined,
  lastPaintAt: undefined,
  lastCaptureAt: undefined,
  lastCapture: undefined,
  paintP50: undefined,
  paintP95: undefined,
  clockError: undefined,
  paintedFps: 0,
  painted: 0,
  decoded: 0,
  dropped: 0,
  droppedByServer: 0,
  bitrateBps: 0,
};

export class SightlinePlayer extends HTMLElement implements api.SightlinePlayer {
  static readonly observedAttributes = ["src", "renderer", "stats", "controls", "quality", "mode"];

  /**
   * Gets a single-use ticket for the stream; called before each connection and before leave to watch ends. Not set: ticket-url
   * tells where to ask for one, and without that the browser's cookie is the credential.
   */
  ticket: (() => Promise<string>) | undefined;

  readonly #root = el("div", "root empty");
  readonly #pill = el("span", "pill");
  readonly #age = el("span", "age");
  readonly #detail = el("p", "detail");
  readonly #again = el("button", "again");
  readonly #controls = el("div", "controls");
  readonly #statsButton = iconButton("Statistics", "M4 20V11M10 20V4M16 20v-7M21 20H3");
  readonly #figures = new Figures();
  readonly #settings = new Settings({
    quality: (q) => {
      rememberQuality(q);
      this.setAttribute("quality", q);
    },
    mode: (m) => {
      rememberMode(m);
      this.setAttribute("mode", m);
    },
  });

  #worker: Worker | undefined;
  #shown: Shown | undefined;
  /** On its way out, but kept in view until its successor paints. */
  #former: Shown | undefined;
  #report: Report = unheard;
  #told: Told | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  #inView = true;
  #wishes: Wishes = { maxHeight: 0, visible: true, quality: "auto", mode: "live" };
  #unpaintedSince: number | undefined;
  #paintedThen = 0;
  #decodedThen = 0;
  readonly #resize = new ResizeObserver(() => this.#measure());
  readonly #intersection = new IntersectionObserver((entries) => {
    this.#inView = entries.at(-1)?.isIntersecting ?? true;
    this.#watchVisibility();
  });
  readonly #onVisibility = () => this.#watchVisibility();
  readonly #saving = new Saving(() => this.#choose());
  readonly #onElsewhere = (e: Event) => {
    const path = e.composedPath();
    if (!path.includes(this.#settings.element) && !path.includes(this.#settings.button)) this.#settings.toggle(false);
  };

  constructor() {
    super();
    const shadow = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    shadow.adoptedStyleSheets = [sheet];

    const said = el("div");
    said.style.display = "contents";
    said.setAttribute("role", "status");
    said.setAttribute("aria-live", "polite");
    said.append(this.#pill, this.#detail);
    this.#again.type = "button";
    this.#again.textContent = "Try again";
    this.#again.hidden = true;
    this.#again.addEventListener("click", () => this.#post({ type: "reconnect" }));

    this.#statsButton.addEventListener("click", () => this.toggleAttribute("stats"));
    const full = iconButton("Full screen", "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5");
    full.addEventListener("click", () => this.toggleFullScreen());
    this.#controls.append(this.#settings.button, this.#statsButton, full);
    // The age counts on each second, so it stands outside of what is read aloud.
    const dock = el("div", "dock");
    dock.append(this.#figures.element, said, this.#age, this.#again, this.#controls);
    this.#root.append(dock, this.#settings.element);
    shadow.append(this.#root);
    this.#showAttributes();
  }

  connectedCallback(): void {
    this.#start();
  }

  disconnectedCallback(): void {
    this.#stop();
  }

  /** Where a browser moves an element (moveBefore), what runs in it goes on. */
  connectedMoveCallback(): void {
    // Nothing has to be begun anew.
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (name === "stats" || name === "controls") {
      this.#showAttributes();
    } else if (name === "quality" || name === "mode") {
      this.#choose();
    } else if (this.isConnected && before !== after) {
      this.#stop();
      this.#start();
    }
  }

  /** The element that shows the pictures. It is replaced when a track has to be made anew. */
  get surface(): HTMLVideoElement | HTMLCanvasElement | undefined {
    return this.#shown?.element;
  }

  get state(): PlayerState {
    return this.#told?.state ?? "connecting";
  }

  /** The sentence beside the state, or empty. */
  get reason(): string {
    return this.#told?.detail ?? "";
  }

  stats(): PlayerStats {
    return figuresOf(this.#report, this.state, this.#wishes.quality);
  }

  /** Opens or closes the choice of quality. */
  toggleSettings(): void {
    this.#settings.toggle();
  }

  toggleFullScreen(): void {
    const done = document.fullscreenElement === null ? this.requestFullscreen() : document.exitFullscreen();
    done.catch(() => undefined); // refused by the browser, which shows as much
  }

  // --- life ---

  #start(): void {
    const src = this.getAttribute("src");
    if (src === null || src === "") return;
    const url = new URL(src, location.href);
    url.protocol = url.protocol.replace(/^http/, "ws");

    const worker = takeWorker();
    worker.onmessage = (e: MessageEvent<FromWorker>) => this.#heard(e.data);
    worker.onerror = (e) => this.#broken(`The player's worker did not run${e.message ? ` (${e.message})` : ""}. Reload the page.`);
    this.#worker = worker;
    this.#report = unheard;
    this.#wishes = {
      maxHeight: this.#linesWanted(),
      visible: document.visibilityState === "visible",
      quality: this.#quality(),
      mode: this.#mode(),
    };
    // The socket opens while the surface is made.
    this.#post({ type: "start", url: url.href, ticketed: this.#ticketed, wishes: this.#wishes });
    this.#post({ type: "surface", surface: this.#newSurface() });

    this.#timer = setInterval(() => this.#tell(), tellEvery);
    // Device pixels change too when the window goes to another screen.
    this.#resize.observe(this, { box: "devicePixelContentBoxSize" in ResizeObserverEntry.prototype ? "device-pixel-content-box" : "content-box" });
    this.#intersection.observe(this);
    document.addEventListener("visibilitychange", this.#onVisibility);
    document.addEventListener("pointerdown", this.#onElsewhere);
    document.addEventListener("focusin", this.#onElsewhere);
    this.#saving.watch();
    this.#tell();
  }

  #stop(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    clearInterval(this.#timer);
    clearTimeout(this.#hiddenTimer);
    this.#hiddenTimer = undefined;
    this.#resize.disconnect();
    this.#intersection.disconnect();
    document.removeEventListener("visibilitychange", this.#onVisibility);
    document.removeEventListener("pointerdown", this.#onElsewhere);
    document.removeEventListener("focusin", this.#onElsewhere);
    this.#saving.close();
    for (const shown of [this.#shown, this.#former]) {
      shown?.close();
      shown?.element.remove();
    }
    this.#shown = this.#former = undefined;
    this.#told = undefined;
  }

  #post(m: ToWorker): void {
    const transfer: Transferable[] = [];
    if (m.type === "surface") transfer.push(m.surface.kind === "track" ? m.surface.writable : m.surface.canvas);
    this.#worker?.postMessage(m, transfer);
  }

  #newSurface(): Shown["surface"] {
    const forced = this.getAttribute("renderer");
    const renderer = forced === "canvas" || forced === "track" ? forced : bestRenderer();
    const shown = newShown(renderer, (paints) => {
      if (shown !== this.#shown) return;
      this.#dismissFormer();
      this.#post({ type: "painted", paints });
    });
    shown.element.className = "surface";
    this.#dismissFormer();
    this.#former = this.#shown;
    this.#shown = shown;
    this.#root.prepend(shown.element);
    return shown.surface;
  }

  #dismissFormer(): void {
    this.#former?.close();
    this.#former?.element.remove();
    this.#former = undefined;
  }

  #renewSurface(): void {
    this.#unpaintedSince = undefined;
    this.#post({ type: "surface", surface: this.#newSurface() });
    this.#shown?.expect();
  }

  #heard(m: FromWorker): void {
    switch (m.type) {
      case "report":
        this.#report = m.report;
        if (m.report.rendition !== undefined) this.#shown?.expect();
        this.#tell();
        return;
      case "ticket-wanted":
        return void this.#giveTicket();
      case "surface-wanted":
        return this.#renewSurface();
      default:
        return unreachable(m);
    }
  }

  get #ticketed(): boolean {
    return this.ticket !== undefined || this.hasAttribute("ticket-url");
  }

  async #giveTicket(): Promise<void> {
    let ticket: string | undefined;
    try {
      ticket = await (this.ticket?.() ?? askForTicket(this.getAttribute("ticket-url") ?? ""));
    } catch {
      // None is to be had, which the worker says and tries again.
    }
    this.#post({ type: "ticket", ticket });
  }

  #broken(why: string): void {
    this.#report = { ...this.#report, phase: { name: "unsupported", why } };
    this.#tell();
  }

  // --- what is wanted of the server ---

  #watchVisibility(): void {
    clearTimeout(this.#hiddenTimer);
    this.#hiddenTimer = undefined;
    const visible = document.visibilityState === "visible" && this.#inView;
    if (visible) this.#wish({ visible });
    else this.#hiddenTimer = setTimeout(() => this.#wish({ visible }), hiddenFor);
  }

  #linesWanted(): number {
    return lines(this.getBoundingClientRect(), this.#report.rendition ?? { width: 16, height: 9 }, devicePixelRatio);
  }

  #measure(): void {
    const maxHeight = this.#linesWanted();
    if (worthTelling(maxHeight, this.#wishes.maxHeight)) this.#wish({ maxHeight });
  }

  #choose(): void {
    if (this.#worker !== undefined) this.#wish({ quality: this.#quality(), mode: this.#mode() });
  }

  #quality(): Quality {
    const here = this.getAttribute("quality");
    if (isQuality(here)) return here;
    const remembered = rememberedQuality() ?? (this.#saving.wanted ? "saver" : "auto");
    // A rendition by name is meant for a picture that stands alone.
    return pinned(remembered) !== undefined && !this.hasAttribute("controls") ? "auto" : remembered;
  }

  #mode(): Mode {
    const here = this.getAttribute("mode");
    return modes.find((m) => m === here) ?? rememberedMode() ?? "live";
  }

  #wish(change: Partial<Wishes>): void {
    const wishes = { ...this.#wishes, ...change };
    if (JSON.stringify(wishes) === JSON.stringify(this.#wishes)) return;
    this.#wishes = wishes;
    this.#post({ type: "wishes", wishes });
    this.#tell();
  }

  // --- what is told to people ---

  #showAttributes(): void {
    const stats = this.hasAttribute("stats");
    this.#figures.element.hidden = !stats;
    this.#controls.hidden = !this.hasAttribute("controls");
    this.#statsButton.setAttribute("aria-pressed", String(stats));
  }

  #tell(): void {
    const now = localNow();
    const told = tell(this.#report, now);
    const before = this.#told;
    this.#told = told;
    setText(this.#pill, told.title);
    setText(this.#detail, told.detail);
    setText(this.#age, told.age === undefined ? "" : `${told.state === "stills" ? "newest" : "picture"} ${ageWords(told.age)} old`);
    this.#root.dataset["state"] = told.state;
    this.#root.classList.toggle("old", told.age !== undefined && told.state !== "stills");
    this.#root.classList.toggle("empty", this.#report.lastPaintAt === undefined);
    this.#again.hidden = this.#report.phase.name !== "denied" && this.#report.phase.name !== "ended";
    const limit = this.#report.limit.words;
    if (this.hasAttribute("stats")) this.#figures.show(this.stats(), told.detail.includes(limit) ? "" : limit);
    if (this.hasAttribute("controls")) this.#settings.show(this.#report.renditions, this.#wishes.quality, this.#wishes.mode, limit);
    this.#watchTrack();
    if (told.state !== before?.state) {
      const phase = this.#report.phase;
      const detail: StateChange = { state: told.state, login: phase.name === "denied" && phase.login };
      this.dispatchEvent(new CustomEvent("statechange", { detail, bubbles: true, composed: true }));
    }
  }

  /** A track can stall without an error, most often after the page was hidden: pictures are decoded and none is painted. */
  #watchTrack(): void {
    const { painted, decoded, paused, renderer } = this.#report;
    if (renderer !== "track" || paused || document.visibilityState !== "visible" || painted !== this.#paintedThen || decoded === this.#decodedThen) {
      if (painted !== this.#paintedThen || paused) this.#unpaintedSince = undefined;
      this.#paintedThen = painted;
      this.#decodedThen = decoded;
      return;
    }
    this.#decodedThen = decoded;
    const now = performance.now();
    this.#unpaintedSince ??= now;
    if (now - this.#unpaintedSince > unpaintedLimit) this.#renewSurface();
  }
}

/** Asks the site's own back end, which knows its visitor by their cookie there. Throws when it gives none. */
async function askForTicket(url: string): Promise<string> {
  const answer = await fetch(url, { method: "POST", credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(10_000) });
  const body: unknown = await answer.json();
  const ticket: unknown = answer.ok && typeof body === "object" && body !== null ? Reflect.get(body, "ticket") : undefined;
  if (typeof ticket !== "string") throw new Error(`no ticket in the answer of ${url} (status ${answer.status})`);
  return ticket;
}

/** Whether the person asked their system or browser to spare data. */
class Saving {
  readonly #query = matchMedia("(prefers-reduced-data: reduce)");
  readonly #connection: unknown = Reflect.get(navigator, "connection");
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get wanted(): boolean {
    const connection = this.#connection;
    return this.#query.matches || (connection instanceof EventTarget && Reflect.get(connection, "saveData") === true);
  }

  watch(): void {
    this.#query.addEventListener("change", this.#changed);
    if (this.#connection instanceof EventTarget) this.#connection.addEventListener("change", this.#changed);
  }

  close(): void {
    this.#query.removeEventListener("change", this.#changed);
    if (this.#connection instanceof EventTarget) this.#connection.removeEventListener("change", this.#changed);
  }
}

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}

/** The worker's script, in builds that carry it; set by the bundler. */
declare const workerText: string | undefined;

function newWorker(): Worker {
  const name = "sightline-player";
  if (workerText === undefined) return new Worker(new URL("worker.js", import.meta.url), { name });
  const url = URL.createObjectURL(new Blob([workerText], { type: "text/javascript" }));
  try {
    return new Worker(url, { name });
  } finally {
    URL.revokeObjectURL(url); // the worker has it
  }
}

let spare: Worker | undefined;

function takeWorker(): Worker {
  const worker = spare ?? newWorker();
  spare = undefined;
  return worker;
}

/** Starts a worker for the first player, which takes as long as all that comes before it. */
export function warmUp(): void {
  spare ??= newWorker();
}

export function definePlayer(): void {
  if (customElements.get("sightline-player") === undefined) customElements.define("sightline-player", SightlinePlayer);
}
