// What crosses between the page and the worker: one union per direction. Buffers and streams are transferred.

import type { Micros } from "./units.ts";
import type { StreamState } from "./wire.ts";

/** Where the worker puts pictures. A track's frames carry the capture time as their timestamp. */
export type Surface =
  | { readonly kind: "track"; readonly writable: WritableStream<VideoFrame> }
  | { readonly kind: "canvas"; readonly canvas: OffscreenCanvas };

export type RendererName = Surface["kind"];

export type ToWorker =
  /** Connects at once, before there is a surface. `ticketed`: each connection needs a ticket, which the page gets. */
  | { readonly type: "start"; readonly url: string; readonly ticketed: boolean; readonly maxHeight: number; readonly visible: boolean }
  /** The first surface, or a new track in place of one that stalled or cannot go back in time. */
  | { readonly type: "surface"; readonly surface: Surface }
  /** Frames of the track that reached the screen. */
  | { readonly type: "painted"; readonly paints: readonly Paint[] }
  | { readonly type: "visible"; readonly visible: boolean }
  /** For the next connection; undefined when there is none to be had. */
  | { readonly type: "ticket"; readonly ticket: string | undefined }
  | { readonly type: "max-height"; readonly lines: number }
  /** Connect now: after an end, or instead of waiting for the next attempt. */
  | { readonly type: "reconnect" };

export interface Paint {
  /** On the server's epoch; identifies the picture. */
  readonly capture: Micros;
  /** When it was painted, local clock. */
  readonly at: Micros;
  /** Pictures painted since the last Paint, this one included. */
  readonly frames: number;
}

export type FromWorker =
  | { readonly type: "report"; readonly report: Report }
  | { readonly type: "ticket-wanted" }
  /** The track no longer takes frames: give another. */
  | { readonly type: "surface-wanted" };

/** How the connection stands. */
export type Phase =
  | { readonly name: "opening" }
  | { readonly name: "open" }
  | { readonly name: "retrying"; readonly why: string }
  /** `login` is true where a new login may help. */
  | { readonly name: "denied"; readonly why: string; readonly login: boolean }
  | { readonly name: "ended"; readonly why: string }
  | { readonly name: "unsupported"; readonly why: string };

/** Everything the worker knows, several times a second. Times are on the local clock. */
export interface Report {
  readonly phase: Phase;
  readonly server: { readonly stream: string; readonly state: StreamState; readonly detail: string } | undefined;
  readonly rendition:
    | { readonly id: number; readonly codec: string; readonly width: number; readonly height: number; readonly frameRateMilli: number }
    | undefined;
  readonly renderer: RendererName | undefined;
  readonly paused: boolean;
  readonly firstPaintAt: Micros | undefined;
  readonly lastPaintAt: Micros | undefined;
  /** When the picture on the screen was taken; of lastPaintAt where the server's clock is not known yet. */
  readonly lastCaptureAt: Micros | undefined;
  /** The same on the server's epoch. */
  readonly lastCapture: Micros | undefined;
  readonly paintP50: Micros | undefined;
  readonly paintP95: Micros | undefined;
  readonly clockError: Micros | undefined;
  readonly paintedFps: number;
  readonly painted: number;
  readonly decoded: number;
  /** Access units dropped here. */
  readonly dropped: number;
  /** Access units the server did not send to this viewer. */
  readonly droppedByServer: number;
  readonly bitrateBps: number;
}
