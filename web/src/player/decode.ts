// Access units in, pictures out. Each picture belongs to whoever is given it, and is closed by them exactly once.

import type { AccessUnit } from "./assemble.ts";
import type { DecoderName } from "./messages.ts";
import type { FileSink } from "./mse.ts";
import { localNow, micros, type Micros } from "./units.ts";
import type { Config } from "./wire.ts";

export interface Picture {
  /** Its own timestamp, where it has one, need not be the capture time. */
  readonly image: VideoFrame | ImageBitmap;
  /** On the server's epoch. */
  readonly capture: Micros;
}

export interface DecoderEvents {
  picture(p: Picture): void;
  /** The decoder is of no more use. */
  failed(cause: Error): void;
  /** An access unit made way for a newer one. */
  skipped(): void;
}

/** What decodes H.264: this worker, in software alone if that is said, or a <video>. JPEG is decoded here in any case. */
export type How = { readonly software: boolean } | FileSink;

export interface Decoder {
  /** Access units waiting. */
  readonly queue: number;
  /** Whether it is too far behind to catch up by itself. */
  readonly behind: boolean;
  decode(u: AccessUnit): void;
  /** Safe to call twice. No event comes after it. */
  close(): void;
}

export function newDecoder(config: Config, how: How, events: DecoderEvents): Decoder {
  if (config.codec === "jpeg") return new JPEGDecoder(events);
  return "software" in how ? new H264Decoder(config, how.software, events) : new FileDecoder(config, how);
}

/** Those of the decoders there are that decode what they are for, in their order. A browser may have WebCodecs without H.264. */
export async function working(decoders: readonly DecoderName[]): Promise<DecoderName[]> {
  const webcodecs = decoders.includes("webcodecs") && (await decodesH264());
  return decoders.filter((d) => d !== "webcodecs" || webcodecs);
}

async function decodesH264(): Promise<boolean> {
  try {
    return (await VideoDecoder.isConfigSupported({ codec: "avc1.42c01f", optimizeForLatency: true })).supported === true;
  } catch {
    return false; // a browser that cannot even answer cannot decode it
  }
}

/** Between two pictures, in µs. */
export const interval = (c: Config): Micros => micros(c.frameRateMilli > 0 ? Math.round(1e9 / c.frameRateMilli) : 33_333);

/** How long an access unit may wait before the decoder counts as too slow. */
const patience = 100_000; // µs

class H264Decoder implements Decoder {
  readonly #decoder: VideoDecoder;
  readonly #duration: number;
  #warm = false;
  /** What the decoder was given and has not given back, oldest first. */
  #given: { readonly capture: Micros; readonly at: Micros }[] = [];

  constructor(config: Config, software: boolean, events: DecoderEvents) {
    this.#duration = interval(config);
    this.#decoder = new VideoDecoder({
      output: (frame) => {
        this.#warm = true;
        // All up to this one: a decoder may leave some out.
        this.#given.splice(0, this.#given.findIndex((g) => g.capture === frame.timestamp) + 1);
        events.picture({ image: frame, capture: micros(frame.timestamp) });
      },
      error: (cause) => events.failed(cause),
    });
    this.#decoder.configure({
      codec: config.codecString,
      codedWidth: config.width,
      codedHeight: config.height,
      // Without it Chromium holds one whole frame back.
      optimizeForLatency: true,
      hardwareAcceleration: software ? "prefer-software" : "no-preference",
    });
  }

  get queue(): number {
    return this.#decoder.decodeQueueSize;
  }

  get behind(): boolean {
    // A decoder that is still starting may collect some, and so does one after a pause of the network: it is through with them
    // sooner than a new keyframe would come. It is behind when they wait.
    const oldest = this.#given[0];
    if (!this.#warm || oldest === undefined) return this.queue > 30;
    return this.queue > 3 && localNow() - oldest.at > patience;
  }

  decode(u: AccessUnit): void {
    this.#given.push({ capture: u.capture, at: localNow() });
    this.#decoder.decode(
      new EncodedVideoChunk({
        type: u.key ? "key" : "delta",
        timestamp: u.capture,
        // Firefox judges by it whether the decoder keeps up.
        duration: this.#duration,
        data: u.data,
      }),
    );
  }

  close(): void {
    if (this.#decoder.state !== "closed") this.#decoder.close();
  }
}

/** Hands on to a <video>, whose sink tells what came of it. */
class FileDecoder implements Decoder {
  readonly queue = 0;
  readonly behind = false;
  readonly #config: Config;
  readonly #sink: FileSink;

  constructor(config: Config, sink: FileSink) {
    this.#config = config;
    this.#sink = sink;
  }

  decode(u: AccessUnit): void {
    this.#sink.append(u, interval(this.#config), this.#config.width, this.#config.height);
  }

  close(): void {
    // The sink goes on with the next decoder.
  }
}

/** One picture in the works, and the newest of those that came meanwhile. */
class JPEGDecoder implements Decoder {
  readonly #events: DecoderEvents;
  #busy = false;
  #waiting: AccessUnit | undefined;
  #closed = false;

  constructor(events: DecoderEvents) {
    this.#events = events;
  }

  get queue(): number {
    return this.#waiting === undefined ? 0 : 1;
  }

  get behind(): boolean {
    return false;
  }

  decode(u: AccessUnit): void {
    if (this.#waiting !== undefined) this.#events.skipped();
    this.#waiting = u;
    if (!this.#busy) void this.#run();
  }

  close(): void {
    this.#closed = true;
    this.#waiting = undefined;
  }

  async #run(): Promise<void> {
    this.#busy = true;
    for (let u = this.#take(); u !== undefined; u = this.#take()) {
      try {
        const image = await decodeJPEG(u);
        if (this.#closed) image.close();
        else this.#events.picture({ image, capture: u.capture });
      } catch (cause) {
        if (!this.#closed) this.#events.failed(cause instanceof Error ? cause : new Error(String(cause)));
      }
    }
    this.#busy = false;
  }

  #take(): AccessUnit | undefined {
    const u = this.#waiting;
    this.#waiting = undefined;
    return u;
  }
}

async function decodeJPEG(u: AccessUnit): Promise<VideoFrame | ImageBitmap> {
  if (typeof ImageDecoder === "undefined") return createImageBitmap(new Blob([u.data], { type: "image/jpeg" }));
  const decoder = new ImageDecoder({ data: u.data, type: "image/jpeg" });
  try {
    return (await decoder.decode()).image;
  } finally {
    decoder.close();
  }
}
