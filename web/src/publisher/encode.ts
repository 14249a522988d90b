// Pictures in, access units out. An encoder owns no picture: whoever gives one closes it after encode() has returned.

import { micros, type Micros } from "../player/units.ts";
import { parameterSets, withParameterSets, type ParameterSets } from "./annexb.ts";
import type { Image } from "./messages.ts";
import { codecStrings, type Size } from "./offer.ts";
import { nextQuality } from "./pace.ts";

export interface Unit {
  readonly key: boolean;
  readonly data: Uint8Array<ArrayBuffer>;
  /** As encode() was given it. */
  readonly capture: Micros;
  readonly codecString: string;
}

export interface EncoderEvents {
  unit(u: Unit): void;
  /** The encoder is of no more use. */
  failed(cause: Error): void;
}

export interface PictureEncoder {
  /** Whether it has enough to do: a picture given to it now would be old before it is encoded. */
  readonly full: boolean;
  encode(image: Image, capture: Micros, key: boolean): void;
  setBitrate(bps: number): void;
  /** Safe to call twice. No event comes after it. */
  close(): void;
}

/** Encoders may wait for the one or two pictures they have at once, but not for a third. */
const queueLimit = 2;

/** The configuration in which this browser says it encodes H.264 of a size; undefined when it has none. */
export async function h264Config(size: Size, frameRate: number, bitrate: number): Promise<VideoEncoderConfig | undefined> {
  if (typeof VideoEncoder === "undefined" || typeof VideoFrame === "undefined") return undefined;
  for (const codec of codecStrings(size, frameRate)) {
    const config: VideoEncoderConfig = {
      codec,
      ...size,
      bitrate,
      framerate: frameRate,
      latencyMode: "realtime",
      bitrateMode: "constant",
      avc: { format: "annexb" },
    };
    try {
      if ((await VideoEncoder.isConfigSupported(config)).supported === true) return config;
    } catch {
      // A configuration that cannot even be asked for is not one.
    }
  }
  return undefined;
}

const probeSize: Size = { width: 320, height: 240 };
const probePictures = 8;
const probeLimit = 1_000; // ms

/**
 * Whether the encoder gives pictures out before it was given many more. Firefox's, where FFmpeg's x264 does the work, looks
 * 40 pictures ahead whatever latencyMode says, which makes more than a second of delay and cannot be switched off from here.
 */
export function answersAtOnce(config: VideoEncoderConfig): Promise<boolean> {
  return new Promise((resolve) => {
    const answer = (at: boolean) => {
      clearTimeout(timer);
      if (encoder.state !== "closed") encoder.close();
      resolve(at);
    };
    const timer = setTimeout(() => answer(false), probeLimit);
    const encoder = new VideoEncoder({ output: () => answer(true), error: () => answer(false) });
    encoder.configure({ ...config, ...probeSize, bitrate: 500_000 });
    const canvas = new OffscreenCanvas(probeSize.width, probeSize.height);
    canvas.getContext("2d")?.fillRect(0, 0, 1, 1);
    for (let i = 0; i < probePictures; i++) {
      const frame = new VideoFrame(canvas, { timestamp: Math.round((i * 1e6) / (config.framerate ?? 30)) });
      encoder.encode(frame);
      frame.close();
    }
  });
}

export class H264Encoder implements PictureEncoder {
  readonly #encoder: VideoEncoder;
  readonly #events: EncoderEvents;
  #config: VideoEncoderConfig;
  /** What the encoder was given and has not given back, oldest first. */
  #given: { readonly timestamp: number; readonly capture: Micros }[] = [];
  #sets: ParameterSets | undefined;

  constructor(config: VideoEncoderConfig, events: EncoderEvents) {
    this.#events = events;
    this.#config = config;
    this.#encoder = new VideoEncoder({
      output: (chunk) => this.#output(chunk),
      error: (cause) => events.failed(cause),
    });
    this.#encoder.configure(config);
  }

  get full(): boolean {
    return this.#encoder.encodeQueueSize > queueLimit;
  }

  encode(image: Image, capture: Micros, key: boolean): void {
    if (image instanceof ImageBitmap) throw new TypeError("H.264 is encoded from frames");
    this.#given.push({ timestamp: image.timestamp, capture });
    this.#encoder.encode(image, { keyFrame: key });
  }

  setBitrate(bitrate: number): void {
    if (bitrate === this.#config.bitrate) return;
    this.#config = { ...this.#config, bitrate };
    this.#encoder.configure(this.#config);
  }

  close(): void {
    if (this.#encoder.state !== "closed") this.#encoder.close();
  }

  #output(chunk: EncodedVideoChunk): void {
    const i = this.#given.findIndex((g) => g.timestamp === chunk.timestamp);
    const given = this.#given[i];
    if (given === undefined) return this.#events.failed(new Error("the encoder changed the order of pictures"));
    this.#given.splice(0, i + 1); // all up to this one: an encoder may leave some out
    const key = chunk.type === "key";
    let data = new Uint8Array(chunk.byteLength);
    chunk.copyTo(data);
    if (key) {
      const sets = parameterSets(data);
      if (sets !== undefined) this.#sets = sets;
      else if (this.#sets !== undefined) data = withParameterSets(this.#sets, data);
    }
    if (this.#sets === undefined) return this.#events.failed(new Error("the encoder gives no parameter sets"));
    this.#events.unit({ key, data, capture: given.capture, codecString: this.#sets.codecString });
  }
}

export class JPEGEncoder implements PictureEncoder {
  readonly #canvas: OffscreenCanvas;
  readonly #context: OffscreenCanvasRenderingContext2D;
  readonly #events: EncoderEvents;
  readonly #frameRate: number;
  #bitrate: number;
  #quality = 0.7;
  #busy = false;
  #closed = false;

  /** bitrate is for so many pictures a second. */
  constructor(size: Size, frameRate: number, bitrate: number, events: EncoderEvents) {
    this.#canvas = new OffscreenCanvas(size.width, size.height);
    const context = this.#canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    if (context === null) throw new Error("this browser gives no canvas context in a worker");
    this.#context = context;
    this.#frameRate = frameRate;
    this.#bitrate = bitrate;
    this.#events = events;
  }

  get full(): boolean {
    return this.#busy;
  }

  encode(image: Image, capture: Micros): void {
    this.#context.drawImage(image, 0, 0, this.#canvas.width, this.#canvas.height);
    void this.#compress(capture);
  }

  setBitrate(bps: number): void {
    this.#bitrate = bps;
  }

  close(): void {
    this.#closed = true;
  }

  async #compress(capture: Micros): Promise<void> {
    this.#busy = true;
    try {
      const blob = await this.#canvas.convertToBlob({ type: "image/jpeg", quality: this.#quality });
      if (blob.type !== "image/jpeg") throw new Error("this browser writes no JPEG");
      const data = new Uint8Array(await blob.arrayBuffer());
      this.#quality = nextQuality(this.#quality, data.length, this.#bitrate / 8 / this.#frameRate);
      if (!this.#closed) this.#events.unit({ key: true, data, capture: micros(capture), codecString: "jpeg" });
    } catch (cause) {
      if (!this.#closed) this.#events.failed(cause instanceof Error ? cause : new Error(String(cause)));
    } finally {
      this.#busy = false;
    }
  }
}
