// A camera's track to the worker: as a stream of frames where the browser makes one (Chromium), else picture by picture from a
// <video> that plays it.

import { localNow, micros, type Micros } from "../player/units.ts";
import type { Image, ToPublisher } from "./messages.ts";
import { CaptureClock, captureTime } from "./stamp.ts";

/** Not in the DOM's types: it is a window's in Chromium only, and a worker's in the standard. */
type TrackProcessorConstructor = new (init: { track: MediaStreamTrack; maxBufferSize: number }) => { readonly readable: ReadableStream<VideoFrame> };

function trackProcessor(): TrackProcessorConstructor | undefined {
  const found: unknown = Reflect.get(globalThis, "MediaStreamTrackProcessor");
  return typeof found === "function" ? (found as TrackProcessorConstructor) : undefined;
}

/** While nothing is encoded, one picture in so many ms is enough to know that the camera lives. */
const idleEvery = 500;

export interface Feed {
  /** The worker took the last picture. */
  took(): void;
  /** Whether pictures are encoded. */
  setWanted(wanted: boolean): void;
  /** Safe to call twice. */
  close(): void;
}

export type Post = (m: ToPublisher, transfer: Transferable[]) => void;

/** Feeds the pictures of track, which video plays, to post. frames forces them to come from the <video>. */
export function newFeed(track: MediaStreamTrack, video: HTMLVideoElement, frames: boolean, post: Post): Feed {
  const Processor = trackProcessor();
  const frameRate = frameRateOf(track);
  if (Processor !== undefined && !frames) {
    // A track of its own: one that is processed must not be stopped under the processor.
    const clone = track.clone();
    const { readable } = new Processor({ track: clone, maxBufferSize: 1 });
    post({ type: "pictures", readable, frameRate }, [readable as unknown as Transferable]);
    return { took() {}, setWanted() {}, close: () => clone.stop() };
  }
  post({ type: "frame-rate", frameRate }, []);
  return new VideoFeed(video, post);
}

export const frameRateOf = (track: MediaStreamTrack): number => track.getSettings().frameRate ?? 30;

class VideoFeed implements Feed {
  readonly #video: HTMLVideoElement;
  readonly #post: Post;
  readonly #clock = new CaptureClock();
  #callback = 0;
  /** The worker has one picture that it has not taken yet; what comes meanwhile would be old. */
  #busy = false;
  #wanted = false;
  #lastAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(video: HTMLVideoElement, post: Post) {
    this.#video = video;
    this.#post = post;
    this.#next();
  }

  took(): void {
    this.#busy = false;
  }

  setWanted(wanted: boolean): void {
    this.#wanted = wanted;
  }

  close(): void {
    this.#closed = true;
    this.#video.cancelVideoFrameCallback(this.#callback);
  }

  #next(): void {
    this.#callback = this.#video.requestVideoFrameCallback((_, frame) => {
      this.#next();
      void this.#take(frame);
    });
  }

  async #take(frame: VideoFrameCallbackMetadata): Promise<void> {
    const now = localNow();
    const told = frame.captureTime === undefined ? undefined : micros((performance.timeOrigin + frame.captureTime) * 1000);
    const capture = captureTime(told, micros(frame.mediaTime * 1e6), now, this.#clock);
    if (this.#busy || (!this.#wanted && now - this.#lastAt < idleEvery * 1000)) return;
    this.#busy = true;
    this.#lastAt = now;
    try {
      const image = await picture(this.#video, capture);
      if (this.#closed) image.close();
      else this.#post({ type: "picture", image, capture }, [image]);
    } catch {
      this.#busy = false; // the <video> has no picture now; the next one comes
    }
  }
}

async function picture(video: HTMLVideoElement, capture: Micros): Promise<Image> {
  return typeof VideoFrame === "undefined" ? createImageBitmap(video) : new VideoFrame(video, { timestamp: Math.round(capture) });
}
