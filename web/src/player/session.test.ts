// The session between false sockets: when there is a second connection, which of the two stays, and what each is told.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import type { DecoderName, Fragment, Played, Report, Surface, Wishes } from "./messages.ts";
import { Session } from "./session.ts";
import { localNow, micros } from "./units.ts";
import * as wire from "./wire.ts";

class FalseSocket {
  static readonly OPEN = 1;
  static all: FalseSocket[] = [];
  readyState = 0;
  readonly sent: Uint8Array[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((e: { data: ArrayBuffer }) => void) | null = null;
  onclose: ((e: { code: number; reason: string }) => void) | null = null;
  constructor() {
    FalseSocket.all.push(this);
  }
  get closed(): boolean {
    return this.readyState === 3;
  }
  send(b: Uint8Array): void {
    this.sent.push(b.slice());
  }
  close(): void {
    this.readyState = 3;
  }
  async open(): Promise<void> {
    this.readyState = FalseSocket.OPEN;
    this.onopen?.();
    await settled();
  }
  say(...messages: Uint8Array<ArrayBuffer>[]): void {
    for (const m of messages) this.onmessage?.({ data: m.slice().buffer });
  }
  status(more: object = {}): void {
    const body = new TextEncoder().encode(JSON.stringify({ stream: "door", state: "live", ...more }));
    this.say(Uint8Array.of(6, ...body));
  }
  picture(seq: number): void {
    const head = { key: true, discardable: false, discontinuity: false, rendition: 1, generation: 1, seq, depDelta: 0, encodeDelay: micros(0) };
    this.say(...wire.media({ ...head, capture: localNow() }, Uint8Array.of(0xff, 0xd8)));
  }
  /** Gives the time to whoever asked last for it, of a clock that is the player's. */
  answer(): void {
    const asked = this.sent.findLast((b) => b[0] === 0x81);
    assert.ok(asked !== undefined, "nobody asked");
    const t1 = asked.subarray(4, 12);
    this.say(Uint8Array.of(3, 0, ...asked.subarray(2, 4), ...t1, ...t1, ...t1));
  }
  /** What was told with CTRL: [op, argument]. */
  orders(): number[][] {
    return this.sent.filter((b) => b[0] === 0x84).map((b) => [b[1] ?? 0, ((b[2] ?? 0) << 8) | (b[3] ?? 0)]);
  }
  hello(): unknown {
    const b = this.sent.find((m) => m[0] === 0x80);
    return b && JSON.parse(new TextDecoder().decode(b.subarray(1)));
  }
}

const settled = () => new Promise((done) => setImmediate(done));
const config = wire.config({ codec: "jpeg", rendition: 1, generation: 1, width: 640, height: 368, frameRateMilli: 10_000, targetBitrateBps: 0, codecString: "jpeg" });
const wishes: Wishes = { maxHeight: 720, visible: true, quality: "auto", mode: "live" };
const renditions = [{ id: 4, name: "368p", codec: "h264", width: 654, height: 368, frame_rate_milli: 30_000, min_bitrate_bps: 1, max_bitrate_bps: 2 }];

let now = 0;
let report: Report | undefined;
let session: Session;
let surfacesWanted: DecoderName[];

const sockets = () => FalseSocket.all;
const socket = (i: number): FalseSocket => {
  const s = FalseSocket.all[i];
  assert.ok(s !== undefined, `socket ${i}`);
  return s;
};

/** So many milliseconds pass; each 100 ms does is called. */
async function pass(ms: number, does: () => void = () => undefined): Promise<void> {
  for (const end = now + ms; now < end; ) {
    now += 100;
    mock.timers.tick(100);
    does();
    await settled();
  }
}

function start(some: Partial<Wishes> = {}, decoders: DecoderName[] = ["jpeg"]): void {
  session = new Session({ type: "start", url: "wss://host/ws/watch/door", ticketed: false, decoders, wishes: { ...wishes, ...some } }, {
    report: (r) => (report = r),
    ticketWanted: () => assert.fail("a ticket"),
    surfaceWanted: (decoder) => surfacesWanted.push(decoder),
  });
}

/** A stream that is live and whose pictures come. */
async function running(): Promise<void> {
  start();
  await socket(0).open();
  socket(0).status();
  socket(0).say(config);
  let seq = 0;
  await pass(1_000, () => socket(0).picture(seq++));
  assert.equal(report?.phase.name, "open");
}

beforeEach(() => {
  now = 1_000_000;
  FalseSocket.all = [];
  surfacesWanted = [];
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  mock.method(performance, "now", () => now);
  mock.method(console, "warn", () => undefined);
  Object.assign(globalThis, { WebSocket: FalseSocket, createImageBitmap: () => Promise.resolve({ close() {} }) });
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

test("while pictures come there is one connection", async () => {
  await running();
  let seq = 100;
  await pass(10_000, () => socket(0).picture(seq++));
  assert.equal(sockets().length, 1);
});

test("a silent connection is raced by a second, which stays if its picture is first", async () => {
  await running();
  await pass(1_500);
  assert.ok(sockets().length > 1, "a second one");
  const second = socket(sockets().length - 1);
  assert.ok(!socket(0).closed, "the first may still come back");
  await second.open();
  second.status();
  second.say(config);
  assert.ok(!socket(0).closed, "words are no picture");
  second.picture(200);
  assert.ok(socket(0).closed && !second.closed);
  await pass(300);
  assert.equal(report?.takeovers, 1);
  assert.equal(report?.phase.name, "open");
  socket(0).picture(50);
  assert.ok(!second.closed, "the first one is not listened to any more");
});

test("the first connection stays if it answers first", async () => {
  await running();
  await pass(1_500);
  const second = socket(sockets().length - 1);
  await second.open();
  socket(0).picture(200);
  await pass(100);
  assert.ok(!second.closed, "a picture tells of one way alone");
  socket(0).answer();
  await pass(100);
  assert.ok(second.closed && !socket(0).closed);
  await pass(300);
  assert.equal(report?.takeovers, 0);
});

test("a second connection that nothing answers is replaced, one that opened is not", async () => {
  await running();
  await pass(2_000);
  const tried = sockets().length;
  assert.ok(tried > 2, `${tried} sockets`);
  assert.ok(sockets().slice(1, -1).every((s) => s.closed));
  await socket(tried - 1).open();
  await pass(2_000);
  assert.equal(sockets().length, tried);
});

test("when the first connection is lost so is the second, and a new one is made after a while", async () => {
  await running();
  await pass(1_500);
  const second = socket(sockets().length - 1);
  socket(0).onclose?.({ code: 1006, reason: "" });
  await settled();
  assert.ok(second.closed);
  assert.equal(report?.phase.name, "retrying");
  const before = sockets().length;
  await pass(300);
  assert.equal(sockets().length, before + 1);
});

test("out of sight there is no second connection, and the server is told", async () => {
  await running();
  session.setWishes({ ...wishes, visible: false });
  assert.deepEqual(socket(0).orders().at(-1), [wire.CtrlOp.pause, 0]);
  await pass(5_000);
  assert.equal(sockets().length, 1);
  session.setWishes(wishes);
  assert.deepEqual(socket(0).orders().at(-1), [wire.CtrlOp.resume, 0]);
});

test("a handshake that nothing answers is given up", async () => {
  start();
  await pass(4_900);
  assert.equal(sockets().length, 1);
  await pass(500);
  assert.ok(socket(0).closed);
  assert.equal(sockets().length, 2);
});

test("HELLO says the mode, and every connection is told the preference", async () => {
  start({ mode: "smooth", quality: "detail" });
  await socket(0).open();
  assert.equal(Reflect.get(Object(socket(0).hello()), "mode"), "smooth");
  const detail = [[wire.CtrlOp.auto, 0], [wire.CtrlOp.prefer, wire.Preference.detail]];
  assert.deepEqual(socket(0).orders(), detail);
  socket(0).onclose?.({ code: 1001, reason: "" });
  await pass(300);
  await socket(1).open();
  assert.deepEqual(socket(1).orders(), detail);
});

test("nothing is asked for by those who want nothing special", async () => {
  start();
  await socket(0).open();
  assert.deepEqual(socket(0).orders(), []);
});

test("a rendition is asked for by the id that its name has, whenever that is told anew", async () => {
  start({ quality: "rendition:368p" });
  await socket(0).open();
  socket(0).status({ renditions });
  assert.deepEqual(socket(0).orders().at(-2), [wire.CtrlOp.rendition, 4]);
  socket(0).status({ renditions: [{ ...renditions[0], id: 9 }] });
  assert.deepEqual(socket(0).orders().at(-2), [wire.CtrlOp.rendition, 9]);
  session.setWishes({ ...wishes, quality: "low" });
  assert.deepEqual(socket(0).orders().slice(-2), [[wire.CtrlOp.auto, 0], [wire.CtrlOp.prefer, wire.Preference.low]]);
});

// --- what a <video> decodes ---

const h264 = wire.config({ codec: "h264", rendition: 1, generation: 1, width: 640, height: 368, frameRateMilli: 30_000, targetBitrateBps: 0, codecString: "avc1.42c01f" });
const keyframe = Uint8Array.of(0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0x8c, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0, 0, 0, 1, 0x65, 0xb8);
const delta = Uint8Array.of(0, 0, 0, 1, 0x41, 0x9a);

function unit(s: FalseSocket, seq: number, key: boolean, capture = localNow()): void {
  const head = { key, discardable: false, discontinuity: false, rendition: 1, generation: 1, seq, depDelta: key ? 0 : 1, encodeDelay: micros(0) };
  s.say(...wire.media({ ...head, capture }, key ? keyframe : delta));
}

/** The page's end of a <video>. */
class FalsePort {
  readonly got: Fragment[] = [];
  onmessage: ((e: { data: Played }) => void) | null = null;
  postMessage(f: Fragment): void {
    this.got.push(f);
  }
  close(): void {
    // Nothing to do.
  }
  fail(): void {
    this.onmessage?.({ data: { type: "failed", why: "no more" } });
  }
  get surface(): Surface {
    return { kind: "mse", port: this as unknown as MessagePort };
  }
}

async function playing(decoders: DecoderName[] = ["mse", "jpeg"]): Promise<FalsePort> {
  start({}, decoders);
  const port = new FalsePort();
  session.setSurface(port.surface);
  await socket(0).open();
  socket(0).status();
  socket(0).say(h264);
  return port;
}

const keysWanted = (s: FalseSocket) => s.sent.filter((b) => b[0] === 0x83).length;

test("a <video> is given each unit once, with the file's header before the first", async () => {
  const port = await playing();
  assert.deepEqual(socket(0).hello(), { player: "sightline-web/1", codecs: ["h264", "jpeg"], max_height: 720, mode: "live" });
  let seq = 0;
  await pass(1_000, () => unit(socket(0), seq++, seq === 1));
  assert.equal(port.got.length, seq);
  assert.deepEqual(port.got.map((f) => [f.key, f.codec]).slice(0, 3), [[true, "avc1.42c01f"], [false, undefined], [false, undefined]]);
  assert.equal(report?.decoder, "mse");
});

test("a <video> is not given what the path held back, and goes on from a keyframe", async () => {
  const port = await playing();
  let seq = 0;
  await pass(2_000, () => unit(socket(0), seq++, seq === 1));
  const [before, wanted] = [port.got.length, keysWanted(socket(0))];
  const old = localNow();
  await pass(400);
  unit(socket(0), seq++, false, old);
  unit(socket(0), seq++, false, micros(old + 33_000));
  assert.equal(port.got.length, before);
  assert.ok(keysWanted(socket(0)) > wanted);
  unit(socket(0), seq++, true);
  unit(socket(0), seq++, false);
  assert.deepEqual(port.got.slice(before).map((f) => f.key), [true, false]);
});

test("a <video> that failed is replaced, and after the second time in half a minute JPEG is asked for on a new connection", async () => {
  const port = await playing();
  unit(socket(0), 0, true);
  port.fail();
  assert.deepEqual(surfacesWanted, ["mse"]);
  const second = new FalsePort();
  session.setSurface(second.surface);
  unit(socket(0), 1, false);
  assert.equal(second.got.length, 0, "a delta without its keyframe");
  unit(socket(0), 2, true);
  assert.equal(second.got[0]?.codec, "avc1.42c01f");
  second.fail();
  assert.deepEqual(surfacesWanted, ["mse", "jpeg"]);
  assert.ok(socket(0).closed);
  await socket(1).open();
  assert.deepEqual(socket(1).hello(), { player: "sightline-web/1", codecs: ["jpeg"], max_height: 720, mode: "live" });
});

test("where nothing decodes the player says so, and does not connect again", async () => {
  start({}, []);
  await socket(0).open();
  assert.equal(report?.phase.name, "unsupported");
  await pass(20_000);
  assert.equal(sockets().length, 1);
});
