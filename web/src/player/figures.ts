// What the player measures, for programs and for people.

import { el, setText } from "./dom.ts";
import type { LimitName } from "./limits.ts";
import type { RendererName, Report } from "./messages.ts";
import type { Mode } from "./playout.ts";
import type { Quality } from "./quality.ts";
import type { PlayerState } from "./state.ts";

/** What stats() gives. A figure that is not known is null. */
export interface PlayerStats {
  readonly state: PlayerState;
  readonly stream: string | null;
  readonly rendition: number | null;
  readonly codec: string | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly renderer: RendererName | null;
  /** Capture to paint over the last 5 s. */
  readonly paint_p50_ms: number | null;
  readonly paint_p95_ms: number | null;
  /** How wrong both can be. */
  readonly clock_error_ms: number | null;
  readonly painted_fps: number;
  readonly painted_total: number;
  readonly decoded_total: number;
  /** Access units and pictures dropped by this player. */
  readonly dropped_total: number;
  /** Access units that the server did not send to this player. */
  readonly dropped_by_server_total: number;
  readonly bitrate_bps: number;
  /** From the page's navigation to this player's first picture. */
  readonly first_picture_ms: number | null;
  /** The capture time of the picture on the screen, on the server's epoch. */
  readonly last_capture_us: number | null;
  readonly quality: Quality;
  readonly mode: Mode;
  /** How long pictures are held back to even out their way. */
  readonly playout_delay_ms: number;
  /** What keeps the picture from being better; empty: nothing is known to. */
  readonly limit: LimitName;
  /** What the network is known to carry; 0: more than is sent. */
  readonly carries_bps: number;
  /** How often the picture stood still, and for how long, while it was in view. */
  readonly freezes_total: number;
  readonly longest_freeze_ms: number;
  readonly frozen_ms_total: number;
  /** How often a second connection brought pictures sooner than the first, which had gone silent. */
  readonly takeovers_total: number;
}

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
