// WebSockets as a program opens them, below the level of any player.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import WebSocket from "ws";
import { within } from "./wait.mjs";

export const protocol = "sightline.v1";
const type = { media: 0x01, config: 0x02, timeResp: 0x03, hello: 0x80, timeReq: 0x81, feedback: 0x82 };
const micros = () => Math.round(performance.now() * 1000);

/** The handshake was answered with an HTTP status instead. */
export class Refused extends Error {
  constructor(status, body) {
    super(`refused with status ${status}: ${body}`);
    this.status = status;
    this.body = body;
  }
}

export class Socket {
  /** The number of binary messages received. */
  messages = 0;
  #ws;
  #closed;

  /** Throws Refused. ticket goes into the subprotocol, token into the header; origin and cookie as a browser would send them. */
  static async open(server, path, { token, ticket, origin, cookie, subprotocols = [protocol] } = {}) {
    const headers = {};
    if (token !== undefined) headers.Authorization = `Bearer ${token}`;
    if (cookie !== undefined) headers.Cookie = cookie;
    const offered = ticket === undefined ? subprotocols : [...subprotocols, `ticket.${ticket}`];
    const ws = new WebSocket(`wss://${server.host}${path}`, offered, { ca: readFileSync(server.ca), headers, origin, perMessageDeflate: false });
    const socket = new Socket(ws);
    const refused = new Promise((_, failed) => {
      ws.once("unexpected-response", (_, response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (t) => (body += t)).on("end", () => failed(new Refused(response.statusCode, body)));
      });
      ws.once("error", failed);
    });
    refused.catch(() => undefined); // heard below, while it matters
    await within(`an answer to the handshake for ${path}`, 10_000, Promise.race([once(ws, "open"), refused]));
    return socket;
  }

  constructor(ws) {
    this.#ws = ws;
    this.#closed = new Promise((done) => ws.once("close", (code, reason) => done({ code, reason: reason.toString() })));
    ws.on("error", () => undefined); // "close" follows
    ws.on("message", (data, binary) => {
      if (binary) this.messages++;
    });
  }

  get subprotocol() {
    return this.#ws.protocol;
  }
  /** The stream of bytes under the WebSocket, for those who break its rules. */
  get raw() {
    return this.#ws._socket;
  }
  get ended() {
    return this.#ws.readyState >= WebSocket.CLOSING;
  }

  on(event, listener) {
    this.#ws.on(event, listener);
  }
  send(data) {
    this.#ws.send(data);
  }
  json(kind, value) {
    this.send(Buffer.concat([Buffer.from([kind]), Buffer.from(JSON.stringify(value))]));
  }

  /** {code, reason} once it is closed. */
  closed(limit = 10_000) {
    return within("the end of the connection", limit, this.#closed);
  }

  async close() {
    this.#ws.close(1000);
    return await this.closed();
  }
}

/** An honest viewer of a stream: takes every access unit, acknowledges it and checks that none is missing. */
export class Viewer {
  /** Access units received whole. */
  units = 0;
  /** Those of them that are keyframes. */
  keys = 0;
  /** Access units that were missing between two others. */
  missing = 0;
  socket;
  #last = new Map(); // of each rendition
  #timers = [];
  #waiting = [];
  #received = 0; // bytes
  #newest; // access unit not yet acknowledged
  #offset; // the server's epoch minus our clock, µs

  static async join(server, stream, credential) {
    const viewer = new Viewer();
    viewer.socket = await Socket.open(server, `/ws/watch/${stream}`, credential);
    viewer.socket.on("message", (data, binary) => {
      if (!binary) return;
      viewer.#received += data.length;
      if (data[0] === type.media) viewer.#media(data);
      if (data[0] === type.timeResp) viewer.#time(data);
    });
    viewer.socket.json(type.hello, { player: "e2e/1", codecs: ["h264", "jpeg"], mode: "live" });
    viewer.#askTime();
    // The server ends connections that say nothing for long, and sends nothing more to viewers that do not acknowledge.
    viewer.#timers.push(setInterval(() => viewer.#askTime(), 2_000), setInterval(() => viewer.#acknowledge(), 100));
    return viewer;
  }

  #askTime() {
    const m = Buffer.alloc(12);
    m[0] = type.timeReq;
    m.writeBigInt64BE(BigInt(micros()), 4);
    this.socket.send(m);
  }

  #time(m) {
    const [t1, t2, t3, t4] = [Number(m.readBigInt64BE(4)), Number(m.readBigInt64BE(12)), Number(m.readBigInt64BE(20)), micros()];
    this.#offset = Math.round((t2 - t1 + t3 - t4) / 2);
  }

  #acknowledge() {
    if (this.#newest === undefined || this.#offset === undefined) return;
    const m = Buffer.alloc(32);
    m[0] = type.feedback;
    m[2] = this.#newest.rendition;
    m.writeUInt32BE(this.#newest.seq, 4);
    m.writeBigInt64BE(BigInt(this.#newest.arrival + this.#offset), 8);
    m.writeUInt32BE(this.#received % 2 ** 32, 16);
    this.#newest = undefined;
    this.socket.send(m);
  }

  #media(m) {
    if (m.readUInt16BE(10) !== m.readUInt16BE(12) - 1) return; // its last chunk tells
    const [key, rendition, seq] = [(m[1] & 1) === 1, m[2], m.readUInt32BE(4)];
    const last = this.#last.get(rendition);
    if (last !== undefined && !key) this.missing += (seq - last - 1) >>> 0;
    this.#last.set(rendition, seq);
    this.#newest = { rendition, seq, arrival: micros() };
    this.units++;
    if (key) this.keys++;
    const at = performance.now();
    for (const w of this.#waiting.splice(0)) w({ key, seq, rendition, at, bytes: m.readUInt32BE(28) });
  }

  /** The next access unit: {key, seq, rendition, at: performance.now() of its arrival, bytes}. */
  next(limit = 10_000) {
    return within("another access unit", limit, new Promise((done) => this.#waiting.push(done)));
  }

  async nextKey(limit) {
    for (;;) {
      const unit = await this.next(limit);
      if (unit.key) return unit;
    }
  }

  async leave() {
    for (const t of this.#timers) clearInterval(t);
    return await this.socket.close();
  }
}
