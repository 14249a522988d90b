// One connection to the server, and what is known by it alone: its clock, its renditions, what arrived. It decides nothing; a
// Session owns it, and closes it.

import { Assembler, type AccessUnit } from "./assemble.ts";
import { Clock } from "./clock.ts";
import { Pace } from "./pace.ts";
import { localNow, micros, type Micros } from "./units.ts";
import * as wire from "./wire.ts";

const askTimeEvery = [0, 150, 150, 150, 150]; // ms, and then
const askTimeThen = 2_000; // ms
/** TCP tries ever more rarely; a new attempt tries at once. */
const openLimit = 5_000; // ms

/** No event comes after close(). */
export interface ConnectionEvents {
  /** To be introduced with HELLO. */
  opened(c: Connection): void;
  /** So many bytes arrived, whatever they are. */
  heard(c: Connection, bytes: number, now: Micros): void;
  configured(c: Connection, config: wire.Config): void;
  /** A whole access unit; now says whether its arrival is to be acknowledged at once. */
  arrived(c: Connection, u: AccessUnit, now: Micros, acknowledge: boolean): void;
  aborted(c: Connection): void;
  /** There is a new status. */
  told(c: Connection): void;
  lost(c: Connection, code: number, reason: string): void;
  /** The server's bytes break the specification. */
  unreadable(c: Connection, why: string): void;
}

export class Connection {
  readonly clock = new Clock();
  /** When the time was asked for that came last. */
  answered: Micros = micros(0);
  readonly configs = new Map<number, wire.Config>();
  status: wire.Status | undefined;
  /** What may be asked for. */
  renditions: readonly wire.Rendition[] = [];
  /** Bytes, of all messages. */
  received = 0;
  heardAt: Micros;
  /** The newest access unit, until it is acknowledged. */
  unacknowledged: { readonly rendition: number; readonly seq: number; readonly arrival: Micros } | undefined;
  /** Whether the handshake succeeded. */
  everOpen = false;
  /** Whether it was given up before anything answered. */
  unanswered = false;

  readonly #events: ConnectionEvents;
  readonly #assembler = new Assembler();
  readonly #pace = new Pace();
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timeId = 0;
  #closed = false;

  constructor(events: ConnectionEvents) {
    this.#events = events;
    this.heardAt = localNow();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Opens the socket, unless it was closed meanwhile. */
  open(url: string, protocols: string[]): void {
    if (this.#closed) return;
    const socket = new WebSocket(url, protocols);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#timer = setTimeout(() => {
      this.unanswered = true;
      this.#events.lost(this, 1006, "");
    }, openLimit);
    socket.onopen = () => {
      if (this.#closed) return;
      clearTimeout(this.#timer);
      this.everOpen = true;
      this.heardAt = localNow();
      this.#events.opened(this);
    };
    socket.onmessage = (e) => {
      if (!this.#closed) this.#message(e.data);
    };
    socket.onclose = (e) => {
      if (!this.#closed) this.#events.lost(this, e.code, e.reason);
    };
  }

  send(message: Uint8Array<ArrayBuffer>): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  /** Asks for the server's time now, and again and again. */
  keepTime(n = 0): void {
    const wait = askTimeEvery[n] ?? askTimeThen;
    this.#timer = setTimeout(() => {
      this.askTime();
      this.keepTime(n + 1);
    }, wait);
  }

  askTime(): void {
    this.#timeId = (this.#timeId + 1) & 0xffff;
    this.send(wire.timeReq(this.#timeId, localNow()));
  }

  /** Whether something waits for too long to be acknowledged. */
  overdue(now: Micros): boolean {
    return this.unacknowledged !== undefined && this.#pace.overdue(now);
  }

  /** Safe to call twice. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  #message(data: unknown): void {
    const now = localNow();
    this.heardAt = now;
    try {
      if (!(data instanceof ArrayBuffer)) throw new wire.ProtocolError("text message");
      this.received = (this.received + data.byteLength) >>> 0;
      this.#events.heard(this, data.byteLength, now);
      const message = wire.parse(data);
      if (message !== undefined) this.#handle(message, now);
    } catch (cause) {
      if (!(cause instanceof wire.ProtocolError)) throw cause;
      this.#events.unreadable(this, cause.message);
    }
  }

  #handle(m: wire.ServerMessage, now: Micros): void {
    switch (m.type) {
      case "media": {
        const u = this.#assembler.push(m);
        if (u === undefined) return;
        this.unacknowledged = { rendition: u.rendition, seq: u.seq, arrival: now };
        this.#events.arrived(this, u, now, this.#pace.arrived(now, u.capture));
        return;
      }
      case "config":
        this.configs.set(m.rendition, m);
        this.#events.configured(this, m);
        return;
      case "time-resp":
        this.clock.add(m.t1, m.t2, m.t3, now);
        this.answered = m.t1;
        return;
      case "abort":
        this.#assembler.abort(m);
        this.#events.aborted(this);
        return;
      case "status":
        this.status = m;
        if (m.renditions !== undefined) this.renditions = m.renditions;
        this.#events.told(this);
        return;
      case "pad":
        return;
      default:
        return unreachable(m);
    }
  }
}

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
