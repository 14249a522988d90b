// One stream being watched: its connections, what the server said, the decoder and the sink. Lives in the worker, and owns
// everything it opens. Decisions are left to the pure modules beside it.

import type { AccessUnit } from "./assemble.ts";
import { Backoff } from "./backoff.ts";
import { Blackout } from "./blackout.ts";
import { Connection, type ConnectionEvents } from "./connection.ts";
import { interval, newDecoder, working, type Decoder, type How, type Picture } from "./decode.ts";
import { Freezes } from "./freezes.ts";
import { Gate } from "./gate.ts";
import { Leave } from "./leave.ts";
import { limiting } from "./limits.ts";
import type { DecoderName, Paint, Phase, Report, Still, Surface, ToWorker, Wishes } from "./messages.ts";
import { Playout } from "./playout.ts";
import { orders, pinned } from "./quality.ts";
import { newSink, type Sink } from "./sink.ts";
import { Stages } from "./stages.ts";
import { closed } from "./state.ts";
import { why } from "./strings.ts";
import { localNow, micros, type Micros } from "./units.ts";
import { Window } from "./window.ts";
import * as wire from "./wire.ts";

const lookEvery = 100; // ms
const reportEvery = 250; // ms
const statsEvery = 1_000; // ms
const keyReqEvery = micros(500_000);
/** Each TIME_REQ is answered, so a silence of three of them means that the path is gone. */
const silenceLimit = micros(6_500_000);
/** After this many failures in so long another way to decode is tried: software alone, then the next decoder. */
const failuresBorne = 2;
const failuresFor = micros(30_000_000);
/** A timer is not worth starting for less. */
const shortWait = micros(4_000);

type Timer = ReturnType<typeof setTimeout>;

export interface SessionEvents {
  report(r: Report): void;
  /** Answer with setTicket. */
  ticketWanted(): void;
  surfaceWanted(decoder: DecoderName): void;
}

/** An access unit that waits for its time to be decoded. */
interface Held {
  readonly unit: AccessUnit;
  readonly config: wire.Config;
  readonly due: Micros;
}

export class Session {
  // Fixed.
  readonly #url: string;
  readonly #ticketed: boolean;
  readonly #events: SessionEvents;
  readonly #working: Promise<DecoderName[]>;

  // Of the whole session.
  #sink: Sink | undefined;
  #wishes: Wishes;
  #phase: Phase = { name: "opening" };
  #backoff = new Backoff();
  #retryTimer: Timer | undefined;
  /** The decoder to be used for video, and then those that are left; undefined until it is known which work. */
  #decoders: DecoderName[] | undefined;
  #software = false;
  #failures = new Window(failuresFor);
  #firstPaintAt: Micros | undefined;
  #lastPaintAt: Micros | undefined;
  #lastCapture: Micros | undefined;
  #lastCaptureAt: Micros | undefined;
  #painted = 0;
  #decoded = 0;
  #dropped = 0;
  #droppedByServerBefore = 0;
  #takeovers = 0;
  readonly #freezes = new Freezes();
  readonly #stages = new Stages();
  readonly #latencies = new Window(micros(5_000_000));
  readonly #recentLatencies = new Window(micros(1_000_000));
  readonly #paints = new Window(micros(5_000_000));
  readonly #decodes = new Window(micros(5_000_000));
  readonly #encoding = new Window(micros(2_000_000));
  readonly #bits = new Window(micros(2_000_000));
  #atLastStats = { painted: 0, decoded: 0, dropped: 0 };

  // The connection that is watched, and during a blackout one that may take over.
  #main: Connection | undefined;
  #rival: Connection | undefined;
  /** What tickets were asked for, in that order: to open a connection, or to go on with one. */
  readonly #ticketsFor: { readonly connection: Connection; readonly renews: boolean }[] = [];
  readonly #leave = new Leave();
  readonly #blackout = new Blackout();

  // Of the pictures of the main connection.
  #gate = new Gate();
  #active: wire.Config | undefined;
  #decoder: Decoder | undefined;
  readonly #playout: Playout;
  /** In the order of decoding. */
  #held: Held[] = [];
  #heldTimer: Timer | undefined;
  /** A picture that is shown only if nothing fresher comes. */
  #waiting: Picture | undefined;
  #waitingTimer: Timer | undefined;
  #droppedAtFeedback = 0;
  #overloaded = false;
  #keyReqAt = micros(0);

  /** Connects at once. It ends with its worker. */
  constructor({ url, ticketed, decoders, wishes }: Extract<ToWorker, { type: "start" }>, events: SessionEvents) {
    this.#url = url;
    this.#ticketed = ticketed;
    this.#working = working(decoders);
    this.#events = events;
    this.#wishes = wishes;
    this.#playout = new Playout(wishes.mode);
    this.#connect();
    setInterval(() => {
      if (this.#main?.overdue(localNow()) === true) this.#sendFeedback();
      this.#watchSilence();
    }, lookEvery);
    setInterval(() => this.#report(), reportEvery);
    setInterval(() => {
      this.#sendStats();
      this.#keepLeave();
    }, statsEvery);
  }

  setSurface(surface: Surface): void {
    this.#sink?.close();
    this.#sink = newSink(surface, {
      painted: (p) => this.painted([p]),
      replaced: () => this.#dropped++,
      stalled: () => this.#renewSurface(),
      decoded: (pictures, dropped) => {
        this.#decoded += pictures;
        this.#dropped += dropped;
        for (let i = 0; i < pictures; i++) this.#decodes.add(localNow(), 1);
      },
      keyWanted: () => {
        if (this.#active !== undefined) this.#wantKey(this.#active.rendition, wire.KeyReason.start, localNow());
      },
      failed: (cause) => {
        if (this.#active !== undefined) this.#decoderFailed(this.#active, cause);
        this.#renewSurface();
      },
    });
    if (this.#active === undefined || this.#decoderOf(this.#active) !== "mse") return;
    // It begins anew with the surface.
    this.#resetDecoder();
    this.#open(this.#active);
    this.#wantKey(this.#active.rendition, wire.KeyReason.start, localNow());
  }

  #renewSurface(): void {
    this.#sink?.close();
    this.#sink = undefined;
    this.#events.surfaceWanted(this.#active === undefined ? (this.#decoders?.[0] ?? "jpeg") : this.#decoderOf(this.#active));
  }

  #decoderOf(config: wire.Config): DecoderName {
    return config.codec === "jpeg" ? "jpeg" : (this.#decoders?.[0] ?? "webcodecs");
  }

  setWishes(wishes: Wishes): void {
    const before = this.#wishes;
    this.#wishes = wishes;
    if (wishes.visible !== before.visible) this.#visibilityChanged();
    if (wishes.maxHeight !== before.maxHeight) this.#tell(wire.ctrl(wire.CtrlOp.maxHeight, wishes.maxHeight));
    if (wishes.quality !== before.quality) for (const c of this.#connections()) this.#ask(c);
    if (wishes.mode !== before.mode) this.#playout.mode = wishes.mode; // HELLO tells it of the next connection
    this.#report();
  }

  /** While nobody looks no media is wanted, and the decoder is given back. The last picture stays. */
  #visibilityChanged(): void {
    const visible = this.#wishes.visible;
    this.#tell(wire.ctrl(visible ? wire.CtrlOp.resume : wire.CtrlOp.pause));
    this.#resetDecoder();
    if (visible) {
      if (this.#active !== undefined) this.#open(this.#active);
    } else {
      this.#freezes.pause(localNow());
      this.#dropRival();
    }
  }

  setTicket(ticket: string | undefined): void {
    const wanted = this.#ticketsFor.shift();
    if (wanted === undefined || wanted.connection.closed) return;
    const c = wanted.connection;
    if (wanted.renews) {
      if (ticket !== undefined) c.send(wire.renew(ticket));
      return;
    }
    if (ticket !== undefined) return c.open(this.#url, [wire.subprotocol, `ticket.${ticket}`]);
    if (c === this.#rival) return this.#dropRival();
    this.#disconnect();
    this.#retry({ name: "retrying", why: why("noTicket") });
  }

  /** The picture on the canvas, if that is where pictures go. */
  still(): Promise<Still | undefined> {
    return this.#sink?.still() ?? Promise.resolve(undefined);
  }

  reconnect(): void {
    if (this.#main !== undefined) return;
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
      const clock = this.#main?.clock;
      this.#lastCaptureAt = clock?.known === true ? clock.toLocal(p.capture) : p.at;
      if (this.#wishes.visible) this.#freezes.painted(p.at);
      this.#stages.painted(p.capture, p.at);
      for (let i = 0; i < p.frames; i++) this.#paints.add(p.at, 1);
      if (clock?.known === true) {
        const latency = clock.toServer(p.at) - p.capture;
        this.#latencies.add(p.at, latency);
        this.#recentLatencies.add(p.at, latency);
      }
      if (first) {
        this.#firstPaintAt = p.at;
        this.#report();
      }
    }
  }

  // --- connections ---

  #connect(): void {
    // The phase stays: what is known of a failure is said until there is something new.
    this.#main = this.#newConnection();
  }

  #newConnection(): Connection {
    const c = new Connection(this.#connectionEvents);
    if (this.#ticketed) {
      this.#wantTicket(c, false);
    } else {
      c.open(this.#url, [wire.subprotocol]);
    }
    return c;
  }

  #wantTicket(connection: Connection, renews: boolean): void {
    this.#ticketsFor.push({ connection, renews });
    this.#events.ticketWanted();
  }

  /** Gets a new ticket before leave to watch ends. Where a cookie speaks for the viewer, its end is the end. */
  #keepLeave(): void {
    const c = this.#main;
    if (!this.#ticketed || c === undefined || !c.clock.known) return;
    if (this.#leave.due(c.status?.until ?? micros(0), c.clock.toServer(localNow()))) this.#wantTicket(c, true);
  }

  readonly #connectionEvents: ConnectionEvents = {
    opened: (c) => void this.#opened(c),
    heard: (c, bytes, now) => {
      this.#bits.add(now, bytes * 8);
      if (c === this.#main) this.#blackout.heard(now);
    },
    configured: (c, config) => {
      // The first one, so that the decoder starts while the keyframe still travels.
      if (c === this.#main && this.#decoder === undefined && this.#wishes.visible) {
        this.#open(config);
        this.#report();
      }
    },
    arrived: (c, u, now, acknowledge) => {
      this.#settle(c, now);
      this.#accessUnit(c, u, now, acknowledge);
    },
    aborted: (c) => {
      if (c === this.#main) this.#gate.reset();
    },
    told: (c) => {
      if (c.status?.renditions !== undefined && pinned(this.#wishes.quality) !== undefined) this.#ask(c);
      if (c === this.#main) this.#report();
    },
    lost: (c, code, reason) => void this.#lost(c, code, reason),
    unreadable: (c, said) => {
      if (c === this.#rival) return this.#dropRival();
      this.#disconnect();
      this.#retry({ name: "retrying", why: why("unreadable", said) });
    },
  };

  async #opened(c: Connection): Promise<void> {
    this.#decoders ??= await this.#working;
    if (c.closed) return;
    const best = this.#decoders[0];
    if (best === undefined) {
      this.#disconnect();
      return this.#setPhase({ name: "unsupported", why: why("noDecoder") });
    }
    const codecs = best === "jpeg" ? ["jpeg"] : ["h264", "jpeg"];
    const { maxHeight, mode, visible, quality } = this.#wishes;
    c.send(wire.hello({ player: "sightline-web/1", codecs, max_height: maxHeight, mode }));
    if (!visible) c.send(wire.ctrl(wire.CtrlOp.pause));
    if (quality !== "auto") this.#ask(c);
    c.keepTime();
    if (c === this.#main) this.#setPhase({ name: "open" });
  }

  /** Tells the server what quality is wanted. */
  #ask(c: Connection): void {
    for (const o of orders(this.#wishes.quality, c.renditions)) c.send(wire.ctrl(o.op, o.argument));
  }

  #connections(): Connection[] {
    return [this.#main, this.#rival].filter((c) => c !== undefined);
  }

  #tell(message: Uint8Array<ArrayBuffer>): void {
    for (const c of this.#connections()) c.send(message);
  }

  /** Opens a second connection where the one there is brings nothing any more, which after an outage is the sooner way back. */
  #watchSilence(): void {
    const c = this.#main;
    if (c === undefined || this.#phase.name !== "open") return;
    if (localNow() - c.heardAt > silenceLimit) {
      void this.#lost(c, 1006, "");
      return;
    }
    const path = {
      expects: this.#wishes.visible && c.status?.state === "live",
      rtt: micros(2 * c.clock.error),
      carriesBps: c.status?.carriesBps ?? 0,
      askedAt: c.answered,
      answered: this.#rival?.everOpen === true,
    };
    switch (this.#blackout.look(localNow(), path, Math.random())) {
      case "ask":
        return c.askTime();
      case "connect":
        this.#dropRival();
        this.#rival = this.#newConnection();
        return;
      case "stop":
        return this.#dropRival();
      case "wait":
        return;
    }
  }

  /** A picture came over c: if that is the second connection, it is the one to watch. */
  #settle(c: Connection, now: Micros): void {
    this.#backoff.reset();
    if (c === this.#main) return;
    this.#takeovers++;
    this.#blackout.over(now);
    this.#rival = undefined;
    this.#disconnect();
    this.#main = c;
  }

  #dropRival(): void {
    this.#rival?.close();
    this.#rival = undefined;
  }

  async #lost(c: Connection, code: number, reason: string): Promise<void> {
    if (c === this.#rival) return this.#dropRival();
    this.#disconnect();
    const verdict = closed(code, reason, c.everOpen);
    if (verdict.name !== "retrying") return this.#setPhase(verdict);
    const refusal = c.everOpen || c.unanswered ? undefined : await whyRefused(this.#url);
    if (this.#main !== undefined) return; // told to reconnect meanwhile
    if (refusal?.name === "denied" && refusal.login) return this.#setPhase(refusal); // only a person can mend that
    this.#retry(refusal ?? verdict);
  }

  /** Tries again after a while; until then, phase is how things stand. */
  #retry(phase: Phase): void {
    this.#setPhase(phase);
    this.#retryTimer = setTimeout(() => this.#connect(), this.#backoff.next(Math.random()));
  }

  #disconnect(): void {
    this.#droppedByServerBefore = this.#droppedByServer();
    this.#dropRival();
    this.#main?.close();
    this.#main = undefined;
    this.#resetDecoder();
    this.#active = undefined;
  }

  // --- access units ---

  #accessUnit(c: Connection, u: AccessUnit, now: Micros, acknowledge: boolean): void {
    if (acknowledge) this.#sendFeedback();
    if (!this.#wishes.visible) return;
    this.#encoding.add(now, u.encodeDelay);
    if (c.clock.known) this.#stages.arrived(u.capture, u.encodeDelay, now, c.clock.toServer(now));
    const config = c.configs.get(u.rendition);
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
    if (u.discontinuity) this.#playout.reset();
    this.#held.push({ unit: u, config, due: this.#playout.arrived(now, u.capture, interval(config)) });
    if (this.#held.length === 1) this.#release();
  }

  /** Gives the decoder what is due; what is held back is not yet decoded, since decoders lend out few pictures at a time. */
  #release(): void {
    for (let h = this.#held[0]; h !== undefined; h = this.#held[0]) {
      const wait = h.due - localNow();
      if (wait > shortWait) {
        this.#heldTimer = setTimeout(() => this.#release(), wait / 1000);
        return;
      }
      this.#held.shift();
      this.#decode(h.unit, h.config);
    }
  }

  #decode(u: AccessUnit, config: wire.Config): void {
    // A new rendition or generation needs a new decoder, and so does one whose queue is not worth waiting for.
    if (u.key && (this.#decoder === undefined || config !== this.#active || this.#overloaded)) this.#open(config);
    // A <video> shows what it decodes, so it is not given what is not to be shown, and goes on from a keyframe.
    if (this.#decoder === undefined || (this.#sink?.name === "mse" && this.#playout.judge(localNow(), u.capture) !== "show")) {
      this.#dropped++;
      this.#gate.reset();
      this.#wantKey(u.rendition, wire.KeyReason.lostReference, localNow());
      return;
    }
    try {
      this.#decoder.decode(u);
    } catch (cause) {
      this.#decoderFailed(config, cause);
    }
  }

  #wantKey(rendition: number, reason: wire.KeyReason, now: Micros): void {
    if (now - this.#keyReqAt < keyReqEvery) return;
    this.#keyReqAt = now;
    this.#main?.send(wire.keyReq(rendition, reason, this.#gate.lastGood));
  }

  // --- pictures ---

  /** Starts a decoder for config in place of the one there is. */
  #open(config: wire.Config): void {
    this.#decoder?.close();
    this.#decoder = undefined;
    this.#active = config;
    this.#overloaded = false;
    const how = this.#how(config);
    if (how === undefined) return;
    try {
      const decoder: Decoder = newDecoder(config, how, {
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

  /** Undefined until there is a surface, where one is needed. One of the wrong kind is replaced. */
  #how(config: wire.Config): How | undefined {
    const mse = this.#decoderOf(config) === "mse";
    if (this.#sink !== undefined && (this.#sink.name === "mse") !== mse) this.#renewSurface();
    if (!mse) return { software: this.#software };
    return this.#sink?.name === "mse" ? this.#sink : undefined;
  }

  #picture(from: Decoder, p: Picture): void {
    if (from !== this.#decoder) {
      p.image.close();
      return;
    }
    this.#decoded++;
    this.#decodes.add(localNow(), 1);
    this.#stages.decoded(p.capture, localNow());
    const sink = this.#sink;
    const verdict = sink === undefined || sink.name === "mse" ? "drop" : this.#playout.judge(localNow(), p.capture);
    switch (verdict) {
      case "show":
        this.#dropWaiting();
        this.#show(p);
        return;
      case "wait":
        this.#wait(p);
        return;
      case "drop":
        p.image.close();
        this.#dropped++;
        return;
      default:
        return unreachable(verdict);
    }
  }

  #wait(p: Picture): void {
    this.#dropWaiting();
    this.#waiting = p;
    const until = this.#playout.waitsUntil ?? localNow();
    this.#waitingTimer = setTimeout(() => {
      this.#waiting = undefined;
      this.#playout.waited();
      this.#show(p);
    }, (until - localNow()) / 1000);
  }

  #show(p: Picture): void {
    if (this.#sink === undefined || this.#sink.name === "mse") p.image.close();
    else this.#sink.show(p);
  }

  #dropWaiting(): void {
    if (this.#waiting === undefined) return;
    clearTimeout(this.#waitingTimer);
    this.#waiting.image.close();
    this.#waiting = undefined;
    this.#dropped++;
  }

  #decoderFailed(config: wire.Config, cause: unknown): void {
    console.warn("sightline: the decoder failed and is replaced", cause);
    const now = localNow();
    this.#dropped++;
    this.#resetDecoder();
    this.#failures.add(now, 1);
    if (this.#failures.count(now) >= failuresBorne && this.#moveDown(config)) return;
    this.#wantKey(config.rendition, wire.KeyReason.decoderError, now);
  }

  /** Tries another way to decode, for good; says whether a new connection was made for it. */
  #moveDown(config: wire.Config): boolean {
    this.#failures = new Window(failuresFor);
    const decoder = this.#decoderOf(config);
    if (decoder === "webcodecs" && !this.#software) {
      this.#software = true;
      return false;
    }
    if (decoder === "jpeg" || this.#decoders === undefined || this.#decoders.length < 2) return false;
    this.#decoders.shift();
    // HELLO tells the server which codecs there are.
    this.#disconnect();
    this.#connect();
    return true;
  }

  #resetDecoder(): void {
    this.#decoder?.close();
    this.#decoder = undefined;
    this.#overloaded = false;
    this.#gate.reset();
    clearTimeout(this.#heldTimer);
    this.#held = [];
    this.#dropWaiting();
    this.#playout.forget();
  }

  // --- what we say ---

  #sendFeedback(): void {
    const c = this.#main;
    if (c === undefined || this.#phase.name !== "open") return;
    const now = localNow();
    const newest = c.unacknowledged;
    if (newest === undefined) return;
    c.unacknowledged = undefined;
    c.send(
      wire.feedback({
        hidden: !this.#wishes.visible,
        overloaded: this.#overloaded,
        rendition: newest.rendition,
        seq: newest.seq,
        arrival: c.clock.known ? c.clock.toServer(newest.arrival) : micros(0),
        received: c.received,
        decodeQueue: this.#decoder?.queue ?? 0,
        dropped: this.#dropped - this.#droppedAtFeedback,
        paintP50: micros(this.#recentLatencies.quantile(0.5, now) ?? 0),
        clockError: c.clock.error,
      }),
    );
    this.#droppedAtFeedback = this.#dropped;
  }

  #sendStats(): void {
    if (this.#phase.name !== "open") return;
    const now = localNow();
    const stages = this.#stages.figures(now);
    const before = this.#atLastStats;
    this.#atLastStats = { painted: this.#painted, decoded: this.#decoded, dropped: this.#dropped };
    this.#main?.send(
      wire.stats({
        paint_p50_us: Math.round(this.#recentLatencies.quantile(0.5, now) ?? 0),
        paint_p95_us: Math.round(this.#recentLatencies.quantile(0.95, now) ?? 0),
        clock_error_us: Math.round(this.#main?.clock.error ?? 0),
        painted: this.#painted - before.painted,
        decoded: this.#decoded - before.decoded,
        dropped: this.#dropped - before.dropped,
        bitrate_bps: Math.round(this.#bits.perSecond(now)),
        renderer: this.#sink?.name ?? "",
        stages_p50_us: stages && {
          encode: Math.round(stages.encode), network: Math.round(stages.network), decode: Math.round(stages.decode), show: Math.round(stages.show),
        },
      }),
    );
  }

  #setPhase(phase: Phase): void {
    this.#phase = phase;
    this.#report();
  }

  #droppedByServer(): number {
    let sum = this.#droppedByServerBefore;
    for (const n of Object.values(this.#main?.status?.dropped ?? {})) sum += n;
    return sum;
  }

  #report(): void {
    const now = localNow();
    const quantile = (q: number): Micros | undefined => this.#latencies.quantile(q, now) as Micros | undefined;
    const active = this.#active;
    const clock = this.#main?.clock;
    const status = this.#main?.status;
    const paintedFps = this.#paints.perSecond(now);
    const limit = limiting({
      hidden: !this.#wishes.visible,
      overloaded: this.#overloaded,
      decodedFps: this.#decodes.perSecond(now),
      paintedFps,
      encoding: this.#encoding.quantile(0.5, now) ?? 0,
      interval: active === undefined ? 0 : interval(active),
      quality: this.#wishes.quality,
      server: status,
    });
    this.#events.report({
      phase: this.#phase,
      server: status && { stream: status.stream, state: status.state, detail: status.detail, cause: status.cause, stills: status.stills, carriesBps: status.carriesBps },
      renditions: this.#main?.renditions ?? [],
      rendition: active && {
        id: active.rendition,
        codec: active.codecString,
        width: active.width,
        height: active.height,
        frameRateMilli: active.frameRateMilli,
      },
      renderer: this.#sink?.name,
      decoder: active && this.#decoderOf(active),
      paused: !this.#wishes.visible,
      limit,
      mode: this.#playout.mode,
      playoutDelay: this.#playout.delay,
      freezes: this.#freezes.figures(now),
      takeovers: this.#takeovers,
      firstPaintAt: this.#firstPaintAt,
      lastPaintAt: this.#lastPaintAt,
      lastCaptureAt: this.#lastCaptureAt,
      lastCapture: this.#lastCapture,
      paintP50: quantile(0.5),
      paintP95: quantile(0.95),
      clockError: clock?.known === true ? clock.error : undefined,
      stages: this.#stages.figures(now),
      pictures: this.#stages.take(),
      paintedFps,
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
    if (answer.status === 401) return { name: "denied", why: why("loggedOut"), login: true };
    if (answer.ok && !lists(JSON.parse(body), stream)) {
      return { name: "denied", why: why("notYours", stream), login: false };
    }
    return { name: "retrying", why: why("notNow") };
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
