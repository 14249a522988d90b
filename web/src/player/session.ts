// One stream being watched: the socket, what the server said, the decoder and the sink. Lives in the worker, and owns
// everything it opens. Decisions are left to the pure modules beside it.

import { Assembler, type AccessUnit } from "./assemble.ts";
import { Backoff } from "./backoff.ts";
import { Clock } from "./clock.ts";
import { decodable, newDecoder, type Decoder, type Picture } from "./decode.ts";
import { Gate } from "./gate.ts";
import type { Paint, Phase, Report, Surface } from "./messages.ts";
import { Pace } from "./pace.ts";
import { newSink, type Sink } from "./sink.ts";
import { closed } from "./state.ts";
import { localNow, micros, type Micros } from "./units.ts";
import { Window } from "./window.ts";
import * as wire from "./wire.ts";

const feedbackEvery = 100; // ms
const reportEvery = 250; // ms
const statsEvery = 1_000; // ms
const askTimeEvery = [0, 150, 150, 150, 150]; // ms, and then
const askTimeThen = 2_000; // ms
const keyReqEvery = micros(500_000);
/** Each TIME_REQ is answered, so a silence of three of them means that the path is gone. */
const silenceLimit = micros(6_500_000);
/** After this many decoder errors hardware is no longer tried. */
const softwareAfter = 2;

type Timer = ReturnType<typeof setTimeout>;

export interface SessionEvents {
  report(r: Report): void;
  /** Answer with setTicket. */
  ticketWanted(): void;
  surfaceWanted(): void;
}

export class Session {
  // Fixed.
  readonly #url: string;
  readonly #ticketed: boolean;
  readonly #events: SessionEvents;
  readonly #codecs = decodable();

  // Of the whole session.
  #sink: Sink | undefined;
  #maxHeight: number;
  #visible: boolean;
  #phase: Phase = { name: "opening" };
  #backoff = new Backoff();
  #retryTimer: Timer | undefined;
  #decoderErrors = 0;
  #firstPaintAt: Micros | undefined;
  #lastPaintAt: Micros | undefined;
  #lastCapture: Micros | undefined;
  #lastCaptureAt: Micros | undefined;
  #painted = 0;
  #decoded = 0;
  #dropped = 0;
  #droppedByServerBefore = 0;
  readonly #latencies = new Window(micros(5_000_000));
  readonly #recentLatencies = new Window(micros(1_000_000));
  readonly #paints = new Window(micros(5_000_000));
  readonly #bits = new Window(micros(2_000_000));
  #atLastStats = { painted: 0, decoded: 0, dropped: 0 };

  // Of one connection.
  #socket: WebSocket | undefined;
  #everOpen = false;
  #clock = new Clock();
  #timeTimer: Timer | undefined;
  #timeId = 0;
  #assembler = new Assembler();
  #gate = new Gate();
  #configs = new Map<number, wire.Config>();
  #active: wire.Config | undefined;
  #decoder: Decoder | undefined;
  #status: wire.Status | undefined;
  #received = 0;
  #heardAt = micros(0);
  #newest: { rendition: number; seq: number; arrival: Micros } | undefined;
  #acknowledged = true;
  #pace = new Pace();
  #droppedAtFeedback = 0;
  #overloaded = false;
  #keyReqAt = micros(0);

  /** Connects at once. It ends with its worker. */
  constructor(url: string, ticketed: boolean, maxHeight: number, visible: boolean, events: SessionEvents) {
    this.#url = url;
    this.#ticketed = ticketed;
    this.#events = events;
    this.#maxHeight = maxHeight;
    this.#visible = visible;
    this.#connect();
    setInterval(() => this.#sendFeedback(), feedbackEvery);
    setInterval(() => this.#report(), reportEvery);
    setInterval(() => this.#sendStats(), statsEvery);
  }

  setSurface(surface: Surface): void {
    this.#sink?.close();
    this.#sink = newSink(surface, {
      painted: (p) => this.painted([p]),
      replaced: () => this.#dropped++,
      stalled: () => this.#events.surfaceWanted(),
    });
  }

  /** Nobody looks: no media is wanted, and the decoder is given back. The last picture stays. */
  setVisible(visible: boolean): void {
    if (visible === this.#visible) return;
    this.#visible = visible;
    this.#send(wire.ctrl(visible ? wire.CtrlOp.resume : wire.CtrlOp.pause));
    this.#resetDecoder();
    if (visible && this.#active !== undefined) this.#open(this.#active);
    this.#report();
  }

  setMaxHeight(lines: number): void {
    if (lines === this.#maxHeight) return;
    this.#maxHeight = lines;
    this.#send(wire.ctrl(wire.CtrlOp.maxHeight, lines));
  }

  setTicket(ticket: string | undefined): void {
    if (this.#socket !== undefined) return; // asked for twice
    if (ticket === undefined) this.#retry({ name: "retrying", why: "No ticket for this stream could be had." });
    else this.#openSocket([wire.subprotocol, `ticket.${ticket}`]);
  }

  reconnect(): void {
    if (this.#socket !== undefined) return;
    this.#backoff.reset();
    clearTimeout(this.#retryTimer);
    this.#setPhase({ name: "opening" });
    this.#connect();
  }

  painted(paints: readonly Paint[]): void {
    for (const p of paints) {
      const first = this.#painted === 0;
      this.#painted += p.frames;
      this.#lastPaintAt = p.at;
      this.#lastCapture = p.capture;
      this.#lastCaptureAt = this.#clock.known ? this.#clock.toLocal(p.capture) : p.at;
      for (let i = 0; i < p.frames; i++) this.#paints.add(p.at, 1);
      if (this.#clock.known) {
        const latency = this.#clock.toServer(p.at) - p.capture;
        this.#latencies.add(p.at, latency);
        this.#recentLatencies.add(p.at, latency);
      }
      if (first) {
        this.#firstPaintAt = p.at;
        this.#report();
      }
    }
  }

  // --- connection ---

  #connect(): void {
    // The phase stays: what is known of a failure is said until there is something new.
    if (this.#ticketed) this.#events.ticketWanted();
    else this.#openSocket([wire.subprotocol]);
  }

  #openSocket(protocols: string[]): void {
    const socket = new WebSocket(this.#url, protocols);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#everOpen = false;
    socket.onopen = () => void this.#opened(socket);
    socket.onmessage = (e) => {
      if (socket === this.#socket) this.#message(e.data);
    };
    socket.onclose = (e) => {
      if (socket === this.#socket) void this.#lost(e.code, e.reason);
    };
  }

  async #opened(socket: WebSocket): Promise<void> {
    const codecs = await this.#codecs;
    if (socket !== this.#socket) return;
    this.#everOpen = true;
    this.#heardAt = localNow();
    this.#send(wire.hello({ player: "sightline-web/1", codecs, max_height: this.#maxHeight, mode: "live" }));
    if (!this.#visible) this.#send(wire.ctrl(wire.CtrlOp.pause));
    this.#askTime(0);
    this.#setPhase({ name: "open" });
  }

  async #lost(code: number, reason: string): Promise<void> {
    const everOpen = this.#everOpen;
    this.#disconnect();
    const verdict = closed(code, reason, everOpen);
    if (verdict.name !== "retrying") return this.#setPhase(verdict);
    const refusal = everOpen ? undefined : await whyRefused(this.#url);
    if (this.#socket !== undefined) return; // told to reconnect meanwhile
    if (refusal?.name === "denied" && refusal.login) return this.#setPhase(refusal); // only a person can mend that
    this.#retry(refusal ?? verdict);
  }

  /** Tries again after a while; until then, phase is how things stand. */
  #retry(phase: Phase): void {
    this.#setPhase(phase);
    this.#retryTimer = setTimeout(() => this.#connect(), this.#backoff.next(Math.random()));
  }

  #disconnect(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    clearTimeout(this.#timeTimer);
    socket?.close();
    this.#resetDecoder();
    this.#clock = new Clock();
    this.#assembler = new Assembler();
    this.#configs.clear();
    this.#active = undefined;
    this.#droppedByServerBefore = this.#droppedByServer();
    this.#status = undefined;
    this.#received = 0;
    this.#newest = undefined;
    this.#acknowledged = true;
    this.#pace = new Pace();
    this.#everOpen = false;
  }

  #send(message: Uint8Array<ArrayBuffer>): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  // --- what the server says ---

  #message(data: unknown): void {
    const now = localNow();
    this.#heardAt = now;
    try {
      if (!(data instanceof ArrayBuffer)) throw new wire.ProtocolError("text message");
      this.#received = (this.#received + data.byteLength) >>> 0;
      this.#bits.add(now, data.byteLength * 8);
      const message = wire.parse(data);
      if (message !== undefined) this.#handle(message, now);
    } catch (cause) {
      if (!(cause instanceof wire.ProtocolError)) throw cause;
      this.#disconnect();
      this.#retry({ name: "retrying", why: `The server sent something this player cannot read (${cause.message}).` });
    }
  }

  #handle(m: wire.ServerMessage, now: Micros): void {
    switch (m.type) {
      case "media": {
        this.#backoff.reset();
        const u = this.#assembler.push(m);
        if (u !== undefined) this.#accessUnit(u, now);
        return;
      }
      case "config":
        this.#configs.set(m.rendition, m);
        // The first one, so that the decoder starts while the keyframe still travels.
        if (this.#decoder === undefined && this.#visible) {
          this.#open(m);
          this.#report();
        }
        return;
      case "time-resp":
        this.#clock.add(m.t1, m.t2, m.t3, now);
        return;
      case "abort":
        this.#assembler.abort(m);
        this.#gate.reset();
        return;
      case "status":
        this.#status = m;
        this.#report();
        return;
      case "pad":
        return;
      default:
        return unreachable(m);
    }
  }

  #accessUnit(u: AccessUnit, now: Micros): void {
    this.#newest = { rendition: u.rendition, seq: u.seq, arrival: now };
    this.#acknowledged = false;
    if (this.#pace.arrived(now, u.capture)) this.#sendFeedback();
    if (!this.#visible) return;
    const config = this.#configs.get(u.rendition);
    if (config === undefined || config.generation !== u.generation) {
      throw new wire.ProtocolError(`MEDIA of rendition ${u.rendition}, generation ${u.generation} before its CONFIG`);
    }
    if (this.#decoder?.behind === true && !this.#overloaded) {
      this.#overloaded = true;
      this.#gate.reset();
    }
    if (!this.#gate.admit(u)) {
      this.#dropped++;
      this.#wantKey(u.rendition, wire.KeyReason.lostReference, now);
      return;
    }
    // A new rendition or generation needs a new decoder, and so does one whose queue is not worth waiting for.
    if (u.key && (this.#decoder === undefined || config !== this.#active || this.#overloaded)) this.#open(config);
    try {
      this.#decoder?.decode(u);
    } catch (cause) {
      this.#decoderFailed(config, cause);
    }
  }

  #wantKey(rendition: number, reason: wire.KeyReason, now: Micros): void {
    if (now - this.#keyReqAt < keyReqEvery) return;
    this.#keyReqAt = now;
    this.#send(wire.keyReq(rendition, reason, this.#gate.lastGood));
  }

  // --- pictures ---

  /** Starts a decoder for config in place of the one there is. */
  #open(config: wire.Config): void {
    this.#decoder?.close();
    this.#active = config;
    this.#overloaded = false;
    try {
      const decoder: Decoder = newDecoder(config, this.#decoderErrors >= softwareAfter, {
        picture: (p) => this.#picture(decoder, p),
        failed: (cause) => {
          if (decoder === this.#decoder) this.#decoderFailed(config, cause);
        },
        skipped: () => this.#dropped++,
      });
      this.#decoder = decoder;
    } catch (cause) {
      this.#decoderFailed(config, cause);
    }
  }

  #picture(from: Decoder, p: Picture): void {
    if (from !== this.#decoder) {
      p.image.close();
      return;
    }
    this.#decoded++;
    if (this.#sink !== undefined) {
      this.#sink.show(p);
    } else {
      p.image.close();
      this.#dropped++;
    }
  }

  #decoderFailed(config: wire.Config, cause: unknown): void {
    console.warn("sightline: the decoder failed and is replaced", cause);
    this.#decoderErrors++;
    this.#dropped++;
    this.#resetDecoder();
    this.#wantKey(config.rendition, wire.KeyReason.decoderError, localNow());
  }

  #resetDecoder(): void {
    this.#decoder?.close();
    this.#decoder = undefined;
    this.#overloaded = false;
    this.#gate.reset();
  }

  // --- what we say ---

  #askTime(n: number): void {
    const wait = askTimeEvery[n] ?? askTimeThen;
    const ask = () => {
      this.#timeId = (this.#timeId + 1) & 0xffff;
      this.#send(wire.timeReq(this.#timeId, localNow()));
      this.#askTime(n + 1);
    };
    if (wait === 0) ask();
    else this.#timeTimer = setTimeout(ask, wait);
  }

  #sendFeedback(): void {
    if (this.#phase.name !== "open") return;
    const now = localNow();
    if (now - this.#heardAt > silenceLimit) {
      void this.#lost(1006, "");
      return;
    }
    if (this.#newest === undefined || this.#acknowledged) return;
    this.#acknowledged = true;
    this.#send(
      wire.feedback({
        hidden: !this.#visible,
        overloaded: this.#overloaded,
        rendition: this.#newest.rendition,
        seq: this.#newest.seq,
        arrival: this.#clock.known ? this.#clock.toServer(this.#newest.arrival) : micros(0),
        received: this.#received,
        decodeQueue: this.#decoder?.queue ?? 0,
        dropped: this.#dropped - this.#droppedAtFeedback,
        paintP50: micros(this.#recentLatencies.quantile(0.5, now) ?? 0),
        clockError: this.#clock.error,
      }),
    );
    this.#droppedAtFeedback = this.#dropped;
  }

  #sendStats(): void {
    if (this.#phase.name !== "open") return;
    const now = localNow();
    const before = this.#atLastStats;
    this.#atLastStats = { painted: this.#painted, decoded: this.#decoded, dropped: this.#dropped };
    this.#send(
      wire.stats({
        paint_p50_us: Math.round(this.#recentLatencies.quantile(0.5, now) ?? 0),
        paint_p95_us: Math.round(this.#recentLatencies.quantile(0.95, now) ?? 0),
        clock_error_us: Math.round(this.#clock.error),
        painted: this.#painted - before.painted,
        decoded: this.#decoded - before.decoded,
        dropped: this.#dropped - before.dropped,
        bitrate_bps: Math.round(this.#bits.perSecond(now)),
        renderer: this.#sink?.name ?? "",
      }),
    );
  }

  #setPhase(phase: Phase): void {
    this.#phase = phase;
    this.#report();
  }

  #droppedByServer(): number {
    let sum = this.#droppedByServerBefore;
    for (const n of Object.values(this.#status?.dropped ?? {})) sum += n;
    return sum;
  }

  #report(): void {
    const now = localNow();
    const quantile = (q: number): Micros | undefined => this.#latencies.quantile(q, now) as Micros | undefined;
    const active = this.#active;
    this.#events.report({
      phase: this.#phase,
      server: this.#status && { stream: this.#status.stream, state: this.#status.state, detail: this.#status.detail },
      rendition: active && {
        id: active.rendition,
        codec: active.codecString,
        width: active.width,
        height: active.height,
        frameRateMilli: active.frameRateMilli,
      },
      renderer: this.#sink?.name,
      paused: !this.#visible,
      firstPaintAt: this.#firstPaintAt,
      lastPaintAt: this.#lastPaintAt,
      lastCaptureAt: this.#lastCaptureAt,
      lastCapture: this.#lastCapture,
      paintP50: quantile(0.5),
      paintP95: quantile(0.95),
      clockError: this.#clock.known ? this.#clock.error : undefined,
      paintedFps: this.#paints.perSecond(now),
      painted: this.#painted,
      decoded: this.#decoded,
      dropped: this.#dropped,
      droppedByServer: this.#droppedByServer(),
      bitrateBps: this.#bits.perSecond(now),
    });
  }
}

/** Script may not see why a handshake was refused; the control API knows. Undefined when it does not answer either. */
async function whyRefused(url: string): Promise<Extract<Phase, { name: "denied" | "retrying" }> | undefined> {
  const address = new URL("/api/v1/streams", url.replace(/^ws/, "http"));
  const stream = decodeURIComponent(new URL(url).pathname.replace("/ws/watch/", ""));
  try {
    const answer = await fetch(address, { credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(3_000) });
    const body = await answer.text();
    if (answer.status === 401) return { name: "denied", why: "You are not logged in. Open a new link from the server to go on.", login: true };
    if (answer.ok && !lists(JSON.parse(body), stream)) {
      return { name: "denied", why: `There is no stream "${stream}" that you may watch.`, login: false };
    }
    return { name: "retrying", why: "The server does not take the connection now. It is tried again." };
  } catch {
    return undefined;
  }
}

function lists(body: unknown, stream: string): boolean {
  const streams: unknown = typeof body === "object" && body !== null ? Reflect.get(body, "streams") : undefined;
  return Array.isArray(streams) && streams.some((s: unknown) => typeof s === "object" && s !== null && Reflect.get(s, "id") === stream);
}

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
