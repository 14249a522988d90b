// The session between a false socket and a false encoder: what the server's orders come to, and in which order things are sent.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { localNow, micros, type Micros } from "../player/units.ts";
import * as wire from "../player/wire.ts";
import type { PublishReport } from "./messages.ts";
import { Publishing } from "./session.ts";

const keyframe = Uint8Array.from(Buffer.from("000000016742c01f8c8d0000000168ce3c800000000165b80004", "hex"));
const delta = Uint8Array.from(Buffer.from("0000000161e0004000be", "hex"));

class FalseSocket {
  static readonly OPEN = 1;
  static last: FalseSocket | undefined;
  readyState = 0;
  bufferedAmount = 0;
  readonly sent: Uint8Array[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((e: { data: unknown }) => void) | null = null;
  onclose: ((e: { code: number; reason: string }) => void) | null = null;
  constructor() {
    FalseSocket.last = this;
  }
  send(b: Uint8Array): void {
    this.sent.push(b.slice());
    // Every question for the time is answered at once: the server's clock is one second ahead.
    if (b[0] !== 0x81) return;
    const v = new DataView(new ArrayBuffer(28));
    v.setUint8(0, 3);
    new Uint8Array(v.buffer).set(b.subarray(2, 12), 2);
    const t1 = new DataView(b.buffer, b.byteOffset).getBigInt64(4);
    for (const at of [12, 20]) v.setBigInt64(at, t1 + 1_000_000n);
    this.say(v.buffer);
  }
  say(data: ArrayBuffer): void {
    queueMicrotask(() => this.onmessage?.({ data }));
  }
  close(): void {
    this.readyState = 3;
  }
  open(): void {
    this.readyState = FalseSocket.OPEN;
    this.onopen?.();
  }
  types(): number[] {
    return this.sent.map((b) => b[0] ?? -1).filter((t) => t !== 0x81 && t !== 0x85);
  }
  /** The MEDIA sent so far. */
  media(): wire.Media[] {
    return this.sent.filter((b) => b[0] === 1).map((b) => {
      const m = wire.parse(Uint8Array.from(b).buffer);
      assert.ok(m?.type === "media");
      return m;
    });
  }
}

class FalseEncoder {
  static configured: VideoEncoderConfig[] = [];
  static keys: boolean[] = [];
  /** Pictures held back before the first comes out. */
  static holdsBack = 0;
  static queue = 0;
  static live = 0;
  static isConfigSupported = (config: VideoEncoderConfig) => Promise.resolve({ supported: true, config });
  state = "unconfigured";
  readonly #out: (c: unknown) => void;
  #waiting: unknown[] = [];
  constructor(init: { output: (c: unknown) => void }) {
    this.#out = init.output;
    FalseEncoder.live++;
  }
  get encodeQueueSize(): number {
    return FalseEncoder.queue;
  }
  configure(c: VideoEncoderConfig): void {
    this.state = "configured";
    FalseEncoder.configured.push(c);
  }
  encode(frame: { timestamp: number }, options?: { keyFrame?: boolean }): void {
    const key = options?.keyFrame === true;
    if (options !== undefined) FalseEncoder.keys.push(key);
    const bytes = key ? keyframe : delta;
    this.#waiting.push({ type: key ? "key" : "delta", timestamp: frame.timestamp, byteLength: bytes.length, copyTo: (to: Uint8Array) => to.set(bytes) });
    if (this.#waiting.length > FalseEncoder.holdsBack) this.#out(this.#waiting.shift());
  }
  close(): void {
    this.state = "closed";
    FalseEncoder.live--;
  }
}

class FalseFrame {
  static open = 0;
  readonly timestamp: number;
  displayWidth = 1280;
  displayHeight = 720;
  constructor(_: unknown, init: { timestamp: number }) {
    this.timestamp = init.timestamp;
    FalseFrame.open++;
  }
  close(): void {
    FalseFrame.open--;
  }
}

class FalseCanvas {
  getContext(): unknown {
    return { fillRect() {}, drawImage() {} };
  }
  convertToBlob(): Promise<Blob> {
    return Promise.resolve(new Blob([Uint8Array.of(0xff, 0xd8, 0xff, 0xd9)], { type: "image/jpeg" }));
  }
}

const globals = { WebSocket: FalseSocket, VideoEncoder: FalseEncoder, VideoFrame: FalseFrame, OffscreenCanvas: FalseCanvas, ImageBitmap: class {} };
let publishing: Publishing;
let report: PublishReport | undefined;

beforeEach(() => {
  for (const [name, value] of Object.entries(globals)) Reflect.set(globalThis, name, value);
  FalseSocket.last = undefined;
  FalseEncoder.configured = [];
  FalseEncoder.keys = [];
  FalseEncoder.holdsBack = FalseEncoder.queue = FalseEncoder.live = FalseFrame.open = 0;
});
afterEach(() => {
  publishing.close();
  assert.equal(FalseFrame.open, 0, "pictures left open");
  assert.equal(FalseEncoder.live, 0, "encoders left open");
});

/** Lets everything happen that waits for nothing outside. */
const settle = () => new Promise((done) => setImmediate(done));

const picture = (capture: Micros = localNow(), width = 1280, height = 720): void => {
  const frame = new FalseFrame(undefined, { timestamp: Math.round(capture) });
  [frame.displayWidth, frame.displayHeight] = [width, height];
  publishing.picture(frame as unknown as VideoFrame, capture);
};

/** A connection that is open and greeted. */
async function connected(codec: "best" | "jpeg" = "best"): Promise<FalseSocket> {
  publishing = new Publishing("wss://h/ws/publish/door", codec, 30, { report: (r) => (report = r) });
  picture();
  for (let i = 0; i < 5; i++) await settle();
  const socket = FalseSocket.last;
  assert.ok(socket, "no connection after the first picture");
  socket.open();
  await settle();
  return socket;
}

const want = (...renditions: { id: number; bitrate_bps?: number; max_frame_rate_milli?: number }[]): ArrayBuffer =>
  Uint8Array.of(7, ...new TextEncoder().encode(JSON.stringify({ renditions }))).buffer;
const keyReq = (id: number): ArrayBuffer => Uint8Array.of(0x83, id, 2, 0, 0, 0, 0, 0).buffer;

function offered(socket: FalseSocket): wire.Rendition[] {
  const b = socket.sent.findLast((m) => m[0] === 0x80);
  assert.ok(b);
  return (JSON.parse(new TextDecoder().decode(b.subarray(1))) as wire.PublisherHello).renditions as wire.Rendition[];
}

test("HELLO and STATUS come once the clock is known; nothing is encoded unwatched", async () => {
  const socket = await connected();
  assert.deepEqual(socket.sent.slice(0, 3).map((b) => b[0]), [0x81, 0x80, 0x06]);
  assert.deepEqual(offered(socket).map((r) => [r.id, r.codec, r.width, r.height]), [[1, "h264", 1280, 720], [2, "jpeg", 1280, 720]]);
  for (let i = 0; i < 5; i++) picture();
  assert.deepEqual(socket.media(), []);
  assert.equal(report?.wanted, false);
});

test("what is wanted begins with CONFIG and a KEY, and every delta refers to the one before", async () => {
  const socket = await connected();
  socket.say(want({ id: 1 }));
  await settle();
  const captures = Array.from({ length: 4 }, (_, i) => micros(Math.round(localNow()) + i * 33_333));
  for (const c of captures) picture(c);
  assert.deepEqual(socket.types().slice(-5), [0x02, 1, 1, 1, 1]);
  const config = wire.parse(Uint8Array.from(socket.sent.find((b) => b[0] === 2) ?? []).buffer);
  assert.ok(config?.type === "config");
  assert.equal(config.codecString, "avc1.42c01f");
  const media = socket.media();
  assert.deepEqual(media.map((m) => [m.key, m.depDelta]), [[true, 0], [false, 1], [false, 1], [false, 1]]);
  assert.deepEqual(media.map((m) => m.seq - (media[0]?.seq ?? 0)), [0, 1, 2, 3]);
  media.forEach((m, i) => assert.ok(Math.abs(m.capture - (captures[i] ?? 0) - 1_000_000) < 20_000, "capture is on the server's clock"));
});

test("keyframe requests that come together give one keyframe", async () => {
  const socket = await connected();
  socket.say(want({ id: 1 }));
  await settle();
  picture();
  for (let i = 0; i < 3; i++) socket.say(keyReq(1));
  await settle();
  for (let i = 0; i < 3; i++) picture();
  assert.deepEqual(FalseEncoder.keys, [true, true, false, false]);
  assert.equal(socket.sent.filter((b) => b[0] === 2).length, 1);
});

test("a new bitrate reaches the encoder without a keyframe or a new encoder", async () => {
  const socket = await connected();
  socket.say(want({ id: 1 }));
  await settle();
  picture();
  const before = FalseEncoder.live;
  for (const bitrate_bps of [600_000, 600_000, 900_000]) {
    socket.say(want({ id: 1, bitrate_bps }));
    await settle();
    picture();
  }
  assert.deepEqual(FalseEncoder.configured.slice(-3).map((c) => c.bitrate), [2_500_000, 600_000, 900_000]);
  assert.equal(FalseEncoder.live, before);
  assert.deepEqual(FalseEncoder.keys, [true, false, false, false]);
});

test("a frame rate wanted is kept by leaving pictures out before the encoder", async () => {
  const socket = await connected();
  socket.say(want({ id: 1, max_frame_rate_milli: 10_000 }));
  await settle();
  for (let i = 0; i < 30; i++) picture(micros(Math.round(localNow()) + i * 33_333));
  assert.ok(Math.abs(socket.media().length - 10) <= 1, `${socket.media().length}`);
});

test("what is not wanted any more is stopped, and begins again with a KEY and rising numbers", async () => {
  const socket = await connected();
  socket.say(want({ id: 1 }));
  await settle();
  picture();
  socket.say(want());
  await settle();
  picture();
  assert.equal(FalseEncoder.live, 0);
  assert.equal(socket.media().length, 1);
  socket.say(want({ id: 1 }));
  await settle();
  picture();
  const [first, second] = socket.media();
  assert.ok(first !== undefined && second !== undefined && second.key && second.seq > first.seq);
});

test("nothing is encoded while the network or the encoder has enough, and no reference is missed", async () => {
  const socket = await connected();
  socket.say(want({ id: 1 }));
  await settle();
  picture();
  socket.bufferedAmount = 100_000;
  for (let i = 0; i < 5; i++) picture();
  socket.bufferedAmount = 0;
  FalseEncoder.queue = 3;
  for (let i = 0; i < 5; i++) picture();
  FalseEncoder.queue = 2;
  picture();
  assert.deepEqual(socket.media().map((m) => [m.key, m.depDelta]), [[true, 0], [false, 1]]);
  assert.equal(FalseEncoder.keys.length, 2);
});

test("a phone that is turned: another HELLO, CONFIG, and a KEY", async () => {
  const socket = await connected();
  socket.say(want({ id: 1 }));
  await settle();
  picture();
  picture(localNow(), 720, 1280);
  for (let i = 0; i < 5; i++) await settle();
  picture(localNow(), 720, 1280);
  assert.deepEqual(offered(socket).map((r) => [r.width, r.height]), [[720, 1280], [720, 1280]]);
  const configs = socket.sent.filter((b) => b[0] === 2).map((b) => wire.parse(Uint8Array.from(b).buffer));
  assert.deepEqual(configs.map((c) => c?.type === "config" && [c.generation, c.width, c.height]), [[0, 1280, 720], [1, 720, 1280]]);
  assert.deepEqual(socket.media().map((m) => [m.generation, m.key]), [[0, true], [1, true]]);
});

test("an encoder that holds pictures back is not used: JPEG is all that is offered", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  FalseEncoder.holdsBack = 40;
  publishing = new Publishing("wss://h/ws/publish/door", "best", 30, { report: (r) => (report = r) });
  picture();
  for (let i = 0; i < 5; i++) await settle();
  assert.equal(FalseSocket.last, undefined, "it is still being tried");
  t.mock.timers.tick(1_000);
  for (let i = 0; i < 5; i++) await settle();
  const socket = FalseSocket.last as FalseSocket | undefined;
  assert.ok(socket);
  socket.open();
  await settle();
  assert.deepEqual(offered(socket).map((r) => r.codec), ["jpeg"]);
  socket.say(want({ id: 2 }));
  await settle();
  picture();
  for (let i = 0; i < 5; i++) await settle();
  assert.deepEqual(socket.media().map((m) => [m.key, m.depDelta, m.payload.length]), [[true, 0, 4]]);
});

test("a stream that another has is asked for again", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const socket = await connected();
  socket.onclose?.({ code: 4409, reason: "taken" });
  await settle();
  assert.equal(report?.phase.name, "taken");
  t.mock.timers.tick(300);
  assert.notEqual(FalseSocket.last, socket);
});

test("bytes that break the protocol end the connection, and it is tried again", async () => {
  const socket = await connected();
  socket.say(Uint8Array.of(7, 0x7b).buffer);
  await settle();
  await settle();
  assert.equal(socket.readyState, 3);
  assert.equal(report?.phase.name, "retrying");
});
