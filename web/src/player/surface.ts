// The element that shows pictures, and its other end for the worker: a <video> fed by a track generator where there is one
// (Chromium: the shortest way to its screen), a desynchronized canvas elsewhere, or a <video> that decodes by itself.

import { disposable, jump, speed } from "./chase.ts";
import type { DecoderName, Fragment, Paint, Played, RendererName, Still, Surface } from "./messages.ts";
import { localNow, micros, type Micros } from "./units.ts";

/** Not in the DOM's types: the generator never became a standard. */
interface TrackGenerator extends MediaStreamTrack {
  readonly writable: WritableStream<VideoFrame>;
}
type TrackGeneratorConstructor = new (init: { kind: "video" }) => TrackGenerator;

function trackGenerator(): TrackGeneratorConstructor | undefined {
  const found: unknown = Reflect.get(globalThis, "MediaStreamTrackGenerator");
  return typeof found === "function" && "requestVideoFrameCallback" in HTMLVideoElement.prototype
    ? (found as TrackGeneratorConstructor)
    : undefined;
}

/** For the pictures of that decoder. Those of JPEG would have to be copied for a track. */
export const bestRenderer = (decoder: DecoderName | undefined): RendererName => (decoder === "jpeg" || trackGenerator() === undefined ? "canvas" : "track");

const names: readonly DecoderName[] = ["webcodecs", "mse", "jpeg"];

/** The decoders that may be used, best first: of those that this browser has the one that is forced, or all. */
export function decoders(forced: string | null): DecoderName[] {
  const has: Record<DecoderName, boolean> = {
    webcodecs: typeof VideoDecoder !== "undefined",
    mse: typeof MediaSource !== "undefined" && MediaSource.isTypeSupported(mime("avc1.42c01f")) && "requestVideoFrameCallback" in HTMLVideoElement.prototype,
    jpeg: true,
  };
  return names.filter((d) => has[d] && (forced === d || !names.some((n) => n === forced)));
}

const mime = (codec: string): string => `video/mp4; codecs="${codec}"`;

/** The end that goes to the worker. */
export function transferable(s: Surface): Transferable {
  switch (s.kind) {
    case "track":
      return s.writable;
    case "canvas":
      return s.canvas;
    case "mse":
      return s.port;
    default:
      return unreachable(s);
  }
}

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}

/** How long paints are collected before the worker hears of them. */
const batchFor = 100; // ms
/** A picture to keep is not waited for longer. */
const stillWithin = 100; // ms

export interface Shown {
  readonly element: HTMLVideoElement | HTMLCanvasElement;
  /** To be transferred to the worker. */
  readonly surface: Surface;
  /** Pictures are about to come. */
  expect(): void;
  /** The picture that is shown, where the page knows which one it is; else the worker does. */
  still(): Promise<Still | undefined>;
  close(): void;
}

/** Makes a surface. painted gets what reached the screen where only the page can know: a track's frames, in batches. */
export function newShown(renderer: RendererName, painted: (paints: Paint[]) => void): Shown {
  if (renderer === "mse") return new ShownFile(painted);
  const Generator = trackGenerator();
  return renderer === "track" && Generator !== undefined ? new ShownTrack(new Generator({ kind: "video" }), painted) : new ShownCanvas();
}

function newVideo(): HTMLVideoElement {
  const video = document.createElement("video");
  video.muted = true;
  video.autoplay = true;
  video.playsInline = true;
  video.disablePictureInPicture = true;
  return video;
}

/** What a <video> shows, told in batches, but the first at once. */
class Paints {
  readonly #video: HTMLVideoElement;
  readonly #captureOf: (mediaTime: number) => Micros | undefined;
  readonly #painted: (paints: Paint[]) => void;
  #batch: Paint[] = [];
  #presented = 0;
  #any = false;
  #capture = micros(0);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #callback = 0;

  /** captureOf gives the capture time for a frame's time in seconds. */
  constructor(video: HTMLVideoElement, captureOf: (mediaTime: number) => Micros | undefined, painted: (paints: Paint[]) => void) {
    this.#video = video;
    this.#captureOf = captureOf;
    this.#painted = painted;
    this.#next();
  }

  /** A copy of what is shown. */
  async still(): Promise<Still | undefined> {
    if (this.#video.videoWidth === 0) return undefined;
    // In the callback of a frame, after our own, it is that very one that is read; where none comes, the last one stands.
    await new Promise<void>((done) => {
      const timer = setTimeout(done, stillWithin);
      this.#video.requestVideoFrameCallback(() => {
        clearTimeout(timer);
        done();
      });
    });
    const capture = this.#capture;
    return { image: await createImageBitmap(this.#video), capture };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#video.cancelVideoFrameCallback(this.#callback);
  }

  #next(): void {
    this.#callback = this.#video.requestVideoFrameCallback((_, frame) => {
      this.#next();
      this.#frame(frame);
    });
  }

  #frame(frame: VideoFrameCallbackMetadata): void {
    const frames = Math.max(1, frame.presentedFrames - this.#presented);
    this.#presented = frame.presentedFrames;
    const capture = this.#captureOf(frame.mediaTime);
    if (capture === undefined) return;
    this.#capture = capture;
    // Not frame.presentationTime, which is when the compositor was handed the frame: this callback runs later, as part of the
    // refresh that shows it.
    this.#batch.push({ capture, at: localNow(), frames });
    if (!this.#any) {
      this.#any = true;
      this.#flush();
    } else if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.#flush(), batchFor);
    }
  }

  #flush(): void {
    this.#timer = undefined;
    const batch = this.#batch;
    this.#batch = [];
    this.#painted(batch);
  }
}

class ShownTrack implements Shown {
  readonly element = newVideo();
  readonly surface: Surface;
  readonly #track: TrackGenerator;
  readonly #paints: Paints;

  constructor(track: TrackGenerator, painted: (paints: Paint[]) => void) {
    this.#track = track;
    this.surface = { kind: "track", writable: track.writable };
    this.#paints = new Paints(this.element, (mediaTime) => micros(Math.round(mediaTime * 1e6)), painted);
  }

  expect(): void {
    if (this.element.srcObject !== null) return;
    // Not before: a <video> with a source and no picture holds up the page's load event, and the browser shows it as loading.
    this.element.srcObject = new MediaStream([this.#track]);
    this.element.play().catch(() => undefined); // autoplay tries again when it may
  }

  async still(): Promise<Still | undefined> {
    if (this.element.videoWidth === 0) return undefined;
    const frame = new VideoFrame(this.element); // it has the timestamp that the worker gave it: its capture time
    try {
      return { image: await createImageBitmap(frame), capture: micros(frame.timestamp) };
    } finally {
      frame.close();
    }
  }

  close(): void {
    this.#paints.close();
    this.#track.stop();
    this.element.srcObject = null;
  }
}

/** Media and what is kept of it are told by capture; a file's times are exact to less than this, in seconds. */
const exact = 0.001;
/** A stream with rarer keyframes is asked for one, so that what was played can be thrown away, s. */
const keysWithin = 60;

/** A <video> that decodes by itself what the worker writes as a file. */
class ShownFile implements Shown {
  readonly element = newVideo();
  readonly surface: Surface;
  readonly #port: MessagePort;
  readonly #source = new MediaSource();
  readonly #paints: Paints;
  #url: string | undefined;
  #buffer: SourceBuffer | undefined;
  #waiting: Fragment[] = [];
  /** Of the keyframes in the buffer, in seconds. */
  #keys: number[] = [];
  /** Of pictures that were not shown yet. */
  #captures: { readonly at: number; readonly capture: Micros }[] = [];
  #told = { decoded: 0, dropped: 0 };
  #closed = false;

  constructor(painted: (paints: Paint[]) => void) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.surface = { kind: "mse", port: port2 };
    port1.onmessage = (e: MessageEvent<Fragment>) => {
      this.#waiting.push(e.data);
      this.#append();
    };
    this.#source.addEventListener("sourceopen", () => this.#append());
    this.element.addEventListener("error", () => this.#fail(this.element.error?.message ?? ""));
    this.#paints = new Paints(this.element, (mediaTime) => this.#captureOf(mediaTime), (paints) => {
      painted(paints);
      this.#count();
    });
  }

  expect(): void {
    if (this.#url !== undefined || this.#closed) return;
    this.#url = URL.createObjectURL(this.#source);
    this.element.src = this.#url;
  }

  still(): Promise<Still | undefined> {
    return this.#paints.still();
  }

  close(): void {
    this.#closed = true;
    this.#paints.close();
    this.#port.close();
    this.element.removeAttribute("src");
    this.element.load(); // gives the decoder back
    if (this.#url !== undefined) URL.revokeObjectURL(this.#url);
  }

  #tell(m: Played): void {
    this.#port.postMessage(m);
  }

  #fail(why: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#tell({ type: "failed", why });
  }

  #append(): void {
    if (this.#closed || this.#source.readyState !== "open" || this.#buffer?.updating === true) return;
    try {
      if (this.#discard()) return;
      const next = this.#waiting.shift();
      if (next === undefined) return;
      if (next.codec !== undefined) this.#expectCodec(next.codec);
      const at = next.at / 1e6;
      if (next.key) this.#keys.push(at);
      this.#captures.push({ at, capture: next.capture });
      this.#buffer?.appendBuffer(next.bytes);
    } catch (cause) {
      this.#fail(String(cause)); // an unknown codec, or no room any more
    }
  }

  #expectCodec(codec: string): void {
    if (this.#buffer !== undefined) return this.#buffer.changeType(mime(codec));
    this.#buffer = this.#source.addSourceBuffer(mime(codec));
    this.#buffer.addEventListener("updateend", () => {
      this.#chase();
      this.#append();
    });
  }

  /** Throws away what was played. Says whether it has begun to. */
  #discard(): boolean {
    const before = disposable(this.element.currentTime, this.#keys);
    if (before === undefined || this.#keys[0] === before) return false;
    this.#keys = this.#keys.filter((k) => k >= before);
    this.#buffer?.remove(0, before);
    return true;
  }

  #chase(): void {
    const video = this.element;
    const { buffered, currentTime } = video;
    if (this.#closed || video.seeking || buffered.length === 0) return;
    const end = buffered.end(buffered.length - 1);
    const to = jump(currentTime, end, this.#keys);
    if (to === "key" || end - (this.#keys[0] ?? end) > keysWithin) this.#tell({ type: "key-wanted" });
    if (typeof to === "number") video.currentTime = to;
    const rate = speed(end - currentTime);
    if (video.playbackRate !== rate) video.playbackRate = rate;
    if (video.paused) video.play().catch(() => undefined); // autoplay tries again when it may
  }

  #captureOf(mediaTime: number): Micros | undefined {
    const i = this.#captures.findLastIndex((c) => Math.abs(c.at - mediaTime) < exact);
    const found = this.#captures[i];
    if (found !== undefined) this.#captures.splice(0, i + 1);
    return found?.capture;
  }

  #count(): void {
    const { totalVideoFrames, droppedVideoFrames } = this.element.getVideoPlaybackQuality();
    this.#tell({ type: "decoded", decoded: totalVideoFrames - this.#told.decoded, dropped: droppedVideoFrames - this.#told.dropped });
    this.#told = { decoded: totalVideoFrames, dropped: droppedVideoFrames };
  }
}

class ShownCanvas implements Shown {
  readonly element = document.createElement("canvas");
  readonly surface: Surface = { kind: "canvas", canvas: this.element.transferControlToOffscreen() };

  expect(): void {
    // A canvas needs nothing for it.
  }

  async still(): Promise<undefined> {
    // The worker draws, and knows what.
  }

  close(): void {
    // The worker's end goes with the worker.
  }
}

