// Where pictures go: a track that a <video> shows, a canvas, or, not decoded yet, a <video> that decodes by itself. A sink owns each
// picture it is given.

import type { Picture } from "./decode.ts";
import type { Paint, Still, Surface } from "./messages.ts";
import { FileSink, type FileSinkEvents } from "./mse.ts";
import { localNow, micros, type Micros } from "./units.ts";

export interface SinkEvents extends FileSinkEvents {
  /** A picture reached the screen. A track does not know; the page reports for it. */
  painted(p: Paint): void;
  /** A picture made way for a newer one. */
  replaced(): void;
  /** The sink takes nothing any more. */
  stalled(): void;
}

export interface PictureSink {
  readonly name: "track" | "canvas";
  show(p: Picture): void;
  /** A copy of the picture that is shown, where the worker knows which one it is. */
  still(): Promise<Still | undefined>;
  close(): void;
}

export type Sink = PictureSink | FileSink;

export function newSink(surface: Surface, events: SinkEvents): Sink {
  switch (surface.kind) {
    case "track":
      return new TrackSink(surface.writable, events);
    case "canvas":
      return new CanvasSink(surface.canvas, events);
    case "mse":
      return new FileSink(surface.port, events);
    default:
      return unreachable(surface);
  }
}

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}

/** A write that takes this long will not end: generators stall after the page was hidden. */
const stallAfter = micros(1_000_000);

class TrackSink implements PictureSink {
  readonly name = "track";
  readonly #writer: WritableStreamDefaultWriter<VideoFrame>;
  readonly #events: SinkEvents;
  #writingSince: Micros | undefined;
  #next: Picture | undefined;
  #lastCapture = Number.NEGATIVE_INFINITY;
  #dead = false;

  constructor(writable: WritableStream<VideoFrame>, events: SinkEvents) {
    this.#writer = writable.getWriter();
    this.#events = events;
  }

  show(p: Picture): void {
    // A <video> does not go back in time; after the server's restart its clock begins anew.
    if (this.#dead || p.capture < this.#lastCapture || this.#stuck()) {
      p.image.close();
      this.#fail();
      return;
    }
    this.#lastCapture = p.capture;
    if (this.#next !== undefined) {
      this.#next.image.close();
      this.#events.replaced();
    }
    this.#next = p;
    if (this.#writingSince === undefined) void this.#write();
  }

  async still(): Promise<undefined> {
    // The page knows what its <video> shows.
  }

  close(): void {
    this.#dead = true;
    this.#next?.image.close();
    this.#next = undefined;
    this.#writer.abort().catch(() => undefined); // it is gone either way
  }

  #stuck(): boolean {
    return this.#writingSince !== undefined && localNow() - this.#writingSince > stallAfter;
  }

  async #write(): Promise<void> {
    for (let p = this.#next; p !== undefined; p = this.#next) {
      this.#next = undefined;
      this.#writingSince = localNow();
      let frame: VideoFrame | undefined;
      try {
        frame = await stamped(p);
        await this.#writer.write(frame); // closes the frame
      } catch {
        frame?.close();
        this.#fail();
        return;
      }
    }
    this.#writingSince = undefined;
  }

  #fail(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#events.stalled();
  }
}

/** The picture as a frame whose timestamp is its capture time. Takes p over. */
async function stamped(p: Picture): Promise<VideoFrame> {
  const image = p.image;
  if (image instanceof VideoFrame && image.timestamp === p.capture) return image;
  try {
    if (image instanceof ImageBitmap || image.format === null) return new VideoFrame(image, { timestamp: p.capture });
    // Chromium shows a frame made from a frame with the timestamp of the first, so the pixels have to be copied.
    const data = new ArrayBuffer(image.allocationSize());
    const layout = await image.copyTo(data);
    return new VideoFrame(data, {
      format: image.format,
      codedWidth: image.visibleRect?.width ?? image.codedWidth,
      codedHeight: image.visibleRect?.height ?? image.codedHeight,
      colorSpace: image.colorSpace,
      layout,
      timestamp: p.capture,
    });
  } finally {
    image.close();
  }
}

/** Draws at once, not in the next animation frame: a desynchronized canvas shows it up to a refresh sooner. */
class CanvasSink implements PictureSink {
  readonly name = "canvas";
  readonly #canvas: OffscreenCanvas;
  readonly #context: OffscreenCanvasRenderingContext2D;
  readonly #events: SinkEvents;
  #drawn: Micros | undefined;
  #shown: Micros | undefined;

  constructor(canvas: OffscreenCanvas, events: SinkEvents) {
    const context = canvas.getContext("2d", { alpha: false, desynchronized: true });
    if (context === null) throw new Error("this browser gives no canvas context in a worker");
    this.#canvas = canvas;
    this.#context = context;
    this.#events = events;
  }

  show(p: Picture): void {
    const image = p.image;
    try {
      // The displayed size, never the coded one: that has the encoder's padding in it.
      const [width, height] = image instanceof ImageBitmap ? [image.width, image.height] : [image.displayWidth, image.displayHeight];
      if (this.#canvas.width !== width) this.#canvas.width = width;
      if (this.#canvas.height !== height) this.#canvas.height = height;
      this.#context.drawImage(image, 0, 0, width, height);
    } finally {
      image.close();
    }
    // The screen shows it no later than the next animation frame, so that is the time to own up to.
    if (this.#drawn === undefined) requestAnimationFrame(() => this.#painted());
    else this.#events.replaced();
    this.#drawn = this.#shown = p.capture;
  }

  async still(): Promise<Still | undefined> {
    const capture = this.#shown;
    return capture === undefined ? undefined : { image: await createImageBitmap(this.#canvas), capture };
  }

  close(): void {
    this.#drawn = undefined;
  }

  #painted(): void {
    if (this.#drawn !== undefined) this.#events.painted({ capture: this.#drawn, at: localNow(), frames: 1 });
    this.#drawn = undefined;
  }
}
