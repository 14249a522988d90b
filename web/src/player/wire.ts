// The messages of protocol sightline.v1 as a viewer and a publisher read and write them; docs/protocol.md is the specification.
// Pure: bytes in, values out, and the reverse.

import { micros, type Micros } from "./units.ts";

export const subprotocol = "sightline.v1";

const headerLen = 32;
const maxMessageLen = 64 << 10;
const maxChunkPayload = 16_256;
const maxAccessUnitLen = 8 << 20;
const maxCodecString = 64;
const maxRenditions = 16;

/** The server sent bytes that break the specification. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** One chunk of one access unit. */
export interface Media {
  readonly type: "media";
  readonly key: boolean;
  readonly discardable: boolean;
  readonly discontinuity: boolean;
  readonly rendition: number;
  readonly generation: number;
  readonly seq: number;
  /** seq minus that of the access unit it refers to; 0 if and only if key. */
  readonly depDelta: number;
  readonly chunkIndex: number;
  readonly chunkCount: number;
  /** Capture time on the server's epoch. */
  readonly capture: Micros;
  readonly encodeDelay: Micros;
  /** Bytes of the whole access unit. */
  readonly totalLen: number;
  /** A view into the message, not a copy. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** What a rendition is; a KEY of it follows. */
export interface Config {
  readonly type: "config";
  readonly codec: "h264" | "jpeg";
  readonly rendition: number;
  readonly generation: number;
  readonly width: number;
  readonly height: number;
  /** 0 if not known. */
  readonly frameRateMilli: number;
  readonly targetBitrateBps: number;
  readonly codecString: string;
}

export interface TimeResp {
  readonly type: "time-resp";
  readonly id: number;
  /** Our clock when we asked, echoed. */
  readonly t1: Micros;
  readonly t2: Micros;
  readonly t3: Micros;
}

/** The rest of this access unit's chunks will not come. */
export interface Abort {
  readonly type: "abort";
  readonly rendition: number;
  readonly seq: number;
}

const streamStates = ["connecting", "idle", "live", "offline", "stalled", "ended", "waiting", "restarting"] as const;
export type StreamState = (typeof streamStates)[number];

export interface Status {
  readonly type: "status";
  readonly stream: string;
  readonly state: StreamState;
  /** One sentence for people, and the server's word for it, or empty. */
  readonly detail: string;
  readonly cause: string;
  readonly rendition: number;
  readonly since: Micros;
  /** Access units not sent to this viewer, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
  /** What keeps this viewer from getting more, as the server sees it; empty: nothing does. */
  readonly limit: Limit;
  /** What this viewer's network is known to carry; 0: more than is sent. */
  readonly carriesBps: number;
  /** Keyframes alone are sent, each when the one before has arrived. */
  readonly stills: boolean;
  /** When the viewer's leave ends; 0: it is not known to. */
  readonly until: Micros;
  /** What the viewer may ask for; undefined: as last told. */
  readonly renditions: readonly Rendition[] | undefined;
}

const limits = ["", "network", "size", "shared"] as const;
export type Limit = (typeof limits)[number];

export type ServerMessage = Media | Config | TimeResp | Abort | Status | { readonly type: "pad" };

/** One rendition that a publisher is to encode. */
export interface Wanted {
  readonly id: number;
  /** 0: the publisher's default. */
  readonly bitrateBps: number;
  /** 0: no cap. */
  readonly maxFrameRateMilli: number;
}

/** All that a publisher is to encode from now on. */
export interface Want {
  readonly type: "want";
  readonly renditions: readonly Wanted[];
}

/** The next access unit of this rendition is to be a KEY. */
export interface KeyWanted {
  readonly type: "key-wanted";
  readonly rendition: number;
  readonly reason: KeyReason;
  readonly lastGood: number;
}

export type PublisherOrder = TimeResp | Want | KeyWanted;

/** Reads one message of the server to a viewer; undefined for a type this version does not know. Throws ProtocolError. */
export function parse(message: ArrayBuffer): ServerMessage | undefined {
  const v = view(message);
  switch (v.getUint8(0)) {
    case 0x01:
      return parseMedia(message, v);
    case 0x02:
      return parseConfig(message, v);
    case 0x03:
      return parseTimeResp(v);
    case 0x04:
      return { type: "pad" };
    case 0x05:
      exactly(v, "ABORT", 8);
      return { type: "abort", rendition: v.getUint8(2), seq: v.getUint32(4) };
    case 0x06:
      return parseStatus(message);
    default:
      return undefined;
  }
}

/** Reads one message of the server to a publisher; undefined for a type this version does not know. Throws ProtocolError. */
export function parseForPublisher(message: ArrayBuffer): PublisherOrder | undefined {
  const v = view(message);
  switch (v.getUint8(0)) {
    case 0x03:
      return parseTimeResp(v);
    case 0x07:
      return parseWant(message);
    case 0x83:
      return parseKeyReq(v);
    default:
      return undefined;
  }
}

function view(message: ArrayBuffer): DataView<ArrayBuffer> {
  if (message.byteLength === 0) throw new ProtocolError("empty message");
  if (message.byteLength > maxMessageLen) throw new ProtocolError(`message of ${message.byteLength} bytes`);
  return new DataView(message);
}

function parseTimeResp(v: DataView): TimeResp {
  exactly(v, "TIME_RESP", 28);
  return { type: "time-resp", id: v.getUint16(2), t1: time(v, 4), t2: time(v, 12), t3: time(v, 20) };
}

function parseKeyReq(v: DataView): KeyWanted {
  exactly(v, "KEYREQ", 8);
  const reason = Object.values(KeyReason).find((r) => r === v.getUint8(2));
  if (reason === undefined) throw new ProtocolError(`KEYREQ: reason ${v.getUint8(2)}`);
  return { type: "key-wanted", rendition: v.getUint8(1), reason, lastGood: v.getUint32(4) };
}

function parseWant(message: ArrayBuffer): Want {
  const list = parseJSON(message, "WANT")["renditions"];
  if (!Array.isArray(list) || list.length > maxRenditions) throw new ProtocolError("WANT: no list of at most 16 renditions");
  const renditions = list.map((item: unknown): Wanted => {
    const r = record(item, "WANT: rendition");
    return {
      id: count(r["id"], 0xff),
      bitrateBps: count(r["bitrate_bps"] ?? 0),
      maxFrameRateMilli: count(r["max_frame_rate_milli"] ?? 0),
    };
  });
  if (new Set(renditions.map((r) => r.id)).size < renditions.length) throw new ProtocolError("WANT: a rendition twice");
  return { type: "want", renditions };
}

function count(value: unknown, most = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isInteger(value)) throw new ProtocolError("WANT: no whole number");
  const n = value as number;
  if (n < 0 || n > most) throw new ProtocolError(`WANT: ${n}`);
  return n;
}

function parseMedia(message: ArrayBuffer, v: DataView<ArrayBuffer>): Media {
  if (v.byteLength < headerLen) throw new ProtocolError(`MEDIA of ${v.byteLength} bytes`);
  const flags = v.getUint8(1);
  const m: Media = {
    type: "media",
    key: (flags & 1) !== 0,
    discardable: (flags & 2) !== 0,
    discontinuity: (flags & 4) !== 0,
    rendition: v.getUint8(2),
    generation: v.getUint8(3),
    seq: v.getUint32(4),
    depDelta: v.getUint16(8),
    chunkIndex: v.getUint16(10),
    chunkCount: v.getUint16(12),
    capture: time(v, 16),
    encodeDelay: micros(v.getUint32(24)),
    totalLen: v.getUint32(28),
    payload: new Uint8Array(message, headerLen),
  };
  if (m.totalLen === 0 || m.totalLen > maxAccessUnitLen) throw new ProtocolError(`MEDIA: access unit of ${m.totalLen} bytes`);
  if (m.chunkCount !== Math.ceil(m.totalLen / maxChunkPayload)) {
    throw new ProtocolError(`MEDIA: ${m.chunkCount} chunks for ${m.totalLen} bytes`);
  }
  if (m.chunkIndex >= m.chunkCount) throw new ProtocolError(`MEDIA: chunk ${m.chunkIndex} of ${m.chunkCount}`);
  if (m.key !== (m.depDelta === 0)) throw new ProtocolError(`MEDIA: dep_delta ${m.depDelta}, key ${m.key}`);
  const last = m.chunkIndex === m.chunkCount - 1;
  const want = last ? m.totalLen - m.chunkIndex * maxChunkPayload : maxChunkPayload;
  if (m.payload.length !== want) throw new ProtocolError(`MEDIA: chunk of ${m.payload.length} bytes, want ${want}`);
  return m;
}

/** Where in its access unit a chunk's payload begins. */
export const chunkOffset = (m: Media): number => m.chunkIndex * maxChunkPayload;

function parseConfig(message: ArrayBuffer, v: DataView): Config {
  if (v.byteLength < 17) throw new ProtocolError(`CONFIG of ${v.byteLength} bytes`);
  const codec = v.getUint8(1);
  if (codec !== 1 && codec !== 2) throw new ProtocolError(`CONFIG: codec ${codec}`);
  const n = v.getUint8(16);
  if (n === 0 || n > maxCodecString) throw new ProtocolError(`CONFIG: codec string of ${n} bytes`);
  exactly(v, "CONFIG", 17 + n);
  const codecString = String.fromCharCode(...new Uint8Array(message, 17));
  if (!/^[!-~]+$/.test(codecString)) throw new ProtocolError("CONFIG: codec string is not printable ASCII");
  const c: Config = {
    type: "config",
    codec: codec === 1 ? "h264" : "jpeg",
    rendition: v.getUint8(2),
    generation: v.getUint8(3),
    width: v.getUint16(4),
    height: v.getUint16(6),
    frameRateMilli: v.getUint32(8),
    targetBitrateBps: v.getUint32(12),
    codecString,
  };
  if (c.width === 0 || c.height === 0) throw new ProtocolError(`CONFIG: ${c.width}x${c.height} pixels`);
  return c;
}

function parseJSON(message: ArrayBuffer, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(message, 1)));
  } catch (cause) {
    throw new ProtocolError(`${what} is not JSON`, { cause });
  }
  return record(value, what);
}

function parseStatus(message: ArrayBuffer): Status {
  const s = parseJSON(message, "STATUS");
  const state = streamStates.find((name) => name === s["state"]);
  if (state === undefined) throw new ProtocolError("STATUS: unknown state");
  const limit = limits.find((name) => name === (s["limit"] ?? ""));
  if (limit === undefined) throw new ProtocolError("STATUS: unknown limit");
  const dropped: Record<string, number> = {};
  if (s["dropped"] !== undefined) {
    for (const [reason, count] of Object.entries(record(s["dropped"], "STATUS dropped"))) dropped[reason] = number(count, "dropped");
  }
  return {
    type: "status",
    stream: text(s["stream"] ?? "", "stream"),
    state,
    detail: text(s["detail"] ?? "", "detail"),
    cause: text(s["cause"] ?? "", "cause"),
    rendition: number(s["rendition"] ?? 0, "rendition"),
    since: micros(number(s["since"] ?? 0, "since")),
    dropped,
    limit,
    carriesBps: number(s["carries_bps"] ?? 0, "carries_bps"),
    stills: s["stills"] === true,
    until: micros(number(s["until"] ?? 0, "until")),
    renditions: s["renditions"] === undefined ? undefined : parseRenditions(s["renditions"]),
  };
}

function parseRenditions(value: unknown): readonly Rendition[] {
  if (!Array.isArray(value)) throw new ProtocolError("STATUS: renditions is not a list");
  return value.map((entry: unknown) => {
    const r = record(entry, "STATUS rendition");
    const codec = r["codec"];
    if (codec !== "h264" && codec !== "jpeg") throw new ProtocolError("STATUS: unknown codec");
    return {
      id: number(r["id"], "id"),
      name: text(r["name"], "name"),
      codec,
      width: number(r["width"], "width"),
      height: number(r["height"], "height"),
      frame_rate_milli: number(r["frame_rate_milli"], "frame_rate_milli"),
      min_bitrate_bps: number(r["min_bitrate_bps"], "min_bitrate_bps"),
      max_bitrate_bps: number(r["max_bitrate_bps"], "max_bitrate_bps"),
    };
  });
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new ProtocolError(`${what} is not an object`);
  return value as Record<string, unknown>;
}

function text(value: unknown, key: string): string {
  if (typeof value !== "string") throw new ProtocolError(`STATUS: ${key} is not text`);
  return value;
}

function number(value: unknown, key: string): number {
  if (typeof value !== "number") throw new ProtocolError(`STATUS: ${key} is not a number`);
  return value;
}

function exactly(v: DataView, name: string, want: number): void {
  if (v.byteLength !== want) throw new ProtocolError(`${name} of ${v.byteLength} bytes, want ${want}`);
}

/** An i64. Beyond 2^53 µs, which is 285 years, the low bits are lost. */
function time(v: DataView, at: number): Micros {
  return micros(v.getInt32(at) * 2 ** 32 + v.getUint32(at + 4));
}

function putTime(v: DataView, at: number, t: Micros): void {
  const whole = Math.round(t);
  v.setInt32(at, Math.floor(whole / 2 ** 32));
  v.setUint32(at + 4, whole >>> 0);
}

export interface Hello {
  readonly player: string;
  /** What can be decoded, best first. */
  readonly codecs: readonly string[];
  /** Lines of picture there is room for; 0: no limit. */
  readonly max_height: number;
  /** How it plays what comes. */
  readonly mode: "live" | "smooth";
}

export interface Stats {
  readonly paint_p50_us: number;
  readonly paint_p95_us: number;
  readonly clock_error_us: number;
  readonly painted: number;
  readonly decoded: number;
  readonly dropped: number;
  readonly bitrate_bps: number;
  readonly renderer: string;
  /** Medians of the last second; undefined while nothing is painted. */
  readonly stages_p50_us: { readonly encode: number; readonly network: number; readonly decode: number; readonly show: number } | undefined;
}

export interface Feedback {
  readonly hidden: boolean;
  readonly overloaded: boolean;
  readonly rendition: number;
  readonly seq: number;
  /** When the newest access unit's last chunk arrived, on the server's epoch. */
  readonly arrival: Micros;
  /** Bytes received since the connection opened. */
  readonly received: number;
  readonly decodeQueue: number;
  readonly dropped: number;
  readonly paintP50: Micros;
  readonly clockError: Micros;
}

export const KeyReason = { start: 1, lostReference: 2, decoderError: 3, switched: 4 } as const;
export type KeyReason = (typeof KeyReason)[keyof typeof KeyReason];

export const CtrlOp = { pause: 1, resume: 2, rendition: 3, auto: 4, maxHeight: 5, prefer: 6 } as const;
export type CtrlOp = (typeof CtrlOp)[keyof typeof CtrlOp];

/** What a viewer would rather have where not everything is carried: the argument of CtrlOp.prefer. */
export const Preference = { auto: 0, high: 1, low: 2, saver: 3, detail: 4, motion: 5 } as const;
export type Preference = (typeof Preference)[keyof typeof Preference];

const json = (type: number, value: unknown): Uint8Array<ArrayBuffer> => {
  const body = new TextEncoder().encode(JSON.stringify(value));
  const b = new Uint8Array(1 + body.length);
  b[0] = type;
  b.set(body, 1);
  return b;
};

export const hello = (h: Hello): Uint8Array<ArrayBuffer> => json(0x80, h);
export const stats = (s: Stats): Uint8Array<ArrayBuffer> => json(0x85, s);
export const renew = (ticket: string): Uint8Array<ArrayBuffer> => json(0x86, { ticket });

export function timeReq(id: number, t1: Micros): Uint8Array<ArrayBuffer> {
  const v = new DataView(new ArrayBuffer(12));
  v.setUint8(0, 0x81);
  v.setUint16(2, id);
  putTime(v, 4, t1);
  return new Uint8Array(v.buffer);
}

export function feedback(f: Feedback): Uint8Array<ArrayBuffer> {
  const v = new DataView(new ArrayBuffer(32));
  v.setUint8(0, 0x82);
  v.setUint8(1, (f.hidden ? 1 : 0) | (f.overloaded ? 2 : 0));
  v.setUint8(2, f.rendition);
  v.setUint32(4, f.seq);
  putTime(v, 8, f.arrival);
  v.setUint32(16, f.received);
  v.setUint16(20, Math.min(f.decodeQueue, 0xffff));
  v.setUint16(22, Math.min(f.dropped, 0xffff));
  v.setUint32(24, bounded(f.paintP50));
  v.setUint32(28, bounded(f.clockError));
  return new Uint8Array(v.buffer);
}

const bounded = (us: Micros): number => Math.min(Math.max(Math.round(us), 0), 0xffff_ffff);

export function keyReq(rendition: number, reason: KeyReason, lastGood: number): Uint8Array<ArrayBuffer> {
  const v = new DataView(new ArrayBuffer(8));
  v.setUint8(0, 0x83);
  v.setUint8(1, rendition);
  v.setUint8(2, reason);
  v.setUint32(4, lastGood);
  return new Uint8Array(v.buffer);
}

export function ctrl(op: CtrlOp, argument = 0): Uint8Array<ArrayBuffer> {
  const v = new DataView(new ArrayBuffer(4));
  v.setUint8(0, 0x84);
  v.setUint8(1, op);
  v.setUint16(2, argument);
  return new Uint8Array(v.buffer);
}

// --- what a publisher says ---

/** What a publisher can make, and what a viewer may ask for. */
export interface Rendition {
  readonly id: number;
  readonly name: string;
  readonly codec: "h264" | "jpeg";
  readonly width: number;
  readonly height: number;
  readonly frame_rate_milli: number;
  readonly min_bitrate_bps: number;
  readonly max_bitrate_bps: number;
}

export interface PublisherHello {
  readonly agent: string;
  /** The scheme of the source. */
  readonly source: string;
  readonly renditions: readonly Rendition[];
}

export interface PublisherStatus {
  readonly state: "connecting" | "idle" | "live" | "offline" | "stalled" | "ended";
  /** One sentence for people, and the word for it, or empty. */
  readonly detail: string;
  readonly cause?: "away";
  readonly source_width: number;
  readonly source_height: number;
}

export interface RenditionStats {
  readonly id: number;
  /** Access units since the last STATS. */
  readonly encoded: number;
  /** Pictures that were wanted and did not reach the encoder. */
  readonly skipped: number;
  readonly encode_p50_us: number;
  readonly encode_p95_us: number;
  readonly bitrate_bps: number;
}

export const publisherHello = (h: PublisherHello): Uint8Array<ArrayBuffer> => json(0x80, h);
export const publisherStatus = (s: PublisherStatus): Uint8Array<ArrayBuffer> => json(0x06, s);
export const publisherStats = (renditions: readonly RenditionStats[]): Uint8Array<ArrayBuffer> => json(0x85, { renditions });

/** The CONFIG message that parse reads back as c. */
export function config(c: Omit<Config, "type">): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(c.codecString);
  const v = new DataView(new ArrayBuffer(17 + name.length));
  v.setUint8(0, 0x02);
  v.setUint8(1, c.codec === "h264" ? 1 : 2);
  v.setUint8(2, c.rendition);
  v.setUint8(3, c.generation);
  v.setUint16(4, c.width);
  v.setUint16(6, c.height);
  v.setUint32(8, c.frameRateMilli);
  v.setUint32(12, c.targetBitrateBps);
  v.setUint8(16, name.length);
  const b = new Uint8Array(v.buffer);
  b.set(name, 17);
  return b;
}

/** What each chunk of an access unit carries beside its part of the bytes. */
export type MediaHead = Pick<Media, "key" | "discardable" | "discontinuity" | "rendition" | "generation" | "seq" | "depDelta" | "capture" | "encodeDelay">;

/** The MEDIA messages of one access unit, in the order in which they are sent. data is not empty. */
export function media(h: MediaHead, data: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const chunkCount = Math.ceil(data.length / maxChunkPayload);
  return Array.from({ length: chunkCount }, (_, i) => {
    const part = data.subarray(i * maxChunkPayload, (i + 1) * maxChunkPayload);
    const v = new DataView(new ArrayBuffer(headerLen + part.length));
    v.setUint8(0, 0x01);
    v.setUint8(1, (h.key ? 1 : 0) | (h.discardable ? 2 : 0) | (h.discontinuity ? 4 : 0));
    v.setUint8(2, h.rendition);
    v.setUint8(3, h.generation);
    v.setUint32(4, h.seq);
    v.setUint16(8, h.depDelta);
    v.setUint16(10, i);
    v.setUint16(12, chunkCount);
    putTime(v, 16, h.capture);
    v.setUint32(24, bounded(h.encodeDelay));
    v.setUint32(28, data.length);
    const b = new Uint8Array(v.buffer);
    b.set(part, headerLen);
    return b;
  });
}
