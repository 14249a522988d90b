import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { micros } from "./units.ts";
import * as wire from "./wire.ts";

/** Where the golden vectors are; tests run from the repository's root, or are told by the environment. */
const folder = process.env["WIRE_VECTORS"] ?? "testdata/wire";

interface Vector {
  readonly message: string;
  readonly from: string;
  readonly ok: boolean;
  readonly value: Record<string, unknown>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

function read(name: string): Vector {
  const [header = "", ...body] = readFileSync(join(folder, name), "utf8").split("\n\n");
  const fields = new Map(header.split("\n").map((line): [string, string] => {
    const colon = line.indexOf(": ");
    return [line.slice(0, colon), line.slice(colon + 2)];
  }));
  const expect = fields.get("expect");
  assert.ok(expect === "ok" || expect === "malformed", `${name}: expect is ${expect}`);
  return {
    message: fields.get("message") ?? "",
    from: fields.get("from") ?? "",
    ok: expect === "ok",
    value: JSON.parse(fields.get("value") ?? "{}") as Record<string, unknown>,
    bytes: Uint8Array.from(Buffer.from(body.join("").replace(/\s/g, ""), "hex")),
  };
}

const num = (v: Vector, key: string): number => {
  const n = v.value[key];
  assert.equal(typeof n, "number", key);
  return n as number;
};

/** What a good message of the server must parse to, in the words of the vector. */
function inVectorWords(m: wire.ServerMessage | undefined): Record<string, unknown> {
  switch (m?.type) {
    case "media":
      return {
        Flags: (m.key ? 1 : 0) | (m.discardable ? 2 : 0) | (m.discontinuity ? 4 : 0),
        Rendition: m.rendition,
        Generation: m.generation,
        Seq: m.seq,
        DepDelta: m.depDelta,
        ChunkIndex: m.chunkIndex,
        ChunkCount: m.chunkCount,
        Capture: m.capture,
        EncodeDelay: m.encodeDelay,
        TotalLen: m.totalLen,
      };
    case "config":
      return {
        Codec: m.codec === "h264" ? 1 : 2,
        Rendition: m.rendition,
        Generation: m.generation,
        Width: m.width,
        Height: m.height,
        FrameRateMilli: m.frameRateMilli,
        TargetBitrateBps: m.targetBitrateBps,
        CodecString: m.codecString,
      };
    case "time-resp":
      return { ID: m.id, T1: m.t1, T2: m.t2, T3: m.t3 };
    case "abort":
      return { Rendition: m.rendition, Seq: m.seq };
    case "status": {
      const { type: _, cause, dropped, limit, carriesBps, stills, until, renditions, ...rest } = m;
      return {
        ...rest,
        ...(cause && { cause }),
        ...(Object.keys(dropped).length > 0 && { dropped }),
        ...(limit && { limit }),
        ...(carriesBps && { carries_bps: carriesBps }),
        ...(stills && { stills }),
        ...(until && { until }),
        ...(renditions && { renditions }),
      };
    }
    default:
      return { type: m?.type };
  }
}

/** What a good order of the server to a publisher must parse to, in the words of the vector. */
function orderInVectorWords(m: wire.PublisherOrder | undefined): Record<string, unknown> {
  switch (m?.type) {
    case "want":
      return { renditions: m.renditions.map((r) => ({ id: r.id, bitrate_bps: r.bitrateBps, max_frame_rate_milli: r.maxFrameRateMilli })) };
    case "key-wanted":
      return { Rendition: m.rendition, Reason: m.reason, LastGood: m.lastGood };
    case "time-resp":
      return { ID: m.id, T1: m.t1, T2: m.t2, T3: m.t3 };
    default:
      return { type: undefined };
  }
}

/** The bytes this publisher makes for its own message. */
function marshalForPublisher(v: Vector): Uint8Array {
  switch (v.message) {
    case "HELLO":
      return wire.publisherHello(v.value as unknown as wire.PublisherHello);
    case "STATUS":
      return wire.publisherStatus(v.value as unknown as wire.PublisherStatus);
    case "STATS":
      return wire.publisherStats((v.value as unknown as { renditions: wire.RenditionStats[] }).renditions);
    default:
      throw new Error(`no publisher sends ${v.message}`);
  }
}

/** The bytes this player makes for a viewer's message. */
function marshal(v: Vector): Uint8Array {
  switch (v.message) {
    case "TIME_REQ":
      return wire.timeReq(num(v, "ID"), micros(num(v, "T1")));
    case "FEEDBACK":
      return wire.feedback({
        hidden: (num(v, "Flags") & 1) !== 0,
        overloaded: (num(v, "Flags") & 2) !== 0,
        rendition: num(v, "Rendition"),
        seq: num(v, "Seq"),
        arrival: micros(num(v, "Arrival")),
        received: num(v, "Received"),
        decodeQueue: num(v, "DecodeQueue"),
        dropped: num(v, "Dropped"),
        paintP50: micros(num(v, "PaintP50")),
        clockError: micros(num(v, "ClockError")),
      });
    case "KEYREQ":
      return wire.keyReq(num(v, "Rendition"), num(v, "Reason") as wire.KeyReason, num(v, "LastGood"));
    case "CTRL":
      return wire.ctrl(num(v, "Op") as wire.CtrlOp, num(v, "Arg"));
    case "HELLO":
      return wire.hello(v.value as unknown as wire.Hello);
    case "STATS":
      return wire.stats(v.value as unknown as wire.Stats);
    case "RENEW":
      return wire.renew(String((v.value as { ticket: unknown }).ticket));
    default:
      throw new Error(`no viewer sends ${v.message}`);
  }
}

const names = readdirSync(folder).filter((n) => n.endsWith(".txt"));
const toViewer = new Set(["MEDIA", "CONFIG", "TIME_RESP", "PAD", "ABORT", "STATUS"]);
/** KEYREQ is the same in both directions. */
const toPublisher = new Set(["WANT", "TIME_RESP", "KEYREQ"]);
let parsed = 0;
let marshalled = 0;

for (const name of names) {
  test(`vector ${name}`, (t) => {
    const v = read(name);
    let told = false;
    if (v.from === "server" && toViewer.has(v.message)) {
      told = true;
      parsed++;
      if (v.ok) assert.deepEqual(inVectorWords(wire.parse(v.bytes.buffer)), v.value);
      else assert.throws(() => wire.parse(v.bytes.buffer), wire.ProtocolError);
    }
    if (toPublisher.has(v.message)) {
      told = true;
      parsed++;
      if (v.ok) assert.deepEqual(orderInVectorWords(wire.parseForPublisher(v.bytes.buffer)), v.value);
      else assert.throws(() => wire.parseForPublisher(v.bytes.buffer), wire.ProtocolError);
    }
    if (v.from !== "server" && v.ok) {
      told = true;
      marshalled++;
      assert.deepEqual(Buffer.from(v.from === "viewer" ? marshal(v) : marshalForPublisher(v)), Buffer.from(v.bytes));
    }
    if (v.from === "server" && v.ok && v.message === "CONFIG") {
      // A publisher's CONFIG is the same message.
      const c = wire.parse(v.bytes.buffer);
      assert.ok(c?.type === "config");
      marshalled++;
      assert.deepEqual(Buffer.from(wire.config(c)), Buffer.from(v.bytes));
    }
    if (!told) t.skip(`a malformed ${v.message} from a ${v.from} reaches only the server`);
  });
}

test("the folder of vectors was not empty", () => {
  assert.ok(parsed >= 24, `${parsed} vectors parsed`);
  assert.ok(marshalled >= 11, `${marshalled} vectors marshalled`);
});

test("the chunks of an access unit are those of the vectors, and parse back to its bytes", () => {
  let compared = 0;
  for (const name of names) {
    const v = read(name);
    if (v.message !== "MEDIA" || !v.ok) continue;
    const m = wire.parse(v.bytes.buffer);
    assert.ok(m?.type === "media");
    const data = new Uint8Array(m.totalLen);
    data.set(m.payload, wire.chunkOffset(m));
    const made = wire.media(m, data);
    assert.equal(made.length, m.chunkCount, name);
    assert.deepEqual(Buffer.from(made[m.chunkIndex] ?? []), Buffer.from(v.bytes), name);
    compared++;
  }
  assert.ok(compared >= 3, `${compared} compared`);
  const data = Uint8Array.from({ length: 2 * 16_256 + 5 }, (_, i) => i % 251);
  const head = { key: false, discardable: false, discontinuity: false, rendition: 1, generation: 2, seq: 0xffff_ffff, depDelta: 1, capture: micros(-5), encodeDelay: micros(7) };
  const back = wire.media(head, data).map((b) => {
    const m = wire.parse(b.buffer);
    assert.ok(m?.type === "media");
    assert.equal(m.capture, -5);
    return Buffer.from(m.payload);
  });
  assert.deepEqual(back.map((b) => b.length), [16_256, 16_256, 5]);
  assert.deepEqual(Buffer.concat(back), Buffer.from(data));
});

test("a WANT that is not what the specification says is malformed", () => {
  const want = (body: string) => wire.parseForPublisher(Uint8Array.of(7, ...new TextEncoder().encode(body)).buffer);
  assert.deepEqual(want('{"renditions":[]}'), { type: "want", renditions: [] });
  const many = JSON.stringify({ renditions: Array.from({ length: 17 }, (_, id) => ({ id })) });
  for (const body of ["", "{}", '{"renditions":{}}', '{"renditions":[{}]}', '{"renditions":[{"id":256}]}', '{"renditions":[{"id":1.5}]}', '{"renditions":[{"id":1},{"id":1}]}', many]) {
    assert.throws(() => want(body), wire.ProtocolError, body);
  }
});

test("types that are not known are skipped", () => {
  for (const type of [0x00, 0x07, 0x70, 0x7f, 0x80, 0xf0, 0xff]) {
    assert.equal(wire.parse(Uint8Array.of(type, 1, 2, 3).buffer), undefined);
  }
  for (const type of [0x00, 0x01, 0x06, 0x70, 0x7f, 0x80, 0xf0, 0xff]) {
    assert.equal(wire.parseForPublisher(Uint8Array.of(type, 1, 2, 3).buffer), undefined);
  }
});

test("an empty message, and one over 64 KiB, is malformed", () => {
  assert.throws(() => wire.parse(new ArrayBuffer(0)), wire.ProtocolError);
  assert.throws(() => wire.parse(new ArrayBuffer(65_537)), wire.ProtocolError);
  assert.throws(() => wire.parseForPublisher(new ArrayBuffer(0)), wire.ProtocolError);
  assert.throws(() => wire.parseForPublisher(new ArrayBuffer(65_537)), wire.ProtocolError);
});

test("a status that is not what the specification says is malformed", () => {
  const status = (body: string) => wire.parse(Uint8Array.of(6, ...new TextEncoder().encode(body)).buffer);
  for (const body of ["", "null", "[]", "{", '{"state":7}', '{"state":"happy"}', '{"state":"live","detail":7}', '{"state":"live","dropped":{"queue":"x"}}']) {
    assert.throws(() => status(body), wire.ProtocolError, body);
  }
});

test("whatever the bytes are, parsing gives a message, nothing, or a ProtocolError", () => {
  let seed = 1;
  const next = () => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 16;
  const seeds = names.map((n) => read(n).bytes).filter((b) => b.length > 0);
  let refused = 0;
  for (let i = 0; i < 20_000; i++) {
    const b = Uint8Array.from(seeds[next() % seeds.length] ?? [1]).slice(0, next() % 80 === 0 ? next() % 64 : undefined);
    for (let n = next() % 4; n > 0 && b.length > 0; n--) b[next() % Math.min(b.length, 48)] = next();
    for (const parse of [wire.parse, wire.parseForPublisher]) {
      try {
        parse(b.buffer);
      } catch (e) {
        assert.ok(e instanceof wire.ProtocolError, String(e));
        refused++;
      }
    }
  }
  assert.ok(refused > 1_000 && refused < 40_000, `${refused} refused`);
});
