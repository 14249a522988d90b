// The element that shows pictures, and its other end for the worker: a <video> fed by a track generator where there is one
// (Chromium: the shortest way to its screen), a desynchronized canvas elsewhere.

import type { Paint, RendererName, Still, Surface } from "./messages.ts";
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

export const bestRenderer = (): RendererName => (trackGenerator() === undefined ? "canvas" : "track");

/** How long paints are collected before the worker hears of them. */
const batchFor = 100; // ms
/** A picture to keep is not waited for longer. */
const stillWithin = 100; // ms

const captureOf = (frame: VideoFrameCallbackMetadata): Micros => micros(Math.round(frame.mediaTime * 1e6));

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
  const Generator = trackGenerator();
  return renderer === "track" && Generator !== undefined ? new ShownTrack(new Generator({ kind: "video" }), painted) : new ShownCanvas();
}

class ShownTrack implements Shown {
  readonly element = document.createElement("video");
  readonly surface: Surface;
  readonly #track: TrackGenerator;
  readonly #painted: (paints: Paint[]) => void;
  #batch: Paint[] = [];
  #presented = 0;
  #any = false;
  #capture = micros(0);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #callback = 0;

  constructor(track: TrackGenerator, painted: (paints: Paint[]) => void) {
    this.#track = track;
    this.#painted = painted;
    this.surface = { kind: "track", writable: track.writable };
    const video = this.element;
    video.muted = true;
    video.autoplay = true;
    video.playsInline = true;
    video.disablePictureInPicture = true;
    this.#next();
  }

  expect(): void {
    if (this.element.srcObject !== null) return;
    // Not before: a <video> with a source and no picture holds up the page's load event, and the browser shows it as loading.
    this.element.srcObject = new MediaStream([this.#track]);
    this.element.play().catch(() => undefined); // autoplay tries again when it may
  }

  async still(): Promise<Still | undefined> {
    if (this.element.videoWidth === 0) return undefined;
    // In the callback of a frame it is that very one that is read; where none comes, the last one stands.
    const capture = await new Promise<Micros>((done) => {
      const timer = setTimeout(() => done(this.#capture), stillWithin);
      this.element.requestVideoFrameCallback((_, frame) => {
        clearTimeout(timer);
        done(captureOf(frame));
      });
    });
    return { image: await createImageBitmap(this.element), capture };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.element.cancelVideoFrameCallback(this.#callback);
    this.#track.stop();
    this.element.srcObject = null;
  }

  #next(): void {
    this.#callback = this.element.requestVideoFrameCallback((_, frame) => {
      this.#next();
      this.#frame(frame);
    });
  }

  #frame(frame: VideoFrameCallbackMetadata): void {
    const frames = Math.max(1, frame.presentedFrames - this.#presented);
    this.#presented = frame.presentedFrames;
    // Not frame.presentationTime, which is when the compositor was handed the frame: this callback runs later, as part of the
    // refresh that shows it.
    this.#capture = captureOf(frame);
    this.#batch.push({ capture: this.#capture, at: localNow(), frames });
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

