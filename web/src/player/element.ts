// <sightline-player src="/ws/watch/door">: watches one stream. player.d.ts says what programs may use of it, docs/player.md what
// attributes there are. The pictures' way is the worker's; here are the life of the element, its attributes, and what people do.

import { pickLanguage } from "../language.ts";
import { el } from "./dom.ts";
import { Face, toolNames, type ToolName } from "./face.ts";
import { figuresOf, timesOf } from "./figures.ts";
import type { Graphs } from "./graphs.ts";
import { History } from "./history.ts";
import { limitWords, unlimited } from "./limits.ts";
import type { DecoderName, FromWorker, Report, Still, ToWorker, Wishes } from "./messages.ts";
import type * as api from "./player.d.ts";
import type { PlayerState, PlayerStats, Snapshot, StateChange } from "./player.d.ts";
import { modes, type Mode } from "./playout.ts";
import { isQuality, pinned, rendition, type Quality } from "./quality.ts";
import { rememberedMode, rememberedQuality, rememberMode, rememberQuality } from "./remembered.ts";
import { draw, fileName } from "./snapshot.ts";
import { Stage } from "./stage.ts";
import { tell, type Told } from "./state.ts";
import { stringsIn, why } from "./strings.ts";
import { style } from "./style.ts";
import { bestRenderer, decoders, newShown, transferable, type Shown } from "./surface.ts";
import { localNow, micros, toMillis, type Micros } from "./units.ts";
import type { Tools } from "./tools.ts";
import { mirrored, rotated, type Turns } from "./view.ts";
import { lines, worthTelling } from "./viewport.ts";
import { canLeave, PictureInPicture } from "./window-apart.ts";

const tellEvery = 250; // ms
const hiddenFor = 250; // ms before the server is told; a reload hides the page for less
/** Decoded but unpainted for so long: the track stalled. */
const unpaintedLimit = 1_500; // ms
/** Controls hide when nobody has moved for so long. */
const idleAfter = 2_500; // ms

const unheard: Report = {
  phase: { name: "opening" },
  server: undefined,
  rendition: undefined,
  renderer: undefined,
  decoder: undefined,
  paused: false,
  renditions: [],
  limit: unlimited,
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
  stages: undefined,
  pictures: [],
  paintedFps: 0,
  painted: 0,
  decoded: 0,
  dropped: 0,
  droppedByServer: 0,
  bitrateBps: 0,
};

export class SightlinePlayer extends HTMLElement implements api.SightlinePlayer {
  static readonly observedAttributes = ["src", "renderer", "decoder", "stats", "controls", "quality", "mode", "rotate", "mirror", "tools", "lang"];

  /**
   * Gets a single-use ticket for the stream; called before each connection and before leave to watch ends. Not set: ticket-url
   * tells where to ask for one, and without that the browser's cookie is the credential.
   */
  ticket: (() => Promise<string>) | undefined;

  readonly #internals = this.attachInternals();
  readonly #shadow = this.attachShadow({ mode: "open" });
  readonly #root = el("div", "root empty");
  readonly #stage = new Stage({ changed: () => this.#viewChanged() });
  #strings = stringsIn.en;
  #face: Face;
  #apart: PictureInPicture | undefined;
  /** A person paused it. */
  #held = false;
  readonly #history = new History();
  #graphs: Graphs | undefined;
  #tools: Tools | undefined;
  /** Whether the last first click of several was the player's, and not that of a page which gave it its controls for it. */
  #mine = false;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #stills: ((still: Still | undefined) => void)[] = [];

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
  readonly #onElsewhere = (e: Event) => this.#face.elsewhere(e.composedPath());
  readonly #onFullScreen = () => this.#face.showFullScreen(document.fullscreenElement === this);

  constructor() {
    super();
    this.#internals.role = "group";
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    this.#shadow.adoptedStyleSheets = [sheet];
    this.#shadow.append(this.#root);
    this.#stage.listen();
    this.#face = this.#newFace();
    const root = this.#root;
    for (const sign of ["pointermove", "pointerdown", "keydown", "focusin"]) root.addEventListener(sign, () => this.#stir());
    root.addEventListener("pointerdown", this.#onElsewhere); // in a window apart the page hears nothing of it
    root.addEventListener("keydown", (e) => this.#keyDown(e));
    this.#stage.element.addEventListener("click", (e) => {
      if (e.detail === 1) this.#mine = this.hasAttribute("controls");
    });
    this.#stage.element.addEventListener("dblclick", (e) => this.#doubleClick(e));
  }

  connectedCallback(): void {
    this.#speak();
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
    if (name === "controls" && after === null) this.#release();
    if (name === "stats" || name === "controls" || name === "rotate" || name === "mirror" || name === "tools") {
      this.#showAttributes();
    } else if (name === "quality" || name === "mode") {
      this.#choose();
    } else if (name === "lang") {
      this.#speak();
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

  get paused(): boolean {
    return this.#held;
  }

  pause(): void {
    this.#hold(true);
  }

  play(): void {
    this.#hold(false);
  }

  pin(name: string | null): void {
    this.setAttribute("quality", name === null ? "auto" : rendition(name));
  }

  async snapshot(): Promise<Snapshot> {
    const still = await this.#still();
    if (still === undefined) throw new DOMException("There is no picture yet.", "InvalidStateError");
    const { image, capture } = still;
    this.#stage.picture = image;
    const panes = this.#tools?.panes(image) ?? [{ image, left: 0, from: 0, to: 1 }];
    const canvas = draw(panes, this.#stage.view, this.#stage.matrix, this.#stage.box, image, this.#tools?.overlay ?? (() => undefined));
    image.close();
    const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/png"));
    if (blob === null) throw new DOMException("The browser makes no PNG of this picture.", "EncodingError");
    const taken = this.#taken(capture);
    return { blob, name: fileName(this.stats().stream ?? "picture", taken), captured: new Date(taken / 1000) };
  }

  /** Opens or closes the choice of quality. */
  toggleSettings(): void {
    this.#face.settings.toggle();
  }

  toggleFullScreen(): void {
    const done = document.fullscreenElement === null ? this.requestFullscreen() : document.exitFullscreen();
    done.catch(() => undefined); // refused by the browser, which shows as much
  }

  /** Takes a key, also for pages that have the focus elsewhere; says whether it did. */
  key(e: KeyboardEvent): boolean {
    if (!this.hasAttribute("controls") || e.ctrlKey || e.metaKey || e.altKey) return false;
    this.#stir();
    switch (e.key) {
      case "i":
        this.toggleAttribute("stats");
        return true;
      case "q":
        this.toggleSettings();
        return true;
      case "f":
        this.toggleFullScreen();
        return true;
      case "k":
        this.#hold(!this.#held);
        return true;
      case "s":
        void this.#save();
        return true;
      case "r":
        this.#turn(rotated);
        return true;
      case "m":
        this.#turn(mirrored);
        return true;
      default:
        return this.#stage.key(e.key);
    }
  }

  // --- life ---

  #start(): void {
    const src = this.getAttribute("src");
    if (src === null || src === "") return;
    const url = new URL(src, location.href);
    url.protocol = url.protocol.replace(/^http/, "ws");

    const worker = takeWorker();
    worker.onmessage = (e: MessageEvent<FromWorker>) => this.#heard(e.data);
    worker.onerror = (e) => this.#broken(e.message ?? "");
    this.#worker = worker;
    this.#report = unheard;
    this.#wishes = {
      maxHeight: this.#linesWanted(),
      visible: document.visibilityState === "visible" && !this.#held,
      quality: this.#quality(),
      mode: this.#mode(),
    };
    const usable = decoders(this.getAttribute("decoder"));
    // The socket opens while the surface is made.
    this.#post({ type: "start", url: url.href, ticketed: this.#ticketed, decoders: usable, wishes: this.#wishes });
    this.#post({ type: "surface", surface: this.#newSurface(usable[0]) });

    this.#timer = setInterval(() => this.#tell(), tellEvery);
    // Device pixels change too when the window goes to another screen.
    this.#resize.observe(this.#stage.element, { box: "devicePixelContentBoxSize" in ResizeObserverEntry.prototype ? "device-pixel-content-box" : "content-box" });
    this.#intersection.observe(this);
    document.addEventListener("visibilitychange", this.#onVisibility);
    document.addEventListener("pointerdown", this.#onElsewhere);
    document.addEventListener("focusin", this.#onElsewhere);
    document.addEventListener("fullscreenchange", this.#onFullScreen);
    this.#saving.watch();
    this.#stir();
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
    document.removeEventListener("fullscreenchange", this.#onFullScreen);
    this.#saving.close();
    this.#apart?.close();
    clearTimeout(this.#idleTimer);
    for (const give of this.#stills.splice(0)) give(undefined);
    for (const shown of [this.#shown, this.#former]) {
      shown?.close();
      shown?.element.remove();
    }
    this.#shown = this.#former = undefined;
    this.#told = undefined;
  }

  #post(m: ToWorker): void {
    this.#worker?.postMessage(m, m.type === "surface" ? [transferable(m.surface)] : []);
  }

  #newSurface(decoder: DecoderName | undefined): Shown["surface"] {
    const forced = this.getAttribute("renderer");
    const renderer = decoder === "mse" ? "mse" : forced === "canvas" || forced === "track" ? forced : bestRenderer(decoder);
    const shown = newShown(renderer, (paints) => {
      if (shown !== this.#shown) return;
      this.#dismissFormer();
      this.#post({ type: "painted", paints });
    });
    shown.element.className = "surface";
    this.#dismissFormer();
    this.#former = this.#shown;
    this.#shown = shown;
    shown.element.part.add("surface");
    this.#stage.live.prepend(shown.element);
    return shown.surface;
  }

  #dismissFormer(): void {
    this.#former?.close();
    this.#former?.element.remove();
    this.#former = undefined;
  }

  #renewSurface(decoder: DecoderName | undefined): void {
    this.#unpaintedSince = undefined;
    this.#post({ type: "surface", surface: this.#newSurface(decoder) });
    this.#shown?.expect();
  }

  #heard(m: FromWorker): void {
    switch (m.type) {
      case "report":
        this.#report = m.report;
        if (m.report.pictures.length > 0) this.dispatchEvent(new CustomEvent("pictures", { detail: m.report.pictures.map(timesOf) }));
        if (m.report.rendition !== undefined) this.#stage.picture = m.report.rendition;
        if (m.report.rendition !== undefined) this.#shown?.expect();
        this.#tell();
        return;
      case "ticket-wanted":
        return void this.#giveTicket();
      case "still":
        return this.#stills.shift()?.(m.still);
      case "surface-wanted":
        return this.#renewSurface(m.decoder);
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

  #broken(said: string): void {
    this.#report = { ...this.#report, phase: { name: "unsupported", why: why("noWorker", said) } };
    this.#tell();
  }

  /** A copy of the picture on the screen. */
  async #still(): Promise<Still | undefined> {
    const known = await this.#shown?.still();
    if (known !== undefined || this.#shown?.surface.kind !== "canvas" || this.#report.lastPaintAt === undefined) return known;
    return await new Promise((given) => {
      this.#stills.push(given);
      this.#post({ type: "still-wanted" });
    });
  }

  /** When a picture was taken, on the local clock. */
  #taken(capture: Micros): Micros {
    const { lastCapture, lastCaptureAt } = this.#report;
    return lastCapture === undefined || lastCaptureAt === undefined ? localNow() : micros(capture + lastCaptureAt - lastCapture);
  }

  // --- what is wanted of the server ---

  #watchVisibility(): void {
    clearTimeout(this.#hiddenTimer);
    this.#hiddenTimer = undefined;
    const visible = !this.#held && (this.#apart !== undefined || (document.visibilityState === "visible" && this.#inView));
    if (visible || this.#held) this.#wish({ visible });
    else this.#hiddenTimer = setTimeout(() => this.#wish({ visible }), hiddenFor);
  }

  #linesWanted(): number {
    return lines(this.#stage.element.getBoundingClientRect(), this.#report.rendition ?? { width: 16, height: 9 }, devicePixelRatio);
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

  #hold(held: boolean): void {
    this.#held = held;
    this.#face.showPlaying(!held);
    if (this.#worker !== undefined) this.#watchVisibility();
  }

  /** Takes back what people did by the controls that are gone. */
  #release(): void {
    this.#face.elsewhere([]);
    this.removeAttribute("tools");
    this.#stage.reset();
    this.#hold(false);
  }

  // --- what people do ---

  #keyDown(e: KeyboardEvent): void {
    const from = e.composedPath()[0];
    if (from instanceof HTMLInputElement) {
      if (e.key !== "Escape" && e.key !== "Tab") e.stopPropagation(); // it is typed there, and is no command to the page
    } else if (this.key(e)) {
      e.preventDefault();
      e.stopPropagation();
    }
  }

  #doubleClick(e: Event): void {
    if (!this.#mine) return;
    e.stopPropagation();
    if (this.#stage.view.zoom > 1) this.#stage.reset();
    else this.toggleFullScreen();
  }

  /** Shows the controls until nobody has moved for a while. */
  #stir(): void {
    clearTimeout(this.#idleTimer);
    this.#root.classList.remove("idle");
    this.#idleTimer = setTimeout(() => this.#root.classList.toggle("idle", !this.#face.busy), idleAfter);
  }

  #turn(how: typeof rotated): void {
    const v = how(this.#stage.view);
    this.#stage.show(v);
    if (v.turns === 0) this.removeAttribute("rotate");
    else this.setAttribute("rotate", String(v.turns * 90));
    this.toggleAttribute("mirror", v.mirrored);
  }

  async #save(): Promise<void> {
    let shot: Snapshot;
    try {
      shot = await this.snapshot();
    } catch {
      return this.#face.note(this.#strings.snapshotFailed);
    }
    const link = el("a");
    link.href = URL.createObjectURL(shot.blob);
    link.download = shot.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser reads it when it has asked where to
    this.#face.note(this.#strings.snapshotSaved(shot.name));
  }

  async #leave(): Promise<void> {
    if (this.#apart !== undefined) return this.#apart.close();
    const apart = await PictureInPicture.open(this.#shadow, this.#root, style, this.#stage.box, this.#strings, {
      tick: () => this.#tell(),
      closed: () => {
        this.#apart = undefined;
        this.#watchVisibility();
      },
    });
    this.#apart = apart;
    this.#watchVisibility();
  }

  // --- what is told to people ---

  /** Speaks the language of the element, or else of the browser. */
  #speak(): void {
    const strings = stringsIn[pickLanguage([this.lang, ...navigator.languages])];
    if (strings === this.#strings && this.#face.elements[0]?.isConnected === true) return;
    this.#strings = strings;
    this.#face.close();
    this.#graphs = undefined;
    this.#tools?.close();
    this.#tools = undefined;
    this.#face = this.#newFace();
  }

  #newFace(): Face {
    const face = new Face(this.#strings, {
      quality: (q) => {
        rememberQuality(q);
        this.setAttribute("quality", q);
      },
      mode: (m) => {
        rememberMode(m);
        this.setAttribute("mode", m);
      },
      again: () => this.#post({ type: "reconnect" }),
      pauseOrPlay: () => this.#hold(!this.#held),
      snapshot: () => void this.#save(),
      statistics: () => this.toggleAttribute("stats"),
      graphs: () => this.setAttribute("stats", this.getAttribute("stats") === "graphs" ? "" : "graphs"),
      copy: () => this.#copy(),
      zoom: (factor) => this.#stage.zoom(factor),
      resetZoom: () => this.#stage.reset(),
      rotate: () => this.#turn(rotated),
      mirror: () => this.#turn(mirrored),
      pictureInPicture: canLeave() ? () => void this.#leave() : undefined,
      tool: (name) => this.#useTool(name, !this.#toolsWanted().has(name)),
      fullScreen: document.fullscreenEnabled ? () => this.toggleFullScreen() : undefined,
    });
    this.#root.replaceChildren(this.#stage.element, ...face.elements);
    face.showPlaying(!this.#held);
    face.showZoom(this.#stage.view.zoom);
    this.#face = face;
    this.#showAttributes();
    return face;
  }

  #showAttributes(): void {
    this.#face.showStatistics(this.hasAttribute("stats"));
    void this.#showGraphs();
    void this.#showTools();
    this.#face.showControls(this.hasAttribute("controls"));
    this.#root.classList.toggle("controlled", this.hasAttribute("controls"));
    const turns = (Math.round(Number(this.getAttribute("rotate") ?? 0) / 90) & 3) as Turns;
    this.#stage.turn(turns, this.hasAttribute("mirror"));
    this.#face.showMirrored(this.hasAttribute("mirror"));
  }

  async #showGraphs(): Promise<void> {
    const wanted = () => this.getAttribute("stats") === "graphs";
    if (wanted() === (this.#graphs !== undefined)) return;
    if (!wanted()) {
      this.#graphs = undefined;
      return this.#face.figures.expand(undefined);
    }
    try {
      const { Graphs } = await import("./graphs.ts");
      if (!wanted() || this.#graphs !== undefined) return; // changed meanwhile
      this.#graphs = new Graphs(this.#strings);
    } catch {
      return this.#face.note(this.#strings.partMissing);
    }
    this.#graphs.show(this.#history.samples);
    this.#face.figures.expand(this.#graphs.element);
  }

  #toolsWanted(): ReadonlySet<ToolName> {
    const named = this.getAttribute("tools")?.split(/\s+/) ?? [];
    return new Set(toolNames.filter((n) => named.includes(n)));
  }

  #useTool(name: ToolName, on: boolean): void {
    const others = [...this.#toolsWanted()].filter((n) => n !== name);
    const wanted = on ? [...others, name] : others;
    if (wanted.length === 0) this.removeAttribute("tools");
    else this.setAttribute("tools", wanted.join(" "));
  }

  async #showTools(): Promise<void> {
    this.#face.showTools(this.#toolsWanted());
    if (this.#tools === undefined && this.#toolsWanted().size > 0 && this.isConnected) {
      try {
        const { Tools } = await import("./tools.ts");
        this.#tools ??= new Tools({
          stage: this.#stage,
          strings: this.#strings,
          stream: () => this.#report.server?.stream ?? "",
          still: () => this.#still(),
          taken: (capture) => this.#taken(capture),
          done: (name) => this.#useTool(name, false),
        });
      } catch {
        return this.#face.note(this.#strings.partMissing);
      }
      this.#face.lay(this.#tools.element);
    }
    this.#tools?.use(this.#toolsWanted());
  }

  async #copy(): Promise<boolean> {
    const all = { at: new Date().toISOString(), browser: navigator.userAgent, stats: this.stats(), last_minute: this.#history.samples };
    try {
      await navigator.clipboard.writeText(JSON.stringify(all, undefined, 2));
      return true;
    } catch {
      return false; // the browser or the person said no
    }
  }

  #viewChanged(): void {
    this.#face.showZoom(this.#stage.view.zoom);
    this.#tools?.layOut();
  }

  #tell(): void {
    const now = localNow();
    const told = tell(this.#report, now, this.#strings);
    const before = this.#told;
    this.#told = told;
    const phase = this.#report.phase;
    this.#face.tell(told, phase.name === "denied" || phase.name === "ended", this.#tools?.covered === true);
    this.#root.dataset["state"] = this.#tools?.covered === true ? "frozen" : told.state;
    this.#root.classList.toggle("old", told.age !== undefined && told.state !== "stills" && told.state !== "paused");
    this.#root.classList.toggle("empty", this.#report.lastPaintAt === undefined);
    const limit = this.#held ? "" : limitWords(this.#strings, this.#report.limit);
    const stats = this.stats();
    const sampled = this.#history.add(toMillis(now), stats);
    if (sampled) this.#graphs?.show(this.#history.samples);
    if (this.hasAttribute("stats")) this.#face.figures.show(stats, told.detail.includes(limit) ? "" : limit);
    if (this.hasAttribute("controls")) this.#face.settings.show(this.#report.renditions, this.#wishes.quality, this.#wishes.mode, limit);
    this.#watchTrack();
    if (told.state !== before?.state) {
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
    if (now - this.#unpaintedSince > unpaintedLimit) this.#renewSurface(this.#report.decoder);
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
