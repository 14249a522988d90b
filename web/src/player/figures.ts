// What the player measures, for programs and for people.

import { el, setText } from "./dom.ts";
import type { Report } from "./messages.ts";
import type { PictureTimes, PlayerState, PlayerStats, Quality } from "./player.d.ts";
import type { PictureStages } from "./stages.ts";
import type { Strings } from "./strings.ts";

/** The figures of a report about a player in that state, of which that quality is wanted. */
export function figuresOf(r: Report, state: PlayerState, quality: Quality): PlayerStats {
  const ms = (us: number | undefined) => (us === undefined ? null : us / 1000);
  return {
    state,
    stream: r.server?.stream ?? null,
    rendition: r.rendition?.id ?? null,
    codec: r.rendition?.codec ?? null,
    width: r.rendition?.width ?? null,
    height: r.rendition?.height ?? null,
    renderer: r.renderer ?? null,
    decoder: r.decoder ?? null,
    paint_p50_ms: ms(r.paintP50),
    paint_p95_ms: ms(r.paintP95),
    clock_error_ms: ms(r.clockError),
    encode_p50_ms: ms(r.stages?.encode),
    network_p50_ms: ms(r.stages?.network),
    decode_p50_ms: ms(r.stages?.decode),
    show_p50_ms: ms(r.stages?.show),
    painted_fps: r.paintedFps,
    painted_total: r.painted,
    decoded_total: r.decoded,
    dropped_total: r.dropped,
    dropped_by_server_total: r.droppedByServer,
    bitrate_bps: Math.round(r.bitrateBps),
    first_picture_ms: r.firstPaintAt === undefined ? null : r.firstPaintAt / 1000 - performance.timeOrigin,
    last_capture_us: r.lastCapture ?? null,
    quality,
    mode: r.mode,
    playout_delay_ms: r.playoutDelay / 1000,
    limit: r.limit.name,
    carries_bps: r.server?.carriesBps ?? 0,
    freezes_total: r.freezes.count,
    longest_freeze_ms: r.freezes.longest / 1000,
    frozen_ms_total: r.freezes.total / 1000,
    takeovers_total: r.takeovers,
  };
}

/** One picture's way, for programs. */
export const timesOf = (p: PictureStages): PictureTimes => ({
  capture_us: p.capture,
  painted_ms: p.at / 1000,
  encode_ms: p.encode / 1000,
  network_ms: p.network / 1000,
  decode_ms: p.decode / 1000,
  show_ms: p.show / 1000,
});

export interface FiguresEvents {
  graphs(): void;
  /** Says whether it could. */
  copy(): Promise<boolean>;
}

/** The small panel of figures. */
export class Figures {
  readonly element = el("div", "stats");
  readonly #strings: Strings["statistics"];
  readonly #latency = el("span", "figure");
  readonly #caption = el("p", "caption");
  readonly #limit = el("p", "limit");
  readonly #rows = new Map<string, HTMLElement>();
  readonly #more = el("div", "more");
  readonly #graphsButton = el("button", "again", "");
  readonly #copied = el("span");

  constructor(s: Strings, events: FiguresEvents) {
    this.#strings = s.statistics;
    this.element.part.add("statistics");
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", s.controls.statistics);
    const lead = el("div", "lead");
    lead.append(this.#latency, el("span", "unit", s.statistics.unit));
    const list = el("dl");
    for (const name of ["painted", "bitrate", "picture", "codec", "heldBack", "dropped", "stoodStill"] as const) {
      const dd = el("dd");
      list.append(el("dt", "", s.statistics[name]), dd);
      this.#rows.set(name, dd);
    }
    const copy = el("button", "again", s.statistics.copy);
    copy.type = this.#graphsButton.type = "button";
    copy.addEventListener("click", () => void events.copy().then((done) => setText(this.#copied, done ? s.statistics.copied : s.statistics.notCopied)));
    this.#graphsButton.addEventListener("click", () => events.graphs());
    this.#copied.setAttribute("role", "status");
    this.#more.append(this.#graphsButton, copy, this.#copied);
    this.element.append(lead, this.#caption, list, this.#limit, this.#more);
    this.expand(undefined);
  }

  /** Shows graphs among the figures, or takes them away. */
  expand(graphs: HTMLElement | undefined): void {
    this.element.querySelector(".graphs")?.remove();
    if (graphs !== undefined) this.#more.before(graphs);
    this.element.classList.toggle("expanded", graphs !== undefined);
    this.#graphsButton.setAttribute("aria-expanded", String(graphs !== undefined));
    setText(this.#graphsButton, graphs === undefined ? this.#strings.graphs : this.#strings.fewer);
    setText(this.#copied, "");
  }

  /** limit is a sentence, or empty. */
  show(f: PlayerStats, limit: string): void {
    const s = this.#strings;
    setText(this.#latency, f.paint_p50_ms === null ? "–" : f.paint_p50_ms.toFixed(0));
    const p95 = f.paint_p95_ms === null ? "–" : `${f.paint_p95_ms.toFixed(0)} ms`;
    const error = f.clock_error_ms === null ? "–" : `± ${f.clock_error_ms.toFixed(1)} ms`;
    setText(this.#caption, s.caption(p95, error));
    this.#row("painted", `${f.painted_fps.toFixed(1)} /s`);
    this.#row("bitrate", `${(f.bitrate_bps / 1e6).toFixed(2)} Mbit/s`);
    this.#row("picture", f.width === null || f.height === null ? "–" : `${f.width} × ${f.height}`);
    this.#row("codec", `${f.codec ?? "–"} · ${f.renderer ?? "–"}`);
    this.#row("heldBack", `${f.playout_delay_ms.toFixed(0)} ms · ${f.mode}`);
    this.#row("dropped", s.droppedWhere(f.dropped_total, f.dropped_by_server_total));
    this.#row("stoodStill", f.freezes_total === 0 ? s.never : s.times(f.freezes_total, seconds(f.longest_freeze_ms), seconds(f.frozen_ms_total)));
    setText(this.#limit, limit);
  }

  #row(name: string, value: string): void {
    const dd = this.#rows.get(name);
    if (dd !== undefined) setText(dd, value);
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
