// What the player measures, for programs and for people.

import { el, setText } from "./dom.ts";
import type { Report } from "./messages.ts";
import type { PlayerState, PlayerStats, Quality } from "./player.d.ts";

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
    paint_p50_ms: ms(r.paintP50),
    paint_p95_ms: ms(r.paintP95),
    clock_error_ms: ms(r.clockError),
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

/** The small panel of figures. */
export class Figures {
  readonly element = el("div", "stats");
  readonly #latency = el("span", "figure");
  readonly #caption = el("p", "caption");
  readonly #limit = el("p", "limit");
  readonly #rows = new Map<string, HTMLElement>();

  constructor() {
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", "Statistics");
    const lead = el("div", "lead");
    const unit = el("span", "unit");
    unit.textContent = "ms capture to paint";
    lead.append(this.#latency, unit);
    const list = document.createElement("dl");
    for (const name of ["Painted", "Bitrate", "Picture", "Codec", "Held back", "Dropped", "Stood still"]) {
      const dt = document.createElement("dt");
      dt.textContent = name;
      const dd = document.createElement("dd");
      list.append(dt, dd);
      this.#rows.set(name, dd);
    }
    this.element.append(lead, this.#caption, list, this.#limit);
  }

  /** limit is a sentence, or empty. */
  show(s: PlayerStats, limit: string): void {
    setText(this.#latency, s.paint_p50_ms === null ? "–" : s.paint_p50_ms.toFixed(0));
    const p95 = s.paint_p95_ms === null ? "–" : `${s.paint_p95_ms.toFixed(0)} ms`;
    const error = s.clock_error_ms === null ? "–" : `± ${s.clock_error_ms.toFixed(1)} ms`;
    setText(this.#caption, `95th percentile ${p95} · clock ${error}`);
    this.#row("Painted", `${s.painted_fps.toFixed(1)} /s`);
    this.#row("Bitrate", `${(s.bitrate_bps / 1e6).toFixed(2)} Mbit/s`);
    this.#row("Picture", s.width === null || s.height === null ? "–" : `${s.width} × ${s.height}`);
    this.#row("Codec", `${s.codec ?? "–"} · ${s.renderer ?? "–"}`);
    this.#row("Held back", `${s.playout_delay_ms.toFixed(0)} ms · ${s.mode}`);
    this.#row("Dropped", `${s.dropped_total} here · ${s.dropped_by_server_total} by the server`);
    this.#row("Stood still", s.freezes_total === 0 ? "never" : `${s.freezes_total} × · ${seconds(s.longest_freeze_ms)} at most · ${seconds(s.frozen_ms_total)} in all`);
    setText(this.#limit, limit);
  }

  #row(name: string, value: string): void {
    const dd = this.#rows.get(name);
    if (dd !== undefined) setText(dd, value);
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
