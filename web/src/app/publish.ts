// This device's camera as a stream: a preview, what is sent of it, and what others can do with it. ?codec=jpeg takes no H.264
// encoder, and ?feed=video no track processor; both are for tests.

import { newFeed, frameRateOf, type Feed } from "../publisher/feed.ts";
import type { FromPublisher, PublishReport, ToPublisher } from "../publisher/messages.ts";
import { tell, whyNoCamera, type CameraState } from "../publisher/state.ts";
import { account } from "./account.ts";
import { APIError, streams } from "./api.ts";
import { el, link, setText } from "./dom.ts";
import type { Navigation, Page } from "./page.ts";
import { nameProblem, publishSocketPath, watchPath } from "./route.ts";
import { words } from "./publish-strings.ts";
import { t } from "./strings.ts";

/** What the camera is asked for; it gives the nearest that it has. */
const sizes = [
  { label: "480p", width: 640, height: 480 },
  { label: "720p", width: 1280, height: 720 },
  { label: "1080p", width: 1920, height: 1080 },
] as const;
const defaultSize = "720p";
const frameRate = 30;
const pollEvery = 2_000; // ms
const copiedFor = 2_000; // ms
/** The worker is ended when its goodbye has had so long to leave. */
const goodbye = 500; // ms

export class Publish implements Page {
  readonly title: string;
  readonly element: HTMLElement;
  readonly #navigation: Navigation;
  readonly #stream: string;
  readonly #parameters = new URLSearchParams(location.search);

  readonly #stage = el("div", "stage");
  readonly #video = el("video", "");
  readonly #absent = el("p", "", words.absent);
  readonly #told = el("div", "told");
  readonly #words = el("h2", "");
  readonly #detail = el("p", "");
  readonly #button = el("button", "primary", words.start);
  readonly #again = el("button", "primary", t.tryAgain);
  readonly #cameras = el("select", "");
  readonly #sizes = el("select", "");
  readonly #figures = new Map<string, HTMLElement>();
  readonly #copy = el("button", "plain", words.copy);

  #camera: CameraState = { name: "asking" };
  #media: MediaStream | undefined;
  /** Counts the times the camera was asked for: only the last one's answer counts. */
  #asked = 0;
  #worker: Worker | undefined;
  #feed: Feed | undefined;
  #report: PublishReport | undefined;
  #viewers: number | undefined;
  #pollTimer: ReturnType<typeof setTimeout> | undefined;
  #wakeLock: WakeLockSentinel | undefined;
  #closed = false;
  readonly #onDevices = () => void this.#devicesChanged();
  readonly #onVisibility = () => void this.#stayAwake();

  constructor(navigation: Navigation, stream: string) {
    this.#navigation = navigation;
    this.#stream = stream;
    this.title = `${words.title(stream)} · Sightline`;
    const back = link(navigation, "back", t.cameras, "/");

    this.#video.muted = true;
    this.#video.autoplay = true;
    this.#video.playsInline = true;
    this.#video.setAttribute("aria-label", words.preview);
    // The stage takes the picture's shape, which changes when a phone is turned.
    this.#video.addEventListener("resize", () => {
      const { videoWidth, videoHeight } = this.#video;
      if (videoWidth > 0) this.#stage.style.setProperty("--ratio", String(videoWidth / videoHeight));
    });
    this.#stage.append(this.#video, this.#absent);

    this.#told.setAttribute("role", "status");
    this.#told.append(this.#words, this.#detail);
    this.#button.type = this.#again.type = this.#copy.type = "button";
    this.#button.addEventListener("click", () => (this.#worker === undefined ? this.#start() : this.#stop()));
    this.#again.addEventListener("click", () => this.#tryAgain());
    this.#copy.addEventListener("click", () => void this.#copyLink());
    this.#cameras.append(new Option(words.anyCamera, ""));
    for (const { label } of sizes) this.#sizes.append(new Option(label, label, label === defaultSize, label === defaultSize));
    for (const choice of [this.#cameras, this.#sizes]) choice.addEventListener("change", () => void this.#open());

    const list = el("dl", "figures");
    for (const name of ["sent", "picture", "encoded", "skipped"] as const) {
      const value = el("dd", "", "–");
      this.#figures.set(name, value);
      list.append(el("dt", "", words[name]), value);
    }
    const address = el("a", "", this.#link);
    address.href = watchPath(stream);
    address.target = "_blank";
    address.rel = "noopener";
    const share = el("section", "share", el("h2", "", words.watchAt), el("div", "row", address, this.#copy));

    const panel = el(
      "div",
      "panel",
      this.#told,
      el("div", "actions", this.#again, this.#button),
      el("div", "choices", field("camera", t.camera, this.#cameras), field("resolution", words.resolution, this.#sizes)),
      list,
      share,
    );
    this.element = el("main", "publish", el("header", "bar", back, el("h1", "", stream), account(navigation)), el("div", "studio", this.#stage, panel));
  }

  get #link(): string {
    return location.origin + watchPath(this.#stream);
  }

  shown(): void {
    const problem = nameProblem(this.#stream);
    if (problem !== "") return this.#failed(words.badName(this.#stream, problem), false);
    navigator.mediaDevices?.addEventListener("devicechange", this.#onDevices);
    document.addEventListener("visibilitychange", this.#onVisibility);
    void this.#open();
  }

  key(e: KeyboardEvent): boolean {
    if (e.key !== "Escape" || this.#worker !== undefined) return false;
    this.#navigation.go("/");
    return true;
  }

  close(): void {
    this.#closed = true;
    this.#asked++;
    this.#stop();
    this.#release();
    navigator.mediaDevices?.removeEventListener("devicechange", this.#onDevices);
    document.removeEventListener("visibilitychange", this.#onVisibility);
  }

  // --- the camera ---

  /** Opens the camera that is chosen, in place of the one there is. */
  async #open(): Promise<void> {
    const asked = ++this.#asked;
    // Many devices give one camera at a time, so the old one goes first.
    this.#release();
    this.#camera = { name: "asking" };
    this.#tell();
    let media: MediaStream;
    try {
      if (navigator.mediaDevices === undefined) throw new DOMException("", "");
      media = await navigator.mediaDevices.getUserMedia({ video: this.#constraints() });
    } catch (cause) {
      if (asked === this.#asked) this.#failed(whyNoCamera(cause instanceof DOMException ? errorName(cause) : String(cause)));
      return;
    }
    const track = media.getVideoTracks()[0];
    if (asked !== this.#asked || track === undefined) {
      for (const t of media.getTracks()) t.stop();
      return;
    }
    track.contentHint = "motion";
    track.addEventListener("ended", () => {
      if (media === this.#media) this.#failed(words.gone);
    });
    this.#media = media;
    this.#video.srcObject = media;
    this.#video.play().catch(() => undefined); // autoplay tries again when it may
    this.#camera = { name: "open" };
    if (this.#worker !== undefined) this.#connectFeed(track);
    this.#tell();
    await this.#listCameras();
  }

  #constraints(): MediaTrackConstraints {
    const size = sizes.find((s) => s.label === this.#sizes.value) ?? sizes[1];
    const wanted: MediaTrackConstraints = { width: { ideal: size.width }, height: { ideal: size.height }, frameRate: { ideal: frameRate } };
    if (this.#cameras.value === "") return { ...wanted, facingMode: { ideal: "environment" } };
    return { ...wanted, deviceId: { exact: this.#cameras.value } };
  }

  /** The names of cameras are only told once one is allowed. */
  async #listCameras(): Promise<void> {
    const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
    if (this.#closed) return;
    const current = this.#media?.getVideoTracks()[0]?.getSettings().deviceId ?? this.#cameras.value;
    const cameras = devices.filter((d) => d.kind === "videoinput" && d.deviceId !== "");
    this.#cameras.replaceChildren(
      ...cameras.map((d, i) => new Option(d.label || words.nth(i + 1), d.deviceId, false, d.deviceId === current)),
    );
    if (cameras.length === 0) this.#cameras.append(new Option(words.anyCamera, ""));
  }

  async #devicesChanged(): Promise<void> {
    await this.#listCameras();
    if (this.#camera.name === "failed" && !this.#closed) await this.#open();
  }

  #failed(why: string, again = true): void {
    this.#release();
    this.#camera = { name: "failed", why };
    this.#button.disabled = !again;
    this.#tell();
    this.#again.hidden = !again;
  }

  #release(): void {
    this.#feed?.close();
    this.#feed = undefined;
    for (const t of this.#media?.getTracks() ?? []) t.stop();
    this.#media = undefined;
    this.#video.srcObject = null;
  }

  // --- publishing ---

  #start(): void {
    const track = this.#media?.getVideoTracks()[0];
    if (track === undefined) return;
    const worker = new Worker(new URL("publisher.js", import.meta.url), { name: "sightline-publisher" });
    this.#worker = worker;
    worker.onmessage = (e: MessageEvent<FromPublisher>) => {
      if (worker === this.#worker) this.#heard(e.data);
    };
    worker.onerror = () => {
      if (worker !== this.#worker) return;
      this.#stop();
      this.#failed(words.broken, false);
    };
    const url = new URL(publishSocketPath(this.#stream), location.href);
    url.protocol = "wss:";
    this.#post({ type: "start", url: url.href, codec: this.#parameters.get("codec") === "jpeg" ? "jpeg" : "best", frameRate: frameRateOf(track) });
    this.#connectFeed(track);
    this.#pollTimer = setTimeout(() => void this.#poll(), pollEvery);
    void this.#stayAwake();
    this.#tell();
  }

  #connectFeed(track: MediaStreamTrack): void {
    this.#feed?.close();
    this.#feed = newFeed(track, this.#video, this.#parameters.get("feed") === "video", (m, transfer) => this.#post(m, transfer));
  }

  #post(m: ToPublisher, transfer: Transferable[] = []): void {
    this.#worker?.postMessage(m, transfer);
  }

  #heard(m: FromPublisher): void {
    switch (m.type) {
      case "report":
        this.#report = m.report;
        this.#feed?.setWanted(m.report.wanted);
        if (m.report.phase.name === "denied" && m.report.phase.login) return this.#navigation.loggedOut(m.report.phase.why);
        return this.#tell();
      case "took":
        return this.#feed?.took();
      case "stopped":
        return; // after #stop, which no longer listens
      default:
        return unreachable(m);
    }
  }

  /** Safe to call twice. */
  #stop(): void {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#post({ type: "stop" });
    this.#worker = undefined;
    worker.onmessage = (e: MessageEvent<FromPublisher>) => {
      if (e.data.type === "stopped") setTimeout(() => worker.terminate(), goodbye);
    };
    this.#feed?.close();
    this.#feed = undefined;
    this.#report = undefined;
    this.#viewers = undefined;
    clearTimeout(this.#pollTimer);
    void this.#stayAwake();
    this.#tell();
  }

  #tryAgain(): void {
    if (this.#camera.name === "failed") void this.#open();
    else this.#post({ type: "reconnect" });
  }

  /** How many watch is told by the list of streams, to those who may watch this one. */
  async #poll(): Promise<void> {
    try {
      const list = await streams();
      this.#viewers = list.find((s) => s.id === this.#stream)?.viewers;
    } catch (cause) {
      if (!(cause instanceof APIError)) throw cause;
      this.#viewers = undefined; // the socket says what is wrong
    }
    if (this.#worker === undefined) return;
    this.#tell();
    this.#pollTimer = setTimeout(() => void this.#poll(), pollEvery);
  }

  /** Keeps the screen on while this page publishes: phones stop the camera with it. */
  async #stayAwake(): Promise<void> {
    const wanted = this.#worker !== undefined && document.visibilityState === "visible";
    if (wanted && this.#wakeLock === undefined && "wakeLock" in navigator) {
      const lock = await navigator.wakeLock.request("screen").catch(() => undefined); // refused on low battery
      lock?.addEventListener("release", () => {
        if (this.#wakeLock === lock) this.#wakeLock = undefined;
      });
      if (this.#worker === undefined) await lock?.release();
      else this.#wakeLock = lock;
    } else if (this.#worker === undefined) {
      const lock = this.#wakeLock;
      this.#wakeLock = undefined;
      await lock?.release();
    }
  }

  // --- what is told to people ---

  #tell(): void {
    const told = tell(this.#camera, this.#report ?? (this.#worker === undefined ? undefined : starting), this.#viewers);
    this.#told.dataset["state"] = this.#stage.dataset["state"] = told.state;
    setText(this.#words, told.title);
    setText(this.#detail, told.detail);
    const publishing = this.#worker !== undefined;
    setText(this.#button, publishing ? words.stop : words.start);
    this.#button.classList.toggle("stop", publishing);
    this.#button.disabled = !publishing && this.#camera.name !== "open";
    this.#again.hidden = told.state !== "blocked" && told.state !== "denied";
    this.#button.hidden = told.state === "blocked" && !publishing;
    this.#absent.hidden = this.#media !== undefined;
    this.#showFigures();
  }

  #showFigures(): void {
    const r = this.#report;
    const sending = r?.wanted === true && r.phase.name === "open";
    const say = (name: string, text: string | undefined) => setText(this.#figures.get(name) ?? el("dd", ""), text ?? "–");
    say("sent", sending ? `${(r.bitrateBps / 1e6).toFixed(2)} Mbit/s · ${r.fps.toFixed(1)} fps` : undefined);
    const settings = this.#media?.getVideoTracks()[0]?.getSettings();
    const codec = r === undefined || r.codec === "" ? "" : r.codec === "jpeg" ? " · JPEG" : " · H.264";
    const [width, height] = r !== undefined && r.width > 0 ? [r.width, r.height] : [settings?.width, settings?.height];
    say("picture", width === undefined || height === undefined ? undefined : `${width} × ${height}${codec}`);
    say("encoded", sending && r.encodeP50 !== undefined ? `${(r.encodeP50 / 1000).toFixed(0)} ms` : undefined);
    say("skipped", r === undefined ? undefined : String(r.skipped));
  }

  async #copyLink(): Promise<void> {
    let said = words.copied;
    try {
      await navigator.clipboard.writeText(this.#link);
    } catch {
      said = words.notAllowed; // the link beside it can be copied by hand
    }
    setText(this.#copy, said);
    setTimeout(() => setText(this.#copy, words.copy), copiedFor);
  }
}

/** Until the worker has said something. */
const starting: PublishReport = {
  phase: { name: "opening" },
  wanted: false,
  moving: true,
  sent: 0,
  skipped: 0,
  fps: 0,
  bitrateBps: 0,
  width: 0,
  height: 0,
  codec: "",
  encodeP50: undefined,
  encodeP95: undefined,
  clockError: undefined,
};

/** "Error" is the name of an exception that was given none. */
const errorName = (e: DOMException): string => (e.name === "Error" ? "" : e.name);

function field(id: string, name: string, control: HTMLSelectElement): HTMLElement {
  const label = el("label", "", name);
  control.id = label.htmlFor = id;
  return el("div", "field", label, control);
}

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
