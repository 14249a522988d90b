// <sightline-player src="/ws/watch/door">: watches one stream. Attributes: src; renderer="track|canvas" forces a way to the
// screen; stats shows the figures; controls gives buttons for figures and full screen; quiet hides these until they have
// the focus. Event: statechange, with detail.state. Method: stats(). Property: surface; ticket, to be set before src where no
// cookie speaks for the viewer.

import { bestRenderer, newShown, type Shown } from "./surface.ts";
import type { FromWorker, RendererName, Report, ToWorker } from "./messages.ts";
import { ageWords, tell, type PlayerState, type Told } from "./state.ts";
import { localNow } from "./units.ts";
import { style } from "./style.ts";

/** What stats() gives. A figure that is not known is null. */
export interface PlayerStats {
  readonly state: PlayerState;
  readonly stream: string | null;
  readonly rendition: number | null;
  readonly codec: string | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly renderer: RendererName | null;
  /** Capture to paint over the last 5 s. */
  readonly paint_p50_ms: number | null;
  readonly paint_p95_ms: number | null;
  /** How wrong both can be. */
  readonly clock_error_ms: number | null;
  readonly painted_fps: number;
  readonly painted_total: number;
  readonly decoded_total: number;
  /** Access units and pictures dropped by this player. */
  readonly dropped_total: number;
  /** Access units that the server did not send to this player. */
  readonly dropped_by_server_total: number;
  readonly bitrate_bps: number;
  /** From the page's navigation to this player's first picture. */
  readonly first_picture_ms: number | null;
  /** The capture time of the picture on the screen, on the server's epoch. */
  readonly last_capture_us: number | null;
}

export interface StateChange {
  readonly state: PlayerState;
  /** Whether a new login may help. */
  readonly login: boolean;
}

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

export class SightlinePlayer extends HTMLElement {
  static readonly observedAttributes = ["src", "renderer", "stats", "controls"];

  /** Gets a single-use ticket for the stream; called before each connection. Not set: the browser's cookie is the credential. */
  ticket: (() => Promise<string>) | undefined;

  readonly #root = el("div", "root empty");
  readonly #pill = el("span", "pill");
  readonly #age = el("span", "age");
  readonly #detail = el("p", "detail");
  readonly #again = el("button", "again");
  readonly #controls = el("div", "controls");
  readonly #statsButton = iconButton("Statistics", "M4 20V11M10 20V4M16 20v-7M21 20H3");
  readonly #figures = new Figures();

  #worker: Worker | undefined;
  #shown: Shown | undefined;
  /** On its way out, but kept in view until its successor paints. */
  #former: Shown | undefined;
  #report: Report = unheard;
  #told: Told | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  #inView = true;
  #visible = true;
  #maxHeight = 0;
  #unpaintedSince: number | undefined;
  #paintedThen = 0;
  #decodedThen = 0;
  readonly #resize = new ResizeObserver(() => this.#measure());
  readonly #intersection = new IntersectionObserver((entries) => {
    this.#inView = entries.at(-1)?.isIntersecting ?? true;
    this.#watchVisibility();
  });
  readonly #onVisibility = () => this.#watchVisibility();

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
    this.#controls.append(this.#statsButton, full);
    // The age counts on each second, so it stands outside of what is read aloud.
    const dock = el("div", "dock");
    dock.append(said, this.#age, this.#again, this.#controls);
    this.#root.append(this.#figures.element, dock);
    shadow.append(this.#root);
    this.#showAttributes();
  }

  connectedCallback(): void {
    this.#start();
  }

  disconnectedCallback(): void {
    this.#stop();
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (name === "stats" || name === "controls") {
      this.#showAttributes();
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
    const r = this.#report;
    const ms = (us: number | undefined) => (us === undefined ? null : us / 1000);
    return {
      state: this.state,
      stream: r.server?.stream ?? null,
      rendition: r.rendition?.id ?? null,
      codec: r.rendition?.codec ?? null,
      width: r.rendition?.width ?? null,
      height: r.rendition?.height ?? null,
      renderer: r.renderer ?? null,
      paint_p50_ms: ms(r.paintP50),
      paint_p95_ms: ms(r.paintP95),
      clock_error_ms: ms(r.clockError),
      painted_fps: r.paintedFps,
      painted_total: r.painted,
      decoded_total: r.decoded,
      dropped_total: r.dropped,
      dropped_by_server_total: r.droppedByServer,
      bitrate_bps: Math.round(r.bitrateBps),
      first_picture_ms: r.firstPaintAt === undefined ? null : r.firstPaintAt / 1000 - performance.timeOrigin,
      last_capture_us: r.lastCapture ?? null,
    };
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
    this.#maxHeight = this.#linesWanted();
    this.#visible = document.visibilityState === "visible";
    // The socket opens while the surface is made.
    this.#post({ type: "start", url: url.href, ticketed: this.ticket !== undefined, maxHeight: this.#maxHeight, visible: this.#visible });
    this.#post({ type: "surface", surface: this.#newSurface() });

    this.#timer = setInterval(() => this.#tell(), tellEvery);
    this.#resize.observe(this);
    this.#intersection.observe(this);
    document.addEventListener("visibilitychange", this.#onVisibility);
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

  async #giveTicket(): Promise<void> {
    let ticket: string | undefined;
    try {
      ticket = await this.ticket?.();
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
    const tellWorker = () => {
      if (visible === this.#visible) return;
      this.#visible = visible;
      this.#post({ type: "visible", visible });
    };
    if (visible) tellWorker();
    else this.#hiddenTimer = setTimeout(tellWorker, hiddenFor);
  }

  /** The lines of picture that fit, in device pixels. */
  #linesWanted(): number {
    const box = this.getBoundingClientRect();
    const { width, height } = this.#report.rendition ?? { width: 16, height: 9 };
    return Math.min(Math.round(Math.min(box.height, (box.width * height) / width) * devicePixelRatio), 65_535);
  }

  #measure(): void {
    const lines = this.#linesWanted();
    // A rendition is not changed for a few pixels.
    if (lines === 0 || Math.abs(lines - this.#maxHeight) < this.#maxHeight * 0.1) return;
    this.#maxHeight = lines;
    this.#post({ type: "max-height", lines });
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
    setText(this.#age, told.age === undefined ? "" : `picture ${ageWords(told.age)} old`);
    this.#root.dataset["state"] = told.state;
    this.#root.classList.toggle("old", told.age !== undefined);
    this.#root.classList.toggle("empty", this.#report.lastPaintAt === undefined);
    this.#again.hidden = this.#report.phase.name !== "denied" && this.#report.phase.name !== "ended";
    if (this.hasAttribute("stats")) this.#figures.show(this.stats());
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

/** The small panel of figures. */
class Figures {
  readonly element = el("div", "stats");
  readonly #latency = el("span", "figure");
  readonly #caption = el("p", "caption");
  readonly #rows = new Map<string, HTMLElement>();

  constructor() {
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", "Statistics");
    const lead = el("div", "lead");
    const unit = el("span", "unit");
    unit.textContent = "ms capture to paint";
    lead.append(this.#latency, unit);
    const list = document.createElement("dl");
    for (const name of ["Painted", "Bitrate", "Picture", "Codec", "Dropped"]) {
      const dt = document.createElement("dt");
      dt.textContent = name;
      const dd = document.createElement("dd");
      list.append(dt, dd);
      this.#rows.set(name, dd);
    }
    this.element.append(lead, this.#caption, list);
  }

  show(s: PlayerStats): void {
    setText(this.#latency, s.paint_p50_ms === null ? "–" : s.paint_p50_ms.toFixed(0));
    const p95 = s.paint_p95_ms === null ? "–" : `${s.paint_p95_ms.toFixed(0)} ms`;
    const error = s.clock_error_ms === null ? "–" : `± ${s.clock_error_ms.toFixed(1)} ms`;
    setText(this.#caption, `95th percentile ${p95} · clock ${error}`);
    this.#row("Painted", `${s.painted_fps.toFixed(1)} /s`);
    this.#row("Bitrate", `${(s.bitrate_bps / 1e6).toFixed(2)} Mbit/s`);
    this.#row("Picture", s.width === null || s.height === null ? "–" : `${s.width} × ${s.height}`);
    this.#row("Codec", `${s.codec ?? "–"} · ${s.renderer ?? "–"}`);
    this.#row("Dropped", `${s.dropped_total} here · ${s.dropped_by_server_total} by the server`);
  }

  #row(name: string, value: string): void {
    const dd = this.#rows.get(name);
    if (dd !== undefined) setText(dd, value);
  }
}

function el<K extends keyof HTMLElementTagNameMap>(tag: K, className = ""): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag);
  if (className !== "") e.className = className;
  return e;
}

function iconButton(label: string, path: string): HTMLButtonElement {
  const b = el("button");
  b.type = "button";
  b.title = label;
  b.setAttribute("aria-label", label);
  const svgNamespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(svgNamespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(svgNamespace, "path");
  line.setAttribute("d", path);
  svg.append(line);
  b.append(svg);
  return b;
}

/** Leaves the text alone when it is the same, so that it is not read aloud again. */
function setText(e: HTMLElement, text: string): void {
  if (e.textContent !== text) e.textContent = text;
}

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}

const newWorker = (): Worker => new Worker(new URL("worker.js", import.meta.url), { name: "sightline-player" });

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
