// One camera being published: the socket, what the server wants, and an encoder for each rendition wanted. Lives in the worker,
// and owns everything it opens. Decisions are left to the pure modules beside it.

import { Backoff } from "../player/backoff.ts";
import { Clock } from "../player/clock.ts";
import { localNow, micros, type Micros } from "../player/units.ts";
import { Window } from "../player/window.ts";
import * as wire from "../player/wire.ts";
import { answersAtOnce, H264Encoder, h264Config, JPEGEncoder, type PictureEncoder, type Unit } from "./encode.ts";
import type { Image, PublishPhase, PublishReport } from "./messages.ts";
import { defaultBitrate, evenSize, h264Id, jpegId, renditions, type Size } from "./offer.ts";
import { Pace } from "./pace.ts";
import { CaptureClock, captureTime } from "./stamp.ts";
import { closed } from "./state.ts";

const reportEvery = 250; // ms
const statsEvery = 1_000; // ms
const askTimeEvery = [0, 150, 150, 150, 150]; // ms, and then
const askTimeThen = 2_000; // ms
/** Each TIME_REQ is answered, so a silence of three of them means that the path is gone. */
const silenceLimit = micros(6_500_000);
/** A camera that sends nothing for so long has stopped. */
const stallAfter = micros(2_000_000);
/** Unsent bytes that do not count: less than one write of the system's. */
const leastBacklog = 16 << 10;
/** After this many errors of the H.264 encoder it is no longer offered. */
const h264Patience = 2;

type Timer = ReturnType<typeof setTimeout>;

export interface PublishEvents {
  report(r: PublishReport): void;
}

/** A rendition that is encoded now. */
interface Lane {
  readonly rendition: wire.Rendition;
  readonly encoder: PictureEncoder;
  readonly pace: Pace;
  wanted: wire.Wanted;
  keyWanted: boolean;
  /** That of the CONFIG sent last; empty before the first. */
  codecString: string;
  encoded: number;
  skipped: number;
}

export class Publishing {
  // Fixed.
  readonly #url: string;
  readonly #codec: "best" | "jpeg";
  readonly #events: PublishEvents;

  // The source.
  #frameRate: number;
  #reader: ReadableStreamDefaultReader<VideoFrame> | undefined;
  #size: Size | undefined;
  #lastPictureAt = micros(Number.NEGATIVE_INFINITY);
  /** What can be made of pictures of this size; undefined while that is found out. */
  #offer: { readonly renditions: readonly wire.Rendition[]; readonly h264: VideoEncoderConfig | undefined } | undefined;
  #h264Failures = 0;
  /** Whether the browser's H.264 encoder is quick enough to be used; asked once. */
  #h264AtOnce: Promise<boolean> | undefined;

  // Of the whole session.
  #phase: PublishPhase = { name: "opening" };
  #backoff = new Backoff();
  #retryTimer: Timer | undefined;
  readonly #timers: readonly ReturnType<typeof setInterval>[];
  #ended = false;
  readonly #delays = new Window(micros(2_000_000));
  readonly #bits = new Window(micros(2_000_000));
  readonly #units = new Window(micros(2_000_000));
  #sent = 0;
  #skipped = 0;
  /** The last number of each rendition; they go on rising. */
  readonly #seqs = new Map<number, number>();
  readonly #generations = new Map<number, number>();

  // Of one connection.
  #socket: WebSocket | undefined;
  #everOpen = false;
  #greeted = false;
  #clock = new Clock();
  #timeTimer: Timer | undefined;
  #timeId = 0;
  #heardAt = micros(0);
  #want: readonly wire.Wanted[] = [];
  #lanes = new Map<number, Lane>();
  #toldState = "";

  /** Connects with the first picture. */
  constructor(url: string, codec: "best" | "jpeg", frameRate: number, events: PublishEvents) {
    this.#url = url;
    this.#codec = codec;
    this.#frameRate = frameRate;
    this.#events = events;
    this.#timers = [
      setInterval(() => this.#tick(), reportEvery),
      setInterval(() => this.#sendStats(), statsEvery),
    ];
  }

  /** Takes a track's pictures from now on. */
  read(readable: ReadableStream<VideoFrame>): void {
    this.#stopReading();
    const reader = readable.getReader();
    this.#reader = reader;
    void this.#readAll(reader);
  }

  setFrameRate(frameRate: number): void {
    if (frameRate === this.#frameRate) return;
    this.#frameRate = frameRate;
    if (this.#size !== undefined) void this.#prepare();
  }

  /** One picture, taken at capture on the local clock. Closes it. */
  picture(image: Image, capture: Micros): void {
    try {
      if (!this.#ended) this.#encode(image, capture);
    } finally {
      image.close();
    }
  }

  reconnect(): void {
    if (this.#socket !== undefined || this.#offer === undefined) return;
    this.#backoff.reset();
    clearTimeout(this.#retryTimer);
    this.#setPhase({ name: "opening" });
    this.#connect();
  }

  /** Safe to call twice. */
  close(): void {
    this.#ended = true;
    for (const t of this.#timers) clearInterval(t);
    clearTimeout(this.#retryTimer);
    this.#stopReading();
    this.#disconnect();
  }

  // --- pictures ---

  async #readAll(reader: ReadableStreamDefaultReader<VideoFrame>): Promise<void> {
    const clock = new CaptureClock();
    try {
      for (;;) {
        const { value: frame, done } = await reader.read();
        if (done) return;
        const now = localNow();
        this.picture(frame, captureTime(toldCapture(frame), micros(frame.timestamp), now, clock));
      }
    } catch {
      // The track ended with an error, which the page sees too; or another took its place.
    }
  }

  #stopReading(): void {
    this.#reader?.cancel().catch(() => undefined); // it is gone either way
    this.#reader = undefined;
  }

  #encode(image: Image, capture: Micros): void {
    this.#lastPictureAt = localNow();
    const size = sizeOf(image);
    if (size.width !== this.#size?.width || size.height !== this.#size.height) {
      this.#size = size;
      void this.#prepare();
    }
    for (const lane of [...this.#lanes.values()]) {
      if (!lane.pace.admit(capture, frameRateCap(lane))) continue;
      if (lane.encoder.full || this.#backedUp()) {
        lane.skipped++;
        this.#skipped++;
        continue;
      }
      try {
        lane.encoder.encode(image, capture, lane.keyWanted);
        lane.keyWanted = false;
      } catch (cause) {
        this.#encoderFailed(lane, cause);
      }
    }
  }

  /** Whether the network has not taken yet what was sent before. About two pictures' worth may be on their way. */
  #backedUp(): boolean {
    let perPicture = 0;
    for (const lane of this.#lanes.values()) perPicture += (bitrate(lane) / 8 / lane.rendition.frame_rate_milli) * 1000;
    return (this.#socket?.bufferedAmount ?? 0) > Math.max(2 * perPicture, leastBacklog);
  }

  /** Finds out what can be made of pictures of this size, and offers it. */
  async #prepare(): Promise<void> {
    const size = this.#size;
    if (size === undefined) return;
    this.#offer = undefined;
    this.#closeLanes();
    const frameRate = this.#frameRate;
    const mayH264 = this.#codec === "best" && this.#h264Failures < h264Patience;
    const h264 = mayH264 ? await this.#h264(evenSize(size), frameRate) : undefined;
    if (this.#ended || size !== this.#size || frameRate !== this.#frameRate) return; // another is on its way
    this.#offer = { renditions: renditions(size, frameRate, h264 !== undefined), h264 };
    if (this.#socket === undefined && this.#phase.name === "opening") this.#connect();
    else if (this.#greeted) this.#greet();
  }

  async #h264(size: Size, frameRate: number): Promise<VideoEncoderConfig | undefined> {
    const config = await h264Config(size, frameRate, defaultBitrate(size, frameRate));
    if (config === undefined) return undefined;
    this.#h264AtOnce ??= answersAtOnce(config).catch(() => false);
    return (await this.#h264AtOnce) ? config : undefined;
  }

  #openLane(wanted: wire.Wanted): Lane | undefined {
    const offer = this.#offer;
    const rendition = offer?.renditions.find((r) => r.id === wanted.id);
    if (offer === undefined || rendition === undefined) return undefined;
    let lane: Lane | undefined = undefined;
    const events = {
      unit: (u: Unit) => {
        if (lane !== undefined && this.#lanes.get(rendition.id) === lane) this.#send(lane, u);
      },
      failed: (cause: unknown) => {
        if (lane !== undefined) this.#encoderFailed(lane, cause);
      },
    };
    const bps = wanted.bitrateBps || rendition.max_bitrate_bps;
    const encoder =
      rendition.id === h264Id && offer.h264 !== undefined
        ? new H264Encoder({ ...offer.h264, bitrate: bps }, events)
        : new JPEGEncoder(rendition, rendition.frame_rate_milli / 1000, bps, events);
    lane = { rendition, encoder, pace: new Pace(), wanted, keyWanted: true, codecString: "", encoded: 0, skipped: 0 };
    return lane;
  }

  #encoderFailed(lane: Lane, cause: unknown): void {
    if (this.#lanes.get(lane.rendition.id) !== lane) return;
    console.warn("sightline: the encoder failed and is replaced", cause);
    lane.encoder.close();
    this.#lanes.delete(lane.rendition.id);
    if (lane.rendition.id === h264Id) this.#h264Failures++;
    void this.#prepare();
  }

  #closeLanes(): void {
    for (const lane of this.#lanes.values()) lane.encoder.close();
    this.#lanes.clear();
  }

  // --- connection ---

  #connect(): void {
    const socket = new WebSocket(this.#url, [wire.subprotocol]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#everOpen = false;
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      this.#everOpen = true;
      this.#heardAt = localNow();
      this.#askTime(0);
    };
    socket.onmessage = (e) => {
      if (socket === this.#socket) this.#message(e.data);
    };
    socket.onclose = (e) => {
      if (socket === this.#socket) void this.#lost(e.code, e.reason);
    };
  }

  async #lost(code: number, reason: string): Promise<void> {
    const everOpen = this.#everOpen;
    this.#disconnect();
    const verdict = everOpen ? closed(code, reason) : await whyRefused(this.#url);
    if (this.#ended || this.#socket !== undefined) return;
    this.#setPhase(verdict);
    if (verdict.name !== "denied") this.#retryTimer = setTimeout(() => this.#connect(), this.#backoff.next(Math.random()));
  }

  #disconnect(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    clearTimeout(this.#timeTimer);
    socket?.close(1000);
    this.#closeLanes();
    this.#clock = new Clock();
    this.#want = [];
    this.#greeted = false;
    this.#toldState = "";
  }

  #write(message: Uint8Array<ArrayBuffer>): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  #askTime(n: number): void {
    const wait = askTimeEvery[n] ?? askTimeThen;
    const ask = () => {
      this.#timeId = (this.#timeId + 1) & 0xffff;
      this.#write(wire.timeReq(this.#timeId, localNow()));
      this.#askTime(n + 1);
    };
    if (wait === 0) ask();
    else this.#timeTimer = setTimeout(ask, wait);
  }

  // --- what the server says ---

  #message(data: unknown): void {
    const now = localNow();
    this.#heardAt = now;
    try {
      if (!(data instanceof ArrayBuffer)) throw new wire.ProtocolError("text message");
      const m = wire.parseForPublisher(data);
      if (m !== undefined) this.#handle(m, now);
    } catch (cause) {
      if (!(cause instanceof wire.ProtocolError)) throw cause;
      void this.#lost(1007, cause.message);
    }
  }

  #handle(m: wire.PublisherOrder, now: Micros): void {
    switch (m.type) {
      case "time-resp":
        this.#clock.add(m.t1, m.t2, m.t3, now);
        if (!this.#greeted && this.#clock.known && this.#offer !== undefined) {
          this.#greet();
          this.#backoff.reset();
          this.#setPhase({ name: "open" });
        }
        return;
      case "want":
        this.#want = m.renditions;
        this.#obey();
        return;
      case "key-wanted": {
        const lane = this.#lanes.get(m.rendition);
        if (lane !== undefined) lane.keyWanted = true;
        return;
      }
      default:
        return unreachable(m);
    }
  }

  /** Has an encoder for each rendition wanted, and for no other. */
  #obey(): void {
    if (this.#offer === undefined) return; // done when there is one again
    for (const [id, lane] of this.#lanes) {
      if (this.#want.some((w) => w.id === id)) continue;
      lane.encoder.close();
      this.#lanes.delete(id);
    }
    for (const wanted of this.#want) {
      const lane = this.#lanes.get(wanted.id);
      if (lane !== undefined) {
        lane.wanted = wanted;
        lane.encoder.setBitrate(bitrate(lane));
        continue;
      }
      try {
        const opened = this.#openLane(wanted);
        if (opened !== undefined) this.#lanes.set(wanted.id, opened);
      } catch (cause) {
        console.warn("sightline: no encoder could be opened", cause);
        if (wanted.id === h264Id) {
          this.#h264Failures++;
          void this.#prepare();
          return;
        }
      }
    }
    this.#tellState();
    this.#report();
  }

  // --- what we say ---

  #greet(): void {
    if (this.#offer === undefined) return;
    this.#greeted = true;
    this.#write(wire.publisherHello({ agent: "sightline-web/1", source: "browser", renditions: this.#offer.renditions }));
    this.#toldState = "";
    this.#obey();
  }

  #tellState(): void {
    if (!this.#greeted) return;
    const moving = this.#moving();
    const state = !moving ? "stalled" : this.#lanes.size > 0 ? "live" : "idle";
    if (state === this.#toldState) return;
    this.#toldState = state;
    const detail = moving ? "" : "The device that publishes this stream sends no pictures; its page may be in the background.";
    this.#write(wire.publisherStatus({ state, detail, ...(moving ? {} : { cause: "away" as const }), source_width: this.#size?.width ?? 0, source_height: this.#size?.height ?? 0 }));
  }

  #moving(): boolean {
    return localNow() - this.#lastPictureAt < stallAfter;
  }

  #send(lane: Lane, u: Unit): void {
    const id = lane.rendition.id;
    const now = localNow();
    if (u.codecString !== lane.codecString) {
      if (!u.key) return this.#encoderFailed(lane, new Error("the encoder begins without a keyframe"));
      lane.codecString = u.codecString;
      this.#generations.set(id, ((this.#generations.get(id) ?? -1) + 1) & 0xff);
      const { codec, width, height, frame_rate_milli } = lane.rendition;
      this.#write(
        wire.config({
          codec,
          rendition: id,
          generation: this.#generations.get(id) ?? 0,
          width,
          height,
          frameRateMilli: frame_rate_milli,
          targetBitrateBps: bitrate(lane),
          codecString: u.codecString,
        }),
      );
    }
    const seq = ((this.#seqs.get(id) ?? 0) + 1) >>> 0;
    this.#seqs.set(id, seq);
    const encodeDelay = micros(Math.max(0, now - u.capture));
    const messages = wire.media(
      {
        key: u.key,
        discardable: false,
        discontinuity: false,
        rendition: id,
        generation: this.#generations.get(id) ?? 0,
        seq,
        depDelta: u.key ? 0 : 1, // every access unit that the encoder gives is sent
        capture: this.#clock.toServer(u.capture),
        encodeDelay,
      },
      u.data,
    );
    for (const m of messages) this.#write(m);
    lane.encoded++;
    this.#sent++;
    this.#delays.add(now, encodeDelay);
    this.#bits.add(now, u.data.length * 8);
    if (lane === this.#main()) this.#units.add(now, 1);
  }

  /** The rendition that people are told about. */
  #main(): Lane | undefined {
    let best: Lane | undefined;
    for (const lane of this.#lanes.values()) if (best === undefined || lane.rendition.id < best.rendition.id) best = lane;
    return best;
  }

  #tick(): void {
    if (this.#everOpen && this.#socket !== undefined && localNow() - this.#heardAt > silenceLimit) void this.#lost(1006, "");
    this.#tellState();
    this.#report();
  }

  #sendStats(): void {
    if (!this.#greeted || this.#lanes.size === 0) return;
    const now = localNow();
    this.#write(
      wire.publisherStats(
        [...this.#lanes.values()].map((lane) => {
          const stats = {
            id: lane.rendition.id,
            encoded: lane.encoded,
            skipped: lane.skipped,
            encode_p50_us: Math.round(this.#delays.quantile(0.5, now) ?? 0),
            encode_p95_us: Math.round(this.#delays.quantile(0.95, now) ?? 0),
            bitrate_bps: Math.round(this.#bits.perSecond(now)),
          };
          lane.encoded = lane.skipped = 0;
          return stats;
        }),
      ),
    );
  }

  #setPhase(phase: PublishPhase): void {
    this.#phase = phase;
    this.#report();
  }

  #report(): void {
    const now = localNow();
    const main = this.#main();
    const shown = main?.rendition ?? this.#offer?.renditions[0];
    this.#events.report({
      phase: this.#phase,
      wanted: this.#lanes.size > 0,
      moving: this.#moving(),
      sent: this.#sent,
      skipped: this.#skipped,
      fps: this.#units.perSecond(now),
      bitrateBps: this.#bits.perSecond(now),
      width: shown?.width ?? 0,
      height: shown?.height ?? 0,
      codec: main?.codecString || (shown?.codec ?? ""),
      encodeP50: this.#delays.quantile(0.5, now) as Micros | undefined,
      encodeP95: this.#delays.quantile(0.95, now) as Micros | undefined,
      clockError: this.#clock.known ? this.#clock.error : undefined,
    });
  }
}

/** In thousandths of a picture a second; 0: no cap. */
function frameRateCap(lane: Lane): number {
  const wanted = lane.wanted.maxFrameRateMilli;
  if (lane.rendition.id !== jpegId) return wanted;
  return wanted === 0 ? lane.rendition.frame_rate_milli : Math.min(wanted, lane.rendition.frame_rate_milli);
}

const bitrate = (lane: Lane): number => lane.wanted.bitrateBps || lane.rendition.max_bitrate_bps;

function sizeOf(image: Image): Size {
  // The displayed size, never the coded one: that has padding in it.
  return image instanceof ImageBitmap ? { width: image.width, height: image.height } : { width: image.displayWidth, height: image.displayHeight };
}

/** The capture time that the browser tells with a frame, on the local clock. */
function toldCapture(frame: VideoFrame): Micros | undefined {
  const metadata: unknown = "metadata" in frame && typeof frame.metadata === "function" ? frame.metadata() : undefined;
  const told: unknown = typeof metadata === "object" && metadata !== null ? Reflect.get(metadata, "captureTime") : undefined;
  return typeof told === "number" ? micros((performance.timeOrigin + told) * 1000) : undefined;
}

/** Script may not see why a handshake was refused; the control API knows whether it is the login. */
async function whyRefused(url: string): Promise<PublishPhase> {
  const address = new URL("/api/v1/session", url.replace(/^ws/, "http"));
  try {
    const answer = await fetch(address, { credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(3_000) });
    if (answer.status === 401) return { name: "denied", why: "You are not logged in. Log in to go on.", login: true };
    if (!answer.ok) return { name: "retrying", why: "The server does not take the connection now. It is tried again." };
    return {
      name: "denied",
      why: "The server does not take this stream from you: your login does not allow it, or the name belongs to one of its own cameras. Choose another name, or ask for a link that lets you publish.",
      login: false,
    };
  } catch {
    return { name: "retrying", why: "The server does not answer. It is tried again." };
  }
}

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
